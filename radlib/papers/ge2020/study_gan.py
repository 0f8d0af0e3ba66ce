"""The chapter on the pairwise GAN: Algorithm 1, and the jobs that train it and measure what it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES
from radlib.nn.device import device_of
from radlib.papers.ge2020 import quality
from radlib.papers.ge2020.cases import Translated, pairs
from radlib.papers.ge2020.data import SLICES, Partition, Patients
from radlib.papers.ge2020.losses import deceive_loss, discriminator_loss, mask_weights, weighted_l1
from radlib.papers.ge2020.networks import (
    PAPER_AUTOENCODER,
    PAPER_DISCRIMINATOR,
    PAPER_GENERATOR,
    PairGenerator,
    PatchDiscriminator,
    SliceAutoencoder,
)
from radlib.study.jobs import Job, job
from radlib.study.store import Work
from radlib.training.loop import train
from radlib.training.players import Player, Trained
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import fit

Generators = Mapping[tuple[int, int], PairGenerator]

VALIDATIONS = 8
"""How often a training is measured on validation patients."""


@dataclass(frozen=True, kw_only=True)
class GanRecipe:
    """Sizes and hyper-parameters of a pairwise GAN.

    Attributes:
        generator, discriminator: filters (Figure 3).
        steps: updates of every player; the paper has 1000 epochs.
        batch_size: slices; not given.
        learning_rate: of Adam; published: 0.0002.
        first_decay: of Adam's mean of gradients; 0.5 is customary for GANs, the paper gives none.
        l1_weight: lambda_1 of Eq. (3), with the mean over pixels in place of their sum; not given.
        masked: whether the tumour counts three times as much as the rest in Eq. (4).
        objective: ``corrected``, or ``printed``: Eq. (5) word for word, by which the generators ascend Eq. (3).
        precision: of the training.
    """

    generator: tuple[int, ...] = PAPER_GENERATOR
    discriminator: tuple[int, ...] = PAPER_DISCRIMINATOR
    steps: int = 37_000
    batch_size: int = 16
    learning_rate: float = 2e-4
    first_decay: float = 0.5
    l1_weight: float = 100.0
    masked: bool = True
    objective: Literal["corrected", "printed"] = "corrected"
    precision: Precision = "auto"


# Algorithm 1


def train_pair(
    patients: Patients, ids: Sequence[str], pair: tuple[int, int], *, recipe: GanRecipe, seed: int,
    validation: Sequence[str] = (), name: str = "pairwise GAN", folder: Path | None = None,
) -> tuple[dict[tuple[int, int], PairGenerator], Trained]:  # fmt: skip
    """Train one pairwise GAN by Algorithm 1.

    A step makes both fake images, updates both generators together by Eq. (3) (steps 4 and 5 of the algorithm), then
    one discriminator by Eq. (1) (6 and 7), then the other by Eq. (2) (8 and 9). Discriminators see the fakes of before
    the generators' update, as written.

    Args:
        patients: all of them.
        ids: training patients. Those who lack one of the two modalities are left out.
        pair: two channels ``(m, n)``.
        recipe: sizes and hyper-parameters.
        seed: of weights and batches; every pair has seeds of its own.
        validation: patients on whom the curve is measured; they decide nothing.
        name: shown with the progress.
        folder: for checkpoints.

    Returns:
        The generators by direction, and the training, whose history has ``generators.l1`` (unweighted, both
        directions), ``generators.deceive``, ``discriminator_n.loss`` and ``discriminator_m.loss``, and of validation
        patients ``psnr`` and ``psnr_tumour`` (dB, the mean of both directions).

    Raises:
        RadlibError: if no training patient has both modalities.
    """
    m, n = pair
    names = patients.modalities[m], patients.modalities[n]
    rows, seen = (
        torch.tensor([row for row in patients.rows(some) if patients.present[row, [m, n]].all()], dtype=torch.long)
        for some in (ids, validation)
    )
    if not len(rows):
        raise RadlibError(
            f"no training patient has {names[0]} and {names[1]}", remedy="leave this pair of modalities out"
        )
    title = f"{name}, {names[0]} and {names[1]}"
    torch.manual_seed(named_seed(seed, title, "weights"))
    networks: dict[str, nn.Module] = {
        "generator_m": PairGenerator(recipe.generator), "generator_n": PairGenerator(recipe.generator),
        "discriminator_m": PatchDiscriminator(recipe.discriminator),
        "discriminator_n": PatchDiscriminator(recipe.discriminator),
    }  # fmt: skip
    pool, masks = patients.images[rows][:, :, [m, n]].flatten(0, 1), patients.masks[rows].flatten(0, 1)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        chosen = torch.from_numpy(epoch_batch(len(pool), recipe.batch_size, step=step, seed=named_seed(seed, title)))
        images = 2 * pool[chosen] - 1
        weight = mask_weights(masks[chosen], masked=recipe.masked)[:, None]
        return {"m": images[:, :1], "n": images[:, 1:], "weight": weight}

    def shared(nets: Mapping[str, nn.Module], data: dict[str, Tensor]) -> dict[str, Any]:
        return {"n": nets["generator_m"](data["m"]), "m": nets["generator_n"](data["n"])}

    def generators(nets: Mapping[str, nn.Module], data: dict[str, Tensor], fake: dict[str, Any]) -> dict[str, Tensor]:
        d_n, d_m = nets["discriminator_n"], nets["discriminator_m"]
        deceive = deceive_loss(d_n(fake["n"])) + deceive_loss(d_m(fake["m"]))
        l1 = weighted_l1(fake["n"], data["n"], data["weight"]) + weighted_l1(fake["m"], data["m"], data["weight"])
        plain = ((fake["n"] - data["n"]).abs().mean() + (fake["m"] - data["m"]).abs().mean()).detach() / 2
        if recipe.objective == "printed":
            whole = discriminator_loss(d_n(data["n"]), d_n(fake["n"])) + discriminator_loss(
                d_m(data["m"]), d_m(fake["m"])
            )
            return {"loss": -(whole + recipe.l1_weight * l1), "l1": plain, "deceive": deceive}
        return {"loss": deceive + recipe.l1_weight * l1, "l1": plain, "deceive": deceive}

    def discriminator(k: str) -> Callable[[Mapping[str, nn.Module], dict[str, Tensor], dict[str, Any]], Tensor]:
        def loss(nets: Mapping[str, nn.Module], data: dict[str, Tensor], fake: dict[str, Any]) -> Tensor:
            network = nets[f"discriminator_{k}"]
            return discriminator_loss(network(data[k]), network(fake[k].detach()))

        return loss

    def validate(nets: Mapping[str, nn.Module]) -> dict[str, float]:
        made = translate(both_ways(pair, nets), patients, validation)
        scores = quality.psnr_scores(patients, made).query("group != @quality.MEDIAN")
        return {str(metric): float(value) for metric, value in scores.groupby("metric")["value"].mean().items()}

    optimizer = OptimizerSettings(learning_rate=recipe.learning_rate, betas=(recipe.first_decay, 0.999))
    players = [Player(name="generators", trains=("generator_m", "generator_n"), loss=generators, optimizer=optimizer)]
    players += [
        Player(name=f"discriminator_{k}", trains=(f"discriminator_{k}",), loss=discriminator(k), optimizer=optimizer)
        for k in ("n", "m")
    ]
    trained = train(
        networks, players=players, batch=batch, shared=shared, seed=named_seed(seed, title), name=title, folder=folder,
        validate=validate if len(seen) else None,
        loop=LoopSettings(steps=recipe.steps, log_every=max(1, recipe.steps // 50), precision=recipe.precision,
                          validate_every=max(1, recipe.steps // VALIDATIONS) if len(seen) else None,
                          checkpoint_every=1000 if folder is not None else None),
    )  # fmt: skip
    return both_ways(pair, trained.networks), trained


def both_ways(pair: tuple[int, int], networks: Mapping[str, nn.Module]) -> dict[tuple[int, int], PairGenerator]:
    """The generators of a pair ``(m, n)`` by direction."""
    m, n = pair
    return {(m, n): networks["generator_m"], (n, m): networks["generator_n"]}  # type: ignore[dict-item]


def translate(generators: Generators, patients: Patients, ids: Sequence[str], *, batch_size: int = 64) -> Translated:
    """Every translation of patients' slices, in [0, 1]. Of a modality that a patient lacks it means nothing."""
    rows = patients.rows(ids)
    images = {}
    for (source, target), network in generators.items():
        network.eval()
        flat = patients.images[rows][:, :, source].flatten(0, 1)[:, None]
        with torch.no_grad():
            parts = [network(2 * part.to(device_of(network)) - 1).float().cpu() for part in flat.split(batch_size)]
        images[source, target] = ((torch.cat(parts) + 1) / 2).view(len(rows), SLICES, *flat.shape[-2:])
    return Translated(ids=tuple(ids), images=images)


