"""Images on one grid: where they come to lie, how they are scaled, and the way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.cohort import COLUMNS, Cohort
from radlib.data.nifti import write_volume
from radlib.data.resampling import resample
from radlib.data.store import prepare

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Two subjects of 12x10x8 voxels at 1 mm; the second lacks T2 and labels and is stored RAS."""
    rows = {}
    for number, affine in enumerate((LPS, np.eye(4))):
        data = np.zeros((12, 10, 8), np.float32)
        data[3:9, 2:8, 1:7] = np.random.default_rng(number).uniform(50, 150, (6, 6, 6))
        labels = np.zeros(data.shape, np.uint8)
        labels[4:7, 4:6, 3] = 1
        labels[4:7, 4:6, 4] = 4
        labels[4:8, 4:8, 5] = 2
        row = {}
        for name in ("t1", "t2")[: 2 - number]:
            write_volume(tmp_path / f"{number}-{name}.nii.gz", data, affine=affine)
            row[name] = f"{number}-{name}.nii.gz"
        if not number:
            write_volume(tmp_path / "0-seg.nii.gz", labels, affine=affine, dtype=np.uint8)
            row["seg"] = "0-seg.nii.gz"
        rows[f"s{number}"] = row
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(COLUMNS)).astype(object)
    table.index.name = "id"
    return Cohort(name="two", source="user", root=tmp_path, participants=table)


def test_same_spacing_is_a_crop_centred_on_the_brain(cohort: Cohort) -> None:
    store = prepare(cohort, modalities=("t1", "t2"), grid=(8, 8, 8), spacing=1.0, normalise="none")
    volume = cohort.volume("s0", "t1").data
    # The brain is 3..8 x 2..7 x 1..6, its middle voxel 6, 4, 4 (halves round to even), which goes to 4, 4, 4.
    assert torch.equal(store.images[0, 0], torch.from_numpy(volume[2:10, 0:8, 0:8]))
    assert store.present.tolist() == [[True, True], [True, False]]
    assert not store.images[1, 1].any()
    assert store.has_labels.tolist() == [True, False]
    assert int((store.labels[0] == 4).sum()) == 6


def test_other_orientations_are_turned(cohort: Cohort) -> None:
    store = prepare(cohort, modalities=("t1",), grid=(8, 8, 8), spacing=1.0, normalise="none")
    inside = store.images[1, 0] != 0
    written = np.asarray(nib.load(cohort.path("s1", "t1")).dataobj)[3:9, 2:8, 1:7]
    assert np.array_equal(store.images[1, 0][inside].reshape(6, 6, 6).numpy(), written[::-1, ::-1])


def test_images_on_several_grids_and_a_head_without_background_are_named(cohort: Cohort) -> None:
    write_volume(cohort.path("s0", "t2"), np.ones((12, 10, 7)), affine=LPS)
    with pytest.raises(RadlibError, match=r"12 x 10 x 7 voxels, not 12 x 10 x 8.*grid of the seg.*0-t2"):
        prepare(cohort, modalities=("t1", "t2"))
    without = replace(cohort, participants=cohort.participants.assign(seg=None))
    with pytest.raises(RadlibError, match=r"12 x 10 x 7 voxels, not 12 x 10 x 8.*grid of t1 of s0.*0-t2"):
        prepare(without, modalities=("t1", "t2"))
    write_volume(cohort.path("s1", "t1"), np.ones((12, 10, 8)), affine=np.diag([10, 12, 15, 1]))
    with pytest.raises(RadlibError, match=r"t1 of s1 has no background.*1-t1.*--mask"):
        prepare(cohort, modalities=("t1",), ids=["s1"])


def test_restore_is_the_way_back(cohort: Cohort) -> None:
    store = prepare(cohort, grid=(10, 10, 10), spacing=1.0)
    seg = cohort.labels("s0")
    assert np.array_equal(store.restore("s0", store.labels[0].numpy(), like=seg), seg.data)
    image = cohort.volume("s1", "t1")
    back = prepare(cohort, grid=(10, 10, 10), spacing=1.0, normalise="none")
    assert np.allclose(back.restore("s1", back.images[1, 0].numpy(), like=image, order=1), image.data)


def test_normalisations(cohort: Cohort) -> None:
    zscore = prepare(cohort, grid=(8, 8, 8), spacing=1.0).images[0, 0]
    inside = zscore != 0
    assert float(zscore[inside].mean()) == pytest.approx(0, abs=1e-5)
    assert float(zscore[inside].std(correction=0)) == pytest.approx(1, abs=1e-5)
    unit = prepare(cohort, grid=(8, 8, 8), spacing=1.0, normalise="minmax").images[0, 0]
    assert float(unit.min()) >= 0
    assert float(unit.max()) == 1


def test_coarser_voxels_hold_the_mean() -> None:
    data = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float32) + 10
    coarse = resample(data, LPS, np.diag([-4.0, -4.0, 4.0, 1.0]), (8, 8, 8), order=1)
    assert coarse[1:-1, 1:-1, 1:-1].std() < 0.3  # single voxels have a standard deviation of 1
    assert coarse[1:-1, 1:-1, 1:-1].mean() == pytest.approx(10, abs=0.1)


