"""The ledger as one table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from radlib.book.ledger.verdict import Entry, Finding

OF_ENTRY = ("key", "paper", "kind", "table", "row", "column", "where", "caption", "printed")
OF_RESULT = ("place", "source", "profile", "protocol", "value", "low", "high", "n", "note", "chapter", "kept")
LIKENESS = {"like_patients": "patients", "like_features": "features", "like_protocol": "protocol"}


def ledger_frame(entries: Sequence[Entry]) -> pd.DataFrame:
    """The whole ledger: one row a published entry and result, and one for every entry without a result.

    Args:
        entries: of :func:`radlib.book.ledger.collect.collect`.

    Returns:
        Columns :data:`OF_ENTRY`, ``published, published_spread, published_n, unit, verdict, reason, contradiction,
        remark``, then :data:`OF_RESULT` with ``value`` named ``measured``, and of real data
        :data:`LIKENESS`; these are empty where there is no result.
    """
    rows = [row for entry in entries for row in _rows(entry)]
    frame = pd.DataFrame(rows).rename(columns={"value": "measured"})
    return frame.astype({"published_n": "Int64", "n": "Int64"})


def _rows(entry: Entry) -> list[dict[str, object]]:
    value = entry.published
    common: dict[str, object] = {name: getattr(value, name) for name in OF_ENTRY} | {
        "published": None if value.number is None else value.value,
        "published_spread": None if value.spread is None else float(value.spread),
        "published_n": value.n, "unit": value.unit, "verdict": entry.verdict, "reason": entry.reason,
        "contradiction": value.contradiction, "remark": value.remark,
    }  # fmt: skip
    results = [{name: getattr(result, name) for name in OF_RESULT} | _likeness(result) for result in entry.results]
    return [common | result for result in results or [dict.fromkeys((*OF_RESULT, *LIKENESS))]]


def _likeness(result: Finding) -> dict[str, str | None]:
    """Of real data: ``same`` or ``analogous``, for a machine to read."""
    real = result.source == "real"
    return {name: getattr(result.likeness, of) if real else None for name, of in LIKENESS.items()}
