"""PyRadiomics' definitions, names and conventions (van Griethuysen et al. 2017, version 3), so that a study goes on.

What differs from IBSI, feature by feature, is in :func:`pyradiomics_differences_table`, computed by running both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.linalg import eigsh

from radlib.core.errors import RadlibError
from radlib.features import glcm, glrlm, level_size, neighbourhood, zones
from radlib.features.counts import Counts, nan_mean
from radlib.features.filters import ImageSource, derive, image_names
from radlib.features.intensity import spread
from radlib.features.mesh import area_and_volume, convex_hull, largest_distance, outline_length, surface_points
from radlib.features.morphology import axis_lengths
from radlib.features.processing import (
    Volume,
    discretise_pyradiomics,
    normalise,
    resample_pyradiomics,
    resegment,
)
from radlib.features.registry import FEATURES, PYRADIOMICS_CLASSES
from radlib.features.roi import Layout, Levels, bounding_box, grow
from radlib.features.settings import FeatureSettings

_SHAPE = [
    "MeshVolume", "VoxelVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity", "Maximum3DDiameter",
    "Maximum2DDiameterSlice", "Maximum2DDiameterColumn", "Maximum2DDiameterRow", "MajorAxisLength",
    "MinorAxisLength", "LeastAxisLength", "Elongation", "Flatness",
]  # fmt: skip
_SHAPE2D = [
    "MeshSurface", "PixelSurface", "Perimeter", "PerimeterSurfaceRatio", "Sphericity", "MaximumDiameter",
    "MajorAxisLength", "MinorAxisLength", "Elongation",
]  # fmt: skip
_FIRST_ORDER = {
    "10Percentile": "percentile_10",
    "90Percentile": "percentile_90",
    "InterquartileRange": "interquartile_range",
    "Maximum": "maximum",
    "MeanAbsoluteDeviation": "mean_absolute_deviation",
    "Mean": "mean",
    "Median": "median",
    "Minimum": "minimum",
    "Range": "range",
    "RobustMeanAbsoluteDeviation": "robust_mean_absolute_deviation",
    "Variance": "variance",
}
_FIRST_ORDER_OWN = ("Energy", "Entropy", "Kurtosis", "RootMeanSquared", "Skewness", "TotalEnergy", "Uniformity")
_OWN = {"glcm": "glcm", "glrlm": "glrlm", "glszm": "glszm", "ngtdm": "ngtdm", "ngldm": "gldm"}


def class_features(name: str) -> list[str]:
    """The features of one PyRadiomics class, without the class's name in front."""
    if name == "shape":
        return _SHAPE
    if name == "shape2D":
        return _SHAPE2D
    if name == "firstorder":
        return sorted([*_FIRST_ORDER, *_FIRST_ORDER_OWN])
    names = [_own_name(feature.pyradiomics) for feature in FEATURES if feature.pyradiomics.startswith(f"{name}_")]
    return sorted([*names, "MCC"] if name == "glcm" else names)


def _own_name(full: str) -> str:
    return full.split("_", 1)[1]


def classes(settings: FeatureSettings) -> tuple[str, ...]:
    """The classes that settings ask for; all but ``shape2D`` where they name none, as PyRadiomics does."""
    return settings.families or tuple(name for name in PYRADIOMICS_CLASSES if name != "shape2D")


def feature_names(settings: FeatureSettings) -> list[str]:
    """PyRadiomics' names, ``<image>_<class>_<feature>``; shape classes with the original image only."""
    names = []
    chosen = classes(settings)
    names += [f"original_{part}_{name}" for part in chosen if part.startswith("shape") for name in class_features(part)]
    for derived in settings.images:
        for prefix in image_names(derived, definitions="pyradiomics"):
            for part in chosen:
                if not part.startswith("shape"):
                    names += [f"{prefix}_{part}_{name}" for name in class_features(part)]
    return names


