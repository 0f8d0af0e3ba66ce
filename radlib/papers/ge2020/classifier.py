"""The slice classifier of Ge 2020: two-stage training, the vote of a patient's slices, and a 3D DenseNet beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES
from radlib.nn.device import device_of
from radlib.papers.ge2020.data import BACKGROUND, SLICES
from radlib.papers.ge2020.losses import weighted_cross_entropy
from radlib.papers.ge2020.networks import PAPER_HIDDEN, STREAM_WIDTHS, MultiStreamClassifier
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import fit


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe:
    """Sizes and hyper-parameters of the classifier.

    Attributes:
        widths, pool_after, hidden: of :class:`~radlib.papers.ge2020.networks.MultiStreamClassifier`.
        pretrain_epochs: of the first stage; its rate is ``pretrain_rate``, a tenth and a hundredth in the three
            stretches of 30, 30 and 40 epochs of the paper's 100, or the same shares of another number.
        refine_epochs, refine_rate: of the second stage.
        pretrain_steps, refine_steps: instead of epochs where above 0, for short trainings.
        batch_size: slices; not given.
        class_weight: of mutant slices; wild-type ones have 1.
        background: weight of what is not tumour in the input. The paper enhances the tumour by its mask and gives no
            number here; 1/3 is that of the GAN's loss.
        shift: largest random shift, share of the edge.
        patience: validations (epochs) without improvement before a stage ends; None keeps the best and runs on.
        precision: of the training.
    """

    widths: tuple[int, ...] = STREAM_WIDTHS
    pool_after: tuple[int, ...] = (1, 2, 4, 6)
    hidden: tuple[int, ...] = PAPER_HIDDEN
    pretrain_epochs: int = 100
    pretrain_rate: float = 1e-4
    refine_epochs: int = 50
    refine_rate: float = 1e-6
    pretrain_steps: int = 0
    refine_steps: int = 0
    batch_size: int = 32
    class_weight: float = 2.0
    background: float = BACKGROUND
    shift: float = 0.1
    patience: int | None = None
    precision: Precision = "auto"


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a classifier is trained on or predicts, a row a patient (real or fake).

    Attributes:
        images: ``(R, 6, K, S, S)``, mask-enhanced or not.
        labels: ``(R,)`` int64, 1 for mutant.
        modalities: the channels.
    """

    images: Tensor
    labels: Tensor
    modalities: tuple[str, ...] = MODALITIES

    def __len__(self) -> int:
        return len(self.labels)


def augment(images: Tensor, random: np.random.Generator, *, shift: float = 0.1) -> Tensor:
    """Flip slices ``(B, C, S, S)`` sideways at random and move each by up to ``shift`` of its edge; 0 comes in."""
    count, _, height, width = images.shape
    device = images.device
    columns = torch.arange(width).expand(count, width)
    flipped = torch.from_numpy(random.random(count) < 0.5)[:, None]
    columns = torch.where(flipped, width - 1 - columns, columns)
    most = round(shift * width), round(shift * height)
    columns = columns - torch.from_numpy(random.integers(-most[0], most[0] + 1, size=(count, 1)))
    rows = torch.arange(height).expand(count, height)
    rows = rows - torch.from_numpy(random.integers(-most[1], most[1] + 1, size=(count, 1)))
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    taken = images[
        torch.arange(count, device=device)[:, None, None], :,
        rows.clamp(0, height - 1)[:, :, None].to(device), columns.clamp(0, width - 1)[:, None].to(device),
    ]  # fmt: skip
    return taken.permute(0, 3, 1, 2) * inside[:, None].to(images)


