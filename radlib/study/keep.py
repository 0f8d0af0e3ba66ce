"""Keeping results under ``published/jobs``, and keeping them true: compare with a fresh run, restamp, prune."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.core.files import sha256, write_json
from radlib.core.seeds import rng
from radlib.study.jobs import Job
from radlib.study.store import INFO, Result, anew, infos, jobs_root, kept_root
from radlib.study.studies import in_order

#: Below ``published/jobs``: the chapters all of whose jobs of the default profile are kept. The tests hold them to it.
WHOLE = "chapters.json"
LARGEST_FILE = 5_000_000
LARGEST_WHOLE = 60_000_000


def keep(jobs: Iterable[Job]) -> list[Path]:
    """Copy what was computed here to ``published/jobs``: scores, histories, and what the jobs marked.

    Returns:
        The folders that are new.

    Raises:
        RadlibError: if a job has not been computed, rests on real patients, or what is kept becomes too large.
    """
    made = []
    for job in in_order(jobs):
        target = kept_root() / job.fingerprint
        if (target / INFO).is_file():
            continue
        if real := real_patients(job):
            raise RadlibError(
                f"{job.title!r} rests on the cohort {real!r}, and rows of real patients are not kept",
                remedy="keep the chapter's tables with `radlib chapter keep`",
            )
        source = Result(job, jobs_root() / job.fingerprint, "here")
        if not source.has(INFO):
            raise RadlibError(f"{job.title!r} has not been computed", remedy="run: radlib study run")
        made.append(_copy(source, target))
    whole = sum(file.stat().st_size for file in kept_root().rglob("*") if file.is_file())
    if whole > LARGEST_WHOLE:
        raise RadlibError(
            f"what is kept has {whole / 1e6:.1f} MB, more than {LARGEST_WHOLE / 1e6:.0f}", file=kept_root(),
            remedy="keep fewer weights (keep=False in the job function), or prune",
        )  # fmt: skip
    return made


def of_simulated(jobs: Iterable[Job]) -> list[Job]:
    """Those that rest on no real patient and may be kept."""
    return [job for job in jobs if not real_patients(job)]


def kept_whole() -> list[str]:
    """Chapters all of whose jobs are kept, as ``radlib study keep`` found them; empty where nothing is kept."""
    noted = kept_root() / WHOLE
    return list(json.loads(noted.read_text(encoding="utf-8"))) if noted.is_file() else []


def note_whole(names: Iterable[str], *, of: Iterable[str]) -> list[str]:
    """Note that of some chapters these are kept whole, and the others not any more; returns all that are."""
    noted = sorted({*kept_whole()} - {*of} | {*names})
    write_json(kept_root() / WHOLE, noted)
    return noted


def prune(wanted: Iterable[Job]) -> list[str]:
    """Delete what is kept and no job of ``wanted`` (with parents) needs; returns fingerprints."""
    needed = {job.fingerprint for job in in_order(wanted)}
    stale = [name for name in infos(kept_root()) if name not in needed]
    for name in stale:
        shutil.rmtree(kept_root() / name)
    return stale


@dataclass(frozen=True)
class Difference:
    """A result beside the same job computed anew.

    Attributes:
        job: which one.
        largest: largest absolute difference of a score; infinite where rows or columns differ.
        scores: rows that were compared.
        seconds: what computing took.
    """

    job: Job
    largest: float
    scores: int
    seconds: float


def compare(job: Job, before: Result) -> Difference:
    """Compute a job anew, into a folder that is thrown away, and compare its scores with those of ``before``."""
    start = time.monotonic()
    with anew(job) as out:
        now = pd.read_parquet(out / "scores.parquet") if (out / "scores.parquet").is_file() else pd.DataFrame()
    seconds = time.monotonic() - start
    old = before.scores if before.has("scores.parquet") else pd.DataFrame()
    return Difference(job, _largest(old, now), len(now), seconds)


def restamp(root: Path, *, sample: int = 1, tolerance: float = 0.0, seed: int = 0) -> list[Difference]:
    """Give results of changed code their new fingerprints, after a sample of every job function was computed anew.

    Args:
        root: :func:`~radlib.study.store.kept_root` or :func:`~radlib.study.store.jobs_root`.
        sample: jobs a function.
        tolerance: largest difference of a score that counts as equal; above 0 only between machines.
        seed: draws the sample.

    Returns:
        What was compared; empty where every fingerprint was right.

    Raises:
        RadlibError: if a score of the sample differs; nothing is restamped then.
    """
    changed = _changed(root)
    by_function: dict[str, list[str]] = {}
    for name, (job, _) in changed.items():
        by_function.setdefault(job.function.name, []).append(name)
    compared = []
    for function, names in sorted(by_function.items()):
        for name in rng(seed, "restamp", function).permutation(sorted(names))[:sample]:
            job, _ = changed[name]
            found = compare(job, Result(job, root / name, "kept"))
            if not found.largest <= tolerance:
                raise RadlibError(
                    f"{job.title!r} gives other scores now (largest difference {found.largest:g})", file=root / name,
                    remedy="the change is no mere rewording: compute the study again",
                )  # fmt: skip
            compared.append(found)
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    for name, (job, info) in changed.items():
        stamp = {
            "from": info["fingerprint"], "on": today,
            "sample": [one.job.fingerprint for one in compared if one.job.function is job.function],
        }  # fmt: skip
        write_json(root / name / INFO, {
            **info, "fingerprint": job.fingerprint, "code": job.function.code,
            "parents": [parent.fingerprint for parent in job.parents()],
            "restamped": [*info.get("restamped", []), stamp],
        })  # fmt: skip
        if (root / job.fingerprint).exists():  # computed since
            shutil.rmtree(root / name)
        else:
            os.replace(root / name, root / job.fingerprint)
    return compared


def _changed(root: Path) -> dict[str, tuple[Job, dict[str, Any]]]:
    """Results whose job is asked for as before but whose code has changed, parents first."""
    found: dict[str, tuple[Job, dict[str, Any]]] = {}
    for name, info in infos(root).items():
        try:
            job = Job.from_spec(info)
            if job.key == info["key"] and job.fingerprint != name:
                found[name] = (job, info)
        except RadlibError:
            continue  # its function or an input is gone: nothing to restamp
    order = {job.fingerprint: place for place, job in enumerate(in_order(job for job, _ in found.values()))}
    return dict(sorted(found.items(), key=lambda entry: order[entry[1][0].fingerprint]))


def _largest(before: pd.DataFrame, now: pd.DataFrame) -> float:
    if list(before.columns) != list(now.columns) or len(before) != len(now):
        return float("inf")
    largest = 0.0
    for column in before:
        a, b = before[column], now[column]
        if pd.api.types.is_float_dtype(a):
            gap = np.abs(a.to_numpy(dtype=float) - b.to_numpy(dtype=float))
            same = (a.isna() & b.isna()).to_numpy() | (a == b).to_numpy()
            largest = max([largest, *(float(value) if value == value else float("inf") for value in gap[~same])])
        elif not a.equals(b):
            return float("inf")
    return largest


def real_patients(job: Job) -> str:
    """The cohort of real patients that a job rests on, as its inputs or its function say; empty for none."""

    def cohorts(value: Any) -> list[str]:
        if isinstance(value, Mapping):
            own = [value["cohort"]] if {"role", "cohort", "profile"} <= set(value) else []
            return own + [name for entry in value.values() for name in cohorts(entry)]
        return [name for entry in value for name in cohorts(entry)] if isinstance(value, list) else []

    if not job.function.keep:
        return "real"
    return next((name for name in cohorts(job.spec()) if name != "simulated"), "")


def _copy(source: Result, target: Path) -> Path:
    part = target.with_name(f".part-{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    for file in source.info["keep"]:
        copy = part / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.folder / file, copy)
        if copy.stat().st_size > LARGEST_FILE:
            raise RadlibError(
                f"{file} of {source.job.title!r} has {copy.stat().st_size / 1e6:.1f} MB, more than 5",
                file=source.folder, remedy="do not keep it (keep=False), or make it smaller",
            )  # fmt: skip
    part.mkdir(parents=True, exist_ok=True)
    files = {file: sha256(part / file) for file in source.info["keep"]}
    write_json(part / INFO, {**source.info, "files": files})
    os.replace(part, target)
    return target
