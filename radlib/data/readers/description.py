"""What the YAML file of a user's cohort may say; nothing in it is ignored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from radlib.core.errors import RadlibError, problems_of
from radlib.core.files import read_yaml
from radlib.core.models import Strict
from radlib.data.cohort import COLUMNS
from radlib.data.nifti import parse_encoding

QUESTION = "?"
"""What a draft has where a person must decide."""

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Modality = Literal["t1", "t1ce", "t2", "flair", "seg"]


class SideTable(Strict):
    """A table of numbers beside the participants: one row a subject, one column a gene or feature."""

    file: Text
    id_column: Text
    drop: tuple[str, ...] = ()


class Description(Strict):
    """What the YAML file of a cohort holds; unknown keys, and keys without effect, are refused.

    Attributes:
        name: of the cohort.
        root: the folder of the images, absolute or relative to the YAML file.
        layout: ``brats`` for a BraTS folder of any vintage; ``bids`` for a BIDS folder; ``patterns`` where ``images``
            says where files lie.
        images: modality (``t1``, ``t1ce``, ``t2``, ``flair``, ``seg``) to a path below ``root`` with ``{id}`` for the
            subject and ``*`` for anything else within one name.
        label_encoding: how ``seg`` writes its labels. Without it, the vintage of a BraTS folder says so, or the labels
            themselves where they leave no choice.
        participants: a table (CSV, TSV, Excel), absolute or relative to the YAML file.
        id_column: its column of subject ids.
        id_match: ``exact``, or ``numbers``: ids that differ in leading zeros only are one (``004`` and ``0004``).
        columns: our column to theirs; a column that has our name needs no entry.
        values: our column to a map from their spelling to ours, or to null for unknown.
        missing: their words for an unknown value, beside the usual ones.
        survival_unit: the unit of the survival column.
        expression, radiomics: tables of numbers.
    """

    name: Text
    root: Text = "."
    layout: Literal["patterns", "brats", "bids"] = "patterns"
    images: dict[Modality, Text] = Field(default_factory=dict)
    label_encoding: str | None = None
    participants: Text | None = None
    id_column: Text = "id"
    id_match: Literal["exact", "numbers"] = "exact"
    columns: dict[str, Text] = Field(default_factory=dict)
    values: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    survival_unit: Literal["days", "weeks", "months", "years"] = "days"
    expression: SideTable | None = None
    radiomics: SideTable | None = None

    @field_validator("images")
    @classmethod
    def _patterns(cls, images: dict[str, str]) -> dict[str, str]:
        for modality, pattern in images.items():
            if "{id}" not in pattern:
                raise ValueError(f"the pattern of {modality} ({pattern!r}) has no {{id}}")
            if pattern.startswith("/") or ".." in pattern.split("/"):
                raise ValueError(f"the pattern of {modality} ({pattern!r}) leaves the root")
        return images

    @field_validator("columns", "values")
    @classmethod
    def _known(cls, mapping: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(mapping) - set(COLUMNS)):
            raise ValueError(f"unknown column(s) {', '.join(unknown)}; known are {', '.join(COLUMNS)}")
        return mapping

    @field_validator("values", mode="before")
    @classmethod
    def _as_text(cls, values: Any) -> Any:
        # YAML reads 0, 1 and yes as numbers and truth values; a table holds text.
        if not isinstance(values, dict):
            return values
        for column, mapping in values.items():
            if isinstance(mapping, dict) and len({str(key) for key in mapping}) < len(mapping):
                raise ValueError(f"{column} has one spelling twice, as a number and as text")
        return {
            column: {str(k): v if v is None else str(v) for k, v in mapping.items()}
            if isinstance(mapping, dict)
            else mapping
            for column, mapping in values.items()
        }

    @field_validator("label_encoding")
    @classmethod
    def _encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            parse_encoding(encoding)
        return encoding

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Description:
        given = self.model_fields_set
        if self.layout != "patterns" and "images" in given:
            raise ValueError(f"images has no effect beside layout: {self.layout}; keep one of them")
        of_a_table = {"id_column", "id_match", "columns", "values", "missing", "survival_unit"}
        if self.participants is None and (idle := sorted(of_a_table & given)):
            raise ValueError(f"{', '.join(idle)} has no effect without participants; name the table, or remove it")
        return self


def read_description(path: Path | str) -> Description:
    """The description in a YAML file.

    Raises:
        RadlibError: if there is no file, it does not follow :class:`Description` (every problem is listed), or a
            question of the draft is still open.
    """
    path = Path(path)
    if not path.is_file():
        raise RadlibError(
            "there is no cohort description", file=path, remedy="write one with `radlib cohort init FOLDER`"
        )
    raw = read_yaml(path, what="a cohort, as `radlib cohort init FOLDER` writes it")
    if asked := list(_questions(raw)):
        raise RadlibError(
            f"{len(asked)} question(s) wait for your answer: {', '.join(asked)}", file=path,
            remedy="replace each ? by what is right; the comment above it says what the question is",
        )  # fmt: skip
    try:
        return Description.model_validate(raw)
    except ValidationError as error:
        raise RadlibError(
            problems_of(error), file=path, remedy="correct these keys; `radlib cohort init` writes a commented example"
        ) from error


def _questions(value: Any, place: str = "") -> Iterator[str]:
    """The places of nested mappings that hold a question."""
    if value == QUESTION:
        yield place
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _questions(item, f"{place}.{key}" if place else str(key))
