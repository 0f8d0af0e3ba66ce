"""Trainings of Li 2017: patients, recipes, jobs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.papers.li2017 import study
from radlib.papers.li2017.data import MODALITIES, divide
from radlib.papers.li2017.recipes import CHANGES, SECOND, VARIANTS, Recipe, Setting
from radlib.papers.li2017.segmentation import prior_threshold, score_network, segment
from radlib.papers.li2017.study import STEPS, UNetRecipe, fit_flair_rule, flair_rule, network_jobs, steps, unet
from radlib.papers.li2017.training import describe_network, train_network, tumour_network
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
        "6 conv., 4096 neurons, FLAIR", "6 conv., 4096 neurons, FLAIR + T1c",
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


def test_the_calibrated_threshold_is_the_best_of_training_patients() -> None:
    store = store_of()
    recipe = replace(RECIPE, threshold="dice", steps=60)
    model, _ = train_network(store, ["s0", "s1"], modalities=MODALITIES, recipe=recipe, seed=0, name="test")

    def mean_dice(threshold: float) -> float:
        rows = score_network(replace(model, threshold=threshold), store, ["s0", "s1"])
        return float(rows.query("metric == 'dice'")["value"].mean())

    assert mean_dice(model.threshold) >= max(mean_dice(0.5), mean_dice(1 / (1 + np.exp(-2.0))))


def test_a_training_repeats() -> None:
    store = store_of()
    options = {"modalities": ("flair",), "recipe": replace(RECIPE, steps=3), "seed": 3, "name": "test"}
    (one, _), (two, _) = (train_network(store, ["s0", "s1"], **options) for _ in range(2))  # type: ignore[arg-type]
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def cohort_of(n: int = 20, *, both: int = 15) -> Cohort:
    """``n`` patients, two of three mutant; the last lack the contrast-enhanced T1."""
    table = pd.DataFrame(
        {
            "flair": ["f"] * n, "t1ce": ["c"] * both + [None] * (n - both), "seg": ["s"] * n,
            "idh": [("mutant", "mutant", "wildtype")[i % 3] for i in range(n)],
        },
        index=[f"p{i:02}" for i in range(n)],
    )  # fmt: skip
    return Cohort(name="made", source="user", root=Path(), participants=table)


def setting_of(monkeypatch: pytest.MonkeyPatch, cohort: Cohort, **options: object) -> Setting:
    monkeypatch.setattr(Source, "open", lambda _: cohort)
    images = Images(source=Source("huashan", profile="smoke"), modalities=MODALITIES)
    return Setting(images=images, seed=0, **{"n_train": 3, **options})  # type: ignore[arg-type]


def test_jobs_of_a_variant_differ_in_the_run_and_take_the_width() -> None:
    images = Images(source=Source("huashan", profile="smoke"), modalities=MODALITIES)
    setting = Setting(images=images, n_train=3, seed=0)
    narrow, wide, single = (
        network_jobs(setting, RECIPE, variant=one, neurons=[4, 8], n_runs=2)
        for one in (VARIANTS["conv6_narrow"], VARIANTS["multiple"], SECOND)
    )
    assert [job.inputs["run"] for job in wide] == [0, 1]
    assert narrow[0].inputs["recipe"].neurons == 4
    assert wide[0].inputs["recipe"].neurons == single[0].inputs["recipe"].neurons == 8
    assert len({job.fingerprint for job in [*narrow, *wide, *single]}) == 6
    in_folds = network_jobs(replace(setting, n_folds=2), RECIPE, variant=SECOND, neurons=[4, 8], n_runs=1)
    assert in_folds[0].function.name.endswith(":folds")


def test_cohorts_are_divided_within_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = cohort_of()
    setting = setting_of(monkeypatch, cohort, n_train=9)
    split = setting.split()
    assert (len(split.train), len(split.test)) == (9, 6)
    assert {*split.train, *split.test} == {f"p{n:02}" for n in range(15)}
    assert sum(cohort.participants.loc[list(split.train), "idh"] == "wildtype") == 3
    single = replace(setting, second="all").split("second")
    assert {*single.train, *single.test} == set(cohort.ids)
    with pytest.raises(RadlibError, match="15 training patients out of 15"):
        divide(cohort, [f"p{n:02}" for n in range(15)], n_train=15, seed=0)


def test_every_patient_is_tested_in_one_fold_whatever_the_modalities(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = setting_of(monkeypatch, cohort_of(), n_folds=4)
    both, single = setting.tests(MODALITIES), setting.tests(MODALITIES[:1])
    assert sorted(s for fold in single for s in fold.test) == [f"p{n:02}" for n in range(20)]
    assert sorted(s for fold in both for s in fold.test) == [f"p{n:02}" for n in range(15)]
    for one, other in zip(both, single, strict=True):
        assert set(one.test) <= set(other.test)
        assert not set(one.test) & set(one.train)
    assert len(replace(setting, n_folds=0).tests(MODALITIES)) == 1


def test_published_cohorts_have_their_sizes_and_networks_learn_from_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    status = ["mutant"] * 112 + ["wildtype"] * 39
    has = [i < 89 for i in range(112)] + [i < 30 for i in range(39)]
    table = pd.DataFrame(
        {"idh": status, "flair": "f", "seg": "s", "t1ce": ["t" if one else None for one in has]},
        index=[f"p{i:03}" for i in range(151)],
    )
    cohort = Cohort(name="made", source="user", root=Path(), participants=table)
    who, idh = setting_of(monkeypatch, cohort, n_train=60).patients(n_encoder=30), table["idh"]
    assert idh[list(who.first)].value_counts().to_dict() == {"mutant": 89, "wildtype": 30}
    assert idh[list(who.second)].value_counts().to_dict() == {"mutant": 76, "wildtype": 34}
    assert set(table.index[table["t1ce"].isna()]) <= set(who.second)
    assert len(who.encoder) == len(who.encoder_single) == 30
    assert set(who.encoder) <= set(who.trained) <= set(who.first)
    assert set(who.encoder_single) <= set(who.trained_single) <= set(who.second)
    assert (len(who.trained), len(who.trained_single), len(who.unseen)) == (60, 60, 59)
    assert len(who.groups()["in both"]) == 78


# What stands beside the networks


class Stored(Setting):
    """A setting whose images are those of :func:`store_of`, whose last subjects are tested."""

    def store(self) -> ImageStore:
        return store_of()

    def split(self, cohort: str = "first") -> Split:
        return Split(name="split", train=("s0", "s1"), test=("s2", "s3"))


STORED = Stored(images=Images(source=Source("huashan", profile="smoke"), modalities=MODALITIES), n_train=2, seed=0)


def test_flair_rule_finds_the_threshold_between_tumour_and_brain(tmp_path: Path) -> None:
    store = store_of()
    rule = fit_flair_rule(store, store.ids)
    assert 1 < rule.threshold < 2.5  # the brain is around 0, the tumour around 3, both with a deviation of 1
    assert rule.dice > 0.75
    flair_rule.function(Work(tmp_path, tmp_path), setting=STORED, smoothing=1)
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert sorted(scores["subject"].unique()) == ["s2", "s3"]
    assert scores.query("metric == 'dice'")["value"].min() > 0.75


def test_a_u_net_learns_in_every_division(tmp_path: Path) -> None:
    work = Work(tmp_path, tmp_path / "scratch")
    recipe = UNetRecipe(widths=(4, 4, 4, 4, 4), steps=40, batch_size=4, learning_rate=0.01, smoothing=1)
    unet.function(work, setting=STORED, modalities=("flair",), recipe=recipe, run=0)
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert scores.query("metric == 'dice'")["value"].mean() > 0.8
    assert pd.read_parquet(tmp_path / "history.parquet")["loss"].notna().any()


def test_steps_behind_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = train_network(
        store_of(), ["s0", "s1"], modalities=MODALITIES, recipe=replace(RECIPE, threshold="dice"), seed=0, name="t"
    )
    monkeypatch.setattr(study, "tumour_network", lambda _: model)
    trained = SimpleNamespace(result=lambda: None)
    steps.function(Work(tmp_path, tmp_path), setting=STORED, trained=trained, n_dense=1)  # type: ignore[arg-type]
    scores = pd.read_parquet(tmp_path / "scores.parquet").query("metric == 'dice'")
    assert list(scores["step"].unique()) == list(STEPS)
    counts = scores.groupby("step")["subject"].nunique()
    assert counts.drop("dense").tolist() == [2] * 6
    assert counts["dense"] == 1
    again = score_network(model, store_of(), ["s2", "s3"]).query("metric == 'dice'")["value"]
    np.testing.assert_array_equal(scores.query("step == 'calibrated'")["value"], again)
