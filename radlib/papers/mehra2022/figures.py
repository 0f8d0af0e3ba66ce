"""Figures of Mehra 2022."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from radlib.data.store import ImageStore
from radlib.nn.device import device_of
from radlib.papers.mehra2022.networks import FeatureUNet
from radlib.papers.mehra2022.tables import PARTS
from radlib.papers.mehra2022.unet import augment
from radlib.plots.curves import curve_figure
from radlib.plots.slices import Tile, mosaic, slice_figure, widest_slice

SCORES = {"soft_dice_loss": "soft-Dice loss", "hard_dice": "hard Dice", "iou": "IOU"}


def score_figure(history: pd.DataFrame) -> Figure:
    """Losses and scores over training, with a line at the best IOU of the held-out slices: Figure 6."""
    rows = history[history["part"] == "validation"]
    long = pd.concat([
        pd.DataFrame({"step": rows["step"], "value": rows[f"{part}_{key}"], "score": name, "slices": f"{title} slices"})
        for part, title in PARTS.items() for key, name in SCORES.items() if f"{part}_{key}" in rows
    ])  # fmt: skip
    best = rows.sort_values("test_iou")["step"].iloc[-1] if "test_iou" in rows else None
    return curve_figure(
        long, x="step", xlabel="step", ylabel="loss, score", colour="score", panel="slices", ylim=(-0.02, 1.02),
        events=[] if best is None else [("best IOU of the held-out slices", float(best))],
    )  # fmt: skip


def before_after_figure(networks: Mapping[str, FeatureUNet], store: ImageStore, subject: str) -> Figure:
    """A slice with the true outline and that of each network for FLAIR: Figures 3 and 7."""
    one = store.subject(subject)
    z = widest_slice(one.labels)
    image = one.image("flair")[..., z]
    tiles = [Tile(image=image, title="true", outlines={"tumour": one.labels[..., z] > 0})]
    for name, network in networks.items():
        with torch.no_grad():
            logits = network(image[None, None].to(device_of(network)))[0, 0]
        tiles.append(Tile(image=image, title=name, outlines={"tumour": logits.cpu() > 0}))
    return slice_figure([tiles])


def grade_figure(store: ImageStore, subjects: Mapping[str, str]) -> Figure:
    """The slice with most tumour of one subject a grade, with the outline: Figure 4."""
    tiles = []
    for grade, subject in subjects.items():
        one = store.subject(subject)
        z = widest_slice(one.labels)
        image = one.image("flair")[..., z]
        tiles.append(Tile(image=image, title=grade, outlines={"tumour": one.labels[..., z] > 0}))
    return slice_figure([tiles])


def augmentation_figure(store: ImageStore, subject: str, *, seed: int, n: int = 4) -> Figure:
    """A slice and augmented versions of it, with the outlines: Figure 5."""
    one = store.subject(subject)
    z = widest_slice(one.labels)
    image, mask = one.image("flair")[..., z], (one.labels[..., z] > 0).float()
    moved, masks = augment(
        image.expand(n, 1, -1, -1), mask.expand(n, 1, -1, -1), np.random.default_rng(seed)
    )  # fmt: skip
    tiles = [Tile(image=image, title="original", outlines={"tumour": mask})]
    tiles += [Tile(image=moved[k, 0], title="augmented", outlines={"tumour": masks[k, 0]}) for k in range(n)]
    return slice_figure([tiles], crop=False)


def maps_figure(maps: Mapping[str, torch.Tensor], *, n: int = 4) -> Figure:
    """The strongest maps behind each block: Figure 8. ``maps``: ``(C, X, Y)`` by block."""
    tiles = []
    for name, block in maps.items():
        strongest = block.flatten(1).std(dim=1).argsort(descending=True)[:n]
        picture = mosaic(_each_scaled(block[strongest]), columns=1)
        tiles.append(Tile(image=picture, title=f"{name}: {block.shape[1]}x{block.shape[2]}x{block.shape[0]}",
                          limits=(0, 1)))  # fmt: skip
    return slice_figure([tiles[: len(tiles) // 2 + 1], tiles[len(tiles) // 2 + 1 :]], crop=False)


def feature_figure(features: Mapping[str, torch.Tensor], *, side: int = 5) -> Figure:
    """``side`` x ``side`` maps of one sample a title: Figures 9 and 10. ``features``: ``(C, x, y)``."""
    tiles = []
    for title, maps in features.items():
        order = maps.flatten(1).mean(dim=1).argsort(descending=True)[: side * side]
        picture = mosaic(maps[order], columns=side)
        limits = float(np.nanmin(picture)), float(np.nanmax(picture))
        tiles.append(Tile(image=picture, title=title, limits=limits))
    return slice_figure([tiles], crop=False)


def _each_scaled(maps: torch.Tensor) -> torch.Tensor:
    low, high = maps.flatten(1).amin(dim=1)[:, None, None], maps.flatten(1).amax(dim=1)[:, None, None]
    return (maps - low) / (high - low).clamp(min=1e-6)


def sweep_figure(table: pd.DataFrame, *, called: Mapping[str, str]) -> Figure:
    """Accuracy of slices, total and by class, over the number of synthetic features: ``added, group, value``.

    ``called`` has the names of LGG and HGG.
    """
    titles = {"total": "all", "hgg": called["HGG"], "lgg": called["LGG"], "average": "mean of both grades"}
    return curve_figure(
        table.assign(slices=table["group"].map(titles)), x="added", colour="slices", ylim=(0, 1.02),
        xlabel="synthetic features added to the training set", ylabel="slices right",
    )  # fmt: skip
