"""The radiogenomic study: who is in it, what Table II implies, and what the readings predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort
from radlib.data.sources import open_cohort
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.stats import multiclass, survival
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, ProtocolRun, RepeatedFolds

Runs = tuple[rg.Study, dict[str, ProtocolRun]]


def test_patients_without_a_known_class_are_left_out_and_counted(made_up: Callable[..., Cohort]) -> None:
    one = made_up()
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


def test_a_cohort_without_genes_is_refused(made_up: Callable[..., Cohort]) -> None:
    with pytest.raises(MissingDataError, match="expression"):
        rg.study_of(replace(made_up(), expression=None))


@pytest.mark.slow
def test_fused_features_are_both_selections_side_by_side(survival_runs: Runs) -> None:
    study, runs = survival_runs
    for reading in runs.values():
        sets = reading.selected.groupby(["protocol", "repeat", "fold"])["feature"].agg(list)
        for names in sets:
            assert all(name in study.radiomic for name in names[:4])
            assert all(name in study.genomic for name in names[4:])
            assert len(names) == 19
            assert "constant" not in names


def test_classes_of_the_days_reading_are_the_days_cut(survival_runs: Runs) -> None:
    study, runs = survival_runs
    rows = runs["days"].of(LEAKAGE_FREE, "SVM, fused")
    assert (rows["predicted"] == survival.days_to_class(rows["predicted_days"])).all()
    assert (rows.set_index("subject")["true"].loc[study.X.index] == study.classes).all()


def test_noise_is_found_as_published_and_not_inside_the_folds(survival_runs: Runs) -> None:
    _, runs = survival_runs
    for reading in runs.values():
        found = {
            protocol: multiclass.metrics(reading.of(protocol, "SVM, fused"), survival.CLASSES)["accuracy"]
            for protocol in (AS_PUBLISHED, LEAKAGE_FREE)
        }
        assert found[AS_PUBLISHED] > found[LEAKAGE_FREE] + 0.2


@pytest.mark.slow
def test_a_planted_gene_is_found_inside_the_folds(made_up: Callable[..., Cohort]) -> None:
    study = rg.study_of(made_up(signal=4.0))
    found = rg.run_reading(
        study, reading="days", splitter=RepeatedFolds(n_repeats=1), n_radiomic=4, n_genomic=5, n_permutations=0
    )
    rows = found.of(LEAKAGE_FREE, "SVM, genomic")
    assert survival.concordance(rg.days_rows(rows), study.days, study.event, n_boot=200).low > 0.75
    chosen = found.selected.query("protocol == @LEAKAGE_FREE and feature == 'g7'")
    assert len(chosen) == 4


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
