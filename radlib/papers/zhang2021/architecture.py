"""Table 1 and Figures 3 and 4 as built, what the networks weigh, and how alike the modalities of a pair are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.data.published import published
from radlib.data.store import ImageStore
from radlib.nn.common import count_parameters
from radlib.papers.zhang2021.fusion import build_network
from radlib.papers.zhang2021.networks import HEAD, Discriminator, FusionNet, UNet, transfer
from radlib.papers.zhang2021.recipe import PAIRS, SINGLES, Groups, Recipe
from radlib.papers.zhang2021.transition import build_transition
from radlib.stats.intervals import Estimate
from radlib.stats.paired import paired_difference

PAPER = Recipe()
"""The published sizes."""


def discriminator_table() -> pd.DataFrame:
    """Table 1: every layer of the discriminator as printed, and the size that goes into it here, at 128 voxels."""
    with torch.device("meta"):
        seen = _sizes(Discriminator(1), torch.empty(1, 1, 128, 128, 128), (nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU))
    rows = []
    for number, (_, before, _) in enumerate(seen, start=1):
        key = f"zhang2021.table1.l{number}"
        printed = f"{published(f'{key}.input_channels').printed}, {published(f'{key}.input_size').printed}"
        rows.append({
            "layer": f"L{number}", "type": published(f"{key}.type").printed, "input as printed": f"{printed} cubed",
            "input here": f"{before[0]}, {before[1]} cubed",
        })  # fmt: skip
    return pd.DataFrame(rows)


def generator_table(recipe: Recipe = PAPER) -> pd.DataFrame:
    """Figure 3: what comes out of every convolution of a generator for a cube, in the order of computation."""
    with torch.device("meta"):
        network = UNet(2, 2, widths=recipe.widths)
        seen = _sizes(network, torch.empty(1, 2, *recipe.size), (nn.Conv3d, nn.ConvTranspose3d))
    names = {nn.Conv3d: "convolution", nn.ConvTranspose3d: "transposed convolution"}
    rows = [{"layer": names[kind], "channels": after[0], "edge": after[1]} for kind, _, after in seen]
    table = pd.DataFrame(rows)
    level = (table != table.shift()).any(axis=1).cumsum()
    return table.groupby(level, sort=False).agg(
        layer=("layer", "first"), repeated=("layer", "size"), channels=("channels", "first"), edge=("edge", "first")
    )


def _sizes(network: nn.Module, images: Tensor, kinds: tuple[type, ...]) -> list[tuple[type, tuple, tuple]]:
    seen: list[tuple[type, tuple, tuple]] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        seen.append((type(module), tuple(given[0].shape[1:]), tuple(out.shape[1:])))

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, kinds)]
    network(images)
    for hook in hooks:
        hook.remove()
    return seen


def size_table(recipe: Recipe) -> pd.DataFrame:
    """Parameters (thousands) of both stages, pairs against the naive extension, at a recipe's size and the paper's."""
    rows = []
    for title, groups in (("two pairs", PAIRS), ("four single modalities", SINGLES)):
        row: dict[str, object] = {"branches": title, "CycleGANs": len(groups) * (len(groups) - 1) // 2}
        for said, one in (("here", recipe), ("as published", PAPER)):
            row[f"transition, {said}"] = transition_parameters(groups, one) / 1e3
            with torch.device("meta"):
                row[f"fusion network, {said}"] = (
                    count_parameters(build_network("ours", groups=groups, recipe=one)) / 1e3
                )
        rows.append(row)
    return pd.DataFrame(rows)


def transition_parameters(groups: Groups, recipe: Recipe) -> int:
    """Parameters of all generators and discriminators: one CycleGAN for two groups, one a pair for more."""
    with torch.device("meta"):
        return sum(
            sum(count_parameters(net) for net in build_transition((first, second), recipe).values())
            for first, second in itertools.combinations(groups, 2)
        )


def transferred(recipe: Recipe = PAPER) -> dict[str, int]:
    """How much of the fusion network starts from the generators: ``tensors``, ``parameters`` and their ``of`` all."""
    with torch.device("meta"):
        source, target = UNet(2, 2, widths=recipe.widths), FusionNet(widths=recipe.widths)
        branch = UNet(2, 4, widths=recipe.widths)
        names = transfer(source, branch)
        sizes = {name: tensor.numel() for name, tensor in branch.state_dict().items()}
    return {
        "tensors": 2 * len(names), "parameters": 2 * sum(sizes[name] for name in names),
        "of": count_parameters(target), "left": 2 * sum(n for name, n in sizes.items() if name.startswith(f"{HEAD}.")),
    }  # fmt: skip


def fusion_parameters(recipe: Recipe = PAPER) -> int:
    """Parameters of the fusion branch, which start at random."""
    with torch.device("meta"):
        network = build_network("ours", recipe=recipe)
    assert isinstance(network, FusionNet)
    return count_parameters(network.fusion)


def pair_correlations(store: ImageStore, subjects: Sequence[str]) -> pd.DataFrame:
    """How alike two modalities are: absolute rank correlation within the brain, a row a subject and pair.

    Returns:
        Columns ``subject``, ``first``, ``second``, ``correlation`` (absolute value of Spearman's).
    """
    rows = []
    for subject in subjects:
        images = store.images[store.rows([subject])[0]].cpu().numpy()
        inside = (images != 0).any(axis=0)
        ranks = np.stack([pd.Series(image[inside]).rank().to_numpy() for image in images])
        table = np.asarray(np.corrcoef(ranks))
        for a, b in itertools.combinations(range(len(store.modalities)), 2):
            rows.append({
                "subject": subject, "first": store.modalities[a], "second": store.modalities[b],
                "correlation": abs(float(table[a, b])),
            })  # fmt: skip
    return pd.DataFrame(rows)


def within_and_between(
    table: pd.DataFrame, groups: Groups = PAIRS, *, n_boot: int = 2000, seed: int = 0
) -> dict[str, Estimate]:
    """Mean correlation ``within`` pairs, ``between`` pairs, and their ``difference``, with intervals over subjects.

    Args:
        table: of :func:`pair_correlations`.
        groups: what counts as a pair.
        n_boot, seed: of the bootstrap.
    """
    place = {name: number for number, group in enumerate(groups) for name in group}
    same = table["first"].map(place) == table["second"].map(place)
    within = table[same].groupby("subject")["correlation"].mean()
    between = table[~same].groupby("subject")["correlation"].mean().reindex(within.index)
    zero = np.zeros(len(within))
    return {
        "within": paired_difference(within, zero, n_boot=n_boot, seed=seed),
        "between": paired_difference(between, zero, n_boot=n_boot, seed=seed),
        "difference": paired_difference(within, between, n_boot=n_boot, seed=seed),
    }


def correlation_table(table: pd.DataFrame) -> pd.DataFrame:
    """Mean absolute rank correlation of every two modalities over subjects, as a square."""
    means = table.groupby(["first", "second"])["correlation"].mean()
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    square = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for row in means.reset_index().to_dict("records"):
        first, second = row["first"], row["second"]
        square.loc[first, second] = square.loc[second, first] = row["correlation"]
    return square
