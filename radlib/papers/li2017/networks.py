"""The segmentation network of Li 2017, whose layers also give the deep features.

It follows the network it is said to modify (Pereira 2016): 3 x 3 convolutions, half of them before and half after a
pooling of 3 x 3 windows with stride 2, another pooling, and fully connected layers. Li 2017 prints the number of
convolutions (4 or 6), the neurons of the fully connected layers (256 or 4096) and 128 filters of the last convolution.

Every layer is a convolution, the fully connected ones too: on a patch of 33 x 33 pixels the network gives one score a
class, on an image a map of scores, one for every patch that starts at a multiple of 4 pixels, from the same weights.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError

Padding = Literal["valid", "same"]

PATCH = 33
"""Edge of a training patch, pixels."""


class Geometry(NamedTuple):
    """Where the cells of a layer's map lie in the image.

    - ``stride``: pixels between two cells.
    - ``field``: edge of the square of pixels that one cell sees.
    - ``offset``: pixel coordinate of the middle of the first cell's field.
    - ``minimum``: edge of the smallest image for which the map has a cell.
    """

    stride: int
    field: int
    offset: float
    minimum: int


class TumourCNN(nn.Module):
    """The CNN of Li 2017 (Figures 1 and 5) for patches and images of any size.

    Layers are counted as in the paper: ``conv1`` to ``conv6``, ``fc7``, ``fc8`` (``conv4``, ``fc5``, ``fc6`` for four
    convolutions), behind which ``output`` gives the scores. ReLU follows each of them, dropout each fully connected
    layer. Poolings lie behind the middle and the last convolution.

    With ``valid`` padding the score of a patch depends on nothing but the patch, so that an image run at once gives
    exactly the scores of its patches. Its smallest images, in pixels, with ``patch=33``:

    ============  =====  =====  =====  =====  =====  =====  =====  =====
    convolutions  conv1  conv2  conv3  conv4  conv5  conv6    fc    fc
    ============  =====  =====  =====  =====  =====  =====  =====  =====
    6             3      5      7      13     17     21     33     33
    4             5      7      13     17                   33     33
    ============  =====  =====  =====  =====  =====  =====  =====  =====

    :attr:`settings` are the arguments that build the same network again.

    Args:
        modalities: channels that come in.
        convolutions: 4 or 6 in the paper; any even number that the patch can take.
        filters: of the convolutions before and after the first pooling; the paper has 128 in the last, and 64 is
            what the network it modifies has before.
        neurons: of both fully connected layers; 256 or 4096 in the paper.
        patch: edge of a training patch, odd.
        classes: scores that come out.
        dropout: behind each fully connected layer, in training.
        padding: of the convolutions; the paper is silent. ``same`` pads with zeros, as in the earlier network, but then
            patches have a border of zeros where images go on, and both differ.

    Raises:
        RadlibError: if the patch is too small for the layers, is even, or the number of convolutions is odd.
    """

    def __init__(
        self,
        modalities: int,
        convolutions: int = 6,
        *,
        filters: tuple[int, int] = (64, 128),
        neurons: int = 4096,
        patch: int = PATCH,
        classes: int = 2,
        dropout: float = 0.5,
        padding: Padding = "valid",
    ) -> None:
        super().__init__()
        if convolutions < 2 or convolutions % 2:
            raise RadlibError(f"{convolutions} convolutions were asked for", remedy="give an even number, as 4 or 6")
        if patch % 2 == 0:
            raise RadlibError(
                f"the patch has an edge of {patch} pixels", remedy="give an odd number, so it has a middle"
            )
        if padding not in ("valid", "same"):
            raise RadlibError(f"unknown padding {padding!r}", remedy="use 'valid' or 'same'")
        self.modalities, self.patch = modalities, patch
        self.settings: dict[str, Any] = {
            "modalities": modalities, "convolutions": convolutions, "filters": tuple(filters), "neurons": neurons,
            "patch": patch, "classes": classes, "dropout": dropout, "padding": padding,
        }  # fmt: skip
        half, pad = convolutions // 2, int(padding == "same")
        self.conv_names = tuple(f"conv{number + 1}" for number in range(convolutions))
        self.fc_names = tuple(f"fc{number}" for number in (convolutions + 1, convolutions + 2))
        self.layers: tuple[str, ...] = (*self.conv_names, *self.fc_names)
        # Windows in front of the fully connected layers: (layer or "pool", kernel, stride, padding).
        windows = [(name, 3, 1, pad) for name in self.conv_names]
        windows.insert(half, ("pool", 3, 2, 0))
        windows.append(("pool", 3, 2, 0))
        edge = patch
        for _, kernel, stride, border in windows:
            edge = (edge + 2 * border - kernel) // stride + 1 if edge + 2 * border >= kernel else 0
        if edge < 1:
            raise RadlibError(
                f"patches of {patch} pixels are too small for {convolutions} convolutions and two poolings",
                remedy="use larger patches or fewer convolutions",
            )
        windows += [(self.fc_names[0], edge, 1, 0), (self.fc_names[1], 1, 1, 0), ("output", 1, 1, 0)]
        self._windows = tuple(windows)
        # Poolings may leave pixels over at one side; cut from both sides they keep the field in the patch's middle.
        reach = 1
        for _, kernel, stride, _border in reversed(self._windows):
            reach = (reach - 1) * stride + kernel
        self.crop = (patch - reach) // 2 if padding == "valid" else 0

        channels = [modalities, *[filters[0]] * half, *[filters[1]] * half]
        self.weights = nn.ModuleDict()
        for name, before, after in zip(self.conv_names, channels[:-1], channels[1:], strict=True):
            self.weights[name] = nn.Conv2d(before, after, 3, padding=pad)
        self.weights[self.fc_names[0]] = nn.Conv2d(channels[-1], neurons, edge)
        self.weights[self.fc_names[1]] = nn.Conv2d(neurons, neurons, 1)
        self.weights["output"] = nn.Conv2d(neurons, classes, 1)
        self.dropout = nn.Dropout(dropout)
        for module in self.weights.values():
            assert isinstance(module, nn.Conv2d)
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def channels(self, layer: str) -> int:
        """Filters (neurons) of a layer."""
        self._check(layer)
        module = self.weights[layer]
        assert isinstance(module, nn.Conv2d)
        return module.out_channels

    def map_edge(self, layer: str, edge: int) -> int:
        """Edge of a layer's map for an image of ``edge`` pixels; 0 or less if the image is too small."""
        self._check(layer)
        size = edge - 2 * self.crop
        for name, kernel, stride, pad in self._windows:
            if size + 2 * pad < kernel:
                return 0
            size = (size + 2 * pad - kernel) // stride + 1
            if name == layer:
                break
        return size

    def geometry(self, layer: str) -> Geometry:
        """Stride, field, offset and smallest image of a layer's map."""
        self._check(layer)
        stride, field, offset = 1, 1, float(self.crop)
        for name, kernel, step, pad in self._windows:
            field += (kernel - 1) * stride
            offset += ((kernel - 1) / 2 - pad) * stride
            stride *= step
            if name == layer:
                break
        minimum = next(edge for edge in range(1, self.patch + 1) if self.map_edge(layer, edge) >= 1)
        return Geometry(stride=stride, field=field, offset=offset, minimum=minimum)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, modalities, H, W)`` to scores ``(B, classes, h, w)``, logits; patches give ``h = w = 1``.

        The cell ``(i, j)`` is the score of the patch whose first pixel is ``(4 i, 4 j)``.

        Raises:
            RadlibError: if the images are smaller than a patch or have other modalities.
        """
        return self._run(images, "output", rectified=False, drop=self.training)

    def maps(self, images: Tensor, layer: str, *, rectified: bool = False) -> Tensor:
        """What a layer's filters answer.

        Args:
            images: ``(B, modalities, H, W)``, normalised as in training, of any size from the layer's minimum on.
            layer: one of :attr:`layers`, or ``output``.
            rectified: behind ReLU instead of before it. The paper prints a Gaussian component of a filter's answers
                with a negative mean, which rectified ones cannot have.

        Returns:
            ``(B, filters, h, w)``; where the cells lie says :meth:`geometry`. Dropout is never applied. With no
            images (``B = 0``) the maps are empty.

        Raises:
            RadlibError: for an unknown layer, other modalities, or images that are too small.
        """
        return self._run(images, layer, rectified=rectified, drop=False)

    def _run(self, images: Tensor, layer: str, *, rectified: bool, drop: bool) -> Tensor:
        self._check(layer)
        if images.ndim != 4 or images.shape[1] != self.modalities:
            raise RadlibError(
                f"images have the shape {tuple(images.shape)}", remedy=f"give (B, {self.modalities}, height, width)"
            )
        if self.map_edge(layer, min(images.shape[2:])) < 1:
            raise RadlibError(
                f"images of {images.shape[2]} x {images.shape[3]} pixels are too small for layer {layer!r}",
                remedy=f"give at least {self.geometry(layer).minimum} pixels along each axis, or pad the images",
            )
        cut = -self.crop
        maps = functional.pad(images, (cut, cut, cut, cut)) if cut else images
        for name, kernel, stride, _pad in self._windows:
            if name == "pool":
                maps = functional.max_pool2d(maps, kernel, stride)
                continue
            maps = self.weights[name](maps)
            if name == layer:
                return torch.relu(maps) if rectified else maps
            maps = torch.relu(maps)
            if drop and name in self.fc_names:
                maps = self.dropout(maps)
        raise AssertionError(layer)  # _check has found the layer

    def _check(self, layer: str) -> None:
        if layer not in (*self.layers, "output"):
            raise RadlibError(
                f"the network has no layer {layer!r}", remedy=f"use one of {', '.join(self.layers)}, or 'output'"
            )
