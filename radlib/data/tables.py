"""The one way to read a table of text: publishers' tables, a user's own in whatever dialect, and spreadsheets."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
import zipfile
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
_SUMMARY = re.compile(
    r"(mean|median|average|total|sum|count|min(imum)?|max(imum)?|sd|std(ev)?|std?\.? ?dev(iation)?\.?"
    r"|standard deviation|mittelwert|mittel|durchschnitt|summe|gesamt|anzahl|standardabweichung|moyenne|m[ée]diane"
    r"|somme|media|suma|totale?)"
    r"\s*:?$",
    re.IGNORECASE,
)
_REMEDY = "save it as CSV in UTF-8, or as .xlsx"
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),  # UTF-16's mark begins the first of these
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_EXACT = 2**53


class Rows(NamedTuple):
    """The cells of a table as text, what divides them in the file (None in a workbook), and how letters are written."""

    cells: list[list[str]]
    delimiter: str | None
    encoding: str | None = None


def read_rows(path: Path, content: bytes | None = None, *, delimiter: str | None = None) -> Rows:
    """The rows of a delimited table or of the first sheet of a workbook, empty ones too.

    UTF-8, UTF-16, UTF-32 and Windows-1252 are told apart, and where ``delimiter`` is None the one that divides the
    first row into most fields is taken: tab, semicolon or comma. A first line ``sep=;``, as spreadsheets write it, says
    which it is and is empty in what is given back.

    Raises:
        RadlibError: if it is no table, or a workbook has a formula whose value was never computed.
    """
    with reading(path, remedy=_REMEDY):
        content = path.read_bytes() if content is None else content
        if content.startswith(b"PK"):
            import openpyxl

            sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True).worksheets[0]
            cells = [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]
            _refuse_formulas(cells, content, path)
            return Rows(cells, None)
        if content.startswith(b"\xd0\xcf\x11\xe0"):
            import xlrd  # type: ignore[import-untyped]

            old = xlrd.open_workbook(file_contents=content).sheet_by_index(0)
            return Rows([[_cell(value) for value in old.row_values(number)] for number in range(old.nrows)], None)
        text, encoding = _text(content)
        told = re.match(r"sep=([,;\t])\r?\n", text)
        delimiter = delimiter or (told[1] if told else _delimiter(text, path))
        lines = csv.reader(io.StringIO(text[told.end() - 1 :] if told else text, newline=""), delimiter=delimiter,
                           strict=True)  # fmt: skip
        cells = []
        try:
            cells.extend(lines)
        except csv.Error as error:
            raise RadlibError(
                f"row {len(cells) + 1} cannot be divided into cells: {error}", file=path,
                remedy="look for a quotation mark there that is not closed",
            ) from error  # fmt: skip
        return Rows(cells, delimiter, encoding)


def _text(content: bytes) -> tuple[str, str]:
    """The text, and in which encoding it was."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding), encoding
    encoding = "utf-8-sig"
    if content.count(0) > len(content) / 8:  # a zero beside every letter: UTF-16 without a mark
        encoding = "utf-16-be" if content[::2].count(0) > content[1::2].count(0) else "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        encoding = "cp1252"
        text = content.decode(encoding)
    if "\0" in text:
        raise ValueError("the text holds the character 0")
    return text, encoding


def _refuse_formulas(cells: Sequence[Sequence[str]], content: bytes, path: Path) -> None:
    """Refuse a workbook with formulas that no program has computed: their cells would be taken for empty ones."""
    import openpyxl

    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheets = [name for name in parts.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        if not any(re.search(rb"<(\w+:)?f[ />]", parts.read(name)) for name in sheets):
            return
    sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True).worksheets[0]
    lost = [
        f"{cell.coordinate} ({cell.value!s:.40})"
        for row, values in zip(sheet.iter_rows(), cells, strict=False)
        for cell, value in zip(row, values, strict=False)
        if cell.data_type == "f" and not value
    ]
    if lost:
        raise RadlibError(
            f"{len(lost)} formula(s) without a value: {', '.join(lost[:5])}{' ...' * (len(lost) > 5)}", file=path,
            remedy="open it in a spreadsheet program and save it there, or write the values in their place",
        )  # fmt: skip


