"""A glioma that grows in a head: Fisher-Kolmogorov growth and mass effect.

Cell density c (0 to 1) follows dc/dt = div(D grad c) + rho c (1 - c) (Murray 2003, "Mathematical Biology II",
chapter 11; Harpold et al. 2007, J Neuropathol Exp Neurol 66:1) with D up to five times larger in white than in grey
matter and no flux into CSF or through the skull. In a homogeneous medium the front runs at 2 sqrt(D rho).

Growth is solved on a 2.5 mm lattice, in the box that cells have reached. What is kept is the time at which the front
reached each point, which times the front's speed is a depth in mm: below 0 inside the grown tumour, above 0 ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.phantom.anatomy import WARP_SPACING, Head, Tissue, lobe_prior, tissue_on
from radlib.phantom.fields import (
    Axes,
    Lattice,
    Region,
    gaussian_blur,
    gradient,
    integrate,
    lattice_axes,
    octaves,
    points_of,
)
from radlib.phantom.traits import ImagingTraits

GROWTH_SPACING = 2.5
"""mm between the points of the growth lattice."""

DETECTION = 0.16
"""Cell density at which a tumour shows on T2 (Swanson et al. 2008, Br J Cancer 98:113)."""

WHITE_DIFFUSION = 0.15
"""mm2 a day in white matter, within the range that Harpold et al. 2007 give for high-grade glioma."""

LARGEST_SHARE = 0.4
"""Largest tumour, as a share of the brain's grey and white matter."""


@dataclass(frozen=True)
class Growth:
    """What the reaction-diffusion equation gave.

    Attributes:
        density: ``(X, Y, Z)`` cell density at the end, 0 to 1.
        arrival: ``(X, Y, Z)`` days until the density reached the threshold; ahead of the front, extrapolated with the
            exponential rise of a travelling front; infinite where cells cannot go.
        days: when growth stopped.
    """

    density: torch.Tensor
    arrival: torch.Tensor
    days: float