def settings_from_pyradiomics(
    setting: Mapping[str, Any],
    *,
    feature_classes: Sequence[str] | None = None,
) -> FeatureSettings:
    """Settings out of PyRadiomics' own ``setting`` and feature classes, for the original image; z is the last axis.

    Args:
        setting: PyRadiomics' settings; what does not bear on values (``label``, ``additionalInfo``) is passed over.
        feature_classes: classes to compute; PyRadiomics' default where None.

    Raises:
        RadlibError: for a setting that has no counterpart here, with its value.
    """
    values: dict[str, Any] = {"definitions": "pyradiomics"}
    given = {key: value for key, value in setting.items() if value is not None}
    for key, needed in (("distances", [1]), ("removeOutliers", None), ("symmetricalGLCM", True)):
        if key in given and given[key] != needed:
            raise RadlibError(
                f"PyRadiomics setting {key}={given[key]!r} has no counterpart here", remedy=f"use {key}={needed}"
            )
    if given.get("weightingNorm", "no_weighting") != "no_weighting":
        raise RadlibError(
            f"PyRadiomics setting weightingNorm={given['weightingNorm']!r} has no counterpart here",
            remedy="use no_weighting, or none",
        )
    values["merge_directions"] = "weightingNorm" in given
    if given.get("force2Ddimension", 0) != 0:
        raise RadlibError(
            "PyRadiomics setting force2Ddimension has no counterpart here", remedy="slices lie along the last axis"
        )
    values["in_plane"] = bool(given.get("force2D", False))
    if "binCount" in given:
        values["discretisation"] = {"method": "fbn", "bin_count": given["binCount"]}
    else:
        values["discretisation"] = {"method": "fbs", "bin_width": given.get("binWidth", 25)}
    if given.get("normalize"):
        values["normalise_scale"] = given.get("normalizeScale", 1)
    if "resampledPixelSpacing" in given and given.get("interpolator", "sitkBSpline"):
        kinds = {"sitkBSpline": "cubic", "sitkLinear": "linear", "sitkNearestNeighbor": "nearest"}
        kind = given.get("interpolator", "sitkBSpline")
        if kind not in kinds:
            raise RadlibError(f"interpolator {kind!r} has no counterpart here", remedy=f"use one of {', '.join(kinds)}")
        spacing = [float(step) or None for step in given["resampledPixelSpacing"]]
        values["resampling"] = {"spacing": spacing, "image": kinds[kind], "mask": "nearest"}
        values["resampling_pad"] = given.get("padDistance", 5)
    if "resegmentRange" in given:
        bounds = sorted(given["resegmentRange"])
        values["resegment"] = (bounds[0], bounds[1] if len(bounds) > 1 else None)
        values["resegment_mode"] = given.get("resegmentMode", "absolute")
    values["energy_shift"] = given.get("voxelArrayShift", 0)
    values["dependence_tolerance"] = given.get("gldm_a", 0)
    if given.get("preCrop"):
        values["crop_margin"] = given.get("padDistance", 5)
    values["families"] = tuple(feature_classes or ())
    return FeatureSettings.from_mapping(values)


def compute(
    image: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    settings: FeatureSettings,
    device: torch.device,
) -> dict[str, float]:
    """Values by PyRadiomics' names; what it has no value for (an empty region) is left out."""
    if settings.normalise_scale is not None:
        image = normalise(image, settings.normalise_scale)
    volume = Volume(image, mask, spacing)
    if settings.resampling is not None:
        volume = resample_pyradiomics(
            image, mask, spacing, settings.resampling, device=device, pad=settings.resampling_pad
        )
    box = bounding_box(volume.mask)
    if box is None:
        return {}
    if settings.crop_margin is not None:
        cut = grow(box, [settings.crop_margin] * 3, volume.mask.shape)
        volume = Volume(volume.image[cut], volume.mask[cut], volume.spacing)
        box = bounding_box(volume.mask)
        assert box is not None
    source = ImageSource(volume.image, volume.spacing, device)
    inside = torch.from_numpy(np.ascontiguousarray(volume.mask[box])).to(device)
    if settings.resegment is not None or settings.outlier_sigma is not None:
        inside = resegment(source.crop(box), inside, settings)
        if not bool(inside.any()):
            return {}
    chosen = classes(settings)
    values: dict[str, float] = {}
    if "shape" in chosen:
        values |= {f"original_shape_{key}": value for key, value in shape(inside, volume.spacing, settings).items()}
    if "shape2D" in chosen:
        flat = shape_2d(inside, volume.spacing, settings.slice_axis)
        values |= {f"original_shape2D_{key}": value for key, value in flat.items()}
    layout = Layout(inside, pad=settings.distance, slice_axis=settings.slice_axis)
    texture = [name for name in chosen if name not in ("shape", "shape2D", "firstorder")]
    for derived in settings.images if set(chosen) - {"shape", "shape2D"} else ():
        for name, part in derive(source, derived, box, definitions="pyradiomics"):
            x = part[inside]
            level, n_levels = discretise_pyradiomics(x, settings.discretisation)
            if "firstorder" in chosen:
                for key, value in first_order(x, level, math.prod(volume.spacing), settings.energy_shift).items():
                    values[f"{name}_firstorder_{key}"] = value
            found = _texture(Levels(layout, level, n_levels), texture, settings)
            values |= {f"{name}_{key}": value for key, value in found.items()}
    return values


