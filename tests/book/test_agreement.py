"""What a chapter measured, beside what the paper prints."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from radlib.book.agreement import agreement_table, show_agreement
from radlib.book.ledger.words import as_measured, as_printed, entry_name
from radlib.book.report import Report
from radlib.data.published import published


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
    return Report.start("multistream_idh", cohort="simulated", profile="smoke", seed=0)


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


def frame(*metrics: str, note: str = "m") -> pd.DataFrame:
    """Values of Prop-A, which the paper prints in Tables 2, 3 and 5 (and the accuracy in Table 7 and in the text)."""
    rows = [{"arm": "prop_a", "metric": metric, "group": "all", "value": 0.8, "low": 0.7, "high": 0.9, "n": 34,
             "note": note} for metric in metrics]  # fmt: skip
    return pd.DataFrame(rows)


def test_every_measured_entry_is_a_row_in_the_order_of_print(report: Report) -> None:
    report.measured("classifier", frame("specificity", "accuracy"), protocol="leakage-free")
    table = agreement_table(report)
    assert table["published"].tolist()[:2] == ["88.82 ± 6.37 %", "92.17 ± 4.77 %"]
    assert table.loc[0].tolist() == [
        "Table 2, Prop-A (fake patients) · Mean accuracy", "88.82 ± 6.37 %", "80.00 (70.00 to 90.00)", 34,
        "leakage-free", "m",
    ]  # fmt: skip
    assert table["entry"].str.startswith("Table 7").sum() == 1
    assert entry_name(published("ge2020.figure7")).startswith("Figure 7: ")
    show_agreement(report)
    assert "agreement" in report.tables


def test_a_note_common_to_all_rows_stands_in_the_caption(report: Report) -> None:
    report.measured("classifier", frame("accuracy", "sensitivity", note="three folds"), protocol="leakage-free")
    show_agreement(report)
    assert report.tables["agreement"]["caption"].endswith("All rows: three folds.")
    assert "three folds" not in (report.directory / "tables" / "agreement.csv").read_text(encoding="utf-8")


def test_a_chapter_that_measured_nothing_printed_says_so(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    report.measured("shapes", frame("accuracy"))
    show_agreement(report)
    assert "agreement" not in report.tables
    assert "Nothing that a paper prints" in capsys.readouterr().out
