"""IDH status from a radiomic table: the patients, the labels and their doubts, and the tables of the chapter.

The cohort of Ge 2020 counts every patient without an IDH1 mutation on record as wild-type. Three versions of the
label are therefore kept apart: as counted, as known, and (in a simulated cohort) the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.stats.binary import (
    SVM,
    Question,
    Recipe,
    Results,
    folds_for,
    permuted,
    run_controls,
)
from radlib.stats.classification import Predictions
from radlib.stats.noise import (
    FitPredict,
    assignment_bounds,
    assignment_simulation,
    counted_as_negative,
    refit_under_noise,
)
from radlib.stats.protocols import LEAKAGE_FREE, PERMUTED, Splitter, out_of_fold
from radlib.stats.roc import auc

#: How the group of shuffles within collections is named, behind the name of the patients.
WITHIN = ", within collections"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Three versions of the IDH status of the same patients, True for mutant.

    Attributes:
        counted: as the cohort counts them: no mutation on record is wild-type.
        known: NaN where the status was not determined, else 1.0 for mutant.
        truth: of a simulated cohort, else None.
    """

    counted: pd.Series
    known: pd.Series
    truth: pd.Series | None = None

    @property
    def uncertain(self) -> np.ndarray:
        """``(n,)``, True where the status was not determined."""
        return self.known.isna().to_numpy()


def labels_of(cohort: Cohort, *, unknown_share: float, missed_share: float, seed: int = 0) -> Labels:
    """The labels of a cohort.

    Real patients: as Ge 2020 counts them (``idh``), and Ceccarelli et al.'s status (``idh_ceccarelli``). A user's own
    patients: ``idh``, where an empty cell counts as wild-type. Simulated patients: the truth is known, and the same
    kind of gap is made: ``unknown_share`` of the patients lose their status, ``missed_share`` of the other mutants
    are overlooked, and all of these count as wild-type.
    """
    cohort.require("idh", "radiomics")
    table = cohort.participants
    mutant = table["idh"] == "mutant"
    if cohort.source == "simulated":
        truth = mutant.to_numpy(dtype=bool)
        lost = rng(seed, "status lost").random(len(table)) < unknown_share
        counted = counted_as_negative(truth, unknown=lost.astype(float), missed=missed_share, seed=seed)
        known = pd.Series(np.where(lost, np.nan, truth.astype(float)), index=table.index)
        return Labels(counted=pd.Series(counted, index=table.index), known=known, truth=mutant)
    status = table["idh_ceccarelli"] if "idh_ceccarelli" in table else table["idh"]
    known = (status == "mutant").astype(float).where(status.notna())
    return Labels(counted=mutant.astype(bool), known=known)


def questions_of(cohort: Cohort, labels: Labels) -> dict[str, Question]:
    """``all`` (labels as counted), ``known`` (patients of known status, by that status), ``LGG`` and ``GBM``."""
    assert cohort.radiomics is not None
    table = cohort.participants
    everyone = Question(
        name=f"all {len(table)}",
        features=cohort.radiomics.loc[table.index],
        truth=labels.counted,
        clinical=table[["age", "collection"]],
    )
    sure = ~labels.uncertain
    known = everyone.subset(f"known status ({sure.sum()})", sure).relabelled(labels.known[sure] == 1)
    questions = {"all": everyone, "known": known}
    for name in ("LGG", "GBM"):
        members = (table["collection"] == name).to_numpy()
        if members.any():
            questions[name] = everyone.subset(f"{name} only ({members.sum()})", members)
    return questions


def askable(questions: dict[str, Question], names: Sequence[str] = ("all", "LGG")) -> list[Question]:
    """Those of the named questions that exist and can be cross-validated; possibly none."""
    return [questions[name] for name in names if name in questions and not questions[name].obstacle]


def permutation_table(
    questions: Sequence[Question],
    recipe: Recipe,
    *,
    permutations: int,
    within: pd.Series | None,
    n_folds: int,
    n_repeats: int,
    seed: int,
) -> pd.DataFrame:
    """The procedure on shuffled labels for each question: rows ``permutation, protocol, metric, value, group``.

    The first question is also shuffled within the values of ``within`` (a group named ``..., within collections``),
    under the leakage-free protocol alone; None leaves that out.
    """
    parts = []
    for question in questions:
        splitter = folds_for(question, n_folds=n_folds, n_repeats=n_repeats, seed=seed)
        found = permuted(question, splitter, recipe, permutations=permutations, seed=seed)
        parts.append(found.assign(group=question.name))
    if within is not None and questions:
        first = questions[0]
        splitter = folds_for(first, n_folds=n_folds, n_repeats=n_repeats, seed=seed)
        found = permuted(
            first, splitter, recipe, permutations=permutations, within=within, protocols=[PERMUTED], seed=seed
        )
        parts.append(found.assign(group=f"{first.name}{WITHIN}"))
    return pd.concat(parts, ignore_index=True)


