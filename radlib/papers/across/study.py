"""The jobs of the chapters on radiomic tables: IDH under three protocols, and external validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort
from radlib.papers.across import idh
from radlib.papers.across.other_cohort import open_other, validate_survival
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.phantom.planted import planted_traits
from radlib.stats import binary
from radlib.stats.binary import Question, Recipe, Results
from radlib.stats.classification import Predictions
from radlib.stats.external import pooled_groups, validate
from radlib.stats.protocols import CONTROL, LEAKAGE_FREE, LeaveOneOutFolds, Splitter
from radlib.study.cohorts import Source
from radlib.study.jobs import job
from radlib.study.store import Work

Scheme = Literal["leave-one-out", "repeated folds"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which patients are asked about, and what their labels are (:func:`radlib.papers.across.idh.labels_of`).

    Attributes:
        source: the cohort.
        unknown_share, missed_share: of simulated patients whose status is lost, of mutants who are overlooked.
        seed: of both.
    """

    source: Source
    unknown_share: float
    missed_share: float
    seed: int

    def open(self) -> tuple[Cohort, idh.Labels, dict[str, Question]]:
        """The cohort, its labels, and the questions by group: ``all``, ``known``, and the collections there are."""
        return _opened(self)

    def question(self, group: str) -> Question:
        """The question about one group of the patients."""
        return self.open()[2][group]


@cache
def _opened(asked: Asked) -> tuple[Cohort, idh.Labels, dict[str, Question]]:
    data = asked.source.open().complete("radiomics")
    labels = idh.labels_of(
        data, unknown_share=asked.unknown_share, missed_share=asked.missed_share, seed=asked.seed
    )  # fmt: skip
    return data, labels, idh.questions_of(data, labels)


@dataclass(frozen=True, kw_only=True)
class Folds:
    """How patients are divided.

    Attributes:
        scheme: leave-one-out, or repeated folds.
        n_folds, n_repeats, seed: of the latter.
    """

    scheme: Scheme = "repeated folds"
    n_folds: int = 5
    n_repeats: int = 10
    seed: int = 0

    def of(self, question: Question) -> Splitter:
        """The folds of a question's patients."""
        if self.scheme == "leave-one-out":
            return LeaveOneOutFolds()
        return binary.folds_for(question, n_folds=self.n_folds, n_repeats=self.n_repeats, seed=self.seed)


@job
def protocols(
    work: Work, *, asked: Asked, group: str, folds: Folds, recipe: Recipe, probabilities: bool = True
) -> None:
    """The radiomics classifier as published and leakage-free, and its controls, on one group of patients."""
    question = asked.question(group)
    found = binary.run_protocols(question, folds.of(question), recipe, probabilities=probabilities)
    work.scores(to_rows(found, question.truth.index))


@job
def ceiling(work: Work, *, asked: Asked, folds: Folds, recipe: Recipe) -> None:
    """The leakage-free classifier on the traits that a simulated image had to show, by the true status."""
    data, labels, questions = asked.open()
    if labels.truth is None:
        raise MissingDataError("the cohort has no planted truth", remedy="use cohort='simulated'")
    ideal = Question(name="planted traits", features=planted_traits(data), truth=labels.truth.astype(bool),
                     clinical=questions["all"].clinical)  # fmt: skip
    found = {(LEAKAGE_FREE, binary.SVM): idh.leakage_free(ideal, folds.of(questions["all"]), recipe)}
    work.scores(to_rows(found, ideal.truth.index))


@job
def numbers(work: Work, *, asked: Asked, folds: Folds, recipe: Recipe, tried: tuple[int, ...]) -> None:
    """The classifier with every number of features, on all patients and within LGG, where they can be asked about."""
    table = binary.by_number_table(
        idh.askable(asked.open()[2]), recipe, tried, n_folds=folds.n_folds, n_repeats=folds.n_repeats, seed=folds.seed
    )
    work.table("numbers", table)


@job
def chosen_number(work: Work, *, asked: Asked, folds: Folds, recipe: Recipe, tried: tuple[int, ...]) -> None:
    """The classifier with the number of features chosen inside the folds, and what every training fold selects."""
    question = asked.question("all")
    found = binary.number_chosen_in_folds(question, replace(folds, n_repeats=1).of(question), recipe, numbers=tried)
    work.scores(to_rows({(LEAKAGE_FREE, binary.SVM): found}, question.truth.index))
    work.table("selected", binary.selected_features(question, replace(folds, n_repeats=2).of(question), recipe))


@job
def permutations(work: Work, *, asked: Asked, folds: Folds, recipe: Recipe, n: int) -> None:
    """The procedure on shuffled labels, on all patients, within LGG, and shuffled within collections."""
    data, _, questions = asked.open()
    table = idh.permutation_table(
        idh.askable(questions), recipe, permutations=n,
        within=data.participants["collection"] if "LGG" in questions else None,
        n_folds=folds.n_folds, n_repeats=folds.n_repeats, seed=folds.seed,
    )  # fmt: skip
    work.table("permutations", table)


