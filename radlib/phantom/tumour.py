"""A glioma that grows in a head: Fisher-Kolmogorov growth, compartments, mass effect.

Cell density c (0 to 1) follows dc/dt = div(D grad c) + rho c (1 - c) (Murray 2003, "Mathematical Biology II",
chapter 11; Harpold et al. 2007, J Neuropathol Exp Neurol 66:1) with D up to five times larger in white than in grey
matter and no flux into CSF or through the skull. In a homogeneous medium the front runs at 2 sqrt(D rho).

Growth is solved on a 2 mm lattice. What is kept is the time at which the front reached each point, which times the
front's speed is a depth in mm: below 0 inside the grown tumour, above 0 ahead of it. Compartments are level sets of
that depth plus noise, and each gets exactly the volume that the traits ask for.
"""

from __future__ import annotations

import itertools
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

GROWTH_SPACING = 2.0
"""mm between the points of the growth lattice."""

DETECTION = 0.16
"""Cell density at which a tumour shows on T2 (Swanson et al. 2008, Br J Cancer 98:113)."""

WHITE_DIFFUSION = 0.15
"""mm2 a day in white matter, within the range that Harpold et al. 2007 give for high-grade glioma."""

LARGEST_SHARE = 0.4
"""Largest tumour, as a share of the brain's grey and white matter."""

TUMOUR_TISSUES = ("oedema", "solid", "enhancing", "necrosis", "microcystic")


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
        faces.append((2 * low * high / (low + high).clamp_min(1e-12)).mul_(step / spacing**2))
    growing = (diffusion > 0).float() * rate * step
    arrival = torch.where(density >= threshold, 0.0, math.inf)
    wanted = stop_ml * 1000 / spacing**3
    days, count, stalled = 0.0, int((density >= threshold).sum()), 0
    checked, checked_days = density.clone(), 0.0
    steps = round(stop_days / step) if math.isfinite(stop_days) else None
    for number in itertools.count(1):
        if count >= wanted or number - 1 == steps:
            break
        gain = growing * density
        gain.addcmul_(gain, density, value=-1)
        for axis, face in enumerate(faces):
            size = density.shape[axis]
            flux = (density.narrow(axis, 1, size - 1) - density.narrow(axis, 0, size - 1)).mul_(face)
            gain.narrow(axis, 0, size - 1).add_(flux)
            gain.narrow(axis, 1, size - 1).sub_(flux)
        density += gain
        days += step
        if number % 3 and number != steps:
            continue  # the front needs several steps a voxel: looking at every third loses nothing
        fresh = (density >= threshold) & (arrival == math.inf)
        fraction = ((threshold - checked) / (density - checked).clamp_min(1e-9)).clamp_(0, 1)
        arrival = torch.where(fresh, checked_days + (days - checked_days) * fraction, arrival)
        checked.copy_(density)
        checked_days = days
        new = int(fresh.sum())
        stalled = 0 if new else stalled + 1
        count += new
        if stalled > 150 and steps is None:
            raise RadlibError(
                f"the tumour stopped growing at {count * spacing**3 / 1000:.1f} of {stop_ml:.1f} ml",
                remedy="ask for a smaller volume_ml or another lobe",
            )
    # Ahead of a front at minimal speed the density rises as exp(2 rho t).
    ahead = torch.log(threshold / density.clamp(1e-12, threshold)) / (2 * rate.clamp_min(1e-9))
    arrival = torch.where(torch.isinf(arrival) & (diffusion > 0), days + ahead, arrival)
    return Growth(density, arrival, days)


@dataclass(frozen=True)
class Grown:
    """A tumour in head space, before it is put on a voxel grid.

    Attributes:
        depth: one channel, mm: below 0 inside, above 0 ahead of the front.
        seeds: mm of head space where the foci started.
        volume_ml: volume at depth 0.
        days: of growth.
    """

    depth: Lattice
    seeds: list[tuple[float, float, float]]
    volume_ml: float
    days: float


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
    return Grown(Lattice(depth[None], GROWTH_SPACING, centre), seeds, reached, grown.days)  # type: ignore[arg-type]


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
    brain = tissue_on(head, axes, spacing=WARP_SPACING).brain.float()
    held = (2 * gaussian_blur(brain, 2.0) - 1).clamp(0, 1)
    towards = gradient(gaussian_blur(core, 2.5), WARP_SPACING) + gradient(gaussian_blur(core, 6.0), WARP_SPACING)
    largest = towards.norm(dim=0).max()
    push = traits.mass_effect * min(0.45 * radius, 12.0)
    velocity = push * towards / largest.clamp_min(1e-9) * held
    return integrate(Lattice(velocity, WARP_SPACING))


@dataclass(frozen=True)
class Tumour:
    """A tumour on the voxels of a box inside the work part of a grid.

    Attributes:
        box: the box, as slices of the work part.
        labels: ``(X, Y, Z)`` uint8, BraTS labels 0, 1, 2, 4.
        probabilities: ``(4, X, Y, Z)``, of labels 0, 1, 2, 4 under partial volume; their sum is 1.
        tissues: ``(5, X, Y, Z)`` fractions of :data:`TUMOUR_TISSUES`; 1 minus their sum is normal tissue.
        texture: ``(X, Y, Z)``, variation of the tumour's contrast uptake and water, zero mean and unit variance.
    """

    box: tuple[slice, slice, slice]
    labels: torch.Tensor
    probabilities: torch.Tensor
    tissues: torch.Tensor
    texture: torch.Tensor


