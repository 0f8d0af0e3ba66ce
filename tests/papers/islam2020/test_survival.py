"""Survival from images: gaps are filled, failures stay in the study, and stages are compared on the same patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.cohort import COLUMNS, Cohort
from radlib.data.nifti import write_volume
from radlib.papers.islam2020 import survival as end
from radlib.papers.islam2020 import survival_results as shown
from radlib.papers.islam2020.synthesis import Synthesiser, SynthesisRecipe, save_synthesiser

TINY = SynthesisRecipe(widths=(4, 8), precision="32-true")
PATIENTS = 24


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Patients of 16x16x8 voxels with T1ce, every other one with T2 too; survival follows one gene."""
    root = tmp_path_factory.mktemp("cohort")
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    rows, genes = {}, {}
    for number in range(PATIENTS):
        generator = np.random.default_rng(number)
        image = np.zeros((16, 16, 8), np.float32)
        image[2:14, 2:14, 1:7] = generator.uniform(50, 100, (12, 12, 6))
        labels = np.zeros(image.shape, np.uint8)
        edge = 3 + number % 4
        labels[4 : 4 + edge, 4:9, 2:6] = 2
        labels[5 : 4 + edge, 5:8, 3:5] = 4
        labels[5, 5, 3:5] = 1
        row: dict[str, object] = {"seg": f"{number}-seg.nii.gz", "t1ce": f"{number}-t1ce.nii.gz"}
        write_volume(root / str(row["seg"]), labels, affine=affine, dtype=np.uint8)
        write_volume(root / str(row["t1ce"]), image, affine=affine)
        if number % 2:
            row["t2"] = f"{number}-t2.nii.gz"
            write_volume(root / str(row["t2"]), 150 * (image != 0) - image, affine=affine)
        gene = generator.normal()
        genes[f"p{number:02d}"] = {"SIGNAL": gene, **{f"G{k}": generator.normal() for k in range(5)}}
        days = float(380 + 150 * gene + generator.normal(0, 20))
        rows[f"p{number:02d}"] = {**row, "age": 50.0 + number % 7, "survival_days": max(days, 20.0), "event": 1.0}
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(COLUMNS)).astype(object)
    for name in ("age", "survival_days", "event"):
        table[name] = table[name].astype(float)
    table.index.name = "id"
    expression = pd.DataFrame.from_dict(genes, orient="index").rename_axis("id")
    return Cohort(name="small", source="user", root=root, participants=table, expression=expression)


@pytest.fixture(scope="module")
def stages(cohort: Cohort) -> end.Stages:
    torch.manual_seed(0)
    generators = {"t2": Synthesiser(["t1ce"], TINY), "flair": Synthesiser(["t1"], TINY)}
    return end.fill_gaps(cohort, generators, modalities=("t1ce", "t2", "flair"), grid=(16, 16, 8), spacing=2.0, seed=0)


def test_only_gaps_are_filled_and_only_where_there_is_a_source(stages: end.Stages) -> None:
    assert set(stages.synthesised["modality"]) == {"t2"}  # FLAIR would need T1, which nobody has
    assert len(stages.synthesised) == PATIENTS / 2
    t2 = stages.recorded.channels(["t2"])[0]
    for row, subject in enumerate(stages.recorded.ids):
        if subject in set(stages.synthesised["subject"]):
            assert not stages.recorded.images[row, t2].any()
            inside = stages.filled.images[row, t2] != 0
            assert stages.filled.present[row, t2]
            assert abs(float(stages.filled.images[row, t2][inside].mean())) < 0.05
        else:
            assert torch.equal(stages.filled.images[row], stages.recorded.images[row])


def test_a_patient_without_a_predicted_tumour_stays_in_the_study(stages: end.Stages) -> None:
    masks = end.true_masks(stages.recorded)
    masks["p03"] = np.zeros_like(masks["p03"])
    table = end.features(masks, stages.recorded)
    assert table.shape == (PATIENTS, 71)
    assert table.loc["p03", "wt_axis1_length"] == 0
    assert np.isnan(table.loc["p03", "wt_centroid_x"])
    assert table.loc["p02", "wt_axis1_length"] > 0


@pytest.fixture(scope="module")
def tables(stages: end.Stages) -> dict[str, pd.DataFrame]:
    masks = end.true_masks(stages.recorded)
    shrunk = {subject: np.where(labels == 2, 0, labels).astype(np.uint8) for subject, labels in masks.items()}
    return {
        end.TRUE_MASKS: end.features(masks, stages.recorded), end.RECORDED: end.features(shrunk, stages.recorded),
        end.SYNTHESISED: end.features(shrunk, stages.filled),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:vert. bool was deprecated")  # seaborn's call of matplotlib
def test_masks_are_scored_and_features_compared(stages: end.Stages, tables: dict[str, pd.DataFrame]) -> None:
    masks = end.true_masks(stages.recorded)
    empty = {subject: np.zeros_like(labels) for subject, labels in masks.items()}
    scores = shown.with_gaps(end.mask_scores({end.RECORDED: empty, end.SYNTHESISED: masks}, stages.recorded), stages)
    assert scores.query("model == @end.SYNTHESISED")["dice"].eq(1).all()
    assert scores.query("model == @end.RECORDED")["dice"].eq(0).all()
    assert scores.groupby("gaps")["subject"].nunique().to_dict() == {0: PATIENTS / 2, 1: PATIENTS / 2}
    shown.dice_figure(scores)
    agreement = end.feature_agreement(tables).set_index(["features", "of"])
    rho = agreement["median rho"].xs("fractal dimension", level="features")
    assert rho.eq(1).all()  # enhancing tumour and necrosis are as they were
    assert agreement.loc[("axis lengths", end.RECORDED), "median rho"] < 1


@pytest.mark.slow
def test_arms_share_patients_and_the_first_is_the_reference(cohort: Cohort, tables: dict[str, pd.DataFrame]) -> None:
    from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, RepeatedFolds

    ablation = end.ablate(
        cohort, tables, splitter=RepeatedFolds(n_folds=3, n_repeats=1, seed=0), short_below=300, long_above=450,
        n_radiomic=3, n_genomic=2, n_permutations=0, seed=0,
    )  # fmt: skip
    assert {len(study) for study in ablation.studies.values()} == {PATIENTS}
    table = end.ablation_table(ablation, n_boot=100, seed=0)
    assert (table.loc[table["features of"] == end.TRUE_MASKS, "change"] == 0).all()
    genomic = table[(table["model"] == "SVM, genomic") & (table["protocol"] == LEAKAGE_FREE)]
    assert genomic["accuracy"].nunique() == 1  # genes are the same in every arm
    assert genomic["concordance"].iloc[0] > 0.7  # and one of them carries the signal
    assert "change (points)" in end.display(table)
    end.ablation_figure(table, chance=40.0)
    assert "leakage-free" in shown.ablation_sentence(table, largest=40.0).lower()
    rows, found = end.table_2(ablation, AS_PUBLISHED, n_boot=100, seed=0)
    assert found["accuracy"].n == PATIENTS
    assert "published" in rows.index


def test_generators_are_found_or_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=r"there are no generators.*modality_synthesis"):
        end.load_generators(tmp_path)
    save_synthesiser(tmp_path / "t2_from_any.safetensors", Synthesiser(["t1"], TINY), target="t2", recipe=TINY)
    assert list(end.load_generators(tmp_path)) == ["t2"]
