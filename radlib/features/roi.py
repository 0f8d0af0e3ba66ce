"""Regions: validated, cut to their box, and laid out so that counting is gathers and bincounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch

from radlib.core.errors import RadlibError

Box = tuple[slice, slice, slice]
Offset = tuple[int, int, int]


def as_volume(image: Any, name: str) -> np.ndarray:
    """A numeric 3-D NumPy array out of an array or tensor.

    Raises:
        RadlibError: for another number of dimensions or a type that is not a number.
    """
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    array = np.asarray(image)
    if array.ndim != 3:
        raise RadlibError(
            f"the {name} has {array.ndim} dimensions (shape {array.shape}), not 3",
            remedy="give one volume; a single slice has shape (x, y, 1)",
        )
    if array.dtype.kind not in "biuf":
        raise RadlibError(f"the {name} holds {array.dtype}, not real numbers")
    return array


def check_spacing(spacing: Sequence[float]) -> tuple[float, float, float]:
    """Three positive, finite voxel sizes in mm.

    Raises:
        RadlibError: otherwise.
    """
    values = tuple(float(value) for value in spacing)
    if len(values) != 3 or not all(np.isfinite(value) and value > 0 for value in values):
        raise RadlibError(
            f"the voxel spacing {values} is not three positive numbers",
            remedy="give the voxel size in mm along each array axis",
        )
    return (values[0], values[1], values[2])


def bounding_box(mask: np.ndarray) -> Box | None:
    """The smallest box that holds the mask, or None for an empty mask."""
    box: list[slice] = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        touched = np.flatnonzero(mask.any(axis=others))
        if touched.size == 0:
            return None
        part = slice(int(touched[0]), int(touched[-1]) + 1)
        box.append(part)
        mask = mask[(slice(None),) * axis + (part,)]
    return (box[0], box[1], box[2])


def grow(box: Box, margin: Sequence[int], shape: Sequence[int]) -> Box:
    """The box with a margin on every side, inside the image."""
    grown = [
        slice(max(part.start - extra, 0), min(part.stop + extra, size))
        for part, extra, size in zip(box, margin, shape, strict=True)
    ]
    return (grown[0], grown[1], grown[2])


def within(inner: Box, outer: Box) -> Box:
    """``inner`` in the coordinates of ``outer``."""
    moved = [slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True)]
    return (moved[0], moved[1], moved[2])


def directions(*, in_plane: bool, slice_axis: int = 2) -> list[Offset]:
    """One of each pair of opposite neighbour directions: 13 in three dimensions, 4 within a slice."""
    half = [(x, y, z) for x, y, z in product((-1, 0, 1), repeat=3) if (x, y, z) > (0, 0, 0)]
    if in_plane:
        half = [offset for offset in half if offset[slice_axis] == 0]
    return half


def neighbour_offsets(distance: int, *, in_plane: bool, slice_axis: int = 2) -> list[Offset]:
    """Every offset within a Chebyshev distance, without the centre: 26 at distance 1, 8 within a slice."""
    reach = range(-distance, distance + 1)
    offsets = [(x, y, z) for x, y, z in product(reach, repeat=3) if (x, y, z) != (0, 0, 0)]
    return [offset for offset in offsets if not (in_plane and offset[slice_axis] != 0)]


@dataclass(frozen=True)
class Layout:
    """Where a mask's voxels lie in its padded box. Shared by every image whose features are taken in that mask.

    Attributes:
        mask: the mask in its box, bool, on the device.
        pad: width of the empty border around the box, so that no neighbour leaves it.
        slice_axis: the array axis across slices.
    """

    mask: torch.Tensor
    pad: int = 1
    slice_axis: int = 2
    _orders: dict[Offset, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict, repr=False)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the padded box."""
        x, y, z = self.mask.shape
        return (x + 2 * self.pad, y + 2 * self.pad, z + 2 * self.pad)

    @cached_property
    def padded(self) -> torch.Tensor:
        """The mask in its padded box."""
        return torch.nn.functional.pad(self.mask, (self.pad,) * 6)

    @cached_property
    def index(self) -> torch.Tensor:
        """Flat positions of the N voxels in the padded box, ascending."""
        return self.padded.reshape(-1).nonzero().squeeze(1)

    @cached_property
    def rank(self) -> torch.Tensor:
        """For each position of the padded box the number of its voxel, or N outside the mask."""
        table = torch.full((self.padded.numel(),), self.n_voxels, dtype=torch.int64, device=self.mask.device)
        table[self.index] = torch.arange(self.n_voxels, device=self.mask.device)
        return table

    @property
    def n_voxels(self) -> int:
        return int(self.index.numel())

    @cached_property
    def coordinates(self) -> torch.Tensor:
        """Voxel coordinates in the (unpadded) box, shape (N, 3), int64."""
        return self.mask.nonzero()

    @cached_property
    def slices(self) -> torch.Tensor:
        """The slice of each voxel, numbered 0 to ``n_slices - 1`` over slices that hold any."""
        return torch.unique(self.coordinates[:, self.slice_axis], return_inverse=True)[1]

    @cached_property
    def n_slices(self) -> int:
        return int(self.slices.max()) + 1 if self.n_voxels else 0

    def flat(self, offset: Offset) -> int:
        """The step between flat positions that an offset means."""
        _, y, z = self.shape
        return (offset[0] * y + offset[1]) * z + offset[2]

    def lines(self, direction: Offset) -> tuple[torch.Tensor, torch.Tensor]:
        """The voxels in the order in which lines along ``direction`` meet them.

        Returns:
            ``order`` (N,), voxel numbers, and ``joined`` (N-1,), whether a voxel is followed by its neighbour.

        Positions that differ by a multiple of one flat step form a residue class; read class by class, the padded
        box is a sequence of lines with at least one empty position between them.
        """
        if direction not in self._orders:
            step = self.flat(direction)
            size = self.padded.numel()
            rows = -(-size // step)
            table = torch.nn.functional.pad(self.rank, (0, rows * step - size), value=self.n_voxels)
            table = table.reshape(rows, step).T.reshape(-1)
            where = (table < self.n_voxels).nonzero().squeeze(1)
            self._orders[direction] = (table[where], where[1:] - where[:-1] == 1)
        return self._orders[direction]


@dataclass(frozen=True)
class Levels:
    """A discretised region.

    Attributes:
        layout: the mask's voxels.
        values: grey level of each voxel, int64, 1 to ``n_levels``, shape (N,).
        n_levels: N_g.
    """

    layout: Layout
    values: torch.Tensor
    n_levels: int

    @cached_property
    def grid(self) -> torch.Tensor:
        """Grey levels in the padded box, flat, 0 outside the region, int64."""
        grid = torch.zeros(self.layout.padded.numel(), dtype=torch.int64, device=self.values.device)
        grid[self.layout.index] = self.values
        return grid

    @cached_property
    def volume(self) -> torch.Tensor:
        """Grey levels in the padded box, int32."""
        return self.grid.reshape(self.layout.shape).to(torch.int32)

    @cached_property
    def present(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The levels that occur (ascending) and, for each voxel, which of them is its own."""
        counts = torch.bincount(self.values, minlength=self.n_levels + 1)
        levels = counts.nonzero().squeeze(1)
        number = torch.zeros(self.n_levels + 1, dtype=torch.int64, device=self.values.device)
        number[levels] = torch.arange(levels.numel(), device=self.values.device)
        return levels, number[self.values]

    def neighbour(self, offset: Offset) -> torch.Tensor:
        """The grey level at an offset from each voxel, 0 where that lies outside the region, shape (N,)."""
        return self.grid[self.layout.index + self.layout.flat(offset)]
