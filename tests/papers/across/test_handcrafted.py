"""The chapter on hand-crafted features: counts, boxes, and what separates classes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.data.cohort import COLUMNS, Cohort, participants_table
from radlib.features.api import feature_names
from radlib.papers.across import handcrafted as hc
from radlib.papers.across import study_features as jobs


def test_the_71_features_add_up_as_in_the_paper() -> None:
    table = hc.family_71()
    assert table.loc["all", "all"] == 71
    assert table.loc["axis coordinates", "all"] == 27
    assert table.loc["fractal dimension", ["et", "necrosis"]].tolist() == [1, 1]


def test_every_feature_has_a_family() -> None:
    families = hc.families_of(feature_names(jobs.texture_settings(32)))
    assert len(families) == 174
    assert len(set(families.values())) == 11
    assert families["local_intensity_local_intensity_peak"] == "local intensity"


def test_separation_finds_the_planted_feature_whatever_its_direction() -> None:
    generator = np.random.default_rng(0)
    positive = pd.Series(np.arange(60) % 2 == 0)
    table = pd.DataFrame(generator.normal(size=(60, 20)), columns=[f"noise{k}" for k in range(20)])
    table["planted"] = -3.0 * positive + generator.normal(size=60)
    table["constant"] = 1.0
    found = jobs.separation(table, positive)
    assert found.index[0] == "planted"
    assert found.loc["planted", "auc"] > 0.95
    assert found.loc["planted", "low"] < found.loc["planted", "auc"] < found.loc["planted", "high"]
    assert (found["q"] < 0.05).sum() == 1
    assert "constant" not in found.index
    assert (found["auc"] >= 0.5).all()
    with pytest.raises(MissingDataError, match="no feature has two values"):
        jobs.separation(table[["constant"]], positive)


def test_boxes_are_drawn_with_the_dimension() -> None:
    x, y, z = np.ogrid[-10:10, -10:10, -10:10]
    radius = x**2 + y**2 + z**2
    labels = np.where(radius < 25, 1, np.where(radius < 64, 4, 0)).astype(np.uint8)
    figure = hc.box_figure(labels, spacing=(1.0, 1.0, 1.0))
    assert "dimension" in figure.axes[3].get_title()


def test_the_best_of_each_question_and_the_planted_trait() -> None:
    part = pd.DataFrame(
        {"auc": [0.9, 0.8, 0.6], "low": 0.5, "high": 0.95, "n": 40, "p": 0.01, "q": [0.01, 0.04, 0.3]},
        index=["trait: size", "flair: mean", "volume"],
    )
    row = hc.best_features({"question": part}).iloc[0]
    assert (row["features"], row["q < 0.05"], row["subjects"]) == (2, 1, 40)
    assert (row["best feature"], row["best trait"]) == ("flair: mean", "size")
    assert row["AUC"] == "0.80 (0.50 to 0.95)"
    assert "best trait" not in hc.best_features({"question": part.iloc[1:]})


def test_features_that_two_modalities_share_are_kept_once(tmp_path: Path) -> None:
    x, y, z = np.ogrid[-6:6, -6:6, -6:6]
    labels = np.where(x**2 + y**2 + z**2 < 16, 2, 0).astype(np.uint8)
    nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / "seg.nii.gz")
    for number, name in enumerate(("flair", "t1ce")):
        image = np.random.default_rng(number).normal(10, 1, labels.shape).astype(np.float32)
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"{name}.nii.gz")
    row = {name: f"{name}.nii.gz" for name in ("flair", "t1ce", "seg")}
    participants = pd.DataFrame([row], index=["a"]).reindex(columns=list(COLUMNS)).rename_axis("id")
    cohort = Cohort(name="one", source="user", root=tmp_path, participants=participants)
    both = jobs.preset_features(cohort, name="islam71", ids=["a"], modalities=["flair", "t1ce"])
    assert both.shape[1] == 62 + 2 * 9 - 2 * 6 + 6  # necrosis and core are empty: their six intensities are NaN on both
    assert "flair: wt_kurtosis" in both
    assert "wt_centroid_x" in both
    assert jobs.preset_features(cohort, name="islam71", ids=["a"], modalities=["t1ce"]).shape[1] == 71


def test_without_a_collection_the_grade_tells_lgg_from_gbm(tmp_path: Path) -> None:
    rows = [
        {"id": f"s{k}", "grade": 4 if k % 2 else 2 + k % 4 / 2, "idh": "mutant" if k % 3 else "wildtype"}
        for k in range(24)
    ]
    participants = participants_table([*rows, {"id": "unknown", "idh": "mutant"}])
    assert jobs.collection_or_grade(participants).tolist() == ["LGG", "GBM"] * 12 + ["unknown"]
    participants.loc["s1", "collection"] = "LGG"  # what is written stands
    assert jobs.collection_or_grade(participants)["s1"] == "LGG"
    cohort = Cohort(name="x", source="user", root=tmp_path, participants=participants)
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(25, 3)), index=participants.index, columns=list("abc"))
    found = jobs.separations(values, cohort)
    assert {title: int(table["n"].max()) for title, table in found.items()} == {
        "IDH mutant or wild-type, all": 25, "LGG or GBM": 24, "IDH mutant or wild-type, LGG only": 13,
    }  # fmt: skip
