"""From image and mask to regions ready for counting: the image processing scheme of IBSI, chapter 2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from radlib.core.errors import RadlibError
from radlib.features.roi import Box, bounding_box, grow
from radlib.features.separable import apply_axes, interpolation_matrix, support
from radlib.features.settings import Discretisation, FeatureSettings, Resampling


@dataclass(frozen=True)
class Volume:
    """An image and a mask on one grid, after interpolation.

    Attributes:
        image: intensities, 3-D.
        mask: the morphological mask, bool, of the same shape.
        spacing: voxel size in mm along each array axis.
    """

    image: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]


def resample(
    image: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    settings: Resampling,
    *,
    device: torch.device,
    whole: bool = False,
    margin_mm: float = 0.0,
) -> Volume:
    """Image and mask on a new grid that is aligned with the old one by the centres (IBSI 2.4).

    The new grid has ``ceil(n s / s')`` voxels along an axis. A voxel belongs to the new mask where the interpolated
    mask reaches the threshold. Only the part around the mask is computed.

    Args:
        image, mask, spacing: the old grid.
        settings: new spacing and interpolations.
        device: where to compute.
        whole: compute the whole grid.
        margin_mm: else, how much around the mask's box.
    """
    new = tuple(old if wanted is None else float(wanted) for old, wanted in zip(spacing, settings.spacing, strict=True))
    box = bounding_box(mask)
    if box is None or whole:
        box = (slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2]))
    positions = []
    for size, old, step, part in zip(image.shape, spacing, new, box, strict=True):
        count = math.ceil(size * old / step - 1e-9)
        at = ((size - 1) * old / 2 - (count - 1) * step / 2 + np.arange(count) * step) / old
        if not whole:
            reach = 1 + (margin_mm + step) / old
            at = at[(at >= part.start - reach) & (at <= part.stop - 1 + reach)]
        positions.append(at)
    return _on_grid(image, mask, (new[0], new[1], new[2]), positions, settings, device=device)


def resample_pyradiomics(
    image: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    settings: Resampling,
    *,
    device: torch.device,
    pad: int = 5,
) -> Volume:
    """Image and mask on PyRadiomics' grid: aligned at the image's first corner, cut to the mask's box and ``pad``.

    An axis along which the mask is one voxel wide keeps its spacing. Intensities of integer images are truncated to
    integers, as ITK casts them; beyond the image they are zero.
    """
    box = bounding_box(mask)
    if box is None:
        return Volume(image, mask, spacing)
    new, positions = [], []
    for size, old, wanted, part in zip(image.shape, spacing, settings.spacing, box, strict=True):
        step = old if wanted is None or part.stop - part.start == 1 else float(wanted)
        new.append(step)
        ratio = old / step
        first = max(math.floor((part.start - 0.5) * ratio - pad), 0)
        last = min(math.ceil((part.stop - 0.5) * ratio + pad), math.ceil(size * ratio) - 1)
        positions.append(0.5 * (step - old) / old + np.arange(first, last + 1) / ratio)
    if np.allclose(spacing, new):
        cut = grow(box, (pad, pad, pad), image.shape)
        return Volume(image[cut], mask[cut], spacing)
    return _on_grid(image, mask, (new[0], new[1], new[2]), positions, settings, device=device, outside="zero")


def _on_grid(
    image: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    positions: Sequence[np.ndarray],
    settings: Resampling,
    *,
    device: torch.device,
    outside: str = "edge",
) -> Volume:
    parts = []
    for array, order in ((image, settings.image), (mask, settings.mask)):
        matrices = [
            interpolation_matrix(size, at, order, outside=outside)
            for size, at in zip(array.shape, positions, strict=True)
        ]
        needed = [support([matrix], tolerance=1e-17) for matrix in matrices]
        cut = np.ascontiguousarray(array[tuple(needed)])
        values = torch.from_numpy(cut).to(device).to(torch.float64)
        if not bool(torch.isfinite(values).all()):
            raise RadlibError(
                "the image holds NaN or infinite values where it is interpolated",
                remedy="mend the image, for example with numpy.nan_to_num",
            )
        narrow = [matrix[:, part] for matrix, part in zip(matrices, needed, strict=True)]
        parts.append(apply_axes(values, narrow).cpu().numpy())
    new_image, new_mask = parts
    if outside == "zero" and image.dtype.kind in "iu":
        new_image = np.trunc(new_image)
    return Volume(new_image, new_mask >= settings.mask_threshold - 1e-6, spacing)


def resegment(values: torch.Tensor, inside: torch.Tensor, settings: FeatureSettings) -> torch.Tensor:
    """The intensity mask: voxels of ``inside`` within the intensity range and without outliers (IBSI 2.5).

    The outlier range is mean plus and minus ``outlier_sigma`` population standard deviations of what the intensity
    range has left.
    """
    if settings.resegment is not None and bool(inside.any()):
        low, high = settings.resegment
        region = values[inside]
        if settings.resegment_mode == "relative":
            top = float(region.max())
            low, high = (None if bound is None else bound * top for bound in (low, high))
        elif settings.resegment_mode == "sigma":
            mean, deviation = float(region.mean()), float(region.std(correction=0))
            low, high = (None if bound is None else mean + bound * deviation for bound in (low, high))
        if low is not None:
            inside = inside & (values >= low)
        if high is not None:
            inside = inside & (values <= high)
    if settings.outlier_sigma is not None and bool(inside.any()):
        region = values[inside]
        mean, deviation = float(region.mean()), float(region.std(correction=0))
        inside = inside & ((values - mean).abs() <= settings.outlier_sigma * deviation)
    return inside


def discretise(x: torch.Tensor, settings: Discretisation, *, lower: float | None = None) -> tuple[torch.Tensor, int]:
    """Grey levels 1 to N_g of a region's intensities (IBSI 2.7): int64 levels and N_g.

    Args:
        x: intensities of the region, at least one.
        settings: method, bin width, bin number.
        lower: where the bins start for ``fbs``; the region's minimum where None.

    N_g is the highest level that occurs for ``fbs`` and ``none``, and ``bin_count`` for ``fbn`` (1 for a constant
    region).

    Raises:
        RadlibError: ``none`` with intensities that are not positive integers; more than a million levels.
    """
    low, high = float(x.min()), float(x.max())
    if settings.method == "none":
        if low < 1 or not bool((x == x.round()).all()):
            raise RadlibError(
                f"discretisation 'none' needs grey levels 1, 2, ..., and the region has {low:g} to {high:g}",
                remedy="choose discretisation fbs or fbn",
            )
        levels = x.to(torch.int64)
    elif settings.method == "fbs":
        start = low if lower is None else lower
        _check_levels((high - start) / settings.bin_width, settings)
        levels = ((x - start) / settings.bin_width).floor().to(torch.int64) + 1
    else:
        if high == low:
            return torch.ones(x.shape, dtype=torch.int64, device=x.device), 1
        levels = (settings.bin_count * (x - low) / (high - low)).floor().to(torch.int64) + 1
        return levels.clamp(max=settings.bin_count), settings.bin_count
    n_levels = int(levels.max())
    _check_levels(n_levels, settings)
    return levels, n_levels


def discretise_pyradiomics(x: torch.Tensor, settings: Discretisation) -> tuple[torch.Tensor, int]:
    """PyRadiomics' grey levels: bins of fixed width on multiples of the width, or NumPy's histogram bins."""
    low, high = float(x.min()), float(x.max())
    if settings.method == "fbn":
        edges = np.histogram_bin_edges(x[:0].cpu().numpy(), settings.bin_count, range=(low, high))
        edges[-1] += 1
    else:
        width = settings.bin_width
        _check_levels((high - low) / width, settings)
        edges = np.arange(low - (low % width), high + 2 * width, width)
        if len(edges) == 1:
            edges = np.array([edges[0] - 0.5, edges[0] + 0.5])
    where = torch.from_numpy(edges).to(x.device)
    levels = torch.bucketize(x, where, right=True)
    return levels, int(levels.max())


def normalise(image: np.ndarray, scale: float) -> np.ndarray:
    """The image as z-scores (sample standard deviation) times ``scale``; zero everywhere where it is constant."""
    values = image.astype(np.float64)
    deviation = values.std(ddof=1) if values.size > 1 else 0.0
    return (values - values.mean()) * (scale / deviation) if deviation > 0 else np.zeros_like(values)


def _check_levels(number: float, settings: Discretisation) -> None:
    if number > 1_000_000:
        raise RadlibError(
            f"bins of {settings.bin_width:g} give {number:.0f} grey levels, more than a million",
            remedy="choose a larger bin width, or discretisation fbn",
        )


def whole_box(box: Box, margin_mm: float, spacing: Sequence[float], shape: Sequence[int]) -> Box:
    """The box with a margin in mm around it, inside the image."""
    return grow(box, [math.ceil(margin_mm / step) for step in spacing], shape)
