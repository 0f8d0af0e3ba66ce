"""Conformity with the reference values of IBSI 1 (Zwanenburg 2020): digital phantom, CT phantom A, B and C; and with
the baseline values of PyRadiomics (van Griethuysen 2017)."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import SimpleITK

from radlib.core.errors import MissingDataError
from radlib.features.api import compute_features
from radlib.features.pyradiomics import settings_from_pyradiomics
from radlib.features.registry import AGGREGATIONS, FEATURES, PYRADIOMICS_CLASSES
from radlib.features.settings import FeatureSettings

IN_PLANE = tuple(name for name in AGGREGATIONS if name.startswith("2"))
IN_SPACE = tuple(name for name in AGGREGATIONS if name.startswith("3"))

PHANTOM = FeatureSettings.create(aggregations=tuple(AGGREGATIONS), discretisation={"method": "none"})
"""Settings of the digital phantom."""

CONFIGURATIONS = {
    "A": FeatureSettings.create(
        aggregations=IN_PLANE, resegment=(-500, 400), discretisation={"method": "fbs", "bin_width": 25}
    ),
    "B": FeatureSettings.create(
        aggregations=IN_PLANE,
        resampling={"spacing": (2, 2, None)},
        round_intensities=True,
        resegment=(-500, 400),
        discretisation={"method": "fbn", "bin_count": 32},
    ),
    "C": FeatureSettings.create(
        aggregations=IN_SPACE,
        resampling={"spacing": (2, 2, 2)},
        round_intensities=True,
        resegment=(-1000, 400),
        discretisation={"method": "fbs", "bin_width": 25},
        ivh={"method": "fbs", "bin_width": 2.5},
    ),
}
"""Settings of the CT phantom's configurations for which there are reference values here."""


def by_tag(values: pd.Series) -> dict[str, float]:
    """Feature values by the tags of the reference tables."""
    return {
        feature.ibsi_tag(aggregation): float(values[feature.key(aggregation)])
        for feature in FEATURES
        for aggregation in (feature.aggregations or (None,))
        if feature.key(aggregation) in values.index
    }


def references(folder: Path, name: str) -> tuple[pd.DataFrame, set[str]]:
    """Standardised rows of a reference table, and the tags of all its features.

    Args:
        folder: the data root, with ``ibsi/reference``.
        name: ``digital_phantom``, ``config_A``, ``config_B`` or ``config_C``.

    Raises:
        MissingDataError: if the table is not there.
    """
    file = folder / f"ibsi/reference/ibsi_1_reference_values_{name}.csv"
    if not file.is_file():
        raise MissingDataError("the IBSI reference values are not there", file=file, remedy="radlib data show ibsi")
    table = pd.read_csv(file, encoding="utf-8-sig").rename(columns={"reference value": "reference"})
    table = table[~table["family"].str.startswith("Diagnostics")]
    return table[table["consensus"] != "not standardized"], set(table["tag"])


