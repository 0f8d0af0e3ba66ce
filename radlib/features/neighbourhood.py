"""Grey tone difference matrix (IBSI 3.10) and grey level dependence matrix (IBSI 3.11)."""

from __future__ import annotations

import math

import torch

from radlib.features.counts import Counts, tally
from radlib.features.roi import Levels, neighbour_offsets
from radlib.features.zones import group_voxels


def dependence_counts(levels: Levels, *, distance: int = 1, tolerance: int = 0, in_plane: bool = False) -> Counts:
    """Dependence matrices: grey level against 1 + number of neighbours within ``tolerance`` grey levels."""
    layout = levels.layout
    alike = torch.ones_like(levels.values)
    for offset in neighbour_offsets(distance, in_plane=in_plane, slice_axis=layout.slice_axis):
        neighbour = levels.neighbour(offset)
        if tolerance == 0:
            alike += neighbour == levels.values
        else:
            alike += ((neighbour - levels.values).abs() <= tolerance) & (neighbour > 0)
    group = layout.slices if in_plane else torch.zeros_like(levels.values)
    n_groups = layout.n_slices if in_plane else 1
    voxels = group_voxels(layout, in_plane=in_plane)
    return Counts(*tally(group, levels.values, alike, n_groups), n_groups, voxels)


def _box_sum(volume: torch.Tensor, reach: tuple[int, int, int]) -> torch.Tensor:
    """Sums over boxes of ``2 * reach + 1`` voxels around every position; beyond the ends lies zero."""
    for axis, r in enumerate(reach):
        if r == 0:
            continue
        total = volume.clone()
        size = volume.shape[axis]
        for step in range(1, min(r, size - 1) + 1):
            total.narrow(axis, 0, size - step).add_(volume.narrow(axis, step, size - step))
            total.narrow(axis, step, size - step).add_(volume.narrow(axis, 0, size - step))
        volume = total
    return volume


def tone_difference(levels: Levels, *, distance: int = 1, in_plane: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """For each slice (or once) and grey level: number of voxels and sum of absolute differences.

    A voxel counts where at least one neighbour lies in the region; its difference is to the mean of these.

    Returns:
        ``n`` and ``s``, float64, shape (groups, n_levels + 1).
    """
    layout = levels.layout
    reach = [distance] * 3
    if in_plane:
        reach[layout.slice_axis] = 0
    extent = (reach[0], reach[1], reach[2])
    around = _box_sum(layout.padded.to(torch.int32), extent).reshape(-1)[layout.index] - 1
    sums = _box_sum(levels.volume, extent).reshape(-1)[layout.index] - levels.values
    valid = around > 0
    difference = (levels.values - sums / around.clamp(min=1).to(torch.float64)).abs()
    groups = layout.n_slices if in_plane else 1
    width = levels.n_levels + 1
    cell = levels.values + (layout.slices * width if in_plane else 0)
    ones = valid.to(torch.float64)
    n = torch.bincount(cell, weights=ones, minlength=groups * width).reshape(groups, width)
    s = torch.bincount(cell, weights=difference * ones, minlength=groups * width).reshape(groups, width)
    return n, s


def tone_features(n: torch.Tensor, s: torch.Tensor) -> dict[str, torch.Tensor]:
    """Coarseness, contrast, busyness, complexity and strength of each matrix (one row of ``n`` and ``s``).

    A feature whose denominator is zero is NaN: coarseness and strength of a flat region (no differences), contrast
    and busyness of a single grey level, everything where no voxel has a neighbour. IBSI leaves these open.
    """
    columns: dict[str, list[float]] = {
        name: [] for name in ("coarseness", "contrast", "busyness", "complexity", "strength")
    }
    for row_n, row_s in zip(n, s, strict=True):
        level = row_n.nonzero().squeeze(1).to(torch.float64)
        kept = row_n > 0
        counted, difference = row_n[kept], row_s[kept]
        total = float(counted.sum())
        p = counted / total if total else counted
        weighted = float((p * difference).sum())
        summed = float(difference.sum())
        distinct = level.numel()
        pairs = _pair_sums(level, p, difference)
        columns["coarseness"].append(1 / weighted if weighted > 0 else math.nan)
        columns["contrast"].append(
            pairs["contrast"] / (distinct * (distinct - 1)) * summed / total if distinct > 1 else math.nan
        )
        columns["busyness"].append(weighted / pairs["busyness"] if pairs["busyness"] > 0 else math.nan)
        columns["complexity"].append(pairs["complexity"] / total if total else math.nan)
        columns["strength"].append(pairs["strength"] / summed if summed > 0 else math.nan)
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()}


def _pair_sums(level: torch.Tensor, p: torch.Tensor, s: torch.Tensor, *, block: int = 1024) -> dict[str, float]:
    """The double sums over pairs of grey levels, in blocks so that 10,000 levels need no large table."""
    sums = dict.fromkeys(("contrast", "busyness", "complexity", "strength"), 0.0)
    ip, ps = level * p, p * s
    for start in range(0, level.numel(), block):
        rows = slice(start, start + block)
        gap = (level[rows, None] - level).abs()
        both = p[rows, None] + p
        sums["contrast"] += float(p[rows] @ (gap**2) @ p)
        sums["busyness"] += float((ip[rows, None] - ip).abs().sum())
        sums["complexity"] += float((gap * (ps[rows, None] + ps) / both).sum())
        sums["strength"] += float((both * gap**2).sum())
    return sums
