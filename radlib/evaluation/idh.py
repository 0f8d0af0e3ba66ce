"""IDH status from a radiomic table: the patients, the labels and their doubts, and the tables of the chapter.

The cohort of Ge 2020 counts every patient without an IDH1 mutation on record as wild-type. Three versions of the
label are therefore kept apart: as counted, as known, and (in a simulated cohort) the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.evaluation.binary import (
    SVM,
    Question,
    Recipe,
    Results,
    results_table,
    run_controls,
    run_protocols,
)
from radlib.evaluation.classification import Predictions, difference, mcnemar_exact
from radlib.evaluation.intervals import Estimate
from radlib.evaluation.noise import FitPredict, assignment_bounds, assignment_simulation, counted_as_negative
from radlib.evaluation.protocols import LEAKAGE_FREE, Splitter, out_of_fold
from radlib.evaluation.roc import auc, delong_test
from radlib.reporting.tables import format_interval

#: Imaging variables of the simulation, as ``truth/traits.tsv`` names them.
TRAITS = (
    "volume_ml", "fraction_et", "fraction_core", "necrosis", "border_sharpness", "t2_flair_mismatch", "n_foci",
    "mass_effect", "heterogeneity",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Three versions of the IDH status of the same patients, True for mutant.

    Attributes:
        counted: as the cohort counts them: no mutation on record is wild-type.
        known: NaN where the status was not determined, else 1.0 for mutant.
        truth: of a simulated cohort, else None.
    """

    counted: pd.Series
    known: pd.Series
    truth: pd.Series | None = None

    @property
    def uncertain(self) -> np.ndarray:
        """``(n,)``, True where the status was not determined."""
        return self.known.isna().to_numpy()


def labels_of(cohort: Cohort, *, unknown_share: float, missed_share: float, seed: int = 0) -> Labels:
    """The labels of a cohort.

    Real patients: as Ge 2020 counts them (``idh``), and Ceccarelli et al.'s status (``idh_ceccarelli``). A user's own
    patients: ``idh``, where an empty cell counts as wild-type. Simulated patients: the truth is known, and the same
    kind of gap is made: ``unknown_share`` of the patients lose their status, ``missed_share`` of the other mutants
    are overlooked, and all of these count as wild-type.
    """
    cohort.require("idh", "radiomics")
    table = cohort.participants
    mutant = table["idh"] == "mutant"
    if cohort.source == "simulated":
        truth = mutant.to_numpy(dtype=bool)
        lost = rng(seed, "status lost").random(len(table)) < unknown_share
        counted = counted_as_negative(truth, unknown=lost.astype(float), missed=missed_share, seed=seed)
        known = pd.Series(np.where(lost, np.nan, truth.astype(float)), index=table.index)
        return Labels(counted=pd.Series(counted, index=table.index), known=known, truth=mutant)
    status = table["idh_ceccarelli"] if "idh_ceccarelli" in table else table["idh"]
    known = (status == "mutant").astype(float).where(status.notna())
    return Labels(counted=mutant.astype(bool), known=known)


def questions_of(cohort: Cohort, labels: Labels) -> dict[str, Question]:
    """``all`` (labels as counted), ``known`` (patients of known status, by that status), ``LGG`` and ``GBM``."""
    assert cohort.radiomics is not None
    table = cohort.participants
    everyone = Question(
        name=f"all {len(table)}",
        features=cohort.radiomics.loc[table.index],
        truth=labels.counted,
        clinical=table[["age", "collection"]],
    )
    sure = ~labels.uncertain
    known = everyone.subset(f"known status ({sure.sum()})", sure).relabelled(labels.known[sure] == 1)
    questions = {"all": everyone, "known": known}
    for name in ("LGG", "GBM"):
        members = (table["collection"] == name).to_numpy()
        if members.any():
            questions[name] = everyone.subset(f"{name} only ({members.sum()})", members)
    return questions


def composition(cohort: Cohort, labels: Labels) -> pd.DataFrame:
    """Patients by collection: as counted, and by known status."""
    frame = pd.DataFrame(
        {
            "collection": cohort.participants["collection"].fillna("unknown"),
            "counted": np.where(labels.counted, "mutant", "wild-type"),
            "known": labels.known.map({1.0: "known mutant", 0.0: "known wild-type"}).fillna("status unknown"),
        }
    )
    counts = frame.value_counts(["collection", "counted", "known"]).rename("patients").reset_index()
    columns = ["known mutant", "known wild-type", "status unknown"]
    wide = counts.pivot(index=["collection", "counted"], columns="known", values="patients")
    wide = wide.reindex(columns=columns).fillna(0).astype(int)
    return wide.assign(patients=wide.sum(axis=1)).reset_index().rename(columns={"counted": "counted as"})


def display_table(table: pd.DataFrame, metrics: Sequence[str], *, names: dict[str, str]) -> pd.DataFrame:
    """Models down, metrics across, each cell a value with its interval."""
    numbers = table[["value", "low", "high"]].to_numpy(dtype=float)
    cells = [format_interval(*row) for row in numbers]
    wide = table.assign(cell=cells).pivot_table(
        index=["protocol", "model"], columns="metric", values="cell", aggfunc="first", sort=False
    )
    return wide[list(metrics)].rename(columns=names).reset_index()


