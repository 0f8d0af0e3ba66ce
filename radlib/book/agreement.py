"""What a chapter measured, beside what the paper prints: as a table of its page, and in the words of the ledger."""

from __future__ import annotations

import pandas as pd

from radlib.book.ledger.collect import Run, results_of
from radlib.book.ledger.words import as_measured, as_printed, entry_name
from radlib.book.report import Report
from radlib.data.published import evidence, published

CAPTION = (
    "What this chapter measured, beside the published entry: value with its interval where there is one, number of "
    "subjects (or of what the note says), protocol."
)


def agreement_table(report: Report) -> pd.DataFrame:
    """One row an entry and measured value of this report, in the order of print; all cells are text except ``n``."""
    rows = []
    for key, said in evidence().items():
        entry = published(key)
        place = entry.table if entry.table.startswith("Figure") else f"{entry.table}, {entry_name(entry)}"
        for result in results_of(key, said, Run(report.results())):
            rows.append({
                "entry": place,
                "published": as_printed(entry),
                "here": as_measured(entry, result.value, result.low, result.high),
                "n": result.n,
                "protocol": result.protocol,
                "note": result.note,
            })  # fmt: skip
    return pd.DataFrame(rows, columns=["entry", "published", "here", "n", "protocol", "note"]).astype({"n": "Int64"})


def show_agreement(report: Report) -> None:
    """The table ``agreement`` of a chapter's page; a sentence where it measured nothing that a paper prints."""
    table = agreement_table(report)
    if table.empty:
        report.sentence("Nothing that a paper prints was measured in this run.")
        return
    notes = table["note"].unique()
    common = f" All rows: {notes[0]}." if len(table) > 1 and len(notes) == 1 and notes[0] else ""
    shown = table.drop(columns="note") if common or not any(notes) else table
    report.table("agreement", shown, index=False, fold=True, caption=f"{CAPTION}{common}")
