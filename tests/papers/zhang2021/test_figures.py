"""What stands in the figures of Zhang 2021."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radlib.data.store import ImageStore
from radlib.papers.zhang2021 import figures
from radlib.papers.zhang2021.data import PAIRS
from radlib.papers.zhang2021.tables import PLACES


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


def test_networks_are_drawn_from_the_modules() -> None:
    figure = figures.network_figure()
    generator, discriminator, fusion = figure.axes
    assert [text.get_text() for text in generator.texts][:10] == ["16"] * 2 + ["32"] * 2 + ["64"] * 2 + ["128"] * 2 + [
        "256"
    ] * 2
    assert [bar.get_height() for bar in discriminator.patches] == [64, 32, 16, 8, 7]
    assert {bar.get_height() for bar in fusion.patches} == {128}
