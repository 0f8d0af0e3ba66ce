"""A user's own folder as a cohort, described by a short YAML file that ``radlib cohort init`` drafts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import ALLOWED, COLUMNS, FILE_COLUMNS, NUMBER_COLUMNS, Cohort, participants_table
from radlib.data.decode import VOLUME_SUFFIXES, decode
from radlib.data.nifti import label_values
from radlib.data.persons import each_once
from radlib.data.readers.bids import find_bids
from radlib.data.readers.brats import read_brats
from radlib.data.readers.description import Description, SideTable, read_description
from radlib.data.readers.files import walk
from radlib.data.tables import MISSING, as_numbers, index_by, read_text_table

_LONGEST = 100
_DAYS = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
SYNONYMS: dict[str, dict[str, str]] = {
    "sex": {"f": "F", "female": "F", "w": "F", "woman": "F", "m": "M", "male": "M", "man": "M"},
    "idh": {
        "mutant": "mutant", "mutated": "mutant", "mut": "mutant", "wildtype": "wildtype", "wild-type": "wildtype",
        "wild type": "wildtype", "wt": "wildtype",
    },
    "grade": {"ii": "2", "iii": "3", "iv": "4"},
    "grade_group": {"lgg": "LGG", "hgg": "HGG"},
    "event": {"dead": "1", "deceased": "1", "died": "1", "alive": "0", "living": "0", "true": "1", "false": "0"},
    "codel_1p19q": {
        "codel": "codel", "codeleted": "codel", "co-deleted": "codel", "co-deletion": "codel",
        "non-codel": "non-codel", "intact": "non-codel", "non-codeleted": "non-codel",
    },
    "mgmt": {"methylated": "methylated", "unmethylated": "unmethylated"},
    "split": {"train": "train", "training": "train", "validation": "validation", "val": "validation", "test": "test"},
}  # fmt: skip
"""Usual spellings, in lower case, that need no entry under ``values``."""

_PERSON = {"participant": "person"}  # of a BIDS folder: sessions of one participant are one person
_UNKNOWN = {"unknown", "not known", "not available", "n.a.", "null", "none", "missing"}


def read_described(path: Path | str) -> Cohort:
    """The cohort that a YAML file describes.

    With a participants table, its rows are the subjects, and images of others are left out (a note names them);
    without, every subject that has a file is one.

    Raises:
        RadlibError: naming file, subject and value for everything that cannot be read; all wrong cells at once.
    """
    path = Path(path).resolve()
    description = read_description(path)
    root = _place(description.root, path).resolve()
    if not root.is_dir():
        raise RadlibError(f"root {description.root!r} does not exist", file=path, remedy="correct root")
    images, notes = _find_images(description, root)
    notes += _left_over(images, root) if description.layout != "patterns" or description.images else []
    if description.participants is None:
        table = images.rename(columns=_PERSON)
    else:
        table = _joined(description, path, images, notes)
    if not len(table):
        raise RadlibError(
            f"no subject found under {root}", file=path, remedy="correct the patterns under `images`, or `participants`"
        )
    table.index.name = "id"
    table.attrs.clear()
    for column in [name for name in FILE_COLUMNS if name in table]:
        table[column] = table[column].map(lambda cell: _below(root, str(cell)), na_action="ignore")
    participants = participants_table(table, file=path)
    grouped = participants["grade"].map({2.0: "LGG", 3.0: "LGG", 4.0: "HGG"})
    if n_grouped := int((participants["grade_group"].isna() & grouped.notna()).sum()):
        participants["grade_group"] = participants["grade_group"].fillna(grouped)
        notes.append(f"grade_group of {n_grouped} subject(s) follows from grade: 2 and 3 are LGG, 4 is HGG.")
    if description.label_encoding is not None:
        has_seg = participants["seg"].notna()
        if not has_seg.any():
            raise RadlibError("label_encoding has no effect: there is no segmentation", file=path, remedy="remove it")
        participants["label_encoding"] = participants["label_encoding"].mask(has_seg, description.label_encoding)
    if (people := len(each_once(participants))) < len(participants):
        notes.append(f"{len(participants)} subjects are {people} person(s); chapters take the first of each.")
    cohort = Cohort(
        name=description.name,
        source="user",
        root=root,
        participants=participants,
        expression=_numbers(description.expression, description, path, participants.index, notes, "expression"),
        radiomics=_numbers(description.radiomics, description, path, participants.index, notes, "radiomics"),
        notes=tuple(notes),
    )
    cohort.validate()
    if description.layout == "brats" and description.label_encoding is None:
        drawn = [subject for subject in cohort.ids if cohort.has(subject, "seg")][:3]
        if labels_found(cohort.path(subject, "seg") for subject in drawn) == {1}:
            raise RadlibError(
                f"the names are those of BraTS, but the segmentations of {', '.join(drawn)} have the label 1 only, "
                "necrosis or the whole tumour", file=path, remedy="state label_encoding: brats, or whole-tumour",
            )  # fmt: skip
    return cohort


def _left_over(images: pd.DataFrame, root: Path) -> list[str]:
    """A note on the volumes below the root that the layout or patterns give to nobody."""
    taken = {file for column in FILE_COLUMNS if column in images for file in images[column].dropna()}
    left = [
        relative
        for folder, names in walk(root, max_depth=7)
        for name in names
        if name.lower().endswith(VOLUME_SUFFIXES)
        and (relative := (folder / name).relative_to(root).as_posix()) not in taken
    ]
    shown = ", ".join(left[:3]) + " ..." * (len(left) > 3)
    return [f"{len(left)} image(s) below root are nobody's by the layout or patterns: {shown}."] if left else []


def labels_found(files: Iterable[Path]) -> set[float]:
    """The labels other than 0 of all these segmentations; what cannot be read has none, and the check names it."""
    values: set[float] = set()
    for file in files:
        try:
            values |= set(label_values(decode(file).data))
        except RadlibError:
            continue
    return values


def _place(text: str, description: Path) -> Path:
    """A path of the description: absolute, from a home folder, or relative to the description."""
    try:
        return description.parent / Path(text).expanduser()
    except RuntimeError as error:  # the home of a user who does not exist
        raise RadlibError(f"{text!r}: {error}", file=description, remedy="correct the path") from error


def _below(root: Path, file: str) -> str:
    """A path of the table relative to the root, where it lies there."""
    return Path(file).relative_to(root).as_posix() if Path(file).is_relative_to(root) else file


def _find_images(description: Description, root: Path) -> tuple[pd.DataFrame, list[str]]:
    """Subjects x what the images say of them, and notes; empty for a description without images."""
    if description.layout == "brats":
        try:
            brats = read_brats(root, name=description.name)
        except MissingDataError as error:  # it is the description that is wrong, not the cohort that lacks something
            raise RadlibError(error.problem, file=root, remedy=error.remedy) from error
        return brats.participants, list(brats.notes)
    if description.layout == "bids":
        return find_bids(root), []
    patterns = {modality: _compile(pattern) for modality, pattern in description.images.items()}
    # Of two patterns that fit one file, the one that spells out more is meant: {id}_ce_T1w before {id}_T1w.
    modalities: list[str] = sorted(patterns, key=lambda name: -len(re.sub(r"\{id\}|\*", "", description.images[name])))  # type: ignore[index]
    depth = max((pattern.count("/") for pattern in description.images.values()), default=0)
    found: dict[str, dict[str, str]] = {}
    for folder, names in walk(root, max_depth=depth + 1) if patterns else ():
        for relative in ((folder / name).relative_to(root).as_posix() for name in names):
            for modality in modalities:
                if match := patterns[modality].fullmatch(relative):  # type: ignore[index]
                    files = found.setdefault(match["id"], {})
                    if modality in files:
                        raise RadlibError(
                            f"subject {match['id']!r} has {modality} twice: {files[modality]} and {relative}",
                            file=root,
                            remedy=f"make the pattern of {modality} narrower",
                        )
                    files[modality] = relative
                    break
    return pd.DataFrame.from_dict(found, orient="index", columns=list(patterns)).sort_index(), []


def _compile(pattern: str) -> re.Pattern[str]:
    """``{id}/{id}_t1.nii.gz`` to a regular expression; a second ``{id}`` must repeat the first."""
    text, seen = "", False
    for part in re.split(r"(\{id\}|\*)", pattern):
        if part == "{id}":
            text += "(?P=id)" if seen else r"(?P<id>[^/]+?)"
            seen = True
        else:
            text += "[^/]*" if part == "*" else re.escape(part)
    return re.compile(text)


def numbers_alone(identity: str) -> str:
    """An id without the leading zeros of its numbers: ``p-004`` and ``p-0004`` are ``p-4``."""
    return re.sub(r"\d+", lambda match: match[0].lstrip("0") or "0", identity)


def _joined(description: Description, path: Path, images: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The rows of the user's table with the images that belong to them."""
    names = images.get("participant", pd.Series(images.index, images.index))
    told = _participants(description, path, notes, {str(name) for name in names})
    of_table = _by_id(told.index, description, path)
    _by_id(names.unique(), description, path)
    rows = pd.Series([of_table.get(_compared(name, description)) for name in names], index=images.index, dtype=object)
    met = rows.dropna()
    images = images.rename(columns=_PERSON)
    if len(images) and not len(met):
        raise RadlibError(
            f"no id of the table meets an image: the table has {_some(told.index)}, the images {_some(images.index)}",
            file=path, remedy="correct id_column or the patterns, or write `id_match: numbers` where only zeros differ",
        )  # fmt: skip
    bare = [str(subject) for subject in told.index if subject not in set(met)]
    _refuse_alike(bare, [str(name) for name in names[rows.isna()]], description, path)
    # A subject goes by the name of its images; who has several sessions is there several times.
    table = told.loc[[*met, *bare]]
    table.index = pd.Index([*met.index, *bare], dtype="str")
    order = {subject: place for place, subject in enumerate(told.index)}
    table = table.iloc[np.argsort([order[subject] for subject in [*met, *bare]], kind="stable")]
    images = images.reindex(table.index)
    for column in images:
        table[column] = (
            table[column].where(table[column].notna(), images[column]) if column in table else images[column]
        )
    if unlisted := [str(subject) for subject in rows.index[rows.isna()]]:
        notes.append(f"{len(unlisted)} subject(s) have images but no row, left out: {', '.join(unlisted)}.")
    if bare and len(images.columns):
        notes.append(f"{len(bare)} of {len(table)} subjects have no image: {', '.join(bare)}.")
    return table


