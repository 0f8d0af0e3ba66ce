"""Paired contrasts of studies that decide claims, taken from results that are there.

A :class:`Contrast` is declared (``data_manifests/papers/*.yml``); :func:`decide` finds the scores of its arms, takes
the difference with its crossed interval, and puts it through :mod:`radlib.study.gates`. Nothing is trained.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, Field

from radlib.core.errors import RadlibError
from radlib.core.models import Strict
from radlib.stats.intervals import Estimate
from radlib.study.estimates import AVERAGE, WITHIN_CLASSES, class_contrasts, class_estimates, contrasts
from radlib.study.gates import Verdict, Word, joint, last_quarter_change, verdict
from radlib.study.studies import Study

MAJORITY = "majority"
"""The rule that gives every patient the commonest class of the patients at hand; its AUC is one half."""

StudyName = Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9-]+$")]


Plans = Callable[[str], Mapping[str, Study]]
"""The studies of a chapter by name, from its name."""


class Side(Strict):
    """An arm of a study, as a text, or with the study and the rows of its scores where these are not the contrast's.

    Attributes:
        where: columns of the scores and the value that each must have.
        table: the jobs' table that holds its scores, or the scores proper where empty.
        fixed: whether the arm was fitted one time and stands beside every training of another.
    """

    arm: str
    study: StudyName | None = None
    where: dict[str, str] | None = None
    table: str | None = None
    fixed: bool = False


def _as_side(value: Any) -> Any:
    return {"arm": value} if isinstance(value, str) else value


AnySide = Annotated[Side, BeforeValidator(_as_side)]


class Curve(Strict):
    """The validation metric that must be flat at the end of training, for the named arms of a study.

    ``scale`` multiplies its change before the gate, where the metric is no share: 0.1 takes a tenth of a decibel for a
    hundredth of Dice.
    """

    study: StudyName
    metric: str
    arms: tuple[str, ...]
    where: dict[str, str] = Field(default_factory=dict)
    scale: float = 1.0


class Contrast(Strict):
    """One paired contrast, first arm minus second, on the same subjects in the same runs.

    Attributes:
        says: what is compared, in words, as labels of figures have it.
        metric: a metric of the scores, or of classes (``auc``, ``accuracy``, ``sensitivity``, ``specificity``).
        group: a group of the scores; ``average`` is the mean of ``groups``.
        direction: what the claim says of the difference.
        margin: for *no worse than*: see :func:`radlib.study.gates.verdict`.
        table: the jobs' table that holds the scores, where they are not the scores proper.
        run: the column that tells repeats apart, where all are of one job.
        pooled: whether rows are slices, whose scores are averaged to a patient's.
        rule: the trivial rule of the task, which the first arm must beat.
        rule_metric: by which it must, and the comparator its own rule; the contrast's where empty.
        comparator: what the second arm must beat, where the claim needs one that works.
        curves: what must have flattened; nothing for models that are not trained in steps.
        unit: of the difference, as a text behind it.
    """

    says: str
    study: StudyName
    first: AnySide
    second: AnySide
    metric: str
    group: str = "all"
    groups: tuple[str, ...] = ()
    direction: Literal["more", "less"] = "more"
    margin: float = 0.0
    where: dict[str, str] = Field(default_factory=dict)
    table: str = ""
    run: str = "run"
    pooled: bool = False
    rule: AnySide | None = None
    rule_metric: str = ""
    comparator: AnySide | None = None
    curves: tuple[Curve, ...] = ()
    unit: str = ""

    @property
    def sign(self) -> Literal[1, -1]:
        """The sign that the claim gives the difference."""
        return 1 if self.direction == "more" else -1

    @property
    def chapter(self) -> str:
        """The chapter that shows it."""
        return self.study.partition(".")[0]


Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A float; JSON has null for what is none."""


