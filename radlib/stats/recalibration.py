"""Probabilities of a model from elsewhere, set right by a few patients of the place where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng

How = Literal["as it comes", "in the large", "logistic"]
HOW: tuple[How, ...] = ("as it comes", "in the large", "logistic")
_EDGE = 1e-6
_RIDGE = 0.01  # on the distance from no change, a patient: keeps a separable sample finite

Floats = NDArray[np.float64]


def recalibrated(truth: ArrayLike, probability: ArrayLike, new: ArrayLike, how: How) -> Floats:
    """New probabilities after a recalibration on local patients.

    Args:
        truth, probability: ``(k,)`` of the local patients; none may be there where ``how`` is ``as it comes``.
        new: ``(n,)`` probabilities to set right.
        how: ``in the large`` shifts the log odds, ``logistic`` also scales them (Cox 1958; Steyerberg 2004).

    Raises:
        RadlibError: if there is no local patient to learn from, or ``how`` is unknown.
    """
    logit = special.logit(np.clip(np.asarray(new, dtype=float), _EDGE, 1 - _EDGE))
    if how == "as it comes":
        return np.asarray(special.expit(logit))
    if how not in HOW:
        raise RadlibError(f"unknown recalibration {how!r}", remedy=f"use one of {', '.join(HOW)}")
    t = np.asarray(truth, dtype=float)
    if not t.size:
        raise RadlibError("there is no local patient to learn from", remedy="give some, or how='as it comes'")
    known = special.logit(np.clip(np.asarray(probability, dtype=float), _EDGE, 1 - _EDGE))

    def loss(change: Floats) -> float:
        slope = 1 + change[1] if how == "logistic" else 1.0
        odds = change[0] + slope * known
        return float(np.mean(np.logaddexp(0, odds) - t * odds) + _RIDGE * np.sum(change**2) / len(t))

    found = optimize.minimize(loss, np.zeros(2), method="BFGS").x
    return np.asarray(special.expit(found[0] + (1 + found[1] if how == "logistic" else 1.0) * logit))


def recalibration_table(
    truth: ArrayLike, probability: ArrayLike, *, sizes: Sequence[int], draws: int = 100, seed: int = 0
) -> pd.DataFrame:
    """What a recalibration on so many local patients is worth to the other local patients.

    Returns:
        ``how, local, metric, value, low, high``: means and central 95 % over ``draws`` divisions, of the Brier score
        and of the observed minus the predicted share of the positive class. ``local`` is 0 for ``as it comes``.
    """
    t, p = np.asarray(truth, dtype=bool), np.asarray(probability, dtype=float)
    rows = []
    for how, size in [("as it comes", 0), *((how, size) for how in HOW[1:] for size in sizes)]:
        for draw in range(draws if size else 1):
            order = rng(seed, "recalibration", size, draw).permutation(len(t))
            local, rest = order[:size], order[size:]
            new = recalibrated(t[local], p[local], p[rest], how)
            measures = {"Brier score": np.mean((new - t[rest]) ** 2), "observed - predicted": np.mean(t[rest] - new)}
            rows += [{"how": how, "local": size, "metric": name, "value": float(v)} for name, v in measures.items()]
    found = pd.DataFrame(rows).groupby(["how", "local", "metric"], sort=False)["value"]
    table = found.agg(value="mean", low=lambda v: v.quantile(0.025), high=lambda v: v.quantile(0.975))
    return table.reset_index()
