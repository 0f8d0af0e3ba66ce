"""Synthesis of a missing modality as Islam 2020 does it: a conditional GAN on axial slices, objective (1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.store import ImageStore
from radlib.nn.baselines2d import UNet2d
from radlib.papers.islam2020.networks import EncoderDecoderDiscriminator, OctaveFCN, PatchDiscriminator
from radlib.stats.synthesis import synthesis_scores
from radlib.training.adversarial import Player, Trained, fit_adversarial
from radlib.training.inference import predict_slices
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.weights import load_weights, read_metadata, save_weights

Generator = Literal["fcn", "unet"]
Discriminator = Literal["encoder_decoder", "patch", "none"]

TITLES: dict[str, tuple[Generator, Discriminator]] = {
    "FCN cGAN (the paper's)": ("fcn", "encoder_decoder"),
    "FCN, PatchGAN": ("fcn", "patch"),
    "U-Net cGAN (pix2pix)": ("unet", "patch"),
    "FCN, L1 only": ("fcn", "none"),
}
"""What is compared: generator and discriminator by the name that the chapter shows."""


@dataclass(frozen=True, kw_only=True)
class SynthesisRecipe:
    """Everything about a synthesis training that is not data.

    Attributes:
        generator: ``fcn`` (octave, skip-scSE) or ``unet``.
        discriminator: ``encoder_decoder`` (a verdict a pixel), ``patch``, or ``none`` (distance loss alone).
        widths, ratio: of the generator. The U-Net has one level more, so that both have as many poolings.
        discriminator_widths: of the discriminator.
        noise_channels: of standard normal noise beside the input.
        distance_weight: lambda of objective (1); pix2pix's 100, where the paper gives none.
        saturating: the generator minimises ``log(1 - D)``, as objective (1) is written, and not ``-log D``, as pix2pix
            computes it.
        steps, batch_size, crop: length; ``crop`` is the edge of a random square, None takes whole slices.
        learning_rate, weight_decay: of Adam, for both players.
        schedule: of the learning rate.
        average: decay of the moving average of the generator's weights that is kept; None keeps the last weights.
        validations: how often the PSNR of held-out slices is measured.
        precision: of training and inference.
    """

    generator: Generator = "fcn"
    discriminator: Discriminator = "encoder_decoder"
    widths: tuple[int, ...] = (8, 16, 32)
    ratio: float = 0.5
    discriminator_widths: tuple[int, ...] = (8, 16, 32)
    noise_channels: int = 1
    distance_weight: float = 100.0
    saturating: bool = False
    steps: int = 600
    batch_size: int = 8
    crop: int | None = 40
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    schedule: Literal["constant", "cosine", "polynomial", "one_cycle", "step"] = "polynomial"
    average: float | None = 0.98
    validations: int = 10
    precision: Precision = "auto"


# Objective (1)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-E[log D(x, y)] - E[log(1 - D(x, G(x, z)))]``, from logits of any shape."""
    return functional.softplus(-real.float()).mean() + functional.softplus(fake.float()).mean()


def generator_loss(fake: Tensor, *, saturating: bool = False) -> Tensor:
    """``-E[log D(x, G(x, z))]``, or ``E[log(1 - D(x, G(x, z)))]`` where ``saturating``; from logits."""
    return -functional.softplus(fake.float()).mean() if saturating else functional.softplus(-fake.float()).mean()


def distance_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """L1: the mean absolute difference."""
    return (predicted.float() - truth.float()).abs().mean()


# Networks


class Synthesiser(nn.Module):
    """A generator with its output scaled to intensities: 0 to 1, and 0 outside the brain.

    Args:
        sources: the modalities that it is given, in this order; a missing one is all 0.
        recipe: kind and widths of the network.
    """

    def __init__(self, sources: Sequence[str], recipe: SynthesisRecipe) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.noise_channels = recipe.noise_channels
        channels = len(self.sources)
        if recipe.generator == "fcn":
            self.network: nn.Module = OctaveFCN(
                channels + recipe.noise_channels, 1, widths=recipe.widths, ratio=recipe.ratio
            )
        elif recipe.generator == "unet":
            widths = (*recipe.widths, 2 * recipe.widths[-1])
            self.network = UNet2d(channels + recipe.noise_channels, 1, widths=widths, norm="batch")
        else:
            raise RadlibError(f"unknown generator {recipe.generator!r}", remedy="use 'fcn' or 'unet'")

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)``, 0 to 1, to the synthetic ``(B, 1, H, W)``; noise comes from torch's generator."""
        noise = torch.randn_like(images[:, :1].expand(-1, self.noise_channels, -1, -1))
        brain = (images != 0).any(dim=1, keepdim=True)
        return torch.sigmoid(self.network(torch.cat([images, noise], dim=1)).float()) * brain


