"""The ledger as tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from radlib.book.ledger.collect import collect
from radlib.book.ledger.verdict import VERDICTS, Entry, Result
from radlib.data.published import PAPERS

COLUMNS = (
    "key", "paper", "kind", "table", "row", "column", "where", "caption", "printed", "published", "published_spread",
    "published_n", "unit", "verdict", "reason", "contradiction", "remark", "place", "source", "profile", "protocol",
    "measured", "low", "high", "n", "note", "chapter", "kept",
)  # fmt: skip
"""Columns of :func:`ledger_frame`; from ``place`` on they belong to one result."""


def ledger_frame(runs: Path, published: Path) -> pd.DataFrame:
    """The whole ledger: one row a published entry and result, and one for every entry without a result.

    Args:
        runs: the folder of runs.
        published: the folder of kept results.

    Returns:
        Columns :data:`COLUMNS`; those of the result are empty where there is none.
    """
    rows = [row for entry in collect(runs, published) for row in _rows(entry)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"published_n": "Int64", "n": "Int64"})


def claims(runs: Path, published: Path) -> pd.DataFrame:
    """How many entries of each paper have which verdict.

    Returns:
        One row a paper (the index), one column a verdict, and ``contradictions``: entries on which the paper
        disagrees with itself.
    """
    return summarise(collect(runs, published))


def summarise(entries: list[Entry]) -> pd.DataFrame:
    """Counts of verdicts by paper, for entries that are collected already; see :func:`claims`."""
    counts = {paper: dict.fromkeys((*VERDICTS, "contradictions"), 0) for paper in PAPERS}
    for entry in entries:
        row = counts[entry.published.paper]
        row[entry.verdict] += 1
        row["contradictions"] += entry.published.contradiction
    return pd.DataFrame.from_dict(counts, orient="index").rename_axis("paper")


def _rows(entry: Entry) -> list[dict[str, object]]:
    value = entry.published
    common: dict[str, object] = {
        "key": value.key,
        "paper": value.paper,
        "kind": value.kind,
        "table": value.table,
        "row": value.row,
        "column": value.column,
        "where": value.where,
        "caption": value.caption,
        "printed": value.printed,
        "published": None if value.number is None else value.value,
        "published_spread": None if value.spread is None else float(value.spread),
        "published_n": value.n,
        "unit": value.unit,
        "verdict": entry.verdict,
        "reason": entry.reason,
        "contradiction": value.contradiction,
        "remark": value.remark,
    }
    return [common | _measured(result) for result in entry.results] or [common]


def _measured(result: Result) -> dict[str, object]:
    return {
        "place": result.place,
        "source": result.source,
        "profile": result.profile,
        "protocol": result.protocol,
        "measured": result.value,
        "low": result.low,
        "high": result.high,
        "n": result.n,
        "note": result.note,
        "chapter": result.chapter,
        "kept": result.kept,
    }
