"""Figures of models and features: ROC and calibration curves, SHAP values, stability.

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

from radlib.plots.style import LINES, MARKERS, PALETTE
from radlib.stats.calibration import calibration_curve, calibration_fit
from radlib.stats.classification import Predictions
from radlib.stats.explain import ShapValues
from radlib.stats.perturbation import kinds_of
from radlib.stats.roc import auc, roc_curve

WIDTH = 7.4  # inches; 700 px at about 95 dpi, so that 10 pt text stays readable


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


def plot_importance(
    axes: Axes, found: ShapValues, *, top: int = 20, highlight: Sequence[str] = (), colours: Sequence[str] | None = None
) -> pd.DataFrame:
    """Stacked bars of the mean absolute SHAP value per class of the leading features, the largest on top.

    Args:
        axes: where to draw.
        found: the values.
        top: how many features.
        highlight: features whose names are set in bold.
        colours: one a class.

    Returns:
        What is drawn, (top, classes).
    """
    table = found.importance().head(top)
    drawn = table.iloc[::-1]
    left = np.zeros(len(drawn))
    for k, name in enumerate(drawn):
        widths = drawn[name].to_numpy()
        axes.barh(range(len(drawn)), widths, left=left, label=name, color=colours[k] if colours else None)
        left += widths
    axes.set_yticks(range(len(drawn)), [str(name) for name in drawn.index], fontsize="x-small")
    for label in axes.get_yticklabels():
        if label.get_text() in highlight:
            label.set_fontweight("bold")
    axes.set_xlabel("mean |SHAP value|")
    axes.grid(visible=False, axis="y")
    axes.legend(
        title="class", fontsize="small", loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=len(found.classes),
        columnspacing=1, handlelength=1,
    )  # fmt: skip
    return table


def stability_figure(table: pd.DataFrame, families: Mapping[str, str]) -> Figure:
    """Intraclass correlations as a map: features in rows, ordered by family, perturbations in columns."""
    kinds = kinds_of(table)
    place_of = {family: place for place, family in enumerate(dict.fromkeys(families.values()))}
    order = sorted(map(str, table.index), key=lambda name: place_of[families[name]])
    values = np.stack([table.loc[order, (kind, "icc")] for kind in kinds], axis=1)
    figure, axes = plt.subplots(figsize=(7.0, 8.6))
    image = axes.imshow(values, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(range(len(kinds)), kinds)
    names = [families[name] for name in order]
    starts = [place for place, name in enumerate(names) if place == 0 or names[place - 1] != name]
    ends = [*starts[1:], len(names)]
    axes.set_yticks(
        [(a + b - 1) / 2 for a, b in zip(starts, ends, strict=True)], [names[a] for a in starts], fontsize=9
    )
    for start in starts[1:]:
        axes.axhline(start - 0.5, color="white", linewidth=1.5)
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="intraclass correlation", shrink=0.6, extend="min")
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
