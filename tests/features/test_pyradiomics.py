"""PyRadiomics definitions against PyRadiomics' own baseline values."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from radlib.core.errors import RadlibError
from radlib.features.api import compute_features, feature_names
from radlib.features.pyradiomics import settings_from_pyradiomics
from radlib.features.registry import PYRADIOMICS_CLASSES


@pytest.mark.data
@pytest.mark.parametrize("name", PYRADIOMICS_CLASSES)
def test_every_baseline_value(real_data: Path, name: str) -> None:
    folder = real_data / "pyradiomics-baseline"
    table = pd.read_csv(folder / f"baseline_{name}.csv", index_col=0)
    features = [row for row in table.index if not row.startswith("diagnostics")]
    cases = [column for column in table.columns if column.startswith("brain")]
    assert cases
    wrong, checked = [], 0
    for case in cases:
        image, label = (SimpleITK.ReadImage(str(folder / f"{case[:6]}_{part}.nrrd")) for part in ("image", "label"))
        mask = SimpleITK.GetArrayFromImage(label).T
        if name == "shape2D":  # that baseline is of one slice
            z = int(ast.literal_eval(table.loc["diagnostics_Mask-corrected_BoundingBox", case])[2])
            mask = np.where(np.arange(mask.shape[2]) == z, mask, 0)
        given = ast.literal_eval(table.loc["diagnostics_Configuration_Settings", case])
        settings = settings_from_pyradiomics(given, feature_classes=[name])
        values = compute_features(SimpleITK.GetArrayFromImage(image).T, mask, image.GetSpacing(), settings)
        assert set(values.index) == set(features)
        for feature in features:
            expected = float(table.loc[feature, case])
            relative = 1e-3 if name == "shape" else 1e-6
            checked += 1
            if values[feature] != pytest.approx(expected, rel=relative, abs=1e-12):
                wrong.append(f"{case} {feature}: {values[feature]!r}, baseline {expected!r}")
    assert wrong == []
    assert checked == len(cases) * len(features)


def test_parameters_become_settings_or_say_why_not() -> None:
    settings = settings_from_pyradiomics(
        {"binWidth": 5, "normalize": True, "normalizeScale": 100, "preCrop": True, "label": 1},
        image_types={"Original": {}, "LoG": {"sigma": [1, 2.5]}, "Wavelet": {}},
        feature_classes=["glcm"],
    )
    names = feature_names(settings)
    assert len(names) == 11 * 24
    assert "log-sigma-2-5-mm-3D_glcm_MCC" in names
    assert "wavelet-LLH_glcm_Idn" in names
    assert settings.crop_margin == 5
    for wrong in ({"distances": [1, 2]}, {"weightingNorm": "euclidean"}, {"removeOutliers": 3}):
        with pytest.raises(RadlibError, match=next(iter(wrong))):
            settings_from_pyradiomics(wrong)
    with pytest.raises(RadlibError, match="LBP2D"):
        settings_from_pyradiomics({}, image_types={"LBP2D": {}})
