"""Trainings of the fusion network, of its baselines and of MONAI's networks, and what they find in whole brains."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed
from radlib.data.regions import REGIONS, from_classes
from radlib.data.store import ImageStore
from radlib.nn.common import pad_to_multiple
from radlib.nn.device import device_of
from radlib.papers.zhang2021.data import PAIRS, WHOLE_ALONE, Groups, PatchSampler, Recipe, channels_of
from radlib.papers.zhang2021.losses import dice_loss, fusion_loss, region_targets
from radlib.papers.zhang2021.networks import CLASSES, BranchesNet, FusionNet, build, transfer
from radlib.papers.zhang2021.pretraining import name_of
from radlib.stats.segmentation import score_labels
from radlib.training.inference import brain_box, predict_volume
from radlib.training.players import Trained
from radlib.training.supervised import fit

States = Mapping[str, Mapping[str, Tensor]]
"""Weights that branches start from, by :func:`~radlib.papers.zhang2021.pretraining.name_of` their group."""


def start_from(network: nn.Module, states: States, *, groups: Groups) -> None:
    """Give every branch the weights of its group, all but the last layer; without any it keeps its random ones.

    Raises:
        RadlibError: if a group has no weights.
    """
    if not states:
        return
    for group, branch in zip(groups, cast(FusionNet, network).branches, strict=True):
        if name_of(group) not in states:
            raise RadlibError(f"the pre-training has no weights for {'+'.join(group)}", remedy="pre-train that group")
        transfer(states[name_of(group)], branch)


def train_network(
    key: str, store: ImageStore, train: Sequence[str], *, tuning: Sequence[str] = (), groups: Groups = PAIRS,
    states: States | None = None, recipe: Recipe, seed: int, folder: Path | None = None,
    regions: tuple[str, ...] = REGIONS,
) -> Trained:  # fmt: skip
    """Train a segmentation network on cubes.

    Batches depend on the seed alone, and so do the random weights of a kind of network: what is compared sees the same
    cubes, and two ways of pre-training start the fusion branch from the same numbers.

    Args:
        key: see :func:`~radlib.papers.zhang2021.networks.build`.
        store: the images.
        train: subjects.
        tuning: subjects for the learning curve, which decides nothing.
        groups: modalities of the branches.
        states: weights to start from; random ones where None.
        recipe: sizes and length.
        seed: of everything random.
        folder: for checkpoints.
        regions: those that are outlined; loss and curve leave the others out.
    """
    torch.manual_seed(named_seed(seed, "network"))
    network = build(key, groups=groups, recipe=recipe)
    start_from(network, states or {}, groups=groups)
    modalities, own = channels_of(groups), named_seed(seed, "segmentation")
    sampler = PatchSampler.of(store, train, modalities=modalities, recipe=recipe, seed=own % 2**31)
    validate = None
    if tuning and recipe.validations:
        images, classes = PatchSampler.of(store, tuning, modalities=modalities, recipe=recipe, seed=seed).fixed(8)
        truth = region_targets(classes.cpu()).bool()

        def cube_dice(net: nn.Module) -> dict[str, float]:
            parts = [net(part.to(device_of(net))) for part in images.split(4)]
            if regions == WHOLE_ALONE:
                parts = [part.softmax(dim=1) for part in parts]
            found = torch.cat([likeliest(part, regions).cpu() for part in parts])
            masks, axes = region_targets(found).bool(), (0, 2, 3, 4)
            dice = 2 * (masks & truth).sum(dim=axes) / (masks.sum(dim=axes) + truth.sum(dim=axes)).clamp(1)
            by_region = {region: dice[REGIONS.index(region)] for region in regions}
            mean = dice.mean() if regions == REGIONS else torch.stack(list(by_region.values())).mean()
            return {"dice_mean": float(mean), **{f"dice_{region}": float(one) for region, one in by_region.items()}}

        validate = cube_dice
    return fit(
        network, batch=sampler, loss=partial(objective, regions=regions), optimizer=recipe.optimizer,
        loop=recipe.loop, seed=own, name="segmentation", validate=validate, folder=folder,
    )  # fmt: skip


def objective(
    network: nn.Module, data: Mapping[str, Tensor], *, regions: tuple[str, ...] = REGIONS
) -> Tensor | dict[str, Tensor]:
    """Objective (7) of a fusion network, the sum of the branches' own losses without a fusion, else the Dice loss."""
    truth = data["classes"]
    if isinstance(network, FusionNet):
        fused, branches = network.outputs(data["images"])
        return fusion_loss(fused, branches, truth, regions=regions)
    if isinstance(network, BranchesNet):
        parts = network.outputs(data["images"])
        return torch.stack([dice_loss(one, truth, regions=regions) for one in parts]).sum()
    return dice_loss(network(data["images"]), truth, regions=regions)


