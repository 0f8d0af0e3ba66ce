"""Means over random partitions with intervals over patients and over runs, and tests between arms.

A patient may be tested in several partitions. Intervals over patients resample patients, each with all its predictions;
intervals over runs are those of Nadeau and Bengio, since the runs' training sets overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.published import published
from radlib.stats.classification import Predictions, mcnemar_exact, weighted_metric
from radlib.stats.intervals import Estimate, Floats, WeightedStatistic, bootstrap, corrected_resampled_interval
from radlib.stats.tables import format_interval

METRICS = ("auc", "accuracy", "sensitivity", "specificity")


def predictions_of(table: pd.DataFrame) -> Predictions:
    """Rows ``truth``, ``predicted``, ``probability`` as checked predictions of one run."""
    return Predictions.of(
        table["truth"].to_numpy(dtype=bool), table["predicted"].to_numpy(dtype=bool),
        score=table["probability"].to_numpy(dtype=float), probability=table["probability"].to_numpy(dtype=float),
    )  # fmt: skip


def _mean_over_runs(table: pd.DataFrame, metric: str, place: dict[str, int]) -> WeightedStatistic:
    """The metric, mean over the runs in which it is defined, as a function of patients' weights ``(B, N)``."""
    parts = []
    for _, part in table.groupby("run", sort=True):
        found = weighted_metric(metric, predictions_of(part))
        if found is not None:
            parts.append((np.array([place[subject] for subject in part["subject"]]), found))

    def mean(weights: Floats) -> Floats:
        values = np.array([found(weights[:, rows]) for rows, found in parts]).reshape(len(parts), len(weights))
        defined = np.isfinite(values)
        total = np.where(defined, values, 0).sum(axis=0)
        return np.asarray(np.where(defined.any(axis=0), total / np.maximum(defined.sum(axis=0), 1), np.nan))

    return mean


def _patients(table: pd.DataFrame) -> tuple[dict[str, int], np.ndarray]:
    """Places of the patients, and their classes as strata."""
    first = table.drop_duplicates("subject").sort_values("subject")
    return {subject: number for number, subject in enumerate(first["subject"])}, first["truth"].to_numpy(dtype=bool)


def estimate(table: pd.DataFrame, metric: str, *, n_boot: int = 1000, seed: int = 0) -> Estimate:
    """A metric of one arm: mean over runs, with an interval over patients.

    Args:
        table: one arm's rows ``subject, run, truth, predicted, probability``.
        metric: ``auc``, ``accuracy``, ``sensitivity``, ``specificity``.
        n_boot, seed: of the bootstrap within classes.

    Returns:
        NaN without rows, or where no run defines the metric. ``n`` counts distinct patients.
    """
    if table.empty:
        return Estimate(float("nan"), n=0)
    place, classes = _patients(table)
    return bootstrap(_mean_over_runs(table, metric, place), classes, n_boot=n_boot, seed=seed)


def per_run(table: pd.DataFrame, metric: str) -> list[float]:
    """A metric of one arm in each run; NaN where undefined."""
    found = []
    for _, part in table.groupby("run", sort=True):
        value = weighted_metric(metric, predictions_of(part))
        found.append(float("nan") if value is None else float(value(np.ones((1, len(part))))[0]))
    return found


def over_runs(values: Sequence[float], *, n_train: float, n_test: float) -> Estimate:
    """Mean over runs with the interval of Nadeau and Bengio; no limits with a single run."""
    return corrected_resampled_interval(values, n_train=n_train, n_test=n_test)


def gain(
    first: pd.DataFrame, second: pd.DataFrame, metric: str = "accuracy", *, n_boot: int = 1000, seed: int = 0
) -> Estimate:
    """First arm minus second on the same test patients, mean over runs, with an interval over patients.

    Raises:
        RadlibError: if the two are not about the same patients and runs.
    """
    keys = ["run", "subject"]
    one, two = first.sort_values(keys), second.sort_values(keys)
    if not np.array_equal(one[[*keys, "truth"]].to_numpy(), two[[*keys, "truth"]].to_numpy()):
        raise RadlibError(
            "two arms with different test patients cannot be compared in pairs",
            remedy="judge both on the same partitions and labels",
        )
    place, classes = _patients(one)
    a, b = _mean_over_runs(one, metric, place), _mean_over_runs(two, metric, place)
    return bootstrap(lambda weights: a(weights) - b(weights), classes, n_boot=n_boot, seed=seed)


def once(table: pd.DataFrame) -> pd.DataFrame:
    """Every patient's prediction in the first run that tests them: independent patients, as McNemar's test wants."""
    return table.sort_values(["run", "subject"]).drop_duplicates("subject").sort_values("subject")


def comparisons(
    table: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Arms in pairs: difference of the accuracies, and McNemar's exact test, every patient once.

    Returns:
        One row a pair that is there: ``first, second, difference`` (points, with interval over patients), ``only first
        right``, ``only second right``, ``p (McNemar)``, ``p in single runs`` and ``patients``.
    """
    rows = []
    arms = {str(name): part for name, part in table.groupby("arm", sort=False)}
    for first, second in pairs:
        if first not in arms or second not in arms:
            continue
        found = gain(arms[first], arms[second], n_boot=n_boot, seed=seed)
        a, b = once(arms[first]), once(arms[second])
        truth = a["truth"].to_numpy(dtype=bool)
        right = [part["predicted"].to_numpy(dtype=bool) == truth for part in (a, b)]
        singles = [
            mcnemar_exact(x["truth"], x["predicted"], y["predicted"]).p_value
            for (_, x), (_, y) in zip(
                arms[first].sort_values("subject").groupby("run"), arms[second].sort_values("subject").groupby("run"),
                strict=True,
            )
        ]  # fmt: skip
        rows.append({
            "first": first, "second": second,
            "difference": format_interval(100 * found.value, 100 * found.low, 100 * found.high, digits=1),
            "only first right": int((right[0] & ~right[1]).sum()),
            "only second right": int((right[1] & ~right[0]).sum()),
            "p (McNemar)": mcnemar_exact(truth, a["predicted"], b["predicted"]).p_value,
            "p in single runs": ", ".join(f"{p:.2f}" for p in singles), "patients": len(a),
        })  # fmt: skip
    return pd.DataFrame(rows)


def published_gain(table: str, first: str, second: str, metric: str = "accuracy") -> Estimate:
    """First minus second over the five runs that the paper prints, percentage points, with an interval over runs.

    Args:
        table: ``table3`` or ``table4``.
        first, second: such as ``prop_a`` and ``bas_1``.
        metric: a column of the table.
    """
    gaps = []
    for run in range(1, 6):
        one, two = (published(f"ge2020.{table}.run{run}.{name}.{metric}").value for name in (first, second))
        gaps.append(one - two)
    return over_runs(gaps, n_train=99, n_test=34)
