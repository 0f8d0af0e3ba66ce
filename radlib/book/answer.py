"""What was found, for pages: marks of evidence, small interval plots, and sentences that carry results.

A claim has one :class:`Mark` for each kind of evidence: *in print* (arithmetic on the paper's own numbers),
*simulated*, and *real*, which is *same kind* or *analogous* by what the manifest says of the chapter. Marks are never
added up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from markupsafe import Markup
from pydantic import TypeAdapter

from radlib.book.claims import Claim, Finding, Kept, claims, likeness_of, planned
from radlib.book.kept import KeptRun, kept_run
from radlib.book.registry import chapters
from radlib.core.errors import RadlibError
from radlib.core.models import Strict
from radlib.core.paths import manifests_dir
from radlib.data.published import Likeness, PublishedValue, published
from radlib.study.contrasts import Contrast, Decision, word_of
from radlib.study.gates import GATES
from radlib.study.jobs import Job
from radlib.study.store import find

KINDS = {
    "print": "in print", "simulated": "simulated", "analogous": "real, analogous", "same": "real, same kind",
}  # fmt: skip
"""Kinds of evidence in rising order, and their names."""

RANK = {kind: rank for rank, kind in enumerate(KINDS)}
WORDS = {
    "as claimed": ("✓", "as claimed"), "reversed": ("✗", "reversed"), "open": ("○", "undecided"),
    "not computed yet": ("·", "not computed yet"), "consistent in print": ("✓", "consistent in print"),
    "contradicts itself": ("✗", "contradicts itself"), "nothing to compare": ("·", "nothing to compare"),
    "indirect": ("≈", "indirect"), "partly run": ("·", "partly run"), "not run": ("·", "no real patients yet"),
}  # fmt: skip
"""Every word that a mark may carry, with its sign and how pages say it."""


@dataclass(frozen=True)
class Line:
    """One difference: ``value``, ``low`` and ``high`` as measured; ``sign`` is what the claim gives it."""

    says: str
    value: float
    low: float = math.nan
    high: float = math.nan
    sign: int = 1
    unit: str = ""
    n: int = 0
    runs: int = 0

    @property
    def text(self) -> str:
        """``+0.021 (+0.010 to +0.034)`` with its unit."""
        digits = 2 if self.unit else 3
        value, low, high = (f"{number:+.{digits}f}" for number in (self.value, self.low, self.high))
        interval = "" if math.isnan(self.low) else f" ({low} to {high})"
        return f"{value}{interval}{' ' if self.unit else ''}{self.unit}".replace("-", "−")


@dataclass(frozen=True)
class Mark:
    """What one kind of evidence says of a claim.

    Attributes:
        why: one sentence on the word, without a full stop.
        likeness: of real evidence: how far it is like the paper's study, and the reason.
        n: patients behind it, where no line says so.
    """

    kind: str
    word: str
    why: str
    lines: tuple[Line, ...] = ()
    failed: tuple[str, ...] = ()
    likeness: Likeness | None = None
    n: str = ""

    @property
    def computed(self) -> bool:
        """Whether there is a result on the claim itself."""
        return self.word in ("as claimed", "reversed", "open", "consistent in print", "contradicts itself")

    @property
    def on(self) -> str:
        """Of real evidence: how many of whose patients."""
        if self.likeness is None or not (self.computed or self.n):
            return ""
        n = self.n or str(max((line.n for line in self.lines), default=""))
        return f"{n} {self.likeness.on or 'real patients'}"


@dataclass(frozen=True)
class Card:
    """A claim with its marks: in print, simulated, real; and the decisions on simulated patients."""

    key: str
    claim: Claim
    marks: tuple[Mark, Mark, Mark]
    decisions: Sequence[Decision] = ()

    @property
    def best(self) -> Mark:
        """The mark of the strongest kind of evidence that has a result; else the simulated one."""
        found = [mark for mark in self.marks[1:] if mark.computed]
        return max(found, key=lambda mark: RANK[mark.kind], default=self.marks[1])

    @property
    def anchor(self) -> str:
        """Where the page of claims has it."""
        return f"claim-{self.key.replace('.', '-')}"

    @property
    def chapters(self) -> list[str]:
        """The chapters that show it."""
        return list(dict.fromkeys(contrast.chapter for contrast in self.claim.decided))

    @property
    def place(self) -> str:
        """The page and the heading that show it, as an address from the book's root."""
        from docutils.nodes import make_id  # comes with what builds the book

        return f"chapters/{self.chapters[0]}.html#{make_id(self.claim.heading)}"