def first_order(x: torch.Tensor, levels: torch.Tensor, voxel_volume: float, shift: float = 0.0) -> dict[str, float]:
    """The 18 first-order features: kurtosis is not in excess of 3; energies are of shifted intensities.

    Skewness and kurtosis of a constant region are 0.
    """
    common = spread(x)
    energy = float(((x + shift) ** 2).sum())
    counts = torch.bincount(levels)
    p = counts[counts > 0].to(torch.float64) / x.numel()
    flat = math.isnan(common["skewness"])
    return {own: common[name] for own, name in _FIRST_ORDER.items()} | {
        "Energy": energy,
        "TotalEnergy": energy * voxel_volume,
        "RootMeanSquared": math.sqrt(energy / x.numel()),
        "Entropy": float(-(p * torch.log2(p)).sum()) + 0.0,
        "Uniformity": float((p * p).sum()),
        "Skewness": 0.0 if flat else common["skewness"],
        "Kurtosis": 0.0 if flat else common["excess_kurtosis"] + 3,
    }


def shape(mask: torch.Tensor, spacing: Sequence[float], settings: FeatureSettings) -> dict[str, float]:
    """The 14 shape features; axis lengths divide by the number of voxels, not by one less."""
    area, volume = area_and_volume(mask, spacing, mirrored=True)
    hull = convex_hull(mask, spacing)
    axes = axis_lengths(mask, spacing, sample=False)
    planes = planar_diameters(mask, spacing)
    in_slice, rest = settings.slice_axis, [axis for axis in range(3) if axis != settings.slice_axis]
    return {
        "MeshVolume": volume,
        "VoxelVolume": int(mask.sum()) * math.prod(spacing),
        "SurfaceArea": area,
        "SurfaceVolumeRatio": area / volume,
        "Sphericity": (36 * math.pi * volume**2) ** (1 / 3) / area,
        "Maximum3DDiameter": largest_distance(hull.points[hull.vertices]),
        "Maximum2DDiameterSlice": planes[in_slice],
        "Maximum2DDiameterColumn": planes[rest[1]],
        "Maximum2DDiameterRow": planes[rest[0]],
        "MajorAxisLength": axes[0],
        "MinorAxisLength": axes[1],
        "LeastAxisLength": axes[2],
        "Elongation": axes[1] / axes[0] if axes[0] else math.nan,
        "Flatness": axes[2] / axes[0] if axes[0] else math.nan,
    }


def planar_diameters(mask: torch.Tensor, spacing: Sequence[float]) -> list[float]:
    """For each axis the largest distance between mesh vertices that lie in one plane across it, in mm."""
    points = np.concatenate(surface_points(mask))
    size = np.asarray(spacing, dtype=float)
    result = []
    for axis in range(3):
        order = np.argsort(points[:, axis], kind="stable")
        ordered = points[order]
        edges = np.flatnonzero(np.diff(ordered[:, axis])) + 1
        others = [other for other in range(3) if other != axis]
        planes = np.split(ordered[:, others] * size[others], edges)
        result.append(max(largest_distance(plane) for plane in planes))
    return result


def shape_2d(mask: torch.Tensor, spacing: Sequence[float], slice_axis: int) -> dict[str, float]:
    """The 9 features of a region that lies in one slice; NaN for any other region."""
    others = [axis for axis in range(3) if axis != slice_axis]
    if mask.shape[slice_axis] != 1:
        return dict.fromkeys(_SHAPE2D, math.nan)
    flat = mask.select(slice_axis, 0)
    size = [spacing[axis] for axis in others]
    perimeter, surface, vertices = outline_length(flat, size)
    axes = axis_lengths(mask, spacing, sample=False)
    return {
        "MeshSurface": surface,
        "PixelSurface": int(mask.sum()) * math.prod(size),
        "Perimeter": perimeter,
        "PerimeterSurfaceRatio": perimeter / surface,
        "Sphericity": 2 * math.sqrt(math.pi * surface) / perimeter,
        "MaximumDiameter": largest_distance(vertices),
        "MajorAxisLength": axes[0],
        "MinorAxisLength": axes[1],
        "Elongation": axes[1] / axes[0] if axes[0] else math.nan,
    }


