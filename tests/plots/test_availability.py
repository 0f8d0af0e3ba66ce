"""Who has what, counted and drawn."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from radlib.data.cohort import Cohort, participants_table
from radlib.plots.availability import LABEL_ITEMS, availability, availability_counts, availability_map


def cohort(**tables: pd.DataFrame) -> Cohort:
    rows = [
        {"id": "a", "age": 50, "flair": "a.nii"},
        {"id": "b", "age": 60, "flair": "b.nii", "t1": "b1.nii"},
        {"id": "c"},
    ]
    return Cohort(name="x", source="simulated", root=Path(), participants=participants_table(rows), **tables)


def test_counts() -> None:
    features = pd.DataFrame({"f": [1.0, np.nan, np.nan], "g": [np.nan, 2.0, np.nan]}, index=["a", "b", "c"])
    one = cohort(radiomics=features)
    table = availability(one, ["flair", "t1", "radiomics", "expression", "nonsense"])
    assert table.sum().to_dict() == {"flair": 2, "t1": 1, "radiomics": 2, "expression": 0, "nonsense": 0}
    counts = availability_counts({"one": one, "two": cohort()}, ["age", "radiomics", "idh_ceccarelli"])
    # What only another source records (Ceccarelli's status) is left out.
    assert counts.reset_index().to_numpy().tolist() == [["one", 3, 2, 2], ["two", 3, 2, 0]]


def test_the_map_draws_every_cell() -> None:
    figure = availability_map({"one": cohort(), "two": cohort()}, ["flair", "t1", "t2"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one (3 subjects)", "two (3 subjects)"]
    for axes in figure.axes:
        (image,) = axes.images
        # The subject with most comes first.
        assert np.asarray(image.get_array()).tolist() == [[True, True, False], [True, False, False], [False] * 3]
        assert [text.get_text() for text in axes.texts] == ["2", "1", "0"]
    plt.close(figure)


def test_the_items_are_unique() -> None:
    assert len(set(LABEL_ITEMS)) == len(LABEL_ITEMS)
