"""Segmentation as Islam 2020 does it: 2D networks on axial slices, one training a fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.seeds import named_seed
from radlib.data.regions import REGIONS, from_classes, to_regions
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.nn.common import count_parameters
from radlib.nn.device import device_of
from radlib.papers.islam2020.batches import SliceSampler
from radlib.papers.islam2020.losses import segmentation_loss
from radlib.papers.islam2020.recipes import PAPER_MODALITIES, Folds, HeldOut, Recipe, build, everyone
from radlib.study.cohorts import Images
from radlib.study.jobs import Job, job
from radlib.study.store import Work
from radlib.training.inference import brain_box, predict_slices
from radlib.training.players import Trained
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import fit


@job
def segmentation(
    work: Work, *, images: Images, division: Folds | HeldOut, fold: int = 0, model: str,
    modalities: tuple[str, ...] = PAPER_MODALITIES, recipe: Recipe, seed: int = 0,
) -> None:  # fmt: skip
    """Train one network on one fold; scores are the Dice of the fold's other subjects, which decide nothing."""
    split = division.splits(images.source.open())[fold]
    store = open_slices(images, everyone(split))
    fitted = train(store, split, model=model, recipe=recipe, seed=seed, modalities=modalities, work=work)
    work.history(fitted.history)
    # Kept where they are applied to other cohorts: the paper's network, and the one for T1ce and FLAIR alone.
    keep = model == "fcn" or modalities == ("t1ce", "flair")
    work.weights("network", fitted.network, keep=keep)
    rows = []
    for subject in split.validation:
        found = segment(fitted.network, store, subject, modalities=modalities, precision=recipe.precision)
        rows += dice_rows(found, store.subject(subject).labels.cpu().numpy(), subject=subject)
    work.scores(pd.DataFrame(rows, columns=["subject", "group", "metric", "value"]))
    work.note(
        parameters=count_parameters(fitted.network), steps_per_second=fitted.steps_per_second,
        data_share=fitted.data_share, peak_memory=fitted.peak_memory,
    )  # fmt: skip


def load_network(one: Job) -> nn.Module:
    """The trained network of a job of :func:`segmentation`, in evaluation mode."""
    inputs = one.inputs
    network = build(inputs["model"], in_channels=len(inputs["modalities"]), recipe=inputs["recipe"])
    one.result().load("network", network)
    return network.eval()


def split_of(one: Job) -> Split:
    """The subjects of a job of :func:`segmentation`."""
    found: Split = one.inputs["division"].splits(one.inputs["images"].source.open())[one.inputs["fold"]]
    return found


def open_slices(images: Images, ids: Sequence[str]) -> ImageStore:
    """The images of ``ids``, with axial slices contiguous in memory unless they lie in files."""
    return _slices(images, tuple(sorted(ids)))


@cache
def _slices(images: Images, ids: tuple[str, ...]) -> ImageStore:
    store = images.open(ids)
    return store if images.memory_mapped else slice_major(store)


def slice_major(store: ImageStore) -> ImageStore:
    """The same store with axial slices contiguous in memory, so that taking one reads one piece; needs a copy."""
    images = store.images.movedim(4, 1).contiguous().movedim(1, 4)
    return replace(store, images=images, labels=store.labels.movedim(3, 1).contiguous().movedim(1, 3))


# Training


