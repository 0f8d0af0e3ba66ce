from pathlib import Path

import pandas as pd
import pytest

from radlib.book.kept import LIMIT_BYTES, keep_run, kept_run
from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.core.files import write_json


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setenv("RADLIB_PROJECT", str(tmp_path))
    report = Report.start("idh", cohort="real", profile="default", seed=1)
    report.table("auc", pd.DataFrame({"auc": [0.5]}), caption="AUC.", index=False)
    report.value("auc", 0.5, low=0.4, high=0.6)
    report.finish()
    write_json(report.directory / "parameters.json", {"seed": 1})
    (report.directory / "notebook.ipynb").write_text("{}")
    return report


def test_kept_and_read_again(run: Report) -> None:
    assert kept_run("idh") is None
    keep_run("idh", cohort="real", profile="default")
    kept = kept_run("idh")
    assert kept is not None
    assert kept.table("auc")["auc"].tolist() == [0.5]
    assert kept.text("auc") == "0.500 (0.400 to 0.600)"
    assert "profile default, seed 1" in kept.origin()
    with pytest.raises(RadlibError, match="it has auc"):
        kept.table("roc")


def test_tables_that_name_patients_stay_in_the_run(run: Report) -> None:
    run.table("notes", pd.DataFrame({"note": ["Without age: P-1."]}), caption="Notes.")
    folder = keep_run("idh", cohort="real", profile="default")
    assert [file.name for file in (folder / "tables").iterdir()] == ["auc.csv"]


def test_a_half_run_and_a_table_of_patients_are_not_kept(run: Report) -> None:
    (run.directory / "tables/auc.csv").write_text("x" * (LIMIT_BYTES + 1))
    with pytest.raises(RadlibError, match="single patients"):
        keep_run("idh", cohort="real", profile="default")
    (run.directory / "notebook.ipynb").unlink()
    with pytest.raises(RadlibError, match="no whole run"):
        keep_run("idh", cohort="real", profile="default")
    assert kept_run("idh") is None
