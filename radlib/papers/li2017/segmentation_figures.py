"""Figures of the chapter on the tumour CNN of Li 2017."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from radlib.data.store import ImageStore
from radlib.papers.li2017.segmentation import truth_of
from radlib.papers.li2017.segmentation_results import NAMES
from radlib.papers.li2017.segmentation_slices import Mask
from radlib.papers.li2017.segmentation_study import SPOKEN
from radlib.plots.curves import loss_figure
from radlib.plots.dots import dot_plot
from radlib.plots.style import PALETTE


def curves_figure(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Training loss, and loss and accuracy on unseen patches, a line a network."""
    parts = {}
    for name, history in histories.items():
        training, unseen = (history[history["part"] == part] for part in ("training", "validation"))
        parts[name] = pd.concat([
            training[["step", "part", "loss"]],
            unseen[["step", "part"]].assign(unseen_loss=unseen["loss"], accuracy=unseen["accuracy"]),
        ])  # fmt: skip
    labels = {"loss": "loss, training", "unseen_loss": "loss, unseen patches", "accuracy": "accuracy, unseen patches"}
    figure = loss_figure(parts, metric=list(labels), smooth=3, ylabels=labels)
    for panel in figure.axes[:2]:
        panel.set_yscale("log")
        panel.set_ylim(0.03, 2)
    handles = [Line2D([], [], color=PALETTE[number % len(PALETTE)], label=name) for number, name in enumerate(parts)]
    for legend in list(figure.legends):
        legend.remove()
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    return figure


def score_figure(found: pd.DataFrame) -> Figure:
    """Figure 1(a): DSC, PPV and sensitivity of every network and rule, with intervals over patients."""
    shown = found.assign(metric=found["metric"].map(NAMES))
    figure = dot_plot(shown, metrics=list(NAMES.values()), rows="method", row_height=0.42)
    for panel in figure.axes:
        panel.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def effect_figure(found: pd.DataFrame) -> Figure:
    """Differences with intervals over patients and trainings; right of 0 the change is a gain."""
    shown = found.assign(metric=found["metric"].map(NAMES))
    none = {name: [("no difference", 0.0)] for name in NAMES.values()}
    figure = dot_plot(shown, metrics=list(NAMES.values()), rows="change", references=none, row_height=0.42)
    for panel in figure.axes:
        panel.set_xlabel(f"gain in {panel.get_xlabel()}")
        panel.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def patient_figure(tables: Mapping[str, pd.DataFrame], volumes: Mapping[str, float]) -> Figure:
    """DSC of every test patient against the volume of the tumour, a colour a method."""
    figure, panel = plt.subplots(figsize=(7.4, 3.8))
    for number, (name, table) in enumerate(tables.items()):
        by_patient = table.groupby("subject")["dice"].mean()
        sizes = [volumes[subject] for subject in by_patient.index]
        panel.plot(sizes, by_patient, ("o", "s", "^")[number % 3], color=PALETTE[number], label=name, markersize=5,
                   alpha=0.8)  # fmt: skip
    panel.set(xlabel="tumour volume (ml)", ylabel="DSC", ylim=(-0.02, 1), xscale="log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(ScalarFormatter())
    panel.xaxis.set_minor_formatter(NullFormatter())
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def typical_patients(table: pd.DataFrame, *, at: Sequence[float] = (0.1, 0.5, 0.9)) -> list[str]:
    """The patients whose DSC lies at these quantiles: chosen by rank, not by eye."""
    order = table.groupby("subject")["dice"].mean().sort_values()
    places = sorted({round(share * (len(order) - 1)) for share in at})
    return [str(order.index[place]) for place in places]


def case_figure(
    store: ImageStore,
    subjects: Sequence[str],
    masks: Mapping[str, Mapping[str, Mask]],
    scores: Mapping[str, pd.DataFrame],
) -> Figure:
    """Figure 1(b): slices of simulated patients with the reference and what every network found, as outlines.

    Args:
        store: with FLAIR and T1c.
        subjects: one row each, on the slice with most tumour.
        masks: a column a network, by title; then by patient.
        scores: for the DSC in the corner, by title.
    """
    columns = [*store.modalities, *masks]
    figure, grid = plt.subplots(
        len(subjects), len(columns), figsize=(2.3 * len(columns), 2.75 * len(subjects) + 0.5), squeeze=False
    )
    for line, subject in zip(grid, subjects, strict=True):
        truth = truth_of(store, subject)
        z = int(truth.sum(axis=(0, 1)).argmax())
        images = store.images[store.rows([subject])[0], :, :, :, z].cpu().numpy()
        window = _window((images != 0).any(axis=0))
        for panel, column in zip(line, columns, strict=True):
            number = store.modalities.index(column) if column in store.modalities else store.channels(["flair"])[0]
            _grey(panel, images[number][window])
            _outline(panel, truth[:, :, z][window], PALETTE[4])
            if column in masks:
                _outline(panel, masks[column][subject][:, :, z][window], PALETTE[5])
                value = scores[column].query("subject == @subject and run == 0")["dice"].iloc[0]
                panel.text(0.03, 0.03, f"DSC {value:.2f}", color="white", fontsize=9, transform=panel.transAxes)
            if subject == subjects[0]:
                panel.set_title(SPOKEN.get(column, column.replace(", ", ",\n")), fontsize=9)
    handles = [Line2D([], [], color=PALETTE[4], label="reference"), Line2D([], [], color=PALETTE[5], label="network")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _window(inside: np.ndarray) -> tuple[slice, slice]:
    """The smallest box around the brain."""
    places = np.nonzero(inside)
    first, second = (slice(int(axis.min()), int(axis.max()) + 1) for axis in places)
    return first, second


def _grey(panel: Axes, image: np.ndarray) -> None:
    """A slice as radiologists look at it, anterior up; outside the brain is black."""
    brain = image[image != 0]
    low, high = np.percentile(brain, [1, 99.5])
    shown = np.where(image != 0, np.clip((image - low) / max(high - low, 1e-6), 0.08, 1), 0)
    panel.imshow(shown.T, cmap="gray", vmin=0, vmax=1, interpolation="bilinear")
    panel.set_axis_off()


def _outline(panel: Axes, mask: np.ndarray, colour: str) -> None:
    if mask.any() and not mask.all():
        panel.contour(mask.T.astype(float), levels=[0.5], colors=[colour], linewidths=1.6)


def real_figure(found: pd.DataFrame) -> Figure:
    """DSC of every real subject, a line a method: numbers alone, no picture of anybody."""
    table = found.assign(line=found["method"] + "\nfrom " + found["learnt from"])
    names = list(dict.fromkeys(table["line"]))
    figure, panel = plt.subplots(figsize=(7.4, 0.55 * len(names) + 1.2))
    for number, name in enumerate(names):
        values = table[table["line"] == name]["dice"].to_numpy()
        panel.plot(values, np.full(len(values), number), "o", color=PALETTE[0], alpha=0.6)
        panel.plot([values.mean()], [number], "D", color=PALETTE[1], markersize=8)
    panel.set(xlabel="DSC (diamond: mean)", xlim=(-0.02, 1), ylim=(len(names) - 0.5, -0.5))
    panel.set_yticks(range(len(names)), names, fontsize=9)
    return figure