def test_slices_are_those_with_tumour_or_brain(cohort: Cohort) -> None:
    store = prepare(cohort, grid=(8, 8, 8), spacing=1.0)
    assert store.slices(["s0"]).tolist() == [[0, 3], [0, 4], [0, 5]]
    assert store.slices(["s0"], per_subject=1).tolist() == [[0, 5]]
    assert len(store.slices(["s1"], where="brain")) == 6
    assert len(store.slices(["s0", "s1"], where="all", axis=0)) == 16
    images, labels = store.take_slices(store.slices(["s0"]), axis=2)
    assert images.shape == (3, 4, 8, 8)
    assert torch.equal(labels[2], store.labels[0, :, :, 5])
    sagittal, _ = store.take_slices(torch.tensor([[0, 4]]), axis=0)
    assert torch.equal(sagittal[0], store.images[0, :, 4])


def test_patches_are_padded_at_borders(cohort: Cohort) -> None:
    store = prepare(cohort, grid=(8, 8, 8), spacing=1.0)
    images, labels = store.take_patches([0, 0, 0], np.array([[4, 4, 4], [0, 0, 0], [99, 99, 99]]), (4, 4, 4))
    assert torch.equal(images[0], store.images[0, :, 2:6, 2:6, 2:6])
    assert torch.equal(labels[1, 2:, 2:, 2:], store.labels[0, :2, :2, :2])
    assert not images[2].any()


def test_cache_is_filled_once_and_made_anew_for_other_settings(cohort: Cohort, tmp_path: Path) -> None:
    plain = prepare(cohort, grid=(8, 8, 8), spacing=1.0)
    first = prepare(cohort, grid=(8, 8, 8), spacing=1.0, cache=tmp_path / "cache")
    written = (tmp_path / "cache" / "images.npy").stat().st_mtime_ns
    again = prepare(cohort, grid=(8, 8, 8), spacing=1.0, cache=tmp_path / "cache")
    assert torch.equal(first.images, plain.images)
    assert torch.equal(again.labels, plain.labels)
    assert (tmp_path / "cache" / "images.npy").stat().st_mtime_ns == written
    other = prepare(cohort, grid=(8, 8, 8), spacing=1.0, normalise="minmax", cache=tmp_path / "cache")
    assert float(other.images.max()) == 1


def test_a_subject_is_a_view_of_the_store(cohort: Cohort) -> None:
    store = prepare(cohort, grid=(8, 8, 8), spacing=1.0)
    for row, name in enumerate(store.ids):
        one = store.subject(name)
        assert torch.equal(one.image("flair"), store.images[row, store.modalities.index("flair")])
        assert torch.equal(one.take(["t2", "t1"]), store.images[row][[2, 0]])
        assert torch.equal(one.labels, store.labels[row])
        assert torch.equal(one.brain, (store.images[row] != 0).any(dim=0))
    with pytest.raises(RadlibError, match="has no subject 'x'"):
        store.subject("x")


def test_a_replaced_image_is_standardised_within_the_brain_of_the_others(cohort: Cohort) -> None:
    store = prepare(cohort, grid=(8, 8, 8), spacing=1.0)
    fake = np.random.default_rng(0).uniform(5, 6, store.grid)
    made = store.replaced({"s0": fake}, modality="t2")
    before, after = store.subject("s0"), made.subject("s0")
    inside = (before.take(["t1", "flair"]) != 0).any(dim=0)
    assert inside.any()
    assert float(after.image("t2")[inside].mean()) == pytest.approx(0, abs=1e-5)
    assert float(after.image("t2")[inside].std()) == pytest.approx(1, abs=1e-4)
    assert not after.image("t2")[~inside].any()
    assert torch.equal(after.image("t1"), before.image("t1"))
    assert torch.equal(made.subject("s1").images, store.subject("s1").images)
    assert made.present[0, 2]
    with pytest.raises(RadlibError, match="normalise='minmax'"):
        prepare(cohort, grid=(8, 8, 8), spacing=1.0, normalise="minmax").replaced({}, modality="t2")


def test_wrong_input_is_named(cohort: Cohort) -> None:
    with pytest.raises(RadlibError, match="unknown normalisation 'max'"):
        prepare(cohort, normalise="max")  # type: ignore[arg-type]
    with pytest.raises(RadlibError, match="subject 's1' of cohort 'two' has none of t2"):
        prepare(cohort, modalities=("t2",), ids=["s1"])
    with pytest.raises(RadlibError, match="has no subject 'x'"):
        prepare(cohort, grid=(8, 8, 8), spacing=1.0).rows(["x"])
    assert prepare(cohort, modalities=("t2",), grid=(8, 8, 8), spacing=1.0).ids == ("s0",)


@pytest.mark.parametrize("name", ["store.json", "images.npy", "labels.npy"])
def test_a_damaged_cache_is_filled_anew(cohort: Cohort, tmp_path: Path, name: str) -> None:
    cache = tmp_path / "cache"
    whole = prepare(cohort, grid=(8, 8, 8), spacing=1.0, cache=cache).images.clone()
    content = (cache / name).read_bytes()
    (cache / name).write_bytes(content[: len(content) // 2])
    assert torch.equal(prepare(cohort, grid=(8, 8, 8), spacing=1.0, cache=cache).images, whole)
    assert (cache / name).read_bytes() == content
