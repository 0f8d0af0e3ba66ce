"""Tumours: the growth equation, compartments, mass effect."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cc3d
import numpy as np
import pytest
import torch
from scipy import ndimage

from radlib.core.errors import RadlibError
from radlib.phantom.anatomy import Grid, make_head, tissue_on
from radlib.phantom.fields import Lattice
from radlib.phantom.growth import grow, grow_in_head, mass_effect
from radlib.phantom.mechanisms import NONE, Mechanisms, resolve_mechanisms
from radlib.phantom.traits import ImagingTraits
from radlib.phantom.tumour import TUMOUR_TISSUES, Tumour, compartments

GRID = Grid.fitting((64, 72, 56))
TRAITS = ImagingTraits(
    age=55,
    lobe="frontal",
    hemisphere="left",
    volume_ml=36.0,
    fraction_et=0.25,
    fraction_core=0.2,
    necrosis=1.0,
    border_sharpness=0.5,
    t2_flair_mismatch=0.0,
    n_foci=1,
    mass_effect=0.5,
    heterogeneity=0.5,
)


def simulate(traits: ImagingTraits, subject: str = "a", mechanisms: Mechanisms = NONE) -> Tumour:
    head = make_head(age=traits.age, seed=0, subject=subject)
    grown = grow_in_head(head, traits, seed=0, subject=subject)
    moved = mass_effect(head, grown, traits)
    tissue = tissue_on(head.with_displacement(moved), GRID.axes(), spacing=GRID.spacing)
    return compartments(
        grown, moved, tissue, traits, GRID.axes(), mechanisms=mechanisms, spacing=GRID.spacing, seed=0, subject=subject
    )


@pytest.fixture(scope="module")
def tumour() -> Tumour:
    return simulate(TRAITS)


# Growth equation


def bar(length: int, *, diffusion: float = 0.15) -> tuple[torch.Tensor, torch.Tensor]:
    """A homogeneous bar with tumour at one end: a plane front runs along it."""
    initial = torch.zeros(length, 3, 3)
    initial[:6] = 1.0
    return initial, torch.full_like(initial, diffusion)


@pytest.mark.parametrize(("diffusion", "rate"), [(0.15, 0.03), (0.3, 0.03), (0.15, 0.012)])
def test_the_front_runs_at_2_sqrt_d_rho(diffusion: float, rate: float) -> None:
    spacing = 0.5
    initial, field = bar(500, diffusion=diffusion)
    speed = 2 * math.sqrt(diffusion * rate)
    grown = grow(initial, diffusion=field, proliferation=rate, spacing=spacing, stop_days=180 / speed)
    times = grown.arrival[:, 1, 1].numpy()
    late = (times > 60 / speed) & (times < 175 / speed)
    positions = np.arange(len(times)) * spacing
    measured = np.polyfit(times[late], positions[late], 1)[0]
    # A pulled front reaches its speed slowly: v(t) = v - 3 sqrt(D / rho) / (2 t) (Bramson 1983).
    at = float(times[late].mean())
    expected = speed - 1.5 * math.sqrt(diffusion / rate) / at
    assert measured == pytest.approx(expected, rel=0.02)
    assert measured == pytest.approx(speed, rel=0.08)


def test_without_proliferation_cells_are_kept() -> None:
    initial = torch.zeros(21, 21, 21)
    initial[10, 10, 10] = 1.0
    field = torch.rand(21, 21, 21, generator=torch.Generator().manual_seed(0))
    grown = grow(initial, diffusion=field, proliferation=0.0, spacing=2.0, stop_days=60)
    assert float(grown.density.sum()) == pytest.approx(1.0, rel=1e-4)
    assert float(grown.density[10, 10, 10]) < 0.5


def test_without_diffusion_growth_is_logistic() -> None:
    initial = torch.full((4, 4, 4), 0.01)
    field = torch.zeros(4, 4, 4)
    field[0] = 1e-9  # cells live where diffusion is above zero, however little
    grown = grow(initial, diffusion=field, proliferation=0.05, spacing=2.0, stop_days=100)
    expected = 1 / (1 + 99 * math.exp(-0.05 * 100))
    assert float(grown.density[0].mean()) == pytest.approx(expected, rel=0.08)  # Euler steps
    assert float(grown.density[1:].mean()) == pytest.approx(0.01)


def test_cells_do_not_enter_where_diffusion_is_zero() -> None:
    initial, field = bar(40)
    field[20] = 0.0
    grown = grow(initial, diffusion=field, proliferation=0.05, spacing=1.0, stop_days=400)
    assert float(grown.density[19].min()) > 0.9
    assert float(grown.density[20:].max()) == 0
    assert torch.isinf(grown.arrival[20]).all()


def test_white_matter_is_faster() -> None:
    initial = torch.zeros(61, 5, 5)
    initial[29:32] = 1.0
    field = torch.full((61, 5, 5), 0.03)
    field[31:] = 0.15
    grown = grow(initial, diffusion=field, proliferation=0.03, spacing=1.0, stop_days=150)
    assert float(grown.arrival[45, 2, 2]) < 0.7 * float(grown.arrival[15, 2, 2])


def test_arrival_continues_ahead_of_the_front() -> None:
    initial, field = bar(120)
    short = grow(initial, diffusion=field, proliferation=0.03, spacing=0.5, stop_days=150)
    longer = grow(initial, diffusion=field, proliferation=0.03, spacing=0.5, stop_days=220)
    ahead = (short.arrival[:, 1, 1] > 150) & (short.arrival[:, 1, 1] < 200)
    assert int(ahead.sum()) > 5
    error = (short.arrival - longer.arrival)[:, 1, 1][ahead].abs()
    assert float(error.max()) < 0.3 * 50


def test_growth_that_has_nowhere_to_go() -> None:
    initial = torch.ones(3, 3, 3)
    with pytest.raises(RadlibError, match=r"stopped growing at 0\.2 of 5\.0 ml"):
        grow(initial, diffusion=torch.full((3, 3, 3), 0.1), proliferation=0.05, spacing=2.0, stop_ml=5.0)


# Compartments


def shares(tumour: Tumour) -> dict[int, float]:
    return {value: float((tumour.labels == value).sum()) * GRID.voxel_ml for value in (1, 2, 4)}


def test_volumes_are_those_of_the_traits(tumour: Tumour) -> None:
    ml = shares(tumour)
    one_voxel = 1.01 * GRID.voxel_ml
    assert sum(ml.values()) == pytest.approx(36.0, abs=one_voxel)
    assert ml[4] == pytest.approx(9.0, abs=one_voxel)
    assert ml[1] == pytest.approx(7.2, abs=2 * one_voxel)
    assert set(tumour.labels.unique().tolist()) == {0, 1, 2, 4}


def test_fractions_are_fractions(tumour: Tumour) -> None:
    assert torch.allclose(tumour.probabilities.sum(0), torch.tensor(1.0), atol=1e-5)
    assert float(tumour.probabilities.min()) >= -1e-6
    assert tumour.tissues.shape[0] == len(TUMOUR_TISSUES)
    assert float(tumour.tissues.min()) >= 0
    assert float(tumour.tissues.sum(0).max()) <= 1 + 1e-5
    hard = torch.tensor([0, 1, 2, 4], dtype=torch.uint8)[tumour.probabilities.argmax(0)]
    assert float((hard == tumour.labels).float().mean()) > 0.97


def test_the_enhancing_part_is_a_rim_around_necrosis(tumour: Tumour) -> None:
    core = ((tumour.labels == 1) | (tumour.labels == 4)).numpy()
    depth = ndimage.distance_transform_edt(core)
    assert depth[tumour.labels == 1].mean() > 1.6 * depth[tumour.labels == 4].mean()
    necrosis = TUMOUR_TISSUES.index("necrosis")
    inside = tumour.labels == 1
    assert float(tumour.tissues[necrosis][inside].mean()) > 0.6


def test_without_necrosis_the_core_is_solid() -> None:
    tumour = simulate(replace(TRAITS, necrosis=0.0))
    necrosis, solid = (TUMOUR_TISSUES.index(name) for name in ("necrosis", "solid"))
    assert float(tumour.tissues[necrosis].max()) == 0
    assert float(tumour.tissues[solid].max()) > 0.8


def test_a_tumour_without_enhancement_has_no_label_4() -> None:
    tumour = simulate(replace(TRAITS, fraction_et=0.0, fraction_core=0.6))
    assert set(tumour.labels.unique().tolist()) == {0, 1, 2}
    assert float(tumour.probabilities[3].max()) == 0


def test_only_oedema() -> None:
    tumour = simulate(replace(TRAITS, fraction_et=0.0, fraction_core=0.0))
    assert set(tumour.labels.unique().tolist()) == {0, 2}


def test_the_tumour_is_on_its_side() -> None:
    x = GRID.axes()[0]
    for hemisphere, sign in (("left", -1), ("right", 1)):
        tumour = simulate(replace(TRAITS, hemisphere=hemisphere, volume_ml=25.0))  # type: ignore[arg-type]
        where = torch.nonzero(tumour.labels)[:, 0] + tumour.box[0].start
        assert sign * float(x[where].mean()) > 5


def test_sharp_borders_are_smoother() -> None:
    def surface(sharpness: float) -> float:
        whole = (simulate(replace(TRAITS, border_sharpness=sharpness)).labels > 0).numpy()
        return float(sum(np.abs(np.diff(whole.astype(np.int8), axis=a)).sum() for a in range(3)))

    assert surface(0.0) > 1.15 * surface(1.0)


def test_foci_are_apart() -> None:
    traits = replace(TRAITS, n_foci=3, volume_ml=45.0, border_sharpness=0.8)
    whole = (simulate(traits, "m").labels > 0).numpy()
    sizes = np.bincount(cc3d.connected_components(whole, connectivity=26).ravel())[1:] * GRID.voxel_ml
    assert (sizes > 0.5).sum() >= 2
    head = make_head(age=55, seed=0, subject="m")
    seeds = np.array(grow_in_head(head, traits, seed=0, subject="m").seeds)
    assert len(seeds) == 3
    assert min(np.linalg.norm(seeds[i] - seeds[j]) for i in range(3) for j in range(i)) > 15


def test_the_mismatch_is_inside_a_rim() -> None:
    traits = replace(TRAITS, t2_flair_mismatch=1.0, fraction_et=0.0, fraction_core=0.7, necrosis=0.0)
    only = resolve_mechanisms({"all": 0, "mismatch": 1})
    tumour = simulate(traits, mechanisms=only)
    cystic = tumour.tissues[TUMOUR_TISSUES.index("microcystic")]
    whole = (tumour.labels > 0).numpy()
    depth = torch.from_numpy(ndimage.distance_transform_edt(whole))
    assert float(cystic[depth > 3].mean()) > 0.7
    assert float(cystic[(depth > 0) & (depth <= 1)].mean()) < 0.35
    for none in (simulate(replace(traits, t2_flair_mismatch=0.0), mechanisms=only), simulate(traits)):
        assert float(none.tissues[TUMOUR_TISSUES.index("microcystic")].max()) == 0


# Mass effect


def test_mass_effect_pushes_without_folding(least_jacobian: Callable[[Lattice], float]) -> None:
    head = make_head(age=55, seed=0, subject="a")
    traits = replace(TRAITS, mass_effect=1.0, volume_ml=100.0)
    grown = grow_in_head(head, traits, seed=0, subject="a")
    moved = mass_effect(head, grown, traits)
    assert 5 < float(moved.values.norm(dim=0).max()) < 20
    assert least_jacobian(moved) > 0
    assert least_jacobian(head.with_displacement(moved).warp) > 0
    before = tissue_on(head, GRID.axes(), spacing=GRID.spacing).brain
    after = tissue_on(head.with_displacement(moved), GRID.axes(), spacing=GRID.spacing).brain
    assert float((before ^ after).sum()) < 0.02 * float(before.sum())  # the skull holds
    assert float(mass_effect(head, grown, replace(traits, mass_effect=0.0)).values.abs().max()) == 0


def test_midline_moves_away_from_the_tumour() -> None:
    head = make_head(age=55, seed=0, subject="a")
    traits = replace(TRAITS, mass_effect=1.0, volume_ml=100.0)  # on the left
    moved = mass_effect(head, grow_in_head(head, traits, seed=0, subject="a"), traits)
    axes = GRID.axes()
    still = tissue_on(head, axes, spacing=GRID.spacing).mni[0]
    shifted = tissue_on(head.with_displacement(moved), axes, spacing=GRID.spacing).mni[0]
    middle = (still.abs() < 4) & (tissue_on(head, axes, spacing=GRID.spacing).brain)
    # What is seen at the old midline now lay to the left of it: the midline has gone to the right.
    assert float(shifted[middle].mean() - still[middle].mean()) < -0.3


# What hides a tumour, and who draws it


def test_without_mechanisms_the_labels_drawn_are_the_tumour(tumour: Tumour) -> None:
    assert torch.equal(tumour.drawn, tumour.labels)
    assert int(tumour.codes.max()) == 0
    assert all(float(tumour.tissues[TUMOUR_TISSUES.index(name)].max()) == 0 for name in ("blood", "calcium", "cyst"))


def test_a_rater_is_smooth_and_agrees_as_raters_do(tumour: Tumour) -> None:
    drawn = simulate(TRAITS, mechanisms=resolve_mechanisms({"all": 0, "rater": 1}))
    assert torch.equal(drawn.labels, tumour.labels)
    assert torch.equal(drawn.tissues, tumour.tissues)

    def dice(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(2 * (a & b).sum() / (a.sum() + b.sum()))

    def surface(mask: torch.Tensor) -> float:
        return float(sum(mask.float().diff(dim=axis).abs().sum() for axis in range(2)) / mask.sum())

    assert 0.7 < dice(drawn.drawn > 0, tumour.labels > 0) < 0.99
    assert surface(drawn.drawn > 0) < surface(tumour.labels > 0)
    assert set(drawn.drawn.unique().tolist()) == {0, 1, 2, 4}


def test_fading_takes_signal_from_the_margin_and_puts_some_outside(tumour: Tumour) -> None:
    faded = simulate(TRAITS, mechanisms=resolve_mechanisms({"all": 0, "fading": 1}))
    assert torch.equal(faded.labels, tumour.labels)
    oedema = TUMOUR_TISSUES.index("oedema")
    whole = (tumour.labels > 0).numpy()
    depth = torch.from_numpy(ndimage.distance_transform_edt(whole))
    rim = (depth > 0) & (depth <= 1) & (tumour.labels == 2)
    assert float(faded.tissues[oedema][rim].mean()) < 0.9 * float(tumour.tissues[oedema][rim].mean())
    away = torch.from_numpy(ndimage.distance_transform_edt(~whole)) > 2
    assert float(faded.tissues[oedema][away].sum()) > 2 * float(tumour.tissues[oedema][away].sum())


def test_fainter_tumours_hold_less_of_oedema_and_solid_tumour() -> None:
    levels = []
    for subject in "abcdef":
        plain = simulate(TRAITS, subject)
        faint = simulate(TRAITS, subject, resolve_mechanisms({"all": 0, "faintness": 1}))
        levels.append(float(faint.tissues[:2].sum() / plain.tissues[:2].sum()))
        assert torch.equal(faint.tissues[2:4], plain.tissues[2:4])
    assert max(levels) - min(levels) > 0.1
    assert min(levels) < 0.95


def test_weak_enhancement_becomes_solid_tumour(tumour: Tumour) -> None:
    weak = simulate(TRAITS, mechanisms=resolve_mechanisms({"all": 0, "weak_enhancement": 1}))
    assert float(weak.tissues[2].sum()) < float(tumour.tissues[2].sum())
    assert torch.allclose(weak.tissues.sum(0), tumour.tissues.sum(0), atol=1e-5)


def test_inclusions_take_the_place_of_what_was_there() -> None:
    found = set()
    for subject in "abcdefgh":
        tumour = simulate(TRAITS, subject, resolve_mechanisms({"all": 0, "blood": 2, "calcification": 2, "cysts": 2}))
        assert float(tumour.tissues.sum(0).max()) <= 1 + 1e-5
        found |= {name for name in ("blood", "calcium", "cyst") if tumour.tissues[TUMOUR_TISSUES.index(name)].max() > 0}
        if not found:
            assert int(tumour.codes.max()) == 0
    assert "blood" in found


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fraction_et": 0.7, "fraction_core": 0.5}, "is 1.200"),
        ({"fraction_et": -0.1}, "fraction_et of a is -0.1"),
        ({"necrosis": float("nan")}, "necrosis of a is nan"),
        ({"volume_ml": 0.0}, "volume_ml of a is 0.0"),
        ({"volume_ml": 900.0}, "does not fit the brain of a"),
        ({"n_foci": 0}, "n_foci of a is 0"),
        ({"age": -3.0}, "age of a is -3.0"),
    ],
)
def test_impossible_traits(change: dict[str, float], message: str) -> None:
    head = make_head(age=55, seed=0, subject="a")
    with pytest.raises(RadlibError, match=message):
        grow_in_head(head, replace(TRAITS, **change), seed=0, subject="a")  # type: ignore[arg-type]
