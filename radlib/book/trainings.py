"""A chapter's trainings as jobs of their own, before the chapter.

A chapter that can be divided says so in one cell, tagged ``trainings``, behind its data and settings. The cell makes
``trainings``: names, and for each a function that trains and leaves its checkpoint in the folder where the chapter
looks for it. Every other cell stays as it is: the chapter's own run calls the same trainings with the same folders,
finds them finished and takes no step. What is not listed is trained by the chapter as ever.

A part runs the cells up to that one and then every so-many-th training. Whether and in how many parts a chapter was
trained changes nothing in its results, because a training depends on its own seeds only.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from filelock import FileLock

import radlib.book.report
from radlib.book.parameters import read_notebook
from radlib.book.registry import Chapter
from radlib.book.run import (
    CHECKPOINTS,
    alone,
    execute,
    full_disk_named,
    gate,
    keep_fitting_checkpoints,
    last_line,
    prepare_run,
)
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path, write_json

TAG = "trainings"
"""Tag of the cell that lists them, name of what it makes, and folder in the run directory for the parts' logs."""

_setup: FileLock | None = None


def has_trainings(chapter: Chapter) -> bool:
    """Whether the chapter lists trainings that can be jobs of their own."""
    return any(TAG in cell.metadata.get("tags", []) for cell in read_notebook(chapter.source).cells)


def done_file(directory: Path, *, part: int | str, parts: int) -> Path:
    """What a finished part leaves in the run directory: the names of its trainings and their seconds."""
    return directory / TAG / f"{part}-of-{parts}.json"


def train_part(
    chapter: Chapter,
    *,
    part: int,
    parts: int,
    cohort: str,
    profile: str,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    threads: int = 1,
) -> Path:
    """Train the ``part``-th of ``parts`` shares of a chapter's trainings, or go on with them.

    Args:
        chapter: which one.
        part, parts: from 1. With more parts than trainings some have nothing to do.
        cohort, profile, seed, overrides, threads: as for :func:`radlib.book.run.run_chapter`.

    Returns:
        :func:`done_file`. A real cohort that lacks what the chapter needs gives an empty one; the chapter says so.

    Raises:
        RadlibError: if the chapter lists no trainings, is being run, or a cell fails.
    """
    if not has_trainings(chapter):
        raise RadlibError(
            f"chapter {chapter.name!r} lists no trainings", file=chapter.source, remedy="run the chapter itself"
        )
    if not 1 <= part <= parts:
        raise RadlibError(f"there is no part {part} of {parts}", remedy=f"give a part from 1 to {parts}")
    parameters, directory = prepare_run(
        chapter, cohort=cohort, profile=profile, seed=seed, overrides=overrides, threads=threads
    )
    done = done_file(directory, part=part, parts=parts)
    done.unlink(missing_ok=True)
    with full_disk_named(chapter, directory):
        with alone(chapter, directory, patience_s=60):  # other parts hold it for a moment only
            keep_fitting_checkpoints(chapter, directory / CHECKPOINTS, parameters)
        done.parent.mkdir(exist_ok=True)
        text = done.with_suffix(".txt")
        with open(text, "w", encoding="utf-8") as log, atomic_path(done.with_suffix(".ipynb")) as notebook:
            nbformat.write(_notebook_of_part(chapter, directory, part=part, parts=parts, done=done), notebook)
            try:
                execute(notebook, parameters, log=log)
                gate(nbformat.read(notebook, as_version=4), file=chapter.source)
            except Exception as error:
                traceback.print_exc(file=log)
                if cohort == "simulated" or getattr(error, "ename", None) != MissingDataError.__name__:
                    raise RadlibError(
                        f"part {part} of {parts} of the trainings of {chapter.name!r} failed: {last_line(error)}",
                        file=text, remedy="read the log",
                    ) from error  # fmt: skip
                write_json(done, {})
        done.with_suffix(".ipynb").unlink()
    return done


def _notebook_of_part(chapter: Chapter, directory: Path, *, part: int, parts: int, done: Path) -> nbformat.NotebookNode:
    """The chapter's code up to the trainings, between a cell that begins a part and one that does it."""
    notebook = read_notebook(chapter.source)
    last = max(place for place, cell in enumerate(notebook.cells) if TAG in cell.metadata.get("tags", []))
    code = [cell for cell in notebook.cells[: last + 1] if cell.cell_type == "code"]
    first = f"from radlib.book import trainings as parts_of\n\nparts_of.begin({str(directory)!r})"
    final = f"parts_of.train({TAG}, part={part}, parts={parts}, done={str(done)!r})"
    notebook.cells = [
        nbformat.v4.new_code_cell(first, id="begin"), *code, nbformat.v4.new_code_cell(final, id="train")
    ]  # fmt: skip
    return notebook


# In the kernel


class _Silent(radlib.book.report.Report):
    """A report that shows and writes nothing; values are still known."""

    def table(self, *_: object, **__: object) -> None:
        """Nothing."""

    def figure(self, name: str, figure: Any, **_: object) -> None:
        """Nothing; closes the figure."""
        import matplotlib.pyplot as plt

        plt.close(figure)

    page = sentence = note = _banner = table


def begin(directory: str) -> None:
    """Wait for other parts to come past the cells before the trainings, and let the report of these cells be silent.

    One part after the other, because the first may fill a folder with the cohort's images that the others then read.
    """
    global _setup
    _setup = FileLock(Path(directory) / TAG / ".lock")
    _setup.acquire()
    radlib.book.report.Report = _Silent  # type: ignore[misc]


def train(trainings: Mapping[str, Callable[[], object]], *, part: int, parts: int, done: str) -> None:
    """Do every ``parts``-th training from the ``part``-th on, and write what was done."""
    assert _setup is not None
    _setup.release()
    seconds = {}
    for name in list(trainings)[part - 1 :: parts]:
        print(f"training: {name}", flush=True)
        start = time.monotonic()
        trainings[name]()
        seconds[name] = round(time.monotonic() - start, 1)
    write_json(done, seconds)
