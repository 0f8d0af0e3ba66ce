"""One yes-or-no question put to a feature table, under the three protocols.

Everything here is about patients of two classes, a table of features with gaps, and a clinical table with what is
known without any image. The classifier is that of Li 2017's conventional radiomics
(:func:`radlib.stats.tabular.radiomics_svm`); the baselines are those of :mod:`radlib.stats.baselines`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import named_seed, rng
from radlib.stats.baselines import clinical_rules
from radlib.stats.calibration import PlattScaled
from radlib.stats.classification import Predictions, evaluate, tidy
from radlib.stats.noise import mean_metrics
from radlib.stats.protocols import (
    AS_PUBLISHED,
    CONTROL,
    LEAKAGE_FREE,
    PERMUTED,
    PUBLISHED_PERMUTED,
    ProtocolRun,
    RepeatedFolds,
    Splitter,
    out_of_fold,
)
from radlib.stats.selection import TTestFScore
from radlib.stats.tabular import linear_svm, radiomics_svm, selection_steps

#: The classifier under test, as tables call it.
SVM = "radiomics SVM"
MAJORITY = "majority class"

#: Patients that each class needs: a t-test in every training fold, and inner folds for probabilities.
FEWEST = 4

#: (protocol, model) to its predictions.
Results = dict[tuple[str, str], Predictions]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Who is asked about, what is known of them, and the answer.

    Attributes:
        name: what tables call this group of patients.
        features: ``(patients, features)``, numbers with gaps.
        truth: ``(patients,)`` booleans, True for the positive class, on the same index.
        clinical: ``(patients, columns)`` on the same index; ``age`` and ``collection`` are used where present.
    """

    name: str
    features: pd.DataFrame
    truth: pd.Series
    clinical: pd.DataFrame

    def __post_init__(self) -> None:
        for what, table in (("truth", self.truth), ("clinical table", self.clinical)):
            if not table.index.equals(self.features.index):
                raise RadlibError(
                    f"the {what} of {self.name!r} and its features are not about the same patients",
                    remedy="align them on one index first",
                )

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def counts(self) -> tuple[int, int]:
        """Patients of the positive and of the negative class."""
        return int(self.truth.sum()), int((~self.truth).sum())

    @property
    def obstacle(self) -> str:
        """Why the question cannot be cross-validated; empty where it can."""
        fewest = min(self.counts)
        if fewest >= FEWEST:
            return ""
        return f"{self.name}: the smaller class has {fewest} patients, and selection in folds needs {FEWEST}"

    def subset(self, name: str, members: ArrayLike) -> Question:
        """The question for some of the patients (a boolean mask)."""
        mask = np.asarray(members, dtype=bool)
        return Question(name=name, features=self.features[mask], truth=self.truth[mask], clinical=self.clinical[mask])

    def relabelled(self, labels: ArrayLike, *, name: str | None = None) -> Question:
        """The question with other labels."""
        truth = pd.Series(np.asarray(labels, dtype=bool), index=self.truth.index, name=self.truth.name)
        return replace(self, truth=truth, name=name or self.name)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of the radiomics classifier.

    Attributes:
        alpha: level of the t-test.
        n_selected: features kept after the F-score ranking; None keeps all that pass the t-test.
        C: box constraint of the SVM.
        inner_folds: folds inside a training set, for Platt's sigmoid and for choosing the number of features.
        seed: of the inner folds.
    """

    alpha: float = 0.05
    n_selected: int | None = None
    C: float = 1.0
    inner_folds: int = 3
    seed: int = 0

    def whole(self) -> Pipeline:
        """Selection and SVM as one estimator."""
        return radiomics_svm(n_selected=self.n_selected, alpha=self.alpha, C=self.C)

    def selection(self) -> Pipeline:
        """The steps before the SVM."""
        return selection_steps(n_selected=self.n_selected, alpha=self.alpha)

    def with_probabilities(self, estimator: BaseEstimator) -> PlattScaled:
        """The estimator with Platt's sigmoid from inner folds."""
        return PlattScaled(estimator, folds=self.inner_folds, seed=named_seed(self.seed, "platt") % 2**32)


def run_protocols(question: Question, splitter: Splitter, recipe: Recipe, *, probabilities: bool = True) -> Results:
    """The SVM as published and leakage-free, and its controls, on the same folds.

    As published, imputation, scaling, t-test and ranking see all patients, and only the SVM is cross-validated.
    Leakage-free, all of it is fitted anew in each training fold. Controls are the majority class and the clinical
    rules that the clinical table allows. ``probabilities=False`` leaves Platt's sigmoid out, which needs
    ``inner_folds + 1`` fits for one.

    Raises:
        RadlibError: if a class is too small (see :attr:`Question.obstacle`).
    """
    if question.obstacle:
        raise RadlibError(question.obstacle, remedy="ask about more patients")
    results: Results = {}
    wrap = recipe.with_probabilities if probabilities else clone
    with _quiet_t_tests():
        published = out_of_fold(
            *_table(question),
            models={SVM: wrap(linear_svm(C=recipe.C))},
            preparation=recipe.selection(),
            outside=["clean", "select"],
            splitter=splitter,
            protocol=AS_PUBLISHED,
        )
        clean = out_of_fold(*_table(question), models={SVM: wrap(recipe.whole())}, splitter=splitter)
    results[AS_PUBLISHED, SVM] = predictions_of(published, AS_PUBLISHED, SVM, order=question.truth.index)
    results[LEAKAGE_FREE, SVM] = predictions_of(clean, LEAKAGE_FREE, SVM, order=question.truth.index)
    return results | run_controls(question, splitter)


