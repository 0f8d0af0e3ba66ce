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
from radlib.phantom.anatomy import Grid
from radlib.phantom.mechanisms import NAMES, NONE, Mechanisms, resolve_mechanisms
from radlib.phantom.render import Rendered, render_subject
from radlib.phantom.scanner import load_protocol
from radlib.phantom.traits import ImagingTraits

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


def mechanism_gallery(
    traits: ImagingTraits, *, protocol: str, grid: Grid, seed: int, names: Sequence[str] = NAMES
) -> Figure:
    """FLAIR and contrast-enhanced T1 of one subject without any mechanism and with each alone, at twice its strength.

    Each row shows the slice in which the mechanism changes most; for the rater, labels are drawn over the images. A
    mechanism that this subject happens not to have says so, in the slice with the most tumour.

    Args:
        traits: of the subject.
        protocol: of the scanner.
        grid: voxels.
        seed: of the subject.
        names: of the mechanisms.
    """
    shown = ("flair", "t1ce")

    def make(mechanisms: Mechanisms) -> Rendered:
        return render_subject(
            traits, subject="gallery", seed=seed, protocol=load_protocol(protocol), grid=grid, modalities=shown,
            mechanisms=mechanisms,
        )  # fmt: skip

    plain, half = make(NONE), -(-len(names) // 2)
    figure, panels = plt.subplots(half, 8, figsize=(11, 1.45 * half), squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for number, name in enumerate(names):
        alone = make(resolve_mechanisms({"all": 0, name: 2}))
        block, row = divmod(number, half)
        change = sum(np.abs(alone.images[m].astype(float) - plain.images[m]).sum(axis=(0, 1)) for m in shown)
        if name == "rater":
            change = (alone.labels != plain.labels).sum(axis=(0, 1))
        title = name.replace("_", " ")
        if not change.any():  # inclusions are not in every tumour
            title, change = f"{title}: none here", (plain.labels > 0).sum(axis=(0, 1))
        level = int(np.argmax(change))
        for column, (modality, item) in enumerate((m, item) for m in shown for item in (plain, alone)):
            axes = panels[row, 4 * block + column]
            scale = np.percentile(plain.images[modality][plain.images[modality] > 0], 99.5)
            axes.imshow(item.images[modality][:, :, level].T, vmin=0, vmax=scale, cmap="gray")
            if name == "rater":
                axes.contour(item.labels[:, :, level].T > 0, [0.5], colors=_ORANGE, linewidths=0.8)
            if row == 0:
                axes.set_title(f"{modality.upper()} {'with' if item is alone else 'without'}", fontsize=8)
            if column == 0:
                axes.text(-0.04, 0.5, title, transform=axes.transAxes, rotation=90, ha="right",
                          va="center", fontsize=7.5)  # fmt: skip
    return figure


def fools_figure(fools: pd.DataFrame) -> Figure:
    """What misleads each method: Dice lost and false-positive volume by distractor.

    Args:
        fools: of :func:`radlib.phantom.realism.kept_calibration`.
    """
    figure, panels = plt.subplots(2, 2, figsize=(10, 6.5), sharey=True, layout="constrained")
    titles = {"wt": "whole tumour", "et": "enhancing tumour"}
    for row, (region, title) in zip(panels, titles.items(), strict=True):
        part = fools[fools["region"] == region]
        for axes, column in zip(row, ("Dice lost", "false positive"), strict=True):
            for number, (method, of) in enumerate(part.groupby("method", sort=False)):
                y = np.arange(len(of))[::-1] + 0.2 - 0.4 * number
                axes.barh(y, of[column], height=0.38, color=(_BLUE, _ORANGE)[number], label=str(method))
                axes.set_yticks(np.arange(len(of))[::-1], list(of["distractor"]), fontsize=8)
            label = "Dice lost" if column == "Dice lost" else "false positives, share of the tumour's volume"
            axes.set(title=title, xlabel=label)
            axes.locator_params(axis="x", nbins=5)
    panels[0, 0].legend(fontsize=8)
    return figure


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
