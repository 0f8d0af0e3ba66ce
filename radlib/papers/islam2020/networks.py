"""The networks of Islam 2020: the octave FCN, which segments and synthesises, and the discriminators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from radlib.nn.common import Norm, check_widths, initialise, pad_to_multiple
from radlib.nn.excitation import Excitation, excitation_block
from radlib.nn.octave import Octave, OctaveConv2d, OctaveMap, merge, split_channels

PAPER_WIDTHS: tuple[int, ...] = (64, 128, 256, 512)
"""Channels of the encoder's blocks. The paper gives none; these are those of the U-Net it starts from."""


class OctaveEncoderBlock(nn.Module):
    """Two 3 x 3 octave convolutions, each followed by ReLU; the pooling lies outside, in front of the next block.

    ``groups`` divides every convolution whose channels it divides; the images themselves are never divided.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, ratio_in: float, ratio: float, norm: Norm, groups: int
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, first in ((in_channels, ratio_in), (out_channels, ratio)):
            parts = (*split_channels(channels, first), *split_channels(out_channels, ratio))
            shared = groups if all(part % groups == 0 for part in parts) else 1
            layers.append(OctaveConv2d(channels, out_channels, ratio_in=first, ratio_out=ratio, groups=shared))
            if norm == "batch":
                layers.append(OctaveMap(*(nn.BatchNorm2d(n) for n in split_channels(out_channels, ratio))))
            layers.append(OctaveMap(nn.ReLU(inplace=True), nn.ReLU(inplace=True)))
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Octave) -> Octave:
        """Maps of the same size with ``out_channels``."""
        return self.layers(maps)


class DecoderBlock(nn.Module):
    """3 x 3 convolution, activated batch norm, excitation and, but in the last block, 4 x 4 deconvolution (Figure 2 B).

    The concatenation with the encoder's maps is what the FCN hands in. Activated batch norm is batch norm and a leaky
    ReLU of slope 0.01 in place, as in the library that the paper cites.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int | None, *, excitation: Excitation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.LeakyReLU(0.01, inplace=True)
        self.excitation = excitation_block(excitation, channels)
        self.up: nn.Module = (
            nn.Identity()
            if out_channels is None
            else nn.ConvTranspose2d(channels, out_channels, 4, stride=2, padding=1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to ``(B, out_channels, 2H, 2W)``; ``(B, channels, H, W)`` in the last block."""
        return self.up(self.excitation(self.activation(self.norm(self.conv(maps)))))


class OctaveFCN(nn.Module):
    """The FCN of Islam 2020 (Figure 2 C): an octave encoder as in U-Net and a decoder with excitation.

    The octave parts run through the whole encoder, each pooled by itself. Where ordinary maps are needed, at the skip
    connections and below the last block, the low frequencies are upsampled and concatenated. Input of any size is
    padded to a multiple of ``2 ** len(widths)`` and the output cut back.

    Args:
        in_channels: modalities (and condition) that come in.
        out_channels: classes, or modalities to synthesise.
        widths: channels of the encoder's blocks; the decoder mirrors them.
        ratio: share of low-frequency channels; 0 makes every octave convolution a plain one.
        excitation: of the decoder.
        norm: normalisation behind the octave convolutions; the paper has none.
        groups: of the encoder's convolutions. The paper speaks of group convolution and prints no number; 1 is none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        widths: Sequence[int] = PAPER_WIDTHS,
        ratio: float = 0.5,
        excitation: Excitation = "skip_scse",
        norm: Norm = "none",
        groups: int = 1,
    ) -> None:
        super().__init__()
        check_widths(widths)
        self.in_channels = in_channels
        self.multiple = 2 ** len(widths)
        self.encoder = nn.ModuleList()
        channels, ratio_in = in_channels, 0.0
        for width in widths:
            self.encoder.append(
                OctaveEncoderBlock(channels, width, ratio_in=ratio_in, ratio=ratio, norm=norm, groups=groups)
            )
            channels, ratio_in = width, ratio
        self.pool = nn.MaxPool2d(2)
        self.pool_octave = OctaveMap(self.pool, self.pool)
        self.centre = DecoderBlock(widths[-1], widths[-1], widths[-1], excitation=excitation)
        self.decoder = nn.ModuleList()
        for level in reversed(range(len(widths))):
            width, above = widths[level], widths[level - 1] if level else None
            self.decoder.append(DecoderBlock(2 * width, width, above, excitation=excitation))
        self.head = nn.Conv2d(widths[0], out_channels, 1)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, in_channels, H, W)`` to logits (or intensities) ``(B, out_channels, H, W)``."""
        padded, crop = pad_to_multiple(images, self.multiple)
        maps = Octave(padded, None)
        skips: list[Tensor] = []
        for block in self.encoder:
            maps = block(self.pool_octave(maps) if skips else maps)
            skips.append(merge(maps))
        decoded = self.centre(self.pool(skips[-1]))
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            decoded = block(torch.cat([decoded, skip], dim=1))
        return self.head(decoded)[crop]


class EncoderDecoderDiscriminator(nn.Module):
    """A light encoder-decoder that judges every pixel: strided 4 x 4 convolutions down, 4 x 4 deconvolutions up.

    The first convolution has no normalisation, as in pix2pix; leaky ReLU of slope 0.2 going down, ReLU going up. There
    are no skip connections, of which the paper says nothing.

    Args:
        in_channels: condition and image together.
        widths: channels going down; the way up mirrors them.
        norm: normalisation of the inner layers.
    """

    def __init__(self, in_channels: int, *, widths: Sequence[int] = (64, 128, 256), norm: Norm = "batch") -> None:
        super().__init__()
        check_widths(widths)
        self.multiple = 2 ** len(widths)
        layers: list[nn.Module] = []
        channels = in_channels
        for place, width in enumerate(widths):
            layers.append(nn.Conv2d(channels, width, 4, stride=2, padding=1))
            layers += [nn.BatchNorm2d(width)] if norm == "batch" and place else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            channels = width
        for width in reversed(widths[:-1]):
            layers.append(nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1))
            layers += [nn.BatchNorm2d(width)] if norm == "batch" else []
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, 1, H, W)``, positive where a pixel is held to be real."""
        padded, crop = pad_to_multiple(images, self.multiple)
        return self.layers(padded)[crop]