def cards(decisions: Mapping[str, Mapping[str, Sequence[Decision]]]) -> list[Card]:
    """Every claim in the order of the book, from :func:`radlib.book.claims.decisions_by_kind`."""
    return [
        Card(key, claim, (
            in_print(claim), _mark(claim, "simulated", decisions[key]["simulated"]),
            _mark(claim, "real", decisions[key]["real"]),
        ), decisions[key]["simulated"])
        for key, claim in claims().items()
    ]  # fmt: skip


def in_print(claim: Claim) -> Mark:
    """Whether the printed numbers agree with the claim and with each other. No patient is looked at."""
    entries = [published(f"{claim.paper}.{key}") for key in claim.keys]
    if wrong := [entry for entry in entries if entry.contradiction]:
        return Mark("print", "contradicts itself", wrong[0].remarks[0].rstrip("."), tuple(_printed(claim)))
    lines = tuple(_printed(claim))
    if not lines:
        return Mark("print", "nothing to compare", "The paper prints no numbers that could be held against each other")
    if any(line.value <= 0 for line in lines):
        return Mark("print", "contradicts itself", "A printed difference points the other way", lines)
    loose = sum(line.low <= 0 for line in lines if not math.isnan(line.low))
    why = "The printed numbers point as claimed"
    if loose:
        why += f"; the interval that follows from the number of patients holds 0 in {loose} of {len(lines)}"
    return Mark("print", "consistent in print", why, lines)


def _printed(claim: Claim) -> Iterable[Line]:
    for first, second in claim.printed:
        a, b = (published(f"{claim.paper}.{key}") for key in (first, second))
        scale = 0.01 if a.unit == "%" else 1.0
        value, half = scale * (a.value - b.value), 1.96 * math.hypot(_error(a, claim), _error(b, claim))
        unit = a.unit if a.unit not in ("%", "fraction") else ""
        says = f"{a.column} − {b.column}" if a.row == b.row else f"{a.row} − {b.row}, {a.column}"
        yield Line(says, value, value - half, value + half, 1, unit, a.n or 0)


def _error(entry: PublishedValue, claim: Claim) -> float:
    """The standard error of a printed share (binomial) or AUC (Hanley and McNeil 1982); NaN of anything else."""
    if not entry.n:
        return math.nan
    if entry.key.endswith(".auc") and claim.positives:
        auc, cases, others = entry.value, claim.positives, entry.n - claim.positives
        one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        spread = auc * (1 - auc) + (cases - 1) * (one - auc**2) + (others - 1) * (two - auc**2)
        return math.sqrt(spread / (cases * others))
    share = entry.value * (0.01 if entry.unit == "%" else 1.0)
    counted = entry.unit == "%" or any(part in entry.key for part in ("accuracy", ".lgg", ".hgg", ".total"))
    return math.sqrt(share * (1 - share) / entry.n) if counted else math.nan