def _compared(identity: object, description: Description) -> str:
    """An id as it is compared: file systems and tables write one letter with an accent in two ways."""
    text = unicodedata.normalize("NFC", str(identity))
    return numbers_alone(text) if description.id_match == "numbers" else text


def _by_id(names: Iterable[object], description: Description, file: Path) -> dict[str, object]:
    """Ids by what is compared of them.

    Raises:
        RadlibError: if two of them are one.
    """
    found: dict[str, object] = {}
    for name in names:
        if (other := found.setdefault(_compared(name, description), name)) != name:
            raise RadlibError(
                f"{other!r} and {name!r} are one id (id_match: {description.id_match})", file=file,
                remedy="rename one of them, or write `id_match: exact`",
            )  # fmt: skip
    return found


def _refuse_alike(bare: Iterable[str], unlisted: Iterable[str], description: Description, path: Path) -> None:
    """Refuse an id of the table that meets no image, but one without a row but for zeros, capitals or spaces.

    Raises:
        RadlibError: naming such pairs, unless the description says that ids are compared exactly.
    """
    if "id_match" in description.model_fields_set and description.id_match == "exact":
        return
    images = {_alike(name): name for name in unlisted}
    if pairs := [f"{name!r} and {images[_alike(name)]!r}" for name in bare if _alike(name) in images]:
        raise RadlibError(
            f"{len(pairs)} id(s) of the table are almost those of images: {', '.join(pairs[:5])}"
            + " ..." * (len(pairs) > 5), file=path,
            remedy="write them in one way; where only zeros differ, `id_match: numbers` does; where they are other "
            "patients, `id_match: exact`",
        )  # fmt: skip


