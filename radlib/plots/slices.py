"""Pictures of slices: one function for images, label maps, outlines and feature maps.

Arrays are ``(X, Y)`` on a grid in LPS, as :class:`radlib.data.store.ImageStore` holds them, and are shown as
radiologists see them: anterior up, the patient's left on the right.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from radlib.core.errors import RadlibError
from radlib.plots.style import PALETTE

WIDTH = 7.4  # inches; 700 px at about 95 dpi, so that 10 pt text stays readable

#: Label to colour and name; :func:`slice_figure` takes a paper's own colours instead.
LABEL_COLOURS: dict[int, tuple[str, str]] = {
    1: (PALETTE[1], "core (1)"),
    2: (PALETTE[5], "oedema (2)"),
    4: ("#F0E442", "enhancing (4)"),
}
#: Of outlines, in the order in which their names appear.
OUTLINE_COLOURS = (PALETTE[4], PALETTE[5], PALETTE[3], PALETTE[1])


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture of a row.

    Attributes:
        image: ``(X, Y)``, an array or a tensor; None says that it is missing.
        title: above; left out where the picture above has the same.
        note: below.
        labels: ``(X, Y)`` label map that is laid over the image in colour; 0 is nothing.
        outlines: name (of the legend) to a mask ``(X, Y)`` whose border is drawn.
        limits: values shown black and white. Where None: the 1st and the 99.5th percentile of what is not 0, and 0
            itself is black.
        cmap: colour map; another one than ``gray`` is drawn without overlays and gets a colour bar if the figure asks
            for one.
        upwards: the second axis points up (a sagittal or coronal slice).
        frame: colour of a frame; none where empty.
    """

    image: Any
    title: str = ""
    note: str = ""
    labels: Any = None
    outlines: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    cmap: str = "gray"
    upwards: bool = False
    frame: str = ""


def slice_figure(
    rows: Mapping[str, Sequence[Tile]] | Sequence[Sequence[Tile]],
    *,
    colours: Mapping[int, tuple[str, str]] = LABEL_COLOURS,
    crop: bool = True,
    colorbar: str = "",
    width: float = WIDTH,
) -> Figure:
    """Rows of pictures with a legend of the labels and outlines that occur.

    Args:
        rows: what is written beside a row (empty: nothing) to its pictures; rows may differ in length.
        colours: label to colour and name.
        crop: cut every row to the smallest box around what is not 0 in its gray pictures of equal shape.
        colorbar: what the pictures with another colour map show; a bar beside them where given.
        width: inches.

    Raises:
        RadlibError: if there is nothing to show.
    """
    named = dict(rows) if isinstance(rows, Mapping) else dict(enumerate(rows))
    columns = max((len(tiles) for tiles in named.values()), default=0)
    if not columns:
        raise RadlibError("no picture to show", remedy="name at least one subject")
    lines = [_cut(tiles) if crop else list(tiles) for tiles in named.values()]
    tall = [max((_ratio(tile) for tile in tiles if tile.image is not None), default=1.0) for tiles in lines]
    noted = sum(0.3 if any(tile.note for tile in tiles) else 0.06 for tiles in lines)
    side = 0.95 * width / columns
    figure, grid = plt.subplots(
        len(lines), columns, figsize=(width, sum(side * part for part in tall) + noted + 0.8),
        squeeze=False, height_ratios=tall, facecolor="white",
    )  # fmt: skip
    names = list(dict.fromkeys(name for tiles in lines for tile in tiles for name in tile.outlines))
    tints = {name: OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)] for number, name in enumerate(names)}
    drawn: dict[str, tuple[AxesImage, list[Axes]]] = {}
    for number, (beside, tiles) in enumerate(zip(named, lines, strict=True)):
        above = [tile.title for tile in lines[number - 1]] if number else []
        for column, axes in enumerate(grid[number]):
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
            if column >= len(tiles):
                axes.set_visible(False)
                continue
            tile = tiles[column]
            shown = draw_tile(axes, tile, colours=colours, tints=tints)
            if tile.title and (column >= len(above) or above[column] != tile.title):
                axes.set_title(_broken(tile.title), fontsize=9)
            if shown is not None and tile.cmap != "gray":
                drawn.setdefault(tile.cmap, (shown, []))[1].append(axes)
        if beside and isinstance(beside, str):
            grid[number, 0].set_ylabel(_broken(beside), fontsize=9)
    if colorbar:
        for image, panels in drawn.values():
            figure.colorbar(image, ax=panels, shrink=0.8, label=colorbar)
    _legend(figure, lines, colours, tints)
    return figure


