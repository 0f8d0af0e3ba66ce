"""The networks of Mehra 2022: a U-Net whose features are taken, an ACGAN of features, classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from radlib.core.errors import RadlibError

PAPER_WIDTHS: tuple[int, ...] = (64, 128, 256, 512, 1024)
"""Channels of the encoding blocks; 240 x 240 pixels become 15 x 15 x 1024 (section 3.1)."""


class _Block(nn.Sequential):
    """Two 3 x 3 convolutions, each with batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels)]
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class FeatureUNet(nn.Module):
    """U-Net with four poolings (Figure 1); the maps of every block can be taken.

    Args:
        in_channels: modalities.
        widths: channels of the encoding blocks; the last is that of the encoding.
    """

    def __init__(self, in_channels: int = 1, *, widths: Sequence[int] = PAPER_WIDTHS) -> None:
        super().__init__()
        if len(widths) < 2:
            raise RadlibError(f"the widths are {tuple(widths)}", remedy="give at least two")
        self.widths = tuple(widths)
        self.multiple = 2 ** (len(widths) - 1)
        channels = [in_channels, *widths]
        self.encoder = nn.ModuleList(_Block(a, b) for a, b in pairwise(channels))
        self.pool = nn.MaxPool2d(2)
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairs)
        self.decoder = nn.ModuleList(_Block(2 * b, b) for _, b in pairs)
        self.head = nn.Conv2d(widths[0], 1, 1)

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in the order of the pass: ``encoder1`` ... ``decoder1`` ..."""
        return (
            *(f"encoder{k + 1}" for k in range(len(self.encoder))),
            *(f"decoder{k + 1}" for k in range(len(self.decoder))),
        )

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """The maps behind every block, by name; images ``(B, C, H, W)``, height and width multiples of 16."""
        if images.shape[-1] % self.multiple or images.shape[-2] % self.multiple:
            raise RadlibError(
                f"images of {images.shape[-2]} x {images.shape[-1]} cannot be halved {len(self.widths) - 1} times",
                remedy=f"give multiples of {self.multiple}",
            )
        found: dict[str, Tensor] = {}
        x = images
        for place, block in enumerate(self.encoder):
            x = block(self.pool(x) if place else x)
            found[f"encoder{place + 1}"] = x
        for place, (up, block) in enumerate(zip(self.up, self.decoder, strict=True)):
            x = block(torch.cat([up(x), found[f"encoder{len(self.encoder) - 1 - place}"]], dim=1))
            found[f"decoder{place + 1}"] = x
        return found

    def features(self, images: Tensor, block: str) -> Tensor:
        """The maps behind one block, such as ``encoder5`` (15 x 15 x 1024 at the published size)."""
        if block not in self.blocks:
            raise RadlibError(f"there is no block {block!r}", remedy=f"use one of {', '.join(self.blocks)}")
        return self.maps(images)[block]

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits of the whole tumour, ``(B, 1, H, W)``."""
        return self.head(self.maps(images)[self.blocks[-1]])


def adapt_input(network: FeatureUNet, *, channel: int) -> FeatureUNet:
    """The same network for a single modality: the first kernels of that channel, the other channels' dropped.

    The kernels are scaled so that their sum of squares, and with it the size of the first maps, stays what it was.
    """
    first: nn.Conv2d = network.encoder[0][0]  # type: ignore[index]
    if not 0 <= channel < first.in_channels:
        raise RadlibError(f"there is no channel {channel} of {first.in_channels}", remedy="count from 0")
    adapted = FeatureUNet(1, widths=network.widths)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    kernels = state["encoder.0.0.weight"]
    own = kernels[:, channel : channel + 1]
    state["encoder.0.0.weight"] = own * (kernels.norm() / own.norm().clamp(min=1e-12))
    adapted.load_state_dict(state)
    return adapted


# ACGAN


