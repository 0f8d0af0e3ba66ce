"""The manifest of a paper: its tables cell by cell, the numbers of its text, its figures, and what contradicts what.

A manifest (``data_manifests/papers/<key>.yml``) is read without converting scalars, so that a number keeps the
digits it was printed with: ``91.30`` is known to two decimals, ``91.3`` to one. A cell is written as printed:

=================  ==================================================================================
``88.82``          a value
``88.82 (6.37)``   a value and its spread (standard deviation); ``40.7 ± 10.8`` means the same
``81 (54.6%)``     a count and its share, which becomes an entry of its own: ``<key>.share``
``~``              no cell: merged with its neighbour, or empty in print
anything else      text
=================  ==================================================================================
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from radlib.core.errors import RadlibError
from radlib.core.paths import manifests_dir

PAPERS = ("islam2020", "ge2020", "zhang2021", "li2017", "mehra2022")
"""Keys of the five papers, in the order of the book."""

Kind = Literal["result", "quoted", "cohort", "setting", "figure"]
"""What an entry is: the paper's own measurement, another paper's result quoted for comparison, a description of the
data, a choice of the authors (architecture, hyper-parameter), or a figure."""

Rounding = Literal["rounded", "truncated"]

COUNTS = frozenset({"patients", "scans", "slices", "samples", "genes", "features", "methods", "models", "folds"})
"""Units of things that are counted: their printed integers are exact."""

_NUMBER = r"[-−]?\d+(?:\.\d+)?(?:e-?\d+)?"
_CELL = re.compile(
    rf"(?P<value>{_NUMBER})(?:\s*(?:±\s*(?P<plus>{_NUMBER})|\((?:(?P<share>{_NUMBER})%|(?P<sd>{_NUMBER}))\)))?"
)

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """A column of a table; ``n`` and ``unit`` overrule the table's."""

    label: Text
    unit: str | None = None
    n: int | None = Field(default=None, gt=0)


class Row(_Strict):
    """A row of a table; what it names overrules the column and the table."""

    label: Text
    cells: tuple[Text, ...]
    unit: str | None = None
    n: int | None = Field(default=None, gt=0)
    kind: Kind | None = None
    rounding: Rounding | None = None


class Table(_Strict):
    """A printed table. ``cells`` of every row follow the order of ``columns``."""

    label: Text
    caption: Text
    where: Text
    columns: dict[Name, Column]
    rows: dict[Name, Row]
    kind: Kind = "result"
    unit: str = ""
    n: int | None = Field(default=None, gt=0)
    rounding: Rounding = "rounded"

    @model_validator(mode="after")
    def _cells_fit(self) -> Table:
        for name, row in self.rows.items():
            if len(row.cells) != len(self.columns):
                raise ValueError(f"row {name!r} has {len(row.cells)} cells for {len(self.columns)} columns")
        return self


class Statement(_Strict):
    """A number (or a choice in words) that only the text, an equation or an algorithm states."""

    value: Text
    says: Text
    where: Text
    kind: Kind = "result"
    unit: str = ""
    n: int | None = Field(default=None, gt=0)


class Figure(_Strict):
    """A printed figure: its caption in our words, and what it shows."""

    caption: Text
    shows: Text
    where: Text


class Remark(_Strict):
    """What a reader of these entries must know.

    ``contradiction`` means that the paper disagrees with itself; False is a note, or a disagreement that something
    unprinted may explain. Where ``relation`` is given, the disagreement is arithmetic: the relation of that name in
    :mod:`radlib.data.published.relations` fails for exactly these keys.
    """

    keys: tuple[Text, ...] = Field(min_length=1)
    text: Text
    contradiction: bool = True
    relation: Name | None = None


