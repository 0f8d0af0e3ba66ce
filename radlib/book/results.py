"""``results.json``: what a chapter's run leaves for the book, in one schema."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import ConfigDict, Field, ValidationError

from radlib.core.errors import RadlibError, first_problem
from radlib.core.models import Strict

REQUIRED = ("arm", "metric", "group", "value", "low", "high", "n")
"""Columns that a frame of measured values has."""

Source = Literal["simulated", "real", "user"]


def source_of(cohort: str) -> Source:
    """Where the data of a cohort come from: a name, or the path of a reader's own description."""
    return cohort if cohort in ("simulated", "real") else "user"  # type: ignore[return-value]


class Measured(Strict):
    """One number that a study measured.

    Attributes:
        study: slug of the study in its chapter, e.g. ``networks``.
        arm, metric, group: of what, by which measure, in which part (``wt``, ``fold1``, ``all``).
        minus: the arm that was subtracted, in a paired contrast; empty otherwise.
        value: finite, in ``unit``.
        low, high: its interval, or neither.
        n: subjects behind it.
        runs: trainings behind it, where there are any.
        protocol: one of :data:`radlib.stats.protocols.PROTOCOLS`, or empty where none applies.
    """

    study: str
    arm: str
    metric: str
    group: str
    minus: str = ""
    protocol: str = ""
    value: float
    low: float | None = None
    high: float | None = None
    n: int
    runs: int | None = None
    unit: str = ""
    note: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """What makes it this number and no other."""
        return (self.study, self.arm, self.minus, self.metric, self.group, self.protocol)


class Results(Strict):
    """The content of ``results.json``. ``unmet`` says what the cohort lacks where a chapter could not run.

    What an older version wrote beside is not read.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    chapter: str
    cohort: str = ""
    source: Source = "simulated"
    profile: str = ""
    seed: int = 0
    values: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tables: dict[str, dict[str, str]] = Field(default_factory=dict)
    figures: dict[str, dict[str, str]] = Field(default_factory=dict)
    pages: dict[str, dict[str, str]] = Field(default_factory=dict)
    measured: tuple[Measured, ...] = ()
    unmet: str | None = None
    jobs: dict[str, list[str]] = Field(default_factory=dict)


def read_results(file: Path) -> Results:
    """A ``results.json``.

    Raises:
        RadlibError: if it cannot be read or does not follow the schema, naming the file and the place.
    """
    try:
        return Results.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise RadlibError(
            f"not the results of a chapter ({first_problem(error)})",
            file=file,
            remedy="remove the file, or run the chapter again",
        ) from error


def measured_rows(study: str, frame: pd.DataFrame, *, protocol: str | None = None) -> list[Measured]:
    """The rows of a frame as :class:`Measured`.

    Args:
        study: slug.
        frame: columns :data:`REQUIRED`, and of the others of :class:`Measured` those that it has; more are refused.
            Contrasts of :mod:`radlib.study.estimates` have ``first`` and ``second`` for ``arm`` and ``minus``.
        protocol: of all rows, where the frame has no such column.

    Raises:
        RadlibError: if a column lacks or is unknown, a value or ``n`` is not finite, or half an interval is given. The
            message names the row.
    """
    from radlib.stats.protocols import PROTOCOLS  # sklearn is not needed to read results

    known = set(Measured.model_fields) - {"study"}
    frame = frame.rename(columns={"first": "arm", "second": "minus"})
    if lacking := [name for name in REQUIRED if name not in frame]:
        raise RadlibError(f"study {study!r} has no column {', '.join(lacking)}", remedy="name every measured value")
    if unknown := [str(name) for name in frame if name not in known]:
        raise RadlibError(f"study {study!r} has the unknown column {', '.join(unknown)}", remedy="leave it out")
    if protocol is not None and "protocol" in frame:
        raise RadlibError(f"study {study!r} has a column `protocol` and is given one beside", remedy="give one of both")
    rows = []
    for record in frame.to_dict("records"):
        fields = {str(name): value for name, value in record.items() if not _absent(value)}
        if protocol is not None:
            fields["protocol"] = protocol
        name = ", ".join(str(fields.get(part, "?")) for part in ("arm", "metric", "group"))
        try:
            row = Measured(study=study, **fields)
        except ValidationError as error:
            first = error.errors()[0]
            raise RadlibError(
                f"study {study!r}, {name}: {first['loc'][0]}: {first['msg']} (it is {record.get(first['loc'][0])!r})",
                remedy="leave out what is undefined in this run",
            ) from error
        if (row.low is None) != (row.high is None):
            raise RadlibError(f"study {study!r}, {name}: half an interval, {row.low} to {row.high}")
        if row.protocol not in ("", *PROTOCOLS):
            raise RadlibError(f"study {study!r}, {name}: {row.protocol!r} is no protocol",
                              remedy=f"choose one of {', '.join(PROTOCOLS)}")  # fmt: skip
        rows.append(row)
    return rows


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value)) or value is pd.NA
