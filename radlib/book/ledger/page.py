"""The ledger and the summary of claims as pages of the book.

The tables are raw HTML, made by the templates ``ledger.md.j2`` and ``claims.md.j2``: they are long, they are filtered
in the reader's browser by ``_static/ledger.js``, and they stay plain tables where there is no script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radlib.book.claims import claims
from radlib.book.ledger.collect import collect
from radlib.book.ledger.verdict import AS_PUBLISHED, COMPARABLE, CONTROL, LEAKAGE_FREE, VERDICTS, Entry, Finding
from radlib.book.ledger.verdict import deciding as decides
from radlib.book.ledger.words import as_measured, as_printed, entry_name
from radlib.book.templates import environment
from radlib.core.paths import project_root
from radlib.data.published import load_all

PLACES = ("simulated", "real", "full size")
OFTEN, LONG = 3, 24
"""A text of more characters than this that stands in at least so many rows becomes a note below the tables."""
KINDS = {
    "result": "results of the paper",
    "quoted": "results quoted from others",
    "cohort": "data",
    "setting": "settings",
    "figure": "figures",
}


def ledger_page(runs: Path, published: Path) -> str:
    """The page ``generated/ledger.md`` as MyST; ``generated/ledger.csv`` is expected beside it.

    Args:
        runs: the folder of runs.
        published: the folder of kept results.
    """
    return _page("ledger.md.j2", collect(runs, published))


def claims_page(runs: Path, published: Path) -> str:
    """The headline claims of every paper beside what was found, how many of its entries have which verdict, and where
    it disagrees with itself. MyST."""
    return _page("claims.md.j2", collect(runs, published))


def _page(template: str, entries: Sequence[Entry]) -> str:
    tables: dict[str, dict[str, list[Entry]]] = {}
    for entry in entries:
        tables.setdefault(entry.published.paper, {}).setdefault(_title(entry), []).append(entry)
    made_by = environment(
        as_measured=as_measured, as_printed=as_printed, entry_name=entry_name, has_chapter=_has_chapter, short=_short,
        counted=_counted, deciding=_deciding, about=_about,
    )  # fmt: skip
    values: dict[str, Any] = {
        "total": len(entries), "papers": list(load_all().values()), "tables": tables, "places": PLACES, "kinds": KINDS,
        "verdicts": VERDICTS, "comparable": COMPARABLE, "by_key": {entry.published.key: entry for entry in entries},
        "claims": {paper: [claim for claim in claims().values() if claim.paper == paper] for paper in load_all()},
        "notes": {paper: _notes([entry for part in parts.values() for entry in part])
                  for paper, parts in tables.items()},
    }  # fmt: skip
    return made_by.get_template(template).render(values)


def _title(entry: Entry) -> str:
    value = entry.published
    if value.kind == "figure":
        return "Figures"
    return f"{value.table}: {value.caption}" if value.caption else f"{value.table} and equations"


def _notes(entries: Sequence[Entry]) -> dict[str, int]:
    """Texts that stand in many rows of one paper, numbered: printed below its tables, and by number in the rows."""
    counts = Counter(
        text
        for entry in entries
        for text in (entry.published.remark, entry.reason, *(result.note for result in entry.results))
    )
    often = [text for text, number in counts.items() if number >= OFTEN and len(text) > LONG]
    return {text: number for number, text in enumerate(often, start=1)}


def _counted(entries: Sequence[Entry]) -> str:
    """``36 entries: 4 reproduced, 32 not yet``."""
    counts = Counter(entry.verdict for entry in entries)
    listed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}: {listed}"


def _deciding(entry: Entry, place: str) -> list[Finding]:
    """One result a protocol in a place of the ledger: the one that decides."""
    results = [result for result in entry.results if result.place == place]
    by_protocol = (
        decides([result for result in results if result.protocol == protocol])
        for protocol in (AS_PUBLISHED, LEAKAGE_FREE, "", CONTROL)
    )
    return [result for result in by_protocol if result is not None]


def _about(entry: Entry, result: Finding) -> str:
    """What stands below a number on the page of claims; its note where the number alone means nothing."""
    note = result.note if entry.published.number is None or result.protocol == CONTROL else ""
    return "; ".join(part for part in (result.protocol, note, "smoke" * (result.profile == "smoke")) if part)


def _has_chapter(name: str) -> bool:
    """Whether the book has a page of that chapter, so that a link to it leads somewhere."""
    return (project_root() / "notebooks" / f"{name}.py").is_file()


def _short(key: str) -> str:
    """``Ge 2020``."""
    return f"{key[:-4].capitalize()} {key[-4:]}"
