"""Figures of both chapters: pairs of modalities, translations, segmentations with their Dice, differences, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore
from radlib.papers.zhang2021.fusion import Outcome
from radlib.papers.zhang2021.recipe import MODALITY_NAMES, Groups, Recipe
from radlib.papers.zhang2021.results import PLACES
from radlib.papers.zhang2021.transition import Pretrained, translate
from radlib.plots.curves import loss_figure
from radlib.plots.dots import dot_plot
from radlib.stats.segmentation import dice
from radlib.training.inference import brain_box

COLOURS: dict[int, tuple[str, tuple[float, float, float]]] = {
    2: ("whole tumour", (0.15, 0.65, 0.25)),
    1: ("tumour core", (0.10, 0.35, 0.85)),
    4: ("enhancing tumour", (0.60, 0.20, 0.75)),
}
"""The paper's colours: green, blue and purple; a label has that of the smallest region it belongs to."""


def widest_slice(labels: np.ndarray) -> int:
    """The axial position with most tumour; the middle one where there is none."""
    areas = (labels > 0).sum(axis=(0, 1))
    return int(areas.argmax()) if areas.any() else labels.shape[2] // 2


def pair_figure(store: ImageStore, subjects: Sequence[str], groups: Groups) -> Figure:
    """Figures 1 and 5: the modalities of subjects, those of a pair side by side, and the reference over the first."""
    names = [name for group in groups for name in group]
    figure, grid = plt.subplots(len(subjects), len(names) + 1, figsize=(9.0, 2.2 * len(subjects) + 0.5), squeeze=False)
    for line, subject in zip(grid, subjects, strict=True):
        box = brain_box(store, subject)
        row = store.rows([subject])[0]
        labels = store.labels[row].cpu().numpy()
        z = widest_slice(labels)
        for panel, name in zip(line, names, strict=False):
            show(panel, store.images[row, store.channels([name])[0], box[0], box[1], z].cpu().numpy())
        first = store.images[row, store.channels([names[-1]])[0], box[0], box[1], z].cpu().numpy()
        show(line[-1], first, labels[box[0], box[1], z])
    for place, group in enumerate(groups):
        for name in group:
            grid[0, names.index(name)].set_title(f"{MODALITY_NAMES[name]}\n(pair {'AB'[place]})", fontsize=10)
    grid[0, -1].set_title("reference\n", fontsize=10)
    _legend(figure)
    return figure


def translation_figure(pretrained: Pretrained, store: ImageStore, subjects: Sequence[str], *, recipe: Recipe) -> Figure:
    """Real modalities of A and B, what the generators make of each other, and the way back; a row a subject."""
    first, second = pretrained.groups
    columns = [
        *((f"{MODALITY_NAMES[name]}", "a", k) for k, name in enumerate(first)),
        *((f"{MODALITY_NAMES[name]}\nfrom A", "fake_b", k) for k, name in enumerate(second)),
        *((f"{MODALITY_NAMES[name]}", "b", k) for k, name in enumerate(second)),
        *((f"{MODALITY_NAMES[name]}\nfrom B", "fake_a", k) for k, name in enumerate(first)),
        *((f"{MODALITY_NAMES[name]}\nand back", "again_a", k) for k, name in enumerate(first)),
    ]
    figure, grid = plt.subplots(len(subjects), len(columns), figsize=(11.0, 1.55 * len(subjects) + 0.6), squeeze=False)
    for number, (line, subject) in enumerate(zip(grid, subjects, strict=True)):
        box = brain_box(store, subject)
        made = translate(pretrained, store, subject, recipe=recipe, box=box)
        z = widest_slice(store.labels[store.rows([subject])[0]][box].cpu().numpy())
        for panel, (title, key, channel) in zip(line, columns, strict=True):
            show(panel, made[key][channel, :, :, z].numpy())
            if not number:
                panel.set_title(title, fontsize=9)
    return figure


