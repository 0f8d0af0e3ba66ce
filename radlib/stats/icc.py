"""Intraclass correlation: how much of the spread of a measurement is between subjects.

The three forms of Shrout and Fleiss (1979) for single measurements, with the intervals of McGraw and Wong (1996).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.stats.intervals import TAILS, Estimate

Form = Literal["1,1", "2,1", "3,1"]


def icc(values: npt.ArrayLike, *, form: Form = "2,1") -> Estimate:
    """Intraclass correlation of repeated measurements.

    Args:
        values: (subjects, measurements), at least two of each; a subject with a NaN is left out.
        form: ``1,1``: measurements are exchangeable; ``2,1``: absolute agreement between kinds of measurement that are
            a sample of such kinds; ``3,1``: consistency, a constant shift between kinds does not count.

    Returns:
        The estimate, at most 1, negative where subjects agree less than chance; ``n`` counts subjects. NaN throughout
        with fewer than two subjects, or where nothing varies.

    Raises:
        RadlibError: for an array of another shape, or an unknown form.
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or table.shape[1] < 2:
        raise RadlibError(f"values have shape {table.shape}", remedy="give (subjects, measurements), two or more each")
    if form not in ("1,1", "2,1", "3,1"):
        raise RadlibError(f"there is no form ICC({form})", remedy="use '1,1', '2,1' or '3,1'")
    table = table[np.isfinite(table).all(axis=1)]
    n, k = table.shape
    name = f"ICC({form})"
    if n < 2 or np.ptp(table) == 0:
        return Estimate(float("nan"), n=n, method=name)
    mean = table.mean()
    between = k * float(((table.mean(axis=1) - mean) ** 2).sum()) / (n - 1)
    kinds = n * float(((table.mean(axis=0) - mean) ** 2).sum()) / (k - 1)
    total = float(((table - mean) ** 2).sum())
    within = (total - (n - 1) * between) / (n * (k - 1))
    error = max((total - (n - 1) * between - (k - 1) * kinds) / ((n - 1) * (k - 1)), 0.0)
    if form == "2,1":
        return _agreement(between, kinds, error, n, k, name)
    noise, freedom = (within, n * (k - 1)) if form == "1,1" else (error, (n - 1) * (k - 1))
    value = (between - noise) / (between + (k - 1) * noise)
    if noise <= 0:
        return Estimate(value, n=n, method=name)
    ratio, tail = between / noise, TAILS[1]
    low = ratio / stats.f.ppf(tail, n - 1, freedom)
    high = ratio * stats.f.ppf(tail, freedom, n - 1)
    return Estimate(value, float((low - 1) / (low + k - 1)), float((high - 1) / (high + k - 1)), n, name)


def _agreement(between: float, kinds: float, error: float, n: int, k: int, name: str) -> Estimate:
    """ICC(2,1), whose interval needs Satterthwaite's degrees of freedom."""
    value = (between - error) / (between + (k - 1) * error + k * (kinds - error) / n)
    if error <= 0 or value >= 1:
        return Estimate(value, n=n, method=name)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    spread = (a * kinds) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    freedom = (a * kinds + b * error) ** 2 / spread
    tail = TAILS[1]
    rest = k * kinds + (k * n - k - n) * error
    down, up = stats.f.ppf(tail, n - 1, freedom), stats.f.ppf(tail, freedom, n - 1)
    low = n * (between - down * error) / (down * rest + n * between)
    high = n * (up * between - error) / (rest + n * up * between)
    return Estimate(value, float(low), float(high), n, name)
