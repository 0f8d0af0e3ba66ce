"""Batches of slices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.data.store import ImageStore
from radlib.papers.islam2020 import batches
from radlib.papers.islam2020.batches import SliceSampler
from radlib.papers.islam2020.recipes import Recipe

TINY = Recipe(widths=(4, 8), batch_size=4, crop=16)


def test_a_batch_is_a_function_of_its_step(store: ImageStore) -> None:
    sampler = SliceSampler.of(store, store.ids[:4], modalities=("t1ce", "flair"), recipe=TINY, seed=3)
    first = sampler(5, rng(1, "batch", 5))
    again = sampler(5, rng(1, "batch", 5))
    torch.testing.assert_close(first, again)
    assert first["images"].shape == (4, 2, 16, 16)
    assert first["classes"].shape == (4, 16, 16)
    assert not torch.equal(first["images"], sampler(6, rng(1, "batch", 6))["images"])


def test_the_named_share_is_cut_around_tumour_and_the_background_stays_zero(store: ImageStore) -> None:
    recipe = Recipe(widths=(4, 8), batch_size=8, crop=6, tumour_share=0.5)
    sampler = SliceSampler.of(store, store.ids, modalities=("t1ce",), recipe=recipe, seed=0)
    elsewhere = 0
    for step in range(6):
        batch = sampler(step, rng(0, "batch", step))
        tumour = (batch["classes"] > 0).flatten(1).any(dim=1)
        assert tumour[:4].all()
        elsewhere += int((~tumour[4:]).sum())
        assert set(batch["classes"].unique().tolist()) <= {0, 1, 2, 3}
        assert not (batch["classes"][batch["images"][:, 0] == 0] > 0).any()
    assert elsewhere > 8


def test_images_and_labels_are_cut_and_mirrored_together(store: ImageStore) -> None:
    """The label is drawn into the image: where the batch's label is, the batch's image has its value."""
    drawn = store.images.clone()
    drawn[:, 1] = store.labels.float() + 10
    marked = replace(store, images=drawn)
    recipe = Recipe(widths=(4, 8), batch_size=6, crop=12, augment=0.0)
    sampler = SliceSampler.of(marked, store.ids, modalities=("t1ce",), recipe=recipe, seed=0)
    mirrored = 0
    for step in range(8):
        batch = sampler(step, rng(0, "batch", step))
        labels = batch["classes"] + (batch["classes"] == 3)
        torch.testing.assert_close(batch["images"][:, 0], labels.float() + 10)
        mirrored += int((labels != labels.flip(1)).any())
    assert mirrored


def test_subjects_without_tumour_cannot_be_trained_on(store: ImageStore) -> None:
    empty = replace(store, labels=torch.zeros_like(store.labels))
    with pytest.raises(RadlibError, match="slice with tumour"):
        SliceSampler.of(empty, store.ids, modalities=("t1ce",), recipe=TINY, seed=0)


def test_modality_dropout_hides_whole_modalities_of_some_slices_and_never_all(store: ImageStore) -> None:
    shown = batches._kept(2000, 3, 0.5, rng(0, "dropped")).numpy()
    assert shown.any(axis=1).all()
    # Half of the slices are left alone; of the others one is certain to be shown and each other one half of the time.
    assert shown.all(axis=1).mean() == pytest.approx(0.5 + 0.5 * 0.25, abs=0.04)
    assert shown.mean(axis=0) == pytest.approx([0.5 + 0.5 * 2 / 3] * 3, abs=0.04)
    recipe = Recipe(batch_size=8, crop=0, augment=0.0, dropped=1.0)
    sampler = SliceSampler.of(store, store.ids, modalities=("t1ce", "flair", "t2"), recipe=recipe, seed=0)
    hidden = (sampler(0, rng(0))["images"] == 0).flatten(2).all(dim=2)
    assert hidden.any()
    assert not hidden.all(dim=1).any()
