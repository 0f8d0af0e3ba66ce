"""Ensembles on subjects that nobody saw, synthetic images in place of real ones, and what excitation does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.store import ImageStore
from radlib.papers.islam2020 import study_ensembles as ensembles
from radlib.papers.islam2020 import study_temperature as st
from radlib.papers.islam2020 import tables
from radlib.papers.islam2020.recipes import Folds, HeldOut, Recipe, SynthesisRecipe
from radlib.papers.islam2020.study_segmentation import build, load_network, segmentation, split_of
from radlib.papers.islam2020.study_synthesis import generator, trained_on
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import Job
from radlib.study.studies import Study

TINY = Recipe(widths=(4, 8), steps=3, batch_size=4, crop=0, validations=1, validation_slices=2)
IMAGES = Images(source=Source("brats2017", "ten.yml"), grid=(16, 16, 8), spacing=2.0)

# MONAI's own: deprecations inside its imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def members(model: str = "fcn") -> tuple[Job, ...]:
    division = Folds(n_held_out=3, n_folds=2)
    return tuple(
        segmentation(images=IMAGES, division=division, fold=fold, model=model, recipe=TINY) for fold in range(2)
    )


@pytest.mark.usefixtures("whole")
def test_an_ensemble_of_one_is_its_member_and_of_two_is_between() -> None:
    one, two = members()
    own = one.result().scores
    assert sorted(own["subject"].unique()) == sorted(split_of(one).validation)
    alone = ensembles.ensemble(members=(one,))
    study = Study("networks", {"one": alone, "both": ensembles.ensemble(members=(one, two))}).run()
    dice = study.scores.query("metric == 'dice' and group != 'ncr'")
    single = ensembles.members_of(study)
    assert single.query("arm == 'both'").groupby("run").size().to_dict() == {0: 9, 1: 9}
    first = dice.query("arm == 'one'").merge(single.query("arm == 'one'"), on=["subject", "group"])
    np.testing.assert_array_equal(first["value_x"], first["value_y"])
    assert set(study.scores["metric"]) == set(ensembles.METRICS)
    assert set(study.scores.query("group == 'ncr'")["subject"]) == set(split_of(one).test)
    slices = alone.result().arrays("slices")
    assert {name: one.shape for name, one in slices.items()} == dict.fromkeys(split_of(one).test, (16, 16))


@pytest.mark.usefixtures("whole")
def test_a_synthetic_image_replaces_the_real_one_of_unseen_subjects() -> None:
    pair = members("unet")
    tiny = SynthesisRecipe(widths=(4, 8), discriminator_widths=(4, 8), steps=1, batch_size=2, crop=0, validations=1)
    images = Images(source=IMAGES.source, grid=(16, 16, 8), spacing=2.0, normalise="minmax")
    makers = {n: generator(images=images, division=HeldOut(n_test=3, seed=n), target="t2", sources=("t1ce",),
                           recipe=tiny) for n in range(6)}  # fmt: skip
    test = set(split_of(pair[0]).test)
    unseen = {n: test - set(trained_on(maker)) for n, maker in makers.items()}
    some = next(n for n, found in unseen.items() if found)
    job = ensembles.ensemble(members=pair, generator=makers[some], sources=("t1ce",), distances=False)
    assert set(job.result().scores["subject"]) == unseen[some]
    assert set(job.result().arrays("made")) == unseen[some]
    assert set(job.result().scores["metric"]) == {"dice"}
    nobody = next(n for n, found in unseen.items() if not found)
    with pytest.raises(MissingDataError, match="trained on every"):
        ensembles.ensemble(members=pair, generator=makers[nobody]).result()


@pytest.mark.usefixtures("whole")
def test_a_bundle_and_the_real_subjects_take_trained_networks(tmp_path: Path) -> None:
    one = members()[0]
    folder = ensembles.export(tmp_path / "bundle", one)
    assert (folder / "models" / "model.safetensors").is_file()
    assert not load_network(one).training
    assert ensembles.real_table(tmp_path, {"FCN": members()}, most=2).empty


# Temperature


def test_the_temperature_that_made_a_network_too_sure_is_found() -> None:
    """True classes are drawn from the softmax of logits; the network answers with three times the logits."""
    torch.manual_seed(0)
    logits = torch.randn(4, 20_000, dtype=torch.float64)
    truth = torch.multinomial(logits.softmax(dim=0).T, 1)[:, 0]
    too_sure = (3 * logits).softmax(dim=0)
    assert st.fitted(too_sure, truth) == pytest.approx(3, rel=0.05)
    torch.testing.assert_close(st.tempered(too_sure, 3.0), logits.softmax(dim=0))
    assert st.fitted(logits.softmax(dim=0), truth) == pytest.approx(1, rel=0.05)


@pytest.mark.usefixtures("whole")
def test_tempered_ensembles_are_scored_on_test_subjects() -> None:
    pair = members()
    study = Study("temperature", {"fcn": st.temperature(members=pair)}, titles={"fcn": "FCN"}).run()
    scores = study.scores
    assert set(scores["subject"]) == set(split_of(pair[0]).test)
    table = study.result("fcn").table("temperatures")
    assert table["temperature"].between(0.1, 10).tolist() == [True, True]
    alone = ensembles.ensemble(members=pair).result().table("reliability").drop(columns="subject")
    plain = study.result("fcn").table("reliability").query("prediction == 'plain'")
    columns = ["voxels", "confidence", "right"]
    pd.testing.assert_frame_equal(plain.groupby("bin")[columns].sum(), alone.groupby("bin")[columns].sum(), rtol=1e-4)
    shown = tables.temperature_table(study, n_boot=20, seed=0)
    assert shown["network"].tolist() == ["FCN"]


# Excitation


@pytest.mark.usefixtures("whole")
def test_excitation_is_measured_block_by_block() -> None:
    found = ensembles.excitation(network=members()[0], shown=3).result()
    wide = found.scores.pivot(index="subject", columns="metric", values="value")
    assert list(wide.index) == ["1", "2"]
    assert (wide["range"] >= 0.99 * wide["range_before"]).all()  # the skip makes it no narrower
    np.testing.assert_allclose(wide["high"] - wide["low"], wide["range"])
    assert found.arrays("maps")["maps"].shape == (3, 16, 16)


def test_what_is_captured_went_through_the_excitation(store: ImageStore) -> None:
    torch.manual_seed(0)
    network = build("fcn", in_channels=3, recipe=TINY)
    images = store.take_slices(store.slices(store.ids[:1]))[0][:, :3]
    kept = ensembles.captured(network, images)
    blocks = [network.get_submodule("centre"), *network.get_submodule("decoder")]
    assert len(kept) == len(blocks) == 2  # the block below the encoder, and one a level of it
    for (before, after), block in zip(kept, blocks, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(block.get_submodule("excitation")(before), after)
    assert not any(block.get_submodule("excitation")._forward_hooks for block in blocks)
    with pytest.raises(RadlibError, match="no decoder block"):
        ensembles.captured(torch.nn.Conv2d(3, 1, 1), images)


def test_sparsity() -> None:
    assert ensembles.hoyer(torch.ones(100)) == pytest.approx(0)
    assert ensembles.hoyer(torch.eye(1, 100)) == pytest.approx(1)
    assert np.isnan(ensembles.hoyer(torch.zeros(5)))
    assert ensembles.near_zero(torch.tensor([0.0] * 30 + [1.0] * 70)) == pytest.approx(0.3)
    assert ensembles.near_zero(torch.zeros(5)) == 1


def test_the_largest_necrosis_is_shown_first(store: ImageStore) -> None:
    labels = store.labels.clone()
    labels[3][labels[3] == 4] = 1
    labels[3, 0, 0, 0] = 4
    labels[5][labels[5] == 1] = 2
    changed = ImageStore(**{**{k: getattr(store, k) for k in store.__dataclass_fields__}, "labels": labels})
    assert ensembles.necrotic_subjects(changed, ("s3", "s5"), most=2) == ("s3",)
    assert ensembles.necrotic_subjects(changed, ("s5",), most=2) == ("s5",)  # nobody has all three labels


def test_reliability_of_a_case_counted_by_hand() -> None:
    """Three voxels of the brain: 0.9 and right, 0.9 and wrong, 0.4 and right; one outside does not count."""
    probability = torch.tensor([[0.9, 0.9, 0.2, 1.0], [0.1, 0.1, 0.4, 0], [0, 0, 0.2, 0], [0, 0, 0.2, 0]])
    truth, inside = np.array([0, 1, 1, 4], np.uint8), np.array([True, True, True, False])
    table = ensembles.reliability(probability[:, :, None, None], truth[:, None, None], inside[:, None, None])
    assert table["bin"].tolist() == [2, 8]
    assert table["voxels"].tolist() == [1, 2]
    assert table["confidence"].tolist() == pytest.approx([0.4, 1.8])
    assert table["right"].tolist() == [1, 1]


@pytest.mark.usefixtures("whole")
def test_a_modality_that_is_taken_away_changes_what_is_found_and_nobody_is_left_out() -> None:
    pair = members("unet")
    whole, without = ensembles.ensemble(members=pair), ensembles.ensemble(members=pair, zeroed=("t2",))
    assert set(without.result().scores["subject"]) == set(split_of(pair[0]).test)
    kept = whole.result().arrays("entropy")
    assert any((kept[name] != image).any() for name, image in without.result().arrays("entropy").items())


@pytest.mark.usefixtures("whole")
def test_the_rule_is_scored_on_the_test_subjects() -> None:
    found = ensembles.rule(images=IMAGES, division=Folds(n_held_out=3, n_folds=2)).result()
    assert set(found.scores["subject"]) == set(split_of(members()[0]).test)
    assert found.scores["value"].between(0, 1).all()