def _mark(claim: Claim, source: str, decisions: Sequence[Decision]) -> Mark:
    likeness = None
    kind = source
    if source == "real":
        likeness = likeness_of(claim.paper, claim.decided[0].chapter)
        kind = "same" if likeness.same else "analogous"
    lines = tuple(_line(claim.decided[one.contrast], one) for one in decisions if not one.missing)
    said = word_of(decisions)
    if said is None and source == "real":
        return _beside(claim) or Mark(
            kind, "partly run" if lines else "not run",
            next((one.missing for one in decisions if one.missing), "No real patients have been put to this question"),
            lines, (), likeness,
        )  # fmt: skip
    if said is None:
        lacking = next((one.missing for one in decisions if one.missing), "Its jobs have not been computed")
        return Mark(kind, "not computed yet", lacking.rstrip("."), lines, (), likeness)
    why = "; ".join(f"{line.says}: {line.text}" for line in lines)
    if said.failed:
        why = f"{why}. Undecided because {said.why}"
    return Mark(kind, said.word, why, lines, said.failed, likeness)


def _beside(claim: Claim) -> Mark | None:
    """What was found on real patients beside the claim's own contrasts: its first finding whose numbers are there."""
    for finding in claim.findings:
        chapter = next((number.chapter for number in finding.numbers.values() if number.chapter), "")
        if finding.kind != "simulated" and chapter and (text := filled(finding, ())) is not None:
            n = _number(finding.numbers["n"], ()) if "n" in finding.numbers else ""
            return Mark(finding.kind, "indirect", text.rstrip("."), (), (), likeness_of(claim.paper, chapter), n or "")
    return None


def _line(contrast: Contrast, one: Decision) -> Line:
    return Line(contrast.says, one.value, one.low, one.high, contrast.sign, contrast.unit, one.n, one.runs)


# Pictures


def interval_plot(mark: Mark, scale: float, *, width: int = 132) -> Markup:
    """The differences of a mark as dots with intervals around zero, claimed direction to the right. Inline SVG.

    Args:
        mark: what to draw.
        scale: the largest difference that fits, the same for all kinds of one claim.
        width: in pixels; every difference takes 12 in height.
    """
    if not mark.lines:
        return Markup("")
    height, middle = 12 * len(mark.lines) + 4, width / 2

    def at(value: float, line: Line) -> float:
        return middle + max(-1.0, min(1.0, line.sign * value / scale)) * (middle - 5)

    parts = [f'<line class="iv-zero" x1="{middle}" y1="0" x2="{middle}" y2="{height}"/>']
    for number, line in enumerate(mark.lines):
        y = 8 + 12 * number
        if not math.isnan(line.low):
            left, right = sorted((at(line.low, line), at(line.high, line)))
            parts.append(f'<line class="iv-line" x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}"/>')
        parts.append(f'<circle class="iv-dot" cx="{at(line.value, line):.1f}" cy="{y}" r="3.4"/>')
    label = "; ".join(f"{line.says}: {line.text}" for line in mark.lines)
    opening = Markup(
        '<svg class="interval" role="img" width="{w}" height="{h}" viewBox="0 0 {w} {h}" aria-label="{label}">'
    ).format(w=width, h=height, label=f"{KINDS[mark.kind]}: {label}")
    return opening + Markup("".join(parts)) + Markup("</svg>")


def scale_of(card: Card) -> float:
    """The largest limit of any of a claim's intervals, by unit the same for all."""
    limits = [abs(x) for mark in card.marks for line in mark.lines for x in (line.value, line.low, line.high)]
    return max((x for x in limits if not math.isnan(x)), default=1.0) or 1.0


# Sentences


def sentence(paper: str, found: Sequence[Card]) -> tuple[int, str, Card]:
    """One sentence on a paper, from its strongest result.

    A claim's declared finding (text with numbers of a kept real run) goes first where its numbers are there; else the
    claim with the strongest kind of evidence, a word before none, and of those alike one that its print contradicts.

    Returns:
        How strong it is (more is stronger), the sentence, and the claim that it is of.
    """
    own = [card for card in found if card.claim.paper == paper]
    declared = [(card, finding) for card in own for finding in card.claim.findings]
    for card, finding in sorted(declared, key=lambda one: not one[1].first):
        if (text := filled(finding, found)) is not None:
            return 10 + RANK[finding.kind], text, card
    card = max(own, key=lambda one: (
        one.best.computed, RANK[one.best.kind], one.best.word != "open",
        one.marks[0].word == "contradicts itself", one.marks[0].computed,
    ))  # fmt: skip
    best = card.best
    claimed, printed = f"“{card.claim.says.rstrip('.')}”", card.marks[0]
    if not best.computed:
        return 0, f"{claimed}: {WORDS[best.word][1]}. In print: {printed.why}.", card
    patients = {"simulated": "simulated", "analogous": "real (analogous)", "same": "real"}[best.kind]
    line = best.lines[0]
    told = f"on {line.n} {patients} patients with {line.runs} trainings, {line.says}: {line.text}"
    why = f" ({'; '.join(GATES[name].plain for name in best.failed)})" if best.failed else ""
    return RANK[best.kind] + (best.word != "open"), f"{claimed}: {WORDS[best.word][1]}{why}; {told}.", card


