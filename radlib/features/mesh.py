"""Surface meshes of masks by marching cubes, measured without building them.

In a binary mask every vertex lies halfway between an inside and an outside voxel, so a cell of eight voxels has one
of 256 shapes. Area and volume are then sums over a count of shapes, which is one pass over the box on any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.spatial import ConvexHull
from skimage import measure


@lru_cache(maxsize=1)
def _triangles() -> tuple[np.ndarray, np.ndarray]:
    """For all 256 cells: the triangles (T, 3 corners, 3 coordinates in voxels) and the cell each belongs to."""
    corners, cells = [], []
    for code in range(1, 255):
        cell = np.array([(code >> bit) & 1 for bit in range(8)], dtype=float).reshape(2, 2, 2)
        vertices, faces, _, _ = measure.marching_cubes(
            cell, 0.5, method="lorensen", gradient_direction="ascent", allow_degenerate=True
        )
        corners.append(vertices[faces].astype(float))
        cells.append(np.full(len(faces), code))
    return np.concatenate(corners), np.concatenate(cells)


def area_and_volume(mask: torch.Tensor, spacing: Sequence[float]) -> tuple[float, float]:
    """Area (mm^2) and enclosed volume (mm^3) of the mesh around a mask (bool, 3-D, not empty)."""
    padded = torch.nn.functional.pad(mask, (1,) * 6).to(torch.int64)
    ends = (slice(None, -1), slice(1, None))
    code = torch.zeros([size - 1 for size in padded.shape], dtype=torch.int64, device=mask.device)
    for bit in range(8):
        part = padded[ends[(bit >> 2) & 1], ends[(bit >> 1) & 1], ends[bit & 1]]
        code += part << bit
    flat = code.reshape(-1)
    mixed = ((flat > 0) & (flat < 255)).nonzero().squeeze(1)
    shape = flat[mixed]
    x = torch.div(mixed, code.shape[1] * code.shape[2], rounding_mode="floor").to(torch.float64)
    times = torch.bincount(shape, minlength=256).cpu().numpy().astype(float)
    at = torch.bincount(shape, weights=x, minlength=256).cpu().numpy()

    triangles, cells = _triangles()
    size = np.asarray(spacing, dtype=float)
    scaled = triangles * size
    normal = np.cross(scaled[:, 1] - scaled[:, 0], scaled[:, 2] - scaled[:, 0]) / 2  # area vectors
    area = np.linalg.norm(normal, axis=1) @ times[cells]
    # Divergence theorem with the field (x, 0, 0): the flux through a triangle is its mean x times its x area.
    flux = normal[:, 0] * (scaled[:, :, 0].mean(axis=1) * times[cells] + size[0] * at[cells])
    return float(area), abs(float(flux.sum()))


def surface_points(mask: torch.Tensor) -> list[np.ndarray]:
    """Mesh vertices on lines along each axis, only the first and last of every line, in voxels.

    Every convex quantity (hull, extent, diameter) of the mesh is that of these vertices. Shape (P, 3) for each axis.
    """
    array = mask.cpu().numpy()
    points = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        lines = array.any(axis=axis)
        where = np.argwhere(lines)
        first = array.argmax(axis=axis)[lines]
        last = array.shape[axis] - 1 - np.flip(array, axis).argmax(axis=axis)[lines]
        ends = np.empty((2 * len(where), 3))
        ends[:, others] = np.concatenate((where, where))
        ends[:, axis] = np.concatenate((first - 0.5, last + 0.5))
        points.append(ends)
    return points


def convex_hull(mask: torch.Tensor, spacing: Sequence[float]) -> ConvexHull:
    """The convex hull of the mesh, in mm."""
    return ConvexHull(np.concatenate(surface_points(mask)) * np.asarray(spacing, dtype=float))


def largest_distance(points: np.ndarray, *, block: int = 1024) -> float:
    """The largest distance between any two points, shape (P, D)."""
    best = 0.0
    norms = (points**2).sum(axis=1)
    for start in range(0, len(points), block):
        rows = slice(start, start + block)
        squared = norms[rows, None] + norms - 2 * points[rows] @ points.T
        best = max(best, float(squared.max()))
    return float(np.sqrt(max(best, 0.0)))
