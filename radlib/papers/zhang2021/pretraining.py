"""Three ways to pre-train the branches: feature transition, self-reconstruction, 2D segmentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.seeds import named_seed, rng
from radlib.data.store import ImageStore
from radlib.nn.device import device_of
from radlib.papers.zhang2021.data import Groups, PatchSampler, Recipe
from radlib.papers.zhang2021.losses import cycle_loss, discriminator_loss, generator_loss
from radlib.papers.zhang2021.networks import UNet, build_transition, inflate, transfer
from radlib.papers.zhang2021.shapes import SHAPES, VOC_CLASSES, VOID, Voc, draw_shapes
from radlib.training.inference import brain_box, predict_volume
from radlib.training.loop import train as train_players
from radlib.training.players import Player, Trained
from radlib.training.supervised import fit

Nets = Mapping[str, nn.Module]
Starts = dict[str, nn.Module]
"""U-Nets whose weights a branch may start from, by :func:`name_of` its group."""


def name_of(group: Sequence[str]) -> str:
    """``t1-t1ce``: what the weights for a branch are called."""
    return "-".join(group)


def train_transition(
    store: ImageStore, train: Sequence[str], *, tuning: Sequence[str] = (), groups: Groups, recipe: Recipe, seed: int,
    folder: Path | None = None,
) -> tuple[Trained, Starts]:  # fmt: skip
    """Objective (6) without any label: two generators, two discriminators, on cubes of A and of B that are no pairs.

    Args:
        store: the images.
        train: subjects.
        tuning: subjects on whom cycle consistency is tried; they decide nothing.
        groups: the modalities of A and of B.
        recipe: sizes and length.
        seed: of everything random.
        folder: for checkpoints.
    """
    torch.manual_seed(named_seed(seed, "transition", *groups))
    networks = build_transition(groups, recipe)
    first, second = groups
    sampler_a = PatchSampler.of(store, train, modalities=first, recipe=recipe, seed=named_seed(seed, "a") % 2**31)
    sampler_b = PatchSampler.of(store, train, modalities=second, recipe=recipe, seed=named_seed(seed, "b") % 2**31)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        return {"a": sampler_a.draw(step, random)[0], "b": sampler_b.draw(step, random)[0]}

    def judge(nets: Nets, data: dict[str, Tensor], made: dict[str, Any]) -> dict[str, Tensor]:
        of = {
            name: discriminator_loss(nets[f"d_{name}"](data[name]), nets[f"d_{name}"](made[f"fake_{name}"].detach()))
            for name in ("a", "b")
        }
        return {"loss": of["a"] + of["b"]}

    def generate(nets: Nets, data: dict[str, Tensor], made: dict[str, Any]) -> dict[str, Tensor]:
        fooled = generator_loss(nets["d_b"](made["fake_b"])) + generator_loss(nets["d_a"](made["fake_a"]))
        cycle = cycle_loss([made["again_a"], made["again_b"]], [data["a"], data["b"]])
        return {"loss": fooled + recipe.cycle_weight * cycle, "adversarial": fooled, "cycle": cycle}

    validate: Callable[[Nets], dict[str, float]] | None = None
    if tuning and recipe.validations:
        still = {
            name: PatchSampler.of(store, tuning, modalities=group, recipe=recipe, seed=seed).fixed(4)[0]
            for name, group in zip("ab", groups, strict=True)
        }

        def distances(nets: Nets) -> dict[str, float]:
            data = {name: images.to(device_of(nets["to_b"])) for name, images in still.items()}
            made, real = both_ways(nets, data), [data["a"], data["b"]]
            return {
                "cycle": float(cycle_loss([made["again_a"], made["again_b"]], real)),
                "translation": float(cycle_loss([made["fake_a"], made["fake_b"]], real)),
            }

        validate = distances

    trained = train_players(
        networks,
        players=[
            Player(name="discriminators", trains=("d_a", "d_b"), loss=judge, optimizer=recipe.optimizer),
            Player(name="generators", trains=("to_b", "to_a"), loss=generate, optimizer=recipe.optimizer),
        ],
        batch=batch, shared=both_ways, validate=validate, seed=named_seed(seed, "cmft"), loop=recipe.loop,
        name="transition", folder=folder,
    )  # fmt: skip
    return trained, {name_of(first): trained.networks["to_b"], name_of(second): trained.networks["to_a"]}


def both_ways(nets: Nets, data: Mapping[str, Tensor]) -> dict[str, Any]:
    """Images ``a`` and ``b``, ``(B, C, ...)``, to ``fake_b``, ``fake_a`` and, after both generators, ``again_*``."""
    fake_b, fake_a = nets["to_b"](data["a"]), nets["to_a"](data["b"])
    return {"fake_b": fake_b, "fake_a": fake_a, "again_a": nets["to_a"](fake_b), "again_b": nets["to_b"](fake_a)}


def train_self(
    store: ImageStore, train: Sequence[str], *, tuning: Sequence[str] = (), groups: Groups, recipe: Recipe, seed: int,
    folder: Path | None = None,
) -> tuple[Trained, Starts]:  # fmt: skip
    """Self-reconstruction: a U-Net for each group learns to return its input (mean absolute difference)."""
    torch.manual_seed(named_seed(seed, "self", *groups))
    networks: Starts = {name_of(group): UNet(len(group), len(group), widths=recipe.widths) for group in groups}

    def samplers(ids: Sequence[str], own: Callable[[tuple[str, ...]], int]) -> dict[str, PatchSampler]:
        return {
            name_of(group): PatchSampler.of(store, ids, modalities=group, recipe=recipe, seed=own(group))
            for group in groups
        }

    drawn = samplers(train, lambda group: named_seed(seed, *group) % 2**31)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        return {name: sampler.draw(step, random)[0] for name, sampler in drawn.items()}

    def loss(nets: Nets, data: dict[str, Tensor], _: dict[str, Any]) -> dict[str, Tensor]:
        again = cycle_loss([nets[name](data[name]) for name in networks], [data[name] for name in networks])
        return {"loss": again, "cycle": again.detach()}

    validate: Callable[[Nets], dict[str, float]] | None = None
    if tuning and recipe.validations:
        still = {name: sampler.fixed(4)[0] for name, sampler in samplers(tuning, lambda _: seed).items()}

        def distance(nets: Nets) -> dict[str, float]:
            where = device_of(next(iter(nets.values())))
            return {"cycle": float(loss(nets, {name: one.to(where) for name, one in still.items()}, {})["loss"])}

        validate = distance

    player = Player(name="autoencoders", trains=tuple(networks), loss=loss, optimizer=recipe.optimizer)
    trained = train_players(
        networks, players=[player], batch=batch, validate=validate, seed=named_seed(seed, "self"), loop=recipe.loop,
        name="self", folder=folder,
    )  # fmt: skip
    return trained, dict(trained.networks)


def train_2d(
    *, groups: Groups, recipe: Recipe, seed: int, voc: Voc | None = None, folder: Path | None = None
) -> tuple[Trained, Starts]:
    """Train a 2D U-Net on simulated shapes, or on VOC where given, and inflate its weights for every branch.

    Cross-entropy over the classes, void pixels left out. The history's ``accuracy`` is the share of right pixels on new
    images, ``objects`` that among pixels of objects.
    """
    kind, classes = ("shapes", len(SHAPES) + 1) if voc is None else ("voc", VOC_CLASSES)

    def draw(count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        source = draw_shapes if voc is None else voc.draw
        return source(count, random, edge=recipe.cube[0])

    torch.manual_seed(named_seed(seed, kind))
    network = UNet(3, classes, widths=recipe.widths, dimensions=2)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        images, labels = draw(recipe.batch_size, random)
        return {"images": images, "classes": labels}

    def loss(net: nn.Module, data: dict[str, Tensor]) -> Tensor:
        return functional.cross_entropy(net(data["images"]).float(), data["classes"], ignore_index=VOID)

    images, truth = draw(2 * recipe.batch_size, rng(seed, kind, "validation"))

    def validate(net: nn.Module) -> dict[str, float]:
        found = net(images.to(device_of(net))).argmax(dim=1).cpu()
        known = truth != VOID
        objects = known & (truth != 0)
        return {
            "accuracy": float((found == truth)[known].float().mean()),
            "objects": float((found == truth)[objects].float().mean()),
        }

    fitted = fit(
        network, batch=batch, loss=loss, optimizer=recipe.optimizer, seed=named_seed(seed, kind), loop=recipe.loop,
        validate=validate, name=kind, folder=folder,
    )  # fmt: skip
    flat = {name: tensor.detach().cpu() for name, tensor in fitted.network.state_dict().items()}
    starts: Starts = {}
    for group in groups:
        branch = UNet(len(group), 1, widths=recipe.widths)
        transfer(inflate(flat, branch), branch)
        starts[name_of(group)] = branch
    return fitted, starts


def one_name(history: pd.DataFrame) -> pd.DataFrame:
    """Columns of the generators under one name in training and validation: the loop puts the player's before."""
    table = history.copy()
    for column in [str(name) for name in table if str(name).startswith("generators.")]:
        name = column.removeprefix("generators.")
        table[name] = table[name].fillna(table[column]) if name in table else table[column]
    return table


