"""Morphological features (IBSI 3.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError

from radlib.features.mesh import area_and_volume, convex_hull, largest_distance


def features(
    image: torch.Tensor,
    outline: torch.Tensor,
    inside: torch.Tensor,
    spacing: Sequence[float],
    *,
    boxes: bool = True,
) -> dict[str, float]:
    """The 29 morphological features.

    Args:
        image: intensities in the box of the region (float64).
        outline: the morphological mask in that box (not empty).
        inside: the intensity mask; where it is empty, what needs intensities is NaN.
        spacing: voxel size in mm.
        boxes: compute the oriented bounding box and the enclosing ellipsoid too (not standardised by IBSI); they
            take the time of hundreds of small convex hulls.

    A region of one voxel, or flat along an axis, has axis lengths of zero there; ratios to a zero length are NaN,
    and so are the densities of an ellipsoid without volume. Moran's and Geary's measures of a constant region or of
    a single voxel are NaN.
    """
    area, volume = area_and_volume(outline, spacing)
    size = np.asarray(spacing, dtype=float)
    hull = convex_hull(outline, spacing)
    corners = hull.points[hull.vertices]
    extent = corners.max(axis=0) - corners.min(axis=0)
    axes = axis_lengths(outline, spacing)
    half = [length / 2 for length in axes]
    sphere = (36 * math.pi * volume**2) ** (1 / 3)
    voxels = int(outline.sum())
    result = {
        "volume_mesh": volume,
        "volume_voxel_counting": voxels * float(size.prod()),
        "surface_area_mesh": area,
        "surface_to_volume_ratio": area / volume,
        "compactness_1": volume / (math.sqrt(math.pi) * area**1.5),
        "compactness_2": 36 * math.pi * volume**2 / area**3,
        "spherical_disproportion": area / sphere,
        "sphericity": sphere / area,
        "asphericity": (area**3 / (36 * math.pi * volume**2)) ** (1 / 3) - 1,
        "centre_of_mass_shift": math.nan,
        "maximum_3d_diameter": largest_distance(corners),
        "major_axis_length": axes[0],
        "minor_axis_length": axes[1],
        "least_axis_length": axes[2],
        "elongation": axes[1] / axes[0] if axes[0] else math.nan,
        "flatness": axes[2] / axes[0] if axes[0] else math.nan,
        "volume_density_aabb": volume / float(extent.prod()),
        "area_density_aabb": area / box_area(extent),
        "volume_density_ombb": math.nan,
        "area_density_ombb": math.nan,
        "volume_density_aee": _ratio(volume, 4 * math.pi / 3 * math.prod(half)),
        "area_density_aee": _ratio(area, ellipsoid_area(half)),
        "volume_density_mvee": math.nan,
        "area_density_mvee": math.nan,
        "volume_density_convex_hull": volume / hull.volume,
        "area_density_convex_hull": area / hull.area,
        "integrated_intensity": math.nan,
        "moran_i_index": math.nan,
        "geary_c_measure": math.nan,
    }
    if boxes:
        oriented = oriented_box(hull)
        result["volume_density_ombb"] = volume / float(oriented.prod())
        result["area_density_ombb"] = area / box_area(oriented)
        enclosing = enclosing_ellipsoid(corners)
        result["volume_density_mvee"] = volume / (4 * math.pi / 3 * float(enclosing.prod()))
        result["area_density_mvee"] = area / ellipsoid_area(enclosing.tolist())
    if bool(inside.any()):
        values = image[inside]
        result["centre_of_mass_shift"] = centre_shift(image, outline, inside, spacing)
        result["integrated_intensity"] = float(values.mean()) * volume
        result["moran_i_index"], result["geary_c_measure"] = autocorrelation(image, inside, spacing)
    return result


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def box_area(sides: np.ndarray) -> float:
    """The surface of a cuboid."""
    a, b, c = (float(side) for side in sides)
    return 2 * (a * b + b * c + a * c)


def axis_lengths(mask: torch.Tensor, spacing: Sequence[float], *, sample: bool = True) -> tuple[float, float, float]:
    """Major, minor and least axis length in mm: four standard deviations along the principal axes of the voxels.

    ``sample`` divides by N - 1, which IBSI's reference values need; PyRadiomics divides by N.
    """
    variances = principal_variances(mask, spacing, sample=sample)
    lengths = [4 * math.sqrt(value) for value in variances]
    return (lengths[0], lengths[1], lengths[2])


def principal_variances(mask: torch.Tensor, spacing: Sequence[float], *, sample: bool = True) -> list[float]:
    """Eigenvalues of the covariance of voxel centres, descending, in mm^2, never negative."""
    points = mask.nonzero().to(torch.float64) * torch.as_tensor(spacing, dtype=torch.float64, device=mask.device)
    points = points - points.mean(0)
    eigenvalues = torch.linalg.eigvalsh(points.T @ points / max(len(points) - sample, 1)).flip(0)
    largest = float(eigenvalues[0])
    return [float(value) if float(value) > 1e-12 * largest else 0.0 for value in eigenvalues]


def centre_shift(image: torch.Tensor, outline: torch.Tensor, inside: torch.Tensor, spacing: Sequence[float]) -> float:
    """Distance in mm between the outline's centre and the intensity-weighted centre; NaN where weights sum to 0."""
    weights = image[inside]
    total = float(weights.sum())
    if total == 0:
        return math.nan
    centre = outline.nonzero().to(torch.float64).mean(0)
    weighted = (inside.nonzero().to(torch.float64) * weights[:, None]).sum(0) / total
    size = torch.as_tensor(spacing, dtype=torch.float64, device=image.device)
    return float(torch.linalg.vector_norm((weighted - centre) * size))


