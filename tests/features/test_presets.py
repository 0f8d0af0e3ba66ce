"""The named feature sets: their size, their names, and what they do where something is missing."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import COLUMNS, Cohort
from radlib.features.api import compute_features
from radlib.features.li671 import Li671Settings, li671, li671_names
from radlib.features.presets import PRESETS, preset
from radlib.features.settings import Discretisation, FeatureSettings

SPACING = (2.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, np.ndarray]:
    smooth = ndimage.gaussian_filter(rng(0, "presets").normal(size=(24, 22, 20)), 1)
    x, y, z = np.ogrid[-12:12, -11:11, -10:10]
    return (100 + 40 * smooth / smooth.std()).astype(np.float32), x**2 + y**2 + z**2 < 49


@pytest.fixture
def cohort(case: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> Cohort:
    image, mask = case
    affine = np.diag([*SPACING, 1.0])
    nib.save(nib.Nifti1Image(image, affine), tmp_path / "flair.nii.gz")
    nib.save(nib.Nifti1Image(2 * mask.astype(np.uint8), affine), tmp_path / "seg.nii.gz")
    rows = {"a": {"flair": "flair.nii.gz", "seg": "seg.nii.gz"}}
    participants = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(COLUMNS)).rename_axis("id")
    return Cohort(name="one", source="user", root=tmp_path, participants=participants)


def test_li671_is_671_of_the_four_kinds() -> None:
    names = li671_names()
    assert len(names) == len(set(names)) == 671
    family = pd.Series(names).str.replace(r"^wavelet-[lh]{3}_", "wavelet_", regex=True)
    kinds = {
        "intensity": ("statistics", "histogram", "ivh", "local_intensity"), "shape": ("morphology",),
        "texture": ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm"), "wavelet": ("wavelet",),
    }  # fmt: skip
    counts = {kind: int(family.str.startswith(starts).sum()) for kind, starts in kinds.items()}
    assert counts == {"intensity": 50, "shape": 29, "texture": 120, "wavelet": 472}


def test_li671_agrees_with_the_engine(case: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = case
    values = li671(image, mask, spacing=SPACING)
    assert list(values) == li671_names()
    assert np.isfinite(list(values.values())).all()
    assert values["statistics_mean"] == pytest.approx(image[mask].mean())
    assert values["morphology_volume_voxel_counting"] == mask.sum() * 8
    settings = FeatureSettings(
        families=("glcm",), aggregations=("3d_merged",), discretisation=Discretisation(method="fbn", bin_count=32)
    )
    assert (
        values["glcm_contrast_3d_merged"] == compute_features(image, mask, SPACING, settings)["glcm_contrast_3d_merged"]
    )
    assert li671(image + 50, mask, spacing=SPACING)["wavelet-hhh_glcm_contrast_3d_merged"] == pytest.approx(
        values["wavelet-hhh_glcm_contrast_3d_merged"]
    )


def test_li671_without_image_or_region(case: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = case
    for values in (li671(None, mask, spacing=SPACING), li671(image, np.zeros_like(mask), spacing=SPACING)):
        assert list(values) == li671_names()
        assert np.isnan(list(values.values())).all()


def test_li671_settings_change_what_they_name(case: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = case
    usual = pd.Series(li671(image, mask, spacing=SPACING))
    coarse = pd.Series(li671(image, mask, spacing=SPACING, settings=Li671Settings(bins=8)))
    haar = pd.Series(li671(image, mask, spacing=SPACING, settings=Li671Settings(wavelet="haar")))
    changed = usual.index[usual != coarse]
    assert {name.split("_")[0] for name in changed} <= {
        "histogram",
        "glcm",
        "glrlm",
        "glszm",
        "gldzm",
        "ngtdm",
        "ngldm",
    } | {name.split("_")[0] for name in usual.index if name.startswith("wavelet")}
    assert usual["statistics_mean"] == coarse["statistics_mean"]
    assert all(name.startswith("wavelet") for name in usual.index[usual != haar])
    assert (usual != haar).sum() > 400


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_gives_its_names_with_and_without_the_image(cohort: Cohort, name: str) -> None:
    chosen = preset(name)
    for modality in ("flair", "t2"):
        settings = chosen.parse({"modality": modality})
        values = chosen.compute(cohort, "a", settings)
        assert sorted(values) == sorted(chosen.names(settings))
    described = [key for key in values if "axis" not in key and "centroid" not in key and "eigen" not in key]
    if name != "islam71":  # the geometry of the labels needs no image
        assert np.isnan([values[key] for key in described]).all()


def test_ibsi_settings_reach_the_engine(cohort: Cohort) -> None:
    chosen = preset("ibsi")
    settings = chosen.parse(
        {"modality": "flair", "features": {"definitions": "pyradiomics", "families": ["firstorder"]}}
    )
    values = chosen.compute(cohort, "a", settings)
    assert len(values) == 18
    assert values["original_firstorder_Mean"] == pytest.approx(
        cohort.volume("a", "flair").data[cohort.labels("a").data > 0].mean()
    )
    with pytest.raises(RadlibError, match="preset 'ibsi' are wrong"):
        chosen.parse({"features": {"families": ["glcmm"]}})
    with pytest.raises(RadlibError, match="no feature preset 'ibsi2'"):
        preset("ibsi2")
