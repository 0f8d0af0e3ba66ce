"""What every command says in the same way."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radlib.core.errors import RadlibError

if TYPE_CHECKING:
    from radlib.data.cohort import Cohort


def report_failed(failed: Mapping[str, str]) -> None:
    """Name the subjects that a run went on without, and end with exit code 1 if there are any."""
    for subject, reason in failed.items():
        typer.secho(f"{subject}: {reason}", err=True, fg="red")
    if failed:
        typer.secho(f"{len(failed)} subject(s) failed", err=True, fg="red")
        raise typer.Exit(1)


def whole_path(cohort: str) -> str:
    """A description by its whole path: kernels and further processes may work in another folder."""
    from radlib.core.paths import is_description

    return str(Path(cohort).expanduser().resolve()) if is_description(cohort) else cohort


def known_profile(profile: str) -> str:
    """A profile that there is; a typer callback, so that no command makes a folder or a remedy of a wrong name."""
    from radlib.study.cohorts import profile_file

    known = sorted(path.stem for path in profile_file("default").parent.glob("*.yml"))
    if known and profile not in known:
        raise RadlibError(f"there is no profile {profile!r}", remedy=f"choose one of {', '.join(known)}")
    return profile


Profile = Annotated[str, typer.Option(help="smoke, default or paper.", callback=known_profile)]


def open_given(path: Path) -> Cohort:
    """The cohort of a folder or a description; raises as :func:`radlib.data.sources.open_path`.

    A folder of images that nobody has described yet is the usual mistake, so that its error says how to describe it.
    """
    from radlib.data.sources import open_path

    if path.is_dir() and not (path / "cohort.json").is_file():
        raise RadlibError(
            "this folder is no cohort that radlib has written", file=path,
            remedy=f"describe it with `radlib cohort init {shlex.quote(str(path))}`, and give the description",
        )  # fmt: skip
    return open_path(path)


def as_message(error: Exception) -> str | None:
    """What to say of an error that a user can mend; None for one of the program.

    That is a :class:`radlib.core.errors.RadlibError`, a disk that is full or a place that may not be read or written,
    and work that is too large for the memory.
    """
    if isinstance(error, RadlibError):
        return str(error)
    if isinstance(error, MemoryError):
        return str(RadlibError(
            f"not enough memory ({str(error) or 'no more was given'})",
            remedy="use fewer processes, a smaller grid, or a machine with more memory",
        ))  # fmt: skip
    if isinstance(error, UnicodeEncodeError) or re.match("Symlink loop|embedded null", str(error)):
        return str(RadlibError(f"a path that leads nowhere: {error}", remedy="name another file or folder"))
    named = (
        errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR,
        errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.EEXIST,
    )  # fmt: skip
    if isinstance(error, OSError) and error.errno in named:
        return str(RadlibError(
            f"cannot write or read: {os.strerror(error.errno)}", file=error.filename or os.getcwd(),
            remedy="free some space or name another place; what was whole before still is",
        ))  # fmt: skip
    return None


def table(*header: str, **options: Any) -> Any:
    """A rich table whose cells are shown as they are: square brackets are no markup."""
    from rich.table import Table
    from rich.text import Text

    class Plain(Table):
        def add_row(self, *cells: Any, **kwargs: Any) -> None:
            super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **kwargs)

    return Plain(*header, **options)


def console() -> Any:
    """Standard output, to which texts are written as they are. Without a terminal there is no width to keep to."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
