"""The headline claims of the five papers: the contrasts that decide them, and the word that each has earned.

The section ``claims`` of a paper's manifest declares, for every claim, the paired contrasts of the chapters' studies
that decide it. Here they are taken from results that are there (computed in ``runs/_jobs`` or kept), of the default
profile, and put through :mod:`radlib.study.gates`. Nothing is trained: a claim whose jobs lack is *not computed yet*.
What was decided on real patients is kept in ``published/real/default/claims.json``, as their jobs never are.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from radlib.core.errors import RadlibError, first_problem
from radlib.core.files import write_json
from radlib.core.paths import manifests_dir, project_root
from radlib.data.published import Likeness, load_all, load_paper, published_values
from radlib.stats.intervals import Estimate
from radlib.study.estimates import AVERAGE, WITHIN_CLASSES, class_contrasts, class_estimates, contrasts
from radlib.study.gates import Verdict, Word, joint, last_quarter_change, verdict
from radlib.study.studies import Study

PROFILE = "default"
"""The profile whose jobs decide."""

MAJORITY = "majority"
"""The rule that gives every patient the commonest class of the patients at hand; its AUC is one half."""

StudyName = Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9-]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Side(_Strict):
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


class Curve(_Strict):
    """The validation metric that must be flat at the end of training, for the named arms of a study.

    ``scale`` multiplies its change before the gate, where the metric is no share: 0.1 takes a tenth of a decibel for a
    hundredth of Dice.
    """

    study: StudyName
    metric: str
    arms: tuple[str, ...]
    where: dict[str, str] = Field(default_factory=dict)
    scale: float = 1.0


class Contrast(_Strict):
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


class Kept(_Strict):
    """A number of a kept run on real data, or of a claim's decision, or a printed one.

    Attributes:
        chapter, table, column, where: the one row of a table; without ``table`` of the measured values.
        claim: of whose first contrast on simulated patients ``column`` is an attribute (:class:`Decision`).
        published: the key of a printed entry.
    """

    chapter: str = ""
    table: str = ""
    column: str = "value"
    where: dict[str, str] = Field(default_factory=dict)
    claim: str = ""
    published: str = ""
    scale: float = 1.0
    digits: int = 0


class Finding(_Strict):
    """A sentence with numbers of results, in braces by name, and the kind of evidence that it is."""

    kind: Literal["simulated", "analogous", "same"]
    text: str
    numbers: dict[str, Kept]


class Claim(_Strict):
    """A headline claim of a paper, in our words.

    Attributes:
        name: slug, unique within the paper.
        short: two to five words, for a table's line.
        keys: the printed entries that bear it, without the paper's name.
        printed: pairs of entries whose printed difference, first minus second, is the paper's own contrast.
        positives: patients of the class that is looked for, where the pairs are areas under ROC curves.
        decided: the contrasts, all of which it asserts.
        settle: what would settle it on real patients.
        findings: sentences for the front page, the strongest first; the first whose numbers are there is taken.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    says: str
    short: str
    keys: tuple[str, ...] = Field(min_length=1)
    printed: tuple[tuple[str, str], ...] = ()
    positives: int | None = None
    decided: tuple[Contrast, ...] = Field(min_length=1)
    settle: str
    findings: tuple[Finding, ...] = ()
    paper: str = ""


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


@functools.cache
def claims() -> dict[str, Claim]:
    """Every claim by ``<paper>.<name>``, in the order of the book.

    Raises:
        RadlibError: if a declaration does not follow the schema, a name stands twice or a key is no entry.
    """
    found: dict[str, Claim] = {}
    for paper in load_all().values():
        file = manifests_dir() / "papers" / f"{paper.key}.yml"
        for raw in paper.claims:
            try:
                one = Claim.model_validate(raw | {"paper": paper.key})
            except ValidationError as error:
                raise RadlibError(f"claim {raw.get('name')!r}: {first_problem(error)}", file=file,
                                  remedy="follow radlib.book.claims") from error  # fmt: skip
            keys = [*one.keys, *(key for pair in one.printed for key in pair)]
            if unknown := [key for key in keys if f"{paper.key}.{key}" not in published_values()]:
                raise RadlibError(f"claim {one.name!r} rests on {unknown[0]!r}, which is no entry", file=file,
                                  remedy="correct the key")  # fmt: skip
            if f"{paper.key}.{one.name}" in found:
                raise RadlibError(f"two claims are named {one.name!r}", file=file, remedy="rename one")
            found[f"{paper.key}.{one.name}"] = one
    return found


UNKNOWN = Likeness(
    patients="analogous", features="analogous", protocol="analogous",
    because="The manifest of the paper does not say how this chapter's real data relate to the paper's.",
)  # fmt: skip


def likeness_of(paper: str, chapter: str) -> Likeness:
    """How far a chapter's run on real data is like the paper's study, by the paper's manifest."""
    return load_paper(paper).real.get(chapter, UNKNOWN)


def decide(claim: Claim, *, cohort: str = "simulated", profile: str = PROFILE, seed: int = 0) -> list[Decision]:
    """What every contrast of a claim gives on a cohort, from results that are there."""
    found = []
    for number, contrast in enumerate(claim.decided):
        try:
            found.append(_decided(number, contrast, cohort=cohort, profile=profile, seed=seed))
        except RadlibError as error:
            found.append(Decision(number, missing=error.problem))
    return found


