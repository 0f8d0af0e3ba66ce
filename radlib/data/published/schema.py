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

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from radlib.core.errors import RadlibError
from radlib.core.models import Strict
from radlib.data.published.declared import Evidence

PAPERS = ("islam2020", "ge2020", "zhang2021", "li2017", "mehra2022")
"""Keys of the five papers, in the order of the book."""

Kind = Literal["result", "quoted", "cohort", "setting", "figure"]
"""What an entry is: the paper's own measurement, another paper's result quoted for comparison, a description of the
data, a choice of the authors (architecture, hyper-parameter), or a figure."""

Rounding = Literal["rounded", "truncated"]

COUNTS = frozenset({"patients", "scans", "slices", "samples", "genes", "features", "methods", "models", "folds"})
"""Units of things that are counted: their printed integers are exact."""


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Column(Strict):
    """A column of a table; ``n`` and ``unit`` overrule the table's."""

    label: Text
    unit: str | None = None
    n: int | None = Field(default=None, gt=0)


class Row(Strict):
    """A row of a table; what it names overrules the column and the table."""

    label: Text
    cells: tuple[Text, ...]
    unit: str | None = None
    n: int | None = Field(default=None, gt=0)
    kind: Kind | None = None
    rounding: Rounding | None = None


class Table(Strict):
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


class Statement(Strict):
    """A number (or a choice in words) that only the text, an equation or an algorithm states."""

    value: Text
    says: Text
    where: Text
    kind: Kind = "result"
    unit: str = ""
    n: int | None = Field(default=None, gt=0)


class Figure(Strict):
    """A printed figure: its caption in our words, and what it shows."""

    caption: Text
    shows: Text
    where: Text


class Remark(Strict):
    """What a reader of these entries must know.

    ``contradiction`` means that the paper disagrees with itself; False is a note, or a disagreement that something
    unprinted may explain. Where ``relation`` is given, the disagreement is arithmetic: the relation of that name in
    :mod:`radlib.data.published.relations` fails for exactly these keys.
    """

    keys: tuple[Text, ...] = Field(min_length=1)
    text: Text
    contradiction: bool = True
    relation: Name | None = None


Alike = Literal["same", "analogous"]


class Likeness(Strict):
    """How far a chapter's run on real data is like the paper's study.

    Attributes:
        patients, features, protocol: of the paper's kind (``same``) or only like it (``analogous``).
        because: the reason, which every page shows beside such a result.
        on: whose data these are, in a few words.
    """

    patients: Alike
    features: Alike
    protocol: Alike
    because: Text
    on: str = ""

    @property
    def same(self) -> bool:
        """Whether all three are of the paper's kind."""
        return self.patients == self.features == self.protocol == "same"


class Paper(Strict):
    """One paper's manifest.

    ``claims`` is read by :mod:`radlib.book.claims`: what decides a claim is the book's, and no job depends on it.
    ``real`` says of chapters how their runs on real data relate to the paper; one that is not named is analogous.
    """

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
    claims: tuple[dict[str, Any], ...] = Field(min_length=1)
    real: dict[Name, Likeness] = Field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class PublishedValue(Strict):
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
