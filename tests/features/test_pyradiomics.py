"""PyRadiomics definitions against PyRadiomics' own baseline values."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlib.core.errors import RadlibError
from radlib.features.api import feature_names
from radlib.features.conformity import baseline_table, baselines
from radlib.features.pyradiomics import settings_from_pyradiomics
from radlib.features.registry import PYRADIOMICS_CLASSES
from radlib.features.settings import ORIGINAL, DerivedImage


@pytest.mark.data
@pytest.mark.parametrize("name", PYRADIOMICS_CLASSES)
def test_every_baseline_value(real_data: Path, name: str) -> None:
    found = baselines(real_data, name)
    assert len(found) > 0
    wrong = found.query("not agrees")
    assert wrong.empty, wrong.to_string()
    feature = found["feature"].iloc[0].removeprefix("original_")
    assert feature.startswith(f"{name}_")


@pytest.mark.slow
@pytest.mark.data
def test_baseline_table_counts_every_value(real_data: Path) -> None:
    table = baseline_table(real_data)
    assert table.index.tolist() == list(PYRADIOMICS_CLASSES)
    assert (table["met"] == table["values"]).all()


def test_parameters_become_settings_or_say_why_not() -> None:
    settings = settings_from_pyradiomics(
        {"binWidth": 5, "normalize": True, "normalizeScale": 100, "preCrop": True, "label": 1},
        feature_classes=["glcm"],
    )
    assert (settings.crop_margin, settings.normalise_scale, settings.discretisation.bin_width) == (5, 100, 5)
    images = (ORIGINAL, DerivedImage(kind="log", sigma_mm=2.5), DerivedImage(kind="wavelet"))
    names = feature_names(settings.model_copy(update={"images": images}))
    assert len(names) == 10 * 24
    assert "log-sigma-2-5-mm-3D_glcm_MCC" in names
    assert "wavelet-LLH_glcm_Idn" in names
    for wrong in ({"distances": [1, 2]}, {"weightingNorm": "euclidean"}, {"removeOutliers": 3}):
        with pytest.raises(RadlibError, match=next(iter(wrong))):
            settings_from_pyradiomics(wrong)
