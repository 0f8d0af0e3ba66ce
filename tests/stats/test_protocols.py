"""The three protocols: what each may see, and what each must find."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from radlib.core.errors import RadlibError
from radlib.stats import protocols
from radlib.stats.intervals import corrected_resampled_interval, permutation_interval, permutation_p_value
from radlib.stats.protocols import (
    AS_PUBLISHED,
    CONTROL,
    LEAKAGE_FREE,
    PERMUTED,
    PUBLISHED_PERMUTED,
    LeaveOneOutFolds,
    RepeatedFolds,
    out_of_fold,
    three_protocols,
)


def noise(n: int = 40, p: int = 500, *, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Features that know nothing of the labels."""
    draw = np.random.default_rng(seed)
    index = [f"s{i:02d}" for i in range(n)]
    X = pd.DataFrame(draw.normal(size=(n, p)), index=index, columns=[f"f{j}" for j in range(p)])
    return X, pd.Series(np.arange(n) % 2, index=index)


def preparation(k: int = 10) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("select", SelectKBest(f_classif, k=k))])


class Spy(TransformerMixin, BaseEstimator):
    """Notes which subjects it was fitted on."""

    seen: list[frozenset[str]] = []  # noqa: RUF012 - clones of it share this list

    def fit(self, X: pd.DataFrame, y: pd.Series) -> Spy:
        assert list(X.index) == list(y.index)
        Spy.seen.append(frozenset(X.index))
        self.fitted_ = True
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return X

    def get_feature_names_out(self, names: object = None) -> np.ndarray:
        return np.array(["a"])


@pytest.fixture
def spied() -> type[Spy]:
    Spy.seen = []
    return Spy


def accuracy(frame: pd.DataFrame) -> float:
    return float((frame["true"] == frame["predicted"]).mean())


def test_leakage_free_preparation_never_sees_a_test_subject(spied: type[Spy]) -> None:
    X, y = noise(12, 1)
    run = out_of_fold(
        X, y, models={"svm": SVC()}, preparation=Pipeline([("spy", spied())]), splitter=RepeatedFolds(n_repeats=2)
    )
    assert len(spied.seen) == 8
    tests = run.predictions.groupby(["repeat", "fold"])["subject"].agg(frozenset)
    for seen, test in zip(spied.seen, tests, strict=True):
        assert seen == frozenset(X.index) - test


def test_as_published_preparation_sees_everyone_once(spied: type[Spy]) -> None:
    X, y = noise(12, 1)
    steps = Pipeline([("spy", spied())])
    run = out_of_fold(
        X, y, models={"svm": SVC()}, preparation=steps, outside=["spy"], splitter=RepeatedFolds(n_repeats=2)
    )
    assert spied.seen == [frozenset(X.index)]
    assert run.selected["fold"].tolist() == [-1]


def test_the_leading_steps_leak_and_the_rest_do_not(spied: type[Spy]) -> None:
    X, y = noise(12, 1)
    steps = Pipeline([("scale", StandardScaler()), ("spy", spied())])
    out_of_fold(X, y, models={"svm": SVC()}, preparation=steps, outside=["scale"], splitter=RepeatedFolds(n_repeats=1))
    assert [len(seen) for seen in spied.seen] == [9, 9, 9, 9]
    with pytest.raises(RadlibError, match="no leading part"):
        out_of_fold(X, y, models={"svm": SVC()}, preparation=steps, outside=["spy"], splitter=RepeatedFolds())


def test_every_subject_is_predicted_once_a_repeat_and_folds_differ() -> None:
    X, y = noise(20, 3)
    run = out_of_fold(X, y, models={"a": SVC(), "b": LogisticRegression()}, splitter=RepeatedFolds(n_repeats=3))
    counts = run.predictions.groupby(["model", "repeat", "subject"]).size()
    assert (counts == 1).all()
    assert len(counts) == 2 * 3 * 20
    folds = run.of(LEAKAGE_FREE, "a").pivot(index="subject", columns="repeat", values="fold")
    assert not folds[0].equals(folds[1])
    again = out_of_fold(X, y, models={"a": SVC()}, splitter=RepeatedFolds(n_repeats=1))
    pd.testing.assert_series_equal(
        again.predictions["predicted"],
        run.of(LEAKAGE_FREE, "a").query("repeat == 0")["predicted"].reset_index(drop=True),
    )


