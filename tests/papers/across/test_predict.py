"""Predictions for single patients: models, page and the whole way from images."""

import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from radlib.cli import app
from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import COLUMNS, Cohort
from radlib.data.splits import Split
from radlib.features.islam71 import feature_names
from radlib.papers.across.predict import run
from radlib.papers.across.predict.models import SURVIVAL_COVARIATES, predict_idh, predict_survival
from radlib.papers.across.predict.page import NOT_CLINICAL
from radlib.papers.islam2020.recipes import Folds, Recipe, build
from radlib.papers.islam2020.study_segmentation import segmentation
from radlib.phantom.make import make
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import Job
from radlib.study.studies import Study


def table_cohort(*, n: int = 60, seed: int = 0) -> Cohort:
    """Patients whose IDH shows in one feature and whose survival in their age."""
    random = np.random.default_rng(seed)
    ids = [f"p{k:02d}" for k in range(n)]
    features = pd.DataFrame(random.normal(size=(n, 71)), index=ids, columns=feature_names())
    mutant = np.arange(n) % 2 == 0
    features["wt_entropy"] += 3.0 * mutant
    age = random.uniform(30, 80, n)
    people = pd.DataFrame(index=pd.Index(ids, name="id"), columns=list(COLUMNS), dtype=object)
    people["idh"] = np.where(mutant, "mutant", "wildtype")
    people["collection"] = "GBM"
    people = people.assign(
        age=age, survival_days=1500 * np.exp(-(age - 30) / 18) * random.uniform(0.7, 1.4, n), event=1.0
    )
    return Cohort(name="tcga-idh", source="simulated", root=Path(), participants=people, radiomics=features)


@pytest.fixture(scope="module")
def trained() -> Cohort:
    return table_cohort()


def test_idh_follows_the_feature_that_shows_it(trained: Cohort) -> None:
    given = pd.DataFrame(0.0, index=["low", "high", "odd"], columns=feature_names())
    given.loc["high", "wt_entropy"] = 3.0
    given.loc["odd", ["tc_entropy", "tc_kurtosis"]] = 50.0
    found = predict_idh(trained, given, n_boot=8)
    low, high = found.of("low")["mutant"], found.of("high")["mutant"]
    assert low[0] < 0.4 < 0.6 < high[0]
    assert 0 <= high[1] <= high[2] <= 1
    assert found.unusual.to_dict() == {"low": 0, "high": 0, "odd": 2}
    name, worth = found.worth
    assert name.startswith("AUC")
    assert worth.value > 0.85
    assert found.trained_on == "60 patients of the simulated cohort tcga-idh, 30 mutant"


def test_survival_follows_age_and_adds_up(trained: Cohort) -> None:
    given = pd.DataFrame(0.0, index=["young", "old", "unknown"], columns=list(SURVIVAL_COVARIATES))
    given["age"] = [35.0, 78.0, np.nan]
    found = predict_survival(trained, given, n_boot=8)
    assert found.values.sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert found.values["over 450 days"].rank().to_dict() == {"young": 3, "old": 1, "unknown": 2}
    assert found.worth[1].value > 0.8
    without_age = predict_survival(trained, given.drop(columns="age"), n_boot=4)
    assert without_age.values.notna().all(axis=None)


def test_what_the_training_cohort_lacks_is_named(trained: Cohort) -> None:
    bare = Cohort(name="x", source="user", root=Path(), participants=trained.participants.assign(idh=np.nan),
                  radiomics=trained.radiomics)  # fmt: skip
    with pytest.raises(MissingDataError, match="no idh"):
        predict_idh(bare, pd.DataFrame(0.0, index=["a"], columns=feature_names()), n_boot=4)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make("brats2017", out=tmp_path_factory.mktemp("patients"), n=2, grid=(64, 64, 48), seed=3)


RECIPE = Recipe(widths=(4, 4, 4))


def trainings() -> list[Job]:
    """Two jobs that nobody has computed."""
    images = Images(source=Source("brats2017", profile="smoke"), grid=(64, 64, 48), spacing=3.375)
    common = {"images": images, "division": Folds(n_held_out=2, n_folds=2), "model": "fcn", "recipe": RECIPE}
    return [segmentation(**common, fold=fold) for fold in range(2)]


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Cohort) -> Path:
    """Two untrained networks in place of the chapter's; the tables of both cohorts."""

    def untrained(one: Job) -> nn.Module:
        torch.manual_seed(one.inputs["fold"])
        return build("fcn", in_channels=3, recipe=RECIPE)

    monkeypatch.setattr(run, "trained", lambda *_, **__: trainings())
    monkeypatch.setattr(run, "load_network", untrained)
    monkeypatch.setattr(run, "split_of", lambda _: Split(name="fold 1", train=("a", "b"), test=("c",)))
    monkeypatch.setattr(run, "open_cohort", lambda role, *, profile: trained)
    return tmp_path / "out"


