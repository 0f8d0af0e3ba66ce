"""Intensity statistics (IBSI 3.3), histogram (3.4), intensity-volume histogram (3.5) and local intensity (3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from radlib.features.settings import Discretisation


def moments(x: torch.Tensor) -> dict[str, float]:
    """Mean, variance, skewness and excess kurtosis; the last two are NaN where the variance is zero."""
    mean = x.mean()
    centred = x - mean
    square = centred * centred
    variance = float(square.mean())
    flat = variance <= 1e-24 * float(mean) ** 2 or variance == 0
    skewness = math.nan if flat else float((square * centred).mean()) / variance**1.5
    kurtosis = math.nan if flat else float((square * square).mean()) / variance**2 - 3
    return {
        "mean": float(mean),
        "variance": 0.0 if flat else variance,
        "skewness": skewness,
        "excess_kurtosis": kurtosis,
    }


def quantiles(ordered: torch.Tensor, fractions: Sequence[float]) -> list[float]:
    """Linearly interpolated quantiles of ascending values."""
    result = []
    for fraction in fractions:
        position = fraction * (ordered.numel() - 1)
        low = math.floor(position)
        high = min(low + 1, ordered.numel() - 1)
        below, above = float(ordered[low]), float(ordered[high])
        result.append(below + (above - below) * (position - low))
    return result


def spread(x: torch.Tensor) -> dict[str, float]:
    """What statistics and histogram have in common, by name."""
    ordered = torch.sort(x).values
    p10, p25, median, p75, p90 = quantiles(ordered, (0.1, 0.25, 0.5, 0.75, 0.9))
    base = moments(x)
    mean = base["mean"]
    robust = x[(x >= p10) & (x <= p90)]
    minimum, maximum = float(ordered[0]), float(ordered[-1])
    return base | {
        "median": median,
        "minimum": minimum,
        "percentile_10": p10,
        "percentile_90": p90,
        "maximum": maximum,
        "interquartile_range": p75 - p25,
        "range": maximum - minimum,
        "mean_absolute_deviation": float((x - mean).abs().mean()),
        "robust_mean_absolute_deviation": float((robust - robust.mean()).abs().mean()) if robust.numel() else math.nan,
        "median_absolute_deviation": float((x - median).abs().mean()),
        "coefficient_of_variation": math.sqrt(base["variance"]) / mean if mean else math.nan,
        "quartile_coefficient_of_dispersion": (p75 - p25) / (p75 + p25) if p75 + p25 else math.nan,
    }


def statistics(x: torch.Tensor) -> dict[str, float]:
    """The 18 intensity statistics of a region's intensities (float64, at least one).

    NaN: skewness and kurtosis of a constant region, the coefficient of variation where the mean is zero, the
    quartile coefficient of dispersion where the quartiles add up to zero.
    """
    energy = float(x @ x)
    return spread(x) | {"energy": energy, "root_mean_square": math.sqrt(energy / x.numel())}


def histogram(levels: torch.Tensor, n_levels: int) -> dict[str, float]:
    """The 23 histogram features of grey levels (int64, 1 to ``n_levels``).

    The mode is the fullest bin, of several the one nearest the mean. The histogram gradient is by central differences
    over bins 1 to N_g, one-sided at both ends; NaN with one bin.
    """
    x = levels.to(torch.float64)
    values = spread(x)
    counts = torch.bincount(levels, minlength=n_levels + 1)[1:].to(torch.float64)
    p = counts[counts > 0] / x.numel()
    fullest = (counts == counts.max()).nonzero().squeeze(1).to(torch.float64) + 1
    values["mode"] = float(fullest[(fullest - values["mean"]).abs().argmin()])
    values["entropy"] = float(-(p * torch.log2(p)).sum()) + 0.0
    values["uniformity"] = float((p * p).sum())
    if n_levels > 1:
        slope = torch.gradient(counts)[0]
        values["maximum_histogram_gradient"] = float(slope.max())
        values["maximum_histogram_gradient_intensity"] = float(slope.argmax()) + 1
        values["minimum_histogram_gradient"] = float(slope.min())
        values["minimum_histogram_gradient_intensity"] = float(slope.argmin()) + 1
    else:
        for end in ("maximum", "minimum"):
            values[f"{end}_histogram_gradient"] = math.nan
            values[f"{end}_histogram_gradient_intensity"] = math.nan
    return values


def intensity_volume_histogram(
    x: torch.Tensor,
    settings: Discretisation,
    *,
    lower: float | None = None,
    upper: float | None = None,
) -> dict[str, float]:
    """Volume fractions at intensities and intensities at volume fractions (IBSI 3.5).

    Args:
        x: intensities of the region (float64).
        settings: ``none`` for steps of one unit, ``fbs`` for steps of the bin width (a bin stands for its centre),
            ``fbn`` for that number of bins (a bin stands for its number).
        lower, upper: bounds of the re-segmentation range where there are any.

    The area under the curve (not standardised by IBSI) is by the trapezoid rule over intensity fraction. A region
    with a single intensity has no intensity fraction: its fractions and area are NaN.
    """
    low = float(x.min()) if lower is None else lower
    high = float(x.max()) if upper is None else upper
    if settings.method == "fbn":
        span = float(x.max()) - float(x.min())
        scaled = (x - x.min()) / span * settings.bin_count if span else torch.zeros_like(x)
        bins = scaled.floor().clamp(max=settings.bin_count - 1)
        n_bins, start, step = settings.bin_count, 1.0, 1.0
    else:
        step = settings.bin_width if settings.method == "fbs" else 1.0
        bins = ((x - low) / step + 1e-9).floor()
        n_bins = math.floor((high - low) / step + 1e-9) + 1
        if settings.method == "fbs":
            n_bins = max(math.ceil((high - low) / step - 1e-9), 1)
            bins = bins.clamp(max=n_bins - 1)
        start = low + (step / 2 if settings.method == "fbs" else 0.0)
    if n_bins > 10_000_000:
        bins, n_bins = (bins / (n_bins / 1_000_000)).floor(), 1_000_000
        step = (high - low) / 1_000_000
    counts = torch.bincount(bins.to(torch.int64), minlength=n_bins).to(torch.float64)
    fraction = 1 - (torch.cumsum(counts, 0) - counts) / x.numel()
    intensity = start + step * torch.arange(n_bins, dtype=torch.float64, device=x.device)
    relative = (intensity - intensity[0]) / (intensity[-1] - intensity[0])

    def volume_at(share: float) -> float:
        if n_bins == 1:
            return math.nan
        return float(fraction[relative >= share - 1e-12][0])

    def intensity_at(share: float) -> float:
        reached = (fraction <= share + 1e-12).nonzero()
        return float(intensity[reached[0, 0]]) if reached.numel() else float(intensity[-1]) + step

    v10, v90, i10, i90 = volume_at(0.1), volume_at(0.9), intensity_at(0.1), intensity_at(0.9)
    return {
        "volume_fraction_at_10_intensity": v10,
        "volume_fraction_at_90_intensity": v90,
        "intensity_at_10_volume": i10,
        "intensity_at_90_volume": i90,
        "volume_fraction_difference_10_90": v10 - v90,
        "intensity_difference_10_90": i10 - i90,
        "area_under_curve": float(torch.trapezoid(fraction, relative)) if n_bins > 1 else math.nan,
    }


PEAK_RADIUS_MM = (3 / (4 * math.pi) * 1000) ** (1 / 3)  # of a sphere of 1 cm^3


def peaks(image: torch.Tensor, inside: torch.Tensor, spacing: Sequence[float]) -> dict[str, float]:
    """Local and global intensity peak (IBSI 3.2): mean intensity in a sphere of 1 cm^3.

    Args:
        image: intensities of the region's box with a margin of the sphere's radius where the image has it.
        inside: the intensity mask in that box.
        spacing: voxel size in mm.

    The sphere takes every voxel of the image whose centre is within 6.2 mm, in the region or not. Local: around the
    brightest voxel (the highest mean where several are). Global: the highest mean around any voxel of the region.
    """
    reach = [int(PEAK_RADIUS_MM / size) for size in spacing]
    sums, voxels = torch.zeros_like(image), torch.zeros_like(image)
    depth = image.shape[2]
    running = torch.nn.functional.pad(image.cumsum(2), (1, 0))
    start = torch.arange(depth, device=image.device)
    for dx in range(-reach[0], reach[0] + 1):
        for dy in range(-reach[1], reach[1] + 1):
            left = PEAK_RADIUS_MM**2 - (dx * spacing[0]) ** 2 - (dy * spacing[1]) ** 2
            if left < 0 or abs(dx) >= image.shape[0] or abs(dy) >= image.shape[1]:
                continue
            half = int(math.sqrt(left) / spacing[2] + 1e-9)
            high, low = (start + half + 1).clamp(max=depth), (start - half).clamp(min=0)
            column = running[..., high] - running[..., low]
            target = (_to(dx, image.shape[0]), _to(dy, image.shape[1]))
            source = (_from(dx, image.shape[0]), _from(dy, image.shape[1]))
            sums[target] += column[source]
            voxels[target] += (high - low).to(image.dtype)
    means = (sums / voxels)[inside]
    values = image[inside]
    return {
        "local_intensity_peak": float(means[values == values.max()].max()),
        "global_intensity_peak": float(means.max()),
    }


def _to(shift: int, size: int) -> slice:
    return slice(max(-shift, 0), size - max(shift, 0))


def _from(shift: int, size: int) -> slice:
    return slice(max(shift, 0), size - max(-shift, 0))
