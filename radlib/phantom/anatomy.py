"""The head of one subject: tissue maps of MNI152, warped.

The tissue maps are those of the ICBM 152 symmetric template 2009a (Fonov et al. 2011, NeuroImage 54:313), which nilearn
ships inside its package at 1 mm. A subject's head is the template seen through an affine map (head size, a small
rotation), a smooth invertible deformation and, where there is a tumour, its mass effect.

Head space is mm, right-anterior-superior, with the origin at the centre of the brain. Images are stored as BraTS stores
them: left-posterior-superior index axes, origin at voxel (0, Y - 1, 0).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.phantom.fields import (
    Axes,
    Lattice,
    compose,
    gaussian_blur,
    gradient,
    integrate,
    lattice_axes,
    noise_lattice,
    points_of,
    sample,
)
from radlib.phantom.traits import Hemisphere, Lobe

BRATS_SHAPE = (240, 240, 155)
BRAIN_BOX = (150.0, 184.0, 144.0)
"""mm: right-left, front-back and bottom-top room that every simulated brain fits into."""

ATLAS_CENTRE = (0.0, -16.5, 5.5)
"""MNI mm of the centre of the template's brain: the origin of head space."""

MIDLINE_SCALE = (0.95, 0.95, 0.88)
"""Mean size of a subject's brain against the template, whose brain is larger than the mean brain: 136 x 170 x 135 mm,
as the brains of BraTS, which are aligned to the SRI24 atlas."""

LOBES: dict[Lobe, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "frontal": ((26.0, 32.0, 24.0), (22.0, 28.0, 28.0)),
    "temporal": ((44.0, -16.0, -16.0), (16.0, 30.0, 15.0)),
    "parietal": ((30.0, -50.0, 40.0), (22.0, 22.0, 20.0)),
    "occipital": ((22.0, -82.0, 8.0), (16.0, 16.0, 22.0)),
    "insular": ((38.0, 4.0, 2.0), (10.0, 20.0, 14.0)),
}
"""Centre and half-axes of an ellipsoid in MNI mm for the right side; x changes sign for the left. A coarse stand-in for
a lobe atlas, drawn on the template by hand."""

WARP_SPACING = 4.0
"""mm between the points of the lattice that holds a deformation."""


@dataclass(frozen=True)
class Grid:
    """The voxel grid of the images.

    Attributes:
        shape: voxels along right-to-left, front-to-back, bottom-to-top.
        spacing: mm along each of them.
    """

    shape: tuple[int, int, int] = BRATS_SHAPE
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        text = "x".join(map(str, self.shape))
        if len(self.shape) != 3 or min(self.shape) < 16:
            raise RadlibError(
                f"grid {text} is too small for a brain",
                remedy="give three sizes of 16 voxels or more, e.g. 96,96,64",
            )
        if not all(math.isfinite(s) and s > 0 for s in self.spacing):
            raise RadlibError(f"spacing {self.spacing} mm is not three positive numbers", remedy="give e.g. 2.0")
        room = tuple(n * s for n, s in zip(self.shape, self.spacing, strict=True))
        if any(r < box - 0.5 for r, box in zip(room, BRAIN_BOX, strict=True)):
            raise RadlibError(
                f"grid {text} at {'x'.join(f'{s:g}' for s in self.spacing)} mm covers "
                f"{'x'.join(f'{r:g}' for r in room)} mm, and a brain needs {'x'.join(f'{b:g}' for b in BRAIN_BOX)} mm",
                remedy="give more voxels or a larger spacing, or leave the spacing out",
            )

    @classmethod
    def fitting(cls, shape: tuple[int, int, int]) -> Grid:
        """The grid with the finest cubic voxels, from 1 mm up, that holds the brain (96x96x64: 2.25 mm).

        Raises:
            RadlibError: for fewer than 16 voxels along an axis.
        """
        finest = max(1.0, *(box / max(n, 1) for box, n in zip(BRAIN_BOX, shape, strict=True)))
        spacing = math.ceil(finest * 20 - 1e-9) / 20
        return cls(shape, (spacing, spacing, spacing))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml."""
        return math.prod(self.spacing) / 1000

    @property
    def affine(self) -> np.ndarray:
        """Voxel to world as in BraTS files: x and y flipped, origin (0, (Y - 1) * spacing, 0)."""
        x, y, z = self.spacing
        affine = np.diag([-x, -y, z, 1.0])
        affine[1, 3] = (self.shape[1] - 1) * y
        return affine

    def work_slices(self) -> tuple[slice, slice, slice]:
        """The part of the grid where a brain can be: everything is computed there and pasted into the whole."""
        slices = []
        for n, spacing, box in zip(self.shape, self.spacing, BRAIN_BOX, strict=True):
            size = min(n, math.ceil((box + 8) / spacing))
            start = (n - size) // 2
            slices.append(slice(start, start + size))
        return slices[0], slices[1], slices[2]

    def axes(self, device: torch.device | str = "cpu") -> Axes:
        """Head-space coordinates of the work part's planes."""
        out = []
        for n, s, part, sign in zip(self.shape, self.spacing, self.work_slices(), (-1, -1, 1), strict=True):
            index = torch.arange(part.start, part.stop, device=device, dtype=torch.float32)
            out.append(sign * (index - (n - 1) / 2) * s)
        return out[0], out[1], out[2]


