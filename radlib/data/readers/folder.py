"""A user's own folder, described by a short YAML file that ``radlib cohort init`` drafts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import ALLOWED, COLUMNS, FILE_COLUMNS, NUMBER_COLUMNS, Cohort, participants_table
from radlib.data.nifti import parse_encoding
from radlib.data.readers.brats import read_brats
from radlib.data.readers.files import index_by, read_text_table, walk

TABLE_COLUMNS: tuple[str, ...] = tuple(column for column in COLUMNS if column not in (*FILE_COLUMNS, "label_encoding"))
_DAYS = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
_SYNONYMS: dict[str, dict[str, str]] = {
    "sex": {"f": "F", "female": "F", "w": "F", "woman": "F", "m": "M", "male": "M", "man": "M"},
    "idh": {
        "mutant": "mutant", "mutated": "mutant", "mut": "mutant", "wildtype": "wildtype", "wild-type": "wildtype",
        "wild type": "wildtype", "wt": "wildtype",
    },
    "grade": {"ii": "2", "iii": "3", "iv": "4", "g2": "2", "g3": "3", "g4": "4"},
    "grade_group": {"lgg": "LGG", "hgg": "HGG"},
    "event": {"dead": "1", "deceased": "1", "alive": "0", "living": "0", "true": "1", "false": "0"},
    "codel_1p19q": {"codel": "codel", "codeleted": "codel", "non-codel": "non-codel", "intact": "non-codel"},
    "mgmt": {"methylated": "methylated", "unmethylated": "unmethylated"},
    "split": {"train": "train", "training": "train", "validation": "validation", "val": "validation", "test": "test"},
}  # fmt: skip
"""Usual spellings, in lower case, that need no entry under ``values``."""

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SideTable(_Strict):
    """A table of numbers beside the participants: one row a subject, one column a gene or feature."""

    file: Text
    id_column: Text
    drop: tuple[str, ...] = ()


class Description(_Strict):
    """What the YAML file of a cohort holds; unknown keys are refused.

    Attributes:
        name: of the cohort.
        root: the folder of the images, absolute or relative to the YAML file.
        layout: ``brats`` for a BraTS folder of any vintage; ``patterns`` where ``images`` says where files lie.
        images: modality (``t1``, ``t1ce``, ``t2``, ``flair``, ``seg``) to a path below ``root`` with ``{id}`` for the
            subject and ``*`` for anything else within one name.
        label_encoding: how ``seg`` writes its labels.
        participants: a CSV or TSV file, absolute or relative to the YAML file.
        id_column: its column of subject ids.
        columns: our column to theirs.
        values: our column to a map from their spelling to ours.
        survival_unit: the unit of the survival column.
        expression, radiomics: tables of numbers.
    """

    name: Text
    root: Text = "."
    layout: Literal["patterns", "brats"] = "patterns"
    images: dict[Literal["t1", "t1ce", "t2", "flair", "seg"], Text] = Field(default_factory=dict)
    label_encoding: str = "brats"
    participants: str | None = None
    id_column: Text = "id"
    columns: dict[str, Text] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    survival_unit: Literal["days", "weeks", "months", "years"] = "days"
    expression: SideTable | None = None
    radiomics: SideTable | None = None

    @field_validator("images")
    @classmethod
    def _patterns(cls, images: dict[str, str]) -> dict[str, str]:
        for modality, pattern in images.items():
            if "{id}" not in pattern:
                raise ValueError(f"the pattern of {modality} ({pattern!r}) has no {{id}}")
            if pattern.startswith("/") or ".." in pattern.split("/"):
                raise ValueError(f"the pattern of {modality} ({pattern!r}) leaves the root")
        return images

    @field_validator("columns", "values")
    @classmethod
    def _known(cls, mapping: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(mapping) - set(TABLE_COLUMNS)):
            raise ValueError(f"unknown column(s) {', '.join(unknown)}; known are {', '.join(TABLE_COLUMNS)}")
        return mapping

    @field_validator("values", mode="before")
    @classmethod
    def _as_text(cls, values: Any) -> Any:
        # YAML reads 0, 1 and yes as numbers and truth values; a table holds text.
        if not isinstance(values, dict):
            return values
        return {
            column: {str(k): str(v) for k, v in mapping.items()} if isinstance(mapping, dict) else mapping
            for column, mapping in values.items()
        }

    @field_validator("label_encoding")
    @classmethod
    def _encoding(cls, encoding: str) -> str:
        parse_encoding(encoding)
        return encoding


def read_description(path: Path | str) -> Description:
    """The description in a YAML file.

    Raises:
        MissingDataError: if there is no such file.
        RadlibError: if it is no YAML or does not follow :class:`Description`; every problem is listed.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(
            "there is no cohort description", file=path, remedy="write one with `radlib cohort init FOLDER`"
        )
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RadlibError(f"not YAML: {' '.join(str(error).split())}", file=path, remedy="mend the syntax") from error
    if not isinstance(raw, dict):
        raise RadlibError("the file holds no keys", file=path, remedy="write one with `radlib cohort init FOLDER`")
    if any("\0" in text for text in _texts(raw)):
        raise RadlibError("a value holds the character 0", file=path, remedy="take it out: no path can have it")
    try:
        return Description.model_validate(raw)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')} "
            f"(got {item['input']!r:.60})"
            for item in error.errors()
        ]
        raise RadlibError(
            "; ".join(problems), file=path, remedy="correct these keys; `radlib cohort init` writes a commented example"
        ) from error


