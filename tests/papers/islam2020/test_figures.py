"""What stands in the figures of Islam 2020."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import nn

from radlib.papers.islam2020 import figures, tables
from radlib.papers.islam2020.networks import EncoderDecoderDiscriminator, OctaveFCN
from radlib.plots.architecture import blocks_of


def test_reliability_pools_subjects_and_adds_up_to_the_calibration_error() -> None:
    """Ten voxels at 0.9 of which nine are right, and ten at 0.5 of which seven are: the error is half of 0.2."""
    table = pd.DataFrame({
        "arm": "fcn", "run": 0, "subject": ["a", "b", "a"], "bin": [8, 8, 3], "voxels": [4, 6, 10],
        "confidence": [3.6, 5.4, 5.0], "right": [4, 5, 7],
    })  # fmt: skip
    points = figures.reliability_points(table, titles={"fcn": "FCN"})
    assert points["confidence"].tolist() == pytest.approx([0.9, 0.5])
    assert points["value"].tolist() == pytest.approx([0.9, 0.7])
    assert points["error"].sum() == pytest.approx(0.1)


def test_differences_name_the_second_network_or_the_pair() -> None:
    found = pd.DataFrame({
        "first": "fcn", "second": ["unet", "unet"], "metric": "dice", "group": ["wt", "average"], "value": [0.1, 0.2],
        "low": [0.0, 0.1], "high": [0.2, 0.3],
    })  # fmt: skip
    titles = {"fcn": "FCN", "unet": "U-Net"}
    one = figures.difference_figure(found, titles=titles)
    assert [axes.get_xlabel() for axes in one.axes] == ["difference in Dice, WT", "difference in Dice, mean"]
    assert [label.get_text() for label in one.axes[0].get_yticklabels()] == ["U-Net"]
    pair = figures.difference_figure(found, titles=titles, pairs=True)
    assert [label.get_text() for label in pair.axes[0].get_yticklabels()] == ["FCN minus U-Net"]


def test_lesion_wise_scores_are_a_table_of_their_own() -> None:
    found = pd.DataFrame({
        "arm": "fcn", "metric": ["dice", "lesion_dice", "lesion_hd95"], "group": "wt", "value": [0.9, 0.4567, 123.4],
        "low": [0.8, 0.4, 100.0], "high": [1.0, 0.5, 150.0], "n": 3, "runs": 1,
    })  # fmt: skip
    table = tables.lesion_table(found, titles={"fcn": "FCN"})
    assert table.shape == (1, 3)
    text = " ".join(table.iloc[0].astype(str))
    assert "0.457" in text
    assert "123" in text
    assert "0.9" not in text


def test_the_discriminator_is_drawn_behind_the_generator_without_its_noise() -> None:
    players = nn.ModuleDict({
        "generator": OctaveFCN(3, 1, widths=(2, 4)), "judge": EncoderDecoderDiscriminator(3, widths=(2, 4)),
    })  # fmt: skip
    blocks = blocks_of(figures.Adversaries(players), (3, 16, 16))
    assert [one.name for one in blocks] == ["input", "players.generator", "players.judge"]
    assert blocks[2].inputs == (0, 1)
    assert figures.Adversaries(players)(torch.zeros(1, 3, 16, 16)).shape == (1, 1, 16, 16)
