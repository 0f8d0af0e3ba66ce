"""Figures of the chapters of Islam 2020 that no other chapter draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from radlib.core.titles import MODALITY_TITLES
from radlib.data.store import ImageStore
from radlib.papers.islam2020.study_synthesis import tumour_slice
from radlib.plots.slices import Tile
from radlib.plots.style import PALETTE

COLOURS: dict[int, tuple[str, str]] = {
    1: ("#D9261A", "necrotic and non-enhancing core"),
    4: ("#FFD91A", "enhancing tumour"),
    2: ("#26A640", "oedema"),
}
"""The paper's colours: red, yellow and green."""

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
