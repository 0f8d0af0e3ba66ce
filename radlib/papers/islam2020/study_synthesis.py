"""Synthesis of a missing modality as Islam 2020 does it: a conditional GAN on axial slices, objective (1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.nn.common import count_parameters
from radlib.nn.device import device_of
from radlib.papers.islam2020.losses import discriminator_loss, distance_loss, generator_loss
from radlib.papers.islam2020.networks import Synthesiser
from radlib.papers.islam2020.recipes import HeldOut, SynthesisRecipe, build_discriminator, build_generator, everyone
from radlib.stats.synthesis import synthesis_scores
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import Job, job
from radlib.study.store import Work
from radlib.training.inference import predict_slices
from radlib.training.loop import train as train_players
from radlib.training.players import Player, Trained
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision

Sources = tuple[str, ...]


@job
def generator(
    work: Work, *, images: Images, division: HeldOut, target: str, sources: Sources, recipe: SynthesisRecipe,
    seed: int = 0,
) -> None:  # fmt: skip
    """Train a generator of ``target`` from fixed sources; scores of the test subjects, a slice of the first kept."""
    split, store = _opened(images, division)
    name = f"{recipe.generator}, {recipe.discriminator}, seed {seed}"
    name += "" if recipe.norm == "none" else f", {recipe.norm}"
    net, trained = train_generator(
        store, target=target, sources=[sources], split=split, recipe=recipe, seed=seed, name=name, work=work
    )
    made = {subject: synthesise(net, store, subject, precision=recipe.precision) for subject in split.test}
    work.scores(score_rows(made, store, target=target))
    first = split.test[0]
    place = tumour_slice(store, first)
    work.arrays("slices", {first: made[first][..., place]}, keep=True)
    _keep(work, net, trained, recipe)


@job
def filler(
    work: Work, *, images: Images, division: HeldOut, target: str, lacking: Source, recipe: SynthesisRecipe,
    seed: int = 0,
) -> None:  # fmt: skip
    """Train the generator of ``target`` on every set of sources from which the cohort ``lacking`` needs it.

    Scores have the column ``arm``: the direction, such as ``t1ce_flair_to_t2``.
    """
    split, store = _opened(images, division)
    sets = needed_sources(lacking.open(), target)
    net, trained = train_generator(
        store, target=target, sources=sets, split=split, recipe=recipe, seed=seed, name=f"fill in {target}", work=work
    )
    work.scores(pd.concat([
        score_rows(
            {subject: synthesise(net, store, subject, sources=sources) for subject in split.test}, store, target=target
        ).assign(direction=slug(sources, target))
        for sources in sets
    ], ignore_index=True))  # fmt: skip
    _keep(work, net, trained, recipe)


@job
def linear(
    work: Work, *, images: Images, division: HeldOut, target: str, sources: Sources = (), lacking: Source | None = None
) -> None:
    """The cheap rival on fixed sources, or on every set from which ``lacking`` needs the target (``direction``)."""
    split, store = _opened(images, division)
    sets = [sources] if lacking is None else needed_sources(lacking.open(), target)
    parts = []
    for one in sets:
        model = LinearSynthesis.fit(store, target=target, sources=one, train=split.train)
        made = {subject: model.predict(store, subject) for subject in split.test}
        parts.append(score_rows(made, store, target=target).assign(direction=slug(one, target)))
    work.scores(pd.concat(parts, ignore_index=True))


def load_generator(one: Job) -> Synthesiser:
    """The trained generator of a job of :func:`generator` or :func:`filler`, in evaluation mode."""
    inputs = one.inputs
    sets = [inputs["sources"]] if "sources" in inputs else needed_sources(inputs["lacking"].open(), inputs["target"])
    net = build_generator(union(inputs["target"], sets), inputs["recipe"])
    one.result().load("generator", net)
    return net.eval()


def trained_on(one: Job) -> tuple[str, ...]:
    """The subjects that a generator has seen."""
    split: Split = one.inputs["division"].splits(one.inputs["images"].source.open())[0]
    return split.train


def _opened(images: Images, division: HeldOut) -> tuple[Split, ImageStore]:
    split = division.splits(images.source.open())[0]
    return split, images.open(tuple(sorted(everyone(split))))


def _keep(work: Work, net: Synthesiser, trained: Trained, recipe: SynthesisRecipe) -> None:
    work.history(trained.history)
    # The paper's method is used by other chapters.
    paper = (recipe.generator, recipe.discriminator, recipe.norm) == ("fcn", "encoder_decoder", "none")
    work.weights("generator", net, keep=paper)
    work.note(
        parameters=count_parameters(net), steps_per_second=trained.steps_per_second, peak_memory=trained.peak_memory
    )


def slug(sources: Sequence[str], target: str) -> str:
    """``t1ce_flair_to_t2``."""
    return f"{'_'.join(sources)}_to_{target}"


def tumour_slice(store: ImageStore, subject: str) -> int:
    """The axial position with most tumour."""
    return int((store.subject(subject).labels > 0).sum(dim=(0, 1)).argmax())


# Training


def train_generator(
    store: ImageStore, *, target: str, sources: Sequence[Sequence[str]], split: Split, recipe: SynthesisRecipe,
    seed: int, name: str = "synthesis", work: Work | None = None,
) -> tuple[Synthesiser, Trained]:  # fmt: skip
    """Train a generator of one modality.

    Args:
        store: images scaled to 0 to 1 (``normalise="minmax"``), with every modality of the training subjects.
        target: the modality to synthesise.
        sources: sets of available modalities. With one set the generator has these channels. With several it has all
            that occur, and each training slice is shown with one of the sets, the others being 0: one generator then
            fills in whatever a patient lacks.
        split: ``train``, and ``test`` for the PSNR (dB) of slices in the history, which decides nothing.
        recipe: everything else.
        seed: of weights, batches and noise.
        name: shown with the progress, and part of every seed.
        work: for checkpoints.

    Raises:
        RadlibError: if the target is among the sources, or a training subject lacks a modality.
    """
    channels = union(target, sources)
    lacking = [s for s, row in zip(split.train, store.rows(split.train), strict=True)
               if not store.present[row][store.channels([*channels, target])].all()]  # fmt: skip
    if lacking:
        raise RadlibError(
            f"training subject {lacking[0]!r} lacks one of {', '.join((*channels, target))}",
            remedy="train on subjects with every modality: cohort.complete(...)",
        )
    torch.manual_seed(named_seed(seed, name, "weights"))
    net = build_generator(channels, recipe)
    discriminator = build_discriminator(len(channels) + 1, recipe)
    shown = torch.tensor([[modality in chosen for modality in channels] for chosen in sources], dtype=torch.float32)
    take, goal = store.channels(channels), store.channels([target])
    index = store.slices(split.train, where="brain")
    check = store.slices(split.test, where="brain", per_subject=6)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        chosen = index[torch.from_numpy(epoch_batch(len(index), recipe.batch_size, step=step, seed=seed))]
        images, _ = store.take_slices(chosen)
        images = _cropped(images, recipe.crop, random)
        hidden = shown[torch.from_numpy(random.integers(len(shown), size=len(images)))].to(images.device)
        return {"x": images[:, take] * hidden[:, :, None, None], "y": images[:, goal]}

    def score(networks: Mapping[str, nn.Module]) -> dict[str, float]:
        images, _ = store.take_slices(check)
        device = device_of(networks["generator"])
        errors = []
        for part in images.split(32):
            whole = part.to(device)
            x = whole[:, take] * shown[0].to(device)[:, None, None]
            errors.append((networks["generator"](x) - whole[:, goal]).square().mean(dim=(1, 2, 3)))
        return {"psnr": float(-10 * torch.cat(errors).mean().log10())}

    networks: dict[str, nn.Module] = {"generator": net}
    optimizer = OptimizerSettings(
        learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay, schedule=recipe.schedule
    )
    players = [Player(name="generator", trains=("generator",), loss=_generator_player(recipe), optimizer=optimizer)]
    if discriminator is not None:
        networks["discriminator"] = discriminator
        players.insert(0, Player(
            name="discriminator", trains=("discriminator",), loss=_discriminator_player, optimizer=optimizer
        ))  # fmt: skip
    trained = train_players(
        networks, players=players, batch=batch, seed=seed, name=name, validate=score,
        folder=None if work is None else work.checkpoints(),
        shared=lambda nets, data: {"fake": nets["generator"](data["x"])},
        loop=LoopSettings(
            steps=recipe.steps, log_every=max(1, recipe.steps // 50), precision=recipe.precision, ema=recipe.average,
            validate_every=max(1, recipe.steps // recipe.validations), checkpoint_every=max(50, recipe.steps // 10),
        ),
    )  # fmt: skip
    return net, trained


def _discriminator_player(networks: Mapping[str, nn.Module], data: dict[str, Tensor], shared: dict[str, Any]) -> Tensor:
    judge = networks["discriminator"]
    real = judge(torch.cat([data["x"], data["y"]], dim=1))
    fake = judge(torch.cat([data["x"], shared["fake"].detach()], dim=1))
    return discriminator_loss(real, fake)


def _generator_player(recipe: SynthesisRecipe) -> Callable[..., dict[str, Tensor]]:
    def loss(networks: Mapping[str, nn.Module], data: dict[str, Tensor], shared: dict[str, Any]) -> dict[str, Tensor]:
        distance = distance_loss(shared["fake"], data["y"])
        if "discriminator" not in networks:
            return {"loss": recipe.distance_weight * distance, "distance": distance}
        verdict = networks["discriminator"](torch.cat([data["x"], shared["fake"]], dim=1))
        adversarial = generator_loss(verdict, saturating=recipe.saturating)
        whole = adversarial + recipe.distance_weight * distance
        return {"loss": whole, "distance": distance, "adversarial": adversarial}

    return loss


def _cropped(images: Tensor, crop: int, random: np.random.Generator) -> Tensor:
    """A random square of each slice, one place for the whole batch; whole slices where ``crop`` is 0."""
    height, width = images.shape[-2:]
    if not crop or (crop >= height and crop >= width):
        return images
    top, left = (int(random.integers(max(1, length - crop + 1))) for length in (height, width))
    return images[..., top : top + crop, left : left + crop]


def union(target: str, sources: Sequence[Sequence[str]]) -> Sources:
    """All modalities that occur among the sources, in the usual order.

    Raises:
        RadlibError: without a source, for an unknown modality, or the target among the sources.
    """
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
    net: Synthesiser, store: ImageStore, subject: str, *, sources: Sequence[str] | None = None, seed: int = 0,
    device: str = "auto", precision: Precision = "auto",
) -> np.ndarray:  # fmt: skip
    """The synthetic image of a subject, ``(X, Y, Z)``, 0 to 1, on the store's grid.

    Args:
        net: trained.
        store: ``minmax`` images.
        subject: whose.
        sources: the modalities to use; those of the generator that the subject has where None.
        seed: of the noise.
        device, precision: where and how.

    Raises:
        RadlibError: if the subject has none of the generator's sources.
    """
    one = store.subject(subject)
    names = net.sources if sources is None else tuple(sources)
    used = [name for name in names if name in net.sources and store.present[one.row, store.channels([name])[0]]]
    if not used:
        raise RadlibError(f"subject {subject!r} has none of {', '.join(net.sources)}", remedy="take another generator")
    image = one.take(net.sources).clone()
    for channel, name in enumerate(net.sources):
        if name not in used:
            image[channel] = 0
    torch.manual_seed(named_seed(seed, "synthesise", subject))
    return predict_slices(net, image, activation=None, device=device, precision=precision)[0].numpy()


def score_rows(made: Mapping[str, np.ndarray], store: ImageStore, *, target: str) -> pd.DataFrame:
    """Scores of synthetic images ``(X, Y, Z)`` against the true ones, by subject: ``subject, group, metric, value``.

    ``psnr`` (dB, at a range of 1) has the groups ``image``, ``brain`` and ``tumour``, ``ssim`` is of the image and
    ``mae`` of the brain.
    """
    rows = []
    for subject, image in made.items():
        one = store.subject(subject)
        found = synthesis_scores(
            image, one.image(target).cpu().numpy(), tumour=one.labels.cpu().numpy() > 0, data_range=1.0
        )
        for name, value in found.items():
            metric, _, group = name.partition("_")
            rows.append({"subject": subject, "group": group or "image", "metric": metric, "value": value})
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class LinearSynthesis:
    """The cheap rival: the target, voxel by voxel, as a linear function of intensities and their squares."""

    sources: Sources
    coefficients: np.ndarray

    @classmethod
    def fit(
        cls, store: ImageStore, *, target: str, sources: Sequence[str], train: Sequence[str], seed: int = 0
    ) -> LinearSynthesis:
        """Least squares over a sample of brain voxels of the training subjects."""
        random = np.random.default_rng(named_seed(seed, "linear synthesis"))
        xs, ys = [], []
        for subject in train:
            one = store.subject(subject)
            brain = np.flatnonzero(one.brain.cpu().numpy())
            chosen = random.choice(brain, size=min(2000, len(brain)), replace=False)
            xs.append(one.take(sources).flatten(1).cpu().numpy()[:, chosen].T)
            ys.append(one.image(target).flatten().cpu().numpy()[chosen])
        solution = np.linalg.lstsq(_terms(np.concatenate(xs)), np.concatenate(ys), rcond=None)[0]
        return cls(tuple(sources), solution)

    def predict(self, store: ImageStore, subject: str) -> np.ndarray:
        """The synthetic image ``(X, Y, Z)``, 0 to 1, 0 outside the brain."""
        images = store.subject(subject).take(self.sources).cpu().numpy()
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
    rows: dict[tuple[str, Sources], int] = {}
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


def needed_sources(cohort: Cohort, target: str) -> list[Sources]:
    """The sets of available modalities from which a cohort needs ``target``, the most frequent first.

    Where no subject lacks it: the three other modalities together.
    """
    table = missing_directions(cohort, targets=[target])
    sets: list[Sources] = [tuple(value) for value in table["sources"]]
    return sets or [tuple(name for name in MODALITIES if name != target)]
