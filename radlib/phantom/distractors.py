"""Normal tissue that looks like tumour, and where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from radlib.core.seeds import rng
from radlib.phantom.anatomy import WARP_SPACING, Head, Tissue
from radlib.phantom.fields import Axes, Lattice, lattice_axes, noise_lattice
from radlib.phantom.mechanisms import Mechanisms, spread

NORMAL_TISSUES = (
    "csf", "grey", "white", "vessel", "lesion", "dura", "flow", "bright grey", "plexus", "meninges",
)  # fmt: skip
"""Tissues outside the tumour; the first three and dura exist without any mechanism."""

DISTRACTORS = (
    "lesions", "bright cortex", "CSF flow", "vessels", "meninges", "plexus", "infiltration", "faint tumour", "blood",
    "calcification", "cyst", "weak enhancement",
)  # fmt: skip
"""What can mislead, in the order of the codes 1, 2, ... of ``truth/distractors``; a voxel has the code of the largest.
The first six lie in normal tissue, infiltration outside of the drawn border, the rest in the tumour."""

_SEEN = 0.3
"""Share of a voxel from which a distractor is on the map."""


def largest_code(shares: Sequence[torch.Tensor], *, first: int = 1) -> torch.Tensor:
    """``first`` and on for the largest of the shares, 0 where all are below a visible one: uint8 ``(X, Y, Z)``."""
    most = torch.full_like(shares[0], _SEEN)
    codes = torch.zeros(most.shape, dtype=torch.uint8, device=most.device)
    for code, share in enumerate(shares, start=first):
        codes.masked_fill_(share > most, code)
        most = torch.maximum(most, share)
    return codes


Point = tuple[float, float, float]


def _ellipsoids(mni: torch.Tensor, *parts: tuple[Point, Point]) -> torch.Tensor:
    """Soft ellipsoids ``(centre, half-axes)`` in MNI mm on both sides: near 1 inside, 0 far away."""
    out = torch.zeros_like(mni[0])
    for centre, half in parts:
        x = (mni[0].abs() - centre[0]) / half[0]
        rest = sum(((mni[a] - centre[a]) / half[a]) ** 2 for a in (1, 2))
        out = torch.maximum(out, torch.exp(-((x**2 + rest) ** 2)))
    return out


def normal_tissue(
    head: Head,
    tissue: Tissue,
    axes: Axes,
    *,
    age: float,
    mechanisms: Mechanisms,
    spacing: tuple[float, float, float],
    seed: int,
    subject: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What each voxel holds outside of the tumour, and what there could mislead.

    Regions are ellipsoids in template coordinates, drawn by hand; lobar shapes do not need more.

    Args:
        head: displaced by the tumour.
        tissue: of that head on the grid.
        axes: head-space coordinates of the grid.
        age: years.
        mechanisms: strengths.
        spacing: mm between the planes.
        seed: of the cohort.
        subject: name of the subject.

    Returns:
        ``(10, X, Y, Z)`` fractions of :data:`NORMAL_TISSUES`, and ``(X, Y, Z)`` uint8 codes of :data:`DISTRACTORS`.
    """
    device = axes[0].device
    draws = {name: rng(seed, "mechanism", name, subject) for name in
             ("edge", "lesions", "bright_cortex", "csf_flow", "vessels", "meninges", "plexus")}  # fmt: skip
    lattice = lattice_axes(WARP_SPACING, device=device)
    mni = head.template_points(lattice)

    def coarse(name: str, scale: float) -> torch.Tensor:
        return noise_lattice(scale, random=draws[name], device=device).on(lattice)[0]

    def fine(name: str, scale: float) -> torch.Tensor:
        return noise_lattice(scale, random=draws[name], device=device).on(axes)[0]

    # Lobar patterns on the coarse lattice, each with its amount in this subject.
    amount = 1.25 * mechanisms.bright_cortex * spread(draws["bright_cortex"], 0.5)
    limbic = _ellipsoids(
        mni, ((38, 4, 2), (9, 22, 16)), ((26, -16, -16), (11, 24, 10)), ((5, 12, 30), (6, 40, 16))
    )  # fmt: skip
    cortex = amount * (0.15 + 0.75 * limbic + 0.45 * coarse("bright_cortex", 9.0))
    amount = mechanisms.csf_flow * spread(draws["csf_flow"], 0.7)
    inner = _ellipsoids(
        mni, ((0, -12, -2), (6, 16, 14)), ((0, -22, -30), (22, 26, 18)), ((9, 4, 10), (8, 14, 9)),
        ((0, -46, -34), (9, 9, 16)),
    )  # fmt: skip
    flow = amount * (0.9 * inner + 0.03) * (0.7 + 0.5 * coarse("csf_flow", 6.0))
    falx = torch.exp(-((mni[0] / 3.0) ** 2)) * (mni[2] > 5)
    sinus = torch.exp(-((mni[0] / 6.0) ** 2)) * (mni[2] > 0)
    veins = _ellipsoids(mni, ((0, -30, 10), (6, 22, 8)), ((34, 2, -12), (12, 12, 8)))
    meninges = mechanisms.meninges * spread(draws["meninges"], 0.5) * (0.45 + 0.5 * coarse("meninges", 9.0))
    home = _ellipsoids(mni, ((22, -36, 10), (9, 12, 12)), ((4, -10, 14), (8, 16, 7)), ((0, -46, -36), (10, 8, 10)))
    crowd = (0.3 + 0.4 * coarse("vessels", 12.0)).clamp(0, 0.9)
    stacked = torch.stack([cortex, flow, falx, sinus, veins, meninges, home, crowd])
    cortex, flow, falx, sinus, veins, meninges, home, crowd = Lattice(stacked, WARP_SPACING).on(axes)

    csf, grey, white = tissue.fractions
    edge = _edge(tissue, fine("edge", 6.0), spacing=spacing)
    film = csf * edge
    coat = (film + 0.8 * falx * csf) * meninges.clamp_(0, 1)
    dura = (film - coat).clamp_min(0.0)
    csf = (csf - dura - coat).clamp_min(0.0)
    # A vessel is where two independent smooth fields are both near zero: tubes.
    pair = noise_lattice(5.0, random=draws["vessels"], channels=2, device=device).on(axes)
    density = 1.25 * mechanisms.vessels * spread(draws["vessels"], 0.3)
    tubes = torch.exp(pair.square().sum(0).mul_(-1 / (2 * 0.16**2))).mul_(crowd)
    tubes = torch.maximum(tubes, 0.7 * torch.maximum(sinus * edge, veins * pair[0].clamp(0, 1)))
    tubes = tubes.mul_(density).clamp_(0, 0.9)
    vessel, in_grey = csf * tubes, 0.4 * grey * tubes
    csf = csf - vessel
    grains = ((fine("plexus", 2.5) + 0.4) * 0.9).clamp_(0, 0.9)
    plexus = csf * (mechanisms.plexus * home * grains * (tissue.beside_ventricles > 0.3)).clamp_(0, 0.9)
    csf = csf - plexus
    moving = csf * flow.clamp_(0, 0.9)
    bright = (grey - in_grey) * cortex.clamp_(0, 1)
    old = white * _lesions(tissue, age, fine("lesions", 3.0), mechanisms.lesions, draws["lesions"])
    shares = torch.stack(
        [csf - moving, grey - in_grey - bright, white - old, vessel + in_grey, old, dura, moving, bright, plexus, coat]
    )
    return shares, largest_code([old, bright, moving, vessel + in_grey, coat, plexus])


