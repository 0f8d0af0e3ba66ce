"""Finding files under a data root, and reading tables so that a problem names file, row and value."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import refuse_ragged

MISSING = ("", "NA", "N/A", "NaN", "nan", "--", "-", "[Not Available]", "[Not Applicable]", "[Unknown]",
           "[Not Evaluated]", "[Discrepancy]", "not reported", "#DIV/0!", "#N/A", "#VALUE!")  # fmt: skip
"""What the sources write where a value is unknown."""


def walk(root: Path, *, max_depth: int = 5) -> Iterator[tuple[Path, list[str]]]:
    """Folders under ``root`` (itself first) and the names of their files, sorted, hidden ones left out."""
    start = len(root.parts)
    for folder, folders, files in os.walk(root, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(here.parts) - start >= max_depth:
            folders.clear()
        yield here, sorted(name for name in files if not name.startswith("."))


def find_file(root: Path, name: str, *, dataset: str, max_depth: int = 4) -> Path:
    """The file ``name`` anywhere under ``root``.

    Args:
        root: the data root.
        name: the file's name as its publisher ships it.
        dataset: the data set it belongs to, for the error.
        max_depth: how many folders deep to look.

    Raises:
        MissingDataError: if there is none.
        RadlibError: if there are several with different content.
    """
    found = [folder / name for folder, files in walk(root, max_depth=max_depth) if name in files]
    if not found:
        raise MissingDataError(
            f"{name} of {dataset} is not under the data root",
            file=root,
            remedy="obtain it (`radlib data list` names every data set) and put it there, in any subfolder",
        )
    if len({path.read_bytes() for path in found[:5]}) > 1:
        raise RadlibError(
            f"several different files are called {name}: {', '.join(str(path) for path in found[:5])}",
            remedy="keep one under the data root",
        )
    return found[0]


def read_text_table(path: Path, *, sep: str = ",", required: Sequence[str] = ()) -> pd.DataFrame:
    """A delimited table as text, every cell stripped, what :data:`MISSING` lists as NaN.

    Raises:
        RadlibError: if it is no UTF-8 table, or a required column is absent.
    """
    try:
        table = pd.read_csv(
            path, sep=sep, dtype="str", keep_default_na=False, na_values=list(MISSING), encoding="utf-8-sig",
            skipinitialspace=True,
        )  # fmt: skip
    except (ValueError, UnicodeDecodeError) as error:
        raise RadlibError(f"not a readable table ({error})", file=path, remedy="obtain the file again") from error
    refuse_ragged(table, file=path)
    table.columns = [str(column).strip() for column in table.columns]
    if lacking := [column for column in required if column not in table]:
        raise RadlibError(
            f"the table has no column {', '.join(lacking)}; it has {', '.join(table.columns[:8])} ...",
            file=path,
            remedy="use the file as its publisher ships it",
        )
    for column in table.columns:
        text = table[column].str.strip()
        table[column] = text.mask(text.isin(MISSING))
    return table


def index_by(table: pd.DataFrame, column: str, *, file: Path) -> pd.DataFrame:
    """The table indexed by a column that must be present in every row, once each."""
    ids = table[column]
    if ids.isna().any():
        row = int(ids.index[ids.isna()][0]) + 2
        raise RadlibError(f"line {row} has no {column}", file=file, remedy="use the file as its publisher ships it")
    if ids.duplicated().any():
        repeated = ", ".join(sorted(set(ids[ids.duplicated()]))[:5])
        raise RadlibError(f"{column} given twice: {repeated}", file=file, remedy="keep one row a subject")
    return table.set_index(column)


def to_numbers(column: pd.Series, *, file: Path) -> pd.Series:
    """Text to float64; NaN stays. Raises where a cell is not a number, naming row and value."""
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    lost = column.notna() & numbers.isna()
    if lost.any():
        raise RadlibError(
            f"{column.name} of {column.index[lost][0]} is {column[lost].iloc[0]!r}, not a number",
            file=file,
            remedy="write a number, or leave the cell empty",
        )
    return numbers
