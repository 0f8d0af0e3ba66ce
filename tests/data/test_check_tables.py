"""``data check`` on tables: the real ones, and one broken in every way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from radlib.data.check import Finding, check_dataset
from radlib.data.check.tables import check_rows
from radlib.data.manifests import Manifest, Table, load_manifest

TABLE = Table.model_validate(
    {
        "format": "csv",
        "rows": 4,
        "fields": 5,
        "key": ["id"],
        "columns": [
            {"name": "id", "type": "id", "meaning": "patient"},
            {"name": "age", "type": "number", "unit": "years", "low": 0, "high": 120, "meaning": "age"},
            {"name": "days", "type": "integer", "unit": "days", "meaning": "survival"},
            {"name": "sex", "type": "category", "values": ["F", "M"], "meaning": "sex"},
            {"name": "date", "type": "date", "meaning": "imaging"},
        ],
    }
)
GOOD = [
    ["id", "age", "days", "sex", "date"],
    ["a", "50.5", "100", "F", "2001.02.03"],
    ["b", "61", "200", "M", "2001.02.04"],
    ["c", "3e1", "300", "F", "2001.02.05"],
    ["d", "40", "400", "M", "2001.02.06"],
]


def rows_with(*changes: tuple[int, int, str]) -> list[list[str]]:
    rows = [list(row) for row in GOOD]
    for row, column, value in changes:
        rows[row][column] = value
    return rows


def found(rows: list[list[str]], table: Table = TABLE) -> list[tuple[str, str]]:
    return [(finding.severity, finding.kind) for finding in check_rows("data", "t.csv", rows, table)]


def test_a_good_table_has_no_findings() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("rows", "kind", "says"),
    [
        (rows_with((1, 1, "fifty")), "text-in-number", "'fifty' in age"),
        (rows_with((1, 1, "1_000")), "text-in-number", "'1_000'"),
        (rows_with((1, 1, "5,5")), "text-in-number", "'5,5'"),
        (rows_with((1, 1, "inf")), "infinite-value", "'inf' in age"),
        (rows_with((1, 1, "-1e999")), "infinite-value", "'-1e999'"),
        (rows_with((1, 1, "121")), "out-of-range", "'121' in age"),
        (rows_with((1, 1, "-1")), "out-of-range", "'-1'"),
        (rows_with((1, 2, "1.5")), "unexpected-value", "'1.5' in days"),
        (rows_with((1, 3, "female")), "unexpected-value", "'female' in sex"),
        (rows_with((1, 4, "yesterday")), "unexpected-value", "'yesterday' in date"),
        (rows_with((1, 1, "")), "missing-value", "age (1)"),
        (rows_with((1, 1, "NA")), "missing-value", "age (1)"),
        (rows_with((2, 0, "a")), "duplicate-id", "more than one row for a"),
        (rows_with((2, 3, "F"), (4, 3, "F")), "constant-column", "1 column with a single value or none: sex"),
        (rows_with((0, 1, "alter")), "missing-column", "no column 'age'"),
        (rows_with((0, 1, "alter")), "extra-column", "'alter'"),
        (rows_with((0, 1, "id")), "duplicate-column", "'id'"),
        (GOOD[:-1], "row-count", "3 rows of data, 4 expected"),
        ([*GOOD, ["e", "1", "2", "F", "2001.02.07"]], "row-count", "5 rows of data, 4 expected"),
        ([*GOOD[:-1], ["d", "40"]], "ragged-row", "row 4 has 2"),
        ([row[:4] for row in GOOD], "column-count", "4 fields, 5 are expected"),
        ([], "row-count", "empty"),
    ],
)
def test_each_fault_is_an_error_that_names_the_value(rows: list[list[str]], kind: str, says: str) -> None:
    findings = [finding for finding in check_rows("data", "t.csv", rows, TABLE) if finding.kind == kind]
    assert len(findings) == 1
    assert findings[0].severity == "error"
    assert findings[0].file == "t.csv"
    assert says in findings[0].message


def test_every_fault_is_found_not_the_first() -> None:
    rows = rows_with((1, 1, "fifty"), (2, 1, "inf"), (3, 2, "x"), (4, 3, "X"), (4, 0, "a"))
    assert sorted(kind for _, kind in found(rows)) == [
        "duplicate-id",
        "infinite-value",
        "text-in-number",
        "unexpected-value",
    ]
    text = next(f for f in check_rows("data", "t.csv", rows, TABLE) if f.kind == "text-in-number")
    assert text.columns == ("age", "days")
    assert text.count == 2


def known_table(**known: object) -> Table:
    return Table.model_validate(TABLE.model_dump() | {"known": [{"note": "as published"} | known]})


def test_a_known_blemish_is_a_note() -> None:
    table = known_table(kind="infinite-value", columns="age", count=1)
    (finding,) = check_rows("data", "t.csv", rows_with((1, 1, "inf")), table)
    assert (finding.severity, finding.count) == ("note", 1)
    assert "known: as published" in finding.message


def test_a_known_blemish_elsewhere_or_more_often_is_an_error() -> None:
    table = known_table(kind="infinite-value", columns="age", count=1)
    assert found(rows_with((1, 1, "inf"), (2, 1, "inf")), table) == [("error", "infinite-value")]
    assert found(rows_with((1, 2, "inf")), table) == [("error", "infinite-value")]
    both = found(rows_with((1, 1, "inf"), (1, 2, "inf")), table)
    assert both == [("note", "infinite-value"), ("error", "infinite-value")]


def test_tables_with_row_names_as_r_writes_them() -> None:
    table = Table.model_validate(
        {
            "format": "tsv",
            "rows": 2,
            "fields": 2,
            "row_names": True,
            "columns": [{"pattern": "s[0-9]", "count": 2, "type": "number", "meaning": "sample"}],
        }
    )
    assert found([["s1", "s2"], ["gene1", "1", "2"], ["gene2", "3", "4"]], table) == []
    assert found([["s1", "s2"], ["gene1", "1", "2"], ["gene1", "3", "4"]], table) == [("error", "duplicate-id")]
    assert ("error", "column-count") in found([["s1", "x"], ["gene1", "1", "2"], ["gene2", "3", "4"]], table)


def test_rows_that_are_no_data_are_skipped() -> None:
    table = Table.model_validate(TABLE.model_dump() | {"skip": ("unit",)})
    assert found([GOOD[0], ["unit", "years", "days", "", ""], *GOOD[1:]], table) == []


REAL = {
    "brats-tables": {"text-in-number", "missing-value"},
    "brats-tcga-radiomics": {"text-in-number", "infinite-value", "constant-column", "missing-value"},
    "tcga-gbm-expression": {"missing-value"},
    "tcga-cdr": {"constant-column", "missing-value"},
    "ceccarelli2016": {"out-of-range", "missing-value"},
    "tcga-mutations": {"missing-value"},
    "rembrandt": {"duplicate-column", "constant-column", "missing-value"},
}


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_the_real_tables_have_their_known_blemishes_and_no_errors(name: str, real_data: Path) -> None:
    report = check_dataset(load_manifest(name), real_data)
    assert report.errors == []
    assert {finding.kind for finding in report.notes} == REAL[name]
    assert report.tables == sum(file.table is not None for file in load_manifest(name).files if not file.optional)


def real_copy(name: str, real_data: Path, tmp_path: Path) -> tuple[Manifest, Path]:
    manifest = load_manifest(name)
    for file in manifest.files:
        if (real_data / file.path).exists():
            target = tmp_path / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(real_data / file.path, target)
    return manifest, tmp_path


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.kind for finding in findings}


@pytest.mark.data
def test_a_changed_copy_of_a_real_table(real_data: Path, tmp_path: Path) -> None:
    manifest, root = real_copy("brats-tcga-radiomics", real_data, tmp_path)
    path = root / "tcga-glioma/radiomics/TCGA_LGG_radiomicFeatures.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = lines[2]  # a patient twice, another lost
    patient, date, _, rest = lines[5].split(",", 3)
    lines[5] = f"{patient},{date},Inf,{rest}"
    path.write_text("".join(lines))
    report = check_dataset(manifest, root)
    assert kinds(report.errors) >= {"wrong-checksum", "duplicate-id", "infinite-value"}
    infinite = [finding.columns for finding in report.errors if finding.kind == "infinite-value"]
    assert infinite == [("VOLUME_ET",)]
    assert "infinite-value" in kinds(report.notes), "the published infinite value stays a note"


@pytest.mark.data
def test_missing_truncated_and_unreadable_real_tables(real_data: Path, tmp_path: Path) -> None:
    manifest, root = real_copy("rembrandt", real_data, tmp_path)
    (root / "rembrandt/VASARI_MRI_features__gmdi_-_wiki_.xls").unlink()
    workbook = root / "rembrandt/clinical_2014-01-16.xlsx"
    workbook.write_bytes(workbook.read_bytes()[:5000])
    report = check_dataset(manifest, root)
    assert [(finding.kind, finding.file) for finding in report.errors] == [
        ("wrong-checksum", "rembrandt/clinical_2014-01-16.xlsx"),
        ("unreadable", "rembrandt/clinical_2014-01-16.xlsx"),
        ("missing-file", "rembrandt/VASARI_MRI_features__gmdi_-_wiki_.xls"),
    ]


@pytest.mark.data
def test_a_truncated_text_table(real_data: Path, tmp_path: Path) -> None:
    manifest, root = real_copy("brats-tables", real_data, tmp_path)
    path = root / "brats-tables/survival_data_2017.csv"
    path.write_bytes(path.read_bytes()[:1000])
    assert {"wrong-checksum", "row-count"} <= kinds(check_dataset(manifest, root).errors)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    manifest = load_manifest("brats-tables")
    path = tmp_path / "brats-tables/survival_data_2017.csv"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe" + b"\x00\xd8" * 10)
    findings = check_dataset(manifest, tmp_path).errors
    assert ("unreadable", "brats-tables/survival_data_2017.csv") in [(f.kind, f.file) for f in findings]
