"""Figures of the simulated cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from radlib.core.files import reading
from radlib.data.cohort import MODALITIES, Cohort
from radlib.phantom.agreement import BAKAS_QUARTILES

_BLUE, _ORANGE = "#0072B2", "#D55E00"


def forest(table: pd.DataFrame, *, xlabel: str) -> Figure:
    """Planted values (diamonds) and estimates with their intervals, one row an effect.

    Args:
        table: ``planted``, ``estimate``, ``low``, ``high``, indexed by effect.
        xlabel: what the horizontal axis shows.
    """
    figure, axes = plt.subplots(figsize=(7, 0.9 + 0.27 * len(table)))
    y = np.arange(len(table))[::-1]
    errors = np.stack([table["estimate"] - table["low"], table["high"] - table["estimate"]])
    axes.axvline(0, color="#777777", linewidth=0.8)
    axes.errorbar(
        table["estimate"], y, xerr=errors, fmt="o", markersize=4, color=_BLUE, label="estimate, 95 % interval"
    )
    axes.plot(table["planted"], y, "D", markersize=5, markerfacecolor="none", color=_ORANGE, label="planted")
    axes.set_yticks(y, [str(name).removeprefix("gene:") for name in table.index], fontsize=9)
    axes.set(xlabel=xlabel)
    axes.legend(fontsize=9)
    return figure


def quantile_plot(p: pd.DataFrame, *, groups: Sequence[tuple[str, str]]) -> Figure:
    """Ordered p-values of each test against those of the uniform distribution, a panel a group.

    Args:
        p: ``(replicates, tests)``.
        groups: part of a test's name that makes it one of the group, and the panel's title.
    """
    figure, panels = plt.subplots(1, len(groups), figsize=(4.2 * len(groups), 4), sharey=True, squeeze=False)
    for axes, (part, title) in zip(panels[0], groups, strict=True):
        for name in [column for column in p if part in str(column)]:
            values = np.sort(p[name].dropna())
            axes.plot((np.arange(len(values)) + 0.5) / len(values), values, color=_BLUE, linewidth=0.7, alpha=0.6)
        axes.plot([0, 1], [0, 1], color=_ORANGE, linewidth=1.2, linestyle="--")
        axes.set(title=title, xlabel="uniform quantile", xlim=(0, 1), ylim=(0, 1))
        axes.set_aspect("equal")
    panels[0, 0].set_ylabel("p-value")
    return figure


def gallery_choice(cohort: Cohort) -> dict[str, str]:
    """Subjects that show what the traits do: reason -> subject, each subject once, all with every modality.

    Raises:
        MissingDataError: if the cohort has no truth, so is not a simulated one.
    """
    cohort.require("truth")
    assert cohort.truth is not None
    file = cohort.truth / "traits.tsv"
    with reading(file, remedy=f"make the cohort again: `radlib chapter cohort {cohort.name}`"):
        left = pd.read_csv(file, sep="\t", index_col="id").loc[cohort.complete(*MODALITIES, "seg").ids]
    picks: dict[str, str] = {}
    for reason, column, largest in (
        ("most enhancement", "fraction_et", True),
        ("no or least enhancement", "fraction_et", False),
        ("strongest T2-FLAIR mismatch", "t2_flair_mismatch", True),
        ("most foci", "n_foci", True),
        ("largest", "volume_ml", True),
        ("oldest brain", "age", True),
    ):
        if left.empty:
            break
        subject = str(left[column].idxmax() if largest else left[column].idxmin())
        picks[reason] = subject
        left = left.drop(index=subject)
    return picks


def volume_figure(volumes: Mapping[str, pd.DataFrame]) -> Figure:
    """Tumour-part volumes by collection, boxes, over the quartiles and medians of Bakas et al. 2017, bands and lines.

    Args:
        volumes: title -> table of :func:`radlib.phantom.agreement.part_volumes` or ``label_volumes``; up to three.
    """
    figure, panels = plt.subplots(1, len(BAKAS_QUARTILES), figsize=(9, 3.8), sharey=True, squeeze=False)
    width = 0.8 / len(volumes)
    for axes, (name, parts) in zip(panels[0], BAKAS_QUARTILES.items(), strict=True):
        for column, (part, (low, middle, high)) in enumerate(parts.items()):
            axes.fill_between([column - 0.42, column + 0.42], low, high, color=_ORANGE, alpha=0.25, linewidth=0)
            axes.hlines(middle, column - 0.42, column + 0.42, color=_ORANGE, linewidth=2)
            for number, (title, table) in enumerate(volumes.items()):
                box = axes.boxplot(
                    [table.loc[table["collection"] == name, part]], positions=[column - 0.4 + width * (number + 0.5)],
                    widths=0.8 * width, showfliers=False, patch_artist=True, medianprops={"color": "black"},
                )  # fmt: skip
                shade = (_BLUE, "#56B4E9", "#009E73")[number]
                box["boxes"][0].set(facecolor=shade, alpha=0.7, label=title if column == 0 else None)
        axes.set_xticks(range(len(parts)), list(parts))
        axes.set(title=name, xlabel="part of the tumour")
        axes.set_yscale("symlog", linthresh=1)
    panels[0, 0].set_ylabel("volume, ml")
    panels[0, -1].legend(fontsize=8, loc="lower right")
    return figure
