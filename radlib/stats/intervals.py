"""Confidence intervals: of proportions, and of any statistic by resampling patients.

The bootstrap works on *weights*: a resample is a vector that says how often each patient was drawn, and a statistic
is a function of such vectors. Two thousand resamples of a table of metrics are then a few matrix products, and the
jackknife that BCa needs is the same function with one weight set to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng

Floats = NDArray[np.float64]

#: A statistic of weighted patients: weights ``(B, n)`` to values ``(B,)``; NaN where it is undefined.
WeightedStatistic = Callable[[Floats], Floats]

ResamplingMethod = Literal["bca", "percentile"]

LEVEL = 0.95
"""The coverage of every interval of the book."""
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)

_BLOCK = 512  # resamples evaluated at once, so that memory stays in megabytes


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, and how the interval was made.

    Attributes:
        value: the estimate; NaN where the statistic is undefined.
        low, high: limits of the interval; NaN where there is none.
        n: patients behind it.
        method: how the interval was made, e.g. ``DeLong``; empty without an interval.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    method: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The keyword arguments that ``Report.value`` takes."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def proportion(successes: int, n: int) -> Estimate:
    """A proportion with Wilson's score interval; ``n == 0`` gives NaN throughout.

    It has close to nominal coverage for the cohort sizes of these papers (Brown, Cai and DasGupta 2001).

    Raises:
        RadlibError: if ``successes`` is not between 0 and ``n``.
    """
    if not 0 <= successes <= n:
        raise RadlibError(f"{successes} successes of {n} is no proportion", remedy="give 0 <= successes <= n")
    if n == 0:
        return Estimate(float("nan"), n=0, method="wilson")
    limits = stats.binomtest(int(successes), int(n)).proportion_ci(confidence_level=LEVEL, method="wilson")
    return Estimate(successes / n, float(limits.low), float(limits.high), int(n), "wilson")


def bootstrap(
    statistic: WeightedStatistic,
    strata: ArrayLike,
    *,
    method: ResamplingMethod = "bca",
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The interval of a statistic over patients drawn with replacement within each stratum.

    Args:
        statistic: weights ``(B, n)`` to values ``(B,)``; it is also called with all weights one (the estimate) and
            with one weight zero (the jackknife).
        strata: ``(n,)``, one label a patient, e.g. the class. Each stratum keeps its size in every resample; give a
            constant for the plain bootstrap.
        method: ``percentile``, or ``bca``: bias-corrected and accelerated (Efron 1987), with the acceleration of
            several samples where there are several strata (Efron and Tibshirani 1993).
            BCa falls back to the percentiles where the jackknife is undefined; the estimate's ``method`` says so.
        n_boot: number of resamples.
        seed: of the resampling.

    Returns:
        The estimate. The limits are NaN where the statistic is undefined, or where all resamples agree (a perfect
        classifier): such a sample says nothing about the spread. Resamples in which the statistic is undefined are
        left out; with more than half undefined the limits are NaN.
    """
    groups = np.unique(np.asarray(strata), return_inverse=True)[1]
    n = len(groups)
    label = f"bootstrap {'BCa' if method == 'bca' else 'percentile'}"
    if n == 0:
        return Estimate(float("nan"), n=0, method=label)
    value = float(statistic(np.ones((1, n)))[0])
    if not np.isfinite(value):
        return Estimate(float("nan"), n=n, method=label)
    draws = _in_blocks(statistic, resample_weights(groups, n_boot=n_boot, seed=seed))
    draws = draws[np.isfinite(draws)]
    if len(draws) < n_boot / 2 or np.ptp(draws) == 0:
        return Estimate(value, n=n, method=label)
    tails = np.array(TAILS)
    if method == "bca":
        corrected = _bca_tails(statistic, groups, draws, value, tails)
        if corrected is None:
            label = "bootstrap percentile"
        else:
            tails = corrected
    low, high = np.quantile(draws, tails)
    return Estimate(value, float(low), float(high), n, label)


