"""Label noise: exact bounds against enumeration, simulations against their expectation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.stats.classification import METRICS, Predictions, evaluate
from radlib.stats.noise import (
    assignment_bounds,
    assignment_simulation,
    counted_as_negative,
    mean_metrics,
    refit_under_noise,
)


def _example(n: int = 14, uncertain: int = 6, seed: int = 0) -> tuple[Predictions, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.random(n) < 0.5
    score = np.round(generator.normal(size=n) + truth, 1)
    p = generator.random(n)
    doubt = np.zeros(n, dtype=bool)
    doubt[generator.choice(n, uncertain, replace=False)] = True
    return Predictions.of(truth & ~doubt, score > 0.4, score=score, probability=p), doubt


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bounds_are_those_of_every_labelling(seed: int) -> None:
    predictions, doubt = _example(seed=seed)
    every: dict[str, list[float]] = {name: [] for name in METRICS}
    for labels in itertools.product([False, True], repeat=int(doubt.sum())):
        truth = predictions.truth.copy()
        truth[doubt] = labels
        for name, value in mean_metrics(predictions.relabelled(truth)).items():
            every[name].append(value)
    found = assignment_bounds(predictions, doubt)
    for name in METRICS:
        assert found.loc[name, "low"] == pytest.approx(np.nanmin(every[name])), name
        assert found.loc[name, "high"] == pytest.approx(np.nanmax(every[name])), name
        assert found.loc[name, "value"] == pytest.approx(mean_metrics(predictions)[name])


def test_accuracy_bounds_by_hand() -> None:
    # ten patients, two in doubt, both called negative and counted as right
    p = Predictions.of([1] * 4 + [0] * 6, [1] * 3 + [0] * 7)
    found = assignment_bounds(p, [0] * 8 + [1] * 2)
    assert tuple(found.loc["accuracy"]) == pytest.approx((0.9, 0.7, 0.9))
    assert tuple(found.loc["sensitivity"]) == pytest.approx((3 / 4, 3 / 6, 3 / 4))
    assert math.isnan(found.loc["auc", "low"])  # no scores


def test_without_doubt_nothing_moves() -> None:
    predictions, _ = _example()
    nobody = np.zeros(predictions.n, dtype=bool)
    for frame in (assignment_bounds(predictions, nobody), assignment_simulation(predictions, nobody, 0.5, draws=3)):
        assert np.allclose(frame["value"], frame["low"])
        assert np.allclose(frame["value"], frame["high"])


def test_simulation_is_centred_on_its_expectation() -> None:
    p = Predictions.of([1] * 4 + [0] * 6, [1] * 3 + [0] * 7)
    doubt = np.array([0] * 8 + [1] * 2)
    found = assignment_simulation(p, doubt, 0.25, draws=4000)
    assert found.loc["accuracy", "mean"] == pytest.approx(0.9 - 0.1 * 2 * 0.25, abs=0.005)
    bounds = assignment_bounds(p, doubt)
    assert (found["low"].dropna() >= bounds["low"].dropna() - 1e-12).all()
    never, always = (assignment_simulation(p, doubt, rate, draws=5) for rate in (0.0, 1.0))
    assert never.loc["accuracy", "high"] == pytest.approx(0.9)
    assert always.loc["accuracy", "low"] == pytest.approx(0.7)


def test_misuse_is_named() -> None:
    predictions, doubt = _example()
    twice = Predictions.of(predictions.truth, np.tile(predictions.predicted, (2, 1)))
    with pytest.raises(RadlibError, match="2 runs"):
        assignment_bounds(twice, doubt)
    with pytest.raises(RadlibError, match="rate outside"):
        assignment_simulation(predictions, doubt, 1.5)
    with pytest.raises(RadlibError, match="flags for"):
        assignment_bounds(predictions, [0, 1])


def test_counted_as_negative_only_loses_positives() -> None:
    truth = np.repeat([True, False], 500)
    labels = counted_as_negative(truth, unknown=0.2, missed=0.1, seed=1)
    assert not labels[500:].any()
    assert labels[:500].mean() == pytest.approx(0.8 * 0.9, abs=0.05)
    assert np.array_equal(counted_as_negative(truth, unknown=0.0), truth)
    assert not counted_as_negative(truth, unknown=np.ones(1000)).any()


def test_refitting_a_perfect_classifier_shows_the_noise_alone() -> None:
    """A classifier that always finds the truth is judged worse by noisy labels, exactly by the flips."""
    truth = np.repeat([True, False], 20)

    def know_everything(labels: np.ndarray, seed: int) -> Predictions:
        return Predictions.of(labels, truth)

    found = refit_under_noise(know_everything, truth, unknown=0.3, draws=5)
    accuracy = found[found["metric"] == "accuracy"]
    assert len(accuracy) == 5
    assert (accuracy["by truth"] == 1).all()
    assert np.allclose(accuracy["by label"], 1 - accuracy["flipped"] / 40)
    assert accuracy["flipped"].mean() == pytest.approx(6, abs=3)


def test_draws_that_leave_no_class_are_skipped() -> None:
    truth = np.array([True, True, True, False, False, False])
    found = refit_under_noise(lambda labels, seed: Predictions.of(labels, labels), truth, unknown=1.0, draws=3)
    assert found.empty


def test_mean_metrics_are_those_of_evaluate() -> None:
    predictions, _ = _example()
    assert mean_metrics(predictions) == pytest.approx(
        {name: e.value for name, e in evaluate(predictions, n_boot=2).items()}
    )