def likeliest(p: Tensor, regions: tuple[str, ...]) -> Tensor:
    """The class of every voxel, ``(B, ...)`` with 0 to 3, from probabilities ``(B, 4, ...)`` (logits where all regions
    are outlined).

    Where the whole tumour alone is outlined nothing tells its three classes apart: they count together, as class 2.
    """
    return 2 * (p[:, 0] < 0.5).long() if regions == WHOLE_ALONE else p.argmax(dim=1)


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


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """A trained network that is applied to whole brains.

    Attributes:
        key: of :func:`~radlib.papers.zhang2021.networks.build`.
        network: trained.
        groups: the modalities of its branches.
        recipe: it was trained with.
        window: edge of the cubes that it is applied to, voxels, or their three edges; 0 takes a whole brain.
        regions: those that are outlined; no other is predicted or scored.
    """

    key: str
    network: nn.Module
    groups: Groups
    recipe: Recipe
    window: int | tuple[int, int, int]
    regions: tuple[str, ...] = REGIONS

    def segment(self, store: ImageStore, subject: str) -> dict[str, np.ndarray]:
        """Labels ``(X, Y, Z)`` (0, 1, 2, 4) of a subject on the store's grid, by the key of the prediction.

        A network of branches gives those of ``s_a``, ``s_b`` and, from the mean of their probabilities, ``s_a_s_b``;
        any other gives its own. No tumour is predicted outside the brain, and nothing is removed afterwards.
        """
        box, recipe = brain_box(store, subject), self.recipe
        image = store.subject(subject).take(channels_of(self.groups))[(slice(None), *box)]
        network = _Probabilities(self.network, multiple=2 ** (len(recipe.widths) - 1))
        roi = recipe.roi(self.window)
        p = predict_volume(network, image, roi=roi, overlap=recipe.overlap, activation=None, precision=recipe.precision)
        heads = list(p.split(CLASSES))
        named = {self.key: heads[0]}
        if self.key == "branches":
            named = {"s_a": heads[0], "s_b": heads[1], "s_a_s_b": torch.stack(heads).mean(dim=0)}
        inside = (image != 0).any(dim=0).cpu().numpy()
        found = {}
        for key, one in named.items():
            labels = np.zeros(store.grid, np.uint8)
            labels[box] = np.where(inside, from_classes(likeliest(one[None], self.regions)[0]).numpy(), 0)
            found[key] = labels
        return found

    def tuned(self, store: ImageStore, subjects: Sequence[str]) -> tuple[Segmenter, pd.DataFrame]:
        """With that of the recipe's windows which gives the best mean Dice over regions and tuning subjects.

        Returns:
            The segmenter (with the only window, untried, where there is one), and ``window``, ``dice`` of those tried.

        Raises:
            RadlibError: if there are several windows and no subject to choose by.
        """
        windows = self.recipe.windows
        if len(windows) == 1:
            return replace(self, window=windows[0]), pd.DataFrame({"window": _edges(windows), "dice": float("nan")})
        if not subjects:
            raise RadlibError("no subject to choose a window by", remedy="set n_tuning, or give one window")
        dice = []
        for window in windows:
            scores, *_ = replace(self, window=window).test(store, subjects)
            dice.append(float(scores.loc[scores["metric"] == "dice", "value"].mean()))
        best = windows[int(np.argmax(dice))]
        return replace(self, window=best), pd.DataFrame({"window": _edges(windows), "dice": dice})

    def test(self, store: ImageStore, subjects: Sequence[str]) -> tuple[pd.DataFrame, dict[str, np.ndarray], float]:
        """Scores of subjects (:func:`scores_of`) with a column ``prediction``, their labels by
        ``<prediction>/<subject>``, and the seconds that segmenting one takes (median)."""
        tables, labels, taken = [], {}, []
        for subject in subjects:
            truth = store.subject(subject).labels.cpu().numpy()
            start = time.perf_counter()
            found = self.segment(store, subject)
            taken.append(time.perf_counter() - start)
            for key, one in found.items():
                scores = scores_of(one, truth, store, subject, regions=self.regions)
                tables.append(scores.assign(prediction=key))
                labels[f"{key}/{subject}"] = one
        return pd.concat(tables, ignore_index=True), labels, float(np.median(taken))


def _edges(windows: Sequence[int | tuple[int, int, int]]) -> list[int]:
    """The first edge of every window, which tells them apart."""
    return [window[0] if isinstance(window, tuple) else window for window in windows]


def scores_of(
    found: np.ndarray, truth: np.ndarray, store: ImageStore, subject: str, *, regions: Sequence[str] = REGIONS
) -> pd.DataFrame:
    """Every metric of one subject, long: ``subject``, ``group`` (region), ``metric``, ``value``.

    ``missed`` is 1 where exactly one of the two has the region, whose distance is then undefined.
    """
    wide = score_labels(found, truth, spacing=store.spacing, subject=subject, regions=regions)
    wide = wide.rename(columns={"region": "group"})
    wide["missed"] = wide["missed"].astype(float)
    return wide.melt(id_vars=["subject", "group"], var_name="metric", value_name="value")
