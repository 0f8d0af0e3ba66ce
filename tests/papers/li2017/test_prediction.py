"""Prediction in folds on a kernel: equal to the pipeline fitted anew, and free of what it must not see."""

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.papers.li2017.prediction import (
    Classifier,
    Table,
    folds_of,
    leave_one_out,
    number_chosen_inside,
    permutation_table,
    predict,
    readings,
    time_split,
)
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, LeaveOneOutFolds, out_of_fold
from radlib.stats.roc import auc
from radlib.stats.selection import f_score, t_test_p
from radlib.stats.tabular import linear_svm, radiomics_svm, selection_steps


def data(n: int = 26, p: int = 60, *, effect: float = 1.0, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    draw = rng(seed, "table", n, p)
    truth = np.arange(n) % 3 != 0
    values = draw.normal(size=(n, p)) * draw.uniform(0.1, 9, p) + draw.normal(size=p)
    values[:, :5] += effect * truth[:, None] * values[:, :5].std(axis=0)
    values[:, 7] = 3.25  # constant
    names = [f"s{i:02}" for i in range(n)]
    return pd.DataFrame(values, index=names).add_prefix("f"), pd.Series(truth, index=names)


@pytest.mark.parametrize("n_selected", [None, 4])
def test_equal_to_the_pipeline_under_leave_one_out(n_selected: int | None) -> None:
    X, y = data()
    table, classifier = Table(X, y), Classifier(n_selected=n_selected)
    run = out_of_fold(X, y, models={"svm": radiomics_svm(n_selected=n_selected)}, splitter=LeaveOneOutFolds())
    (inside,), counts = predict(table, leave_one_out(len(y)), classifier, selection="inside")
    theirs = run.predictions.set_index("subject").loc[y.index]
    assert inside.score is not None
    np.testing.assert_allclose(inside.score[0], theirs["score"], rtol=2e-3, atol=2e-3)
    np.testing.assert_array_equal(inside.predicted[0], theirs["predicted"])
    assert counts.max() <= (n_selected or 60)
    run = out_of_fold(
        X, y, models={"svm": linear_svm()}, preparation=selection_steps(n_selected=n_selected),
        outside=["clean", "select"], splitter=LeaveOneOutFolds(), protocol=AS_PUBLISHED,
    )  # fmt: skip
    (outside,), _ = predict(table, leave_one_out(len(y)), classifier, selection="outside")
    theirs = run.predictions.set_index("subject").loc[y.index]
    assert outside.score is not None
    np.testing.assert_allclose(outside.score[0], theirs["score"], rtol=2e-3, atol=2e-3)


def test_scores_without_patients_are_those_of_the_others() -> None:
    X, y = data()
    left_out = np.array([0, 4, 11])
    found = Table(X, y).scores(left_out)
    stays = np.setdiff1d(np.arange(len(y)), left_out)
    np.testing.assert_allclose(found.p, t_test_p(X.iloc[stays], y.iloc[stays]), rtol=1e-6)
    np.testing.assert_allclose(found.f, f_score(X.iloc[stays], y.iloc[stays]), rtol=1e-6, atol=1e-12)
    assert found.p[7] == 1
    assert found.f[7] == 0


def test_selection_ranks_and_never_comes_out_empty() -> None:
    X, y = data(effect=2.0)
    scores = Table(X, y).scores()
    chosen = scores.select(Classifier())
    assert (np.diff(scores.f[chosen]) <= 0).all()
    assert set(range(5)) <= set(chosen.tolist())
    assert scores.select(Classifier(n_selected=3)).tolist() == chosen[:3].tolist()
    assert scores.select(Classifier(alpha=1e-300)).tolist() == [int(scores.p.argmin())]


def test_the_label_of_the_patient_left_out_does_not_matter() -> None:
    X, y = data(effect=0.0)
    other = y.copy()
    other.iloc[3] = not other.iloc[3]
    folds = [leave_one_out(len(y))[3]]
    (first,), _ = predict(Table(X, y), folds, Classifier(), selection="inside")
    (second,), _ = predict(Table(X, other), folds, Classifier(), selection="inside")
    assert first.score is not None
    assert second.score is not None
    np.testing.assert_allclose(first.score, second.score)
    (leaky,), _ = predict(Table(X, y), folds, Classifier(), selection="outside")
    (moved,), _ = predict(Table(X, other), folds, Classifier(), selection="outside")
    assert leaky.score is not None
    assert moved.score is not None
    assert abs(leaky.score[0, 0] - moved.score[0, 0]) > 1e-3


def test_leaky_protocol_finds_what_is_not_there() -> None:
    X, y = data(n=60, p=1500, effect=0.0)
    found = permutation_table(Table(X, y), readings(Classifier(), few=20), permutations=6, n_folds=5)
    area = found[found["metric"] == "auc"]
    means = area[area["permutation"] >= 0].groupby("protocol")["value"].mean()
    assert means[AS_PUBLISHED] > 0.9
    assert means["best 20, outside"] > 0.8
    assert 0.35 < means[LEAKAGE_FREE] < 0.65
    assert 0.35 < means["no selection"] < 0.65
    # The labels as they are come first, by the folds of the first shuffle's seed.
    (inside,), _ = predict(Table(X, y), folds_of(y.to_numpy(), n_folds=5, seed=0), Classifier(), selection="inside")
    true = area[(area["permutation"] < 0) & (area["protocol"] == LEAKAGE_FREE)]["value"].item()
    assert true == pytest.approx(auc(inside.truth, inside.score))


def test_an_effect_is_found_without_leaking() -> None:
    X, y = data(n=60, p=300, effect=2.0)
    table = Table(X, y)
    folds = [folds_of(table.truth, n_folds=5, seed=0, repeat=repeat) for repeat in (0, 1)]
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(*folds, strict=True))
    (found,), _ = predict(table, folds[1], Classifier(n_selected=5), selection="inside")
    assert auc(found.truth, found.score) > 0.9
    chosen, numbers = number_chosen_inside(table, leave_one_out(60)[:6], Classifier(), [1, 5], seed=0)
    assert chosen.n == 6
    assert set(numbers.tolist()) <= {1, 5}


