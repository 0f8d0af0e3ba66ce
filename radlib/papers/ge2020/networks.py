"""The networks of Ge 2020: the pairwise GAN's generator and discriminator, the four-stream classifier, DAEF's encoder.

Images are ``(B, C, S, S)``; the published size ``S`` is 128.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError

PAPER_SIZE = 128
"""Edge of an input slice, pixels (section III-A1)."""
PAPER_GENERATOR = (32, 64, 128, 256)
"""Filters of the generator's contracting path; the other path has 128, 64, 32, 1 (Figure 3)."""
PAPER_DISCRIMINATOR = (64, 128, 256, 512)
"""Filters of the discriminator before its last layer of one (Figure 3)."""
PAPER_AUTOENCODER = (64, 64, 128, 128, 256, 256, 512, 512)
"""Filters of the encoder behind DAEF (section III-E2)."""
PAPER_HIDDEN = (256, 256)
"""Neurons of the fully connected layers before the last of two (section II-D1)."""
STREAM_WIDTHS = (32, 64, 128, 128, 256, 256, 256)
"""Filters of the seven layers of a stream. The paper gives their number and kernel only: these are a choice."""
SLOPE = 0.2
"""Of the leaky ReLU; not given, the customary one."""


def as_keras(network: nn.Module) -> None:
    """Start a network as Keras does, the library of the paper: uniform weights after Glorot, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _same(images: Tensor) -> Tensor:
    """Borders for a 4 x 4 kernel at stride 1 that keep the size, the larger one behind as Keras does."""
    return functional.pad(images, (1, 2, 1, 2))


class PairGenerator(nn.Module):
    """U-Net that turns one modality into another (Figure 3, left).

    Four 4 x 4 convolutions of stride 2 with leaky ReLU, then four times: twice the size, a 4 x 4 convolution of stride
    1, and ReLU (Tanh behind the last). Behind each of the first three the maps of the same size are appended.

    Args:
        widths: filters of the contracting path.
    """

    def __init__(self, widths: Sequence[int] = PAPER_GENERATOR) -> None:
        super().__init__()
        if len(widths) < 2:
            raise RadlibError(f"the widths are {tuple(widths)}", remedy="give at least two")
        self.widths = tuple(widths)
        self.multiple = 2 ** len(widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise((1, *widths)))
        skips = self.widths[-2::-1]
        inputs = [self.widths[-1], *(2 * width for width in skips)]
        self.up = nn.ModuleList(nn.Conv2d(a, b, 4) for a, b in zip(inputs, (*skips, 1), strict=True))
        as_keras(self)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The output of every layer in order, with the maps appended by a skip left out; the last is the image."""
        if images.shape[-1] % self.multiple or images.shape[-2] % self.multiple:
            raise RadlibError(
                f"slices of {tuple(images.shape[-2:])} cannot be halved {len(self.widths)} times",
                remedy=f"give edges that are multiples of {self.multiple}",
            )
        down: list[Tensor] = []
        x = images
        for layer in self.down:
            x = functional.leaky_relu(layer(x), SLOPE)
            down.append(x)
        found = list(down)
        for number, layer in enumerate(self.up):
            x = layer(_same(functional.interpolate(x, scale_factor=2, mode="nearest")))
            last = number == len(self.up) - 1
            x = torch.tanh(x) if last else functional.relu(x)
            found.append(x)
            if not last:
                x = torch.cat([x, down[-2 - number]], dim=1)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, 1, S, S)`` in [-1, 1] to images of the other modality, in [-1, 1]."""
        return self.maps(images)[-1]


class PatchDiscriminator(nn.Module):
    """Markov discriminator (Figure 3, right): whether each patch of a slice is real (1) or synthetic (0), unbounded.

    Args:
        widths: filters of the 4 x 4 convolutions of stride 2; a last one of stride 1 has one filter.
    """

    def __init__(self, widths: Sequence[int] = PAPER_DISCRIMINATOR) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise((1, *widths)))
        self.last = nn.Conv2d(self.widths[-1], 1, 4)
        as_keras(self)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The output of every layer in order."""
        found = []
        x = images
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
            found.append(x)
        found.append(self.last(_same(x)))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, 1, S, S)`` to patches ``(B, 1, S/16, S/16)`` with four layers of stride 2."""
        return self.maps(images)[-1]


class AttentionFusion(nn.Module):
    """Attention-weighted sum of the modalities' maps, Eq. (7).

    Args:
        streams: modalities.
        features: length of the maps of one stream, ``h w c``.

    The weights start at 0, so that every modality counts the same at first.
    """

    def __init__(self, streams: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(streams, features))

    def attention(self, maps: Tensor) -> Tensor:
        """``a_k = exp(w_k . f_k) / sum_i exp(w_i . f_i)``: ``(B, K, c, h, w)`` to ``(B, K)``."""
        return torch.einsum("bkf,kf->bk", maps.flatten(2).float(), self.weight.float()).softmax(dim=1)

    def forward(self, maps: Tensor) -> Tensor:
        """``(B, K, c, h, w)`` to ``sum_k a_k F_k``, ``(B, c, h, w)``."""
        return torch.einsum("bk,bkchw->bchw", self.attention(maps).to(maps.dtype), maps)


def bilinear(maps: Tensor) -> Tensor:
    """``H = F'^T F' / (h w)`` with ``F'`` the maps as ``(h w, c)``: ``(B, c, h, w)`` to ``(B, c, c)``.

    The paper has the sum over places; the mean differs by a constant and does not grow with the size of the slice.
    """
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[-1]


class MultiStreamClassifier(nn.Module):
    """Four streams, attention, bilinear layer, fully connected layers (Figure 5).

    Args:
        widths: filters of the layers of a stream, each 3 x 3 with batch norm and ReLU.
        pool_after: layers (from 1) behind which the maps are halved by max pooling.
        hidden: neurons of the fully connected layers before the last.
        size: edge of a slice, which the attention's weights depend on.
        streams: modalities.
        classes: classes.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = STREAM_WIDTHS,
        pool_after: Sequence[int] = (1, 2, 4, 6),
        hidden: Sequence[int] = PAPER_HIDDEN,
        size: int = PAPER_SIZE,
        streams: int = 4,
        classes: int = 2,
    ) -> None:
        super().__init__()
        if size % 2 ** len(pool_after):
            raise RadlibError(
                f"slices of {size} cannot be halved {len(pool_after)} times",
                remedy=f"give a multiple of {2 ** len(pool_after)}",
            )
        self.widths, self.pool_after, self.size = tuple(widths), tuple(pool_after), size
        self.streams = nn.ModuleList(self._stream() for _ in range(streams))
        edge = size // 2 ** len(pool_after)
        self.fusion = AttentionFusion(streams, self.widths[-1] * edge * edge)
        sizes = [self.widths[-1] ** 2, *hidden]
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))
        as_keras(self)

    def _stream(self) -> nn.Sequential:
        layers: list[nn.Module] = []
        for number, (a, b) in enumerate(pairwise((1, *self.widths)), start=1):
            block = [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
            layers.append(nn.Sequential(*block, *([nn.MaxPool2d(2)] if number in self.pool_after else [])))
        return nn.Sequential(*layers)

    def stream_maps(self, images: Tensor) -> Tensor:
        """``(B, K, S, S)`` to the last maps of every stream, ``(B, K, c, h, w)``."""
        if images.shape[1:] != (len(self.streams), self.size, self.size):
            raise RadlibError(
                f"slices of {tuple(images.shape[1:])} for a network of {len(self.streams)} x {self.size}^2",
                remedy="give the modalities and the size that it was built for",
            )
        return torch.stack([stream(images[:, k : k + 1]) for k, stream in enumerate(self.streams)], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Slices ``(B, K, S, S)`` to logits ``(B, 2)``."""
        return self.head(bilinear(self.fusion(self.stream_maps(images))).flatten(1))


class SliceAutoencoder(nn.Module):
    """The convolutional autoencoder behind DAEF (section III-E2).

    Eight 3 x 3 convolutions, every second of stride 2; the decoder reverses them with transposed convolutions. The
    latent vector is the global maximum of each map of the *encoder's* last layer: the paper says the decoder's, whose
    last layer has as many maps as there are modalities, not 512.

    Args:
        widths: filters of the encoder.
        channels: modalities.
    """

    def __init__(self, widths: Sequence[int] = PAPER_AUTOENCODER, *, channels: int = 4) -> None:
        super().__init__()
        sizes = [channels, *widths]
        strides = [1 + number % 2 for number in range(len(widths))]
        self.multiple = math.prod(strides)
        self.encoder = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=stride, padding=1)
            for (a, b), stride in zip(pairwise(sizes), strides, strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 3, stride=stride, padding=1, output_padding=stride - 1)
            for (a, b), stride in zip(reversed(list(pairwise(sizes))), reversed(strides), strict=True)
        )
        as_keras(self)

    def maps(self, images: Tensor) -> list[Tensor]:
        """The output of every layer of the encoder."""
        if images.shape[-1] % self.multiple or images.shape[-2] % self.multiple:
            raise RadlibError(
                f"slices of {tuple(images.shape[-2:])} do not fit the autoencoder",
                remedy=f"give edges that are multiples of {self.multiple}",
            )
        found = []
        x = images
        for layer in self.encoder:
            x = functional.relu(layer(x))
            found.append(x)
        return found

    def latent(self, images: Tensor) -> Tensor:
        """``(B, C, S, S)`` to ``(B, 512)`` as published: the largest value of each map."""
        return self.maps(images)[-1].amax(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of images in [-1, 1], ``(B, C, S, S)``."""
        x = self.maps(images)[-1]
        for number, layer in enumerate(self.decoder):
            x = layer(x)
            x = torch.tanh(x) if number == len(self.decoder) - 1 else functional.relu(x)
        return x