def _texts(value: object) -> Iterator[str]:
    """Every text in nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _texts(list(pair))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def read_described(path: Path | str) -> Cohort:
    """The cohort that a YAML file describes.

    With a participants table, its rows are the subjects, and images of others are left out (a note says so); without,
    every subject that has a file is one.

    Raises:
        MissingDataError: if the description, the root, or a table does not exist, or there is no subject.
        RadlibError: naming file, subject and value for everything that cannot be read.
    """
    path = Path(path).resolve()
    description = read_description(path)
    root = _place(description.root, path).resolve()
    if not root.is_dir():
        raise MissingDataError(f"root {description.root!r} does not exist", file=path, remedy="correct root")
    notes: list[str] = []
    if description.layout == "brats":
        brats = read_brats(root, name=description.name)
        images, notes = brats.participants, list(brats.notes)
    else:
        images = _images(description, root)
    if description.participants is None:
        table = images
    else:
        told = _participants(description, path)
        table = told.join(images.drop(columns=[column for column in images if column in told]), how="left")
        if description.layout == "brats":  # what the user's table leaves empty, the challenge's tables may know
            shared = [str(column) for column in told if column in images]
            table[shared] = table[shared].where(table[shared].notna(), images[shared].reindex(table.index))
        if unlisted := [subject for subject in images.index if subject not in told.index]:
            notes.append(f"{len(unlisted)} subject(s) have images but no row, {unlisted[0]} first; left out.")
        imaged = [column for column in FILE_COLUMNS if column in images]
        bare = int(table[imaged].isna().all(axis=1).sum()) if imaged else 0
        if bare:
            notes.append(f"{bare} of {len(table)} subjects have no image.")
    if not len(table):
        raise MissingDataError(
            f"no subject found under {root}", file=path, remedy="correct the patterns under `images`, or `participants`"
        )
    table.index.name = "id"
    participants = participants_table(table, file=path)
    grouped = participants["grade"].map({2.0: "LGG", 3.0: "LGG", 4.0: "HGG"})
    if n_grouped := int((participants["grade_group"].isna() & grouped.notna()).sum()):
        participants["grade_group"] = participants["grade_group"].fillna(grouped)
        notes.append(f"grade_group of {n_grouped} subject(s) follows from grade: 2 and 3 are LGG, 4 is HGG.")
    if description.layout == "patterns":
        has_seg = participants["seg"].notna()
        participants["label_encoding"] = participants["label_encoding"].mask(has_seg, description.label_encoding)
    cohort = Cohort(
        name=description.name,
        source="user",
        root=root,
        participants=participants,
        expression=_numbers(description.expression, path, participants.index, notes, "expression"),
        radiomics=_numbers(description.radiomics, path, participants.index, notes, "radiomics"),
        notes=tuple(notes),
    )
    cohort.validate()
    return cohort


def _place(text: str, description: Path) -> Path:
    """A path of the description: absolute, from a home folder, or relative to the description."""
    try:
        return description.parent / Path(text).expanduser()
    except RuntimeError as error:  # the home of a user who does not exist
        raise MissingDataError(f"{text!r}: {error}", file=description, remedy="correct the path") from error


def separator(file: Path) -> str:
    """Tab for ``.tsv`` and ``.txt``, else comma."""
    return "\t" if file.suffix.lower() in (".tsv", ".txt") else ","


def _images(description: Description, root: Path) -> pd.DataFrame:
    """Subjects x modalities: paths relative to the root; empty for a description without images."""
    patterns = {modality: _compile(pattern) for modality, pattern in description.images.items()}
    depth = max((pattern.count("/") for pattern in description.images.values()), default=0)
    found: dict[str, dict[str, str]] = {}
    if patterns:
        for folder, names in walk(root, max_depth=depth + 1):
            for name in names:
                relative = (folder / name).relative_to(root).as_posix()
                for modality, pattern in patterns.items():
                    if match := pattern.fullmatch(relative):
                        files = found.setdefault(match["id"], {})
                        if modality in files:
                            raise RadlibError(
                                f"subject {match['id']!r} has {modality} twice: {files[modality]} and {relative}",
                                file=root,
                                remedy=f"make the pattern of {modality} narrower",
                            )
                        files[modality] = relative
    return pd.DataFrame.from_dict(found, orient="index", columns=list(patterns)).sort_index()


def _compile(pattern: str) -> re.Pattern[str]:
    """``{id}/{id}_t1.nii.gz`` to a regular expression; a second ``{id}`` must repeat the first."""
    parts = re.split(r"(\{id\}|\*)", pattern)
    text, seen = "", False
    for part in parts:
        if part == "{id}":
            text += "(?P=id)" if seen else r"(?P<id>[^/]+?)"
            seen = True
        else:
            text += "[^/]*" if part == "*" else re.escape(part)
    return re.compile(text)


def _participants(description: Description, path: Path) -> pd.DataFrame:
    """The user's table with our columns, spellings and units; their other columns are kept under their names."""
    assert description.participants is not None
    file = _place(description.participants, path)
    if not file.is_file():
        raise MissingDataError(
            f"participants {description.participants!r} does not exist", file=path, remedy="correct it"
        )
    wanted = description.columns
    raw = read_text_table(file, sep=separator(file), required=(description.id_column, *dict.fromkeys(wanted.values())))
    raw = index_by(raw, description.id_column, file=file)
    table = pd.DataFrame(index=raw.index)
    for ours in TABLE_COLUMNS:
        theirs = wanted.get(ours, ours if ours in raw and not wanted else None)
        if theirs is None:
            continue
        table[ours] = _spelled(raw[theirs], ours, description, file)
    if "survival_days" in table and description.survival_unit != "days":
        table["survival_days"] = table["survival_days"] * _DAYS[description.survival_unit]
    used = {*wanted.values(), *table.columns}
    for column in raw.columns:
        if column not in used and column not in COLUMNS:
            table[column] = raw[column]
    return table


