"""How often intervals hold the truth: small cohorts that are drawn again and again, with an AUC that is known exactly.

Patients of two classes differ in the means of independent normal features, of which only the first tell. A linear
score with weights w then has the AUC Phi(w m / (|w| sqrt 2)), m the differences of means: no test set is needed to
know it. A training resamples its patients, as another seed of a network would end elsewhere.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from radlib.core.progress import track
from radlib.core.seeds import rng
from radlib.stats.intervals import Estimate, corrected_resampled_interval, proportion
from radlib.stats.roc import auc
from radlib.study.estimates import class_contrasts, class_estimates
from radlib.study.jobs import job
from radlib.study.store import Work

Floats = NDArray[np.float64]

ONE, CROSSED = "patients, one training", "trainings x patients"
FOLDS, CORRECTED, REPEATED = "t over folds", "t over folds, corrected", "repeats of folds x patients"
INTERVALS = {ONE: "held out", CROSSED: "held out", FOLDS: "folds", CORRECTED: "folds", REPEATED: "folds"}
"""Intervals, and the design of the study in which each is used."""

ALL, AGAIN, FEW = "all features", "all features again", "half of the features"
AUC, DIFFERENCE, NOTHING = "AUC", "of two models", "of equals"
SLUGS = {
    ONE: "one", CROSSED: "crossed", FOLDS: "folds", CORRECTED: "corrected", REPEATED: "repeated",
    AUC: "auc", DIFFERENCE: "difference", NOTHING: "nothing",
}  # fmt: skip
QUANTITIES = {AUC: (ALL, ""), DIFFERENCE: (ALL, FEW), NOTHING: (ALL, AGAIN)}
"""What intervals are of: a model's AUC, or the first model's minus the second's."""


