"""Dots with intervals: one function for estimates, differences, single runs and controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radlib.core.errors import RadlibError
from radlib.core.titles import title
from radlib.plots.style import MARKERS, PALETTE, shared_legend

WIDTH = 7.4  # inches; 700 px at about 95 dpi, so that 10 pt text stays readable

References = Sequence[tuple[str, float]]


def dot_plot(
    table: pd.DataFrame,
    *,
    metrics: Sequence[str] | Mapping[str, str] | None = None,
    panel: str = "metric",
    rows: str = "model",
    colour: str | None = None,
    references: Mapping[str, References] | References | None = None,
    marks: Mapping[str, str] | None = None,
    band: tuple[str, str, str] | None = None,
    limits: Mapping[str, tuple[float, float]] | tuple[float, float] | None = None,
    xlabel: str = "{}",
    digits: int | None = None,
    row_height: float = 0.36,
    width: float = WIDTH,
) -> Figure:
    """Dots with intervals: one panel a metric, one line a row; dotted vertical lines for published values.

    A line may hold several dots of one colour (such as single runs or patients). An undefined value leaves its place
    empty, an undefined interval draws the dot alone.

    Args:
        table: columns ``value``, ``low``, ``high``, ``panel``, ``rows`` and, if given, ``colour``; ``low`` and
            ``high`` may lack. :func:`radlib.stats.classification.tidy` makes such a table.
        metrics: which values of ``panel`` to show, left to right, or these to the labels of their axes; two or three
            fit a page. None: one panel of the whole table.
        panel: the column that divides the table into panels.
        rows: the column that names the lines, in order of appearance.
        colour: a column, such as the protocol, that gives colour and marker; several dots may then share a line.
        references: (name, value) of vertical lines, named in the legend: of all panels, or by metric.
        marks: a column of the table to its name in the legend: a black tick on every line (chance, a printed value).
        band: two columns and a name: a grey bar behind every line (what shuffled labels give).
        limits: of the horizontal axes: one for all, or by metric.
        xlabel: pattern of the axes' labels, ``"difference in {}"``.
        digits: write the values beside their dots.
        row_height: inches a line.
        width: inches of the figure.

    Raises:
        RadlibError: if the table has no row to show.
    """
    labels = dict(metrics) if isinstance(metrics, Mapping) else {name: title(name) for name in metrics or ("",)}
    if table.empty:
        raise RadlibError("no estimate to show", remedy="give a table with at least one row")
    names = list(dict.fromkeys(table[rows]))
    groups = list(dict.fromkeys(table[colour])) if colour else [""]
    figure, panels = plt.subplots(
        1, len(labels), figsize=(width, row_height * len(names) + 1.6), sharey=True, squeeze=False
    )
    step = min(0.22, 0.7 / len(groups))
    for axes, (metric, label) in zip(panels[0], labels.items(), strict=True):
        shown = table[table[panel] == metric] if metrics is not None else table
        _behind(axes, shown, [names.index(name) for name in shown[rows]], marks=marks or {}, band=band)
        for number, group in enumerate(groups):
            part = shown[shown[colour] == group] if colour else shown
            place = np.array([names.index(name) for name in part[rows]], dtype=float)
            place += (number - (len(groups) - 1) / 2) * step if colour else 0
            _dots(axes, part, place, number, str(group), digits=digits)
        lines = references.get(metric, ()) if isinstance(references, Mapping) else references or ()
        for number, (name, value) in enumerate(lines):
            style = (":", "-.", "--")[number % 3]
            axes.axvline(value, color="0.25", linestyle=style, linewidth=1.4, label=name, zorder=1)
        axes.set(xlabel=_wrapped(xlabel.format(label), panels=len(labels)), ylim=(len(names) - 0.45, -0.55))
        axes.set_yticks(range(len(names)), names, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(max(3, 6 - len(labels))))
        axes.grid(axis="y", visible=False)
        for edge in range(1, len(names)):
            axes.axhline(edge - 0.5, color="0.92", linewidth=0.8, zorder=0)
        if limits is not None and (span := limits.get(metric) if isinstance(limits, Mapping) else limits):
            axes.set_xlim(*span)
    shared_legend(figure)
    return figure


def _wrapped(label: str, *, panels: int) -> str:
    """A label that keeps to its panel."""
    return "\n".join(fill(line, 66 // panels, break_on_hyphens=False) for line in label.splitlines())


def _behind(
    axes: Axes, part: pd.DataFrame, place: Sequence[int], *, marks: Mapping[str, str], band: tuple[str, str, str] | None
) -> None:
    """The grey bars and the ticks of the lines."""
    if band is not None:
        low, high, label = band
        values = part[[low, high]].to_numpy(dtype=float)
        axes.barh(place, values[:, 1] - values[:, 0], left=values[:, 0], height=0.7, color="0.87", label=label,
                  linewidth=0, zorder=0)  # fmt: skip
    for number, (column, label) in enumerate(marks.items()):
        axes.plot(part[column].to_numpy(dtype=float), place, "|x+1"[number % 4], color="black", markersize=11,
                  markeredgewidth=1.6, label=label, linestyle="none", zorder=4)  # fmt: skip


def _dots(axes: Axes, part: pd.DataFrame, place: np.ndarray, number: int, label: str, *, digits: int | None) -> None:
    tint, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
    value = part["value"].to_numpy(dtype=float)
    high = part["high"].to_numpy(dtype=float) if "high" in part else np.full(len(part), np.nan)
    if "low" in part:
        axes.hlines(place, part["low"].to_numpy(dtype=float), high, color=tint, linewidth=2, zorder=2)
    crowded = len(np.unique(place)) < len(place)
    axes.plot(value, place, marker, color=tint, markersize=6, label=label or None, linestyle="none", zorder=3,
              alpha=0.6 if crowded else 1)  # fmt: skip
    if digits is not None:
        for x, y, end in zip(value, place, np.fmax(value, high), strict=True):
            if np.isfinite(x):
                axes.annotate(f"{x:.{digits}f}", (end, y), xytext=(6, 0), textcoords="offset points", va="center",
                              fontsize="x-small")  # fmt: skip
