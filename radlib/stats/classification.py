"""Binary classification of patients: metrics, their intervals, and tests between two classifiers.

The positive class is the one that is to be found (here: IDH mutant). Everything counts patients. Predictions may be
repeated (``R`` runs of a cross-validation over the same ``n`` patients); a metric is then the mean over the runs and
its interval still comes from resampling the patients, because repeating a split adds no patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.stats.intervals import (
    Estimate,
    Floats,
    ResamplingMethod,
    WeightedStatistic,
    bootstrap,
    proportion,
)
from radlib.stats.roc import PairedTest, as_labels, delong, pair_kernel

#: Patients, or sums of their weights.
Counts = NDArray[Any] | float

#: The metrics of :func:`evaluate`, in the order in which tables show them.
METRICS = ("auc", "accuracy", "sensitivity", "specificity", "ppv", "npv", "mcc", "balanced_accuracy", "brier")
SHARES = ("accuracy", "sensitivity", "specificity", "ppv", "npv")
"""Those of them that are shares of patients."""


@dataclass(frozen=True)
class Confusion:
    """The four counts of a binary classifier; metrics without a denominator are NaN (never 0 or 1).

    Attributes:
        tp, fp, tn, fn: patients. They may be sums of weights, and arrays of one shape.
    """

    tp: Counts
    fp: Counts
    tn: Counts
    fn: Counts

    @classmethod
    def count(cls, truth: ArrayLike, predicted: ArrayLike) -> Confusion:
        """Count ``truth`` against ``predicted``, both ``(n,)`` and boolean."""
        t, p = as_labels(truth, name="truth"), as_labels(predicted, name="predicted")
        if t.shape != p.shape:
            raise RadlibError(f"{t.shape[0]} true labels and {p.shape} predictions", remedy="give one each")
        return cls(int((t & p).sum()), int((~t & p).sum()), int((~t & ~p).sum()), int((t & ~p).sum()))

    def share(self, name: str) -> tuple[Counts, Counts]:
        """Counted and among how many: of ``accuracy, sensitivity, specificity, ppv, npv``."""
        return {
            "accuracy": (self.tp + self.tn, self.tp + self.fp + self.tn + self.fn),
            "sensitivity": (self.tp, self.tp + self.fn),
            "specificity": (self.tn, self.tn + self.fp),
            "ppv": (self.tp, self.tp + self.fp),
            "npv": (self.tn, self.tn + self.fn),
        }[name]

    def metric(self, name: str) -> Counts:
        """One of :data:`SHARES`, or ``balanced_accuracy`` or ``mcc`` (Matthews' correlation coefficient, in [-1, 1]).

        Where a row or column of the table is empty MCC is NaN; scikit-learn gives 0 there, which reads as "no better
        than chance" and hides that nothing was decided.
        """
        if name == "balanced_accuracy":
            return (self.metric("sensitivity") + self.metric("specificity")) / 2
        if name == "mcc":
            product = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
            return _ratio(self.tp * self.tn - self.fp * self.fn, np.sqrt(product))
        return _ratio(*self.share(name))


@dataclass(frozen=True)
class Predictions:
    """Out-of-sample predictions for ``n`` patients in ``R`` runs, every patient predicted once a run.

    Attributes:
        truth: ``(n,)``, True for the positive class.
        predicted: ``(R, n)``, the class that was decided on.
        score: ``(R, n)``, higher for the positive class, any scale; None where the method gives none.
        probability: ``(R, n)`` in [0, 1]; None where the method gives none.
    """

    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    score: Floats | None = None
    probability: Floats | None = None

    @classmethod
    def of(
        cls,
        truth: ArrayLike,
        predicted: ArrayLike,
        *,
        score: ArrayLike | None = None,
        probability: ArrayLike | None = None,
    ) -> Predictions:
        """Checked predictions; ``(n,)`` arrays count as one run.

        Raises:
            RadlibError: if shapes disagree, a label is neither 0 nor 1, a score is not finite, or a probability lies
                outside [0, 1].
        """
        t = as_labels(truth, name="truth")
        p = np.atleast_2d(as_labels(predicted, name="predicted"))
        parts: dict[str, Floats | None] = {}
        for name, values in (("score", score), ("probability", probability)):
            parts[name] = None if values is None else np.atleast_2d(np.asarray(values, dtype=np.float64))
        for name, array in (("predicted", p), *parts.items()):
            if array is not None and array.shape != (len(p), len(t)):
                raise RadlibError(
                    f"{name} has shape {array.shape} for {len(t)} patients and {len(p)} runs",
                    remedy="give (runs, patients), or (patients,) for one run",
                )
        for name, values in parts.items():
            if values is not None and not np.isfinite(values).all():
                raise RadlibError(f"{name} holds NaN or infinity", remedy="predict every patient once a run")
        if (q := parts["probability"]) is not None and q.size and (q.min() < 0 or q.max() > 1):
            raise RadlibError(f"a probability of {q.min() if q.min() < 0 else q.max()}", remedy="give values in [0, 1]")
        return cls(t, p, parts["score"], parts["probability"])

    @property
    def n(self) -> int:
        """Patients."""
        return len(self.truth)

    @property
    def runs(self) -> int:
        """Runs of the cross-validation."""
        return len(self.predicted)

    def subset(self, members: ArrayLike) -> Predictions:
        """The same predictions for some patients only (a boolean mask or indices)."""
        index = np.asarray(members)
        return Predictions(
            self.truth[index],
            self.predicted[:, index],
            None if self.score is None else self.score[:, index],
            None if self.probability is None else self.probability[:, index],
        )

    def relabelled(self, truth: ArrayLike) -> Predictions:
        """The same predictions held against other labels."""
        return Predictions.of(truth, self.predicted, score=self.score, probability=self.probability)


def mcnemar_exact(truth: ArrayLike, first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Are two classifiers equally often right on the same patients? McNemar's test, exact (binomial, two-sided).

    Only patients on whom one is right and the other wrong count; without any, p = 1. ``difference`` is that of the
    accuracies; take its interval from :func:`difference`.
    """
    t = as_labels(truth, name="truth")
    right_first = as_labels(first, name="first") == t
    right_second = as_labels(second, name="second") == t
    only_first = int((right_first & ~right_second).sum())
    only_second = int((right_second & ~right_first).sum())
    nan = float("nan")
    discordant = only_first + only_second
    p = stats.binomtest(only_first, discordant).pvalue if discordant else 1.0
    gap = (only_first - only_second) / len(t) if len(t) else nan
    return PairedTest(gap, nan, nan, nan, float(p), "McNemar, exact")


def evaluate(
    predictions: Predictions,
    *,
    intervals: Literal["analytic"] | ResamplingMethod = "analytic",
    n_boot: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every metric of :data:`METRICS` with its interval; each estimate says how the interval was made.

    Args:
        predictions: of one or several runs.
        intervals: ``analytic`` takes DeLong's interval for the AUC, Wilson's for accuracy, sensitivity,
            specificity, PPV and NPV, and the BCa bootstrap for MCC, balanced accuracy and the Brier score, which have
            no standard closed form. Several runs have none either, so all of theirs are BCa. ``bca`` and
            ``percentile`` resample for everything. Resampling is of patients, within each true class.
        n_boot, seed: of the intervals.

    Returns:
        One estimate a metric. NaN where undefined: the AUC and the Brier score without scores and probabilities, the
        rest as in :class:`Confusion`. With several runs a metric is NaN if it is undefined in any run.
    """
    result: dict[str, Estimate] = {}
    closed = _closed_form(predictions) if intervals == "analytic" else {}
    method: ResamplingMethod = "bca" if intervals == "analytic" else intervals
    for name in METRICS:
        if name in closed:
            result[name] = closed[name]
            continue
        statistic = weighted_metric(name, predictions)
        if statistic is None:
            result[name] = Estimate(float("nan"), n=predictions.n)
            continue
        result[name] = bootstrap(statistic, predictions.truth, method=method, n_boot=n_boot, seed=seed)
    return result


def difference(
    first: Predictions,
    second: Predictions,
    metric: str,
    *,
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """First minus second in one metric, with both resampled together (the same patients, within each class).

    The runs of the two need not be as many. NaN where either is undefined.

    Raises:
        RadlibError: if the two are not about the same patients, or the metric is unknown.
    """
    if first.n != second.n or not np.array_equal(first.truth, second.truth):
        raise RadlibError(
            "two sets of predictions with different true labels cannot be compared in pairs",
            remedy="predict the same patients in the same order",
        )
    one, two = weighted_metric(metric, first), weighted_metric(metric, second)
    if one is None or two is None:
        return Estimate(float("nan"), n=first.n)
    return bootstrap(
        lambda weights: one(weights) - two(weights),
        first.truth,
        n_boot=n_boot,
        seed=seed,
    )


def tidy(estimates: Mapping[str, Mapping[str, Estimate]]) -> pd.DataFrame:
    """One row a model and metric: ``model, metric, value, low, high, n, interval``."""
    rows = [
        {"model": model, "metric": name, **estimate.as_dict(), "interval": estimate.method}
        for model, row in estimates.items()
        for name, estimate in row.items()
    ]
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high", "n", "interval"])


def weighted_metric(name: str, predictions: Predictions) -> WeightedStatistic | None:
    """The metric as a function of patients' weights ``(B, n)``, for :func:`~radlib.stats.intervals.bootstrap`.

    None where the predictions lack what the metric needs (a score, a probability; for the AUC, both classes).

    Raises:
        RadlibError: if there is no metric of that name.
    """
    truth = predictions.truth
    if name == "auc":
        if predictions.score is None or not truth.any() or truth.all():
            return None
        kernel = pair_kernel(truth, predictions.score)

        def area(weights: Floats) -> Floats:
            positive, negative = weights[:, truth], weights[:, ~truth]
            pairs = positive.sum(1) * negative.sum(1)
            return np.asarray(_ratio(np.sum((positive @ kernel) * negative, axis=1), pairs))

        return area
    if name == "brier":
        if predictions.probability is None:
            return None
        squared = ((predictions.probability - truth) ** 2).mean(axis=0)
        return lambda weights: np.asarray(_ratio(weights @ squared, weights.sum(axis=1)))
    if name not in METRICS:
        raise RadlibError(f"no metric {name!r}", remedy=f"give one of {', '.join(METRICS)}")
    called = predictions.predicted
    cells = [truth & called, ~truth & called, ~truth & ~called, truth & ~called]
    tables = [cell.T.astype(np.float64) for cell in cells]

    def from_counts(weights: Floats) -> Floats:
        counts = Confusion(*(weights @ table for table in tables))  # each (B, R)
        return np.asarray(counts.metric(name)).mean(axis=1)

    return from_counts


def _closed_form(predictions: Predictions) -> dict[str, Estimate]:
    if predictions.runs != 1:
        return {}
    counts = Confusion.count(predictions.truth, predictions.predicted[0])
    result = {name: proportion(*map(int, counts.share(name))) for name in SHARES}
    if predictions.score is not None:
        result["auc"] = delong(predictions.truth, predictions.score[0])
    return result


def _ratio(numerator: Counts, denominator: Counts) -> Counts:
    """Numerator over denominator, NaN where the denominator is zero."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom != 0)
    return out if out.ndim else float(out)