def _texture(levels: Levels, wanted: Sequence[str], settings: FeatureSettings) -> dict[str, float]:
    found: dict[str, float] = {}
    in_plane = settings.in_plane

    def merge(counts: Counts, n_groups: int) -> Counts:
        group = torch.arange(counts.n_groups, device=counts.n.device) % n_groups
        return counts.regroup(group, n_groups)

    def add(family: str, values: Mapping[str, torch.Tensor]) -> None:
        for feature in FEATURES:
            if feature.family == family and feature.pyradiomics.startswith(f"{_OWN[family]}_"):
                found[feature.pyradiomics] = nan_mean(values[feature.name])

    def named(family: str, counts: Counts) -> dict[str, torch.Tensor]:
        names = [feature.name for feature in FEATURES if feature.family == family]
        return dict(zip(names, level_size.features(counts), strict=False))

    n_directions = 1 if settings.merge_directions else (4 if in_plane else 13)
    if "glcm" in wanted:
        counts = glcm.count(levels, distance=settings.distance, in_plane=in_plane)
        if in_plane or settings.merge_directions:
            counts = merge(counts, n_directions)
        values = glcm.features(counts, levels.n_levels)
        single = values["joint_variance"] == 0  # PyRadiomics' values for one grey level
        for name, fixed in (
            ("correlation", 1.0),
            ("information_correlation_1", 0.0),
            ("information_correlation_2", 0.0),
        ):
            values[name] = torch.where(single, fixed, values[name])
        add("glcm", values)
        found["glcm_MCC"] = nan_mean(maximal_correlation(counts))
    if "glrlm" in wanted:
        counts = glrlm.count(levels, in_plane=in_plane)
        if in_plane or settings.merge_directions:
            counts = merge(counts, n_directions)
        add("glrlm", named("glrlm", counts))
    if "glszm" in wanted:
        counts = zones.size_counts(zones.label(levels, in_plane=in_plane))
        add("glszm", named("glszm", merge(counts, 1) if in_plane else counts))
    if "ngtdm" in wanted:
        n, s = neighbourhood.tone_difference(levels, distance=settings.distance, in_plane=in_plane)
        tone = neighbourhood.tone_features(n.sum(0, keepdim=True), s.sum(0, keepdim=True))
        for name, fixed in (
            ("coarseness", 1e6),
            ("contrast", 0.0),
            ("busyness", 0.0),
            ("complexity", 0.0),
            ("strength", 0.0),
        ):
            tone[name] = torch.where(tone[name].isnan(), fixed, tone[name])
        add("ngtdm", tone)
    if "gldm" in wanted:
        counts = neighbourhood.dependence_counts(
            levels, distance=settings.distance, tolerance=settings.dependence_tolerance, in_plane=in_plane
        )
        add("ngldm", named("ngldm", merge(counts, 1) if in_plane else counts))
    return found


def maximal_correlation(counts: Counts, *, dense: int = 400) -> torch.Tensor:
    """Maximal correlation coefficient of each non-empty co-occurrence matrix; 1 for a single grey level.

    The second eigenvalue of Q is the square of the second singular value of the matrix scaled by the roots of its
    marginals, which is symmetric. Above ``dense`` grey levels it is found by Lanczos iteration on the sparse matrix.
    """
    counts = counts.occupied()
    levels, i = torch.unique(counts.i, return_inverse=True)
    j = torch.searchsorted(levels, counts.j)
    size, groups = levels.numel(), counts.n_groups
    if groups == 0:
        return torch.zeros(0, dtype=torch.float64)
    if size < 2:
        return torch.ones(groups, dtype=torch.float64)
    p = counts.n / counts.total()[counts.group]
    marginal = torch.bincount(counts.group * size + i, weights=p, minlength=groups * size)
    scaled = p / (marginal[counts.group * size + i] * marginal[counts.group * size + j]).sqrt()
    if size <= dense:
        matrix = torch.zeros((groups, size, size), dtype=torch.float64, device=p.device)
        matrix[counts.group, i, j] = scaled
        return torch.linalg.eigvalsh(matrix).abs().sort(dim=1).values[:, -2].clamp(max=1.0)
    result = []
    for number in range(groups):
        part = counts.group == number
        entries = (scaled[part].cpu().numpy(), (i[part].cpu().numpy(), j[part].cpu().numpy()))
        start = np.linspace(1, 2, size)  # fixed, so that the result is reproducible
        top = eigsh(coo_array(entries, shape=(size, size)).tocsr(), k=2, v0=start, return_eigenvectors=False)
        result.append(min(float(np.sort(np.abs(top))[0]), 1.0))
    return torch.tensor(result, dtype=torch.float64)
