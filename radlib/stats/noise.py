"""What wrong labels do to a measured accuracy.

Some cohorts count patients whose status was never determined as negative. Three questions, three functions: how far
can a metric move under *any* truth of those patients (:func:`assignment_bounds`), how far does it move under
*plausible* truths (:func:`assignment_simulation`), and what does the same kind of noise do to a classifier that is
*trained* on it, where the truth is known (:func:`refit_under_noise`)?
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import rng
from radlib.stats.classification import METRICS, Confusion, Predictions
from radlib.stats.intervals import TAILS, Floats
from radlib.stats.roc import as_labels

#: Labels ``(n,)`` and a seed to out-of-sample predictions that were trained on, and hold, these labels.
FitPredict = Callable[[NDArray[np.bool_], int], Predictions]

_FROM_COUNTS = tuple(name for name in METRICS if name not in ("auc", "brier"))


def assignment_bounds(predictions: Predictions, uncertain: ArrayLike) -> pd.DataFrame:
    """The smallest and largest value of each metric over *all* labellings of the uncertain patients; exact.

    The predictions stay as they are. A metric of the confusion matrix depends only on how many of the uncertain
    patients called positive, and how many of those called negative, are truly positive, so that all combinations can
    be tried. For a given number of positives among them the AUC is largest if they have the highest scores, since it
    grows with the rank sum of the positives; the Brier score is a sum over patients.

    Args:
        predictions: of one run.
        uncertain: ``(n,)``, True where the label is in doubt.

    Returns:
        Indexed by metric: ``value`` (as labelled), ``low``, ``high``; NaN where undefined under every labelling or
        without scores or probabilities. Without uncertain patients, low and high are the value.

    Raises:
        RadlibError: if there are several runs.
    """
    doubt = _one_run(predictions, uncertain)
    called = predictions.predicted[0]
    known = Confusion.count(predictions.truth[~doubt], called[~doubt])
    a_max, b_max = int((doubt & called).sum()), int((doubt & ~called).sum())
    a, b = np.meshgrid(np.arange(a_max + 1), np.arange(b_max + 1))
    every = Confusion(known.tp + a, known.fp + a_max - a, known.tn + b_max - b, known.fn + b)
    found = {name: np.ravel(every.metric(name)) for name in _FROM_COUNTS}

    if predictions.score is not None:
        order = np.flatnonzero(doubt)[np.argsort(predictions.score[0][doubt], kind="stable")]
        extremes = []
        for count in range(len(order) + 1):
            for chosen in (order[:count], order[len(order) - count :]):
                labels = predictions.truth & ~doubt
                labels[chosen] = True
                extremes.append(labels)
        found["auc"] = _label_metrics(predictions, np.array(extremes))["auc"]
    if predictions.probability is not None:
        p = predictions.probability[0]
        fixed = np.sum((p - predictions.truth)[~doubt] ** 2)
        wrong = np.sort(np.stack([p[doubt] ** 2, (1 - p[doubt]) ** 2]), axis=0).sum(axis=1)
        found["brier"] = (fixed + wrong) / predictions.n

    labelled = _label_metrics(predictions, predictions.truth[None])
    rows = {name: (float(labelled[name][0]), *_range(found.get(name))) for name in METRICS}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"]).rename_axis("metric")


def assignment_simulation(
    predictions: Predictions,
    uncertain: ArrayLike,
    positive_rate: ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Metrics when the labels of the uncertain patients are drawn at random; the predictions stay as they are.

    Args:
        predictions: of one run.
        uncertain: ``(n,)``, True where the label is in doubt.
        positive_rate: ``(n,)`` or a scalar: the probability that an uncertain patient is positive, such as the rate
            among patients of the same collection whose status is known. Entries of certain patients are not used.
        draws: labellings drawn.
        seed: of the draws.

    Returns:
        Indexed by metric: ``value`` (as labelled), ``mean``, ``low``, ``high`` over the draws, undefined draws left
        out; NaN where none is defined.

    Raises:
        RadlibError: if there are several runs, or a rate in use lies outside [0, 1].
    """
    doubt = _one_run(predictions, uncertain)
    rate = np.broadcast_to(np.asarray(positive_rate, dtype=np.float64), doubt.shape)
    in_use = rate[doubt]
    if not ((in_use >= 0) & (in_use <= 1)).all():
        raise RadlibError("a rate outside [0, 1]", remedy="give the probability that a patient is positive")
    labels = np.tile(predictions.truth, (draws, 1))
    labels[:, doubt] = rng(seed, "label assignment").random((draws, int(doubt.sum()))) < in_use
    labelled = _label_metrics(predictions, predictions.truth[None])
    rows = {}
    for name, values in _label_metrics(predictions, labels).items():
        defined = values[np.isfinite(values)]
        spread = [float("nan")] * 3
        if len(defined):
            spread = [float(defined.mean()), *np.quantile(defined, TAILS)]
        rows[name] = [float(labelled[name][0]), *spread]
    columns = ["value", "mean", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("metric")


def counted_as_negative(
    truth: ArrayLike, *, unknown: ArrayLike, missed: float = 0.0, seed: int = 0
) -> NDArray[np.bool_]:
    """Labels of a cohort in which a patient without a known status counts as negative.

    Args:
        truth: ``(n,)``.
        unknown: ``(n,)`` or a scalar: the probability that a patient's status was not determined.
        missed: probability that a positive whose status was determined was overlooked.
        seed: of the draws.

    Returns:
        ``(n,)``: positives, less those unknown and those missed. Negatives always stay negative.
    """
    t = as_labels(truth, name="truth")
    generator = rng(seed, "counted as negative")
    lost = generator.random(len(t)) < np.asarray(unknown, dtype=np.float64)
    overlooked = generator.random(len(t)) < missed
    return t & ~lost & ~overlooked


def refit_under_noise(
    fit_predict: FitPredict,
    truth: ArrayLike,
    *,
    unknown: ArrayLike,
    missed: float = 0.0,
    draws: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Train and judge on noisy labels, then judge the same predictions by the truth.

    Each draw makes labels with :func:`counted_as_negative`, calls ``fit_predict`` on them and computes every metric
    twice. The gap between the two is what the noise does to the *measurement*; the gap between ``by truth`` here and
    a run on clean labels is what it does to the *classifier*.

    Returns:
        One row a draw and metric: ``draw``, ``flipped`` (patients with a wrong label), ``metric``, ``by label``,
        ``by truth``. Draws that leave a class with fewer than two patients are skipped.
    """
    t = as_labels(truth, name="truth")
    rows = []
    for draw in track(range(draws), description="noisy labels"):
        labels = counted_as_negative(t, unknown=unknown, missed=missed, seed=seed + draw)
        if min(labels.sum(), (~labels).sum()) < 2:
            continue
        noisy = fit_predict(labels, draw)
        for name, by_label in mean_metrics(noisy).items():
            rows.append(
                {
                    "draw": draw,
                    "flipped": int((labels != t).sum()),
                    "metric": name,
                    "by label": by_label,
                    "by truth": mean_metrics(noisy.relabelled(t))[name],
                }
            )
    return pd.DataFrame(rows, columns=["draw", "flipped", "metric", "by label", "by truth"])


def mean_metrics(predictions: Predictions) -> dict[str, float]:
    """Every metric without an interval, averaged over the runs; NaN where undefined (as in ``evaluate``)."""
    from radlib.stats.classification import weighted_metric

    ones = np.ones((1, predictions.n))
    found = {name: weighted_metric(name, predictions) for name in METRICS}
    return {name: float("nan") if f is None else float(f(ones)[0]) for name, f in found.items()}


def _one_run(predictions: Predictions, uncertain: ArrayLike) -> NDArray[np.bool_]:
    if predictions.runs != 1:
        raise RadlibError(
            f"predictions of {predictions.runs} runs", remedy="give one run, such as leave-one-out predictions"
        )
    doubt = as_labels(uncertain, name="uncertain")
    if doubt.shape != predictions.truth.shape:
        raise RadlibError(f"{doubt.shape} flags for {predictions.n} patients", remedy="give one a patient")
    return doubt


def _label_metrics(predictions: Predictions, labels: NDArray[np.bool_]) -> dict[str, Floats]:
    """Every metric of one run under each of ``D`` labellings ``(D, n)``."""
    called = predictions.predicted[0]
    counts = Confusion(
        (labels & called).sum(1), (~labels & called).sum(1), (~labels & ~called).sum(1), (labels & ~called).sum(1)
    )
    result = {name: np.asarray(counts.metric(name)) for name in _FROM_COUNTS}
    nothing = np.full(len(labels), np.nan)
    result["auc"] = result["brier"] = nothing
    if predictions.score is not None:
        positives = labels.sum(axis=1)
        pairs = positives * (predictions.n - positives)
        rank_sum = labels @ stats.rankdata(predictions.score[0])
        above = rank_sum - positives * (positives + 1) / 2
        result["auc"] = np.divide(above, pairs, out=nothing.copy(), where=pairs > 0)
    if predictions.probability is not None:
        result["brier"] = ((predictions.probability[0] - labels) ** 2).mean(axis=1)
    return {name: result[name] for name in METRICS}


def _range(values: Floats | None) -> tuple[float, float]:
    defined = np.empty(0) if values is None else values[np.isfinite(values)]
    if not len(defined):
        return float("nan"), float("nan")
    return float(defined.min()), float(defined.max())
