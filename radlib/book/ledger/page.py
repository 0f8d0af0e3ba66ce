"""The ledger, the claims, the front page's answer and the reports: everything that says what was found.

Tables are raw HTML, made by the templates ``*.md.j2``: they are long, they are filtered and sorted in the reader's
browser by ``_static/ledger.js``, and they stay plain tables where there is no script.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from radlib.book.answer import KINDS as KINDS_OF
from radlib.book.answer import WORDS, Card, findings, interval_plot, lessons, scale_of, sentence
from radlib.book.checklists import DOCUMENTS, checklists, second_reading
from radlib.book.ledger.verdict import AS_PUBLISHED, COMPARABLE, CONTROL, LEAKAGE_FREE, VERDICTS, Entry, Finding
from radlib.book.ledger.verdict import deciding as decides
from radlib.book.ledger.words import as_measured, as_printed, entry_name
from radlib.book.templates import environment
from radlib.core.paths import project_root
from radlib.core.settings import GPU_CORES
from radlib.data.published import load_all, published_values
from radlib.study.gates import GATES

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


def pages(entries: Sequence[Entry], found: Sequence[Card], *, costs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The pages and parts of pages that say what was found, by their name in ``book/generated/``. MyST.

    Args:
        entries: the ledger (:func:`radlib.book.ledger.collect.collect`).
        found: the claims (:func:`radlib.book.answer.cards`).
        costs: by paper, what its jobs cost (:func:`radlib.book.answer.costs_of`).
    """
    tables: dict[str, dict[str, list[Entry]]] = {}
    bearing: dict[str, list[Card]] = {}
    for entry in entries:
        tables.setdefault(entry.published.paper, {}).setdefault(_title(entry), []).append(entry)
    for card in found:
        for key in card.claim.keys:
            bearing.setdefault(f"{card.claim.paper}.{key}", []).append(card)
    papers = load_all()
    said = sorted((sentence(paper, found) for paper in papers), key=lambda one: -one[0])
    made_by = environment(
        as_measured=as_measured, as_printed=as_printed, entry_name=entry_name, has_chapter=_has_chapter, short=_short,
        counted=_counted, deciding=_deciding, about=_about, interval_plot=interval_plot, scale_of=scale_of,
    )  # fmt: skip
    values: dict[str, Any] = {
        "total": len(entries), "papers": list(papers.values()), "tables": tables, "places": PLACES, "kinds": KINDS_OF,
        "verdicts": VERDICTS, "comparable": COMPARABLE, "by_key": {entry.published.key: entry for entry in entries},
        "cards": found, "bearing": bearing, "words": WORDS, "gates": GATES, "entry_kinds": KINDS,
        "findings": {card.key: findings(card.claim, found) for card in found},
        "checklists": checklists(), "second": second_reading(), "documents": DOCUMENTS,
        "titles": {name: _short(name) if name in papers else "This book" for name in DOCUMENTS},
        "lessons": lessons(found), "sentences": [(text, card) for _, text, card in said],
        "notes": {paper: _notes([entry for part in parts.values() for entry in part])
                  for paper, parts in tables.items()},
    }  # fmt: skip
    made = {
        f"{name}.md": made_by.get_template(f"{name}.md.j2").render(values)
        for name in ("ledger", "claims", "glance", "gates", "sentences", "lessons", "checklists")
    }
    for key, paper in papers.items():
        remarks = [remark for remark in paper.remarks if remark.contradiction]
        own = values | dict(costs[key]) | {
            "gpu": GPU_CORES,
            "cards": [card for card in found if card.claim.paper == key], "contradictions": remarks,
            "places": [_place(key, remark.keys) for remark in remarks],
        }  # fmt: skip
        for part in ("results", "difficult", "cost"):
            made[f"reports/{key}-{part}.md"] = made_by.get_template(f"report-{part}.md.j2").render(own)
    return made


def _place(paper: str, patterns: Sequence[str]) -> str:
    """Where the entries of a remark stand in the paper."""
    keys = [key for pattern in patterns for key in fnmatch.filter(published_values(paper), f"{paper}.{pattern}")]
    return ", ".join(dict.fromkeys(published_values(paper)[key].where for key in keys))


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
