"""Scanners: pulse sequences of a site, and what an acquisition does to a perfect image.

In order: receive-coil bias, movement between sequences, slices and pixels of the acquisition, Rician noise
(Gudbjartsson and Patz 1995, Magn Reson Med 34:910), interpolation to the grid of the data set, arbitrary units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.phantom.anatomy import Grid, rotation_matrix
from radlib.phantom.fields import Axes, Lattice, noise_lattice, points_of, sample
from radlib.phantom.mechanisms import spread
from radlib.phantom.signal import Sequence


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a site scans.

    Attributes:
        name: what templates call it.
        tesla: field strength, 1.5 or 3.
        t1, t1ce, t2, flair: the sequences.
        noise: standard deviation of the noise of each channel, as a share of the mean signal of white matter, in an
            acquired voxel of 1 mm3.
        bias: standard deviation of the logarithm of the bias field that is left after correction.
        motion_mm: standard deviation of the movement between sequences, mm (and degrees), after registration.
        units: typical intensity of white matter, in scanner units.
    """

    name: str
    tesla: float
    t1: Sequence
    t1ce: Sequence
    t2: Sequence
    flair: Sequence
    noise: float = 0.03
    bias: float = 0.14
    motion_mm: float = 0.35
    units: float = 500.0

    def sequence(self, modality: str) -> Sequence:
        """The sequence of ``t1``, ``t1ce``, ``t2`` or ``flair``."""
        sequence = getattr(self, modality)
        assert isinstance(sequence, Sequence)
        return sequence


# TR, TE, TI: typical clinical values. The in-plane and slice sizes of BraTS and TCGA scans vary widely (1 mm
# volumes to 2D slices of 5 mm and more; Bakas et al. 2017, Sci Data 4:170117).
PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="brats-3t",
            tesla=3.0,
            t1=Sequence(kind="gre", tr=20, te=4, flip=22),
            t1ce=Sequence(kind="gre", tr=20, te=4, flip=22, contrast=True),
            t2=Sequence(kind="se", tr=6000, te=100, slice_mm=2.0),
            flair=Sequence(kind="ir", tr=9420, te=115, ti=2500, slice_mm=3.0),
            noise=0.025,
            units=800.0,
        ),
        Protocol(
            name="brats-1.5t",
            tesla=1.5,
            t1=Sequence(kind="se", tr=550, te=12, slice_mm=5.0),
            t1ce=Sequence(kind="gre", tr=25, te=5, flip=28, contrast=True),
            t2=Sequence(kind="se", tr=4500, te=95, slice_mm=3.0),
            flair=Sequence(kind="ir", tr=9000, te=120, ti=2400, slice_mm=4.0),
            noise=0.04,
        ),
        Protocol(
            name="tcga",
            tesla=1.5,
            t1=Sequence(kind="se", tr=500, te=14, slice_mm=5.0),
            t1ce=Sequence(kind="gre", tr=12, te=4, flip=20, contrast=True, slice_mm=1.5),
            t2=Sequence(kind="se", tr=4000, te=100, slice_mm=5.0),
            flair=Sequence(kind="ir", tr=10000, te=140, ti=2300, slice_mm=2.5),
            noise=0.05,
            bias=0.17,
            motion_mm=0.6,
        ),
        Protocol(
            name="tcga-thick",
            tesla=1.5,
            t1=Sequence(kind="se", tr=600, te=16, slice_mm=6.0),
            t1ce=Sequence(kind="se", tr=600, te=16, contrast=True, slice_mm=5.0),
            t2=Sequence(kind="se", tr=3000, te=85, slice_mm=6.0),
            flair=Sequence(kind="ir", tr=8000, te=120, ti=2200, slice_mm=6.0),
            noise=0.06,
            bias=0.18,
            motion_mm=0.7,
            units=300.0,
        ),
        Protocol(
            name="huashan-3t",
            tesla=3.0,
            t1=Sequence(kind="gre", tr=15, te=4, flip=20, in_plane=0.4688, slice_mm=2.0),
            t1ce=Sequence(kind="gre", tr=15, te=4, flip=20, contrast=True, in_plane=0.4688, slice_mm=2.0),
            t2=Sequence(kind="se", tr=5000, te=100, in_plane=0.4688, slice_mm=2.0),
            flair=Sequence(kind="ir", tr=9000, te=99, ti=2500, in_plane=0.4688, slice_mm=2.0),
            noise=0.02,
        ),
        Protocol(
            name="rembrandt-1.5t",
            tesla=1.5,
            t1=Sequence(kind="se", tr=500, te=14, slice_mm=5.0),
            t1ce=Sequence(kind="se", tr=500, te=14, contrast=True, slice_mm=5.0),
            t2=Sequence(kind="se", tr=3500, te=100, slice_mm=5.0),
            flair=Sequence(kind="ir", tr=9000, te=130, ti=2250, slice_mm=3.0),
            noise=0.05,
            bias=0.18,
            units=250.0,
        ),
    )
}
"""The protocols that templates may name."""


def load_protocol(name: str) -> Protocol:
    """The protocol called ``name``.

    Raises:
        RadlibError: if there is none.
    """
    if name not in PROTOCOLS:
        raise RadlibError(
            f"no scanner protocol is called {name!r}", remedy=f"use one of {', '.join(sorted(PROTOCOLS))}"
        )
    return PROTOCOLS[name]


