"""Where things lie. Every path in the project starts from one of these functions."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from radlib.core.errors import MissingDataError, RadlibError


def project_root() -> Path:
    """The checkout: ``$RADLIB_PROJECT``, else the nearest folder upwards that holds ``notebooks/`` and ``radlib/``.

    Raises:
        RadlibError: if neither the working directory nor the package lies in a checkout.
    """
    if named := os.environ.get("RADLIB_PROJECT"):
        return Path(named).resolve()
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            if (folder / "notebooks").is_dir() and (folder / "radlib").is_dir():
                return folder
    raise RadlibError(
        f"no checkout of the book found from {Path.cwd()}",
        remedy="run from inside the checkout, or set RADLIB_PROJECT to it",
    )


def runs_root() -> Path:
    """Everything a run writes: ``$RADLIB_RUNS``, else ``runs/`` of the checkout."""
    if named := os.environ.get("RADLIB_RUNS"):
        return Path(named).resolve()
    return project_root() / "runs"


def run_dir(*, cohort: str, profile: str, chapter: str) -> Path:
    """``runs/<cohort>/<profile>/<chapter>``; see :func:`cohort_slug`.

    Raises:
        RadlibError: for an unknown kind of cohort, or a profile that is no name but a path: neither leaves ``runs/``.
    """
    return runs_root() / cohort_slug(cohort) / _plain(profile) / chapter


def lab_dir(*, cohort: str, profile: str, chapter: str) -> Path:
    """Where a chapter writes in JupyterLab: a folder of its own, so that trying something never changes the book."""
    return runs_root() / "_lab" / cohort_slug(cohort) / _plain(profile) / chapter


def _plain(profile: str) -> str:
    if profile in ("", ".", "..") or Path(profile).name != profile:
        raise RadlibError(
            f"{profile!r} is no name of a profile", remedy="put a profile of yours into notebooks/profiles"
        )
    return profile


def cohort_slug(cohort: str) -> str:
    """The folder name of a cohort: ``simulated``, ``real``, or ``<stem>-<digest>`` of a user's YAML file.

    The digest is that of the whole path, so that two descriptions with one file name are two cohorts, and none is
    taken for the simulated one. A relative path is one from the working directory.

    Raises:
        RadlibError: for anything else, such as a folder: a run would delete and write there.
    """
    if cohort in ("simulated", "real"):
        return cohort
    if not is_description(cohort):
        raise RadlibError(
            f"unknown cohort {cohort!r}", remedy="use 'simulated', 'real', or the path of a cohort description (.yml)"
        )
    path = Path(cohort).expanduser().resolve()
    return f"{path.stem}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def is_description(cohort: str) -> bool:
    """Whether a cohort is named by the path of its YAML description."""
    return cohort.endswith((".yml", ".yaml"))


def manifests_dir() -> Path:
    """``data_manifests/`` of the checkout."""
    return project_root() / "data_manifests"


def data_root(root: Path | str | None = None) -> Path | None:
    """The folder that holds the real data: ``root``, else ``$RADLIB_DATA``, else None.

    Raises:
        RadlibError: if a folder was named and does not exist.
    """
    named = root or os.environ.get("RADLIB_DATA")
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise RadlibError(
            "the data root does not exist",
            file=folder,
            remedy="give the folder that holds the data sets with --root or RADLIB_DATA",
        )
    return folder


def require_data_root(root: Path | str | None = None) -> Path:
    """Like :func:`data_root`, but raises :class:`MissingDataError` where none is named."""
    folder = data_root(root)
    if folder is None:
        raise MissingDataError(
            "no data root is named, so there is no real data to read",
            remedy="set RADLIB_DATA to the folder that holds the data sets; `radlib data list` says what they are",
        )
    return folder