def compartments(
    grown: Grown,
    displacement: Lattice,
    tissue: Tissue,
    traits: ImagingTraits,
    axes: Axes,
    *,
    spacing: tuple[float, float, float],
    seed: int,
    subject: str,
) -> Tumour:
    """Labels and tissue fractions of a grown tumour on a voxel grid.

    Args:
        grown: the tumour before mass effect.
        displacement: of :func:`mass_effect`.
        tissue: the displaced head on the grid.
        traits: fractions, sharpness, mismatch, heterogeneity.
        axes: head-space coordinates of the grid.
        spacing: mm between its planes.
        seed: seed of the cohort.
        subject: name of the subject.
    """
    random = rng(seed, "compartments", subject)
    device = axes[0].device
    box = _box_on_grid(grown, axes)
    sub: Axes = tuple(axis[part] for axis, part in zip(axes, box, strict=True))  # type: ignore[assignment]
    points = points_of(sub)
    depth = grown.depth.at(points.add_(displacement.on(sub)))[0]
    csf, gm = tissue.fractions[0][box], tissue.fractions[1][box]
    inside = tissue.brain[box]
    ragged = 1 - traits.border_sharpness
    region = Region.of(grown.depth.axes())

    def noise(scales: tuple[float, ...], exponent: float = 0.5) -> torch.Tensor:
        return octaves(sub, scales=scales, exponent=exponent, random=random, region=region, device=device)

    # Oedema spares the cortex and does not cross CSF; deep inside, the tumour has replaced both.
    outer = (depth / 6 + 1).clamp(0, 1)
    whole = depth + (0.3 + 3.0 * ragged) * noise((1.6, 3.0, 6.0)) + outer * ((1 + 2 * ragged) * gm + 12 * csf)
    voxel_ml = math.prod(spacing) / 1000
    n_whole = max(1, round(traits.volume_ml / voxel_ml))
    in_whole = _lowest(whole, inside, n_whole)
    border = float(whole[in_whole].max())

    core = depth + (0.6 + 1.2 * ragged) * noise((2.0, 4.0)) + 2.0 * noise((9.0,))
    n_core = min(n_whole, round((traits.fraction_et + traits.fraction_core) * n_whole))
    in_core = _lowest(core, in_whole, n_core)

    # With necrosis the enhancing part is the rim of the core; without, patches in it.
    rim = _standardised(core + 1.5 * noise((1.5, 3.0, 5.0)), in_core)
    patches = noise((3.0, 6.0)) + 0.4 * noise((1.5,))
    ring = math.sqrt(traits.necrosis)
    n_enhancing = min(n_core, round(traits.fraction_et * n_whole))
    enhancing = _lowest(-(ring * rim + (1 - ring) * patches), in_core, n_enhancing)
    rest = in_core & ~enhancing
    n_rest = int(rest.sum())
    necrotic = _lowest(core + 0.8 * noise((2.0, 5.0)), rest, round(traits.necrosis * n_rest))

    labels = torch.zeros(depth.shape, dtype=torch.uint8, device=device)
    labels[in_whole] = 2
    labels[rest] = 1
    labels[enhancing] = 4

    parts = torch.stack([in_whole & ~in_core, rest & ~necrotic, enhancing, necrotic]).float()
    wide = [(0.5 + 0.8 * ragged) / s for s in spacing]
    soft = torch.cat([gaussian_blur(parts[:1], wide), gaussian_blur(parts[1:], [0.55 / s for s in spacing])])
    soft = soft / soft.sum(0, keepdim=True).clamp_min(1.0) * inside
    probabilities = torch.stack([1 - soft.sum(0), soft[1] + soft[3], soft[0], soft[2]])

    # Oedema is water between what was there: strong near the core, fading to the border.
    inward = ((border - whole) / (3.0 + 5.0 * ragged)).clamp(0, 1)
    severity = (0.45 + 0.45 * inward + 0.12 * noise((2.5, 6.0))).clamp(0.15, 1.0)
    # Infiltrating tumour leaves some of the tissue it grows through.
    spared = (0.12 * ragged * (1 + noise((3.0,)))).clamp(0, 0.35)
    oedema, solid = soft[0] * severity * (1 - 0.35 * gm), soft[1] * (1 - spared)
    cystic = traits.t2_flair_mismatch * ((border - whole - 2.5) / 3.0).clamp(0, 1)
    microcystic = cystic * (solid + 0.9 * oedema)
    tissues = torch.stack([oedema * (1 - 0.9 * cystic), solid * (1 - cystic), soft[2], soft[3], microcystic])
    coarse = 1.5 + 3.0 * traits.heterogeneity
    texture = (0.35 + 0.65 * traits.heterogeneity) * noise((1.2, coarse), 0.8)
    return Tumour(box, labels, probabilities, tissues, texture)


def _box_on_grid(grown: Grown, axes: Axes) -> tuple[slice, slice, slice]:
    """The voxels that the growth lattice covers."""
    out = []
    for axis, own in zip(axes, grown.depth.axes(), strict=True):
        inside = torch.nonzero((axis >= own.min()) & (axis <= own.max())).flatten()
        out.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return out[0], out[1], out[2]


def _lowest(field: torch.Tensor, among: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` voxels of ``among`` where ``field`` is lowest, as a mask; all of them where there are fewer."""
    out = torch.zeros_like(among)
    indices = among.flatten().nonzero().flatten()
    if count <= 0 or len(indices) == 0:
        return out
    values = field.flatten()[indices]
    order = torch.sort(values, stable=True).indices[:count]
    out.view(-1)[indices[order]] = True
    return out


def _standardised(field: torch.Tensor, among: torch.Tensor) -> torch.Tensor:
    values = field[among]
    if len(values) < 2:
        return field
    return (field - values.mean()) / values.std().clamp_min(1e-6)
