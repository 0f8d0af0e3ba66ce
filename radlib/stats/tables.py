"""DataFrames as MyST and HTML tables."""

from __future__ import annotations

import numbers
from collections.abc import Mapping

import pandas as pd


def format_number(value: object, *, digits: int = 3) -> str:
    """A cell as text: integers in full, reals with ``digits`` decimals, missing values as an en dash."""
    if value is None or value is pd.NA or value is pd.NaT:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{int(value)}"
    if isinstance(value, numbers.Real):
        number = float(value)
        if number != number:
            return "–"
        if number != 0 and (abs(number) < 10**-digits or abs(number) >= 1e6):
            return f"{number:.{max(digits - 1, 1)}e}"
        return f"{number:.{digits}f}"
    return str(value)


def format_interval(value: float, low: float | None, high: float | None, *, digits: int = 3) -> str:
    """``0.871 (0.802 to 0.921)``, or the value alone where there is no interval."""
    text = format_number(value, digits=digits)
    if low is None or high is None or low != low or high != high:
        return text
    return f"{text} ({format_number(low, digits=digits)} to {format_number(high, digits=digits)})"


def as_text(frame: pd.DataFrame, *, digits: int | Mapping[str, int] = 3, index: bool = True) -> pd.DataFrame:
    """The table with every cell formatted; a named or meaningful index becomes its first columns.

    Headers are shown in words: ``advantage_low`` reads *advantage low* (the CSV keeps the name).
    """
    shown = frame.reset_index() if index else frame
    shown = shown.rename(columns={name: "" for name in shown.columns if name in ("index", "level_0", "level_1")})
    columns: list[list[str]] = []
    for position, name in enumerate(shown.columns):
        places = digits.get(str(name), 3) if isinstance(digits, Mapping) else digits
        columns.append([format_number(value, digits=places) for value in shown.iloc[:, position]])
    labels = [" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in shown.columns]
    labels = [label.replace("_", " ") for label in labels]
    return pd.DataFrame(dict(enumerate(columns)), index=range(len(shown))).set_axis(labels, axis=1)


def to_markdown(text: pd.DataFrame) -> str:
    """A pipe table of a frame of strings."""

    def row(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    lines = [row([str(name) or " " for name in text.columns]), row(["---"] * text.shape[1])]
    lines += [row([str(cell) for cell in cells]) for cells in text.itertuples(index=False, name=None)]
    return "\n".join(lines)
