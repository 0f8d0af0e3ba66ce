"""Where results lie: ``runs/_jobs/<fingerprint>/``, else ``published/jobs/`` (kept), else they are computed.

A result is one folder: ``job.json`` (inputs, code, versions, seconds, machine, checksums), ``scores.parquet`` (long),
``history.parquet``, and where later work needs them ``weights/*.safetensors``, ``arrays/*.safetensors`` and
``tables/*.parquet``. It is written whole or not at all; what a killed process leaves in ``runs/_jobs/.work`` is gone on
with, to the same bits.
"""

from __future__ import annotations

import copy
import datetime
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from filelock import FileLock, Timeout

from radlib.core.device import describe_device, peak_memory_bytes, pick_device
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, read_json, reading, sha256, write_json
from radlib.core.paths import project_root, runs_root
from radlib.core.seeds import named_seed, seed_everything
from radlib.core.settings import fresh, threads
from radlib.study.jobs import Job

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

INFO = "job.json"
Origin = Literal["here", "kept"]


def jobs_root() -> Path:
    """``runs/_jobs``: what was computed in this checkout."""
    return runs_root() / "_jobs"


def kept_root() -> Path:
    """``published/jobs``: what was computed for keeping."""
    return project_root() / "published" / "jobs"


class Work:
    """What a job function writes to.

    Attributes:
        folder: becomes the folder of the result.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self._scratch = folder, scratch
        self.kept: list[str] = []
        self.notes: dict[str, Any] = {}

    def checkpoints(self, name: str = "training") -> Path:
        """A folder for the checkpoints of a training; give it as ``folder=`` and a killed job goes on from there."""
        return self._scratch / name

    def scores(self, frame: pd.DataFrame) -> None:
        """Keep the scores, long: ``subject, group, metric, value``, or ``subject, truth, predicted, score``.

        Further columns (a fold, a reading) are kept as they are; arm and run are added by the study.
        """
        self._parquet("scores.parquet", frame)

    def history(self, frame: pd.DataFrame) -> None:
        """Keep the course of the training (:attr:`radlib.training.loop.Trained.history`); of several, with a column."""
        self._parquet("history.parquet", frame)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Keep another table."""
        self._parquet(f"tables/{name}.parquet", frame)

    def weights(self, name: str, network: nn.Module, *, keep: bool = False) -> None:
        """Keep a network's weights; ``keep`` takes them along when the job is kept.

        Those are rounded to fp16 at once, so that later work sees the same numbers here and where they are kept.
        """
        from radlib.training.weights import save_weights

        stored = copy.deepcopy(network).half() if keep else network
        save_weights(self._place(f"weights/{name}.safetensors", keep), stored)

    def arrays(self, name: str, arrays: Mapping[str, np.ndarray], *, keep: bool = False) -> None:
        """Keep arrays by name in one file; ``keep`` takes them along when the job is kept."""
        from safetensors.numpy import save_file

        with atomic_path(self._place(f"arrays/{name}.safetensors", keep)) as temporary:
            save_file({key: _contiguous(value) for key, value in arrays.items()}, temporary)

    def note(self, **values: Any) -> None:
        """Keep plain values (parameters, steps a second, peak memory) in ``job.json``."""
        self.notes |= values

    def _place(self, file: str, keep: bool = True) -> Path:
        if keep:
            self.kept.append(file)
        return self.folder / file

    def _parquet(self, file: str, frame: pd.DataFrame) -> None:
        with atomic_path(self._place(file)) as temporary:
            frame.reset_index(drop=True).to_parquet(temporary)