def _spelled(column: pd.Series, ours: str, description: Description, file: Path) -> pd.Series:
    own = {key.lower(): value for key, value in description.values.get(ours, {}).items()}
    usual = _SYNONYMS.get(ours, {})
    text = column.map(lambda cell: own.get(cell.lower(), usual.get(cell.lower(), cell)), na_action="ignore")
    allowed = ALLOWED.get(ours, frozenset())
    if ours in NUMBER_COLUMNS:
        values: pd.Series = pd.to_numeric(text, errors="coerce").astype(float)
        strange = column[column.notna() & (values.isna() | (~values.isin(list(allowed)) if allowed else False))]
    else:
        values = text
        strange = column[text.notna() & ~text.isin(list(allowed))] if allowed else column[[False] * len(column)]
    if len(strange):
        expected = " or ".join(str(value) for value in sorted(allowed)) if allowed else "a number"
        raise RadlibError(
            f"{column.name} of {strange.index[0]} is {strange.iloc[0]!r}, expected {expected}",
            file=file,
            remedy=f"correct the cell, leave it empty, or say under `values: {ours}:` what it means",
        )
    return values


def _numbers(side: SideTable | None, path: Path, ids: pd.Index, notes: list[str], what: str) -> pd.DataFrame | None:
    """A table of numbers with one row for each of ``ids``; a subject that it lacks has NaN."""
    if side is None:
        return None
    file = _place(side.file, path)
    if not file.is_file():
        raise MissingDataError(f"{what} {side.file!r} does not exist", file=path, remedy="correct it")
    raw = index_by(
        read_text_table(file, sep=separator(file), required=(side.id_column, *side.drop)), side.id_column, file=file
    ).drop(columns=list(side.drop))
    table = raw.apply(pd.to_numeric, errors="coerce").astype(float)
    lost = raw.notna() & table.isna()
    if lost.any(axis=None):
        subject, column = lost.stack().pipe(lambda cells: cells.index[cells][0])
        raise RadlibError(
            f"{column} of {subject} is {raw.loc[subject, column]!r}, not a number",
            file=file,
            remedy=f"correct the cell, leave it empty, or list the column under `{what}: drop:`",
        )
    if absent := [subject for subject in ids if subject not in table.index]:
        notes.append(f"{len(absent)} subject(s) have no {what}, {absent[0]} first.")
    return table.reindex(ids)
