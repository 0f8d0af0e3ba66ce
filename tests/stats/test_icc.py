"""Intraclass correlation against the example of Shrout and Fleiss (1979), table 2."""

from __future__ import annotations

import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.stats.icc import icc

RATINGS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.mark.parametrize(
    ("form", "value", "low", "high"),
    [("1,1", 0.17, -0.13, 0.72), ("2,1", 0.29, 0.02, 0.76), ("3,1", 0.71, 0.34, 0.95)],
)
def test_published_example(form: str, value: float, low: float, high: float) -> None:
    found = icc(RATINGS, form=form)  # type: ignore[arg-type]
    assert (round(found.value, 2), round(found.low, 2), round(found.high, 2)) == (value, low, high)
    assert found.n == 6


def test_agreement_counts_a_shift_and_consistency_does_not() -> None:
    subjects = np.random.default_rng(0).normal(size=(30, 1))
    shifted = np.hstack([subjects, subjects + 2])
    assert icc(shifted, form="3,1").value == pytest.approx(1)
    assert icc(shifted, form="2,1").value < 0.5


def test_intervals_cover_the_planted_value() -> None:
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        table = generator.normal(size=(25, 1)) * np.sqrt(0.7) + generator.normal(size=(25, 3)) * np.sqrt(0.3)
        found = icc(table, form="1,1")
        inside += found.low <= 0.7 <= found.high
    assert 180 <= inside <= 199


def test_missing_and_constant_values() -> None:
    assert icc([[1.0, 1.1], [2.0, np.nan], [3.0, 2.9]]).n == 2
    assert np.isnan(icc(np.ones((4, 2))).value)
    assert np.isnan(icc([[1.0, 2.0]]).value)
    with pytest.raises(RadlibError, match=r"shape \(3,\)"):
        icc([1, 2, 3])
    with pytest.raises(RadlibError, match=r"no form ICC\(4\)"):
        icc(RATINGS, form="4")  # type: ignore[arg-type]
