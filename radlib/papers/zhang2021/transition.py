"""Cross-modality feature transition: a 3D CycleGAN between groups of modalities, and what it is compared with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.seeds import named_seed
from radlib.data.store import ImageStore
from radlib.papers.zhang2021.losses import cycle_loss, discriminator_loss, generator_loss
from radlib.papers.zhang2021.networks import Discriminator, UNet
from radlib.papers.zhang2021.recipe import PAIRS, Groups, PatchSampler, Recipe, spoken
from radlib.stats.paired import paired_difference
from radlib.training.adversarial import Player, fit_adversarial
from radlib.training.inference import predict_volume
from radlib.training.settings import LoopSettings

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Weights that segmentation branches may start from.

    Attributes:
        kind: ``transition``, ``self``, ``shapes`` or ``voc``, as its rows in the tables are called.
        groups: the modalities that each branch takes.
        weights: by group, the ``state_dict`` of a U-Net; the branch of that group takes all but its last layer.
        history: of the training.
        seconds: it took.
        steps_per_second: updates of all players.
        peak_memory: bytes.
    """

    kind: str
    groups: Groups
    weights: dict[tuple[str, ...], State]
    history: pd.DataFrame
    seconds: float
    steps_per_second: float
    peak_memory: int


def build_transition(groups: Groups, recipe: Recipe) -> dict[str, nn.Module]:
    """Generators ``to_b`` (the paper's G_B^A, from A to B) and ``to_a``, discriminators ``d_a`` and ``d_b``."""
    a, b = (len(group) for group in groups)
    return {
        "to_b": UNet(a, b, widths=recipe.widths),
        "to_a": UNet(b, a, widths=recipe.widths),
        "d_a": Discriminator(a, widths=recipe.discriminator_widths),
        "d_b": Discriminator(b, widths=recipe.discriminator_widths),
    }


