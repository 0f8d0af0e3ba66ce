"""Survival from images: gaps are filled, failures stay in the study, and stages are compared on the same patients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.data.cohort import COLUMNS, Cohort
from radlib.data.nifti import write_volume
from radlib.papers.islam2020 import study_survival as end
from radlib.papers.islam2020 import tables_survival as tables
from radlib.papers.islam2020.recipes import Folds, HeldOut, Recipe, SynthesisRecipe, build_generator
from radlib.papers.islam2020.study_segmentation import segmentation
from radlib.papers.islam2020.study_synthesis import generator
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE
from radlib.study.cohorts import Images, Source, forget

TINY = SynthesisRecipe(widths=(4, 8), discriminator_widths=(4, 8), steps=1, batch_size=2, crop=0, validations=1)
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
    generators = {"t2": build_generator(("t1ce",), TINY), "flair": build_generator(("t1",), TINY)}
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
def measured(stages: end.Stages) -> dict[str, pd.DataFrame]:
    masks = end.true_masks(stages.recorded)
    shrunk = {subject: np.where(labels == 2, 0, labels).astype(np.uint8) for subject, labels in masks.items()}
    return {
        end.TRUE_MASKS: end.features(masks, stages.recorded), end.RECORDED: end.features(shrunk, stages.recorded),
        end.SYNTHESISED: end.features(shrunk, stages.filled),
    }  # fmt: skip


def test_features_of_changed_masks_agree_where_the_masks_do(measured: dict[str, pd.DataFrame]) -> None:
    agreement = tables.feature_agreement(measured).set_index(["features", "of"])
    rho = agreement["median rho"].xs("fractal dimension", level="features")
    assert rho.eq(1).all()  # enhancing tumour and necrosis are as they were
    assert agreement.loc[("axis lengths", tables.SOURCES[end.RECORDED]), "median rho"] < 1


@pytest.fixture
def patients(cohort: Cohort, six: Cohort, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """A role opens the patients, another the subjects that networks are trained on."""
    rows = six.participants.iloc[[0, 1, 2, 3, 0, 1, 2, 3]].set_axis([f"q{k}" for k in range(8)]).rename_axis("id")
    training = Cohort(name="training", source="user", root=six.root, participants=rows)
    found = {"brats2017": training, "tcga-gbm": cohort}
    monkeypatch.setattr("radlib.study.cohorts.open_cohort", lambda role, **_: found[role])
    forget()
    yield Source("tcga-gbm", "toy.yml")
    forget()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # inside MONAI's imports
def test_from_images_to_classes_on_the_same_patients(patients: Source) -> None:
    images = Images(source=Source("brats2017", "toy.yml"), grid=(16, 16, 8), spacing=2.0)
    scaled = Images(source=images.source, grid=(16, 16, 8), spacing=2.0, normalise="minmax")
    recipe = Recipe(widths=(4, 8), steps=2, batch_size=2, crop=0, validations=0)
    network = segmentation(
        images=images, division=Folds(n_held_out=2, n_folds=2), model="fcn", recipe=recipe
    )  # fmt: skip
    maker = generator(images=scaled, division=HeldOut(n_test=2), target="t2", sources=("t1ce",), recipe=TINY)
    walk = end.stages(patients=patients, networks=(network,), generators={"t2": maker})
    scores = walk.result().scores
    assert scores.groupby("masks")["subject"].nunique().to_dict() == dict.fromkeys(end.ARMS[1:], PATIENTS)
    assert scores.groupby("gaps")["subject"].nunique().to_dict() == {0: PATIENTS / 2, 1: PATIENTS / 2}
    assert walk.result().notes["synthesised"] == PATIENTS / 2
    machines = end.Machines(n_radiomic=3, n_genomic=2)
    repeats = end.Repeats(n_folds=3, n_repeats=1, n_permutations=0)
    about = {"patients": patients, "machines": machines, "repeats": repeats, "reading": "days", "measured": walk}
    arms = (end.TRUE_MASKS, end.SYNTHESISED)
    runs = {arm: end.run_of(end.protocols(**about, arm=arm)) for arm in arms}
    studies = {arm: end.study_from(patients, machines, measured=walk, arm=arm) for arm in arms}
    assert {len(study) for study in studies.values()} == {PATIENTS}
    found = tables.ablation_table(runs, studies, n_boot=100, seed=0)
    assert (found.loc[found["arm"] == end.TRUE_MASKS, "change"] == 0).all()
    genomic = found[(found["model"] == "SVM, genomic") & (found["protocol"] == LEAKAGE_FREE)]
    assert genomic["value"].nunique() == 1  # genes are the same in every arm
    assert genomic["concordance"].iloc[0] > 0.7  # and one of them carries the signal
    text = tables.ablation_text(found)
    assert (text["change (points)"] == "").sum() == 6
    rows, estimates = tables.table_2(
        runs[end.SYNTHESISED].of(AS_PUBLISHED, tables.FUSED), studies[end.SYNTHESISED], n_boot=100, seed=0
    )
    assert estimates["accuracy"].n == PATIENTS
    assert "published" in rows.index
