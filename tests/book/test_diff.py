"""What two runs of a chapter do not have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from radlib.book.diff import difference, runs_to_compare
from radlib.book.report import Report
from radlib.cli import app
from radlib.core.errors import MissingDataError
from radlib.core.files import write_json
from radlib.core.settings import in_lab


def run(table: pd.DataFrame, **values: float) -> Path:
    report = Report.start("cohorts", cohort="simulated", profile="smoke", seed=int(in_lab()))
    for name, value in values.items():
        report.value(name, value)
    report.table("scores", table, caption="Scores.", index=False)
    report.measured("s", pd.DataFrame([{"arm": "a", "metric": "dice", "group": "wt", "value": values["auc"],
                                        "low": None, "high": None, "n": 3}]))  # fmt: skip
    report.finish()
    return report.directory


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook in JupyterLab, with its parameters."""
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/cohorts.ipynb")
    variables = {"cohort": "simulated", "profile": "smoke", "seed": 1}
    monkeypatch.setattr("radlib.book.prepare._variables", lambda: variables)
    monkeypatch.setattr("radlib.book.report.make_lacking", lambda *_, **__: None)


TABLE = pd.DataFrame({"model": ["svm", "ann"], "auc": [0.7, 0.8], "n": [10, np.nan]})


def test_what_a_notebook_changes_and_what_it_leaves(notebook: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as outside:
        outside.delenv("JPY_SESSION_NAME")
        book = run(TABLE, auc=0.7, gone=1.0)
        write_json(book / "parameters.json", {"seed": 0, "cohort": "simulated", "profile": "smoke"})
        before = {file: file.read_bytes() for file in book.rglob("*") if file.is_file()}
    lab = run(TABLE.assign(model=["svm", "mlp"], auc=[0.7, 0.5]), auc=0.75)
    assert lab != book
    assert {file: file.read_bytes() for file in book.rglob("*") if file.is_file()} == before
    assert runs_to_compare("cohorts", cohort="simulated", profile="smoke") == (book, lab)
    found = difference(book, lab).set_index("what")
    assert found["name"].to_list() == ["seed", "auc", "gone", "s a dice wt", "scores: 2 cells, most in 'auc', row 2"]
    assert found["difference"].to_list() == pytest.approx([1, 0.05, np.nan, 0.05, -0.3], nan_ok=True)
    shown = CliRunner().invoke(app, ["chapter", "diff", "cohorts", "--profile", "smoke"])
    assert shown.exit_code == 0
    assert "largest difference: -0.3 (table scores: 2 cells" in shown.output


def test_equal_runs_and_other_tables(notebook: None) -> None:
    first = run(TABLE, auc=0.7)
    assert difference(first, first).empty
    kept = first.rename(first.with_name("other"))
    second = run(TABLE.iloc[:1], auc=0.7)
    assert difference(kept, second)[["name", "before", "after"]].to_numpy().tolist() == [["scores", "2 x 3", "1 x 3"]]


def test_a_cell_of_a_notebook_runs_twice(notebook: None) -> None:
    report = Report.start("cohorts", cohort="simulated", profile="smoke", seed=int(in_lab()))
    row = {"arm": "a", "metric": "dice", "group": "wt", "low": None, "high": None, "n": 3}
    for value in (0.1, 0.2):
        report.value("auc", value)
        report.measured("s", pd.DataFrame([{**row, "value": value}]))
    assert report.text("auc") == "0.200"
    assert [one.value for one in report.measurements] == [0.2]


def test_one_run_is_no_two() -> None:
    run(TABLE, auc=0.7)
    with pytest.raises(MissingDataError, match="nothing to compare"):
        runs_to_compare("cohorts", cohort="simulated", profile="smoke")
