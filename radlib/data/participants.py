"""The participants table of a cohort: its columns, what they may hold, and how it is read and written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.tables import as_numbers, read_text_table

MODALITIES: tuple[str, ...] = ("t1", "t1ce", "t2", "flair")
FILE_COLUMNS: tuple[str, ...] = (*MODALITIES, "seg")
NUMBER_COLUMNS: tuple[str, ...] = ("age", "grade", "survival_days", "event")
TEXT_COLUMNS: tuple[str, ...] = (
    "site", "collection", "sex", "grade_group", "idh", "codel_1p19q", "mgmt", "split", "label_encoding",
)  # fmt: skip
COLUMNS: tuple[str, ...] = (
    "site", "collection", "age", "sex", "grade", "grade_group", "idh", "codel_1p19q", "mgmt",
    "survival_days", "event", "split", *FILE_COLUMNS, "label_encoding",
)  # fmt: skip
"""The columns of every participants table, in this order; a source may add columns after them."""

ALLOWED: dict[str, frozenset[Any]] = {
    "collection": frozenset({"GBM", "LGG"}),
    "sex": frozenset({"F", "M"}),
    "grade": frozenset({2.0, 3.0, 4.0}),
    "grade_group": frozenset({"LGG", "HGG"}),
    "idh": frozenset({"mutant", "wildtype"}),
    "codel_1p19q": frozenset({"codel", "non-codel"}),
    "mgmt": frozenset({"methylated", "unmethylated"}),
    "event": frozenset({0.0, 1.0}),
    "split": frozenset({"train", "validation", "test"}),
}


def participants_table(
    rows: Sequence[dict[str, Any]] | pd.DataFrame, *, file: Path | str | None = None
) -> pd.DataFrame:
    """A participants table from rows with an ``id``: every column of :data:`COLUMNS`, right types, NaN where unknown.

    Raises:
        RadlibError: if a number column holds text, naming the subject and the value.
    """
    table = pd.DataFrame(list(rows) if not isinstance(rows, pd.DataFrame) else rows)
    if "id" in table:
        table = table.set_index("id")
    table.index = pd.Index([str(subject) for subject in table.index], name="id", dtype="str")
    extra = [column for column in table.columns if column not in COLUMNS]
    table = table.reindex(columns=[*COLUMNS, *extra])
    for column in NUMBER_COLUMNS:
        numbers = pd.to_numeric(table[column], errors="coerce").astype(float)
        lost = table[column].notna() & numbers.isna()
        if lost.any():
            subject = table.index[lost][0]
            raise RadlibError(
                f"{column} of {subject} is {table.loc[subject, column]!r}, not a number",
                file=file,
                remedy="write a number, or leave the cell empty",
            )
        table[column] = numbers
    for column in (*TEXT_COLUMNS, *FILE_COLUMNS):
        text = table[column].astype(object)
        text = text.where(text.notna() & (text.astype(str).str.strip() != ""), np.nan)
        table[column] = text.astype("str")
    for column in extra:  # a source's own columns: NaN where unknown there too
        if table[column].dtype == object:
            table[column] = table[column].where(table[column].notna(), np.nan).infer_objects()
    return table


def read_participants(path: Path | str) -> pd.DataFrame:
    """A ``participants.tsv`` as a table indexed by ``id``, types as :func:`participants_table` makes them.

    Raises:
        RadlibError: if the file is absent, has no ``id`` column, or a number column holds text.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError("there is no participants table", file=path, remedy="make the cohort again")
    # Only an empty cell is missing: "NA" or "None" could be a site.
    table = read_text_table(path, delimiter="\t", missing=("",))
    if "id" not in table:
        raise RadlibError(
            f"no column 'id' among {', '.join(table.columns[:8])}", file=path, remedy="name the first column id"
        )
    if table["id"].isna().any():
        row = table.index[table["id"].isna()][0]
        raise RadlibError(f"line {row} has an empty id", file=path, remedy="give every subject an id")
    known = participants_table(table, file=path)
    for column in known.columns[len(COLUMNS) :]:  # a source's own columns: numbers where all of them are
        numbers = as_numbers(known[column])
        if known[column].notna().any() and numbers.notna().equals(known[column].notna()):
            known[column] = numbers
    known.attrs.clear()
    return known


def read_beside(path: Path, ids: pd.Index) -> pd.DataFrame:
    """A Parquet table with a row for each of ``ids``, in their order."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise RadlibError(f"not a readable table ({error})", file=path, remedy="make the cohort again") from error
    table.index = pd.Index([str(subject) for subject in table.index], name="id", dtype="str")
    if unknown := [subject for subject in table.index if subject not in ids]:
        raise RadlibError(
            f"{len(unknown)} subject(s), {unknown[0]} first, are not in participants.tsv",
            file=path,
            remedy="make the table again from this cohort",
        )
    if table.index.has_duplicates:
        raise RadlibError(
            f"subject {table.index[table.index.duplicated()][0]} is there twice", file=path, remedy="keep one row"
        )
    return table if list(table.index) == list(ids) else table.reindex(ids)


def for_disk(table: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers without a decimal point, so that the file reads well."""
    table = table.copy()
    for column in table.columns:
        values = table[column]
        if pd.api.types.is_float_dtype(values) and (values.dropna() == values.dropna().round()).all():
            table[column] = values.astype("Int64")
    return table


def table_digest(table: pd.DataFrame) -> str:
    """A digest of a table's ids, columns and values, the same after it was written and read."""
    digest = hashlib.sha256("\0".join(map(str, [*table.index, "", *table.columns])).encode())
    for _, column in table.items():
        values = column.dropna()
        if not len(values):
            digest.update(b"empty")
        elif pd.api.types.is_numeric_dtype(values):
            digest.update((column.to_numpy(dtype="<f8", na_value=np.nan) + 0.0).tobytes())
        else:
            digest.update("\0".join("\1" if pd.isna(cell) else str(cell) for cell in column).encode())
    return digest.hexdigest()
