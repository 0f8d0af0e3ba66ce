"""One person under several names: who they are, and that nobody trains what is tested on them.

The column ``person`` of a participants table holds every public id by which a person is known, separated by spaces,
such as ``TCGA-CS-4941 BraTS19_TCIA09_141_1``. Where it is empty, a subject is known by its own id only. Two
subjects, of one cohort or of two, are one person where they share an id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.findings import shorten
from radlib.data.splits import Split


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


def by_person(split: Callable[..., list[Split] | Split], table: pd.DataFrame, **how: Any) -> list[Split]:
    """The splits of a function of :mod:`radlib.data.splits`, in which all subjects of a person stay together.

    One subject stands for each person (the first of the table); the others follow it.

    Args:
        split: such as :func:`radlib.data.splits.k_fold`.
        table: participants.
        how: handed on; labels of subjects (``stratify``, ``groups``) as Series by subject.
    """
    person = person_of(table)
    first = person.drop_duplicates()
    chosen = {
        name: value.reindex(first.index) if isinstance(value, pd.Series) else value for name, value in how.items()
    }
    members: dict[str, list[str]] = {}
    for subject, name in person.items():
        members.setdefault(str(name), []).append(str(subject))

    def everyone(part: Sequence[str]) -> tuple[str, ...]:
        return tuple(subject for one in part for subject in members[str(person[one])])

    found = split([str(subject) for subject in first.index], **chosen)
    return [
        Split(name=one.name, train=everyone(one.train), test=everyone(one.test), validation=everyone(one.validation))
        for one in ([found] if isinstance(found, Split) else found)
    ]
