"""Calls of ``radlib preprocess`` that would end in images that are not what their names say."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.cli.conftest import CommandLine


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz")
    return tmp_path


def test_one_file_is_one_modality(raw: Path, radlib: CommandLine) -> None:
    (raw / "link.nii.gz").symlink_to(raw / "a.nii.gz")
    code, said = radlib("preprocess", "--subject", "p", "--t1", raw / "a.nii.gz", "--t2", raw / "link.nii.gz",
                        "--out", raw / "out", "--stripped")  # fmt: skip
    assert code == 2
    assert "t1 and t2 are one file. File: " in said


def test_a_mask_of_what_is_stripped_already(raw: Path, radlib: CommandLine) -> None:
    code, said = radlib("preprocess", "--subject", "p", "--t1", raw / "a.nii.gz", "--out", raw / "out", "--stripped",
                        "--mask", raw / "b.nii.gz")  # fmt: skip
    assert code == 2
    assert "--mask and --stripped say two things" in said


def test_another_patient_of_the_same_name(raw: Path, radlib: CommandLine) -> None:
    """The second one's T1 would lie beside the first one's T2, and pass for one patient."""
    home = raw / "out" / "p"
    home.mkdir(parents=True)
    (home / "p_t2.nii.gz").write_bytes((raw / "b.nii.gz").read_bytes())
    call = ("preprocess", "--subject", "p", "--t1", raw / "a.nii.gz", "--out", raw / "out", "--stripped")
    code, said = radlib(*call)
    assert code == 2
    assert "an image that is not made now lies in the folder of subject 'p'" in said
    (home / "p_steps.json").write_text("{}")
    code, said = radlib(*call)
    assert code == 2
    assert "subject 'p' is finished already" in said
    assert sorted(file.name for file in home.iterdir()) == ["p_steps.json", "p_t2.nii.gz"]