def _alike(identity: str) -> str:
    """An id without what is easily written in another way: leading zeros, capitals, spaces and strokes."""
    return re.sub(r"[\s_.-]+", "", numbers_alone(unicodedata.normalize("NFKC", identity))).casefold()


def _some(names: pd.Index) -> str:
    return ", ".join(map(repr, map(str, names[:3]))) + " ..." * (len(names) > 3) if len(names) else "none"


def _participants(description: Description, path: Path, notes: list[str], known: Collection[str]) -> pd.DataFrame:
    """The user's table with our columns, spellings and units; their other columns are kept under their names.

    ``known`` are the ids of images.

    Raises:
        RadlibError: listing every cell that is not understood.
    """
    assert description.participants is not None
    file = _place(description.participants, path)
    if not file.is_file():
        raise RadlibError(f"participants {description.participants!r} does not exist", file=path, remedy="correct it")
    # A letter with an accent is written in two ways; in a table that was read it is one.
    identity, *of_ours = (_composed(name) for name in (description.id_column, *description.columns.values()))
    columns = dict(zip(description.columns, of_ours, strict=True))
    used = (identity, *dict.fromkeys(of_ours))
    raw = read_text_table(
        file, required=used, missing=(*MISSING, *description.missing), published=False, identity=identity, known=known
    )
    notes += _doubtful_letters(raw, file)
    decimal_comma = bool(raw.attrs["decimal_comma"])
    notes += [f"{file.name}: {row} is left out: a footnote." for row in raw.attrs["footnotes"]]
    if twice := [name for name in raw.attrs["twice"] if name in {*used, *COLUMNS}]:
        raise RadlibError(f"column(s) there twice: {', '.join(twice)}", file=file, remedy="remove or rename one")
    lines = dict(zip(raw[identity], raw.index, strict=True))
    raw = index_by(raw, identity, file=file)
    folded = raw.columns.str.casefold()
    free = {
        name.casefold(): name for name in raw.columns[~folded.duplicated(keep=False)].difference(list(columns.values()))
    }
    taken = {
        ours: columns.get(ours) or (ours if ours in raw else free[ours])
        for ours in COLUMNS
        if ours in columns or (ours in raw and ours not in columns.values()) or (ours not in raw and ours in free)
    }
    if idle := sorted(set(description.values) - set(taken)):
        raise RadlibError(
            f"values of {', '.join(idle)} have no effect: the table has no such column", file=path,
            remedy="name their column under `columns`, or remove them",
        )  # fmt: skip
    if "survival_unit" in description.model_fields_set and "survival_days" not in taken:
        raise RadlibError("survival_unit has no effect: no column is survival_days", file=path, remedy="remove it")
    table, wrong, unclear = pd.DataFrame(index=raw.index), [], []
    for ours, theirs in taken.items():
        table[ours], strange = understood(raw[theirs], ours, description, decimal_comma=decimal_comma)
        expected = " or ".join(_plain(value) for value in sorted(ALLOWED[ours])) if ours in ALLOWED else "a number"
        unclear += [ours] if len(strange) else []
        wrong += [
            f"row {lines[subject]}: {theirs} of {subject} is {value!r}, expected {expected}"
            for subject, value in strange.items()
        ]
    if wrong:
        raise RadlibError(
            f"{len(wrong)} cell(s) are not understood: {'; '.join(wrong)}",
            file=file,
            remedy="correct them, leave them empty, name words for unknown under `missing:`, or say what they mean "
            f"under {', '.join(f'`values: {ours}:`' for ours in unclear)}",
        )
    if "survival_days" in table:
        table["survival_days"] = table["survival_days"] * _DAYS[description.survival_unit]
        if (long := table["survival_days"][table["survival_days"] > _LONGEST * _DAYS["years"]]).size:
            shown = ", ".join(
                f"{days / _DAYS['years']:.0f} years of {subject}" for subject, days in long.head(3).items()
            )
            raise RadlibError(
                f"{len(long)} survival(s) are longer than {_LONGEST} years: {shown}", file=file,
                remedy=f"correct the cells of {taken['survival_days']}, or survival_unit, which is "
                f"{description.survival_unit}",
            )  # fmt: skip
    if named := [column for column in raw.columns if column not in taken.values() and column in COLUMNS]:
        notes.append(f"Columns of {file.name} that are not read, as `columns` names others: {', '.join(named)}.")
    if others := [column for column in raw.columns if column not in taken.values() and column not in COLUMNS]:
        notes.append(f"Columns of {file.name} that no chapter reads, kept as they are: {', '.join(others)}.")
        table[others] = raw[others]
    if "person" in others:  # spaces part the ids of a person; in a user's own words they are part of one
        table["person"] = table["person"].str.replace(r"\s+", "_", regex=True)
    return table


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _doubtful_letters(table: pd.DataFrame, file: Path) -> list[str]:
    """A note where letters other than ASCII were read as those of Windows, which no mark of the file says."""
    if table.attrs["encoding"] != "cp1252":
        return []
    text = [*map(str, table.columns), *(cell for _, column in table.items() for cell in column.dropna().unique())]
    shown = next((cell for cell in text if not cell.isascii()), "")
    return [f"{file.name} is not in UTF-8; its letters were read as those of Windows (such as {shown!r})."]