def ellipsoid_area(half: Sequence[float], *, terms: int = 20) -> float:
    """Surface of an ellipsoid with these semi-axes by IBSI's series of Legendre polynomials; NaN if one is zero."""
    a, b, c = sorted((float(value) for value in half), reverse=True)
    if c <= 0:
        return math.nan
    alpha, beta = math.sqrt(1 - (b / a) ** 2), math.sqrt(1 - (c / a) ** 2)
    # The polynomial of order n comes with (alpha beta)^n; carried together they stay of order one.
    mixed, scale = (alpha**2 + beta**2) / 2, alpha * beta
    previous, current, total = 1.0, mixed, 1.0
    for order in range(1, terms + 1):
        total += current / (1 - 4 * order**2)
        previous, current = (
            current,
            ((2 * order + 1) * mixed * current - order * scale**2 * previous) / (order + 1),
        )
    return 4 * math.pi * a * b * total


def autocorrelation(image: torch.Tensor, inside: torch.Tensor, spacing: Sequence[float]) -> tuple[float, float]:
    """Moran's I and Geary's C with inverse distances as weights (IBSI 3.1.28 and 3.1.29).

    Sums over all pairs of voxels are sums over displacements of the image's autocorrelation, which a Fourier
    transform of the (doubled) box gives at once; work grows with the box, not with the square of the voxels.
    """
    values = image[inside]
    n = values.numel()
    if n < 2:
        return math.nan, math.nan
    mean = values.mean()
    variance = float(((values - mean) ** 2).sum())
    if variance <= 1e-24 * n * float(mean) ** 2 or variance == 0:
        return math.nan, math.nan
    mask = inside.to(torch.float64)
    centred = torch.where(inside, image - mean, 0.0)
    shape = [2 * size for size in image.shape]
    squares = torch.zeros(shape, dtype=torch.float64, device=image.device)
    for axis, (size, step) in enumerate(zip(shape, spacing, strict=True)):
        k = torch.arange(size, dtype=torch.float64, device=image.device)
        k = torch.minimum(k, size - k) * step
        squares = squares + (k**2).reshape([-1 if other == axis else 1 for other in range(3)])
    weight = torch.where(squares > 0, squares.clamp(min=1e-300).rsqrt(), 0.0)
    kernel = torch.fft.rfftn(weight)
    x, y, z = image.shape

    def blurred(volume: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfftn(torch.fft.rfftn(volume, s=shape) * kernel, s=shape)[:x, :y, :z]

    near = blurred(mask)
    total = float(near[inside].sum())
    cross = float((blurred(centred) * centred).sum())
    own = float((near * centred**2).sum())
    moran = n / total * cross / variance
    geary = (n - 1) / (2 * total) * (2 * own - 2 * cross) / variance
    return moran, geary


def oriented_box(hull: ConvexHull) -> np.ndarray:
    """Sides of the smallest box with one face on a face of the hull, shape (3,)."""
    corners = hull.points[hull.vertices]
    normals = np.unique(np.round(hull.equations[:, :3], 6), axis=0)
    best, sides = math.inf, np.ones(3)
    for normal in normals:
        normal = normal / np.linalg.norm(normal)
        first = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
        first /= np.linalg.norm(first)
        flat = corners @ np.stack((first, np.cross(normal, first))).T
        along = corners @ normal
        height = along.max() - along.min()
        try:
            outline = flat[ConvexHull(flat).vertices]
        except QhullError:  # a rounding case: all projected points on a line
            continue
        edges = np.roll(outline, -1, axis=0) - outline
        edges /= np.linalg.norm(edges, axis=1, keepdims=True)
        across = np.stack((-edges[:, 1], edges[:, 0]), axis=1)
        width, depth = np.ptp(outline @ edges.T, axis=0), np.ptp(outline @ across.T, axis=0)
        least = (width * depth).argmin()
        if width[least] * depth[least] * height < best:
            best = width[least] * depth[least] * height
            sides = np.array([width[least], depth[least], height])
    return sides


def enclosing_ellipsoid(points: np.ndarray, *, tolerance: float = 1e-3, steps: int = 1000) -> np.ndarray:
    """Semi-axes of the smallest ellipsoid around points (Khachiyan's algorithm), shape (3,)."""
    n, dimensions = points.shape
    lifted = np.concatenate((points, np.ones((n, 1))), axis=1).T
    weights = np.full(n, 1 / n)
    for _ in range(steps):
        inner = np.linalg.inv((lifted * weights) @ lifted.T)
        distance = np.einsum("ij,ik,kj->j", lifted, inner, lifted)
        farthest = int(distance.argmax())
        excess = distance[farthest] - dimensions - 1
        if excess <= tolerance * (dimensions + 1):
            break
        step = excess / ((dimensions + 1) * (distance[farthest] - 1))
        weights *= 1 - step
        weights[farthest] += step
    centre = points.T @ weights
    scatter = (points.T * weights) @ points - np.outer(centre, centre)
    centred = points - centre
    reach = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(scatter), centred).max()
    return np.sqrt(np.clip(np.linalg.eigvalsh(scatter), 0, None) * reach)