def _delimiter(text: str, path: Path) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    fields = {mark: len(next(csv.reader([first], delimiter=mark))) for mark in "\t;,"}
    usual = "\t" if path.suffix.lower() in (".tsv", ".txt") else ","
    return max(fields, key=lambda mark: (fields[mark], mark == usual))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:  # beyond, digits would be made up
        return str(int(value))
    return str(value)


def _stripped(cell: str) -> str:
    """A cell without spaces around it, and without what takes no place at all, such as a mark of the order of bytes."""
    cell = cell.strip()
    if cell.isascii():
        return cell
    ends = [place for place, letter in enumerate(cell) if unicodedata.category(letter) != "Cf" and not letter.isspace()]
    return cell[ends[0] : ends[-1] + 1] if ends else ""


def read_text_table(
    path: Path,
    *,
    delimiter: str | None = None,
    required: Sequence[str] = (),
    missing: Collection[str] = MISSING,
    published: bool = True,
    identity: str | None = None,
    known: Collection[str] = (),
) -> pd.DataFrame:
    """A table as text, every cell stripped, what ``missing`` lists as NaN.

    Rows are indexed by their number in the file; empty ones are left out. A column that is named twice gets a number
    behind its name the second time, a column without name but with content its place. ``attrs`` say what was done:
    ``twice`` (columns), ``footnotes`` (rows left out), ``decimal_comma`` (whether it writes ``61,5`` for a number;
    ``1,234`` alone may be 1234), ``encoding`` (None for a workbook).

    Args:
        path: the table.
        delimiter: what divides its cells, where it is known.
        required: columns that it must have.
        missing: words for an unknown value.
        published: the table is to be taken as it is. In a person's own, rows at the end that are prose or a mean are
            left out as footnotes, and a letter with an accent in a column's name is one, however it is written.
        identity: the column of ids; the first one where it is not known.
        known: ids of subjects, whose rows are no footnotes.

    Raises:
        RadlibError: if it is no table, a row is longer than the first, or a required column is absent.
    """
    found = read_rows(path, delimiter=delimiter)
    rows = [(number, [_stripped(cell) for cell in row]) for number, row in enumerate(found.cells, 1)]
    rows = [(number, row) for number, row in rows if any(row)]
    if not rows:
        raise RadlibError("the table is empty", file=path, remedy="give a table with a row of column names")
    header, body = rows[0][1], rows[1:]
    if not published:
        header = [unicodedata.normalize("NFC", name) for name in header]
        required = [unicodedata.normalize("NFC", name) for name in required]
    while header and not header[-1]:
        header.pop()
    if found.delimiter is None:  # a sheet may have text beside the table
        header += [""] * (max(len(row) for _, row in rows) - len(header))
    width = len(header)
    for number, row in body:
        if any(row[width:]):
            raise RadlibError(
                f"row {number} has {len(row)} cells, the first one, which names {width} columns, has fewer", file=path,
                remedy="give every column a name, and remove what stands above their names or behind the last one",
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
            remedy="use the file as its publisher ships it"
            if published
            else "name a column that the table has; the names stand in its first row, in a workbook of its first sheet",
        )
    footnotes: list[tuple[int, list[str]]] = []
    place = names.index(identity) if identity in names else 0
    while not published and width > 1 and body and _is_footnote(body[-1][1], place, known):
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
        "encoding": found.encoding,
    }  # fmt: skip
    return table


def _is_footnote(row: Sequence[str], place: int, known: Collection[str]) -> bool:
    """A row at the end that no one would take for a subject: prose or a mark in its one cell, or a mean or sum."""
    identity = row[place] if place < len(row) else ""
    if identity in known:
        return False
    return bool(_SUMMARY.match(identity) or (not any(row[1:]) and _PROSE.match(row[0])))


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