def mean_estimate(values: ArrayLike, *, n_boot: int = 2000, seed: int = 0) -> Estimate:
    """The mean over patients, ``(n,)`` with NaN where undefined, with its bootstrap interval; ``n`` of the defined."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return Estimate(float("nan"), n=0)
    return bootstrap(
        lambda weights: weights @ known / weights.sum(axis=1), np.zeros(len(known)), n_boot=n_boot, seed=seed,
    )  # fmt: skip


def crossed_mean(
    values: Floats, *, random: np.random.Generator, n_boot: int = 2000,
    method: str = "crossed bootstrap",
) -> Estimate:  # fmt: skip
    """The mean over groups of their means over runs and subjects, with an interval that allows for both.

    Every resample draws runs (trainings: another seed or fold each) and subjects, independently and with replacement:
    another training and other patients would move the mean by so much. With one run the interval is that over subjects
    alone. Undefined values count for nothing.

    Args:
        values: ``(groups, runs, subjects)``.
        random: draws runs first, then subjects.
        n_boot: of the bootstrap.
        method: as the estimate calls it.

    Returns:
        The estimate; ``n`` counts subjects with any value. NaN where a group has none.
    """
    groups, runs, subjects = values.shape
    known = np.isfinite(values)
    n = int(known.any(axis=(0, 1)).sum())
    if not groups or not known.any(axis=(1, 2)).all():
        return Estimate(float("nan"), n=n)
    filled = np.where(known, values, 0.0)
    point = float(np.mean(filled.sum(axis=(1, 2)) / known.sum(axis=(1, 2))))
    if n < 2:  # one subject says nothing of others
        return Estimate(point, n=n)
    by_run = random.multinomial(runs, [1 / runs] * runs, size=n_boot)
    by_subject = random.multinomial(subjects, [1 / subjects] * subjects, size=n_boot)
    total = np.einsum("br,grs,bs->bg", by_run, filled, by_subject)
    count = np.einsum("br,grs,bs->bg", by_run, known.astype(float), by_subject)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = (total / count).mean(axis=1)
    draws = draws[np.isfinite(draws)]  # a resample may hold no subject in whom a rare region is defined
    low, high = np.quantile(draws, TAILS) if len(draws) else (float("nan"),) * 2
    return Estimate(point, float(low), float(high), n, method)


def permutation_interval(values: ArrayLike) -> Estimate:
    """The mean of a result over permutations, with the t interval of that mean (permutations are independent).

    ``n`` counts permutations. One permutation has no interval, none gives NaN throughout.
    """
    found = np.asarray(values, dtype=float)
    if found.size < 2:
        return Estimate(float(found[0]) if found.size else float("nan"), n=int(found.size), method="t, permutations")
    half = stats.t.ppf(TAILS[1], found.size - 1) * found.std(ddof=1) / np.sqrt(found.size)
    mean = float(found.mean())
    return Estimate(mean, float(mean - half), float(mean + half), int(found.size), "t, permutations")


def permutation_p_value(observed: float, permuted: ArrayLike) -> float:
    """(1 + permutations at least as good) / (1 + permutations) (Phipson and Smyth 2010). Larger is better."""
    null = np.asarray(permuted, dtype=float)
    return float((1 + np.count_nonzero(null >= observed)) / (1 + null.size))


def corrected_resampled_interval(fold_values: ArrayLike, *, n_train: float, n_test: float) -> Estimate:
    """The interval of Nadeau and Bengio (2003) over fold results: variance (1/J + n_test/n_train) s^2, J - 1 degrees.

    Args:
        fold_values: (J,) results of all folds of all repeats; NaN is left out. Fewer than two give no interval.
        n_train: subjects of a training fold (mean).
        n_test: subjects of a test fold (mean).
    """
    values = np.asarray(fold_values, dtype=float)
    values = values[np.isfinite(values)]
    J = values.size
    if J < 2:
        return Estimate(float(values[0]) if J else float("nan"), n=J, method="Nadeau-Bengio")
    half = stats.t.ppf(TAILS[1], J - 1) * np.sqrt((1 / J + n_test / n_train) * values.var(ddof=1))
    mean = float(values.mean())
    return Estimate(mean, float(mean - half), float(mean + half), J, "Nadeau-Bengio")


def resample_weights(strata: ArrayLike, *, n_boot: int, seed: int = 0) -> Floats:
    """How often each patient is drawn: ``(n_boot, n)``, each stratum's weights adding up to its size."""
    groups = np.asarray(strata)
    generator = rng(seed, "bootstrap", len(groups))
    weights = np.zeros((n_boot, len(groups)))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        weights[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), n_boot)
    return weights


def _in_blocks(statistic: WeightedStatistic, weights: Floats) -> Floats:
    return np.concatenate([statistic(weights[i : i + _BLOCK]) for i in range(0, len(weights), _BLOCK)])


def _bca_tails(
    statistic: WeightedStatistic, groups: NDArray[np.intp], draws: Floats, value: float, tails: Floats
) -> Floats | None:
    """The corrected tail probabilities, or None where bias or acceleration cannot be computed."""
    n = len(groups)
    left_out = _in_blocks(statistic, np.ones((n, n)) - np.eye(n))
    gap = draws - value
    tied = np.abs(gap) < 1e-12 * max(1.0, abs(value))  # equal but for rounding
    below = np.mean((gap < 0) & ~tied) + np.mean(tied) / 2
    if not np.all(np.isfinite(left_out)) or not 0 < below < 1:
        return None
    squares = cubes = 0.0
    for group in np.unique(groups):
        jackknife = left_out[groups == group]
        size = len(jackknife)
        influence = (size - 1) * (jackknife.mean() - jackknife)
        squares += np.sum(influence**2) / size**2
        cubes += np.sum(influence**3) / size**3
    if squares == 0:
        return None
    acceleration = cubes / (6 * squares**1.5)
    bias = stats.norm.ppf(below)
    shifted = bias + stats.norm.ppf(tails)
    return stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
