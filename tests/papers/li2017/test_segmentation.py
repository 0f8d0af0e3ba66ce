"""Segmentation of Li 2017: whole slices equal patches, and what follows the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.store import ImageStore
from radlib.papers.li2017.data import MODALITIES, Scaling
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.segmentation import (
    TumourNetwork,
    box_smoothed,
    coarse_probability,
    compare_with_patches,
    enlarge,
    largest_per_slice,
    post_process,
    prior_threshold,
    score_network,
    seen_on_grid,
    segment,
    slice_probability,
    tumour_probability,
)


def model(convolutions: int = 6, *, kind: str = "training", **options: object) -> TumourNetwork:
    torch.manual_seed(1)
    network = TumourCNN(2, convolutions, filters=(4, 6), neurons=8, **options).eval()  # type: ignore[arg-type]
    scaling = Scaling(kind=kind, mean=(0.3, -0.2), std=(1.5, 0.7))  # type: ignore[arg-type]
    return TumourNetwork(network=network, modalities=MODALITIES, scaling=scaling, precision="32-true")


def store_of(n: int = 4, *, grid: tuple[int, int, int] = (40, 36, 6)) -> ImageStore:
    """Noise with a bright square as tumour in both modalities."""
    random = np.random.default_rng(0)
    images = np.zeros((n, 2, *grid), dtype=np.float32)
    labels = np.zeros((n, *grid), dtype=np.uint8)
    images[:, :, 4:-4, 3:-3] = random.normal(size=images[:, :, 4:-4, 3:-3].shape)
    for row in range(n):
        x, y = 8 + 3 * row, 8 + 2 * row
        labels[row, x : x + 14, y : y + 12, 1:5] = (2, 1, 4, 2)[row % 4]
        images[row, :, x : x + 14, y : y + 12, 1:5] += 3
    return ImageStore(
        ids=tuple(f"s{row}" for row in range(n)), modalities=MODALITIES, spacing=2.0,
        images=torch.from_numpy(images), labels=torch.from_numpy(labels),
        present=torch.ones((n, 2), dtype=torch.bool), has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.stack([np.eye(4)] * n), normalisation="none",
    )  # fmt: skip


# Whole slices


@pytest.mark.parametrize("convolutions", [4, 6])
def test_whole_slices_give_what_their_patches_give(convolutions: int) -> None:
    made = model(convolutions)
    slices = torch.randn(2, 2, 22, 30)
    whole = coarse_probability(made.network, made.scaling, slices)
    one_by_one = coarse_probability(made.network, made.scaling, slices, patchwise=True)
    assert whole.shape == (2, 1, 7, 9)
    torch.testing.assert_close(whole[:, :, :6, :8], one_by_one[:, :, :6, :8])
    assert (one_by_one[:, :, 6] == 0).all()  # middles beyond the slice, where there is no brain, are not run
    # And by hand, for one pixel: the patch around (8, 12), with zeros beyond the slice, through scaling and network.
    padded = torch.nn.functional.pad(slices, (16, 16, 16, 16))
    patch = padded[:, :, 8 : 8 + 33, 12 : 12 + 33]
    want = made.network(made.scaling(patch)).softmax(dim=1)[:, 1]
    torch.testing.assert_close(whole[:, :, 2, 3], want[..., 0])


def test_patches_normalised_by_themselves_are_run_by_themselves() -> None:
    made = model(kind="patch")
    slices = torch.randn(1, 2, 12, 13)
    found = coarse_probability(made.network, made.scaling, slices)
    padded = torch.nn.functional.pad(slices, (16, 16, 16, 16))
    patch = padded[:, :, 4 : 4 + 33, 8 : 8 + 33]
    own = (patch - patch.mean(dim=(2, 3), keepdim=True)) / torch.tensor(made.scaling.std)[:, None, None]
    want = made.network(own).softmax(dim=1)[0, 1]
    torch.testing.assert_close(found[0, 0, 1, 2], want[0, 0])
    with pytest.raises(RadlibError, match="no input in common"):
        coarse_probability(made.network, made.scaling, slices, patchwise=False)


def test_output_is_on_the_pixels_of_the_slice() -> None:
    """Interpolated and dense output are the network's own values where it has one, and dense ones everywhere."""
    made = model()
    slices = torch.randn(1, 2, 21, 19)
    coarse = coarse_probability(made.network, made.scaling, slices)
    fine = slice_probability(made.network, made.scaling, slices)
    dense = slice_probability(made.network, made.scaling, slices, output="dense")
    assert fine.shape == dense.shape == (1, 1, 21, 19)
    torch.testing.assert_close(fine[:, :, ::4, ::4], coarse[:, :, :6, :5])
    torch.testing.assert_close(dense[:, :, ::4, ::4], coarse[:, :, :6, :5])
    padded = torch.nn.functional.pad(slices, (16, 16, 16, 16))
    for x, y in ((3, 7), (20, 18), (10, 1)):
        want = made.network(made.scaling(padded[:, :, x : x + 33, y : y + 33])).softmax(dim=1)[0, 1, 0, 0]
        torch.testing.assert_close(dense[0, 0, x, y], want)
    assert (dense - fine).abs().max() > 1e-4


