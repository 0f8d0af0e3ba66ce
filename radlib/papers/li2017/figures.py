"""Pictures of the chapters on Li 2017."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from radlib.core.device import pick_device
from radlib.core.titles import title
from radlib.data.store import ImageStore
from radlib.features.deep import layer_maps, scaled_regions
from radlib.features.fisher import Mixture, fisher_vectors
from radlib.papers.li2017.data import truth_of
from radlib.papers.li2017.features import Encoding, FeatureSet, describe, tumour_slices
from radlib.papers.li2017.segmentation import TumourNetwork, segment
from radlib.plots.slices import Tile, draw_tile, slice_figure, widest_slice
from radlib.plots.style import PALETTE
from radlib.stats.segmentation import dice

CLASSES = {True: "mutant", False: "wild-type"}

# Segmentation


def typical_patients(scores: pd.DataFrame, *, at: Sequence[float] = (0.1, 0.5, 0.9)) -> list[str]:
    """The patients whose ``value`` lies at these quantiles: chosen by rank, not by eye."""
    order = scores.groupby("subject")["value"].mean().sort_values()
    places = sorted({round(share * (len(order) - 1)) for share in at})
    return [str(order.index[place]) for place in places]


def segmentation_figure(store: ImageStore, subjects: Sequence[str], networks: Mapping[str, TumourNetwork]) -> Figure:
    """Figure 1(b): the slice with most tumour of simulated patients, the reference, and what networks find.

    Args:
        store: with FLAIR and T1c, as the networks want it.
        subjects: one row each.
        networks: a column each, by title.
    """
    rows = []
    for subject in subjects:
        one, truth = store.subject(subject), truth_of(store, subject)
        z = widest_slice(truth)
        images = {name: one.image(name)[..., z] for name in store.modalities}
        row = [Tile(image=image, title=title(name), outlines={"reference": truth[..., z]})
               for name, image in images.items()]  # fmt: skip
        for name, network in networks.items():
            found = segment(network, store, subject)
            outlines = {"reference": truth[..., z], "network": found[..., z]}
            row.append(
                Tile(image=images["flair"], title=name, note=f"Dice {dice(found, truth):.2f}", outlines=outlines)
            )
        rows.append(row)
    return slice_figure(rows)


def patches_figure(patches: Tensor, classes: Tensor, modalities: Sequence[str], *, most: int = 8) -> Figure:
    """The first patches ``(B, C, h, w)`` of either class, tumour above, the first modality."""
    rows = {
        name: [Tile(image=patch[0]) for patch in patches[classes == number][:most]]
        for number, name in ((1, f"tumour, {title(modalities[0])}"), (0, "none"))
    }
    return slice_figure(rows, crop=False)


# Features


def box_plot(found: FeatureSet, truth: pd.Series, table: pd.DataFrame, *, n: int = 10) -> Figure:
    """The ``n`` most significant features of both classes (supplementary Figure 4)."""
    values = found.rows([str(subject) for subject in truth.index])
    mutant = truth.to_numpy(dtype=bool)
    figure, axes = plt.subplots(figsize=(7.4, 4.2))
    best = table.iloc[:n]
    for side, (status, name) in enumerate(CLASSES.items()):
        drawn = axes.boxplot(
            [values[mutant == status, int(number) - 1] for number in best["number"]],
            positions=np.arange(len(best)) + 0.2 * (2 * side - 1), widths=0.34, patch_artist=True, manage_ticks=False,
            medianprops={"color": "black"}, flierprops={"markersize": 3},
        )  # fmt: skip
        for box in drawn["boxes"]:
            box.set(facecolor=PALETTE[side], alpha=0.75)
        axes.plot([], [], "s", color=PALETTE[side], label=f"IDH {name}")
    axes.set_xticks(range(len(best)), [str(number) for number in best["number"]], rotation=45, fontsize=10)
    axes.set(xlabel="number of the feature", ylabel="value in the Fisher vector")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def significance_map(table: pd.DataFrame) -> Figure:
    """F-scores by filter and kernel, a panel an order (supplementary Figure 1)."""
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 4.6), sharey=True)
    top = float(table["F-score"].quantile(0.999))
    for order, axes in zip((1, 2), panels, strict=True):
        part = table[table["order"] == order]
        grid = part.pivot(index="filter", columns="kernel", values="F-score").to_numpy()
        # Ticks are placed by the axes, so that cells stand at their own numbers: filters from 0, kernels from 1.
        extent = (0.5, grid.shape[1] + 0.5, grid.shape[0] - 0.5, -0.5)
        image = axes.imshow(
            grid, cmap="viridis", vmin=0, vmax=max(top, 1e-6), aspect="auto", extent=extent, interpolation="nearest"
        )
        axes.set(xlabel="kernel", title=("first", "second")[order - 1] + " order")
        axes.grid(visible=False)
    panels[0].set_ylabel("filter")
    figure.colorbar(image, ax=panels, label="F-score", shrink=0.9)
    return figure


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A patient's slice with most tumour, prepared to be looked at.

    Attributes:
        subject: whose.
        title: above the pictures.
        region: ``(C, h, w)``, the tumour's region as in the store.
        mask: ``(h, w)``.
        maps: by layer ``(filters, h', w')``.
    """

    subject: str
    title: str
    region: Tensor
    mask: Tensor
    maps: Mapping[str, Tensor]


