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
    lesion_scores,
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


def test_lesions_counted_by_hand() -> None:
    """On a line of 2 mm voxels: a lesion found in part, one missed, one too small to count, one false component.

    Reference: voxels 0-9, 20-29, 40 (one voxel of 8 mm3). Predicted: 5-9 (half of the first, Dice 2 * 5 / 15), 41
    (touches the small lesion once it is dilated: left out with it), 60-62 (false). Three scores: 2/3, 0, 0.
    """
    truth, predicted = np.zeros((70, 1, 1), bool), np.zeros((70, 1, 1), bool)
    truth[:10] = truth[20:30] = truth[40] = True
    predicted[5:10] = predicted[41] = predicted[60:63] = True
    found = lesion_scores(predicted, truth, spacing=(2.0, 2.0, 2.0))
    assert found["lesion_dice"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    # From the reference's voxels 0 to 4 the nearest predicted one is 10 to 2 mm away: 10, 8, 6, 4, 2, 0, 0, 0, 0, 0.
    own = np.percentile([10, 8, 6, 4, 2, 0, 0, 0, 0, 0], 95)
    assert found["lesion_hd95"] == pytest.approx((own + 374 + 374) / 3)
    assert (found["lesions"], found["lesions_found"], found["lesions_false"]) == (2, 1, 1)


def test_parts_of_a_lesion_that_nearly_touch_are_one() -> None:
    """Two parts 2 voxels apart at 1 mm are one lesion; 8 apart they are two, each with a Dice of its own."""
    truth = np.zeros((40, 8, 8), bool)
    truth[:5] = truth[7:12] = True
    near = lesion_scores(truth, truth)
    assert (near["lesions"], near["lesion_dice"], near["lesion_hd95"]) == (1, 1, 0)
    truth[20:25] = True
    only_first = truth.copy()
    only_first[20:25] = False
    apart = lesion_scores(only_first, truth)
    assert (apart["lesions"], apart["lesions_found"], apart["lesion_dice"]) == (2, 1, 0.5)


def test_without_any_lesion_the_scores_are_perfect_and_a_false_one_costs_all() -> None:
    nothing, something = np.zeros((6, 6, 6), bool), np.zeros((6, 6, 6), bool)
    something[2:4, 2:4, 2:4] = True
    assert lesion_scores(nothing, nothing)["lesion_dice"] == 1
    assert lesion_scores(something, nothing) == {
        "lesion_dice": 0, "lesion_hd95": 374, "lesions": 0, "lesions_found": 0, "lesions_false": 1,
    }  # fmt: skip
