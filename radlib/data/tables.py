"""The one way to read a table of text: publishers' tables, a user's own in whatever dialect, and spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.core.files import reading

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "--", "-", "[Not Available]", "[Not Applicable]", "[Unknown]",
           "[Not Evaluated]", "[Discrepancy]", "not reported", "#DIV/0!", "#N/A", "#VALUE!")  # fmt: skip
"""What the sources write where a value is unknown."""

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls")

_DECIMAL_COMMA = re.compile(r"^([+-]?\d+),(\d+)$")
_THOUSANDS = re.compile(r"^[+-]?[1-9]\d{0,2},\d{3}$")
_PROSE = re.compile(r"[*#†‡]|\S+\s+\S+\s+\S+|\S+:\s|n\s*=")
_SUMMARY = re.compile(r"(mean|median|average|total)$", re.IGNORECASE)
_REMEDY = "save it as CSV in UTF-8, or as .xlsx"


class Rows(NamedTuple):
    """The cells of a table as text, and what divides them in the file; None in a workbook."""

    cells: list[list[str]]
    delimiter: str | None


def read_rows(path: Path, content: bytes | None = None, *, delimiter: str | None = None) -> Rows:
    """The rows of a delimited table or of the first sheet of a workbook, empty ones too.

    UTF-8, UTF-16 and Windows-1252 are told apart, and where ``delimiter`` is None the one that divides the first row
    into most fields is taken: tab, semicolon or comma.

    Raises:
        RadlibError: if it is no table.
    """
    with reading(path, remedy=_REMEDY):
        content = path.read_bytes() if content is None else content
        if content.startswith(b"PK"):
            import openpyxl

            sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True).worksheets[0]
            return Rows([[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)], None)
        if content.startswith(b"\xd0\xcf\x11\xe0"):
            import xlrd  # type: ignore[import-untyped]

            old = xlrd.open_workbook(file_contents=content).sheet_by_index(0)
            return Rows([[_cell(value) for value in old.row_values(number)] for number in range(old.nrows)], None)
        text = _text(content)
        delimiter = delimiter or _delimiter(text, path)
        return Rows(list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)), delimiter)


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252" if content.count(0) < len(content) / 8 else "utf-16-le")
    if "\0" in text:
        raise ValueError("the text holds the character 0")
    return text


def _delimiter(text: str, path: Path) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    fields = {mark: len(next(csv.reader([first], delimiter=mark))) for mark in "\t;,"}
    usual = "\t" if path.suffix.lower() in (".tsv", ".txt") else ","
    return max(fields, key=lambda mark: (fields[mark], mark == usual))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_text_table(
    path: Path,
    *,
    delimiter: str | None = None,
    required: Sequence[str] = (),
    missing: Collection[str] = MISSING,
    published: bool = True,
) -> pd.DataFrame:
    """A table as text, every cell stripped, what ``missing`` lists as NaN.

    Rows are indexed by their number in the file; empty ones are left out. A column that is named twice gets a number
    behind its name the second time, a column without name but with content its place. ``attrs`` say what was done:
    ``twice`` (columns), ``footnotes`` (rows at the end that are prose, which are left out of a table that is not
    ``published``), ``decimal_comma`` (whether it writes ``61,5`` for a number; ``1,234`` alone may be 1234).

    Raises:
        RadlibError: if it is no table, a row is longer than the first, or a required column is absent.
    """
    found = read_rows(path, delimiter=delimiter)
    rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(found.cells, 1)]
    rows = [(number, row) for number, row in rows if any(row)]
    if not rows:
        raise RadlibError("the table is empty", file=path, remedy="give a table with a row of column names")
    header, body = rows[0][1], rows[1:]
    while header and not header[-1]:
        header.pop()
    if found.delimiter is None:  # a sheet may have text beside the table
        header += [""] * (max(len(row) for _, row in rows) - len(header))
    width = len(header)
    for number, row in body:
        if any(row[width:]):
            raise RadlibError(
                f"row {number} has {len(row)} cells, the first one, which names {width} columns, has fewer", file=path,
                remedy="give every column a name, or remove what stands behind the last one",
            )  # fmt: skip
    names: list[str] = []
    twice: list[str] = []
    for place, name in enumerate(header, 1):
        name = name or f"column {place}"
        if name in names:
            twice.append(name)
            name = f"{name}.{names.count(name)}"
        names.append(name)
    if lacking := [column for column in required if column not in names]:
        raise RadlibError(
            f"the table has no column {', '.join(lacking)}; it has {', '.join(names[:8])}{' ...' * (width > 8)}",
            file=path,
            remedy="use the file as its publisher ships it" if published else "name a column that the table has",
        )
    footnotes: list[tuple[int, list[str]]] = []
    while not published and width > 1 and body and _is_footnote(body[-1][1]):
        footnotes.insert(0, body.pop())
    cells = [(row + [""] * width)[:width] for _, row in body]
    table = pd.DataFrame(cells, columns=names, index=[number for number, _ in body], dtype="str")
    table = table.mask(table.isin(list(missing))).astype("str")
    unnamed = [name for name, given in zip(names, header, strict=True) if not given and table[name].isna().all()]
    table = table.drop(columns=unnamed)
    table.attrs |= {
        "twice": twice, "footnotes": [f"row {number} ({row[0]!r:.60})" for number, row in footnotes],
        "decimal_comma": not published and found.delimiter not in (None, ",")
        and any("," in cell and _DECIMAL_COMMA.match(cell) and not _THOUSANDS.match(cell)
                for row in cells for cell in row),
    }  # fmt: skip
    return table


def _is_footnote(row: Sequence[str]) -> bool:
    """A row at the end that no one would take for a subject: prose or a mark in its one cell, or a mean or sum."""
    return bool(_SUMMARY.match(row[0]) or (not any(row[1:]) and _PROSE.match(row[0])))


def index_by(table: pd.DataFrame, column: str, *, file: Path) -> pd.DataFrame:
    """The table indexed by a column that must be present in every row, once each."""
    ids = table[column]
    if ids.isna().any():
        raise RadlibError(f"row {ids.index[ids.isna()][0]} has no {column}", file=file, remedy="give every row its id")
    if ids.duplicated().any():
        repeated = ", ".join(sorted(set(ids[ids.duplicated()])))
        raise RadlibError(f"{column} given twice: {repeated}", file=file, remedy="keep one row a subject")
    return table.set_index(column)


def as_numbers(column: pd.Series, *, decimal_comma: bool = False) -> pd.Series:
    """Text to float64; NaN where a cell is no finite number.

    Where commas are decimal, ``1.200`` is none: it may be 1200.
    """
    text = column.astype("str")
    if decimal_comma:
        text = text.mask(text.str.contains(r"^[+-]?\d{1,3}\.\d{3}$", na=False))
        text = text.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    text = text.mask(text.str.contains("_", na=False))  # Python would take 1_000 for a number
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    return numbers.mask(np.isinf(numbers))


def to_numbers(column: pd.Series, *, file: Path) -> pd.Series:
    """Text to float64; NaN stays. Raises where a cell is not a number, naming row and value."""
    numbers = as_numbers(column)
    lost = column.notna() & numbers.isna()
    if lost.any():
        raise RadlibError(
            f"{column.name} of {column.index[lost][0]} is {column[lost].iloc[0]!r}, not a number",
            file=file,
            remedy="write a number, or leave the cell empty",
        )
    return numbers
