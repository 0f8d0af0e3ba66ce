"""Costs by the size of the cohort: fits, the file, the page, and a measured process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radlib.book.costs import STAGES, Costs, CostsFile, fit_line, read_costs, stage_costs, this_machine
from radlib.book.costs_page import costs_figure, costs_page, duration, figure_png
from radlib.core.errors import RadlibError
from radlib.core.paths import project_root

SIZES = (25, 50, 100, 200)


def row(stage: str, n: int, *, seconds: float, peak: int, disk: int = 0, **settings: Any) -> dict[str, Any]:
    return {
        "stage": stage, "n": n, "settings": settings, "start_seconds": 2.0, "core_seconds": seconds,
        "wall_seconds": 2 * seconds, "start_bytes": 2**28, "peak_bytes": peak, "disk_bytes": disk, "commit": "abc",
    }  # fmt: skip


def small() -> dict[str, Any]:
    """Reading is proportional and fills memory; elimination is cubic; nothing else was measured."""
    noise = (1.01, 0.99, 1.02, 0.98)
    reading = [
        row("read", n, seconds=0.05 * n * e, peak=2**28 + n * 2**20, disk=n * 2**10, grid=[64, 64, 48])
        for n, e in zip(SIZES, noise, strict=True)
    ]
    cubic = [
        row("elimination", n, seconds=1e-6 * n**3 * e, peak=int(2**29 * e)) for n, e in zip(SIZES, noise, strict=True)
    ]
    training = {
        "paper": "Li 2017", "network": "tumour CNN", "settings": {"steps": [5, 25]}, "seconds_per_step": 0.2,
        "default_steps": 240, "peak_bytes": 2**29, "commit": "abc",
    }  # fmt: skip
    beside = {"task": "a task", "memory_bytes": 2**20, "calls": 3, "load": 0.1, "commit": "abc"}
    return {
        "machine": {"processor": "Some Processor (x86_64)", "cores": 2, "memory_gib": 24.0},
        "measurements": [*cubic, *reading], "trainings": [training],
        "besides": [{**beside, "package": "radlib", "seconds": 0.25}, {**beside, "package": "peer", "seconds": 1.5}],
        "steps": [{"step": "`make book`", "seconds": 480.0, "load": 0.2, "commit": "abc"}],
        "provenance": {"versions": {"python": "3.11.7"}},
    }  # fmt: skip


def test_an_exact_power_law_is_found_exactly() -> None:
    fit = fit_line(SIZES, [0.3 * n**1.5 for n in SIZES], logarithmic=True)
    assert fit.slope == pytest.approx(1.5)
    assert fit.interval == pytest.approx((1.5, 1.5))
    assert fit.at(1000) == pytest.approx([0.3 * 1000**1.5] * 3)


def test_an_exact_line_is_found_and_never_below_zero() -> None:
    fit = fit_line(SIZES, [7 + 2 * n for n in SIZES], logarithmic=False)
    assert (fit.factor, fit.slope) == pytest.approx((7, 2))
    assert fit.at(1000)[0] == pytest.approx(2007)
    assert fit_line(SIZES, [400 - n for n in SIZES], logarithmic=False).at(1000) == pytest.approx((0, 0, 0))


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(3)
    exponents = predictions = 0
    for _ in range(1000):
        noisy = [0.5 * n**1.2 * np.exp(random.normal(0, 0.1)) for n in SIZES]
        fit = fit_line(SIZES, noisy, logarithmic=True)
        exponents += fit.interval[0] <= 1.2 <= fit.interval[1]
        _, low, high = fit.at(1000)
        predictions += low <= 0.5 * 1000**1.2 * np.exp(random.normal(0, 0.1)) <= high
    assert 930 <= exponents <= 970
    assert 930 <= predictions <= 970


def test_agrees_with_the_normal_equations() -> None:
    y = np.array([1.0, 2.3, 3.9, 8.8])
    x, v = np.log(SIZES), np.log(y)
    design = np.column_stack([np.ones(4), x])
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ v
    variance = ((v - design @ beta) ** 2).sum() / 2
    fit = fit_line(SIZES, y, logarithmic=True)
    assert fit.slope == pytest.approx(beta[1])
    assert fit.interval[1] - fit.slope == pytest.approx(4.302653 * np.sqrt(variance * inverse[1, 1]), rel=1e-5)
    point = np.array([1, np.log(1000)])
    wide = 4.302653 * np.sqrt(variance * (1 + point @ inverse @ point))
    assert np.log(fit.at(1000)[2]) == pytest.approx(point @ beta + wide, rel=1e-5)


@pytest.mark.parametrize(
    ("n", "y", "message"),
    [((25, 50), (1, 2), "three sizes, not 2"), ((25, 25, 50), (1, 2, 3), "three sizes, not 2"),
     (SIZES, (0, 1, 2, 3), "values above 0")],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(n: tuple[int, ...], y: tuple[float, ...], message: str) -> None:
    with pytest.raises(RadlibError, match=message):
        fit_line(n, y, logarithmic=True)


def test_the_page_says_what_was_measured() -> None:
    page = costs_page(Costs.model_validate(small()))
    assert "Some Processor (x86_64), 2 cores, 24 GiB" in page
    assert "| tables: survival, RFE | 2.0 + 1e-06 n^2.99 |" in page
    assert "| images: read | 2.0 + 0.052 n^0.99 | 0.99 (0.9" in page
    assert "| images: read | 200 | 2.0 | 9.80 | 19.6 | 256 MiB | 456 MiB | 200 KiB |" in page
    assert "1.0 MiB a subject" in page  # memory of reading
    assert "no growth beyond scatter" in page  # of elimination
    assert "| Li 2017 | tumour CNN | 200 ms | 240 | 48 s | 512 MiB |" in page
    assert "(grid 64 x 64 x 48)" in page
    assert "images: simulate" not in page
    assert page.count("```{table}") == 7


def test_a_page_without_measurements_is_short() -> None:
    page = costs_page(Costs.model_validate({"machine": small()["machine"]}))
    assert "{table}" not in page
    assert "status.md" in page


def test_the_picture_is_the_same_bytes_each_time() -> None:
    costs = Costs.model_validate(small())
    first = figure_png(costs_figure(costs))
    assert first.startswith(b"\x89PNG")
    assert figure_png(costs_figure(costs)) == first


def test_stages_come_in_the_order_of_the_book() -> None:
    assert [stage.key for stage in stage_costs(Costs.model_validate(small()))] == ["read", "elimination"]


def test_other_settings_and_unknown_stages_are_refused() -> None:
    values = small()
    values["measurements"][-1]["settings"] = {"grid": [96, 96, 64]}
    with pytest.raises(RadlibError, match="'read' was measured with different settings"):
        stage_costs(Costs.model_validate(values))
    values["measurements"][-1]["stage"] = "cooking"
    with pytest.raises(RadlibError, match="unknown stage 'cooking'"):
        stage_costs(Costs.model_validate(values))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"costs are wrong: .*JSON"),
        ("[]", "costs are wrong"),
        ('{"machine": {"processor": "x", "cores": 0, "memory_gib": 1}}', "machine.cores: .*greater than 0"),
        (json.dumps({**small(), "measurements": [{**small()["measurements"][0], "n": -1}]}), r"measurements\.0\.n"),
        (json.dumps({**small(), "extra": 1}), "extra"),
        ("\udcff", "costs are wrong"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "costs.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RadlibError, match=message) as caught:
        read_costs(file)
    assert caught.value.file == file
    assert "benchmarks/costs.py" in str(caught.value)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=r"not there.*benchmarks/costs\.py"):
        read_costs(tmp_path / "costs.json")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (42, "42 s"), (600, "10 min"), (7200, "2.0 h"), (20 * 86_400, "20 days"), (1e9, "32 years")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_kept_measurements_make_the_page() -> None:
    file = project_root() / "published" / "costs.json"
    costs = read_costs(file)
    assert {stage.key for stage in stage_costs(costs)} == set(STAGES)
    assert "/" not in file.read_text(encoding="utf-8"), "no path of the machine is kept"
    assert all(len(stage.rows) >= 4 for stage in stage_costs(costs))
    assert costs_page(costs).count("```{table}") == 5 + bool(costs.besides) + bool(costs.steps)


@pytest.mark.slow
def test_a_measured_process_reports_sane_numbers_and_is_not_measured_twice(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    command = [
        sys.executable, str(project_root() / "benchmarks" / "costs.py"), "--stages", "tables", "--trainings",
        "--table-sizes", "12", "--file", str(file), "--work", str(tmp_path / "work"),
    ]  # fmt: skip

    def measure() -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), cwd=project_root())
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "[1/1] tables, 12 subjects" in measure()
    (found,) = read_costs(file).measurements
    assert 0 < found.core_seconds < 60
    assert 0 < found.start_seconds < 120
    assert 2**25 < found.start_bytes <= found.peak_bytes < 2**32
    assert found.disk_bytes == sum(f.stat().st_size for f in (tmp_path / "work/tables-12").rglob("*") if f.is_file())
    assert found.disk_bytes > 12 * 1740 * 4 / 2
    assert str(tmp_path) not in file.read_text()
    written = file.read_bytes()
    assert measure() == ""
    assert file.read_bytes() == written


def test_page_holds_other_packages_against_ours_and_the_way_from_a_clone() -> None:
    page = costs_page(Costs.model_validate(small()))
    assert "| a task | radlib | 250 ms | 1.00 | 1.0 MiB | 3 | 0.1 |" in page
    assert "| a task | peer | 1.5 s | 6.00 |" in page
    assert "| `make book` | 8.0 min | 0.2 |" in page
    bare = costs_page(Costs.model_validate({**small(), "besides": [], "steps": []}))
    assert "Beside other packages" not in bare
    assert "From a clone" not in bare


def test_a_row_takes_the_place_of_its_like_and_another_machine_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    row = {"step": "make install", "seconds": 60.0, "load": 0.0}
    held = CostsFile(file)
    held.add("steps", row, instead_of=("step",))
    held.add("steps", {**row, "seconds": 50.0}, instead_of=("step",))
    assert [step.seconds for step in read_costs(file).steps] == [50.0]
    assert CostsFile(file).has("steps", step="make install", seconds=50.0)
    assert not CostsFile(file).has("steps", step="make book")
    other = {**json.loads(file.read_text()), "machine": this_machine().model_dump() | {"cores": 999}}
    file.write_text(json.dumps(other))
    with pytest.raises(RadlibError, match="another machine"):
        CostsFile(file)
