"""The pairwise GAN of Ge 2020: Eqs. (1) to (4), Algorithm 1, and the synthetic slices it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES
from radlib.papers.ge2020.cases import PAIRS, Translated
from radlib.papers.ge2020.data import BACKGROUND, SLICES, SliceSet
from radlib.papers.ge2020.networks import PAPER_DISCRIMINATOR, PAPER_GENERATOR, PairGenerator, PatchDiscriminator
from radlib.training.adversarial import Player, Trained, fit_adversarial
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.weights import load_weights, save_weights

Objective = Literal["corrected", "printed"]


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
    objective: Objective = "corrected"
    precision: Precision = "auto"


# Eqs. (1) to (4)


def judge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Eqs. (1) and (2): ``E|D(x) - 1|^2 + E|D(G(x))|^2``, means over patches, from the discriminator's outputs."""
    return (real.float() - 1).square().mean() + fake.float().square().mean()


def deceive_loss(fake: Tensor) -> Tensor:
    """What a generator can do about Eqs. (1) and (2): ``E|D(G(x)) - 1|^2``, so that D takes its images for real."""
    return (fake.float() - 1).square().mean()


def weighted_l1(made: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """One half of Eq. (4): ``|M (G(x) - y)|``, the mean over pixels."""
    return (weight * (made.float() - real.float())).abs().mean()


def weights_of(masks: Tensor, *, masked: bool) -> Tensor:
    """The mask of Eq. (4): 1 in the tumour, 1/3 outside; 1 everywhere without masks."""
    return torch.where(masks, 1.0, BACKGROUND) if masked else torch.ones(masks.shape)


# Algorithm 1


def train_pair(
    slices: SliceSet,
    ids: Sequence[str],
    pair: tuple[int, int],
    *,
    recipe: GanRecipe,
    seed: int,
    name: str = "pairwise GAN",
    folder: Path | None = None,
) -> tuple[dict[tuple[int, int], PairGenerator], Trained]:
    """Train one pairwise GAN by Algorithm 1.

    A step makes both fake images, updates both generators together by Eq. (3) (steps 4 and 5 of the algorithm), then
    one discriminator by Eq. (1) (6 and 7), then the other by Eq. (2) (8 and 9). Discriminators see the fakes of before
    the generators' update, as written.

    Args:
        slices: of all patients.
        ids: training patients. Those who lack one of the two modalities are left out.
        pair: two channels ``(m, n)``.
        recipe: sizes and hyper-parameters.
        seed: of weights and batches.
        name: shown with the progress; every pair has seeds of its own.
        folder: for checkpoints.

    Returns:
        The generators by direction, and the training, whose history has ``generators.l1`` (unweighted, both
        directions), ``generators.deceive``, ``discriminator_n.loss`` and ``discriminator_m.loss``.

    Raises:
        RadlibError: if no training patient has both modalities.
    """
    m, n = pair
    rows = torch.tensor([row for row in slices.rows(ids) if slices.present[row, [m, n]].all()])
    if not len(rows):
        raise RadlibError(
            f"no training patient has {MODALITIES[m]} and {MODALITIES[n]}", remedy="leave this pair of modalities out"
        )
    title = f"{name}, {MODALITIES[m]} and {MODALITIES[n]}"
    torch.manual_seed(named_seed(seed, title, "weights"))
    networks: dict[str, nn.Module] = {
        "generator_m": PairGenerator(recipe.generator), "generator_n": PairGenerator(recipe.generator),
        "discriminator_m": PatchDiscriminator(recipe.discriminator),
        "discriminator_n": PatchDiscriminator(recipe.discriminator),
    }  # fmt: skip
    pool, masks = slices.images[rows][:, :, [m, n]].flatten(0, 1), slices.masks[rows].flatten(0, 1)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        chosen = torch.from_numpy(epoch_batch(len(pool), recipe.batch_size, step=step, seed=named_seed(seed, title)))
        images = 2 * pool[chosen] - 1
        weight = weights_of(masks[chosen], masked=recipe.masked)[:, None]
        return {"m": images[:, :1], "n": images[:, 1:], "weight": weight}

    def shared(nets: Mapping[str, nn.Module], data: dict[str, Tensor]) -> dict[str, Any]:
        return {"n": nets["generator_m"](data["m"]), "m": nets["generator_n"](data["n"])}

    def generators(nets: Mapping[str, nn.Module], data: dict[str, Tensor], fake: dict[str, Any]) -> dict[str, Tensor]:
        d_n, d_m = nets["discriminator_n"], nets["discriminator_m"]
        deceive = deceive_loss(d_n(fake["n"])) + deceive_loss(d_m(fake["m"]))
        l1 = weighted_l1(fake["n"], data["n"], data["weight"]) + weighted_l1(fake["m"], data["m"], data["weight"])
        plain = ((fake["n"] - data["n"]).abs().mean() + (fake["m"] - data["m"]).abs().mean()).detach() / 2
        if recipe.objective == "printed":
            whole = judge_loss(d_n(data["n"]), d_n(fake["n"])) + judge_loss(d_m(data["m"]), d_m(fake["m"]))
            return {"loss": -(whole + recipe.l1_weight * l1), "l1": plain, "deceive": deceive}
        return {"loss": deceive + recipe.l1_weight * l1, "l1": plain, "deceive": deceive}

    def judge(k: str) -> Any:
        def loss(nets: Mapping[str, nn.Module], data: dict[str, Tensor], fake: dict[str, Any]) -> Tensor:
            network = nets[f"discriminator_{k}"]
            return judge_loss(network(data[k]), network(fake[k].detach()))

        return loss

    optimizer = OptimizerSettings(learning_rate=recipe.learning_rate, betas=(recipe.first_decay, 0.999))
    players = [Player(name="generators", trains=("generator_m", "generator_n"), loss=generators, optimizer=optimizer)]
    players += [
        Player(name=f"discriminator_{k}", trains=(f"discriminator_{k}",), loss=judge(k), optimizer=optimizer)
        for k in ("n", "m")
    ]
    trained = fit_adversarial(
        networks, players=players, batch=batch, shared=shared, seed=named_seed(seed, title), name=title,
        loop=LoopSettings(steps=recipe.steps, log_every=max(1, recipe.steps // 50), precision=recipe.precision,
                          checkpoint_every=1000 if folder is not None else None),
        folder=folder, identity={"patients": len(rows), "masked": recipe.masked, "objective": recipe.objective},
    )  # fmt: skip
    made = {(m, n): trained.networks["generator_m"], (n, m): trained.networks["generator_n"]}
    return made, trained  # type: ignore[return-value]


Generators = dict[tuple[int, int], PairGenerator]


def train_all(
    slices: SliceSet,
    ids: Sequence[str],
    *,
    recipe: GanRecipe,
    seed: int,
    name: str,
    folder: Path | None = None,
    pairs: Sequence[tuple[int, int]] = PAIRS,
) -> tuple[Generators, dict[str, Trained]]:
    """The six pairwise GANs of one training set: generators by direction, and each training by its pair's name."""
    generators: Generators = {}
    trainings: dict[str, Trained] = {}
    for pair in pairs:
        title = " and ".join(MODALITIES[channel] for channel in pair)
        where = None if folder is None else folder / f"{MODALITIES[pair[0]]}_{MODALITIES[pair[1]]}"
        made, trained = train_pair(slices, ids, pair, recipe=recipe, seed=seed, name=name, folder=where)
        generators |= made
        trainings[title] = trained
    return generators, trainings


def translate(generators: Generators, slices: SliceSet, ids: Sequence[str], *, batch_size: int = 64) -> Translated:
    """Every translation of patients' slices, in [0, 1]. Of a modality that a patient lacks it means nothing."""
    rows = slices.rows(ids)
    images = {}
    for (source, target), network in generators.items():
        device = next(network.parameters()).device
        network.eval()
        flat = slices.images[rows][:, :, source].flatten(0, 1)[:, None]
        with torch.no_grad():
            parts = [network(2 * part.to(device) - 1).float().cpu() for part in flat.split(batch_size)]
        images[source, target] = ((torch.cat(parts) + 1) / 2).view(len(rows), SLICES, *flat.shape[-2:])
    return Translated(ids=tuple(ids), images=images)


def save_generators(folder: Path, generators: Generators, *, note: Mapping[str, Any]) -> None:
    """Write the generators' weights, one file a direction, with ``note`` in the header."""
    for (source, target), network in generators.items():
        header = {"widths": list(network.widths), "from": MODALITIES[source], "to": MODALITIES[target], **note}
        save_weights(folder / f"{MODALITIES[source]}_to_{MODALITIES[target]}.safetensors", network, metadata=header)


def load_generators(folder: Path, *, widths: Sequence[int]) -> Generators:
    """Read what :func:`save_generators` wrote.

    Raises:
        RadlibError: if a file is not there or has another architecture.
    """
    generators: Generators = {}
    for m, n in PAIRS:
        for source, target in ((m, n), (n, m)):
            network = PairGenerator(widths)
            load_weights(folder / f"{MODALITIES[source]}_to_{MODALITIES[target]}.safetensors", network)
            generators[source, target] = network.eval()
    return generators
