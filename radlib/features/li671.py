"""671 features of intensity, shape, texture and wavelets: the conventional arm of Li 2017.

The paper says that there are 671 of these four kinds, and not which. This composition is the book's:

- intensity, 50: 18 statistics, 23 of the histogram, 7 of the intensity-volume histogram, 2 local;
- shape, 29 of morphology;
- texture, 120: 25 of co-occurrence in each of two aggregations, 16 run length, 16 size zone, 16 distance zone, 5 tone
  difference, 17 dependence;
- wavelet, 472: 18 statistics, 25 of co-occurrence and 16 run length in each of the eight bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from radlib.core.models import Strict
from radlib.features.api import compute_features, feature_names
from radlib.features.settings import DerivedImage, Discretisation, FeatureSettings

Modality = Literal["t1", "t1ce", "t2", "flair"]


class Li671Settings(Strict):
    """Choices that the paper does not state.

    Attributes:
        modality: the image that is described; the paper has T2-weighted FLAIR.
        bins: grey levels, from the region's smallest to its largest intensity (the images have no unit).
        wavelet: the mother wavelet.
    """

    modality: Modality = "flair"
    bins: Annotated[int, Field(ge=2, le=4096)] = 32
    wavelet: str = "coif1"


def _original(settings: Li671Settings) -> FeatureSettings:
    levels = Discretisation(method="fbn", bin_count=settings.bins)
    return FeatureSettings(discretisation=levels, ivh=Discretisation(method="fbn", bin_count=1000))


def _bands(settings: Li671Settings) -> FeatureSettings:
    return FeatureSettings(
        discretisation=Discretisation(method="fbn", bin_count=settings.bins),
        families=("statistics", "glcm", "glrlm"),
        aggregations=("3d_merged",),
        images=(DerivedImage(kind="wavelet", wavelet_name=settings.wavelet),),
    )


def li671_names(settings: Li671Settings | None = None) -> list[str]:
    """The 671 names, in the order in which :func:`li671` gives them."""
    chosen = settings or Li671Settings()
    # Run lengths are averaged over directions in one way only: the two agree closely.
    original = [name for name in feature_names(_original(chosen)) if not _is_averaged_run_length(name)]
    return [*original, *feature_names(_bands(chosen))]


def li671(
    image: np.ndarray | None,
    mask: np.ndarray,
    *,
    spacing: tuple[float, float, float],
    settings: Li671Settings | None = None,
    device: torch.device | str = "cpu",
) -> Mapping[str, float]:
    """The 671 features of one region.

    Args:
        image: ``(X, Y, Z)``; None where the modality is missing, then every feature is NaN.
        mask: ``(X, Y, Z)``, the region.
        spacing: mm along each axis.
        settings: what the paper leaves open.
        device: where to count.

    Returns:
        Names and values; NaN for an empty mask, and where a definition leaves a value open.
    """
    chosen = settings or Li671Settings()
    names = li671_names(chosen)
    if image is None:
        return dict.fromkeys(names, float("nan"))
    values = {
        **compute_features(image, mask, spacing, _original(chosen), device=device),
        **compute_features(image, mask, spacing, _bands(chosen), device=device),
    }
    return {name: float(values[name]) for name in names}


def _is_averaged_run_length(name: str) -> bool:
    return name.startswith("glrlm") and name.endswith("3d_averaged")
