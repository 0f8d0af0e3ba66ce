"""A model that is wrong by a known change of its log odds is set right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from radlib.core.errors import RadlibError
from radlib.stats.recalibration import recalibrated, recalibration_table


@pytest.fixture
def shifted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, true probabilities, and those of a model that is 1.5 too low in log odds and half as steep."""
    random = np.random.default_rng(0)
    odds = random.normal(0, 2, 4000)
    return random.random(4000) < special.expit(odds), special.expit(odds), special.expit(0.5 * odds - 1.5)


def test_logistic_recalibration_finds_the_truth(shifted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, right, wrong = shifted
    assert np.abs(recalibrated(truth, wrong, wrong, "logistic") - right).mean() < 0.02
    assert recalibrated(truth, wrong, wrong, "as it comes") == pytest.approx(wrong)


def test_in_the_large_the_mean_is_right_and_the_order_stays(shifted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, _, wrong = shifted
    new = recalibrated(truth, wrong, wrong, "in the large")
    assert new.mean() == pytest.approx(truth.mean(), abs=0.001)
    change = special.logit(new) - special.logit(wrong)
    assert np.ptp(change) < 1e-9  # one shift for all


def test_a_separable_sample_stays_finite() -> None:
    new = recalibrated([True, True, False, False], [0.9, 0.8, 0.2, 0.1], [0.5, 0.99], "logistic")
    assert np.isfinite(new).all()
    assert (new < 1).all()


def test_the_table_judges_on_the_others(shifted: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, _, wrong = shifted
    table = recalibration_table(truth[:400], wrong[:400], sizes=[100], draws=20)
    value = table.set_index(["how", "metric"])["value"]
    assert value["as it comes", "observed - predicted"] > 0.1
    assert abs(value["in the large", "observed - predicted"]) < 0.03
    assert value["logistic", "Brier score"] < value["as it comes", "Brier score"]


def test_what_cannot_be_learnt_from_is_named() -> None:
    with pytest.raises(RadlibError, match="no local patient"):
        recalibrated([], [], [0.5], "logistic")
    with pytest.raises(RadlibError, match="unknown recalibration 'isotonic'"):
        recalibrated([True], [0.5], [0.5], "isotonic")  # type: ignore[arg-type]
