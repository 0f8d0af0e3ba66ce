"""Fractal dimension by box counting (Islam 2020, section II.C.1 and Figure 5 B, C)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radlib.core.errors import RadlibError


@dataclass(frozen=True)
class BoxCount:
    """A box count.

    Attributes:
        size_mm: edge lengths of the boxes in mm, ascending.
        count: boxes of that size that the region touches.
        dimension: minus the slope of log(count) over log(size); NaN where fewer than two sizes tell anything.
    """

    size_mm: np.ndarray
    count: np.ndarray
    dimension: float


def box_count(mask: np.ndarray, *, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> BoxCount:
    """Count the boxes that a region touches, at edge lengths that double from the largest voxel edge.

    Boxes are cubes in millimetres, so that anisotropic voxels do not change the answer's meaning; their grid starts at
    the corner of the region's bounding box. The largest box is the last one smaller than the longest edge of the
    bounding box: from there on every count is one and the slope would only be diluted.

    Args:
        mask: ``(X, Y, Z)``, non-zero inside the region.
        spacing: voxel edges in mm.

    Returns:
        The counts and the dimension: 3 for a solid cube, 2 for a plane, 1 for a line; NaN for an empty region and for
        one that is too small for two box sizes.

    Raises:
        RadlibError: if the mask is not three-dimensional.
    """
    if mask.ndim != 3:
        raise RadlibError(f"box counting takes a 3D mask, not one of shape {mask.shape}")
    nothing = BoxCount(np.empty(0), np.empty(0, dtype=np.int64), float("nan"))
    voxels = np.argwhere(mask)
    if not len(voxels):
        return nothing
    edges = np.asarray(spacing, dtype=np.float64)
    centres = (voxels - voxels.min(axis=0) + 0.5) * edges
    extent = float(((voxels.max(axis=0) - voxels.min(axis=0) + 1) * edges).max())
    sizes = edges.max() * 2.0 ** np.arange(0, 32)
    sizes = sizes[sizes < extent]
    if len(sizes) < 2:
        return nothing
    counts = np.array([len(np.unique(np.floor(centres / size).astype(np.int64), axis=0)) for size in sizes])
    slope = np.polynomial.polynomial.polyfit(np.log(sizes), np.log(counts), 1)[1]
    return BoxCount(sizes, counts, float(-slope))
