"""One person under several names: who they are, and that nobody trains what is tested on them.

The column ``person`` of a participants table holds every public id by which a person is known, separated by spaces,
such as ``TCGA-CS-4941 BraTS19_TCIA09_141_1``. Where it is empty, a subject is known by its own id only. Two
subjects, of one cohort or of two, are one person where they share an id.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.findings import shorten


def public_ids(table: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Every id of each subject, its own among them."""
    named = table["person"] if "person" in table else pd.Series(index=table.index, dtype=object)
    return {
        str(subject): frozenset({str(subject), *([] if pd.isna(cell) else str(cell).split())})
        for subject, cell in named.items()
    }


def person_of(table: pd.DataFrame) -> pd.Series:
    """For each subject a label that is the same for all subjects who are one person: the first of their ids."""
    return pd.Series(_joined(list(public_ids(table).values())), index=table.index, dtype=object)


def each_once(table: pd.DataFrame) -> list[str]:
    """The first subject of every person, in the order of ``table``: who may be split without a person on both sides."""
    return [str(subject) for subject in table.index[~person_of(table).duplicated()]]


def shared(table: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """The subjects of ``table`` who are a person of ``other`` too, in the order of ``table``."""
    names = _joined([*public_ids(table).values(), *public_ids(other).values()])
    elsewhere = set(names[len(table) :])
    return [str(subject) for subject, name in zip(table.index, names, strict=False) if name in elsewhere]


def _joined(ids: Sequence[frozenset[str]]) -> list[str]:
    """A label for each set of ids, equal where sets are joined by common ids, over others too."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for names in ids:
        roots = sorted(find(name) for name in names)
        for root in roots:
            leader[root] = roots[0]
    return [find(next(iter(names))) for names in ids]


def refuse_shared(training: pd.DataFrame, testing: pd.DataFrame) -> None:
    """Refuse to train on persons who are tested.

    Args:
        training, testing: participants tables, of one cohort or of two.

    Raises:
        RadlibError: naming the persons on both sides.
    """
    if both := shared(training, testing):
        raise RadlibError(
            f"{len(both)} person(s) are trained on and tested: {shorten(both)}",
            remedy="leave them out of one side (`radlib.data.persons.without`)",
        )


def without(table: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """The subjects of ``table`` who are nobody of ``other``: on whom a model may train that ``other`` tests."""
    gone = set(shared(table, other))
    return [str(subject) for subject in table.index if str(subject) not in gone]
