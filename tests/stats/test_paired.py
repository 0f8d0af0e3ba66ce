"""Paired differences."""

from __future__ import annotations

import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.stats.paired import paired_difference


def test_interval_covers_the_planted_difference() -> None:
    generator = np.random.default_rng(0)
    subject = generator.normal(0, 5, 80)  # differs far more between subjects than between methods
    estimate = paired_difference(subject + generator.normal(0.5, 0.5, 80), subject)
    assert estimate.low < 0.5 < estimate.high
    assert estimate.low > 0.2
    assert estimate.n == 80


def test_pairs_of_one_subject_count_once() -> None:
    estimate = paired_difference([1, 3, 5, np.nan], [0, 0, 0, 0], clusters=["a", "a", "b", "c"])
    assert estimate.value == pytest.approx((2 + 5) / 2)
    assert estimate.n == 2
    assert paired_difference([], []).n == 0
    with pytest.raises(RadlibError, match="are no pairs"):
        paired_difference([1, 2], [1])
