"""Tables of the survival study: Table II, protocols, curves, rows of the ledger."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlib.papers.islam2020 import radiogenomics as rg
from radlib.papers.islam2020 import tables_survival as results
from radlib.stats.intervals import Estimate
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, PERMUTED, PUBLISHED_PERMUTED, ProtocolRun

Runs = tuple[rg.Study, dict[str, ProtocolRun]]


def test_the_published_accuracy_is_74_of_104() -> None:
    folds = results.published_folds()
    assert folds[["short", "medium", "long"]].to_numpy().tolist() == [[10, 6, 10]] * 4
    assert folds["right"].tolist() == [13, 20, 22, 19]
    found = results.published_accuracy()
    assert found.n == 104
    assert round(100 * found.value, 2) == 71.15


@pytest.mark.slow
def test_tables_have_a_row_for_everything(survival_runs: Runs) -> None:
    study, runs = survival_runs
    table = results.accuracy_table(runs, n_boot=100, seed=0)
    assert len(table) == 2 * (4 * 6 + 2)
    assert ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).all()
    two, found = results.table_2(runs["days"].of(AS_PUBLISHED, "SVM, fused"), study, n_boot=100, seed=0)
    assert list(two.index) == [
        *(f"fold {k}" for k in (1, 2, 3, 4)), "all repeats", "lower limit", "upper limit", "published",
    ]  # fmt: skip
    assert two.loc["published", "mse"] == 18275
    assert found["accuracy"].value == pytest.approx(two.loc["all repeats", "accuracy"])


def test_shuffled_errors_are_those_of_shuffled_days(survival_runs: Runs) -> None:
    study, runs = survival_runs
    rows = runs["days"].of(PERMUTED, "SVM, fused")
    found = results.permuted_mean_squared_error(rows, study, seed=0)
    by_hand = ((rows["true_days"] - rows["predicted_days"]) ** 2).groupby(rows["repeat"]).mean().mean()
    assert found.value == pytest.approx(by_hand)  # everyone died, so that everyone counts
    assert found.n == 2


def test_every_protocol_is_a_row_beside_the_print(survival_runs: Runs) -> None:
    _, runs = survival_runs
    table = results.accuracy_table(runs, n_boot=50, seed=0)
    reference = Estimate(0.71, 0.6, 0.8, 104)
    rows = results.protocol_rows(table, reference=reference, extra={"ranked": Estimate(0.5, 0.4, 0.6, 36)})
    assert rows.loc[0, ["value", "low", "high"]].tolist() == [71, 60, 80]
    assert rows.groupby("kind", sort=False).size().to_dict() == {
        "published": 1, AS_PUBLISHED: 3, LEAKAGE_FREE: 2, "control": 2, PERMUTED: 2, PUBLISHED_PERMUTED: 2
    }  # fmt: skip
    shown = results.percent(table)
    assert set(shown["machine"]) >= {"SVM", "ANN"}
    assert shown["value"].max() <= 100 < 101 * shown["value"].max()


def test_survival_curves_name_their_groups(survival_runs: Runs) -> None:
    study, _ = survival_runs
    curves = results.survival_curves({"as published": study.classes}, study)
    assert set(curves["predicted"]) == {f"{name} (n = {n})" for name, n in (("short", 12), ("medium", 7), ("long", 17))}
    assert "log-rank p" in curves["panel"].iloc[0]


def test_rows_of_the_ledger_leave_out_what_is_undefined() -> None:
    found = {"accuracy": Estimate(70.0, 60.0, 80.0, 9), "sensitivity.medium": Estimate(float("nan"))}
    rows = results.measured_rows(found, arm="svm_fused", protocol=AS_PUBLISHED)
    assert rows[["metric", "value", "n"]].to_numpy().tolist() == [["accuracy", 70.0, 9]]
    table = pd.DataFrame(
        {"accuracy": [50.0, 75.0, 62.5], "mse": [1.0, np.nan, 2.0]}, index=["fold 1", "fold 2", "all repeats"]
    )
    folds = results.fold_rows(table, n=4, protocol=AS_PUBLISHED).set_index(["group", "metric"])["value"]
    assert folds.to_dict() == {
        ("fold1", "accuracy"): 50, ("fold1", "mse"): 1, ("fold2", "accuracy"): 75, ("best", "accuracy"): 75
    }  # fmt: skip
