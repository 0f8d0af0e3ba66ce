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

from radlib.book.kept import KeptRun
from radlib.core.errors import MissingDataError
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.stats.binary import (
    SVM,
    Question,
    Recipe,
    Results,
    folds_for,
    permuted,
    results_table,
    run_controls,
    run_protocols,
)
from radlib.stats.classification import Predictions, difference, mcnemar_exact
from radlib.stats.intervals import Estimate
from radlib.stats.noise import (
    FitPredict,
    assignment_bounds,
    assignment_simulation,
    counted_as_negative,
    refit_under_noise,
)
from radlib.stats.protocols import LEAKAGE_FREE, PERMUTED, Splitter, out_of_fold
from radlib.stats.roc import auc, delong_test
from radlib.stats.tables import format_interval

#: Imaging variables of the simulation, as ``truth/traits.tsv`` names them.
TRAITS = (
    "volume_ml", "fraction_et", "fraction_core", "necrosis", "border_sharpness", "t2_flair_mismatch", "n_foci",
    "mass_effect", "heterogeneity",
)  # fmt: skip


#: How the group of shuffles within collections is named, behind the name of the patients.
WITHIN = ", within collections"


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


def askable(questions: dict[str, Question], names: Sequence[str] = ("all", "LGG")) -> list[Question]:
    """Those of the named questions that exist and can be cross-validated; possibly none."""
    return [questions[name] for name in names if name in questions and not questions[name].obstacle]


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


def model_lines(table: pd.DataFrame) -> pd.Series:
    """What a plot calls each row: the model, and the protocol where the model runs under two."""
    return table["model"].where(table["model"] != SVM, table["model"] + ", " + table["protocol"])


def gap_sentence(gaps: pd.DataFrame, group: str, *, n_selected: int) -> str:
    """The gaps of one group as a range over the numbers tried, and where the number in use stands among them."""
    part = gaps[gaps["group"] == group].sort_values("features")
    ranked = part.sort_values("gap", kind="stable")
    smallest, largest = ranked.iloc[0], ranked.iloc[-1]
    text = (
        f"In the group *{group}* the AUC as published exceeds the leakage-free one by {smallest['gap']:.3f} "
        f"({smallest['features']:.0f} kept) to {largest['gap']:.3f} ({largest['features']:.0f} kept), over "
        f"the {len(part)} numbers tried"
    )
    # A table with fewer features than asked for was tried with all that it has.
    used = part[part["features"] == min(n_selected, part["features"].max())]
    if used.empty:
        return f"{text}; the {n_selected} used in this chapter are not among them."
    rank = int((part["gap"] > used["gap"].item()).sum()) + 1
    place = "the largest" if rank == 1 else f"number {rank} from the largest"
    return f"{text}; with the {n_selected} used in this chapter it is {used['gap'].item():.3f}, {place}."


def permutation_table(
    questions: Sequence[Question],
    recipe: Recipe,
    *,
    permutations: int,
    within: pd.Series | None,
    n_folds: int,
    n_repeats: int,
    seed: int,
) -> pd.DataFrame:
    """The procedure on shuffled labels for each question: rows ``permutation, protocol, metric, value, group``.

    The first question is also shuffled within the values of ``within`` (a group named ``..., within collections``),
    under the leakage-free protocol alone; None leaves that out.
    """
    parts = []
    for question in questions:
        splitter = folds_for(question, n_folds=n_folds, n_repeats=n_repeats, seed=seed)
        found = permuted(question, splitter, recipe, permutations=permutations, seed=seed)
        parts.append(found.assign(group=question.name))
    if within is not None and questions:
        first = questions[0]
        splitter = folds_for(first, n_folds=n_folds, n_repeats=n_repeats, seed=seed)
        found = permuted(
            first, splitter, recipe, permutations=permutations, within=within, protocols=[PERMUTED], seed=seed
        )
        parts.append(found.assign(group=f"{first.name}{WITHIN}"))
    return pd.concat(parts, ignore_index=True)


def collection_sentence(permutations: pd.DataFrame, observed: float) -> str:
    """What the features tell of the collection alone, against the AUC on the labels; empty without such shuffles.

    The p-value is one-sided, with the observed labels counted among the shuffles.
    """
    rows = permutations[permutations["group"].str.endswith(WITHIN) & (permutations["metric"] == "auc")]
    shuffled = rows["value"].dropna()
    if shuffled.empty:
        return ""
    p = (1 + (shuffled >= observed).sum()) / (1 + len(shuffled))
    return (
        f"Knowing only what the features tell of the collection, the SVM reaches an AUC of {shuffled.mean():.3f} "
        f"({shuffled.quantile(0.025):.3f} to {shuffled.quantile(0.975):.3f}); on the labels as counted it reaches "
        f"{observed:.3f} (p = {p:.3f}, one-sided; {len(shuffled)} shuffles allow no p below "
        f"{1 / (1 + len(shuffled)):.3f})."
    )


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


