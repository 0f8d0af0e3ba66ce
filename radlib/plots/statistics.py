"""Figures of classification: ROC and calibration curves, and dots with intervals.

All return a matplotlib figure for ``Report.figure``, sized to be read at 700 pixels. Colours come from the Okabe-Ito
palette and never carry the meaning alone: line styles and markers differ too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radlib.plots.style import PALETTE
from radlib.stats.calibration import calibration_curve, calibration_fit
from radlib.stats.classification import Predictions
from radlib.stats.roc import auc, roc_curve

WIDTH = 7.4  # inches; 700 px at about 95 dpi, so that 10 pt text stays readable
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

#: How metrics are written.
METRIC_LABELS = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "mcc": "MCC",
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score",
}


def roc_figure(
    models: Mapping[str, Predictions],
    *,
    bands: Sequence[str] = (),
    rules: Mapping[str, tuple[float, float]] | None = None,
    n_boot: int = 500,
    seed: int = 0,
) -> Figure:
    """ROC curves in one square, with the AUC in the legend below.

    Args:
        models: name to predictions with scores; several runs are averaged vertically.
        bands: names that get a pointwise 95 % band (more than two are hard to read).
        rules: name to (1 - specificity, sensitivity) of rules with two answers, drawn as points.
        n_boot, seed: of the bands.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 6.6))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, zorder=1)
    for number, (name, predictions) in enumerate(models.items()):
        if predictions.score is None:
            continue
        colour = PALETTE[number % len(PALETTE)]
        curve = roc_curve(predictions.truth, predictions.score, n_boot=n_boot if name in bands else 0, seed=seed)
        if name in bands:
            axes.fill_between(curve.fpr, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
        area = auc(predictions.truth, predictions.score)
        axes.plot(
            np.append(0, curve.fpr),
            np.append(0, curve.tpr),
            color=colour,
            linestyle=LINES[number % len(LINES)],
            linewidth=2,
            label=f"{name} (AUC {area:.3f})",
        )
    for number, (name, (fpr, tpr)) in enumerate((rules or {}).items()):
        axes.plot(fpr, tpr, MARKERS[number % len(MARKERS)], color="black", markersize=9, label=name, linestyle="none")
    axes.set(xlabel="1 − specificity", ylabel="Sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_aspect("equal")
    figure.legend(loc="outside lower center", ncols=1 if len(models) < 4 else 2, fontsize=10)
    return figure


def calibration_figure(models: Mapping[str, Predictions], *, bins: int = 5, columns: int = 3) -> Figure:
    """Observed against predicted frequency: a panel a model, Wilson intervals, slope, calibration in the large.

    Models without probabilities are left out. The bars at the foot count the patients by predicted probability.
    """
    shown = {name: p for name, p in models.items() if p.probability is not None}
    columns = max(1, min(columns, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure, panels = plt.subplots(
        rows, columns, figsize=(WIDTH, 3.1 * rows + 0.5), sharex=True, sharey=True, squeeze=False
    )
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    for panel in panels.flat[max(0, len(shown) - columns) : len(shown)]:
        panel.tick_params(labelbottom=True)  # the lowest panel of a column, whether or not its row is full
    for number, (panel, (name, predictions)) in enumerate(zip(panels.flat, shown.items(), strict=False)):
        _calibration_panel(panel, predictions, name, PALETTE[number % len(PALETTE)], bins)
    figure.supxlabel("Predicted probability of the positive class", fontsize=11)
    figure.supylabel("Observed frequency", fontsize=11)
    return figure


def dot_plot(
    table: pd.DataFrame,
    *,
    metrics: Sequence[str],
    rows: str = "model",
    colour: str | None = None,
    references: Mapping[str, Sequence[tuple[str, float]]] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    row_height: float = 0.36,
) -> Figure:
    """Dots with intervals: one panel a metric, one line a row; dotted lines for published values.

    Args:
        table: columns ``metric``, ``value``, ``low``, ``high`` (such as :func:`~radlib.stats.classification.tidy`
            gives), ``rows`` and, if given, ``colour``. Undefined values leave their place empty.
        metrics: which metrics, left to right; two or three fit a page.
        rows: the column that names the lines, in order of appearance.
        colour: a column, such as the protocol, that gives colour and marker; several dots may then share a line.
        references: metric to (name, value) of vertical lines, named in the legend.
        limits: metric to axis limits.
        row_height: inches a line.
    """
    names = list(dict.fromkeys(table[rows]))
    groups = list(dict.fromkeys(table[colour])) if colour else [""]
    figure, panels = plt.subplots(
        1, len(metrics), figsize=(WIDTH, row_height * len(names) + 1.6), sharey=True, squeeze=False
    )
    step = min(0.22, 0.7 / len(groups))
    for panel, metric in zip(panels[0], metrics, strict=True):
        for number, group in enumerate(groups):
            part = table[table["metric"] == metric]
            part = part[part[colour] == group] if colour else part
            place = np.array([names.index(name) for name in part[rows]], dtype=float)
            place += (number - (len(groups) - 1) / 2) * step if colour else 0
            _dots(panel, part, place, number, group)
        for number, (name, value) in enumerate((references or {}).get(metric, ())):
            style = (":", "-.", "--")[number % 3]
            panel.axvline(value, color="0.25", linestyle=style, linewidth=1.4, label=name, zorder=1)
        panel.set(xlabel=METRIC_LABELS.get(metric, metric), ylim=(len(names) - 0.45, -0.55))
        panel.set_yticks(range(len(names)), names, fontsize=10)
        panel.grid(axis="y", visible=False)
        for edge in range(1, len(names)):
            panel.axhline(edge - 0.5, color="0.92", linewidth=0.8, zorder=0)
        if limits and metric in limits:
            panel.set_xlim(*limits[metric])
    handles = {
        label: handle
        for panel in panels[0]
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        if label
    }
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2, fontsize=10)
    return figure


def curve_figure(
    table: pd.DataFrame,
    *,
    x: str,
    colour: str,
    xlabel: str,
    ylabel: str,
    logarithmic: bool = False,
    references: Sequence[tuple[str, float]] = (),
) -> Figure:
    """Lines with bands: ``value`` with ``low`` and ``high`` over ``x``, one line for each value of ``colour``."""
    figure, axes = plt.subplots(figsize=(WIDTH, 4.4))
    for number, (name, part) in enumerate(table.groupby(colour, sort=False)):
        part = part.sort_values(x)
        tint = PALETTE[number % len(PALETTE)]
        axes.fill_between(part[x], part["low"], part["high"], color=tint, alpha=0.15, linewidth=0)
        axes.plot(
            part[x],
            part["value"],
            color=tint,
            linestyle=LINES[number % len(LINES)],
            marker=MARKERS[number % len(MARKERS)],
            label=str(name),
        )
    for number, (name, value) in enumerate(references):
        axes.axhline(value, color="0.25", linestyle=(":", "-.", "--")[number % 3], linewidth=1.4, label=name)
    if logarithmic:
        axes.set_xscale("log")
        ticks = sorted(set(table[x]))
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
    return figure


def _calibration_panel(panel: Axes, predictions: Predictions, name: str, colour: str, bins: int) -> None:
    assert predictions.probability is not None
    p = predictions.probability.mean(axis=0)
    curve = calibration_curve(predictions.truth, p, bins=bins)
    fit = calibration_fit(predictions.truth, p)
    panel.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    counts, edges = np.histogram(p, bins=20, range=(0, 1))
    panel.bar(
        edges[:-1],
        0.16 * counts / max(counts.max(), 1),
        width=np.diff(edges),
        align="edge",
        color="0.8",
        linewidth=0,
    )
    error = [curve["observed"] - curve["low"], curve["high"] - curve["observed"]]
    panel.errorbar(curve["predicted"], curve["observed"], yerr=error, fmt="o-", color=colour, capsize=3, markersize=5)
    slope, large = fit.slope.value, fit.in_the_large.value
    words = [f"slope {slope:.2f}" if np.isfinite(slope) else "no slope"]
    if np.isfinite(large):
        words.append(f"in the large {round(large, 2) + 0.0:+.2f}".replace("-", "−"))
    panel.set_title(f"{name}\n{', '.join(words)}", fontsize=10)
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])  # short, so that neighbouring panels' labels stay apart
    panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    panel.set_aspect("equal")


def _dots(panel: Axes, part: pd.DataFrame, place: np.ndarray, number: int, label: str) -> None:
    tint, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
    low = part["low"].to_numpy(dtype=float)
    high = part["high"].to_numpy(dtype=float)
    panel.hlines(place, low, high, color=tint, linewidth=2, zorder=2)
    panel.plot(
        part["value"].to_numpy(dtype=float),
        place,
        marker,
        color=tint,
        markersize=6,
        label=label or None,
        linestyle="none",
        zorder=3,
    )