def train_transition(
    store: ImageStore,
    train: Sequence[str],
    *,
    held_out: Sequence[str] = (),
    groups: Groups = PAIRS,
    recipe: Recipe,
    seed: int,
    folder: Path | None = None,
    device: str = "auto",
) -> Pretrained:
    """Objective (6) without any label: two generators, two discriminators, on cubes of A and of B that are no pairs.

    Args:
        store: the images.
        train: subjects.
        held_out: subjects on whom cycle consistency is watched; they decide nothing.
        groups: the modalities of A and of B.
        recipe: sizes and lengths.
        seed: of everything random.
        folder: for checkpoints.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    torch.manual_seed(named_seed(seed, "transition", *groups))
    networks = build_transition(groups, recipe)
    first, second = groups
    sampler_a = PatchSampler.of(store, train, modalities=first, recipe=recipe, seed=named_seed(seed, "a") % 2**31)
    sampler_b = PatchSampler.of(store, train, modalities=second, recipe=recipe, seed=named_seed(seed, "b") % 2**31)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        return {"a": sampler_a.draw(step, random)[0], "b": sampler_b.draw(step, random)[0]}

    def shared(nets: Mapping[str, nn.Module], data: dict[str, Tensor]) -> dict[str, Any]:
        fake_b, fake_a = nets["to_b"](data["a"]), nets["to_a"](data["b"])
        return {"fake_b": fake_b, "fake_a": fake_a, "a": nets["to_a"](fake_b), "b": nets["to_b"](fake_a)}

    def judge(nets: Mapping[str, nn.Module], data: dict[str, Tensor], made: dict[str, Any]) -> dict[str, Tensor]:
        of = {
            name: discriminator_loss(nets[f"d_{name}"](data[name]), nets[f"d_{name}"](made[f"fake_{name}"].detach()))
            for name in ("a", "b")
        }
        return {"loss": of["a"] + of["b"]}

    def generate(nets: Mapping[str, nn.Module], data: dict[str, Tensor], made: dict[str, Any]) -> dict[str, Tensor]:
        fooled = generator_loss(nets["d_b"](made["fake_b"])) + generator_loss(nets["d_a"](made["fake_a"]))
        cycle = cycle_loss([made["a"], made["b"]], [data["a"], data["b"]])
        return {"loss": fooled + recipe.cycle_weight * cycle, "adversarial": fooled, "cycle": cycle}

    optimizer = recipe.optimizer(transition=True)
    players = [
        Player(name="discriminators", trains=("d_a", "d_b"), loss=judge, optimizer=optimizer),
        Player(name="generators", trains=("to_b", "to_a"), loss=generate, optimizer=optimizer),
    ]
    watch: Callable[[Mapping[str, nn.Module]], dict[str, float]] | None = None
    if held_out and recipe.validations:
        seen_a = PatchSampler.of(store, held_out, modalities=first, recipe=recipe, seed=seed).fixed(4)[0]
        seen_b = PatchSampler.of(store, held_out, modalities=second, recipe=recipe, seed=seed).fixed(4)[0]

        def look(nets: Mapping[str, nn.Module]) -> dict[str, float]:
            where = next(nets["to_b"].parameters()).device
            a, b = seen_a.to(where), seen_b.to(where)
            made = shared(nets, {"a": a, "b": b})
            return {
                "cycle": float(cycle_loss([made["a"], made["b"]], [a, b])),
                "translation": float(cycle_loss([made["fake_b"], made["fake_a"]], [b, a])),
            }

        watch = look

    trained = fit_adversarial(
        networks, players=players, batch=batch, shared=shared, validate=watch, seed=named_seed(seed, "cmft"),
        loop=_loop(recipe), name="transition", folder=folder, device=device,
        identity={"groups": groups, "train": list(train), "recipe": repr(recipe)},
    )  # fmt: skip
    nets = trained.networks
    return Pretrained(
        kind="transition", groups=groups, weights={first: _state(nets["to_b"]), second: _state(nets["to_a"])},
        history=_one_name(trained.history), seconds=trained.seconds, steps_per_second=trained.steps_per_second,
        peak_memory=trained.peak_memory,
    )  # fmt: skip


def train_self(
    store: ImageStore,
    train: Sequence[str],
    *,
    held_out: Sequence[str] = (),
    groups: Groups = PAIRS,
    recipe: Recipe,
    seed: int,
    folder: Path | None = None,
    device: str = "auto",
) -> Pretrained:
    """Self-reconstruction: a U-Net for each group learns to return its input (mean absolute difference)."""
    torch.manual_seed(named_seed(seed, "self", *groups))
    networks: dict[str, nn.Module] = {
        "-".join(group): UNet(len(group), len(group), widths=recipe.widths) for group in groups
    }
    samplers = {
        "-".join(group): PatchSampler.of(
            store, train, modalities=group, recipe=recipe, seed=named_seed(seed, *group) % 2**31
        )
        for group in groups
    }

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        return {name: sampler.draw(step, random)[0] for name, sampler in samplers.items()}

    def loss(nets: Mapping[str, nn.Module], data: dict[str, Tensor], made: dict[str, Any]) -> dict[str, Tensor]:
        again = cycle_loss([nets[name](data[name]) for name in networks], [data[name] for name in networks])
        return {"loss": again, "cycle": again.detach()}

    watch: Callable[[Mapping[str, nn.Module]], dict[str, float]] | None = None
    if held_out and recipe.validations:
        seen = {
            "-".join(group): PatchSampler.of(store, held_out, modalities=group, recipe=recipe, seed=seed).fixed(4)[0]
            for group in groups
        }

        def look(nets: Mapping[str, nn.Module]) -> dict[str, float]:
            where = next(next(iter(nets.values())).parameters()).device
            return {"cycle": float(loss(nets, {name: one.to(where) for name, one in seen.items()}, {})["loss"])}

        watch = look

    optimizer = recipe.optimizer(transition=True)
    trained = fit_adversarial(
        networks, players=[Player(name="autoencoders", trains=tuple(networks), loss=loss, optimizer=optimizer)],
        batch=batch, validate=watch, seed=named_seed(seed, "self"), loop=_loop(recipe), name="self",
        folder=folder, device=device, identity={"groups": groups, "train": list(train), "recipe": repr(recipe)},
    )  # fmt: skip
    return Pretrained(
        kind="self", groups=groups, weights={group: _state(trained.networks["-".join(group)]) for group in groups},
        history=trained.history, seconds=trained.seconds, steps_per_second=trained.steps_per_second,
        peak_memory=trained.peak_memory,
    )  # fmt: skip


def train_six(
    store: ImageStore, train: Sequence[str], *, modalities: Sequence[str], recipe: Recipe, seed: int,
    folder: Path | None = None, device: str = "auto",
) -> Pretrained:  # fmt: skip
    """The naive extension (section 3.3): a CycleGAN for every pair of single modalities.

    Three generators then start from each modality, and the paper does not say which one its branch takes: here that
    of the modality's last pair.
    """
    weights: dict[tuple[str, ...], State] = {}
    histories, seconds, memory = [], 0.0, 0
    for first, second in itertools.combinations(modalities, 2):
        one = train_transition(
            store, train, groups=((first,), (second,)), recipe=recipe, seed=seed, device=device,
            folder=None if folder is None else folder / f"{first}-{second}",
        )  # fmt: skip
        weights.update(one.weights)
        histories.append(one.history.assign(pair=f"{spoken([first])}, {spoken([second])}"))
        seconds, memory = seconds + one.seconds, max(memory, one.peak_memory)
    return Pretrained(
        kind="six", groups=tuple((name,) for name in modalities), weights=weights,
        history=pd.concat(histories, ignore_index=True), seconds=seconds,
        steps_per_second=len(histories) * recipe.transition_steps / max(seconds, 1e-9), peak_memory=memory,
    )  # fmt: skip


def translate(
    pretrained: Pretrained, store: ImageStore, subject: str, *, recipe: Recipe, box: tuple[slice, slice, slice]
) -> dict[str, Tensor]:
    """Both directions and both cycles for one subject, ``(C, x, y, z)`` each within ``box``.

    Returns:
        ``a``, ``b`` (the images), ``fake_b``, ``fake_a``, ``again_a``, ``again_b``.
    """
    first, second = pretrained.groups
    row = store.rows([subject])[0]
    a = store.images[row][(store.channels(first), *box)]
    b = store.images[row][(store.channels(second), *box)]
    to_b, to_a = (
        UNet(len(first), len(second), widths=recipe.widths),
        UNet(len(second), len(first), widths=recipe.widths),
    )
    to_b.load_state_dict(pretrained.weights[first])
    to_a.load_state_dict(pretrained.weights[second])

    def apply(network: nn.Module, image: Tensor) -> Tensor:
        inside = (image != 0).any(dim=0, keepdim=True).cpu()
        out = predict_volume(
            network, image, roi=recipe.roi, overlap=recipe.overlap, activation=None, precision=recipe.precision
        )
        return torch.where(inside, out, torch.zeros(()))

    fake_b, fake_a = apply(to_b, a), apply(to_a, b)
    return {
        "a": a.cpu(), "b": b.cpu(), "fake_b": fake_b, "fake_a": fake_a, "again_a": apply(to_a, fake_b),
        "again_b": apply(to_b, fake_a),
    }  # fmt: skip


def transition_errors(
    pretrained: Pretrained, store: ImageStore, subjects: Sequence[str], *, recipe: Recipe
) -> pd.DataFrame:
    """Mean absolute errors within the brain of held-out subjects, in standard deviations of the modality.

    Returns:
        One row a subject and kind: ``subject``, ``what`` (``A to B``, ``B to A``, ``A to B to A``, ``B to A to B``),
        ``error``, and ``mean_error`` of answering every voxel with the brain's mean, which needs no network.
    """
    from radlib.training.inference import brain_box

    pairs = {
        "A to B": ("fake_b", "b"), "B to A": ("fake_a", "a"), "A to B to A": ("again_a", "a"),
        "B to A to B": ("again_b", "b"),
    }  # fmt: skip
    rows = []
    for subject in subjects:
        made = translate(pretrained, store, subject, recipe=recipe, box=brain_box(store, subject))
        for what, (found, truth) in pairs.items():
            inside = made[truth] != 0
            target = made[truth][inside]
            rows.append({
                "subject": subject, "what": what, "error": float((made[found][inside] - target).abs().mean()),
                "mean_error": float((target - target.mean()).abs().mean()),
            })  # fmt: skip
    return pd.DataFrame(rows)


def error_table(errors: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """:func:`transition_errors` averaged over subjects.

    Returns:
        One row a direction: ``direction``, ``error``, ``error of the mean``, their paired ``difference`` with ``low``
        and ``high``, ``n``.
    """
    rows = []
    for what, part in errors.groupby("what", sort=False):
        one = paired_difference(part["error"], part["mean_error"], n_boot=n_boot, seed=seed)
        rows.append({
            "direction": what, "error": part["error"].mean(), "error of the mean": part["mean_error"].mean(),
            "difference": one.value, "low": one.low, "high": one.high, "n": one.n,
        })  # fmt: skip
    return pd.DataFrame(rows)


def error_sentence(table: pd.DataFrame) -> str:
    """:func:`error_table` in words: which answers are nearer to the truth than the brain's mean, and which are not."""
    said = []
    for row in table.to_dict("records"):
        where = "below" if row["high"] < 0 else "above" if row["low"] > 0 else "not apart from"
        interval = f"{row['difference']:+.2f}, {row['low']:+.2f} to {row['high']:+.2f}"
        said.append(f"{row['direction']} {where} it ({interval})")
    text = "Against the error of the mean: " + "; ".join(said) + "."
    translated = table[table["direction"].isin(["A to B", "B to A"])]
    if (translated["low"] > 0).any():
        text += (
            " A translation above it is no contradiction: cubes of the two pairs are never compared voxel by voxel, "
            "and a generator that exchanges dark and bright can come back just as well."
        )
    return text


