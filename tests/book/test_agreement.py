"""What a chapter recorded, beside what the paper prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlib.book.agreement import agreement_table, as_measured, as_printed, entry_name, show_agreement
from radlib.book.report import Report
from radlib.data.published import published


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
    return Report.start("pairwise_gan", cohort="simulated", profile="smoke", seed=0)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("ge2020.table2.prop_a.accuracy", "88.82 ± 6.37 %"),
        ("li2017.table1.all.male.total", "81 patients"),  # printed with its share, which is an entry of its own
        ("zhang2021.table2.ours.hd95.et", "3.170 mm"),
        ("li2017.table2.a.dlr.auc", "0.9207"),
        ("mehra2022.text.linear_classifier", "always HGG"),
    ],
)
def test_published_values_are_read_as_printed(key: str, text: str) -> None:
    assert as_printed(published(key)) == text


def test_measured_values_have_the_digits_of_the_published_one() -> None:
    assert as_measured(published("zhang2021.table2.ours.hd95.et"), 3.21987, 2.9, 4.0) == "3.220 (2.900 to 4.000)"
    assert as_measured(published("mehra2022.text.useful_features"), 1091.0, None, None) == "1091"
    assert as_measured(published("mehra2022.text.useful_features"), 1091.5, None, None) == "1091.5"


def test_every_record_of_the_report_is_a_row_in_its_order(report: Report) -> None:
    report.record("ge2020.figure7", 21.5, n=9, unit="dB", note="PSNR")
    report.record("ge2020.table2.prop_a.accuracy", 80.0, low=70.0, high=90.0, n=34, protocol="leakage-free", note="m")
    table = agreement_table(report)
    assert table["n"].tolist() == [9, 34]
    assert table.loc[1].tolist() == [
        "Table 2, Prop-A (fake patients) · Mean accuracy", "88.82 ± 6.37 %", "80.00 (70.00 to 90.00)", 34,
        "leakage-free", "m",
    ]  # fmt: skip
    assert table.loc[0, "entry"] == "Figure 7"
    assert entry_name(published("ge2020.figure7")).startswith("Figure 7: ")
    show_agreement(report)
    assert "agreement" in report.tables


def test_a_note_common_to_all_rows_stands_in_the_caption(report: Report) -> None:
    for metric in ("accuracy", "sensitivity"):
        report.record(f"ge2020.table2.prop_a.{metric}", 80.0, n=34, protocol="leakage-free", note="three folds")
    show_agreement(report)
    assert report.tables["agreement"]["caption"].endswith("All rows: three folds.")
    assert "three folds" not in (report.directory / "tables" / "agreement.csv").read_text(encoding="utf-8")


def test_a_chapter_without_records_says_so(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    show_agreement(report)
    assert "agreement" not in report.tables
    assert "Nothing was recorded" in capsys.readouterr().out
