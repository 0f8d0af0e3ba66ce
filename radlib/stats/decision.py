"""Decision curves: what acting on a model's probability is worth, against acting on everybody or on nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from radlib.core.errors import RadlibError
from radlib.stats.classification import Predictions
from radlib.stats.intervals import bootstrap

EVERYBODY = "everybody"
"""The line of a decision that no model is asked for; the other such line, nobody, is 0 everywhere."""


def net_benefit(truth: ArrayLike, probability: ArrayLike, threshold: float) -> float:
    """True positives less false positives at the odds of the threshold, a patient (Vickers and Elkin 2006, eq. 1).

    Args:
        truth: ``(n,)`` booleans.
        probability: ``(n,)``, 0 to 1, or ``(R, n)`` of several runs, whose mean net benefit is given.
        threshold: between 0 and 1; who has at least this probability is acted on.

    Raises:
        RadlibError: for a threshold that is not between 0 and 1, or nobody.
    """
    if not 0 < threshold < 1:
        raise RadlibError(f"the threshold is {threshold}", remedy="give one between 0 and 1")
    t = np.asarray(truth, dtype=bool)
    if not t.size:
        raise RadlibError("there is no patient to decide on", remedy="give at least one")
    return float(np.mean(_gains(t, np.atleast_2d(np.asarray(probability, dtype=float)), threshold)))


def decision_curves(
    models: Mapping[str, Predictions], thresholds: Sequence[float], *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Net benefit over thresholds of every model and of acting on everybody.

    Returns:
        ``model, threshold, value, low, high, n``; intervals resample patients within classes.

    Raises:
        RadlibError: if a model gives no probabilities.
    """
    rows = []
    for name, found in models.items():
        if found.probability is None:
            raise RadlibError(f"{name!r} gives no probabilities", remedy="calibrate it first")
        for threshold in thresholds:
            rows.append({"model": name, "threshold": threshold, **_estimate(found.truth, found.probability, threshold,
                                                                            n_boot=n_boot, seed=seed)})  # fmt: skip
    first = next(iter(models.values()))
    for threshold in thresholds:
        share = float(first.truth.mean())
        value = share - (1 - share) * threshold / (1 - threshold)
        rows.append({"model": EVERYBODY, "threshold": threshold, "value": value, "low": np.nan, "high": np.nan,
                     "n": first.n})  # fmt: skip
    return pd.DataFrame(rows)


def _gains(truth: NDArray[np.bool_], probability: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """What each patient adds, averaged over runs: ``(n,)``."""
    acted = probability >= threshold
    return np.where(acted, np.where(truth, 1.0, -threshold / (1 - threshold)), 0.0).mean(axis=0)


def _estimate(
    truth: NDArray[np.bool_], probability: NDArray[np.float64], threshold: float, *, n_boot: int, seed: int
) -> dict[str, float]:
    gains = _gains(truth, np.atleast_2d(probability), threshold)
    found = bootstrap(
        lambda weights: (weights @ gains) / weights.sum(axis=1), truth, method="percentile", n_boot=n_boot, seed=seed
    )
    return {"value": found.value, "low": found.low, "high": found.high, "n": len(truth)}
