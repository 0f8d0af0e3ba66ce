"""Curves go through the points of their tables."""

from __future__ import annotations

import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.plots.curves import curve_figure, loss_figure


def test_curve_figure_sorts_by_x() -> None:
    table = pd.DataFrame({"k": [50, 5, 10], "value": [0.7, 0.5, 0.6], "low": 0.4, "high": 0.8, "protocol": "a"})
    figure = curve_figure(table, x="k", colour="protocol", xlabel="k", ylabel="AUC", logarithmic=True)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.5, 0.6, 0.7]
    assert len(figure.axes[0].collections) == 1
    figure.canvas.draw()


def test_panels_steps_references_and_events() -> None:
    table = pd.DataFrame({"days": [0, 10, 0, 20], "alive": [1, 0.5, 1, 0.4], "group": ["s", "s", "l", "l"],
                          "protocol": ["one", "one", "two", "two"]})  # fmt: skip
    figure = curve_figure(table, x="days", value="alive", colour="group", panel="protocol", style="steps",
                          xlabel="days", ylabel="share alive", references=[("half", 0.5)], events=[("end", 15)],
                          ylim=(0, 1))  # fmt: skip
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    assert all(axes.lines[0].get_drawstyle() == "steps-post" for axes in figure.axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["s", "half", "end", "l"]
    points = curve_figure(table, x="days", value="alive", style="points", xlabel="days", ylabel="share alive")
    assert points.axes[0].lines[0].get_linestyle() == "None"
    with pytest.raises(RadlibError, match="no curve"):
        curve_figure(table[:0], x="days", value="alive", xlabel="", ylabel="")


def test_losses_name_a_training_once_unless_both_parts_are_shown() -> None:
    history = pd.DataFrame({"step": [1, 2, 2], "part": ["training", "training", "validation"], "loss": [4.0, 2.0, None],
                            "dice": [None, None, 0.5]})  # fmt: skip
    figure = loss_figure({"a": history}, metric={"loss": "loss", "dice": "Dice", "nobody": ""}, smooth=2)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "Dice"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [4, 3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a"]
    both = loss_figure(history.fillna({"loss": 3.0}), logarithmic=["loss"])
    assert [text.get_text() for text in both.legends[0].get_texts()] == ["(training)", "(validation)"]
    assert both.axes[0].get_yscale() == "log"
    with pytest.raises(RadlibError, match="no history has the metric 'dice2'"):
        loss_figure(history, metric="dice2")
