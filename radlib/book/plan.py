"""The studies of a chapter, made without running it.

A chapter builds its studies in cells tagged ``study``, which use the parameters and nothing of other cells. Here these
cells alone are executed: so the chapter, the command line and the workflow have one list of jobs.
"""

from __future__ import annotations

import runpy
from typing import Any

from radlib.book.parameters import declared_parameters, read_notebook, resolve
from radlib.book.registry import Chapter, chapters
from radlib.book.registry import chapter as registered
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import write_text_if_changed
from radlib.core.paths import runs_root
from radlib.study.jobs import Job
from radlib.study.studies import Study, in_order

TAG = "study"
"""Tag of the cells that build studies."""


def has_studies(chapter: Chapter) -> bool:
    """Whether the chapter has a cell tagged ``study``."""
    return any(TAG in cell.metadata.get("tags", []) for cell in read_notebook(chapter.source).cells)


def plan(
    chapter: Chapter, *, cohort: str = "simulated", profile: str = "default", seed: int = 0,
    overrides: dict[str, Any] | None = None,
) -> dict[str, Study]:  # fmt: skip
    """The studies of a chapter by name, those in dictionaries too; nothing of them is computed.

    Args:
        chapter: which one.
        cohort, profile, seed, overrides: as for :func:`radlib.book.run.run_chapter`.

    Raises:
        MissingDataError: if the cohort is not there.
        RadlibError: if a parameter is unknown, or a study's cell needs what it may not use.
    """
    declared = {name: one.default for name, one in declared_parameters(chapter.source).items()}
    common = {"cohort": cohort, "profile": profile, "seed": seed}
    values: dict[str, Any] = declared | resolve(chapter, profile=profile, cohort=cohort, overrides=overrides) | common
    cells = [cell.source for cell in read_notebook(chapter.source).cells if TAG in cell.metadata.get("tags", [])]
    file = runs_root() / "code" / f"{chapter.name}_studies.py"
    write_text_if_changed(file, "\n\n".join(cells) + "\n")
    try:
        namespace = runpy.run_path(str(file), init_globals=values)
    except NameError as error:
        raise RadlibError(
            f"a cell tagged {TAG!r} uses {error.name!r}, which no such cell makes", file=chapter.source,
            remedy="let the cell import and make what it needs, from parameters alone",
        ) from error  # fmt: skip
    found: list[Any] = []
    for value in namespace.values():
        found.extend(value.values() if isinstance(value, dict) else [value])
    return {one.name: one for one in found if isinstance(one, Study)}


def study_of(
    chapter: str, study: str, *, cohort: str, profile: str, seed: int, overrides: dict[str, Any] | None = None
) -> Study:
    """A study of another chapter, for chapters that build on its jobs.

    Args:
        chapter, study: their names.
        cohort, profile, seed, overrides: as for :func:`plan`; the other chapter has the profile's parameters.

    Raises:
        RadlibError: if the chapter has no such study.
    """
    found = plan(registered(chapter), cohort=cohort, profile=profile, seed=seed, overrides=overrides)
    if study not in found:
        raise RadlibError(f"chapter {chapter!r} has no study {study!r}", remedy=f"it has {', '.join(found) or 'none'}")
    return found[study]


def plans(
    names: list[str] | None = None, *, cohort: str = "simulated", profile: str = "default", seed: int = 0,
    lacking: dict[str, str] | None = None,
) -> dict[str, dict[str, Study]]:  # fmt: skip
    """:func:`plan` of several chapters (all with studies where ``names`` is None), by chapter.

    Where ``lacking`` is given, chapters whose cohort is not there are left out, and it says why.
    """
    known = chapters()
    if unknown := [name for name in names or [] if name not in known]:
        raise RadlibError(f"there is no chapter {unknown[0]!r}", remedy=f"choose one of {', '.join(known)}")
    chosen = [known[name] for name in names] if names else [one for one in known.values() if has_studies(one)]
    found = {}
    for one in chosen:
        try:
            found[one.name] = plan(one, cohort=cohort, profile=profile, seed=seed)
        except MissingDataError as error:
            if lacking is None:
                raise
            lacking[one.name] = error.problem
    return found


def jobs_of(found: dict[str, dict[str, Study]]) -> list[Job]:
    """Every job of :func:`plans`, parents first, each once."""
    return in_order(job for studies in found.values() for study in studies.values() for job in study.jobs())
