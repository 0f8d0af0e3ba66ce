"""The one call that computes features: image and mask in, named values out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch

from radlib.core.errors import RadlibError
from radlib.features import glcm, glrlm, intensity, level_size, morphology, neighbourhood, pyradiomics, zones
from radlib.features.counts import Counts, nan_mean
from radlib.features.filters import ImageSource, derive, image_names
from radlib.features.processing import (
    Volume,
    discretise,
    normalise,
    resample,
    resegment,
    whole_box,
)
from radlib.features.registry import IBSI_FAMILIES, aggregations_of, family_features, family_keys
from radlib.features.roi import Layout, Levels, as_volume, bounding_box, check_spacing, within
from radlib.features.settings import FeatureSettings

REGION_ONLY = ("morphology",)  # taken from the original image only


def compute_features(
    image: Any,
    mask: Any,
    spacing: Sequence[float],
    settings: FeatureSettings | None = None,
    *,
    families: Iterable[str] | None = None,
    device: torch.device | str = "cpu",
) -> pd.Series:
    """Radiomic features of one region of one image.

    Args:
        image: intensities, 3-D array or tensor, any numeric type.
        mask: the region, same shape; non-zero is inside.
        spacing: voxel size in mm along each array axis.
        settings: what to compute and how; the defaults where None.
        families: compute these families instead of the settings' own.
        device: where to count, ``cpu`` or a GPU. Everything is accumulated in float64.

    Returns:
        Float64 values indexed by :func:`feature_names`, always all of them. An empty mask gives NaN for every
        feature; so does a mask that re-segmentation or resampling empties, except for the morphology of the
        outline where there is one. Values that a definition leaves open for a region (skewness of a constant one,
        texture of a single voxel) are NaN, see the functions of each family; under PyRadiomics definitions they are
        what PyRadiomics returns.

    Raises:
        RadlibError: for shapes that differ, a spacing that is not positive, NaN or infinite intensities in the
            region or where a filter looks, grey levels beyond a million.
    """
    settings = settings or FeatureSettings()
    if families is not None:
        settings = FeatureSettings.from_mapping(settings.model_dump() | {"families": tuple(families)})
    target = torch.device(device)
    intensities, region = as_volume(image, "image"), as_volume(mask, "mask")
    size = check_spacing(spacing)
    if intensities.shape != region.shape:
        raise RadlibError(
            f"the image has shape {intensities.shape} and the mask {region.shape}",
            remedy="resample the mask to the image's grid",
        )
    if region.dtype.kind == "f" and not np.isfinite(region).all():
        raise RadlibError("the mask holds NaN or infinite values", remedy="give a mask of zeros and ones")
    region = region if region.dtype == bool else region != 0
    with torch.no_grad(), _one_thread(target):
        if settings.definitions == "pyradiomics":
            values = pyradiomics.compute(intensities, region, size, settings, target)
        else:
            values = _compute_ibsi(intensities, region, size, settings, target)
    names = feature_names(settings)
    return pd.Series([values.get(name, math.nan) for name in names], index=names, dtype=float)


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """One torch thread on the CPU: the tensors are too small to share, and waiting for threads costs several times
    the work. Cohorts are spread over processes instead."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def feature_names(settings: FeatureSettings) -> list[str]:
    """The names of every feature that these settings give, in order.

    Original image: ``<family>_<feature>[_<aggregation>]``; derived images have their name in front
    (``wavelet-llh_glcm_contrast_3d_averaged``). Under PyRadiomics definitions its own names.
    """
    if settings.definitions == "pyradiomics":
        return pyradiomics.feature_names(settings)
    chosen = settings.families or IBSI_FAMILIES
    names: list[str] = []
    for derived in settings.images:
        for prefix in image_names(derived):
            families = [name for name in chosen if prefix == "" or name not in REGION_ONLY]
            keys = family_keys(families, settings.aggregations)
            names += [f"{prefix}_{key}" if prefix else key for key in keys]
    return names


def _compute_ibsi(
    image: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    settings: FeatureSettings,
    device: torch.device,
) -> dict[str, float]:
    families = settings.families or IBSI_FAMILIES
    margin_mm = intensity.PEAK_RADIUS_MM if "local_intensity" in families else 0.0
    if settings.normalise_scale is not None:
        image = normalise(image, settings.normalise_scale)
    derived_too = any(item.kind != "original" for item in settings.images)
    volume = Volume(image, mask, spacing)
    if settings.resampling is not None:
        volume = resample(
            image,
            mask,
            spacing,
            settings.resampling,
            device=device,
            whole=derived_too,
            margin_mm=margin_mm,
        )
    if settings.round_intensities:
        volume = Volume(np.round(volume.image), volume.mask, volume.spacing)
    box = bounding_box(volume.mask)
    if box is None:
        return {}
    wide = whole_box(box, margin_mm, volume.spacing, volume.image.shape)
    inner = within(box, wide)
    source = ImageSource(volume.image, volume.spacing, device)
    outline = torch.from_numpy(np.ascontiguousarray(volume.mask[box])).to(device)
    inside = resegment(source.crop(box), outline, settings)
    layout = Layout(inside, pad=settings.distance, slice_axis=settings.slice_axis)
    values: dict[str, float] = {}
    for derived in settings.images:
        for name, wide_values in derive(source, derived, wide):
            original = derived.kind == "original"
            found: dict[str, float] = {}
            part = wide_values[inner]
            if original and "morphology" in families:
                shape = morphology.features(part, outline, inside, volume.spacing)
                found |= {f"morphology_{key}": value for key, value in shape.items()}
            if layout.n_voxels:
                bounds: tuple[float | None, float | None] = (None, None)
                if original and settings.resegment is not None and settings.resegment_mode == "absolute":
                    bounds = settings.resegment
                if "local_intensity" in families:
                    all_inside = torch.zeros(wide_values.shape, dtype=torch.bool, device=device)
                    all_inside[inner] = inside
                    peaks = intensity.peaks(wide_values, all_inside, volume.spacing)
                    found |= {f"local_intensity_{key}": value for key, value in peaks.items()}
                found |= _region_features(part[inside], layout, outline, bounds, families, settings)
            prefix = f"{name}_" if name else ""
            values |= {prefix + key: value for key, value in found.items()}
    return values