def _halved(size: int) -> int:
    return -(-size // 2)


class FeatureGenerator(nn.Module):
    """Noise and class to a feature map: three hidden deconvolution layers with leaky ReLU (section 3.2).

    ``scale`` is the standard deviation of each map of the real features; what comes out is in units of it.

    Args:
        channels, size: of the features, 1024 and 15 as published.
        width: ``ngf``, channels of the hidden layers.
        noise: length of the noise vector.
        classes: number of classes.
    """

    def __init__(self, channels: int, size: int, *, width: int = 512, noise: int = 100, classes: int = 2) -> None:
        super().__init__()
        self.noise, self.classes = noise, classes
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(channels, 1, 1))
        sizes = [_halved(_halved(size)), _halved(size), size]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(noise + classes, width, sizes[0], bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)
        ]  # fmt: skip
        for here, there in pairwise(sizes):
            extra = there - (2 * here - 1)
            layers += [
                nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=extra, bias=False),
                nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            ]  # fmt: skip
        layers += [nn.Conv2d(width, channels, 3, padding=1), nn.Softplus()]  # features behind a ReLU are not negative
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Noise ``(B, noise)`` and class numbers ``(B,)`` to features ``(B, channels, size, size)``."""
        given = torch.cat([noise, nn.functional.one_hot(labels, self.classes).to(noise)], dim=1)
        return self.layers(given[:, :, None, None])


class FeatureDiscriminator(nn.Module):
    """Features to a verdict on their source and to class logits: three strided convolutions with leaky ReLU.

    Args:
        channels, size: of the features.
        width: ``ndf``.
        classes: number of classes.
        spectral: every convolution's largest singular value is held at 1 (Miyato 2018), in place of batch norm, which
            tells a batch of real features from one of synthetic ones.
    """

    def __init__(self, channels: int, size: int, *, width: int = 512, classes: int = 2, spectral: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place in range(3):
            plain = spectral or not place
            layer = nn.Conv2d(channels if not place else width, width, 3, stride=2, padding=1, bias=plain)
            layers += [spectral_norm(layer)] if spectral else [layer]
            layers += [] if plain else [nn.BatchNorm2d(width)]
            layers += [nn.LeakyReLU(0.2), nn.Dropout(0.5)]
            size = _halved(size)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.source = nn.Linear(width * size * size, 1)
        self.category = nn.Linear(width * size * size, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of being real ``(B,)`` and of the classes ``(B, classes)``."""
        hidden = self.layers(features)
        return self.source(hidden)[:, 0], self.category(hidden)


# Classifiers


class FeatureClassifier(nn.Module):
    """Two blocks of convolution, batch norm and max-pooling, two fully connected layers (section 4.2.4).

    Dropout of 0.5 lies before and behind the first fully connected layer.

    Args:
        channels, size: of the features.
        width: channels of the blocks.
        hidden: of the first fully connected layer.
        classes: number of classes.
    """

    def __init__(self, channels: int, size: int, *, width: int = 256, hidden: int = 128, classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place in range(2):
            layers += [nn.Conv2d(channels if not place else width, width, 3, padding=1, bias=False),
                       nn.BatchNorm2d(width), nn.ReLU(inplace=True)]  # fmt: skip
            layers += [nn.MaxPool2d(2)] if size > 1 else []
            size = max(1, size // 2)
        self.blocks = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(width * size * size, hidden), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(hidden, classes),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(B, channels, size, size)`` to class logits ``(B, classes)``."""
        return self.head(self.blocks(features))


class LinearOnDownsampled(nn.Module):
    """A linear classifier on features averaged to ``pooled`` x ``pooled`` (section 4.2.4)."""

    def __init__(self, channels: int, *, pooled: int = 1, classes: int = 2) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(pooled)
        self.linear = nn.Linear(channels * pooled * pooled, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(B, channels, size, size)`` to class logits ``(B, classes)``."""
        return self.linear(self.pool(features).flatten(1))
