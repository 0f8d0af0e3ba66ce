"""Every estimate stands on its line, in its panel, with what was asked for beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.plots.dots import dot_plot


def test_dot_plot_places_values_and_skips_undefined_ones() -> None:
    table = pd.DataFrame({"model": "model", "metric": ["auc", "auc", "mcc"], "protocol": ["first", "second", "first"],
                          "value": [0.7, 0.8, np.nan], "low": [0.6, 0.7, np.nan], "high": np.nan})  # fmt: skip
    figure = dot_plot(table, metrics=["auc", "mcc"], colour="protocol", references={"auc": [("published", 0.9)]})
    auc_axes = figure.axes[0]
    values = sorted(float(line.get_xdata()[0]) for line in auc_axes.lines if line.get_label() in ("first", "second"))
    assert values == [0.7, 0.8]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"first", "second", "published"}
    figure.canvas.draw()


def test_differences_have_their_panels_labels_and_one_reference() -> None:
    table = pd.DataFrame({"region": ["wt", "wt", "et"], "row": ["a", "b", "a"], "value": [0.1, -0.1, 0.2],
                          "low": 0.0, "high": 0.3})  # fmt: skip
    figure = dot_plot(table, metrics={"wt": "WT", "et": "ET"}, panel="region", rows="row", xlabel="difference in {}",
                      references=[("no difference", 0.0)], limits=(-1, 1))  # fmt: skip
    assert [axes.get_xlabel() for axes in figure.axes] == ["difference in WT", "difference in ET"]
    assert all(axes.get_xlim() == (-1, 1) for axes in figure.axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no difference"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0, 1]


def test_runs_marks_bands_and_values() -> None:
    table = pd.DataFrame({"model": ["a", "a", "b"], "value": [0.5, 0.7, 0.6], "chance": 0.5, "from": 0.4, "to": 0.6})
    figure = dot_plot(table, marks={"chance": "chance"}, band=("from", "to", "shuffled"), digits=2)
    (axes,) = figure.axes
    assert axes.lines[0].get_ydata().tolist() == [0, 0, 1]
    assert [text.get_text() for text in axes.texts] == ["0.50", "0.70", "0.60"]
    assert [round(bar.get_width(), 6) for bar in axes.patches] == [0.2] * 3
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"chance", "shuffled"}


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(RadlibError, match="no estimate"):
        dot_plot(pd.DataFrame({"model": [], "value": []}))