def build_discriminator(channels: int, recipe: SynthesisRecipe) -> nn.Module | None:
    """The discriminator over ``channels`` (sources and target), or None."""
    if recipe.discriminator == "none":
        return None
    kind = EncoderDecoderDiscriminator if recipe.discriminator == "encoder_decoder" else PatchDiscriminator
    return kind(channels, widths=recipe.discriminator_widths)


# Training


def train_synthesiser(
    store: ImageStore,
    *,
    target: str,
    sources: Sequence[Sequence[str]],
    train: Sequence[str],
    validate: Sequence[str],
    recipe: SynthesisRecipe,
    seed: int,
    name: str = "synthesis",
    folder: Path | None = None,
) -> tuple[Synthesiser, Trained]:
    """Train a generator of one modality.

    Args:
        store: images scaled to 0 to 1 (``normalise="minmax"``), with every modality of the training subjects.
        target: the modality to synthesise.
        sources: sets of available modalities. With one set the generator has these channels. With several it has all
            that occur, and each training slice is shown with one of the sets, the others being 0: one generator then
            fills in whatever a patient lacks.
        train, validate: subjects.
        recipe: everything else.
        seed: of weights, batches and noise.
        name: shown with the progress.
        folder: for checkpoints.

    Returns:
        The generator and its training, whose history has the PSNR (dB) of the validation slices.

    Raises:
        RadlibError: if the target is among the sources, or a training subject lacks a modality.
    """
    channels = _union(target, sources)
    lacking = [s for s, row in zip(train, store.rows(train), strict=True)
               if not store.present[row][store.channels([*channels, target])].all()]  # fmt: skip
    if lacking:
        raise RadlibError(
            f"training subject {lacking[0]!r} lacks one of {', '.join((*channels, target))}",
            remedy="train on subjects with every modality: cohort.complete(...)",
        )
    torch.manual_seed(named_seed(seed, name, "weights"))
    generator = Synthesiser(channels, recipe)
    discriminator = build_discriminator(len(channels) + 1, recipe)
    shown = torch.tensor([[modality in chosen for modality in channels] for chosen in sources], dtype=torch.float32)
    take, goal = store.channels(channels), store.channels([target])
    index = store.slices(train, where="brain")
    check = store.slices(validate, where="brain", per_subject=6)

    def batch(step: int, generator: np.random.Generator) -> dict[str, Tensor]:
        chosen = index[torch.from_numpy(epoch_batch(len(index), recipe.batch_size, step=step, seed=seed))]
        images, _ = store.take_slices(chosen)
        images = _cropped(images, recipe.crop, generator)
        hidden = shown[torch.from_numpy(generator.integers(len(shown), size=len(images)))].to(images.device)
        return {"x": images[:, take] * hidden[:, :, None, None], "y": images[:, goal]}

    def score(networks: Mapping[str, nn.Module]) -> dict[str, float]:
        images, _ = store.take_slices(check)
        device = next(networks["generator"].parameters()).device
        errors = []
        for part in images.split(32):
            whole = part.to(device)
            x = whole[:, take] * shown[0].to(device)[:, None, None]
            errors.append((networks["generator"](x) - whole[:, goal]).square().mean(dim=(1, 2, 3)))
        return {"psnr": float(-10 * torch.cat(errors).mean().log10())}

    networks: dict[str, nn.Module] = {"generator": generator}
    optimizer = OptimizerSettings(
        learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay, schedule=recipe.schedule
    )
    players = [Player(name="generator", trains=("generator",), loss=_generator_player(recipe), optimizer=optimizer)]
    if discriminator is not None:
        networks["discriminator"] = discriminator
        players.insert(0, Player(
            name="discriminator", trains=("discriminator",), loss=_discriminator_player, optimizer=optimizer
        ))  # fmt: skip
    trained = fit_adversarial(
        networks, players=players, batch=batch, seed=seed, name=name, folder=folder, validate=score,
        shared=lambda nets, data: {"fake": nets["generator"](data["x"])},
        loop=LoopSettings(
            steps=recipe.steps, log_every=max(1, recipe.steps // 50), precision=recipe.precision, ema=recipe.average,
            validate_every=max(1, recipe.steps // recipe.validations), checkpoint_every=max(50, recipe.steps // 10),
        ),
        identity={**asdict(recipe), "sources": str([tuple(s) for s in sources]), "target": target,
                  "train": ",".join(train)},
    )  # fmt: skip
    return generator, trained


def _discriminator_player(networks: Mapping[str, nn.Module], data: dict[str, Tensor], shared: dict[str, Any]) -> Tensor:
    judge = networks["discriminator"]
    real = judge(torch.cat([data["x"], data["y"]], dim=1))
    fake = judge(torch.cat([data["x"], shared["fake"].detach()], dim=1))
    return discriminator_loss(real, fake)


def _generator_player(recipe: SynthesisRecipe) -> Any:
    def loss(networks: Mapping[str, nn.Module], data: dict[str, Tensor], shared: dict[str, Any]) -> dict[str, Tensor]:
        distance = distance_loss(shared["fake"], data["y"])
        if "discriminator" not in networks:
            return {"loss": recipe.distance_weight * distance, "distance": distance}
        verdict = networks["discriminator"](torch.cat([data["x"], shared["fake"]], dim=1))
        adversarial = generator_loss(verdict, saturating=recipe.saturating)
        whole = adversarial + recipe.distance_weight * distance
        return {"loss": whole, "distance": distance, "adversarial": adversarial}

    return loss


def _cropped(images: Tensor, crop: int | None, generator: np.random.Generator) -> Tensor:
    """A random square of each slice, one place for the whole batch, inside the middle part where the brain is."""
    height, width = images.shape[-2:]
    if crop is None or (crop >= height and crop >= width):
        return images
    top, left = (int(generator.integers(max(1, length - crop + 1))) for length in (height, width))
    return images[..., top : top + crop, left : left + crop]


def _union(target: str, sources: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All modalities that occur among the sources, in the usual order."""
    if not sources or not all(sources):
        raise RadlibError("no source modality was given", remedy="say which modalities are available")
    named = {name for chosen in sources for name in chosen}
    if unknown := sorted((named | {target}) - set(MODALITIES)):
        raise RadlibError(f"unknown modality {unknown[0]!r}", remedy=f"use {', '.join(MODALITIES)}")
    if target in named:
        raise RadlibError(f"{target!r} is to be synthesised from itself", remedy="take it out of the sources")
    return tuple(name for name in MODALITIES if name in named)


# Use


def synthesise(
    generator: Synthesiser,
    store: ImageStore,
    subject: str,
    *,
    sources: Sequence[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
) -> np.ndarray:
    """The synthetic image of a subject, ``(X, Y, Z)``, 0 to 1, on the store's grid.

    Args:
        generator: trained.
        store: ``minmax`` images.
        subject: whose.
        sources: the modalities to use; those of the generator that the subject has where None.
        seed: of the noise.
        device, precision: where and how.

    Raises:
        RadlibError: if the subject has none of the generator's sources.
    """
    row = store.rows([subject])[0]
    names = generator.sources if sources is None else tuple(sources)
    used = [name for name in names if name in generator.sources and store.present[row, store.channels([name])[0]]]
    if not used:
        raise RadlibError(
            f"subject {subject!r} has none of {', '.join(generator.sources)}", remedy="take another generator"
        )
    image = store.images[row, store.channels(generator.sources)].clone()
    for channel, name in enumerate(generator.sources):
        if name not in used:
            image[channel] = 0
    torch.manual_seed(named_seed(seed, "synthesise", subject))
    out = predict_slices(generator, image, activation=None, device=device, precision=precision)
    return out[0].numpy()


def score_subjects(
    predict: Any, store: ImageStore, subjects: Sequence[str], *, target: str, **about: Any
) -> pd.DataFrame:
    """Scores of synthetic against true images: one row a subject, with the columns ``about`` added.

    Args:
        predict: ``predict(subject)`` gives the synthetic image ``(X, Y, Z)``.
        store: ``minmax`` images; PSNR is at a range of 1.
        subjects: who have the target.
        target: the modality.
    """
    goal = store.channels([target])[0]
    rows = []
    for subject in subjects:
        row = store.rows([subject])[0]
        truth, tumour = store.images[row, goal].numpy(), store.labels[row].numpy() > 0
        rows.append({
            "subject": subject, **about, **synthesis_scores(predict(subject), truth, tumour=tumour, data_range=1.0)
        })  # fmt: skip
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class LinearSynthesis:
    """The cheap rival: the target, voxel by voxel, as a linear function of intensities and their squares."""

    sources: tuple[str, ...]
    coefficients: np.ndarray

    @classmethod
    def fit(
        cls, store: ImageStore, *, target: str, sources: Sequence[str], train: Sequence[str], seed: int = 0
    ) -> LinearSynthesis:
        """Least squares over a sample of brain voxels of the training subjects."""
        rows = store.rows(train)
        take, goal = store.channels(sources), store.channels([target])[0]
        generator = np.random.default_rng(named_seed(seed, "linear synthesis"))
        xs, ys = [], []
        for row in rows:
            brain = np.flatnonzero((store.images[row] != 0).any(dim=0).numpy())
            chosen = generator.choice(brain, size=min(2000, len(brain)), replace=False)
            xs.append(store.images[row][take].flatten(1).numpy()[:, chosen].T)
            ys.append(store.images[row][goal].flatten().numpy()[chosen])
        solution = np.linalg.lstsq(_terms(np.concatenate(xs)), np.concatenate(ys), rcond=None)[0]
        return cls(tuple(sources), solution)

    def predict(self, store: ImageStore, subject: str) -> np.ndarray:
        """The synthetic image ``(X, Y, Z)``, 0 to 1, 0 outside the brain."""
        row = store.rows([subject])[0]
        images = store.images[row][store.channels(self.sources)].numpy()
        flat = _terms(images.reshape(len(images), -1).T) @ self.coefficients
        return np.where((images != 0).any(axis=0), flat.clip(0, 1).reshape(images.shape[1:]), 0)


def _terms(values: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(values)), values, values**2])


# Which directions a cohort needs


def missing_directions(cohort: Cohort, *, targets: Sequence[str] = MODALITIES) -> pd.DataFrame:
    """What has to be synthesised from what, and for how many subjects.

    Returns:
        One row a target and set of available modalities: ``target``, ``sources`` (a tuple), ``subjects``; the most
        frequent first. Subjects without any image cannot be helped.
    """
    has = cohort.participants[list(MODALITIES)].notna()
    rows: dict[tuple[str, tuple[str, ...]], int] = {}
    for _, row in has.iterrows():
        sources = tuple(name for name in MODALITIES if row[name])
        for target in targets:
            if sources and not row[target]:
                rows[target, sources] = rows.get((target, sources), 0) + 1
    table = pd.DataFrame(
        [{"target": target, "sources": sources, "subjects": n} for (target, sources), n in rows.items()],
        columns=["target", "sources", "subjects"],
    )
    return table.sort_values("subjects", ascending=False, kind="stable", ignore_index=True)


# Weights


def save_synthesiser(path: Path, generator: Synthesiser, *, target: str, recipe: SynthesisRecipe, **about: Any) -> None:
    """Write a generator with what is needed to build it again."""
    save_weights(
        path, generator,
        metadata={"target": target, "sources": list(generator.sources), "recipe": asdict(recipe), **about},
    )  # fmt: skip


def load_synthesiser(path: Path) -> tuple[Synthesiser, dict[str, Any]]:
    """Read what :func:`save_synthesiser` wrote: the generator in evaluation mode, and its header.

    Raises:
        RadlibError: if the file is absent, damaged, or holds something else.
    """
    header = read_metadata(path)
    try:
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in header["recipe"].items()}
        generator = Synthesiser(header["sources"], SynthesisRecipe(**settings))
    except (KeyError, TypeError, AttributeError) as error:
        raise RadlibError(f"these weights are no synthesiser's ({error})", file=path) from error
    load_weights(path, generator)
    return generator.eval(), header