# What the generators learn


def translate(
    networks: Nets, store: ImageStore, subject: str, *, groups: Groups, recipe: Recipe
) -> tuple[dict[str, Tensor], tuple[slice, slice, slice]]:
    """Both directions and both cycles for one subject, in cubes of the first of the recipe's windows.

    Returns:
        ``a``, ``b`` (the images), ``fake_b``, ``fake_a``, ``again_a``, ``again_b``, ``(C, x, y, z)`` each, 0 outside
        the brain; and the box in the grid that they fill.
    """
    box, one = brain_box(store, subject), store.subject(subject)
    a, b = (one.take(group)[(slice(None), *box)] for group in groups)

    def apply(network: nn.Module, image: Tensor) -> Tensor:
        inside = (image != 0).any(dim=0, keepdim=True).cpu()
        roi = recipe.roi(recipe.windows[0])
        out = predict_volume(
            network, image, roi=roi, overlap=recipe.overlap, activation=None, precision=recipe.precision
        )
        return torch.where(inside, out, torch.zeros(()))

    fake_b, fake_a = apply(networks["to_b"], a), apply(networks["to_a"], b)
    return {
        "a": a.cpu(), "b": b.cpu(), "fake_b": fake_b, "fake_a": fake_a, "again_a": apply(networks["to_a"], fake_b),
        "again_b": apply(networks["to_b"], fake_a),
    }, box  # fmt: skip


def translation_errors(made: Mapping[str, Tensor], subject: str) -> pd.DataFrame:
    """Mean absolute errors within a subject's brain, in standard deviations of the modality.

    Args:
        made: of :func:`translate`.
        subject: its id.

    Returns:
        Long scores: ``subject``, ``group`` (``a_to_b``, ``b_to_a``, ``a_to_b_to_a``, ``b_to_a_to_b``), ``metric``
        (``error``, and ``error_of_mean`` of answering every voxel with the brain's mean, which needs no network),
        ``value``.
    """
    pairs = {
        "a_to_b": ("fake_b", "b"), "b_to_a": ("fake_a", "a"), "a_to_b_to_a": ("again_a", "a"),
        "b_to_a_to_b": ("again_b", "b"),
    }  # fmt: skip
    rows = []
    for group, (found, truth) in pairs.items():
        inside = made[truth] != 0
        target = made[truth][inside]
        for metric, answer in {"error": made[found][inside], "error_of_mean": target.mean()}.items():
            error = float((answer - target).abs().mean())
            rows.append({"subject": subject, "group": group, "metric": metric, "value": error})
    return pd.DataFrame(rows)
