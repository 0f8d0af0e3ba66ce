"""Volumes: exact round trips, and an error that names the file for everything that can be wrong."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.data.nifti import (
    VolumeError,
    map_labels,
    parse_encoding,
    read_labels,
    read_note,
    read_volume,
    write_volume,
)

AFFINE = np.array([[-1.0, 0, 0, 90], [0, -2.0, 0, 126], [0, 0, 3.0, -72], [0, 0, 0, 1]])


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "subject_t1.nii.gz"
    write_volume(path, np.random.default_rng(0).normal(size=(12, 10, 8)), affine=AFFINE)
    return path


def test_round_trip_keeps_voxels_affine_and_spacing(tmp_path: Path) -> None:
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_volume(tmp_path / "a.nii.gz", data, affine=AFFINE)
    read = read_volume(tmp_path / "a.nii.gz")
    assert read.data.dtype == np.float32
    np.testing.assert_array_equal(read.data, data)
    np.testing.assert_allclose(read.affine, AFFINE)
    assert read.spacing == (1.0, 2.0, 3.0)


def test_the_same_voxels_give_the_same_bytes(tmp_path: Path) -> None:
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, data, affine=AFFINE, dtype=np.int16)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_header_scale_factors_are_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((3, 3, 3), 7, dtype=np.int16), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scaled.nii")
    stored = nib.load(tmp_path / "scaled.nii").dataobj.get_unscaled()
    expected = stored.astype(float) * nib.load(tmp_path / "scaled.nii").dataobj.slope
    expected = expected + nib.load(tmp_path / "scaled.nii").dataobj.inter
    np.testing.assert_allclose(read_volume(tmp_path / "scaled.nii").data, expected)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"does not exist.*nowhere\.nii\.gz") as caught:
        read_volume(tmp_path / "nowhere.nii.gz")
    assert caught.value.kind == "missing"


@pytest.mark.parametrize("keep", [0.2, 0.9])
def test_truncated_gzip(volume: Path, keep: float) -> None:
    whole = volume.read_bytes()
    volume.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(VolumeError, match="truncated") as caught:
        read_volume(volume)
    assert caught.value.kind == "truncated"
    assert caught.value.file == volume


def test_corrupt_gzip(volume: Path) -> None:
    damaged = bytearray(volume.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    volume.write_bytes(bytes(damaged))
    with pytest.raises(VolumeError) as caught:
        read_volume(volume)
    assert caught.value.kind == "truncated"


def test_truncated_without_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_volume(path, np.zeros((9, 9, 9)), affine=AFFINE)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VolumeError) as caught:
        read_volume(path)
    assert caught.value.kind == "unreadable"


@pytest.mark.parametrize("name", ["text.nii", "text.nii.gz"])
def test_not_a_volume(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("this is no image " * 50)
    with pytest.raises(VolumeError, match=name):
        read_volume(tmp_path / name)


def test_shape_must_fit(volume: Path) -> None:
    assert read_volume(volume, shape=(12, 10, 8)).data.shape == (12, 10, 8)
    with pytest.raises(VolumeError, match=r"\(12, 10, 8\), expected \(12, 10, 9\)") as caught:
        read_volume(volume, shape=(12, 10, 9))
    assert caught.value.kind == "shape"


def test_four_dimensions_are_refused_unless_the_last_is_one(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4, 1), dtype=np.float32), AFFINE), tmp_path / "one.nii")
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4, 2), dtype=np.float32), AFFINE), tmp_path / "two.nii")
    assert read_volume(tmp_path / "one.nii").data.shape == (4, 4, 4)
    with pytest.raises(VolumeError, match="three dimensions"):
        read_volume(tmp_path / "two.nii")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nonfinite_voxels_are_counted(tmp_path: Path, bad: float) -> None:
    data = np.zeros((4, 4, 4))
    data[0, 0, :3] = bad
    write_volume(tmp_path / "a.nii.gz", data, affine=AFFINE)
    with pytest.raises(VolumeError, match="3 voxels are NaN or infinite") as caught:
        read_volume(tmp_path / "a.nii.gz")
    assert caught.value.kind == "non-finite"
    assert np.isfinite(read_volume(tmp_path / "a.nii.gz", allow_nonfinite=True).data).sum() == 61


@pytest.mark.parametrize(
    ("encoding", "stored", "expected"),
    [
        ("brats", [0, 1, 2, 4], [0, 1, 2, 4]),
        ("brats2015", [0, 1, 2, 3, 4], [0, 1, 2, 1, 4]),
        ("brats2023", [0, 1, 2, 3], [0, 1, 2, 4]),
        ("whole-tumour", [0, 1], [0, 2]),
        ("1:4 2:2 3:1", [0, 1, 2, 3], [0, 4, 2, 1]),
    ],
)
def test_label_vintages(tmp_path: Path, encoding: str, stored: list[int], expected: list[int]) -> None:
    data = np.array(stored, dtype=np.float32).reshape(1, 1, -1)
    write_volume(tmp_path / "seg.nii.gz", data, affine=AFFINE)
    read = read_labels(tmp_path / "seg.nii.gz", encoding=encoding)
    assert read.data.dtype == np.uint8
    assert read.data.ravel().tolist() == expected


@pytest.mark.parametrize(("encoding", "label"), [("brats", 3), ("brats2023", 4), ("brats", 0.5), ("whole-tumour", 2)])
def test_unexpected_labels_are_named(encoding: str, label: float) -> None:
    with pytest.raises(VolumeError, match=rf"label\(s\) {label:g};.*seg\.nii\.gz") as caught:
        map_labels(np.array([0.0, 1.0, label]), encoding=encoding, file="seg.nii.gz")
    assert caught.value.kind == "labels"


@pytest.mark.parametrize("encoding", ["brats1999", "", "1-2", "1:7", "1:2 x"])
def test_bad_encodings(encoding: str) -> None:
    with pytest.raises(RadlibError, match="encoding"):
        parse_encoding(encoding)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_volume(tmp_path / "a.nii.gz", np.array([["x"]]), affine=AFFINE)
    assert list(tmp_path.iterdir()) == []


def test_what_marks_a_volume_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "made.nii.gz"
    write_volume(path, np.zeros((2, 3, 4)), affine=AFFINE, description="SYNTHETIC " * 20, note={"synthetic": True})
    description, note = read_note(path)
    assert description == ("SYNTHETIC " * 20)[:79]
    assert note == {"synthetic": True}
    assert read_volume(path).data.shape == (2, 3, 4)
    write_volume(path, np.zeros((2, 3, 4)), affine=AFFINE)
    assert read_note(path) == ("", {})
    path.write_bytes(b"no volume")
    for file in (path, tmp_path / "absent.nii"):
        with pytest.raises(VolumeError, match=file.name):
            read_note(file)
