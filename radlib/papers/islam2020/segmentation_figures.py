"""Figures of the segmentation chapter: differences, learning curves, and pictures of simulated subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore
from radlib.papers.islam2020.segmentation import Outcome
from radlib.papers.islam2020.segmentation_networks import spoken
from radlib.plots.curves import loss_figure
from radlib.plots.dots import dot_plot

COLOURS: dict[int, tuple[str, tuple[float, float, float]]] = {
    1: ("necrotic and non-enhancing core", (0.85, 0.15, 0.10)),
    4: ("enhancing tumour", (1.00, 0.85, 0.10)),
    2: ("oedema", (0.15, 0.65, 0.25)),
}
"""The paper's colours: red, yellow and green."""


def curves_figure(outcomes: Mapping[str, Outcome]) -> Figure:
    """Loss, whole-tumour Dice and mean Dice of the first fold's training of every network."""
    histories = {outcome.label: outcome.runs[0].fitted.history for outcome in outcomes.values()}
    labels = {
        "loss": "loss, training", "dice_wt": "Dice WT, validation", "dice_mean": "mean Dice, validation",
    }  # fmt: skip
    metrics = [name for name in labels if any(name in history for history in histories.values())]
    figure = loss_figure(histories, metric=metrics, smooth=3, ylabels=labels)
    figure.axes[0].set_yscale("log")
    return _without_parts(figure, list(histories))


def _without_parts(figure: Figure, names: Sequence[str]) -> Figure:
    """One legend entry a network: the panels' labels say already which part they show."""
    handles: dict[str, Artist] = {}
    for panel in figure.axes:
        for handle, text in zip(*panel.get_legend_handles_labels(), strict=True):
            name = text.removesuffix(" (training)").removesuffix(" (validation)")
            handles.setdefault(name, handle)
    for legend in list(figure.legends):
        legend.remove()
    shown = [name for name in names if name in handles]
    figure.legend(handles=[handles[name] for name in shown], labels=shown, loc="outside lower center", ncols=4,
                  fontsize=9)  # fmt: skip
    return figure


def difference_figure(table: pd.DataFrame) -> Figure:
    """Differences in Dice with intervals: a panel a region, a line a network; right of 0 the first one is better."""
    shown = table.assign(metric=table["region"].str.upper(), kind=table["metric"])
    figure = dot_plot(
        shown,
        metrics=[region.upper() for region in REGIONS],
        rows="network",
        colour="kind",
        references={region.upper(): [("no difference", 0.0)] for region in REGIONS},
        row_height=0.5,
    )
    for panel in figure.axes:
        panel.set_xlabel(f"difference in Dice, {panel.get_xlabel()}")
        panel.xaxis.set_major_locator(MaxNLocator(3))
    return figure


def gain_figure(table: pd.DataFrame) -> Figure:
    """What every modality adds to the Dice, a panel a region (:func:`segmentation_results.modality_gains`)."""
    figure = dot_plot(
        table.assign(metric=table["region"].str.upper()),
        metrics=[region.upper() for region in REGIONS],
        rows="added",
        references={region.upper(): [("no gain", 0.0)] for region in REGIONS},
        row_height=0.45,
    )
    for panel in figure.axes:
        panel.set_xlabel(f"gain in Dice, {panel.get_xlabel()}")
        panel.xaxis.set_major_locator(MaxNLocator(3))
    return figure


def widest_slice(labels: np.ndarray) -> int:
    """The axial position with most tumour; the middle one where there is none."""
    areas = (labels > 0).sum(axis=(0, 1))
    return int(areas.argmax()) if areas.any() else labels.shape[2] // 2


def necrotic_subjects(store: ImageStore, subjects: Sequence[str], *, most: int) -> list[str]:
    """The subjects with the largest necrotic core among those that have all three labels: what Figure 7 is about."""
    sizes = {}
    for subject in subjects:
        labels = store.labels[store.rows([subject])[0]]
        if all(bool((labels == label).any()) for label in COLOURS):
            sizes[subject] = int((labels == 1).sum())
    chosen = sorted(sizes, key=lambda subject: -sizes[subject])[:most]
    return chosen or list(subjects)[:most]


def picture_figure(
    store: ImageStore,
    subjects: Sequence[str],
    outcomes: Mapping[str, Outcome],
    *,
    modalities: Sequence[str] = ("t1ce",),
    truth: bool = True,
    images: Mapping[str, ImageStore] | None = None,
) -> Figure:
    """Slices of simulated subjects: modalities, reference, and what every ensemble found, over the first modality.

    Args:
        store: the images.
        subjects: one row each, on the slice with most tumour.
        outcomes: whose ensembles' labels to show.
        modalities: the images to show.
        truth: whether the reference is shown.
        images: other stores to take a modality from, by the title of its column (a synthetic image); the key is
            ``<modality>: <title>``.
    """
    extra = dict(images or {})
    columns = len(modalities) + len(extra) + truth + len(outcomes)
    figure, grid = plt.subplots(
        len(subjects), columns, figsize=(min(1.75 * columns, 11.5), 2.3 * len(subjects) + 0.4), squeeze=False
    )
    for row, subject in zip(grid, subjects, strict=True):
        place = store.rows([subject])[0]
        labels = store.labels[place].cpu().numpy()
        z = widest_slice(labels)
        window = _window((store.images[place] != 0).any(dim=0).cpu().numpy()[:, :, z])
        cells = iter(row)
        first = store.images[place, store.channels([modalities[0]])[0], :, :, z].cpu().numpy()
        for name in modalities:
            image = store.images[place, store.channels([name])[0], :, :, z].cpu().numpy()
            _show(next(cells), image, None, window, spoken(name))
        for key, other in extra.items():
            name, _, title = key.partition(": ")
            image = other.images[other.rows([subject])[0], other.channels([name])[0], :, :, z].cpu().numpy()
            _show(next(cells), image, None, window, title)
        if truth:
            _show(next(cells), first, labels[:, :, z], window, "reference")
        for outcome in outcomes.values():
            _show(next(cells), first, outcome.labels[subject][:, :, z], window, outcome.label.partition(": ")[0])
    for row in grid[1:]:
        for panel in row:
            panel.set_title("")
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in COLOURS.values()],
        loc="outside lower center", ncols=3, fontsize=9,
    )  # fmt: skip
    return figure


def _window(inside: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around the brain, with a voxel to spare."""
    parts = []
    for axis in range(2):
        along = np.flatnonzero(inside.any(axis=1 - axis))
        low, high = (int(along[0]), int(along[-1])) if len(along) else (0, inside.shape[axis] - 1)
        parts.append(slice(max(0, low - 1), high + 2))
    return parts[0], parts[1]


def _show(panel: Axes, image: np.ndarray, labels: np.ndarray | None, window: tuple[slice, slice], title: str) -> None:
    """A slice as radiologists look at it (anterior up), labels in colour over it."""
    grey = image[window]
    brain = grey[grey != 0]
    low, high = np.percentile(brain, [1, 99.5]) if brain.size else (0.0, 1.0)
    scaled = np.clip((grey - low) / max(high - low, 1e-6), 0, 1) * (grey != 0)
    rgb = np.repeat(scaled[..., None], 3, axis=2)
    if labels is not None:
        for label, (_, colour) in COLOURS.items():
            mask = labels[window] == label
            rgb[mask] = 0.35 * rgb[mask] + 0.65 * np.asarray(colour)
    panel.imshow(rgb.transpose(1, 0, 2), interpolation="nearest")
    panel.set_title(title.replace(", ", ",\n"), fontsize=9)
    panel.set_axis_off()
