"""What the biology decides and the image has to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Lobe = Literal["frontal", "temporal", "parietal", "occipital", "insular"]
Hemisphere = Literal["left", "right"]


@dataclass(frozen=True, kw_only=True)
class ImagingTraits:
    """The imaging traits of one subject: the interface between biology and images.

    Attributes:
        age: years; sets the size of the ventricles.
        lobe: where the first focus starts.
        hemisphere: the side of the first focus.
        volume_ml: volume of the whole tumour (all labels) in ml.
        fraction_et: share of the whole tumour that enhances (label 4), 0 to 1; 0 for a tumour without enhancement.
        fraction_core: share that is necrotic or non-enhancing core (label 1), 0 to 1. The rest is oedema (label 2).
        necrosis: share of the label-1 core that is liquefied necrosis rather than solid non-enhancing tumour, 0 to 1.
        border_sharpness: 0 (infiltrative, ragged) to 1 (circumscribed).
        t2_flair_mismatch: 0 (none) to 1 (bright on T2, dark on FLAIR but for a rim).
        n_foci: number of separate foci, 1 or more.
        mass_effect: displacement of the surrounding brain, 0 (none) to 1 (strong).
        heterogeneity: texture of the core in T1ce and T2, 0 (uniform) to 1 (coarse).
    """

    age: float
    lobe: Lobe
    hemisphere: Hemisphere
    volume_ml: float
    fraction_et: float
    fraction_core: float
    necrosis: float
    border_sharpness: float
    t2_flair_mismatch: float
    n_foci: int
    mass_effect: float
    heterogeneity: float
