"""Survival: three classes, days by regression, and what respects censoring.

Islam 2020 (section III-C3) predicts survival days and the classes short, medium and long with a linear SVM and a
neural network of six hidden nodes. A death is an event; a patient alive at the last contact is censored, and only
known to have lived at least so long.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.utils.validation import check_is_fitted, validate_data

from radlib.core.errors import RadlibError
from radlib.stats.intervals import LEVEL, Estimate, bootstrap, mean_estimate
from radlib.stats.protocols import Splitter, out_of_fold

FloatArray = npt.NDArray[np.float64]

CLASSES = {0: "short", 1: "medium", 2: "long"}
"""Survival classes in their order."""

SHORT_BELOW_DAYS = 300.0
LONG_ABOVE_DAYS = 450.0
"""BraTS 2017 to 2020 divide at 10 and 15 months of 30 days: short < 300, medium 300 to 450, long > 450 days."""


def days_to_class(
    days: npt.ArrayLike, *, short_below: float = SHORT_BELOW_DAYS, long_above: float = LONG_ABOVE_DAYS
) -> npt.NDArray[np.int64]:
    """0 (short, below ``short_below``), 1 (medium, both limits included), 2 (long, above ``long_above``).

    For deaths and for predictions (which may be negative: short). For patients use :func:`survival_classes`.

    Raises:
        RadlibError: if the limits do not rise, or a number is NaN.
    """
    _check_limits(short_below, long_above)
    values = np.asarray(days, dtype=float)
    if np.isnan(values).any():
        raise RadlibError("a number of days is NaN", remedy="leave patients without survival out")
    return (values >= short_below).astype(np.int64) + (values > long_above).astype(np.int64)


def survival_classes(
    days: pd.Series,
    event: pd.Series,
    *,
    short_below: float = SHORT_BELOW_DAYS,
    long_above: float = LONG_ABOVE_DAYS,
) -> pd.Series:
    """The class of each patient, NaN where follow-up does not tell.

    A death at ``days`` is in the class of its days. A censored patient who was followed beyond ``long_above`` is
    long for certain. One whose follow-up ends before could be in this or any longer class: unknown, NaN. A patient
    without days or event is unknown too.

    Returns:
        (subjects,) floats 0, 1, 2 (:data:`CLASSES`) or NaN, on the index of ``days``.
    """
    _check_limits(short_below, long_above)
    time, died = days.astype(float), event.loc[days.index].astype(float)
    if (time < 0).any():
        raise RadlibError(f"subject {time.index[time < 0][0]!r} has negative survival", remedy="mend the table")
    known = time.notna() & died.notna() & ((died == 1) | (time > long_above))
    classes = pd.Series(np.nan, index=days.index, name="survival_class")
    classes[known] = days_to_class(time[known], short_below=short_below, long_above=long_above).astype(float)
    return classes


# The book's models of Islam 2020. The target of a regression is standardised on the training fold, so that the
# penalty C = 1 and the tube epsilon = 0.1 do not depend on the unit of time.


def svm_regressor(*, C: float = 1.0, epsilon: float = 0.1) -> TransformedTargetRegressor:
    """Linear support vector regression of days; ``epsilon`` in standard deviations of the training days."""
    return TransformedTargetRegressor(SVR(kernel="linear", C=C, epsilon=epsilon), transformer=StandardScaler())


def ann_classifier(*, hidden: int = 6, seed: int = 0) -> MLPClassifier:
    """One hidden layer with ReLU, softmax output (Islam 2020, section III-C3: six nodes), fitted by L-BFGS."""
    return _Classifier(hidden_layer_sizes=(hidden,), solver="lbfgs", max_iter=2000, random_state=seed)


def ann_regressor(*, hidden: int = 6, seed: int = 0) -> TransformedTargetRegressor:
    """The same network with one linear output, for days."""
    network = _Regressor(hidden_layer_sizes=(hidden,), solver="lbfgs", max_iter=2000, random_state=seed)
    return TransformedTargetRegressor(network, transformer=StandardScaler())


class _Classifier(MLPClassifier):
    def fit(self, X: Any, y: Any) -> _Classifier:
        with warnings.catch_warnings():
            # On tens of separable subjects the loss falls towards 0 for ever; where it is stopped does not matter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().fit(X, y)


class _Regressor(MLPRegressor):
    def fit(self, X: Any, y: Any) -> _Regressor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # as in _Classifier
            return super().fit(X, y)


def mean_squared_error(rows: pd.DataFrame, event: pd.Series, *, n_boot: int = 2000, seed: int = 0) -> Estimate:
    """Mean squared error of predicted days over patients whose death was observed, in days².

    Args:
        rows: ``subject``, ``true`` and ``predicted`` days, any number of repeats.
        event: (subjects,) 1 for a death; others are left out, since their error is not known.

    Returns:
        The mean over patients and repeats with its bootstrap interval over patients; NaN without a death.
    """
    died = rows[rows["subject"].map(event).to_numpy() == 1]
    squared = ((died["true"] - died["predicted"]) ** 2).groupby(died["subject"]).mean()
    return mean_estimate(squared, n_boot=n_boot, seed=seed)


def concordance(
    rows: pd.DataFrame,
    days: pd.Series,
    event: pd.Series,
    *,
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Harrell's concordance of predicted with observed survival, with censoring, within folds.

    A pair of patients is comparable if one is known to have died before the other did or was last seen. It is
    concordant if that one has the smaller prediction; equal predictions count half. Only patients of one test fold
    are compared, since predictions of different folds come from different models. The index is the same as
    ``sksurv.metrics.concordance_index_censored``, pooled over folds and repeats by comparable pairs.

    Args:
        rows: ``repeat``, ``fold``, ``subject``, ``predicted`` (days, or any score that is larger for longer survival).
        days, event: (subjects,) follow-up and 1 for a death.

    Returns:
        0 to 1, 0.5 for predictions that know nothing, with a bootstrap interval over patients; NaN where no pair is
        comparable.
    """
    subjects = pd.Index(sorted(set(rows["subject"])))
    time = days.loc[subjects].to_numpy(dtype=float)
    died = event.loc[subjects].to_numpy(dtype=float) == 1
    earlier = died[:, None] & ((time[:, None] < time) | ((time[:, None] == time) & ~died))
    comparable = np.zeros(earlier.shape)
    concordant = np.zeros(earlier.shape)
    for _, fold in rows.groupby(["repeat", "fold"]):
        at = subjects.get_indexer(fold["subject"])
        predicted = fold["predicted"].to_numpy(dtype=float)
        pairs = earlier[np.ix_(at, at)]
        agree = (predicted[:, None] < predicted) + 0.5 * (np.abs(predicted[:, None] - predicted) <= 1e-8)
        comparable[np.ix_(at, at)] += pairs
        concordant[np.ix_(at, at)] += pairs * np.minimum(agree, 1.0)

    def statistic(weights: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(
                ((weights @ concordant) * weights).sum(axis=1) / ((weights @ comparable) * weights).sum(axis=1)
            )

    return bootstrap(statistic, died, n_boot=n_boot, seed=seed, method="percentile")


def kaplan_meier(days: pd.Series, event: pd.Series, groups: pd.Series) -> pd.DataFrame:
    """Kaplan-Meier curves by group, with pointwise log-log intervals.

    Returns:
        ``group``, ``days``, ``survival``, ``low``, ``high``, starting at day 0 with survival 1; a row a distinct day.
    """
    from sksurv.nonparametric import kaplan_meier_estimator

    curves = []
    for name, members in groups.groupby(groups, sort=True):
        who = members.index
        died = event.loc[who].to_numpy(dtype=float) == 1
        time = days.loc[who].to_numpy(dtype=float)
        if died.any():
            times, share, limits = kaplan_meier_estimator(died, time, conf_level=LEVEL, conf_type="log-log")
        else:  # no interval without an event
            times, share = np.unique(time), np.ones(len(np.unique(time)))
            limits = np.array([np.full(len(times), np.nan)] * 2)
        curves.append(
            pd.DataFrame({
                "group": name,
                "days": np.concatenate([[0.0], times]),
                "survival": np.concatenate([[1.0], share]),
                "low": np.concatenate([[1.0], limits[0]]),
                "high": np.concatenate([[1.0], limits[1]]),
            })
        )  # fmt: skip
    return pd.concat(curves, ignore_index=True)


@dataclass(frozen=True)
class LogRank:
    """A log-rank test: statistic, p-value, and per group patients, deaths observed and expected."""

    chi2: float
    p: float
    groups: pd.DataFrame


def log_rank(days: pd.Series, event: pd.Series, groups: pd.Series) -> LogRank:
    """Log-rank test between groups. With fewer than two groups, statistic and p are NaN.

    The p-value takes the groups as given before follow-up. Groups predicted by a model that saw the outcome of the
    same patients (as published) break that, and cross-validated groups strain it: patients of other folds shaped the
    model. Read the latter beside the permuted labels.
    """
    from sksurv.compare import compare_survival
    from sksurv.util import Surv

    who = groups.index
    died = event.loc[who].to_numpy(dtype=float) == 1
    time = days.loc[who].to_numpy(dtype=float)
    table = pd.DataFrame({"patients": groups.value_counts(), "deaths": groups[died].value_counts()}).fillna(0)
    table = table.sort_index().astype(int)
    if len(table) < 2 or not died.any():
        return LogRank(float("nan"), float("nan"), table)
    chi2, p, stats, _ = compare_survival(
        Surv.from_arrays(died, time), groups.to_numpy(), return_stats=True
    )  # fmt: skip
    table["expected deaths"] = stats["expected"].to_numpy(dtype=float)
    return LogRank(float(chi2), float(p), table)


def modal_group(rows: pd.DataFrame) -> pd.Series:
    """One predicted class a patient: the most frequent over the repeats, the lower class in a tie."""
    counts = rows.groupby(["subject", "predicted"]).size().unstack(fill_value=0).sort_index(axis=1)
    return counts.idxmax(axis=1).rename("predicted")


def cox_table(covariates: pd.DataFrame, days: pd.Series, event: pd.Series) -> pd.DataFrame:
    """Cox proportional hazards on all patients (Efron's ties): a row a covariate.

    Args:
        covariates: (subjects, covariates), finite, in the units in which the hazard ratio is wanted (e.g. decades).

    Returns:
        ``hazard ratio``, ``low``, ``high``, ``p`` (Wald), ``n``, ``deaths``.
    """
    from statsmodels.duration.hazard_regression import PHReg

    who = covariates.index
    died = event.loc[who].to_numpy(dtype=float)
    fitted = PHReg(
        days.loc[who].to_numpy(dtype=float), covariates.to_numpy(dtype=float), status=died, ties="efron"
    ).fit()
    limits = fitted.conf_int(alpha=1 - LEVEL)
    return pd.DataFrame(
        {
            "hazard ratio": np.exp(fitted.params), "low": np.exp(limits[:, 0]), "high": np.exp(limits[:, 1]),
            "p": fitted.pvalues, "n": len(who), "deaths": int(died.sum()),
        },
        index=covariates.columns,
    )  # fmt: skip


class CoxModel(RegressorMixin, BaseEstimator):
    """Cox regression as a scikit-learn regressor, so that it runs under the same protocols.

    The target is *signed days*: days of a death are positive, days of a censored patient negative
    (:func:`signed_days`). A prediction is minus the log relative hazard: larger for longer survival.
    """

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> CoxModel:
        """Fit on (subjects, covariates) and (subjects,) signed days."""
        from sksurv.linear_model import CoxPHSurvivalAnalysis
        from sksurv.util import Surv

        data, signed = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        self.model_ = CoxPHSurvivalAnalysis(ties="efron").fit(data, Surv.from_arrays(signed > 0, np.abs(signed)))
        return self

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """(subjects,) minus the log relative hazard."""
        check_is_fitted(self)
        return -np.asarray(self.model_.predict(validate_data(self, X, reset=False, dtype=np.float64)))


def signed_days(days: pd.Series, event: pd.Series) -> pd.Series:
    """Days, negative where censored; the target of :class:`CoxModel`.

    Raises:
        RadlibError: for a patient with 0 days or less, which cannot carry a sign.
    """
    if (days <= 0).any():
        raise RadlibError(f"subject {days.index[days <= 0][0]!r} has no positive follow-up", remedy="leave it out")
    return days.where(event.loc[days.index] == 1, -days).astype(float)


def cox_out_of_fold(
    covariates: pd.DataFrame,
    days: pd.Series,
    event: pd.Series,
    *,
    splitter: Splitter,
    strata: pd.Series | None = None,
    name: str = "Cox",
) -> pd.DataFrame:
    """Predictions of a Cox model inside the folds; gaps in the covariates become the training median.

    Returns:
        Rows for :func:`concordance`.
    """
    from sklearn.impute import SimpleImputer

    model = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler()), ("cox", CoxModel())])
    return out_of_fold(
        covariates, signed_days(days, event), models={name: model}, splitter=splitter, strata=strata
    ).predictions


def _check_limits(short_below: float, long_above: float) -> None:
    if not 0 < short_below <= long_above:
        raise RadlibError(
            f"survival classes with limits {short_below} and {long_above} days",
            remedy="give 0 < short_below <= long_above",
        )