def train(
    store: ImageStore, split: Split, *, model: str, recipe: Recipe, seed: int,
    modalities: Sequence[str] = PAPER_MODALITIES, work: Work | None = None,
) -> Trained:  # fmt: skip
    """Train one network on the training subjects of a split; the validation subjects give the learning curve.

    Weights, batches and noise depend on ``seed`` and the split's name only (not on the network's), so that networks and
    sets of modalities are compared on the same batches.
    """
    own = named_seed(seed, split.name)
    torch.manual_seed(own)
    network = build(model, in_channels=len(modalities), recipe=recipe)
    sampler = SliceSampler.of(store, split.train, modalities=modalities, recipe=recipe, seed=own % 2**31)
    validate = _validation(store, split.validation, modalities=modalities, recipe=recipe)
    optimizer = OptimizerSettings(
        kind="adam", learning_rate=recipe.learning_rate, betas=(0.9, 0.999), weight_decay=recipe.weight_decay,
        schedule=recipe.schedule,
    )  # fmt: skip
    loop = LoopSettings(
        steps=recipe.steps, log_every=max(1, recipe.steps // 40), clip_norm=recipe.clip_norm,
        validate_every=max(1, recipe.steps // recipe.validations) if validate is not None else None,
        checkpoint_every=max(50, recipe.steps // 20), precision=recipe.precision,
    )  # fmt: skip
    return fit(
        network, batch=sampler, loss=segmentation_loss(),
        optimizer=optimizer, loop=loop, seed=own, name=split.name, validate=validate,
        folder=None if work is None else work.checkpoints(),
    )  # fmt: skip


def _validation(
    store: ImageStore, ids: Sequence[str], *, modalities: Sequence[str], recipe: Recipe
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Dice by region and its mean, pooled over evenly spaced tumour slices of the subjects; None without any."""
    index = store.slices(ids, where="tumour") if ids and recipe.validations else torch.zeros((0, 2))
    if not len(index):
        return None
    index = index[np.linspace(0, len(index) - 1, min(recipe.validation_slices, len(index))).round().astype(int)]
    images, labels = store.take_slices(index)
    rows, columns = (torch.nonzero((images != 0).any(dim=1).any(dim=0).any(dim=axis))[:, 0] for axis in (1, 0))
    window = (..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    images, truth = images[:, store.channels(modalities)][window], to_regions(labels[window])

    def validate(network: nn.Module) -> dict[str, float]:
        device = device_of(network)
        found = [from_classes(network(part.to(device)).argmax(dim=1)).cpu() for part in images.split(8)]
        masks = to_regions(torch.cat(found))
        both = (masks & truth.cpu()).flatten(1).sum(dim=1)
        total = masks.flatten(1).sum(dim=1) + truth.cpu().flatten(1).sum(dim=1)
        dice = 2 * both / total.clamp(min=1)
        regions = {f"dice_{name}": float(dice[k]) for k, name in enumerate(REGIONS)}
        return {"dice_mean": float(dice.mean()), **regions}

    return validate


# Prediction


def probabilities(
    networks: nn.Module | Sequence[nn.Module], store: ImageStore, subject: str, *, modalities: Sequence[str],
    precision: Precision = "auto",
) -> tuple[Tensor, tuple[slice, slice, slice]]:  # fmt: skip
    """Class probabilities ``(4, x, y, z)`` within the brain's box, and the box; of several networks, their mean."""
    box = brain_box(store, subject)
    image = store.subject(subject).images[(store.channels(modalities), *box)]
    return predict_slices(networks, image, precision=precision, batch_size=16), box


def segment(
    networks: nn.Module | Sequence[nn.Module], store: ImageStore, subject: str, *,
    modalities: Sequence[str] = PAPER_MODALITIES, precision: Precision = "auto",
) -> np.ndarray:  # fmt: skip
    """Labels ``(X, Y, Z)``, uint8 with 0, 1, 2, 4, on the store's grid; no tumour outside the brain."""
    found, box = probabilities(networks, store, subject, modalities=modalities, precision=precision)
    return labels_of(found, box, store, subject)


def labels_of(found: Tensor, box: tuple[slice, slice, slice], store: ImageStore, subject: str) -> np.ndarray:
    """The labels of :func:`probabilities`, on the store's grid."""
    inside = store.subject(subject).brain.cpu().numpy()
    labels = np.zeros(store.grid, dtype=np.uint8)
    labels[box] = from_classes(most_probable(found)).cpu().numpy()
    return np.where(inside, labels, 0).astype(np.uint8)


def most_probable(found: Tensor) -> Tensor:
    """The class with the highest of ``(K, ...)`` probabilities, int64; the lowest class where several are equal.

    torch's argmax over a first axis of four is twenty times slower on a CPU.
    """
    best, where = found[0].clone(), torch.zeros(found.shape[1:], dtype=torch.int64, device=found.device)
    for number in range(1, len(found)):
        higher = found[number] > best
        best = torch.where(higher, found[number], best)
        where[higher] = number
    return where


def dice_rows(predicted: np.ndarray, truth: np.ndarray, **about: Any) -> list[dict[str, Any]]:
    """Dice of each region, long; 1 where truth and prediction are both empty, as BraTS counts it."""
    rows = []
    for name, mask, other in zip(REGIONS, to_regions(predicted), to_regions(truth), strict=True):
        total = int(mask.sum() + other.sum())
        value = 2 * int((mask & other).sum()) / total if total else 1.0
        rows.append({**about, "group": name, "metric": "dice", "value": value})
    return rows
