"""Figures draw what they are given."""

from __future__ import annotations

import numpy as np

from radlib.plots.statistics import calibration_figure, roc_figure
from radlib.stats.classification import Predictions


def _predictions(runs: int = 1) -> Predictions:
    generator = np.random.default_rng(runs)
    truth = np.arange(40) % 2 == 0
    score = generator.normal(size=(runs, 40)) + truth
    return Predictions.of(truth, score > 0.5, score=score, probability=1 / (1 + np.exp(0.5 - score)))


def test_roc_figure_names_every_model_and_rule() -> None:
    models = {"one": _predictions(), "three runs": _predictions(3)}
    figure = roc_figure(models, bands=["one"], rules={"rule": (0.1, 0.9)}, n_boot=20)
    (axes,) = figure.axes
    labels = axes.get_legend_handles_labels()[1]
    assert [label.split(" (")[0] for label in labels] == ["one", "three runs", "rule"]
    assert axes.lines[-1].get_xydata().tolist() == [[0.1, 0.9]]
    assert len(axes.collections) == 1  # one band


def test_calibration_figure_has_a_panel_a_model_with_probabilities() -> None:
    bare = Predictions.of([1, 0], [1, 0])
    figure = calibration_figure({"a": _predictions(), "bare": bare, "b": _predictions(2)}, bins=4)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert [title.split("\n")[0] for title in titles] == ["a", "b"]
    assert "slope" in titles[0]
