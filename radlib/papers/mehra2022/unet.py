"""The U-Net of Mehra 2022: trained on four modalities, adapted to FLAIR, fine-tuned, and its features taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.device import pick_device
from radlib.core.seeds import named_seed
from radlib.data.store import ImageStore
from radlib.features.streamed import FeatureFile, extract
from radlib.nn.device import device_of
from radlib.papers.mehra2022.losses import hard_dice, intersection_over_union, soft_dice_loss
from radlib.papers.mehra2022.networks import FeatureUNet
from radlib.training.players import Trained
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import fit


@dataclass(frozen=True, kw_only=True)
class UNetRecipe:
    """Sizes and hyper-parameters of one training.

    Attributes:
        widths: channels of the encoding blocks.
        steps, batch_size: length; the paper fine-tunes 30 epochs in batches of 10.
        learning_rate: of Adam.
        augmented: whether the seven augmentations are applied.
        evaluations: how often losses and scores are measured, as in Figure 6.
        precision: of training and inference.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64, 128)
    steps: int = 200
    batch_size: int = 10
    learning_rate: float = 2e-3
    augmented: bool = True
    evaluations: int = 10
    precision: Precision = "auto"


# The seven augmentations of Table 1


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of Table 1; elastic distortion is in pixels of a 240 x 240 slice and scales with the slice.

    Attributes:
        flip_horizontal, flip_vertical: probabilities.
        alpha, sigma: strength and smoothness of the elastic distortion.
        rotation: largest angle, degrees.
        shift: largest shift, share of the edge, each way.
        shear: largest horizontal shear.
        zoom: largest change of size.
    """

    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    alpha: float = 720.0
    sigma: float = 24.0
    rotation: float = 20.0
    shift: float = 0.1
    shear: float = 0.05
    zoom: float = 0.1


REFERENCE_EDGE = 240
"""Pixels of the slices for which the paper gives alpha and sigma."""


def augment(
    images: Tensor, masks: Tensor, random: np.random.Generator, *, how: Augmentation | None = None
) -> tuple[Tensor, Tensor]:
    """Augment slices, each in its own way.

    Args:
        images: ``(B, C, H, W)``, interpolated linearly; 0 comes in from outside.
        masks: ``(B, 1, H, W)``, 0 and 1, taken from the nearest pixel.
        random: of everything random.
        how: ranges.

    Returns:
        Images and masks of the same shapes, moved alike.
    """
    ranges = how or Augmentation()
    grid = torch.stack([_grid(images.shape[-2:], random, ranges) for _ in range(len(images))]).to(images.device)
    moved = functional.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    outlines = functional.grid_sample(masks.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved.to(images.dtype), outlines.to(masks.dtype)


def _grid(shape: torch.Size, random: np.random.Generator, how: Augmentation) -> Tensor:
    """Where each pixel of the result comes from, ``(H, W, 2)`` in units of half an edge."""
    height, width = shape
    angle = np.deg2rad(random.uniform(-how.rotation, how.rotation))
    zoom = 1 + random.uniform(-how.zoom, how.zoom)
    shear = random.uniform(-how.shear, how.shear)
    flip = np.where(random.random(2) < (how.flip_horizontal, how.flip_vertical), -1.0, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(flip) / zoom
    offset = 2 * random.uniform(-how.shift, how.shift, size=2)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    places = np.stack([x, y], axis=-1) @ matrix.T + offset
    if how.alpha:
        scale = width / REFERENCE_EDGE
        for axis, edge in ((0, width), (1, height)):
            noise = gaussian_filter(random.uniform(-1, 1, size=(height, width)), how.sigma * scale, mode="constant")
            # Pixels of displacement, as a share of half the edge. Smoothing over sigma pixels shrinks the noise with
            # 1 / sigma, so alpha scales with the square of the edge.
            places[..., axis] += noise * how.alpha * scale**2 * 2 / edge
    return torch.from_numpy(places.astype(np.float32))


# Training


def train_unet(
    network: FeatureUNet,
    store: ImageStore,
    *,
    modalities: Sequence[str],
    train: Sequence[str],
    validate: Sequence[str],
    recipe: UNetRecipe,
    seed: int,
    name: str,
    folder: Path | None = None,
) -> Trained:
    """Train or fine-tune a U-Net on the slices with tumour, whole tumour as the mask.

    The history has soft-Dice loss, hard Dice and IOU of training and held-out slices, as Figure 6.

    Args:
        network: changed in place.
        store: z-scored images.
        modalities: the channels.
        train, validate: subjects; the latter decide nothing.
        recipe: sizes and hyper-parameters.
        seed: of batches and augmentation.
        name: shown with the progress.
        folder: for checkpoints.
    """
    take = store.channels(modalities)
    index, held = store.slices(train), store.slices(validate)
    some = index[np.linspace(0, len(index) - 1, min(len(index), max(len(held), 20))).round().astype(int)]
    how = Augmentation()

    def batch(step: int, generator: np.random.Generator) -> dict[str, Tensor]:
        chosen = index[torch.from_numpy(epoch_batch(len(index), recipe.batch_size, step=step, seed=seed))]
        images, labels = store.take_slices(chosen)
        images, masks = images[:, take], (labels[:, None] > 0).float()
        if recipe.augmented:
            images, masks = augment(images, masks, generator, how=how)
        return {"images": images, "masks": masks}

    def scores(net: nn.Module) -> dict[str, float]:
        out: dict[str, float] = {}
        for part, places in (("train", some), ("test", held)):
            if len(places):
                out |= {f"{part}_{key}": value for key, value in score_slices(net, store, places, take).items()}
        return out

    return fit(
        network, batch=batch, loss=lambda net, data: soft_dice_loss(net(data["images"]), data["masks"]),
        optimizer=OptimizerSettings(learning_rate=recipe.learning_rate), seed=named_seed(seed, name), name=name,
        validate=scores, folder=folder,
        loop=LoopSettings(
            steps=recipe.steps, log_every=max(1, recipe.steps // 40), precision=recipe.precision,
            validate_every=max(1, recipe.steps // recipe.evaluations), checkpoint_every=max(50, recipe.steps // 5),
        ),
    )  # fmt: skip


def score_slices(network: nn.Module, store: ImageStore, index: Tensor, take: Sequence[int]) -> dict[str, float]:
    """Soft-Dice loss, hard Dice and IOU over all pixels of slices, with the network as it stands."""
    device = device_of(network)
    logits, masks = [], []
    with torch.no_grad():
        for part in index.split(32):
            images, labels = store.take_slices(part)
            logits.append(network(images[:, list(take)].to(device)).float().cpu())
            masks.append((labels[:, None] > 0).float().cpu())
    whole, truth = torch.cat(logits), torch.cat(masks)
    predicted = (whole > 0).float()
    return {
        "soft_dice_loss": float(soft_dice_loss(whole, truth)), "hard_dice": hard_dice(predicted, truth),
        "iou": intersection_over_union(predicted, truth),
    }  # fmt: skip


def score_subjects(
    network: nn.Module, store: ImageStore, subjects: Sequence[str], *, modalities: Sequence[str]
) -> pd.DataFrame:
    """The three metrics of each subject's tumour slices, one row a subject."""
    network.eval()
    take = store.channels(modalities)
    rows = [{"subject": s, **score_slices(network, store, store.slices([s]), take)} for s in subjects
            if len(store.slices([s]))]  # fmt: skip
    return pd.DataFrame(rows)


