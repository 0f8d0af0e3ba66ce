"""One binary question under three protocols: cleaning, leakage, controls, labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.stats.binary import (
    MAJORITY,
    SVM,
    Question,
    Recipe,
    number_of_features,
    permuted,
    results_table,
    run_protocols,
)
from radlib.stats.protocols import (
    AS_PUBLISHED,
    CONTROL,
    LEAKAGE_FREE,
    PERMUTED,
    PUBLISHED_PERMUTED,
    LeaveOneOutFolds,
    RepeatedFolds,
)
from radlib.stats.roc import auc
from radlib.stats.tabular import TableCleaner


def _question(*, n: int = 40, p: int = 60, signal: float = 0.0, seed: int = 0) -> Question:
    generator = np.random.default_rng(seed)
    index = pd.Index([f"P{i:02d}" for i in generator.permutation(n)])
    truth = pd.Series(np.arange(n) % 2 == 0, index=index)
    features = pd.DataFrame(generator.normal(size=(n, p)), index=index, columns=[f"f{j}" for j in range(p)])
    features["f0"] += signal * truth
    features.iloc[0, 1], features.iloc[1, 2], features["f3"] = np.nan, np.inf, 7.0
    clinical = pd.DataFrame({"age": generator.uniform(20, 80, n), "collection": np.where(truth, "LGG", "GBM")}, index)
    clinical.iloc[0, 0] = np.nan
    return Question(name="made up", features=features, truth=truth, clinical=clinical)


def test_cleaner_by_hand() -> None:
    train = pd.DataFrame({"a": [1.0, 3.0, np.nan, 8.0], "b": 5.0, "c": np.nan, "d": [0.0, np.inf, 2.0, 4.0]})
    cleaner = TableCleaner().fit(train)
    assert cleaner.get_feature_names_out().tolist() == ["a", "d"]
    filled = np.array([[1, 0], [3, 2], [3, 2], [8, 4.0]])
    np.testing.assert_allclose(cleaner.transform(train), (filled - filled.mean(axis=0)) / filled.std(axis=0))
    unseen = pd.DataFrame({"a": [np.nan], "b": [9.0], "c": [1.0], "d": [-np.inf]})
    np.testing.assert_array_equal(cleaner.transform(unseen), cleaner.transform(train)[1:2])
    with pytest.raises(RadlibError, match="does not match"):
        cleaner.transform(train[["a", "b"]])


def test_a_rounding_difference_is_no_variation() -> None:
    assert TableCleaner().fit([[0.1 + 0.2, 1], [0.3, 2]]).kept_.tolist() == [False, True]


@pytest.mark.slow
def test_protocols_predict_every_patient_and_find_a_planted_signal() -> None:
    question = _question(signal=3.0)
    results = run_protocols(question, LeaveOneOutFolds(), Recipe(n_selected=3))
    assert set(results) == {(AS_PUBLISHED, SVM), (LEAKAGE_FREE, SVM)} | {
        (CONTROL, name) for name in (MAJORITY, "collection rule", "age model", "age + collection")
    }
    for predictions in results.values():
        assert np.array_equal(predictions.truth, question.truth.to_numpy())  # in the order of the question
        assert predictions.probability is not None
    assert auc(question.truth, results[LEAKAGE_FREE, SVM].score) > 0.85
    assert (results[CONTROL, "collection rule"].predicted[0] == question.truth).all()
    table = results_table(results, n_boot=20)
    assert len(table) == len(results) * 9


def test_selection_on_everyone_finds_signal_in_noise() -> None:
    question = _question(p=400)
    folds = RepeatedFolds(n_folds=4, n_repeats=3)
    found = permuted(question, folds, Recipe(n_selected=20), permutations=6)
    means = found[found["metric"] == "auc"].groupby("protocol")["value"].mean()
    assert means[PUBLISHED_PERMUTED] > 0.9
    assert abs(means[PERMUTED] - 0.5) < 0.15


def test_shuffling_within_groups_keeps_what_the_group_tells() -> None:
    question = _question()
    groups = question.clinical["collection"]  # decides the label: shuffling within it moves nothing
    moved = permuted(question, RepeatedFolds(n_folds=4, n_repeats=1), Recipe(n_selected=3), permutations=2,
                     within=groups, protocols=[PERMUTED])  # fmt: skip
    assert moved.groupby("metric")["value"].nunique().max() == 1


def test_number_of_features_agrees_with_the_whole_pipeline() -> None:
    question, folds = _question(signal=1.0), RepeatedFolds(n_folds=4, n_repeats=1)
    by_number = number_of_features(question, folds, Recipe(), [2, 5])
    whole = run_protocols(question, folds, Recipe(n_selected=5), probabilities=False)
    for protocol in (AS_PUBLISHED, LEAKAGE_FREE):
        assert np.array_equal(by_number[protocol, 5].predicted, whole[protocol, SVM].predicted)


def test_questions_that_cannot_be_asked() -> None:
    question = _question()
    few = question.subset("few", np.arange(40) < 6)
    assert "needs 4" in few.obstacle
    with pytest.raises(RadlibError, match="smaller class has 3"):
        run_protocols(few, LeaveOneOutFolds(), Recipe())
    with pytest.raises(RadlibError, match="not about the same patients"):
        Question(name="x", features=question.features, truth=question.truth.sort_index(), clinical=question.clinical)
