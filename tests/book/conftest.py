"""A checkout in miniature: two chapters that run in seconds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from radlib.core.paths import project_root

HEADER = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # {title}

# %% tags=["parameters"]
cohort: str = "simulated"  # which cohort
profile: str = "default"  # which profile
seed: int = 0  # seed of every random number
n: int = 3  # how many
weights: list[float] = [1.0, 2.0]  # one a term

# %%
import pandas as pd

from radlib.core.seeds import rng
from radlib.book.report import Report

report = Report.start("{name}", cohort=cohort, profile=profile, seed=seed)
"""

FIRST = """
# %%
draws = rng(seed, "first").normal(size=n)
report.table("draws", pd.DataFrame({"draw": draws}), caption="Draws.", index=False)
report.sentence(f"There are {n} draws.")

# %% [markdown]
# Some prose.

# %%
report.finish()
"""

SECOND = """
# %%
from radlib.core.paths import run_dir

draws = pd.read_csv(run_dir(cohort=cohort, profile=profile, chapter="first") / "tables/draws.csv")
report.value("sum", float(draws["draw"].sum()))

# %%
report.finish()
"""

JOBS = """
import os

import pandas as pd
import torch

from radlib.study.jobs import job
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit


@job
def training(work, *, name: str, rate: float = 0.1, seed: int = 0):
    def batch(step, random):
        with open(os.environ["RADLIB_PROJECT"] + "/steps.txt", "a") as stream:
            stream.write(f"{name} {step}\\n")
        return {"x": torch.from_numpy(random.normal(size=(4, 2)).astype("float32"))}

    torch.manual_seed(len(name))
    fitted = fit(
        torch.nn.Linear(2, 1), batch=batch, loss=lambda net, data: net(data["x"]).square().mean(),
        optimizer=OptimizerSettings(learning_rate=rate), loop=LoopSettings(steps=6, checkpoint_every=2), seed=seed,
        name=name, folder=work.checkpoints(), device="cpu",
    )
    work.history(fitted.history)
    weights = fitted.network.weight.detach().numpy().ravel()
    work.scores(pd.DataFrame({"subject": ["w0", "w1"], "group": "all", "metric": "weight", "value": weights}))
"""

TRAININGS = """
# %% tags=["study"]
from toy_jobs import training

from radlib.study.studies import Study

arms = {name: training(name=name, rate=rate, seed=seed) for name in ("a", "bb", "ccc")}
study = Study("toy", arms)

# %%
report.study(study)
report.table("weights", study.scores, caption="Weights.", index=False, digits=8)
report.beginning(study)
"""

REGISTRY = """
chapters:
  first: {title: First}
  second: {title: Second, needs: [first]}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs chapters starts kernels, or Snakemake."""
    for item in items:
        if item.path.name in (
            "test_chapter_run.py",
            "test_chapter_studies.py",
            "test_chapter_walk.py",
            "test_chapter_workflow.py",
        ):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def training_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``project``, whose first chapter has three trainings of six steps and writes each into ``steps.txt``."""
    source = project / "notebooks" / "first.py"
    header = HEADER.format(title="First", name="first")
    header = header.replace("n: int = 3", "rate: float = 0.1  # of the trainings\nn: int = 3")
    source.write_text(header + TRAININGS + FIRST)
    (project / "toy_jobs.py").write_text(JOBS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")]))
    return project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the chapters ``first`` and ``second`` (which reads ``first``) and the profile ``smoke``."""
    root = tmp_path / "my chéckout"  # neither a space nor an accent is anything special
    notebooks = root / "notebooks"
    (notebooks / "profiles").mkdir(parents=True)
    (notebooks / "first.py").write_text(HEADER.format(title="First", name="first") + FIRST)
    (notebooks / "second.py").write_text(HEADER.format(title="Second", name="second") + SECOND)
    (notebooks / "chapters.yml").write_text(REGISTRY)
    (notebooks / "profiles" / "smoke.yml").write_text("chapters:\n  first: {n: 5}\n")
    (notebooks / "profiles" / "default.yml").write_text("")
    (root / "radlib").symlink_to(project_root() / "radlib")
    shutil.copytree(project_root() / "workflow", root / "workflow")
    monkeypatch.setenv("RADLIB_PROJECT", str(root))
    monkeypatch.setenv("RADLIB_RUNS", str(root / "runs"))
    return root
