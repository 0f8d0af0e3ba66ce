"""Calibration curves, slope and intercept, Platt's sigmoid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from radlib.core.errors import RadlibError
from radlib.stats.calibration import PlattScaled, calibration_curve, calibration_fit
from radlib.stats.intervals import proportion


def test_curve_counted_by_hand() -> None:
    curve = calibration_curve([0, 0, 1, 1, 1, 0], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9], bins=2)
    assert curve["n"].tolist() == [3, 3]
    assert curve["predicted"].tolist() == pytest.approx([0.2, 0.8])
    assert curve["observed"].tolist() == pytest.approx([1 / 3, 2 / 3])
    wilson = proportion(1, 3)
    assert (curve["low"][0], curve["high"][0]) == (wilson.low, wilson.high)


def test_equal_probabilities_stay_together() -> None:
    curve = calibration_curve([0, 1, 1, 0], [0.2, 0.2, 0.2, 0.6], bins=4)
    assert curve["n"].tolist() == [3, 1]
    assert calibration_curve([0, 1], [0.4, 0.4])["n"].tolist() == [2]


def test_runs_are_averaged_and_nobody_gives_no_rows() -> None:
    curve = calibration_curve([0, 1], [[0.0, 0.8], [0.2, 1.0]], bins=2)
    assert curve["predicted"].tolist() == pytest.approx([0.1, 0.9])
    assert calibration_curve([], []).empty


def test_bad_probabilities_are_named() -> None:
    with pytest.raises(RadlibError, match=r"probability of 1\.5"):
        calibration_curve([0, 1], [0.5, 1.5])
    with pytest.raises(RadlibError, match="0 bins"):
        calibration_curve([0, 1], [0.5, 0.5], bins=0)


def test_fit_finds_a_planted_miscalibration() -> None:
    generator = np.random.default_rng(0)
    logit = generator.normal(0, 1, 20_000)
    truth = generator.random(20_000) < special.expit(logit)
    fit = calibration_fit(truth, special.expit(2 * logit + 1))  # twice too extreme, and too high
    assert fit.slope.low < 0.5 < fit.slope.high
    assert fit.intercept.value == pytest.approx(-0.5, abs=0.06)
    honest = calibration_fit(truth, special.expit(logit))
    assert honest.slope.low < 1 < honest.slope.high
    assert honest.in_the_large.low < 0 < honest.in_the_large.high


def test_fit_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    p = generator.random(80)
    truth = generator.random(80) < 0.3 + 0.4 * p
    ours = calibration_fit(truth, p)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(special.logit(p)[:, None], truth)
    assert ours.slope.value == pytest.approx(theirs.coef_[0, 0], abs=1e-4)
    assert ours.intercept.value == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_in_the_large_by_hand() -> None:
    # everyone is given 1/2 and 3 of 4 are positive: the offset has to be logit(3/4)
    fit = calibration_fit([1, 1, 1, 0], [0.5, 0.5, 0.5, 0.5])
    assert fit.in_the_large.value == pytest.approx(math.log(3))
    assert math.isnan(fit.slope.value)


@pytest.mark.parametrize(
    ("truth", "p"), [([0, 0], [0.1, 0.9]), ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]), ([1, 1, 0], [0.2, 0.4, 0.4])]
)
def test_slope_without_a_maximum_is_undefined(truth: list[int], p: list[float]) -> None:
    fit = calibration_fit(truth, p)
    assert math.isnan(fit.slope.value)
    assert math.isnan(fit.intercept.low)


def test_platt_keeps_decisions_and_gives_honest_probabilities() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(240, 60))  # so many columns that a linear SVM parts the training set
    truth = generator.random(240) < special.expit(1.5 * X[:, 0])
    train, test = slice(0, 120), slice(120, 240)
    plain = SVC(kernel="linear").fit(X[train], truth[train])
    scaled = PlattScaled(SVC(kernel="linear")).fit(X[train], truth[train])
    assert np.array_equal(scaled.predict(X[test]), plain.predict(X[test]))
    assert np.allclose(scaled.decision_function(X[test]), plain.decision_function(X[test]))
    p = scaled.predict_proba(X[test])
    assert np.allclose(p.sum(axis=1), 1)
    order = np.argsort(scaled.decision_function(X[test]))
    assert (np.diff(p[order, 1]) >= 0).all()
    naive = special.expit(3 * plain.decision_function(X[test]))
    scaled_brier, naive_brier = (np.mean((q - truth[test]) ** 2) for q in (p[:, 1], naive))
    assert scaled_brier < naive_brier


def test_platt_targets_under_separation() -> None:
    # four and four, perfectly parted: softened targets 5/6 and 1/6 keep the sigmoid finite
    X = np.array([-4.0, -3, -2, -1, 1, 2, 3, 4])[:, None]
    scaled = PlattScaled(SVC(kernel="linear"), folds=2).fit(X, [0] * 4 + [1] * 4)
    p = scaled.predict_proba(X)[:, 1]
    assert (p > 0.05).all()
    assert (p < 0.95).all()
    assert p[0] < 0.5 < p[-1]


def test_platt_with_one_patient_of_a_class_gives_the_frequency() -> None:
    scaled = PlattScaled(SVC(kernel="linear")).fit([[0.0], [1.0], [2.0], [9.0]], [0, 0, 0, 1])
    assert scaled.predict_proba([[9.0], [0.0]])[:, 1] == pytest.approx([0.25, 0.25])
    with pytest.raises(RadlibError, match="training set has 1"):
        PlattScaled(SVC()).fit([[0.0], [1.0]], [1, 1])
