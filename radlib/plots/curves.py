"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from radlib.core.errors import RadlibError
from radlib.plots.style import PALETTE


def loss_figure(
    histories: Mapping[str, pd.DataFrame] | pd.DataFrame,
    *,
    metric: str | Sequence[str] = "loss",
    smooth: int = 1,
    logarithmic: bool = False,
    ylabels: Mapping[str, str] | None = None,
) -> Figure:
    """Metrics over the steps of one or several trainings: a panel a metric, a line a training.

    Args:
        histories: :attr:`radlib.training.loop.Trained.history` by name, or a single one.
        metric: columns to show; validation is drawn with markers, training without.
        smooth: rows over which training curves are averaged; the raw curve stays visible behind.
        logarithmic: logarithmic vertical axes.
        ylabels: labels of the vertical axes, by metric.

    Raises:
        RadlibError: if no history has one of the metrics.
    """
    named = {"": histories} if isinstance(histories, pd.DataFrame) else dict(histories)
    metrics = [metric] if isinstance(metric, str) else list(metric)
    for name in metrics:
        if not any(name in history for history in named.values()):
            known = sorted({str(column) for history in named.values() for column in history})
            raise RadlibError(f"no history has the metric {name!r}", remedy=f"they have {', '.join(known)}")
    columns = min(len(metrics), 3)
    rows = -(-len(metrics) // columns)
    width = 7.6 if columns == 1 else 10.0
    figure, grid = plt.subplots(rows, columns, figsize=(width, 3.6 * rows), squeeze=False)
    for panel in list(grid.flat)[len(metrics) :]:
        panel.set_visible(False)
    for panel, name in zip(grid.flat, metrics, strict=False):
        for number, (label, history) in enumerate(named.items()):
            if name not in history:
                continue
            colour, style = PALETTE[number % len(PALETTE)], ("-", "--", "-.", ":")[number // len(PALETTE) % 4]
            for part, rows_of in history.dropna(subset=[name]).groupby("part", sort=False):
                if part == "validation":
                    panel.plot(rows_of["step"], rows_of[name], color=colour, linestyle=style, marker="o", markersize=4,
                               label=f"{label} (validation)".strip())  # fmt: skip
                    continue
                mean = rows_of[name].rolling(smooth, min_periods=1).mean()
                if smooth > 1:
                    panel.plot(rows_of["step"], rows_of[name], color=colour, alpha=0.2, linewidth=1)
                panel.plot(rows_of["step"], mean, color=colour, linestyle=style, label=f"{label} (training)".strip())
        panel.set(xlabel="step", ylabel=(ylabels or {}).get(name, name))
        if logarithmic:
            panel.set_yscale("log")
    handles = {
        text: handle for panel in grid.flat for handle, text in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=2 if columns == 1 else 3, fontsize=9
    )
    return figure
