"""Invariances, odd regions and wrong inputs: a documented value, a documented NaN, or an error that says what to do."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.features.api import compute_features, feature_names
from radlib.features.registry import AGGREGATIONS, IBSI_FAMILIES
from radlib.features.settings import FeatureSettings, Resampling

SPACING = (1.0, 1.5, 2.0)
EVERY = FeatureSettings.create(aggregations=tuple(AGGREGATIONS), discretisation={"bin_width": 25})
IN_SPACE = FeatureSettings.create(discretisation={"bin_width": 25})
PYRADIOMICS = FeatureSettings(definitions="pyradiomics")


def make_case(shape: tuple[int, int, int] = (14, 13, 12)) -> tuple[np.ndarray, np.ndarray]:
    """A smooth integer image with a ragged region of several components away from the border."""
    noise = ndimage.gaussian_filter(rng(0, "edge").normal(size=shape), 1)
    image = np.round(200 + 300 * noise / noise.std()).astype(int)
    mask = np.zeros(shape, dtype=bool)
    mask[2:-2, 2:-2, 2:-2] = (noise > 0.1)[2:-2, 2:-2, 2:-2]
    return image, mask


def same(a: pd.Series, b: pd.Series, *, rtol: float = 1e-9) -> None:
    np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), rtol=rtol, atol=1e-10, err_msg=str(a.index.tolist()[:3]))


@pytest.mark.parametrize("settings", [EVERY, PYRADIOMICS], ids=["ibsi", "pyradiomics"])
def test_translation_changes_nothing(settings: FeatureSettings) -> None:
    image, mask = make_case()
    if settings.definitions == "ibsi":
        settings = settings.model_copy(update={"families": tuple(f for f in IBSI_FAMILIES if f != "local_intensity")})
    moved = compute_features(
        np.pad(image, ((3, 0), (0, 4), (1, 1))), np.pad(mask, ((3, 0), (0, 4), (1, 1))), SPACING, settings
    )
    same(compute_features(image, mask, SPACING, settings), moved)


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_axis_permutation_changes_nothing_in_space(axes: tuple[int, int, int]) -> None:
    image, mask = make_case()
    spacing = [SPACING[axis] for axis in axes]
    same(
        compute_features(image, mask, SPACING, IN_SPACE),
        compute_features(image.transpose(axes), mask.transpose(axes), spacing, IN_SPACE),
    )


def test_slices_follow_the_slice_axis() -> None:
    image, mask = make_case()
    turned = EVERY.model_copy(update={"slice_axis": 0})
    spacing = (SPACING[2], SPACING[0], SPACING[1])
    same(
        compute_features(image, mask, SPACING, EVERY),
        compute_features(image.transpose(2, 0, 1), mask.transpose(2, 0, 1), spacing, turned),
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirroring_changes_nothing(axis: int) -> None:
    image, mask = make_case()
    same(
        compute_features(image, mask, SPACING, EVERY),
        compute_features(np.flip(image, axis), np.flip(mask, axis), SPACING, EVERY),
    )


def test_an_intensity_shift_changes_no_texture() -> None:
    image, mask = make_case()
    families = [name for name in IBSI_FAMILIES if name[:2] in ("gl", "ng", "hi", "gd")]
    assert len(families) == 7
    shifted = compute_features(image + 1000, mask, SPACING, EVERY, families=families)
    same(compute_features(image, mask, SPACING, EVERY, families=families), shifted)
    a, b = (compute_features(x, mask, SPACING, families=["statistics"]) for x in (image, image + 1000))
    assert b["statistics_mean"] - a["statistics_mean"] == pytest.approx(1000)
    assert b["statistics_variance"] == pytest.approx(a["statistics_variance"])


@pytest.mark.parametrize("settings", [EVERY, PYRADIOMICS], ids=["ibsi", "pyradiomics"])
def test_empty_mask_is_nan_throughout(settings: FeatureSettings) -> None:
    image, mask = make_case()
    values = compute_features(image, np.zeros_like(mask), SPACING, settings)
    assert list(values.index) == feature_names(settings)
    assert values.isna().all()


def test_a_range_that_empties_the_region_leaves_its_outline() -> None:
    image, mask = make_case()
    settings = EVERY.model_copy(update={"resegment": (1e6, None)})
    values = compute_features(image, mask, SPACING, settings)
    assert values["morphology_volume_voxel_counting"] == mask.sum() * 3.0
    assert values.drop([name for name in values.index if name.startswith("morphology")]).isna().all()


def test_one_voxel() -> None:
    image, mask = np.full((5, 5, 5), 7), np.zeros((5, 5, 5), dtype=bool)
    mask[2, 2, 2] = True
    values = compute_features(image, mask, SPACING, EVERY)
    assert values["statistics_mean"] == 7
    assert values["morphology_volume_voxel_counting"] == 3
    assert values["morphology_volume_mesh"] == pytest.approx(3 / 6)  # an octahedron
    assert values["morphology_major_axis_length"] == 0
    assert values["glrlm_run_percentage_3d_averaged"] == 1
    assert values["glszm_zone_percentage_3d"] == 1
    undefined = [
        "statistics_skewness", "morphology_elongation", "morphology_moran_i_index",
        "glcm_contrast_3d_averaged", "glcm_joint_entropy_2d_merged", "ngtdm_coarseness_3d",
    ]  # fmt: skip
    assert values[undefined].isna().all()
    assert compute_features(image, mask, SPACING, PYRADIOMICS)["original_firstorder_Mean"] == 7


def test_one_slice() -> None:
    image, mask = make_case()
    flat = np.zeros_like(mask)
    flat[:, :, 5] = mask[:, :, 5]
    values = compute_features(image, flat, SPACING, EVERY)
    assert values["glcm_contrast_2d_averaged"] == pytest.approx(values["glcm_contrast_2_5d_direction_merged"])
    assert values["glszm_large_zone_emphasis_2d"] == pytest.approx(values["glszm_large_zone_emphasis_3d"])
    assert values["morphology_least_axis_length"] == 0
    assert math.isnan(values["morphology_volume_density_aee"])
    alone = compute_features(image[:, :, 5:6], mask[:, :, 5:6], SPACING, EVERY)
    keep = [name for name in values.index if not name.startswith("local")]
    same(values[keep], alone[keep])


def test_constant_region() -> None:
    _, mask = make_case()
    values = compute_features(np.full(mask.shape, 3.3), mask, SPACING, EVERY)
    assert values["statistics_variance"] == 0
    assert values["histogram_entropy"] == 0
    assert values["histogram_uniformity"] == 1
    assert values["glcm_angular_second_moment_3d_merged"] == pytest.approx(1)
    undefined = [
        "statistics_skewness", "statistics_excess_kurtosis", "morphology_geary_c_measure",
        "glcm_correlation_3d_averaged", "glcm_information_correlation_1_3d_averaged",
        "ngtdm_coarseness_3d", "ngtdm_contrast_2d", "ivh_volume_fraction_at_10_intensity",
        "histogram_maximum_histogram_gradient",
    ]  # fmt: skip
    assert values[undefined].isna().all()
    theirs = compute_features(np.full(mask.shape, 3.3), mask, SPACING, PYRADIOMICS)
    assert theirs["original_glcm_Correlation"] == 1
    assert theirs["original_ngtdm_Coarseness"] == 1e6


def test_components_add_up() -> None:
    """Two copies far apart: counts double, normalised texture stays."""
    image, mask = make_case()
    twice = [np.concatenate((part, part)) for part in (image, mask)]
    one = compute_features(image, mask, SPACING, EVERY)
    two = compute_features(*twice, SPACING, EVERY)
    for name in ("morphology_volume_mesh", "morphology_surface_area_mesh", "glszm_zone_size_non_uniformity_3d"):
        assert two[name] == pytest.approx(2 * one[name])
    for name in ("glcm_contrast_3d_merged", "glrlm_run_entropy_3d_merged", "ngldm_dependence_count_entropy_3d"):
        assert two[name] == pytest.approx(one[name])


def test_region_on_the_border() -> None:
    """The image's border is the region's border, as if nothing lay beyond."""
    image, _ = make_case()
    values = compute_features(image, np.ones(image.shape, dtype=bool), SPACING, EVERY)
    padded = compute_features(np.pad(image, 2), np.pad(np.ones(image.shape, dtype=bool), 2), SPACING, EVERY)
    keep = [name for name in values.index if not name.startswith("local")]
    same(values[keep], padded[keep])
    assert values["morphology_volume_density_aabb"] == pytest.approx(1, abs=0.1)


def test_anisotropic_spacing() -> None:
    image, mask = make_case()
    one, stretched = (compute_features(image, mask, size, IN_SPACE) for size in ((1, 1, 1), (1, 1, 3)))
    assert stretched["morphology_volume_mesh"] == pytest.approx(3 * one["morphology_volume_mesh"])
    assert stretched["glcm_contrast_3d_averaged"] == one["glcm_contrast_3d_averaged"]


@pytest.mark.parametrize("levels", [100, 10_000])
def test_many_grey_levels(levels: int) -> None:
    generator = rng(0, "levels", levels)
    image = generator.integers(1, levels + 1, (16, 16, 16))
    image[0, 0, 0], image[0, 0, 1] = 1, levels
    mask = np.ones(image.shape, dtype=bool)
    settings = FeatureSettings.create(discretisation={"method": "none"}, aggregations=("3d_merged", "3d"))
    values = compute_features(image, mask, SPACING, settings)
    assert values.notna().all()
    assert values["histogram_maximum"] == levels
    assert values["glcm_joint_average_3d_merged"] == pytest.approx(image.mean(), rel=0.05)
    theirs = compute_features(
        image,
        mask,
        SPACING,
        FeatureSettings.create(
            definitions="pyradiomics",
            discretisation={"bin_width": 1.0},
            merge_directions=True,
            families=["glcm", "gldm"],
        ),
    )
    assert theirs.notna().all()


def test_nan_is_an_error_where_it_matters() -> None:
    image, mask = make_case()
    broken = image.astype(float)
    broken[0, 0, 0] = np.nan
    far = compute_features(broken, mask, SPACING, families=["statistics", "glcm"])  # outside the box
    assert far.notna().all()
    broken[tuple(np.argwhere(mask)[0])] = np.nan
    for settings in (EVERY, PYRADIOMICS, EVERY.model_copy(update={"resampling": Resampling(spacing=(2, 2, 2))})):
        with pytest.raises(RadlibError, match=r"NaN.*Remedy"):
            compute_features(broken, mask, SPACING, settings)


def test_wrong_inputs_are_named() -> None:
    image, mask = make_case()
    with pytest.raises(RadlibError, match="4 dimensions"):
        compute_features(image[None], mask, SPACING)
    with pytest.raises(RadlibError, match=r"shape \(14, 13, 12\)"):
        compute_features(image, mask[1:], SPACING)
    with pytest.raises(RadlibError, match="spacing"):
        compute_features(image, mask, (1, 0, 1))
    with pytest.raises(RadlibError, match="complex"):
        compute_features(image.astype(complex), mask, SPACING)
    with pytest.raises(RadlibError, match="more than a million"):
        compute_features(image, mask, SPACING, FeatureSettings.create(discretisation={"bin_width": 1e-6}))
    with pytest.raises(RadlibError, match="grey levels 1, 2"):
        compute_features(image - 10_000, mask, SPACING, FeatureSettings.create(discretisation={"method": "none"}))
    with pytest.raises(RadlibError, match=r"glcmm.*glcm"):
        compute_features(image, mask, SPACING, families=["glcmm"])


def test_settings_survive_as_plain_values_and_name_every_mistake() -> None:
    settings = EVERY.model_copy(update={"resegment": (None, 400.0), "outlier_sigma": 3.0})
    assert FeatureSettings.from_mapping(settings.model_dump(mode="json")) == settings
    with pytest.raises(RadlibError, match=r"(?s)bin_width.*slice_axis|slice_axis.*bin_width"):
        FeatureSettings.create(bin_width=3, slice_axis=7)


@pytest.mark.parametrize("settings", [EVERY, PYRADIOMICS], ids=["ibsi", "pyradiomics"])
def test_cpu_and_gpu_agree(settings: FeatureSettings) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    images = [{"kind": "original"}, {"kind": "wavelet"}, {"kind": "log", "sigma_mm": 2}]
    settings = FeatureSettings.from_mapping(settings.model_dump() | {"images": images})
    case = (*make_case((40, 38, 36)), SPACING, settings)
    same(compute_features(*case), compute_features(*case, device="cuda"), rtol=1e-7)
