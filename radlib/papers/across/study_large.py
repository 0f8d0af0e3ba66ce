"""IDH in a large cohort with a table: what images add to age, and what a small cohort would have reported.

Li 2017 had 119 patients and Ge 2020 had 167. Here patients are taken away from 495 until as few are left, and what the
protocols then report is held against what the same model reaches on the patients who were left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from radlib.core.errors import MissingDataError
from radlib.core.progress import track
from radlib.core.seeds import rng
from radlib.data.persons import refuse_shared
from radlib.papers.across.study import Folds, to_rows
from radlib.stats.baselines import clinical_model
from radlib.stats.binary import (
    SVM,
    Question,
    Recipe,
    Results,
    folds_for,
    predictions_of,
)
from radlib.stats.classification import Predictions
from radlib.stats.protocols import (
    AS_PUBLISHED,
    CONTROL,
    EXTERNAL,
    LEAKAGE_FREE,
    PERMUTED,
    PUBLISHED_PERMUTED,
    out_of_fold,
)
from radlib.stats.roc import auc
from radlib.stats.tabular import TableCleaner, linear_svm
from radlib.study.cohorts import Source
from radlib.study.jobs import job_on_real_patients
from radlib.study.store import Work

FEATURES, AGE, BOTH, GRADE = "features", "age", "features and age", "grade"
OTHERS = "on the patients left out"
"""Protocol: a model of the few patients on all the others of the cohort, whom no protocol has seen."""


def question_of(source: Source, *, grade: float | None = None) -> Question:
    """IDH of a cohort with a table, each person once (the first examination), all or of one WHO grade.

    Raises:
        MissingDataError: if IDH, age or the table is not there, or nobody has the grade.
    """
    data = source.open().complete("idh", "radiomics", "age")
    table = data.participants
    if grade is not None:
        table = table[table["grade"] == grade]
    if table.empty or data.radiomics is None:
        raise MissingDataError(f"cohort {data.name!r} has nobody of grade {grade}", file=data.root)
    return Question(
        name="all" if grade is None else f"grade {grade:g}", features=data.radiomics.loc[table.index],
        truth=table["idh"] == "mutant", clinical=table[["age", "sex", "grade", "person"]],
    )  # fmt: skip


def logistic(*, C: float = 0.05) -> Pipeline:
    """Ridge logistic regression on a cleaned table."""
    return Pipeline([("clean", TableCleaner()), ("model", LogisticRegression(C=C, max_iter=5000))])


@job_on_real_patients
def answers(work: Work, *, source: Source, folds: Folds, C: float = 0.05, grades: tuple[float, ...] = ()) -> None:
    """Features, age, both and (no fair control) grade, leakage-free, on everybody and within each grade.

    Scores are predictions (:func:`radlib.papers.across.study.to_rows`) with the ``group`` of patients.
    """
    parts = []
    for grade in (None, *grades):
        question = question_of(source, grade=grade)
        splitter = folds.of(question)
        age = question.clinical[["age"]].astype(float)
        tables = {FEATURES: question.features, AGE: age, BOTH: pd.concat([question.features, age], axis=1)}
        found: Results = {}
        for name, X in tables.items():
            run = out_of_fold(X, question.truth, models={name: logistic(C=C)}, splitter=splitter)
            found[LEAKAGE_FREE, name] = predictions_of(run, LEAKAGE_FREE, name, order=question.truth.index)
        if grade is None:
            run = out_of_fold(
                question.clinical[["grade"]].astype(str), question.truth, models={GRADE: clinical_model("grade")},
                splitter=splitter, protocol=CONTROL,
            )  # fmt: skip
            found[CONTROL, GRADE] = predictions_of(run, CONTROL, GRADE, order=question.truth.index)
        parts.append(to_rows(found, question.truth.index).assign(group=question.name))
    work.scores(pd.concat(parts, ignore_index=True))


@job_on_real_patients
def fewer_patients(
    work: Work, *, source: Source, sizes: tuple[int, ...], draws: int, recipe: Recipe, shuffled_columns: int = 0,
    seed: int = 0,
) -> None:  # fmt: skip
    """Li 2017's conventional radiomics on ever fewer patients, drawn with the cohort's share of mutants.

    In every draw: as published, leakage-free, both on shuffled labels, and on the patients left out.

    Args:
        source: the cohort.
        sizes: numbers of patients.
        draws: of each size.
        recipe: of the classifier.
        shuffled_columns: so many columns more, each a feature shuffled between patients: they know nothing. With 571
            the table is as wide as Li 2017's (671).
        seed: of draws and shuffles.

    The table ``sizes`` has ``n, draw, protocol, value`` (AUC).
    """
    question = question_of(source)
    if shuffled_columns:
        question = _widened(question, shuffled_columns, seed)
    rows = []
    with warnings.catch_warnings():
        # A feature that is constant in one class makes SciPy warn of lost precision; its p-value is right.
        warnings.filterwarnings("ignore", message="Precision loss occurred", category=RuntimeWarning)
        for n in track(sizes, description="sizes"):
            for draw in range(draws):
                found = _one_draw(question, n, recipe, rng(seed, "draw", n, draw))
                rows += [{"n": n, "draw": draw, "protocol": name, "value": value} for name, value in found]
    work.table("sizes", pd.DataFrame(rows))


def _widened(question: Question, columns: int, seed: int) -> Question:
    generator = rng(seed, "shuffled columns")
    values = question.features.to_numpy()
    extra = {f"shuffled {k}": generator.permutation(values[:, k % values.shape[1]]) for k in range(columns)}
    wide = pd.concat([question.features, pd.DataFrame(extra, index=question.features.index)], axis=1)
    return Question(name=question.name, features=wide, truth=question.truth, clinical=question.clinical)


def _one_draw(
    question: Question, n: int, recipe: Recipe, generator: np.random.Generator
) -> Iterator[tuple[str, float]]:
    """AUC by protocol of ``n`` patients."""
    chosen = np.zeros(len(question), dtype=bool)
    for positive in (True, False):
        members = np.flatnonzero(question.truth.to_numpy() == positive)
        chosen[generator.permutation(members)[: round(n * len(members) / len(question))]] = True
    few, rest = question.subset("few", chosen), question.subset("rest", ~chosen)
    mixed = few.relabelled(generator.permutation(few.truth.to_numpy()))
    draw = int(generator.integers(2**31))
    for asked, published, clean in ((few, AS_PUBLISHED, LEAKAGE_FREE), (mixed, PUBLISHED_PERMUTED, PERMUTED)):
        splitter = folds_for(asked, n_folds=5, n_repeats=1, seed=draw)
        for name, outside in ((published, ["clean", "select"]), (clean, [])):
            run = out_of_fold(
                asked.features, asked.truth, models={SVM: linear_svm(C=recipe.C)}, preparation=recipe.selection(),
                outside=outside, splitter=splitter, protocol=name,
            )  # fmt: skip
            found = predictions_of(run, name, SVM, order=asked.truth.index)
            assert found.score is not None
            yield name, auc(asked.truth, found.score[0])
    if len(rest) and rest.truth.nunique() == 2:
        fitted = recipe.whole().fit(few.features, few.truth)
        yield OTHERS, auc(rest.truth, fitted.decision_function(rest.features))


@job_on_real_patients
def transported(work: Work, *, source: Source, other: Source, volume: tuple[str, str], C: float = 1.0) -> None:
    """Age and the volume of the tumour, the one feature of one definition, from each of two cohorts to the other.

    Logistic regression on age, on the logarithm of the volume, and on both. Patients of unknown IDH status are left
    out; where the table has the status of Ceccarelli et al., it counts.

    Args:
        source, other: the cohorts.
        volume: the name of the feature in each.
        C: of the ridge.

    Scores are predictions with the ``group`` that was tested.
    """
    tables = [_carried(one, name) for one, name in zip((source, other), volume, strict=True)]
    refuse_shared(tables[0], tables[1])
    parts = []
    for (train, test), group in zip((tables, tables[::-1]), (other.role, source.role), strict=True):
        found: Results = {}
        for name, columns in {AGE: ["age"], "volume": ["log volume"], "volume and age": ["age", "log volume"]}.items():
            fitted = logistic(C=C).fit(train[columns], train["mutant"])
            probability = fitted.predict_proba(test[columns])[:, 1]
            found[EXTERNAL, name] = _predicted(test["mutant"], probability)
        parts.append(to_rows(found, test.index).assign(group=group))
    work.scores(pd.concat(parts, ignore_index=True))


def _carried(source: Source, volume: str) -> pd.DataFrame:
    data = source.open().complete("radiomics", "age")
    assert data.radiomics is not None
    table = data.participants
    status = table["idh_ceccarelli"] if "idh_ceccarelli" in table else table["idh"]
    table = table[status.notna()]
    return pd.DataFrame({
        "age": table["age"], "log volume": np.log(data.radiomics.loc[table.index, volume].clip(lower=1.0)),
        "mutant": status[table.index] == "mutant", "person": table.get("person"),
    })  # fmt: skip


def _predicted(truth: pd.Series, probability: np.ndarray) -> Predictions:
    rows = probability[None]
    return Predictions.of(truth.to_numpy(dtype=bool), rows >= 0.5, score=rows, probability=rows)
