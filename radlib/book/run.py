"""Run one chapter: parameters in, papermill, a gate, and a run directory that is whole or not there."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import nbformat
from filelock import FileLock, Timeout

from radlib.book.parameters import COMMON, declared_parameters, read_notebook, resolve
from radlib.book.prepare import make_lacking
from radlib.book.registry import Chapter
from radlib.book.results import Results, read_results, source_of
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path, write_json
from radlib.core.paths import cohort_slug, is_description, project_root, run_dir
from radlib.data.sources import open_path

#: Threads of a chapter's kernel and of its jobs. Results are equal bit for bit only for an equal number of threads.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RADLIB_THREADS")


def run_chapter(
    chapter: Chapter,
    *,
    cohort: str,
    profile: str,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    threads: int = 1,
    timeout_s: int | None = None,
) -> Path:
    """Execute a chapter and return its notebook in the run directory. Simulated cohorts that lack are made before.

    The notebook is executed under a temporary name and moved into place only when every code cell has run and none
    shows an error; a chapter that fails leaves ``log.txt`` and ``failed.ipynb`` and no ``notebook.ipynb``.

    A real cohort may lack what a chapter needs (genes, a modality, a label). That is no failure: the chapter is whole,
    and its ``results.json`` says under ``unmet`` what lacks. A simulated cohort has everything.

    Args:
        chapter: which one.
        cohort: ``simulated``, ``real`` or the path of a cohort description.
        profile: name of a profile.
        seed: the seed that the chapter gets.
        overrides: further parameters, checked like those of the profile.
        threads: CPU threads of the kernel.
        timeout_s: limit for one cell in seconds.

    Raises:
        RadlibError: if a parameter is unknown, a user's cohort cannot be read (nothing of an earlier run is touched
            then), another process is running this chapter, or a cell fails.
    """
    if is_description(cohort):
        open_path(Path(cohort))
    parameters = {"cohort": cohort, "profile": profile, "seed": seed}
    parameters |= resolve(chapter, profile=profile, cohort=cohort, overrides=overrides)
    directory = run_dir(cohort=cohort, profile=profile, chapter=chapter.name)
    directory.mkdir(parents=True, exist_ok=True)
    os.environ.pop("JPY_SESSION_NAME", None)  # a run that a notebook starts is none in the notebook
    for name in THREADS:
        os.environ[name] = str(threads)
    with exclusive_run(chapter, directory), full_disk_named(chapter, directory):
        make_lacking(chapter, cohort=cohort, profile=profile)
        return _run(chapter, parameters, directory=directory, timeout_s=timeout_s)


@contextmanager
def exclusive_run(chapter: Chapter, directory: Path) -> Iterator[None]:
    """Hold the lock of a run directory.

    Raises:
        RadlibError: if another process holds it.
    """
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RadlibError(
            f"chapter {chapter.name!r} is being run by another process",
            file=directory,
            remedy="wait for it, or run under another cohort or profile",
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def full_disk_named(chapter: Chapter, directory: Path) -> Iterator[None]:
    """Turn the error of a full disk into one that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RadlibError(
            f"the disk is full, so that chapter {chapter.name!r} could not be finished", file=directory,
            remedy="free some space, or set RADLIB_RUNS to a folder elsewhere; jobs go on from where they are",
        ) from error  # fmt: skip


def _run(chapter: Chapter, parameters: dict[str, Any], *, directory: Path, timeout_s: int | None) -> Path:
    """Execute a chapter whose run directory is locked."""
    target, failed = directory / "notebook.ipynb", directory / "failed.ipynb"
    for stale in (target, failed, directory / "results.json"):
        stale.unlink(missing_ok=True)
    _sweep(directory)
    with open(directory / "log.txt", "w", encoding="utf-8") as log, atomic_path(target) as temporary:
        started = time.monotonic()
        nbformat.write(read_notebook(chapter.source), temporary)
        try:
            execute(temporary, parameters, log=log, timeout_s=timeout_s)
            gate(nbformat.read(temporary, as_version=4), file=chapter.source)
            _finish(temporary, parameters)
        except Exception as error:
            traceback.print_exc(file=log)
            if parameters["cohort"] == "simulated" or getattr(error, "ename", None) != MissingDataError.__name__:
                os.replace(temporary, failed)
                raise RadlibError(
                    f"chapter {chapter.name!r} failed: {last_line(error)}",
                    file=directory / "log.txt",
                    remedy=f"read the log, or open {failed}",
                ) from error
            _leave_unmet(chapter, temporary, parameters, unmet=str(error.evalue))  # type: ignore[attr-defined]
        write_json(
            directory / "parameters.json",
            {**{name: item.default for name, item in declared_parameters(chapter.source).items()}, **parameters},
        )
        write_json(directory / "timing.json", {"wall_seconds": round(time.monotonic() - started, 1)})
    if not (directory / "results.json").is_file():
        target.unlink()
        raise RadlibError("the chapter ended without report.finish()", file=chapter.source)
    return target