def grow(
    initial: torch.Tensor,
    *,
    diffusion: torch.Tensor,
    proliferation: torch.Tensor | float,
    spacing: float,
    stop_ml: float = math.inf,
    stop_days: float = math.inf,
    threshold: float = DETECTION,
) -> Growth:
    """Solve the Fisher-Kolmogorov equation with explicit steps of the finite-volume form.

    The flux between two voxels uses the harmonic mean of their diffusion, so it is zero into a voxel where diffusion
    is zero, and through the faces of the box.

    Args:
        initial: ``(X, Y, Z)`` cell density at day 0, 0 to 1.
        diffusion: ``(X, Y, Z)`` mm2 a day.
        proliferation: 1 / day, a number or ``(X, Y, Z)``.
        spacing: mm between voxels.
        stop_ml: stop when the volume above ``threshold`` reaches this.
        stop_days: stop at this day.
        threshold: cell density that counts as tumour.

    Raises:
        RadlibError: if neither stop is reached because growth has nowhere to go.
    """
    density = initial.clone()
    fastest = float(diffusion.max())
    rate = torch.as_tensor(proliferation, dtype=torch.float32, device=initial.device)
    step = min(0.9 * spacing**2 / (6 * fastest), 0.1 / max(float(rate.max()), 1e-9))
    if math.isfinite(stop_days):
        step = stop_days / math.ceil(stop_days / step)
    faces = []
    for axis in range(3):
        size = density.shape[axis]
        low, high = diffusion.narrow(axis, 0, size - 1), diffusion.narrow(axis, 1, size - 1)
        # 2ab / (a + b), with the step and the spacing folded in
        face = torch.zeros_like(density)
        face.narrow(axis, 0, size - 1).copy_(2 * low * high / (low + high).clamp_min(1e-12) * (step / spacing**2))
        faces.append(face)
    growing = (diffusion > 0).float() * rate * step
    arrival = torch.where(density >= threshold, 0.0, math.inf)
    wanted = stop_ml * 1000 / spacing**3
    days, count, stalled = 0.0, int((density >= threshold).sum()), 0
    steps = round(stop_days / step) if math.isfinite(stop_days) else None
    number = 0
    while count < wanted and number != steps:
        # Nine steps in the box of the cells, as one row of voxels in which a neighbour is a stride away. The faces at
        # the end of an axis, where a stride would wrap around, are closed.
        box = _reached(density)
        shape = density[box].shape
        here, grows, arrived = (field[box].flatten() for field in (density, growing, arrival))
        kept, inner = 1 + grows, []
        for axis, (face, stride) in enumerate(zip(faces, (shape[1] * shape[2], shape[2], 1), strict=True)):
            closed = face[box].clone()
            closed.narrow(axis, shape[axis] - 1, 1).zero_()
            flow = closed.flatten()[: len(here) - stride]
            kept[: len(flow)] -= flow
            kept[stride:] -= flow
            inner.append((flow, stride))
        spare, before, before_days = torch.empty_like(here), here.clone(), days
        for _ in range(3):
            if count >= wanted or number == steps:
                break
            for _ in range(3):
                if number == steps:
                    break
                torch.addcmul(kept, here, grows, value=-1, out=spare)
                spare.mul_(here)
                for flow, stride in inner:
                    spare[stride:].addcmul_(flow, here[: len(flow)])
                    spare[: len(flow)].addcmul_(flow, here[stride:])
                here, spare = spare, here
                number, days = number + 1, days + step
            # The front needs several steps a voxel: looking at every third loses nothing.
            fresh = (here >= threshold) & (arrived == math.inf)
            fraction = ((threshold - before) / (here - before).clamp_min(1e-9)).clamp_(0, 1)
            arrived = torch.where(fresh, before_days + (days - before_days) * fraction, arrived)
            before.copy_(here)
            before_days = days
            new = int(fresh.sum())
            stalled = 0 if new else stalled + 1
            count += new
        density[box], arrival[box] = here.view(shape), arrived.view(shape)
        if stalled > 150 and steps is None:
            raise RadlibError(
                f"the tumour stopped growing at {count * spacing**3 / 1000:.1f} of {stop_ml:.1f} ml",
                remedy="ask for a smaller volume_ml or another lobe",
            )
    # Ahead of a front at minimal speed the density rises as exp(2 rho t).
    ahead = torch.log(threshold / density.clamp(1e-12, threshold)) / (2 * rate.clamp_min(1e-9))
    arrival = torch.where(torch.isinf(arrival) & (diffusion > 0), days + ahead, arrival)
    return Growth(density, arrival, days)


def _reached(density: torch.Tensor) -> tuple[slice, slice, slice]:
    """The box of cells, and ten voxels more: nine steps move them by less."""
    box = []
    for axis in range(3):
        found = (density.amax(dim=[a for a in range(3) if a != axis]) > 1e-9).nonzero().flatten()
        low, high = (int(found[0]), int(found[-1])) if len(found) else (0, density.shape[axis] - 1)
        box.append(slice(max(low - 10, 0), high + 11))
    return box[0], box[1], box[2]


@dataclass(frozen=True)
class Grown:
    """A tumour in head space, before it is put on a voxel grid.

    Attributes:
        depth: one channel, mm: below 0 inside, above 0 ahead of the front.
        seeds: mm of head space where the foci started.
        volume_ml: volume at depth 0.
        days: of growth.
        brain: ``(X, Y, Z)`` bool on the lattice of deformations, before mass effect.
    """

    depth: Lattice
    seeds: list[tuple[float, float, float]]
    volume_ml: float
    days: float
    brain: torch.Tensor


def check_traits(traits: ImagingTraits, *, subject: str) -> None:
    """Refuse traits that no tumour can have.

    Raises:
        RadlibError: naming the subject, the trait and its value.
    """
    for name in (
        "fraction_et", "fraction_core", "necrosis", "border_sharpness", "t2_flair_mismatch", "mass_effect",
        "heterogeneity",
    ):  # fmt: skip
        value = getattr(traits, name)
        if not 0 <= value <= 1:
            raise RadlibError(f"{name} of {subject} is {value}", remedy="give a number from 0 to 1")
    if traits.fraction_et + traits.fraction_core > 1 + 1e-6:
        raise RadlibError(
            f"fraction_et + fraction_core of {subject} is {traits.fraction_et + traits.fraction_core:.3f}",
            remedy="give shares whose sum is at most 1; the rest is oedema",
        )
    if not 0 < traits.volume_ml < 1000:
        raise RadlibError(f"volume_ml of {subject} is {traits.volume_ml}", remedy="give ml, e.g. 60")
    if not 0 <= traits.age <= 120:
        raise RadlibError(f"age of {subject} is {traits.age}", remedy="give years, 0 to 120")
    if not 1 <= traits.n_foci <= 6:
        raise RadlibError(f"n_foci of {subject} is {traits.n_foci}", remedy="give 1 to 6")


