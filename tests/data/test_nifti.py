"""Volumes: exact round trips, and an error that names the file for everything that can be wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from nibabel import orientations

from radlib.core.errors import RadlibError
from radlib.data.decode import background_of
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
    assert caught.value.kind == "missing-file"


@pytest.mark.parametrize("keep", [0.2, 0.9])
def test_truncated_gzip(volume: Path, keep: float) -> None:
    whole = volume.read_bytes()
    volume.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(VolumeError, match="truncated") as caught:
        read_volume(volume)
    assert caught.value.kind == "truncated-gzip"
    assert caught.value.file == volume


def test_corrupt_gzip(volume: Path) -> None:
    damaged = bytearray(volume.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    volume.write_bytes(bytes(damaged))
    with pytest.raises(VolumeError) as caught:
        read_volume(volume)
    assert caught.value.kind == "corrupt-gzip"


def test_truncated_without_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    write_volume(path, np.zeros((9, 9, 9)), affine=AFFINE)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VolumeError) as caught:
        read_volume(path)
    assert caught.value.kind == "truncated-volume"


@pytest.mark.parametrize("name", ["text.nii", "text.nii.gz"])
def test_not_a_volume(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("this is no image " * 50)
    with pytest.raises(VolumeError, match=name):
        read_volume(tmp_path / name)


def test_shape_must_fit(volume: Path) -> None:
    assert read_volume(volume, shape=(12, 10, 8)).data.shape == (12, 10, 8)
    with pytest.raises(VolumeError, match=r"\(12, 10, 8\), expected \(12, 10, 9\)") as caught:
        read_volume(volume, shape=(12, 10, 9))
    assert caught.value.kind == "shape-differs"


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
    assert caught.value.kind == "unexpected-label"


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


ORDERS = [
    tuple(zip(axes, flips, strict=True))
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def stored(path: Path, data: np.ndarray, affine: np.ndarray, order: tuple = ORDERS[0]) -> Path:
    """Write a volume with its axes in another order: the same voxels at the same places."""
    turn = np.array(order, dtype=float)
    moved = np.ascontiguousarray(orientations.apply_orientation(data, turn))
    affine = affine @ orientations.inv_ornt_aff(turn, data.shape)
    if path.name.endswith((".nii", ".nii.gz")):
        nib.save(nib.Nifti1Image(moved, affine), path)
        return path
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    image = SimpleITK.GetImageFromArray(moved.T)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_the_order_of_storage_and_the_format_change_nothing(tmp_path: Path, suffix: str) -> None:
    data = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    assert len(set(ORDERS)) == 48
    for order in ORDERS:
        read = read_volume(stored(tmp_path / f"a{suffix}", data, AFFINE, order))
        np.testing.assert_array_equal(read.data, data)
        np.testing.assert_allclose(read.affine, AFFINE, atol=1e-12)
        assert read.data.flags.f_contiguous
        assert read.spacing == pytest.approx((1.0, 2.0, 3.0))


def test_an_oblique_volume_is_turned_to_the_nearest_axes(tmp_path: Path) -> None:
    c, s = np.cos(0.4), np.sin(0.4)
    oblique = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ AFFINE
    data = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
    for order in ORDERS[::7]:
        np.testing.assert_array_equal(read_volume(stored(tmp_path / "a.nii", data, oblique, order)).data, data)


def test_what_is_written_like_a_file_has_its_order_of_axes(tmp_path: Path) -> None:
    data = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
    for order in ORDERS[::5]:
        like = stored(tmp_path / "like.nii.gz", data, AFFINE, order)
        read = read_volume(like)
        write_volume(tmp_path / "made.nii.gz", read.data + 1, affine=read.affine, like=like)
        made, before = nib.load(tmp_path / "made.nii.gz"), nib.load(like)
        np.testing.assert_allclose(made.affine, before.affine)
        np.testing.assert_array_equal(made.get_fdata(), before.get_fdata() + 1)


def header(path: Path, change) -> Path:
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.int16), AFFINE)
    image.set_qform(AFFINE, code=1)
    change(image.header)
    path.write_bytes(image.header.binaryblock + b"\0" * 4 + np.ones(60, "<i2").tobytes())
    return path


def sform(matrix: np.ndarray):
    def change(header: nib.Nifti1Header) -> None:
        header["sform_code"], header["qform_code"] = 1, 0
        for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
            header[name] = matrix[row]

    return change


ZERO, NAN, SHEARED = AFFINE.copy(), AFFINE.copy(), AFFINE.copy()
ZERO[:, 1], NAN[0, 3], SHEARED[0, 1] = 0, np.nan, 0.5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (sform(ZERO), "no length"),
        (sform(NAN), "not finite"),
        (sform(SHEARED), "right angles"),
        (lambda h: h.set_xyzt_units("meter"), "1000 x 2000 x 3000 mm .*unit is meter"),
        (lambda h: h.set_xyzt_units("micron"), "0.001 x 0.002 x 0.003 mm .*unit is micron"),
        (lambda h: h["pixdim"].__setitem__(slice(1, 4), 2), "voxel size 2 x 2 x 2 mm and the affine's 1 x 2 x 3"),
        (lambda h: h.set_sform(np.diag([1.0, 2, 3, 1]), code=1), "sform says .* RAS, the qform LPS"),
    ],
)
def test_headers_that_contradict_themselves_are_named(tmp_path: Path, change, says: str) -> None:
    path = header(tmp_path / "a.nii", change)
    with pytest.raises(VolumeError, match=rf"{says}.*a\.nii.*Remedy") as caught:
        read_volume(path)
    assert caught.value.kind == "bad-header"
    assert read_volume(header(path, lambda h: None)).spacing == (1.0, 2.0, 3.0)


def test_metres_become_millimetres(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.int16), AFFINE @ np.diag([1e-3, 1e-3, 1e-3, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    assert read_volume(tmp_path / "a.nii").spacing == pytest.approx((1.0, 2.0, 3.0))


def test_colours_and_complex_numbers_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros((3, 4, 5), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(rgb, AFFINE), tmp_path / "rgb.nii")
    nib.save(nib.Nifti1Image(np.ones((3, 4, 5), np.complex64), AFFINE), tmp_path / "complex.nii")
    SimpleITK.WriteImage(SimpleITK.Image([3, 4, 5], SimpleITK.sitkVectorUInt8, 3), str(tmp_path / "v.mha"))
    for name, says in (("rgb.nii", "colours"), ("complex.nii", "complex"), ("v.mha", "colours")):
        with pytest.raises(VolumeError, match=rf"{says}.*{name}"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.float64])
def test_large_intensities_keep_every_digit(tmp_path: Path, dtype: type) -> None:
    data = (2**24 + np.arange(60)).astype(dtype).reshape(3, 4, 5)
    nib.save(nib.Nifti1Image(data, AFFINE, dtype=dtype), tmp_path / "a.nii")
    read = read_volume(tmp_path / "a.nii").data
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, data)
    nib.save(nib.Nifti1Image(data - 2**24, AFFINE, dtype=dtype), tmp_path / "b.nii")
    assert read_volume(tmp_path / "b.nii").data.dtype == np.float32


def test_a_background_other_than_0_is_found_and_becomes_0(tmp_path: Path) -> None:
    data = np.full((8, 8, 8), -3.6, np.float32)
    data[2:6, 2:6, 2:6] = np.random.default_rng(0).normal(size=(4, 4, 4))
    data[3, 3, 3] = 0
    write_volume(tmp_path / "a.nii", data, affine=AFFINE)
    read = read_volume(tmp_path / "a.nii")
    assert read.background == np.float32(-3.6)
    assert np.count_nonzero(read.data) == 64
    np.testing.assert_allclose(read.data[2:6, 2:6, 2:6], data[2:6, 2:6, 2:6], atol=1e-29)
    assert background_of(np.full((3, 3, 3), 5.0)) == 0  # constant: no background
    data[0, 0, 0] = 0
    assert background_of(data) == 0  # one corner differs


def test_almost_integers_are_labels_and_the_rest_is_named() -> None:
    assert map_labels(np.array([0, 0.99999994, 1.00002, 3.9995])).tolist() == [0, 1, 1, 4]
    with pytest.raises(VolumeError, match=r"label\(s\) 1\.002"):
        map_labels(np.array([0, 1.002]))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([1, 2], [1, 2]), ([1, 2, 4], [1, 2, 4]), ([2], [2]), ([1, 2, 3, 4], [1, 2, 1, 4]), ([], [])],
)
def test_without_an_encoding_labels_that_leave_no_choice_are_read(labels: list[int], expected: list[int]) -> None:
    assert map_labels(np.array([0, *labels]), encoding=None).tolist() == [0, *expected]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([1], "brats or brats2015 or brats2023 or whole-tumour"),
        ([1, 2, 3], "brats2015 or brats2023"),
        ([7], "label.s. 7"),
    ],
)
def test_without_an_encoding_labels_that_leave_a_choice_are_asked_for(labels: list[int], says: str) -> None:
    with pytest.raises(VolumeError, match=rf"{says}.*no label encoding is stated.*Remedy: state label_encoding"):
        map_labels(np.array([0, *labels]), encoding=None, file="seg.nii")
