"""Recomputing printed numbers from printed numbers, with the rounding of print carried through."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radlib.data.published.manifest import published_values
from radlib.data.published.schema import PublishedValue

EXACT = 1e-9
"""Slack for floating point beside the slack of rounding."""


@dataclass(frozen=True)
class Check:
    """One relation that printed numbers must satisfy, and whether they do.

    Attributes:
        relation: its name; a remark of the manifest refers to it.
        key: the entry that is tested.
        printed: what the paper prints.
        recomputed: what follows from the other entries.
        holds: whether both agree within the rounding of print.
    """

    relation: str
    key: str
    printed: str
    recomputed: str
    holds: bool


class Recompute:
    """Collects the checks of one paper; keys are given without the paper's."""

    def __init__(self, paper: str) -> None:
        self.paper = paper
        self.values = published_values(paper)
        self.checks: list[Check] = []

    def __getitem__(self, key: str) -> PublishedValue:
        return self.values[f"{self.paper}.{key}"]

    def number(self, key: str) -> float:
        """The printed number of an entry."""
        return self[key].value

    def integer(self, key: str) -> int:
        """The printed count of an entry."""
        return round(self[key].value)

    def claim(self, relation: str, key: str, recomputed: object, *, holds: bool) -> None:
        """Record a relation that was decided by the caller."""
        entry = self[key]
        self.checks.append(Check(relation, entry.key, entry.printed, str(recomputed), bool(holds)))

    def derived(
        self,
        relation: str,
        key: str,
        inputs: Sequence[str],
        function: Callable[..., float],
        *,
        spread: bool = False,
        spreads: Sequence[str] = (),
    ) -> None:
        """Test ``key`` against ``function`` of the printed ``inputs`` (then of the spreads of ``spreads``).

        Every input may lie anywhere in the interval that is printed like it; the recomputed value may therefore lie
        off by the sum of what each interval contributes (to first order), and the tested value by its own rounding.
        ``spread`` tests the printed standard deviation instead of the value.
        """
        entry = self[key]
        entries = [self[name] for name in inputs]
        arguments = [(item.low + item.high) / 2 for item in entries]
        halves = [(item.high - item.low) / 2 for item in entries]
        for name in spreads:
            deviation, half = _spread(self[name])
            arguments.append(deviation)
            halves.append(half)
        recomputed = function(*arguments)
        slack = 0.0
        for index, half in enumerate(halves):
            shifted = [
                function(*(*arguments[:index], arguments[index] + sign * half, *arguments[index + 1 :]))
                for sign in (-1, 1)
            ]
            slack += max(abs(value - recomputed) for value in shifted)
        if spread:
            centre, half = _spread(entry)
        else:
            centre, half = (entry.low + entry.high) / 2, (entry.high - entry.low) / 2
        printed = f"{centre:g}" if spread else entry.printed
        holds = abs(recomputed - centre) <= half + slack + EXACT
        self.checks.append(Check(relation, entry.key, printed, f"{recomputed:.6g}", holds))

    def same(self, relation: str, key: str, other: PublishedValue, *, factor: float = 1.0) -> None:
        """Test that ``key`` prints ``factor`` times the number of ``other``, and the same spread where both do."""
        entry = self[key]
        holds = entry.low <= factor * other.high + EXACT and factor * other.low <= entry.high + EXACT
        if entry.spread is not None and other.spread is not None:
            holds = holds and entry.spread == other.spread
        recomputed = other.printed if factor == 1.0 else f"{factor * other.value:g}"
        self.checks.append(Check(relation, entry.key, entry.printed, recomputed, holds))

    def share_of(self, relation: str, key: str, n: int, *, scale: float = 1.0) -> int:
        """Test that ``key`` is ``scale * k / n`` for a whole ``k``; return the closest ``k``."""
        entry = self[key]
        k = round(entry.value / scale * n)
        closest = min(range(max(k - 1, 0), min(k + 1, n) + 1), key=lambda count: _distance(scale * count / n, entry))
        holds = _distance(scale * closest / n, entry) <= EXACT
        self.claim(relation, key, f"{closest} of {n} = {scale * closest / n:.6g}", holds=holds)
        return closest


def add(*values: float) -> float:
    """Sum."""
    return math.fsum(values)


def product(*values: float) -> float:
    """Product."""
    return math.prod(values)


def difference(more: float, less: float) -> float:
    """First less second."""
    return more - less


def share_of_sums(part_a: float, part_b: float, whole_a: float, whole_b: float) -> float:
    """Percentage of two parts together of two wholes together."""
    return 100 * (part_a + part_b) / (whole_a + whole_b)


def mean(*values: float) -> float:
    """Arithmetic mean."""
    return math.fsum(values) / len(values)


def sample_sd(*values: float) -> float:
    """Standard deviation with ``n - 1``."""
    centre = mean(*values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def pooled_sd(sizes: Sequence[int], means: Sequence[float], deviations: Sequence[float]) -> float:
    """Sample standard deviation of groups thrown together, from each group's size, mean and deviation."""
    total = sum(sizes)
    centre = sum(n * m for n, m in zip(sizes, means, strict=True)) / total
    squares = sum((n - 1) * s**2 + n * (m - centre) ** 2 for n, m, s in zip(sizes, means, deviations, strict=True))
    return math.sqrt(squares / (total - 1))


def confusion_metrics(tp: int, tn: int, positives: int, negatives: int) -> dict[str, float]:
    """Accuracy, sensitivity, specificity, PPV, NPV and MCC of a two-by-two table; nan where undefined."""
    fn, fp = positives - tp, negatives - tn

    def ratio(part: float, whole: float) -> float:
        return part / whole if whole else math.nan

    return {
        "accuracy": ratio(tp + tn, positives + negatives),
        "sensitivity": ratio(tp, positives),
        "specificity": ratio(tn, negatives),
        "ppv": ratio(tp, tp + fp),
        "npv": ratio(tn, tn + fn),
        "mcc": ratio(tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))),
    }


def class_sizes(sensitivities: Sequence[PublishedValue], *, most: int) -> list[int]:
    """Sizes up to ``most`` of a class for which every one of its printed sensitivities is a whole count's share."""
    scales = [100.0 if item.unit == "%" else 1.0 for item in sensitivities]
    return [
        n
        for n in range(1, most + 1)
        if all(
            any(_distance(scale * k / n, item) <= EXACT for k in range(n + 1))
            for scale, item in zip(scales, sensitivities, strict=True)
        )
    ]


def products(*lists: Sequence[int]) -> list[tuple[int, ...]]:
    """All combinations of one item from each list."""
    return list(itertools.product(*lists))


def _spread(entry: PublishedValue) -> tuple[float, float]:
    """A printed standard deviation and half a unit of its last digit."""
    if entry.spread is None:
        raise ValueError(f"{entry.key} has no spread")
    return float(entry.spread), 0.5 * 10.0 ** int(entry.spread.as_tuple().exponent)


def _distance(value: float, entry: PublishedValue) -> float:
    """How far a number lies outside the interval that is printed like ``entry``."""
    return max(entry.low - value, value - entry.high, 0.0)
