"""Reporting checklists, item by item, for the five papers and this book: ``data_manifests/checklists/*.yml``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radlib.core.errors import RadlibError, first_problem
from radlib.core.models import Strict
from radlib.core.paths import manifests_dir
from radlib.data.published import PAPERS

DOCUMENTS = (*PAPERS, "book")
SCORES = {"yes": 1.0, "partly": 0.5, "no": 0.0, "n/a": None}
"""What a score counts; ``n/a`` is left out of the share."""


class Score(BaseModel):
    """A score and the place in the document, or what is missing."""

    model_config = ConfigDict(frozen=True)

    score: str
    place: str


class Item(Strict):
    """One item of a checklist, under its official number and in our words, and every document's score."""

    number: str
    part: str
    item: str
    scores: dict[str, Score]

    @model_validator(mode="before")
    @classmethod
    def _by_document(cls, raw: dict[str, Any]) -> dict[str, Any]:
        if lacking := [name for name in DOCUMENTS if name not in raw]:
            raise ValueError(f"{raw.get('item')!r} has no score of {', '.join(lacking)}")
        parts = {name: str(raw[name]).partition("; ") for name in DOCUMENTS}
        if wrong := [name for name, (score, _, place) in parts.items() if score not in SCORES or not place]:
            raise ValueError(f"{raw['item']!r}, {wrong[0]}: {raw[wrong[0]]!r} is no score and place")
        rest = {name: value for name, value in raw.items() if name not in DOCUMENTS}
        return rest | {"scores": {name: {"score": one[0], "place": one[2]} for name, one in parts.items()}}


@dataclass(frozen=True)
class Agreement:
    """How well two readers of the same scores agree.

    Attributes:
        n, agreed: scores read twice, and those alike.
        kappa: Cohen's.
        mended: scores that are no longer what the first reader gave.
    """

    n: int
    agreed: int
    kappa: float
    mended: int


class Checklist(Strict):
    """A checklist with all its items."""

    name: str
    about: str
    items: tuple[Item, ...] = Field(min_length=1)

    def share(self, document: str) -> tuple[float, int]:
        """The share of points that a document has, and of how many items that apply to it."""
        points = [SCORES[item.scores[document].score] for item in self.items]
        counted = [point for point in points if point is not None]
        return sum(counted) / len(counted), len(counted)


def checklists(folder: Path | None = None) -> Sequence[Checklist]:
    """Every checklist, by name.

    Raises:
        RadlibError: if a file does not follow the schema, naming the item and the document.
    """
    found = []
    for file in sorted((folder or manifests_dir() / "checklists").glob("*.yml")):
        try:
            found.append(Checklist.model_validate(yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)))
        except ValidationError as error:
            raise RadlibError(f"no checklist: {first_problem(error)}", file=file, remedy="correct the item") from error
    return found


def second_reading() -> Agreement:
    """Scores that a second reader gave without seeing the first: ``data_manifests/checklists/second_reading.tsv``."""
    from sklearn.metrics import cohen_kappa_score

    file = manifests_dir() / "checklists" / "second_reading.tsv"
    table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)  # n/a is a score
    today = {(one.name, item.number): item.scores for one in checklists() for item in one.items}
    rows = table.to_dict("records")
    kept = [today[row["checklist"], row["number"]][row["document"]].score == row["first"] for row in rows]
    agreed = int((table["first"] == table["second"]).sum())
    return Agreement(len(table), agreed, float(cohen_kappa_score(table["first"], table["second"])), kept.count(False))
