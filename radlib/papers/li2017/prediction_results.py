"""Tables and figures of IDH1 prediction in Li 2017, and what goes into the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from radlib.book.report import Report
from radlib.core.titles import METRIC_TITLES
from radlib.data.published import published
from radlib.papers.li2017.prediction_arms import FOLDS, LEAVE_ONE_OUT, PROTOCOLS, Results
from radlib.plots.curves import curve_figure
from radlib.plots.style import PALETTE
from radlib.stats.classification import evaluate, tidy
from radlib.stats.intervals import Estimate, permutation_p_value
from radlib.stats.protocols import CONTROL, LEAKAGE_FREE, PERMUTED
from radlib.stats.roc import auc, delong_test
from radlib.stats.tables import format_interval

METRICS = ("auc", "accuracy", "sensitivity", "specificity", "ppv", "npv", "mcc")
"""As the paper's Tables 2 and 3 have them."""


# Tables


def long_table(results: Results, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Every metric of every run: ``model, scheme, protocol, metric, value, low, high, n, interval``."""
    parts = []
    for (name, scheme, protocol), predictions in results.items():
        part = tidy({name: evaluate(predictions, n_boot=n_boot, seed=seed)})
        part.insert(1, "scheme", scheme)
        part.insert(2, "protocol", protocol)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def wide_table(table: pd.DataFrame, rows: Mapping[str, str], *, scheme: str | None = None) -> pd.DataFrame:
    """Models and protocols down, the paper's metrics across, with the paper's own line above.

    Args:
        table: of :func:`long_table`.
        rows: model to the row of the paper's table (empty without one).
        scheme: only this one.
    """
    lines = []
    for name, row in rows.items():
        if row:
            lines.append(
                {"model": name, "protocol": "printed"}
                | {METRIC_TITLES[m]: f"{published(f'li2017.{row}.{m}').value:.3f}" for m in METRICS}
            )
        part = table[table["model"] == name]
        part = part if scheme is None else part[part["scheme"] == scheme]
        for protocol, found in part.groupby("protocol", sort=False):
            cells = found.set_index("metric")
            lines.append(
                {"model": name, "protocol": str(protocol)}
                | {
                    METRIC_TITLES[m]: format_interval(*cells.loc[m, ["value", "low", "high"]], digits=2)
                    for m in METRICS
                }
            )
    return pd.DataFrame(lines)


def estimate(table: pd.DataFrame, name: str, scheme: str, protocol: str, metric: str) -> Estimate:
    """One number of :func:`long_table`."""
    keys = (table["model"] == name) & (table["scheme"] == scheme) & (table["protocol"] == protocol)
    row = table[keys & (table["metric"] == metric)].iloc[0]
    return Estimate(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]), str(row["interval"]))


def delong_table(results: Results, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """DeLong's test between curves of the same patients: ``protocol, first, second, AUC difference, p``.

    A control is compared with either protocol of the other.
    """
    rows = []
    for protocol in PROTOCOLS:
        for first, second in pairs:
            one, other = (
                results.get((name, LEAVE_ONE_OUT, protocol)) or results.get((name, LEAVE_ONE_OUT, CONTROL))
                for name in (first, second)
            )
            if one is None or other is None or one.score is None or other.score is None:
                continue
            test = delong_test(one.truth, one.score[0], other.score[0])
            rows.append(
                {
                    "protocol": protocol, "first": first, "second": second,
                    "AUC difference": format_interval(test.difference, test.low, test.high), "p": test.p_value,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def shuffled_summary(permutations: pd.DataFrame) -> pd.DataFrame:
    """Mean, central 95 % and number of shuffles, and how far the mean AUC lies above one half."""
    summary = (
        permutations.groupby(["features", "scheme", "protocol", "metric"], sort=False)["value"]
        .agg(value="mean", low=lambda v: v.quantile(0.025), high=lambda v: v.quantile(0.975), n="count")
        .reset_index()
    )
    return summary.assign(excess=np.where(summary["metric"] == "auc", summary["value"] - 0.5, np.nan))


def chance_table(table: pd.DataFrame, permutations: pd.DataFrame) -> pd.DataFrame:
    """The leakage-free AUC by folds beside what shuffled labels give: ``features, AUC, shuffled labels, p``.

    ``p`` is one-sided, the labels as they are counted among the shuffles (Phipson and Smyth 2010). It allows for the
    training sets, which the intervals of the AUC hold fixed.
    """
    rows = []
    known = permutations[
        (permutations["metric"] == "auc") & (permutations["protocol"] == PERMUTED) & (permutations["scheme"] == "folds")
    ]
    for name, part in known.groupby("features", sort=False):
        observed, null = estimate(table, str(name), FOLDS, LEAKAGE_FREE, "auc"), part["value"].dropna().to_numpy(float)
        rows.append(
            {
                "features": name, "AUC": format_interval(observed.value, observed.low, observed.high),
                "shuffled labels": format_interval(float(null.mean()), *map(float, np.quantile(null, [0.025, 0.975]))),
                "p": permutation_p_value(observed.value, null),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["features", "AUC", "shuffled labels", "p"])


def short(name: str) -> str:
    """An arm's name for a legend: without the cohort."""
    return name.removeprefix("DLR, ").partition(" (")[0]


def direction(change: Estimate, start: str, above: str, below: str) -> str:
    """What the interval of a difference says, as words: ``above``, ``below``, or neither."""
    if change.low > 0:
        return f"{start} {above}"
    if change.high < 0:
        return f"{start} {below}"
    return f"{start} neither {above} nor {below} beyond chance"


def trait_table(traits: pd.DataFrame, truth: pd.Series) -> pd.DataFrame:
    """How well each planted trait alone tells the classes apart: AUC, direction ignored, the best first."""
    values = {name: auc(truth.to_numpy(dtype=bool), traits[name].to_numpy(dtype=float)) for name in traits}
    rows = [{"trait": name, "AUC": max(v, 1 - v)} for name, v in values.items()]
    return pd.DataFrame(rows).sort_values("AUC", ascending=False, ignore_index=True)


# Figures


def layer_figure(
    table: pd.DataFrame, rows: Mapping[str, str], *, scheme: str, summary: pd.DataFrame | None = None
) -> Figure:
    """AUC by layer under both protocols, with the paper's values (Table 3).

    Args:
        table: of :func:`long_table`.
        rows: layer to the row of the paper's table.
        scheme: of the table's results.
        summary: of :func:`shuffled_summary`; the central 95 % of leakage-free results on shuffled labels become grey.
    """
    names = list(rows)
    figure, axes = plt.subplots(figsize=(7.4, 4.2))
    if summary is not None:
        known = summary[(summary["metric"] == "auc") & (summary["protocol"] == PERMUTED)]
        known = known[known["scheme"] == "folds"].set_index("features")
        for place, name in enumerate(names):
            if name in known.index:
                low, high = (float(known.at[name, side]) for side in ("low", "high"))  # type: ignore[arg-type]
                axes.fill_between([place - 0.35, place + 0.35], low, high, color="0.85", linewidth=0, zorder=0)
        axes.fill_between([], [], [], color="0.85", label="shuffled labels, leakage-free")
    for number, protocol in enumerate(PROTOCOLS):
        found = [estimate(table, name, scheme, protocol, "auc") for name in names]
        at = np.arange(len(names)) + 0.12 * (2 * number - 1)
        axes.vlines(at, [e.low for e in found], [e.high for e in found], color=PALETTE[number], linewidth=2)
        axes.plot(at, [e.value for e in found], "os"[number], color=PALETTE[number], label=protocol)
    printed = [published(f"li2017.{row}.auc").value for row in rows.values()]
    axes.plot(range(len(names)), printed, "x", color="black", markersize=8, label="Li 2017, printed")
    axes.axhline(0.5, color="0.4", linestyle=":", linewidth=1.4, label="no skill")
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="AUC", ylim=(min(0.28, axes.get_ylim()[0]), 1.03))
    figure.legend(loc="outside lower center", ncols=3, fontsize=10)
    return figure


