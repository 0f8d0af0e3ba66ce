"""What stands beside each published value: which study measures it, or why nothing does.

The section ``evidence`` of a paper's manifest is a list. Each item names entries by patterns and gives exactly one of

==================  ================================================================================================
``measured``        the studies that measure it (several chapters may); a paired contrast has ``minus``
``drawn``           the chapter's figures that are its counterpart; ``measured`` may stand beside it
``setting``         a choice of the authors: where it is a chapter's parameter, or what it is
``in_print``        follows from other printed numbers; :func:`radlib.data.published.check` recomputes it
``quoted``          another paper's result, and why it has no counterpart
``not_measured``    why there is none
==================  ================================================================================================

A pattern is a key without the paper's name. ``{arm}`` stands for one part of a key, at the end of the pattern for all
that is left; with ``names`` it stands for the names listed there only, and is renamed where they are a mapping.
``{arm}`` in ``measured`` is replaced by what was found. ``*`` stands for anything.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from radlib.core.errors import RadlibError
from radlib.core.models import Strict

if TYPE_CHECKING:
    from radlib.data.published.schema import Paper, PublishedValue

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed)]

KINDS = ("measured", "drawn", "setting", "in_print", "quoted", "not_measured")


class MeasuredRow(Protocol):
    """What of a measured number says which one it is; see :class:`radlib.book.results.Measured`."""

    @property
    def study(self) -> str: ...
    @property
    def arm(self) -> str: ...
    @property
    def minus(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def protocol(self) -> str: ...


class Measure(Strict):
    """Rows of a study that stand beside an entry.

    Attributes:
        study (str): ``<chapter>.<study>``.
        minus: the arm that is subtracted in a paired contrast; empty for an estimate of one arm.
        protocol: the protocol of the rows; empty takes every protocol of the study.
        scale: what the study's number is multiplied by to have the published unit.
        note: what a reader must know to compare the two.
    """

    study: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+\.[a-z0-9-]+$")]
    arm: Text
    metric: Text
    group: Text = "all"
    minus: str = ""
    protocol: str = ""
    scale: float = 1.0
    note: str = ""

    @property
    def chapter(self) -> str:
        """The chapter that has the study."""
        return self.study.partition(".")[0]

    def matches(self, row: MeasuredRow) -> float:
        """The factor by which a row of the chapter's results is to be multiplied; 0 for another row.

        A contrast that was taken the other way round has a negative factor.
        """
        if (row.study, row.metric, row.group) != (self.study.partition(".")[2], self.metric, self.group):
            return 0.0
        if self.protocol and row.protocol != self.protocol:
            return 0.0
        if (row.arm, row.minus) == (self.arm, self.minus):
            return self.scale
        return -self.scale if self.minus and (row.arm, row.minus) == (self.minus, self.arm) else 0.0

    def __str__(self) -> str:
        arms = f"{self.arm} minus {self.minus}" if self.minus else self.arm
        return f"{self.study}: {', '.join(part for part in (arms, self.metric, self.group, self.protocol) if part)}"


class Drawing(Strict):
    """Figures of a chapter, by name."""

    chapter: Text
    figures: Texts


class Parameter(Strict):
    """A chapter's parameter, in the profile in which it has the published value."""

    chapter: Text
    parameter: Text
    profile: Text = "paper"


class Evidence(Strict):
    """One item of the section: the entries it speaks of, and what stands beside them."""

    keys: Texts
    names: dict[str, dict[str, str] | tuple[str, ...]] = Field(default_factory=dict)
    measured: tuple[Measure, ...] = ()
    drawn: tuple[Drawing, ...] = ()
    setting: Parameter | Text | None = None
    in_print: Text | None = None
    quoted: Text | None = None
    not_measured: Text | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Evidence:
        given = [kind for kind in KINDS if getattr(self, kind)]
        if len(given) != 1 and given != ["measured", "drawn"]:
            raise ValueError(f"gives {' and '.join(given) or 'nothing'}, not one of {', '.join(KINDS)}")
        return self

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`; ``drawn`` where a figure also has a measured number."""
        return next(kind for kind in reversed(KINDS) if getattr(self, kind))

    def of(self, key: str) -> Evidence | None:
        """What is said of one key (without the paper's name), placeholders filled in; None if it is not spoken of."""
        for pattern in self.keys:
            if match := self._pattern(pattern).fullmatch(key):
                found = {name: self._renamed(name, value) for name, value in match.groupdict().items()}
                fill = functools.partial(_filled, found=found)
                measured = tuple(Measure(**_each(measure.model_dump(), fill)) for measure in self.measured)
                return self.model_copy(update={"keys": (key,), "names": {}, "measured": measured})
        return None

    def _pattern(self, pattern: str) -> re.Pattern[str]:
        parts: list[str] = []
        for part in re.split(r"(\{\w+\}|\*)", pattern):
            if part == "*":
                parts.append(".+")
            elif part.startswith("{"):
                name = part[1:-1]
                names = self.names.get(name)
                rest = r"[a-z0-9_.]+" if pattern.endswith(part) else r"[a-z0-9_]+"
                choices = "|".join(re.escape(text) for text in names) if names is not None else rest
                parts.append(f"(?P<{name}>{choices})")
            else:
                parts.append(re.escape(part))
        return re.compile("".join(parts))

    def _renamed(self, name: str, value: str) -> str:
        names = self.names.get(name)
        return names[value] if isinstance(names, dict) else value


def _filled(text: str, *, found: dict[str, str]) -> str:
    for name, value in found.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _each(fields: dict[str, Any], fill: Any) -> dict[str, Any]:
    return {name: fill(value) if isinstance(value, str) else value for name, value in fields.items()}


def spoken_of(paper: Paper, values: dict[str, PublishedValue], *, file: Path | None = None) -> dict[str, Evidence]:
    """What the manifest says of every entry of a paper, by full key.

    Raises:
        RadlibError: if an entry is spoken of twice or not at all, or a pattern fits no entry.
    """
    found: dict[str, Evidence] = {}
    for item in paper.evidence:
        for one in _apart(item):
            own = {key: said for key in values if (said := one.of(key.removeprefix(f"{paper.key}.")))}
            if not own:
                raise RadlibError(f"evidence: {one.keys[0]!r} fits no entry of {paper.key}", file=file,
                                  remedy="correct the pattern")  # fmt: skip
            if twice := sorted(own.keys() & found.keys()):
                raise RadlibError(f"evidence: {twice[0]} is spoken of twice", file=file,
                                  remedy="let one item speak of it")  # fmt: skip
            found |= own
    if lacking := [key for key in values if key not in found]:
        raise RadlibError(
            f"evidence: nothing is said of {len(lacking)} entries, among them {', '.join(lacking[:3])}",
            file=file,
            remedy="say by whom each is measured, or why it is not",
        )
    return {key: found[key] for key in values}


def _apart(item: Evidence) -> Iterator[Evidence]:
    for pattern in item.keys:
        yield item.model_copy(update={"keys": (pattern,)})
