"""The arms of the classifier's comparison: what each is trained on, and what it predicts of the test patients."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from radlib.core.seeds import named_seed
from radlib.data.splits import Split
from radlib.papers.ge2020.cases import Case, Record, Translated, assemble, build_cases, real_patients
from radlib.papers.ge2020.classifier import (
    ClassifierRecipe,
    DenseRecipe,
    Samples,
    attention_of,
    judge,
    judge_crops,
    train_densenet,
    train_two_stages,
)
from radlib.papers.ge2020.data import SliceSet, clinical_values, enhanced
from radlib.papers.ge2020.fakes import what_is_shown
from radlib.papers.ge2020.gan import Generators, translate
from radlib.papers.ge2020.networks import MultiStreamClassifier
from radlib.papers.ge2020.runs import Partition
from radlib.papers.ge2020.study import COUNTED, PERMUTED, TRUE, WITHIN, Study
from radlib.stats.baselines import clinical_rules

DENSENET = "3D DenseNet"
"""Liang's network, trained on the real patients (S1)."""
MAJORITY = "majority class"
TRAITS = "planted traits"
"""Logistic regression on what the simulated images had to show: what a perfect reader of images could use."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train the classifier.

    Attributes:
        name: shown in tables.
        case: the training set: ``Bas-1``, ``Prop-A``, ``Bas-2`` or ``Prop-B``.
        masked: whether the tumour is enhanced by its mask in what the classifier sees.
        given: a clinical column beside the images (``age``, ``grade``), or empty.
        labels: one of :data:`TRUE`, :data:`COUNTED`, :data:`PERMUTED`, :data:`WITHIN`.
    """

    name: str
    case: str
    masked: bool = True
    given: str = ""
    labels: str = TRUE


CASES = tuple(Arm(name=name, case=name) for name in ("Prop-A", "Bas-1", "Prop-B", "Bas-2"))
"""The paper's two case studies and their baselines."""
NO_MASK = Arm(name="Prop-A without mask", case="Prop-A", masked=False)
"""Table 5."""
GIVEN = tuple(Arm(name=f"Prop-A given {column}", case="Prop-A", given=column) for column in ("age", "grade"))
"""The same architecture with one clinical number."""
COUNTED_ARM = Arm(name="Prop-A, labels as counted", case="Prop-A", labels=COUNTED)
"""Trained on labels in which an unknown status counts as wild-type."""
CONTROLS = (
    Arm(name="Prop-A, permuted labels", case="Prop-A", labels=PERMUTED),
    Arm(name="Prop-A, permuted within collections", case="Prop-A", labels=WITHIN),
)
"""What the whole procedure finds where images tell nothing, and where they tell the collection only."""


def possible(arm: Arm, study: Study) -> bool:
    """Whether the patients have what an arm needs."""
    if arm.labels == COUNTED:
        return study.counted is not None
    if arm.labels == WITHIN:
        return bool(study.participants["collection"].nunique() > 1)
    return not arm.given or bool(study.participants[arm.given].nunique() > 1)


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What one training leaves.

    Attributes:
        predictions: of :func:`~radlib.papers.ge2020.classifier.judge` with ``arm`` and ``run``.
        history: of both stages.
        attention: ``(6 n, 4)``, the modalities' weights on the test slices.
        network: as trained.
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    attention: Tensor
    network: MultiStreamClassifier


def samples_of(
    records: Sequence[Record],
    slices: SliceSet,
    made: Translated | None,
    *,
    labels: pd.Series,
    masked: bool,
    clinical: pd.Series | None = None,
) -> Samples:
    """What a network is given of patients, real and fake; a fake one has the label and the age of its source."""
    ids = [record.subject for record in records]
    images = assemble(records, slices, made)
    if masked:
        images = enhanced(images, slices.masks[slices.rows(ids)])
    extra = None if clinical is None else torch.tensor(clinical.loc[ids].to_numpy(), dtype=torch.float32)[:, None]
    return Samples(images=images, labels=torch.tensor(labels.loc[ids].to_numpy(dtype=int)), clinical=extra)