@pytest.mark.slow
def test_selection_before_the_split_finds_signal_in_noise_and_inside_it_does_not() -> None:
    X, y = noise(40, 1000)
    run = three_protocols(
        X, y, models={"svm": SVC(kernel="linear")}, preparation=preparation(), splitter=RepeatedFolds(n_repeats=3),
        clinical=X[["f0"]], rules={"rule": LogisticRegression()}, n_permutations=10,
    )  # fmt: skip
    assert accuracy(run.of(AS_PUBLISHED)) > 0.75
    assert 0.3 < accuracy(run.of(LEAKAGE_FREE)) < 0.7
    permuted = run.of(PERMUTED).groupby("repeat").apply(accuracy)
    chance = permutation_interval(permuted)
    assert chance.n == 10
    assert chance.low < 0.5 < chance.high
    # The published protocol "finds" shuffled labels just as well: what it measures is itself.
    assert run.of(PUBLISHED_PERMUTED).groupby("repeat").apply(accuracy).mean() > 0.75
    assert set(run.of(CONTROL)["model"]) == {"majority class", "rule"}
    assert accuracy(run.of(CONTROL, "majority class")) == 0.5


def test_signal_is_found_without_leaks() -> None:
    X, y = noise(40, 200)
    X["f7"] += 4 * y
    run = three_protocols(
        X, y, models={"svm": SVC(kernel="linear")}, preparation=preparation(3), splitter=RepeatedFolds(n_repeats=2),
        n_permutations=0,
    )  # fmt: skip
    assert accuracy(run.of(LEAKAGE_FREE)) > 0.9
    assert len(run.selected.query("protocol == @LEAKAGE_FREE and feature == 'f7'")) == 8
    assert PERMUTED not in set(run.predictions["protocol"])


def test_permuted_labels_are_a_permutation_and_differ_between_permutations() -> None:
    X, y = noise(20, 5)
    run = three_protocols(
        X, y, models={"svm": SVC()}, preparation=preparation(2), splitter=RepeatedFolds(n_repeats=1), n_permutations=2
    )
    labels = run.of(PERMUTED).pivot(index="subject", columns="repeat", values="true").loc[X.index]
    assert (labels.sum() == y.sum()).all()
    assert not labels[0].equals(labels[1])
    assert not labels[0].equals(y)
    same = run.of(PUBLISHED_PERMUTED).pivot(index="subject", columns="repeat", values="true").loc[X.index]
    pd.testing.assert_frame_equal(labels, same)


def test_scores_point_to_the_positive_class() -> None:
    X, y = noise(30, 2)
    X["f0"] += 5 * y
    named = y == 1
    for model in (SVC(kernel="linear"), LogisticRegression()):
        run = out_of_fold(X, named, models={"m": model}, splitter=RepeatedFolds(n_repeats=1))
        rows = run.predictions
        higher = rows.loc[rows["true"], "score"].min() > rows.loc[~rows["true"], "score"].max()
        assert higher
        if "probability" in rows:
            assert ((rows["probability"] > 0.5) == (rows["predicted"])).all()


def test_three_classes_have_a_score_each() -> None:
    X, _ = noise(30, 2)
    y = pd.Series(np.arange(30) % 3, index=X.index)
    rows = out_of_fold(X, y, models={"m": LogisticRegression()}, splitter=RepeatedFolds(n_repeats=1)).predictions
    assert {"score_0", "score_1", "score_2", "probability_0"} <= set(rows)
    np.testing.assert_allclose(rows[["probability_0", "probability_1", "probability_2"]].sum(axis=1), 1)


