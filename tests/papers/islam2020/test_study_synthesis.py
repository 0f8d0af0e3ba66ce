"""Synthesis: which directions a cohort needs, training, and the linear rival."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort
from radlib.data.splits import Split
from radlib.data.store import ImageStore, prepare
from radlib.papers.islam2020.networks import Synthesiser
from radlib.papers.islam2020.recipes import HeldOut, SynthesisRecipe, build_generator
from radlib.papers.islam2020.study_synthesis import (
    LinearSynthesis,
    filler,
    generator,
    linear,
    load_generator,
    missing_directions,
    score_rows,
    synthesise,
    train_generator,
    trained_on,
)
from radlib.study.cohorts import Images, Source

TINY = SynthesisRecipe(
    widths=(4, 8), discriminator_widths=(4, 8), patch_widths=(4, 8), steps=4, batch_size=4, crop=0, validations=2,
    precision="32-true",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(six: Cohort) -> ImageStore:
    return prepare(six, grid=(16, 16, 8), spacing=2.0, normalise="minmax")


def split(train: str = "s0 s1", test: str = "s2") -> Split:
    return Split(name="synthesis", train=tuple(train.split()), test=tuple(test.split()))


def psnr(made: dict[str, np.ndarray], store: ImageStore) -> float:
    rows = score_rows(made, store, target="t2")
    return float(rows.query("metric == 'psnr' and group == 'brain'")["value"].iloc[0])


def test_directions_a_cohort_needs(six: Cohort) -> None:
    table = missing_directions(six)
    found = {(row.target, row.sources): row.subjects for row in table.itertuples()}
    assert found == {
        ("t2", ("t1", "t1ce", "flair")): 1, ("t2", ("t1",)): 1, ("t1ce", ("t1",)): 1, ("flair", ("t1",)): 1,
    }  # fmt: skip


@pytest.mark.parametrize("generator", ["fcn", "unet"])
@pytest.mark.parametrize("discriminator", ["encoder_decoder", "patch", "none"])
def test_training_reaches_every_parameter(store: ImageStore, generator: str, discriminator: str) -> None:
    recipe = replace(TINY, generator=generator, discriminator=discriminator, steps=1)  # type: ignore[arg-type]
    net, trained = train_generator(
        store, target="t2", sources=[("t1ce", "flair")], split=split(), recipe=recipe, seed=0
    )  # fmt: skip
    moved = sum(p.grad is not None and bool((p.grad != 0).any()) for p in net.parameters())
    assert moved / len(list(net.parameters())) > 0.9  # a dead unit or a bias before batch norm has none
    assert set(trained.networks) == {"generator"} | ({"discriminator"} if discriminator != "none" else set())
    assert "psnr" in trained.history


@pytest.mark.slow
def test_learned_synthesis_beats_a_guess_and_the_linear_rival_is_exact(store: ImageStore) -> None:
    recipe = replace(TINY, steps=300, discriminator="none", learning_rate=0.01)
    three = split("s0 s1 s2", "s3")
    net, _ = train_generator(store, target="t2", sources=[("t1ce",)], split=three, recipe=recipe, seed=0)
    mean = float(store.images[0, 2][store.images[0, 2] != 0].mean())
    guess = (store.images[3, 1] != 0).numpy() * mean
    assert psnr({"s3": synthesise(net, store, "s3", device="cpu")}, store) > psnr({"s3": guess}, store) + 2
    rival = LinearSynthesis.fit(store, target="t2", sources=("t1ce",), train=three.train)
    assert psnr({"s3": rival.predict(store, "s3")}, store) > 40


def test_one_generator_for_several_sets_of_sources(store: ImageStore) -> None:
    sets = [("t1",), ("t1ce", "flair")]
    net, _ = train_generator(store, target="t2", sources=sets, split=split(), recipe=TINY, seed=0)
    assert net.sources == ("t1", "t1ce", "flair")
    alone = synthesise(net, store, "s2", sources=["t1"], device="cpu")
    assert not np.array_equal(alone, synthesise(net, store, "s2", device="cpu"))
    assert np.array_equal(alone, synthesise(net, store, "s2", sources=["t1"], device="cpu"))
    assert alone.min() >= 0
    assert alone.max() <= 1
    assert not alone[(store.images[2, 0] == 0).numpy()].any()


def test_wrong_directions_are_named(store: ImageStore) -> None:
    common = {"split": split("s0", "s1"), "recipe": TINY, "seed": 0}
    with pytest.raises(RadlibError, match="'t2' is to be synthesised from itself"):
        train_generator(store, target="t2", sources=[("t2",)], **common)
    with pytest.raises(RadlibError, match="no source modality"):
        train_generator(store, target="t2", sources=[()], **common)
    with pytest.raises(RadlibError, match="training subject 's4' lacks one of t1ce, t2"):
        train_generator(store, target="t2", sources=[("t1ce",)], **{**common, "split": split("s0 s4", "s1")})
    with pytest.raises(RadlibError, match="subject 's4' has none of t1ce"):
        synthesise(build_generator(("t1ce",), TINY), store, "s4")


def test_noise_comes_from_torchs_generator() -> None:
    torch.manual_seed(0)
    net = Synthesiser(torch.nn.Conv2d(2, 1, 1), sources=["t1"], noise_channels=1)
    images = torch.rand(1, 1, 4, 4) + 0.1
    images[0, 0, 0, 0] = 0
    torch.manual_seed(3)
    first = net(images)
    torch.manual_seed(3)
    assert torch.equal(net(images), first)
    assert not torch.equal(net(images), first)
    assert first[0, 0, 0, 0] == 0  # outside the brain


@pytest.mark.usefixtures("whole")
def test_jobs_of_generators_and_of_the_rival() -> None:
    images = Images(source=Source("brats2017", "ten.yml"), grid=(16, 16, 8), spacing=2.0, normalise="minmax")
    about = {"images": images, "division": HeldOut(n_test=2), "target": "t2"}
    one = generator(**about, sources=("t1ce",), recipe=TINY)
    scores = one.result().scores
    assert scores["subject"].nunique() == 2
    assert set(zip(scores["metric"], scores["group"], strict=True)) == {
        ("psnr", "image"), ("psnr", "brain"), ("psnr", "tumour"), ("ssim", "image"), ("mae", "brain"),
    }  # fmt: skip
    assert len(trained_on(one)) == 8
    store, subject = images.open(), scores["subject"].iloc[0]
    made = synthesise(load_generator(one), store, subject, precision="32-true")
    kept = scores.query("subject == @subject and metric == 'mae'")["value"].iloc[0]
    again = score_rows({subject: made}, store, target="t2").query("metric == 'mae'")["value"].iloc[0]
    assert again == pytest.approx(kept, abs=1e-3)  # the kept weights are rounded
    both = filler(**about, lacking=images.source, recipe=TINY)  # nobody lacks T2: from the three others together
    assert set(both.result().scores["direction"]) == {"t1_t1ce_flair_to_t2"}
    assert load_generator(both).sources == ("t1", "t1ce", "flair")
    exact = linear(**about, sources=("t1ce",)).result().scores
    assert exact.query("metric == 'psnr' and group == 'brain'")["value"].min() > 40
    assert pd.unique(exact["direction"]).tolist() == ["t1ce_to_t2"]
