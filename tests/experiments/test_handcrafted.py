"""The chapter on hand-crafted features: counts, boxes, and what separates classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.experiments import handcrafted as hc
from radlib.features.api import feature_names


def test_the_71_features_add_up_as_in_the_paper() -> None:
    table = hc.family_71()
    assert table.loc["all", "all"] == 71
    assert table.loc["axis coordinates", "all"] == 27
    assert table.loc["fractal dimension", ["et", "necrosis"]].tolist() == [1, 1]


def test_every_feature_has_a_family() -> None:
    families = hc.families_of(feature_names(hc.texture_settings(32)))
    assert len(families) == 174
    assert len(set(families.values())) == 11
    assert families["local_intensity_local_intensity_peak"] == "local intensity"


def test_separation_finds_the_planted_feature_whatever_its_direction() -> None:
    generator = np.random.default_rng(0)
    positive = pd.Series(np.arange(60) % 2 == 0)
    table = pd.DataFrame(generator.normal(size=(60, 20)), columns=[f"noise{k}" for k in range(20)])
    table["planted"] = -3.0 * positive + generator.normal(size=60)
    table["constant"] = 1.0
    found = hc.separation(table, positive)
    assert found.index[0] == "planted"
    assert found.loc["planted", "auc"] > 0.95
    assert found.loc["planted", "low"] < found.loc["planted", "auc"] < found.loc["planted", "high"]
    assert (found["q"] < 0.05).sum() == 1
    assert "constant" not in found.index
    assert (found["auc"] >= 0.5).all()
    with pytest.raises(MissingDataError, match="no feature has two values"):
        hc.separation(table[["constant"]], positive)


def test_figures_draw() -> None:
    x, y, z = np.ogrid[-10:10, -10:10, -10:10]
    radius = x**2 + y**2 + z**2
    labels = np.where(radius < 25, 1, np.where(radius < 64, 4, 0)).astype(np.uint8)
    figure = hc.box_figure(labels, spacing=(1.0, 1.0, 1.0))
    assert "dimension" in figure.axes[3].get_title()
    table = pd.DataFrame({"auc": [0.8], "low": [0.7], "high": [0.9]}, index=["trait: size"])
    hc.separation_figure({"question": table})
