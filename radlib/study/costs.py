"""What trainings cost: time a step and memory, read off results, and what all their steps would take."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from radlib.core.settings import budget
from radlib.study.jobs import Job
from radlib.study.store import find

_NAMES = ("part", "step", "seconds", "learning_rate")


def training_costs(jobs: Iterable[Job]) -> pd.DataFrame:
    """One row a training among the results of ``jobs`` that are there.

    Returns:
        ``job`` (its function), ``training`` (which of several, else empty), ``steps`` (done), ``seconds`` (of one
        step), ``hours`` (of all steps, of which ``$BUDGET`` had a part done; too many where it left less than one)
        and ``gib`` (the largest memory of the process until then). Losses were finite: a training stops otherwise.
    """
    rows = []
    for job in jobs:
        found = find(job)
        if found is None or not found.has("history.parquet") or not {"step", "seconds"} <= set(found.history):
            continue
        history = found.history
        several = [name for name in history if name not in _NAMES and not pd.api.types.is_numeric_dtype(history[name])]
        for name, one in history.groupby(several, sort=False) if several else [("", history)]:
            steps, seconds = int(one["step"].max()), float(one["seconds"].max())
            rows.append({
                "job": job.title, "training": name if isinstance(name, str) else " ".join(map(str, name)),
                "steps": steps, "seconds": seconds / max(steps, 1), "hours": seconds / budget() / 3600,
                "gib": found.info.get("peak_memory_bytes", 0) / 2**30,
            })  # fmt: skip
    return pd.DataFrame(rows)