def vary(protocol: Protocol, strength: float, *, random: np.random.Generator) -> Protocol:
    """The protocol as one subject meets it: other times, noise, thickness and resolution by the lognormal spreads here.

    Args:
        protocol: of the site.
        strength: multiplies every spread; 0 gives the protocol back.
        random: where the numbers come from.
    """

    def varied(sequence: Sequence) -> Sequence:
        te, tr, ti, flip, slices, pixels = (
            spread(random, sd * strength) for sd in (0.08, 0.05, 0.03, 0.10, 0.25, 0.15)
        )
        return replace(
            sequence, te=sequence.te * te, tr=sequence.tr * tr, ti=sequence.ti * ti,
            flip=min(sequence.flip * flip, 90.0), slice_mm=sequence.slice_mm * slices,
            in_plane=sequence.in_plane * pixels,
        )  # fmt: skip

    return replace(
        protocol,
        t1=varied(protocol.t1),
        t1ce=varied(protocol.t1ce),
        t2=varied(protocol.t2),
        flair=varied(protocol.flair),
        noise=protocol.noise * spread(random, 0.4 * strength),
        bias=protocol.bias * spread(random, 0.3 * strength),
    )


SHARED_BIAS = 0.8
"""Correlation of the bias fields of two modalities: one coil and one head, other positions and corrections."""


def bias_field(
    axes: Axes,
    *,
    amount: float,
    shared: np.random.Generator,
    own: np.random.Generator,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """A smooth positive field ``(X, Y, Z)`` around 1, its logarithm with standard deviation ``amount``.

    Args:
        axes: of the grid.
        amount: standard deviation.
        shared: the stream of what all modalities of a subject have in common; a fresh one for each.
        own: the stream of what this one has alone.
        device: where the field is made.
    """
    common, single = (noise_lattice(35.0, random=random, device=device).values for random in (shared, own))
    spacing = 35.0 / 1.2
    field = Lattice(math.sqrt(SHARED_BIAS) * common + math.sqrt(1 - SHARED_BIAS) * single, spacing).on(axes)[0]
    return torch.exp(amount * field)


def move(image: torch.Tensor, axes: Axes, *, degrees: np.ndarray, millimetres: np.ndarray) -> torch.Tensor:
    """Rotate (about x, y, z through the centre of the head) and shift an image ``(X, Y, Z)``."""
    matrix = torch.from_numpy(rotation_matrix(np.deg2rad(degrees)).astype(np.float32)).to(image.device)
    shift = torch.from_numpy(np.asarray(millimetres, dtype=np.float32)).to(image.device)
    points = (matrix @ points_of(axes).reshape(3, -1)).add_(shift[:, None]).reshape(3, *image.shape)
    for a, axis in enumerate(axes):
        points[a].sub_(axis[0]).div_(axis[1] - axis[0])
    return sample(image[None], points, padding="border")[0]


def rician(image: torch.Tensor, sigma: float, *, generator: torch.Generator) -> torch.Tensor:
    """Magnitude of ``image`` plus complex Gaussian noise of standard deviation ``sigma`` in each channel."""
    if sigma <= 0:
        return image.abs()

    def draw() -> torch.Tensor:
        return torch.randn(image.shape, generator=generator, device=generator.device, dtype=torch.float32)

    return torch.hypot(draw().mul_(sigma).add_(image), draw().mul_(sigma))


def acquired_shape(shape: tuple[int, ...], grid: Grid, sequence: Sequence) -> tuple[int, int, int]:
    """Pixels and slices that the sequence takes over ``shape`` voxels of the grid; never more than voxels."""
    sizes = (sequence.in_plane, sequence.in_plane, sequence.slice_mm)
    x, y, z = (
        n if size <= 1.05 * spacing else max(2, round(n * spacing / size))
        for n, spacing, size in zip(shape, grid.spacing, sizes, strict=True)
    )
    return x, y, z


def acquire(
    image: torch.Tensor, *, grid: Grid, sequence: Sequence, sigma: float, generator: torch.Generator
) -> torch.Tensor:
    """Thick slices and noise: ``(X, Y, Z)`` to ``(X, Y, Z)``.

    The image is averaged over the acquired voxels, noise is added there, and the result is interpolated back. Noise
    falls with the square root of the volume over which a voxel averages, acquired or of the grid.

    Args:
        image: signal with sign, on the work part of ``grid``.
        grid: the voxel grid.
        sequence: whose pixels and slices are used.
        sigma: noise of a voxel of 1 mm3.
        generator: of the noise; its device is where it is drawn.
    """
    shape = tuple(image.shape)
    coarse = acquired_shape(shape, grid, sequence)
    volume = math.prod(max(a, g) for a, g in zip(
        (sequence.in_plane, sequence.in_plane, sequence.slice_mm), grid.spacing, strict=True
    ))  # fmt: skip
    # Scanners trade bandwidth and averages for voxel size, so noise falls more slowly than with the volume itself.
    noise = sigma / math.sqrt(volume)
    if coarse == shape:
        return rician(image, noise, generator=generator)
    taken = functional.interpolate(image[None, None], size=coarse, mode="area")[0, 0]
    taken = rician(taken, noise, generator=generator)
    return functional.interpolate(taken[None, None], size=shape, mode="trilinear", align_corners=False)[0, 0]
