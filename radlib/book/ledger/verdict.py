"""When a published number counts as reproduced. The page prints these rules; :func:`judge` is their only home."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from radlib.book.claims import UNKNOWN
from radlib.book.results import Source
from radlib.data.published import Evidence, Likeness, PublishedValue

Verdict = Literal[
    "reproduced", "only as published", "not reproduced", "shown", "analogous", "simulated only", "drawn",
    "consistent in print", "contradicts itself", "not yet", "not measured", "quoted", "setting",
]  # fmt: skip

VERDICTS: dict[Verdict, str] = {
    "reproduced": (
        "The published value lies in the interval of the leakage-free result on comparable data. Where a result has no "
        "interval (a count, a description of the data), both must agree in every printed digit."
    ),
    "only as published": (
        "The published value lies in the interval of the paper's own protocol on comparable data, but not in that of "
        "the leakage-free one."
    ),
    "not reproduced": (
        "On comparable data the published value lies outside the leakage-free interval and outside that of the paper's "
        "own protocol, as far as both were run."
    ),
    "shown": (
        "The entry is a figure or a statement in words, and a result on comparable data stands beside it: the reader "
        "judges."
    ),
    "analogous": (
        "There are results on real patients, but patients, features or protocol are only like the paper's; the reason "
        "stands there. They decide nothing about the printed value."
    ),
    "simulated only": (
        "There are results on the simulated cohort only, beside controls. They never decide a claim on real patients."
    ),
    "drawn": "A figure that a chapter draws again; no number stands for it.",
    "consistent in print": "It follows from other printed numbers, and agrees with them. No patient was looked at.",
    "contradicts itself": "It follows from other printed numbers, and differs from them; a remark says how.",
    "not yet": "A study is to measure or to draw it, and no comparable result is there; the reason is given.",
    "not measured": "Nothing here measures or draws it; the reason is given.",
    "quoted": "A result of another paper, quoted there for comparison.",
    "setting": "A choice of the authors (architecture, hyper-parameter), not a measurement.",
}
"""Every verdict and the rule behind it, in the words of the page."""

COMPARABLE = (
    "A result is comparable if it was measured on real data whose patients, features and protocol are of the paper's "
    "kind (not on a reader's own cohort), in the default or paper profile, and on at least half as many subjects (or "
    "slices, where the paper counts slices) as the paper states for the entry. Of several comparable results the "
    "full-size one decides, then the one with the most subjects. Controls never decide. A published value stands for "
    "every number that would be printed like it."
)

LEAKAGE_FREE, AS_PUBLISHED, CONTROL = "leakage-free", "as published", "control"
LEAST_SHARE_OF_N = 0.5


@dataclass(frozen=True)
class Finding:
    """One measured number that stands beside a published one.

    Attributes:
        key: the published entry it stands beside; ``value``, ``low`` and ``high`` have its unit.
        source: ``simulated``, ``real`` or ``user``.
        likeness: of real data: how far it is like the paper's study.
        kept: whether it comes from the kept results rather than from a run in this checkout.
    """

    key: str
    value: float
    low: float | None
    high: float | None
    n: int | None
    unit: str
    protocol: str
    note: str
    source: Source
    profile: str
    chapter: str
    kept: bool = False
    likeness: Likeness = UNKNOWN

    @property
    def place(self) -> Literal["simulated", "real", "full size", "own cohort"]:
        """The column of the ledger that it belongs to."""
        if self.profile == "paper" and self.source != "user":
            return "full size"
        return "own cohort" if self.source == "user" else self.source

    @property
    def fair(self) -> bool:
        """Leakage-free, or a description of data to which no protocol applies."""
        return self.protocol in (LEAKAGE_FREE, "")


@dataclass(frozen=True)
class Entry:
    """A published entry, what the manifest says of it, everything that was measured or drawn for it, and the verdict.

    Attributes:
        drawn: chapter and figure of every counterpart that is at hand.
    """

    published: PublishedValue
    evidence: Evidence
    results: tuple[Finding, ...]
    drawn: tuple[tuple[str, str], ...]
    verdict: Verdict
    reason: str


def declared(evidence: Evidence, *, contradiction: bool = False) -> tuple[Verdict, str] | None:
    """The verdict and its reason on an entry that no study measures or draws; None where one is to.

    Args:
        evidence: what the manifest says of it.
        contradiction: whether the paper disagrees with itself there.
    """
    if evidence.setting is not None:
        text = evidence.setting
        if not isinstance(text, str):
            text = f"parameter {text.parameter} of {text.chapter}, profile {text.profile}"
        return "setting", text
    if evidence.in_print:
        return "contradicts itself" if contradiction else "consistent in print", evidence.in_print
    if evidence.quoted:
        return "quoted", evidence.quoted
    return ("not measured", evidence.not_measured) if evidence.not_measured else None


def judge(published: PublishedValue, results: Sequence[Finding], *, missing: str = "") -> tuple[Verdict, str]:
    """The verdict on an entry that studies measure, and what led to it.

    Args:
        published: the entry.
        results: all that stands beside it, in any order of sources, profiles and protocols.
        missing: why there is no result.
    """
    if not results:
        return "not yet", missing
    if not any(result.source == "real" for result in results):
        if any(result.source == "simulated" for result in results):
            return "simulated only", ""
        return "not yet", "measured on a reader's own cohort only"
    hindrances = {result: _hindrance(published, result) for result in results if result.source == "real"}
    comparable = [result for result, hindrance in hindrances.items() if not hindrance]
    if not comparable:
        return "not yet", next(iter(hindrances.values()))
    if not any(result.likeness.same for result in comparable):
        return "analogous", comparable[0].likeness.because
    comparable = [result for result in comparable if result.likeness.same]
    fair = deciding([result for result in comparable if result.fair])
    literal = deciding([result for result in comparable if result.protocol == AS_PUBLISHED])
    nearest = fair or literal
    if nearest is None:
        if any(result.source == "simulated" for result in results):
            return "simulated only", "on real data only controls were run"
        return "not yet", "only controls were run"
    if published.number is None:
        return "shown", ""
    if fair and not (side := _side(published, fair)):
        return "reproduced", ""
    if literal and not _side(published, literal):
        if fair:
            return "only as published", f"the leakage-free result lies {side} the published value"
        return "not yet", "in the interval of the paper's own protocol; not run leakage-free yet"
    return "not reproduced", f"our result lies {_side(published, nearest)} the published value"


def _hindrance(published: PublishedValue, result: Finding) -> str:
    """Why a result on real data is not comparable; empty where it is."""
    if result.profile == "smoke":
        return "run in the smoke profile only, whose numbers mean nothing"
    if published.n is not None:
        if result.n is None:
            return f"the result does not say on how many subjects it rests (the paper: {published.n})"
        if result.n < LEAST_SHARE_OF_N * published.n:
            return f"measured on {result.n}, the paper on {published.n}: too few to compare"
    return ""


def deciding(results: Sequence[Finding]) -> Finding | None:
    """The result that decides: full size first, smoke last; then the most subjects, then the first declared."""
    order = {"paper": 1, "smoke": -1}
    return max(results, key=lambda result: (order.get(result.profile, 0), result.n or 0), default=None)


def _side(published: PublishedValue, result: Finding) -> str:
    """``above`` or ``below`` where the whole interval of the result misses the published value, else empty."""
    low = result.value if result.low is None else result.low
    high = result.value if result.high is None else result.high
    slack = 1e-9 * max(abs(published.value), 1.0)
    if low > published.high + slack:
        return "above"
    if high < published.low - slack:
        return "below"
    return ""