@job
def coverage(
    work: Work, *, n_cohorts: int = 200, n: int = 100, test_share: float = 0.4, n_features: int = 20,
    n_telling: int = 12, bayes: float = 0.85, n_runs: int = 5, n_folds: int = 5, n_truth: int = 60, n_boot: int = 500,
    seed: int = 0,
) -> None:  # fmt: skip
    """Draw cohorts, compute every interval in each, and keep it beside the truth.

    Args:
        n_cohorts: drawn.
        n: patients of a cohort, half of either class.
        test_share: held out of the trainings, where they are held out.
        n_features: of which the first half is what the second model sees.
        n_telling: the first so many differ between classes, all by the same.
        bayes: AUC of who knows by how much.
        n_runs: trainings, and repeats of the folds.
        n_folds: of the folds.
        n_truth: trainings over which the true mean is taken.
        n_boot: resamples.
        seed: of everything.

    The table ``intervals`` has ``cohort, interval, quantity, low, high, same, any``: the true value for these training
    patients (mean over trainings), and the mean over all cohorts (other training patients too).
    """
    gap = np.zeros(n_features)
    gap[:n_telling] = stats.norm.ppf(bayes) * np.sqrt(2 / n_telling)
    rows = []
    for cohort in track(range(n_cohorts), description="cohorts"):
        random = rng(seed, "cohort", cohort)
        truth = random.permutation(n) % 2 == 1
        x = random.normal(size=(n, n_features)) + truth[:, None] * gap
        held_out = np.arange(n) < round(test_share * n)
        divisions = [random.permutation(n) % n_folds for _ in range(n_runs)]
        seen_by = {"held out": ~held_out, "folds": divisions[0] != 0}  # which patients a training has seen
        scores, same = [], {}
        for arm, k in ((ALL, n_features), (AGAIN, n_features), (FEW, n_features // 2)):
            for design, seen in seen_by.items():
                trainings = (train(x[seen, :k], truth[seen], random) for _ in range(n_truth))
                same[design, arm] = float(np.mean([true_auc(one, gap) for one in trainings]))
            for run, division in enumerate(divisions):
                weights = train(x[~held_out, :k], truth[~held_out], random)
                scores.append(_rows("held out", arm, run, truth, x[:, :k] @ weights, held_out, division))
                score = np.zeros(n)
                for fold in range(n_folds):
                    test = division == fold
                    score[test] = x[test, :k] @ train(x[~test, :k], truth[~test], random)
                scores.append(_rows("folds", arm, run, truth, score, np.full(n, True), division))
        for (interval, quantity), one in _intervals(pd.concat(scores), n_boot).items():
            first, second = QUANTITIES[quantity]
            design = INTERVALS[interval]
            known = same[design, first] - (same[design, second] if second else 0.0)
            rows.append({
                "cohort": cohort, "interval": interval, "quantity": quantity, "low": one.low, "high": one.high,
                "same": 0.0 if second == AGAIN else known,
            })  # fmt: skip
    table = pd.DataFrame(rows)
    table["any"] = table.groupby(["interval", "quantity"])["same"].transform("mean")
    work.table("intervals", table)


def train(x: Floats, truth: NDArray[np.bool_], random: np.random.Generator) -> Floats:
    """Weights of a ridge classifier (penalty 1) on patients drawn with replacement, both classes among them."""
    members = np.concatenate(
        [random.choice(np.flatnonzero(truth == value), (truth == value).sum()) for value in (0, 1)]
    )
    a, b = x[members] - x[members].mean(axis=0), truth[members] - truth[members].mean()
    weights: Floats = np.linalg.solve(a.T @ a + np.eye(x.shape[1]), a.T @ b)
    return weights


def true_auc(weights: Floats, gap: Floats) -> float:
    """The AUC of the score ``weights`` (k,) where the means of unit normal features differ by ``gap`` (at least k,)."""
    return float(stats.norm.cdf(weights @ gap[: len(weights)] / (np.linalg.norm(weights) * np.sqrt(2))))


def _rows(
    design: str, arm: str, run: int, truth: NDArray[np.bool_], score: Floats, tested: NDArray[np.bool_],
    division: NDArray[np.int_],
) -> pd.DataFrame:  # fmt: skip
    subjects = np.flatnonzero(tested).astype(str)
    return pd.DataFrame({
        "design": design, "arm": arm, "run": run, "subject": subjects, "truth": truth[tested],
        "predicted": score[tested] > 0, "score": score[tested], "fold": division[tested],
    })  # fmt: skip


def _intervals(scores: pd.DataFrame, n_boot: int) -> dict[tuple[str, str], Estimate]:
    found = {}
    for quantity, (first, second) in QUANTITIES.items():
        for interval, design in INTERVALS.items():
            part = scores[(scores["design"] == design) & ((scores["run"] == 0) | (interval in (CROSSED, REPEATED)))]
            if interval in (FOLDS, CORRECTED):
                by_fold = {key: auc(one["truth"], one["score"]) for key, one in part.groupby(["arm", "fold"])}
                values = [
                    by_fold[first, fold] - (by_fold[second, fold] if second else 0.0)
                    for fold in sorted(part["fold"].unique())
                ]
                share = 1.0 / len(values)
                found[interval, quantity] = corrected_resampled_interval(
                    values, n_train=1 - share, n_test=share if interval == CORRECTED else 0.0
                )
            else:
                frame = (
                    class_contrasts(part, [(first, second)], n_boot=n_boot) if second
                    else class_estimates(part, metrics=["auc"], arms=[first], n_boot=n_boot)
                )  # fmt: skip
                found[interval, quantity] = Estimate(**frame.iloc[0][["value", "low", "high", "n"]])
    return found


def coverage_table(intervals: pd.DataFrame) -> pd.DataFrame:
    """How often each interval holds the truth, and how wide it is.

    Args:
        intervals: the table of :func:`coverage`.

    Returns:
        One row an interval and quantity: ``interval, quantity, design, target`` (``these training patients`` or
        ``any``), ``covers, low, high`` (share of cohorts, Wilson), ``n``, ``width`` (mean).
    """
    rows = []
    for (interval, quantity), part in intervals.groupby(["interval", "quantity"], sort=False):
        for target, name in (("same", "these training patients"), ("any", "any training patients")):
            inside = int(((part["low"] <= part[target]) & (part[target] <= part["high"])).sum())
            one = proportion(inside, len(part))
            rows.append({
                "interval": interval, "quantity": quantity, "design": INTERVALS[str(interval)], "target": name,
                "covers": one.value, "low": one.low, "high": one.high, "n": one.n,
                "width": float((part["high"] - part["low"]).mean()),
            })  # fmt: skip
    return pd.DataFrame(rows)
