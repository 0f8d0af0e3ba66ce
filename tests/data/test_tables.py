"""Tables in every dialect: the same cells, or an error that names the user's own file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.data.tables import as_numbers, read_text_table, to_numbers

TEXT = "id;Größe;Alter\n001;1,75;61,5\n002;;n/a\n"

DIALECTS = {
    "utf-8": TEXT.encode(),
    "with a mark": TEXT.encode("utf-8-sig"),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16 without a mark": TEXT.encode("utf-16-le"),
    "utf-16 the other way round without a mark": TEXT.encode("utf-16-be"),
    "utf-16 of ASCII without a mark": TEXT.replace("öß", "oss").encode("utf-16-le"),
    "utf-32": TEXT.encode("utf-32"),
    "accents apart": unicodedata.normalize("NFD", TEXT).encode(),
    "a line on the delimiter": b"sep=;\n" + TEXT.encode(),
    "marks that take no place": TEXT.replace("001", "\u200b001\ufeff").replace("Alter", "Alter\u200e").encode(),
    "Windows": TEXT.encode("cp1252"),
    "Windows line ends": TEXT.replace("\n", "\r\n").encode(),
    "old Mac line ends": TEXT.replace("\n", "\r").encode(),
    "tabs": TEXT.replace(";", "\t").encode(),
    "commas": TEXT.replace("1,75", '"1,75"').replace("61,5", '"61,5"').replace(";", ",").encode(),
    "blank rows": (TEXT + ";;\n\n ; ;\n").encode(),
    "columns without a name": TEXT.replace("\n", ";;\n").encode(),
    "spaces": TEXT.replace(";", " ; ").encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_cells(tmp_path: Path, dialect: str) -> None:
    (tmp_path / "t.csv").write_bytes(DIALECTS[dialect])
    table = read_text_table(tmp_path / "t.csv", published=False)
    assert [name.replace("Grosse", "Größe") for name in table.columns] == ["id", "Größe", "Alter"]
    assert table["id"].tolist() == ["001", "002"]
    first = 3 if "line on" in dialect else 2
    assert table.index.tolist() == [first, first + 1]  # rows as a person counts them
    assert table.iloc[1, 1:].isna().all()
    numbers = as_numbers(table["Alter"], decimal_comma=table.attrs["decimal_comma"])
    assert numbers.iloc[0] == 61.5 or dialect == "commas"  # there 61,5 could be anything


def test_workbooks(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "age"], ["p1", 61.5], ["p2", 47], [None, None], ["p3", None]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    table = read_text_table(tmp_path / "t.xlsx", published=False)
    assert table["id"].tolist() == ["p1", "p2", "p3"]
    assert table["age"].tolist()[:2] == ["61.5", "47"]


def test_a_formula_that_nobody_has_computed_is_no_empty_cell(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "age"], ["p1", "=30+31"], ["p2", 47]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(RadlibError, match=r"1 formula.*B2 \(=30\+31\).*t\.xlsx.*save it"):
        read_text_table(tmp_path / "t.xlsx", published=False)


def test_an_id_beyond_the_digits_of_a_workbook_is_not_made_up(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id"], [1.2345678901234567e19], [4.0]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    assert read_text_table(tmp_path / "t.xlsx")["id"].tolist() == ["1.234567890123457e+19", "4"]


def test_rows_of_sums_in_other_words(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "extent,id,age\npartial,p1,60\ntotal,SD,50\ntotal,p3,40\n,Mittelwert,50\n,Std. dev.:,9\n"
    )
    table = read_text_table(tmp_path / "t.csv", published=False, identity="id")
    assert table["id"].tolist() == ["p1", "SD", "p3"]  # `total` is no id
    (tmp_path / "t.csv").write_text("id,age\np1,60\nPat 3 ß,\nSD,50\n")
    table = read_text_table(tmp_path / "t.csv", published=False, known={"SD", "Pat 3 ß"})
    assert table["id"].tolist() == ["p1", "Pat 3 ß", "SD"]  # subjects of whom there are images


def test_footnotes_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,age\np1,60\np2,\nIDs are those of the clinic\n* by MRI\n")
    table = read_text_table(tmp_path / "t.csv", published=False)
    assert table["id"].tolist() == ["p1", "p2"]  # p2 has no values, but is no prose
    assert table.attrs["footnotes"] == ["row 4 ('IDs are those of the clinic')", "row 5 ('* by MRI')"]
    assert len(read_text_table(tmp_path / "t.csv")) == 4  # a publisher's table is taken as it is
    (tmp_path / "t.csv").write_text("id,age\np1,60\np2,\nSource: our clinic\nMean,60\n")
    table = read_text_table(tmp_path / "t.csv", published=False)
    assert table["id"].tolist() == ["p1", "p2"]
    assert len(table.attrs["footnotes"]) == 2


def test_a_column_that_is_there_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,age,age,,x\np1,60,61,,1\n")
    table = read_text_table(tmp_path / "t.csv")
    assert table.attrs["twice"] == ["age"]
    assert list(table.columns) == ["id", "age", "age.1", "x"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"), (b"\n\n", "is empty"), (b"PK\x03\x04rubbish", "damaged"),
        (b'id,a\n"p1', "row 2 cannot be divided"),
        (b"id,age\np1,60,9\n", "row 2 has 3 cells"), (b"age\n1\n", "no column id"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "mine.csv").write_bytes(content)
    with pytest.raises(RadlibError, match=rf"{says}.*mine\.csv") as caught:
        read_text_table(tmp_path / "mine.csv", required=("id",), published=False)
    assert "publisher" not in str(caught.value)


def test_numbers() -> None:
    column = pd.Series(["1.5", "1,5", "1_000", "inf", "x", None, "-3"], name="a")
    assert as_numbers(column, decimal_comma=True).tolist()[:2] == [1.5, 1.5]
    assert as_numbers(column).isna().tolist() == [False, True, True, True, True, True, False]
    with pytest.raises(RadlibError, match=r"a of 1 is '1,5', not a number.*t\.csv"):
        to_numbers(column, file=Path("t.csv"))
