"""Batches of axial slices, each a function of its step: crops around the tumour, mirrored, with changed intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from radlib.core.errors import RadlibError
from radlib.data.regions import to_classes
from radlib.data.store import ImageStore
from radlib.papers.islam2020.recipes import Recipe
from radlib.training.sampling import epoch_batch


@dataclass(frozen=True, kw_only=True)
class SliceSampler:
    """Batches of axial slices of some subjects, each a function of its step: see :meth:`__call__`.

    Attributes:
        store: the images.
        channels: which of its modalities, as numbers.
        tumour, brain: ``(M, 2)`` rows and positions of slices with tumour, and of all slices with brain.
        boxes: for the slices of both, in that order, ``(M, 4)``: where crops are centred, first and last row and
            column of the tumour for the former, of the brain for the latter.
        recipe: crop, batch size, augmentation.
        seed: of the order of slices.
    """

    store: ImageStore
    channels: tuple[int, ...]
    tumour: Tensor
    brain: Tensor
    boxes: np.ndarray
    recipe: Recipe
    seed: int

    @classmethod
    def of(
        cls, store: ImageStore, ids: Sequence[str], *, modalities: Sequence[str], recipe: Recipe, seed: int
    ) -> SliceSampler:
        """A sampler of these subjects.

        Raises:
            RadlibError: if none of them has a slice with tumour.
        """
        tumour = store.slices(ids, where="tumour")
        if not len(tumour):
            raise RadlibError(
                f"none of the {len(ids)} subjects has a slice with tumour", remedy="train on segmented ones"
            )
        brain = store.slices(ids, where="brain")
        boxes = np.concatenate([_boxes(store, tumour, labelled=True), _boxes(store, brain, labelled=False)])
        return cls(
            store=store, channels=tuple(store.channels(modalities)), tumour=tumour, brain=brain, boxes=boxes,
            recipe=recipe, seed=seed,
        )  # fmt: skip

    def __call__(self, step: int, random: np.random.Generator) -> dict[str, Tensor]:
        """``images`` ``(B, C, h, w)`` and ``classes`` ``(B, h, w)``, on the store's device."""
        size = self.recipe.batch_size
        n_brain = min(round(size * (1 - self.recipe.tumour_share)), size - 1) if len(self.brain) else 0
        places = epoch_batch(len(self.tumour), size - n_brain, step=step, seed=self.seed)
        index = self.tumour[places]
        if n_brain:
            others = epoch_batch(len(self.brain), n_brain, step=step, seed=self.seed + 1)
            index = torch.cat([index, self.brain[others]])
            places = np.concatenate([places, len(self.tumour) + others])
        images, labels = self.store.take_slices(index)
        images = images[:, list(self.channels)]
        if self.recipe.crop:
            images, labels = _crop(images, labels, self.boxes[places], self.recipe.crop, random)
        images, labels = _augment(images, labels, self.recipe.augment, random)
        if self.recipe.dropped:
            images = (
                images
                * _kept(images.shape[0], images.shape[1], self.recipe.dropped, random).to(images)[..., None, None]
            )
        return {"images": images, "classes": to_classes(labels)}


def _kept(slices: int, modalities: int, share: float, random: np.random.Generator) -> Tensor:
    """Which modalities of each slice are shown, ``(B, C)`` bool: all, or, in a share of slices, a random part."""
    kept = random.random((slices, modalities)) < 0.5
    kept[np.arange(slices), random.integers(modalities, size=slices)] = True
    kept[random.random(slices) >= share] = True
    return torch.from_numpy(kept)


def _boxes(store: ImageStore, index: Tensor, *, labelled: bool) -> np.ndarray:
    """First and last row and column of tumour (or brain) in each slice."""
    boxes = np.zeros((len(index), 4), dtype=np.int64)
    for start in range(0, len(index), 256):
        part = index[start : start + 256]
        images, labels = store.take_slices(part)
        mask = (labels > 0) if labelled else (images != 0).any(dim=1)
        for axis in range(2):
            along = mask.any(dim=2 - axis).cpu().numpy()
            boxes[start : start + len(part), 2 * axis] = along.argmax(axis=1)
            boxes[start : start + len(part), 2 * axis + 1] = along.shape[1] - 1 - along[:, ::-1].argmax(axis=1)
    return boxes


def _crop(
    images: Tensor, labels: Tensor, boxes: np.ndarray, edge: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Squares of ``edge`` around a point drawn in each box, kept inside the slice."""
    cut_images, cut_labels = [], []
    for image, label, box in zip(images, labels, boxes, strict=True):
        where: list[slice] = []
        for axis in range(2):
            length = label.shape[axis]
            centre = int(random.integers(box[2 * axis], box[2 * axis + 1] + 1))
            first = int(np.clip(centre - edge // 2, 0, max(0, length - edge)))
            where.append(slice(first, first + edge))
        cut_images.append(image[:, where[0], where[1]])
        cut_labels.append(label[where[0], where[1]])
    return torch.stack(cut_images), torch.stack(cut_labels)


def _augment(images: Tensor, labels: Tensor, scale: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Left and right swapped in half of the slices; contrast, brightness and noise of each modality changed.

    At scale 1 the contrast is multiplied by 0.85 to 1.15, the brightness moved by up to 0.15 standard deviations, and
    noise of 0.05 standard deviations added; what is 0, the outside of the brain, stays 0.
    """
    swap = random.random(len(images)) < 0.5
    flip = torch.from_numpy(np.flatnonzero(swap)).to(images.device)
    images, labels = images.clone(), labels.clone()
    if len(flip):
        images[flip], labels[flip] = images[flip].flip(2), labels[flip].flip(1)
    if scale > 0:
        shape = (*images.shape[:2], 1, 1)
        gain = torch.from_numpy(1 + scale * random.uniform(-0.15, 0.15, shape).astype(np.float32)).to(images.device)
        shift = torch.from_numpy(scale * random.uniform(-0.15, 0.15, shape).astype(np.float32)).to(images.device)
        # A generator of its own, on the images' device: a batch depends on its arguments alone.
        source = torch.Generator(images.device).manual_seed(int(random.integers(2**62)))
        noise = torch.randn(images.shape, generator=source, device=images.device) * (0.05 * scale)
        images = torch.where(images != 0, images * gain + shift + noise, images)
    return images, labels