def _edge(tissue: Tissue, ragged: torch.Tensor, *, spacing: tuple[float, float, float]) -> torch.Tensor:
    """Share of the CSF at the edge of the mask that is dura, or bone by partial volume: a ragged film of a few mm."""
    sizes = [2 * round(5 / edge / 2) + 1 for edge in spacing]
    brain = tissue.brain[None, None].float()
    depth = functional.avg_pool3d(brain, sizes, stride=1, padding=[size // 2 for size in sizes])[0, 0]
    return ((0.85 + 0.08 * ragged - depth) * 5).clamp_(0, 1)


def _lesions(
    tissue: Tissue, age: float, spots: torch.Tensor, strength: float, random: np.random.Generator
) -> torch.Tensor:
    """Share of white matter that is hyperintense: caps and rims at the ventricles at every age, spots from 40 on."""
    burden = max(0.0, (age - 40) / 40) * spread(random, 0.6)
    rims = 0.6 * spread(random, 0.5) + min(burden, 1.5)
    caps = tissue.beside_ventricles * (0.9 + 0.3 * spots) * (strength * rims)
    patches = (spots - 3.0 + 1.1 * min(burden, 1.5)).clamp_(0, 1) * min(strength, 1.0)
    return (caps + patches).clamp_(0, 0.85)
