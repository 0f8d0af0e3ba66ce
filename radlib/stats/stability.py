"""How stable a selection of features is over training sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.stats.intervals import TAILS, Estimate


def selection_matrix(selected: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """Which feature every training set selected.

    Args:
        selected: rows ``repeat``, ``fold``, ``feature`` of one protocol (:class:`protocols.ProtocolRun`).
        features: all features that could be selected; others in ``selected`` are left out.

    Returns:
        (training sets, features) booleans, indexed by repeat and fold.
    """
    matrix = pd.crosstab([selected["repeat"], selected["fold"]], selected["feature"]) > 0
    return matrix.reindex(columns=list(features), fill_value=False)


def nogueira_stability(matrix: npt.ArrayLike) -> Estimate:
    """The stability of Nogueira, Sechidis and Brown (JMLR 18, 2018, equation 4 and theorem 10).

    1 if every training set selects the same features, 0 if it selects at random. Training sets of a
    cross-validation overlap, so the interval is too narrow for new patients.

    Args:
        matrix: (M training sets, d features) booleans, M at least 2.

    Returns:
        NaN where all features or none are always selected. ``n`` counts training sets.
    """
    Z = np.asarray(matrix, dtype=float)
    M, d = Z.shape
    if M < 2:
        raise RadlibError(f"{M} training set shows no stability", remedy="give at least 2")
    p = Z.mean(axis=0)
    k = Z.sum(axis=1)
    share = k.mean() / d
    if share in (0.0, 1.0):
        return Estimate(float("nan"), n=M, method="Nogueira")
    random = share * (1 - share)
    value = 1 - (M / (M - 1) * p * (1 - p)).mean() / random
    each = (1 / random) * (
        (Z * p).mean(axis=1) - k * share / d + value / 2 * (2 * k * share / d - k / d - share + 1)
    )  # fmt: skip
    error = np.sqrt(4 / M**2 * ((each - each.mean()) ** 2).sum())
    half = stats.norm.ppf(TAILS[1]) * error
    return Estimate(float(value), float(value - half), float(value + half), M, "Nogueira")


def named_frequencies(
    matrix: pd.DataFrame, names: Sequence[str], *, null: pd.DataFrame | None = None, n_selected: int
) -> pd.DataFrame:
    """How often features of interest are selected, against chance.

    Args:
        matrix: (training sets, features) of :func:`selection_matrix`.
        names: features of interest; one that is not among the candidates gets NaN.
        null: the same from permuted labels: how often the feature is selected when labels mean nothing. Features
            with a large spread or few relatives are selected more often than others whatever the labels.
        n_selected: features selected each time.

    Returns:
        ``candidate`` (whether the data have it), ``selected`` (share of training sets), ``chance`` (n_selected over
        candidates), ``permuted`` (share in ``null``), ``rank`` among all candidates (1 = most often; ties share the
        middle) and ``at least as often`` (share of all candidates selected at least as often).
    """
    frequency = matrix.mean()
    ranks = frequency.rank(ascending=False)
    table = []
    for name in names:
        there = name in frequency.index
        own = float(frequency[name]) if there else float("nan")
        table.append({
            "candidate": there,
            "selected": own,
            "chance": n_selected / len(frequency) if there else float("nan"),
            "permuted": float(null[name].mean()) if null is not None and there else float("nan"),
            "rank": float(ranks[name]) if there else float("nan"),
            "at least as often": float((frequency >= own).mean()) if there else float("nan"),
        })  # fmt: skip
    return pd.DataFrame(table, index=pd.Index(list(names), name="feature"))
