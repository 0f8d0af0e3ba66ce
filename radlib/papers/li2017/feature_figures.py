"""Tables and figures of the deep features: which are significant, where they come from, what their filters show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from radlib.core.device import pick_device
from radlib.core.seeds import rng
from radlib.data.published import published
from radlib.data.store import ImageStore
from radlib.features.deep import layer_maps, scaled_regions
from radlib.features.fisher import Mixture, Place, fisher_vectors, number_of, place_of
from radlib.papers.li2017.features import Encoding, FeatureSet, describe, tumour_slices
from radlib.papers.li2017.prediction import Table
from radlib.papers.li2017.segmentation import TumourNetwork
from radlib.plots.style import PALETTE

CLASSES = {True: "mutant", False: "wild-type"}


# Which features


def significance(found: FeatureSet, truth: pd.Series, *, alpha: float = 0.05) -> pd.DataFrame:
    """Every feature with its place, t-test and F-score on all patients of ``truth``, the best F-score first.

    Columns: ``number`` (from 1), ``filter`` (from 0), ``kernel`` (from 1), ``order``, ``F-score``, ``p``,
    ``significant``, and the mean of each class.
    """
    values = found.rows([str(subject) for subject in truth.index])
    mutant = truth.to_numpy(dtype=bool)
    scores = Table(values, mutant).scores()
    numbers = np.arange(1, values.shape[1] + 1)
    places = [place_of(int(number), components=found.components) for number in numbers]
    table = pd.DataFrame(places, columns=["filter", "kernel", "order"])
    table.insert(0, "number", numbers)
    table["F-score"], table["p"], table["significant"] = scores.f, scores.p, scores.p < alpha
    table["mutant"], table["wild-type"] = values[mutant].mean(axis=0), values[~mutant].mean(axis=0)
    return table.sort_values("F-score", ascending=False, kind="stable", ignore_index=True)


def shuffled_significance(
    found: FeatureSet, truth: pd.Series, *, alpha: float, draws: int, seed: int
) -> dict[str, tuple[float, float]]:
    """What labels shuffled between patients give: central 95 % of ``significant`` features and ``best F-score``."""
    table = Table(found.rows([str(subject) for subject in truth.index]), truth.to_numpy(dtype=bool))
    counts, best = [], []
    for number in range(draws):
        scores = table.relabelled(rng(seed, "shuffled", number).permutation(table.truth)).scores()
        counts.append(int((scores.p < alpha).sum()))
        best.append(float(scores.f.max()))
    return {
        name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        for name, values in (("significant", counts), ("best F-score", best))
    }


def best_filters(table: pd.DataFrame, *, n: int = 4) -> list[int]:
    """The filters of the features with the best F-scores, each once."""
    return [int(f) for f in table["filter"].drop_duplicates().iloc[:n]]


def concentration(table: pd.DataFrame) -> pd.DataFrame:
    """How far the significant features gather in few kernels and few filters.

    Columns: ``by`` (kernel, filter), ``there are``, ``hold half`` (the fewest that hold half of the significant
    features) and ``by chance`` (the same where as many features are drawn at random, a mean of 200 draws).
    """
    rows = []
    n = int(table["significant"].sum())
    draw = np.random.default_rng(0)
    for by in ("kernel", "filter"):
        groups = table[by].to_numpy()
        chance = [_holding_half(groups[draw.permutation(len(groups))[:n]]) for _ in range(200)]
        rows.append(
            {
                "by": by, "there are": int(np.unique(groups).size), "by chance": float(np.mean(chance)),
                "hold half": _holding_half(groups[table["significant"].to_numpy()]),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _holding_half(groups: npt.NDArray[np.int64]) -> int:
    if not len(groups):
        return 0
    counts = np.sort(np.unique(groups, return_counts=True)[1])[::-1]
    return int(np.searchsorted(counts.cumsum(), counts.sum() / 2) + 1)


def numbering_table() -> pd.DataFrame:
    """The two features that the paper names, by its text and by their numbers."""
    rows = []
    for name, kernel, order in (("first_feature", 36, 1), ("second_feature", 28, 2)):
        number = int(published(f"li2017.text.{name}").value)
        by_number, by_text = place_of(number), Place(107, kernel, order)
        rows.append(
            {
                "number": number, "filter": by_number.filter, "kernel": by_number.kernel, "order": by_number.order,
                "kernel by the text": kernel, "order by the text": order, "number of the text's": number_of(by_text),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def planted_correlations(found: FeatureSet, table: pd.DataFrame, traits: pd.DataFrame, *, n: int = 10) -> pd.DataFrame:
    """The planted trait that each of the best ``n`` features follows most: Spearman's correlation over the patients.

    Args:
        found: the features.
        table: as :func:`significance` gives it.
        traits: ``(patients, traits)`` of a simulated cohort; the patients that are compared.
    """
    values = found.rows([str(subject) for subject in traits.index])
    rows = []
    for number in table["number"].iloc[:n]:
        column = values[:, int(number) - 1]
        r = {
            name: float(stats.spearmanr(column, traits[name]).statistic)
            for name in traits
            if traits[name].nunique() > 1 and np.ptp(column) > 0
        }
        if r:
            best = max(r, key=lambda name: abs(r[name]))
            rows.append({"number": int(number), "follows most": best, "Spearman": r[best]})
    return pd.DataFrame(rows, columns=["number", "follows most", "Spearman"])


# Figures of features


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


# Figures of filters


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
    return pd.Series({s: int((store.labels[store.rows([s])[0]] > 0).sum()) for s in ids}, dtype=float)


def layers_figure(cases: Sequence[Shown], filters: Mapping[str, Sequence[int]]) -> Figure:
    """Maps of the best filters of each layer for each case (Figure 4): rows of layers, filters side by side."""
    most = max(len(chosen) for chosen in filters.values())
    figure = plt.figure(figsize=(0.92 * most * len(cases) + 0.7, 0.98 * len(filters) + 0.6))
    # One grey scale for a filter, so that cases can be compared.
    limits = {
        (layer, number): torch.cat([case.maps[layer][number].flatten() for case in cases]).quantile(
            torch.tensor([0.01, 0.99])
        )
        for layer, chosen in filters.items()
        for number in chosen
    }
    halves = figure.subfigures(1, len(cases), squeeze=False, width_ratios=[1.1] + [1.0] * (len(cases) - 1))
    for half, case in zip(halves[0], cases, strict=True):
        half.suptitle(case.title, fontsize=11)
        grid = half.subplots(len(filters), most, squeeze=False)
        for row, (layer, chosen) in zip(grid, filters.items(), strict=True):
            for axes in row:
                axes.set_axis_off()
            if case is cases[0]:
                _beside(row[0], f"{layer[:-1].capitalize()}.{layer[-1]}")
            for axes, number in zip(row, chosen, strict=False):
                low, high = map(float, limits[layer, number])
                axes.imshow(np.rot90(case.maps[layer][number].numpy()), vmin=low, vmax=max(high, low + 1e-6))
                axes.set_title(f"{number}", fontsize=8, pad=2)
    return figure


def cases_figure(
    cases: Sequence[Shown],
    answers: Sequence[Tensor],
    *,
    layer: str,
    filter_number: int,
    kernels: Sequence[int],
    mixture: Mixture,
    modalities: Sequence[str],
) -> Figure:
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
    everything = torch.cat([part.flatten() for part in answers])
    lowest, highest = (float(everything.quantile(q)) for q in (0.002, 0.998))
    edges = np.linspace(lowest, highest, 41)
    for row, case, values in zip(grid, cases, answers, strict=True):
        for place, name in enumerate(modalities):
            _picture(row[place], case.region[place], title={"flair": "FLAIR", "t1ce": "T1 contrast"}.get(name, name))
            row[place].contour(np.rot90(case.mask.numpy()), levels=[0.5], colors=PALETTE[4], linewidths=1)
        _picture(row[-2], case.maps[layer][filter_number], title=f"filter {filter_number}")
        _beside(row[0], case.title)
        row[-1].hist(values.numpy(), bins=edges, density=True, color="0.75")
        for number, kernel in enumerate(kernels):
            mean = float(mixture.means[own, kernel - 1, 0])
            spread = float(mixture.variances[own, kernel - 1, 0].sqrt())
            colour = PALETTE[number % len(PALETTE)]
            row[-1].axvspan(mean - spread, mean + spread, color=colour, alpha=0.35, lw=0)
            row[-1].axvline(mean, color=colour, ls=("-", "--")[number % 2], label=f"kernel {kernel}")
        row[-1].set_yticks([])
        row[-1].tick_params(labelsize=9)
        row[-1].grid(visible=False)
    grid[0, -1].set_title("its answers", fontsize=10)
    grid[0, -1].legend(fontsize=8, loc="upper right")
    return figure


def gallery(
    model: TumourNetwork, store: ImageStore, subjects: Mapping[str, Sequence[str]], *, layer: str, filter_number: int
) -> Figure:
    """The map of one filter for several patients of each class (supplementary Figure 2)."""
    width = max(len(ids) for ids in subjects.values())
    figure, grid = plt.subplots(len(subjects), width, figsize=(1.22 * width, 1.35 * len(subjects) + 0.2), squeeze=False)
    pictures = {
        (name, place): show(model, store, subject, title="", layers=[layer]).maps[layer][filter_number]
        for name, ids in subjects.items()
        for place, subject in enumerate(ids)
    }
    everything = torch.cat([picture.flatten() for picture in pictures.values()])
    low, high = (float(everything.quantile(q)) for q in (0.01, 0.99))
    for axes in grid.flat:
        axes.set_axis_off()
    for row, name in enumerate(subjects):
        _beside(grid[row, 0], name)
        for place in range(len(subjects[name])):
            grid[row, place].imshow(np.rot90(pictures[name, place].numpy()), vmin=low, vmax=max(high, low + 1e-6))
    return figure


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
    _picture(grid[0, 0], images[0, 0].cpu(), title="1  slice and tumour")
    grid[0, 0].contour(np.rot90(inside[0].cpu().numpy()), levels=[0.5], colors=PALETTE[4], linewidths=1)
    grid[0, 1].set_title(f"2  region at {len(encoding.sampling.scales)} scales", fontsize=10)
    _nested(grid[0, 1], images, inside, (0.5, 1.0, 2.0), margin=model.network.patch // 2)
    _picture(grid[0, 2], case.maps[layer][filter_number], title=f"3  {layer}, filter {filter_number}")
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


def _beside(axes: Axes, words: str) -> None:
    """What a row shows, to the left of its first picture."""
    axes.text(-0.1, 0.5, words, rotation=90, va="center", ha="right", transform=axes.transAxes, fontsize=10)


def _picture(axes: Axes, picture: Tensor, *, title: str) -> None:
    axes.imshow(np.rot90(picture.numpy()))
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def _nested(axes: Axes, images: Tensor, inside: Tensor, ratios: Sequence[float], *, margin: int) -> None:
    """The region at several scales beside each other, in their own sizes."""
    regions = [scaled_regions(images, inside, ratio, margin=margin)[0][0, 0].cpu().numpy() for ratio in ratios]
    height = max(region.shape[1] for region in regions)
    gap = 4
    canvas = np.full((height, sum(region.shape[0] for region in regions) + gap * (len(regions) - 1)), np.nan)
    left = 0
    for region in regions:
        picture = np.rot90(region)
        canvas[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    axes.imshow(canvas)
    axes.set_axis_off()
