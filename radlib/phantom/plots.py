"""Figures of the simulated cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radlib.core.files import reading
from radlib.data.cohort import MODALITIES, Cohort
from radlib.phantom.agreement import BAKAS_QUARTILES

_BLUE, _ORANGE = "#0072B2", "#D55E00"
LABEL_COLOURS = {1: "#D55E00", 2: "#56B4E9", 4: "#F0E442"}
_LABEL_NAMES = {1: "core", 2: "oedema", 4: "enhancing"}


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


def gallery(cohort: Cohort, subjects: Mapping[str, str]) -> Figure:
    """One row a subject: its modalities in the axial slice with the largest tumour, and the labels over FLAIR.

    Intensities run from 0 to the 99.5th percentile of each image. For simulated subjects only.

    Args:
        cohort: with all four modalities and labels for these subjects.
        subjects: what is written beside a row -> subject.
    """
    columns = [*MODALITIES, "seg"]
    figure, panels = plt.subplots(
        len(subjects), len(columns), figsize=(1.7 * len(columns), 1.75 * len(subjects) + 0.4), squeeze=False
    )
    table = cohort.participants
    for row, (reason, subject) in enumerate(subjects.items()):
        labels = cohort.labels(subject).data
        level = int(np.argmax((labels > 0).sum(axis=(0, 1))))
        for axes, column in zip(panels[row], columns, strict=True):
            axes.set_axis_off()
            image = cohort.volume(subject, "flair" if column == "seg" else column).data
            axes.imshow(_upright(image[:, :, level]), vmin=0, vmax=np.percentile(image[image > 0], 99.5), cmap="gray")
            if column == "seg":
                overlay = np.ma.masked_equal(_upright(labels[:, :, level]), 0)
                colours = ListedColormap([LABEL_COLOURS.get(value, "black") for value in range(5)])
                axes.imshow(overlay, cmap=colours, vmin=0, vmax=4, alpha=0.55, interpolation="nearest")
            if row == 0:
                axes.set_title("labels" if column == "seg" else column.upper(), fontsize=10)
        group, status = table.loc[subject, ["grade_group", "idh"]].astype(str)
        about = f"{reason}\n{group}, {status}"
        panels[row, 0].text(
            -0.04, 0.5, about, transform=panels[row, 0].transAxes, rotation=90, ha="right", va="center", fontsize=7.5
        )
    handles = [Patch(color=colour, label=_LABEL_NAMES[value]) for value, colour in LABEL_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _upright(image: np.ndarray) -> np.ndarray:
    """An axial slice of a BraTS-oriented volume ``(X, Y)`` (LPS) as rows from anterior to posterior."""
    return image.T


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
