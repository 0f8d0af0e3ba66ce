"""``radlib data`` from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from radlib.cli import app
from radlib.core.seeds import rng
from radlib.data.manifests import load_manifests, manifest_names
from tests.cli.conftest import CommandLine

SUBJECT = "Brats18_TCIA01_001_1"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One subject whose images are too small, and whose T2 image is missing."""
    for image in ("t1", "t1ce", "flair", "seg"):
        data = rng(0, image).integers(0, 2 if image == "seg" else 500, (6, 5, 4)).astype(np.int16)
        path = tmp_path / SUBJECT / f"{SUBJECT}_{image}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    return tmp_path


def test_list_names_every_data_set() -> None:
    result = run("list")
    assert result.exit_code == 0
    for manifest in load_manifests():
        assert manifest.name in result.output
    assert "private" in result.output


@pytest.mark.parametrize("name", manifest_names())
def test_show(name: str) -> None:
    result = run("show", name)
    assert result.exit_code == 0
    assert name in result.output
    assert json.loads(run("show", name, "--json").output)["name"] == name


def test_show_says_what_is_not_verified_and_what_labels_mean() -> None:
    assert "verified: false" in run("show", "upenn-gbm").output
    assert "4: enhancing tumour" in run("show", "brats2018").output
    assert "no way to obtain" in run("show", "huashan").output


def test_check_prints_a_table_and_fails(folder: Path) -> None:
    result = run("check", "brats2018", "--root", folder, "--partial", "--jobs", "1")
    assert result.exit_code == 1
    assert "no t2 image" in result.output
    assert result.output.count("unexpected-shape") == 5  # four lines and the summary
    assert "5 errors (missing-file 1, unexpected-shape 4), 0 notes" in result.output


def test_check_as_json(folder: Path) -> None:
    result = run("check", "brats2018", "--root", folder, "--json", "--jobs", "1")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["ok"], report["errors"], report["subjects"], report["images"]) == (False, 6, 1, 4)
    kinds = {finding["kind"] for finding in report["findings"]}
    assert kinds == {"missing-file", "unexpected-shape", "subject-count"}
    missing = next(finding for finding in report["findings"] if finding["kind"] == "missing-file")
    assert (missing["severity"], missing["subject"], missing["dataset"]) == ("error", SUBJECT, "brats2018")


def test_check_several_with_a_folder_each(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "tables"
    other.mkdir()
    result = run("check", "brats2018", "brats-tables", "--root", folder, "--root", other, "--json", "--jobs", "1")
    report = json.loads(result.stdout)
    assert report["roots"] == [str(folder), str(other)]
    files = [finding["file"] for finding in report["findings"] if finding["dataset"] == "brats-tables"]
    assert len(files) == 3


@pytest.mark.data
def test_check_of_real_data(real_data: Path) -> None:
    result = run("check", "brats2018", "tcga-cdr", "--root", real_data, "--partial")
    assert result.exit_code == 0, result.output
    assert "2 subjects, 10 images, 1 table" in result.output
    assert "no errors, 2 notes" in result.output


def test_fetch_prints_steps_where_a_person_is_needed(tmp_path: Path) -> None:
    result = run("fetch", "brats2018", "--root", tmp_path)
    assert result.exit_code == 1
    assert "registration" in result.output
    assert "1. Register" in result.output
    result = run("fetch", "huashan", "--root", tmp_path)
    assert result.exit_code == 1
    assert "no way to obtain" in result.output


def test_fetch_lists_files_to_obtain_by_hand(tmp_path: Path) -> None:
    result = run("fetch", "brats-tables", "--root", tmp_path)
    assert result.exit_code == 1
    assert result.output.count("by hand") == 3


@pytest.mark.data
def test_fetch_of_what_is_there(real_data: Path) -> None:
    result = run("fetch", "tcga-gbm-expression", "--root", real_data)
    assert result.exit_code == 0
    assert result.output.count("already there") == 2


def test_a_wrong_name_or_folder_is_a_message_and_exit_code_2(tmp_path: Path, radlib: CommandLine) -> None:
    for arguments, message in (
        (["check", "brats2081"], "no data set 'brats2081'"),
        (["check", "brats2018", "--root", str(tmp_path / "nowhere")], "does not exist"),
    ):
        code, said = radlib("data", *arguments)
        assert code == 2
        assert message in said
        assert "Traceback" not in said