class Claim(_Strict):
    """A headline claim of the paper in our words, and the entries that bear it: keys without the paper's name.

    ``ascending`` holds chains of keys from the least to the greatest as claimed, ``positive`` differences that are
    claimed to be above 0: what was measured for them tells whether the claim holds. A claim without either is one of a
    value, which the verdict on its entries decides.
    """

    says: Text
    keys: tuple[Name, ...] = Field(min_length=1)
    ascending: tuple[tuple[Name, ...], ...] = ()
    positive: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _rests_on_keys(self) -> Claim:
        for name in (*(name for chain in self.ascending for name in chain), *self.positive):
            if name not in self.keys:
                raise ValueError(f"{name!r} decides the claim and is not among its keys")
        if any(len(chain) < 2 for chain in self.ascending):
            raise ValueError("a chain of one key has no order")
        return self


class Paper(_Strict):
    """One paper's manifest."""

    key: Literal["islam2020", "ge2020", "zhang2021", "li2017", "mehra2022"]
    citation: Name
    title: Text
    authors: Text
    venue: Text
    year: int
    doi: str | None = None
    arxiv: str | None = None
    read_from: Text
    tables: dict[Name, Table]
    text: dict[Name, Statement]
    figures: dict[Name, Figure]
    claims: tuple[Claim, ...] = Field(min_length=1)
    remarks: tuple[Remark, ...] = ()


class PublishedValue(_Strict):
    """One entry of a paper: a printed number, a statement in words, or a figure.

    Attributes:
        key: ``<paper>.<table>.<row>.<column>``, ``<paper>.text.<name>`` or ``<paper>.<figure>``.
        printed: what stands in the paper (for a figure: what it shows).
        number: the value as printed, None where the entry is words or a figure.
        spread: the printed standard deviation, None where there is none.
        n: how many subjects it rests on, where the paper says so.
        unit: ``%``, ``fraction``, ``mm`` ...; empty for pure numbers and words.
        rounding: whether the paper rounded or cut off the last digit.
        remarks: what a reader must know; ``contradiction`` says whether the paper disagrees with itself here.
    """

    key: str
    paper: str
    kind: Kind
    table: str
    row: str = ""
    column: str = ""
    where: str
    caption: str = ""
    printed: str
    number: Decimal | None = None
    spread: Decimal | None = None
    n: int | None = None
    unit: str = ""
    rounding: Rounding = "rounded"
    remarks: tuple[str, ...] = ()
    contradiction: bool = False
    failing: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The printed number.

        Raises:
            RadlibError: if the entry is words or a figure.
        """
        if self.number is None:
            raise RadlibError(
                f"{self.key} is no number: {self.printed!r}", remedy="read `.printed`, or ask for another key"
            )
        return float(self.number)

    @property
    def remark(self) -> str:
        """All remarks as one text; empty where there is none."""
        return " ".join(self.remarks)

    @property
    def step(self) -> float:
        """One unit of the last printed digit; 0 for an exact count and for words."""
        if self.number is None or self._exact:
            return 0.0
        return float(Decimal(1).scaleb(int(self.number.as_tuple().exponent)))

    @property
    def low(self) -> float:
        """The least number that would be printed like this one."""
        return self.value - (0.0 if self.rounding == "truncated" else self.step / 2)

    @property
    def high(self) -> float:
        """The greatest number that would be printed like this one."""
        return self.value + (self.step if self.rounding == "truncated" else self.step / 2)

    @property
    def _exact(self) -> bool:
        return self.unit in COUNTS and self.number is not None and self.number == self.number.to_integral_value()


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
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        paper = Paper.model_validate(raw)
        _entries(paper)
    except yaml.YAMLError as error:
        raise RadlibError(f"not YAML: {error}", file=path, remedy="mend the syntax") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RadlibError(
            f"{place}: {first['msg']} (got {first.get('input')!r:.80})",
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


def _entries(paper: Paper) -> dict[str, PublishedValue]:
    values = {value.key: value for value in (*_table_cells(paper), *_statements(paper), *_figures(paper))}
    for name in (name for claim in paper.claims for name in claim.keys):
        if f"{paper.key}.{name}" not in values:
            raise RadlibError(
                f"a claim of {paper.key} rests on {name!r}, which is no entry", remedy="correct the key in the manifest"
            )
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
