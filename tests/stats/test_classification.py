"""Metrics on tables that can be counted by hand, DeLong on published data, intervals, paired tests."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar

from radlib.core.errors import RadlibError
from radlib.stats.classification import (
    METRICS,
    Confusion,
    Predictions,
    difference,
    evaluate,
    mcnemar_exact,
    tidy,
    weighted_metric,
)
from radlib.stats.roc import auc, delong, delong_test, roc_curve

# 43 patients of DeLong, DeLong and Clarke-Pearson (Biometrics 1988): albumin, total protein, K-G score, and whether
# surgery helped. The values below are those that SAS/STAT prints for these data (PROC LOGISTIC, ROCCONTRAST).
OVARIAN = np.array([
    [3.0, 5.8, 10, 0], [3.2, 6.3, 5, 1], [3.9, 6.8, 3, 1], [2.8, 4.8, 6, 0], [3.2, 5.8, 3, 1], [0.9, 4.0, 5, 0],
    [2.5, 5.7, 8, 0], [1.6, 5.6, 5, 1], [3.8, 5.7, 5, 1], [3.7, 6.7, 6, 1], [3.2, 5.4, 4, 1], [3.8, 6.6, 6, 1],
    [4.1, 6.6, 5, 1], [3.6, 5.7, 5, 1], [4.3, 7.0, 4, 1], [3.6, 6.7, 4, 0], [2.3, 4.4, 6, 1], [4.2, 7.6, 4, 0],
    [4.0, 6.6, 6, 0], [3.5, 5.8, 6, 1], [3.8, 6.8, 7, 1], [3.0, 4.7, 8, 0], [4.5, 7.4, 5, 1], [3.7, 7.4, 5, 1],
    [3.1, 6.6, 6, 1], [4.1, 8.2, 6, 1], [4.3, 7.0, 5, 1], [4.3, 6.5, 4, 1], [3.2, 5.1, 5, 1], [2.6, 4.7, 6, 1],
    [3.3, 6.8, 6, 0], [1.7, 4.0, 7, 0], [3.7, 6.1, 5, 1], [3.3, 6.3, 7, 1], [4.2, 7.7, 6, 1], [3.5, 6.2, 5, 1],
    [2.9, 5.7, 9, 0], [2.1, 4.8, 7, 1], [2.8, 6.2, 8, 0], [4.0, 7.0, 7, 1], [3.3, 5.7, 6, 1], [3.7, 6.9, 5, 1],
    [3.6, 6.6, 5, 1],
])  # fmt: skip
OUTCOME = OVARIAN[:, 3] == 1
ALBUMIN, PROTEIN, KG = OVARIAN[:, 0], OVARIAN[:, 1], 10 - OVARIAN[:, 2]


# --- the confusion matrix ---------------------------------------------------------------------------------------


def test_metrics_counted_by_hand() -> None:
    table = Confusion(tp=6, fp=2, tn=8, fn=4)
    assert table.metric("accuracy") == 14 / 20
    assert table.metric("sensitivity") == 6 / 10
    assert table.metric("specificity") == 8 / 10
    assert table.metric("ppv") == 6 / 8
    assert table.metric("npv") == 8 / 12
    assert table.metric("balanced_accuracy") == pytest.approx(0.7)
    assert table.metric("mcc") == pytest.approx((6 * 8 - 2 * 4) / math.sqrt(8 * 10 * 12 * 10))


def test_the_published_radiomics_row_of_li_2017_follows_from_its_counts() -> None:
    # 76 mutant and 34 wild-type patients; 63 and 25 right give every printed number of Table 2(a)
    table = Confusion(tp=63, fp=9, tn=25, fn=13)
    printed = (0.8000, 0.8289, 0.7353, 0.8750, 0.6579, 0.5483)
    found = [table.metric(name) for name in ("accuracy", "sensitivity", "specificity", "ppv", "npv", "mcc")]
    assert np.round(np.array(found, dtype=float), 4) == pytest.approx(printed, abs=1e-4)


def test_counting() -> None:
    table = Confusion.count([1, 1, 1, 0, 0], [1, 0, 1, 0, 1])
    assert (table.tp, table.fp, table.tn, table.fn) == (2, 1, 1, 1)


def test_undefined_metrics_are_nan() -> None:
    nobody_called = Confusion(tp=0, fp=0, tn=7, fn=3)
    assert math.isnan(nobody_called.metric("ppv"))  # type: ignore[arg-type]
    assert math.isnan(nobody_called.metric("mcc"))  # type: ignore[arg-type]
    assert nobody_called.metric("npv") == 0.7
    no_positives = Confusion(tp=0, fp=1, tn=2, fn=0)
    assert math.isnan(no_positives.metric("sensitivity"))  # type: ignore[arg-type]
    assert math.isnan(no_positives.metric("balanced_accuracy"))  # type: ignore[arg-type]
    assert math.isnan(Confusion(0, 0, 0, 0).metric("accuracy"))  # type: ignore[arg-type]


def test_random_predictions_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        truth = generator.random(30) < 0.4
        score = np.round(generator.normal(size=30) + truth, 1)  # with ties
        p = generator.random(30)
        found = evaluate(Predictions.of(truth, score > 0.3, score=score, probability=p), n_boot=2)
        called = score > 0.3
        expected = {
            "auc": sk.roc_auc_score(truth, score),
            "accuracy": sk.accuracy_score(truth, called),
            "sensitivity": sk.recall_score(truth, called),
            "specificity": sk.recall_score(~truth, ~called),
            "ppv": sk.precision_score(truth, called),
            "npv": sk.precision_score(~truth, ~called),
            "mcc": sk.matthews_corrcoef(truth, called),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, called),
            "brier": sk.brier_score_loss(truth, p),
        }
        assert {name: found[name].value for name in METRICS} == pytest.approx(expected)


# --- predictions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truth": [0, 2], "predicted": [0, 1]}, "truth holds 2"),
        ({"truth": [0, 1], "predicted": [0, 1, 1]}, "predicted has shape"),
        ({"truth": [0, 1], "predicted": [0, 1], "score": [0.1, np.nan]}, "score holds NaN"),
        ({"truth": [0, 1], "predicted": [0, 1], "probability": [0.1, 1.2]}, "probability of 1.2"),
        ({"truth": [0, 1], "predicted": [[0, 1], [1, 1]], "score": [0.1, 0.2]}, "score has shape"),
    ],
)
def test_bad_predictions_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(RadlibError, match=message):
        Predictions.of(**arguments)


def test_subset_keeps_patients_together() -> None:
    p = Predictions.of([0, 1, 1], [[0, 1, 0], [0, 0, 1]], score=[[1, 2, 3], [4, 5, 6]])
    part = p.subset([False, True, True])
    assert part.truth.tolist() == [True, True]
    assert part.predicted.tolist() == [[True, False], [False, True]]
    assert part.score is not None
    assert part.score.tolist() == [[2, 3], [5, 6]]
    assert (part.n, part.runs) == (2, 2)


# --- AUC and DeLong ---------------------------------------------------------------------------------------------


def test_auc_counts_pairs() -> None:
    # positives 3 and 1 against negatives 2 and 1: right, right, wrong, tied
    assert auc([1, 1, 0, 0], [3, 1, 2, 1]) == 2.5 / 4
    assert math.isnan(auc([1, 1], [0.1, 0.2]))
    assert auc([1, 0], [[1, 0], [0, 1]]) == 0.5  # the mean of two runs


def test_auc_by_definition() -> None:
    generator = np.random.default_rng(2)
    truth, score = generator.random(25) < 0.5, generator.integers(0, 6, 25)
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(score[truth], score[~truth])]
    assert auc(truth, score) == pytest.approx(np.mean(pairs))


def test_delong_on_the_data_of_the_1988_paper() -> None:
    for score, area, error in ((KG, 0.7258, 0.1028), (PROTEIN, 0.6478, 0.1000), (ALBUMIN, 0.7366, 0.0927)):
        found = delong(OUTCOME, score)
        assert found.value == pytest.approx(area, abs=5e-5)
        assert (found.high - found.value) / 1.959964 == pytest.approx(error, abs=5e-5)


def test_delong_test_on_the_data_of_the_1988_paper() -> None:
    found = delong_test(OUTCOME, PROTEIN, KG)
    assert found.difference == pytest.approx(-0.0780, abs=5e-5)
    assert (found.high - found.difference) / 1.959964 == pytest.approx(0.1046, abs=5e-5)
    assert found.p_value == pytest.approx(0.4561, abs=5e-5)
    other = delong_test(OUTCOME, ALBUMIN, KG)
    assert other.difference == pytest.approx(0.0108, abs=6e-5)
    assert other.p_value == pytest.approx(0.9102, abs=5e-5)


def test_delong_by_hand() -> None:
    # kernel of positives (3, 1) against negatives (2, 0): [[1, 1], [0, 1]]
    found = delong([1, 1, 0, 0], [3, 1, 2, 0])
    by_positive, by_negative = np.var([1, 0.5], ddof=1), np.var([0.5, 1], ddof=1)
    error = math.sqrt(by_positive / 2 + by_negative / 2)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - 1.959964 * error, abs=1e-6)
    assert found.high == 1.0  # cut


def test_delong_where_it_says_nothing() -> None:
    perfect = delong([1, 1, 0, 0], [4, 3, 2, 1])
    assert perfect.value == 1
    assert math.isnan(perfect.low)
    assert math.isnan(delong([1, 0, 0], [3, 2, 1]).low)  # one positive: no variance
    assert math.isnan(delong([1, 1], [3, 2]).value)
    same = delong_test(OUTCOME, KG, KG * 2)
    assert (same.difference, same.p_value) == (0, 1)
    assert math.isnan(delong_test([1, 1, 0, 0], [4, 3, 2, 1], [1, 2, 3, 4]).p_value)


def test_roc_curve_with_ties_and_vertical_pieces() -> None:
    # scores 3+, 2-, 1+, 0-: up to (0, 0.5), right to (0.5, 0.5), up to (0.5, 1), right to (1, 1)
    curve = roc_curve([1, 0, 1, 0], [3, 2, 1, 0], grid=5, n_boot=0)
    assert curve.tpr.tolist() == [0.5, 0.5, 1.0, 1.0, 1.0]
    tied = roc_curve([1, 0, 1, 0], [1, 1, 1, 1], grid=3, n_boot=0)
    assert tied.tpr.tolist() == [0, 0.5, 1]  # a rule that parts nothing is the diagonal
    assert np.isnan(roc_curve([1, 1], [0, 1], grid=3).tpr).all()


def test_roc_curve_has_the_area_of_the_auc_and_a_band_around_it() -> None:
    curve = roc_curve(OUTCOME, np.stack([ALBUMIN, PROTEIN]), grid=2001, n_boot=200)
    area = np.trapezoid(curve.tpr, curve.fpr)
    assert area == pytest.approx(auc(OUTCOME, np.stack([ALBUMIN, PROTEIN])), abs=2e-3)
    inner = slice(1, -1)
    assert (curve.low[inner] <= curve.tpr[inner] + 1e-9).mean() > 0.95
    assert (curve.high - curve.low).max() > 0.2


# --- intervals --------------------------------------------------------------------------------------------------


def test_intervals_say_how_they_were_made() -> None:
    one = Predictions.of(OUTCOME, ALBUMIN > 3, score=ALBUMIN)
    found = evaluate(one, n_boot=200)
    assert found["auc"].method == "DeLong"
    assert found["accuracy"].method == "wilson"
    assert found["mcc"].method == "bootstrap BCa"
    assert math.isnan(found["brier"].value)  # no probabilities were given
    two = Predictions.of(OUTCOME, [ALBUMIN > 3, PROTEIN > 6], score=[ALBUMIN, PROTEIN])
    assert {e.method for name, e in evaluate(two, n_boot=200).items() if name != "brier"} == {"bootstrap BCa"}


def test_repeating_the_same_run_changes_nothing() -> None:
    once = Predictions.of(OUTCOME, ALBUMIN > 3, score=ALBUMIN, probability=ALBUMIN / 5)
    again = Predictions.of(OUTCOME, [ALBUMIN > 3] * 3, score=[ALBUMIN] * 3, probability=[ALBUMIN / 5] * 3)
    for method in ("bca", "percentile"):
        first, second = (evaluate(p, intervals=method, n_boot=300) for p in (once, again))  # type: ignore[arg-type]
        for name in METRICS:
            assert first[name].value == pytest.approx(second[name].value)
            assert first[name].low == pytest.approx(second[name].low)


def test_weights_mean_copies_of_patients() -> None:
    generator = np.random.default_rng(3)
    truth = generator.random(12) < 0.5
    score = generator.normal(size=12).round(1)
    p = Predictions.of(truth, score > 0, score=score, probability=generator.random(12))
    weights = generator.integers(0, 4, 12)
    copies = p.subset(np.repeat(np.arange(12), weights))
    for name in METRICS:
        weighted, counted = weighted_metric(name, p), weighted_metric(name, copies)
        assert weighted is not None
        assert counted is not None
        assert weighted(weights[None].astype(float)) == pytest.approx(counted(np.ones((1, copies.n))))


def test_delong_and_the_bootstrap_agree() -> None:
    p = Predictions.of(OUTCOME, ALBUMIN > 3, score=ALBUMIN)
    resampled = evaluate(p, intervals="percentile", n_boot=4000)["auc"]
    analytic = delong(OUTCOME, ALBUMIN)
    assert resampled.low == pytest.approx(analytic.low, abs=0.03)
    assert resampled.high == pytest.approx(analytic.high, abs=0.03)


# --- two classifiers --------------------------------------------------------------------------------------------


def test_mcnemar_by_hand_and_by_statsmodels() -> None:
    truth = np.ones(10, dtype=bool)
    first = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], dtype=bool)
    second = np.array([1, 1, 0, 0, 0, 0, 0, 1, 0, 0], dtype=bool)
    found = mcnemar_exact(truth, first, second)
    # five patients only the first gets right, one only the second: 2 * (1 + 6) / 64
    assert found.p_value == pytest.approx(14 / 64)
    assert found.difference == pytest.approx(0.4)
    assert found.p_value == pytest.approx(mcnemar([[2, 5], [1, 2]], exact=True).pvalue)
    assert mcnemar_exact(truth, first, first).p_value == 1


def test_difference_of_two_classifiers() -> None:
    a = Predictions.of(OUTCOME, ALBUMIN > 3, score=ALBUMIN)
    b = Predictions.of(OUTCOME, [KG > 4, KG > 5], score=[KG, KG])
    gap = difference(a, b, "auc", n_boot=2000)
    test = delong_test(OUTCOME, ALBUMIN, KG)
    assert gap.value == pytest.approx(test.difference)
    assert gap.low == pytest.approx(test.low, abs=0.05)
    assert gap.high == pytest.approx(test.high, abs=0.05)
    assert difference(a, a, "accuracy").value == 0
    with pytest.raises(RadlibError, match="different true labels"):
        difference(a, b.relabelled(~OUTCOME), "auc")
    with pytest.raises(RadlibError, match="no metric 'f1'"):
        difference(a, b, "f1")


# --- tables -----------------------------------------------------------------------------------------------------


def test_tables_of_estimates() -> None:
    row = evaluate(Predictions.of([1, 1, 0, 0], [1, 0, 0, 0]), n_boot=50)
    long = tidy({"rule": row})
    assert list(long.columns) == ["model", "metric", "value", "low", "high", "n", "interval"]
    assert len(long) == len(METRICS)
