"""The ledger and the summary of claims as pages of the book.

The tables are raw HTML: they are long, they are filtered in the reader's browser by ``_static/ledger.js``, and they
stay plain tables where there is no script.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from radlib.book.ledger.collect import collect
from radlib.book.ledger.frame import summarise
from radlib.book.ledger.verdict import (
    AS_PUBLISHED,
    COMPARABLE,
    CONTROL,
    LEAKAGE_FREE,
    VERDICTS,
    Entry,
    Result,
    deciding,
)
from radlib.book.ledger.words import as_measured, as_printed, entry_name
from radlib.core.paths import project_root
from radlib.data.published import PAPERS, load_paper

PLACES = ("simulated", "real", "full size")
OFTEN, LONG = 3, 24
"""A text of more characters than this that stands in at least so many rows becomes a note below the table."""
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
    entries = collect(runs, published)
    sections = []
    for key in PAPERS:
        table = _table(key, [entry for entry in entries if entry.published.paper == key])
        sections.append(f"## {_short(key)}\n\n{_citation(key)}\n\n{_raw(table)}")
    return "\n\n".join([
        "# Ledger",
        f"All {len(entries)} entries of the five papers: every number of every table, the numbers that only the text "
        "states, and every figure. Beside each stands what this book measured, with its interval, the number of "
        "subjects and the protocol.",
        "{download}`The whole ledger as CSV <ledger.csv>`",
        _rules(),
        _raw(_filter()),
        *sections,
        "",
    ])  # fmt: skip


def claims_page(runs: Path, published: Path) -> str:
    """The headline claims of every paper beside what was found, how many of its entries have which verdict, and where
    it disagrees with itself. MyST."""
    entries = collect(runs, published)
    counts = summarise(entries)
    by_key = {entry.published.key: entry for entry in entries}
    parts = [
        "The claims are in our words. Each stands above the published values that bear it, what was measured here with "
        "its interval, and the [verdict](ledger-verdicts). A result on simulated patients never decides a claim about "
        "real ones: it says whether the method *can* do what is claimed where the truth is known. *As published* is "
        "the paper's own protocol, *leakage-free* ours, a *control* something that a clinician would try first.",
    ]
    for key in PAPERS:
        paper = load_paper(key)
        own = [entry for entry in entries if entry.published.paper == key]
        measured = [entry for entry in own if entry.verdict != "setting"]
        found = [
            f"{number} {verdict}"
            for verdict, number in counts.loc[key, [name for name in VERDICTS if name != "setting"]].items()
            if number
        ]
        parts += [
            f"## {_short(key)}",
            f"*{paper.title}*, {{cite:t}}`{paper.citation}`.",
            _raw(_claims_table(key, by_key)),
            f"All in all {len(own)} entries in the [ledger](/generated/ledger), {len(measured)} of them measurements, "
            f"descriptions of the data or figures. Of these: {', '.join(found)}.",
        ]
        contradictions = [remark for remark in paper.remarks if remark.contradiction]
        if contradictions:
            parts.append(
                f":::{{dropdown}} Where the paper disagrees with itself ({len(contradictions)})\n"
                + "\n".join(f"- {_names(key, remark.keys)}: {remark.text}" for remark in contradictions)
                + "\n:::"
            )
    return "\n\n".join([*parts, ""])


def _claims_table(paper: str, entries: Mapping[str, Entry]) -> str:
    body: list[str] = []
    for claim in load_paper(paper).claims:
        own = {key: entries[f"{paper}.{key}"] for key in claim.keys}
        body.append(f'<tr class="ledger-title"><th colspan="6" scope="colgroup">{_e(claim.says)}</th></tr>')
        body += [_claim_row(entry) for entry in own.values()]
    return _table_of(f"Claims of {_short(paper)}", paper, body, classes="ledger claims")


def _claim_row(entry: Entry) -> str:
    value = entry.published
    cells = [
        f'<th scope="row"><a href="generated/ledger.html#{_e(value.key)}">{_e(entry_name(value))}</a>'
        f"<small>{_e(value.table)}</small></th>",
        f"<td>{_published(entry)}</td>",
        *(f"<td>{_briefly(entry, place)}</td>" for place in PLACES),
        f'<td><span class="ledger-verdict">{entry.verdict}</span></td>',
    ]
    return f'<tr data-verdict="{entry.verdict}">' + "".join(cells) + "</tr>"


def _briefly(entry: Entry, place: str) -> str:
    """One result a protocol: the one that decides. A note stands where the number alone says nothing."""
    results = [result for result in entry.results if result.place == place]
    texts = []
    for protocol in (AS_PUBLISHED, LEAKAGE_FREE, "", CONTROL):
        result = deciding([result for result in results if result.protocol == protocol])
        if result is not None:
            note = result.note if entry.published.number is None or protocol == CONTROL else ""
            about = "; ".join(part for part in (protocol, _e(note), "smoke" * (result.profile == "smoke")) if part)
            texts.append(_paragraph(entry, result, about))
    return "".join(texts)


def _names(paper: str, keys: Iterable[str]) -> str:
    return ", ".join(f"`{paper}.{key}`" for key in keys)


def _citation(key: str) -> str:
    paper = load_paper(key)
    return f"*{paper.title}*, {{cite:t}}`{paper.citation}`; {paper.venue}; read from the {paper.read_from}."


def _rules() -> str:
    verdicts = "\n".join(f"{verdict}\n: {rule}\n" for verdict, rule in VERDICTS.items())
    return (
        f"(ledger-verdicts)=\n:::{{dropdown}} Rules of the verdict\n{COMPARABLE}\n\n{verdicts}\n"
        "An entry marked *contradiction* is one on which the paper disagrees with itself; the remark says how.\n:::"
    )


def _raw(content: str) -> str:
    return f"```{{raw}} html\n{content}\n```"


def _filter() -> str:
    """The controls, hidden until the script shows them."""

    def options(items: Iterable[tuple[str, str]]) -> str:
        return "".join(f'<option value="{_e(value)}">{_e(text)}</option>' for value, text in items)

    papers = options((key, _short(key)) for key in PAPERS)
    verdicts = options((verdict, verdict) for verdict in VERDICTS)
    kinds = options(KINDS.items())
    return (
        '<form class="ledger-filter" role="search" aria-label="Filter the ledger" hidden>'
        f'<label>Paper <select name="paper"><option value="">all</option>{papers}</select></label>'
        f'<label>Verdict <select name="verdict"><option value="">all</option>{verdicts}</select></label>'
        f'<label>Entries <select name="kind"><option value="">all</option>{kinds}</select></label>'
        '<label>Text <input type="search" name="text" autocomplete="off" placeholder="table 3 accuracy"></label>'
        '<label><input type="checkbox" name="contradiction"> contradictions only</label>'
        '<button type="reset">Reset</button>'
        '<output class="ledger-count" aria-live="polite"></output>'
        "</form>"
    )


class _Notes:
    """Texts that stand in many rows of one paper: said once below its table, and by number in the rows."""

    def __init__(self, paper: str, entries: list[Entry]) -> None:
        counts = Counter(
            text
            for entry in entries
            for text in (entry.published.remark, entry.reason, *(result.note for result in entry.results))
        )
        often = [text for text, number in counts.items() if number >= OFTEN and len(text) > LONG]
        self.paper = paper
        self.numbers = {text: number for number, text in enumerate(often, start=1)}

    def short(self, text: str) -> str:
        if text not in self.numbers:
            return _e(text)
        number = self.numbers[text]
        return f'<a href="#{self.paper}-note-{number}" title="{_e(text)}">note&nbsp;{number}</a>'

    def listed(self) -> str:
        items = "".join(f'<li id="{self.paper}-note-{number}">{_e(text)}</li>' for text, number in self.numbers.items())
        return f'<ol class="ledger-notes" aria-label="Notes of {_e(_short(self.paper))}">{items}</ol>' if items else ""


def _table(paper: str, entries: list[Entry]) -> str:
    notes = _Notes(paper, entries)
    body: list[str] = []
    title = None
    for entry in entries:
        value = entry.published
        if value.kind != "figure" and value.table != title:
            title = value.table
            caption = f": {value.caption}" if value.caption else " and equations"
            body.append(f'<tr class="ledger-title"><th colspan="6" scope="colgroup">{_e(title + caption)}</th></tr>')
        elif value.kind == "figure" and title != "Figures":
            title = "Figures"
            body.append('<tr class="ledger-title"><th colspan="6" scope="colgroup">Figures</th></tr>')
        body.append(_row(entry, notes))
    return _table_of(f"Ledger of {_short(paper)}", paper, body) + notes.listed()


def _table_of(label: str, paper: str, body: list[str], *, classes: str = "ledger") -> str:
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Entry", "Published", "Simulated", "Real", "Full size", "Verdict")
    )
    return (
        f'<div class="ledger-scroll" role="region" tabindex="0" aria-label="{_e(label)}">'
        f'<table class="{classes}" data-paper="{paper}"><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def _row(entry: Entry, notes: _Notes) -> str:
    value = entry.published
    mark = '<span class="ledger-mark">contradiction</span> ' if value.contradiction else ""
    remark = f'<p class="ledger-remark">{mark}{notes.short(value.remark)}</p>' if value.remark else ""
    key = _e(value.key).replace(".", ".<wbr>")
    cells = [
        f'<th scope="row"><span>{_e(entry_name(value))}</span><code>{key}</code>{remark}</th>',
        f"<td>{_published(entry)}</td>",
        *(f"<td>{_measured(entry, place, notes)}</td>" for place in PLACES),
        f'<td><span class="ledger-verdict">{entry.verdict}</span>'
        + (f"<small>{notes.short(entry.reason)}</small>" if entry.reason else "")
        + "</td>",
    ]
    contradiction = ' data-contradiction="1"' if value.contradiction else ""
    return (
        f'<tr id="{_e(value.key)}" data-verdict="{entry.verdict}" data-kind="{value.kind}"{contradiction}>'
        + "".join(cells)
        + "</tr>"
    )


def _published(entry: Entry) -> str:
    size = f"<small>n = {entry.published.n}</small>" if entry.published.number is not None and entry.published.n else ""
    return f"{_e(as_printed(entry.published))}{size}"


def _measured(entry: Entry, place: str, notes: _Notes) -> str:
    return "".join(_result(entry, result, notes) for result in entry.results if result.place == place)


def _paragraph(entry: Entry, result: Result, about: str) -> str:
    number = as_measured(entry.published, result.value, result.low, result.high)
    return f'<p class="ledger-result">{_e(number)}<small>{about}</small></p>'


def _result(entry: Entry, result: Result, notes: _Notes) -> str:
    about = [
        result.protocol,
        f"n = {result.n}" if result.n is not None else "",
        result.source if result.place == "full size" else "",
        result.profile if result.profile == "smoke" else "",
        "kept" if result.kept else "",
    ]
    chapter = _e(result.chapter)
    if _has_chapter(result.chapter):
        chapter = f'<a href="../chapters/{chapter}.html">{chapter}</a>'
    parts = [*(_e(part) for part in about), notes.short(result.note), chapter]
    details = "; ".join(part for part in parts if part)
    return _paragraph(entry, result, details)


def _has_chapter(name: str) -> bool:
    """Whether the book has a page of that chapter, so that a link to it leads somewhere."""
    return (project_root() / "notebooks" / f"{name}.py").is_file()


def _short(key: str) -> str:
    """``Ge 2020``."""
    return f"{key[:-4].capitalize()} {key[-4:]}"


def _e(text: str) -> str:
    return html.escape(text)
