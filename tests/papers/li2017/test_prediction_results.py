"""Arms, protocols, tables and the ledger of IDH1 prediction."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from radlib.book.report import Report
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.data.published import published, published_values
from radlib.papers.li2017 import prediction_arms as runs
from radlib.papers.li2017 import prediction_results as results
from radlib.papers.li2017.prediction import Recipe
from radlib.stats.classification import Predictions
from radlib.stats.intervals import Estimate
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE

N = 30
TRUTH = pd.Series([i % 3 != 0 for i in range(N)], index=[f"s{i:02}" for i in range(N)])


def one(name: str, *, effect: float, p: int = 200, row: str = "table2.b.multiple") -> runs.Arm:
    values = rng(0, "arm", name).normal(size=(N, p)).astype(np.float32)
    values[:, :6] += effect * TRUTH.to_numpy()[:, None]
    return runs.arm(name, row, values, TRUTH)


@pytest.fixture(scope="module")
def found() -> runs.Results:
    first = runs.run_arm(one("real", effect=2.5), Recipe(), n_folds=3, n_repeats=2, seed=0)
    return first | runs.run_arm(one("noise", effect=0.0), Recipe(), n_folds=3, n_repeats=2, seed=0)


@pytest.fixture(scope="module")
def table(found: runs.Results) -> pd.DataFrame:
    return results.long_table(found, n_boot=50, seed=0)


def area(table: pd.DataFrame, name: str, protocol: str) -> float:
    return results.estimate(table, name, runs.FOLDS, protocol, "auc").value


def test_effects_are_found_and_noise_only_by_the_leaky_protocol(table: pd.DataFrame) -> None:
    assert area(table, "real", LEAKAGE_FREE) > 0.85
    assert area(table, "noise", AS_PUBLISHED) > 0.85
    assert area(table, "noise", LEAKAGE_FREE) < 0.75
    assert set(table["scheme"]) == {runs.LEAVE_ONE_OUT, runs.FOLDS}


def test_wide_table_has_the_paper_s_line_first(table: pd.DataFrame) -> None:
    wide = results.wide_table(table, {"real": "table2.b.multiple", "noise": ""}, scheme=runs.LEAVE_ONE_OUT)
    assert wide["protocol"].tolist() == ["printed", AS_PUBLISHED, LEAKAGE_FREE, AS_PUBLISHED, LEAKAGE_FREE]
    assert wide.loc[0, "AUC"] == "0.916"
    assert wide.loc[2, "AUC"].startswith(
        f"{results.estimate(table, 'real', runs.LEAVE_ONE_OUT, LEAKAGE_FREE, 'auc').value:.2f}"
    )


def test_delong_between_arms(found: runs.Results) -> None:
    rule = {("rule", runs.LEAVE_ONE_OUT, CONTROL): found["noise", runs.LEAVE_ONE_OUT, LEAKAGE_FREE]}
    pairs = [("real", "noise"), ("real", "rule"), ("real", "nobody")]
    compared = results.delong_table(found | rule, pairs)
    assert compared["second"].tolist() == ["noise", "rule"] * 2
    assert compared.loc[compared["protocol"] == LEAKAGE_FREE, "p"].iloc[0] < 0.05
    assert compared.loc[compared["protocol"] == AS_PUBLISHED, "p"].iloc[0] > 0.05


def test_further_selection() -> None:
    found, curve, chosen = runs.run_selected(one("real", effect=1.5), Recipe(), [2, 6, 20], seed=0)
    published_auc = curve[curve["protocol"] == AS_PUBLISHED]["value"]
    best = results.long_table(found, n_boot=5, seed=0)
    name = "real, selected"
    assert results.estimate(best, name, runs.LEAVE_ONE_OUT, AS_PUBLISHED, "auc").value == published_auc.max()
    assert len(curve) == 6
    assert len(chosen) == N
    assert set(chosen.tolist()) <= {2, 6, 20}


def test_split_by_time_tests_the_late_patients() -> None:
    late = list(TRUTH.index[-9:])
    early = [s for s in TRUTH.index if s not in late]
    found = runs.run_time_split(one("real", effect=2.5), early, late, Recipe(), [3, 6], seed=0)
    for protocol in runs.PROTOCOLS:
        predictions = found["real, by time", "split", protocol]
        assert predictions.truth.tolist() == TRUTH[late].tolist()
    draws = runs.splits_at_random(one("real", effect=2.5), n_test=(6, 3), recipe=Recipe(), draws=4, seed=0)
    assert len(draws) == 4
    assert draws["auc"].mean() > 0.8
    assert draws["auc"].between(0, 1).all()


def test_controls_see_no_image(tmp_path) -> None:
    ages = 40 + 12 * TRUTH.to_numpy() + rng(1).normal(size=N)
    people = pd.DataFrame({"age": ages, "sex": ["M", "F"] * (N // 2)}, index=TRUTH.index)
    cohort = Cohort(name="c", source="simulated", root=tmp_path, participants=people)
    found = runs.controls(cohort, TRUTH, pd.Series(1.0, index=TRUTH.index))
    names = {name for name, _, _ in found}
    assert names == {"majority class", "age model", "age, sex, volume"}
    table = results.long_table(found, n_boot=20, seed=0)
    assert results.estimate(table, "age model", runs.LEAVE_ONE_OUT, CONTROL, "auc").value > 0.95
    assert results.estimate(table, "majority class", runs.LEAVE_ONE_OUT, CONTROL, "auc").value == 0.5


def test_shuffles_and_chance(table: pd.DataFrame) -> None:
    arms = {"real": one("real", effect=2.5).table, "noise": one("noise", effect=0.0).table}
    permutations = runs.shuffled(arms, Recipe(), permutations=12, n_folds=3, one_by_one=2, seed=0)
    summary = results.shuffled_summary(permutations)
    auc = summary[summary["metric"] == "auc"].set_index(["features", "scheme", "protocol"])
    assert auc.loc[("noise", "folds", "as published, permuted labels"), "excess"] > 0.25
    assert abs(auc.loc[("noise", "folds", "permuted labels"), "excess"]) < 0.2
    assert ("real", "leave-one-out", "permuted labels") in auc.index
    assert ("noise", "leave-one-out", "permuted labels") not in auc.index
    chance = results.chance_table(table, permutations).set_index("features")
    assert chance.loc["real", "p"] == pytest.approx(1 / 13)
    assert chance.loc["noise", "p"] > 0.1
    figure = results.layer_figure(
        table, {"real": "table3.conv1", "noise": "table3.conv2"}, scheme=runs.FOLDS, summary=summary
    )
    assert "shuffled labels, leakage-free" in figure.axes[0].get_legend_handles_labels()[1]
    plt.close(figure)


def test_gaps_and_words() -> None:
    filled = runs.filled(pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [np.nan] * 3, "c": [np.inf, 2.0, 4.0]}))
    np.testing.assert_array_equal(filled, [[1, 0, 3], [2, 0, 2], [3, 0, 4]])
    assert results.short("DLR, FLAIR (second cohort)") == "FLAIR"
    for low, high, words in ((0.1, 0.2, "It is up"), (-0.2, -0.1, "It is down"), (-1, 1, "neither up nor down")):
        assert words in results.direction(Estimate(0.0, low, high), "It is", "up", "down")
    traits = pd.DataFrame({"one": TRUTH.astype(float), "less": -TRUTH.astype(float), "flat": 1.0})
    assert results.trait_table(traits, TRUTH)["AUC"].tolist() == [1, 1, 0.5]


def test_rows_and_text_go_into_the_ledger(table: pd.DataFrame, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path))
    report = Report.start("idh_prediction", cohort="simulated", profile="smoke", seed=0)
    results.record_row(report, table, "real", "table2.b.multiple", scheme=runs.LEAVE_ONE_OUT, note="")
    results.record_text(report, table, {"auc_dlr": ("real", "auc")}, note="")
    results.record_rest(report)
    keys = {(entry["key"], entry["protocol"]) for entry in report.ledger}
    assert {(f"li2017.table2.b.multiple.{m}", p) for m in results.METRICS for p in runs.PROTOCOLS} <= keys
    percent = [entry["value"] for entry in report.ledger if entry["key"] == "li2017.text.auc_dlr"]
    assert max(percent) > 50
    quoted = {key for key, entry in published_values("li2017").items() if entry.kind == "quoted"}
    assert quoted == {entry["key"] for entry in report.absent} - {"li2017.text.table2_caption"}


def test_a_metric_that_is_undefined_is_not_recorded(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path))
    report = Report.start("idh_prediction", cohort="simulated", profile="smoke", seed=0)
    truth = TRUTH.to_numpy()
    everyone = Predictions.of(truth, np.ones(N, dtype=bool), score=np.arange(N))
    found = {("m", runs.LEAVE_ONE_OUT, protocol): everyone for protocol in runs.PROTOCOLS}
    results.record_row(
        report, results.long_table(found, n_boot=10, seed=0), "m", "table3.conv1", scheme=runs.LEAVE_ONE_OUT, note=""
    )
    keys = {entry["key"] for entry in report.ledger}
    assert "li2017.table3.conv1.sensitivity" in keys
    assert "li2017.table3.conv1.npv" not in keys
    assert published("li2017.table3.conv1.npv").value > 0