def grow_in_head(head: Head, traits: ImagingTraits, *, seed: int, subject: str) -> Grown:
    """Grow the tumour of ``traits`` in ``head`` until it has their volume.

    Raises:
        RadlibError: for traits out of range, or a tumour that does not fit.
    """
    check_traits(traits, subject=subject)
    random = rng(seed, "tumour", subject)
    device = head.warp.values.device
    axes = lattice_axes(WARP_SPACING, device=device)
    tissue = tissue_on(head, axes, spacing=WARP_SPACING)
    tissue_ml = float(tissue.fractions[1:].sum()) * WARP_SPACING**3 / 1000
    if traits.volume_ml > LARGEST_SHARE * tissue_ml:
        raise RadlibError(
            f"a tumour of {traits.volume_ml:.0f} ml does not fit the brain of {subject}, which has "
            f"{tissue_ml:.0f} ml of grey and white matter",
            remedy=f"give a volume_ml up to {LARGEST_SHARE * tissue_ml:.0f}",
        )
    seeds = _draw_seeds(tissue, axes, traits, random)

    sharp = traits.border_sharpness
    thickness = 4.5 - 2.8 * sharp  # mm, sqrt(D / rho)
    rate = WHITE_DIFFUSION / thickness**2
    speed = 2 * math.sqrt(WHITE_DIFFUSION * rate)
    radius = (traits.volume_ml * 1000 * 3 / (4 * math.pi)) ** (1 / 3)
    margin = 1.7 * radius + 5 * thickness + 4
    for reach in (margin, 2 * margin):
        box = _box(seeds, reach, device=device)
        grown = _grow_in_box(head, traits, box, seeds, rate=rate, sharp=sharp, random_names=(seed, subject))
        faces = [grown.arrival.narrow(a, i, 1) for a in range(3) for i in (0, grown.arrival.shape[a] - 1)]
        if min(float(face.min()) for face in faces) > grown.days:
            break
    depth = ((grown.arrival - grown.days) * speed).clamp(-200, 60).nan_to_num(posinf=60.0)
    centre = tuple(float(a[0] + a[-1]) / 2 for a in box)
    reached = float((grown.density >= DETECTION).sum()) * GROWTH_SPACING**3 / 1000
    lattice = Lattice(depth[None], GROWTH_SPACING, centre)  # type: ignore[arg-type]
    return Grown(lattice, seeds, reached, grown.days, tissue.brain)


def _grow_in_box(
    head: Head,
    traits: ImagingTraits,
    box: Axes,
    seeds: list[tuple[float, float, float]],
    *,
    rate: float,
    sharp: float,
    random_names: tuple[int, str],
) -> Growth:
    seed, subject = random_names
    random = rng(seed, "medium", subject)
    device = box[0].device
    csf, gm, wm = tissue_on(head, box, spacing=GROWTH_SPACING).fractions
    ratio = 5.0 - 2.5 * sharp  # white to grey
    region = Region.of(box)
    medium = octaves(box, scales=(3.0, 7.0), exponent=0.3, random=random, region=region, device=device)
    drive = octaves(box, scales=(5.0, 10.0), exponent=0.3, random=random, region=region, device=device)
    diffusion = WHITE_DIFFUSION * (wm + gm / ratio) * torch.exp((0.7 - 0.3 * sharp) * medium).clamp(0.2, 2)
    diffusion = torch.where((csf < 0.55) & (gm + wm > 0.3), diffusion * (1 - csf), 0.0)
    points = points_of(box)
    initial = torch.zeros_like(csf)
    for number, point in enumerate(seeds):
        square = sum((points[a] - point[a]) ** 2 for a in range(3))
        assert isinstance(square, torch.Tensor)
        # A later focus starts smaller, so it ends smaller.
        width = 3.0 if number == 0 else 1.6
        initial = torch.maximum(initial, (0.9 if number == 0 else 0.3) * torch.exp(-square / (2 * width**2)))
    initial = torch.where(diffusion > 0, initial, 0.0)
    return grow(
        initial,
        diffusion=diffusion,
        proliferation=(rate * torch.exp(0.35 * drive)).clamp(rate / 3, rate * 3),
        spacing=GROWTH_SPACING,
        stop_ml=traits.volume_ml,
    )


