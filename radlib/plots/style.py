"""One look for every figure: readable at page width, safe for colour-blind readers, on an opaque white ground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's palette, in the order in which it is used.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: Lines and markers differ with the colours, which never carry the meaning alone.
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def set_style() -> None:
    """Set matplotlib's and seaborn's defaults; called by :meth:`radlib.book.report.Report.start`.

    The ground stays white in the dark theme too: a figure on a card is legible on any page.
    """
    import seaborn as sns

    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette=sns.color_palette(PALETTE),
        rc={
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "axes.titlesize": "medium",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "image.cmap": "gray",
            "text.usetex": False,  # a user's matplotlibrc may ask for a LaTeX that is not there
        },
    )


def shared_legend(figure: Figure, *, columns: int = 2, fontsize: float = 10) -> None:
    """One legend below the panels, an entry for each label that any of them has; none where no panel has one.

    Its columns are at most ``columns``, and as many as the figure is wide for.
    """
    handles = {
        label: handle
        for panel in figure.axes
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        if label
    }
    if handles:
        columns = min(columns, len(handles))
        while columns > 1 and _legend_em(list(handles), columns) * fontsize > 72 * figure.get_figwidth():
            columns -= 1
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=columns, fontsize=fontsize
        )  # fmt: skip


def _legend_em(labels: list[str], columns: int) -> float:
    """About how wide a legend is, in its font's size: a letter is 0.55, a line with its margins 5."""
    return sum(0.55 * max(map(len, part)) + 5 for part in np.array_split(labels, columns))
