"""Intervals of proportions, and the patient bootstrap on weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.stats.intervals import bootstrap, proportion, resample_weights


def test_wilson_interval_of_newcombe_1998() -> None:
    # Newcombe (Stat Med 1998), Table I: 81 of 263, and the zero of 20
    found = proportion(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    nothing = proportion(0, 20)
    assert nothing.low == pytest.approx(0, abs=1e-12)
    assert round(nothing.high, 4) == 0.1611


def test_proportion_of_nobody_is_undefined() -> None:
    found = proportion(0, 0)
    assert np.isnan([found.value, found.low, found.high]).all()


def test_impossible_proportion_is_refused() -> None:
    with pytest.raises(RadlibError, match="5 successes of 4"):
        proportion(5, 4)


def test_resamples_keep_each_stratum_and_repeat_with_the_seed() -> None:
    strata = np.array([0, 0, 0, 1, 1])
    weights = resample_weights(strata, n_boot=50, seed=3)
    assert weights.shape == (50, 5)
    assert (weights[:, :3].sum(1) == 3).all()
    assert (weights[:, 3:].sum(1) == 2).all()
    assert np.array_equal(weights, resample_weights(strata, n_boot=50, seed=3))
    assert not np.array_equal(weights, resample_weights(strata, n_boot=50, seed=4))


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_one_stratum_agrees_with_scipy(method: str) -> None:
    x = np.random.default_rng(0).exponential(size=40)
    ours = bootstrap(lambda w: w @ x / w.sum(1), np.zeros(40), method=method, n_boot=20_000)  # type: ignore[arg-type]
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=20_000, method="BCa" if method == "bca" else "percentile", rng=1
    ).confidence_interval
    # the difference left is that of two sets of 20,000 resamples
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.015)
    assert ours.method.lower().endswith(method)


def test_two_strata_agree_with_scipy() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.exponential(size=15), generator.normal(1, 1, size=30)
    both = np.concatenate([a, b])
    strata = np.repeat([0, 1], [15, 30])

    # leaving one out must divide by what is left, as the jackknife does
    def mean_difference(weights: np.ndarray) -> np.ndarray:
        first, second = weights[:, :15], weights[:, 15:]
        return first @ both[:15] / first.sum(1) - second @ both[15:] / second.sum(1)

    ours = bootstrap(mean_difference, strata, n_boot=20_000)
    theirs = stats.bootstrap(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), n_resamples=20_000, method="BCa", rng=1
    ).confidence_interval
    assert ours.value == pytest.approx(a.mean() - b.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_no_spread_and_no_value_give_no_limits() -> None:
    constant = bootstrap(lambda w: np.ones(len(w)), np.zeros(5), n_boot=20)
    assert constant.value == 1
    assert np.isnan([constant.low, constant.high]).all()
    undefined = bootstrap(lambda w: np.full(len(w), np.nan), np.zeros(5), n_boot=20)
    assert np.isnan(undefined.value)
    assert np.isnan(bootstrap(lambda w: w.sum(1), np.zeros(0)).value)


def test_undefined_resamples_are_left_out() -> None:
    x = np.arange(8.0)

    def where_first_is_drawn(weights: np.ndarray) -> np.ndarray:
        return np.where(weights[:, 0] > 0, weights @ x / weights.sum(1), np.nan)

    found = bootstrap(where_first_is_drawn, np.zeros(8), n_boot=400)
    assert found.method == "bootstrap percentile"  # leaving the first out is undefined, so there is no BCa
    assert 0 <= found.low < 3.5 < found.high <= 7


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_coverage_of_the_mean(method: str) -> None:
    """The 95 % interval of a mean covers the truth in about 95 % of samples."""
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        x = generator.normal(size=40)

        def mean(weights: np.ndarray, x: np.ndarray = x) -> np.ndarray:
            return weights @ x / weights.sum(1)

        found = bootstrap(mean, np.zeros(40), method=method, n_boot=400, seed=trial)  # type: ignore[arg-type]
        covered += found.low <= 0 <= found.high
    assert stats.binomtest(covered, 200, 0.95).pvalue > 1e-3