def score_threshold(store: ImageStore, train: Sequence[str], test: Sequence[str]) -> pd.DataFrame:
    """The rule that needs no network: tumour is what is brighter on FLAIR than a threshold.

    It is the threshold with the best Dice over all tumour slices of the training subjects.

    Returns:
        As :func:`score_subjects`; the soft-Dice loss is one minus the hard Dice.
    """
    take = store.channels(["flair"])

    def images_of(subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        images, labels = store.take_slices(store.slices(subjects))
        return images[:, take].float().cpu(), (labels[:, None] > 0).float().cpu()

    images, masks = images_of(train)
    best = max(np.linspace(-1, 4, 51), key=lambda cut: hard_dice((images > cut).float(), masks))
    rows = []
    for subject in test:
        if len(store.slices([subject])):
            images, masks = images_of([subject])
            predicted = (images > best).float()
            dice = hard_dice(predicted, masks)
            rows.append({"subject": subject, "soft_dice_loss": 1 - dice, "hard_dice": dice,
                         "iou": intersection_over_union(predicted, masks)})  # fmt: skip
    return pd.DataFrame(rows)


# Features


def slice_table(store: ImageStore, subjects: Sequence[str], *, per_subject: int | None = None) -> pd.DataFrame:
    """One row a tumour slice: ``subject``, ``row`` and ``position`` in the store, ``area`` of the tumour in pixels."""
    index = store.slices(subjects, per_subject=per_subject)
    _, labels = store.take_slices(index)
    return pd.DataFrame({
        "subject": [store.ids[int(row)] for row in index[:, 0]], "row": index[:, 0].numpy(),
        "position": index[:, 1].numpy(), "area": (labels > 0).sum(dim=(1, 2)).numpy(),
    })  # fmt: skip


def extract_features(
    path: Path, network: FeatureUNet, store: ImageStore, table: pd.DataFrame, *, block: str, crop_to_mask: bool = False
) -> FeatureFile:
    """Stream the FLAIR features of slices behind one block to disk.

    Args:
        path: of the file, without suffix.
        network: trained, for FLAIR alone.
        store, table: images and slices.
        block: such as ``encoder5``.
        crop_to_mask: leave only the predicted tumour in the image first (the authors' future work).
    """
    device = pick_device()
    network.to(device).eval()
    take = store.channels(["flair"])
    index = torch.from_numpy(table[["row", "position"]].to_numpy(dtype=np.int64).copy())

    def compute(rows: np.ndarray) -> Tensor:
        with torch.no_grad():
            images = store.take_slices(index[torch.from_numpy(rows)])[0][:, take].to(device)
            if crop_to_mask:
                images = images * (network(images) > 0)
            return network.features(images, block)

    return extract(path, table, compute, identity={"block": block, "cropped": crop_to_mask})
