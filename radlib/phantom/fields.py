"""Random fields and smooth maps: the common tools of anatomy, tumour and scanner.

Everything coarse lives on a lattice in *head space*: millimetres, right-anterior-superior, origin at the centre of the
brain. A lattice does not depend on the grid of the images, so a subject has the same anatomy at every resolution. Its
random numbers come from NumPy on the CPU, so they are also the same on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

Axes = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""The coordinates of the planes of a grid along each axis, in mm of head space."""

EXTENT = (172.0, 204.0, 164.0)
"""mm of head space that lattices cover, centred on the origin: the largest brain with a margin."""


@dataclass(frozen=True)
class Lattice:
    """A function of head space known at lattice points.

    Attributes:
        values: ``(C, X, Y, Z)`` float32.
        spacing: mm between points.
        centre: where the middle of the lattice lies in head space.
    """

    values: torch.Tensor
    spacing: float
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def axes(self) -> Axes:
        """Coordinates of the lattice's own points."""
        x, y, z = lattice_axes(self.spacing, shape=self.values.shape[1:], device=self.values.device)
        return x + self.centre[0], y + self.centre[1], z + self.centre[2]

    def on(self, axes: Axes) -> torch.Tensor:
        """Trilinear values on a rectilinear grid: ``(C, *grid)``; beyond the lattice, those of its border."""
        x, y, z = (self._weights(a, coordinates) for a, coordinates in enumerate(axes))
        out = torch.matmul(self.values, z.T)
        out = torch.matmul(y, out)
        return torch.matmul(x, out.flatten(2)).reshape(len(out), len(x), len(y), len(z))

    def _weights(self, axis: int, coordinates: torch.Tensor) -> torch.Tensor:
        """``(n, size)``: linear interpolation along an axis as a matrix, on a CPU faster than gathering."""
        size = self.values.shape[1 + axis]
        index = ((coordinates - self.centre[axis]) / self.spacing + (size - 1) / 2).clamp(0, size - 1)
        points = torch.arange(size, device=index.device, dtype=index.dtype)
        return (1 - (index[:, None] - points).abs()).clamp_min(0)

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """Trilinear values at ``(3, *shape)`` points of head space in mm: ``(C, *shape)``."""
        sizes = self.values.shape[1:]
        voxels = torch.stack([(points[a] - self.centre[a]) / self.spacing + (sizes[a] - 1) / 2 for a in range(3)])
        return sample(self.values, voxels, padding="border")


@dataclass(frozen=True)
class Region:
    """A box of head space: its centre and its size along each axis, mm."""

    centre: tuple[float, float, float]
    extent: tuple[float, float, float]

    @classmethod
    def of(cls, axes: Axes) -> Region:
        """The box that a rectilinear grid spans."""
        ends = [(float(axis.min()), float(axis.max())) for axis in axes]
        x, y, z = ((low + high) / 2 for low, high in ends)
        width, depth, height = (high - low for low, high in ends)
        return cls((x, y, z), (width, depth, height))


HEAD = Region((0.0, 0.0, 0.0), EXTENT)


def lattice_shape(spacing: float, extent: tuple[float, float, float] = EXTENT) -> tuple[int, int, int]:
    """Points along each axis of a lattice of ``spacing`` mm that covers ``extent``."""
    x, y, z = (math.ceil(size / spacing) + 1 for size in extent)
    return x, y, z


def lattice_axes(spacing: float, *, shape: Sequence[int] | None = None, device: torch.device | str = "cpu") -> Axes:
    """The coordinates of a centred lattice."""
    x, y, z = (
        (torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2) * spacing
        for n in (shape or lattice_shape(spacing))
    )
    return x, y, z


def points_of(axes: Axes) -> torch.Tensor:
    """``(3, X, Y, Z)``: the coordinates of every point of a rectilinear grid."""
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def noise_lattice(
    scale: float,
    *,
    random: np.random.Generator,
    channels: int = 1,
    region: Region = HEAD,
    device: torch.device | str = "cpu",
) -> Lattice:
    """Smooth random fields of zero mean and unit variance: white noise blurred by a Gaussian.

    Args:
        scale: standard deviation of the Gaussian in mm; bumps are about twice as wide.
        random: where the numbers come from.
        channels: independent fields.
        region: what the lattice covers; it decides the numbers too, so it must not depend on the images' grid.
        device: where the lattice is returned.
    """
    spacing = scale / 1.2
    shape = (channels, *lattice_shape(spacing, region.extent))
    values = torch.from_numpy(random.standard_normal(shape, dtype=np.float32)).to(device)
    values = gaussian_blur(values, 1.2)
    # In each dimension a normalised Gaussian of sigma s leaves 1 / (2 s sqrt(pi)) of the variance of white noise.
    values *= (2 * 1.2 * math.sqrt(math.pi)) ** 1.5
    return Lattice(values, spacing, region.centre)


