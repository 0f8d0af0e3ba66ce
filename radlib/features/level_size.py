"""The features that run length, size zone, distance zone and dependence matrices share (IBSI 3.7 to 3.9, 3.11).

All four are matrices of grey level against a size: a run's length, a zone's volume, a zone's distance from the
border, a voxel's number of alike neighbours. Their features differ in name only.
"""

from __future__ import annotations

import torch

from radlib.features.counts import Counts, tally


def features(counts: Counts) -> list[torch.Tensor]:
    """The 17 features in IBSI's order, each one value a non-empty matrix.

    Order: small, large size emphasis; low, high level emphasis; small-low, small-high, large-low, large-high
    emphasis; level non-uniformity and normalised; size non-uniformity and normalised; percentage; level variance;
    size variance; entropy; energy (which only the dependence matrix names).
    """
    counts = counts.occupied()
    group, groups = counts.group, counts.n_groups
    total = counts.total()
    p = counts.n / total[group]
    i, j = counts.i.to(torch.float64), counts.j.to(torch.float64)
    i2, j2 = i * i, j * j
    zero = torch.zeros_like(counts.i)
    by_level = tally(group, counts.i, zero, groups, weights=counts.n)
    by_size = tally(group, counts.j, zero, groups, weights=counts.n)

    def squares(part: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.zeros_like(total).index_add_(0, part[0], part[3] ** 2)

    level_squares, size_squares = squares(by_level), squares(by_size)
    mean_level, mean_size = counts.sum(p * i), counts.sum(p * j)
    return [
        counts.sum(p / j2),
        counts.sum(p * j2),
        counts.sum(p / i2),
        counts.sum(p * i2),
        counts.sum(p / (i2 * j2)),
        counts.sum(p * i2 / j2),
        counts.sum(p * j2 / i2),
        counts.sum(p * i2 * j2),
        level_squares / total,
        level_squares / total**2,
        size_squares / total,
        size_squares / total**2,
        total / counts.voxels,
        counts.sum(p * (i - mean_level[group]) ** 2),
        counts.sum(p * (j - mean_size[group]) ** 2),
        -counts.sum(p * torch.log2(p)),
        counts.sum(p * p),
    ]
