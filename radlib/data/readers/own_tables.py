"""The tables that a cohort's description names, in our columns, spellings and units."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.cohort import ALLOWED, COLUMNS, FILE_COLUMNS, NUMBER_COLUMNS
from radlib.data.readers.description import Description, SideTable
from radlib.data.readers.ids import by_id, compared, first_ids
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

_UNKNOWN = {"unknown", "not known", "not available", "n.a.", "null", "none", "missing"}


def placed(text: str, description: Path) -> Path:
    """A path of the description: absolute, from a home folder, or relative to the description."""
    try:
        return description.parent / Path(text).expanduser()
    except RuntimeError as error:  # the home of a user who does not exist
        raise RadlibError(f"{text!r}: {error}", file=description, remedy="correct the path") from error


def own_participants(description: Description, path: Path, notes: list[str], known: Collection[str]) -> pd.DataFrame:
    """The user's table with our columns, spellings and units; their other columns are kept under their names.

    ``known`` are the ids of images.

    Raises:
        RadlibError: listing every cell that is not understood.
    """
    assert description.participants is not None
    file = placed(description.participants, path)
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


def own_numbers(
    side: SideTable | None, description: Description, path: Path, ids: pd.Index, notes: list[str], what: str
) -> pd.DataFrame | None:
    """A table of numbers with one row for each of ``ids``; a subject that it lacks has NaN."""
    if side is None:
        return None
    file = placed(side.file, path)
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
    by_id(table.index, description, file)
    subjects = {compared(subject, description): subject for subject in ids}
    table.index = pd.Index([subjects.get(compared(name, description), name) for name in table.index])
    if not (present := [subject for subject in ids if subject in table.index]):
        raise RadlibError(
            f"no id of the table is a subject: it has {first_ids(table.index)}, the cohort {first_ids(ids)}", file=file,
            remedy=f"correct `{what}: id_column:`, or write `id_match: numbers` where only zeros differ",
        )  # fmt: skip
    if absent := [str(subject) for subject in ids if subject not in present]:
        notes.append(f"{len(absent)} subject(s) have no {what}: {', '.join(absent)}.")
    return table.reindex(ids)