def show(
    model: TumourNetwork, store: ImageStore, subject: str, *, title: str, layers: Sequence[str], enlarged: float = 2.0
) -> Shown:
    """The slice with most tumour of a patient and its maps; ``enlarged`` is the scale at which it is run."""
    images, inside = tumour_slices(store, subject, modalities=model.modalities, most=1)
    device = pick_device()
    region, mask = scaled_regions(images.to(device), inside.to(device), enlarged, margin=model.network.patch // 2)
    with torch.no_grad():
        maps = layer_maps(model.network.to(device).eval(), model.scaling(region), layers)
    return Shown(
        subject=subject, title=title, region=region[0].cpu(), mask=mask[0].cpu(),
        maps={layer: found[0].cpu() for layer, found in maps.items()},
    )  # fmt: skip


def typical(truth: pd.Series, volume: pd.Series) -> dict[bool, str]:
    """A patient of each class with median tumour volume among the class."""
    chosen = {}
    for status in (True, False):
        ranked = volume[truth[truth == status].index].sort_values(kind="stable")
        chosen[status] = str(ranked.index[(len(ranked) - 1) // 2])
    return chosen


def tumour_volumes(store: ImageStore, ids: Sequence[str]) -> pd.Series:
    """Tumour voxels of each patient."""
    return pd.Series({subject: int((store.subject(subject).labels > 0).sum()) for subject in ids}, dtype=float)


def layers_figure(cases: Sequence[Shown], filters: Mapping[str, Sequence[int]]) -> Figure:
    """Maps of the best filters of each layer for each case (Figure 4): a row a layer, one grey scale a filter."""
    rows = {}
    for layer, chosen in filters.items():
        limits = {number: _limits([case.maps[layer][number] for case in cases]) for number in chosen}
        rows[f"{layer[:-1].capitalize()}.{layer[-1]}"] = [
            Tile(image=case.maps[layer][number], title=f"{case.title}, {number}", limits=limits[number], cmap="viridis")
            for case in cases for number in chosen
        ]  # fmt: skip
    return slice_figure(rows, crop=False, width=9.5)


def _limits(maps: Sequence[Tensor]) -> tuple[float, float]:
    low, high = torch.cat([one.flatten() for one in maps]).quantile(torch.tensor([0.01, 0.99])).tolist()
    return low, high


def cases_figure(
    cases: Sequence[Shown], answers: Sequence[Tensor], *, layer: str, filter_number: int, kernels: Sequence[int],
    mixture: Mixture, modalities: Sequence[str],
) -> Figure:  # fmt: skip
    """Two tumours, the map of one filter, and the distribution of its answers around the leading kernels (Figure 2).

    Args:
        cases: patients.
        answers: of the filter to all slices and scales, ``(N,)`` for each case.
        layer, filter_number: which filter, from 0.
        kernels: those of the leading features, from 1.
        mixture: the dictionary of the layer.
        modalities: the channels that are shown.
    """
    columns = len(modalities) + 2
    figure, grid = plt.subplots(
        len(cases), columns, figsize=(7.4, 2.1 * len(cases) + 0.5), squeeze=False,
        gridspec_kw={"width_ratios": [1] * (columns - 1) + [1.7]},
    )  # fmt: skip
    own = min(filter_number, len(mixture.weights) - 1)
    lowest, highest = torch.cat([part.flatten() for part in answers]).quantile(torch.tensor([0.002, 0.998])).tolist()
    for row, case, values in zip(grid, cases, answers, strict=True):
        tiles = [Tile(image=case.region[place], title=title(name), outlines={"tumour": case.mask})
                 for place, name in enumerate(modalities)]  # fmt: skip
        tiles.append(Tile(image=case.maps[layer][filter_number], title=f"filter {filter_number}", cmap="viridis"))
        for axes, tile in zip(row, tiles, strict=False):
            _draw(axes, tile)
        row[0].set_ylabel(case.title, fontsize=10)
        row[-1].hist(values.numpy(), bins=np.linspace(lowest, highest, 41), density=True, color="0.75")
        for number, kernel in enumerate(kernels):
            mean = float(mixture.means[own, kernel - 1, 0])
            spread = float(mixture.variances[own, kernel - 1, 0].sqrt())
            row[-1].axvspan(mean - spread, mean + spread, color=PALETTE[number], alpha=0.35, lw=0)
            row[-1].axvline(mean, color=PALETTE[number], ls=("-", "--")[number % 2], label=f"kernel {kernel}")
        row[-1].set_yticks([])
        row[-1].tick_params(labelsize=9)
        row[-1].grid(visible=False)
    grid[0, -1].set_title("its answers", fontsize=10)
    grid[0, -1].legend(fontsize=8, loc="upper right")
    return figure


def _draw(axes: Axes, tile: Tile) -> None:
    draw_tile(axes, tile)
    axes.set_title(tile.title, fontsize=10)


def overview_figure(
    model: TumourNetwork,
    store: ImageStore,
    subject: str,
    *,
    layer: str,
    filter_number: int,
    mixture: Mixture,
    encoding: Encoding,
    seed: int,
) -> Figure:
    """From a slice to the Fisher vector of one filter, one patient's own numbers (the lower half of Figure 5)."""
    images, inside = tumour_slices(store, subject, modalities=model.modalities, most=1)
    case = show(model, store, subject, title="", layers=[layer])
    ((_, found),) = describe(model, store, [subject], layers=[layer], encoding=encoding, seed=seed)
    answers = found[layer][filter_number].cpu()
    figure, grid = plt.subplots(2, 3, figsize=(7.4, 4.9))
    _draw(grid[0, 0], Tile(image=images[0, 0], title="1  slice and tumour", outlines={"tumour": inside[0]}))
    grid[0, 1].set_title(f"2  region at {len(encoding.sampling.scales)} scales", fontsize=10)
    _nested(grid[0, 1], images, inside, (0.5, 1.0, 2.0), margin=model.network.patch // 2)
    picture = Tile(image=case.maps[layer][filter_number], title=f"3  {layer}, filter {filter_number}", cmap="viridis")
    _draw(grid[0, 2], picture)
    own = min(filter_number, len(mixture.weights) - 1)
    grid[1, 0].hist(answers.numpy(), bins=40, density=True, color="0.75")
    at = torch.linspace(float(answers.min()), float(answers.max()), 300)
    one = Mixture(mixture.weights[own : own + 1], mixture.means[own : own + 1], mixture.variances[own : own + 1])
    grid[1, 0].plot(at.numpy(), one.to("cpu").log_likelihood(at[None])[0].exp().numpy(), color=PALETTE[1])
    grid[1, 0].set_title("4  its answers, the mixture", fontsize=10)
    vector = fisher_vectors(answers[None], one.to("cpu"), unit="filter")[0, :, :, 0].numpy()
    for order in (0, 1):
        grid[1, 1].bar(np.arange(1, len(vector) + 1), vector[:, order], width=1, color=PALETTE[order], alpha=0.75)
    grid[1, 1].set_title("5  Fisher vector of the filter", fontsize=10)
    grid[1, 1].set_xlabel("kernel", fontsize=10)
    grid[1, 2].set_axis_off()
    words = (
        f"6  all {model.network.channels(layer)} filters:\n"
        f"{model.network.channels(layer)} x {mixture.components} x 2\n"
        f"= {model.network.channels(layer) * mixture.components * 2} numbers\n\n"
        "7  t-test, F-score,\nlinear SVM, one patient\nleft out"
    )
    grid[1, 2].text(0.02, 0.95, words, va="top", fontsize=11)
    for axes in grid[1, :2]:
        axes.tick_params(labelsize=9)
        axes.grid(visible=False)
    return figure


def _nested(axes: Axes, images: Tensor, inside: Tensor, ratios: Sequence[float], *, margin: int) -> None:
    """The region at several scales beside each other, in their own sizes."""
    regions = [scaled_regions(images, inside, ratio, margin=margin)[0][0, 0].cpu().numpy() for ratio in ratios]
    height = max(region.shape[1] for region in regions)
    gap = 4
    canvas = np.full((height, sum(region.shape[0] for region in regions) + gap * (len(regions) - 1)), np.nan)
    left = 0
    for region in regions:
        picture = region.T
        canvas[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    axes.imshow(canvas)
    axes.set_axis_off()
