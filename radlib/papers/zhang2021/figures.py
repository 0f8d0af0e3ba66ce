"""Figures of both chapters: pairs of modalities, translations, segmentations with their Dice, networks as built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor, nn

from radlib.core.titles import MODALITY_TITLES, title
from radlib.data.store import ImageStore
from radlib.papers.zhang2021.data import Groups
from radlib.papers.zhang2021.pretraining import both_ways
from radlib.papers.zhang2021.tables import PLACES
from radlib.plots.dots import dot_plot
from radlib.plots.slices import Tile, slice_figure, widest_slice

COLOURS = {2: ("#26A640", "whole tumour"), 1: ("#1A59D9", "tumour core"), 4: ("#9933BF", "enhancing tumour")}
"""The paper's colours: green, blue and purple; a label has that of the smallest region it belongs to."""


def pair_figure(store: ImageStore, subjects: Sequence[str], groups: Groups) -> Figure:
    """Figures 1 and 5: the modalities of subjects, those of a pair side by side, and the reference over the last."""
    rows = []
    for subject in subjects:
        one = store.subject(subject)
        z = widest_slice(one.labels)
        tiles = [
            Tile(image=one.image(name)[..., z], title=f"{MODALITY_TITLES[name]}\n(pair {letter})")
            for letter, group in zip("AB", groups, strict=True)
            for name in group
        ]
        rows.append(
            [*tiles, Tile(image=one.image(groups[-1][-1])[..., z], title="reference", labels=one.labels[..., z])]
        )
    return slice_figure(rows, colours=COLOURS, width=9.0)


def translation_figure(slices: Mapping[str, np.ndarray], groups: Groups) -> Figure:
    """Real modalities of A and B, what the generators make of each other, and the way back; a row a subject.

    Args:
        slices: ``<subject>/<name>`` to ``(C, X, Y)``, names as of
            :func:`radlib.papers.zhang2021.pretraining.translate`.
        groups: A and B.
    """
    first, second = groups
    columns = [
        ("", "a", first), ("\nfrom A", "fake_b", second), ("", "b", second), ("\nfrom B", "fake_a", first),
        ("\nand back", "again_a", first),
    ]  # fmt: skip
    subjects = list(dict.fromkeys(name.partition("/")[0] for name in slices))
    rows = [
        [
            Tile(image=slices[f"{subject}/{key}"][channel], title=MODALITY_TITLES[name] + text)
            for text, key, group in columns
            for channel, name in enumerate(group)
        ]
        for subject in subjects
    ]
    return slice_figure(rows, width=11.0)


Found = Mapping[str, tuple[np.ndarray, float]]
"""What networks found in a slice: title of the column to labels ``(X, Y)`` and the mean Dice of the whole volume."""


def segmentation_figure(rows: Sequence[tuple[str, Any, Any, Found]]) -> Figure:
    """Figures 7 to 9: FLAIR, the reference, and what networks found; a row a subject.

    Args:
        rows: what is written beside it (empty: nothing), image ``(X, Y)``, reference ``(X, Y)``, what was found.
    """
    tiles = [
        [
            Tile(image=image, title="FLAIR"),
            Tile(image=image, title="reference", labels=truth),
            *(Tile(image=image, title=name, labels=f, note=f"Dice {d:.2f}") for name, (f, d) in found.items()),
        ]
        for _, image, truth, found in rows
    ]
    width = min(1.85 * len(tiles[0]), 11.5)
    beside = [text for text, *_ in rows]
    named = dict(zip(beside, tiles, strict=True)) if all(beside) else tiles
    return slice_figure(named, colours=COLOURS, width=width)


def widest_row(store: ImageStore, subject: str, found: Found, *, beside: str = "") -> tuple[str, Any, Any, Found]:
    """A row of :func:`segmentation_figure`: the slice of a subject with most tumour."""
    one = store.subject(subject)
    z = widest_slice(one.labels)
    return beside, one.image("flair")[..., z], one.labels[..., z], found


def difference_figure(table: pd.DataFrame) -> Figure:
    """Differences in Dice with intervals (:func:`radlib.papers.zhang2021.tables.difference_table`): a panel a place."""
    places = set(table["group"])
    labels = {place: f"difference\nin Dice, {title(place)}" for place in PLACES if place in places}
    references = [("no difference", 0.0)]
    return dot_plot(
        table, metrics=labels, panel="group", rows="comparison", references=references, row_height=0.42, width=10.4
    )


class Cycle(nn.Module):
    """The four networks of the transition as they are drawn: real and synthetic pairs through generators and judges.

    Args:
        networks: of :func:`radlib.papers.zhang2021.networks.build_transition`.
    """

    def __init__(self, networks: nn.ModuleDict) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        """What comes back from both pairs ``(B, C, X, Y, Z)``, and the verdicts on what was made of them."""
        made = both_ways(dict(self.networks.items()), {"a": a, "b": b})
        verdicts = self.networks["d_b"](made["fake_b"]), self.networks["d_a"](made["fake_a"])
        return made["again_a"], made["again_b"], *verdicts
