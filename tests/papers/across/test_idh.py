"""The tables of the IDH chapter, on numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlib.papers.across import idh
from radlib.papers.across import idh_display as show
from radlib.papers.across.study import clean_rows, from_rows, to_rows
from radlib.stats.binary import (
    SVM,
    Question,
    Recipe,
    by_number_table,
    folds_for,
    permutation_summary,
    protocol_gaps,
)
from radlib.stats.classification import Predictions
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, PERMUTED, PUBLISHED_PERMUTED


def _question(*, mutants: int = 12, n: int = 24, p: int = 6) -> Question:
    generator = np.random.default_rng(0)
    index = pd.Index([f"P{i:02d}" for i in range(n)])
    truth = pd.Series(np.arange(n) < mutants, index=index)
    features = pd.DataFrame(generator.normal(size=(n, p)), index=index, columns=[f"f{j}" for j in range(p)])
    features["f0"] += 4.0 * truth
    clinical = pd.DataFrame({"age": 50.0, "collection": np.where(np.arange(n) % 3 == 0, "GBM", "LGG")}, index)
    return Question(name="made up", features=features, truth=truth, clinical=clinical)


def test_folds_never_outnumber_the_smaller_class() -> None:
    assert folds_for(_question(mutants=3), n_folds=5, n_repeats=2, seed=0).n_folds == 3
    assert folds_for(_question(mutants=1), n_folds=5, n_repeats=2, seed=0).n_folds == 2
    assert folds_for(_question(), n_folds=5, n_repeats=2, seed=0).n_folds == 5


def test_askable_leaves_out_the_absent_and_the_too_small() -> None:
    questions = {"all": _question(), "LGG": _question(mutants=3)}
    assert [q.counts for q in idh.askable(questions)] == [(12, 12)]
    assert idh.askable({}) == []


def test_by_number_caps_at_the_features_there_are() -> None:
    table = by_number_table([_question()], Recipe(alpha=1.0), [1, 6, 50], n_folds=3, n_repeats=1, seed=0)
    assert sorted(set(table["features"])) == [1, 6]
    assert set(table["line"]) == {"made up, as published", "made up, leakage-free"}
    gaps = protocol_gaps(table)
    assert gaps["features"].tolist() == [1, 6]
    value = table.query("metric == 'auc' and features == 1").set_index("protocol")["value"]
    assert gaps["gap"][0] == pytest.approx(value[AS_PUBLISHED] - value[LEAKAGE_FREE])
    assert value[LEAKAGE_FREE] > 0.9  # the planted feature is found


def test_permutations_of_all_and_within_collections() -> None:
    question = _question()
    table = idh.permutation_table(
        [question], Recipe(), permutations=2, within=question.clinical["collection"], n_folds=3, n_repeats=1, seed=0
    )
    assert table.groupby("group")["protocol"].unique().map(set).to_dict() == {
        "made up": {PERMUTED, PUBLISHED_PERMUTED},
        "made up, within collections": {PERMUTED},
    }
    summary = permutation_summary(table)
    assert (summary["n"] == 2).all()
    assert (summary["low"] <= summary["value"]).all()
    assert (summary["value"] <= summary["high"]).all()


def test_doubt_lines_hold_bounds_and_plausible_labels() -> None:
    row = {"protocol": LEAKAGE_FREE, "model": SVM, "metric": "auc", "value": 0.8, "low": 0.6, "high": 0.9}
    doubts = pd.DataFrame(
        [
            {**row, "mean": 0.78, "plausible low": 0.7, "plausible high": 0.85},
            {**row, "model": "age model", "mean": 0.5, "plausible low": 0.4, "plausible high": 0.6},
        ]
    )
    lines = show.doubt_lines(doubts)
    assert lines["line"].tolist() == ["radiomics SVM, leakage-free", "age model"] * 2
    assert lines[["value", "low", "high"]].to_numpy()[[0, 2]].tolist() == [[0.8, 0.6, 0.9], [0.78, 0.7, 0.85]]


def test_refit_without_noise_agrees_with_the_truth() -> None:
    question = _question()
    labels = idh.Labels(counted=question.truth, known=question.truth.astype(float))
    table = idh.refit_table(
        question, folds_for(question, n_folds=3, n_repeats=1, seed=0), Recipe(n_selected=1), [SVM],
        labels=labels, collection=question.clinical["collection"], draws=2, seed=0,
    )  # fmt: skip
    assert set(table["metric"]) == {"accuracy", "auc", "mcc"}
    assert (table["flipped"] == 0).all()
    assert np.array_equal(table["by label"], table["by truth"])


def test_measured_rows_are_those_with_a_value() -> None:
    table = pd.DataFrame({"model": "SVM", "metric": ["auc", "mcc"], "value": [0.5, np.nan], "low": 0.4, "high": 0.6,
                          "n": 20, "interval": "wilson"})  # fmt: skip
    found = show.measured_of(table, arm="svm")
    assert found.to_dict("records") == [
        {"arm": "svm", "metric": "auc", "group": "all", "value": 0.5, "low": 0.4, "high": 0.6, "n": 20}
    ]


def test_predictions_become_rows_and_back() -> None:
    truth = np.array([True, False, True])
    whole = Predictions.of(truth, [[1, 0, 1], [0, 0, 1]], score=[[0.2, -1, 3], [0, 1, 2]])
    bare = Predictions.of(truth, [1, 1, 1])
    rows = to_rows({(LEAKAGE_FREE, "a"): whole, (AS_PUBLISHED, "b"): bare}, ["p", "q", "r"])
    again = from_rows(rows)
    assert list(again) == [(LEAKAGE_FREE, "a"), (AS_PUBLISHED, "b")]
    for before, after in ((whole, again[LEAKAGE_FREE, "a"]), (bare, again[AS_PUBLISHED, "b"])):
        assert np.array_equal(before.truth, after.truth)
        assert np.array_equal(before.predicted, after.predicted)
        assert (before.score is None) == (after.score is None)
        if before.score is not None:
            assert np.array_equal(before.score, after.score)  # type: ignore[arg-type]
    clean = clean_rows(rows)
    assert set(clean["model"]) == {"a"}
    assert clean["run"].tolist() == [0, 0, 0, 1, 1, 1]