def draw_tile(
    axes: Axes,
    tile: Tile,
    *,
    colours: Mapping[int, tuple[str, str]] = LABEL_COLOURS,
    tints: Mapping[str, str] | None = None,
) -> AxesImage | None:
    """Draw one picture, without its title, into axes of another figure; None where the image is missing."""
    for spine in axes.spines.values():
        spine.set(visible=bool(tile.frame), linewidth=3)
        if tile.frame:
            spine.set_color(tile.frame)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    if tile.note:
        axes.set_xlabel(tile.note, fontsize=9)
    if tile.image is None:
        axes.set_facecolor("black")
        axes.text(0.5, 0.5, "missing", color="white", ha="center", va="center", transform=axes.transAxes)
        return None
    image = as_array(tile.image)
    origin: Literal["lower", "upper"] = "lower" if tile.upwards else "upper"
    if tile.cmap != "gray":
        low, high = tile.limits or (float(np.nanmin(image)), float(np.nanmax(image)))
        shown = axes.imshow(image.T, cmap=tile.cmap, vmin=low, vmax=max(high, low + 1e-6), origin=origin)
    else:
        rgb = np.repeat(grey(image, tile.limits)[..., None], 3, axis=2)
        if tile.labels is not None:
            over = as_array(tile.labels)
            for label, (colour, _) in colours.items():
                rgb[over == label] = 0.35 * rgb[over == label] + 0.65 * np.asarray(to_rgb(colour))
        shown = axes.imshow(rgb.transpose(1, 0, 2), interpolation="nearest", origin=origin)
    for number, (name, mask) in enumerate(tile.outlines.items()):
        border = as_array(mask).astype(float)
        if 0 < border.mean() < 1:
            tint = (tints or {}).get(name, OUTLINE_COLOURS[number % len(OUTLINE_COLOURS)])
            axes.contour(border.T, levels=[0.5], colors=[tint], linewidths=1.4)
    return shown


def grey(image: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """Values from 0 (black) to 1: between ``limits``, else as :class:`Tile` describes. Undefined values are white."""
    if limits is not None:
        low, high = limits
        return np.nan_to_num(np.clip((image - low) / max(high - low, 1e-6), 0, 1), nan=1.0)
    inside = image[image != 0]
    low, high = np.nanpercentile(inside, [1, 99.5]) if inside.size else (0.0, 1.0)
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return np.nan_to_num(scaled * (image != 0), nan=1.0)


def widest_slice(labels: Any) -> int:
    """The axial position with most tumour in ``labels`` ``(X, Y, Z)``; the middle one where there is none."""
    areas = (as_array(labels) > 0).sum(axis=(0, 1))
    return int(areas.argmax()) if areas.any() else areas.size // 2


def mosaic(maps: Any, *, columns: int, gap: int = 1) -> np.ndarray:
    """Maps ``(N, X, Y)`` beside each other as one picture, undefined in the gaps; row by row, the first at the top."""
    pictures = as_array(maps).astype(float)
    count, width, height = pictures.shape
    lines = -(-count // columns)
    canvas = np.full((columns * (width + gap) - gap, lines * (height + gap) - gap), np.nan)
    for place, picture in enumerate(pictures):
        left, top = (place % columns) * (width + gap), (place // columns) * (height + gap)
        canvas[left : left + width, top : top + height] = picture
    return canvas


def as_array(values: Any) -> np.ndarray:
    """An array, or a tensor on any device, as an array."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def _cut(tiles: Sequence[Tile]) -> list[Tile]:
    """The tiles, cut to one box around what is not 0 in any of them, with a voxel to spare."""
    cut: dict[tuple[int, ...], np.ndarray] = {}
    for tile in tiles:
        if tile.image is not None and tile.cmap == "gray":
            image = as_array(tile.image)
            cut[image.shape] = cut.get(image.shape, np.zeros(image.shape, bool)) | (image != 0)
    boxes = {shape: _box(inside) for shape, inside in cut.items() if inside.any()}

    def part(values: Any) -> Any:
        return None if values is None else as_array(values)[boxes.get(as_array(values).shape, (slice(None),) * 2)]

    return [
        replace(
            tile, image=part(tile.image), labels=part(tile.labels),
            outlines={name: part(mask) for name, mask in tile.outlines.items()},
        )
        for tile in tiles
    ]  # fmt: skip


def _box(inside: np.ndarray) -> tuple[slice, slice]:
    low, high = np.argwhere(inside).min(axis=0), np.argwhere(inside).max(axis=0)
    x, y = (slice(max(0, int(a) - 1), int(b) + 2) for a, b in zip(low, high, strict=True))
    return x, y


def _ratio(tile: Tile) -> float:
    width, height = tile.image.shape
    return float(height) / float(width)


def _broken(text: str, width: int = 20) -> str:
    return "\n".join(part for line in text.split("\n") for part in textwrap.wrap(line, width))


def _legend(
    figure: Figure, lines: Sequence[Sequence[Tile]], colours: Mapping[int, tuple[str, str]], tints: Mapping[str, str]
) -> None:
    handles: list[Artist] = []
    if any(tile.labels is not None for tiles in lines for tile in tiles):
        handles += [Patch(color=colour, label=name) for colour, name in colours.values()]
    handles += [Line2D([], [], color=tint, label=name) for name, tint in tints.items()]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), fontsize=9)
