"""A checkout in miniature: two chapters that run in seconds."""

from __future__ import annotations

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

TRAININGS = """
# %% tags=["trainings"]
from functools import partial

import torch

from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit


def train(name):
    def batch(step, random):
        with open(report.directory / "steps.txt", "a") as stream:
            stream.write(f"{name} {step}\\n")
        return {"x": torch.from_numpy(random.normal(size=(4, 2)).astype("float32"))}

    torch.manual_seed(len(name))
    return fit(
        torch.nn.Linear(2, 1), batch=batch, loss=lambda net, data: net(data["x"]).square().mean(),
        optimizer=OptimizerSettings(learning_rate=0.1), loop=LoopSettings(steps=6, checkpoint_every=2), seed=seed,
        name=name, folder=report.directory / "checkpoints" / name, device="cpu",
    ).network


trainings = {name: partial(train, name) for name in ("a", "bb", "ccc")}

# %%
weights = {name: make().weight.detach().numpy().ravel() for name, make in trainings.items()}
report.table("weights", pd.DataFrame(weights), caption="Weights.", index=False, digits=8)
"""

REGISTRY = """
chapters:
  first: {title: First}
  second: {title: Second, needs: [first]}
"""


@pytest.fixture
def training_project(project: Path) -> Path:
    """``project``, whose first chapter has three trainings of six steps and writes each into ``steps.txt``."""
    source = project / "notebooks" / "first.py"
    source.write_text(HEADER.format(title="First", name="first") + TRAININGS + FIRST)
    return project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the chapters ``first`` and ``second`` (which reads ``first``) and the profile ``smoke``."""
    root = tmp_path / "checkout"
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
