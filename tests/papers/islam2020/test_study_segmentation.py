"""Segmentation: training, prediction, and the order of Dice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.papers.islam2020 import study_segmentation as seg
from radlib.papers.islam2020.batches import SliceSampler
from radlib.papers.islam2020.recipes import PAPER_MODALITIES, Recipe
from radlib.training.inference import brain_box
from radlib.training.players import Trained

TINY = Recipe(widths=(4, 8), steps=60, batch_size=4, crop=16, learning_rate=3e-2, validations=2, atrous_rates=(1, 2))
SPLIT = Split(name="fold 1", train=("s0", "s1", "s2"), validation=("s3", "s4", "s5"), test=("s6", "s7"))

# MONAI's own: deprecations inside its imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def fitted(store: ImageStore) -> Trained:
    return seg.train(store, SPLIT, model="fcn", recipe=TINY, seed=0)


def test_a_network_learns_and_its_history_tells(fitted: Trained, store: ImageStore) -> None:
    for subject in SPLIT.test:
        found = seg.segment(fitted.network, store, subject)
        rows = seg.dice_rows(found, store.subject(subject).labels.numpy())
        assert {row["group"]: row["value"] for row in rows}["wt"] > 0.85
    checks = fitted.history.query("part == 'validation'")
    assert list(checks["step"]) == [30, 60]
    assert checks["dice_wt"].iloc[-1] > 0.8


def test_slice_major_changes_the_memory_only(store: ImageStore) -> None:
    moved = seg.slice_major(store)
    torch.testing.assert_close(moved.images, store.images)
    assert moved.images.movedim(4, 1).is_contiguous()
    index = store.slices(store.ids[:3])
    for a, b in zip(moved.take_slices(index), store.take_slices(index), strict=True):
        torch.testing.assert_close(a, b)


def test_the_most_probable_class_is_torchs_argmax() -> None:
    torch.manual_seed(0)
    found = torch.rand(4, 5, 6, 7)
    assert torch.equal(seg.most_probable(found), found.argmax(dim=0))
    assert torch.equal(seg.most_probable(torch.zeros(4, 3)), torch.zeros(3, dtype=torch.int64))


def test_networks_of_a_fold_see_the_same_batches(store: ImageStore) -> None:
    """Weights differ between networks, batches do not: the seed is the fold's, not the network's."""
    seen: dict[str, list[torch.Tensor]] = {"unet": [], "gcn": []}
    original = SliceSampler.__call__
    recipe = Recipe(widths=(4, 8), steps=3, batch_size=4, crop=16, validations=0, large_kernel=3)
    for model, kept in seen.items():

        def spy(sampler: SliceSampler, step: int, random: np.random.Generator) -> dict[str, torch.Tensor]:
            kept.append((batch := original(sampler, step, random))["images"])  # noqa: B023 - called in this turn
            return batch

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SliceSampler, "__call__", spy)
            seg.train(store, SPLIT, model=model, recipe=recipe, seed=1)
    assert len(seen["unet"]) == 3
    assert all(torch.equal(a, b) for a, b in zip(seen["unet"], seen["gcn"], strict=True))


def test_brain_box_holds_the_brain_and_nothing_is_found_outside(store: ImageStore) -> None:
    box = brain_box(store, "s0")
    inside = (store.images[0] != 0).any(dim=0)
    assert int(inside[box].sum()) == int(inside.sum())
    assert [part.stop - part.start for part in box] == [24, 24, 6]

    class Everything(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            out = torch.zeros(len(images), 4, *images.shape[-2:])
            out[:, 3] = 9
            return out

    labels = seg.segment(Everything(), store, "s0")
    assert (labels[inside.numpy()] == 4).all()
    assert not labels[~inside.numpy()].any()


def test_two_networks_give_the_mean_of_their_probabilities(fitted: Trained, store: ImageStore) -> None:
    torch.manual_seed(5)
    other = seg.build("fcn", in_channels=3, recipe=TINY)
    both, _ = seg.probabilities([fitted.network, other], store, "s6", modalities=PAPER_MODALITIES)
    each = [seg.probabilities(one, store, "s6", modalities=PAPER_MODALITIES)[0] for one in (fitted.network, other)]
    torch.testing.assert_close(both, (each[0] + each[1]) / 2)


def test_dice_by_region() -> None:
    truth = np.array([0, 1, 2, 4, 4, 0])
    rows = seg.dice_rows(np.array([0, 1, 2, 4, 2, 2]), truth, subject="a")
    assert {row["group"]: row["value"] for row in rows} == {
        "et": pytest.approx(2 / 3), "wt": pytest.approx(8 / 9), "tc": pytest.approx(4 / 5)
    }  # fmt: skip
    assert rows[0] | {"value": 0} == {"subject": "a", "group": "et", "metric": "dice", "value": 0}
    assert [row["value"] for row in seg.dice_rows(np.zeros(3), np.zeros(3))] == [1.0, 1.0, 1.0]