@dataclass(frozen=True)
class Decision:
    """What one contrast gives on one kind of patients.

    Attributes:
        missing: why there is no word; the rest is then empty.
        value, low, high: of the difference.
        n, runs: subjects and trainings behind it.
        lead: by how much the first arm is above the trivial rule; None without a rule.
        change: how much the learning curves still change, by arm.
        by_run: the difference in every run.
        alone: the interval over subjects that takes the trainings as they are; of means over subjects only.
    """

    contrast: int
    missing: str = ""
    word: Word = "open"
    failed: tuple[str, ...] = ()
    value: Number = math.nan
    low: Number = math.nan
    high: Number = math.nan
    n: int = 0
    runs: int = 0
    lead: tuple[Number, Number, Number] | None = None
    change: dict[str, Number] | None = None
    by_run: tuple[Number, ...] = ()
    alone: tuple[Number, Number] | None = None

    @property
    def spread(self) -> float:
        """The standard deviation of the difference over trainings."""
        return statistics.stdev(self.by_run) if len(self.by_run) > 1 else math.nan

    @property
    def seeds(self) -> float:
        """Trainings an arm, with equal seeds, that find a hundredth with a power of 80 % at a level of 5 %."""
        return math.nan if math.isnan(self.spread) else max(2, math.ceil(((1.96 + 0.84) * self.spread / 0.01) ** 2))

    @property
    def widening(self) -> float:
        """How much wider the interval over trainings and subjects is than that over subjects alone."""
        return (self.high - self.low) / (self.alone[1] - self.alone[0]) if self.alone else math.nan

    @property
    def ahead(self) -> float:
        """By how much the first arm is above the trivial rule."""
        return self.lead[0] if self.lead else math.nan

    @property
    def verdict(self) -> Verdict:
        """The word and the gates that failed."""
        return Verdict(self.word, self.failed)


class NotComputedError(RadlibError):
    """The jobs of a contrast are not there."""


def decide(declared: Sequence[Contrast], plans: Plans) -> list[Decision]:
    """What every contrast gives, from results that are there; what lacks says why.

    Args:
        declared: the contrasts of one claim.
        plans: gives a chapter's studies; a :class:`~radlib.core.errors.RadlibError` of it is the reason.
    """
    found = []
    for number, contrast in enumerate(declared):
        try:
            found.append(_decided(number, contrast, plans))
        except RadlibError as error:
            found.append(Decision(number, missing=error.problem))
        except KeyError as error:
            found.append(Decision(number, missing=f"the scores do not fit the declaration: they have no {error}"))
    return found


def word_of(decisions: Sequence[Decision]) -> Verdict | None:
    """The word of a claim on one kind of patients; None where a contrast is not computed."""
    if not decisions or any(one.missing for one in decisions):
        return None
    return joint([one.verdict for one in decisions])


def _decided(number: int, contrast: Contrast, plans: Plans) -> Decision:
    def scores(side: Side) -> pd.DataFrame:
        return _scores(side, contrast, plans)

    first = scores(contrast.first)
    difference, runs = _difference(first, contrast.second, contrast, scores)
    by_rule = contrast.model_copy(update={"metric": contrast.rule_metric or contrast.metric})
    lead = _difference(first, contrast.rule, by_rule, scores)[0] if contrast.rule else None
    comparator = None
    if contrast.comparator:
        comparator = _difference(scores(contrast.second), contrast.comparator, by_rule, scores)[0]
    change: dict[str, float] | None = {} if contrast.curves else None
    for curve in contrast.curves:
        change = (change or {}) | _change(curve, plans)
    said = verdict(
        difference, runs=runs, competence={} if lead is None else {"first": lead}, curves=change,
        comparator=comparator, claimed=contrast.sign, margin=contrast.margin,
    )  # fmt: skip
    return Decision(
        number, "", said.word, said.failed, difference.value, difference.low, difference.high, difference.n, runs,
        None if lead is None else (lead.value, lead.low, lead.high), change, *_noise(first, contrast, scores),
    )  # fmt: skip


def _noise(
    first: pd.DataFrame, contrast: Contrast, scores: Any
) -> tuple[tuple[float, ...], tuple[float, float] | None]:
    """The difference run by run, and its interval over subjects with the trainings taken as they are."""
    by_run = [
        _difference(part, contrast.second, contrast, scores, n_boot=2)[0].value for _, part in first.groupby("run")
    ]
    if "value" not in first or contrast.second.arm == MAJORITY:
        return tuple(by_run), None

    def flat(frame: pd.DataFrame) -> pd.DataFrame:
        keys = ["subject", "group", "metric"]
        return frame.groupby(keys, as_index=False)["value"].mean().assign(run=0)

    alone = _difference(flat(first), contrast.second, contrast, lambda side: flat(scores(side)))[0]
    return tuple(by_run), (alone.low, alone.high)


