"""What stands in the figures of Zhang 2021."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import nn

from radlib.data.store import ImageStore
from radlib.papers.zhang2021 import figures
from radlib.papers.zhang2021.data import PAIRS, Recipe
from radlib.papers.zhang2021.networks import build_transition
from radlib.papers.zhang2021.tables import PLACES
from radlib.plots.architecture import blocks_of


def test_segmentations_stand_beside_the_reference(store: ImageStore) -> None:
    found = {"right": (store.labels[0, :, :, 8].numpy(), 1.0), "nothing": (np.zeros((20, 20), np.uint8), 0.0)}
    rows = [figures.widest_row(store, subject, found, beside=subject) for subject in ("s0", "s1")]
    figure = figures.segmentation_figure(rows)
    notes = [axes.get_xlabel() for axes in figure.axes]
    assert notes.count("Dice 1.00") == 2
    assert notes.count("Dice 0.00") == 2
    assert [axes.get_title() for axes in figure.axes[:4]] == ["FLAIR", "reference", "right", "nothing"]
    assert figure.axes[4].get_ylabel() == "s1"
    plain = figures.segmentation_figure([("", *row[1:]) for row in rows])
    assert plain.axes[4].get_ylabel() == ""


def test_pairs_and_translations_are_named(store: ImageStore) -> None:
    pairs = figures.pair_figure(store, ["s0"], PAIRS)
    assert [axes.get_title() for axes in pairs.axes] == [
        "T1\n(pair A)", "T1ce\n(pair A)", "T2\n(pair B)", "FLAIR\n(pair B)", "reference"
    ]  # fmt: skip
    names = ("a", "b", "fake_a", "fake_b", "again_a", "again_b")
    made = figures.translation_figure({f"s0/{name}": np.ones((2, 8, 8)) for name in names}, PAIRS)
    titles = [axes.get_title() for axes in made.axes]
    assert titles[2:4] == ["T2\nfrom A", "FLAIR\nfrom A"]
    assert titles[-1] == "T1ce\nand back"


def test_differences_have_a_panel_a_place() -> None:
    table = pd.DataFrame({
        "group": PLACES, "comparison": "Ours − S_A", "metric": "dice", "value": 0.1, "low": 0.0, "high": 0.2,
    })  # fmt: skip
    figure = figures.difference_figure(table)
    assert [axes.get_xlabel().split()[-1] for axes in figure.axes] == ["ET", "WT", "TC", "average"]


def test_the_transition_is_drawn_from_its_networks() -> None:
    recipe = Recipe(widths=(2, 2), patch=8, windows=(8,), discriminator_widths=(2, 2))
    cycle = figures.Cycle(nn.ModuleDict(build_transition(PAIRS, recipe)))
    blocks = blocks_of(cycle, (2, 8, 8, 8), (2, 8, 8, 8))
    assert [one.name.removeprefix("networks.") for one in blocks] == [
        "input 1", "input 2", "to_b", "to_a", "to_a", "to_b", "d_b", "d_a",
    ]  # fmt: skip
    # The way back takes what the other generator made; the judges see what was made, not what came back.
    assert [one.inputs for one in blocks] == [(), (), (0,), (1,), (2,), (3,), (2,), (3,)]
    assert [one.parameters > 0 for one in blocks[2:6]] == [True, True, False, False]
