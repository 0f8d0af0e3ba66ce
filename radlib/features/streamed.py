"""Deep features of many slices on disk: written and read in pieces, never whole in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, reading, write_json
from radlib.core.progress import track


class FeatureFile:
    """Features ``(N, ...)`` in one memory-mapped ``.npy`` with a table of their slices beside it.

    ``<name>.npy`` holds float16, ``<name>.tsv`` one row a slice, ``<name>.json`` the identity and how many rows are
    written. An extraction that was interrupted goes on behind the last whole piece.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        state = _state(self.path)
        if state is None or state["done"] < state["rows"]:
            raise RadlibError("these features are not complete", file=self.path, remedy="extract them again")
        with reading(self.path.with_suffix(".npy"), remedy="extract them again"):
            self.array: np.ndarray = np.load(self.path.with_suffix(".npy"), mmap_mode="r")
            self.table = pd.read_csv(self.path.with_suffix(".tsv"), sep="\t", dtype={"subject": str})
        if len(self.table) != len(self.array):
            raise RadlibError("features and table do not belong together", file=self.path, remedy="extract them again")

    def __len__(self) -> int:
        return len(self.array)

    def take(self, rows: Sequence[int] | np.ndarray) -> torch.Tensor:
        """Rows as float32, in the order given; only these are read."""
        places = np.asarray(rows)
        order = np.argsort(places, kind="stable")  # the disk is read forwards
        out = np.empty((len(places), *self.array.shape[1:]), np.float32)
        out[order] = self.array[places[order]]
        return torch.from_numpy(out)

    def pieces(self, rows: Sequence[int] | np.ndarray, *, size: int = 64) -> Iterator[torch.Tensor]:
        """The rows in pieces of ``size``."""
        for start in range(0, len(rows), size):
            yield self.take(rows[start : start + size])


def extract(
    path: Path,
    table: pd.DataFrame,
    compute: Callable[[np.ndarray], torch.Tensor],
    *,
    identity: dict[str, Any],
    batch_size: int = 32,
) -> FeatureFile:
    """Compute features piece by piece into a file, or go on where an interrupted extraction stopped.

    Args:
        path: without suffix.
        table: one row a slice, column ``subject`` among others; kept beside the features.
        compute: rows of the table to features ``(B, ...)``, not negative beyond 65504 (float16).
        identity: what decides the features; a file of another identity is replaced.
        batch_size: rows at a time.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_suffix(".npy")
    own = json.loads(json.dumps(identity))
    state = _state(path)
    if state is None or state["identity"] != own or state["rows"] != len(table) or not file.is_file():
        state = {"identity": own, "rows": len(table), "done": 0}
        with atomic_path(path.with_suffix(".tsv")) as temporary:
            table.to_csv(temporary, sep="\t", index=False)
        file.unlink(missing_ok=True)
    array = np.load(file, mmap_mode="r+") if state["done"] else None
    starts = range(state["done"], len(table), batch_size)
    for start in track(starts, description="features"):
        rows = np.arange(start, min(start + batch_size, len(table)))
        part = compute(rows).detach().float().cpu().numpy()
        if array is None:
            array = np.lib.format.open_memmap(file, "w+", dtype=np.float16, shape=(len(table), *part.shape[1:]))
        array[rows] = np.minimum(part, np.finfo(np.float16).max)
        if (start // batch_size) % 16 == 15 or rows[-1] == len(table) - 1:
            array.flush()
            array = np.load(file, mmap_mode="r+")  # mapped anew: what was written leaves the process's memory
            state["done"] = int(rows[-1]) + 1
            write_json(path.with_suffix(".json"), state)
    return FeatureFile(path)


def _state(path: Path) -> dict[str, Any] | None:
    file = path.with_suffix(".json")
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return None
    return content if isinstance(content, dict) and {"identity", "rows", "done"} <= set(content) else None
