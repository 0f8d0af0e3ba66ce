"""Chapters as they are: a parameter edited in a checkout that has old results gives what a fresh checkout gives."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import jupytext
import pandas as pd
import papermill
import pytest

from radlib.book.parameters import resolve
from radlib.book.plan import jobs_of, plan
from radlib.book.registry import Chapter, chapter
from radlib.book.run import run_chapter
from radlib.core.paths import project_root, run_dir
from radlib.data.sources import simulated_dir
from radlib.study.cohorts import make_cohort
from radlib.study.store import jobs_root
from radlib.study.studies import Study

pytestmark = pytest.mark.filterwarnings(
    # ZeroMQ and nbclient, inside papermill
    "ignore::DeprecationWarning",
    "ignore::RuntimeWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

SMOKE: dict[str, Any] = {"cohort": "simulated", "profile": "smoke"}

CHANGED: dict[str, dict[str, Any]] = {
    "modality_synthesis": {"steps": 5},
    "feature_transition": {"transition_steps": 3},
    "tumour_cnn": {"steps": 5},
    "pairwise_gan": {"l1_weight": 1.0},
    "unet_features": {"tune_steps": 5},
}
"""A cheap chapter of every paper, and a parameter that its trainings depend on."""

WALKED = list(CHANGED) if os.environ.get("RADLIB_WALK") == "all" else ["pairwise_gan"]
"""Each takes minutes: the tests walk one, ``RADLIB_WALK=all`` walks all."""

CLOCK = r"second|\(s\)|minutes|\d h |memory|waiting"
"""Columns that a clock or the machine decides."""


@pytest.fixture(autouse=True)
def _simulated_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newcomer has: no real data, nothing kept."""
    monkeypatch.delenv("RADLIB_DATA", raising=False)
    monkeypatch.setenv("FRESH", "1")


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated cohorts that one chapter after the other opens."""
    return tmp_path_factory.mktemp("cohorts")


def tables(one: Chapter) -> dict[str, pd.DataFrame]:
    found = {}
    for file in sorted((run_dir(chapter=one.name, **SMOKE) / "tables").glob("*.csv")):
        table = pd.read_csv(file)
        found[file.name] = table.loc[:, ~table.columns.str.contains(CLOCK)]
    return found


def course(study: Study) -> pd.DataFrame:
    """Learning curves, without what a clock decides."""
    return study.history.drop(columns="seconds", errors="ignore")


def with_papermill(one: Chapter, overrides: dict[str, Any], out: Path) -> dict[str, pd.DataFrame]:
    """The chapter as a reader runs it who knows papermill only."""
    papermill.execute_notebook(
        jupytext.read(one.source), out, kernel_name="python3", progress_bar=False, cwd=str(one.source.parent),
        parameters={**SMOKE, "seed": 0, **resolve(one, **SMOKE, overrides=overrides)},
    )  # fmt: skip
    return tables(one)


@pytest.mark.parametrize("name", WALKED)
def test_a_parameter_changed_in_one_checkout(
    name: str, cohorts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, changed = chapter(name), CHANGED[name]
    monkeypatch.setenv("RADLIB_RUNS", str(cohorts))
    for role in one.cohorts:
        made = project_root() / "runs" / "simulated" / "smoke" / "_cohorts" / role
        if made.is_dir():  # that of `make book PROFILE=smoke`; what is not what is wanted is made anew
            shutil.copytree(made, simulated_dir(role, profile="smoke"))
        make_cohort(role, profile="smoke")
    for checkout in ("used", "fresh"):
        shutil.copytree(cohorts, tmp_path / checkout)

    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "used"))
    before = plan(one, profile="smoke")
    for study in before.values():
        study.run()
    after = plan(one, profile="smoke", overrides=changed)
    both = {job.fingerprint for job in jobs_of({name: before})}, {job.fingerprint for job in jobs_of({name: after})}
    assert both[1] - both[0], "no training depends on the parameter"
    again = with_papermill(one, changed, tmp_path / "out.ipynb")
    computed = {file.parent.name for file in jobs_root().glob("[!.]*/job.json")}
    assert both[0] <= computed
    assert (both[1] - both[0]) & computed, "the chapter has computed nothing for the changed parameter"
    assert any(not course(after[key]).equals(course(before[key])) for key in after), "the training is the old one"

    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "fresh"))
    run_chapter(one, **SMOKE, overrides=changed)
    fresh = tables(one)
    assert set(again) == set(fresh)
    assert fresh
    for file, table in fresh.items():
        pd.testing.assert_frame_equal(again[file], table, check_exact=True, obj=file)
