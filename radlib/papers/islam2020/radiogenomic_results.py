"""Tables and figures of the radiogenomic survival study (:mod:`radlib.papers.islam2020.radiogenomics`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from radlib.book.kept import KeptRun
from radlib.data.published import published
from radlib.papers.islam2020.radiogenomics import ARMS, Study, days_rows
from radlib.plots.style import PALETTE
from radlib.stats import multiclass
from radlib.stats.intervals import Estimate, corrected_resampled_interval, permutation_interval, proportion
from radlib.stats.protocols import (
    AS_PUBLISHED,
    LEAKAGE_FREE,
    PERMUTED,
    PUBLISHED_PERMUTED,
    ProtocolRun,
    permutation_order,
)
from radlib.stats.stability import named_frequencies, nogueira_stability, selection_matrix
from radlib.stats.survival import CLASSES, concordance, kaplan_meier, mean_squared_error

TABLE = "islam2020.table2"
SHUFFLED = (PERMUTED, PUBLISHED_PERMUTED)
COLOURS = {
    "published": PALETTE[6],
    AS_PUBLISHED: PALETTE[1],
    LEAKAGE_FREE: PALETTE[0],
    "control": PALETTE[2],
    PERMUTED: PALETTE[5],
    PUBLISHED_PERMUTED: PALETTE[4],
}


def published_folds() -> pd.DataFrame:
    """Table II of Islam 2020 and the smallest class sizes of a test fold that fit the percentages of all its folds.

    Returns:
        One row a fold: ``MSE``, the class metrics in per cent, ``short``, ``medium``, ``long`` and ``right`` patients.
    """
    names = multiclass.metric_names(CLASSES)
    cells = pd.DataFrame(
        {
            fold: {name: published(f"{TABLE}.fold{fold}.{name}").value for name in ["mse", *names]}
            for fold in range(1, 5)
        }
    ).T
    fitting = [
        set(
            multiclass.counts_from_percentages(
                sensitivity=[row[f"sensitivity.{name}"] for name in CLASSES.values()],
                specificity=[row[f"specificity.{name}"] for name in CLASSES.values()],
                accuracy=row["accuracy"],
                max_class=15,
            )
        )
        for _, row in cells.iterrows()
    ]
    sizes = min(set.intersection(*fitting), key=sum)
    for name, size in zip(CLASSES.values(), sizes, strict=True):
        cells[name] = size
    cells["right"] = (cells["accuracy"] * sum(sizes) / 100).round().astype(int)
    return cells.rename_axis("fold")


def published_accuracy() -> Estimate:
    """The published accuracy with Wilson's interval for the patients that Table II implies."""
    folds = published_folds()
    n = int(folds[list(CLASSES.values())].to_numpy().sum())
    return proportion(int(folds["right"].sum()), n)


def class_estimates(rows: pd.DataFrame, *, n_boot: int, seed: int) -> dict[str, Estimate]:
    """Metrics with intervals of one protocol and model: over patients, or over permutations for shuffled labels."""
    if rows["protocol"].iloc[0] in SHUFFLED:
        return multiclass.permuted_estimates(rows, CLASSES)
    return multiclass.estimates(rows, CLASSES, n_boot=n_boot, seed=seed)


def accuracy_table(runs: Mapping[str, ProtocolRun], *, n_boot: int, seed: int) -> pd.DataFrame:
    """Accuracy of every reading, protocol and model.

    Returns:
        ``reading, protocol, model, accuracy, low, high, chance, n``, and ``low (folds), high (folds)``: the interval of
        Nadeau and Bengio over the folds of all repeats (NaN for shuffled labels).
    """
    table = []
    for reading, run in runs.items():
        for (protocol, model), rows in run.predictions.groupby(["protocol", "model"], sort=False):
            found = class_estimates(rows, n_boot=n_boot, seed=seed)["accuracy"]
            over_folds = Estimate(float("nan"))
            if protocol not in SHUFFLED:
                folds = multiclass.fold_table(rows, CLASSES)
                n_test = folds["n"].mean()
                over_folds = corrected_resampled_interval(
                    folds["accuracy"], n_train=rows["subject"].nunique() - n_test, n_test=n_test
                )
            table.append({
                "reading": reading, "protocol": protocol, "model": model, "accuracy": found.value, "low": found.low,
                "high": found.high, "chance": multiclass.chance_accuracy(rows), "n": found.n,
                "low (folds)": np.clip(over_folds.low, 0, 1), "high (folds)": np.clip(over_folds.high, 0, 1),
            })  # fmt: skip
    return pd.DataFrame(table)