def run_arm(
    arm: Arm,
    study: Study,
    split: Split,
    cases: Mapping[str, Case],
    made: Mapping[str, Translated],
    *,
    recipe: ClassifierRecipe,
    run: int,
    seed: int,
    folder: Path | None = None,
) -> ArmResult:
    """Train one arm on one partition and judge the test patients.

    Args:
        arm: what to train on.
        study: patients.
        split: training, validation and test patients.
        cases: of :func:`~radlib.papers.ge2020.cases.build_cases` for this partition.
        made: translations of training patients, for cases ``A`` and ``B``.
        recipe: sizes and hyper-parameters.
        run: number of the partition, from 1.
        seed: arms of one seed and run start from the same weights.
        folder: for checkpoints.
    """
    case, labels = cases[arm.case], study.labels(arm.labels, seed=named_seed(seed, "labels", run))
    clinical = clinical_values(study.participants[arm.given], train=split.train) if arm.given else None
    source = made.get(arm.case.removeprefix("Prop-"))

    def samples(records: Sequence[Record]) -> Samples:
        return samples_of(records, study.slices, source, labels=labels, masked=arm.masked, clinical=clinical)

    validation, test = (samples(real_patients(ids, study.present)) for ids in (split.validation, split.test))
    second = samples(case.real)
    first = samples(case.augmented) if case.augmented else second
    network, history = train_two_stages(
        first,
        second,
        validation,
        recipe=recipe,
        seed=named_seed(seed, "classifier", run),
        name=f"run {run}, {arm.name}",
        folder=_place(folder, run, arm.name),
    )
    found = judge(network, test, split.test).assign(arm=arm.name, run=run)
    return ArmResult(predictions=found, history=history, attention=attention_of(network, test), network=network)