def number_figure(curve: pd.DataFrame) -> Figure:
    """AUC over the number of features under both protocols (supplementary Figure 3)."""
    return curve_figure(
        curve, x="features", colour="protocol", xlabel="Features kept, at most", ylabel="AUC, leave-one-out",
        logarithmic=True, references=[("no skill", 0.5)],
    )  # fmt: skip


# Ledger


def record_row(report: Report, table: pd.DataFrame, name: str, row: str, *, scheme: str, note: str) -> None:
    """Put one model under both protocols beside a row of the paper's tables."""
    for protocol in PROTOCOLS:
        for metric in METRICS:
            one = estimate(table, name, scheme, protocol, metric)
            if np.isfinite(one.value):
                report.record(
                    f"li2017.{row}.{metric}", one.value, low=_finite(one.low), high=_finite(one.high), n=one.n,
                    protocol=protocol, note=note,
                )  # fmt: skip


def record_text(report: Report, table: pd.DataFrame, keys: Mapping[str, tuple[str, str]], *, note: str) -> None:
    """Percentages of the paper's text: ``key`` to model and metric, leave-one-out."""
    for key, (name, metric) in keys.items():
        for protocol in PROTOCOLS:
            one = estimate(table, name, LEAVE_ONE_OUT, protocol, metric)
            if np.isfinite(one.value):
                low, high = (None if limit is None else 100 * limit for limit in (_finite(one.low), _finite(one.high)))
                report.record(
                    f"li2017.text.{key}", 100 * one.value, low=low, high=high, n=one.n, protocol=protocol, note=note
                )


def record_rest(report: Report) -> None:
    """Say why the rest of the paper's entries has no counterpart."""
    for name in (
        "yamashita.patients", "yamashita.auc_blood_flow", "yamashita.auc_necrosis", "verma.patients",
        "lombardi.patients", "lombardi.cutoff", "lombardi.accuracy", "lombardi.sensitivity", "lombardi.specificity",
        "delafuente.patients", "delafuente.sensitivity_small", "delafuente.sensitivity_large",
    ):  # fmt: skip
        report.missing(f"li2017.text.{name}", "a result of another paper on other measurements, quoted for comparison")
    report.missing("li2017.text.table2_caption", "a slip of the caption: there is nothing to measure")


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
