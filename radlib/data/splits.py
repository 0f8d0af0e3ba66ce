"""Splits by patient. Every function takes subjects (unique ids), never slices or patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import named_seed, rng

Labels = Sequence[Any] | Mapping[str, Any] | pd.Series


@dataclass(frozen=True, kw_only=True)
class Split:
    """One division of subjects.

    Attributes:
        name: such as ``fold 2`` or ``repeat 3, fold 2``.
        train, validation, test: subject ids, disjoint; ``validation`` is empty where none was asked for.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        everyone = [*self.train, *self.validation, *self.test]
        if len(set(everyone)) < len(everyone):
            raise RadlibError(f"split {self.name!r} has a subject on two sides", remedy="give each subject once")

    def indices(self, subjects: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers of ``train`` and ``test`` in ``subjects``, as scikit-learn wants them."""
        row = {subject: number for number, subject in enumerate(subjects)}
        return (
            np.array([row[subject] for subject in self.train], dtype=int),
            np.array([row[subject] for subject in self.test], dtype=int),
        )


def k_fold(
    subjects: Sequence[str],
    *,
    n_folds: int,
    seed: int,
    stratify: Labels | None = None,
    groups: Labels | None = None,
) -> list[Split]:
    """``n_folds`` splits; each subject is tested exactly once.

    Args:
        subjects: unique ids.
        n_folds: at least 2, at most the number of subjects (of groups, where there are groups).
        seed: the shuffle.
        stratify: a class for each subject; a missing class is a class of its own. Without groups, folds differ by at
            most one subject in size and in every class, also where a class has fewer members than folds.
        groups: subjects of one group (a site) stay together.

    Raises:
        RadlibError: for repeated ids, labels that do not fit, or a number of folds out of range.
    """
    ids = _subjects(subjects)
    classes = _labels(ids, stratify, "stratify")
    if groups is not None:
        return _group_folds(ids, classes, _labels(ids, groups, "groups"), n_folds=n_folds, seed=seed)
    _check_folds(n_folds, len(ids), "subjects")
    order: list[str] = []
    generator = rng(seed, "k_fold", n_folds)
    for value in sorted(set(classes)):
        members = [subject for subject, label in zip(ids, classes, strict=True) if label == value]
        order += [members[i] for i in generator.permutation(len(members))]
    # Dealt like cards, class after class: sizes and class counts of the folds differ by one at most.
    fold_of = {subject: position % n_folds for position, subject in enumerate(order)}
    return [
        Split(
            name=f"fold {fold + 1}",
            train=tuple(subject for subject in ids if fold_of[subject] != fold),
            test=tuple(subject for subject in ids if fold_of[subject] == fold),
        )
        for fold in range(n_folds)
    ]


def _group_folds(ids: list[str], classes: list[str], groups: list[str], *, n_folds: int, seed: int) -> list[Split]:
    _check_folds(n_folds, len(set(groups)), "groups")
    counts = pd.Series(classes).value_counts()
    # A class with fewer subjects than folds cannot be in every fold: it is dealt with the largest class.
    merged = [label if counts[label] >= n_folds else counts.index[0] for label in classes]
    splitter = StratifiedGroupKFold(
        n_splits=n_folds, shuffle=True, random_state=named_seed(seed, "group_folds") % 2**32
    )
    return [
        Split(name=f"fold {fold + 1}", train=tuple(ids[i] for i in train), test=tuple(ids[i] for i in test))
        for fold, (train, test) in enumerate(splitter.split(np.zeros(len(ids)), merged, groups))
    ]


def hold_out(
    subjects: Sequence[str],
    *,
    test: float | int,
    seed: int,
    validation: float | int = 0,
    stratify: Labels | None = None,
    groups: Labels | None = None,
) -> Split:
    """One split into training, validation and test subjects.

    Args:
        subjects: unique ids.
        test: how many subjects to test, as a count (int) or as a share (float, 0 to 1).
        seed: the shuffle.
        validation: how many subjects to keep for model selection, as ``test``; 0 for none.
        stratify: a class for each subject; each part gets its share of every class, rounded so that the counts hold.
        groups: subjects of one group stay together; the counts are then met as nearly as the groups allow.

    Raises:
        MissingDataError: if there are too few subjects (or groups) for the parts that were asked for.
        RadlibError: if nobody is to be tested.
    """
    ids = _subjects(subjects)
    n_test, n_validation = _count(test, len(ids), "test"), _count(validation, len(ids), "validation")
    if n_test < 1 or n_test + n_validation >= len(ids):
        kind = RadlibError if n_test < 1 else MissingDataError
        raise kind(
            f"{n_test} test and {n_validation} validation subjects out of {len(ids)} leave a part empty",
            remedy="ask for at least one test subject and leave at least one to train on",
        )
    if groups is None:
        order = _interleaved(ids, _labels(ids, stratify, "stratify"), seed)
        chosen, kept = set(order[:n_test]), set(order[n_test : n_test + n_validation])
    else:
        names = _labels(ids, groups, "groups")
        members: dict[str, list[str]] = {}
        for subject, name in zip(ids, names, strict=True):
            members.setdefault(name, []).append(subject)
        if len(members) < 2 + bool(n_validation):
            raise MissingDataError(
                f"{len(members)} group(s) cannot be divided into {2 + bool(n_validation)} parts",
                remedy="split without groups",
            )
        shuffled = [sorted(members)[i] for i in rng(seed, "hold_out", "groups").permutation(len(members))]
        chosen = _take_groups(shuffled, members, n_test, leave=1 + bool(n_validation))
        kept = _take_groups(shuffled, members, n_validation, leave=1) if n_validation else set()
    return Split(
        name="hold-out",
        train=tuple(subject for subject in ids if subject not in chosen | kept),
        validation=tuple(subject for subject in ids if subject in kept),
        test=tuple(subject for subject in ids if subject in chosen),
    )


def leave_one_out(subjects: Sequence[str]) -> list[Split]:
    """One split a subject, which is tested alone."""
    ids = _subjects(subjects)
    _check_folds(2, len(ids), "subjects")
    return [
        Split(name=subject, train=tuple(other for other in ids if other != subject), test=(subject,)) for subject in ids
    ]


def leave_one_group_out(subjects: Sequence[str], *, groups: Labels) -> list[Split]:
    """One split a group (a site), whose subjects are tested together, in the order of the groups' names."""
    ids = _subjects(subjects)
    names = _labels(ids, groups, "groups")
    _check_folds(2, len(set(names)), "groups")
    group_of = dict(zip(ids, names, strict=True))
    return [
        Split(
            name=name,
            train=tuple(subject for subject in ids if group_of[subject] != name),
            test=tuple(subject for subject in ids if group_of[subject] == name),
        )
        for name in sorted(set(names))
    ]


def _subjects(subjects: Sequence[str]) -> list[str]:
    ids = [str(subject) for subject in subjects]
    if len(set(ids)) < len(ids):
        repeated = next(subject for subject in ids if ids.count(subject) > 1)
        raise RadlibError(
            f"subject {repeated!r} is given twice",
            remedy="split subjects, and take the slices or patches of each side afterwards",
        )
    return ids


def _labels(ids: list[str], labels: Labels | None, name: str) -> list[str]:
    """A text label for each id; a missing one is a label of its own."""
    if labels is None:
        return [""] * len(ids)
    if isinstance(labels, (pd.Series, Mapping)):
        if lacking := [subject for subject in ids if subject not in labels]:
            raise RadlibError(f"{name} has nothing for subject {lacking[0]!r}", remedy="give every subject a label")
        values = [labels[subject] for subject in ids]
    else:
        values = list(labels)
        if len(values) != len(ids):
            raise RadlibError(
                f"{name} has {len(values)} labels for {len(ids)} subjects", remedy="give every subject a label"
            )
    return ["\x00missing" if pd.isna(value) else str(value) for value in values]


def _check_folds(n_folds: int, available: int, of: str) -> None:
    if not 2 <= n_folds <= available:
        kind = RadlibError if n_folds < 2 else MissingDataError
        raise kind(
            f"{n_folds} folds of {available} {of} are not possible",
            remedy=f"ask for 2 to {available} folds" if available >= 2 else f"there are too few {of} to split",
        )


def _count(amount: float | int, total: int, name: str) -> int:
    if isinstance(amount, bool) or amount < 0 or (isinstance(amount, float) and amount > 1):
        raise RadlibError(f"{name} is {amount}", remedy="give a count (int) or a share between 0 and 1 (float)")
    if isinstance(amount, float):
        return max(1, round(amount * total)) if amount > 0 else 0
    return int(amount)


def _interleaved(ids: list[str], classes: list[str], seed: int) -> list[str]:
    """All ids in an order of which every beginning has the classes in their proportions, as nearly as possible."""
    generator = rng(seed, "hold_out")
    places: list[tuple[float, int, str]] = []
    for value in sorted(set(classes)):
        members = [subject for subject, label in zip(ids, classes, strict=True) if label == value]
        shuffled = [members[i] for i in generator.permutation(len(members))]
        tie = int(generator.integers(2**31))
        places += [((i + 0.5) / len(members), tie, subject) for i, subject in enumerate(shuffled)]
    return [subject for _, _, subject in sorted(places)]


def _take_groups(shuffled: list[str], members: dict[str, list[str]], wanted: int, *, leave: int) -> set[str]:
    """Groups off the front until ``wanted`` subjects are reached, leaving at least ``leave`` groups."""
    taken: set[str] = set()
    while len(taken) < wanted and len(shuffled) > leave:
        taken |= set(members[shuffled.pop(0)])
    return taken
