"""Every feature by name: family, IBSI permanent identifier, IBSI tag and nearest PyRadiomics feature.

The identifiers and tags are those of the Image Biomarker Standardisation Initiative (Zwanenburg et al. 2020,
reference manual, chapter 3); the tags are also the row names of its reference values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

MATRIX_AGGREGATIONS = {
    "2d_averaged": ("BTW3", "2D_avg", "matrix a slice and direction; features averaged"),
    "2d_merged": ("SUJT", "2D_comb", "directions merged in each slice; features averaged over slices"),
    "2_5d_direction_merged": ("JJUI", "2_5D_avg", "slices merged for each direction; features averaged"),
    "2_5d_merged": ("ZW7Z", "2_5D_comb", "all slices and directions merged into one matrix"),
    "3d_averaged": ("ITBB", "3D_avg", "matrix for each of 13 directions; features averaged"),
    "3d_merged": ("IAZD", "3D_comb", "13 directions merged into one matrix"),
}
ZONE_AGGREGATIONS = {
    "2d": ("8QNN", "2D", "matrix a slice; features averaged"),
    "2_5d": ("62GR", "2_5D", "slices merged into one matrix"),
    "3d": ("KOBO", "3D", "one matrix of the volume"),
}
AGGREGATIONS = {**MATRIX_AGGREGATIONS, **ZONE_AGGREGATIONS}

_FAMILIES = {
    "morphology": ("HCUG", "Morphology"),
    "local_intensity": ("9ST6", "Local intensity"),
    "statistics": ("UHIW", "Intensity-based statistics"),
    "histogram": ("ZVCW", "Intensity histogram"),
    "ivh": ("P88C", "Intensity-volume histogram"),
    "glcm": ("LFYI", "Grey level co-occurrence matrix"),
    "glrlm": ("TP0I", "Grey level run length matrix"),
    "glszm": ("9SAK", "Grey level size zone matrix"),
    "gldzm": ("VMDZ", "Grey level distance zone matrix"),
    "ngtdm": ("IPET", "Neighbourhood grey tone difference matrix"),
    "ngldm": ("REK0", "Neighbouring grey level dependence matrix"),
}
IBSI_FAMILIES = tuple(_FAMILIES)
PYRADIOMICS_CLASSES = ("shape", "shape2D", "firstorder", "glcm", "glrlm", "glszm", "ngtdm", "gldm")


@dataclass(frozen=True)
class Feature:
    """One feature. ``key()`` is its name in results."""

    family: str
    name: str
    title: str
    ibsi: str
    tag: str
    pyradiomics: str

    @property
    def aggregations(self) -> tuple[str, ...]:
        """The aggregations that apply, empty for features that no texture matrix underlies."""
        return aggregations_of(self.family)

    def key(self, aggregation: str | None = None) -> str:
        """``<family>_<name>``, followed by ``_<aggregation>`` for texture."""
        return f"{self.family}_{self.name}" + (f"_{aggregation}" if aggregation else "")

    def ibsi_tag(self, aggregation: str | None = None) -> str:
        """The row name in IBSI's tables of reference values, such as ``cm_joint_max_3D_avg``."""
        return self.tag + (f"_{AGGREGATIONS[aggregation][1]}" if aggregation else "")


#: In IBSI's order; the table lies beside this file.
FEATURES: tuple[Feature, ...] = tuple(
    Feature(*line.split("\t"))
    for line in (Path(__file__).parent / "registry.tsv").read_text(encoding="utf-8").splitlines()[1:]
)


def aggregations_of(family: str) -> tuple[str, ...]:
    """The aggregations of a family: six for co-occurrence and run length, three for the others, none for the rest."""
    if family in ("glcm", "glrlm"):
        return tuple(MATRIX_AGGREGATIONS)
    if family in ("glszm", "gldzm", "ngtdm", "ngldm"):
        return tuple(ZONE_AGGREGATIONS)
    return ()


def family_features(family: str) -> tuple[Feature, ...]:
    """The features of one family, in IBSI's order."""
    return tuple(feature for feature in FEATURES if feature.family == family)


def family_keys(families: Iterable[str], aggregations: Iterable[str]) -> list[str]:
    """The result names of these families under these aggregations, in the registry's order."""
    wanted = set(aggregations)
    keys = []
    for family in families:
        applicable = [name for name in aggregations_of(family) if name in wanted]
        features = family_features(family)
        if aggregations_of(family):
            keys += [feature.key(name) for name in applicable for feature in features]
        else:
            keys += [feature.key() for feature in features]
    return keys


def registry_table() -> pd.DataFrame:
    """The documentation table: one row a feature, with IBSI identifier, tag, aggregations and PyRadiomics name."""
    return pd.DataFrame(
        [
            {
                "family": _FAMILIES[feature.family][1],
                "feature": feature.title,
                "key": feature.key(),
                "IBSI": feature.ibsi,
                "IBSI tag": feature.tag,
                "aggregations": len(feature.aggregations) or 1,
                "PyRadiomics": feature.pyradiomics,
            }
            for feature in FEATURES
        ]
    )
