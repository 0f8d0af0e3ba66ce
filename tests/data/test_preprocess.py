"""Raw images of a patient made like BraTS."""

import json
import stat
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.preprocess import SHAPE, preprocess
from radlib.data.readers.brats import read_brats
from radlib.phantom.make import make

ANGLES, SHIFT = (0.06, -0.08, 0.1), (6.0, -4.0, 5.0)  # radians, mm


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """T1ce and FLAIR of a simulated subject, FLAIR turned and moved."""
    folder = tmp_path_factory.mktemp("raw")
    cohort = make("brats2017", out=folder / "cohort", n=1, grid=(96, 96, 64), seed=5)
    subject = cohort.ids[0]
    paths = {name: cohort.path(subject, name) for name in ("t1ce", "flair")}
    image = sitk.ReadImage(str(paths["flair"]), sitk.sitkFloat32)
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    moved = sitk.Resample(image, image, sitk.Euler3DTransform(middle, *ANGLES, SHIFT), sitk.sitkLinear, 0.0)
    paths["flair"] = folder / "moved_flair.nii.gz"
    sitk.WriteImage(moved, str(paths["flair"]))
    return paths


@pytest.fixture(scope="module")
def done(patient: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    preprocess(patient, subject="p1", out=out, stripping="none", bias_correction=False)
    return out / "p1"


def test_modalities_lie_on_each_other_again(done: Path) -> None:
    images = {name: nib.load(done / f"p1_{name}.nii.gz") for name in ("t1ce", "flair")}
    for image in images.values():
        assert image.shape == SHAPE
        assert np.allclose(image.affine, [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])
    first, second = (np.asarray(image.dataobj) > 0 for image in images.values())
    assert 2 * (first & second).sum() / (first.sum() + second.sum()) > 0.96
    centre = np.argwhere(first).mean(axis=0)
    assert np.abs(centre - [119.5, 119.5, 77]).max() < 12  # the brain is in the middle of the grid


def test_the_movement_that_was_made_is_found(done: Path, patient: dict[str, Path]) -> None:
    """Points of the brain go where the movement had taken them, to within a voxel of 2.25 mm."""
    record = json.loads((done / "p1_steps.json").read_text())
    found = record["registrations"]["flair"]
    image = sitk.ReadImage(str(patient["t1ce"]))
    middle = np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    made = sitk.Euler3DTransform(middle.tolist(), *ANGLES, SHIFT).GetInverse()
    points = middle + np.array([[x, y, z] for x in (-40, 40) for y in (-50, 50) for z in (-35, 35)])
    ours = points @ np.array(found["matrix"]).T + found["offset_mm"]
    truth = np.array([made.TransformPoint(point.tolist()) for point in points])
    assert np.linalg.norm(truth - points, axis=1).mean() > 8
    assert np.linalg.norm(ours - truth, axis=1).max() < 2.25
    assert record["reference"] == "t1ce"
    assert any("registration of flair to t1ce" in step for step in record["steps"])


def test_the_result_is_read_as_a_brats_subject(done: Path) -> None:
    folder = done.parent / "as_brats" / "Brats17_X_p1_1"
    folder.mkdir(parents=True)
    for name in ("t1ce", "flair"):
        (folder / f"Brats17_X_p1_1_{name}.nii.gz").write_bytes((done / f"p1_{name}.nii.gz").read_bytes())
    assert len(read_brats(folder.parent).complete("t1ce", "flair")) == 1


def test_n4_takes_a_bias_field_off(patient: dict[str, Path], tmp_path: Path) -> None:
    image = nib.load(patient["t1ce"])
    data = np.asarray(image.dataobj, dtype=np.float32)
    ramp = np.linspace(0.6, 1.6, data.shape[1])[None, :, None]
    biased = tmp_path / "biased.nii.gz"
    nib.save(nib.Nifti1Image((data * ramp).astype(np.float32), image.affine), biased)
    spread = {}
    for name, correct in (("with", True), ("without", False)):
        preprocess({"t1ce": biased}, subject=name, out=tmp_path, stripping="none", bias_correction=correct)
        found = np.asarray(nib.load(tmp_path / name / f"{name}_t1ce.nii.gz").dataobj)
        rows = np.flatnonzero((found > 0).any(axis=(0, 2)))
        front, back = (found[:, part][found[:, part] > 0] for part in np.array_split(rows, 3)[::2])
        spread[name] = abs(np.log(np.median(front) / np.median(back)))
    assert spread["with"] < 0.5 * spread["without"]


def test_a_mask_strips_and_must_fit(patient: dict[str, Path], tmp_path: Path) -> None:
    image = nib.load(patient["t1ce"])
    half = np.zeros(image.shape, np.uint8)
    half[: image.shape[0] // 2] = 1
    half *= np.asarray(image.dataobj) > 0
    nib.save(nib.Nifti1Image(half, image.affine), tmp_path / "mask.nii.gz")
    paths = {"t1ce": patient["t1ce"]}
    preprocess(paths, subject="p", out=tmp_path, mask=tmp_path / "mask.nii.gz", bias_correction=False)
    kept = np.asarray(nib.load(tmp_path / "p" / "p_t1ce.nii.gz").dataobj) > 0
    whole = half.sum() * np.prod(image.header.get_zooms())
    assert kept.sum() == pytest.approx(whole, rel=0.1)
    nib.save(nib.Nifti1Image(half[:-1], image.affine), tmp_path / "other.nii.gz")
    with pytest.raises(RadlibError, match="the mask has shape"):
        preprocess(paths, subject="q", out=tmp_path, mask=tmp_path / "other.nii.gz", bias_correction=False)
    assert not (tmp_path / "q").exists()


def test_what_is_not_installed_is_named(
    patient: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDataError, match="HD-BET is not installed"):
        preprocess({"t1ce": patient["t1ce"]}, subject="p", out=tmp_path / "out", bias_correction=False)
    (tmp_path / "dicom").mkdir()
    with pytest.raises(MissingDataError, match="dcm2niix is not installed"):
        preprocess({"t1ce": tmp_path / "dicom"}, subject="p", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_programs_are_called_and_their_failure_is_named(
    patient: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins on the PATH: one series becomes an image, none is an error, a failing HD-BET says why."""
    programs = tmp_path / "bin"
    programs.mkdir()
    converter = programs / "dcm2niix"
    converter.write_text(
        f'#!/bin/sh\nfor last; do :; done\n[ -f "$last/1.dcm" ] && cp {patient["t1ce"]} "$8/series.nii.gz"\n'
    )
    stripper = programs / "hd-bet"
    stripper.write_text("#!/bin/sh\necho no weights >&2\nexit 3\n")
    for program in (converter, stripper):
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    series, empty = tmp_path / "series", tmp_path / "empty"
    series.mkdir()
    empty.mkdir()
    (series / "1.dcm").write_bytes(b"")
    record = preprocess({"t1ce": series}, subject="p", out=tmp_path, stripping="none", bias_correction=False)
    assert record["steps"][0] == "dcm2niix: series"
    assert list(record["inputs"]["t1ce"]) == ["1.dcm"]
    with pytest.raises(RadlibError, match="made 0 volumes"):
        preprocess({"t1ce": empty}, subject="p", out=tmp_path, stripping="none")
    with pytest.raises(RadlibError, match="HD-BET failed: no weights"):
        preprocess({"t1ce": patient["t1ce"]}, subject="p", out=tmp_path, bias_correction=False)


def test_input_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="unknown modality 'dwi'"):
        preprocess({"dwi": tmp_path}, subject="p", out=tmp_path)
    with pytest.raises(RadlibError, match="no image was given"):
        preprocess({}, subject="p", out=tmp_path)
