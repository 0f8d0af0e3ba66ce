"""Measures of predicted survival that respect censoring: concordance by IPCW, Brier score, AUC over time.

All three weight a patient by the inverse probability of not being censored (IPCW; Uno et al. 2011, Graf et al. 1999),
estimated on the training patients of the fold. They come from scikit-survival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radlib.core.errors import RadlibError
from radlib.data.splits import Split
from radlib.stats.intervals import corrected_resampled_interval
from radlib.stats.tabular import TableCleaner

Floats = NDArray[np.float64]

IPCW, BRIER, DYNAMIC = "concordance (IPCW)", "integrated Brier score", "AUC over time"
NOBODY_KNOWN = "Kaplan-Meier of the training patients"
"""The prediction that looks at no patient: everybody gets the survival curve of the training patients."""

#: Fits on training covariates, days and deaths; gives, for test covariates and times, risks ``(n,)`` and survival
#: probabilities ``(n, times)``.
Prognosis = Callable[[pd.DataFrame, Floats, NDArray[np.bool_], pd.DataFrame, Floats], tuple[Floats, Floats]]


def prognosis_table(
    covariates: Mapping[str, tuple[pd.DataFrame, Prognosis]],
    days: pd.Series,
    event: pd.Series,
    *,
    splits: Sequence[Split],
    n_times: int = 20,
) -> pd.DataFrame:
    """Every measure of every model in every fold.

    Args:
        covariates: model to what it sees, ``(subjects, columns)``, and how it is fitted.
        days, event: follow-up and 1 for a death, on the subjects.
        splits: folds; each fits anew.
        n_times: at which the curves are compared, evenly from the 10th to the 80th percentile of the test patients'
            follow-up, within what the training patients cover.

    Returns:
        ``model, split, metric, value``. A fold without a death in the range is left out.

    Raises:
        RadlibError: if no fold can be judged.
    """
    from sksurv.metrics import concordance_index_ipcw, cumulative_dynamic_auc, integrated_brier_score
    from sksurv.util import Surv

    rows = []
    for split in splits:
        train, test = list(split.train), list(split.test)
        t_train, t_test = days[train].to_numpy(dtype=float), days[test].to_numpy(dtype=float)
        d_train, d_test = (event[part].to_numpy(dtype=float) == 1 for part in (train, test))
        # IPCW is defined as long as somebody of the training patients is still followed.
        last = min(t_train.max(), t_test.max())
        low, high = np.quantile(t_test, [0.1, 0.8])
        times = np.unique(np.linspace(low, min(high, np.nextafter(last, 0)), n_times))
        inside = t_test < last
        if len(times) < 2 or not (d_test & (t_test <= times[-1])).any() or not inside.any():
            continue
        known = Surv.from_arrays(d_train, t_train)
        asked = Surv.from_arrays(d_test[inside], t_test[inside])
        for name, (table, fit) in covariates.items():
            risk, survival = fit(table.loc[train], t_train, d_train, table.loc[test], times)
            risk, survival = risk[inside], survival[inside]
            measures = {BRIER: integrated_brier_score(known, asked, survival, times)}
            if np.ptp(risk) > 0:
                measures[IPCW] = concordance_index_ipcw(known, asked, risk, tau=times[-1])[0]
                measures[DYNAMIC] = cumulative_dynamic_auc(known, asked, risk, times)[1]
            rows += [{"model": name, "split": split.name, "metric": m, "value": float(v)} for m, v in measures.items()]
    if not rows:
        raise RadlibError("no fold has deaths while anybody is followed", remedy="take fewer folds")
    return pd.DataFrame(rows)


def summary(found: pd.DataFrame, *, folds: int) -> pd.DataFrame:
    """Mean over folds and repeats by model and metric, with the interval of Nadeau and Bengio over folds.

    Args:
        found: as :func:`prognosis_table` gives it.
        folds: of one repeat, which gives the share of patients that is tested.
    """
    rows = []
    for (model, metric), part in found.groupby(["model", "metric"], sort=False):
        estimate = corrected_resampled_interval(part["value"].to_numpy(), n_train=folds - 1, n_test=1)
        rows.append({"model": model, "metric": metric, **estimate.as_dict()})
    return pd.DataFrame(rows)


# How models are fitted


def cox(*, ridge: float = 0.1) -> Prognosis:
    """Ridge Cox regression on standardised covariates; gaps become the training median, constants are dropped."""

    def fit(
        train: pd.DataFrame, days: Floats, died: NDArray[np.bool_], test: pd.DataFrame, times: Floats
    ) -> tuple[Floats, Floats]:
        from sksurv.linear_model import CoxPHSurvivalAnalysis
        from sksurv.util import Surv

        cleaner = TableCleaner().fit(train)
        model = CoxPHSurvivalAnalysis(alpha=ridge, ties="efron")
        model.fit(cleaner.transform(train), Surv.from_arrays(died, days))
        seen = cleaner.transform(test)
        curves = model.predict_survival_function(seen)
        return np.asarray(model.predict(seen)), np.vstack([_at(curve, times) for curve in curves])

    return fit


def kaplan_meier_only() -> Prognosis:
    """:data:`NOBODY_KNOWN`; all risks are 0."""

    def fit(
        train: pd.DataFrame, days: Floats, died: NDArray[np.bool_], test: pd.DataFrame, times: Floats
    ) -> tuple[Floats, Floats]:
        from sksurv.nonparametric import kaplan_meier_estimator

        at, share = kaplan_meier_estimator(died, days)
        place = np.searchsorted(at, times, side="right") - 1
        curve = np.where(place >= 0, share[np.maximum(place, 0)], 1.0)
        return np.zeros(len(test)), np.tile(curve, (len(test), 1))

    return fit


def through_cox(
    predict: Callable[[pd.DataFrame, Floats, NDArray[np.bool_], pd.DataFrame], tuple[Floats, Floats]],
) -> Prognosis:
    """A machine that predicts days, read as a prognosis: a Cox regression on its inner out-of-fold predictions.

    Args:
        predict: from training table, days, deaths and test table: what the machine predicts for the training patients,
            each by a fit without it, and for the test patients.
    """

    def fit(
        train: pd.DataFrame, days: Floats, died: NDArray[np.bool_], test: pd.DataFrame, times: Floats
    ) -> tuple[Floats, Floats]:
        own, others = predict(train, days, died, test)
        return cox()(
            pd.DataFrame({"predicted": own}, index=train.index), days, died,
            pd.DataFrame({"predicted": others}, index=test.index), times,
        )  # fmt: skip

    return fit


def _at(curve: Callable[[Floats], Floats], times: Floats) -> Floats:
    """A step function at times; 1 before its first, its last value behind its last."""
    domain = curve.domain  # type: ignore[attr-defined]
    values = np.asarray(curve(np.clip(times, *domain)), dtype=float)
    return np.where(times < domain[0], 1.0, values)