def word_of(decisions: Sequence[Decision]) -> Verdict | None:
    """The word of a claim on one kind of patients; None where a contrast is not computed."""
    if not decisions or any(one.missing for one in decisions):
        return None
    return joint([one.verdict for one in decisions])


def _decided(number: int, contrast: Contrast, *, cohort: str, profile: str, seed: int) -> Decision:
    def scores(side: Side) -> pd.DataFrame:
        return _scores(side, contrast, cohort=cohort, profile=profile, seed=seed)

    first = scores(contrast.first)
    difference, runs = _difference(first, contrast.second, contrast, scores)
    by_rule = contrast.model_copy(update={"metric": contrast.rule_metric or contrast.metric})
    lead = _difference(first, contrast.rule, by_rule, scores)[0] if contrast.rule else None
    comparator = None
    if contrast.comparator:
        comparator = _difference(scores(contrast.second), contrast.comparator, by_rule, scores)[0]
    change: dict[str, float] | None = {} if contrast.curves else None
    for curve in contrast.curves:
        change = (change or {}) | _change(curve, cohort=cohort, profile=profile, seed=seed)
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


def _change(curve: Curve, *, cohort: str, profile: str, seed: int) -> dict[str, float]:
    """How much the learning curves still change, by arm; NaN for arms without such a curve."""
    history = _study(curve.study, curve.arms, cohort=cohort, profile=profile, seed=seed).history
    if curve.metric not in history:
        return dict.fromkeys(curve.arms, math.nan)
    found = last_quarter_change(_rows(history, curve.where), curve.metric)
    return {arm: curve.scale * found.get(arm, math.nan) for arm in curve.arms}


def planned(chapter: str, *, cohort: str = "simulated", profile: str = PROFILE, seed: int = 0) -> dict[str, Study]:
    """The studies of a chapter by name, made one time a process; nothing of them is computed."""
    return _plan(chapter, cohort, profile, seed)


def _plan(chapter: str, cohort: str, profile: str, seed: int) -> dict[str, Study]:
    found = _attempt(chapter, cohort, profile, seed)
    if isinstance(found, RadlibError):
        raise found
    return found


@functools.lru_cache(maxsize=64)
def _attempt(chapter: str, cohort: str, profile: str, seed: int) -> dict[str, Study] | RadlibError:
    """The plan, or why there is none: planning takes seconds, also where it fails."""
    from radlib.book.plan import plan  # imports the papers
    from radlib.book.registry import chapter as registered

    try:
        return plan(registered(chapter), cohort=cohort, profile=profile, seed=seed)
    except RadlibError as error:
        return error


def _study(name: str, arms: Sequence[str], *, cohort: str, profile: str, seed: int) -> Study:
    """These arms of a study, all of whose jobs are there."""
    chapter, _, study = name.partition(".")
    found = _plan(chapter, cohort, profile, seed)
    if study not in found or (unknown := [arm for arm in arms if arm not in found[study].arms]):
        lacking = f"study {study!r}" if study not in found else f"arm {unknown[0]!r} in {study!r}"
        raise NotComputedError(f"{chapter} has no {lacking} on this cohort")
    part = found[study].only(*arms)
    if missing := part.missing():
        raise NotComputedError(f"{len(missing)} jobs of {chapter} ({study}) have not been computed")
    return part


def _scores(side: Side, contrast: Contrast, *, cohort: str, profile: str, seed: int) -> pd.DataFrame:
    study = _study(side.study or contrast.study, [side.arm], cohort=cohort, profile=profile, seed=seed)
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


# What was decided on real patients is kept: their jobs are not.


def kept_file(published: Path | None = None) -> Path:
    """``published/real/default/claims.json``."""
    return (published or project_root() / "published") / "real" / PROFILE / "claims.json"


def keep_decisions(published: Path | None = None) -> dict[str, list[Decision]]:
    """Decide every claim on real patients from jobs in ``runs/_jobs``; what was kept and lacks there now stays."""
    found = kept_decisions(published)
    for key, claim in claims().items():
        decisions = decide(claim, cohort="real")
        if not all(one.missing for one in decisions):
            found[key] = decisions
    write_json(kept_file(published), {key: TypeAdapter(list[Decision]).dump_python(one) for key, one in found.items()})
    return found


def kept_decisions(published: Path | None = None) -> dict[str, list[Decision]]:
    """What is kept of real patients, by claim.

    Raises:
        RadlibError: if the file is damaged.
    """
    file = kept_file(published)
    if not file.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, list[Decision]]).validate_json(file.read_bytes())
    except ValidationError as error:
        raise RadlibError(f"not decisions on claims ({first_problem(error)})", file=file,
                          remedy="keep them anew: `radlib study claims --cohort real --keep`") from error  # fmt: skip


def decisions_by_kind(published: Path | None = None) -> dict[str, dict[str, list[Decision]]]:
    """By claim: ``simulated``, from the jobs that are there, and ``real``, from what is kept."""
    kept = kept_decisions(published)
    return {key: {"simulated": decide(claim), "real": kept.get(key, [])} for key, claim in claims().items()}


def declared_arms() -> Iterator[tuple[str, str, str]]:
    """Claim, study and arm of everything that a claim names, for a check that all of it is there."""
    for key, claim in claims().items():
        for contrast in claim.decided:
            sides = (contrast.first, contrast.second, contrast.rule, contrast.comparator)
            for side in sides:
                if side is not None and side.arm != MAJORITY:
                    yield key, side.study or contrast.study, side.arm
            for curve in contrast.curves:
                for arm in curve.arms:
                    yield key, curve.study, arm
