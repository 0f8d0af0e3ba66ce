"""Tables of the chapter on IDH from radiomic tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from radlib.data.cohort import Cohort
from radlib.papers.across.idh import Labels
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


def doubt_lines(doubts: pd.DataFrame) -> pd.DataFrame:
    """:func:`doubt_table` for a dot plot: each row once a ``kind`` (bounds, plausible labels), with its ``line``."""
    plausible = {"value": doubts["mean"], "low": doubts["plausible low"], "high": doubts["plausible high"]}
    both = pd.concat(
        [doubts.assign(kind="bounds over all labellings"), doubts.assign(kind="plausible labels", **plausible)],
        ignore_index=True,
    )
    return both.assign(line=model_lines(both))


def measured_of(table: pd.DataFrame, *, arm: str) -> pd.DataFrame:
    """Rows of :func:`~radlib.stats.binary.results_table` of one model and protocol, for ``Report.measured``."""
    chosen = table[table["value"].notna()].assign(arm=arm, group="all")
    return chosen[["arm", "metric", "group", "value", "low", "high", "n"]]


def estimate_of(table: pd.DataFrame, protocol: str, model: str, metric: str) -> Estimate:
    """One cell of :func:`~radlib.stats.binary.results_table`."""
    rows = table[(table["protocol"] == protocol) & (table["model"] == model) & (table["metric"] == metric)]
    row = rows.iloc[0]
    return Estimate(row["value"], row["low"], row["high"], int(row["n"]), row["interval"])
