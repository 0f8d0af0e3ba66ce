"""Conformity with the consensus reference values of IBSI 1: digital phantom and CT phantom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.features.api import compute_features, feature_names
from radlib.features.conformity import (
    CONFIGURATIONS,
    IN_SPACE,
    PHANTOM,
    by_tag,
    compared,
    conformity_table,
    load,
    references,
)
from radlib.features.differences import SPACING, digital_phantom, pyradiomics_differences_table
from radlib.features.processing import resample, resegment
from radlib.features.registry import AGGREGATIONS, FEATURES, registry_table
from radlib.features.roi import bounding_box
from radlib.features.settings import FeatureSettings

HERE = Path(__file__).parent / "data"
"""The digital phantom and its reference values (CC BY 4.0, see the README beside them)."""


def test_digital_phantom_meets_every_reference_value() -> None:
    table, tags = references(HERE, "digital_phantom")
    values = by_tag(compute_features(*load(HERE, "digital_phantom"), PHANTOM))
    assert tags - set(values) == set(), "reference values that no feature covers"
    assert len(table) == 482
    wrong = compared(values, table).query("not agrees")
    assert wrong.empty, wrong.to_string()


def test_the_phantom_of_the_package_is_that_of_the_standard() -> None:
    image, mask, spacing = load(HERE, "digital_phantom")
    ours, region = digital_phantom()
    np.testing.assert_array_equal(ours, image)
    np.testing.assert_array_equal(region, mask > 0)
    assert spacing == SPACING


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("name", "rows"), [("A", 346), ("B", 346), ("C", 210)])
def test_ct_phantom_meets_every_reference_value(real_data: Path, name: str, rows: int) -> None:
    table, tags = references(real_data, f"config_{name}")
    values = by_tag(compute_features(*load(real_data, "ct_phantom"), CONFIGURATIONS[name]))
    assert tags - set(values) == set(), "reference values that no feature covers"
    assert len(table) == rows
    wrong = compared(values, table).query("not agrees")
    assert wrong.empty, wrong.to_string()


FILTERED = {
    "D": FeatureSettings.create(
        aggregations=IN_SPACE,
        resampling={"spacing": (2, 2, 2)},
        round_intensities=True,
        outlier_sigma=3,
        discretisation={"method": "fbn", "bin_count": 32},
    ),
    "E": FeatureSettings.create(
        aggregations=IN_SPACE,
        resampling={"spacing": (2, 2, 2), "image": "cubic"},
        round_intensities=True,
        resegment=(-1000, 400),
        outlier_sigma=3,
        discretisation={"method": "fbn", "bin_count": 32},
        ivh={"method": "fbn", "bin_count": 1000},
    ),
}
"""Settings of the CT phantom that leave outliers out; there are no reference values of them here."""


@pytest.mark.data
@pytest.mark.parametrize("settings", FILTERED.values(), ids=FILTERED)
def test_ct_phantom_with_outlier_filtering_and_splines(real_data: Path, settings: FeatureSettings) -> None:
    case = load(real_data, "ct_phantom")
    values = compute_features(*case, settings)
    assert values.notna().all()
    assert values["histogram_maximum"] == 32
    unfiltered = compute_features(*case, settings.model_copy(update={"outlier_sigma": None}), families=["statistics"])
    allowed = unfiltered["statistics_mean"] - 3 * np.sqrt(unfiltered["statistics_variance"])
    assert unfiltered["statistics_minimum"] < allowed <= values["statistics_minimum"]


@pytest.mark.data
@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_ct_phantom_diagnostics_after_processing(real_data: Path, name: str) -> None:
    """Voxel counts, boxes and intensities after interpolation and re-segmentation."""
    import torch

    table = pd.read_csv(real_data / f"ibsi/reference/ibsi_1_reference_values_config_{name}.csv", encoding="utf-8-sig")
    table = table.rename(columns={"reference value": "reference"})
    table = table[table["family"].str.startswith("Diagnostics")]
    image, mask, spacing = load(real_data, "ct_phantom")
    settings = CONFIGURATIONS[name]
    before = (image, mask > 0, spacing)
    after = before
    if settings.resampling is not None:
        volume = resample(image, mask > 0, spacing, settings.resampling, device=torch.device("cpu"), whole=True)
        after = (np.round(volume.image), volume.mask, volume.spacing)
    left = resegment(torch.from_numpy(after[0].astype(float)), torch.from_numpy(after[1]), settings).numpy()
    found: dict[str, float] = {}
    for stage, (values, _, size) in (("init", before), ("interp", after)):
        found |= {f"img_dim_{axis}_{stage}_img": n for axis, n in zip("xyz", values.shape, strict=True)}
        found |= {f"vox_dim_{axis}_{stage}_img": s for axis, s in zip("xyz", size, strict=True)}
        for word, number in (("mean", values.mean()), ("min", values.min()), ("max", values.max())):
            found[f"{word}_int_{stage}_img"] = number
    stages = (("init", before, before[1]), ("interp", after, after[1]), ("reseg", after, left))
    for stage, (values, outline, _), inside in stages:
        for kind, region in (("int", inside), ("morph", outline)):
            box = bounding_box(region)
            assert box is not None
            for axis, part, n in zip("xyz", box, region.shape, strict=True):
                found[f"{kind}_mask_dim_{axis}_{stage}_roi"] = n
                found[f"{kind}_mask_bb_dim_{axis}_{stage}_roi"] = part.stop - part.start
            found[f"{kind}_mask_vox_count_{stage}_roi"] = region.sum()
        for word, number in (
            ("mean", values[inside].mean()),
            ("min", values[inside].min()),
            ("max", values[inside].max()),
        ):
            found[f"int_mask_{word}_int_{stage}_roi"] = number
    assert set(table["tag"]) - set(found) == set()
    wrong = compared(found, table).query("not agrees")
    assert wrong.empty, wrong.to_string()


def test_registry_is_complete_and_unique() -> None:
    table = registry_table()
    assert len(table) == len(FEATURES) == 174
    assert table["key"].is_unique
    assert table["IBSI tag"].is_unique
    assert table["IBSI"].str.fullmatch("[0-9A-Z]{4}").all()
    shared = {"BC2M", "GBPN"}  # one identifier each for two volume or intensity fractions
    assert set(table.loc[table["IBSI"].duplicated(), "IBSI"]) == shared
    assert len(AGGREGATIONS) == 9
    assert len(feature_names(PHANTOM)) == 487


def test_differences_table_names_a_reason_for_every_difference() -> None:
    table = pyradiomics_differences_table().set_index("feature")
    assert ((table["relative_difference"] > 1e-9) == (table["why"] != "")).all()
    kurtosis = table.loc["statistics_excess_kurtosis"]
    assert kurtosis["pyradiomics_value"] - kurtosis["ibsi_value"] == pytest.approx(3)
    assert table.loc["statistics_mean", "why"] == ""
    assert table.loc["morphology_major_axis_length", "ibsi_value"] ** 2 * 73 == pytest.approx(
        table.loc["morphology_major_axis_length", "pyradiomics_value"] ** 2 * 74
    )


@pytest.mark.slow
@pytest.mark.data
def test_conformity_table_counts_every_reference_value(real_data: Path) -> None:
    table = conformity_table(real_data)
    assert table.loc["all"].to_dict() == {
        "digital phantom": "482 of 482", "CT phantom A": "346 of 346", "CT phantom B": "346 of 346",
        "CT phantom C": "210 of 210",
    }  # fmt: skip