def run_densenet(
    study: Study,
    split: Split,
    *,
    recipe: DenseRecipe,
    class_weight: float,
    run: int,
    seed: int,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train Liang's network on the crops of the real training patients and judge the test patients."""

    def crops(ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        rows = study.slices.rows(ids)
        images = enhanced(study.slices.crops[rows], study.slices.crop_masks[rows], space=3)
        return images, torch.tensor(study.mutant.loc[list(ids)].to_numpy(dtype=int))

    images, labels = crops(split.train)
    network = train_densenet(
        images, labels, crops(split.validation), recipe=recipe, class_weight=class_weight,
        seed=named_seed(seed, "densenet", run), name=f"run {run}, {DENSENET}", folder=_place(folder, run, DENSENET),
    )  # fmt: skip
    return judge_crops(network, *crops(split.test), split.test).assign(arm=DENSENET, run=run)


def run_rules(
    participants: pd.DataFrame, mutant: pd.Series, split: Split, *, run: int, traits: pd.DataFrame | None = None
) -> pd.DataFrame:
    """What needs no image, fitted on the training patients: majority class, collection rule, age, age and collection.

    Args:
        participants: with ``collection`` and ``age``, either of which may be empty.
        mutant: labels by patient.
        split: training and test patients.
        run: number of the partition.
        traits: what simulated images had to show; a logistic regression on them is the most that images can tell.
    """
    train, test = list(split.train), list(split.test)
    tables = dict.fromkeys(clinical_rules(participants), participants[["collection", "age"]])
    models: dict[str, Any] = {MAJORITY: DummyClassifier(), **clinical_rules(participants)}
    tables[MAJORITY] = participants[["collection", "age"]]
    if traits is not None:
        tables[TRAITS], models[TRAITS] = traits, make_pipeline(StandardScaler(), LogisticRegression())
    parts = []
    for name, model in models.items():
        model.fit(tables[name].loc[train], mutant.loc[train].to_numpy(dtype=bool))
        probability = model.predict_proba(tables[name].loc[test])[:, 1]
        parts.append(pd.DataFrame({
            "subject": test, "truth": mutant.loc[test].to_numpy(dtype=bool), "votes": 0,
            "predicted": np.asarray(model.predict(tables[name].loc[test]), dtype=bool),
            "probability": probability, "arm": name, "run": run,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """All arms of one partition.

    Attributes:
        predictions: of all arms and rules; of the arm on labels as counted, ``truth`` holds those labels.
        results: by arm.
        shown: of :func:`what_is_shown`; empty without case A.
    """

    predictions: pd.DataFrame
    results: dict[str, ArmResult]
    shown: pd.DataFrame


def run_partition(
    study: Study,
    partition: Partition,
    generators: Mapping[str, Generators],
    *,
    arms: Sequence[Arm],
    recipe: ClassifierRecipe,
    run: int,
    seed: int,
    dense: DenseRecipe | None = None,
    traits: pd.DataFrame | None = None,
    folder: Path | None = None,
) -> RunResult:
    """Train every arm on one partition, and fit the rules.

    Args:
        study: patients.
        partition: who is for training, validation and testing, and who loses a scan.
        generators: of cases ``A`` and ``B``, trained on this partition's training patients.
        arms: those that the patients lack something for are left out.
        recipe: of the classifier.
        run: number of the partition, from 1.
        seed: of everything.
        dense: of the 3D DenseNet; None leaves it out.
        traits: of :func:`run_rules`.
        folder: for checkpoints.
    """
    split = partition.split
    cases, made = _training_sets(study, partition, generators)
    results = {
        arm.name: run_arm(arm, study, split, cases, made, recipe=recipe, run=run, seed=seed, folder=folder)
        for arm in arms
        if possible(arm, study)
    }
    parts = [result.predictions for result in results.values()]
    if dense is not None:
        parts.append(run_densenet(
            study, split, recipe=dense, class_weight=recipe.class_weight, run=run, seed=seed, folder=folder
        ))  # fmt: skip
    parts.append(run_rules(study.participants, study.mutant, split, run=run, traits=traits))
    shown = what_is_shown(study, cases, made["A"], run=run, seed=seed) if "A" in made else pd.DataFrame()
    return RunResult(predictions=pd.concat(parts, ignore_index=True), results=results, shown=shown)


def arm_trainings(
    study: Study,
    partitions: Sequence[Partition],
    generators: Sequence[Mapping[str, Generators]],
    *,
    arms: Sequence[Arm],
    recipe: ClassifierRecipe,
    dense: DenseRecipe | None,
    seed: int,
    folder: Path,
) -> dict[str, Callable[[], object]]:
    """What :func:`run_partition` trains in every run, an arm each, by name; the arguments are the same."""

    @cache
    def sets(run: int) -> tuple[dict[str, Case], dict[str, Translated]]:
        return _training_sets(study, partitions[run - 1], generators[run - 1])

    def train(arm: Arm, run: int) -> None:
        run_arm(arm, study, partitions[run - 1].split, *sets(run), recipe=recipe, run=run, seed=seed, folder=folder)

    found: dict[str, Callable[[], object]] = {}
    for run, partition in enumerate(partitions, start=1):
        found |= {f"run {run}, {arm.name}": partial(train, arm, run) for arm in arms if possible(arm, study)}
        if dense is not None:
            found[f"run {run}, {DENSENET}"] = partial(
                run_densenet, study, partition.split, recipe=dense, class_weight=recipe.class_weight, run=run,
                seed=seed, folder=folder,
            )  # fmt: skip
    return found


def _training_sets(
    study: Study, partition: Partition, generators: Mapping[str, Generators]
) -> tuple[dict[str, Case], dict[str, Translated]]:
    """The cases of a partition, and the training patients' translations by case."""
    split = partition.split
    cases = build_cases(split, study.slices, partition.missing)
    return cases, {case: translate(networks, study.slices, split.train) for case, networks in generators.items()}


def _place(folder: Path | None, run: int, name: str) -> Path | None:
    """The folder of one training."""
    return None if folder is None else folder / f"run{run}" / re.sub(r"\W+", "_", name)


def collect(outcomes: Sequence[RunResult]) -> pd.DataFrame:
    """The predictions of all runs; arms in order of their first appearance."""
    return pd.concat([outcome.predictions for outcome in outcomes], ignore_index=True)