# Jobs


@job
def pairwise_gan(
    work: Work, *, partition: Partition, pair: tuple[int, int], recipe: GanRecipe, taken: bool, seed: int
) -> None:
    """One pairwise GAN of a run: the generators of both directions.

    Args:
        work: keeps the generators of the first run, with mask, for pictures and samples.
        partition: its training patients are learnt from.
        pair: two channels.
        recipe: sizes and hyper-parameters.
        taken: whether the scans that S3 takes from training patients are hidden.
        seed: of weights and batches.
    """
    patients, split = partition.slices.open(), partition.split()
    if taken:
        patients = patients.without(partition.missing())
    made, trained = train_pair(
        patients, split.train, pair, recipe=recipe, seed=seed, validation=split.validation, folder=work.checkpoints()
    )
    names = patients.modalities
    for direction, network in made.items():
        work.weights(direction_name(direction, names), network, keep=partition.run == 1 and recipe.masked)
    work.history(trained.history.assign(pair=direction_name(pair, names)))
    work.note(
        steps_per_second=trained.steps_per_second, data_share=trained.data_share, peak_memory=trained.peak_memory,
        collapsed=quality.collapsed(translate(made, patients, split.train), names),
    )  # fmt: skip


def direction_name(direction: tuple[int, int], modalities: Sequence[str] = MODALITIES) -> str:
    """``t1_to_flair``."""
    return "_to_".join(modalities[channel] for channel in direction)


