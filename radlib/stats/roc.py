"""ROC curves: the area with DeLong's interval and test, and the curve with a band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.stats.intervals import TAILS, Estimate, Floats, resample_weights


@dataclass(frozen=True)
class PairedTest:
    """Two classifiers on the same patients.

    Attributes:
        difference: first minus second.
        low, high: interval of the difference; NaN where the test gives none.
        statistic: the test statistic; NaN for an exact test.
        p_value: two-sided; NaN where the test is undefined.
        method: name of the test.
    """

    difference: float
    low: float
    high: float
    statistic: float
    p_value: float
    method: str


@dataclass(frozen=True)
class RocCurve:
    """A ROC curve on a grid of false positive rates.

    Attributes:
        fpr: ``(G,)``, the grid, from 0 to 1.
        tpr: ``(G,)``, true positive rate, the mean over the runs at each false positive rate.
        low, high: ``(G,)``, pointwise limits; NaN without a band.
    """

    fpr: Floats
    tpr: Floats
    low: Floats
    high: Floats


def roc_curve(
    truth: ArrayLike,
    score: ArrayLike,
    *,
    grid: int = 101,
    n_boot: int = 500,
    seed: int = 0,
) -> RocCurve:
    """The ROC curve, averaged vertically over runs, with a pointwise percentile band.

    The band resamples patients within each class (Fawcett 2006 for vertical averaging). All NaN where a class is
    absent. ``score`` is ``(n,)`` or ``(R, n)``; ``n_boot=0`` leaves the band out.
    """
    t = as_labels(truth, name="truth")
    scores = np.atleast_2d(np.asarray(score, dtype=np.float64))
    fpr = np.linspace(0, 1, grid)
    nothing = np.full(grid, np.nan)
    if not t.any() or t.all():
        return RocCurve(fpr, nothing, nothing, nothing)
    tpr = _mean_curve(t, scores, np.ones((1, len(t))), fpr)[0]
    if n_boot == 0:
        return RocCurve(fpr, tpr, nothing, nothing)
    draws = _mean_curve(t, scores, resample_weights(t, n_boot=n_boot, seed=seed), fpr)
    low, high = np.quantile(draws, TAILS, axis=0)
    return RocCurve(fpr, tpr, low, high)


def auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties counting half.

    NaN where a class is absent. ``score`` may be ``(n,)`` or ``(R, n)``; the latter gives the mean over runs.
    """
    t = as_labels(truth, name="truth")
    if not t.any() or t.all():
        return float("nan")
    return float(pair_kernel(t, np.atleast_2d(np.asarray(score, dtype=np.float64))).mean())


def delong(truth: ArrayLike, score: ArrayLike) -> Estimate:
    """The AUC with the interval of DeLong, DeLong and Clarke-Pearson (1988), cut to [0, 1].

    NaN where a class is absent. The limits are NaN where a class has fewer than two patients, and where the estimated
    variance is zero (perfect separation), since the method then says nothing about uncertainty.
    """
    t = as_labels(truth, name="truth")
    areas, covariance = _delong_parts(t, np.atleast_2d(np.asarray(score, dtype=np.float64)))
    value, variance = float(areas[0]), float(covariance[0, 0])
    if not variance > 0:
        return Estimate(value, n=len(t), method="DeLong")
    half = stats.norm.ppf(TAILS[1]) * np.sqrt(variance)
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), len(t), "DeLong")


def delong_test(truth: ArrayLike, first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Do two scores of the same patients have the same AUC? The paired test of DeLong et al. (1988).

    Identical rankings give p = 1. NaN where a class has fewer than two patients, or where the variance of a non-zero
    difference is zero.
    """
    t = as_labels(truth, name="truth")
    areas, covariance = _delong_parts(t, np.stack([np.asarray(first, float), np.asarray(second, float)]))
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    nan = float("nan")
    if np.isnan(variance) or np.isnan(difference):
        return PairedTest(difference, nan, nan, nan, nan, "DeLong")
    if variance <= 1e-15:
        return PairedTest(difference, nan, nan, nan, 1.0 if abs(difference) < 1e-12 else nan, "DeLong")
    z = difference / np.sqrt(variance)
    half = stats.norm.ppf(TAILS[1]) * np.sqrt(variance)
    return PairedTest(
        difference, difference - half, difference + half, float(z), float(2 * stats.norm.sf(abs(z))), "DeLong"
    )


def as_labels(values: ArrayLike, *, name: str) -> NDArray[np.bool_]:
    """Labels as booleans.

    Raises:
        RadlibError: if a label is anything but 0, 1, False or True.
    """
    array = np.asarray(values)
    if array.dtype != bool:
        if not np.isin(array, (0, 1)).all():
            found = sorted({str(value) for value in array.ravel()[:1000]} - {"0", "1"})[:3]
            raise RadlibError(
                f"{name} holds {', '.join(found)}", remedy="give 1 for the positive class and 0 for the other"
            )
        array = array.astype(bool)
    return array


def pair_kernel(truth: NDArray[np.bool_], score: Floats) -> Floats:
    """1, 0.5 or 0 for each (positive, negative) pair of ``score`` ``(R, n)``, averaged over runs: ``(m, k)``."""
    gap = score[:, truth, None] - score[:, None, ~truth]
    return ((gap > 0) + 0.5 * (gap == 0)).mean(axis=0)


def _delong_parts(truth: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Areas ``(K,)`` of K scores and their covariance ``(K, K)`` from the structural components."""
    k, m, n = len(scores), int(truth.sum()), int((~truth).sum())
    if m == 0 or n == 0:
        return np.full(k, np.nan), np.full((k, k), np.nan)
    kernels = np.stack([pair_kernel(truth, score[None]) for score in scores])
    areas = kernels.mean(axis=(1, 2))
    if m < 2 or n < 2:
        return areas, np.full((k, k), np.nan)
    by_positive = np.atleast_2d(np.cov(kernels.mean(axis=2)))
    by_negative = np.atleast_2d(np.cov(kernels.mean(axis=1)))
    return areas, by_positive / m + by_negative / n


def _mean_curve(truth: NDArray[np.bool_], scores: Floats, weights: Floats, fpr: Floats) -> Floats:
    """True positive rate of weighted patients at each ``fpr``, averaged over runs: ``(B, G)``."""
    total = np.zeros((len(weights), len(fpr)))
    for score in scores:
        order = np.argsort(-score, kind="stable")
        last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
        rates = []
        for member in (~truth, truth):
            counts = np.cumsum(weights[:, order] * member[order], axis=1)[:, last_of_tie]
            rates.append(np.pad(counts / counts[:, -1:], ((0, 0), (1, 0))))
        for row, (x, y) in enumerate(zip(*rates, strict=True)):
            total[row] += np.interp(fpr, x, y)  # on a vertical piece np.interp takes its upper end
    return total / len(scores)
