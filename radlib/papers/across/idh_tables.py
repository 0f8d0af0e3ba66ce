"""Tables and sentences of the chapter on IDH from radiomic tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from radlib.book.kept import KeptRun
from radlib.data.cohort import Cohort
from radlib.papers.across.idh import WITHIN, Labels
from radlib.stats.binary import SVM, Results
from radlib.stats.classification import Predictions, difference, mcnemar_exact
from radlib.stats.intervals import Estimate
from radlib.stats.roc import delong_test
from radlib.stats.tables import format_interval


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


def doubt_lines(doubts: pd.DataFrame) -> pd.DataFrame:
    """:func:`doubt_table` for a dot plot: each row once a ``kind`` (bounds, plausible labels), with its ``line``."""
    plausible = {"value": doubts["mean"], "low": doubts["plausible low"], "high": doubts["plausible high"]}
    both = pd.concat(
        [doubts.assign(kind="bounds over all labellings"), doubts.assign(kind="plausible labels", **plausible)],
        ignore_index=True,
    )
    return both.assign(line=model_lines(both))


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
