"""Calibration: do predicted probabilities mean what they say?

A classifier can rank patients well and still be overconfident. The curve shows observed against predicted frequency;
slope and intercept sum it up (Cox 1958; Van Calster et al. 2016): with ``L = logit(p)``,

    logit P(y = 1) = a + b L     slope b: 1 is ideal, below 1 the predictions are too extreme
    logit P(y = 1) = a' + L      calibration in the large a': 0 is ideal, above 0 the risk is underestimated
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from radlib.core.errors import RadlibError
from radlib.stats.intervals import LEVEL, Estimate, proportion
from radlib.stats.roc import as_labels

_EDGE = 1e-6  # probabilities of 0 and 1 have no finite logit


@dataclass(frozen=True)
class CalibrationFit:
    """Slope, intercept and calibration in the large, with Wald intervals; see the module's first lines.

    NaN throughout where a class is absent. Slope and intercept are also NaN where the probabilities separate the
    classes (the likelihood has no maximum) or are all equal.
    """

    slope: Estimate
    intercept: Estimate
    in_the_large: Estimate


def calibration_curve(
    truth: ArrayLike,
    probability: ArrayLike,
    *,
    bins: int = 5,
) -> pd.DataFrame:
    """Observed frequency in groups of patients of similar predicted probability.

    Args:
        truth: ``(n,)``.
        probability: ``(n,)`` in [0, 1], or ``(R, n)``: then the mean over the runs is each patient's probability.
        bins: number of groups of about equal size; patients of equal probability are never parted, so that there may
            be fewer groups.

    Returns:
        One row a group, by rising probability: ``predicted`` (mean), ``observed``, ``low``, ``high``, ``n``.
        Without patients, no rows.

    Raises:
        RadlibError: if a probability lies outside [0, 1] or ``bins`` is below 1.
    """
    t, p = _checked(truth, probability)
    if bins < 1:
        raise RadlibError(f"{bins} bins", remedy="give at least 1")
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1])) if len(p) else np.empty(0)
    group = np.searchsorted(edges, p, side="left")
    rows = []
    for number in np.unique(group):
        members = group == number
        observed = proportion(int(t[members].sum()), int(members.sum()))
        rows.append(
            {
                "predicted": float(p[members].mean()),
                "observed": observed.value,
                "low": observed.low,
                "high": observed.high,
                "n": observed.n,
            }
        )
    return pd.DataFrame(rows, columns=["predicted", "observed", "low", "high", "n"])


def calibration_fit(truth: ArrayLike, probability: ArrayLike) -> CalibrationFit:
    """Slope, intercept and calibration in the large of ``probability`` (``(n,)``, or ``(R, n)``, averaged)."""
    import statsmodels.api as sm

    t, p = _checked(truth, probability)
    logit = special.logit(np.clip(p, _EDGE, 1 - _EDGE))
    undefined = Estimate(float("nan"), n=len(t), method="Wald")
    if not t.any() or t.all():
        return CalibrationFit(undefined, undefined, undefined)

    def fitted(design: NDArray[np.float64], offset: NDArray[np.float64] | None) -> list[Estimate]:
        with warnings.catch_warnings():  # an offset that already separates makes statsmodels warn
            warnings.simplefilter("ignore")
            fit = sm.GLM(t.astype(float), design, family=sm.families.Binomial(), offset=offset).fit()
        limits = fit.conf_int(alpha=1 - LEVEL)
        return [
            Estimate(float(value), float(low), float(high), len(t), "Wald")
            for value, (low, high) in zip(fit.params, limits, strict=True)
        ]

    ones = np.ones((len(t), 1))
    (large,) = fitted(ones, logit)
    if np.ptp(logit) == 0 or _separated(t, p):
        return CalibrationFit(undefined, undefined, large)
    intercept, slope = fitted(np.column_stack([ones, logit]), None)
    return CalibrationFit(slope, intercept, large)


class PlattScaled(ClassifierMixin, BaseEstimator):
    """A classifier's own decisions, with probabilities from Platt's sigmoid.

    The sigmoid is fitted on decision values from folds *inside* the training set, for each of which the whole
    estimator (selection and all) is fitted anew; fitted on the values of its own training patients it would be far
    too sure of itself. Class and decision value stay those of the estimator fitted on the whole training set, so
    that accuracy and AUC are the estimator's. Platt's targets ``(n+ + 1)/(n+ + 2)`` and ``1/(n- + 2)`` keep the
    sigmoid finite under separation (Platt 1999, section 2.2).

    Args:
        estimator: a binary classifier with ``decision_function``; a pipeline as a rule.
        folds: folds inside the training set, reduced to the size of its smaller class. Where a fold would leave fewer
            than two patients of a class to train on, probabilities are the training frequency.
        seed: of the folds.
    """

    def __init__(self, estimator: Any, *, folds: int = 3, seed: int = 0) -> None:
        self.estimator = estimator
        self.folds = folds
        self.seed = seed

    def fit(self, X: Any, y: ArrayLike) -> PlattScaled:
        """Fit the estimator on everything and the sigmoid on inner folds."""
        labels = np.asarray(y)
        self.classes_ = np.unique(labels)
        if len(self.classes_) != 2:
            raise RadlibError(
                f"Platt's sigmoid is for two classes, the training set has {len(self.classes_)}",
                remedy="use fewer or stratified folds, so that both classes are in each training set",
            )
        self.estimator_ = clone(self.estimator).fit(X, y)
        positive = labels == self.classes_[1]
        smaller = min(int(positive.sum()), int((~positive).sum()))
        folds = min(self.folds, smaller)
        if folds < 2 or smaller - -(-smaller // folds) < 2:
            self.weights_ = (0.0, float(special.logit(positive.mean())))
            return self
        split = StratifiedKFold(folds, shuffle=True, random_state=self.seed)
        decisions = cross_val_predict(clone(self.estimator), X, labels, cv=split, method="decision_function")
        self.weights_ = _platt(decisions, positive)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """The estimator's own decision values, ``(n,)``."""
        return np.asarray(self.estimator_.decision_function(X), dtype=np.float64)

    def predict(self, X: Any) -> NDArray[Any]:
        """The estimator's own classes, ``(n,)``."""
        return np.asarray(self.estimator_.predict(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of both classes, ``(n, 2)``."""
        slope, intercept = self.weights_
        positive = special.expit(slope * self.decision_function(X) + intercept)
        return np.column_stack([1 - positive, positive])


def _platt(decisions: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of the sigmoid, by logistic regression on Platt's softened targets."""
    m, n = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (m + 1) / (m + 2), 1 / (n + 2))
    spread = float(decisions.std()) or 1.0
    # A soft target is a positive and a negative patient with weights that add up to one.
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        np.tile(decisions, 2)[:, None] / spread,
        np.repeat([1, 0], len(decisions)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return float(model.coef_[0, 0]) / spread, float(model.intercept_[0])


def _checked(truth: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    t = as_labels(truth, name="truth")
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim == 2:
        p = p.mean(axis=0)
    if p.shape != t.shape:
        raise RadlibError(f"{len(t)} labels and probabilities of shape {p.shape}", remedy="give one each")
    if not ((p >= 0) & (p <= 1)).all():
        raise RadlibError(f"a probability of {p[~((p >= 0) & (p <= 1))][0]}", remedy="give values in [0, 1]")
    return t, p


def _separated(truth: NDArray[np.bool_], p: NDArray[np.float64]) -> bool:
    """True where a threshold on ``p`` parts the classes, in either direction (ties at the threshold included)."""
    return bool(p[truth].min() >= p[~truth].max() or p[truth].max() <= p[~truth].min())
