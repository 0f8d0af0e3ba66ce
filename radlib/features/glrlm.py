"""Grey level run length matrix (IBSI 3.7): lengths of runs of equal grey level along lines."""

from __future__ import annotations

import torch

from radlib.features.counts import Counts, tally
from radlib.features.roi import Levels, directions
from radlib.features.zones import group_voxels


def count(levels: Levels, *, in_plane: bool = False) -> Counts:
    """Run length matrices, one a direction (3-D), or one a slice and direction (``in_plane``).

    Group ``slice * D + direction``; rows are grey levels, columns run lengths in voxels.
    """
    layout = levels.layout
    steps = directions(in_plane=in_plane, slice_axis=layout.slice_axis)
    voxels = group_voxels(layout, in_plane=in_plane)
    parts = []
    for direction, step in enumerate(steps):
        order, joined = layout.lines(step)
        along = levels.values[order]
        last = torch.ones(along.numel(), dtype=torch.bool, device=along.device)  # of its run
        last[:-1] = ~(joined & (along[1:] == along[:-1]))
        end = last.nonzero().squeeze(1)
        length = torch.diff(end, prepend=end.new_full((1,), -1))
        where = layout.slices[order[end]] if in_plane else torch.zeros_like(end)
        g, i, j, n = tally(where, along[end], length, voxels.numel())
        parts.append((g * len(steps) + direction, i, j, n))
    g, i, j, n = (torch.cat(column) for column in zip(*parts, strict=True))
    return Counts(g, i, j, n, voxels.numel() * len(steps), voxels.repeat_interleave(len(steps)))
