"""Grey level co-occurrence matrix (IBSI 3.6): pairs of grey levels of neighbouring voxels."""

from __future__ import annotations

import math

import torch

from radlib.features.counts import Counts, group_sum, tally
from radlib.features.registry import family_features
from radlib.features.roi import Levels, directions
from radlib.features.zones import group_voxels


def count(levels: Levels, *, distance: int = 1, in_plane: bool = False) -> Counts:
    """Symmetric co-occurrence matrices, one a direction (3-D), or one a slice and direction (``in_plane``).

    Group ``slice * D + direction``. Neighbours are ``distance`` steps away in each of D = 13 (or 4) directions.
    """
    layout = levels.layout
    steps = directions(in_plane=in_plane, slice_axis=layout.slice_axis)
    present, number = levels.present
    table = torch.zeros(levels.n_levels + 1, dtype=torch.int64, device=number.device)
    table[present] = torch.arange(1, present.numel() + 1, device=number.device)
    own = number + 1
    where = layout.slices if in_plane else torch.zeros_like(own)
    voxels = group_voxels(layout, in_plane=in_plane)
    n_groups = voxels.numel() * len(steps)
    parts = []
    for direction, step in enumerate(steps):  # one at a time: tables of one direction stay in the cache
        neighbour = table[levels.neighbour((step[0] * distance, step[1] * distance, step[2] * distance))]
        g, i, j, n = tally(where, own, neighbour, voxels.numel())
        inside = j > 0
        parts.append((g[inside] * len(steps) + direction, i[inside], j[inside], n[inside]))
    g, i, j, n = (torch.cat(column) for column in zip(*parts, strict=True))
    g, i, j, n = tally(torch.cat((g, g)), torch.cat((i, j)), torch.cat((j, i)), n_groups, weights=torch.cat((n, n)))
    return Counts(g, present[i - 1], present[j - 1], n, n_groups, voxels.repeat_interleave(len(steps)))


def features(counts: Counts, n_levels: int) -> dict[str, torch.Tensor]:
    """The 25 features of each non-empty matrix, as float64 tensors of one value a matrix.

    The information correlations are NaN for a matrix with one grey level, and so is the correlation.
    """
    counts = counts.occupied()
    groups = counts.n_groups
    if groups == 0:  # no voxel has a neighbour
        return {feature.name: counts.n.new_zeros(0) for feature in family_features("glcm")}
    p = counts.n / counts.total()[counts.group]
    i, j = counts.i.to(torch.float64), counts.j.to(torch.float64)
    group = counts.group

    def total(values: torch.Tensor) -> torch.Tensor:
        return group_sum(values, group, groups)

    def entropy(values: torch.Tensor) -> torch.Tensor:
        return -torch.special.xlogy(values, values).sum(1) / math.log(2)

    width = n_levels + 1
    marginal = torch.bincount(group * width + counts.i, weights=p, minlength=groups * width)
    by_sum = torch.bincount(group * 2 * width + counts.i + counts.j, weights=p, minlength=groups * 2 * width)
    by_difference = torch.bincount(group * width + (counts.i - counts.j).abs(), weights=p, minlength=groups * width)
    px = marginal[group * width + counts.i]
    py = marginal[group * width + counts.j]  # symmetric: row and column marginals are the same
    p_sum = by_sum.reshape(groups, 2 * width)
    p_difference = by_difference.reshape(groups, width)
    k = torch.arange(width, dtype=torch.float64, device=p.device)
    k_sum = torch.arange(2 * width, dtype=torch.float64, device=p.device)

    mean = total(p * i)
    variance = total(p * (i - mean[group]) ** 2)
    difference_mean = p_difference @ k
    difference_variance = (p_difference * (k - difference_mean[:, None]) ** 2).sum(1)
    sum_mean = p_sum @ k_sum
    centred = k_sum - sum_mean[:, None]
    joint_entropy = -total(p * torch.log2(p))
    marginal_entropy = entropy(marginal.reshape(groups, width))
    cross_entropy = -total(p * torch.log2(px * py))
    nan = torch.full_like(mean, math.nan)
    apart = p_difference[:, 1:]
    return {
        "joint_maximum": torch.zeros_like(mean).scatter_reduce(0, group, p, "amax"),
        "joint_average": mean,
        "joint_variance": variance,
        "joint_entropy": joint_entropy,
        "difference_average": difference_mean,
        "difference_variance": difference_variance,
        "difference_entropy": entropy(p_difference),
        "sum_average": sum_mean,
        "sum_variance": (p_sum * centred**2).sum(1),
        "sum_entropy": entropy(p_sum),
        "angular_second_moment": total(p * p),
        "contrast": p_difference @ k**2,
        "dissimilarity": difference_mean,
        "inverse_difference": p_difference @ (1 / (1 + k)),
        "normalised_inverse_difference": p_difference @ (1 / (1 + k / n_levels)),
        "inverse_difference_moment": p_difference @ (1 / (1 + k**2)),
        "normalised_inverse_difference_moment": p_difference @ (1 / (1 + (k / n_levels) ** 2)),
        "inverse_variance": apart @ (1 / k[1:] ** 2),
        "correlation": torch.where(variance > 0, (total(p * (i - mean[group]) * (j - mean[group]))) / variance, nan),
        "autocorrelation": total(p * i * j),
        "cluster_tendency": (p_sum * centred**2).sum(1),
        "cluster_shade": (p_sum * centred**3).sum(1),
        "cluster_prominence": (p_sum * centred**4).sum(1),
        "information_correlation_1": torch.where(
            marginal_entropy > 0, (joint_entropy - cross_entropy) / marginal_entropy, nan
        ),
        "information_correlation_2": torch.where(
            marginal_entropy > 0,
            (1 - torch.exp(-2 * (2 * marginal_entropy - joint_entropy))).clamp(min=0).sqrt(),
            nan,
        ),
    }
