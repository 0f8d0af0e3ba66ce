"""Survival classes, concordance, curves, and the metrics of several classes, by hand and against scikit-survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sksurv.metrics import concordance_index_censored

from radlib.core.errors import RadlibError
from radlib.data.published import published
from radlib.stats import multiclass, survival
from radlib.stats.protocols import RepeatedFolds
from radlib.stats.stability import named_frequencies, nogueira_stability, selection_matrix
from radlib.stats.tabular import linear_svm

NAMES = survival.CLASSES


def series(values: list[float]) -> pd.Series:
    return pd.Series(values, index=[f"s{i}" for i in range(len(values))], dtype=float)


def rows(true: list[int], predicted: list[int], *, fold: list[int] | int = 0, repeat: int = 0) -> pd.DataFrame:
    subjects = [f"s{i}" for i in range(len(true))]
    return pd.DataFrame({"repeat": repeat, "fold": fold, "subject": subjects, "true": true, "predicted": predicted})


def test_limits_are_as_documented() -> None:
    assert survival.days_to_class([-5, 299, 300, 450, 451]).tolist() == [0, 0, 1, 1, 2]
    assert survival.days_to_class([99, 100, 101], short_below=100, long_above=100).tolist() == [0, 1, 2]
    with pytest.raises(RadlibError, match="limits 450 and 300"):
        survival.days_to_class([1.0], short_below=450, long_above=300)
    with pytest.raises(RadlibError, match="NaN"):
        survival.days_to_class([np.nan])


def test_censored_patients_have_a_class_only_where_follow_up_tells() -> None:
    days = series([100, 100, 400, 400, 450, 500, 500, np.nan])
    event = series([1, 0, 1, 0, 0, 1, 0, 1])
    found = survival.survival_classes(days, event)
    assert found.fillna(-1).tolist() == [0, -1, 1, -1, -1, 2, 2, -1]
    with pytest.raises(RadlibError, match="'s0' has negative survival"):
        survival.survival_classes(series([-1]), series([1]))


def test_concordance_is_scikit_survivals() -> None:
    draw = np.random.default_rng(0)
    days = series(draw.integers(1, 30, 40).tolist())  # many ties in time
    event = series(draw.integers(0, 2, 40).tolist())
    predicted = np.round(draw.normal(size=40), 1)  # and in prediction
    found = survival.concordance(rows([0] * 40, predicted.tolist()), days, event)
    reference = concordance_index_censored(event.to_numpy() == 1, days.to_numpy(), -predicted)[0]
    assert found.value == pytest.approx(reference, abs=1e-12)
    assert found.low < found.value < found.high


def test_concordance_compares_within_folds_only() -> None:
    days, event = series([1, 2, 3, 4]), series([1, 1, 1, 1])
    # Right within each fold; the second fold's predictions are all lower than the first's.
    found = survival.concordance(rows([0] * 4, [10, 11, 1, 2], fold=[0, 0, 1, 1]), days, event)
    assert found.value == 1.0
    assert np.isnan(survival.concordance(rows([0] * 4, [1, 2, 3, 4], fold=[0, 1, 2, 3]), days, event).value)


def test_kaplan_meier_by_hand() -> None:
    # Deaths at 1 and 3, censored at 2, 4 at the end: S = 3/4 from day 1, 3/4 * 1/2 from day 3.
    days, event = series([1, 2, 3, 4]), series([1, 0, 1, 0])
    curve = survival.kaplan_meier(days, event, series([0, 0, 0, 0]))
    assert curve["days"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(curve["survival"], [1, 0.75, 0.75, 0.375, 0.375])
    assert (curve["low"] <= curve["survival"]).all()
    alive = survival.kaplan_meier(days, event * 0, series([0, 0, 0, 0]))
    assert (alive["survival"] == 1).all()


def test_log_rank_by_hand() -> None:
    # Group 0 dies on days 1 and 2, group 1 on 3 and 4. Expected in group 0: 2/4 + 1/3 = 5/6.
    # Variance 1/4 + 2/9 = 17/36, so chi2 = (2 - 5/6)^2 / (17/36) = 49/17.
    found = survival.log_rank(series([1, 2, 3, 4]), series([1, 1, 1, 1]), series([0, 0, 1, 1]))
    assert found.chi2 == pytest.approx(49 / 17)
    assert found.groups["expected deaths"].tolist() == pytest.approx([5 / 6, 19 / 6])
    assert found.groups["deaths"].tolist() == [2, 2]
    assert np.isnan(survival.log_rank(series([1, 2]), series([1, 1]), series([0, 0])).p)


def test_cox_finds_a_planted_hazard_ratio() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=600)
    time = draw.exponential(np.exp(-np.log(2) * x)) * 300 + 1e-6  # the hazard doubles with every unit
    last = draw.uniform(0, 900, 600)
    days, event = series(np.minimum(time, last).tolist()), series((time <= last).astype(int).tolist())
    table = survival.cox_table(pd.DataFrame({"x": x}, index=days.index), days, event)
    assert table.loc["x", "low"] < 2 < table.loc["x", "high"]
    assert table.loc["x", "deaths"] == event.sum()
    predicted = survival.cox_out_of_fold(
        pd.DataFrame({"x": x}, index=days.index), days, event, splitter=RepeatedFolds(n_repeats=1)
    )
    assert survival.concordance(predicted, days, event, n_boot=200).low > 0.6
    with pytest.raises(RadlibError, match="no positive follow-up"):
        survival.signed_days(series([0]), series([1]))


def test_mean_squared_error_counts_deaths_only() -> None:
    event = series([1, 1, 0])
    two = pd.concat([rows([100, 200, 300], [110, 180, 0]), rows([100, 200, 300], [100, 220, 0], repeat=1)])
    found = survival.mean_squared_error(two, event)
    assert found.value == pytest.approx((100 + 400 + 0 + 400) / 4)
    assert found.n == 2
    assert np.isnan(survival.mean_squared_error(two, event * 0).value)


def test_models_fit_and_say_what_they_are() -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(60, 3))
    days = 500 + 200 * X[:, 0]
    classes = survival.days_to_class(days)
    for regressor in (survival.svm_regressor(), survival.ann_regressor()):
        assert np.corrcoef(regressor.fit(X, days).predict(X), days)[0, 1] > 0.95
    network = survival.ann_classifier().fit(X, classes)
    assert network.coefs_[0].shape == (3, 6)
    assert (network.predict(X) == classes).mean() > 0.95
    assert (linear_svm(C=100).fit(X, classes).predict(X) == classes).mean() > 0.9


def test_per_class_metrics_by_hand() -> None:
    #  true 0 0 1 1 2 2, predicted 0 1 1 1 2 0
    found = multiclass.metrics(rows([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0]), NAMES)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["sensitivity.short"] == 0.5
    assert found["sensitivity.medium"] == 1.0
    assert found["specificity.short"] == 0.75
    assert found["specificity.medium"] == 0.75
    assert found["specificity.long"] == 1.0
    assert np.isnan(multiclass.metrics(rows([0], [0]), NAMES)["sensitivity.long"])
    assert np.isnan(multiclass.metrics(rows([0], [0]), NAMES)["specificity.short"])
    with pytest.raises(RadlibError, match="class 7"):
        multiclass.metrics(rows([7], [0]), NAMES)


def test_intervals_count_patients_not_rows() -> None:
    draw = np.random.default_rng(0)
    true, predicted = draw.integers(0, 3, 60).tolist(), draw.integers(0, 3, 60).tolist()
    one = multiclass.estimates(rows(true, predicted), NAMES)
    # Fifty repeats of the same predictions carry no more information than one.
    many = multiclass.estimates(pd.concat([rows(true, predicted, repeat=r) for r in range(50)]), NAMES)
    for name in one:
        assert many[name].value == pytest.approx(one[name].value)
        assert many[name].high - many[name].low == pytest.approx(one[name].high - one[name].low)
    assert one["accuracy"].n == 60
    assert one["sensitivity.short"].n == true.count(0)


def test_a_perfect_class_is_not_certain() -> None:
    found = multiclass.estimates(rows([0] * 16 + [1] * 16, [0] * 16 + [1] * 8 + [0] * 8), {0: "short", 1: "medium"})
    assert found["sensitivity.short"].value == 1.0
    assert 0.75 < found["sensitivity.short"].low < 0.85
    assert found["sensitivity.short"].method == "wilson"


def test_permuted_labels_need_their_own_interval() -> None:
    two = pd.concat([rows([0, 1, 2], [0, 1, 2]), rows([1, 0, 2], [0, 1, 2], repeat=1)])
    with pytest.raises(RadlibError, match="permuted_estimates"):
        multiclass.estimates(two, NAMES)
    found = multiclass.permuted_estimates(two, NAMES)["accuracy"]
    assert found.value == pytest.approx((1 + 1 / 3) / 2)
    assert found.n == 2


def test_chance_depends_on_what_predictions_prefer() -> None:
    assert multiclass.chance_accuracy(rows([0, 0, 1, 2], [0, 0, 0, 0])) == 0.5
    assert multiclass.chance_accuracy(rows([0, 0, 1, 2], [0, 1, 2, 2])) == pytest.approx(0.25 * (0.5 + 0.25 + 0.5))
    assert np.isnan(multiclass.chance_accuracy(rows([], [])))


def test_fold_table() -> None:
    frame = rows([0, 1, 2, 0], [0, 1, 1, 0], fold=[0, 0, 1, 1])
    table = multiclass.fold_table(frame, NAMES)
    assert table.loc[(0, 0), "accuracy"] == 1.0
    assert table.loc[(0, 1), "accuracy"] == 0.5
    assert table["n"].tolist() == [2, 2]


def test_table_2_of_islam_2020_allows_one_fold_size_only() -> None:
    for fold in ("fold1", "fold2", "fold3", "fold4"):
        cells = {name: published(f"islam2020.table2.{fold}.{name}").value for name in multiclass.metric_names(NAMES)}
        sizes = multiclass.counts_from_percentages(
            sensitivity=[cells[f"sensitivity.{name}"] for name in NAMES.values()],
            specificity=[cells[f"specificity.{name}"] for name in NAMES.values()],
            accuracy=cells["accuracy"],
            max_class=12,
        )
        assert (10, 6, 10) in sizes
    wrong = multiclass.counts_from_percentages(
        sensitivity=[50, 50, 50], specificity=[50, 50, 50], accuracy=90, max_class=6
    )
    assert wrong == []


def test_modal_group_breaks_ties_downwards() -> None:
    three = pd.concat([rows([0, 0], [1, 2]), rows([0, 0], [1, 0], repeat=1), rows([0, 0], [0, 0], repeat=2)])
    assert survival.modal_group(three).to_dict() == {"s0": 1, "s1": 0}
    two = pd.concat([rows([0], [2]), rows([0], [1], repeat=1)])
    assert survival.modal_group(two).to_dict() == {"s0": 1}


def test_stability_of_identical_and_of_random_selections() -> None:
    same = np.zeros((10, 50), dtype=bool)
    same[:, :5] = True
    assert nogueira_stability(same).value == pytest.approx(1)
    draw = np.random.default_rng(0)
    random = np.array([draw.permutation(np.arange(200) < 20) for _ in range(200)])
    found = nogueira_stability(random)
    assert abs(found.value) < 0.02
    assert found.low < found.value < found.high
    # Two sets of one feature out of two, disjoint: mean variance 1/2 over 1/4, so 1 - 2 = -1.
    assert nogueira_stability([[True, False], [False, True]]).value == pytest.approx(-1)
    with pytest.raises(RadlibError, match="at least 2"):
        nogueira_stability(same[:1])


def test_named_frequencies_against_chance() -> None:
    selected = pd.DataFrame({"repeat": 0, "fold": [0, 0, 1, 1], "feature": ["a", "b", "a", "c"]})
    matrix = selection_matrix(selected, ["a", "b", "c", "d"])
    assert matrix.to_numpy().tolist() == [[True, True, False, False], [True, False, True, False]]
    table = named_frequencies(matrix, ["a", "d", "LDNRA"], null=matrix * 0, n_selected=2)
    assert table["selected"].fillna(-1).tolist() == [1.0, 0.0, -1.0]
    assert table.loc["a", "chance"] == 0.5
    assert table.loc["a", "rank"] == 1
    assert table["candidate"].tolist() == [True, True, False]
    assert table.loc["d", "at least as often"] == 1.0