def load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Image, mask and spacing (mm) of ``digital_phantom`` or ``ct_phantom``."""
    image = nib.load(folder / f"ibsi/{name}/image/phantom.nii.gz")
    mask = nib.load(folder / f"ibsi/{name}/mask/mask.nii.gz")
    assert isinstance(image, nib.Nifti1Image)
    assert isinstance(mask, nib.Nifti1Image)
    spacing = tuple(float(size) for size in image.header.get_zooms())
    return np.asarray(image.dataobj), np.asarray(mask.dataobj), spacing


def compared(values: Mapping[str, float], table: pd.DataFrame) -> pd.DataFrame:
    """Each reference value beside ours: ``family``, ``tag``, ``value``, ``reference``, ``tolerance``, ``agrees``.

    A value agrees when it is within the tolerance, as it is or rounded to the three digits in which references are
    given.
    """
    rows = []
    for row in table.to_dict("records"):
        value, reference, tolerance = values[row["tag"]], float(row["reference"]), float(row["tolerance"])
        near = abs(float(f"{value:.3g}") - reference) <= tolerance + 1e-9 * abs(reference)
        rows.append({
            "family": row["family"], "tag": row["tag"], "value": value, "reference": reference, "tolerance": tolerance,
            "agrees": near or abs(value - reference) <= tolerance,
        })  # fmt: skip
    return pd.DataFrame(rows)


def conformity_table(folder: Path) -> pd.DataFrame:
    """How many reference values are met, by family (rows) and case (columns), as ``met of given``.

    Raises:
        MissingDataError: if phantoms or reference values are not under ``folder``.
    """
    cases = {"digital phantom": ("digital_phantom", "digital_phantom", PHANTOM)}
    cases |= {f"CT phantom {k}": (f"config_{k}", "ct_phantom", CONFIGURATIONS[k]) for k in "ABC"}
    columns = {}
    for title, (name, phantom, settings) in cases.items():
        table, _ = references(folder, name)
        found = compared(by_tag(compute_features(*load(folder, phantom), settings)), table)
        met = found.groupby("family", sort=False)["agrees"].agg(["sum", "size"])
        met.loc["all"] = met.sum()
        columns[title] = met.apply(lambda row: f"{int(row['sum'])} of {int(row['size'])}", axis=1)
    return pd.DataFrame(columns).fillna("")


BASELINE_ERROR = {"shape": 1e-3}
"""Relative error allowed beside a baseline value of PyRadiomics, by feature class; :data:`BASELINE_EXACT` elsewhere.
Its meshes are of single precision."""
BASELINE_EXACT = 1e-6


def baselines(folder: Path, name: str) -> pd.DataFrame:
    """Every baseline value of one feature class of PyRadiomics beside ours, on its two brain images.

    Args:
        folder: the data root, with ``pyradiomics-baseline``.
        name: the feature class, such as ``glcm``.

    Returns:
        ``case``, ``feature``, ``value``, ``baseline``, ``error`` (relative; of a baseline below
        1e-6, relative to that), ``agrees``. The value is NaN where we
        have no such feature.

    Raises:
        MissingDataError: if the table is not there.
    """
    source = folder / "pyradiomics-baseline"
    file = source / f"baseline_{name}.csv"
    if not file.is_file():
        raise MissingDataError("the PyRadiomics baselines are not there", file=file)
    table = pd.read_csv(file, index_col=0)
    features = [row for row in table.index if not row.startswith("diagnostics")]
    rows = []
    for case in (column for column in table.columns if column.startswith("brain")):
        image, label = (SimpleITK.ReadImage(str(source / f"{case[:6]}_{part}.nrrd")) for part in ("image", "label"))
        mask = SimpleITK.GetArrayFromImage(label).T
        if name == "shape2D":  # that baseline is of one slice
            z = int(ast.literal_eval(str(table.loc["diagnostics_Mask-corrected_BoundingBox", case]))[2])
            mask = np.where(np.arange(mask.shape[2]) == z, mask, 0)
        given = ast.literal_eval(str(table.loc["diagnostics_Configuration_Settings", case]))
        settings = settings_from_pyradiomics(given, feature_classes=[name])
        values = compute_features(SimpleITK.GetArrayFromImage(image).T, mask, image.GetSpacing(), settings)
        for feature in features:
            value, baseline = float(values.get(feature, np.nan)), float(table.loc[feature, case])
            error = abs(value - baseline) / max(abs(baseline), 1e-6)  # some baselines are zero but for rounding
            rows.append({
                "case": case, "feature": feature, "value": value, "baseline": baseline, "error": error,
                "agrees": error <= BASELINE_ERROR.get(name, BASELINE_EXACT),
            })  # fmt: skip
    return pd.DataFrame(rows)


def baseline_table(folder: Path) -> pd.DataFrame:
    """How many baseline values of PyRadiomics are met, a row a feature class, with the largest relative error.

    Raises:
        MissingDataError: if the baselines are not under ``folder``.
    """
    rows = {}
    for name in PYRADIOMICS_CLASSES:
        found = baselines(folder, name)
        rows[name] = {
            "values": len(found), "met": int(found["agrees"].sum()),
            "allowed error": f"{BASELINE_ERROR.get(name, BASELINE_EXACT):.0e}",
            "largest error": f"{found['error'].max():.0e}",
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")