def octaves(
    axes: Axes,
    *,
    scales: Sequence[float],
    exponent: float,
    random: np.random.Generator,
    region: Region = HEAD,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """A random texture ``(X, Y, Z)`` of unit variance: smooth fields, amplitude as ``scale ** exponent``.

    With ``exponent`` 0 every octave has the same variance: in three dimensions a power spectrum near k**-3.
    """
    weights = np.array([float(s) ** exponent for s in scales])
    weights /= np.sqrt((weights**2).sum())
    field = torch.zeros([len(a) for a in axes], device=device)
    for weight, scale in zip(weights, scales, strict=True):
        lattice = noise_lattice(scale, random=random, region=region, device=device)
        field.add_(lattice.on(axes)[0], alpha=float(weight))
    return field


def gaussian_blur(volume: torch.Tensor, sigma: float | Sequence[float]) -> torch.Tensor:
    """Gaussian smoothing with replicated edges.

    Args:
        volume: ``(..., X, Y, Z)``.
        sigma: standard deviation in voxels, one number or one an axis; 0 leaves an axis as it is.
    """
    sigmas = [float(sigma)] * 3 if isinstance(sigma, (int, float)) else [float(s) for s in sigma]
    for axis, s in zip((-3, -2, -1), sigmas, strict=True):
        if s <= 0:
            continue
        radius = max(1, math.ceil(3 * s))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / s) ** 2)
        kernel /= kernel.sum()
        # A sum of shifted copies is several times faster on a CPU than conv3d with a line-shaped kernel.
        size = volume.shape[axis]
        index = torch.arange(-radius, size + radius, device=volume.device).clamp(0, size - 1)
        padded = volume.index_select(volume.ndim + axis, index)
        volume = padded.narrow(axis, radius, size) * float(kernel[radius])
        for k in range(radius):
            volume.add_(padded.narrow(axis, k, size), alpha=float(kernel[k]))
            volume.add_(padded.narrow(axis, 2 * radius - k, size), alpha=float(kernel[k]))
    return volume


def gradient(volume: torch.Tensor, spacing: float) -> torch.Tensor:
    """Central differences of ``(X, Y, Z)``, one-sided at the edges: ``(3, X, Y, Z)``, per mm."""
    return torch.stack(torch.gradient(volume, spacing=spacing, dim=(0, 1, 2)))


def sample(volume: torch.Tensor, voxels: torch.Tensor, *, padding: str = "zeros") -> torch.Tensor:
    """Trilinear values of ``volume`` at fractional voxel coordinates.

    Args:
        volume: ``(C, X, Y, Z)``.
        voxels: ``(3, *shape)`` coordinates in voxels of ``volume``, in the order x, y, z.
        padding: ``zeros`` or ``border``, what lies outside.

    Returns:
        ``(C, *shape)``.
    """
    sizes = volume.shape[1:]
    # grid_sample wants (z, y, x) in [-1, 1] for a volume that it sees as (D, H, W) = (X, Y, Z).
    grid = torch.stack([voxels[a] * (2.0 / (sizes[a] - 1)) - 1.0 for a in (2, 1, 0)], dim=-1)
    return functional.grid_sample(volume[None], grid[None], mode="bilinear", padding_mode=padding, align_corners=True)[
        0
    ]


def integrate(velocity: Lattice, *, squarings: int = 6) -> Lattice:
    """The displacement of the flow of a stationary velocity field, by scaling and squaring.

    exp(v) is composed from 2**squarings copies of x + v(x) / 2**squarings (Arsigny et al. 2006, "A Log-Euclidean
    framework for statistics on diffeomorphisms"): invertible where v is smooth, and the flow of -v is its inverse.

    Args:
        velocity: three channels, mm.
        squarings: number of squarings.

    Returns:
        Displacement in mm: the point x goes to x + u(x).
    """
    displacement = Lattice(velocity.values / 2**squarings, velocity.spacing, velocity.centre)
    for _ in range(squarings):
        displacement = compose(displacement, displacement)
    return displacement


def compose(outer: Lattice, inner: Lattice) -> Lattice:
    """The displacement of x -> y = x + inner(x) -> y + outer(y), on the lattice of ``inner``."""
    points = points_of(inner.axes()) + inner.values
    return Lattice(inner.values + outer.at(points), inner.spacing, inner.centre)
