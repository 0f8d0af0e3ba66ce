"""What the two chapters run: subjects, pre-training of every kind and seed, and the networks that start from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from radlib.core.device import pick_device
from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort
from radlib.data.regions import REGIONS, region_mask
from radlib.data.splits import hold_out
from radlib.data.store import ImageStore, prepare
from radlib.papers.zhang2021.fusion import Handed, Outcome, Run, apply, train_network
from radlib.papers.zhang2021.recipe import OTHER_PAIRS, PAIRS, SINGLES, Groups, Recipe, channels_of, make_split
from radlib.papers.zhang2021.rule import apply_rule, fit_rule
from radlib.papers.zhang2021.shapes import Voc, train_2d
from radlib.papers.zhang2021.transition import Pretrained, train_self, train_six, train_transition

SHARE_2017 = 46 / 66
"""The validation set of BraTS 2017 over that of 2018 (section 4.1)."""


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """Who takes part, and their images.

    Attributes:
        store: images of all.
        train, held_out: subjects; ``held_out`` decides nothing.
        fewer: the held-out subjects that stand for the smaller validation set of BraTS 2017.
        grade: ``HGG`` or ``LGG`` by subject, where known.
    """

    store: ImageStore
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    fewer: tuple[str, ...]
    grade: pd.Series

    def table(self) -> pd.DataFrame:
        """Subjects by part and grade, with the median volume of the regions, ml."""
        voxel = self.store.spacing**3 / 1000
        parts = {"training": self.train, "held out (Table 4)": self.held_out, "of these, Table 2": self.fewer}
        rows = []
        for part, ids in parts.items():
            labels = self.store.labels[self.store.rows(ids)].cpu()
            volumes = {
                region.upper(): float(region_mask(labels, region).flatten(1).sum(dim=1).median()) * voxel
                for region in REGIONS
            }
            grades = self.grade.reindex(list(ids))
            rows.append({
                "part": part, "subjects": len(ids), "high grade": int((grades == "HGG").sum()),
                "low grade": int((grades == "LGG").sum()), **{f"{name} (ml)": value for name, value in volumes.items()},
                "without ET": int((~(labels == 4).flatten(1).any(dim=1)).sum()),
            })  # fmt: skip
        return pd.DataFrame(rows)


def open_subjects(
    cohort: Cohort,
    *,
    grid: Sequence[int],
    spacing: float,
    held_out: int = 0,
    seed: int = 0,
    handed: Handed | None = None,
    cache: Path | None = None,
) -> Subjects:
    """Divide subjects (or take the division that another chapter handed on) and prepare their images.

    Raises:
        MissingDataError: if the cohort lacks a subject that was handed on, or there are too few.
    """
    if handed is None:
        split = make_split(cohort, held_out=held_out, seed=seed)
        train, test = split.train, split.test
    else:
        train, test = handed.train, handed.held_out
        if lacking := sorted({*train, *test} - set(cohort.ids)):
            raise MissingDataError(
                f"the cohort lacks {lacking[0]!r}, on whom the feature transition was trained or tested",
                remedy="run the chapter feature_transition again",
            )
    ids = [*train, *test]
    store = prepare(cohort, grid=grid, spacing=spacing, ids=ids, cache=cache).to(pick_device())
    grade = cohort.participants["grade_group"].reindex(ids)
    few = min(max(1, round(SHARE_2017 * len(test))), len(test) - 1)
    fewer = hold_out(test, test=few, seed=0, stratify=grade.reindex(test).fillna("unknown")).test
    return Subjects(store=store, train=tuple(train), held_out=tuple(test), fewer=tuple(fewer), grade=grade)


def pretrain(
    kind: str,
    subjects: Subjects,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
    groups: Groups = PAIRS,
    voc: Voc | None = None,
    edge: int = 64,
    folder: Path | None = None,
) -> dict[int, Pretrained]:
    """Pre-training of one kind for every seed: ``transition``, ``self``, ``2d`` (on ``voc`` or shapes) or ``six``."""
    made = {}
    for seed in seeds:
        place = folder / f"{kind}-{'-'.join(channels_of(groups))}-{seed}" if folder else None
        if kind == "2d":
            made[seed] = train_2d(recipe=recipe, seed=seed, voc=voc, groups=groups, edge=edge, folder=place)
        elif kind == "six":
            made[seed] = train_six(
                subjects.store, subjects.train, modalities=channels_of(SINGLES), recipe=recipe, seed=seed, folder=place
            )
        else:
            train = train_transition if kind == "transition" else train_self
            made[seed] = train(
                subjects.store, subjects.train, held_out=subjects.held_out, groups=groups, recipe=recipe, seed=seed,
                folder=place,
            )  # fmt: skip
    return made


def train_and_apply(
    key: str,
    subjects: Subjects,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
    start: Mapping[int, Pretrained] | None = None,
    network: str = "ours",
    groups: Groups = PAIRS,
    folder: Path | None = None,
) -> tuple[list[Run], dict[str, Outcome]]:
    """Train a network with every seed and apply it to the held-out subjects.

    Args:
        key: what the outcome is called (a network of branches gives three of its own names).
        subjects: who.
        recipe: sizes and lengths.
        seeds: one training each.
        start: pre-trained weights by seed; None for random ones.
        network: of :func:`~radlib.papers.zhang2021.fusion.build_network`.
        groups: modalities of the branches.
        folder: for checkpoints.
    """
    runs = train_networks(
        key, subjects, recipe=recipe, seeds=seeds, start=start, network=network, groups=groups, folder=folder
    )
    return runs, apply(runs, subjects.store, subjects.held_out, key=key)


def train_networks(
    key: str,
    subjects: Subjects,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
    start: Mapping[int, Pretrained] | None = None,
    network: str = "ours",
    groups: Groups = PAIRS,
    folder: Path | None = None,
) -> list[Run]:
    """The trainings of :func:`train_and_apply`."""
    return [
        train_network(
            network, subjects.store, subjects.train, held_out=subjects.held_out, groups=groups,
            pretrained=start[seed] if start is not None else None, recipe=recipe, seed=seed,
            folder=folder / f"{key}-{seed}" if folder else None,
        )
        for seed in seeds
    ]  # fmt: skip


def transition_trainings(
    subjects: Subjects,
    *,
    recipe: Recipe,
    seeds: Sequence[int],
    others: Mapping[str, int],
    six: Recipe,
    voc: Voc | None,
    edge: int,
    folder: Path | None,
) -> dict[str, Callable[[], object]]:
    """What the chapter on the transition trains: pre-training and the network that starts from it, by kind and seed.

    Args:
        subjects, recipe, seeds, voc, edge, folder: as for :func:`pretrain` and :func:`train_and_apply`.
        others: how many seeds of each key of :data:`OTHER`.
        six: recipe of the pre-training with six CycleGANs.
    """

    def chain(key: str, kind: str | None, groups: Groups, seed: int) -> None:
        start = None
        if kind is not None:
            start = pretrain(
                kind, subjects, recipe=six if kind == "six" else recipe, seeds=[seed], groups=groups, voc=voc,
                edge=edge, folder=folder,
            )  # fmt: skip
        train_networks(key, subjects, recipe=recipe, seeds=[seed], start=start, groups=groups, folder=folder)

    wanted = [(key, kind, PAIRS, len(seeds)) for key, kind in STARTS.items()]
    wanted += [(key, OTHER_KINDS[key], OTHER[key], count) for key, count in others.items()]
    return {
        f"{key}, seed {seed}": partial(chain, key, kind, groups, seed)
        for key, kind, groups, count in wanted
        for seed in seeds[:count]
    }


def rule_outcome(subjects: Subjects, *, seeds: Sequence[int]) -> Outcome:
    """The rule without a network, fitted on the training subjects, on the held-out ones."""
    return apply_rule(fit_rule(subjects.store, subjects.train), subjects.store, subjects.held_out, runs=seeds)


def cost_table(trained: Mapping[str, Mapping[int, Pretrained]]) -> pd.DataFrame:
    """What every kind of pre-training costs: updates, seconds, updates a second, for one seed."""
    rows = []
    for kind, by_seed in trained.items():
        one = next(iter(by_seed.values()))
        steps = round(one.seconds * one.steps_per_second)
        rows.append({
            "pre-training": KINDS.get(kind, kind), "trainings": len(by_seed), "updates": steps, "seconds": one.seconds,
            "updates a second": one.steps_per_second,
        })  # fmt: skip
    return pd.DataFrame(rows)


KINDS = {
    "transition": "feature transition", "self": "self-reconstruction", "2d": "2D segmentation",
    "ours_other": "feature transition, other pairs", "ours_six": "feature transition, six CycleGANs",
}  # fmt: skip
"""Kinds of pre-training as the tables call them."""

STARTS = {"ours_random": None, "ours_2d": "2d", "ours_self": "self", "ours": "transition"}
"""The kind of pre-training behind each key of :data:`~radlib.papers.zhang2021.fusion.TITLES`; None for none."""

OTHER = {"ours_other": OTHER_PAIRS, "ours_six": SINGLES}
"""Other divisions of the modalities, by key of :data:`~radlib.papers.zhang2021.fusion.TITLES`."""

OTHER_KINDS = {"ours_other": "transition", "ours_six": "six"}
"""Their kinds of pre-training."""
