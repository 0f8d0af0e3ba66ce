"""The radiogenomic study: who is in it, what Table II implies, and what the readings predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.data.cohort import COLUMNS, NUMBER_COLUMNS, Cohort
from radlib.data.sources import open_cohort
from radlib.papers.islam2020 import radiogenomic_results as results
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.stats import multiclass, survival
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, PERMUTED, ProtocolRun, RepeatedFolds


def cohort(n: int = 36, *, signal: float = 0.0) -> Cohort:
    draw = np.random.default_rng(0)
    index = pd.Index([f"p{i:02d}" for i in range(n)], name="id")
    table = pd.DataFrame(index=index, columns=list(COLUMNS), dtype=object)
    table = table.astype(dict.fromkeys(NUMBER_COLUMNS, float))
    genes = pd.DataFrame(draw.normal(size=(n, 120)), index=index, columns=[f"g{j}" for j in range(120)])
    radiomics = pd.DataFrame(draw.normal(size=(n, 30)), index=index, columns=[f"r{j}" for j in range(30)])
    radiomics.iloc[0, 0] = np.nan
    radiomics["constant"] = 1.0
    table["age"] = draw.uniform(30, 80, n)
    table["survival_days"] = np.linspace(50, 800, n).round()
    table["event"] = 1.0
    genes["g7"] += signal * (table["survival_days"] - 425) / 220
    return Cohort(
        name="made up", source="user", root=Path("."), participants=table, expression=genes, radiomics=radiomics
    )


@pytest.fixture(scope="module")
def run() -> tuple[rg.Study, dict[str, ProtocolRun]]:
    study = rg.study_of(cohort())
    return study, {
        reading: rg.run_reading(
            study, reading=reading, splitter=RepeatedFolds(n_repeats=1), n_radiomic=4, n_genomic=15, n_permutations=2
        )
        for reading in ("days", "classes")  # type: ignore[misc]
    }


def test_patients_without_a_known_class_are_left_out_and_counted() -> None:
    one = cohort()
    one.participants.loc["p05", "event"] = 0  # followed for less than 450 days
    one.participants.loc["p35", "event"] = 0  # beyond: long for certain
    one.participants.loc["p09", "survival_days"] = np.nan
    assert one.radiomics is not None
    one.radiomics.loc["p01"] = np.nan
    study = rg.study_of(one)
    assert len(study) == 33
    assert not {"p05", "p09", "p01"} & set(study.X.index)
    assert study.classes["p35"] == 2
    assert len(study.notes) == 3
    assert study.radiomic[-1] == "age"
    assert list(study.X.columns) == [*study.radiomic, *study.genomic]


def test_a_cohort_without_genes_is_refused() -> None:
    import dataclasses

    with pytest.raises(MissingDataError, match="expression"):
        rg.study_of(dataclasses.replace(cohort(), expression=None))


@pytest.mark.slow
def test_fused_features_are_both_selections_side_by_side(run: tuple[rg.Study, dict[str, ProtocolRun]]) -> None:
    study, runs = run
    for reading in runs.values():
        sets = reading.selected.groupby(["protocol", "repeat", "fold"])["feature"].agg(list)
        for names in sets:
            assert all(name in study.radiomic for name in names[:4])
            assert all(name in study.genomic for name in names[4:])
            assert len(names) == 19
            assert "constant" not in names


def test_classes_of_the_days_reading_are_the_days_cut(run: tuple[rg.Study, dict[str, ProtocolRun]]) -> None:
    study, runs = run
    rows = runs["days"].of(LEAKAGE_FREE, "SVM, fused")
    assert (rows["predicted"] == survival.days_to_class(rows["predicted_days"])).all()
    assert (rows.set_index("subject")["true"].loc[study.X.index] == study.classes).all()


def test_noise_is_found_as_published_and_not_inside_the_folds(run: tuple[rg.Study, dict[str, ProtocolRun]]) -> None:
    _, runs = run
    for reading in runs.values():
        found = {
            protocol: multiclass.metrics(reading.of(protocol, "SVM, fused"), survival.CLASSES)["accuracy"]
            for protocol in (AS_PUBLISHED, LEAKAGE_FREE)
        }
        assert found[AS_PUBLISHED] > found[LEAKAGE_FREE] + 0.2


@pytest.mark.slow
def test_a_planted_gene_is_found_inside_the_folds() -> None:
    study = rg.study_of(cohort(signal=4.0))
    found = rg.run_reading(
        study, reading="days", splitter=RepeatedFolds(n_repeats=1), n_radiomic=4, n_genomic=5, n_permutations=0
    )
    rows = found.of(LEAKAGE_FREE, "SVM, genomic")
    assert survival.concordance(rg.days_rows(rows), study.days, study.event, n_boot=200).low > 0.75
    chosen = found.selected.query("protocol == @LEAKAGE_FREE and feature == 'g7'")
    assert len(chosen) == 4


def test_the_published_accuracy_is_74_of_104() -> None:
    folds = results.published_folds()
    assert folds[["short", "medium", "long"]].to_numpy().tolist() == [[10, 6, 10]] * 4
    assert folds["right"].tolist() == [13, 20, 22, 19]
    found = results.published_accuracy()
    assert found.n == 104
    assert round(100 * found.value, 2) == 71.15


@pytest.mark.slow
def test_tables_have_a_row_for_everything(run: tuple[rg.Study, dict[str, ProtocolRun]]) -> None:
    study, runs = run
    table = results.accuracy_table(runs, n_boot=100, seed=0)
    assert len(table) == 2 * (4 * 6 + 2)
    assert ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).all()
    two, found = results.table_2(runs["days"].of(AS_PUBLISHED, "SVM, fused"), study, n_boot=100, seed=0)
    assert list(two.index) == [
        *(f"fold {k}" for k in (1, 2, 3, 4)), "all repeats", "lower limit", "upper limit", "published",
    ]  # fmt: skip
    assert two.loc["published", "mse"] == 18275
    assert found["accuracy"].value == pytest.approx(two.loc["all repeats", "accuracy"])


def test_shuffled_errors_are_those_of_shuffled_days(run: tuple[rg.Study, dict[str, ProtocolRun]]) -> None:
    study, runs = run
    rows = runs["days"].of(PERMUTED, "SVM, fused")
    found = results.permuted_mean_squared_error(rows, study, seed=0)
    by_hand = ((rows["true_days"] - rows["predicted_days"]) ** 2).groupby(rows["repeat"]).mean().mean()
    assert found.value == pytest.approx(by_hand)  # everyone died, so that everyone counts
    assert found.n == 2


@pytest.mark.slow
def test_the_published_numbers_come_out_of_the_published_protocol(real_data: Path) -> None:
    study = rg.study_of(open_cohort("tcga-gbm", cohort="real", root=real_data))
    assert len(study) == 58
    found = rg.run_reading(study, reading="days", splitter=RepeatedFolds(n_repeats=2), n_permutations=0)
    as_published = multiclass.estimates(found.of(AS_PUBLISHED, "SVM, fused"), survival.CLASSES, n_boot=200)["accuracy"]
    free = multiclass.estimates(found.of(LEAKAGE_FREE, "SVM, fused"), survival.CLASSES, n_boot=200)["accuracy"]
    assert as_published.low < 0.7115 < as_published.high
    assert free.high < 0.6
    error = survival.mean_squared_error(rg.days_rows(found.of(AS_PUBLISHED, "SVM, fused")), study.event, n_boot=200)
    assert error.low < 18275 < error.high
