"""Prediction from wide tables as in Li 2017: t-test, F-score ranking and a linear SVM, refitted in every fold.

With 16,384 features and 119 patients nearly all of the time of a leave-one-out run would go into selecting anew. Sums
and sums of squares of each class are therefore taken once, those of the test patients are taken off in each fold, and
the machine sees the kernel of the selected, standardised features. The results are those of the pipeline
:func:`radlib.stats.tabular.radiomics_svm` under the same folds, in a hundredth of its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.svm import SVC

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import rng
from radlib.data.published import published
from radlib.data.splits import hold_out
from radlib.stats.classification import Predictions, evaluate
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, RepeatedFolds
from radlib.stats.roc import auc

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Fold = tuple[Indices, Indices]

#: Whether standardisation and selection see the patients that are tested.
Selection = Literal["outside", "inside"]
SELECTION: dict[str, Selection] = {AS_PUBLISHED: "outside", LEAKAGE_FREE: "inside"}


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """The settings of the classifier.

    Attributes:
        alpha: level of the t-test.
        n_selected: the best so many by F-score of those that pass; None keeps all that pass.
        C: box constraint.
    """

    alpha: float = 0.05
    n_selected: int | None = None
    C: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a selection knows of every feature in one training set.

    Attributes:
        p: of Student's t-test, two-sided; 1 for a constant feature.
        f: F-scores (Chen and Lin 2006); 0 for a constant feature.
        mean, scale: of the training patients (ddof 0).
    """

    p: Floats
    f: Floats
    mean: Floats
    scale: Floats

    def select(self, classifier: Classifier) -> Indices:
        """Features that pass the t-test, best F-score first; where none passes, the one with the smallest p."""
        passed = np.flatnonzero(self.p < classifier.alpha) if classifier.alpha < 1 else np.arange(len(self.p))
        if not len(passed):
            passed = np.array([int(np.argmin(self.p))])
        ranked = passed[np.argsort(-self.f[passed], kind="stable")]
        return ranked[: classifier.n_selected]


