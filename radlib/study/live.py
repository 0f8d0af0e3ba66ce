"""Kept is not taken on trust: the first steps of a kept training, computed now and compared with its history."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.study.jobs import Job
from radlib.study.store import Result, anew
from radlib.study.studies import Study
from radlib.training.players import Beginning, only_beginnings

TOLERANCE = 0.02
"""Largest difference that other processors and libraries explain, as a share of the largest value of the metric."""

_LEFT_OUT = ("step", "part", "seconds", "learning_rate", "accuracy")
"""What is no metric, and the share of right samples: one sample of a batch more is a step above the tolerance."""


@dataclass(frozen=True)
class Comparison:
    """The beginning of a training, as its history has it and as this machine computes it.

    Attributes:
        result: the training.
        steps: ``step, metric, before, now``.
        largest: the largest difference, as a share of the largest value of its metric.
    """

    result: Result
    steps: pd.DataFrame
    largest: float


def check_beginning(study: Study, *, seconds: float = 10.0) -> Comparison:
    """Compute the beginning of the study's first training again.

    Args:
        study: one with a training among its jobs, whose results are there.
        seconds: how long the training may take; at least one step is done.

    Raises:
        RadlibError: if no job of the study has a training's history, or the two courses differ by more than
            :data:`TOLERANCE`.
    """
    found = _first_training(study)
    history = found.history
    before = history[history["part"] == "first"]
    now = beginning(found.job, seconds=seconds)
    metrics = [name for name in now if name not in _LEFT_OUT and name in before and before[name].notna().any()]
    both = now.melt(id_vars="step", value_vars=metrics, var_name="metric", value_name="now").merge(
        before.melt(id_vars="step", value_vars=metrics, var_name="metric", value_name="before"), on=["step", "metric"]
    )
    if both.empty:
        raise RadlibError(f"the history of {found.job.title!r} has no first steps", file=found.folder)
    scale = both.groupby("metric")["before"].transform(lambda values: values.abs().max()).clip(lower=1e-12)
    largest = float(((both["now"] - both["before"]).abs() / scale).max())
    if not largest <= TOLERANCE:
        raise RadlibError(
            f"the first steps of {found.job.title!r} are not those of its {found.origin} history: "
            f"they differ by {largest:.1%}",
            file=found.folder, remedy="compute it again with FRESH=1; compare with `radlib study compare`",
        )  # fmt: skip
    return Comparison(found, both[["step", "metric", "before", "now"]], largest)


def beginning(job: Job, *, seconds: float) -> pd.DataFrame:
    """The rows ``first`` of the history of a job's first training, computed now and kept nowhere.

    Raises:
        RadlibError: if the job ends without a training.
    """
    try:
        with anew(job, only_beginnings(seconds)):
            raise RadlibError(f"{job.title!r} trains nothing")
    except Beginning as begun:
        rows = begun.history
        return rows[rows["part"] == "first"].reset_index(drop=True)


def _first_training(study: Study) -> Result:
    """The first result with a training; kept ones come first, since they are to be checked."""
    found = [job.result() for job in study.jobs()]
    for one in sorted(found, key=lambda result: result.origin != "kept"):
        if one.has("history.parquet") and "part" in (history := one.history) and (history["part"] == "first").any():
            return one
    raise RadlibError(f"no job of study {study.name!r} has a training's history")