def understood(
    column: pd.Series, ours: str, description: Description | None = None, *, decimal_comma: bool = False
) -> tuple[pd.Series, pd.Series]:
    """A column of text in our spelling, and those of its cells that are not understood."""
    own = {_composed(key): value for key, value in description.values.get(ours, {}).items()} if description else {}
    mine = {key.lower(): value for key, value in own.items()}
    usual = SYNONYMS.get(ours, {})
    allowed = ALLOWED.get(ours, frozenset())

    def spelled(cell: str) -> str | None:
        if ours not in FILE_COLUMNS:  # a path must stay as it is
            cell = _composed(cell)
        lower = cell.lower()
        if cell in own or lower in mine:
            return own.get(cell, mine.get(lower))
        if lower in _UNKNOWN and (allowed or ours in NUMBER_COLUMNS):
            return None
        if ours == "grade":
            lower = re.sub(r"^(who)?\s*(cns)?\s*(grade|g)?\s*(?=(ii|iii|iv|[234])$)", "", lower)
            return usual.get(lower, lower)
        return usual.get(lower, cell)

    text = pd.Series([None if pd.isna(cell) else spelled(cell) for cell in column], index=column.index, dtype=object)
    if ours in NUMBER_COLUMNS:
        values = as_numbers(text.astype("str").where(text.notna()), decimal_comma=decimal_comma)
        strange = text.notna() & (values.isna() | (~values.isin(list(allowed)) if allowed else values < 0))
    else:
        values = text
        strange = text.notna() & ~text.isin(list(allowed)) if allowed else text.isna() & False
    return values, column[strange]


