"""Models of a table of features, fitted anew on a cohort, that predict single patients with an interval.

No fitted model is kept on disk: fitting takes seconds, and a file of a fitted scikit-learn model is a pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from radlib.core.progress import track
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.stats.binary import SVM, Question, Recipe, folds_for, predictions_of
from radlib.stats.classification import evaluate
from radlib.stats.intervals import Estimate
from radlib.stats.protocols import LEAKAGE_FREE, RepeatedFolds, out_of_fold
from radlib.stats.survival import (
    LONG_ABOVE_DAYS,
    SHORT_BELOW_DAYS,
    concordance,
    cox_out_of_fold,
    signed_days,
)

SURVIVAL_COVARIATES = ("age", "wt_axis1_length", "tc_axis1_length", "necrosis_axis1_length")
"""Age and three lengths of the tumour: a Cox model needs about ten deaths a covariate, and 71 features are too many."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is predicted of patients, and what the model is worth.

    Attributes:
        question: what is predicted, in words.
        values: ``(patients, outcomes)`` probabilities in [0, 1].
        low, high: 95 % limits of the same shape, from refits on resampled training patients: how much the prediction
            depends on who happened to be in the training set. They say nothing of patients of another kind.
        trained_on: cohort and patients, in words.
        worth: what the model reaches on patients of the training cohort left out, and its name.
        unusual: per patient, features outside the range of the training patients.
    """

    question: str
    values: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame
    trained_on: str
    worth: tuple[str, Estimate]
    unusual: pd.Series

    def of(self, subject: str) -> dict[str, tuple[float, float, float]]:
        """Outcome to probability and its limits, of one patient."""
        rows = [table.loc[subject].to_numpy(dtype=float) for table in (self.values, self.low, self.high)]
        return {str(name): (rows[0][k], rows[1][k], rows[2][k]) for k, name in enumerate(self.values)}


def predict_idh(train: Cohort, features: pd.DataFrame, *, n_boot: int = 100, seed: int = 0) -> Answer:
    """The probability of an IDH mutation from the 71 features (conventional radiomics of Li 2017, Platt's sigmoid).

    Args:
        train: with ``idh`` and ``radiomics`` of the preset ``islam71``.
        features: ``(patients, 71)``, gaps allowed.
        n_boot: refits behind the interval.
        seed: of the resamples and inner folds.

    Raises:
        MissingDataError: if the cohort has no features or no IDH status.
    """
    known = train.complete("idh", "radiomics")
    assert known.radiomics is not None
    table = known.radiomics[list(features)].astype(float)
    mutant = known.participants["idh"] == "mutant"
    recipe = Recipe(seed=seed)
    question = Question(
        name="idh", features=table, truth=mutant, clinical=known.participants[["age", "collection"]]
    )  # fmt: skip
    run = out_of_fold(
        table,
        mutant,
        models={SVM: recipe.whole()},
        splitter=folds_for(question, n_folds=5, n_repeats=1, seed=seed),
        protocol=LEAKAGE_FREE,
    )
    found = evaluate(predictions_of(run, LEAKAGE_FREE, SVM, order=mutant.index), n_boot=500, seed=seed)

    def probability(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        model = recipe.with_probabilities(recipe.whole())
        model.fit(table.iloc[rows], mutant.iloc[rows])
        return np.asarray(model.predict_proba(features)[:, list(model.classes_).index(True)])[:, None]

    return _answer(
        "IDH mutation", ["mutant"], probability, table, features, strata=mutant.to_numpy(), n_boot=n_boot, seed=seed,
        trained_on=f"{len(table)} patients of the {known.source} cohort {known.name}, {int(mutant.sum())} mutant",
        worth=("AUC, leakage-free", found["auc"]),
    )  # fmt: skip


def predict_survival(train: Cohort, covariates: pd.DataFrame, *, n_boot: int = 100, seed: int = 0) -> Answer:
    """The probabilities of Islam 2020's three classes of survival, by Cox regression with Breslow's baseline.

    Args:
        train: with ``survival_days``, ``event``, ``age`` and ``radiomics`` of the preset ``islam71``.
        covariates: ``(patients, some of SURVIVAL_COVARIATES)``; gaps become the training median.
        n_boot: refits behind the interval.
        seed: of the resamples.

    Raises:
        MissingDataError: if the cohort has no features or no follow-up.
    """
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    known = train.complete("survival_days", "event", "radiomics")
    assert known.radiomics is not None
    people = known.participants
    table = known.radiomics.assign(age=people["age"])[list(covariates)].astype(float)
    days, event = people["survival_days"].astype(float), people["event"].astype(float)
    days = days.clip(lower=1)  # a death on the first day has no follow-up to carry a sign
    rows = cox_out_of_fold(table, days, event, splitter=RepeatedFolds(n_folds=5, n_repeats=1, seed=seed), strata=event)
    signed = signed_days(days, event).to_numpy()
    impute = SimpleImputer(strategy="median", keep_empty_features=True)
    prepare = Pipeline([("impute", impute), ("scale", StandardScaler())])
    limits = [SHORT_BELOW_DAYS, LONG_ABOVE_DAYS]

    def classes(chosen: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        first: BaseEstimator = clone(prepare)
        X = first.fit_transform(table.iloc[chosen])
        outcome = Surv.from_arrays(signed[chosen] > 0, np.abs(signed[chosen]))
        model = CoxPHSurvivalAnalysis(alpha=1e-3, ties="breslow").fit(X, outcome)
        curves = model.predict_survival_function(first.transform(covariates))
        alive = np.array([[curve(min(limit, curve.x[-1])) for limit in limits] for curve in curves])
        return np.column_stack([1 - alive[:, 0], alive[:, 0] - alive[:, 1], alive[:, 1]])

    short, long = f"under {SHORT_BELOW_DAYS:.0f} days", f"over {LONG_ABOVE_DAYS:.0f} days"
    return _answer(
        "survival from diagnosis", [short, "between", long], classes, table, covariates, strata=event.to_numpy() == 1,
        n_boot=n_boot, seed=seed,
        trained_on=f"{len(table)} patients of the {known.source} cohort {known.name}, {int(event.sum())} deaths",
        worth=("concordance, leakage-free", concordance(rows, days, event, n_boot=500, seed=seed)),
    )  # fmt: skip


def _answer(
    question: str,
    outcomes: list[str],
    predict: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float64]],
    table: pd.DataFrame,
    given: pd.DataFrame,
    *,
    strata: npt.NDArray[np.bool_],
    n_boot: int,
    seed: int,
    trained_on: str,
    worth: tuple[str, Estimate],
) -> Answer:
    """Predict once from all training patients and ``n_boot`` times from resamples within strata."""
    everyone = np.arange(len(table))
    draws = rng(seed, "refits", question)
    groups = [everyone[strata == value] for value in np.unique(strata)]
    refits = [
        predict(np.concatenate([draws.choice(group, size=len(group)) for group in groups]))
        for _ in track(range(n_boot), description=f"interval of {question}")
    ]
    low, high = np.quantile(np.array(refits), [0.025, 0.975], axis=0)
    below, above = given.lt(table.min()), given.gt(table.max())
    values, low, high = (pd.DataFrame(part, given.index, outcomes) for part in (predict(everyone), low, high))
    return Answer(
        question=question, values=values, low=low, high=high, trained_on=trained_on, worth=worth,
        unusual=(below | above).sum(axis=1),
    )  # fmt: skip