@dataclass(frozen=True)
class Atlas:
    """The template on its own grid.

    Attributes:
        maps: ``(5, 197, 233, 189)`` float32: grey matter, white matter, brain (each 0 to 1), the part of the
            template's T1 intensity that its tissue fractions do not explain (deep nuclei, tracts; zero mean), and
            the neighbourhood of the lateral ventricles (0 to 1).
        ventricles: ``(197, 233, 189)`` float32: the lateral ventricles, 0 to 1.
        origin: MNI mm of voxel (0, 0, 0); voxels are 1 mm, axes right-anterior-superior.
    """

    maps: torch.Tensor
    ventricles: torch.Tensor
    origin: tuple[float, float, float]

    def voxels(self, mni: torch.Tensor) -> torch.Tensor:
        """Voxel coordinates of ``(3, *shape)`` MNI points."""
        return torch.stack([mni[a] - self.origin[a] for a in range(3)])


@functools.lru_cache(maxsize=4)
def load_atlas(device: str = "cpu", blur: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Atlas:
    """The template, read once.

    Args:
        device: where the maps are put.
        blur: Gaussian smoothing in mm along each axis, against aliasing on grids coarser than the template.

    Raises:
        RadlibError: if the installed nilearn does not ship the files.
    """
    maps, ventricles, origin = _read_atlas()
    on_device = torch.from_numpy(maps).to(device)
    if max(blur) > 0:
        on_device = gaussian_blur(on_device, blur)
    return Atlas(on_device, torch.from_numpy(ventricles).to(device), origin)


@functools.lru_cache(maxsize=1)
def _read_atlas() -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    import nibabel as nib
    from scipy import ndimage

    folder = resources.files("nilearn.datasets") / "data"
    volumes, origin = {}, (0.0, 0.0, 0.0)
    for kind in ("gm", "wm", "t1"):
        with resources.as_file(folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz") as path:
            if not path.exists():
                raise RadlibError(
                    "nilearn does not ship the MNI152 tissue maps here",
                    file=path,
                    remedy="install nilearn from its wheel (0.12 or later)",
                )
            image = nib.Nifti1Image.from_filename(path)
            volumes[kind] = np.asarray(image.dataobj).astype(np.float32) / np.float32(255)
            origin = tuple(float(v) for v in image.affine[:3, 3])  # type: ignore[assignment]
    gm, wm, t1 = volumes["gm"], volumes["wm"], volumes["t1"]
    # The template's brain stops at the pia; a skull-stripped scan keeps a film of CSF around it.
    brain = ndimage.binary_dilation(np.maximum(t1, gm + wm) > 0.1, iterations=4)
    brain = ndimage.binary_erosion(brain, iterations=3)
    brain = ndimage.gaussian_filter(brain.astype(np.float32), 0.6, truncate=3)
    csf = np.clip(brain - gm - wm, 0, 1)

    some = np.flatnonzero(brain.ravel() > 0.99)[::7]
    fractions = np.stack([v.ravel()[some] for v in (gm, wm, csf)], -1)
    weights, *_ = np.linalg.lstsq(fractions, t1.ravel()[some], rcond=None)
    unexplained = t1 - (gm * weights[0] + wm * weights[1] + csf * weights[2])
    unexplained = np.where((gm + wm) > 0.9, np.clip(unexplained, -0.15, 0.15), 0)
    unexplained = ndimage.gaussian_filter(unexplained, 0.7, truncate=3)

    # The lateral ventricles lie in |x| < 40, -50 < y < 40, -20 < z < 35 of MNI.
    x, y, z = (int(-o) for o in origin)
    box = (slice(x - 40, x + 41), slice(y - 50, y + 41), slice(z - 20, z + 36))
    parts, count = ndimage.label(ndimage.binary_opening(csf[box] > 0.6))
    numbers = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(np.ones_like(parts), parts, numbers)
    centres = ndimage.center_of_mass(np.ones_like(parts), parts, numbers)
    keep = [
        number
        for number, size, centre in zip(numbers, sizes, centres, strict=True)
        if size > 300 and abs(centre[0] - 40) < 32 and 15 < centre[2] < 50
    ]
    ventricles = np.zeros_like(csf)
    ventricles[box] = ndimage.gaussian_filter(np.isin(parts, keep).astype(np.float32), 1.0)
    beside = np.zeros_like(csf)
    beside[box] = ndimage.gaussian_filter((ventricles[box] > 0.5).astype(np.float32), 3.0, truncate=3)
    return np.stack([gm, wm, brain, unexplained, beside]).astype(np.float32), ventricles, origin


@dataclass(frozen=True)
class Head:
    """Where each point of a subject's head lies in the template.

    Attributes:
        warp: displacement in mm of head space (three channels), applied before the affine map.
        scale: size of the subject's brain against the template.
        rotation: 3 x 3 rotation.
        shift: mm.
        cortex: three smooth random fields that make folds individual.
        atrophy: logit added to CSF, which widens sulci.
    """

    warp: Lattice
    scale: tuple[float, float, float]
    rotation: torch.Tensor
    shift: tuple[float, float, float]
    cortex: Lattice
    atrophy: float

    def template_points(self, axes: Axes) -> torch.Tensor:
        """MNI coordinates ``(3, X, Y, Z)`` of a rectilinear grid of head space."""
        return self._affine(points_of(axes).add_(self.warp.on(axes)))

    def _affine(self, points: torch.Tensor) -> torch.Tensor:
        size = points.shape[1:]
        shift = torch.tensor(self.shift, device=points.device)[:, None]
        inverse = self.rotation.T / torch.tensor(self.scale, device=points.device)[:, None]
        centre = torch.tensor(ATLAS_CENTRE, device=points.device)[:, None]
        return (inverse @ (points.reshape(3, -1) - shift)).add_(centre).reshape(3, *size)

    def with_displacement(self, displacement: Lattice) -> Head:
        """The same head seen through one more displacement of head space (mass effect)."""
        return replace(self, warp=compose(self.warp, displacement))


def make_head(*, age: float, seed: int, subject: str, device: torch.device | str = "cpu") -> Head:
    """Draw the anatomy of one subject.

    The velocity field of the deformation is the sum of a broad one (26 mm, 3 mm r.m.s.), a fine one that shifts gyri
    (9 mm, 1.6 mm), the torque of the hemispheres (the right one sits forward; Toga and Thompson 2003, Nat Rev
    Neurosci 4:37), and one that opens or closes the lateral ventricles, about 0.06 mm a year of age from 40.

    Args:
        age: years.
        seed: seed of the cohort.
        subject: name of the subject; with the seed it decides everything.
        device: where the lattices are put.
    """
    random = rng(seed, "anatomy", subject)
    scale = tuple(
        float(np.clip(mean * (1 + 0.022 * random.standard_normal()), low, high))
        for mean, low, high in zip(MIDLINE_SCALE, (0.90, 0.90, 0.84), (1.0, 1.0, 0.92), strict=True)
    )
    angles = np.deg2rad(1.5 * random.standard_normal(3).clip(-2, 2))
    turn = torch.from_numpy(rotation_matrix(angles).astype(np.float32)).to(device)
    shift = tuple(float(v) for v in random.uniform(-1.5, 1.5, 3))
    axes = lattice_axes(WARP_SPACING, device=device)
    broad = noise_lattice(26.0, random=random, channels=3, device=device).on(axes) * 3.0
    fine = noise_lattice(9.0, random=random, channels=3, device=device).on(axes) * 1.6
    velocity = broad + fine
    torque = float(np.clip(random.normal(1.5, 0.8), -1, 3.5))
    velocity[1] -= torque * torch.tanh(axes[0] / 25)[:, None, None]

    head = Head(
        warp=Lattice(torch.zeros_like(velocity), WARP_SPACING),
        scale=scale,  # type: ignore[arg-type]
        rotation=turn,
        shift=shift,  # type: ignore[arg-type]
        cortex=noise_lattice(4.0, random=random, channels=3, device=device),
        atrophy=float(np.clip(1.3 + 0.018 * (age - 50) + 0.2 * random.standard_normal(), 0.4, 2.4)),
    )
    atlas = load_atlas(str(device))
    ventricles = sample(atlas.ventricles[None], atlas.voxels(head.template_points(axes)))[0]
    towards = gradient(gaussian_blur(ventricles, 1.5), WARP_SPACING)
    towards = towards / towards.norm(dim=0).max().clamp_min(1e-6)
    opening = float(np.clip(0.06 * (age - 40) + 0.7 * random.standard_normal(), -1.5, 4.5))
    # The map goes from the subject to the template, so a point beside the ventricle must reach into it.
    velocity += opening * towards
    return replace(head, warp=integrate(Lattice(velocity, WARP_SPACING)))


@dataclass(frozen=True)
class Tissue:
    """What each voxel holds before there is a tumour.

    Attributes:
        fractions: ``(3, X, Y, Z)`` CSF, grey matter, white matter; their sum is 1 in the brain and 0 outside.
        brain: ``(X, Y, Z)`` bool, the skull-stripped brain.
        detail: ``(X, Y, Z)``, T1 detail inside tissue, zero mean, about -0.15 to 0.15.
        beside_ventricles: ``(X, Y, Z)``, 0 to 1.
        mni: ``(3, X, Y, Z)``, template coordinates in mm.
    """

    fractions: torch.Tensor
    brain: torch.Tensor
    detail: torch.Tensor
    beside_ventricles: torch.Tensor
    mni: torch.Tensor


def tissue_on(head: Head, axes: Axes, *, spacing: float | tuple[float, float, float]) -> Tissue:
    """Tissue fractions of a head on a rectilinear grid.

    The template is an average of many brains, so its maps are blurred. Here they are made individual: a smooth random
    field moves the borders, and a power above one sharpens them; ``head.atrophy`` widens the sulci.

    Args:
        head: the subject.
        axes: head-space coordinates of the grid.
        spacing: mm between planes; above 1.5 mm the template is smoothed first.
    """
    steps = (spacing,) * 3 if isinstance(spacing, (int, float)) else spacing
    x, y, z = (round(0.42 * math.sqrt(s**2 - 1), 2) if s > 1.5 else 0.0 for s in steps)
    atlas = load_atlas(str(axes[0].device), (x, y, z))
    mni = head.template_points(axes)
    gm, wm, brain, detail, beside = sample(atlas.maps, atlas.voxels(mni))
    csf = (brain - gm - wm).clamp_(0, 1)
    noise = head.cortex.on(axes)
    sharpness = 1.0 + 0.9 / max(1.0, math.prod(steps) ** (1 / 3))
    fractions = torch.stack([csf, gm, wm]).clamp_min_(0.0).add_(1e-4).log_().mul_(sharpness)
    fractions.add_(noise, alpha=0.45)
    fractions[0] += head.atrophy
    fractions = torch.softmax(fractions, dim=0)
    inside = brain > 0.5
    return Tissue(fractions.mul_(inside), inside, detail, beside, mni)


def lobe_prior(mni: torch.Tensor, *, lobe: Lobe, hemisphere: Hemisphere) -> torch.Tensor:
    """How likely a tumour of that lobe starts at each MNI point: 1 at the centre of the ellipsoid, 0 beyond it."""
    centre, half_axes = LOBES[lobe]
    sign = 1.0 if hemisphere == "right" else -1.0
    distance = sum(((mni[a] - centre[a] * (sign if a == 0 else 1.0)) / half_axes[a]) ** 2 for a in range(3))
    assert isinstance(distance, torch.Tensor)
    return (1 - distance).clamp_min(0.0)


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
    """Rotation about x, then y, then z, by angles in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
