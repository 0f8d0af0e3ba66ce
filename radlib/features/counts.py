"""Sparse texture matrices: one list of entries for a whole stack of matrices, and sums over it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

DENSE_LIMIT = 1 << 22  # entries of a dense table for counting (32 MB); larger ones are counted by sorting


@dataclass(frozen=True)
class Counts:
    """Non-zero entries of ``n_groups`` matrices (a group is, for example, one direction in one slice).

    Attributes:
        group: the matrix an entry belongs to, int64, shape (E,).
        i, j: row and column of the entry, int64.
        n: how often it was counted, float64, positive.
        n_groups: number of matrices, empty ones included.
        voxels: voxels that each matrix was counted over, float64, shape (n_groups,).
    """

    group: torch.Tensor
    i: torch.Tensor
    j: torch.Tensor
    n: torch.Tensor
    n_groups: int
    voxels: torch.Tensor

    def total(self) -> torch.Tensor:
        """The sum of each matrix."""
        return self.sum(self.n)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sums of entry values over each matrix, shape (n_groups,)."""
        return group_sum(values, self.group, self.n_groups)

    def regroup(self, mapping: torch.Tensor, n_groups: int) -> Counts:
        """Matrices added up: group ``g`` goes into ``mapping[g]``. Voxel numbers are added up likewise."""
        merged = tally(mapping[self.group], self.i, self.j, n_groups, weights=self.n)
        voxels = torch.zeros(n_groups, dtype=torch.float64, device=self.n.device)
        return Counts(*merged, n_groups, voxels.index_add_(0, mapping, self.voxels))

    def occupied(self) -> Counts:
        """Without the matrices that have no entry."""
        keep = self.total() > 0
        if bool(keep.all()):
            return self
        number = torch.cumsum(keep, 0) - 1
        return Counts(number[self.group], self.i, self.j, self.n, int(keep.sum()), self.voxels[keep])


def group_sum(values: torch.Tensor, group: torch.Tensor, n_groups: int) -> torch.Tensor:
    """Float64 sums of ``values`` by ``group``."""
    if n_groups == 1:
        return values.sum().reshape(1)
    return torch.bincount(group, weights=values, minlength=n_groups)


def tally(
    group: torch.Tensor,
    i: torch.Tensor,
    j: torch.Tensor,
    n_groups: int,
    *,
    weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Count equal (group, i, j) triples; ``i`` and ``j`` are non-negative. Returns group, i, j and n of each."""
    if i.numel() == 0:
        empty = i.new_zeros(0)
        return empty, empty, empty, empty.to(torch.float64)
    rows, columns = int(i.max()) + 1, int(j.max()) + 1
    code = (group * rows + i) * columns + j
    size = n_groups * rows * columns
    if size <= max(DENSE_LIMIT, 4 * i.numel()):
        table = torch.bincount(code, weights=weights, minlength=size)
        code = table.nonzero().squeeze(1)
        n = table[code]
    else:
        code, inverse, times = torch.unique(code, return_inverse=True, return_counts=True)
        n = times if weights is None else torch.bincount(inverse, weights=weights)
    rest = torch.div(code, columns, rounding_mode="floor")
    return (
        torch.div(rest, rows, rounding_mode="floor"),
        rest % rows,
        code % columns,
        n.to(torch.float64),
    )


def nan_mean(values: torch.Tensor) -> float:
    """The mean over matrices that have a value; NaN where none has."""
    kept = values[~torch.isnan(values)]
    return float(kept.mean()) if kept.numel() else float("nan")
