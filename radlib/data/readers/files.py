"""Finding files under a data root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from radlib.core.errors import MissingDataError, RadlibError


def walk(root: Path, *, max_depth: int = 5) -> Iterator[tuple[Path, list[str]]]:
    """Folders under ``root`` (itself first) and the names of their files, sorted, hidden ones left out.

    Links are followed, but no folder is visited twice.
    """
    start, seen = len(root.parts), set()
    for folder, folders, files in os.walk(root, followlinks=True):
        here = Path(folder)
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(here.parts) - start >= max_depth:
            folders.clear()
        yield here, sorted(name for name in files if not name.startswith("."))


def find_file(root: Path, name: str, *, dataset: str, max_depth: int = 4) -> Path:
    """The file ``name`` anywhere under ``root``.

    Args:
        root: the data root.
        name: the file's name as its publisher ships it.
        dataset: the data set it belongs to, for the error.
        max_depth: how many folders deep to look.

    Raises:
        MissingDataError: if there is none.
        RadlibError: if there are several with different content.
    """
    found = [folder / name for folder, files in walk(root, max_depth=max_depth) if name in files]
    if not found:
        raise MissingDataError(
            f"{name} of {dataset} is not under the data root",
            file=root,
            remedy="obtain it (`radlib data list` names every data set) and put it there, in any subfolder",
        )
    if len({path.read_bytes() for path in found[:5]}) > 1:
        raise RadlibError(
            f"several different files are called {name}: {', '.join(str(path) for path in found[:5])}",
            remedy="keep one under the data root",
        )
    return found[0]
