import numpy as np
import pandas as pd
import pytest

from radlib.stats.tables import as_text, format_interval, format_number, to_markdown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(0.5), "0.500"), (3, "3"), (np.int64(3), "3"), (True, "yes"), (None, "–"), (float("nan"), "–"),
        (pd.NA, "–"), (2e-9, "2.00e-09"), (0.0, "0.000"), (-1234567.0, "-1.23e+06"), ("a|b", "a|b"),
    ],
)  # fmt: skip
def test_cells(value: object, text: str) -> None:
    assert format_number(value) == text


def test_intervals() -> None:
    assert format_interval(0.5, 0.25, 0.75, digits=2) == "0.50 (0.25 to 0.75)"
    assert format_interval(0.5, None, None) == "0.500"
    assert format_interval(0.5, float("nan"), float("nan")) == "0.500"


def test_a_frame_becomes_a_pipe_table() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": ["a|b", None]}, index=pd.Index(["p", "q"], name="id"))
    assert to_markdown(as_text(frame, digits=1)).splitlines() == [
        "| id | x | y |", "| --- | --- | --- |", "| p | 1.0 | a\\|b |", "| q | 2.0 | – |",
    ]  # fmt: skip
    assert as_text(frame, index=False).columns.tolist() == ["x", "y"]


def test_two_level_columns_and_equal_names() -> None:
    columns = pd.MultiIndex.from_tuples([("Dice", "ET"), ("Dice", "WT"), ("HD95", "ET")])
    frame = pd.DataFrame([[0.5, 0.25, 3.0]], columns=columns)
    assert as_text(frame, index=False).columns.tolist() == ["Dice ET", "Dice WT", "HD95 ET"]
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert as_text(twice, index=False).iloc[0].tolist() == ["1", "2"]


def test_headers_are_words_and_cells_are_left_alone() -> None:
    text = as_text(pd.DataFrame({"advantage_low": ["hard_dice"]}), index=False)
    assert text.columns.tolist() == ["advantage low"]
    assert text.iloc[0, 0] == "hard_dice"
