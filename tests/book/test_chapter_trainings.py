"""Trainings as processes of their own, before the chapter."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from radlib.book.registry import chapter
from radlib.book.run import run_chapter
from radlib.book.trainings import has_trainings, train_part
from radlib.core.errors import RadlibError
from radlib.core.paths import run_dir

pytestmark = pytest.mark.filterwarnings(
    # ZeroMQ and nbclient, inside papermill: a kernel of the test's own on this machine
    "ignore::DeprecationWarning",
    "ignore::RuntimeWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
STEPS = sorted(f"{name} {step}" for name in ("a", "bb", "ccc") for step in range(6))
"""Every step of the trainings of ``training_project``, once."""
HOW = {"cohort": "simulated", "profile": "smoke"}


def steps(folder: Path) -> list[str]:
    return (folder / "steps.txt").read_text().splitlines()


def train_in_a_process(part: int, parts: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "radlib.cli", "chapter", "train", "first", "--profile", "smoke", "--part", str(part),
         "--parts", str(parts)],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_trained_in_parts_of_which_one_is_killed_the_chapter_takes_no_step_and_has_the_same_tables(
    training_project: Path,
) -> None:
    folder = run_dir(**HOW, chapter="first")
    run_chapter(chapter("first"), **HOW)
    assert sorted(steps(folder)) == STEPS
    expected = {file.name: file.read_bytes() for file in (folder / "tables").iterdir()}
    results = (folder / "results.json").read_bytes()
    (folder / "steps.txt").unlink()
    for file in (folder / "tables").iterdir():
        file.unlink()

    source = chapter("first").source
    text = source.read_text()
    stop, here = training_project / "stop", training_project / "here"
    stop.touch()
    hang = (
        "        import pathlib, time\n"
        f"        if name == 'a' and step == 3 and pathlib.Path({str(stop)!r}).exists():\n"
        f"            pathlib.Path({str(here)!r}).touch()\n"
        "            time.sleep(600)\n"
    )
    source.write_text(text.replace("    def batch(step, random):\n", f"    def batch(step, random):\n{hang}"))
    job = train_in_a_process(1, 2)
    deadline = time.monotonic() + 600
    while not here.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert here.exists()
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    stop.unlink()
    assert steps(folder) == ["a 0", "a 1", "a 2"]

    both = [train_in_a_process(part, 2) for part in (1, 2)]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    assert sorted(steps(folder)) == sorted([*STEPS, "a 2"])  # step 2 came behind the last checkpoint
    done = [json.loads((folder / f"trainings/{part}-of-2.json").read_text()) for part in (1, 2)]
    assert [list(one) for one in done] == [["a", "ccc"], ["bb"]]
    assert not list((folder / "tables").iterdir())

    run_chapter(chapter("first"), **HOW)
    assert len(steps(folder)) == len(STEPS) + 1
    assert {file.name: file.read_bytes() for file in (folder / "tables").iterdir()} == expected
    assert (folder / "results.json").read_bytes() == results
    assert not (folder / "checkpoints").exists()


def test_what_cannot_be_trained_in_parts_is_named(training_project: Path) -> None:
    assert has_trainings(chapter("first"))
    with pytest.raises(RadlibError, match="'second' lists no trainings"):
        train_part(chapter("second"), part=1, parts=2, **HOW)
    with pytest.raises(RadlibError, match="no part 3 of 2"):
        train_part(chapter("first"), part=3, parts=2, **HOW)


def test_a_part_that_fails_names_its_log(training_project: Path) -> None:
    source = chapter("first").source
    source.write_text(source.read_text().replace("    torch.manual_seed(", "    torch.manual_sed("))
    with pytest.raises(RadlibError, match="part 1 of 1 of the trainings of 'first' failed: AttributeError"):
        train_part(chapter("first"), part=1, parts=1, **HOW)
    folder = run_dir(**HOW, chapter="first") / "trainings"
    assert "manual_sed" in (folder / "1-of-1.txt").read_text()
    assert not (folder / "1-of-1.json").exists()


def planned(project: Path, *, fanout: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--cores", "2", "--nolock",
         "--rerun-triggers", "code", "mtime", "params", "--config", "profile=smoke", f"fanout={fanout}", "--dry-run",
         "--", "chapters"],
        cwd=project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_the_workflow_makes_a_part_a_job_and_the_number_of_parts_is_no_reason_to_run_again(
    training_project: Path,
) -> None:
    plan = planned(training_project, fanout=3)
    assert plan.count("rule trainings_first:") == 3
    assert "trainings_second" not in plan
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--cores", "2", "--nolock",
         "--config", "profile=smoke", "fanout=2", "--", "chapters"],
        cwd=training_project, capture_output=True, check=True,
    )  # fmt: skip
    folder = run_dir(**HOW, chapter="first")
    assert sorted(steps(folder)) == STEPS
    assert [file.suffix for file in (folder / "trainings").glob("*-of-*")] == [".txt", ".txt"]
    for fanout in (1, 5):
        assert "Nothing to be done" in planned(training_project, fanout=fanout)
