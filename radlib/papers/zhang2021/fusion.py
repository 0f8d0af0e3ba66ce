"""Cross-modality feature fusion: trainings of the fusion network, of its baselines and of MONAI's networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import named_seed
from radlib.data.regions import REGIONS, from_classes
from radlib.data.store import ImageStore
from radlib.nn.attention import Attention
from radlib.papers.zhang2021.losses import dice_loss, fusion_loss, region_targets
from radlib.papers.zhang2021.networks import CLASSES, BranchesNet, FusionNet, UNet, pad_to_multiple, transfer
from radlib.papers.zhang2021.recipe import PAIRS, Groups, PatchSampler, Recipe, channels_of
from radlib.papers.zhang2021.transition import Pretrained
from radlib.stats.segmentation import score_labels
from radlib.training.inference import brain_box, predict_volume
from radlib.training.settings import LoopSettings
from radlib.training.supervised import Fitted, fit
from radlib.training.weights import load_weights, read_metadata, save_weights

ATTENTION: dict[str, Attention] = {"ours": "mask", "without_mg": "none", "with_ca": "cbam"}
"""The fusion networks by the attention of their fusion branch."""

MONAI = ("segresnet", "dynunet")
"""Networks of today that are trained beside."""

TITLES: dict[str, str] = {
    "ours": "Ours",
    "without_mg": "Ours without mask guidance",
    "with_ca": "Ours with conventional attention",
    "s_a": "S_A",
    "s_b": "S_B",
    "s_a_s_b": "S_A + S_B",
    "ours_random": "Ours, random initialisation",
    "ours_2d": "Ours, pre-trained in 2D",
    "ours_self": "Ours, self-reconstruction",
    "ours_other": "Ours, T1 + FLAIR and T2 + T1c",
    "ours_six": "Ours, four single modalities",
    "segresnet": "SegResNet (MONAI)",
    "dynunet": "DynUNet (MONAI)",
    "rule": "FLAIR and T1c thresholds",
}
"""What is compared, by key; :func:`train_network` makes ``branches`` for the three rows of single branches.
``rule`` is :mod:`radlib.papers.zhang2021.rule`."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trained segmentation network.

    Attributes:
        key: ``ours``, ``without_mg``, ``with_ca``, ``branches`` or one of :data:`MONAI`.
        groups: the modalities of its branches.
        recipe: it was trained with.
        seed: of its training.
        fitted: network and history.
    """

    key: str
    groups: Groups
    recipe: Recipe
    seed: int
    fitted: Fitted

    @property
    def network(self) -> nn.Module:
        """The trained network."""
        return self.fitted.network


def build_network(key: str, *, groups: Groups = PAIRS, recipe: Recipe) -> nn.Module:
    """The network of a key; MONAI's take all modalities at once and have levels of the same widths.

    Raises:
        RadlibError: for an unknown key.
    """
    sizes = tuple(len(group) for group in groups)
    if key in ATTENTION:
        return FusionNet(sizes, widths=recipe.widths, attention=ATTENTION[key])
    if key == "branches":
        return BranchesNet(sizes, widths=recipe.widths)
    if key == "segresnet":
        from monai.networks.nets import SegResNet

        return SegResNet(
            spatial_dims=3, init_filters=recipe.widths[0], in_channels=sum(sizes), out_channels=CLASSES,
            blocks_down=(1, 2, 2, 4)[: len(recipe.widths)], blocks_up=(1, 1, 1)[: len(recipe.widths) - 1],
            norm=("GROUP", {"num_groups": min(8, recipe.widths[0])}),
        )  # fmt: skip
    if key == "dynunet":
        from monai.networks.nets import DynUNet

        levels = len(recipe.widths)
        if levels < 3:
            raise RadlibError(f"DynUNet needs three levels, and widths has {levels}", remedy="give more widths")
        return DynUNet(
            spatial_dims=3, in_channels=sum(sizes), out_channels=CLASSES, kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1), upsample_kernel_size=[2] * (levels - 1), filters=list(recipe.widths),
        )  # fmt: skip
    raise RadlibError(f"unknown network {key!r}", remedy=f"use one of {', '.join([*ATTENTION, 'branches', *MONAI])}")


def start_from(network: nn.Module, pretrained: Pretrained | None, *, groups: Groups) -> None:
    """Give every branch the weights of its group, all but the last layer; None leaves the random ones.

    Raises:
        RadlibError: if a group has no weights.
    """
    if pretrained is None:
        return
    if lacking := [group for group in groups if group not in pretrained.weights]:
        raise RadlibError(f"{pretrained.kind} has no weights for {'+'.join(lacking[0])}", remedy="pre-train that group")
    for group, branch in zip(groups, cast(FusionNet, network).branches, strict=True):
        transfer(pretrained.weights[group], branch)


def train_network(
    key: str,
    store: ImageStore,
    train: Sequence[str],
    *,
    held_out: Sequence[str] = (),
    groups: Groups = PAIRS,
    pretrained: Pretrained | None = None,
    recipe: Recipe,
    seed: int,
    folder: Path | None = None,
    device: str = "auto",
) -> Run:
    """Train a segmentation network on cubes.

    Batches depend on the seed alone, and so do the random weights of a kind of network: what is compared sees the same
    cubes, and two ways of pre-training start the fusion branch from the same numbers.

    Args:
        key: see :func:`build_network`.
        store: the images.
        train: subjects.
        held_out: subjects for the learning curve, which decides nothing.
        groups: modalities of the branches.
        pretrained: weights to start from; None for random ones.
        recipe: sizes and lengths.
        seed: of everything random.
        folder: for checkpoints.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    torch.manual_seed(named_seed(seed, "network"))
    network = build_network(key, groups=groups, recipe=recipe)
    start_from(network, pretrained, groups=groups)
    modalities = channels_of(groups)
    own = named_seed(seed, "segmentation")
    sampler = PatchSampler.of(store, train, modalities=modalities, recipe=recipe, seed=own % 2**31)

    def loss(net: nn.Module, data: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        if isinstance(net, FusionNet):
            fused, branches = net.outputs(data["images"])
            return fusion_loss(fused, branches, data["classes"])
        if isinstance(net, BranchesNet):
            return torch.stack([dice_loss(one, data["classes"]) for one in net.outputs(data["images"])]).sum()
        return dice_loss(net(data["images"]), data["classes"])

    validate = None
    if held_out and recipe.validations:
        images, classes = PatchSampler.of(store, held_out, modalities=modalities, recipe=recipe, seed=seed).fixed(8)
        truth = region_targets(classes).bool()

        def look(net: nn.Module) -> dict[str, float]:
            where = next(net.parameters()).device
            found = torch.cat([net(part.to(where)).argmax(dim=1).cpu() for part in images.split(4)])
            masks = region_targets(found).bool()
            axes = (0, 2, 3, 4)
            dice = 2 * (masks & truth.cpu()).sum(dim=axes) / (masks.sum(dim=axes) + truth.cpu().sum(dim=axes)).clamp(1)
            return {"dice_mean": float(dice.mean()), **{f"dice_{r}": float(dice[k]) for k, r in enumerate(REGIONS)}}

        validate = look
    loop = LoopSettings(
        steps=recipe.steps, log_every=max(1, recipe.steps // 40), clip_norm=recipe.clip_norm,
        precision=recipe.precision,
        validate_every=max(1, recipe.steps // recipe.validations) if recipe.validations else None,
        checkpoint_every=max(50, recipe.steps // recipe.checkpoints),
    )  # fmt: skip
    kind = "random" if pretrained is None else pretrained.kind
    fitted = fit(
        network, batch=sampler, loss=loss, optimizer=recipe.optimizer(), loop=loop, seed=own, name="segmentation",
        validate=validate, folder=folder, device=device,
        identity={"key": key, "groups": groups, "start": kind, "train": list(train), "recipe": repr(recipe)},
    )  # fmt: skip
    return Run(key=key, groups=groups, recipe=recipe, seed=seed, fitted=fitted)


# Whole brains


class _Probabilities(nn.Module):
    """Probabilities of one or several predictions of a network, ``(B, heads * classes, ...)``, in one pass."""

    def __init__(self, network: nn.Module, *, multiple: int) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, images: Tensor) -> Tensor:
        """Softmax of the network's logits; of a network of branches, of every branch."""
        images, crop = pad_to_multiple(images, self.multiple)  # MONAI's networks take no other sizes
        several = self.network.outputs(images) if isinstance(self.network, BranchesNet) else [self.network(images)]
        return torch.cat([one.float().softmax(dim=1)[crop] for one in several], dim=1)


def segment(run: Run, store: ImageStore, subject: str, *, device: str = "auto") -> dict[str, np.ndarray]:
    """Labels ``(X, Y, Z)`` (0, 1, 2, 4) of a subject on the store's grid, by the key of the prediction.

    A network of branches gives those of ``s_a``, ``s_b`` and, from the mean of their probabilities, ``s_a_s_b``; any
    other gives its own. No tumour is predicted outside the brain, and nothing is removed afterwards.
    """
    box = brain_box(store, subject)
    row = store.rows([subject])[0]
    image = store.images[row][(store.channels(channels_of(run.groups)), *box)]
    network = _Probabilities(run.network, multiple=2 ** (len(run.recipe.widths) - 1))
    p = predict_volume(
        network, image, roi=run.recipe.roi, overlap=run.recipe.overlap, activation=None,
        precision=run.recipe.precision, device=device,
    )  # fmt: skip
    heads = list(p.split(CLASSES))
    named = {run.key: heads[0]}
    if run.key == "branches":
        named = {"s_a": heads[0], "s_b": heads[1], "s_a_s_b": torch.stack(heads).mean(dim=0)}
    inside = (image != 0).any(dim=0).cpu().numpy()
    found = {}
    for key, one in named.items():
        labels = np.zeros(store.grid, np.uint8)
        labels[box] = np.where(inside, from_classes(one.argmax(dim=0)).numpy(), 0)
        found[key] = labels
    return found


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One line of a table over several seeds.

    Attributes:
        key: of :data:`TITLES`.
        scores: every metric, one row a run, subject and region; columns ``run``, ``subject``, ``region``, metrics.
        labels: of the first run, by subject.
        histories: of the runs.
    """

    key: str
    scores: pd.DataFrame
    labels: dict[str, np.ndarray]
    histories: tuple[pd.DataFrame, ...]

    @property
    def title(self) -> str:
        """As the tables call it."""
        return TITLES[self.key]


def apply(
    runs: Sequence[Run], store: ImageStore, subjects: Sequence[str], *, key: str | None = None, device: str = "auto"
) -> dict[str, Outcome]:
    """Apply the runs of one kind of network to subjects.

    Args:
        runs: one a seed.
        store: the images.
        subjects: with a segmentation.
        key: what the outcome is called, where it is not the network's key.
        device: where to compute.

    Returns:
        By key; three of a network of branches, else one.
    """
    tables: dict[str, list[pd.DataFrame]] = {}
    labels: dict[str, dict[str, np.ndarray]] = {}
    for run in runs:
        for subject in subjects:
            truth = store.labels[store.rows([subject])[0]].cpu().numpy()
            for own, found in segment(run, store, subject, device=device).items():
                name = key if key is not None and run.key != "branches" else own
                scored = score_labels(found, truth, spacing=(store.spacing,) * 3, subject=subject)
                tables.setdefault(name, []).append(scored.assign(run=run.seed))
                if run is runs[0]:
                    labels.setdefault(name, {})[subject] = found
    histories = tuple(run.fitted.history for run in runs)
    return {
        name: Outcome(
            key=name, scores=pd.concat(parts, ignore_index=True), labels=labels[name], histories=histories
        )
        for name, parts in tables.items()
    }  # fmt: skip


# Weights for the next chapter


def keep(
    folder: Path, runs: Sequence[Run], pretrained: Mapping[int, Pretrained], *, store: ImageStore, train: Sequence[str],
    held_out: Sequence[str],
) -> list[Path]:  # fmt: skip
    """Write segmentation networks and the pre-training they started from, by seed, as safetensors with headers.

    Weights of an earlier run in the folder are removed: :func:`read_handed` takes all that it finds.
    """
    for old in folder.glob("*.safetensors"):
        old.unlink()
    files = []
    for run in runs:
        about: dict[str, Any] = {
            "recipe": run.recipe.as_dict(), "seed": run.seed, "grid": list(store.grid), "spacing": store.spacing,
            "train": list(train), "held_out": list(held_out),
        }  # fmt: skip
        path = folder / f"{run.key}-{run.seed}.safetensors"
        header = {**about, "key": run.key, "groups": [list(group) for group in run.groups]}
        save_weights(path, run.network, metadata=header)
        files.append(path)
        start = pretrained[run.seed]
        for group, weights in start.weights.items():
            path = folder / f"{start.kind}-{'-'.join(group)}-{run.seed}.safetensors"
            save_weights(path, _Holder(weights), metadata={**about, "kind": start.kind, "group": list(group)})
            files.append(path)
    return files


class _Holder(nn.Module):
    """Weights as a module: their names with dots are nested modules."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in weights.items():
            *path, last = name.split(".")
            place: nn.Module = self
            for part in path:
                if part not in dict(place.named_children()):
                    place.add_module(part, nn.Module())
                place = getattr(place, part)
            place.register_parameter(last, nn.Parameter(tensor.clone(), requires_grad=False))


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What the transition chapter hands on.

    Attributes:
        recipe: its recipe.
        grid, spacing: of its images.
        train, held_out: its subjects.
        seeds: of its trainings.
        pretrained: feature transition by seed.
        ours: the files of the full networks by seed.
    """

    recipe: Recipe
    grid: tuple[int, int, int]
    spacing: float
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    seeds: tuple[int, ...]
    pretrained: dict[int, Pretrained]
    ours: dict[int, Path]


def read_handed(folder: Path) -> Handed:
    """Read the weights that the transition chapter left.

    Raises:
        MissingDataError: if there are none.
    """
    files = sorted(folder.glob("ours-*.safetensors"))
    if not files:
        raise MissingDataError("there are no weights", file=folder, remedy="run the chapter feature_transition first")
    about = {int(read_metadata(file)["seed"]): (file, read_metadata(file)) for file in files}
    header = next(iter(about.values()))[1]
    recipe = Recipe.from_dict(header["recipe"])
    pretrained = {}
    for seed in about:
        weights = {}
        for group in PAIRS:
            network = UNet(len(group), len(PAIRS[1 - PAIRS.index(group)]), widths=recipe.widths)  # the generator
            load_weights(folder / f"transition-{'-'.join(group)}-{seed}.safetensors", network)
            weights[group] = dict(network.state_dict())
        pretrained[seed] = Pretrained(
            kind="transition", groups=PAIRS, weights=weights, history=pd.DataFrame(), seconds=float("nan"),
            steps_per_second=float("nan"), peak_memory=0,
        )  # fmt: skip
    x, y, z = header["grid"]
    return Handed(
        recipe=recipe, grid=(x, y, z), spacing=float(header["spacing"]), train=tuple(header["train"]),
        held_out=tuple(header["held_out"]), seeds=tuple(sorted(about)), pretrained=pretrained,
        ours={seed: file for seed, (file, _) in about.items()},
    )  # fmt: skip


def load_ours(handed: Handed, seed: int) -> Run:
    """The full network of a seed, trained by the transition chapter."""
    network = build_network("ours", recipe=handed.recipe)
    load_weights(handed.ours[seed], network)
    fitted = Fitted(
        network=network.eval(), history=pd.DataFrame(), best_step=handed.recipe.steps, seconds=float("nan"),
        steps_per_second=float("nan"), data_share=float("nan"), peak_memory=0,
    )  # fmt: skip
    return Run(key="ours", groups=PAIRS, recipe=handed.recipe, seed=seed, fitted=fitted)
