"""The 71 features of Islam 2020 (section II.C.1): geometry, shape and intensity of the segmented tumour.

For each of necrosis, tumour core and whole tumour: coordinates of the three principal axes (9), their lengths (3),
centroid (3), eigenvalues (3), meridional and equatorial eccentricity (2), which makes 60; the box-counting fractal
dimension of enhancing tumour and necrosis, 2; kurtosis, entropy and a histogram feature for each region, 9.

What the paper leaves open is a field of :class:`Islam71Settings`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from radlib.core.errors import RadlibError
from radlib.core.models import Strict
from radlib.data.decode import no_background
from radlib.features.boxcount import box_count

#: Labels of the regions whose geometry and intensity are measured.
REGIONS: dict[str, tuple[int, ...]] = {"necrosis": (1,), "tc": (1, 4), "wt": (1, 2, 4)}
#: Labels of the regions whose fractal dimension is measured.
FRACTAL_REGIONS: dict[str, tuple[int, ...]] = {"et": (4,), "necrosis": (1,)}


class Islam71Settings(Strict):
    """Choices that the paper does not state.

    Attributes:
        modality: the image whose intensities are described (the text says only "inside MRI").
        axis_coordinates: ``direction``: the unit vector of an axis; ``tip``: the end of the axis relative to the
            centroid, in mm.
        histogram: ``mode``: the intensity of the fullest bin; ``peak``: the share of voxels in that bin.
        bins: bins of the histogram and of the entropy, over the region's range.
    """

    modality: Literal["t1", "t1ce", "t2", "flair"] = "t1ce"
    axis_coordinates: Literal["direction", "tip"] = "direction"
    histogram: Literal["mode", "peak"] = "mode"
    bins: Annotated[int, Field(ge=2, le=4096)] = 32


def feature_names() -> list[str]:
    """The 71 names, in the order in which :func:`islam71` gives them."""
    names = []
    for region in REGIONS:
        names += [f"{region}_axis{axis}_{coordinate}" for axis in (1, 2, 3) for coordinate in "xyz"]
        names += [f"{region}_axis{axis}_length" for axis in (1, 2, 3)]
        names += [f"{region}_centroid_{coordinate}" for coordinate in "xyz"]
        names += [f"{region}_eigenvalue{axis}" for axis in (1, 2, 3)]
        names += [f"{region}_meridional_eccentricity", f"{region}_equatorial_eccentricity"]
    names += [f"{region}_fractal_dimension" for region in FRACTAL_REGIONS]
    names += [f"{region}_{what}" for region in REGIONS for what in ("kurtosis", "entropy", "histogram")]
    return names


def islam71(
    image: np.ndarray | None,
    labels: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    settings: Islam71Settings | None = None,
) -> dict[str, float]:
    """The 71 features of one subject.

    Args:
        image: ``(X, Y, Z)``, intensities of the modality of the settings, 0 outside the brain; they are z-scored over
            the brain before they are described. None where the modality is missing: the nine intensity features are
            NaN then.
        labels: ``(X, Y, Z)``, BraTS labels 0, 1, 2, 4.
        spacing: voxel edges in mm; centroids and axes are in mm, eigenvalues in mm².
        settings: what the paper leaves open.

    Returns:
        Names and values. A feature of an empty region is NaN, as is one that a region is too small for: the direction
        of an axis without length, an eccentricity of a single voxel, the kurtosis and entropy of a constant region.

    Raises:
        RadlibError: if the shapes differ, the image has NaN or infinite voxels inside the tumour, or nothing is 0
            around a head.
    """
    settings = settings or Islam71Settings()
    if image is not None and image.shape != labels.shape:
        raise RadlibError(f"the image is {image.shape} and the labels are {labels.shape}")
    if image is not None and (problem := no_background(image, spacing)):
        raise RadlibError(f"the image {problem}", remedy="strip the skull, or take a preset that needs no brain")
    values: dict[str, float] = {}
    labels = np.ascontiguousarray(labels)  # picking voxels in the order of files takes four times as long
    scaled = None if image is None else _z_score(np.ascontiguousarray(image), labels)
    for region, wanted in REGIONS.items():
        mask = np.isin(labels, wanted)
        inside = np.empty(0) if scaled is None else scaled[mask]
        found = _geometry(mask, spacing=spacing, settings=settings) | _intensity(inside, settings=settings)
        values |= {f"{region}_{name}": value for name, value in found.items()}
    for region, wanted in FRACTAL_REGIONS.items():
        values[f"{region}_fractal_dimension"] = box_count(np.isin(labels, wanted), spacing=spacing).dimension
    return {name: values[name] for name in feature_names()}


def _geometry(mask: np.ndarray, *, spacing: tuple[float, float, float], settings: Islam71Settings) -> dict[str, float]:
    nan = float("nan")
    voxels = np.argwhere(mask) * np.asarray(spacing, dtype=np.float64)
    axes, eigenvalues, centroid = np.full((3, 3), nan), np.full(3, nan), np.full(3, nan)
    if len(voxels):
        centroid = voxels.mean(axis=0)
        # Population covariance, ascending eigenvalues: the first axis is the longest.
        spectrum, vectors = np.linalg.eigh(np.cov(voxels, rowvar=False, bias=True).reshape(3, 3))
        eigenvalues = spectrum[::-1].clip(min=0)
        eigenvalues[eigenvalues < 1e-9] = 0
        axes = vectors[:, ::-1].T.copy()
        # An axis has no sign of its own: its largest component is made positive.
        axes *= np.sign(axes[np.arange(3), np.abs(axes).argmax(axis=1)])[:, None]
        axes[eigenvalues == 0] = nan
    lengths = 4 * np.sqrt(eigenvalues)
    coordinates = axes * (lengths / 2)[:, None] if settings.axis_coordinates == "tip" else axes
    found = {
        f"axis{axis + 1}_{name}": coordinates[axis, place] for axis in range(3) for place, name in enumerate("xyz")
    }
    found |= {f"axis{axis + 1}_length": lengths[axis] for axis in range(3)}
    found |= {f"centroid_{name}": centroid[place] for place, name in enumerate("xyz")}
    found |= {f"eigenvalue{axis + 1}": eigenvalues[axis] for axis in range(3)}
    # The polar axis is the shortest: the meridian holds the longest and the shortest, the equator the other two.
    longest, middle, shortest = eigenvalues
    found["meridional_eccentricity"] = np.sqrt(1 - shortest / longest) if longest > 0 else nan
    found["equatorial_eccentricity"] = np.sqrt(1 - middle / longest) if longest > 0 else nan
    return {name: float(value) for name, value in found.items()}


def _intensity(values: np.ndarray, *, settings: Islam71Settings) -> dict[str, float]:
    nan = float("nan")
    if len(values) < 2 or np.ptp(values) == 0:
        return {"kurtosis": nan, "entropy": nan, "histogram": nan}
    centred = values - values.mean()
    counts, edges = np.histogram(values, bins=settings.bins)
    share = counts / counts.sum()
    fullest = int(counts.argmax())
    return {
        "kurtosis": float((centred**4).mean() / (centred**2).mean() ** 2 - 3),
        "entropy": float(-(share[share > 0] * np.log2(share[share > 0])).sum()),
        "histogram": float(edges[fullest : fullest + 2].mean())
        if settings.histogram == "mode"
        else float(share[fullest]),
    }


def _z_score(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    brain = image != 0
    if not np.isfinite(image[brain | (labels > 0)]).all():
        raise RadlibError("the image has NaN or infinite voxels", remedy="see `radlib data check`")
    inside = image[brain]
    spread = inside.std() if inside.size else 0.0
    return (image - inside.mean()) / spread if spread > 0 else np.zeros_like(image, dtype=np.float64)
