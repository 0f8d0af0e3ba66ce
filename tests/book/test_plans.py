"""Every chapter's studies: which parameters decide their jobs, and that nothing of them depends on other cells."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from radlib.book.parameters import COMMON, Parameter, declared_parameters, read_notebook, resolve
from radlib.book.plan import TAG, has_studies, jobs_of, plan
from radlib.book.registry import Chapter, chapters
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.paths import project_root
from radlib.study.keep import kept_whole, of_simulated
from radlib.study.store import kept_root

#: By the text alone: to read every notebook takes a second, in every process that collects tests.
WITH_STUDIES = sorted(name for name, one in chapters().items() if '"study"' in one.source.read_text(encoding="utf-8"))

#: Parameters that decide where or how long something is computed, and nothing of its result.
NOT_DECIDING = {"memory_mapped", "profile", "cohort", "most"}
#: At most as many as there are seeds, of which the smoke profile has one.
OF_THE_SEEDS = {"n_references", "n_variants"}
#: Those of trainings on real patients, whose jobs are made only where there are some.
OF_REAL_PATIENTS = {"n_real", "n_real_folds", "tuning_steps", "modality_synthesis.n_other"}


@pytest.fixture
def _cohorts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's own simulated cohorts, where the book has been run."""
    monkeypatch.setenv("RADLIB_RUNS", str(project_root() / "runs"))


def fingerprints(chapter: Chapter, **overrides: Any) -> set[str]:
    seed = int(overrides.pop("seed", 0))
    try:
        found = plan(chapter, profile="smoke", seed=seed, overrides=overrides)
    except MissingDataError as error:
        pytest.skip(f"the smoke cohorts are not made here: {error.problem}")
    return {job.fingerprint for job in jobs_of({chapter.name: found})}


def read_by_studies(chapter: Chapter) -> set[str]:
    """Names that the cells tagged ``study`` read."""
    cells = [cell for cell in read_notebook(chapter.source).cells if TAG in cell.metadata.get("tags", [])]
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def others(value: Any) -> list[Any]:
    """Values of the same kind that a chapter may take; none where none is known."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value or 8, max(0, value - 1)]
    return [value * 0.5 if value else 0.5] if isinstance(value, float) else []


def decides(chapter: Chapter, key: str, values: list[Any], before: set[str]) -> bool:
    """Whether one of the values asks for other jobs; one that is refused decides nothing."""
    for value in values:
        try:
            if fingerprints(chapter, **{key: value}) != before:
                return True
        except RadlibError:
            continue
    return not values


@pytest.mark.slow
@pytest.mark.usefixtures("_cohorts")
@pytest.mark.parametrize("name", WITH_STUDIES)
def test_every_number_that_a_study_reads_decides_a_job(name: str) -> None:
    chapter = chapters()[name]
    assert has_studies(chapter)
    declared: dict[str, Parameter] = declared_parameters(chapter.source)
    values = {key: one.default for key, one in declared.items()} | resolve(chapter, profile="smoke")
    before = fingerprints(chapter)
    if not before:
        pytest.skip("studies real patients only")
    assert fingerprints(chapter) == before
    read = read_by_studies(chapter) & set(declared) - NOT_DECIDING - OF_REAL_PATIENTS - OF_THE_SEEDS
    assert "seed" in read
    silent = []
    for key in sorted(read):
        if f"{name}.{key}" not in OF_REAL_PATIENTS and not decides(
            chapter, key, others(0 if key in COMMON else values[key]), before
        ):
            silent.append(key)
    assert not silent, f"these parameters change no job: {silent}"


@pytest.mark.parametrize("name", WITH_STUDIES)
def test_a_study_has_nothing_of_this_machine_in_it(name: str) -> None:
    source = Path(chapters()[name].source).read_text(encoding="utf-8")
    assert "checkpoints" not in source
    assert "keep_scores" not in source


@pytest.mark.parametrize("name", kept_whole() or ["none"])
def test_a_chapter_that_is_kept_whole_lacks_no_job(name: str) -> None:
    """Who changes a recipe or code that decides a kept result computes it again, or restamps it."""
    if name == "none":
        pytest.skip("no chapter's jobs are kept: radlib study run, radlib study keep")
    try:
        found = plan(chapters()[name])
    except MissingDataError as error:
        pytest.skip(f"the cohorts are not made here: {error.problem}")
    lacking = [
        job.title for job in of_simulated(jobs_of({name: found})) if not (kept_root() / job.fingerprint).is_dir()
    ]
    assert not lacking
