"""The accelerated-failure-time model by hand."""

import math

import numpy as np
import pytest

from radlib.phantom.survival import SIGMA, censor, log_error, log_hazard_ratio


def test_error_has_median_zero_and_the_weibull_quantiles() -> None:
    u = np.array([0.5, 0.25, 0.9])
    days = 400.0 * np.exp(SIGMA * log_error(u))
    scale = 400.0 / math.log(2) ** SIGMA  # a Weibull with this scale and shape 1 / SIGMA has median 400
    assert days[0] == pytest.approx(400.0)
    assert days == pytest.approx(scale * (-np.log(1 - u)) ** SIGMA)


def test_hazard_ratio_is_that_of_the_weibull() -> None:
    b, shape = 0.3, 1 / SIGMA

    def hazard(t: float, median: float) -> float:
        scale = median / math.log(2) ** (1 / shape)
        return shape / scale * (t / scale) ** (shape - 1)

    for t in (10.0, 500.0):
        ratio = hazard(t, 400 * math.exp(b)) / hazard(t, 400)
        assert math.log(ratio) == pytest.approx(log_hazard_ratio(b))


def test_censoring_counts_whole_days_and_sees_deaths_before_the_last_contact() -> None:
    days, event = censor(np.array([10.2, 300.0, 0.01]), np.array([20.0, 99.5, 5.0]))
    assert days.tolist() == [11, 100, 1]
    assert event.tolist() == [1, 0, 1]


def test_without_follow_up_every_death_is_seen() -> None:
    days, event = censor(np.array([10.0, 9e5]), None)
    assert days.tolist() == [10, 9e5]
    assert event.tolist() == [1, 1]