def test_numbers_are_predicted_without_strata_and_only_some_train(spied: type[Spy]) -> None:
    X, _ = noise(16, 2)
    days = pd.Series(X["f0"] * 100 + 500, index=X.index)
    died = np.arange(16) < 12
    run = out_of_fold(
        X, days, models={"ols": LinearRegression()}, preparation=Pipeline([("spy", spied())]),
        splitter=RepeatedFolds(n_repeats=1), fit_on=died,
    )  # fmt: skip
    assert all(seen <= set(X.index[:12]) for seen in spied.seen)
    assert len(run.predictions) == 16
    np.testing.assert_allclose(run.predictions["predicted"], run.predictions["true"])


def test_leave_one_out_predicts_each_subject_alone() -> None:
    X, y = noise(10, 2)
    run = out_of_fold(X, y, models={"m": SVC()}, splitter=LeaveOneOutFolds())
    assert run.predictions.groupby("fold").size().tolist() == [1] * 10
    assert run.predictions["subject"].tolist() == list(X.index)


def test_groups_are_never_parted() -> None:
    X, y = noise(24, 2)
    sites = [f"site {i // 4}" for i in range(24)]
    run = out_of_fold(X, y, models={"m": SVC()}, splitter=RepeatedFolds(n_folds=3, n_repeats=2, groups=sites))
    rows = run.predictions.assign(site=run.predictions["subject"].map(dict(zip(X.index, sites, strict=True))))
    assert (rows.groupby(["repeat", "site"])["fold"].nunique() == 1).all()


def test_bad_input_is_named() -> None:
    X, y = noise(12, 2)
    models = {"m": SVC()}
    with pytest.raises(RadlibError, match="do not share one index"):
        out_of_fold(X, y.iloc[::-1], models=models, splitter=RepeatedFolds())
    twice = X.rename(index={"s01": "s00"})
    with pytest.raises(RadlibError, match="'s00' has more than one row"):
        out_of_fold(twice, pd.Series(y.to_numpy(), index=twice.index), models=models, splitter=RepeatedFolds())
    with pytest.raises(RadlibError, match=r"no label, .* 's03'"):
        out_of_fold(X, y.astype(float).where(X.index != "s03"), models=models, splitter=RepeatedFolds())
    with pytest.raises(RadlibError, match="holds class 0 only"):
        out_of_fold(X, y * 0, models=models, splitter=RepeatedFolds())
    with pytest.raises(RadlibError, match="repeat at least once"):
        RepeatedFolds(n_repeats=0)
    with pytest.raises(RadlibError, match="choose from"):
        out_of_fold(X, y, models=models, splitter=RepeatedFolds()).of("nonsense")


def test_nadeau_bengio_is_wider_than_a_naive_interval() -> None:
    values = [0.5, 0.6, 0.7, 0.8]
    found = corrected_resampled_interval(values, n_train=45, n_test=15)
    # s^2 = 1/60, variance (1/4 + 1/3)/60, t(0.975, 3) = 3.1824463
    half = 3.182446305 * np.sqrt((1 / 4 + 1 / 3) / 60)
    assert found.value == pytest.approx(0.65)
    assert found.high - found.value == pytest.approx(half)
    assert np.isnan(corrected_resampled_interval([0.5], n_train=45, n_test=15).low)
    assert corrected_resampled_interval([0.5, np.nan, 0.7], n_train=45, n_test=15).n == 2


def test_permutation_p_value_counts_the_observed() -> None:
    assert permutation_p_value(0.9, [0.1] * 99) == 0.01
    assert permutation_p_value(0.5, [0.5, 0.6, 0.4]) == 0.75
    assert permutation_p_value(0.5, []) == 1.0


def test_permutation_interval_of_few() -> None:
    assert np.isnan(permutation_interval([]).value)
    assert permutation_interval([0.4]).value == 0.4
    assert np.isnan(permutation_interval([0.4]).low)


def test_every_protocol_has_a_name() -> None:
    assert len(set(protocols.PROTOCOLS)) == 6
