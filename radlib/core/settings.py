"""What the environment sets for everything that runs: the budget of trainings, threads, whether kept results count."""

from __future__ import annotations

import math
import os

from radlib.core.errors import RadlibError

GPU_CORES = (30, 100)
"""Cores whose work a GPU is taken to do, least and most, on networks of this size. Assumed, not timed."""


def budget() -> float:
    """By how much every number of training steps is scaled: ``$BUDGET``, above 0 and at most 1 (the default).

    Raises:
        RadlibError: if it is another value.
    """
    text = os.environ.get("BUDGET") or "1"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise RadlibError(f"BUDGET is {text!r}", remedy="give a number above 0 and at most 1, such as BUDGET=0.1")
    return value


def fresh() -> bool:
    """Whether kept results are left aside: ``$FRESH`` is neither empty nor 0."""
    return os.environ.get("FRESH", "0") not in ("", "0")


def in_lab() -> bool:
    """Whether this is the kernel of a notebook that a Jupyter server has opened: it names the notebook."""
    return bool(os.environ.get("JPY_SESSION_NAME"))


def threads() -> int:
    """Threads that compute a job: ``$RADLIB_THREADS``, else 1. Results are equal bit for bit for an equal number.

    Raises:
        RadlibError: if it is no number from 1.
    """
    text = os.environ.get("RADLIB_THREADS") or "1"
    if not text.isdigit() or int(text) < 1:
        raise RadlibError(f"RADLIB_THREADS is {text!r}", remedy="give a number of threads, such as 1")
    return int(text)
