"""Reading the manifests: ``data_manifests/papers/<key>.yml`` to :class:`Paper`, and to every entry by its key."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import yaml
from pydantic import ValidationError

from radlib.core.errors import RadlibError, first_problem
from radlib.core.paths import manifests_dir
from radlib.data.published.declared import Evidence, spoken_of
from radlib.data.published.schema import PAPERS, Paper, PublishedValue, Remark

try:  # libyaml's is ten times as fast, where it was compiled
    from yaml import CBaseLoader as BaseLoader
except ImportError:
    from yaml import BaseLoader  # type: ignore[assignment]

_NUMBER = r"[-−]?\d+(?:\.\d+)?(?:e-?\d+)?"
_CELL = re.compile(
    rf"(?P<value>{_NUMBER})(?:\s*(?:±\s*(?P<plus>{_NUMBER})|\((?:(?P<share>{_NUMBER})%|(?P<sd>{_NUMBER}))\)))?"
)


@functools.cache
def load_paper(key: str, *, folder: Path | None = None) -> Paper:
    """The manifest ``<key>.yml`` of ``folder`` (by default ``data_manifests/papers/``).

    Raises:
        RadlibError: if there is no such paper, or the file does not follow the schema.
    """
    path = (folder or manifests_dir() / "papers") / f"{key}.yml"
    if not path.is_file():
        raise RadlibError(f"no paper {key!r}", file=path, remedy=f"choose one of {', '.join(PAPERS)}")
    try:
        # BaseLoader keeps every scalar as the text that was typed: the printed digits carry meaning.
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=BaseLoader)
        paper = Paper.model_validate(raw)
        _entries(paper)
    except yaml.YAMLError as error:
        raise RadlibError(f"not YAML: {error}", file=path, remedy="mend the syntax") from error
    except ValidationError as error:
        given = error.errors()[0].get("input")
        raise RadlibError(
            f"{first_problem(error)} (got {given!r:.80})",
            file=path,
            remedy="follow the schema in radlib.data.published.schema",
        ) from error
    return paper


def load_all() -> dict[str, Paper]:
    """The five papers by key."""
    return {key: load_paper(key) for key in PAPERS}


@functools.cache
def published_values(paper: str | None = None) -> dict[str, PublishedValue]:
    """Every entry of one paper (or of all), by key, in the order of print: tables, text, figures."""
    papers = [load_paper(paper)] if paper else load_all().values()
    return {key: value for one in papers for key, value in _entries(one).items()}


def published(key: str) -> PublishedValue:
    """The published entry with this key.

    Raises:
        RadlibError: if there is none; the message lists the closest keys.
    """
    values = published_values()
    if key not in values:
        close = difflib.get_close_matches(key, values, n=3, cutoff=0.5)
        raise RadlibError(
            f"no published number has the key {key!r}",
            file=manifests_dir() / "papers",
            remedy=f"closest keys: {', '.join(close)}" if close else "see the ledger page for all keys",
        )
    return values[key]


@functools.cache
def evidence() -> dict[str, Evidence]:
    """What stands beside every entry of the five papers, by key; see :mod:`radlib.data.published.evidence`.

    Raises:
        RadlibError: if an entry is spoken of twice or not at all.
    """
    folder = manifests_dir() / "papers"
    return {
        key: said
        for paper in load_all().values()
        for key, said in spoken_of(paper, published_values(paper.key), file=folder / f"{paper.key}.yml").items()
    }


def _entries(paper: Paper) -> dict[str, PublishedValue]:
    values = {value.key: value for value in (*_table_cells(paper), *_statements(paper), *_figures(paper))}
    remarks: dict[str, list[Remark]] = {}
    for remark in paper.remarks:
        for pattern in remark.keys:
            matches = fnmatch.filter(values, f"{paper.key}.{pattern}")
            if not matches:
                raise RadlibError(
                    f"a remark of {paper.key} names {pattern!r}, which no entry matches",
                    remedy="correct the key in the manifest",
                )
            for key in matches:
                remarks.setdefault(key, []).append(remark)
    for key, items in remarks.items():
        items.sort(key=lambda item: not item.contradiction)  # what matters more stands first
        values[key] = values[key].model_copy(
            update={
                "remarks": tuple(item.text for item in items),
                "contradiction": any(item.contradiction for item in items),
                "failing": tuple(item.relation for item in items if item.relation),
            }
        )
    return values


def _table_cells(paper: Paper) -> Iterator[PublishedValue]:
    for table_key, table in paper.tables.items():
        for row_key, row in table.rows.items():
            for (column_key, column), printed in zip(table.columns.items(), row.cells, strict=True):
                if printed == "~":
                    continue
                match = _CELL.fullmatch(printed)
                cell = PublishedValue(
                    key=f"{paper.key}.{table_key}.{row_key}.{column_key}",
                    paper=paper.key,
                    kind=row.kind or table.kind,
                    table=table.label,
                    row=row.label,
                    column=column.label,
                    where=table.where,
                    caption=table.caption,
                    printed=printed,
                    number=_number(match["value"]) if match else None,
                    spread=_number(match["plus"] or match["sd"]) if match else None,
                    n=row.n or column.n or table.n,
                    unit=_first(row.unit, column.unit, table.unit),
                    rounding=row.rounding or table.rounding,
                )
                yield cell
                if match and match["share"]:
                    share = {"key": f"{cell.key}.share", "number": _number(match["share"]), "unit": "%"}
                    yield cell.model_copy(
                        update={**share, "printed": f"{match['share']}%", "column": f"{column.label}, share"}
                    )


def _statements(paper: Paper) -> Iterator[PublishedValue]:
    for name, item in paper.text.items():
        match = _CELL.fullmatch(item.value)
        yield PublishedValue(
            key=f"{paper.key}.text.{name}",
            paper=paper.key,
            kind=item.kind,
            table="Text",
            row=item.says,
            where=item.where,
            printed=item.value,
            number=_number(match["value"]) if match else None,
            spread=_number(match["plus"] or match["sd"]) if match else None,
            n=item.n,
            unit=item.unit,
        )


def _figures(paper: Paper) -> Iterator[PublishedValue]:
    for name, figure in paper.figures.items():
        yield PublishedValue(
            key=f"{paper.key}.{name}",
            paper=paper.key,
            kind="figure",
            table=name.replace("figure", "Figure "),
            where=figure.where,
            caption=figure.caption,
            printed=figure.shows,
        )


def _number(text: str | None) -> Decimal | None:
    return Decimal(text.replace("−", "-")) if text else None


def _first(*texts: str | None) -> str:
    return next((text for text in texts if text is not None), "")
