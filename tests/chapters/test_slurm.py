"""The chapters as jobs of a real SLURM, of one node."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from radlib.chapters.registry import chapter
from radlib.core.paths import project_root, run_dir

SLURM = project_root() / "workflow" / "one_node_slurm.py"
LACKS = subprocess.run([sys.executable, str(SLURM), "--check"], capture_output=True, text=True)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(LACKS.returncode != 0, reason=LACKS.stdout.strip())]

WAIT = """
import os
import time
from pathlib import Path

report.value("job", float(os.environ["SLURM_JOB_ID"]))
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


@pytest.mark.usefixtures("slurm")
def test_a_job_that_is_killed_half_way_runs_again_and_the_rest_follows(project: Path) -> None:
    source = chapter("first").source
    source.write_text(source.read_text().replace("\n# %% [markdown]\n# Some prose.", f"\n# %%{WAIT}", 1))
    begun, log = project / "runs" / "begun", project / "snakemake.log"
    with open(log, "w") as stream:
        snakemake = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile",
             "--workflow-profile", "workflow/profiles/slurm", "--nolock", "--latency-wait", "5",
             "--seconds-between-status-checks", "1", "--slurm-init-seconds-before-status-checks", "1",
             "--config", "profile=smoke", "--", "chapters"],
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
    assert results("first").is_file()
    assert results("second").is_file()
    states = subprocess.run(
        ["squeue", "--all", "--states=all", "--noheader", "--format=%i %T"], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert f"{killed} CANCELLED" in states
    assert sum("COMPLETED" in line for line in states) == 2
