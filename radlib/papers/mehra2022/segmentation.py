"""The U-Net of Mehra 2022: trained on four modalities, adapted to FLAIR, fine-tuned, and its features taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.device import pick_device
from radlib.core.seeds import named_seed
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.features.streamed import FeatureFile, extract
from radlib.papers.mehra2022.augment import Augmentation, augment
from radlib.papers.mehra2022.networks import FeatureUNet, adapt_input
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import Fitted, fit


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


# Equations (3) to (5)


def soft_dice_loss(logits: Tensor, masks: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Equation (3): ``1 - (2 TP + eps) / ((TP + FP) + (TP + FN) + eps)`` with probabilities, over the whole batch."""
    p, t = logits.float().sigmoid(), masks.float()
    return 1 - (2 * (p * t).sum() + epsilon) / (p.sum() + t.sum() + epsilon)


def hard_dice(predicted: Tensor, masks: Tensor) -> float:
    """Equation (4), over all pixels given; 1 where both are empty."""
    total = float(predicted.sum() + masks.sum())
    return 2 * float((predicted * masks).sum()) / total if total else 1.0


def intersection_over_union(predicted: Tensor, masks: Tensor) -> float:
    """Equation (5), over all pixels given; 1 where both are empty."""
    both = float((predicted * masks).sum())
    union = float(predicted.sum() + masks.sum()) - both
    return both / union if union else 1.0


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
) -> Fitted:
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
        identity={**asdict(recipe), "modalities": list(modalities), "train": list(train)},
    )  # fmt: skip


def score_slices(network: nn.Module, store: ImageStore, index: Tensor, take: Sequence[int]) -> dict[str, float]:
    """Soft-Dice loss, hard Dice and IOU over all pixels of slices, with the network as it stands."""
    device = next(network.parameters()).device
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
    network: FeatureUNet, store: ImageStore, subjects: Sequence[str], *, modalities: Sequence[str]
) -> pd.DataFrame:
    """The three metrics of each subject's tumour slices, one row a subject."""
    network.eval()
    take = store.channels(modalities)
    rows = [{"subject": s, **score_slices(network, store, store.slices([s]), take)} for s in subjects
            if len(store.slices([s]))]  # fmt: skip
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
    path: Path,
    network: FeatureUNet,
    store: ImageStore,
    table: pd.DataFrame,
    *,
    modalities: Sequence[str],
    block: str,
    identity: dict[str, object],
    crop_to_mask: bool = False,
) -> FeatureFile:
    """Stream the features of slices behind one block to disk.

    Args:
        path: of the file, without suffix.
        network: trained.
        store, table: images and slices.
        modalities: the channels.
        block: such as ``encoder5``.
        identity: what else decides the features.
        crop_to_mask: leave only the predicted tumour in the image first (the authors' future work).
    """
    device = pick_device()
    network.to(device).eval()
    take = store.channels(modalities)
    index = torch.from_numpy(table[["row", "position"]].to_numpy(dtype=np.int64).copy())

    def compute(rows: np.ndarray) -> Tensor:
        with torch.no_grad():
            images = store.take_slices(index[torch.from_numpy(rows)])[0][:, take].to(device)
            if crop_to_mask:
                images = images * (network(images) > 0)
            return network.features(images, block)

    return extract(path, table, compute, identity={**identity, "block": block, "cropped": crop_to_mask})


def fold_features(
    pretrained: FeatureUNet,
    store: ImageStore,
    table: pd.DataFrame,
    folds: Sequence[Split],
    *,
    channel: int,
    recipe: UNetRecipe,
    seed: int,
    block: str,
    extra_blocks: Sequence[str],
    arrays: Path,
    checkpoints: Path | None,
) -> pd.DataFrame:
    """Fine-tune once a fold on its training patients, and take everybody's features with that network.

    Args:
        pretrained: the network for several modalities.
        store, table: FLAIR images and their slices.
        folds: patient-level.
        channel: of FLAIR among the modalities of ``pretrained``.
        recipe, seed: of the fine-tuning.
        block: whose features are taken in every fold, as ``<block>_fold<k>``; in the first also from images with
            nothing but the predicted tumour, as ``<block>_cropped_fold0``.
        extra_blocks: further ones, in the first fold.
        arrays: the folder for features.
        checkpoints: the folder for checkpoints.

    Returns:
        One row a file: its name, slices, shape of a slice's features, megabytes.
    """
    rows = []
    for number, fold in enumerate(folds):
        network = adapt_input(pretrained, channel=channel)
        train_unet(
            network, store, modalities=("flair",), train=fold.train, validate=(), recipe=recipe, seed=seed,
            name=fold.name, folder=None if checkpoints is None else checkpoints / f"fold{number}",
        )  # fmt: skip
        wanted = [(block, False)]
        if number == 0:
            wanted += [(block, True), *((extra, False) for extra in extra_blocks)]
        for name, cropped in wanted:
            path = arrays / f"{name}{'_cropped' if cropped else ''}_fold{number}"
            made = extract_features(
                path, network, store, table, modalities=("flair",), block=name, crop_to_mask=cropped,
                identity={"seed": seed, "test": list(fold.test), "recipe": repr(recipe)},
            )  # fmt: skip
            rows.append({
                "features": path.name, "slices": len(made), "of a slice": " x ".join(map(str, made.array.shape[1:])),
                "on disk (MB)": made.array.nbytes / 1e6,
            })  # fmt: skip
    return pd.DataFrame(rows)
