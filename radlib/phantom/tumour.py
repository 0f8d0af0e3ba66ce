"""The compartments of a grown tumour on a voxel grid, what hides them, and the labels that a person draws.

Compartments are level sets of the depth behind the front plus noise, and each gets exactly the volume that the traits
ask for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from radlib.core.seeds import rng
from radlib.phantom.anatomy import Tissue
from radlib.phantom.distractors import DISTRACTORS, largest_code
from radlib.phantom.fields import Axes, Lattice, Region, gaussian_blur, noise_lattice, octaves, points_of
from radlib.phantom.growth import Grown
from radlib.phantom.mechanisms import Mechanisms, spread
from radlib.phantom.traits import ImagingTraits

TUMOUR_TISSUES = ("oedema", "solid", "enhancing", "necrosis", "microcystic", "blood", "calcium", "cyst")

Noise = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Tumour:
    """A tumour on the voxels of a box inside the work part of a grid.

    Attributes:
        box: the box, as slices of the work part.
        labels: ``(X, Y, Z)`` uint8, BraTS labels 0, 1, 2, 4: the tumour as it is.
        drawn: the same as a person draws it.
        probabilities: ``(4, X, Y, Z)``, of labels 0, 1, 2, 4 under partial volume; their sum is 1.
        tissues: ``(8, X, Y, Z)`` fractions of :data:`TUMOUR_TISSUES`; 1 minus their sum is normal tissue.
        texture: ``(X, Y, Z)``, variation of the tumour's contrast uptake and water, zero mean and unit variance.
        dose: contrast uptake of this tumour relative to the mean tumour.
        codes: ``(X, Y, Z)`` uint8, codes of :data:`radlib.phantom.distractors.DISTRACTORS`, 0 for none.
    """

    box: tuple[slice, slice, slice]
    labels: torch.Tensor
    drawn: torch.Tensor
    probabilities: torch.Tensor
    tissues: torch.Tensor
    texture: torch.Tensor
    dose: float
    codes: torch.Tensor


def compartments(
    grown: Grown,
    displacement: Lattice,
    tissue: Tissue,
    traits: ImagingTraits,
    axes: Axes,
    *,
    mechanisms: Mechanisms,
    spacing: tuple[float, float, float],
    seed: int,
    subject: str,
) -> Tumour:
    """Labels and tissue fractions of a grown tumour on a voxel grid.

    Args:
        grown: the tumour before mass effect.
        displacement: of :func:`radlib.phantom.growth.mass_effect`.
        tissue: the displaced head on the grid.
        traits: fractions, sharpness, mismatch, heterogeneity.
        axes: head-space coordinates of the grid.
        mechanisms: strengths.
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
    csf, gm, wm = tissue.fractions[:, *box]
    inside = tissue.brain[box]
    ragged = 1 - traits.border_sharpness
    region = Region.of(grown.depth.axes())

    def noise(scales: tuple[float, ...], exponent: float = 0.5, source: np.random.Generator = random) -> torch.Tensor:
        return octaves(sub, scales=scales, exponent=exponent, random=source, region=region, device=device)

    # Oedema spares the cortex and does not cross CSF; deep inside, the tumour has replaced both.
    outer = (depth / 6 + 1).clamp(0, 1)
    spared_cortex = 1.5 + 9 * ragged * random.random()  # mm: fingers of oedema between gyri in some subjects
    whole = depth + (0.3 + 3.0 * ragged) * noise((2.0, 3.0, 6.0)) + outer * (spared_cortex * gm + 14 * csf)
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
    labels = _labels(in_whole, in_core, enhancing)

    parts = torch.stack([in_whole & ~in_core, rest & ~necrotic, enhancing, necrotic]).float()
    wide = [(0.5 + 0.8 * ragged) / s for s in spacing]
    soft = torch.cat([gaussian_blur(parts[:1], wide), gaussian_blur(parts[1:], [0.55 / s for s in spacing])])
    soft = soft / soft.sum(0, keepdim=True).clamp_min(1.0) * inside
    probabilities = torch.stack([1 - soft.sum(0), soft[1] + soft[3], soft[0], soft[2]])

    # Oedema is water between what was there: strong near the core, fading to the border.
    inward = (border - whole) / (3.0 + 5.0 * ragged)
    severity = (0.55 + 0.4 * inward.clamp(0, 1) + 0.12 * noise((2.5, 6.0))).clamp(0.15, 1.0)
    # Infiltrating tumour leaves some of the tissue it grows through.
    spared = (0.12 * ragged * (1 + noise((3.0,)))).clamp(0, 0.35)
    oedema, solid = soft[0] * severity * (1 - 0.35 * gm), soft[1] * (1 - spared)
    shown, beyond = _fading(whole - border, ragged, mechanisms, noise, seed=seed, subject=subject)
    oedema = torch.maximum(oedema * shown, beyond * (wm + 0.4 * gm) * inside * (1 - soft[1:].sum(0)))
    solid = solid * shown
    mismatch = traits.t2_flair_mismatch * min(mechanisms.mismatch, 1.0)
    cystic = mismatch * ((border - whole - 2.5) / 3.0).clamp(0, 1)
    tissues = torch.stack(
        [oedema * (1 - 0.9 * cystic), solid * (1 - cystic), soft[2], soft[3], cystic * (solid + 0.9 * oedema),
         *torch.zeros(3, *depth.shape, device=device)]
    )  # fmt: skip
    dose, weak = _uptake(tissues, traits, mechanisms, noise, seed=seed, subject=subject)
    _inclusions(tissues, traits, in_core, mechanisms, noise, seed=seed, subject=subject)
    coarse = 1.5 + 3.0 * traits.heterogeneity
    texture = (0.35 + 0.65 * traits.heterogeneity) * noise((1.5, coarse), 0.8)

    drawn = _draw(
        whole - border, labels, inside, mechanisms.rater, noise_of=(sub, region), spacing=spacing, seed=seed,
        subject=subject,
    )  # fmt: skip
    faint = soft[:2].sum(0) * (1 - shown)
    inclusions = [tissues[TUMOUR_TISSUES.index(name)] for name in ("blood", "calcium", "cyst")]
    first = 1 + DISTRACTORS.index("infiltration")
    # A few per cent of oedema beyond the border already show.
    codes = largest_code([4 * beyond * (drawn == 0), faint, *inclusions, weak], first=first)
    return Tumour(box, labels, drawn, probabilities, tissues, texture, dose, codes)