def _numbers(
    side: SideTable | None, description: Description, path: Path, ids: pd.Index, notes: list[str], what: str
) -> pd.DataFrame | None:
    """A table of numbers with one row for each of ``ids``; a subject that it lacks has NaN."""
    if side is None:
        return None
    file = _place(side.file, path)
    if not file.is_file():
        raise RadlibError(f"{what} {side.file!r} does not exist", file=path, remedy="correct it")
    missing = (*MISSING, *description.missing)
    identity, *dropped = map(_composed, (side.id_column, *side.drop))
    text = read_text_table(
        file, required=(identity, *dropped), missing=missing, published=False, identity=identity, known=set(ids)
    )
    notes += _doubtful_letters(text, file)
    if text.attrs["twice"]:
        raise RadlibError(
            f"column(s) there twice: {', '.join(text.attrs['twice'])}", file=file, remedy="remove or rename one"
        )
    decimal_comma = bool(text.attrs["decimal_comma"])
    raw = index_by(text, identity, file=file).drop(columns=dropped)
    table = raw.apply(as_numbers, decimal_comma=decimal_comma)
    lost = raw.notna() & table.isna()
    if lost.any(axis=None):
        wrong = [
            f"{name} of {subject} is {raw.at[subject, name]!r}"
            for name, column in lost.items()
            for subject in column.index[column]
        ]
        raise RadlibError(
            f"{len(wrong)} cell(s) are no number: {'; '.join(wrong)}",
            file=file,
            remedy=f"correct them, leave them empty, or list the column under `{what}: drop:`",
        )
    _by_id(table.index, description, file)
    subjects = {_compared(subject, description): subject for subject in ids}
    table.index = pd.Index([subjects.get(_compared(name, description), name) for name in table.index])
    if not (present := [subject for subject in ids if subject in table.index]):
        raise RadlibError(
            f"no id of the table is a subject: it has {_some(table.index)}, the cohort {_some(ids)}", file=file,
            remedy=f"correct `{what}: id_column:`, or write `id_match: numbers` where only zeros differ",
        )  # fmt: skip
    if absent := [str(subject) for subject in ids if subject not in present]:
        notes.append(f"{len(absent)} subject(s) have no {what}: {', '.join(absent)}.")
    return table.reindex(ids)
