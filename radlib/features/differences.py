"""What PyRadiomics' definitions change: a table computed by running both on IBSI's digital phantom."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radlib.features.api import compute_features
from radlib.features.registry import FEATURES, IBSI_FAMILIES
from radlib.features.settings import Discretisation, FeatureSettings

SPACING = (2.0, 2.0, 2.0)  # mm

_WHY = {
    "statistics_excess_kurtosis": "PyRadiomics does not subtract 3",
    "morphology_major_axis_length": "covariance divided by N instead of N - 1",
    "morphology_minor_axis_length": "covariance divided by N instead of N - 1",
    "morphology_least_axis_length": "covariance divided by N instead of N - 1",
    "morphology_volume_mesh": "its marching-cubes table leaves the mesh open where voxels touch along an edge",
    "morphology_surface_area_mesh": "its marching-cubes table triangulates voxels that touch along an edge otherwise",
    "morphology_surface_to_volume_ratio": "from mesh area and volume",
    "morphology_sphericity": "from mesh area and volume",
}
_BINS = "bins start at a multiple of the bin width instead of the region's minimum"


def digital_phantom() -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of IBSI's digital phantom, shape (5, 4, 4), voxels of 2 mm (CC BY 4.0, A. Zwanenburg)."""
    rows = (
        ("14411 14611 41641 44641", "11111 11111 11111 11111"),
        ("14411 11611 11311 44611", "11111 11111 01111 11111"),
        ("14411 11111 11911 11611", "11100 11111 11011 11111"),
        ("14411 11111 11111 11611", "11100 11111 11111 11111"),
    )  # slices along z, rows along y
    image, mask = (
        np.array([[[int(c) for c in row] for row in plane[part].split()] for plane in rows]).transpose(2, 1, 0)
        for part in (0, 1)
    )
    return image, mask.astype(bool)


def pyradiomics_differences_table(*, bin_width: float = 2.0) -> pd.DataFrame:
    """Features with an IBSI and a PyRadiomics value: both on the digital phantom, and why they differ.

    With a bin width of 2 the phantom's levels 1, 3, 4 and 6 fall into other bins under the two definitions. Columns:
    feature, IBSI, pyradiomics, ibsi_value, pyradiomics_value, relative_difference, why (empty where they agree to
    1e-9). Texture is that of the 3-D matrices, averaged over directions.
    """
    image, mask = digital_phantom()
    bins = Discretisation(method="fbs", bin_width=bin_width)
    ours = compute_features(
        image,
        mask,
        SPACING,
        FeatureSettings(families=IBSI_FAMILIES, aggregations=("3d_averaged", "3d"), discretisation=bins),
    )
    theirs = compute_features(image, mask, SPACING, FeatureSettings(definitions="pyradiomics", discretisation=bins))
    rows = []
    for feature in FEATURES:
        name = f"original_{feature.pyradiomics}"
        if name not in theirs.index:
            continue
        aggregation = {6: "3d_averaged", 3: "3d"}.get(len(feature.aggregations))
        a, b = ours[feature.key(aggregation)], theirs[name]
        differs = abs(a - b) > 1e-9 * max(abs(a), abs(b))
        rows.append(
            {
                "feature": feature.key(aggregation),
                "IBSI": feature.ibsi,
                "pyradiomics": feature.pyradiomics,
                "ibsi_value": a,
                "pyradiomics_value": b,
                "relative_difference": abs(a - b) / max(abs(a), abs(b), 1e-300),
                "why": _WHY.get(feature.key(), _BINS) if differs else "",
            }
        )
    return pd.DataFrame(rows)
