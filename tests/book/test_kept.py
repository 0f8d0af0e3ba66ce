from pathlib import Path

import pandas as pd
import pytest

from radlib.book.kept import LIMIT_BYTES, PATIENT, keep_run, kept_run
from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.core.files import write_json

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize(
    "name",
    ["TCGA-CS-4941", "TCGA_CS_4941_19960909", "UCSF-PDGM-004", "BraTS2021_00097", "BraTS-GLI-00097-000",
     "Brats18_TCIA09_141_1", "brats_2013_pat0001_1", "UPENN-GBM-00001"],
)  # fmt: skip
def test_a_table_that_names_a_patient_is_not_kept(run: Report, name: str) -> None:
    run.table("worst", pd.DataFrame({"patient": [name], "dice": [0.1]}), caption="Worst.")
    with pytest.raises(RadlibError, match=r"worst.csv names a patient \(" + name[:6]):
        keep_run("idh", cohort="real", profile="default")
    assert kept_run("idh") is None


def test_nothing_of_a_real_patient_is_in_the_repository() -> None:
    """No picture, no row and no name of a real patient among what is kept of runs on real data."""
    kept = [file for file in (ROOT / "published" / "real").rglob("*") if file.is_file()]
    assert len(kept) > 20
    assert {file.suffix for file in kept} <= {".json", ".csv"}
    named = {file.name: found.group() for file in kept if (found := PATIENT.search(file.read_text(encoding="utf-8")))}
    assert named == {}
    jobs = (ROOT / "published" / "jobs").rglob("job.json")
    assert [file for file in jobs if '"cohort": "real"' in file.read_text(encoding="utf-8")] == []


def test_a_half_run_and_a_table_of_patients_are_not_kept(run: Report) -> None:
    (run.directory / "tables/auc.csv").write_text("x" * (LIMIT_BYTES + 1))
    with pytest.raises(RadlibError, match="single patients"):
        keep_run("idh", cohort="real", profile="default")
    (run.directory / "notebook.ipynb").unlink()
    with pytest.raises(RadlibError, match="no whole run"):
        keep_run("idh", cohort="real", profile="default")
    assert kept_run("idh") is None