@dataclass(frozen=True)
class Result:
    """What a job has left.

    Attributes:
        job: which one.
        folder: where it lies.
        origin: ``here`` or ``kept``.
    """

    job: Job
    folder: Path
    origin: Origin

    @cached_property
    def info(self) -> dict[str, Any]:
        """``job.json``: ``seconds``, ``computed`` (a date), ``device``, ``versions``, ``notes``, ``files``."""
        found: dict[str, Any] = read_json(self.folder / INFO, remedy="delete the folder; the job is computed again")
        return found

    @property
    def scores(self) -> pd.DataFrame:
        """The scores of single subjects."""
        return self.parquet("scores.parquet")

    @property
    def history(self) -> pd.DataFrame:
        """The course of the training."""
        return self.parquet("history.parquet")

    @property
    def notes(self) -> dict[str, Any]:
        """The plain values that the job noted."""
        notes: dict[str, Any] = self.info["notes"]
        return notes

    def table(self, name: str) -> pd.DataFrame:
        """A further table."""
        return self.parquet(f"tables/{name}.parquet")

    def load(self, name: str, network: nn.Module) -> None:
        """Load weights into a network of the same architecture."""
        from radlib.training.weights import load_weights

        load_weights(self.path(f"weights/{name}.safetensors"), network)

    def state(self, name: str) -> dict[str, torch.Tensor]:
        """Weights as a ``state_dict`` of float32."""
        from safetensors.torch import load_file

        file = self.path(f"weights/{name}.safetensors")
        with reading(file, remedy="delete the folder; the job is computed again"):
            state = load_file(file)
        return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays by name."""
        from safetensors.numpy import load_file

        file = self.path(f"arrays/{name}.safetensors")
        with reading(file, remedy="delete the folder; the job is computed again"):
            found: dict[str, np.ndarray] = load_file(file)
        return found

    def has(self, file: str) -> bool:
        """Whether the result holds a file such as ``weights/network.safetensors``."""
        return (self.folder / file).is_file()

    def check(self) -> None:
        """Compare every file with its checksum.

        Raises:
            RadlibError: naming the first that lacks or differs.
        """
        for file, digest in self.info["files"].items():
            if not self.has(file) or sha256(self.folder / file) != digest:
                raise RadlibError(
                    f"{file} of the {self.origin} job {self.job.title!r} is not what the job left",
                    file=self.folder, remedy="restore it from version control, or delete the folder",
                )  # fmt: skip

    def parquet(self, file: str) -> pd.DataFrame:
        """A table of the result by its file, such as ``scores.parquet``."""
        with reading(self.path(file), remedy="delete the folder; the job is computed again"):
            return pd.read_parquet(self.path(file))

    def path(self, file: str) -> Path:
        """A file of the result; a kept one without it is computed here once more."""
        if self.has(file) or self.origin == "here":
            return self.folder / file
        return compute(self.job).folder / file


def find(job: Job) -> Result | None:
    """The result of a job where there is one: computed here, else kept (unless ``FRESH=1``)."""
    if (folder := jobs_root() / job.fingerprint) and (folder / INFO).is_file():
        return Result(job, folder, "here")
    if not fresh() and (folder := kept_root() / job.fingerprint) and (folder / INFO).is_file():
        return Result(job, folder, "kept")
    return None


def result(job: Job) -> Result:
    """The result of a job: found, or computed now (its parents first)."""
    return find(job) or compute(job)


def compute(job: Job) -> Result:
    """Compute a job here, or go on with it; another process that computes it is waited for.

    Raises:
        RadlibError: if its function does.
    """
    target, work_folder = jobs_root() / job.fingerprint, jobs_root() / ".work" / job.fingerprint
    with _alone(job, work_folder):
        if (target / INFO).is_file():
            return Result(job, target, "here")
        parents = [result(parent) for parent in job.parents()]
        out = work_folder / "out"
        shutil.rmtree(out, ignore_errors=True)  # what was half written; checkpoints lie beside
        out.mkdir(parents=True)
        work = Work(out, work_folder)
        start = time.monotonic()
        call(job, work)
        write_json(out / INFO, {
            **job.spec(), "key": job.key, "fingerprint": job.fingerprint, "code": job.function.code,
            "parents": [parent.job.fingerprint for parent in parents], "notes": work.notes, "keep": sorted(work.kept),
            "seconds": round(time.monotonic() - start, 2), "threads": threads(),
            "peak_memory_bytes": peak_memory_bytes(),  # of the process, earlier jobs of it included
            "computed": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "device": describe_device(pick_device()), "versions": _versions(),
            "files": {
                file.relative_to(out).as_posix(): sha256(file) for file in sorted(out.rglob("*")) if file.is_file()
            },
        })  # fmt: skip
        os.replace(out, target)
        shutil.rmtree(work_folder, ignore_errors=True)
    return Result(job, target, "here")


def call(job: Job, work: Work) -> None:
    """Run a job's function: with pinned threads, and with global seeds that depend on nothing but the job."""
    with _pinned_threads():
        seed_everything(named_seed(0, job.key))
        job.function.function(work, **job.inputs)


@contextmanager
def anew(job: Job, within: AbstractContextManager[None] | None = None) -> Iterator[Path]:
    """Compute a job that may be there already, ``within`` a context, into a folder that is gone behind the block."""
    for parent in job.parents():
        result(parent)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        with within or nullcontext():
            call(job, Work(out, Path(scratch)))
        yield out


@contextmanager
def _alone(job: Job, folder: Path) -> Iterator[None]:
    """Hold the lock of a job. It lies outside the folder that a finished job removes."""
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        print(f"{job.title}: another process computes this; waiting for it", file=sys.stderr, flush=True)
        lock.acquire()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _pinned_threads() -> Iterator[None]:
    """Pin the threads that compute: results are equal bit for bit only for an equal number (``RADLIB_THREADS``)."""
    import numba
    import torch
    from threadpoolctl import threadpool_limits

    wanted = threads()
    before, compiled = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(wanted)
    numba.set_num_threads(min(wanted, compiled))
    try:
        with threadpool_limits(wanted):
            yield
    finally:
        torch.set_num_threads(before)
        numba.set_num_threads(compiled)


def _versions() -> dict[str, str]:
    from importlib import metadata

    return {name: metadata.version(name) for name in ("torch", "numpy", "scipy", "scikit-learn", "monai")}


def _contiguous(value: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.ascontiguousarray(value)


def infos(root: Path) -> dict[str, dict[str, Any]]:
    """``job.json`` of every result below ``root``, by fingerprint."""
    return {
        file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(root.glob(f"[!.]*/{INFO}"))
    }
