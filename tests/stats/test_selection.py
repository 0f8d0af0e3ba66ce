"""Feature selection: the same support as scikit-learn's, and counts by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.feature_selection import RFE
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC, SVR

from radlib.core.errors import RadlibError
from radlib.stats.selection import LinearRFE, TTestFScore, f_score, t_test_p


def table(n: int = 36, p: int = 150, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, p))


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_same_support_and_ranking_as_scikit_learn(n_classes: int, C: float) -> None:
    X, y = table(), np.arange(36) % n_classes
    ours = LinearRFE(7, C=C, tol=1e-8).fit(X, y)
    theirs = RFE(SVC(kernel="linear", C=C, tol=1e-8), n_features_to_select=7).fit(X, y)
    np.testing.assert_array_equal(ours.support_, theirs.support_)
    np.testing.assert_array_equal(ours.ranking_, theirs.ranking_)


def test_same_support_where_the_classes_overlap() -> None:
    # Fewer features than subjects: the machines run into the box constraint.
    X, y = table(p=12), np.arange(36) % 3
    ours = LinearRFE(3).fit(X, y)
    np.testing.assert_array_equal(
        ours.ranking_, RFE(SVC(kernel="linear", tol=1e-8), n_features_to_select=3).fit(X, y).ranking_
    )


@pytest.mark.slow
def test_one_against_rest_is_scikit_learns() -> None:
    X, y = table(), np.arange(36) % 3

    def squared(model: OneVsRestClassifier) -> np.ndarray:
        return np.concatenate([each.coef_ for each in model.estimators_])

    theirs = RFE(
        OneVsRestClassifier(SVC(kernel="linear", tol=1e-8)), n_features_to_select=5, importance_getter=squared
    ).fit(X, y)
    np.testing.assert_array_equal(LinearRFE(5, machine="ovr", tol=1e-8).fit(X, y).ranking_, theirs.ranking_)


@pytest.mark.slow
def test_regression_is_scikit_learns_on_standardised_days() -> None:
    X = table()
    days = 500 + 200 * X[:, 3] - 100 * X[:, 9] + 50 * np.random.default_rng(1).normal(size=36)
    ours = LinearRFE(6, machine="svr", tol=1e-8).fit(X, days)
    scaled = (days - days.mean()) / days.std()
    theirs = RFE(SVR(kernel="linear", tol=1e-8), n_features_to_select=6).fit(X, scaled)
    np.testing.assert_array_equal(ours.ranking_, theirs.ranking_)
    assert ours.support_[[3, 9]].all()
    wide = LinearRFE(6, machine="svr", C=0.01, epsilon=0.3, tol=1e-8).fit(X, days)
    theirs = RFE(SVR(kernel="linear", C=0.01, epsilon=0.3, tol=1e-8), n_features_to_select=6).fit(X, scaled)
    np.testing.assert_array_equal(wide.support_, theirs.support_)


@pytest.mark.slow
def test_same_support_on_the_expression_of_1740_genes(real_data: object) -> None:
    path = real_data / "tcga-glioma/expression/unifiedScaledFiltered.txt"  # type: ignore[operator]
    genes = pd.read_csv(path, sep="\t").T.iloc[:58].to_numpy()
    X = (genes - genes.mean(axis=0)) / genes.std(axis=0)
    y = np.arange(58) % 3
    ours = LinearRFE(43, tol=1e-8).fit(X, y)
    theirs = RFE(SVC(kernel="linear", tol=1e-8), n_features_to_select=43).fit(X, y)
    np.testing.assert_array_equal(ours.support_, theirs.support_)


def test_named_columns_survive_and_the_selector_clones() -> None:
    X = pd.DataFrame(table(p=5), columns=list("abcde"))
    X["c"] += 3 * (np.arange(36) % 2)
    selector = clone(LinearRFE(1)).fit(X, np.arange(36) % 2)
    assert selector.get_feature_names_out().tolist() == ["c"]
    assert selector.transform(X).shape == (36, 1)


def test_nothing_leaves_when_there_are_few_features() -> None:
    selector = LinearRFE(8).fit(table(p=5), np.arange(36) % 2)
    assert selector.support_.all()
    assert (selector.ranking_ == 1).all()


def test_bad_parameters_are_named() -> None:
    X, y = table(p=4), np.arange(36) % 2
    with pytest.raises(RadlibError, match="n_features_to_select=0"):
        LinearRFE(0).fit(X, y)
    with pytest.raises(RadlibError, match="'tree' is unknown"):
        LinearRFE(2, machine="tree").fit(X, y)  # type: ignore[arg-type]
    with pytest.raises(RadlibError, match="only class"):
        LinearRFE(2).fit(X, y * 0)


def test_f_score_by_hand() -> None:
    # Classes (0, 2) and (4, 6, 8): means 1 and 6, overall 4; variances 2 and 4. F = (9 + 4) / 6.
    X = np.array([[0.0], [2], [4], [6], [8]])
    assert f_score(X, [0, 0, 1, 1, 1])[0] == pytest.approx(13 / 6)
    assert f_score(np.ones((5, 1)), [0, 0, 1, 1, 1])[0] == 0
    assert f_score(np.array([[0.0], [0], [1], [1], [1]]), [0, 0, 1, 1, 1])[0] == np.inf


def test_t_test_is_students() -> None:
    X, y = table(p=6), np.arange(36) % 2
    np.testing.assert_allclose(t_test_p(X, y), stats.ttest_ind(X[y == 0], X[y == 1]).pvalue)
    X[:, 0], X[:, 1] = 1.0, y
    assert t_test_p(X, y)[:2].tolist() == [1.0, 0.0]


def test_t_test_then_f_score() -> None:
    X, y = table(p=200), np.arange(36) % 2
    X[:, 5] += 2 * y
    X[:, 9] += 4 * y
    selector = TTestFScore(n_features_to_select=2).fit(X, y)
    assert np.flatnonzero(selector.support_).tolist() == [5, 9]
    everything = TTestFScore().fit(X, y)
    assert (everything.support_ == (everything.p_values_ < 0.05)).all()


def test_a_fold_without_a_significant_feature_still_selects() -> None:
    X, y = table(p=3), np.arange(36) % 2
    selector = TTestFScore(alpha=1e-12).fit(X, y)
    assert selector.support_.sum() == 1
    assert selector.support_[np.argmin(selector.p_values_)]


def test_two_classes_are_needed() -> None:
    with pytest.raises(RadlibError, match="not 3"):
        f_score(table(p=2), np.arange(36) % 3)
    with pytest.raises(RadlibError, match="no variance"):
        f_score(table(3, 2), [0, 1, 1])
