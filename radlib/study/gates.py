"""Gates on evidence: what must hold before a claim is called *as claimed* or *reversed*; else it is *open*.

A word needs at least five trainings an arm, a paired contrast whose crossed interval excludes zero, networks that beat
the trivial rule of their task, learning curves that are flat at their end, and a comparator above its own rule (the
majority, where the task is a classification). A claim of several contrasts has one word by :func:`joint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.stats.intervals import Estimate

Word = Literal["as claimed", "reversed", "open"]

LEAST_RUNS = 5
"""Trainings an arm below which nothing is said about a difference."""

FLAT = 0.01
"""By how much Dice or AUC may change in the last quarter of a training that has come to its end."""


class Gate(NamedTuple):
    """What it means that a gate fails: ``plain`` for everyone, in a few words, and ``exact``."""

    plain: str
    exact: str


GATES = {
    "trainings": Gate("too few trainings", f"fewer than {LEAST_RUNS} trainings an arm"),
    "interval": Gate("may be chance", "the interval of the paired difference holds 0"),
    "competence": Gate("no better than a simple rule", "a network is not above the trivial rule of its task"),
    "convergence": Gate(
        "training unfinished", f"a learning curve still changes by {FLAT} or more in its last quarter"
    ),
    "comparator": Gate("rival too weak", "the comparator is not above its own rule"),
}  # fmt: skip
"""Every gate by its slug, in the order in which they are named."""


@dataclass(frozen=True)
class Verdict:
    """A word on a claim.

    Attributes:
        word: ``as claimed``, ``reversed`` or ``open``.
        failed: slugs of the gates that failed, in the order of :data:`GATES`; empty unless the word is ``open``.
    """

    word: Word
    failed: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The gates that failed, in words."""
        return "; ".join(GATES[name].exact for name in self.failed)


def verdict(
    contrast: Estimate,
    *,
    runs: int,
    competence: Mapping[str, Estimate],
    curves: Mapping[str, float] | None,
    comparator: Estimate | None = None,
    claimed: Literal[1, -1] = 1,
    margin: float = 0.0,
) -> Verdict:
    """The word that a paired contrast earns.

    Args:
        contrast: first arm minus second (:func:`radlib.study.estimates.contrasts`).
        runs: trainings that both arms have.
        competence: by arm, its paired contrast with the trivial rule (two thresholds, the straight line, the majority).
            An empty mapping fails: a network that was compared with nothing is not known to be competent.
        curves: by arm, the change in the last quarter (:func:`last_quarter_change`); NaN, or an empty mapping, fails.
            None for models that are not trained in steps, such as a linear SVM.
        comparator: the second arm minus its own rule, where the claim needs a second arm that works.
        claimed: the sign that the claim gives the contrast.
        margin: for a claim of *no worse than*: by how much the first arm may fall behind, in the contrast's unit. The
            interval is then held against minus the margin.
    """
    value, low, high = (claimed * limit + margin for limit in (contrast.value, contrast.low, contrast.high))
    low, high = sorted((low, high)) if low == low and high == high else (low, high)
    failed = {
        "trainings": runs < LEAST_RUNS,
        "interval": not (low > 0 or high < 0),
        "competence": not competence or not all(one.low > 0 for one in competence.values()),
        "convergence": curves is not None and not (curves and all(change < FLAT for change in curves.values())),
        "comparator": comparator is not None and not comparator.low > 0,
    }
    if any(failed.values()):
        return Verdict("open", tuple(name for name in GATES if failed[name]))
    return Verdict("as claimed" if value > 0 else "reversed")


def joint(verdicts: Sequence[Verdict]) -> Verdict:
    """The word on a claim of several contrasts, all of which it asserts.

    One that is reversed reverses the claim; else one that is open leaves it open, with the gates that failed anywhere.

    Raises:
        RadlibError: without a verdict.
    """
    if not verdicts:
        raise RadlibError("a claim without a contrast has no word", remedy="declare what decides it")
    words = {one.word for one in verdicts}
    if words == {"as claimed"} or "reversed" in words:
        return Verdict("reversed" if "reversed" in words else "as claimed")
    return Verdict("open", tuple(name for name in GATES if any(name in one.failed for one in verdicts)))


def last_quarter_change(history: pd.DataFrame, metric: str) -> dict[str, float]:
    """How much an arm's validation curve, the mean over its trainings, still moves in the last quarter of the steps.

    The mean comes first, the absolute value after it: a single training moves by the noise of its validation even
    where nothing is learnt any more, and the mean of *absolute* changes never falls below that noise.

    Args:
        history: of a study (:attr:`radlib.study.studies.Study.history`): ``arm, training, step, part``, the metric.
        metric: a validation metric, such as ``dice``.

    Returns:
        By arm, the absolute mean over trainings of the last value minus the last one at or before three quarters of
        the steps; NaN for an arm in which a training has no two such values.

    Raises:
        RadlibError: if the history lacks the metric.
    """
    if metric not in history:
        raise RadlibError(f"the history has no metric {metric!r}", remedy=f"it has {', '.join(map(str, history))}")
    seen = history[history["part"] == "validation"].dropna(subset=[metric])
    changes: dict[str, list[float]] = {str(arm): [] for arm in history["arm"].unique()}
    for (arm, _), one in seen.groupby(["arm", "training"], sort=False):
        before = one.loc[one["step"] <= 0.75 * one["step"].max(), metric]
        changes[str(arm)].append(one[metric].iloc[-1] - before.iloc[-1] if len(before) else float("nan"))
    return {arm: abs(sum(found) / len(found)) if found else float("nan") for arm, found in changes.items()}