def test_several_numbers_at_once() -> None:
    X, y = data()
    table = Table(X, y)
    folds = leave_one_out(len(y))
    together, _ = predict(table, folds, Classifier(), selection="inside", numbers=[2, 6])
    for k, found in zip((2, 6), together, strict=True):
        (alone,), _ = predict(table, folds, Classifier(n_selected=k), selection="inside")
        assert found.score is not None
        assert alone.score is not None
        np.testing.assert_allclose(found.score, alone.score)


def test_what_cannot_be_asked() -> None:
    X, y = data()
    with pytest.raises(RadlibError, match="one class"):
        Table(X, np.ones(len(y), dtype=bool))
    with pytest.raises(RadlibError, match="NaN"):
        Table(X.assign(f3=np.nan), y)
    with pytest.raises(RadlibError, match="25 labels"):
        Table(X, y[:-1])
    with pytest.raises(RadlibError, match="17 and 0 patients"):
        Table(X, y).scores(np.flatnonzero(~y.to_numpy()))


def test_relabelled_is_a_new_table() -> None:
    X, y = data()
    order = rng(0).permutation(len(y))
    moved = Table(X, y).relabelled(y.to_numpy()[order])
    np.testing.assert_allclose(moved.scores().p, Table(X, y.to_numpy()[order]).scores().p)


def people(mutants: int, wild: int) -> pd.DataFrame:
    names = [f"p{i}" for i in range(mutants + wild)]
    return pd.DataFrame({"idh": ["mutant"] * mutants + ["wildtype"] * wild}, index=names)


TEST = [("mutant", 26), ("wildtype", 8)]


def test_split_of_the_published_size() -> None:
    table = people(89, 30)
    train, test = time_split(table, test=TEST, seed=0)
    assert len(train) == 85
    assert table.loc[test, "idh"].value_counts().to_dict() == {"mutant": 26, "wildtype": 8}
    assert set(train) | set(test) == set(table.index)
    assert time_split(table, test=TEST, seed=1)[1] != test


def test_split_by_a_year_and_too_few() -> None:
    table = people(6, 6).assign(diagnosis_year=[2014, 2016] * 6)
    train, test = time_split(table, test=TEST, seed=0)
    assert test == list(table.index[1::2])
    assert train == list(table.index[::2])
    with pytest.raises(RadlibError, match="before 2015"):
        time_split(table.assign(diagnosis_year=[2014] * 6 + [2016] * 6), test=TEST, seed=0)
    with pytest.raises(RadlibError, match="cannot be split"):
        time_split(people(9, 1), test=TEST, seed=0)