@job
def noisy_labels(work: Work, *, asked: Asked, folds: Folds, recipe: Recipe, draws: int, seed: int) -> None:
    """The classifier and the collection rule, trained again on labels with the cohort's own kind of noise."""
    data, labels, questions = asked.open()
    known = questions["known"]
    rules = [name for _, name in binary.run_controls(known, folds.of(known)) if name == "collection rule"]
    table = idh.refit_table(
        known, folds.of(known), recipe, [binary.SVM, *rules], labels=labels,
        collection=data.participants["collection"].fillna("unknown"), draws=draws, seed=seed,
    )  # fmt: skip
    work.table("refit", table)


# Predictions as rows


def to_rows(results: Results, subjects: pd.Index | Sequence[str]) -> pd.DataFrame:
    """Predictions as rows: ``protocol, model, repeat, subject, truth, predicted, score, probability``."""
    parts = []
    for (protocol, model), found in results.items():
        for repeat in range(found.runs):
            nothing = np.full(found.n, np.nan)
            parts.append(pd.DataFrame({
                "protocol": protocol, "model": model, "repeat": repeat, "subject": list(subjects),
                "truth": found.truth, "predicted": found.predicted[repeat],
                "score": nothing if found.score is None else found.score[repeat],
                "probability": nothing if found.probability is None else found.probability[repeat],
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def from_rows(rows: pd.DataFrame) -> Results:
    """The inverse of :func:`to_rows`."""
    return {
        (str(protocol), str(model)): _predictions(part)
        for (protocol, model), part in rows.groupby(["protocol", "model"], sort=False)
    }


def _predictions(rows: pd.DataFrame) -> Predictions:
    shape = rows["repeat"].nunique(), -1
    known = {name: rows[name].to_numpy(dtype=float).reshape(shape) for name in ("score", "probability")
             if rows[name].notna().all()}  # fmt: skip
    truth = rows["truth"].to_numpy(dtype=bool).reshape(shape)[0]
    return Predictions.of(truth, rows["predicted"].to_numpy(dtype=bool).reshape(shape), **known)


def clean_rows(rows: pd.DataFrame, models: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The rows of the leakage-free and control protocols, for chapters that compare: ``model, subject, run, ...``."""
    clean = rows[rows["protocol"].isin([LEAKAGE_FREE, CONTROL])].rename(columns={"repeat": "run"})
    score = clean["score"].fillna(clean["predicted"].astype(float))
    return clean.assign(score=score, model=clean["model"].replace(dict(models or {})))


# External validation


@job
def external(
    work: Work,
    *,
    source: Source,
    division: Literal["sites", "collections", "cohorts"],
    recipe: Recipe,
    n_repeats: int,
    fewest: int = 10,
    other: Source | None = None,
    preset: str = "",
) -> None:
    """The classifier trained on some groups of patients and tested on another, and in ordinary folds of all.

    Args:
        source: IDH status and radiomic features.
        division: by site (those with fewer than ``fewest`` patients together), by collection, or by cohort.
        recipe, n_repeats: of the classifier and the ordinary folds.
        fewest: see above.
        other: the second cohort of the division ``cohorts``; ``preset`` is extracted where it has no table.
    """
    question, groups = divided(source, division, fewest=fewest, other=other, preset=preset)
    work.scores(to_rows(validate(question, groups, recipe, n_repeats=n_repeats), question.truth.index))


def divided(
    source: Source, division: str, *, fewest: int = 10, other: Source | None = None, preset: str = ""
) -> tuple[Question, pd.Series]:
    """The question about IDH, and the group of each patient; see :func:`external`.

    Raises:
        MissingDataError: if a cohort, its IDH status or its features are not there.
    """
    data = source.open().complete("idh", "radiomics")
    assert data.radiomics is not None
    question = Question(
        name=data.name, features=data.radiomics, truth=data.participants["idh"] == "mutant",
        clinical=data.participants.reindex(columns=["age", "collection", "person"]),
    )  # fmt: skip
    if division == "sites":
        return question, pooled_groups(data.participants["site"], fewest=fewest)
    if division == "collections":
        return question, data.participants["collection"].astype(str)
    if other is None:
        raise MissingDataError("no other cohort is named", remedy="give `other`")
    return open_other(other, question, preset=preset)


@job
def external_survival(work: Work, *, source: Source, fewest: int, n_repeats: int, seed: int) -> None:
    """Islam 2020's machines on sites that trained nothing, and in ordinary folds: predictions of days."""
    study, sites = survival_sites(source, fewest=fewest)
    work.scores(validate_survival(study, sites, n_repeats=n_repeats, seed=seed).predictions)


def survival_sites(source: Source, *, fewest: int) -> tuple[rg.Study, pd.Series]:
    """Radiogenomic features with survival, and the site of each patient."""
    cohort = source.open()
    study = rg.study_of(cohort)
    return study, pooled_groups(cohort.participants["site"].loc[study.days.index], fewest=fewest)