def run_controls(question: Question, splitter: Splitter) -> Results:
    """The majority class and the clinical rules, fitted inside the same folds."""
    rules = clinical_rules(question.clinical)
    known = question.clinical[[name for name in ("age", "collection") if name in question.clinical]]
    run = out_of_fold(
        known,
        question.truth,
        models={MAJORITY: DummyClassifier(strategy="prior"), **rules},
        splitter=splitter,
        protocol=CONTROL,
    )
    results = {
        (CONTROL, name): predictions_of(run, CONTROL, name, order=question.truth.index) for name in (MAJORITY, *rules)
    }
    majority = results[CONTROL, MAJORITY]
    # It ranks nobody: its training frequencies differ between folds only because the test patients are missing.
    results[CONTROL, MAJORITY] = replace(majority, score=np.zeros(majority.predicted.shape))
    return results


def predictions_of(run: ProtocolRun, protocol: str, model: str, *, order: pd.Index) -> Predictions:
    """The predictions of one model as ``(runs, patients)`` arrays, patients in the given order."""
    rows = run.of(protocol, model)

    def wide(column: str) -> np.ndarray | None:
        if column not in rows or rows[column].isna().any():
            return None
        return rows.pivot(index="repeat", columns="subject", values=column)[order].to_numpy()

    first = rows[rows["repeat"] == rows["repeat"].iloc[0]].set_index("subject").loc[order]
    predicted, score, probability = wide("predicted"), wide("score"), wide("probability")
    assert predicted is not None
    return Predictions.of(
        first["true"].to_numpy(dtype=bool),
        predicted.astype(bool),
        score=probability if score is None else score,
        probability=probability,
    )


def number_of_features(
    question: Question, splitter: Splitter, recipe: Recipe, numbers: Sequence[int]
) -> dict[tuple[str, int], Predictions]:
    """The SVM on the best ``k`` features for each ``k``, as published and leakage-free (decisions only)."""
    results = {}
    with _quiet_t_tests():
        for k in numbers:
            run = out_of_fold(
                *_table(question), models={SVM: linear_svm(C=recipe.C)}, outside=["clean", "select"],
                preparation=replace(recipe, n_selected=k).selection(), splitter=splitter, protocol=AS_PUBLISHED,
            )  # fmt: skip
            results[AS_PUBLISHED, k] = predictions_of(run, AS_PUBLISHED, SVM, order=question.truth.index)
        # One t-test a fold serves every k; the second ranking only takes its best.
        best = {
            str(k): Pipeline([("top", TTestFScore(alpha=1, n_features_to_select=k)), ("svm", linear_svm(C=recipe.C))])
            for k in numbers
        }
        run = out_of_fold(
            *_table(question), models=best, preparation=replace(recipe, n_selected=None).selection(), splitter=splitter
        )
    return results | {
        (LEAKAGE_FREE, k): predictions_of(run, LEAKAGE_FREE, str(k), order=question.truth.index) for k in numbers
    }


def number_chosen_in_folds(
    question: Question, splitter: Splitter, recipe: Recipe, numbers: Sequence[int]
) -> Predictions:
    """The SVM with the number of features chosen by inner cross-validation (AUC) in each training fold."""
    inner = StratifiedKFold(
        recipe.inner_folds, shuffle=True, random_state=named_seed(recipe.seed, "inner folds") % 2**32
    )
    search = GridSearchCV(recipe.whole(), {"select__n_features_to_select": list(numbers)}, scoring="roc_auc", cv=inner)
    with _quiet_t_tests():
        run = out_of_fold(*_table(question), models={SVM: search}, splitter=splitter)
    return predictions_of(run, LEAKAGE_FREE, SVM, order=question.truth.index)


def selected_features(question: Question, splitter: Splitter, recipe: Recipe) -> pd.DataFrame:
    """What each training fold selects: rows ``repeat, fold, feature``."""
    with _quiet_t_tests():
        run = out_of_fold(
            *_table(question),
            models={MAJORITY: DummyClassifier()},
            preparation=recipe.selection(),
            splitter=splitter,
        )
    return run.selected


