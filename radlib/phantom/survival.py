"""Survival in the simulated cohort: a Weibull accelerated-failure-time model with independent censoring."""

from __future__ import annotations

import math

import numpy as np

SIGMA = 0.5
"""Scale of the error of log time. A Weibull shape of ``1 / SIGMA = 2``: hazards are proportional too."""


def log_error(uniform: np.ndarray) -> np.ndarray:
    """The smallest-extreme-value error of log time with median 0, from uniform numbers in (0, 1).

    ``W = log(-log(1 - U)) - log(log 2)``; then ``T = median * exp(x'b + SIGMA * W)`` is Weibull with shape
    ``1 / SIGMA`` and a median of ``median * exp(x'b)``, and the log hazard ratio of x is ``-b / SIGMA``.
    """
    return np.log(-np.log1p(-uniform)) - math.log(math.log(2.0))


def log_hazard_ratio(log_time: float) -> float:
    """The Cox coefficient that a coefficient of log time stands for, ``-b / SIGMA``."""
    return -log_time / SIGMA


def censor(days: np.ndarray, follow_up: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Whole days observed and whether the death was.

    Args:
        days: ``(n,)`` true survival, days.
        follow_up: ``(n,)`` days until the last contact, or None where everyone is followed to the end.

    Returns:
        ``(n,)`` days, at least 1, and ``(n,)`` events, 1 where the death was seen and 0 where it was not.
    """
    last = np.full(days.shape, np.inf) if follow_up is None else follow_up
    return np.maximum(np.ceil(np.minimum(days, last)), 1.0), (days <= last).astype(float)