def test_from_images_to_pages(ready: Path, tmp_path: Path, patients: Cohort) -> None:
    first = patients.ids[0]
    others = patients.participants.loc[[first] * 3].set_axis(["turned", "broken", "cut"])
    others.loc["broken", "flair"] = "cohort.json"
    for subject, name, change in (
        ("turned", "t1ce", lambda image: image.as_reoriented(np.array([[2, 1], [0, -1], [1, 1]]))),
        ("turned", "flair", nib.as_closest_canonical),
        ("cut", "flair", lambda image: image.slicer[:, 1:, :]),
    ):
        others.loc[subject, name] = str(tmp_path / f"{subject} {name}.nii.gz")
        nib.save(change(nib.load(patients.path(first, name))), others.loc[subject, name])
    everybody = pd.concat([patients.participants, others]).rename_axis("id")
    mixed = replace(patients, participants=everybody, expression=None, radiomics=None)
    table = run.predict(mixed, out=ready, profile="smoke", n_boot=4)
    assert list(table["id"]) == [*patients.ids, "turned"]  # one bad patient does not end the run
    failed = table.attrs["failed"]
    assert list(failed) == ["broken", "cut"]
    assert "cohort.json" in failed["broken"]
    assert "has 64 x 63 x 48 voxels, not 64 x 64 x 48: it does not share the grid" in failed["cut"]
    assert "cut flair.nii.gz" in failed["cut"]
    # The order in which the axes of single images are stored is no difference.
    rows = table.set_index("id")
    pd.testing.assert_series_equal(rows.loc["turned"], rows.loc[first], check_names=False, rtol=1e-6)
    made = [nib.load(ready / one / f"{one}_seg_predicted.nii.gz") for one in (first, "turned")]
    labels = [np.asarray(nib.as_closest_canonical(image).dataobj) for image in made]
    assert labels[0].any()
    assert np.array_equal(*labels)
    assert pd.read_csv(ready / "predictions.tsv", sep="\t").shape == table.shape
    for subject in patients.ids:
        image = nib.load(ready / subject / f"{subject}_seg_predicted.nii.gz")
        like = patients.volume(subject, "flair")
        assert image.shape == like.data.shape
        assert np.allclose(image.affine, like.affine)
        assert bytes(image.header["descrip"]).startswith(run.MARK.encode())
        labels = np.asarray(image.dataobj)
        assert set(np.unique(labels)) <= {0, 1, 2, 4}
        row = table.set_index("id").loc[subject]
        assert row["whole tumour, ml"] == pytest.approx((labels > 0).sum() * np.prod(like.spacing) / 1000, abs=0.01)
        page = (ready / subject / f"{subject}.html").read_text()
        assert NOT_CLINICAL in page
        assert "60 patients of the simulated cohort" in page
        assert not re.search(r"https?:|@import|url\(|<link|src=", page)
        assert "under the predicted tumour" in page


def test_a_patient_without_an_image_or_unknown(ready: Path, patients: Cohort) -> None:
    with pytest.raises(RadlibError, match="no subject"):
        run.predict(patients, out=ready, subjects=["nobody"], profile="smoke", n_boot=4)
    empty = patients.participants.assign(t1ce=None, flair=None, t2=None)
    bare = Cohort(name="bare", source="user", root=patients.root, participants=empty)
    with pytest.raises(MissingDataError, match="can be used: none of t1ce, flair, t2"):
        run.predict(bare, out=ready, profile="smoke", n_boot=4)
    assert not ready.exists()


def test_networks_that_nobody_has_trained_are_named(
    tmp_path: Path, patients: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path))
    monkeypatch.setattr("radlib.study.store.kept_root", lambda: tmp_path)
    monkeypatch.setattr(run, "study_of", lambda *_, **__: Study("trainings", {"fcn": trainings()}))
    command = ["predict", str(patients.root), "--out", str(tmp_path / "out"), "--profile", "smoke"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, MissingDataError)
    assert "2 of the 2 networks of octave_segmentation have not been trained" in str(done.exception)
    assert "radlib study run octave_segmentation --profile smoke" in str(done.exception)
    assert not (tmp_path / "out").exists()
