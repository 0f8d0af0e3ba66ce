"""Curves: learning curves of trainings, and values with bands over anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radlib.core.errors import RadlibError
from radlib.plots.style import LINES, MARKERS, PALETTE, shared_legend

WIDTH = 7.4  # inches


def loss_figure(
    histories: Mapping[str, pd.DataFrame] | pd.DataFrame,
    *,
    metric: str | Sequence[str] | Mapping[str, str] = "loss",
    smooth: int = 1,
    logarithmic: bool | Sequence[str] = False,
    ylabels: Mapping[str, str] | None = None,
) -> Figure:
    """Metrics over the steps of one or several trainings: a panel a metric, a line a training.

    Training is a line, validation has markers. Metrics that no history has are left out.

    Args:
        histories: :attr:`radlib.training.loop.Trained.history` by name, or a single one.
        metric: columns to show, or columns to the labels of their vertical axes.
        smooth: rows over which training curves are averaged; the raw curve stays visible behind.
        logarithmic: logarithmic vertical axes: all, or those of these metrics.
        ylabels: labels of the vertical axes, by metric.

    Raises:
        RadlibError: if no history has any of the metrics.
    """
    named = {"": histories} if isinstance(histories, pd.DataFrame) else dict(histories)
    wanted = [metric] if isinstance(metric, str) else list(metric)
    labels = dict(metric) if isinstance(metric, Mapping) else dict(ylabels or {})
    metrics = [name for name in wanted if any(name in history for history in named.values())]
    if not metrics:
        known = sorted({str(column) for history in named.values() for column in history})
        raise RadlibError(f"no history has the metric {wanted[0]!r}", remedy=f"they have {', '.join(known)}")
    figure, panels = _panels(len(metrics), height=3.6)
    for panel, name in zip(panels, metrics, strict=True):
        for number, (label, history) in enumerate(named.items()):
            if name not in history:
                continue
            shown = history[history["part"] != "first"].dropna(subset=[name])  # single steps are too noisy
            both = shown["part"].nunique() > 1
            for part, rows in shown.groupby("part", sort=False):
                colour, style = PALETTE[number % len(PALETTE)], ("-", "--", "-.", ":")[number // len(PALETTE) % 4]
                text = f"{label} ({part})".strip() if both or not label else label
                if part == "validation":
                    panel.plot(rows["step"], rows[name], color=colour, linestyle=style, marker="o", markersize=4,
                               label=text)  # fmt: skip
                    continue
                if smooth > 1:
                    panel.plot(rows["step"], rows[name], color=colour, alpha=0.2, linewidth=1)
                mean = rows[name].rolling(smooth, min_periods=1).mean()
                panel.plot(rows["step"], mean, color=colour, linestyle=style, label=text)
        panel.set(xlabel="step", ylabel=labels.get(name, name))
        if logarithmic is True or (logarithmic and name in logarithmic):
            panel.set_yscale("log")
    shared_legend(figure, columns=2 if len(metrics) == 1 else 3, fontsize=9)
    return figure


def beginning_figure(history: pd.DataFrame, steps: pd.DataFrame) -> Figure:
    """The course of a training, and over it its first steps as they were computed anew.

    Args:
        history: ``step, part`` and metrics.
        steps: ``step, metric, now``; the first metric is drawn.
    """
    metric = str(steps["metric"].iloc[0])
    whole = history[history["part"].isin(["first", "training"])].dropna(subset=[metric]).sort_values("step")
    again = steps[steps["metric"] == metric]
    figure, axes = plt.subplots(figsize=(7.4, 2.8))
    axes.plot(whole["step"], whole[metric], color=PALETTE[0], label="history")
    axes.plot(again["step"], again["now"], "o", color=PALETTE[1], label="computed now")
    axes.set(xlabel="step", ylabel=metric, xscale="log")
    axes.legend()
    return figure


def curve_figure(
    table: pd.DataFrame,
    *,
    x: str,
    xlabel: str,
    ylabel: str,
    value: str = "value",
    colour: str | None = None,
    panel: str | None = None,
    style: Literal["lines", "steps", "points"] = "lines",
    references: Sequence[tuple[str, float]] = (),
    events: Sequence[tuple[str, float]] = (),
    logarithmic: bool = False,
    ylim: tuple[float | None, float | None] | None = None,
    columns: int = 2,
) -> Figure:
    """Values over ``x``: a panel for each value of ``panel``, a line for each of ``colour``, with bands.

    Args:
        table: columns ``x``, ``value``, and, if given, ``colour`` and ``panel``; where it has ``low`` and ``high``, a
            band between them.
        x, value, colour, panel: columns; lines and panels stand in order of appearance.
        xlabel, ylabel: labels of the axes.
        style: lines with markers (bare ones where there are more than 40 points), steps that hold until the next
            point (survival), or points alone.
        references: (name, value) of horizontal lines.
        events: (name, x) of vertical lines.
        logarithmic: logarithmic horizontal axis, with the table's own values as ticks where there are at most ten.
        ylim: of the vertical axes.
        columns: of panels.

    Raises:
        RadlibError: if the table is empty.
    """
    if table.empty:
        raise RadlibError("no curve to show", remedy="give a table with at least one row")
    names = list(dict.fromkeys(table[panel])) if panel else [""]
    groups = list(dict.fromkeys(table[colour])) if colour else [""]
    figure, panels = _panels(len(names), height=4.4 if len(names) == 1 else 3.6, columns=columns)
    for axes, name in zip(panels, names, strict=True):
        shown = table[table[panel] == name] if panel else table
        for number, group in enumerate(groups):
            part = (shown[shown[colour] == group] if colour else shown).sort_values(x, kind="stable")
            _line(axes, part, x=x, value=value, number=number, label=str(group), style=style)
        for lines, draw in ((references, axes.axhline), (events, axes.axvline)):
            for number, (text, at) in enumerate(lines):
                draw(at, color="0.25", linestyle=(":", "-.", "--")[number % 3], linewidth=1.4, label=text)
        if logarithmic:
            axes.set_xscale("log")
            ticks = sorted(set(table[x]))
            if len(ticks) <= 10:
                axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axes.minorticks_off()
        axes.set(xlabel=xlabel, ylabel=ylabel, title=str(name))
        if ylim is not None:
            axes.set_ylim(*ylim)
    shared_legend(figure, columns=3)
    return figure


def _line(axes: Axes, part: pd.DataFrame, *, x: str, value: str, number: int, label: str, style: str) -> None:
    if part.empty:
        return
    tint, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
    draw = "steps-post" if style == "steps" else "default"
    if {"low", "high"} <= set(part):
        step: Literal["post"] | None = "post" if style == "steps" else None
        axes.fill_between(part[x], part["low"], part["high"], color=tint, alpha=0.15, linewidth=0, step=step)
    axes.plot(
        part[x], part[value], color=tint, label=label or None, drawstyle=draw,
        linestyle="none" if style == "points" else LINES[number % len(LINES)],
        marker=marker if style == "points" or (style == "lines" and len(part) <= 40) else "none", markersize=5,
        alpha=0.8 if style == "points" else 1,
    )  # fmt: skip


def _panels(count: int, *, height: float, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """As many panels as asked for, at most ``columns`` beside each other."""
    across = min(count, columns)
    rows = -(-count // across)
    width = WIDTH if across == 1 else 10.0
    figure, grid = plt.subplots(rows, across, figsize=(width, height * rows), squeeze=False)
    for panel in grid.flat[count:]:
        panel.set_visible(False)
    return figure, list(grid.flat[:count])