def permuted(
    question: Question,
    splitter: Splitter,
    recipe: Recipe,
    *,
    permutations: int,
    within: pd.Series | None = None,
    protocols: Sequence[str] = (PERMUTED, PUBLISHED_PERMUTED),
    seed: int = 0,
) -> pd.DataFrame:
    """The whole procedure on labels shuffled between patients: what each protocol finds where there is nothing.

    Args:
        permutations: shuffles; each runs over one repeat of the splitter's folds.
        within: shuffle only between patients of the same value, such as the collection. Then the labels still
            depend on it, and on nothing else.
        protocols: ``permuted labels`` (leakage-free) and/or ``as published, permuted labels``.

    Returns:
        Rows ``permutation, protocol, metric, value`` for AUC, accuracy and MCC.
    """
    rows = []
    strata = np.zeros(len(question)) if within is None else pd.factorize(within.loc[question.truth.index])[0]
    for number in track(range(permutations), description=f"permutations, {question.name}"):
        labels = _shuffled(question.truth.to_numpy(), strata, rng(seed, "permuted", question.name, number))
        moved = question.relabelled(labels)
        for protocol in protocols:
            outside = ["clean", "select"] if protocol == PUBLISHED_PERMUTED else []
            with _quiet_t_tests():
                run = out_of_fold(
                    *_table(moved), models={SVM: linear_svm(C=recipe.C)}, preparation=recipe.selection(),
                    outside=outside, splitter=splitter, repeats=[number % splitter.n_repeats], protocol=protocol,
                )  # fmt: skip
            found = mean_metrics(predictions_of(run, protocol, SVM, order=question.truth.index))
            rows += [
                {"permutation": number, "protocol": protocol, "metric": name, "value": found[name]}
                for name in ("auc", "accuracy", "mcc")
            ]
    return pd.DataFrame(rows, columns=["permutation", "protocol", "metric", "value"])


def folds_for(question: Question, *, n_folds: int, n_repeats: int, seed: int) -> RepeatedFolds:
    """Repeated folds, at most as many as the smaller class has patients and at least two."""
    return RepeatedFolds(n_folds=max(2, min(n_folds, *question.counts)), n_repeats=n_repeats, seed=seed)


def by_number_table(
    questions: Sequence[Question], recipe: Recipe, numbers: Sequence[int], *, n_folds: int, n_repeats: int, seed: int
) -> pd.DataFrame:
    """Every metric over the number of features, as published and leakage-free, with percentile intervals.

    Numbers above the features there are become that number. Columns: those of
    :func:`~radlib.stats.classification.tidy`, and ``features, protocol, group``, and ``line`` for plots.
    """
    parts = []
    for question in questions:
        splitter = folds_for(question, n_folds=n_folds, n_repeats=n_repeats, seed=seed)
        tried = sorted({min(k, question.features.shape[1]) for k in numbers})
        for (protocol, k), predictions in number_of_features(question, splitter, recipe, tried).items():
            row = tidy({str(k): evaluate(predictions, intervals="percentile", n_boot=500, seed=seed)})
            parts.append(row.assign(features=k, protocol=protocol, group=question.name))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(line=table["group"] + ", " + table["protocol"])


def protocol_gaps(by_number: pd.DataFrame, metric: str = "auc") -> pd.DataFrame:
    """What selection outside the cross-validation adds, for each number of features that was tried.

    Args:
        by_number: as :func:`by_number_table` gives it, or read back from its CSV.

    Returns:
        By group and number: ``group, features, as published, leakage-free, gap``; the gap is published minus clean.
    """
    rows = by_number[by_number["metric"] == metric]
    wide = rows.pivot(index=["group", "features"], columns="protocol", values="value")
    wide = wide[[AS_PUBLISHED, LEAKAGE_FREE]].rename_axis(columns=None).reset_index()
    wide = wide.sort_values(["group", "features"], ignore_index=True)
    return wide.assign(gap=wide[AS_PUBLISHED] - wide[LEAKAGE_FREE])


def permutation_summary(permutations: pd.DataFrame) -> pd.DataFrame:
    """Mean, central 95 % and number of shuffles: ``group, protocol, metric, value, low, high, n``."""
    return (
        permutations.groupby(["group", "protocol", "metric"], sort=False)["value"]
        .agg(value="mean", low=lambda v: v.quantile(0.025), high=lambda v: v.quantile(0.975), n="count")
        .reset_index()
    )


def results_table(results: Mapping[tuple[str, str], Predictions], **options: Any) -> pd.DataFrame:
    """Every metric of every model: ``protocol, model, metric, value, low, high, n, interval``.

    ``options`` go to :func:`~radlib.stats.classification.evaluate`.
    """
    parts = []
    for (protocol, model), predictions in results.items():
        part = tidy({model: evaluate(predictions, **options)})
        part.insert(0, "protocol", protocol)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _table(question: Question) -> tuple[pd.DataFrame, pd.Series]:
    return question.features, question.truth


def _shuffled(labels: np.ndarray, strata: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    moved = labels.copy()
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        moved[members] = labels[generator.permutation(members)]
    return moved


@contextmanager
def _quiet_t_tests() -> Iterator[None]:
    """A feature that is constant in one class makes SciPy warn of lost precision; the pooled variance is then that of
    the other class, and the p-value is right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Precision loss occurred", category=RuntimeWarning)
        yield
