"""REMBRANDT: ranges, months and roman numerals."""

from __future__ import annotations

from pathlib import Path

import pytest
from openpyxl import Workbook

from radlib.core.errors import RadlibError
from radlib.data.readers.rembrandt import CLINICAL, VASARI, read_clinical, read_vasari
from radlib.data.sources import open_cohort

HEADER = ["Sample", "Age at Dx (years)", "Gender", "Survival (months)", "Disease", "Grade", "Institution", None]
ROWS = [
    [" 900_1 ", "35-39", "F", "15", "ASTROCYTOMA", " II", "TJU", None],
    ["HF2", "--", "-", " -- ", " GBM", "--", "HENRY FORD", "spilled text"],
    ["HF3", "85-89", "M", 0.5, "MIXED", "III", "HENRY FORD", " "],
    ["HF4", "--", "--", "--", "--", "--", "--", None],
    [None] * 8,
]


def sheet(path: Path, rows: list[list[object]]) -> Path:
    book = Workbook()
    for row in [HEADER, *rows]:
        book.active.append(row)
    book.save(path)
    book.close()
    return path


def test_clinical_table(tmp_path: Path) -> None:
    table, notes = read_clinical(sheet(tmp_path / CLINICAL, ROWS))
    assert list(table.index) == ["900_1", "HF2", "HF3", "HF4"]
    assert table["age"].fillna(0).tolist() == [37.5, 0, 87.5, 0]
    assert table["grade"].fillna(0).tolist() == [2, 4, 3, 0]  # a GBM without grade is WHO IV
    assert table["grade_group"].fillna("?").tolist() == ["LGG", "HGG", "HGG", "?"]
    assert table["survival_days"].fillna(-1).tolist() == [456.6, -1, 15.2, -1]
    assert table["sex"].fillna("?").tolist() == ["F", "?", "M", "?"]
    assert table["collection"].fillna("?").tolist() == ["LGG", "GBM", "LGG", "?"]
    assert "1 are GBM without a printed grade" in notes[0]
    assert notes[2].startswith("1 rows have text in columns without a name")


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (1, 1, "about 40", "line 3: age is 'about 40'"),
        (2, 3, "two years", "line 4: survival is 'two years'"),
        (0, 5, "V", "line 2: Grade is 'V'"),
        (1, 0, "900_1", "line 3: sample 900_1 is there twice"),
    ],
)
def test_bad_cells_are_named(tmp_path: Path, row: int, column: int, value: str, message: str) -> None:
    rows = [list(line) for line in ROWS]
    rows[row][column] = value
    with pytest.raises(RadlibError, match=message):
        read_clinical(sheet(tmp_path / CLINICAL, rows))


@pytest.mark.parametrize(("reader", "name"), [(read_clinical, CLINICAL), (read_vasari, VASARI)])
def test_what_is_no_spreadsheet(tmp_path: Path, reader, name: str) -> None:
    (tmp_path / name).write_text("not a spreadsheet")
    with pytest.raises(RadlibError, match=f"has no column.*{name[:8]}"):
        reader(tmp_path / name)


@pytest.mark.data
def test_real_tables(real_data: Path) -> None:
    cohort = open_cohort("rembrandt", cohort="real", root=real_data)
    cohort.validate()
    table = cohort.participants
    assert len(cohort) == 128  # 127 of the clinical table and one that only the VASARI table has
    assert table["grade_group"].value_counts().to_dict() == {"HGG": 68, "LGG": 41}
    assert table["grade_printed"].value_counts().to_dict() == {"II": 41, "III": 25, "IV": 23}
    assert cohort.radiomics is not None
    assert cohort.radiomics.notna().all(axis=1).sum() == 33
    assert cohort.radiomics.shape[1] == 29
    assert cohort.radiomics.loc["900_00_5299", "vasari_f5"] == 4.0  # 4, 4 and 5 by the three radiologists
    scores = read_vasari(next(real_data.rglob(VASARI)))
    assert scores["radiologist"].value_counts().to_dict() == {1: 33, 2: 33, 3: 33}
    assert table["event"].isna().all()
