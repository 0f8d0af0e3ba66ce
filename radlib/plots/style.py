"""One look for every figure: readable at page width, safe for colour-blind readers, on an opaque white ground."""

from __future__ import annotations

#: Okabe and Ito's palette, in the order in which it is used.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


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
        },
    )
