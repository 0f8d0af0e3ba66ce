"""Published and measured values in words."""

from __future__ import annotations

from radlib.data.published import PublishedValue
from radlib.stats.tables import format_interval


def entry_name(entry: PublishedValue) -> str:
    """What a published entry is about: its row and column, or what the figure shows."""
    return " · ".join(part for part in (entry.row, entry.column) if part) or f"{entry.table}: {entry.caption}"


def as_printed(entry: PublishedValue) -> str:
    """The published value with its unit: ``88.82 ± 6.37 %``; words and figures as they are."""
    if entry.number is None:
        return entry.printed
    text = entry.printed if entry.spread is None else f"{entry.number} ± {entry.spread}"
    text = text.split(" (")[0] if entry.spread is None else text  # the share of a count is an entry of its own
    unit = "" if entry.unit in ("", "fraction") or text.endswith(entry.unit) else f" {entry.unit}"
    return f"{text}{unit}"


def as_measured(entry: PublishedValue, value: float, low: float | None, high: float | None) -> str:
    """A measured value with its interval, to as many digits as the paper prints for the entry."""
    exponent = entry.number.as_tuple().exponent if entry.number is not None else -3
    digits = max(-int(exponent), 0)
    digits += digits == 0 and not float(value).is_integer()
    return format_interval(
        float(value), None if low is None else float(low), None if high is None else float(high), digits=digits
    )
