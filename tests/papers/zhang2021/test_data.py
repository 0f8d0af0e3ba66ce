"""Recipes, the division of subjects, cubes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore
from radlib.papers.zhang2021.data import OTHER_PAIRS, PAIRS, WHOLE_ALONE, Data, PatchSampler, Recipe, among
from radlib.study.cohorts import Images, Source


def test_recipe_refuses_what_does_not_fit() -> None:
    with pytest.raises(RadlibError, match="cubes of 20 voxels cannot be halved 3 times"):
        Recipe(widths=(4, 4, 4, 4), patch=20)
    with pytest.raises(RadlibError, match="windows of 30 voxels cannot be halved 2 times"):
        Recipe(widths=(4, 4, 4), patch=32, windows=(32, 30))
    with pytest.raises(RadlibError, match=r"two voxels left.*multiple of 4 from 8 on"):
        Recipe(widths=(4, 4, 4), patch=4)
    with pytest.raises(RadlibError, match="applied to cubes of some size"):
        Recipe(windows=())
    assert Recipe().roi(0) is None
    assert Recipe().roi(8) == (8, 8, 8)


def test_cubes_of_thick_slices_have_three_edges(store: ImageStore, tiny: Recipe) -> None:
    flat = replace(tiny, patch=(12, 12, 4), windows=((8, 8, 4), 0))
    assert flat.cube == (12, 12, 4)
    assert [flat.roi(window) for window in flat.windows] == [(8, 8, 4), None]
    sampler = PatchSampler.of(store, store.ids[:4], modalities=("t1ce", "flair"), recipe=flat, seed=1)
    images, classes = sampler.draw(0, rng(0))
    assert images.shape == (2, 2, 12, 12, 4)
    assert classes.shape == (2, 12, 12, 4)
    with pytest.raises(RadlibError, match="cubes of 6 voxels cannot be halved 2 times"):
        Recipe(widths=(4, 4, 4), patch=(16, 16, 6))


def test_groups_without_a_modality_that_lacks() -> None:
    three = ("t1", "t1ce", "flair")
    assert among(PAIRS, three) == (("t1", "t1ce"), ("flair",))
    assert among(OTHER_PAIRS, three) == (("t1", "flair"), ("t1ce",))
    assert among((("t2",), ("t1",)), three) == (("t1",),)


def test_division_is_of_complete_subjects_and_has_no_overlap(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(Source, "open", lambda _: cohort)
    monkeypatch.setattr(Images, "open", lambda _, ids: asked.append(ids))
    images = Images(source=Source("brats2017"))
    found = Data(images=images, n_held_out=3, n_tuning=2, seed=0).open()
    parts = [*found.train, *found.tuning, *found.held_out]
    assert sorted(parts) == [f"p{number}" for number in range(7)]
    assert [len(found.train), len(found.tuning), len(found.held_out), len(found.fewer)] == [2, 2, 3, 2]
    assert set(found.fewer) <= set(found.held_out)
    assert sorted(asked[0]) == sorted(parts)
    whole = Data(images=images, n_held_out=3, seed=0).open()
    assert whole.held_out == found.held_out  # who tunes does not change who is tested
    assert whole.tuning == ()
    with pytest.raises(MissingDataError, match="too few to hold out 4 and 2"):
        Data(images=images, n_held_out=4, n_tuning=2).open()


def test_division_without_t2_and_with_one_outline(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    table = cohort.participants.assign(grade_group="LGG", grade=[2.0, 3.0] * 4 + [2.0], label_encoding="whole-tumour")
    one = replace(cohort, participants=table.drop(columns="t2").assign(t2=None))
    monkeypatch.setattr(Source, "open", lambda _: one)
    monkeypatch.setattr(Images, "open", lambda _, ids: None)
    images = Images(source=Source("huashan"), modalities=("t1", "t1ce", "flair"))
    found = Data(images=images, n_held_out=3, n_tuning=1).open()
    assert len([*found.train, *found.tuning, *found.held_out]) == 8  # one has no segmentation
    assert found.regions == WHOLE_ALONE
    assert set(found.grade) == {"grade 2", "grade 3"}
    assert {found.grade[name] for name in found.held_out} == {"grade 2", "grade 3"}  # divided within grade
    monkeypatch.setattr(Source, "open", lambda _: cohort)
    assert Data(images=Images(source=Source("brats2017")), n_held_out=3).open().regions == REGIONS


def test_cubes_depend_on_the_step_alone(store: ImageStore, tiny: Recipe) -> None:
    inside = replace(tiny, tumour_share=1.0)
    sampler = PatchSampler.of(store, store.ids[:4], modalities=("t1ce", "flair"), recipe=inside, seed=1)
    images, classes = sampler.draw(3, rng(0, 3))
    again, same = sampler.draw(3, rng(0, 3))
    assert torch.equal(images, again)
    assert torch.equal(classes, same)
    assert images.shape == (2, 2, 12, 12, 12)
    assert classes.dtype == torch.int64
    assert set(classes.unique().tolist()) <= {0, 1, 2, 3}
    assert not torch.equal(images, sampler.draw(4, rng(0, 4))[0])
    # Every cube of the tumour area has tumour in its middle, and FLAIR shows it.
    assert (classes[:, 5:7, 5:7, 5:7].flatten(1).amax(dim=1) > 0).all()
    assert images[:, 1][classes > 0].mean() > images[:, 1][classes == 0].mean() + 1


def test_cubes_without_a_brain_are_refused(store: ImageStore, tiny: Recipe) -> None:
    with pytest.raises(RadlibError, match="no brain"):
        PatchSampler.of(store, [], modalities=("t1",), recipe=tiny, seed=0)