def _region_features(
    x: torch.Tensor,
    layout: Layout,
    outline: torch.Tensor,
    bounds: tuple[float | None, float | None],
    families: Sequence[str],
    settings: FeatureSettings,
) -> dict[str, float]:
    """Every family that looks at the region's intensities only."""
    found: dict[str, float] = {}

    def add(family: str, values: dict[str, float]) -> None:
        found.update({f"{family}_{key}": value for key, value in values.items()})

    if "statistics" in families:
        add("statistics", intensity.statistics(x))
    if "ivh" in families:
        add(
            "ivh",
            intensity.intensity_volume_histogram(x, settings.ivh, lower=bounds[0], upper=bounds[1]),
        )
    if set(families) <= {"morphology", "local_intensity", "statistics", "ivh"}:
        return found
    level, n_levels = discretise(x, settings.discretisation, lower=bounds[0])
    if "histogram" in families:
        add("histogram", intensity.histogram(level, n_levels))
    levels = Levels(layout, level, n_levels)
    found |= _texture(levels, outline, families, settings)
    return found


def _texture(
    levels: Levels, outline: torch.Tensor, families: Sequence[str], settings: FeatureSettings
) -> dict[str, float]:
    found: dict[str, float] = {}
    for in_plane in (True, False):
        wanted = [name for name in settings.aggregations if name.startswith("2") == in_plane]
        if not wanted:
            continue
        for family in ("glcm", "glrlm"):
            names = [name for name in wanted if name in aggregations_of(family)]
            if family not in families or not names:
                continue
            if family == "glcm":
                counts = glcm.count(levels, distance=settings.distance, in_plane=in_plane)
            else:
                counts = glrlm.count(levels, in_plane=in_plane)
            for name in names:
                merged = _aggregate(counts, name)
                if family == "glcm":
                    values = glcm.features(merged, levels.n_levels)
                else:
                    values = _named(family, level_size.features(merged))
                found |= {f"{family}_{key}_{name}": nan_mean(value) for key, value in values.items()}
        names = [name for name in wanted if name in ("2d", "2_5d", "3d")]
        if names:
            for key, value in _zone_texture(levels, outline, families, names, settings, in_plane).items():
                found[key] = value
    return found


def _aggregate(counts: Counts, name: str) -> Counts:
    """Merge direction- and slice-wise matrices as an aggregation asks (groups are ``slice * D + direction``)."""
    n_directions = 4 if name.startswith("2") else 13
    n_slices = counts.n_groups // n_directions
    group = torch.arange(counts.n_groups, device=counts.n.device)
    if name in ("2d_averaged", "3d_averaged"):
        return counts
    if name == "2d_merged":
        return counts.regroup(torch.div(group, n_directions, rounding_mode="floor"), n_slices)
    if name == "2_5d_direction_merged":
        return counts.regroup(group % n_directions, n_directions)
    return counts.regroup(torch.zeros_like(group), 1)


def _named(family: str, values: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    names = [feature.name for feature in family_features(family)]
    return dict(zip(names, values, strict=False))


def _zone_texture(
    levels: Levels,
    outline: torch.Tensor,
    families: Sequence[str],
    names: Sequence[str],
    settings: FeatureSettings,
    in_plane: bool,
) -> dict[str, float]:
    found: dict[str, float] = {}
    matrices: dict[str, Counts] = {}
    if "glszm" in families or "gldzm" in families:
        parts = zones.label(levels, in_plane=in_plane)
        if "glszm" in families:
            matrices["glszm"] = zones.size_counts(parts)
        if "gldzm" in families:
            distance = zones.border_distance(levels.layout, outline, in_plane=in_plane)
            matrices["gldzm"] = zones.distance_counts(parts, distance)
    if "ngldm" in families:
        matrices["ngldm"] = neighbourhood.dependence_counts(
            levels,
            distance=settings.distance,
            tolerance=settings.dependence_tolerance,
            in_plane=in_plane,
        )
    for name in names:
        for family, counts in matrices.items():
            if name == "2_5d":
                counts = counts.regroup(torch.zeros(counts.n_groups, dtype=torch.int64, device=counts.n.device), 1)
            values = _named(family, level_size.features(counts))
            found |= {f"{family}_{key}_{name}": nan_mean(value) for key, value in values.items()}
    if "ngtdm" in families:
        n, s = neighbourhood.tone_difference(levels, distance=settings.distance, in_plane=in_plane)
        for name in names:
            rows = (n.sum(0, keepdim=True), s.sum(0, keepdim=True)) if name == "2_5d" else (n, s)
            tone = neighbourhood.tone_features(*rows)
            found |= {f"ngtdm_{key}_{name}": nan_mean(value) for key, value in tone.items()}
    return found
