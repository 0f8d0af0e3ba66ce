"""Trainings of Li 2017: patients, recipes, jobs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort
from radlib.papers.li2017.data import MODALITIES, divide
from radlib.papers.li2017.segmentation import prior_threshold, score_network, segment
from radlib.papers.li2017.study import (
    CHANGES,
    VARIANTS,
    Recipe,
    Setting,
    describe_network,
    network_jobs,
    train_network,
    tumour_network,
)
from radlib.study.cohorts import Images, Source
from radlib.study.store import Result, Work
from tests.papers.li2017.test_segmentation import store_of

RECIPE = Recipe(
    filters=(4, 4), neurons=8, steps=30, batch_size=32, evaluations=2, precision="32-true", threshold="half"
)


def test_the_variants_are_those_of_figure_1() -> None:
    titles = [variant.title((256, 4096)) for variant in VARIANTS.values()]
    assert titles == [
        "4 conv., 256 neurons, FLAIR", "6 conv., 256 neurons, FLAIR", "4 conv., 4096 neurons, FLAIR",
        "6 conv., 4096 neurons, FLAIR", "6 conv., 4096 neurons, FLAIR + T1ce",
    ]  # fmt: skip
    assert len({variant.name for variant in VARIANTS.values()}) == 5
    assert {arm for pair in CHANGES.values() for arm in pair} == set(VARIANTS)


def test_training_finds_a_bright_square_and_weights_come_back(tmp_path: Path) -> None:
    store = store_of()
    recipe = replace(RECIPE, steps=80, learning_rate=0.05, neurons=16, dropout=0.2)
    model, fitted = train_network(
        store, ["s0", "s1", "s2"], modalities=MODALITIES, recipe=recipe, seed=0, name="test", monitor=["s3"]
    )
    losses = fitted.history.query("part == 'training'")["loss"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]
    assert fitted.history.query("part == 'validation'")["accuracy"].iloc[-1] > 0.9
    assert score_network(model, store, ["s3"]).set_index("metric").loc["dice", "value"] > 0.6

    work = Work(tmp_path, tmp_path)
    work.weights("network", model.network)
    found = Result(None, tmp_path, "here")  # type: ignore[arg-type]
    found.__dict__["info"] = {"notes": {"model": describe_network(model)}}
    again = tumour_network(found)
    assert again.scaling == model.scaling
    np.testing.assert_array_equal(segment(again, store, "s3"), segment(model, store, "s3"))


def test_the_threshold_undoes_the_share_of_patches() -> None:
    store = store_of()
    options = {"modalities": ("flair",), "seed": 3, "name": "test"}
    half, _ = train_network(store, ["s0"], recipe=replace(RECIPE, steps=1), **options)  # type: ignore[arg-type]
    recipe = replace(RECIPE, steps=1, threshold="natural", tumour_share=0.5)
    natural, _ = train_network(store, ["s0"], recipe=recipe, **options)  # type: ignore[arg-type]
    assert half.threshold == 0.5
    share = (14 * 12 * 4) / (32 * 30 * 6)
    assert natural.threshold == pytest.approx(prior_threshold(trained=0.5, natural=share))


def test_a_training_repeats_and_one_can_go_on_with_another() -> None:
    store = store_of()
    options = {"modalities": ("flair",), "recipe": replace(RECIPE, steps=3), "seed": 3, "name": "test"}
    (one, _), (two, _) = (train_network(store, ["s0", "s1"], **options) for _ in range(2))  # type: ignore[arg-type]
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    before = {key: value.clone() for key, value in one.network.state_dict().items()}
    on, _ = train_network(store, ["s2"], start=one, **options)  # type: ignore[arg-type]
    assert on.scaling == one.scaling
    assert all(torch.equal(value, before[key]) for key, value in one.network.state_dict().items())
    moved = max(float((v.detach() - before[k]).abs().max()) for k, v in on.network.state_dict().items())
    assert 0 < moved < 0.2


def test_jobs_of_an_arm_differ_in_the_run_and_take_the_width() -> None:
    setting = Setting(
        images=Images(source=Source("huashan", profile="smoke"), modalities=MODALITIES), n_train=3, seed=0
    )
    narrow, wide = (
        network_jobs(setting, RECIPE, arm=arm, neurons=[4, 8], n_runs=2) for arm in ("conv6_narrow", "multiple")
    )
    assert [job.inputs["run"] for job in wide] == [0, 1]
    assert narrow[0].inputs["recipe"].neurons == 4
    assert wide[0].inputs["recipe"].neurons == 8
    assert len({job.fingerprint for job in [*narrow, *wide]}) == 4


def test_the_first_cohort_is_divided_within_classes() -> None:
    table = pd.DataFrame(
        {
            "flair": ["f"] * 20, "t1ce": ["c"] * 15 + [None] * 5, "seg": ["s"] * 20,
            "idh": ["mutant", "mutant", "wildtype"] * 6 + ["mutant", "mutant"],
        },
        index=[f"p{n}" for n in range(20)],
    )  # fmt: skip
    cohort = Cohort(name="made", source="user", root=Path(), participants=table)
    split = divide(cohort, n_train=9, seed=0)
    assert len(split.train) == 9
    assert len(split.test) == 6
    assert {*split.train, *split.test} == {f"p{n}" for n in range(15)}
    assert sum(table.loc[list(split.train), "idh"] == "wildtype") == 3
    with pytest.raises(RadlibError, match="15 training patients out of 15"):
        divide(cohort, n_train=15, seed=0)