def train_two_stages(
    first: Samples | None,
    second: Samples,
    validation: Samples,
    *,
    recipe: ClassifierRecipe,
    seed: int,
    like: int = 0,
    name: str = "classifier",
    folder: Path | None = None,
) -> tuple[MultiStreamClassifier, pd.DataFrame]:
    """Train on augmented patients, then on real ones; the weights of each stage's best validation loss go on.

    Args:
        first: of the first stage: synthetic images, or for a baseline the real ones: as many epochs, or as many
            updates where the recipe counts these; None leaves the stage out.
        second: of the second stage.
        validation: real patients.
        recipe: sizes and hyper-parameters.
        seed: of weights, batches and augmentation; arms of one seed start from the same weights.
        like: patients by whose number the first stage counts its epochs; 0 takes its own.
        name: shown with the progress.
        folder: for checkpoints of both stages.

    Returns:
        The network, and the histories of both stages (column ``stage``): validation has slices' loss and accuracy,
        patients' AUC and the modalities' mean attention; with the share of time spent waiting for batches and the peak
        memory in bytes.
    """
    torch.manual_seed(named_seed(seed, "weights"))
    network = MultiStreamClassifier(
        widths=recipe.widths, pool_after=recipe.pool_after, hidden=recipe.hidden, size=second.images.shape[-1],
        streams=second.images.shape[2],
    )  # fmt: skip
    histories: list[pd.DataFrame] = []
    for stage, samples, count in (("augmented", first, like), ("real", second, 0)):
        if samples is None:
            continue
        optimizer, steps, epoch = stage_schedule(stage, (count or len(samples)) * SLICES, recipe)
        fitted = fit(
            network, batch=_batches(samples, recipe, seed=named_seed(seed, stage)), loss=_loss(recipe),
            validate=_validation(validation, recipe), optimizer=optimizer, seed=seed, name=f"{name}, {stage}",
            loop=LoopSettings(steps=steps, log_every=max(1, min(epoch, steps // 10)), validate_every=min(epoch, steps),
                              monitor="loss", patience=recipe.patience, precision=recipe.precision,
                              channels_last=True, checkpoint_every=min(epoch, steps)),
            folder=None if folder is None else folder / stage,
        )  # fmt: skip
        # Single first steps are of the training's beginning, which the second stage is not.
        history = fitted.history if not histories else fitted.history[fitted.history["part"] != "first"]
        histories.append(history.assign(stage=stage, data_share=fitted.data_share, peak_memory=fitted.peak_memory))
    return network, pd.concat(histories, ignore_index=True)


def stage_schedule(stage: str, slices: int, recipe: ClassifierRecipe) -> tuple[OptimizerSettings, int, int]:
    """Optimiser, steps and steps an epoch of a stage (``augmented`` or ``real``) over so many slices."""
    epoch = max(1, slices // recipe.batch_size)
    if stage == "real":
        steps = recipe.refine_steps or recipe.refine_epochs * epoch
        return OptimizerSettings(kind="adagrad", learning_rate=recipe.refine_rate), steps, epoch
    steps = recipe.pretrain_steps or recipe.pretrain_epochs * epoch
    optimizer = OptimizerSettings(
        kind="adagrad", learning_rate=recipe.pretrain_rate, schedule="milestones", milestones=(0.3, 0.6)
    )
    return optimizer, steps, epoch


def _batches(samples: Samples, recipe: ClassifierRecipe, *, seed: int) -> Any:
    images = samples.images.flatten(0, 1)
    labels = samples.labels.repeat_interleave(SLICES)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        rows = torch.from_numpy(epoch_batch(len(images), recipe.batch_size, step=step, seed=seed))
        return {"images": augment(images[rows], random, shift=recipe.shift), "labels": labels[rows]}

    return batch


def _loss(recipe: ClassifierRecipe) -> Any:
    def loss(network: nn.Module, data: Mapping[str, Tensor]) -> Tensor:
        logits = network(data["images"])
        return weighted_cross_entropy(logits, data["labels"], class_weight=recipe.class_weight)

    return loss


def _validation(samples: Samples, recipe: ClassifierRecipe) -> Any:
    def validate(network: Any) -> dict[str, float]:
        logits, truth = slice_logits(network, samples), samples.labels.numpy() == 1
        flat, labels = logits.flatten(0, 1), samples.labels.repeat_interleave(SLICES)
        loss = weighted_cross_entropy(flat, labels, class_weight=recipe.class_weight)
        score = logits.softmax(2)[..., 1].mean(1).numpy()
        return {
            "loss": float(loss), "accuracy": float((flat.argmax(1) == labels).float().mean()),
            "auc": float(roc_auc_score(truth, score)) if truth.any() and not truth.all() else float("nan"),
            **dict(zip((f"attention_{name}" for name in samples.modalities),
                       attention_of(network, samples).mean(0).tolist(), strict=True)),
        }  # fmt: skip

    return validate


def slice_logits(network: nn.Module, samples: Samples, *, batch_size: int = 128) -> Tensor:
    """Logits ``(R, 6, 2)`` on the CPU; the network is as it is (in evaluation mode for a prediction)."""
    device = device_of(network)
    images = samples.images.flatten(0, 1)
    with torch.no_grad():
        parts = [network(part.to(device)).float().cpu() for part in images.split(batch_size)]
    return torch.cat(parts).view(len(samples), -1, 2)


def majority(votes: Sequence[Sequence[int]] | Tensor | np.ndarray) -> np.ndarray:
    """Eq. (6): mutant where more than half of the slices say so; a tie is wild-type. ``(R, N)`` to ``(R,)`` bool."""
    array = np.asarray(votes)
    return 2 * array.sum(axis=1) > array.shape[1]


def predict(network: nn.Module, samples: Samples, ids: Sequence[str]) -> pd.DataFrame:
    """Predictions of patients: ``subject``, ``truth``, ``votes`` (of 6), ``predicted`` by Eq. (6), ``score``.

    ``score`` is the mean of the slices' softmax, for curves and thresholds; the paper decides by votes alone.
    """
    network.eval()
    logits = slice_logits(network, samples)
    called = logits.argmax(2).numpy()
    return pd.DataFrame({
        "subject": list(ids), "truth": samples.labels.numpy().astype(bool), "votes": called.sum(axis=1),
        "predicted": majority(called), "score": logits.softmax(2)[..., 1].mean(1).numpy(),
    })  # fmt: skip


def validation_threshold(truth: ArrayLike, score: ArrayLike) -> float:
    """The threshold on scores with the largest balanced accuracy: halfway between two scores; 0.5 without a class."""
    labels, values = np.asarray(truth, dtype=bool), np.asarray(score, dtype=float)
    if labels.all() or not labels.any():
        return 0.5
    levels = np.unique(values)
    cuts = np.concatenate([[levels[0] - 1e-6], (levels[1:] + levels[:-1]) / 2, [levels[-1] + 1e-6]])
    gain = [(values[labels] > cut).mean() + (values[~labels] <= cut).mean() for cut in cuts]
    return float(cuts[int(np.argmax(gain))])


def attention_of(network: MultiStreamClassifier, samples: Samples, *, batch_size: int = 128) -> Tensor:
    """The modalities' weights of Eq. (7) on every slice, ``(6 R, K)``."""
    device = device_of(network)
    network.eval()
    with torch.no_grad():
        return torch.cat([
            network.fusion.attention(network.stream_maps(part.to(device))).float().cpu()
            for part in samples.images.flatten(0, 1).split(batch_size)
        ])  # fmt: skip


# Liang's 3D DenseNet


@dataclass(frozen=True, kw_only=True)
class DenseRecipe:
    """MONAI's 3D DenseNet121 on crops; with other widths a narrower one of the same depth.

    Attributes:
        crop: edge of the crop around the tumour, voxels.
        features, growth: filters of the first layer and growth of every other.
        steps, batch_size, learning_rate: of Adam.
        class_weight, background: as of :class:`ClassifierRecipe`.
        precision: of the training.
    """

    crop: int = 96
    features: int = 64
    growth: int = 32
    steps: int = 2000
    batch_size: int = 8
    learning_rate: float = 1e-4
    class_weight: float = 2.0
    background: float = BACKGROUND
    precision: Precision = "auto"


def densenet(recipe: DenseRecipe, channels: int = len(MODALITIES)) -> nn.Module:
    """MONAI's 3D DenseNet with 121 layers for (four) modalities and two classes."""
    from monai.networks.nets import DenseNet

    return DenseNet(
        spatial_dims=3, in_channels=channels, out_channels=2, init_features=recipe.features, growth_rate=recipe.growth,
        block_config=(6, 12, 24, 16),
    )  # fmt: skip


def train_densenet(
    crops: Tensor,
    labels: Tensor,
    validation: tuple[Tensor, Tensor],
    *,
    recipe: DenseRecipe,
    seed: int,
    name: str = "3D DenseNet",
    folder: Path | None = None,
) -> nn.Module:
    """Train on crops ``(N, K, c, c, c)``, flipped at random along the first axis; the best validation loss is kept.

    ``folder`` is for checkpoints.
    """
    if min(crops.shape[2:]) < 32:
        raise RadlibError(f"crops of {tuple(crops.shape[2:])}", remedy="DenseNet121 halves five times: give 32 or more")
    torch.manual_seed(named_seed(seed, name, "weights"))
    network = densenet(recipe, crops.shape[1])

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        rows = torch.from_numpy(epoch_batch(len(crops), recipe.batch_size, step=step, seed=seed))
        flip = torch.from_numpy(random.random(len(rows)) < 0.5).view(-1, 1, 1, 1, 1)
        return {"images": torch.where(flip, crops[rows].flip(2), crops[rows]), "labels": labels[rows]}

    def loss(net: nn.Module, data: Mapping[str, Tensor]) -> Tensor:
        return weighted_cross_entropy(net(data["images"]), data["labels"], class_weight=recipe.class_weight)

    def validate(net: nn.Module) -> dict[str, float]:
        logits = _crop_logits(net, validation[0])
        return {"loss": float(weighted_cross_entropy(logits, validation[1], class_weight=recipe.class_weight))}

    fit(
        network, batch=batch, loss=loss, validate=validate, seed=named_seed(seed, name), name=name,
        optimizer=OptimizerSettings(learning_rate=recipe.learning_rate),
        loop=LoopSettings(steps=recipe.steps, log_every=max(1, recipe.steps // 10), monitor="loss",
                          validate_every=max(1, math.ceil(recipe.steps / 8)), precision=recipe.precision,
                          checkpoint_every=max(1, math.ceil(recipe.steps / 8))),
        folder=folder,
    )  # fmt: skip
    return network


def _crop_logits(network: nn.Module, crops: Tensor, *, batch_size: int = 16) -> Tensor:
    device = device_of(network)
    with torch.no_grad():
        return torch.cat([network(part.to(device)).float().cpu() for part in crops.split(batch_size)])


def predict_crops(network: nn.Module, crops: Tensor, labels: Tensor, ids: Sequence[str]) -> pd.DataFrame:
    """Predictions of patients as :func:`predict` gives them; one crop is one vote."""
    network.eval()
    score = _crop_logits(network, crops).softmax(1)[:, 1].numpy()
    return pd.DataFrame({
        "subject": list(ids), "truth": labels.numpy().astype(bool), "votes": (score > 0.5).astype(int),
        "predicted": score > 0.5, "score": score,
    })  # fmt: skip