def doubt_table(results: Results, labels: Labels, rate: np.ndarray, *, seed: int) -> pd.DataFrame:
    """How far accuracy and AUC move under other labels of the uncertain patients, model by model.

    Columns: ``protocol, model, metric, value`` (as counted), ``low, high`` (bounds over all labellings),
    ``mean, plausible low, plausible high`` (labels drawn with ``rate``).
    """
    rows = []
    for (protocol, model), predictions in results.items():
        bounds = assignment_bounds(predictions, labels.uncertain)
        drawn = assignment_simulation(predictions, labels.uncertain, rate, seed=seed)
        for metric in ("accuracy", "auc"):
            low, high = drawn.loc[metric, ["low", "high"]]
            rows.append({
                "protocol": protocol, "model": model, "metric": metric, **bounds.loc[metric].to_dict(),
                "mean": drawn.loc[metric, "mean"], "plausible low": low, "plausible high": high,
            })  # fmt: skip
    return pd.DataFrame(rows)


def rate_by_collection(cohort: Cohort, labels: Labels) -> np.ndarray:
    """The share of mutants among patients of known status of the same collection, with one of each added (Laplace)."""
    collection = cohort.participants["collection"].fillna("unknown")
    known = labels.known.groupby(collection)
    rate = (known.sum() + 1) / (known.count() + 2)
    return collection.map(rate).to_numpy(dtype=float)


def refitter(question: Question, splitter: Splitter, recipe: Recipe, model: str) -> FitPredict:
    """A function that trains a model of :func:`run_protocols` on given labels and predicts the same patients."""

    def fit_predict(labels: np.ndarray, seed: int) -> Predictions:
        noisy = question.relabelled(labels)
        if model != SVM:
            (found,) = (p for (_, name), p in run_controls(noisy, splitter).items() if name == model)
            return found
        return leakage_free(noisy, splitter, recipe)

    return fit_predict


def refit_table(
    question: Question,
    splitter: Splitter,
    recipe: Recipe,
    models: Sequence[str],
    *,
    labels: Labels,
    collection: pd.Series,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Models trained on labels with the cohort's own kind of noise, judged by those labels and by the truth.

    Patients of the question lose their status with the share of their collection in the whole cohort, and mutants
    are overlooked with the share that the cohort overlooks among its known mutants.

    Returns:
        Means over the draws: ``model, metric, flipped`` (patients with a wrong label), ``by label, by truth``.
    """
    unknown = pd.Series(labels.uncertain, index=collection.index).groupby(collection).mean()
    mutants = labels.known == 1
    overlooked = float((mutants & ~labels.counted).sum() / max(mutants.sum(), 1))
    parts = []
    for model in models:
        noisy = refit_under_noise(
            refitter(question, splitter, recipe, model),
            question.truth,
            missed=overlooked,
            draws=draws,
            seed=seed,
            unknown=collection[question.truth.index].map(unknown).to_numpy(),
        )
        parts.append(noisy[noisy["metric"].isin(["accuracy", "auc", "mcc"])].assign(model=model))
    columns = ["flipped", "by label", "by truth"]
    return pd.concat(parts).groupby(["model", "metric"], sort=False)[columns].mean().reset_index()


def leakage_free(question: Question, splitter: Splitter, recipe: Recipe) -> Predictions:
    """The whole radiomics pipeline refitted in every training fold (decisions only)."""
    from radlib.stats.binary import predictions_of

    with warnings.catch_warnings():
        # A feature that is constant in one class makes SciPy warn of lost precision; its p-value is right.
        warnings.filterwarnings("ignore", message="Precision loss occurred", category=RuntimeWarning)
        run = out_of_fold(question.features, question.truth, models={SVM: recipe.whole()}, splitter=splitter)
    return predictions_of(run, LEAKAGE_FREE, SVM, order=question.truth.index)


def planted_table(traits: pd.DataFrame, truth: pd.Series, within: pd.Series) -> pd.DataFrame:
    """How well each planted trait alone tells the classes apart (AUC, direction ignored), overall and in LGG."""
    rows = []
    inside = (within == "LGG").to_numpy()
    for name in traits:
        values = [auc(truth[mask], traits[name][mask]) for mask in (np.ones(len(truth), dtype=bool), inside)]
        rows.append({"trait": name, **dict(zip(("all", "LGG"), (max(v, 1 - v) for v in values), strict=True))})
    return pd.DataFrame(rows).sort_values("all", ascending=False, ignore_index=True)
