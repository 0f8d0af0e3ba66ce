"""Size and distance zone matrices (IBSI 3.8 and 3.9): connected voxels of equal grey level."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
import torch
from scipy import ndimage

from radlib.features.counts import Counts, tally
from radlib.features.roi import Layout, Levels


@dataclass(frozen=True)
class Zones:
    """Zones of a region.

    Attributes:
        level, size: grey level and number of voxels of each zone, int64, shape (Z,).
        slice: the slice a zone lies in (0 where zones are three-dimensional).
        of_voxel: the zone of each voxel, shape (N,).
        n_slices: number of slices that hold voxels (1 where zones are three-dimensional).
        voxels: number of voxels of each slice.
    """

    level: torch.Tensor
    size: torch.Tensor
    slice: torch.Tensor
    of_voxel: torch.Tensor
    n_slices: int
    voxels: torch.Tensor


def label(levels: Levels, *, in_plane: bool = False) -> Zones:
    """Label the zones: 26-connected, or 8-connected within slices.

    Connected components are found on the CPU (cc3d) wherever the levels lie; nothing else leaves the device.
    """
    layout, device = levels.layout, levels.values.device
    inner = slice(layout.pad, -layout.pad)
    volume = levels.volume[inner, inner, inner]
    if in_plane:  # different labels in every slice keep zones within their slice
        shape = [1, 1, 1]
        shape[layout.slice_axis] = -1
        position = torch.arange(volume.shape[layout.slice_axis], device=device, dtype=torch.int64)
        shifted = volume + position.reshape(shape) * (levels.n_levels + 1)
        volume = torch.where(volume > 0, shifted, 0)
        if int(volume.max()) < 2**31:
            volume = volume.to(torch.int32)
    labels = cc3d.connected_components(volume.cpu().numpy(), connectivity=26)
    of_voxel = torch.from_numpy(labels[layout.mask.cpu().numpy()].astype(np.int64)).to(device) - 1
    n_zones = int(of_voxel.max()) + 1
    size = torch.bincount(of_voxel, minlength=n_zones)
    level = size.new_zeros(n_zones)
    level[of_voxel] = levels.values
    where = torch.zeros_like(size)
    if in_plane:
        where[of_voxel] = layout.slices
    n_slices = layout.n_slices if in_plane else 1
    voxels = group_voxels(layout, in_plane=in_plane)
    return Zones(level, size, where, of_voxel, n_slices, voxels)


def group_voxels(layout: Layout, *, in_plane: bool) -> torch.Tensor:
    """Number of voxels in each slice, or in all, float64."""
    if in_plane:
        return torch.bincount(layout.slices, minlength=layout.n_slices).to(torch.float64)
    return torch.full((1,), layout.n_voxels, dtype=torch.float64, device=layout.mask.device)


def size_counts(zones: Zones) -> Counts:
    """Size zone matrices: grey level against zone size in voxels, one a slice or one in all."""
    return Counts(*tally(zones.slice, zones.level, zones.size, zones.n_slices), zones.n_slices, zones.voxels)


def distance_counts(zones: Zones, distance: torch.Tensor) -> Counts:
    """Distance zone matrices: grey level against the least distance of a zone's voxels from the border."""
    least = zones.size.new_full(zones.size.shape, 2**31)
    least = least.scatter_reduce(0, zones.of_voxel, distance, "amin")
    return Counts(*tally(zones.slice, zones.level, least, zones.n_slices), zones.n_slices, zones.voxels)


def border_distance(layout: Layout, outline: torch.Tensor, *, in_plane: bool = False) -> torch.Tensor:
    """Steps from each voxel to the outside of the morphological mask, counted along axes (at least 1), int64.

    Args:
        layout: the intensity mask's voxels.
        outline: the morphological mask in the same box.
        in_plane: count steps within slices only.
    """
    padded = np.pad(outline.cpu().numpy(), 1)
    structure = ndimage.generate_binary_structure(3, 1)
    if in_plane:
        for end in (0, 2):
            structure[(slice(None),) * layout.slice_axis + (end,)] = False
    steps = ndimage.distance_transform_cdt(padded, metric=structure)[1:-1, 1:-1, 1:-1]
    chosen = steps[layout.mask.cpu().numpy()].astype(np.int64)
    return torch.from_numpy(chosen).to(layout.mask.device)
