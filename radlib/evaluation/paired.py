"""Paired differences: two methods on the same subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.evaluation.intervals import Estimate, bootstrap


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    clusters: Sequence[object] | None = None,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The mean of ``first - second`` with a bootstrap interval.

    Args:
        first, second: ``(n,)``, values of two methods in the same order of subjects (and seeds); pairs in which one is
            NaN are left out.
        clusters: ``(n,)``, the subject behind each pair. Pairs of one subject are averaged first: they are no
            independent evidence.
        level, n_boot, seed: of the bootstrap.

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
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        return Estimate(float("nan"), n=0)
    return bootstrap(
        lambda weights: weights @ differences / weights.sum(axis=1),
        np.zeros(len(differences)), n_boot=n_boot, level=level, seed=seed,
    )  # fmt: skip


def compare(
    table: pd.DataFrame,
    *,
    metric: str,
    reference: str,
    method: str = "model",
    within: Sequence[str] = ("region",),
    pair: Sequence[str] = ("subject", "seed"),
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every method against one, on the same subjects.

    Args:
        table: long; columns ``method``, ``within``, ``pair`` (those that are there) and the metric.
        metric: the column to compare.
        reference: the method that the others are compared with.
        method: the column of methods.
        within: what to separate, such as the region.
        pair: what makes two rows a pair; the first of them is the subject.
        level, n_boot, seed: of the bootstrap.

    Returns:
        One row a method and group: ``value`` (method minus reference), ``low``, ``high``, ``n``, and ``p``: Wilcoxon's
        signed-rank test over subjects (NaN where all differences are 0).
    """
    keys = [name for name in pair if name in table]
    groups = [name for name in within if name in table]
    wide = table.pivot_table(index=[*groups, *keys], columns=method, values=metric, sort=False)
    if reference not in wide:
        raise RadlibError(f"no rows of {reference!r}", remedy=f"the methods are {', '.join(map(str, wide))}")
    rows = []
    for name in [column for column in wide if column != reference]:
        both = wide[[name, reference]].dropna().reset_index()
        for place, part in both.groupby(groups, sort=False) if groups else [((), both)]:
            estimate = paired_difference(
                part[name], part[reference], clusters=list(part[keys[0]]), level=level, n_boot=n_boot, seed=seed
            )
            by_subject = (part[name] - part[reference]).groupby(part[keys[0]]).mean()
            p = stats.wilcoxon(by_subject).pvalue if (by_subject != 0).any() else float("nan")
            rows.append({method: name, **dict(zip(groups, place, strict=True)), **estimate.as_dict(), "p": float(p)})
    return pd.DataFrame(rows)
