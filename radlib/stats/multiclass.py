"""Several classes: accuracy, and sensitivity and specificity of each class against the rest, with intervals.

All functions take the prediction rows of :class:`radlib.stats.protocols.ProtocolRun`: ``repeat``, ``fold``,
``subject``, ``true``, ``predicted``. Two classes are covered in more depth by
:mod:`radlib.stats.classification`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.stats.intervals import Estimate, bootstrap, permutation_interval, proportion

FloatArray = npt.NDArray[np.float64]


def metric_names(classes: Mapping[Any, str]) -> list[str]:
    """``accuracy``, ``sensitivity.<class>`` for every class, ``specificity.<class>`` for every class."""
    names = list(classes.values())
    return ["accuracy", *(f"sensitivity.{name}" for name in names), *(f"specificity.{name}" for name in names)]


def metrics(rows: pd.DataFrame, classes: Mapping[Any, str]) -> dict[str, float]:
    """Accuracy, and each class against the rest, as shares from 0 to 1.

    Args:
        rows: predictions; no row gives NaN throughout.
        classes: class -> its name, in the order of the table.

    Returns:
        :func:`metric_names` -> value. The sensitivity of a class without members, and the specificity of a class
        that all belong to, are NaN.
    """
    return {name: _mean(counted, among) for name, (counted, among) in _indicators(rows, classes).items()}


def fold_table(rows: pd.DataFrame, classes: Mapping[Any, str]) -> pd.DataFrame:
    """:func:`metrics` for every repeat and fold, one row each, with ``n`` test subjects."""
    table = {
        key: {"n": len(part), **metrics(part, classes)} for key, part in rows.groupby(["repeat", "fold"], sort=True)
    }
    frame = pd.DataFrame.from_dict(table, orient="index", columns=["n", *metric_names(classes)])
    frame.index = pd.MultiIndex.from_tuples(frame.index, names=["repeat", "fold"])
    return frame


def estimates(
    rows: pd.DataFrame, classes: Mapping[Any, str], *, n_boot: int = 2000, seed: int = 0
) -> dict[str, Estimate]:
    """:func:`metrics`, averaged over the repeats, with the bootstrap interval over patients (BCa, within classes).

    Where every patient of a class is always right (or always wrong) resampling shows no spread; the interval is then
    Wilson's for that many patients, so that 16 of 16 does not pass for certainty. So it is for the accuracy of the
    majority class, which only the class sizes decide.

    Raises:
        RadlibError: if a subject has another true class in another repeat (permuted labels: use
            :func:`permuted_estimates`).
    """
    if len(rows) == 0:
        return dict.fromkeys(metric_names(classes), Estimate(float("nan")))
    if (rows.groupby("subject")["true"].nunique() > 1).any():
        raise RadlibError(
            "a subject has different true classes in different repeats, so patients cannot be resampled",
            remedy="use permuted_estimates for permuted labels",
        )
    strata = rows.groupby("subject")["true"].first().to_numpy()
    found = {}
    for name, (counted, among) in _indicators(rows, classes).items():
        by = rows["subject"]
        top = pd.Series(counted & among, index=by.index).groupby(by).mean().to_numpy(dtype=float)
        bottom = pd.Series(among, index=by.index).groupby(by).mean().to_numpy(dtype=float)
        n = int(np.count_nonzero(bottom))
        result = bootstrap(_share(top, bottom), strata, n_boot=n_boot, seed=seed)
        if n and not np.isfinite(result.low):
            result = proportion(round(result.value * n), n)
        found[name] = Estimate(result.value, result.low, result.high, n, result.method)
    return found


def permuted_estimates(rows: pd.DataFrame, classes: Mapping[Any, str]) -> dict[str, Estimate]:
    """:func:`metrics` of every permutation (``repeat``), averaged, with the interval of the mean over permutations."""
    table = pd.DataFrame([metrics(part, classes) for _, part in rows.groupby("repeat")], columns=metric_names(classes))
    found = {name: permutation_interval(table[name].dropna()) for name in metric_names(classes)}
    # A t interval over few permutations may leave the range of a share.
    return {
        name: replace(one, low=float(np.clip(one.low, 0, 1)), high=float(np.clip(one.high, 0, 1)))
        for name, one in found.items()
    }


def chance_accuracy(rows: pd.DataFrame) -> float:
    """The accuracy expected of predictions that know nothing: sum over classes of the true times the predicted share.

    It lies between 1/K and the share of the largest class, depending on what the predictions prefer. NaN without rows.
    """
    if len(rows) == 0:
        return float("nan")
    true = rows["true"].value_counts(normalize=True)
    predicted = rows["predicted"].value_counts(normalize=True)
    return float(true.mul(predicted, fill_value=0.0).sum())


def counts_from_percentages(
    *, sensitivity: Sequence[float], specificity: Sequence[float], accuracy: float, max_class: int = 40,
    tolerance: float = 0.005,
) -> list[tuple[int, ...]]:  # fmt: skip
    """Class sizes of a test fold that printed percentages allow.

    A sensitivity is a whole number of patients over the size of its class, a specificity one over the rest. Sizes are
    kept where every percentage is, to rounding, such a fraction, and the accuracy follows from the correct ones.

    Args:
        sensitivity, specificity: per cent, one a class, as printed.
        accuracy: per cent, as printed.
        max_class: the largest class that is tried.
        tolerance: half of the last printed digit, per cent.

    Returns:
        The possible sizes, smallest total first; empty where the percentages contradict each other.
    """
    fits = [[n for n in range(1, max_class + 1) if _is_fraction(value, n, tolerance)] for value in sensitivity]
    sizes: list[tuple[int, ...]] = [()]
    for options in fits:
        sizes = [(*size, n) for size in sizes for n in options]
    found = []
    for size in sizes:
        total = sum(size)
        right = sum(round(value * n / 100) for value, n in zip(sensitivity, size, strict=True))
        rest = all(_is_fraction(value, total - n, tolerance) for value, n in zip(specificity, size, strict=True))
        if rest and abs(100 * right / total - accuracy) <= tolerance + 1e-9:
            found.append(size)
    return sorted(found, key=lambda size: (sum(size), size))


def _is_fraction(percent: float, n: int, tolerance: float) -> bool:
    return n > 0 and abs(100 * round(percent * n / 100) / n - percent) <= tolerance + 1e-9


def _indicators(
    rows: pd.DataFrame, classes: Mapping[Any, str]
) -> dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Metric -> (which rows count, among which rows)."""
    true, predicted = rows["true"].to_numpy(), rows["predicted"].to_numpy()
    if unknown := sorted(set(np.unique(true)) - set(classes)):
        raise RadlibError(f"class {unknown[0]} has no name", remedy=f"name it beside {list(classes)}")
    everyone = np.ones(len(rows), dtype=bool)
    found = {"accuracy": (true == predicted, everyone)}
    for label, name in classes.items():
        found[f"sensitivity.{name}"] = (predicted == label, true == label)
    for label, name in classes.items():
        found[f"specificity.{name}"] = (predicted != label, true != label)
    return {name: found[name] for name in metric_names(classes)}


def _mean(counted: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float:
    return float(counted[among].mean()) if among.any() else float("nan")


def _share(top: FloatArray, bottom: FloatArray) -> Callable[[FloatArray], FloatArray]:
    def statistic(weights: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ top) / (weights @ bottom))

    return statistic
