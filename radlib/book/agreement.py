"""What a chapter recorded, beside what the paper prints: as a table of its page, and in the words of the ledger."""

from __future__ import annotations

import pandas as pd

from radlib.book.report import Report
from radlib.data.published import PublishedValue, published
from radlib.stats.tables import format_interval

CAPTION = (
    "Everything this chapter recorded for the ledger, beside the published entry: value with its interval where there "
    "is one, number of subjects (or of what the note says), protocol."
)


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


def agreement_table(report: Report) -> pd.DataFrame:
    """One row a record of this report, in the order of recording; all cells are text except ``n``."""
    rows = []
    for record in report.ledger:
        entry = published(record["key"])
        place = entry.table if entry.table.startswith("Figure") else f"{entry.table}, {entry_name(entry)}"
        rows.append({
            "entry": place,
            "published": as_printed(entry),
            "here": as_measured(entry, record["value"], record["low"], record["high"]),
            "n": record["n"],
            "protocol": record["protocol"],
            "note": record["note"],
        })  # fmt: skip
    return pd.DataFrame(rows, columns=["entry", "published", "here", "n", "protocol", "note"]).astype({"n": "Int64"})


def show_agreement(report: Report) -> None:
    """The table ``agreement`` of a chapter's page; a sentence where nothing was recorded."""
    table = agreement_table(report)
    if table.empty:
        report.sentence("Nothing was recorded for the ledger in this run.")
        return
    notes = table["note"].unique()
    common = f" All rows: {notes[0]}." if len(table) > 1 and len(notes) == 1 and notes[0] else ""
    shown = table.drop(columns="note") if common or not any(notes) else table
    report.table("agreement", shown, index=False, caption=f"{CAPTION}{common}")
