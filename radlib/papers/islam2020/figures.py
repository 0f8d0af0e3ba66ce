"""Figures of the chapters of Islam 2020 that no other chapter draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from radlib.core.titles import MODALITY_TITLES
from radlib.data.store import ImageStore
from radlib.papers.islam2020.study_synthesis import tumour_slice
from radlib.plots.dots import dot_plot
from radlib.plots.slices import Tile
from radlib.plots.style import PALETTE

COLOURS: dict[int, tuple[str, str]] = {
    1: ("#D9261A", "necrotic and non-enhancing core"),
    4: ("#FFD91A", "enhancing tumour"),
    2: ("#26A640", "oedema"),
}
"""The paper's colours: red, yellow and green."""


class Adversaries(nn.Module):
    """A generator and a discriminator one behind the other, as they are drawn: the condition goes into both.

    Args:
        players: ``generator``, and ``judge``, which takes the images without their noise, and the synthetic one.
    """

    def __init__(self, players: nn.ModuleDict) -> None:
        super().__init__()
        self.players = players

    def forward(self, images: Tensor) -> Tensor:
        """The verdicts on what is made of images ``(B, C, H, W)``, whose last channel is noise."""
        fake = self.players["generator"](images)
        verdicts: Tensor = self.players["judge"](torch.cat([images[:, :-1], fake], dim=1))
        return verdicts


Slices = Mapping[str, np.ndarray]


def segmented(
    store: ImageStore, subject: str, labels: Mapping[str, Slices], *, modalities: Sequence[str] = ("t1ce",),
    beside: Mapping[str, Any] | None = None,
) -> list[Tile]:  # fmt: skip
    """A row of pictures of a simulated subject: modalities, other images, the reference, and what networks found.

    Args:
        store: the images.
        subject: shown on the slice with most tumour.
        labels: by network, slices of labels by subject, laid over the first modality.
        modalities: the images to show.
        beside: further images ``(X, Y)`` by title.
    """
    one, place = store.subject(subject), tumour_slice(store, subject)
    tiles = [Tile(image=one.image(name)[..., place], title=MODALITY_TITLES[name]) for name in modalities]
    tiles += [Tile(image=image, title=title) for title, image in (beside or {}).items()]
    first = one.image(modalities[0])[..., place]
    tiles.append(Tile(image=first, labels=one.labels[..., place], title="reference"))
    return tiles + [Tile(image=first, labels=found[subject], title=title) for title, found in labels.items()]


def synthesised(
    store: ImageStore, subject: str, made: Mapping[str, np.ndarray], *, sources: Sequence[str], target: str
) -> list[list[Tile]]:
    """Rows of pictures of a simulated subject as in Figure 6 B: real images, synthetic ones, and their errors.

    Args:
        store: ``minmax`` images.
        subject: shown on the slice with most tumour.
        made: synthetic slices by method.
        sources, target: modalities.
    """
    one, place = store.subject(subject), tumour_slice(store, subject)
    truth = one.image(target)[..., place].cpu().numpy()
    real = [Tile(image=one.image(name)[..., place], title=MODALITY_TITLES[name], limits=(0, 1)) for name in sources]
    return [
        [*real, Tile(image=truth, title=f"true {MODALITY_TITLES[target]}", limits=(0, 1))],
        [Tile(image=image, title=title, limits=(0, 1)) for title, image in made.items()],
        [Tile(image=np.abs(image - truth), cmap="magma", limits=(0, 0.5)) for image in made.values()],
    ]


def difference_figure(found: pd.DataFrame, *, titles: Mapping[str, str], pairs: bool = False) -> Figure:
    """Paired differences in Dice around 0: a panel a region and their mean, a line the second arm, or the pair."""
    second = found["second"].map(titles)
    rows = found["first"].map(titles) + " minus " + second if pairs else second
    panels = {name: "mean" if name == "average" else name.upper() for name in dict.fromkeys(found["group"])}
    return dot_plot(
        found.assign(panel=found["group"].map(panels), row=rows), panel="panel", metrics=list(panels.values()),
        rows="row", references=[("no difference", 0.0)], xlabel="difference in Dice, {}", row_height=0.5, width=12.0,
    )  # fmt: skip


def reliability_points(table: pd.DataFrame, *, titles: Mapping[str, str]) -> pd.DataFrame:
    """Points of reliability diagrams: ``network``, ``confidence``, ``value`` (share that is right), ``error``.

    Args:
        table: ``reliability`` of a study of ensembles; subjects are pooled.
        titles: of arms.

    Returns:
        Also ``error``: the bin's part of the expected calibration error, which is their sum.
    """
    sums = table.groupby(["arm", "bin"], sort=False)[["voxels", "confidence", "right"]].sum().reset_index()
    whole = sums.groupby("arm")["voxels"].transform("sum")
    return pd.DataFrame({
        "network": sums["arm"].map(titles), "confidence": sums["confidence"] / sums["voxels"],
        "value": sums["right"] / sums["voxels"], "error": (sums["confidence"] - sums["right"]).abs() / whole,
    })  # fmt: skip


def frequency_figure(frequency: pd.Series, names: Sequence[str], *, chance: float) -> Figure:
    """How often genes are selected: all of them in descending order, the named ones marked, and chance."""
    figure, axes = plt.subplots(figsize=(7.4, 3.6))
    ordered = frequency.sort_values(ascending=False, kind="stable")
    place = {name: k + 1 for k, name in enumerate(ordered.index)}
    axes.plot(np.arange(1, len(ordered) + 1), 100 * ordered.to_numpy(), color=PALETTE[0], label="all")
    axes.axhline(100 * chance, color="black", linewidth=1, linestyle=":", label=f"chance, {100 * chance:.1f} %")
    level, before = 0, 0
    for k, name in enumerate(sorted((name for name in names if name in place), key=lambda name: place[name])):
        x, y = place[name], 100 * float(ordered[name])
        level = level + 1 if x < 2 * before else 0  # neighbours on the logarithmic axis stand above one another
        before = x
        axes.plot(x, y, "v", color=PALETTE[1], markersize=6, label="named by the paper" if k == 0 else None)
        axes.annotate(
            name, (x, y), xytext=(0, 12 + 13 * level), textcoords="offset points", ha="center", fontsize="x-small",
            arrowprops={"arrowstyle": "-", "color": "grey", "linewidth": 0.6},
        )  # fmt: skip
    axes.set(xscale="log", xlabel="genes, most often selected first", ylabel="training sets, %")
    axes.set_ylim(bottom=-2, top=max(30.0, 100 * float(frequency.max()) * 1.25))
    axes.legend()
    return figure
