"""What a chapter has before it computes: cohorts that lacked, and in JupyterLab the sizes of its profile."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from radlib.book.prepare import command_now, make_lacking, make_role, take_sizes
from radlib.book.registry import chapter
from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.core.files import write_json
from radlib.data.sources import simulated_dir
from radlib.study.cohorts import MADE

SMOKE = {"cohort": "simulated", "profile": "smoke"}


@pytest.fixture
def cell(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The variables of the chapter ``first`` open in JupyterLab, with the profile ``smoke`` typed into its cell."""
    variables: dict[str, Any] = {**SMOKE, "seed": 0, "n": 3, "weights": [1.0, 2.0]}
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/first.ipynb")
    monkeypatch.setattr("radlib.book.prepare._variables", lambda: variables)
    return variables


def test_a_profile_sets_what_the_cell_has_as_the_book_has_it(cell: dict[str, Any]) -> None:
    assert take_sizes("first", **SMOKE) == {"n": 5}
    assert cell["n"] == 5
    assert take_sizes("first", **SMOKE) == {}
    assert take_sizes("no_chapter", **SMOKE) == {}


def test_a_value_of_the_cell_stays_also_when_it_was_saved(cell: dict[str, Any], project: Path) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "notebooks"], ["commit", "-q", "-m", "book"]):
        subprocess.run([*git, *words], check=True)
    source = chapter("first").source
    source.write_text(source.read_text().replace("n: int = 3", "n: int = 4"))
    cell["n"] = 4
    assert take_sizes("first", **SMOKE) == {}
    assert command_now("first", **SMOKE, seed=0).endswith("--seed 0 -p n=4")  # the runner takes the profile's
    cell["n"] = 3
    assert take_sizes("first", **SMOKE) == {"n": 5}
    assert command_now("first", **SMOKE, seed=0).endswith("--seed 0")


@pytest.mark.parametrize("again", [{"n": 3}, {"profile": "default"}, {"seed": 1}])
def test_parameters_that_were_set_again_are_noticed(cell: dict[str, Any], again: dict[str, Any]) -> None:
    report = Report.start("first", **SMOKE, seed=0)
    report.finish()
    cell["weights"] = [3.0]  # no other size or cohort
    report.finish()
    cell.update(again)
    with pytest.raises(RadlibError, match="run the cell below the parameters too"):
        report.finish()


def test_two_who_need_a_cohort_make_it_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(role: str, *, profile: str, jobs: int) -> None:
        made.append(role)
        time.sleep(0.2)
        write_json(simulated_dir(role, profile=profile) / MADE, {})

    monkeypatch.setattr("radlib.book.prepare.make_cohort", make)
    one = chapter("first").model_copy(update={"cohorts": ("huashan", "rembrandt")})
    (own := simulated_dir("rembrandt", profile="smoke")).mkdir(parents=True)
    write_json(own / "cohort.json", {})  # put there by a user
    make_lacking(one, cohort="real", profile="smoke")
    assert made == []
    both = [threading.Thread(target=make_lacking, args=(one,), kwargs=SMOKE) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert made == ["huashan"]
    write_json(own / "options.json", {})  # an interrupted one
    make_lacking(one, **SMOKE)
    assert made == ["huashan", "rembrandt"]


@pytest.mark.parametrize("role", ["../../x", "/tmp/x/cohort.yml", "a/b", ""])
def test_what_is_no_role_makes_no_folder(role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
    with pytest.raises(RadlibError, match="says nothing of the simulated cohort"):
        make_role(role, profile="smoke")
    assert not any(tmp_path.iterdir())
