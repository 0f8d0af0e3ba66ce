"""Figure 3 of Islam 2020 as a measurement: what scSE and skip-scSE do to the feature maps of trained networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.data.store import ImageStore
from radlib.papers.islam2020.networks import DecoderBlock
from radlib.papers.islam2020.segmentation import Run
from radlib.plots.style import PALETTE

NEAR_ZERO = 0.01
"""A value counts as near zero where it is below this share of the largest magnitude (99th percentile) of its layer."""


def hoyer(values: Tensor) -> float:
    """Hoyer's sparsity: 0 where all magnitudes are equal, 1 where a single value is not 0; NaN where all are 0."""
    flat = values.flatten().double().abs()
    n, norm = flat.numel(), float(flat.square().sum().sqrt())
    if norm == 0 or n < 2:
        return float("nan")
    return (n**0.5 - float(flat.sum()) / norm) / (n**0.5 - 1)


def near_zero(values: Tensor) -> float:
    """Share of values whose magnitude is below :data:`NEAR_ZERO` of the layer's 99th percentile; 1 where all are 0."""
    flat = values.flatten().float().abs()
    top = float(np.percentile(flat.cpu().numpy(), 99))
    return float((flat <= NEAR_ZERO * top).float().mean())


def captured(network: nn.Module, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What goes into and comes out of the excitation of every decoder block, deepest first, each ``(B, C, h, w)``.

    Raises:
        RadlibError: if the network has no decoder blocks.
    """
    blocks = [module for module in network.modules() if isinstance(module, DecoderBlock)]
    if not blocks:
        raise RadlibError("the network has no decoder block with excitation", remedy="give an OctaveFCN")
    kept: list[tuple[Tensor, Tensor]] = []
    hooks = [
        # The input is kept as a copy: the activation before it works in place.
        block.excitation.register_forward_hook(lambda _, given, out: kept.append((given[0].clone(), out.clone())))
        for block in blocks
    ]
    try:
        with torch.no_grad():
            network.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
    return kept


def excitation_table(
    runs: Mapping[str, Sequence[Run]], store: ImageStore, subjects: Sequence[str], *, per_subject: int = 2
) -> pd.DataFrame:
    """Range and sparsity of the maps behind every excitation, over the slices with most tumour.

    Returns:
        One row an excitation (key of ``runs``), run and decoder block (1 is the deepest): ``low`` and ``high`` (1st
        and 99th percentile of the maps behind the excitation), ``range``, ``range_before``, ``near_zero`` and
        ``hoyer`` of the maps, ``weights_near_zero`` and ``weights_hoyer`` of the layer that takes them.
    """
    index = store.slices(subjects, where="tumour", per_subject=per_subject)
    rows = []
    for name, members in runs.items():
        for number, run in enumerate(members):
            images = store.take_slices(index)[0][:, store.channels(run.modalities)]
            network = run.network
            images = images.to(next(network.parameters()).device)
            takers = _takers(network)
            for block, (before, after) in enumerate(captured(network, images)):
                low, high = np.percentile(after.cpu().numpy(), [1, 99])
                first, last = np.percentile(before.cpu().numpy(), [1, 99])
                rows.append({
                    "excitation": name, "run": number + 1, "block": block + 1, "low": low, "high": high,
                    "range": high - low, "range_before": last - first, "near_zero": near_zero(after),
                    "hoyer": hoyer(after), "weights_near_zero": near_zero(takers[block]),
                    "weights_hoyer": hoyer(takers[block]),
                })  # fmt: skip
    return pd.DataFrame(rows)


def _takers(network: nn.Module) -> list[Tensor]:
    """The weights that take the excited maps: each block's deconvolution, and the head for the last block."""
    blocks = [module for module in network.modules() if isinstance(module, DecoderBlock)]
    head = network.head
    assert isinstance(head, nn.Conv2d)
    weights: list[Tensor] = []
    for block in blocks:
        layer = block.up if isinstance(block.up, nn.ConvTranspose2d) else head
        weights.append(layer.weight.detach())
    return weights


def excitation_figure(table: pd.DataFrame) -> Figure:
    """Range of the maps and shares near zero, decoder block by decoder block, one colour an excitation."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(10.0, 3.9))
    names = list(dict.fromkeys(table["excitation"]))
    titles = ("Maps behind the excitation", "Sparsity of these maps", "Sparsity of the weights behind")
    for number, name in enumerate(names):
        part = table[table["excitation"] == name]
        colour = PALETTE[number]
        shift = (number - (len(names) - 1) / 2) * 0.22
        for block, rows in part.groupby("block"):
            panels[0].plot([block + shift] * 2, [rows["low"].mean(), rows["high"].mean()], color=colour, linewidth=7,
                           solid_capstyle="butt", label=name if block == 1 else None)  # fmt: skip
        for panel, column in zip(panels[1:], ("hoyer", "weights_hoyer"), strict=True):
            panel.scatter(part["block"] + shift, part[column], s=18, color=colour, alpha=0.6, linewidth=0)
            means = part.groupby("block")[column].mean()
            panel.plot(means.index + shift, means.to_numpy(), color=colour, marker="_", markersize=14, linewidth=1.2)
    panels[0].axhline(0, color="0.4", linewidth=0.8)
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, fontsize=11)
        panel.set(xlabel="decoder block, deepest first", xticks=sorted(table["block"].unique()))
    panels[0].set_ylabel("1st to 99th percentile")
    panels[1].set_ylabel("Hoyer's sparsity")
    figure.legend(loc="outside lower center", ncols=len(names), fontsize=10)
    return figure


def excitation_sentence(table: pd.DataFrame) -> str:
    """The measurement in words, and in how many blocks the paper's claim holds: wider, and less sparse, with the skip.

    Args:
        table: of :func:`excitation_table`, with the excitations ``skip-scSE`` and ``scSE``.
    """
    columns = ["low", "high", "range", "hoyer", "weights_hoyer"]
    means = table.groupby("excitation", sort=False)[columns].mean().to_dict("index")
    said = [
        f"{name}: {row['low']:.2f} to {row['high']:.2f}, sparsity {row['hoyer']:.3f} of the maps and "
        f"{row['weights_hoyer']:.3f} of the weights behind them"
        for name, row in means.items()
    ]
    blocks = table.groupby(["excitation", "block"])[columns].mean()
    skip, plain = blocks.loc["skip-scSE"], blocks.loc["scSE"]
    held = [
        f"the range is wider in {int((skip['range'] > plain['range']).sum())}",
        f"the maps are less sparse in {int((skip['hoyer'] < plain['hoyer']).sum())}",
        f"the weights less sparse in {int((skip['weights_hoyer'] < plain['weights_hoyer']).sum())}",
    ]
    return (
        "Excited maps from percentile 1 to 99, means over blocks and trainings. " + "; ".join(said) + ". "
        f"With the skip, {', '.join(held)} of {len(skip)} decoder blocks."
    )


def map_figure(runs: Mapping[str, Run], store: ImageStore, subject: str, *, channels: int = 5) -> Figure:
    """Feature maps behind the excitation of the last decoder block on the slice with most tumour, as in Figure 3.

    One row a network; the channels with the widest range first; one colour scale for all.
    """
    import matplotlib.pyplot as plt

    index = store.slices([subject], where="tumour", per_subject=1)
    maps = {}
    for name, run in runs.items():
        images = store.take_slices(index)[0][:, store.channels(run.modalities)]
        after = captured(run.network, images.to(next(run.network.parameters()).device))[-1][1][0].cpu()
        spread = after.flatten(1).quantile(0.99, dim=1) - after.flatten(1).quantile(0.01, dim=1)
        maps[name] = after[spread.argsort(descending=True)[:channels]].numpy()
    low = min(float(np.percentile(one, 0.5)) for one in maps.values())
    high = max(float(np.percentile(one, 99.5)) for one in maps.values())
    columns = max(len(one) for one in maps.values())
    figure, panels = plt.subplots(len(maps), columns, figsize=(1.9 * columns + 0.6, 2.1 * len(maps)), squeeze=False)
    for row, (name, one) in zip(panels, maps.items(), strict=True):
        for panel, picture in zip(row, one, strict=False):
            drawn = panel.imshow(picture.T, vmin=low, vmax=high, cmap="viridis")
        for panel in row:
            panel.set_axis_off()
        row[0].set_title(name, loc="left", fontsize=10)
    figure.colorbar(drawn, ax=panels, shrink=0.8, label="value")
    return figure
