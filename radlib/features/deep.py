"""Descriptors of a tumour from the layers of a network: tumour regions at several scales through a segmentation CNN.

Li 2017 (Methods, "Selection of deep filter responses") put each tumour slice at ten scales into the network and take
what the filters of one layer answer, all slices and scales of a patient together, as one set of numbers a filter.
Such sets have any size; :mod:`radlib.features.fisher` makes vectors of one length of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError

#: Which cells of a map are descriptors: those that look at tumour, or at the box around it.
Where = Literal["mask", "box"]


class LayeredNetwork(Protocol):
    """A fully convolutional network whose layers can be taken: :class:`radlib.papers.li2017.networks.TumourCNN`."""

    layers: tuple[str, ...]
    weights: nn.ModuleDict

    def maps(self, images: Tensor, layer: str) -> Tensor:
        """``(B, C, H, W)`` to the answers of a layer's filters, ``(B, filters, h, w)``."""
        ...

    def geometry(self, layer: str) -> Any:
        """``stride`` and ``offset`` of a layer's cells in pixels, and the smallest image (``minimum``)."""
        ...


def scale_ratios(n: int = 10, *, lowest: float = 0.5, highest: float = 2.0) -> tuple[float, ...]:
    """``n`` ratios from ``lowest`` to ``highest``, each the same multiple of the one before.

    The paper gives the number and the range only. One ratio alone is their geometric mean.
    """
    if n < 1 or not 0 < lowest <= highest:
        raise RadlibError(f"{n} scales from {lowest} to {highest}", remedy="give at least one, and positive ratios")
    if n == 1:
        return (math.sqrt(lowest * highest),)
    return tuple(float(ratio) for ratio in np.geomspace(lowest, highest, n))


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What is taken of a tumour.

    Attributes:
        scales: ratios at which each slice goes through the network.
        where: ``mask`` takes cells whose middle lies in the tumour (they see its surroundings as far as their field
            reaches), ``box`` those in the box around it.
        margin: pixels of surroundings on each side of the box at every scale; half a training patch, so that each
            cell of the deepest layer sees what a patch around its middle shows.
        per_map: cells of one slice at one scale, drawn without replacement where there are more; None takes all.
    """

    scales: tuple[float, ...] = scale_ratios()
    where: Where = "mask"
    margin: int = 16
    per_map: int | None = None

    def __post_init__(self) -> None:
        if self.where not in ("mask", "box") or not self.scales or (self.per_map is not None and self.per_map < 1):
            raise RadlibError(
                f"where={self.where!r}, {len(self.scales)} scales, per_map={self.per_map} sample nothing",
                remedy="take 'mask' or 'box', at least one scale and one cell",
            )


def scaled_regions(images: Tensor, masks: Tensor, ratio: float, *, margin: int) -> tuple[Tensor, Tensor]:
    """The tumour's region of some slices at another scale.

    The box is that of all masks together, so that the slices of a patient go through the network at once.

    Args:
        images: ``(S, C, H, W)``; what lies beyond the image is 0.
        masks: ``(S, H, W)``, True in the tumour; at least one is.
        ratio: above 1 enlarges. Shrinking smooths first.
        margin: pixels of surroundings on each side, after scaling.

    Returns:
        Images ``(S, C, h, w)`` (bicubic) and masks ``(S, h, w)`` (nearest).

    Raises:
        RadlibError: if there is no tumour, or the ratio is not positive.
    """
    if ratio <= 0:
        raise RadlibError(f"a scale of {ratio}", remedy="give a positive ratio")
    rows, columns = _box(masks.any(dim=0))
    extra = math.ceil(margin / ratio) + 1
    edges = []
    for (low, high), length in zip((rows, columns), masks.shape[1:], strict=True):
        first, last = low - extra, high + extra
        edges.append((max(first, 0), min(last, length), max(-first, 0), max(last - length, 0)))
    (a, b, up, down), (c, d, left, right) = edges
    pad = (left, right, up, down)
    image = functional.pad(images[:, :, a:b, c:d], pad)
    mask = functional.pad(masks[:, a:b, c:d], pad)
    size = tuple(max(1, round(length * ratio)) for length in image.shape[2:])
    if ratio == 1:
        return image, mask
    image = functional.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=ratio < 1)
    return image, functional.interpolate(mask[:, None].float(), size=size, mode="nearest-exact")[:, 0] > 0.5


def layer_maps(network: LayeredNetwork, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The maps of several layers in one pass, before ReLU: what ``network.maps`` gives for each.

    Args:
        network: the network, on the device of the images.
        images: ``(B, C, H, W)``, large enough for the deepest of the layers.
        layers: names, in any order.
    """
    if unknown := [layer for layer in layers if layer not in network.layers]:
        raise RadlibError(f"the network has no layer {unknown[0]!r}", remedy=f"it has {', '.join(network.layers)}")
    if not layers:
        return {}
    deepest = max(layers, key=network.layers.index)
    with _kept(network, [layer for layer in layers if layer != deepest]) as found:
        found[deepest] = network.maps(images, deepest)
    return {layer: found[layer] for layer in layers}


