"""Heads: tissue, deformation, ventricles, lobes, grids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.phantom.anatomy import LOBES, Grid, Head, load_atlas, lobe_prior, make_head, tissue_on
from radlib.phantom.fields import (
    Lattice,
    compose,
    integrate,
    lattice_axes,
    noise_lattice,
    octaves,
)
from radlib.phantom.traits import Lobe

SMALL = Grid.fitting((48, 48, 36))


def head(age: float = 50, subject: str = "a") -> Head:
    return make_head(age=age, seed=0, subject=subject)


def test_grids() -> None:
    assert Grid().spacing == (1.0, 1.0, 1.0)
    assert Grid.fitting((240, 240, 155)) == Grid()
    assert Grid.fitting((96, 96, 64)).spacing == (2.25, 2.25, 2.25)
    # The affine of BraTS: left-posterior-superior, origin (0, 239, 0).
    assert np.array_equal(Grid().affine, [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])
    axes = Grid().axes()
    assert float(axes[0][0]) > 0 > float(axes[0][1] - axes[0][0])  # the first index runs from right to left


@pytest.mark.parametrize(
    ("shape", "spacing", "message"),
    [
        ((96, 96, 64), 1.0, "covers 96x96x64 mm, and a brain needs"),
        ((96, 96, 64), -1.0, "not three positive numbers"),
        ((96, 96, 64), float("nan"), "not three positive numbers"),
        ((8, 96, 64), 20.0, "grid 8x96x64 is too small"),
    ],
)
def test_impossible_grids(shape: tuple[int, int, int], spacing: float, message: str) -> None:
    with pytest.raises(RadlibError, match=message):
        Grid(shape, (spacing,) * 3)


@pytest.mark.slow
def test_atlas_is_the_template_of_nilearn() -> None:
    from nilearn import datasets

    maps = load_atlas().maps
    folder = Path(datasets.__file__).parent / "data"
    assert (folder / "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz").exists()
    gm_ml, wm_ml, brain_ml = (float(maps[i].sum()) / 1000 for i in range(3))
    assert gm_ml == pytest.approx(1008.2, abs=0.1)
    assert wm_ml == pytest.approx(670.3, abs=0.1)
    assert brain_ml > gm_ml + wm_ml
    ventricles_ml = float(load_atlas().ventricles.sum()) / 1000
    assert 8 < ventricles_ml < 30
    # The template is symmetric about its middle plane x = 0.
    assert torch.allclose(maps[:2], maps[:2].flip(1), atol=1e-6)


@pytest.mark.slow
def test_tissue_fractions_fill_the_brain_and_nothing_else() -> None:
    tissue = tissue_on(head(), SMALL.axes(), spacing=SMALL.spacing)
    total = tissue.fractions.sum(0)
    assert torch.allclose(total[tissue.brain], torch.tensor(1.0), atol=1e-5)
    assert float(total[~tissue.brain].abs().max()) == 0
    assert tissue.fractions.min() >= 0
    assert 1150 < float(tissue.brain.sum()) * SMALL.voxel_ml < 1850


@pytest.mark.slow
def test_a_head_is_the_same_at_every_resolution() -> None:
    coarse = tissue_on(head(), SMALL.axes(), spacing=SMALL.spacing)
    grid = Grid.fitting((96, 96, 64))
    fine = tissue_on(head(), grid.axes(), spacing=grid.spacing)
    coarse_ml, fine_ml = (
        torch.tensor([float(f.sum()) * g.voxel_ml for f in t.fractions]) for t, g in ((coarse, SMALL), (fine, grid))
    )
    assert torch.allclose(coarse_ml[1:], fine_ml[1:], rtol=0.12)
    assert torch.allclose(coarse_ml.sum(), fine_ml.sum(), rtol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("age", [20, 55, 90])
def test_deformations_are_invertible(age: float, least_jacobian: Callable[[Lattice], float]) -> None:
    for subject in ("a", "b", "c"):
        assert least_jacobian(head(age, subject).warp) > 0.02


def test_the_flow_of_the_opposite_velocity_is_the_inverse() -> None:
    axes = lattice_axes(4.0)
    velocity = noise_lattice(20.0, random=rng(0, "flow"), channels=3).on(axes) * 4
    window = (1 - (axes[0] / 86) ** 2)[:, None, None] * (1 - (axes[1] / 102) ** 2)[:, None]
    velocity = velocity * window * (1 - (axes[2] / 84) ** 2)
    there = integrate(Lattice(velocity, 4.0))
    back = integrate(Lattice(-velocity, 4.0))
    left = compose(back, there).values[:, 4:-4, 4:-4, 4:-4]
    assert float(there.values.abs().max()) > 4
    assert float(left.abs().max()) < 0.5
    assert float(left.square().mean().sqrt()) < 0.05


def test_a_swirl_too_strong_for_one_step_stays_invertible(least_jacobian: Callable[[Lattice], float]) -> None:
    x, y, _ = torch.meshgrid(*lattice_axes(4.0), indexing="ij")
    bump = torch.exp(-(x**2 + y**2) / (2 * 20**2))
    velocity = torch.stack([-y * bump, x * bump, torch.zeros_like(x)]) * 5.0
    assert least_jacobian(Lattice(velocity, 4.0)) < 0  # one step folds
    assert least_jacobian(integrate(Lattice(velocity, 4.0))) > 0.1


@pytest.mark.slow
def test_ventricles_and_sulci_widen_with_age() -> None:
    def csf(age: float) -> tuple[float, float]:
        tissue = tissue_on(head(age), SMALL.axes(), spacing=SMALL.spacing)
        near = tissue.beside_ventricles > 0.3
        return float(tissue.fractions[0][near].sum()), float(tissue.fractions[0][~near].sum())

    young, middle, old = csf(25), csf(55), csf(85)
    assert old[0] > 1.2 * middle[0] > 1.3 * young[0]
    assert old[1] > middle[1] > young[1]


def test_subjects_differ_and_repeat() -> None:
    one, again, other = head(subject="a"), head(subject="a"), head(subject="b")
    assert torch.equal(one.warp.values, again.warp.values)
    assert one.scale == again.scale != other.scale
    assert not torch.equal(one.warp.values, other.warp.values)


def test_hemispheres_differ() -> None:
    white = tissue_on(head(), SMALL.axes(), spacing=SMALL.spacing).fractions[2]
    mirrored = white.flip(0)
    assert float((white - mirrored).abs().mean()) > 0.1 * float(white.mean())


@pytest.mark.slow
@pytest.mark.parametrize("lobe", list(LOBES))
def test_lobes_lie_in_tissue_on_their_side(lobe: Lobe) -> None:
    atlas = load_atlas()
    sizes = atlas.maps.shape[1:]
    axes = tuple(torch.arange(n, dtype=torch.float32) + o for n, o in zip(sizes, atlas.origin, strict=True))
    mni = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    right = lobe_prior(mni, lobe=lobe, hemisphere="right")
    left = lobe_prior(mni, lobe=lobe, hemisphere="left")
    assert torch.allclose(left, right.flip(0), atol=1e-6)
    assert float((right * mni[0]).sum() / right.sum()) > 10
    tissue = atlas.maps[:2].sum(0)
    assert float((right * tissue).sum() / right.sum()) > 0.8
    centre = [float((right * mni[a]).sum() / right.sum()) for a in range(3)]
    assert centre == pytest.approx(LOBES[lobe][0], abs=1)


def test_noise_has_unit_variance_and_the_scale_that_was_asked() -> None:
    axes = tuple(torch.arange(-60, 60, dtype=torch.float32) for _ in range(3))
    for scale in (3.0, 6.0):
        field = noise_lattice(scale, random=rng(1, scale)).on(axes)[0]  # type: ignore[arg-type]
        assert float(field.mean()) == pytest.approx(0, abs=0.1)
        # Trilinear interpolation between lattice points takes some variance away.
        assert 0.75 < float(field.std()) < 1.1
        shift = round(2 * scale)  # autocorrelation of blurred noise: exp(-d**2 / (4 scale**2))
        correlation = float((field[shift:] * field[:-shift]).mean() / field.var())
        assert correlation == pytest.approx(np.exp(-1), abs=0.1)
    mixed = octaves(axes, scales=(8, 4, 2), exponent=0.3, random=rng(2))  # type: ignore[arg-type]
    assert 0.75 < float(mixed.std()) < 1.1
