"""Segmentation metrics against hand-made masks and against MONAI."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter

from radlib.core.errors import RadlibError
from radlib.stats.segmentation import (
    dice,
    hd95,
    ppv,
    score_labels,
    sensitivity,
    specificity,
)

EMPTY = np.zeros((4, 4, 4), bool)
ONE = EMPTY.copy()
ONE[1, 1, 1] = True


def test_counted_by_hand() -> None:
    predicted, truth = np.zeros(10, bool), np.zeros(10, bool)
    truth[:4], predicted[2:8] = True, True  # 2 found, 2 missed, 4 false
    assert dice(predicted, truth) == pytest.approx(4 / 10)
    assert sensitivity(predicted, truth) == pytest.approx(2 / 4)
    assert specificity(predicted, truth) == pytest.approx(2 / 6)
    assert ppv(predicted, truth) == pytest.approx(2 / 6)


def test_empty_masks_follow_the_stated_conventions() -> None:
    assert [dice(EMPTY, EMPTY), dice(ONE, EMPTY), dice(EMPTY, ONE)] == [1.0, 0.0, 0.0]
    assert np.isnan([hd95(EMPTY, EMPTY), hd95(ONE, EMPTY), hd95(EMPTY, ONE)]).all()
    assert np.isnan(sensitivity(ONE, EMPTY))
    assert np.isnan(ppv(EMPTY, ONE))
    assert specificity(ONE, EMPTY) == pytest.approx(63 / 64)


def test_distance_in_mm() -> None:
    other = EMPTY.copy()
    other[1, 1, 3] = True
    assert hd95(ONE, other, spacing=(1, 1, 2.5)) == pytest.approx(5.0)
    far = np.zeros((1, 40), bool)
    near = far.copy()
    near[0, :20], far[0, :40] = True, True
    # Surfaces are all voxels here: distances from far to near are 0 (20 times) and 1 to 20.
    distances = [0] * 20 + list(range(1, 21))
    assert hd95(far, near, spacing=(1, 1)) == pytest.approx(np.percentile(distances, 95))
    assert hd95(far, near, spacing=(1, 1), percentile=100) == 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")  # MONAI's call of itself
@pytest.mark.parametrize("seed", range(4))
def test_distance_agrees_with_monai(seed: int) -> None:
    from monai.metrics import compute_hausdorff_distance

    generator = np.random.default_rng(seed)
    masks = [gaussian_filter(generator.normal(size=(24, 20, 16)), 2) > 0.05 for _ in range(2)]
    spacing = (1.0, 2.0, 3.0)
    theirs = compute_hausdorff_distance(
        *(torch.from_numpy(mask)[None, None] for mask in masks), include_background=True, percentile=95, spacing=spacing
    )
    assert hd95(*masks, spacing=spacing) == pytest.approx(float(theirs), rel=1e-5)


def test_dice_agrees_with_monai() -> None:
    from monai.metrics import compute_dice

    generator = np.random.default_rng(0)
    a, b = (generator.random((2, 1, 6, 6, 6)) > 0.5 for _ in range(2))
    theirs = compute_dice(torch.from_numpy(a), torch.from_numpy(b))
    assert [dice(x, y) for x, y in zip(a, b, strict=True)] == pytest.approx(theirs.flatten().tolist())


def test_scores_by_region() -> None:
    truth = np.array([[0, 1, 2, 4]], np.uint8)
    predicted = np.array([[0, 2, 2, 4]], np.uint8)
    table = score_labels(predicted, truth, spacing=(1, 1), subject="s").set_index("region")
    assert table["dice"].to_dict() == pytest.approx({"et": 1.0, "wt": 1.0, "tc": 2 / 3})
    with pytest.raises(RadlibError, match=r"shape \(1, 4\), the reference \(1, 3\)"):
        score_labels(predicted, truth[:, :3], spacing=(1, 1), subject="s")


def test_a_distance_is_a_mean_over_those_who_have_the_region_and_the_others_are_counted() -> None:
    whole, nothing = np.full((3, 3), 4, np.uint8), np.zeros((3, 3), np.uint8)
    shifted = np.pad(whole[:, :2], ((0, 0), (1, 0)))
    pairs = {"both": (shifted, whole), "found nothing": (nothing, whole), "nobody": (nothing, nothing)}
    table = pd.concat([score_labels(a, b, spacing=(1, 1), subject=name) for name, (a, b) in pairs.items()])
    et = table[table["region"] == "et"].set_index("subject")
    assert et["missed"].to_dict() == {"both": False, "found nothing": True, "nobody": False}
    assert et["hd95"].count() == 1
    assert et["hd95"].mean() == hd95(shifted > 0, whole > 0, spacing=(1, 1)) == 1
    assert et["dice"].count() == 3