class PatchDiscriminator(nn.Module):
    """The PatchGAN discriminator of pix2pix (Isola 2017): an encoder that judges overlapping patches.

    4 x 4 convolutions with stride 2, the last two with stride 1. With the default widths each logit sees 70 x 70
    pixels, and 256 x 256 pixels give 30 x 30 logits.

    Args:
        in_channels: condition and image together.
        widths: channels of the layers.
        norm: normalisation of all but the first and the last.
    """

    def __init__(self, in_channels: int, *, widths: Sequence[int] = (64, 128, 256, 512), norm: Norm = "batch") -> None:
        super().__init__()
        check_widths(widths)
        layers: list[nn.Module] = []
        channels = in_channels
        for place, width in enumerate(widths):
            layers.append(nn.Conv2d(channels, width, 4, stride=1 if place == len(widths) - 1 else 2, padding=1))
            layers += [nn.BatchNorm2d(width)] if norm == "batch" and place else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            channels = width
        layers.append(nn.Conv2d(channels, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, 1, h, w)`` of patches, positive where held to be real."""
        return self.layers(images)


class Synthesiser(nn.Module):
    """A generator with its output scaled to intensities: 0 to 1, and 0 outside the brain.

    Args:
        network: ``(B, C + noise_channels, H, W)`` to ``(B, 1, H, W)``.
        sources: the modalities that it is given, in this order; a missing one is all 0.
        noise_channels: of standard normal noise behind the modalities.
    """

    def __init__(self, network: nn.Module, *, sources: Sequence[str], noise_channels: int) -> None:
        super().__init__()
        self.network, self.sources, self.noise_channels = network, tuple(sources), noise_channels

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)``, 0 to 1, to the synthetic ``(B, 1, H, W)``; noise comes from torch's generator."""
        noise = torch.randn_like(images[:, :1].expand(-1, self.noise_channels, -1, -1))
        brain = (images != 0).any(dim=1, keepdim=True)
        return torch.sigmoid(self.network(torch.cat([images, noise], dim=1)).float()) * brain