def _sweep(directory: Path) -> None:
    """Remove what an earlier run showed and what a killed one left half written."""
    for name in ("tables", "figures", "pages", "checkpoints"):
        shutil.rmtree(directory / name, ignore_errors=True)
    for part in directory.rglob(".part-*"):
        part.unlink(missing_ok=True)


def execute(path: Path, parameters: dict[str, Any], *, log: TextIO, timeout_s: int | None = None) -> None:
    """Execute a notebook in place with papermill; what it prints goes to ``log`` too."""
    import papermill

    with redirect_stdout(_Tee(sys.stdout, log)), redirect_stderr(_Tee(sys.stderr, log)), _own_kernel() as kernel:
        papermill.execute_notebook(
            path,
            path,
            parameters=parameters,
            kernel_name=kernel,
            cwd=str(project_root()),
            progress_bar=False,
            log_output=False,
            stdout_file=log,
            stderr_file=log,
            execution_timeout=timeout_s,
            extra_arguments=["--log-level=ERROR"],  # of the kernel: no word on its sockets
        )


@contextmanager
def _own_kernel() -> Iterator[str]:
    """The name of a kernel that is this interpreter, whatever kernels and settings a user has.

    A kernel called ``python3`` can be any other program's; IPython's start-up files and a matplotlibrc can fail a
    chapter.
    """
    with tempfile.TemporaryDirectory(prefix="radlib-kernel-") as place:
        about = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "language": "python",
            "display_name": "radlib", "env": {"IPYTHONDIR": f"{place}/ipython", "MATPLOTLIBRC": os.devnull},
        }  # fmt: skip
        write_json(Path(place) / "kernels" / "radlib-own" / "kernel.json", about)
        before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = place if not before else f"{place}{os.pathsep}{before}"
        try:
            yield "radlib-own"
        finally:
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before


def gate(notebook: nbformat.NotebookNode, *, file: Path | None = None) -> None:
    """Pass a notebook in which every code cell has run and none has failed.

    papermill's own word is not enough: after a timeout or a kill it writes a file that renders without a warning.

    Raises:
        RadlibError: naming the first cell that did not run or shows an error.
    """
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors:
            raise RadlibError(f"cell {position} failed: {errors[0].ename}: {errors[0].evalue}", file=file)
        if cell.metadata.get("papermill", {}).get("duration") is None:
            raise RadlibError(f"cell {position} did not run to its end", file=file)
    if notebook.metadata.get("papermill", {}).get("end_time") is None:
        raise RadlibError("the run of the notebook has no end", file=file)


def _finish(path: Path, parameters: dict[str, Any]) -> None:
    """Hide the input of the parameter cells and drop what differs from machine to machine."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if {"parameters", "injected-parameters"} & set(tags):
            cell.metadata["tags"] = sorted({*tags, "hide-input"})
    notebook.metadata["papermill"]["input_path"] = notebook.metadata["papermill"]["output_path"] = ""
    notebook.metadata["radlib"] = {name: parameters[name] for name in COMMON}
    nbformat.write(notebook, path)


def _leave_unmet(chapter: Chapter, path: Path, parameters: dict[str, Any], *, unmet: str) -> None:
    """The run directory of a chapter whose needs the cohort does not meet."""
    for name in chapter.needs:
        before = run_dir(cohort=parameters["cohort"], profile=parameters["profile"], chapter=name) / "results.json"
        if before.is_file() and (why := read_results(before).unmet):
            unmet += f" It reads what the chapter {name} leaves, which could not run on this cohort: {why}"
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# {chapter.title}\n\n{unmet}", id="unmet")]
    nbformat.write(notebook, path)
    directory = run_dir(cohort=parameters["cohort"], profile=parameters["profile"], chapter=chapter.name)
    results = Results(
        chapter=chapter.name, cohort=cohort_slug(parameters["cohort"]), source=source_of(parameters["cohort"]),
        profile=parameters["profile"], seed=parameters["seed"], unmet=unmet,
    )  # fmt: skip
    write_json(directory / "results.json", results.model_dump())


def last_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


class _Tee(io.TextIOBase):
    """Writes to two streams."""

    def __init__(self, *streams: TextIO) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()