def doubt_lines(doubts: pd.DataFrame) -> pd.DataFrame:
    """:func:`doubt_table` for a dot plot: each row once a ``kind`` (bounds, plausible labels), with its ``line``."""
    plausible = {"value": doubts["mean"], "low": doubts["plausible low"], "high": doubts["plausible high"]}
    both = pd.concat(
        [doubts.assign(kind="bounds over all labellings"), doubts.assign(kind="plausible labels", **plausible)],
        ignore_index=True,
    )
    return both.assign(line=model_lines(both))


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


def refit_table(
    question: Question,
    splitter: Splitter,
    recipe: Recipe,
    models: Sequence[str],
    *,
    labels: Labels,
    collection: pd.Series,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Models trained on labels with the cohort's own kind of noise, judged by those labels and by the truth.

    Patients of the question lose their status with the share of their collection in the whole cohort, and mutants
    are overlooked with the share that the cohort overlooks among its known mutants.

    Returns:
        Means over the draws: ``model, metric, flipped`` (patients with a wrong label), ``by label, by truth``.
    """
    unknown = pd.Series(labels.uncertain, index=collection.index).groupby(collection).mean()
    mutants = labels.known == 1
    overlooked = float((mutants & ~labels.counted).sum() / max(mutants.sum(), 1))
    parts = []
    for model in models:
        noisy = refit_under_noise(
            refitter(question, splitter, recipe, model),
            question.truth,
            missed=overlooked,
            draws=draws,
            seed=seed,
            unknown=collection[question.truth.index].map(unknown).to_numpy(),
        )
        parts.append(noisy[noisy["metric"].isin(["accuracy", "auc", "mcc"])].assign(model=model))
    columns = ["flipped", "by label", "by truth"]
    return pd.concat(parts).groupby(["model", "metric"], sort=False)[columns].mean().reset_index()


def leakage_free(question: Question, splitter: Splitter, recipe: Recipe) -> Predictions:
    """The whole radiomics pipeline refitted in every training fold (decisions only)."""
    from radlib.stats.binary import predictions_of

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


def kept_sentences(kept: KeptRun, *, n_selected: int) -> list[str]:
    """What a kept run of the chapter found, in sentences whose numbers are its own."""
    said = {name: kept.text(name) for name in kept.results.values}
    permuted_auc = kept.table("permuted").query("metric == 'auc'")
    gaps = kept.table("number")
    sentences = [
        f"On the kept patients the radiomics SVM has an AUC of {said['svm_auc_published']} as published and "
        f"{said['svm_auc']} leakage-free, and a leakage-free accuracy of {said['svm_accuracy']}.",
        f"Without any image the collection rule has an AUC of {said['collection_rule_auc']} and an accuracy of "
        f"{said['collection_rule_accuracy']}, age alone {said['age_model_auc']} and {said['age_model_accuracy']}, age "
        f"with collection {said['age_collection_auc']} and {said['age_collection_accuracy']}.",
        *(
            f"Within {name} the SVM's AUC is {said[f'{name}_published']} as published and {said[f'{name}_clean']} "
            "leakage-free."
            for name in ("LGG", "GBM")
            if f"{name}_clean" in said
        ),
        *(gap_sentence(gaps, group, n_selected=n_selected) for group in gaps["group"].unique() if "LGG" in group),
    ]
    sentences += [
        f"On shuffled labels ({row['group']}; {row['protocol']}) the AUC is "
        f"{format_interval(row['value'], row['low'], row['high'])}."
        for row in permuted_auc.to_dict("records")
    ]
    return sentences


def measured_of(table: pd.DataFrame, *, arm: str) -> pd.DataFrame:
    """Rows of :func:`~radlib.stats.binary.results_table` of one model and protocol, for ``Report.measured``."""
    chosen = table[table["value"].notna()].assign(arm=arm, group="all")
    return chosen[["arm", "metric", "group", "value", "low", "high", "n"]]


def estimate_of(table: pd.DataFrame, protocol: str, model: str, metric: str) -> Estimate:
    """One cell of :func:`~radlib.stats.binary.results_table`."""
    rows = table[(table["protocol"] == protocol) & (table["model"] == model) & (table["metric"] == metric)]
    row = rows.iloc[0]
    return Estimate(row["value"], row["low"], row["high"], int(row["n"]), row["interval"])
