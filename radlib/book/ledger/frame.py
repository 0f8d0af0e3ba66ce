"""The ledger as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from radlib.book.ledger.collect import collect
from radlib.book.ledger.verdict import VERDICTS, Entry
from radlib.data.published import PAPERS

OF_ENTRY = ("key", "paper", "kind", "table", "row", "column", "where", "caption", "printed")
OF_RESULT = ("place", "source", "profile", "protocol", "value", "low", "high", "n", "note", "chapter", "kept")


def ledger_frame(runs: Path, published: Path) -> pd.DataFrame:
    """The whole ledger: one row a published entry and result, and one for every entry without a result.

    Args:
        runs: the folder of runs.
        published: the folder of kept results.

    Returns:
        Columns :data:`OF_ENTRY`, ``published, published_spread, published_n, unit, verdict, reason, contradiction,
        remark``, then :data:`OF_RESULT` with ``value`` named ``measured``; these are empty where there is no result.
    """
    rows = [row for entry in collect(runs, published) for row in _rows(entry)]
    frame = pd.DataFrame(rows).rename(columns={"value": "measured"})
    return frame.astype({"published_n": "Int64", "n": "Int64"})


def claims(runs: Path, published: Path) -> pd.DataFrame:
    """How many entries of each paper have which verdict.

    Returns:
        One row a paper (the index), one column a verdict, and ``contradictions``: entries on which the paper
        disagrees with itself.
    """
    entries = collect(runs, published)
    rows = {paper: _counts([one for one in entries if one.published.paper == paper]) for paper in PAPERS}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("paper")


def _counts(entries: Sequence[Entry]) -> dict[str, int]:
    verdicts = [entry.verdict for entry in entries]
    counts = {str(verdict): verdicts.count(verdict) for verdict in VERDICTS}
    return {**counts, "contradictions": sum(entry.published.contradiction for entry in entries)}


def _rows(entry: Entry) -> list[dict[str, object]]:
    value = entry.published
    common: dict[str, object] = {name: getattr(value, name) for name in OF_ENTRY} | {
        "published": None if value.number is None else value.value,
        "published_spread": None if value.spread is None else float(value.spread),
        "published_n": value.n, "unit": value.unit, "verdict": entry.verdict, "reason": entry.reason,
        "contradiction": value.contradiction, "remark": value.remark,
    }  # fmt: skip
    results = [{name: getattr(result, name) for name in OF_RESULT} for result in entry.results]
    return [common | result for result in results or [dict.fromkeys(OF_RESULT)]]