class Table:
    """A wide table with the sums that a selection in folds needs.

    Args:
        values: ``(patients, features)``, finite.
        truth: ``(patients,)`` booleans, both classes present.
        standardised: whether the values are those of another table.

    Raises:
        RadlibError: for values that are not finite, other lengths, or one class only.
    """

    def __init__(self, values: npt.ArrayLike, truth: npt.ArrayLike, *, standardised: bool = False) -> None:
        data, self.truth = np.asarray(values, dtype=np.float64), np.asarray(truth, dtype=bool)
        if data.ndim != 2 or len(data) != len(self.truth):
            raise RadlibError(
                f"a table of shape {data.shape} and {len(self.truth)} labels", remedy="give one row and label a patient"
            )
        if not np.isfinite(data).all():
            raise RadlibError("a feature is NaN or infinite", remedy="fill gaps first")
        if self.truth.all() or not self.truth.any():
            raise RadlibError("all patients are of one class", remedy="ask about patients of both")
        self.values = data if standardised else _standardised(data)
        self.sums = np.stack([self.values[self.truth == c].sum(axis=0) for c in (False, True)])
        self.squares = np.stack([_squares(self.values[self.truth == c]) for c in (False, True)])

    def relabelled(self, truth: npt.ArrayLike) -> Table:
        """The same features with other labels."""
        return Table(self.values, truth, standardised=True)

    def scores(self, left_out: Indices | None = None) -> Scores:
        """t-test and F-score of all patients but some.

        A class of one patient has no variance of its own; the pooled variance is then the other class's.

        Raises:
            RadlibError: if a class is empty without them.
        """
        sums, squares, sizes = self.sums.copy(), self.squares.copy(), np.array([(~self.truth).sum(), self.truth.sum()])
        for c in (0, 1) if left_out is not None else ():
            gone = left_out[self.truth[left_out] == bool(c)]  # type: ignore[index]
            sums[c] -= self.values[gone].sum(axis=0)
            squares[c] -= _squares(self.values[gone])
            sizes[c] -= len(gone)
        if sizes.min() < 1 or sizes.sum() < 3:
            raise RadlibError(
                f"a training set has {sizes[1]} and {sizes[0]} patients of the two classes",
                remedy="leave fewer out, or ask about more patients",
            )
        means = sums / sizes[:, None]
        within = np.maximum(squares - sizes[:, None] * means**2, 0)
        n = int(sizes.sum())
        centre = sums.sum(axis=0) / n
        total = np.maximum(squares.sum(axis=0) / n - centre**2, 0)
        varies = total > 1e-12
        pooled = within.sum(axis=0) / (n - 2) if n > 2 else np.zeros_like(centre)
        variances = within / np.maximum(sizes - 1, 1)[:, None]
        between = ((means - centre) ** 2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(means[1] - means[0]) / np.sqrt(pooled * (1 / sizes).sum())
            f = np.where(varies, between / variances.sum(axis=0), 0.0)
        p = np.where(varies, 2 * stats.t.sf(np.where(varies, t, 0), n - 2), 1.0)
        return Scores(p=p, f=f, mean=centre, scale=np.sqrt(np.where(varies, total, 1)))


def leave_one_out(n: int) -> list[Fold]:
    """Every patient tested once, alone."""
    everyone = np.arange(n)
    return [(np.delete(everyone, i), everyone[i : i + 1]) for i in range(n)]


def folds_of(truth: npt.NDArray[np.bool_], *, n_folds: int, seed: int, repeat: int = 0) -> list[Fold]:
    """Stratified folds, others in every repeat; at most as many as the smaller class has patients."""
    n_folds = max(2, min(n_folds, int(truth.sum()), int((~truth).sum())))
    names = [str(i) for i in range(len(truth))]
    splitter = RepeatedFolds(n_folds=n_folds, n_repeats=repeat + 1, seed=seed)
    return [split.indices(names) for split in splitter.folds(names, list(truth), repeat=repeat)]


def predict(
    table: Table,
    folds: Sequence[Fold],
    classifier: Classifier,
    *,
    selection: Selection,
    numbers: Sequence[int] | None = None,
) -> tuple[list[Predictions], npt.NDArray[np.intp]]:
    """Predict every patient of the test folds.

    Args:
        table: features and labels.
        folds: training and test patients; each patient is tested once at most.
        classifier: selection and machine.
        selection: ``outside``: standardisation, t-test and ranking see all patients, as the paper's text reads;
            ``inside``: the training patients of each fold alone.
        numbers: several numbers of features instead of the classifier's.

    Returns:
        Predictions for each number (or one, of the classifier), patients in the order of the table, those never tested
        left out; and the number of features used in each fold, ``(folds,)`` (of the first number).
    """
    wanted = [classifier] if numbers is None else [replace(classifier, n_selected=k) for k in numbers]
    n = len(table.truth)
    score, tested = np.zeros((len(wanted), n)), np.zeros(n, dtype=bool)
    counts = np.zeros(len(folds), dtype=np.intp)
    outside = table.scores() if selection == "outside" else None
    for number, (train, test) in enumerate(folds):
        found = table.scores(np.setdiff1d(np.arange(n), train)) if outside is None else outside
        tested[test] = True
        ranked = found.select(replace(classifier, n_selected=None))
        scaled = (table.values[:, ranked] - found.mean[ranked]) / found.scale[ranked]
        for place, one in enumerate(wanted):
            best = scaled[:, : one.n_selected]
            if place == 0:
                counts[number] = best.shape[1]
            machine = SVC(kernel="precomputed", C=classifier.C).fit(best[train] @ best[train].T, table.truth[train])
            score[place, test] = machine.decision_function(best[test] @ best[train].T)
    return [Predictions.of(table.truth[tested], s[tested] > 0, score=s[tested]) for s in score], counts


def number_chosen_inside(
    table: Table,
    folds: Sequence[Fold],
    classifier: Classifier,
    numbers: Sequence[int],
    *,
    n_inner: int = 5,
    seed: int = 0,
) -> tuple[Predictions, npt.NDArray[np.intp]]:
    """The number of features chosen in each training set by inner folds (AUC), then everything refitted on it.

    Returns:
        The predictions, and the numbers chosen ``(folds,)``.
    """
    n = len(table.truth)
    score, tested, chosen = np.zeros(n), np.zeros(n, dtype=bool), np.zeros(len(folds), dtype=np.intp)
    for number, (train, test) in enumerate(track(folds, description="number chosen inside")):
        inner_truth = table.truth[train]
        best = numbers[0]
        if min(inner_truth.sum(), (~inner_truth).sum()) > 1:
            inner = folds_of(inner_truth, n_folds=n_inner, seed=seed)
            moved = [(train[a], train[b]) for a, b in inner]
            found, _ = predict(table, moved, classifier, selection="inside", numbers=numbers)
            areas = [auc(one.truth, one.score[0]) for one in found if one.score is not None]
            best = numbers[int(np.argmax(areas))]
        (one,), _ = predict(table, [(train, test)], replace(classifier, n_selected=best), selection="inside")
        assert one.score is not None
        score[test], tested[test], chosen[number] = one.score[0], True, best
    return Predictions.of(table.truth[tested], score[tested] > 0, score=score[tested]), chosen


def readings(classifier: Classifier, *, few: int) -> dict[str, tuple[Selection, Classifier]]:
    """What the paper's text may mean: which patients the selection sees, and how many features it keeps."""
    best = replace(classifier, n_selected=few)
    return {
        AS_PUBLISHED: ("outside", classifier), LEAKAGE_FREE: ("inside", classifier),
        f"best {few}, outside": ("outside", best), f"best {few}, inside": ("inside", best),
        # Standardised on all patients: no label is used, and shuffles share one kernel.
        "no selection": ("outside", replace(classifier, alpha=1.0)),
    }  # fmt: skip


def permutation_table(
    table: Table, asked: Mapping[str, tuple[Selection, Classifier]], *, permutations: int, n_folds: int,
    seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """The procedure on labels shuffled between patients; the permutation -1 has the labels as they are.

    Args:
        table: features and labels.
        asked: of :func:`readings`.
        permutations: shuffles.
        n_folds: folds of each; 0 leaves one patient out.
        seed: of the shuffles and folds.

    Returns:
        Rows ``permutation, protocol, metric, value``; ``protocol`` is the reading.
    """
    rows = []
    for number in track(range(-1, permutations), description="shuffled labels"):
        labels = rng(seed, "permutation", number).permutation(table.truth) if number >= 0 else table.truth
        moved = table.relabelled(labels)
        folds = folds_of(labels, n_folds=n_folds, seed=seed + max(number, 0)) if n_folds else leave_one_out(len(labels))
        for reading, (selection, classifier) in asked.items():
            (found,), _ = predict(moved, folds, classifier, selection=selection)
            estimates = evaluate(found, n_boot=1)
            rows += [
                {"permutation": number, "protocol": reading, "metric": name, "value": estimates[name].value}
                for name in ("auc", "accuracy", "mcc")
            ]
    return pd.DataFrame(rows)


def time_split(table: pd.DataFrame, *, test: Sequence[tuple[str, int]], seed: int) -> tuple[list[str], list[str]]:
    """Training and test patients by time of diagnosis.

    Where the table has a column ``diagnosis_year`` (a user's own cohort may), patients of 2015 and later are tested.
    Otherwise, as in a simulated cohort, in which time does nothing, so many patients of each class are drawn as the
    paper tests; fewer where the cohort is smaller, in proportion.

    Args:
        table: participants with ``idh``.
        test: IDH status and number of test patients.
        seed: of the draw.

    Raises:
        RadlibError: if a side would lack a class.
    """
    ids = [str(subject) for subject in table.index]
    if "diagnosis_year" in table and table["diagnosis_year"].notna().all():
        late = table["diagnosis_year"].astype(float) >= 2015
        train, held = list(table.index[~late]), list(table.index[late])
    else:
        held = []
        for status, count in test:
            group = [subject for subject in ids if table.loc[subject, "idh"] == status]
            whole = published("li2017.table1.first.samples." + {"mutant": "mutation"}.get(status, status)).value
            take = max(1, round(min(1.0, len(group) / whole) * count))
            if take >= len(group):
                raise RadlibError(
                    f"{len(group)} {status} patients cannot be split by time", remedy="use a larger cohort"
                )
            held += hold_out(group, test=take, seed=seed).test
        kept = set(held)
        train = [subject for subject in ids if subject not in kept]
    for side, members in (("before", train), ("after", held)):
        if table.loc[members, "idh"].nunique() < 2:
            raise RadlibError(f"all patients {side} 2015 are of one class", remedy="split at another time")
    return train, [subject for subject in ids if subject in set(held)]


def _standardised(data: Floats) -> Floats:
    """Around the mean and in standard deviations, so that sums of squares keep their digits.

    A column that differs in its last digits only is constant: standardising it would make signal of rounding.
    """
    constant = np.ptp(data, axis=0) <= 1e-12 * np.abs(np.median(data, axis=0))
    values = (data - data.mean(axis=0)) / np.where(constant, 1, data.std(axis=0))
    values[:, constant] = 0
    return np.asarray(values)


def _squares(values: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->j", values, values))
