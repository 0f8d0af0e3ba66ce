"""When a published number counts as reproduced. The page prints these rules; :func:`judge` is their only home."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from radlib.data.published import Claim, PublishedValue

Verdict = Literal["reproduced", "only as published", "not reproduced", "shown", "simulated only", "not yet", "setting"]

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
    "simulated only": (
        "There are results on the simulated cohort only, beside controls. They never decide a claim on real patients."
    ),
    "not yet": "There is no comparable result; the reason is given.",
    "setting": "A choice of the authors (architecture, hyper-parameter), not a measurement.",
}
"""Every verdict and the rule behind it, in the words of the page."""

COMPARABLE = (
    "A result is comparable if it was measured on real data of the paper's kind (not on a reader's own cohort), in the "
    "default or paper profile, and on at least half as many subjects (or slices, where the paper counts slices) as the "
    "paper states for the entry. Of several comparable results the full-size one decides, then the one with the most "
    "subjects. Controls never decide. A published value stands for every number that would be printed like it."
)

LEAKAGE_FREE, AS_PUBLISHED, CONTROL = "leakage-free", "as published", "control"
LEAST_SHARE_OF_N = 0.5

_WITHOUT_RESULT = {
    "result": "no chapter measures it yet",
    "quoted": "a result of another paper, quoted there for comparison; no chapter measures it yet",
    "cohort": "no chapter counts it yet",
    "figure": "no chapter draws its counterpart yet",
}


@dataclass(frozen=True)
class Result:
    """One measured number, as a chapter recorded it.

    Attributes:
        key: the published entry it stands beside.
        source: ``simulated``, ``real`` or ``user``.
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
    source: Literal["simulated", "real", "user"]
    profile: str
    chapter: str
    kept: bool = False

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
class Judgement:
    """A verdict and what led to it."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Entry:
    """A published entry with everything that was measured for it, and the verdict."""

    published: PublishedValue
    results: tuple[Result, ...]
    verdict: Verdict
    reason: str


def judge(published: PublishedValue, results: Sequence[Result], *, missing: str = "") -> Judgement:
    """The verdict on one published entry.

    Args:
        published: the entry.
        results: all that was recorded for its key, in any order of sources, profiles and protocols.
        missing: why there is no result, if a chapter said so.
    """
    if not results:
        if published.kind == "setting" and not missing:
            return Judgement("setting")
        return Judgement("not yet", missing or _WITHOUT_RESULT.get(published.kind, "no chapter measures it yet"))
    if not any(result.source == "real" for result in results):
        if any(result.source == "simulated" for result in results):
            return Judgement("simulated only", missing)
        return Judgement("not yet", "measured on a reader's own cohort only")
    hindrances = {result: _hindrance(published, result) for result in results if result.source == "real"}
    comparable = [result for result, hindrance in hindrances.items() if not hindrance]
    if not comparable:
        return Judgement("not yet", next(iter(hindrances.values())))
    fair = deciding([result for result in comparable if result.fair])
    literal = deciding([result for result in comparable if result.protocol == AS_PUBLISHED])
    if not (fair or literal):
        if any(result.source == "simulated" for result in results):
            return Judgement("simulated only", "on real data only controls were run")
        return Judgement("not yet", "only controls were run")
    if published.number is None:
        return Judgement("shown")
    if fair and not (side := _side(published, fair)):
        return Judgement("reproduced")
    if literal and not _side(published, literal):
        if fair:
            return Judgement("only as published", f"the leakage-free result lies {side} the published value")
        return Judgement("not yet", "in the interval of the paper's own protocol; not run leakage-free yet")
    nearest = fair or literal
    assert nearest is not None  # one of them is there, or we would have returned above
    return Judgement("not reproduced", f"our result lies {_side(published, nearest)} the published value")


def _hindrance(published: PublishedValue, result: Result) -> str:
    """Why a result on real data is not comparable; empty where it is."""
    if result.profile == "smoke":
        return "run in the smoke profile only, whose numbers mean nothing"
    if published.n is not None:
        if result.n is None:
            return f"the result does not say on how many subjects it rests (the paper: {published.n})"
        if result.n < LEAST_SHARE_OF_N * published.n:
            return f"measured on {result.n}, the paper on {published.n}: too few to compare"
    return ""


def deciding(results: Sequence[Result]) -> Result | None:
    """The result that decides: full size first, smoke last; then the most subjects, then the first recorded."""
    order = {"paper": 1, "smoke": -1}
    return max(results, key=lambda result: (order.get(result.profile, 0), result.n or 0), default=None)


def _side(published: PublishedValue, result: Result) -> str:
    """``above`` or ``below`` where the whole interval of the result misses the published value, else empty."""
    low = result.value if result.low is None else result.low
    high = result.value if result.high is None else result.high
    slack = 1e-9 * max(abs(published.value), 1.0)
    if low > published.high + slack:
        return "above"
    if high < published.low - slack:
        return "below"
    return ""


Holds = Literal["as claimed", "open", "reversed"]

HOLDS: dict[Holds, str] = {
    "as claimed": "every value lies on the claimed side of the next, or of 0, and their intervals do not meet",
    "open": "intervals meet, or hold 0: what was measured is compatible with the claim and with its contrary",
    "reversed": "a value lies on the other side, and the intervals do not meet",
}
"""What results say of an order or a sign, in the words of the page. Intervals of two values are not paired and meet
sooner than that of their difference would hold 0; the chapters have the paired tests."""


def claim_holds(claim: Claim, results: Mapping[str, Result | None]) -> Holds | None:
    """Whether what was measured has the order and the signs of a claim.

    Args:
        claim: with keys as the manifest has them.
        results: by key, what decides there; None where nothing does.

    Returns:
        None where the claim is not one of order or sign, or where a value or an interval lacks.
    """
    sides: list[tuple[float, float]] = []  # bounds of "more minus less", without regard to pairing
    for less, more in (pair for chain in claim.ascending for pair in itertools.pairwise(chain)):
        below, above = _bounds(results[less]), _bounds(results[more])
        if below is None or above is None:
            return None
        sides.append((above[0] - below[1], above[1] - below[0]))
    for key in claim.positive:
        bounds = _bounds(results[key])
        if bounds is None:
            return None
        sides.append(bounds)
    if not sides:
        return None
    if any(high < 0 for _, high in sides):
        return "reversed"
    return "as claimed" if all(low > 0 for low, _ in sides) else "open"


def _bounds(result: Result | None) -> tuple[float, float] | None:
    if result is None or result.low is None or result.high is None:
        return None
    return result.low, result.high