def cycle_fall(by_seed: Mapping[int, Pretrained]) -> str:
    """How the cycle consistency loss on held-out cubes went from the first look to the last, seed by seed."""
    said = []
    for one in by_seed.values():
        seen = one.history[one.history["part"] == "validation"]["cycle"].dropna()
        if len(seen):
            said.append(f"from {seen.iloc[0]:.2f} to {seen.iloc[-1]:.2f}")
    return ", ".join(said) or "unobserved"


def _loop(recipe: Recipe) -> LoopSettings:
    steps = recipe.transition_steps
    return LoopSettings(
        steps=steps, log_every=max(1, steps // 40), clip_norm=recipe.clip_norm, precision=recipe.precision,
        validate_every=max(1, steps // recipe.validations) if recipe.validations else None,
        checkpoint_every=max(50, steps // recipe.checkpoints),
    )  # fmt: skip


def _one_name(history: pd.DataFrame) -> pd.DataFrame:
    """Training and validation columns of the generators under one name: the loop puts the player's before."""
    table = history.copy()
    for column in [name for name in table if str(name).startswith("generators.")]:
        name = str(column).removeprefix("generators.")
        table[name] = table[name].fillna(table[column]) if name in table else table[column]
    return table


def _state(network: nn.Module) -> State:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
