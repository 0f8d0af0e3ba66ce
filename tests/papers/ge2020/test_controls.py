"""Ge 2020: arms where nothing is planted, and the whole of a partition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.data.splits import Split
from radlib.papers.ge2020 import arms, controls
from radlib.papers.ge2020.cases import DIRECTIONS
from radlib.papers.ge2020.classifier import ClassifierRecipe
from radlib.papers.ge2020.data import SliceSet
from radlib.papers.ge2020.gan import Generators
from radlib.papers.ge2020.networks import PairGenerator
from radlib.papers.ge2020.runs import make_partitions
from radlib.papers.ge2020.study import Study

TINY = ClassifierRecipe(
    widths=(4, 4), pool_after=(1, 2), hidden=(4,), pretrain_steps=2, refine_steps=2, pretrain_rate=0.02,
    refine_rate=0.02, batch_size=12, precision="32-true",
)  # fmt: skip


def random_study(n: int = 20, *, prefix: str = "p") -> tuple[Study, Split]:
    generator = torch.Generator().manual_seed(n)
    ids = tuple(f"{prefix}{k:03d}" for k in range(n))
    slices = SliceSet(
        ids=ids, images=torch.rand((n, 6, 4, 16, 16), generator=generator),
        masks=torch.rand((n, 6, 16, 16), generator=generator) > 0.5, crops=torch.rand((n, 4, 2, 2, 2)),
        crop_masks=torch.ones((n, 2, 2, 2), dtype=torch.bool), present=torch.ones((n, 4), dtype=torch.bool),
    )  # fmt: skip
    mutant = pd.Series([k % 2 == 0 for k in range(n)], index=ids)
    table = pd.DataFrame(
        {"collection": np.where(mutant, "LGG", "GBM"), "age": 30.0 + np.arange(n), "grade": 3.0}, index=ids
    )
    part = n // 5
    split = Split(name="run 1", train=ids[2 * part :], validation=ids[:part], test=ids[part : 2 * part])
    return Study(slices=slices, participants=table, mutant=mutant), split


@pytest.fixture(scope="module")
def generators() -> dict[str, Generators]:
    made = {direction: PairGenerator((4, 4)) for direction in DIRECTIONS}
    return {"A": made, "B": made}


@pytest.mark.slow
def test_a_partition_judges_every_arm_on_the_same_patients(generators: dict[str, Generators]) -> None:
    study, split = random_study()
    (partition,) = make_partitions([split], seed=0)
    wanted = (*arms.CASES, arms.COUNTED_ARM, *arms.GIVEN, *arms.CONTROLS)
    found = arms.run_partition(study, partition, generators, arms=wanted, recipe=TINY, run=1, seed=0)
    # Without a second version of the labels, with one grade for all, and no DenseNet, these arms are left out.
    left_out = {arms.COUNTED_ARM.name, "Prop-A given grade"}
    assert set(found.results) == {arm.name for arm in wanted} - left_out
    for name, part in found.predictions.groupby("arm"):
        assert part["subject"].tolist() == list(split.test), name
    truth = found.predictions.groupby("arm")["truth"].apply(list)
    assert truth["Prop-A"] == truth["Bas-2"] == truth["collection rule"]
    assert found.predictions.loc[found.predictions["arm"] == "collection rule", "predicted"].tolist() == truth["Prop-A"]
    assert set(found.shown["subject"]) == set(split.train)
    again = arms.run_partition(study, partition, generators, arms=wanted[:1], recipe=TINY, run=1, seed=0)
    first, second = (
        run.predictions[run.predictions["arm"] == "Prop-A"]["probability"].tolist() for run in (found, again)
    )
    assert first == second  # an arm does not depend on those before it


@pytest.mark.slow
def test_where_nothing_is_planted(generators: dict[str, Generators]) -> None:
    study, split = random_study()
    (partition,) = make_partitions([split], seed=0)
    trained = arms.run_partition(study, partition, generators, arms=arms.CASES[:1], recipe=TINY, run=1, seed=0)
    null, null_split = random_study(15, prefix="n")
    parts = make_partitions([null_split], seed=0)
    found = controls.run_null(null, parts, generators, [trained], recipe=TINY, seed=0)
    by_arm = {str(name): part["subject"].tolist() for name, part in found.groupby("arm")}
    assert by_arm["Prop-A, trained with signal"] == list(null.slices.ids)
    for arm in arms.CASES:
        assert by_arm[arm.name] == list(null_split.test)


def test_the_cohort_without_signal_is_of_other_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("radlib.phantom.make.make", lambda role, **options: given.update(options, role=role))
    controls.null_cohort(tmp_path, n=9, grid=[48, 48, 32], seed=4)
    assert given["preset"] == "null"
    assert given["role"] == "tcga-idh"
    assert given["seed"] != 4
    assert given["grid"] == (48, 48, 32)
    assert given["out"] == tmp_path
