"""What methods reach: by hand where it can be counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.core.seeds import rng
from radlib.phantom.distractors import DISTRACTORS
from radlib.phantom.realism import (
    LENGTH,
    PATCH,
    SIZE,
    Slices,
    _patch,
    dice,
    largest,
    lower_grade_slices,
    network_scores,
    paired_gain,
    rule,
    rule_scores,
    segment,
    slices_of,
    train_network,
    two_modality_slices,
    what_fools,
)


def ball(centre: tuple[float, float, float], radius: float, shape: tuple[int, int, int] = (80, 100, 30)) -> np.ndarray:
    grid = np.indices(shape)
    return sum((grid[a] - centre[a]) ** 2 for a in range(3)) <= radius**2


@pytest.fixture(scope="module")
def subject() -> Slices:
    """A brain of 60 x 80 pixels with a bright tumour, a brighter part in it, and a bright spot elsewhere."""
    x, y = np.indices((80, 100))
    brain = np.repeat((((x - 40) / 30) ** 2 + ((y - 50) / 40) ** 2 <= 1)[..., None], 30, 2)
    whole, enhancing, spot = ball((30, 40, 15), 9), ball((30, 40, 15), 4), ball((55, 65, 15), 5)
    flair = 100.0 * brain + 100 * whole + 100 * spot
    t1ce = 100.0 * brain + 100 * enhancing
    return slices_of(flair, t1ce, brain, whole, enhancing, distractors=2 * spot.astype(np.uint8))


def test_slices_are_those_of_the_tumour_at_the_brains_scale(subject: Slices) -> None:
    assert subject.images.shape == (2 * 9 + 1 + 4, 2, SIZE, SIZE)
    rows = np.flatnonzero(subject.brain.any(axis=(0, 2)))
    assert rows[-1] - rows[0] + 1 == pytest.approx(LENGTH, abs=2)
    inside = subject.images[:, 0][subject.brain]
    assert inside.mean() == pytest.approx(0, abs=1e-5)
    assert inside.std() == pytest.approx(1, abs=1e-5)
    zoom = (LENGTH / 81) ** 2
    assert subject.truth[11, 0].sum() == pytest.approx(np.pi * 9**2 * zoom, rel=0.05)
    with pytest.raises(MissingDataError, match="without tumour"):
        slices_of(subject.brain, None, subject.brain, np.zeros_like(subject.brain), None)


def test_dice_and_the_largest_component_by_hand() -> None:
    one, other = np.array([[1, 1, 0, 0, 1]], bool), np.array([[1, 0, 0, 0, 0]], bool)
    assert dice(one, other) == pytest.approx(2 / 4)
    assert dice(~one & one, ~one & one) == 1
    assert largest(one).tolist() == [[True, True, False, False, False]]


def test_the_rule_finds_what_is_brighter_and_largest(subject: Slices) -> None:
    found = rule(subject, 1.0, 1.0)
    assert dice(found[:, 0], subject.truth[:, 0]) > 0.95
    assert dice(found[:, 1], subject.truth[:, 1]) > 0.85
    whole, enhancing = rule_scores({"a": subject})
    assert whole.loc["a"].max() > 0.95
    assert enhancing.loc["a"].max() > 0.85
    unlabelled = Slices(subject.images, subject.brain, subject.truth, has_et=False)
    assert rule_scores({"a": unlabelled})[1].isna().all(axis=None)


def test_what_fools_by_hand(subject: Slices) -> None:
    wrong = subject.truth.copy()
    wrong[:, 0] |= subject.distractors == 2
    table = what_fools({"a": wrong}, {"a": subject})
    assert list(table.index) == ["no distractor", *DISTRACTORS]
    extra, real = (subject.distractors == 2).sum(), subject.truth[:, 0].sum()
    cortex = table.loc["bright cortex"]
    assert cortex["false positive"] == pytest.approx(extra / real)
    assert cortex["Dice lost"] == pytest.approx(1 - 2 * real / (2 * real + extra))
    assert table.drop("bright cortex").to_numpy().max() == 0


def test_a_paired_gain_by_hand() -> None:
    one = pd.Series({"a": 0.8, "b": 0.9, "c": 0.7})
    gain = paired_gain(one, one - 0.1)
    assert gain == pytest.approx({"gain": 0.1, "low": 0.1, "high": 0.1, "n": 3})


def test_a_network_learns_an_easy_task_and_is_the_same_again(subject: Slices) -> None:
    networks = [train_network([subject], steps=60, batch=4, seed=2) for _ in range(2)]
    assert np.array_equal(*(segment(network, subject) for network in networks))
    assert network_scores(networks[0], {"a": subject}).loc["a", "wt"] > 0.4


def test_two_patches_of_three_lie_on_tumour(subject: Slices) -> None:
    random = rng(0, "patches")
    patches = [_patch(subject, random) for _ in range(300)]
    assert {part.shape for pair in patches for part in pair} == {(2, PATCH, PATCH)}
    whole, enhancing = (sum(truth[region].any() for _, truth in patches) for region in (0, 1))
    assert 200 - 3 * 8.2 < enhancing <= whole  # the enhancing part lies in the middle of the tumour
    assert whole < 300


@pytest.mark.data
def test_the_readers_of_the_real_subjects(real_data: Path) -> None:
    low = lower_grade_slices(real_data)
    assert len(low) == 110
    assert sum(len(item.images) for item in low.values()) == 1807
    assert sum(not item.images[:, 1].any() for item in low.values()) == 10
    assert not any(item.has_et for item in low.values())
    six = two_modality_slices(real_data)
    assert len(six) == 6
    assert all(item.truth[:, 1].any() for item in six.values())