def segmentation_figure(
    store: ImageStore,
    subjects: Mapping[str, str],
    outcomes: Mapping[str, Mapping[str, np.ndarray]],
    *,
    modality: str = "flair",
) -> Figure:
    """Figures 7 to 9: an image, the reference, and what networks found, each with its mean Dice over the regions.

    Args:
        store: the images.
        subjects: id to what is written beside the row (empty: nothing).
        outcomes: title of a column to labels ``(X, Y, Z)`` by subject.
        modality: below the colours.
    """
    columns = 2 + len(outcomes)
    figure, grid = plt.subplots(
        len(subjects), columns, figsize=(min(1.85 * columns, 11.5), 2.15 * len(subjects) + 0.6), squeeze=False
    )
    for number, (line, (subject, said)) in enumerate(zip(grid, subjects.items(), strict=True)):
        row = store.rows([subject])[0]
        box = brain_box(store, subject)
        truth = store.labels[row].cpu().numpy()
        z = widest_slice(truth)
        image = store.images[row, store.channels([modality])[0], box[0], box[1], z].cpu().numpy()
        show(line[0], image)
        show(line[1], image, truth[box[0], box[1], z])
        for panel, (title, labels) in zip(line[2:], outcomes.items(), strict=True):
            found = labels[subject]
            show(panel, image, found[box[0], box[1], z])
            panel.set_xlabel(f"Dice {mean_dice(found, truth):.2f}", fontsize=9)
            if not number:
                panel.set_title(_broken(title), fontsize=9)
        line[0].set_ylabel(_broken(said), fontsize=9)
    grid[0, 0].set_title(MODALITY_NAMES[modality], fontsize=9)
    grid[0, 1].set_title("reference", fontsize=9)
    _legend(figure)
    return figure


def mean_dice(found: np.ndarray, truth: np.ndarray) -> float:
    """The mean Dice of ET, WT and TC over a volume; 1 for a region that is in neither."""
    sets = {"et": (4,), "wt": (1, 2, 4), "tc": (1, 4)}
    return float(np.mean([dice(np.isin(found, sets[r]), np.isin(truth, sets[r])) for r in REGIONS]))


def difference_figure(table: pd.DataFrame) -> Figure:
    """Differences with intervals (:func:`radlib.papers.zhang2021.results.differences`): a panel a place."""
    places = [place for place in PLACES if place in set(table["place"])]
    names = {place: place.upper() if place in REGIONS else place for place in places}
    figure = dot_plot(
        table.assign(metric=table["place"].map(names)),
        metrics=list(names.values()),
        rows="comparison",
        references={name: [("no difference", 0.0)] for name in names.values()},
        row_height=0.42,
    )
    figure.set_size_inches(10.4, figure.get_size_inches()[1])
    for panel, name in zip(figure.axes, names.values(), strict=True):
        panel.set_xlabel(f"difference\nin Dice, {name}")
        panel.xaxis.set_major_locator(MaxNLocator(3))
    return figure


def transition_curves(trained: Mapping[str, pd.DataFrame]) -> Figure:
    """Losses of pre-training by kind: the generators' cycle consistency in training and on held-out subjects."""
    labels = {"cycle": "cycle consistency", "adversarial": "adversarial loss", "translation": "A to B and B to A"}
    metrics = [name for name in labels if any(name in history for history in trained.values())]
    return loss_figure(trained, metric=metrics, smooth=3, ylabels=labels)


def flat_curves(history: pd.DataFrame) -> Figure:
    """The 2D pre-training: loss, and the share of right pixels on new images."""
    labels = {"loss": "loss", "accuracy": "right pixels", "objects": "right pixels, objects"}
    metrics = [name for name in labels if name in history]
    return loss_figure({"2D network": history}, metric=metrics, smooth=3, ylabels=labels)


def segmentation_curves(outcomes: Mapping[str, Outcome]) -> Figure:
    """Loss and Dice on cubes of held-out subjects over the steps, first training of every network."""
    histories = {
        "S_A and S_B" if outcome.key == "s_a" else outcome.title: outcome.histories[0]  # trained in one go
        for outcome in outcomes.values()
        if outcome.histories
    }
    labels = {"loss": "loss, training", "dice_mean": "Dice, held-out cubes"}
    metrics = [name for name in labels if any(name in history for history in histories.values())]
    return loss_figure(histories, metric=metrics, smooth=5, ylabels=labels)


def show(panel: Axes, image: np.ndarray, labels: np.ndarray | None = None) -> None:
    """A slice ``(x, y)`` as radiologists look at it (anterior up), labels in colour over it; 0 is outside the brain."""
    brain = image[image != 0]
    low, high = np.percentile(brain, [1, 99.5]) if brain.size else (0.0, 1.0)
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * (image != 0)
    rgb = np.repeat(scaled[..., None], 3, axis=2)
    if labels is not None:
        for label, (_, colour) in COLOURS.items():
            rgb[labels == label] = 0.35 * rgb[labels == label] + 0.65 * np.asarray(colour)
    panel.imshow(rgb.transpose(1, 0, 2), interpolation="nearest")
    panel.set(xticks=[], yticks=[])
    for spine in panel.spines.values():
        spine.set_visible(False)


def _legend(figure: Figure) -> None:
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in COLOURS.values()],
        loc="outside lower center", ncols=3, fontsize=9,
    )  # fmt: skip


def _broken(title: str, *, width: int = 18) -> str:
    lines = [""]
    for word in title.split():
        if len(lines[-1]) + len(word) >= width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
