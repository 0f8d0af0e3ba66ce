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

_TOLD_BY = 3  # the cell corner (x, y + 1, z + 1), whose being inside makes PyRadiomics take the complement


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


def area_and_volume(mask: torch.Tensor, spacing: Sequence[float], *, mirrored: bool = False) -> tuple[float, float]:
    """Area (mm^2) and enclosed volume (mm^3) of the mesh around a mask (bool, 3-D, not empty).

    Args:
        mask: the region.
        spacing: voxel size in mm.
        mirrored: triangulate as PyRadiomics does, which holds a table of half of the cells and takes the other half
            (told by one corner) for their complements. Where voxels touch along an edge only, its mesh is not closed
            there, and its volume, a sum over tetrahedra to the corner of the padded box, depends on that corner.
    """
    padded = torch.nn.functional.pad(mask, (1,) * 6).to(torch.int64)
    ends = (slice(None, -1), slice(1, None))
    code = torch.zeros([size - 1 for size in padded.shape], dtype=torch.int64, device=mask.device)
    for bit in range(8):
        code += padded[ends[(bit >> 2) & 1], ends[(bit >> 1) & 1], ends[bit & 1]] << bit
    where = ((code > 0) & (code < 255)).nonzero()
    shape = code[where[:, 0], where[:, 1], where[:, 2]]
    times = torch.bincount(shape, minlength=256).cpu().numpy().astype(float)
    at = np.stack(
        [torch.bincount(shape, weights=axis, minlength=256).cpu().numpy() for axis in where.T.to(torch.float64)],
        axis=1,
    )
    if mirrored:
        held = (np.arange(256) >> _TOLD_BY) & 1 == 0
        complement = 255 - np.arange(256)
        # Triangles of a complement face the other way: their count is added, their flux taken off.
        flux_times = np.where(held, times - times[complement], 0.0)
        flux_at = np.where(held[:, None], at - at[complement], 0.0)
        times = np.where(held, times + times[complement], 0.0)
    else:
        flux_times, flux_at = times, at

    triangles, cells = _triangles()
    size = np.asarray(spacing, dtype=float)
    scaled = triangles * size
    normal = np.cross(scaled[:, 1] - scaled[:, 0], scaled[:, 2] - scaled[:, 0]) / 2  # area vectors
    area = np.linalg.norm(normal, axis=1) @ times[cells]
    # Divergence theorem with the field r / 3: a triangle's flux is its area vector times its centre.
    place = scaled.mean(axis=1) * flux_times[cells][:, None] + flux_at[cells] * size
    return float(area), abs(float((normal * place).sum())) / 3


def outline_length(mask: torch.Tensor, spacing: Sequence[float]) -> tuple[float, float, np.ndarray]:
    """Length, enclosed area and vertices (in mm) of the outline of a 2-D mask by marching squares.

    Where two inside pixels touch at a corner only, the outline separates them.
    """
    padded = np.pad(mask.cpu().numpy(), 1)
    a, b = float(spacing[0]), float(spacing[1])
    cells = np.stack((padded[:-1, :-1], padded[1:, :-1], padded[:-1, 1:], padded[1:, 1:]))
    n_inside = cells.sum(axis=0)
    opposite = (n_inside == 2) & (cells[0] == cells[3])
    corners = int((n_inside == 1).sum() + (n_inside == 3).sum() + 2 * opposite.sum())
    straight = (n_inside == 2) & ~opposite
    along_first = int((straight & (cells[0] == cells[1])).sum())
    along_second = int(straight.sum()) - along_first
    length = corners * float(np.hypot(a / 2, b / 2)) + along_first * a + along_second * b
    eighths = (n_inside == 1) + 4 * straight + 2 * opposite + 7 * (n_inside == 3) + 8 * (n_inside == 4)
    vertices = []
    for axis in range(2):
        where = np.argwhere(np.diff(padded.astype(np.int8), axis=axis)).astype(float)
        where[:, axis] += 0.5
        vertices.append(where)
    return length, float(eighths.sum()) / 8 * a * b, np.concatenate(vertices) * np.array([a, b])


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
