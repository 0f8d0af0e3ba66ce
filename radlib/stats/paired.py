"""Paired differences: two methods on the same subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.stats.intervals import TAILS, Estimate, mean_estimate


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    clusters: Sequence[object] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The mean of ``first - second`` with a bootstrap interval.

    Args:
        first, second: ``(n,)``, values of two methods in the same order of subjects (and seeds); pairs in which one is
            NaN are left out.
        clusters: ``(n,)``, the subject behind each pair. Pairs of one subject are averaged first: they are no
            independent evidence.
        n_boot, seed: of the bootstrap.

    Returns:
        The estimate; ``n`` counts subjects. NaN throughout without a pair.

    Raises:
        RadlibError: if the lengths differ.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or (clusters is not None and len(clusters) != len(a)):
        raise RadlibError(
            f"{a.shape} and {b.shape} values are no pairs", remedy="give both methods' values of the same subjects"
        )
    differences = a - b
    if clusters is not None:
        differences = pd.Series(differences).groupby(pd.Series(list(clusters)), sort=False).mean().to_numpy(dtype=float)
    return mean_estimate(differences, n_boot=n_boot, seed=seed)


def crossed_mean(
    values: npt.NDArray[np.float64], *, random: np.random.Generator, n_boot: int = 2000,
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
