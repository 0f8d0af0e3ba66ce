"""A parameter edited in a chapter gives another result, and a changed caption computes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jupytext
import papermill
import pytest

from radlib.book.plan import jobs_of, plan, plans
from radlib.book.registry import chapter
from radlib.book.run import run_chapter
from radlib.core.errors import RadlibError
from radlib.core.paths import run_dir
from radlib.study.store import jobs_root

WEIGHTS = Path("tables") / "weights.csv"


@pytest.fixture(autouse=True)
def _jobs_can_be_imported(training_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(training_project)
    monkeypatch.delitem(sys.modules, "toy_jobs", raising=False)


def steps(project: Path) -> int:
    """Steps of all trainings since this was asked the last time."""
    file = project / "steps.txt"
    lines = file.read_text().splitlines() if file.is_file() else []
    file.unlink(missing_ok=True)
    return len(lines)


def run(**overrides: float) -> str:
    return (
        run_chapter(chapter("first"), cohort="simulated", profile="smoke", overrides=overrides).parent / WEIGHTS
    ).read_text()


def with_papermill(project: Path, **parameters: float) -> str:
    notebook = jupytext.read(chapter("first").source)
    papermill.execute_notebook(
        notebook, project / "out.ipynb", parameters={"profile": "smoke", **parameters}, cwd=str(project),
        kernel_name="python3", progress_bar=False,
    )  # fmt: skip
    return (run_dir(cohort="simulated", profile="smoke", chapter="first") / WEIGHTS).read_text()


def test_a_changed_parameter_is_another_result_and_a_changed_caption_none(training_project: Path) -> None:
    first = run()
    beginning = 6  # the check of the first steps takes that many
    assert steps(training_project) == 18 + beginning
    other = run(rate=0.2)
    assert other != first
    assert steps(training_project) == 18 + beginning
    source = chapter("first").source
    source.write_text(source.read_text().replace("Weights.", "Weights of three trainings.").replace("prose", "words"))
    assert run() == first
    assert steps(training_project) == beginning
    assert run(n=4) == first
    assert steps(training_project) == beginning


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_plain_papermill_in_one_checkout_gives_what_a_fresh_one_gives(training_project: Path) -> None:
    first, other = with_papermill(training_project), with_papermill(training_project, rate=0.2)
    assert first != other
    assert with_papermill(training_project) == first
    assert run(rate=0.2) == other
    subprocess.run(["rm", "-r", str(training_project / "runs")], check=True)  # as a fresh checkout
    assert with_papermill(training_project, rate=0.2) == other


def test_the_first_steps_of_a_history_that_was_tampered_with_are_found_out(training_project: Path) -> None:
    import pandas as pd

    run()
    for file in jobs_root().glob("[!.]*/history.parquet"):
        history = pd.read_parquet(file)
        history.loc[history["part"] == "first", "loss"] *= 0.9
        history.to_parquet(file)
    with pytest.raises(RadlibError, match="first steps"):
        run()


def test_the_plan_of_a_chapter_is_its_jobs(training_project: Path) -> None:
    found = plan(chapter("first"), profile="smoke")
    assert list(found) == ["toy"]
    fingerprints = {job.fingerprint for job in jobs_of(plans(profile="smoke"))}
    run()
    assert fingerprints == {file.parent.name for file in jobs_root().glob("[!.]*/job.json")}
    results = json.loads((run_dir(cohort="simulated", profile="smoke", chapter="first") / "results.json").read_text())
    assert set(results["jobs"]["toy"]) == fingerprints
    other = plan(chapter("first"), profile="smoke", overrides={"rate": 0.3})
    assert fingerprints.isdisjoint(job.fingerprint for job in other["toy"].jobs())


def test_a_study_cell_that_needs_another_cell_is_named(training_project: Path) -> None:
    source = chapter("first").source
    source.write_text(source.read_text().replace("seed=seed)", "seed=report.seed)"))
    with pytest.raises(RadlibError, match="uses 'report'"):
        plan(chapter("first"), profile="smoke")


def command(project: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "radlib.cli", "study", *words, "--profile", "smoke"],
        cwd=project, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_command_line_computes_in_parts_keeps_and_compares(training_project: Path) -> None:
    assert command(training_project, "list").count("missing") == 3
    command(training_project, "run", "--part", "1", "--parts", "2")
    assert command(training_project, "list").count("missing") == 1
    command(training_project, "run", "--processes", "2")
    assert steps(training_project) == 18
    assert "0 of 3 are missing" in command(training_project, "keep")
    subprocess.run(["rm", "-r", str(training_project / "runs")], check=True)
    assert command(training_project, "list").count("kept") == 3
    assert "largest difference 0" in command(training_project, "compare", "--sample", "2")
    assert steps(training_project) == 12
    run()
    assert steps(training_project) == 6  # the check of the first steps
    page = (training_project / "runs" / "simulated" / "smoke" / "first" / "notebook.ipynb").read_text()
    assert "3 jobs (3 kept, 0 computed here)" in page
