"""What a chapter has before it computes: its simulated cohorts and, in JupyterLab, the sizes of its profile."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from radlib.book.parameters import COMMON, Parameter, declared_parameters, resolve
from radlib.book.registry import Chapter, chapter, chapters
from radlib.data.sources import simulated_dir
from radlib.study.cohorts import MADE, cohort_options, make_cohort

# --- cohorts --------------------------------------------------------------------------------------------------------


def make_role(role: str, *, profile: str, seed: int = 0, jobs: int = 1) -> Path:
    """:func:`radlib.study.cohorts.make_cohort`, one process at a time.

    Raises:
        RadlibError: if the profile has no such role; nothing is written then.
    """
    cohort_options(role, profile=profile)
    with _alone(role, profile=profile):
        return make_cohort(role, profile=profile, seed=seed, jobs=jobs)


def make_lacking(chapter: Chapter, *, cohort: str, profile: str) -> None:
    """Make the simulated cohorts that a chapter opens and that are not there, or not whole.

    A cohort that is whole stays, also where it is another than the profile's (then the chapter says so).
    """
    for role in chapter.cohorts if cohort == "simulated" else ():
        if _is_made(role, profile=profile):
            continue
        with _alone(role, profile=profile):
            if not _is_made(role, profile=profile):  # another process may have made it by now
                # To start processes takes longer than a smoke cohort.
                make_cohort(role, profile=profile, jobs=1 if profile == "smoke" else os.cpu_count() or 1)


def _is_made(role: str, *, profile: str) -> bool:
    """Whether a cohort is whole; one without a stamp was put there by its user."""
    folder = simulated_dir(role, profile=profile)
    return (folder / MADE).is_file() or ((folder / "cohort.json").is_file() and not (folder / "options.json").is_file())


@contextmanager
def _alone(role: str, *, profile: str) -> Iterator[None]:
    folder = simulated_dir(role, profile=profile)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{role}.lock")):
        yield


# --- parameters in JupyterLab ---------------------------------------------------------------------------------------


def parameters_now(name: str) -> dict[str, Any]:
    """The parameters of a chapter as the notebook that runs now has them."""
    variables = _variables()
    return {one: variables[one] for one in declared_parameters(chapter(name).source) if one in variables}


def sizes_to_take(name: str, *, cohort: str, profile: str) -> dict[str, Any]:
    """What the profile sets of those parameters that the notebook that runs now has as the book has them.

    A value that the notebook changed is its own and stays. Empty for a notebook that is no chapter.
    """
    if name not in chapters():
        return {}
    now, book = _variables(), _in_the_book(chapter(name).source)
    chosen = resolve(chapter(name), profile=profile, cohort=cohort)
    return {
        one: value for one, value in chosen.items()
        if one in book and now.get(one) == book[one].default and value != book[one].default
    }  # fmt: skip


def command_now(name: str, *, cohort: str, profile: str, seed: int) -> str:
    """The command line that runs a chapter as the notebook that runs now has it."""
    declared = {one: parameter.default for one, parameter in declared_parameters(chapter(name).source).items()}
    given = declared | resolve(chapter(name), profile=profile, cohort=cohort)
    own = {one: value for one, value in parameters_now(name).items() if one not in COMMON and value != given[one]}
    words = ["radlib", "chapter", "run", name, "--cohort", cohort, "--profile", profile, "--seed", str(seed)]
    return shlex.join([*words, *(word for one, value in own.items() for word in ("-p", f"{one}={value}"))])


def take_sizes(name: str, *, cohort: str, profile: str) -> dict[str, Any]:
    """Set what :func:`sizes_to_take` gives in the notebook that runs now, and return it."""
    taken = sizes_to_take(name, cohort=cohort, profile=profile)
    _variables().update(taken)
    return taken


def _in_the_book(source: Path) -> dict[str, Parameter]:
    """The parameters as committed: saving a notebook changes its text. Outside git, those of the text."""
    shown = ["git", "-C", str(source.parent), "show", f"HEAD:./{source.name}"]
    try:
        committed = subprocess.run(shown, capture_output=True, encoding="utf-8", check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        committed = None
    return declared_parameters(source, committed)


def _variables() -> dict[str, Any]:
    from IPython import get_ipython

    return get_ipython().user_ns
