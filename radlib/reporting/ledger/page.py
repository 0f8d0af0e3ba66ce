"""The ledger and the summary of claims as pages of the book.

The tables are raw HTML: they are long, they are filtered in the reader's browser by ``_static/ledger.js``, and they
stay plain tables where there is no script.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path

from radlib.core.paths import project_root
from radlib.data.papers import PAPERS, load_paper
from radlib.reporting.ledger.collect import collect
from radlib.reporting.ledger.frame import summarise
from radlib.reporting.ledger.verdict import COMPARABLE, VERDICTS, Entry, Result
from radlib.reporting.tables import format_interval

PLACES = ("simulated", "real", "full size")
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
    """A paragraph a paper: how many of its entries have which verdict, and where it disagrees with itself. MyST."""
    entries = collect(runs, published)
    counts = summarise(entries)
    parts = []
    for key in PAPERS:
        own = [entry for entry in entries if entry.published.paper == key]
        measured = [entry for entry in own if entry.verdict != "setting"]
        found = [
            f"{number} {verdict}"
            for verdict, number in counts.loc[key, [name for name in VERDICTS if name != "setting"]].items()
            if number
        ]
        parts.append(
            f"**{{cite:t}}`{load_paper(key).citation}`**, *{load_paper(key).title}*: {len(own)} entries in the "
            f"[ledger](/generated/ledger), {len(measured)} of them measurements, descriptions of the data or "
            f"figures. Of these: {', '.join(found)}."
        )
        contradictions = [remark for remark in load_paper(key).remarks if remark.contradiction]
        if contradictions:
            parts.append(
                f":::{{dropdown}} Where the paper disagrees with itself ({len(contradictions)})\n"
                + "\n".join(f"- {_names(key, remark.keys)}: {remark.text}" for remark in contradictions)
                + "\n:::"
            )
    return "\n\n".join([*parts, ""])


def _names(paper: str, keys: Iterable[str]) -> str:
    return ", ".join(f"`{paper}.{key}`" for key in keys)


def _citation(key: str) -> str:
    paper = load_paper(key)
    return f"*{paper.title}*, {{cite:t}}`{paper.citation}`; {paper.venue}; read from the {paper.read_from}."


def _rules() -> str:
    verdicts = "\n".join(f"{verdict}\n: {rule}\n" for verdict, rule in VERDICTS.items())
    return (
        f":::{{dropdown}} Rules of the verdict\n{COMPARABLE}\n\n{verdicts}\n"
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


def _table(paper: str, entries: list[Entry]) -> str:
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("Entry", "Published", "Simulated", "Real", "Full size", "Verdict")
    )
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
        body.append(_row(entry))
    return (
        f'<div class="ledger-scroll" role="region" tabindex="0" aria-label="Ledger of {_e(_short(paper))}">'
        f'<table class="ledger" data-paper="{paper}"><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def _row(entry: Entry) -> str:
    value = entry.published
    name = " · ".join(part for part in (value.row, value.column) if part) or f"{value.table}: {value.caption}"
    mark = '<span class="ledger-mark">contradiction</span> ' if value.contradiction else ""
    remark = f'<p class="ledger-remark">{mark}{_e(value.remark)}</p>' if value.remark else ""
    cells = [
        f'<th scope="row"><span>{_e(name)}</span><code>{_e(value.key).replace(".", ".<wbr>")}</code>{remark}</th>',
        f"<td>{_published(entry)}</td>",
        *(f"<td>{_measured(entry, place)}</td>" for place in PLACES),
        f'<td><span class="ledger-verdict">{entry.verdict}</span>'
        + (f"<small>{_e(entry.reason)}</small>" if entry.reason else "")
        + "</td>",
    ]
    contradiction = ' data-contradiction="1"' if value.contradiction else ""
    return (
        f'<tr id="{_e(value.key)}" data-verdict="{entry.verdict}" data-kind="{value.kind}"{contradiction}>'
        + "".join(cells)
        + "</tr>"
    )


def _published(entry: Entry) -> str:
    value = entry.published
    if value.number is None:
        return _e(value.printed)
    text = value.printed if value.spread is None else f"{value.number} ± {value.spread}"
    text = text.split(" (")[0] if value.spread is None else text  # the share of a count is an entry of its own
    unit = "" if value.unit in ("", "fraction") or text.endswith(value.unit) else f" {value.unit}"
    size = f"<small>n = {value.n}</small>" if value.n else ""
    return f"{_e(text + unit)}{size}"


def _measured(entry: Entry, place: str) -> str:
    exponent = entry.published.number.as_tuple().exponent if entry.published.number is not None else -3
    digits = max(-int(exponent), 0)
    return "".join(_result(result, digits=digits) for result in entry.results if result.place == place)


def _result(result: Result, *, digits: int) -> str:
    low, high = (None if bound is None else float(bound) for bound in (result.low, result.high))
    digits += digits == 0 and not float(result.value).is_integer()
    text = format_interval(float(result.value), low, high, digits=digits)
    about = [
        result.protocol,
        f"n = {result.n}" if result.n is not None else "",
        result.source if result.place == "full size" else "",
        result.profile if result.profile == "smoke" else "",
        "kept" if result.kept else "",
        result.note,
    ]
    chapter = _e(result.chapter)
    if _has_chapter(result.chapter):
        chapter = f'<a href="../chapters/{chapter}.html">{chapter}</a>'
    details = "; ".join([*(_e(part) for part in about if part), chapter])
    return f'<p class="ledger-result">{_e(text)}<small>{details}</small></p>'


def _has_chapter(name: str) -> bool:
    """Whether the book has a page of that chapter, so that a link to it leads somewhere."""
    return (project_root() / "notebooks" / f"{name}.py").is_file()


def _short(key: str) -> str:
    """``Ge 2020``."""
    return f"{key[:-4].capitalize()} {key[-4:]}"


def _e(text: str) -> str:
    return html.escape(text)