def _labels(in_whole: torch.Tensor, in_core: torch.Tensor, enhancing: torch.Tensor) -> torch.Tensor:
    labels = in_whole.to(torch.uint8) * 2
    labels[in_core] = 1
    labels[enhancing] = 4
    return labels


def _fading(
    outside: torch.Tensor, ragged: float, mechanisms: Mechanisms, noise: Noise, *, seed: int, subject: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """How much of the non-enhancing tumour shows, 0 to 1, and the oedema beyond the border, a share.

    Cell density falls off exponentially ahead of a front, so what shows does too. Inside, some regions stay nearly as
    they were, and the whole tumour is fainter in some subjects.

    Args:
        outside: ``(X, Y, Z)`` about mm outside of the border, below 0 inside.
        ragged: 1 minus the sharpness of the border.
        mechanisms: ``fading`` and ``faintness``.
        noise: makes textures on the box.
        seed, subject: of the random numbers.
    """
    random = rng(seed, "mechanism", "fading", subject)
    strength = mechanisms.fading
    ramp = (1.0 + 4.0 * ragged) * spread(random, 0.5)
    inward = (-outside / ramp).clamp(0, 1)
    hidden = ((noise((8.0,), source=random) - 1.2) * 0.8).clamp(0, 0.7) * min(strength, 1.0)
    shown = (1 - min(0.5 * strength, 1.0) * (1 - inward)) * (1 - hidden)
    beyond = 0.30 * strength * torch.exp(-outside.clamp_min(0) / (1.0 + 3.0 * ragged))
    beyond = beyond * (1 + 0.5 * noise((4.0,), source=random)).clamp(0, 2) * (outside > 0)
    random = rng(seed, "mechanism", "faintness", subject)
    level = max(0.1, 1.1 - 0.6 * mechanisms.faintness * random.beta(1.2, 2.0)) if mechanisms.faintness > 0 else 1.0
    return (shown * level).clamp(0, 1), (beyond * level).clamp(0, 0.6)


def _uptake(
    tissues: torch.Tensor, traits: ImagingTraits, mechanisms: Mechanisms, noise: Noise, *, seed: int, subject: str
) -> tuple[float, torch.Tensor]:
    """Take enhancement out of patches of the rim, in place; the dose of the subject and what was taken out."""
    random = rng(seed, "mechanism", "weak_enhancement", subject)
    strength = mechanisms.weak_enhancement
    dose = float(np.clip(np.exp(0.25 * random.standard_normal()), 0.5, 2.0)) * spread(random, 0.20 * strength)
    dose *= 1 - 0.6 * min(strength, 1.0) * float(random.random() < 0.08)
    patchy = min(strength, 1.0) * float(random.beta(2, 2)) * (0.5 + traits.heterogeneity)
    lost = (patchy * (0.30 + 0.6 * noise((2.5, 6.0), source=random))).clamp(0, 0.7)
    weak = tissues[2] * lost
    tissues[2] -= weak
    tissues[1] += weak
    return dose, weak


def _inclusions(
    tissues: torch.Tensor,
    traits: ImagingTraits,
    in_core: torch.Tensor,
    mechanisms: Mechanisms,
    noise: Noise,
    *,
    seed: int,
    subject: str,
) -> None:
    """Blood, calcification and cysts take their place from everything else in the core, in place.

    Blood comes with necrosis, calcification without; a cyst is smooth, the other two are grains.
    """
    for place, (name, strength, chance, scales, level) in enumerate((
        ("blood", mechanisms.blood, 0.08 + 0.35 * traits.necrosis * (traits.fraction_et > 0), (2.5, 6.0), 1.2),
        ("calcification", mechanisms.calcification, 0.08 + 0.17 * (1 - traits.necrosis), (1.8, 5.0), 1.5),
        ("cysts", mechanisms.cysts, 0.22, (7.0,), 0.9),
    )):  # fmt: skip
        random = rng(seed, "mechanism", name, subject)
        if random.random() >= chance * strength:
            continue
        sharpness = 2.0 if name != "cysts" else 5.0
        share = ((noise(scales, source=random) - level) * sharpness).clamp(0, 0.95) * in_core
        tissues *= 1 - share
        tissues[5 + place] += share


def _draw(
    outside: torch.Tensor,
    labels: torch.Tensor,
    inside: torch.Tensor,
    strength: float,
    *,
    noise_of: tuple[Axes, Region],
    spacing: tuple[float, float, float],
    seed: int,
    subject: str,
) -> torch.Tensor:
    """The labels as a person draws them: outlines smoothed in each slice, moved by a bias of the reading and by wobble.

    Args:
        outside: about mm outside of the border.
        labels: the tumour as it is.
        inside: the brain.
        strength: of the rater's variation; 0 gives ``labels`` back.
        noise_of: axes and region of the box.
        spacing: mm.
        seed, subject: of the random numbers.
    """
    if strength <= 0:
        return labels
    random = rng(seed, "mechanism", "rater", subject)
    axes, region = noise_of
    device = outside.device
    blur = [1.6 * math.sqrt(strength) / s for s in spacing[:2]] + [0.4 / spacing[2]]
    wobble = noise_lattice(7.0, random=random, region=region, device=device).on(axes)[0]
    bias = float(random.normal(0.3, 0.7))
    field = gaussian_blur(outside.clamp(-12, 12), blur) + strength * (bias + 0.8 * wobble)
    in_whole = (field < 0) & inside
    if not bool(in_whole.any()):
        in_whole = labels > 0
    n_core, n_enhancing = int(((labels == 1) | (labels == 4)).sum()), int((labels == 4).sum())
    fine = [0.5 * b for b in blur]
    core = gaussian_blur(((labels == 1) | (labels == 4)).float(), fine)
    own = math.exp(strength * random.normal(0, 0.12))
    in_core = _lowest(-core, in_whole, min(round(n_core * own), int((core[in_whole] > 0.02).sum())))
    rim = gaussian_blur((labels == 4).float(), fine)
    own = math.exp(strength * random.normal(0, 0.15))
    enhancing = _lowest(-rim, in_core, min(round(n_enhancing * own), int((rim[in_core] > 0.02).sum())))
    return _labels(in_whole, in_core, enhancing)


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
