"""Grey level run length matrix (IBSI 3.7): lengths of runs of equal grey level along lines."""

from __future__ import annotations

import torch

from radlib.features.counts import Counts, tally
from radlib.features.roi import Levels, directions


def count(levels: Levels, *, in_plane: bool = False) -> Counts:
    """Run length matrices, one a direction (3-D), or one a slice and direction (``in_plane``).

    Group ``slice * D + direction``; rows are grey levels, columns run lengths in voxels.
    """
    layout = levels.layout
    steps = directions(in_plane=in_plane, slice_axis=layout.slice_axis)
    n_slices = layout.n_slices if in_plane else 1
    groups, rows, lengths = [], [], []
    for number, step in enumerate(steps):
        order, joined = layout.lines(step)
        along = levels.values[order]
        last = torch.ones(along.numel(), dtype=torch.bool, device=along.device)  # of its run
        last[:-1] = ~(joined & (along[1:] == along[:-1]))
        end = last.nonzero().squeeze(1)
        rows.append(along[end])
        lengths.append(torch.diff(end, prepend=end.new_full((1,), -1)))
        group = torch.full_like(end, number)
        groups.append(group + layout.slices[order[end]] * len(steps) if in_plane else group)
    n_groups = n_slices * len(steps)
    entries = tally(torch.cat(groups), torch.cat(rows), torch.cat(lengths), n_groups)
    if in_plane:
        per_slice = torch.bincount(layout.slices, minlength=n_slices).to(torch.float64)
        voxels = per_slice.repeat_interleave(len(steps))
    else:
        voxels = torch.full((n_groups,), layout.n_voxels, dtype=torch.float64, device=levels.values.device)
    return Counts(*entries, n_groups, voxels)