def load_generators(gans: Sequence[Job]) -> Generators:
    """The generators of :func:`pairwise_gan` jobs by direction."""
    generators = {}
    for gan in gans:
        m, n = gan.inputs["pair"]
        names = gan.inputs["partition"].slices.modalities
        for direction in ((m, n), (n, m)):
            network = PairGenerator(gan.inputs["recipe"].generator)
            gan.result().load(direction_name(direction, names), network)
            generators[direction] = network.eval()
    return generators


@job
def slice_autoencoder(work: Work, *, partition: Partition, widths: tuple[int, ...] = PAPER_AUTOENCODER, steps: int,
                      batch_size: int = 16, learning_rate: float = 1e-3, seed: int) -> None:  # fmt: skip
    """The autoencoder behind DAEF, trained to reconstruct real slices of the training patients (squared error).

    Notes DAEF between two random halves of the test patients, ``halves`` by region.
    """
    patients, split, name = partition.slices.open(), partition.split(), "autoencoder"
    torch.manual_seed(named_seed(seed, name, "weights"))
    pool = patients.images[patients.rows(split.train)].flatten(0, 1)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        chosen = torch.from_numpy(epoch_batch(len(pool), batch_size, step=step, seed=seed))
        return {"images": 2 * pool[chosen] - 1}

    network = SliceAutoencoder(widths, channels=pool.shape[1])
    fitted = fit(
        network, batch=batch, loss=lambda net, data: functional.mse_loss(net(data["images"]).float(), data["images"]),
        optimizer=OptimizerSettings(learning_rate=learning_rate), seed=named_seed(seed, name), name=name,
        loop=LoopSettings(steps=steps, log_every=max(1, steps // 25), checkpoint_every=1000),
        folder=work.checkpoints(),
    )  # fmt: skip
    work.history(fitted.history)
    work.weights("network", network)
    work.note(halves={
        region: quality.daef_of_halves(network, patients, split.test, region=region, seed=seed)
        for region in quality.REGIONS
    })  # fmt: skip


@job
def synthesis(work: Work, *, partition: Partition, gans: tuple[Job, ...], coder: Job) -> None:
    """What the (six) GANs of a run make of its training and its test patients.

    Scores: :func:`~radlib.papers.ge2020.quality.psnr_scores` with ``patients`` (``training``, ``held_out``). Table
    ``latents``: by ``patients``, ``region`` and ``subject``, the mean latent vector of the real minus that of the fake.
    """
    patients, split, generators = partition.slices.open(), partition.split(), load_generators(gans)
    network = SliceAutoencoder(coder.inputs["widths"], channels=len(patients.modalities))
    coder.result().load("network", network)
    scores, latents = [], []
    for name, ids in (("training", split.train), ("held_out", split.test)):
        made = translate(generators, patients, ids)
        scores.append(quality.psnr_scores(patients, made).assign(patients=name))
        for region in quality.REGIONS:
            gaps = quality.latent_gaps(network.eval(), patients, made, region=region)
            latents.append(gaps.assign(patients=name, region=region))
    work.scores(pd.concat(scores))
    work.table("latents", pd.concat(latents))


@job
def plain_translation(work: Work, *, partition: Partition, rule: Literal["copy", "line"]) -> None:
    """What needs no network: the other modality as it is, or a straight line in its intensity, on test patients."""
    patients, split = partition.slices.open(), partition.split()
    if rule == "copy":
        made = quality.copied(patients, split.test)
    else:
        made = quality.fitted_lines(patients, split.train, split.test)
    work.scores(quality.psnr_scores(patients, made).assign(patients="held_out"))


def gan_jobs(partition: Partition, recipe: GanRecipe, *, gan_per_case: bool = False) -> dict[str, tuple[Job, ...]]:
    """The (six) GANs of a run for the cases ``a`` and ``b``, as both chapters ask for them.

    Args:
        partition: of the run.
        recipe: sizes and hyper-parameters.
        gan_per_case: whether case B has GANs of its own. If not, those of both cases are trained on what S3 leaves, so
            that no synthetic scan stands in for one that its network has seen.
    """

    def six(name: str, *, taken: bool) -> tuple[Job, ...]:
        seed = named_seed(partition.seed, name, partition.run)
        return tuple(
            pairwise_gan(partition=partition, pair=pair, recipe=recipe, taken=taken, seed=seed)
            for pair in pairs(len(partition.slices.modalities))
        )

    shared = six("gan", taken=not gan_per_case)
    return {"a": shared, "b": six("gan B", taken=True) if gan_per_case else shared}
