import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.core.paths import run_dir


@pytest.fixture
def report() -> Report:
    return Report.start("cohorts", cohort="simulated", profile="smoke", seed=3)


def test_what_is_shown_is_kept(report: Report) -> None:
    frame = pd.DataFrame({"model": ["svm"], "auc": [0.123456789]})
    report.table("auc", frame, caption="AUC.", index=False)
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    report.figure("line", figure, caption="A line.", alt="It rises.")
    report.value("auc", 0.123456789, low=0.1, high=0.2, n=10)
    report.finish()
    folder = run_dir(cohort="simulated", profile="smoke", chapter="cohorts")
    assert pd.read_csv(folder / "tables/auc.csv")["auc"].item() == 0.123456789
    assert (folder / "figures/line.png").read_bytes().startswith(b"\x89PNG")
    results = json.loads((folder / "results.json").read_text())
    assert results["values"]["auc"] == {
        "value": 0.123456789, "low": 0.1, "high": 0.2, "n": 10, "unit": "", "text": "0.123 (0.100 to 0.200)",
    }  # fmt: skip
    assert results["seed"] == 3
    assert results["source"] == "simulated"
    assert json.loads((folder / "provenance.json").read_text())["peak_memory_bytes"] > 0


def test_a_long_table_opens_at_a_click(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr("radlib.book.report.show_output", lambda myst, lab, plain: shown.append((myst, lab)))
    rows = pd.DataFrame({"auc": ["0.8 (0.7 to 0.9)"] * 16})
    for name, frame, options in (("a", rows, {}), ("b", rows[:15], {}), ("c", rows[:1], {"fold": True})):
        report.table(name, frame, caption="All AUCs. By fold.", index=False, **options)
    assert [myst.startswith(":::{dropdown} All AUCs (") for myst, _ in shown] == [True, False, True]
    assert [lab.startswith("<details><summary>All AUCs (") for _, lab in shown] == [True, False, True]
    assert "0.8 (0.7\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}0.9)" in shown[1][0]
    assert pd.read_csv(report.directory / "tables/a.csv")["auc"][0] == "0.8 (0.7 to 0.9)"


def test_equal_runs_write_equal_bytes(report: Report) -> None:
    def draw(target: Report) -> bytes:
        figure, axes = plt.subplots()
        axes.plot([0, 1])
        target.figure("line", figure, caption="A line.", alt="It rises.")
        target.finish()
        return b"".join((target.directory / name).read_bytes() for name in ("figures/line.png", "results.json"))

    assert draw(report) == draw(Report.start("cohorts", cohort="simulated", profile="smoke", seed=3))


def frame(**changes: object) -> pd.DataFrame:
    """One measured value; a change to None takes the column away."""
    row = {"arm": "fcn", "metric": "dice", "group": "wt", "value": 0.8, "low": 0.7, "high": 0.9, "n": 12} | changes
    return pd.DataFrame([{name: value for name, value in row.items() if value is not None}])


def test_measured_values_are_kept(report: Report) -> None:
    report.measured("networks", frame(), protocol="leakage-free")
    report.measured("networks", frame(minus="unet", value=0.05, low=float("nan"), high=float("nan"), runs=3))
    report.finish()
    first, second = json.loads((report.directory / "results.json").read_text())["measured"]
    assert first == {
        "study": "networks", "arm": "fcn", "minus": "", "metric": "dice", "group": "wt", "protocol": "leakage-free",
        "value": 0.8, "low": 0.7, "high": 0.9, "n": 12, "runs": None, "unit": "", "note": "",
    }  # fmt: skip
    assert (second["minus"], second["low"], second["high"], second["runs"]) == ("unet", None, None, 3)


def test_contrasts_of_a_study_are_taken_as_they_are(report: Report) -> None:
    report.measured("networks", frame(arm=None, first="fcn", second="unet"))
    assert (report.measurements[0].arm, report.measurements[0].minus) == ("fcn", "unet")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"value": float("nan")}, "fcn, dice, wt: value: Field required.*nan"),
        ({"value": float("inf")}, "fcn, dice, wt: value"),
        ({"n": float("nan")}, "fcn, dice, wt: n"),
        ({"n": None}, "no column n"),
        ({"low": float("nan")}, "half an interval"),
        ({"accuracy": 1.0}, "unknown column accuracy"),
        ({"protocol": "fair"}, "'fair' is no protocol"),
        ({"arm": float("nan")}, r"\?, dice, wt: arm"),
    ],
)
def test_a_measured_value_that_is_none_is_named(report: Report, changes: dict[str, object], problem: str) -> None:
    with pytest.raises(RadlibError, match=problem):
        report.measured("networks", frame(**changes))
    assert not report.measurements


def test_a_value_is_measured_once(report: Report) -> None:
    report.measured("networks", frame(), protocol="leakage-free")
    report.measured("networks", frame(), protocol="as published")
    with pytest.raises(RadlibError, match="twice: networks, fcn, dice, wt, leakage-free"):
        report.measured("networks", frame(protocol="leakage-free"))
    with pytest.raises(RadlibError, match="beside"):
        report.measured("networks", frame(protocol="control"), protocol="control")
    with pytest.raises(RadlibError, match="no name for a study"):
        report.measured("Networks", frame())


@pytest.mark.parametrize("name", ["Upper", "a_b", "", "../x", "a b"])
def test_names_are_safe_for_files_and_labels(report: Report, name: str) -> None:
    with pytest.raises(RadlibError, match="no name"):
        report.table(name, pd.DataFrame({"a": [1]}), caption="x")


def test_a_name_is_taken_once_and_a_figure_has_words(report: Report) -> None:
    report.value("a", 1.0)
    with pytest.raises(RadlibError, match="already"):
        report.value("a", 2.0)
    with pytest.raises(RadlibError, match=r"report\.value"):
        report.text("b")
    with pytest.raises(RadlibError, match="alt"):
        report.figure("f", plt.figure(), caption="x", alt=" ")
    plt.close("all")


def test_cohort_descriptions_are_users(tmp_path: Path) -> None:
    assert Report.start("cohorts", cohort="x/my.yml", profile="smoke", seed=0).source == "user"


def test_an_empty_sentence_is_not_shown(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    report.sentence(" ")
    assert capsys.readouterr().out == ""
    report.sentence("Something.")
    assert "Something." in capsys.readouterr().out
