"""Patches of Li 2017: shares, classes, and what each normalisation takes away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.data.store import ImageStore
from radlib.papers.li2017.data import PatchSampler, Scaling, fit_scaling

MODALITIES = ("flair", "t1ce")


def store_of(n: int = 3, *, grid: tuple[int, int, int] = (24, 20, 4), seed: int = 0) -> ImageStore:
    """Brains in a block of noise, with a square tumour of its own size in each."""
    random = np.random.default_rng(seed)
    images = np.zeros((n, 2, *grid), dtype=np.float32)
    labels = np.zeros((n, *grid), dtype=np.uint8)
    images[:, :, 3:-3, 3:-3] = random.normal([[[[[2.0]]], [[[-1.0]]]]], 1.0, images[:, :, 3:-3, 3:-3].shape)
    for row in range(n):
        labels[row, 8 : 10 + 2 * row, 8:11, 1:3] = 2
    return ImageStore(
        ids=tuple(f"s{row}" for row in range(n)),
        modalities=MODALITIES,
        spacing=2.0,
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        present=torch.ones((n, 2), dtype=torch.bool),
        has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.stack([np.eye(4)] * n),
        normalisation="none",
    )


def sampler(store: ImageStore, *, share: float = 0.4, patch: int = 7) -> PatchSampler:
    return PatchSampler(store, store.ids, modalities=MODALITIES, patch=patch, tumour_share=share)


def test_share_class_and_content_of_patches() -> None:
    store = store_of()
    marked = store.images.clone()
    marked[:, 0][store.labels > 0] = 100.0  # FLAIR tells the class of the middle pixel
    store = ImageStore(**{**{f: getattr(store, f) for f in store.__dataclass_fields__}, "images": marked})
    patches, classes = sampler(store).draw(50, rng(0, "draw"))
    assert patches.shape == (50, 2, 7, 7)
    assert classes.tolist() == [1] * 20 + [0] * 30
    assert ((patches[:, 0, 3, 3] == 100) == (classes == 1)).all()
    assert (patches[:, :, 3, 3] != 0).all()  # never outside the brain
    again, _ = sampler(store).draw(50, rng(0, "draw"))
    torch.testing.assert_close(again, patches)
    assert not torch.equal(sampler(store).draw(50, rng(1, "draw"))[0], patches)


def test_patients_with_small_tumours_are_drawn_as_often() -> None:
    store = store_of(3)
    images = store.images.clone()
    for row in range(3):
        images[row, 0][images[row, 0] != 0] = float(row + 1)
    store = ImageStore(**{**{f: getattr(store, f) for f in store.__dataclass_fields__}, "images": images})
    patches, _ = sampler(store, share=1.0).draw(900, rng(0, "draw"))
    counts = torch.bincount(patches[:, 0, 3, 3].long(), minlength=4)[1:]
    assert (counts > 250).all()


def test_training_scaling_standardises_the_training_patches() -> None:
    store = store_of()
    scaling = fit_scaling(sampler(store), kind="training", seed=0, n=2000)
    patches, _ = sampler(store).draw(2000, rng(9, "other"))
    scaled = scaling(patches)
    torch.testing.assert_close(scaled.mean(dim=(0, 2, 3)), torch.zeros(2), atol=0.05, rtol=0)
    torch.testing.assert_close(scaled.std(dim=(0, 2, 3)), torch.ones(2), atol=0.05, rtol=0)
    assert Scaling(**scaling.as_dict()).std == pytest.approx(scaling.std)


def test_patch_scaling_takes_every_mean_away() -> None:
    store = store_of()
    scaling = fit_scaling(sampler(store), kind="patch", seed=0)
    patches, _ = sampler(store).draw(30, rng(1, "draw"))
    scaled = scaling(patches)
    torch.testing.assert_close(scaled.mean(dim=(2, 3)), torch.zeros(30, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaling(patches + 5.0), scaled, atol=1e-4, rtol=0)
    assert scaling.mean == (0.0, 0.0)


def test_what_cannot_be_is_named() -> None:
    store = store_of()
    with pytest.raises(RadlibError, match=r"share of tumour patches is 1\.4"):
        sampler(store, share=1.4)
    with pytest.raises(RadlibError, match="unknown normalisation 'mean'"):
        fit_scaling(sampler(store), kind="mean", seed=0)  # type: ignore[arg-type]
    flat = ImageStore(
        **{**{f: getattr(store, f) for f in store.__dataclass_fields__}, "images": torch.ones_like(store.images)}
    )
    with pytest.raises(RadlibError, match="constant"):
        fit_scaling(PatchSampler(flat, flat.ids, modalities=MODALITIES, patch=1, tumour_share=0.4), kind="training",
                    seed=0)  # fmt: skip
    healthy = ImageStore(
        **{**{f: getattr(store, f) for f in store.__dataclass_fields__}, "labels": torch.zeros_like(store.labels)}
    )
    with pytest.raises(RadlibError, match="no voxel to cut patches around"):
        sampler(healthy)
    assert sampler(healthy, share=0.0).draw(5, rng(0, "draw"))[1].tolist() == [0] * 5
