"""Figures draw what they are given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from radlib.plots.statistics import calibration_figure, curve_figure, dot_plot, roc_figure
from radlib.stats.classification import Predictions, evaluate, tidy


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


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


def test_dot_plot_places_values_and_skips_undefined_ones() -> None:
    table = pd.concat(
        tidy({"model": evaluate(p, n_boot=20)}).assign(protocol=name)
        for name, p in {"first": _predictions(), "second": _predictions(2)}.items()
    )
    table.loc[table["metric"] == "mcc", ["value", "low", "high"]] = np.nan
    figure = dot_plot(table, metrics=["auc", "mcc"], colour="protocol", references={"auc": [("published", 0.9)]})
    auc_axes = figure.axes[0]
    values = sorted(float(line.get_xdata()[0]) for line in auc_axes.lines if line.get_label() in ("first", "second"))
    assert values == pytest.approx(sorted(table[table["metric"] == "auc"]["value"]))
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"first", "second", "published"}
    figure.canvas.draw()


def test_curve_figure_sorts_by_x() -> None:
    table = pd.DataFrame({"k": [50, 5, 10], "value": [0.7, 0.5, 0.6], "low": 0.4, "high": 0.8, "protocol": "a"})
    figure = curve_figure(table, x="k", colour="protocol", xlabel="k", ylabel="AUC", logarithmic=True)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.5, 0.6, 0.7]
    figure.canvas.draw()