def findings(claim: Claim, found: Sequence[Card]) -> list[str]:
    """The claim's declared findings whose numbers are there."""
    return [text for finding in claim.findings if (text := filled(finding, found)) is not None]


def filled(finding: Finding, found: Sequence[Card]) -> str | None:
    """The text of a finding with its numbers, or None where one of them is not there."""
    numbers = {name: _number(number, found) for name, number in finding.numbers.items()}
    return None if None in numbers.values() else finding.text.format(**numbers)


def _number(number: Kept, found: Sequence[Card]) -> str | None:
    if number.published:
        return published(number.published).printed.split(" (")[0]
    values: list[Any] = []
    if number.claim:
        for card in found:
            if card.key == number.claim and card.decisions and not card.decisions[0].missing:
                values = [getattr(card.decisions[0], number.column)]
    elif (run := kept_run(number.chapter)) is not None:
        if number.named:
            values = [run.results.values[number.named][number.column]] if number.named in run.results.values else []
        elif number.table:
            values = _cell(run, number)
        else:
            values = [
                getattr(one, number.column) for one in run.results.measured
                if all(str(getattr(one, field)) == value for field, value in number.where.items())
            ]  # fmt: skip
    if len(values) != 1 or values[0] is None or math.isnan(values[0]):
        return None
    return f"{number.scale * float(values[0]):.{number.digits}f}".replace("-", "−")


def _cell(run: KeptRun, number: Kept) -> list[Any]:
    try:
        rows = run.table(number.table)
    except RadlibError:
        return []
    for column, value in number.where.items():
        rows = rows[rows[column].astype(str) == value] if column in rows else rows.iloc[:0]
    return list(rows[number.column]) if number.column in rows else []


class Lesson(Strict):
    """A general lesson: shown where the numbers of at least one of its findings are there."""

    title: str
    findings: tuple[Finding, ...]
    advice: str


def lessons(found: Sequence[Card]) -> list[tuple[Lesson, list[str]]]:
    """The lessons of ``data_manifests/lessons.yml`` that results support, with their sentences."""
    file = manifests_dir() / "lessons.yml"
    declared = TypeAdapter(list[Lesson]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    told = [(one, [text for part in one.findings if (text := filled(part, found))]) for one in declared]
    return [(one, texts) for one, texts in told if texts]


def costs_of(paper: str) -> dict[str, Any]:
    """What the default jobs of a paper's own chapters cost: how many are there and wanted, and core-hours."""
    jobs: dict[str, Job] = {}
    for name, chapter in chapters().items():
        if chapter.papers[:1] == (paper,) and len(chapter.papers) == 1:
            try:
                jobs |= {job.fingerprint: job for study in planned(name).values() for job in study.jobs()}
            except RadlibError:  # its cohort is not there
                continue
    infos = [found.info for job in jobs.values() if (found := find(job))]
    seconds = [info["seconds"] * info.get("threads", 1) for info in infos]
    return {
        "jobs": len(infos), "wanted": len(jobs), "hours": sum(seconds) / 3600, "longest": max(seconds, default=0) / 60,
        "devices": "; ".join(sorted({info["device"] for info in infos})),
    }  # fmt: skip
