"""The physics of the simulation against closed forms, and the cost of its stages."""

import pytest

from radlib.core.errors import RadlibError
from radlib.phantom.anatomy import Grid
from radlib.phantom.biology import sample_subjects
from radlib.phantom.physics import front_speed, growth_table, signal_table, stage_times
from radlib.phantom.templates import load_template


@pytest.mark.parametrize(("diffusion", "proliferation"), [(0.15, 0.02), (0.05, 0.04)])
def test_the_front_runs_at_the_speed_of_the_theory(diffusion: float, proliferation: float) -> None:
    simulated, expected = front_speed(diffusion=diffusion, proliferation=proliferation)
    assert simulated == pytest.approx(expected, rel=0.02)
    assert expected < 2 * (diffusion * proliferation) ** 0.5


def test_growth_table_has_a_row_a_pair() -> None:
    table = growth_table([(0.15, 0.04)])
    assert table["2 sqrt(D rho), mm/year"].item() == pytest.approx(365 * 2 * (0.15 * 0.04) ** 0.5)
    assert table["simulated / expected"].item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("changes", [{"points": 60}, {"widths": 10.0}])
def test_a_bar_that_cannot_hold_a_front_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(RadlibError, match="too coarse or too short"):
        front_speed(diffusion=0.1, proliferation=0.1, **changes)  # type: ignore[arg-type]


def test_contrasts_are_those_of_the_sequences() -> None:
    table = signal_table("brats-3t")
    assert (table.loc["white"] == 1).all()
    assert table.loc["csf", "t1"] < table.loc["grey", "t1"] < 1  # T1: CSF dark, grey below white matter
    assert table.loc["csf", "t2"] > table.loc["grey", "t2"] > 1  # T2: the other way round
    assert table.loc["csf", "flair"] < 0.3  # FLAIR nulls fluid
    assert table.loc["oedema", "flair"] > table.loc["grey", "flair"]
    assert table.loc["enhancing", "t1ce"] > 1.5 > table.loc["enhancing", "t1"]


def test_stage_times_add_up() -> None:
    subjects = sample_subjects(load_template("brats2017"), n=1, seed=0)
    table = stage_times(subjects, protocol="brats-3t", grid=Grid.fitting((48, 48, 40)), n=1)
    assert {"anatomy", "tumour growth", "signal", "scanner"} <= set(table.index)
    parts = table.drop(index="all")
    assert (parts["seconds"] > 0).all()
    assert table.loc["all", "seconds"] == pytest.approx(parts["seconds"].sum())
    assert parts["share"].sum() == pytest.approx(1)