def test_enlarging_is_bicubic_and_keeps_the_cells() -> None:
    plane = torch.linspace(0.2, 0.8, 9)[None, None, :, None].expand(1, 1, 9, 9)
    out = enlarge(plane, stride=4)
    assert out.shape == (1, 1, 33, 33)
    torch.testing.assert_close(out[..., ::4, ::4], plane.contiguous())
    want = torch.linspace(0.2, 0.8, 33)
    torch.testing.assert_close(out[0, 0, :, 16], want, atol=0.012, rtol=0)
    # Half-way between cells with 0, 1, 0, 0: cubic convolution with a = -0.75 weighs the inner two by 19 / 32.
    spike = torch.zeros(1, 1, 9, 9)
    spike[..., 4, :] = 1.0
    torch.testing.assert_close(enlarge(spike, stride=4)[0, 0, 18, 16], torch.tensor(19 / 32))
    assert enlarge(spike, stride=4).min() >= 0  # undershoots are cut


def test_volume_is_the_slices_and_nothing_outside_the_brain() -> None:
    made, store = model(), store_of(1)
    image = store.images[0]
    found = tumour_probability(made, image)
    brain = (image != 0).any(dim=0)
    assert found.shape == image.shape[1:]
    assert (found[~brain] == 0).all()
    # The brain's box starts at (4, 3): its slices alone, as cut from there, are what is run.
    alone = slice_probability(made.network, made.scaling, image[:, 4:36, 3:33, 2][None])[0, 0]
    torch.testing.assert_close(found[4:36, 3:33, 2], alone)
    assert (tumour_probability(made, torch.zeros(2, 8, 8, 3)) == 0).all()


# What follows the network


def test_largest_region_of_every_slice() -> None:
    mask = np.zeros((8, 8, 3), dtype=bool)
    mask[0:2, 0:2, 0] = True
    mask[5:8, 5:8, 0] = True
    mask[0, 0, 1] = mask[1, 1, 1] = mask[2, 2, 1] = True  # one region: diagonal neighbours count
    mask[5, 5:7, 1] = True
    out = largest_per_slice(mask)
    assert out[..., 0].sum() == 9
    assert out[6, 6, 0]
    assert out[..., 1].sum() == 3
    assert out[2, 2, 1]
    assert not out[..., 2].any()
    assert not largest_per_slice(np.zeros((3, 3, 2), dtype=bool)).any()


def test_box_filter_is_a_majority_in_three_dimensions() -> None:
    mask = np.zeros((7, 7, 7), dtype=bool)
    mask[:, :, :3] = True  # half of the volume: the border stays, as the middle of a box lies in the majority
    out = box_smoothed(mask, size=3)
    assert out[3, 3].tolist() == [True, True, True, False, False, False, False]
    island = np.zeros((7, 7, 7), dtype=bool)
    island[3, 3, 3] = True
    assert not box_smoothed(island, size=3).any()
    np.testing.assert_array_equal(box_smoothed(island, size=1), island)
    brain = np.ones((7, 7, 7), dtype=bool)
    brain[:3] = False
    assert not post_process(mask, smoothing=3, brain=brain)[:3].any()


def test_threshold_for_another_share_of_tumour() -> None:
    assert prior_threshold(trained=0.4, natural=0.4) == pytest.approx(0.5)
    # 40 of 100 patches against 4 of 100 voxels: odds too high by (40 / 60) / (4 / 96) = 16.
    assert prior_threshold(trained=0.4, natural=0.04) == pytest.approx(16 / 17)


def test_a_mask_on_the_grid_of_the_network() -> None:
    mask = np.zeros((9, 10, 2), dtype=bool)
    mask[3:6, 3:6, 0] = True  # of every fourth pixel only (4, 4) lies in it
    # Cubic convolution weighs it by 0.88 a pixel away and by 0.59 two away: over one half but for two away along both.
    want = np.zeros_like(mask)
    want[2:7, 2:7, 0] = True
    want[[2, 2, 6, 6], [2, 6, 2, 6], 0] = False
    np.testing.assert_array_equal(seen_on_grid(mask, stride=4), want)
    np.testing.assert_array_equal(seen_on_grid(mask, stride=1), mask)
    mask[4, 4, 0] = False
    assert not seen_on_grid(mask, stride=4).any()


def test_the_threshold_decides_and_scores_are_long() -> None:
    store, made = store_of(1), model()
    probability = tumour_probability(made, store.images[0]).numpy()
    cut = replace(made, threshold=float(np.median(probability[probability > 0])), smoothing=1)
    truth = store.labels[0].numpy() > 0
    found = segment(cut, store, "s0")
    np.testing.assert_array_equal(found, largest_per_slice(probability > cut.threshold))
    scores = score_network(cut, store, ["s0"]).set_index("metric")["value"]
    assert scores["sensitivity"] == pytest.approx((found & truth).sum() / truth.sum())
    assert scores["ppv"] == pytest.approx((found & truth).sum() / found.sum())
    assert not segment(replace(made, threshold=1.0), store, "s0").any()


def test_a_slice_and_its_patches_are_compared() -> None:
    same = compare_with_patches(model(), store_of(1), "s0")
    assert same.patches > 10
    assert same.difference < 1e-5
    with pytest.raises(RadlibError, match="only be run patch by patch"):
        compare_with_patches(model(kind="patch"), store_of(1), "s0")