def table_2(rows: pd.DataFrame, study: Study, *, n_boot: int, seed: int) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """The layout of Table II for the first repeat, then the mean of all repeats and its interval.

    Args:
        rows: predictions of one protocol and model in the reading ``days``.

    Returns:
        The table (MSE in days² over deaths, the rest in per cent), and the estimates of its last rows by metric.
    """
    names = multiclass.metric_names(CLASSES)
    first = rows[rows["repeat"] == rows["repeat"].min()]
    table = 100 * multiclass.fold_table(first, CLASSES)[names]
    table.index = pd.Index([f"fold {fold + 1}" for _, fold in table.index])
    days = days_rows(first)
    died = days[days["subject"].map(study.event).to_numpy() == 1]
    squared = ((died["true"] - died["predicted"]) ** 2).groupby(died["fold"]).mean()
    table.insert(0, "mse", squared.reindex(range(len(table))).to_numpy())
    found = class_estimates(rows, n_boot=n_boot, seed=seed)
    found = {
        name: Estimate(100 * one.value, 100 * one.low, 100 * one.high, one.n, one.method) for name, one in found.items()
    }
    found["mse"] = mean_squared_error(days_rows(rows), study.event, n_boot=n_boot, seed=seed)
    for label, part in (("all repeats", "value"), ("lower limit", "low"), ("upper limit", "high")):
        table.loc[label] = [getattr(found[name], part) for name in table.columns]
    table.loc["published"] = [published(f"{TABLE}.avg.{name}").value for name in table.columns]
    return table, found