def paired_comparisons(results: Results, reference: Predictions, *, n_boot: int, seed: int) -> pd.DataFrame:
    """The reference against every other model on the same patients (one run): AUC and accuracy.

    Columns: ``protocol, model, AUC difference, DeLong p, accuracy difference, McNemar p``; differences are reference
    minus model, with DeLong's interval and the paired BCa interval.
    """
    rows = []
    for (protocol, model), other in results.items():
        if other is reference or reference.score is None or other.score is None:
            continue
        ranks = delong_test(reference.truth, reference.score[0], other.score[0])
        gap = difference(reference, other, "accuracy", n_boot=n_boot, seed=seed)
        decisions = mcnemar_exact(reference.truth, reference.predicted[0], other.predicted[0])
        rows.append(
            {
                "protocol": protocol,
                "model": model,
                "AUC difference": format_interval(ranks.difference, ranks.low, ranks.high),
                "p (DeLong)": ranks.p_value,
                "accuracy difference": format_interval(gap.value, gap.low, gap.high),
                "p (McNemar)": decisions.p_value,
            }
        )
    return pd.DataFrame(rows)


def group_table(
    questions: dict[str, Question], splitter_of: dict[str, Splitter], recipe: Recipe, *, n_boot: int, seed: int
) -> tuple[pd.DataFrame, dict[str, Results], list[str]]:
    """All models for several groups of patients: the long table, the predictions, and why a group was left out."""
    parts, found, reasons = [], {}, []
    for name, question in questions.items():
        if question.obstacle:
            reasons.append(question.obstacle)
            continue
        found[name] = run_protocols(question, splitter_of[name], recipe, probabilities=False)
        part = results_table(found[name], n_boot=n_boot, seed=seed)
        parts.append(part.assign(group=question.name))
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()), found, reasons


def doubt_table(results: Results, labels: Labels, rate: np.ndarray, *, seed: int) -> pd.DataFrame:
    """How far accuracy and AUC move under other labels of the uncertain patients, model by model.

    Columns: ``protocol, model, metric, value`` (as counted), ``low, high`` (bounds over all labellings),
    ``mean, plausible low, plausible high`` (labels drawn with ``rate``).
    """
    rows = []
    for (protocol, model), predictions in results.items():
        bounds = assignment_bounds(predictions, labels.uncertain)
        drawn = assignment_simulation(predictions, labels.uncertain, rate, seed=seed)
        for metric in ("accuracy", "auc"):
            low, high = drawn.loc[metric, ["low", "high"]]
            rows.append(
                {
                    "protocol": protocol,
                    "model": model,
                    "metric": metric,
                    **bounds.loc[metric].to_dict(),
                    "mean": drawn.loc[metric, "mean"],
                    "plausible low": low,
                    "plausible high": high,
                }
            )
    return pd.DataFrame(rows)


def rate_by_collection(cohort: Cohort, labels: Labels) -> np.ndarray:
    """The share of mutants among patients of known status of the same collection, with one of each added (Laplace)."""
    collection = cohort.participants["collection"].fillna("unknown")
    known = labels.known.groupby(collection)
    rate = (known.sum() + 1) / (known.count() + 2)
    return collection.map(rate).to_numpy(dtype=float)


def refitter(question: Question, splitter: Splitter, recipe: Recipe, model: str) -> FitPredict:
    """A function that trains a model of :func:`run_protocols` on given labels and predicts the same patients."""

    def fit_predict(labels: np.ndarray, seed: int) -> Predictions:
        noisy = question.relabelled(labels)
        if model != SVM:
            (found,) = (p for (_, name), p in run_controls(noisy, splitter).items() if name == model)
            return found
        return leakage_free(noisy, splitter, recipe)

    return fit_predict


def leakage_free(question: Question, splitter: Splitter, recipe: Recipe) -> Predictions:
    """The whole radiomics pipeline refitted in every training fold (decisions only)."""
    from radlib.evaluation.binary import predictions_of

    with warnings.catch_warnings():
        # A feature that is constant in one class makes SciPy warn of lost precision; its p-value is right.
        warnings.filterwarnings("ignore", message="Precision loss occurred", category=RuntimeWarning)
        run = out_of_fold(question.features, question.truth, models={SVM: recipe.whole()}, splitter=splitter)
    return predictions_of(run, LEAKAGE_FREE, SVM, order=question.truth.index)


def planted_traits(cohort: Cohort) -> pd.DataFrame:
    """What a simulated image had to show, ``(patients, traits)``; the lobe as one column a lobe."""
    if cohort.truth is None or not (cohort.truth / "traits.tsv").is_file():
        raise MissingDataError(
            f"cohort {cohort.name!r} has no planted traits", file=cohort.truth, remedy="use cohort='simulated'"
        )
    traits = pd.read_csv(cohort.truth / "traits.tsv", sep="\t", index_col="id").loc[cohort.participants.index]
    lobes = pd.get_dummies(traits["lobe"], prefix="lobe", dtype=float)
    return pd.concat([traits[list(TRAITS)].astype(float), lobes], axis=1)


def planted_table(traits: pd.DataFrame, truth: pd.Series, within: pd.Series) -> pd.DataFrame:
    """How well each planted trait alone tells the classes apart (AUC, direction ignored), overall and in LGG."""
    rows = []
    inside = (within == "LGG").to_numpy()
    for name in traits:
        values = [auc(truth[mask], traits[name][mask]) for mask in (np.ones(len(truth), dtype=bool), inside)]
        rows.append({"trait": name, **dict(zip(("all", "LGG"), (max(v, 1 - v) for v in values), strict=True))})
    return pd.DataFrame(rows).sort_values("all", ascending=False, ignore_index=True)


def estimate_of(table: pd.DataFrame, protocol: str, model: str, metric: str) -> Estimate:
    """One cell of :func:`~radlib.evaluation.binary.results_table`."""
    rows = table[(table["protocol"] == protocol) & (table["model"] == model) & (table["metric"] == metric)]
    row = rows.iloc[0]
    return Estimate(row["value"], row["low"], row["high"], int(row["n"]), row["interval"])