def _change(curve: Curve, plans: Plans) -> dict[str, float]:
    """How much the learning curves still change, by arm; NaN for arms without such a curve."""
    history = _study(curve.study, curve.arms, plans).history
    if curve.metric not in history:
        return dict.fromkeys(curve.arms, math.nan)
    found = last_quarter_change(_rows(history, curve.where), curve.metric)
    return {arm: curve.scale * found.get(arm, math.nan) for arm in curve.arms}


def _study(name: str, arms: Sequence[str], plans: Plans) -> Study:
    """These arms of a study, all of whose jobs are there."""
    chapter, _, study = name.partition(".")
    found = plans(chapter)
    if study not in found or (unknown := [arm for arm in arms if arm not in found[study].arms]):
        lacking = f"study {study!r}" if study not in found else f"arm {unknown[0]!r} in {study!r}"
        raise NotComputedError(f"{chapter} has no {lacking} on this cohort")
    part = found[study].only(*arms)
    if missing := part.missing():
        raise NotComputedError(f"jobs of {chapter} ({study}) without a result: {len(missing)}")
    return part


def _scores(side: Side, contrast: Contrast, plans: Plans) -> pd.DataFrame:
    study = _study(side.study or contrast.study, [side.arm], plans)
    table = contrast.table if side.table is None else side.table
    frame = study.table(table) if table else study.scores
    frame = _rows(frame, contrast.where if side.where is None else side.where)
    run = contrast.run if contrast.run in frame else "run"
    frame = frame.assign(run=0 if side.fixed else frame[run])
    if side.fixed:
        frame = frame.drop_duplicates(["subject", *(name for name in ("group", "metric") if name in frame)])
    if contrast.pooled:
        frame = frame.groupby(["run", "subject"], as_index=False).agg(truth=("truth", "first"), score=("score", "mean"))
        frame = frame.assign(predicted=frame["score"] > 0.5)
    if contrast.metric == "accuracy" and "truth" in frame:  # of any number of classes
        frame = frame.assign(metric="accuracy", group="all", value=(frame["truth"] == frame["predicted"]).astype(float))
    if frame.empty:
        raise NotComputedError(f"no scores of {side.arm!r} are there in {side.study or contrast.study}")
    return frame


def _rows(frame: pd.DataFrame, where: dict[str, str]) -> pd.DataFrame:
    for column, value in where.items():
        if column not in frame:
            raise NotComputedError(f"the scores have no column {column!r}")
        frame = frame[frame[column].astype(str) == value]
    return frame


def _difference(
    first: pd.DataFrame, side: Side, contrast: Contrast, scores: Any, *, n_boot: int = 2000
) -> tuple[Estimate, int]:
    """The first arm minus another, with a crossed interval, and the number of runs that both have."""
    how: dict[str, Any] = {"metrics": [contrast.metric], "n_boot": n_boot}
    classes = contrast.metric in WITHIN_CLASSES and "truth" in first
    if side.arm == MAJORITY and classes:  # whatever it answers, its AUC and balanced accuracy are one half
        row = class_estimates(first.assign(arm="first"), **how).iloc[0]
        return Estimate(row["value"] - 0.5, row["low"] - 0.5, row["high"] - 0.5, int(row["n"])), int(row["runs"])
    second = _majority(first) if side.arm == MAJORITY else scores(side)
    if second["run"].nunique() == 1 and side.fixed:
        second = pd.concat([second.assign(run=run) for run in first["run"].unique()])
    both = pd.concat([first.assign(arm="first"), second.assign(arm="second")], ignore_index=True)
    groups = [*contrast.groups, AVERAGE] if contrast.group == AVERAGE else [contrast.group]
    if classes:
        rows = class_contrasts(both, [("first", "second")], **how)
    else:
        rows = contrasts(both, [("first", "second")], groups=groups, **how)
        rows = rows[rows["group"] == contrast.group]
    row = rows.iloc[0]
    return Estimate(row["value"], row["low"], row["high"], int(row["n"])), int(row["runs"])


def _majority(frame: pd.DataFrame) -> pd.DataFrame:
    commonest = frame.drop_duplicates("subject")["truth"].mode().iloc[0]
    return frame.assign(value=(frame["truth"] == commonest).astype(float))
