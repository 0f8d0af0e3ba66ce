"""The chapters, and parts of their trainings, as jobs of a real SLURM of one node."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from radlib.book.registry import chapter
from radlib.core.paths import project_root, run_dir

SLURM = project_root() / "workflow" / "one_node_slurm.py"
LACKS = subprocess.run([sys.executable, str(SLURM), "--check"], capture_output=True, text=True)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(LACKS.returncode != 0, reason=LACKS.stdout.strip())]

WAIT = """
import os
import time
from pathlib import Path

begun = Path(os.environ["RADLIB_RUNS"]) / "begun"
if not begun.exists():
    begun.write_text(os.environ["SLURM_JOB_ID"])
    time.sleep(600)
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[None]:
    """A SLURM of one node."""
    with subprocess.Popen(
        [sys.executable, str(SLURM), str(tmp_path / "slurm")], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "SLURM did not start"
            yield
        finally:
            process.terminate()


def results(name: str) -> Path:
    return run_dir(cohort="simulated", profile="smoke", chapter=name) / "results.json"


def states_after_a_kill(project: Path, *, fanout: int = 1) -> tuple[str, list[str]]:
    """Run all chapters, kill the job that waits, and say which it was and how all jobs ended."""
    begun, log = project / "runs" / "begun", project / "snakemake.log"
    with open(log, "w") as stream:
        snakemake = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile",
             "--workflow-profile", "workflow/profiles/slurm", "--nolock", "--rerun-incomplete", "--keep-going",
             "--latency-wait", "5", "--seconds-between-status-checks", "1",
             "--slurm-init-seconds-before-status-checks", "1",
             "--config", "profile=smoke", f"fanout={fanout}", "--", "chapters"],
            cwd=project, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        for _ in range(2400):
            if (begun.exists() and begun.read_text()) or snakemake.poll() is not None:
                break
            time.sleep(0.1)
        assert begun.exists(), log.read_text()
        killed = begun.read_text()
        assert not results("first").exists()
        subprocess.run(["scancel", "--full", "--signal=KILL", killed], check=True)
        snakemake.wait(timeout=240)
    finally:
        snakemake.kill()
    assert snakemake.returncode == 0, log.read_text()
    states = subprocess.run(
        ["squeue", "--all", "--states=all", "--noheader", "--format=%i %T"], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    return killed, states


@pytest.mark.usefixtures("slurm")
def test_a_job_that_is_killed_half_way_runs_again_and_the_rest_follows(project: Path) -> None:
    source = chapter("first").source
    source.write_text(source.read_text().replace("\n# %% [markdown]\n# Some prose.", f"\n# %%{WAIT}", 1))
    killed, states = states_after_a_kill(project)
    assert results("first").is_file()
    assert results("second").is_file()
    assert f"{killed} CANCELLED" in states
    assert sum("COMPLETED" in line for line in states) == 2


@pytest.mark.usefixtures("slurm")
def test_jobs_of_a_study_are_divided_and_one_that_is_killed_goes_on_from_its_checkpoint(training_project: Path) -> None:
    source = training_project / "toy_jobs.py"
    hang = textwrap.indent(
        "if name == 'a' and step == 3:\n" + textwrap.indent(WAIT.replace("import os\n", ""), "    "), " " * 8
    )
    source.write_text(source.read_text().replace("step, random):\n", f"step, random):\n{hang}", 1))
    killed, states = states_after_a_kill(training_project, fanout=2)
    assert results("second").is_file()
    assert f"{killed} CANCELLED" in states
    assert sum("COMPLETED" in line for line in states) == 4  # two parts, two chapters
    taken = sorted((training_project / "steps.txt").read_text().splitlines())
    once = [f"{name} {step}" for name in ("a", "bb", "ccc") for step in range(6)]
    beginning = [f"a {step}" for step in range(6)]  # the chapter computes the first steps of one training anew
    assert taken == sorted([*once, "a 2", *beginning])  # step 2 came behind the last checkpoint
