"""Estimates and paired contrasts of a study's scores, with intervals that resample trainings and subjects together.

Every paper takes its numbers from here. Scores of single subjects are long: ``arm, run, subject, group, metric,
value``. Predictions of classes are ``arm, run, subject, truth, predicted, score``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.stats.classification import Predictions, weighted_metric
from radlib.stats.intervals import Estimate, crossed_mean

AVERAGE = "average"
"""The group that stands for the mean of all groups' means, as papers average regions."""

Floats = NDArray[np.float64]


def estimates(
    scores: pd.DataFrame, *, metrics: Sequence[str] | None = None, groups: Sequence[str] | None = None,
    arms: Sequence[str] | None = None, subjects: Sequence[str] | None = None, n_boot: int = 2000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The mean of every metric over runs and subjects, by arm and group.

    Args:
        scores: long scores (:attr:`radlib.study.studies.Study.scores`); an undefined value is NaN.
        metrics, groups, arms, subjects: which ones; all where None. The group ``average`` is the mean of the means of
            the other groups that are named.
        n_boot, seed: of the bootstrap.

    Returns:
        One row an arm, metric and group: ``arm, metric, group, value, low, high, n, runs``.
    """
    metrics = metrics or list(dict.fromkeys(scores["metric"]))
    groups = groups or list(dict.fromkeys(scores["group"]))
    arms = arms or list(dict.fromkeys(scores["arm"]))
    rows = []
    for arm, metric, group in itertools.product(arms, metrics, groups):
        values, runs, _ = cube(scores, arm, metric, _members(group, groups), subjects)
        one = crossed_mean(values, random=rng(seed, "crossed"), n_boot=n_boot)
        rows.append({"arm": arm, "metric": metric, "group": group, **one.as_dict(), "runs": len(runs)})
    return pd.DataFrame(rows)


def contrasts(
    scores: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, metrics: Sequence[str],
    groups: Sequence[str] | None = None, subjects: Sequence[str] | None = None, n_boot: int = 2000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Paired differences, first arm minus second, over the runs and subjects that both have.

    Args:
        scores: as for :func:`estimates`.
        pairs: arms.
        metrics, groups, subjects, n_boot, seed: as for :func:`estimates`.

    Returns:
        One row a pair, metric and group: ``first, second, metric, group, value, low, high, n, runs``.

    Raises:
        RadlibError: if a pair has no run and subject in common.
    """
    groups = groups or list(dict.fromkeys(scores["group"]))
    rows = []
    for (first, second), metric, group in itertools.product(pairs, metrics, groups):
        members = _members(group, groups)
        a, a_runs, a_ids = cube(scores, first, metric, members, subjects)
        b, b_runs, b_ids = cube(scores, second, metric, members, subjects)
        runs, ids = sorted(set(a_runs) & set(b_runs)), sorted(set(a_ids) & set(b_ids))
        if not runs or not ids:
            raise RadlibError(
                f"{first!r} and {second!r} have no run and subject in common", remedy="train both with the same seeds"
            )
        difference = _at(a, a_runs, a_ids, runs, ids) - _at(b, b_runs, b_ids, runs, ids)
        one = crossed_mean(
            difference, random=rng(seed, "crossed"), n_boot=n_boot, method="crossed bootstrap of paired differences"
        )
        rows.append({
            "first": first, "second": second, "metric": metric, "group": group, **one.as_dict(), "runs": len(runs)
        })  # fmt: skip
    return pd.DataFrame(rows)


def cube(
    scores: pd.DataFrame, arm: str, metric: str, groups: Sequence[str], subjects: Sequence[str] | None = None
) -> tuple[Floats, list[int], list[str]]:
    """A metric of an arm as ``(groups, runs, subjects)``, NaN where it is undefined, with runs and subjects, sorted."""
    chosen = scores[(scores["arm"] == arm) & (scores["metric"] == metric) & scores["group"].isin(list(groups))]
    if subjects is not None:
        chosen = chosen[chosen["subject"].isin(list(subjects))]
    runs, ids = sorted(chosen["run"].unique()), sorted(chosen["subject"].unique())
    wide = chosen.pivot_table(index="group", columns=["run", "subject"], values="value", dropna=False, aggfunc="first")
    whole = wide.reindex(index=list(groups), columns=pd.MultiIndex.from_product([runs, ids]))
    return whole.to_numpy(dtype=float).reshape(len(groups), len(runs), len(ids)), runs, ids


def _members(group: str, groups: Sequence[str]) -> list[str]:
    return [name for name in groups if name != AVERAGE] if group == AVERAGE else [group]


def _at(values: Floats, runs: list[int], ids: list[str], wanted: list[int], subjects: list[str]) -> Floats:
    rows, columns = [runs.index(run) for run in wanted], [ids.index(one) for one in subjects]
    return values[:, rows][:, :, columns]


# Classes

CLASS_METRICS = ("auc", "accuracy", "sensitivity", "specificity")

WITHIN_CLASSES = ("auc", "sensitivity", "specificity", "balanced_accuracy")
"""Metrics that are defined with patients of both classes only."""


def class_estimates(
    predictions: pd.DataFrame, *, metrics: Sequence[str] = CLASS_METRICS, arms: Sequence[str] | None = None,
    n_boot: int = 1000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Metrics of a classifier: the mean over runs, with an interval over runs and patients.

    Args:
        predictions: ``arm, run, subject, truth, predicted, score``; ``truth`` and ``predicted`` are boolean.
        metrics: of :func:`radlib.stats.classification.weighted_metric`.
        arms, n_boot, seed: as for :func:`estimates`.

    Returns:
        One row an arm and metric: ``arm, metric, group`` (``all``), ``value, low, high, n, runs``.
    """
    rows = []
    for arm, metric in itertools.product(arms or list(dict.fromkeys(predictions["arm"])), metrics):
        part = predictions[predictions["arm"] == arm]
        one = _crossed_classes([part], [1.0], metric, n_boot=n_boot, seed=seed)
        rows.append({"arm": arm, "metric": metric, "group": "all", **one.as_dict(), "runs": part["run"].nunique()})
    return pd.DataFrame(rows)


def class_contrasts(
    predictions: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, metrics: Sequence[str] = ("auc",),
    n_boot: int = 1000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Paired differences of a classifier's metric, first arm minus second, on the same patients in the same runs.

    Returns:
        As :func:`contrasts`, with the group ``all``.

    Raises:
        RadlibError: if a pair has no run and patient in common.
    """
    rows = []
    for (first, second), metric in itertools.product(pairs, metrics):
        parts = {arm: predictions[predictions["arm"] == arm] for arm in (first, second)}
        keys = [set(zip(part["run"], part["subject"], strict=True)) for part in parts.values()]
        if not (common := keys[0] & keys[1]):
            raise RadlibError(
                f"{first!r} and {second!r} have no run and subject in common", remedy="test both on the same patients"
            )
        both = [
            part[[pair in common for pair in zip(part["run"], part["subject"], strict=True)]] for part in parts.values()
        ]
        one = _crossed_classes(both, [1.0, -1.0], metric, n_boot=n_boot, seed=seed)
        rows.append({
            "first": first, "second": second, "metric": metric, "group": "all", **one.as_dict(),
            "runs": both[0]["run"].nunique(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _crossed_classes(
    parts: Sequence[pd.DataFrame], signs: Sequence[float], metric: str, *, n_boot: int, seed: int
) -> Estimate:
    """The signed sum of a metric over ``parts``, mean over runs; runs and patients are resampled together."""
    everyone = pd.concat(parts)
    patients = everyone.drop_duplicates("subject").sort_values("subject")
    place = {subject: number for number, subject in enumerate(patients["subject"])}
    runs = sorted(everyone["run"].unique())
    if not len(patients):
        return Estimate(float("nan"), n=0)
    random = rng(seed, "crossed classes", len(patients))
    weights = np.ones((n_boot + 1, len(patients)))
    # Within classes where a metric needs both; elsewhere a resample may hold more of one class, as a new sample would.
    classes = patients["truth"].to_numpy(dtype=bool) & (metric in WITHIN_CLASSES)
    for value in (False, True):
        members = np.flatnonzero(classes == value)
        if len(members):
            weights[1:, members] = random.multinomial(len(members), np.full(len(members), 1 / len(members)), n_boot)
    by_run = np.vstack([np.ones(len(runs)), random.multinomial(len(runs), [1 / len(runs)] * len(runs), n_boot)])
    values = np.full((n_boot + 1, len(runs)), 0.0)
    for part, sign in zip(parts, signs, strict=True):
        for number, run in enumerate(runs):
            rows = part[part["run"] == run]
            found = weighted_metric(metric, predictions_of(rows)) if len(rows) else None
            where = np.array([place[subject] for subject in rows["subject"]], dtype=int)
            values[:, number] += np.nan if found is None else sign * found(weights[:, where])
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = (np.where(known, values, 0) * by_run).sum(axis=1) / (known * by_run).sum(axis=1)
    point, rest = float(draws[0]), draws[1:][np.isfinite(draws[1:])]
    low, high = np.quantile(rest, [0.025, 0.975]) if np.isfinite(point) and len(rest) else (float("nan"),) * 2
    return Estimate(point, float(low), float(high), len(patients), "crossed bootstrap of runs and patients")


def predictions_of(table: pd.DataFrame) -> Predictions:
    """Rows ``truth, predicted, score`` as checked predictions of one run; scores from 0 to 1 are probabilities."""
    score = table["score"].to_numpy(dtype=float)
    inside = bool(((score >= 0) & (score <= 1)).all())
    return Predictions.of(
        table["truth"].to_numpy(dtype=bool), table["predicted"].to_numpy(dtype=bool), score=score,
        probability=score if inside else None,
    )  # fmt: skip


def standard_table(
    found: pd.DataFrame, *, titles: Mapping[str, str], digits: int | Mapping[str, int] = 3
) -> pd.DataFrame:
    """:func:`estimates` to read: a line an arm, a column a metric and group, the interval below the value.

    Args:
        found: of :func:`estimates` or :func:`class_estimates`.
        titles: of arms.
        digits: decimals, for all or by metric.
    """
    from radlib.stats.tables import format_interval

    lines: dict[str, dict[str, str]] = {}
    several = found["metric"].nunique() > 1
    for row in found.to_dict("records"):
        places = digits if isinstance(digits, int) else digits.get(row["metric"], 3)
        group = "" if row["group"] == "all" else row["group"].upper() if len(row["group"]) == 2 else row["group"]
        column = " ".join(part for part in ((row["metric"] if several else ""), group) if part) or row["metric"]
        line = lines.setdefault(row["arm"], {"": titles.get(row["arm"], row["arm"])})
        line[column] = format_interval(row["value"], row["low"], row["high"], digits=places)
    return pd.DataFrame(list(lines.values())).fillna("")