def inner_cells(masks: Tensor, shape: Sequence[int], *, stride: int, offset: float) -> Tensor:
    """Which cells of a map have their middle in the mask.

    Args:
        masks: ``(S, H, W)`` in the pixels of the image.
        shape: ``(h, w)`` of the map.
        stride, offset: of the layer, in pixels.

    Returns:
        ``(S, h, w)`` booleans.
    """
    places = [
        (torch.arange(length, device=masks.device) * stride + offset).long().clamp(max=edge - 1)
        for length, edge in zip(shape, masks.shape[1:], strict=True)
    ]
    return masks[:, places[0]][:, :, places[1]]


def case_descriptors(
    network: LayeredNetwork,
    images: Tensor,
    masks: Tensor,
    *,
    layers: Sequence[str],
    sampling: Sampling | None = None,
    scaling: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """What the filters answer to the tumour of one patient, all slices and scales together.

    Args:
        network: in evaluation mode, on the device of the images.
        images: ``(S, C, H, W)``, the patient's tumour slices, 0 outside the brain.
        masks: ``(S, H, W)``, True in the tumour.
        layers: whose answers.
        sampling: scales and cells.
        scaling: what the network's training does with grey values; applied to each scaled region, whose margin may
            reach beyond the image.
        seed: of the cells that are drawn; the same cells whatever the device.

    Returns:
        By layer ``(filters, N)``, float32: one set a filter. Without slices, and where the tumour is smaller than the
        distance of two cells at every scale, N is 0.
    """
    sampling = sampling or Sampling()
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    generator = torch.Generator().manual_seed(seed)
    if len(images) and bool(masks.any()):
        if sampling.where == "box":
            masks = torch.stack([_boxed(mask) for mask in masks])
        with torch.no_grad():
            for ratio in sampling.scales:
                region, inside = scaled_regions(images, masks, ratio, margin=sampling.margin)
                region = region if scaling is None else scaling(region)
                for layer, maps in layer_maps(network, region, layers).items():
                    geometry = network.geometry(layer)
                    cells = inner_cells(inside, maps.shape[2:], stride=geometry.stride, offset=geometry.offset)
                    chosen = _draw(cells, sampling.per_map, generator)
                    parts[layer].append(maps.movedim(1, 3)[chosen].T.float())
    found = {}
    for layer, arrays in parts.items():
        module = network.weights[layer]
        assert isinstance(module, nn.Conv2d)
        found[layer] = torch.cat([images.new_zeros((module.out_channels, 0), dtype=torch.float32), *arrays], dim=1)
    return found


# Parts


@contextmanager
def _kept(network: LayeredNetwork, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """What the modules of some layers put out while the context lasts."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Tensor) -> None:
            found[name] = output

        return hook

    handles = [network.weights[layer].register_forward_hook(keep(layer)) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _box(mask: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and one behind the last row and column with tumour."""
    edges = []
    for axis in (1, 0):
        along = torch.nonzero(mask.any(dim=axis))[:, 0]
        if not len(along):
            raise RadlibError("there is no tumour in these slices", remedy="take slices with tumour")
        edges.append((int(along[0]), int(along[-1]) + 1))
    return edges[0], edges[1]


def _boxed(mask: Tensor) -> Tensor:
    """The box around the tumour of one slice, filled; nothing where there is no tumour."""
    out = torch.zeros_like(mask)
    if bool(mask.any()):
        (a, b), (c, d) = _box(mask)
        out[a:b, c:d] = True
    return out


def _draw(cells: Tensor, most: int | None, generator: torch.Generator) -> Tensor:
    """``cells`` ``(S, h, w)`` with at most ``most`` left True in each slice."""
    if most is None:
        return cells
    flat = cells.flatten(1)
    # Every cell gets a random key; the largest keys among the True ones stay. Drawn on the CPU, for any device.
    keys = torch.rand(flat.shape, generator=generator).to(flat.device).masked_fill(~flat, -1)
    top = keys.topk(min(most, flat.shape[1]), dim=1)
    chosen = torch.zeros_like(flat)
    chosen.scatter_(1, top.indices, top.values >= 0)
    return chosen.view_as(cells)