def concordance_table(rows: Mapping[str, pd.DataFrame], study: Study, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Concordance of named predictions (larger is longer survival): ``concordance, low, high``."""
    table = {}
    for name, part in rows.items():
        found = concordance(part, study.days, study.event, n_boot=n_boot, seed=seed)
        table[name] = {"concordance": found.value, "low": found.low, "high": found.high, "n": found.n}
    return pd.DataFrame.from_dict(table, orient="index")


def protocols_figure(
    table: pd.DataFrame, *, model: str, reference: Estimate, extra: Sequence[tuple[str, Estimate]] = ()
) -> Figure:
    """Accuracy of one model under every protocol, beside the published number and the controls, with intervals.

    Args:
        table: of :func:`accuracy_table`.
        model: which model, e.g. ``SVM, fused``.
        reference: the published accuracy.
        extra: further results as published (label, estimate).
    """
    points: list[tuple[str, str, Any, Any, Any, Any]] = [
        ("published", "published (interval from its counts)", reference.value, reference.low, reference.high, np.nan)
    ]
    for protocol in (AS_PUBLISHED, LEAKAGE_FREE):
        for row in table[(table["protocol"] == protocol) & (table["model"] == model)].itertuples():
            label = f"{protocol}, {row.reading}"
            points.append((protocol, label, row.accuracy, row.low, row.high, row.chance))
        if protocol == AS_PUBLISHED:
            points += [(AS_PUBLISHED, label, one.value, one.low, one.high, np.nan) for label, one in extra]
    controls = table[(table["protocol"] == "control") & (table["reading"] == "classes")]
    for row in controls.itertuples():
        points.append(("control", f"control: {row.model}", row.accuracy, row.low, row.high, np.nan))
    for protocol in SHUFFLED:
        for row in table[(table["protocol"] == protocol) & (table["model"] == model)].itertuples():
            points.append((protocol, f"{protocol}, {row.reading}", row.accuracy, row.low, row.high, row.chance))
    figure, axes = plt.subplots(figsize=(7.4, 0.42 * len(points) + 1.3))
    axes.axvline(100 * reference.value, color=COLOURS["published"], linestyle=":", linewidth=1)
    for y, (kind, _, value, low, high, chance) in enumerate(points):
        axes.plot([100 * low, 100 * high], [y, y], color=COLOURS[kind], linewidth=2, solid_capstyle="butt")
        axes.plot(100 * value, y, "o", color=COLOURS[kind], markersize=7)
        axes.plot(100 * chance, y, marker="|", color="black", markersize=14, markeredgewidth=1.5)
        end = value if high != high else high
        axes.annotate(
            f"{100 * value:.1f}", (100 * max(end, value), y), xytext=(6, 0), textcoords="offset points", va="center",
            fontsize="x-small",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    axes.set_yticks(range(len(points)), [point[1] for point in points], fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel="accuracy, % (tick: chance)", xlim=(0, 112))
    axes.grid(visible=False, axis="y")
    return figure


def arms_figure(table: pd.DataFrame, *, reading: str) -> Figure:
    """Figure 9 A and B: accuracy of SVM and ANN by feature set, as published and leakage-free, with chance."""
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.4), sharey=True)
    for axes, protocol in zip(panels, (AS_PUBLISHED, LEAKAGE_FREE), strict=True):
        part = table[(table["protocol"] == protocol) & (table["reading"] == reading)].set_index("model")
        for k, (machine, marker) in enumerate((("SVM", "o"), ("ANN", "s"))):
            rows = part.loc[[f"{machine}, {arm}" for arm in ARMS]]
            x = np.arange(len(ARMS)) + (k - 0.5) * 0.24
            value = 100 * rows["accuracy"].to_numpy()
            below = np.nan_to_num(value - 100 * rows["low"].to_numpy())
            above = np.nan_to_num(100 * rows["high"].to_numpy() - value)
            axes.errorbar(x, value, yerr=np.abs([below, above]), fmt=marker, color=PALETTE[k], label=machine, capsize=3)
            axes.plot(x, 100 * rows["chance"].to_numpy(), "_", color="black", markersize=14, label=None)
        axes.set_xticks(range(len(ARMS)), ARMS)
        axes.set(title=protocol, ylim=(0, 103))
    panels[0].set_ylabel("accuracy, % (dash: chance)")
    panels[1].legend(loc="upper right")
    return figure


def kaplan_meier_figure(groups: Mapping[str, pd.Series], study: Study, p_values: Mapping[str, float]) -> Figure:
    """Kaplan-Meier curves of predicted classes, one panel a protocol."""
    figure, panels = plt.subplots(1, len(groups), figsize=(7.4, 3.5), sharey=True, squeeze=False)
    for axes, (title, group) in zip(panels[0], groups.items(), strict=True):
        curves = kaplan_meier(study.days, study.event, group)
        for label, curve in curves.groupby(curves["group"].astype(int)):
            k = int(str(label))
            colour, line = PALETTE[k], ("-", "--", "-.")[k]
            name = f"{CLASSES[k]} (n={int((group == k).sum())})"
            axes.step(curve["days"], curve["survival"], where="post", color=colour, linestyle=line, label=name)
            axes.fill_between(
                curve["days"], curve["low"], curve["high"], step="post", color=colour, alpha=0.13, linewidth=0
            )
        p = p_values[title]
        text = "log-rank: one group" if p != p else "log-rank p < 0.001" if p < 0.001 else f"log-rank p = {p:.3f}"
        axes.set(title=f"{title}\n{text}", xlabel="days", ylim=(0, 1.02))
        axes.legend(title="predicted", fontsize="x-small", title_fontsize="x-small")
    panels[0][0].set_ylabel("share alive")
    return figure


def frequency_figure(frequency: pd.Series, names: Sequence[str], *, chance: float, what: str) -> Figure:
    """How often features are selected: all of them in descending order, the named ones marked, and chance."""
    figure, axes = plt.subplots(figsize=(7.4, 3.6))
    ordered = frequency.sort_values(ascending=False, kind="stable")
    place = {name: k + 1 for k, name in enumerate(ordered.index)}
    axes.plot(np.arange(1, len(ordered) + 1), 100 * ordered.to_numpy(), color=PALETTE[0], label="all")
    axes.axhline(100 * chance, color="black", linewidth=1, linestyle=":", label=f"chance, {100 * chance:.1f} %")
    level, before = 0, 0
    for k, name in enumerate(sorted((name for name in names if name in place), key=lambda name: place[name])):
        x, y = place[name], 100 * float(ordered[name])
        level = level + 1 if x < 2 * before else 0  # neighbours on the logarithmic axis stand above one another
        before = x
        axes.plot(x, y, "v", color=PALETTE[1], markersize=6, label="named by the paper" if k == 0 else None)
        axes.annotate(
            name, (x, y), xytext=(0, 12 + 13 * level), textcoords="offset points", ha="center", fontsize="x-small",
            arrowprops={"arrowstyle": "-", "color": "grey", "linewidth": 0.6},
        )  # fmt: skip
    axes.set(xscale="log", xlabel=f"{what}, most often selected first", ylabel="training sets, %")
    axes.set_ylim(bottom=-2, top=max(30.0, 100 * float(frequency.max()) * 1.25))
    axes.legend()
    return figure


def stability_table(run: ProtocolRun, features: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Stability of the selection over the folds of one repeat, for true and for shuffled labels, like for like.

    Args:
        run: one reading under all protocols.
        features: name of the table -> its candidates.

    Returns:
        For every table: ``true labels`` and ``shuffled labels``, the mean over repeats and over permutations of the
        index of Nogueira, Sechidis and Brown; NaN without permutations; and ``all training sets``, over all repeats.
    """
    table = {}
    for name, candidates in features.items():
        row = {}
        for label, protocol in (("true labels", LEAKAGE_FREE), ("shuffled labels", PERMUTED)):
            chosen = run.selected[run.selected["protocol"] == protocol]
            each = [
                nogueira_stability(selection_matrix(part, candidates)).value for _, part in chosen.groupby("repeat")
            ]
            row[label] = float(np.mean(each)) if each else float("nan")
        chosen = run.selected[run.selected["protocol"] == LEAKAGE_FREE]
        row["all training sets"] = nogueira_stability(selection_matrix(chosen, candidates)).value
        table[name] = row
    return pd.DataFrame.from_dict(table, orient="index")


def permuted_mean_squared_error(rows: pd.DataFrame, study: Study, *, seed: int) -> Estimate:
    """Mean squared error (days²) of every permutation over the deaths that the shuffled labels hold, averaged.

    Args:
        rows: predictions of one permuted protocol and model in the reading ``days``.
        seed: the seed of the shuffles, which says whose label is whose.
    """
    found = []
    for permutation, part in days_rows(rows).groupby("repeat"):
        order = permutation_order(len(study), permutation=int(str(permutation)), seed=seed)
        event = pd.Series(study.event.to_numpy()[order], index=study.X.index)
        found.append(mean_squared_error(part, event, n_boot=1).value)
    return permutation_interval(found)


def planted_recovery(
    runs: Mapping[str, ProtocolRun], study: Study, planted: pd.Series, *, n_selected: int
) -> tuple[list[str], pd.DataFrame]:
    """How often the genes that act on simulated survival are selected, leakage-free.

    Args:
        runs: the study's runs by reading.
        study: the study.
        planted: effect of each acting gene on log time, per standard deviation.
        n_selected: genes that a selection keeps.

    Returns:
        The acting genes that the study measures, and one row a reading and gene: ``reading``, ``planted``,
        ``selected`` (share of training sets), ``chance``, ``rank``.
    """
    acting = [gene for gene in planted.index if gene in study.genomic]
    parts = []
    for reading, run in runs.items():
        rows = run.selected[run.selected["protocol"] == LEAKAGE_FREE]
        part = named_frequencies(selection_matrix(rows, study.genomic), acting, n_selected=n_selected)
        part.insert(0, "reading", reading)
        parts.append(part.assign(planted=planted[acting])[["reading", "planted", "selected", "chance", "rank"]])
    return acting, pd.concat(parts)


def kept_accuracies(kept: KeptRun) -> pd.DataFrame:
    """The accuracy table of a kept run as :func:`accuracy_table` gives it: shares, not per cent."""
    table = kept.table("accuracy")
    for name in [str(name) for name in table if name not in ("reading", "protocol", "model", "n")]:
        table[name] = table[name] / 100
    return table


def kept_sentence(kept: KeptRun, *, model: str = "SVM, fused") -> str:
    """What a kept run found, in a paragraph whose numbers come from its tables."""
    table = kept.table("accuracy")

    def said(reading: str, protocol: str) -> str:
        chosen = (table["reading"] == reading) & (table["protocol"] == protocol) & (table["model"] == model)
        row = table[chosen].iloc[0]
        return f"{row['accuracy']:.1f} % ({row['low']:.1f} to {row['high']:.1f})"

    majority = table.query("protocol == 'control' and model == 'majority class'").iloc[0]
    return (
        f"On {int(majority['n'])} TCGA patients the published protocol gives {said('days', AS_PUBLISHED)} in the "
        f"reading *days* and {said('classes', AS_PUBLISHED)} in the reading *classes*. The same protocol on shuffled "
        f"labels gives {said('days', PUBLISHED_PERMUTED)} and {said('classes', PUBLISHED_PERMUTED)}. With the "
        f"selection inside the folds there is {said('days', LEAKAGE_FREE)} and {said('classes', LEAKAGE_FREE)}, beside "
        f"{majority['accuracy']:.1f} % for calling everybody the largest class."
    )
