"""Slices are shown upright, cut to the brain, with the overlays that they were given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.plots.slices import Tile, grey, mosaic, slice_figure, widest_slice


def _image() -> np.ndarray:
    image = np.zeros((10, 12))
    image[3:7, 2:9] = 1.0
    image[3, 2] = 5.0  # in front, on the patient's right
    return image


def test_a_slice_is_upright_and_cut_to_the_brain() -> None:
    figure = slice_figure({"subject": [Tile(image=_image(), title="FLAIR"), Tile(image=torch.tensor(_image()))]})
    first, second = figure.axes
    for axes in (first, second):
        shown = axes.images[0].get_array()
        assert shown.shape == (9, 6, 3)  # the box with a voxel to spare, rows from front to back
        assert np.argwhere(shown[..., 0] == shown.max())[0].tolist() == [1, 1]
    assert (first.get_title(), second.get_title(), first.get_ylabel()) == ("FLAIR", "", "subject")
    assert not figure.legends


def test_labels_and_outlines_lie_over_the_image_and_stand_in_the_legend() -> None:
    labels = np.zeros((10, 12), dtype=int)
    labels[4, 4] = 2
    colours = {2: ("#ff0000", "oedema")}
    tile = Tile(image=_image(), labels=labels, outlines={"reference": labels > 0, "network": labels > 5}, note="Dice 1")
    figure = slice_figure([[tile]], colours=colours, crop=False)
    (axes,) = figure.axes
    shown = axes.images[0].get_array()
    coloured = np.argwhere(np.ptp(shown, axis=2) > 0)
    assert coloured.tolist() == [[4, 4]]
    assert len(axes.collections) == 1  # an empty mask has no outline
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["oedema", "reference", "network"]
    assert axes.get_xlabel() == "Dice 1"


def test_a_title_stands_once_in_a_column_and_a_missing_image_says_so() -> None:
    rows = [[Tile(image=_image(), title="T1"), Tile(image=None, title="T2")], [Tile(image=_image(), title="T1")]]
    figure = slice_figure(rows)
    assert [axes.get_title() for axes in figure.axes] == ["T1", "T2", "", ""]
    assert [text.get_text() for text in figure.axes[1].texts] == ["missing"]
    assert not figure.axes[3].get_visible()
    figure.canvas.draw()


def test_maps_have_a_colour_bar_and_their_own_limits() -> None:
    figure = slice_figure([[Tile(image=_image(), cmap="viridis", limits=(0, 2))]], colorbar="value")
    assert figure.axes[0].images[0].get_clim() == (0, 2)
    assert figure.axes[1].get_ylabel() == "value"


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(RadlibError, match="no picture"):
        slice_figure({})


def test_sagittal_slices_point_upwards() -> None:
    figure = slice_figure([[Tile(image=_image(), upwards=True)]])
    assert figure.axes[0].images[0].origin == "lower"


def test_grey_values() -> None:
    assert grey(np.array([[0.0, 1.0, 2.0, np.nan]]), (0, 2)).tolist() == [[0, 0.5, 1, 1]]
    assert grey(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]
    assert grey(np.array([[0.0, -1.0, 1.0]])).tolist() == [[0, 0, 1]]


def test_widest_slice() -> None:
    labels = torch.zeros((4, 4, 5), dtype=torch.uint8)
    assert widest_slice(labels) == 2
    labels[0, 0, 1] = 1
    labels[:2, 0, 3] = 4
    assert widest_slice(labels) == 3


def test_mosaic_stands_row_by_row() -> None:
    canvas = mosaic(np.arange(3)[:, None, None] * np.ones((1, 2, 2)), columns=2)
    assert canvas.shape == (5, 5)
    assert [canvas[0, 0], canvas[3, 0], canvas[0, 3]] == [0, 1, 2]
    assert np.isnan(canvas[2]).all()
    assert np.isnan(canvas[3, 3])