def _draw_seeds(
    tissue: Tissue, axes: Axes, traits: ImagingTraits, random: np.random.Generator
) -> list[tuple[float, float, float]]:
    prior = lobe_prior(tissue.mni, lobe=traits.lobe, hemisphere=traits.hemisphere)
    csf, gm, wm = tissue.fractions
    # Away from the surface: a blurred brain mask is below 1 there.
    inner = (gaussian_blur(tissue.brain.float(), 1.2) > 0.9) & (csf < 0.3)
    weight = (prior * (wm + 0.35 * gm) * inner).flatten().double()
    points = points_of(axes).flatten(1)
    seeds: list[tuple[float, float, float]] = []
    spread = 20.0 + 10.0 * (traits.volume_ml / 60) ** (1 / 3)
    while len(seeds) < traits.n_foci:
        cumulative = torch.cumsum(weight, 0)
        if float(cumulative[-1]) <= 0:
            raise RadlibError(
                f"no room for focus {len(seeds) + 1} of {traits.n_foci} in the {traits.lobe} region",
                remedy="ask for fewer foci",
            )
        index = int(torch.searchsorted(cumulative, float(cumulative[-1]) * random.random()))
        x, y, z = (float(points[a, index]) for a in range(3))
        seeds.append((x, y, z))
        # Further foci lie within a few cm of the first, apart from all.
        square = sum((points[a] - seeds[0][a]) ** 2 for a in range(3))
        weight = torch.exp(-square / (2 * spread**2)) * (wm + 0.35 * gm).flatten() * inner.flatten()
        for point in seeds:
            near = sum((points[a] - point[a]) ** 2 for a in range(3))
            weight = torch.where(near < spread**2, 0.0, weight)
        weight = weight.double()
    return seeds


def _box(seeds: list[tuple[float, float, float]], reach: float, *, device: torch.device) -> Axes:
    """Growth-lattice coordinates around the seeds, within the extent of lattices."""
    out = []
    for a, axis in enumerate(lattice_axes(GROWTH_SPACING, device=device)):
        low, high = min(s[a] for s in seeds) - reach, max(s[a] for s in seeds) + reach
        out.append(axis[(axis >= low) & (axis <= high)])
    return out[0], out[1], out[2]


def mass_effect(head: Head, grown: Grown, traits: ImagingTraits) -> Lattice:
    """The displacement of the brain by the tumour's core.

    A flow away from the blurred core, zero at the skull. As in :class:`~radlib.phantom.anatomy.Head` it maps where a
    point is to where it was, so beside the core it points into the core.
    """
    device = head.warp.values.device
    axes = lattice_axes(WARP_SPACING, device=device)
    velocity = torch.zeros((3, *(len(a) for a in axes)), device=device)
    share = traits.fraction_et + traits.fraction_core
    if traits.mass_effect <= 0:
        return Lattice(velocity, WARP_SPACING)
    radius = (traits.volume_ml * 1000 * 3 / (4 * math.pi)) ** (1 / 3)
    # The core's border lies where the volume inside is its share of the whole.
    border = -radius * (1 - max(share, 0.25) ** (1 / 3))
    core = torch.sigmoid((border - grown.depth.on(axes)[0]) / 2.0)
    held = (2 * gaussian_blur(grown.brain.float(), 2.0) - 1).clamp(0, 1)
    towards = gradient(gaussian_blur(core, 2.5), WARP_SPACING) + gradient(gaussian_blur(core, 6.0), WARP_SPACING)
    largest = towards.norm(dim=0).max()
    push = traits.mass_effect * min(0.45 * radius, 12.0)
    velocity = push * towards / largest.clamp_min(1e-9) * held
    return integrate(Lattice(velocity, WARP_SPACING))
