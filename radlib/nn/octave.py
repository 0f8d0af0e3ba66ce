"""Octave convolution: feature maps kept as a fine and a coarse part (Chen 2019, used by Islam 2020).

A share ``ratio`` of the channels, the low frequencies, lies on a grid of half the size. Four convolutions connect the
two parts; what goes down is averaged over 2 x 2 first, what goes up is repeated after the convolution:

    high' = conv(high -> high) + up(conv(low -> high))
    low'  = conv(low -> low)   + conv(high averaged -> low)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError


class Octave(NamedTuple):
    """Feature maps in two parts, ``(B, C_high, H, W)`` and ``(B, C_low, H / 2, W / 2)``; None without channels."""

    high: Tensor | None
    low: Tensor | None


def split_channels(channels: int, ratio: float) -> tuple[int, int]:
    """How many of ``channels`` are high and how many low: the low ones are ``ratio * channels``, rounded.

    Raises:
        RadlibError: if ``ratio`` is not between 0 and 1.
    """
    if not 0 <= ratio <= 1:
        raise RadlibError(f"the octave ratio is {ratio}", remedy="give a share of low-frequency channels from 0 to 1")
    low = round(ratio * channels)
    return channels - low, low


class OctaveConv2d(nn.Module):
    """One octave convolution with stride 1 that keeps the size of the maps.

    ``ratio_in=0`` makes it a first layer, which takes ordinary maps; ``ratio_out=0`` a last one, which gives ordinary
    maps. With both 0 it is a plain convolution; with both 1 a plain convolution on the coarse grid.

    Args:
        in_channels: channels that come in, both parts together.
        out_channels: channels that go out, both parts together.
        kernel_size: odd edge of the kernel.
        ratio_in, ratio_out: share of low-frequency channels before and after.
        groups: of all four convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        ratio_in: float = 0.5,
        ratio_out: float = 0.5,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise RadlibError(f"the kernel's edge is {kernel_size}", remedy="give an odd number")
        high_in, low_in = split_channels(in_channels, ratio_in)
        high_out, low_out = split_channels(out_channels, ratio_out)

        def path(source: int, target: int, *, biased: bool) -> nn.Conv2d | None:
            if not source or not target:
                return None
            return nn.Conv2d(source, target, kernel_size, padding=kernel_size // 2, groups=groups, bias=bias and biased)

        # One bias a part: on its own path where there is one, else on the path that crosses over.
        self.high_to_high = path(high_in, high_out, biased=True)
        self.low_to_high = path(low_in, high_out, biased=not high_in)
        self.low_to_low = path(low_in, low_out, biased=True)
        self.high_to_low = path(high_in, low_out, biased=not low_in)

    def forward(self, maps: Octave | Tensor) -> Octave:
        """Maps of :class:`Octave`; a tensor is taken as high frequencies alone. Heights and widths must be even."""
        high, low = maps if isinstance(maps, Octave) else (maps, None)
        to_high, to_low = [], []
        if high is not None:
            if self.high_to_high is not None:
                to_high.append(self.high_to_high(high))
            if self.high_to_low is not None:
                to_low.append(self.high_to_low(functional.avg_pool2d(high, 2)))
        if low is not None:
            if self.low_to_high is not None:
                to_high.append(upsample(self.low_to_high(low)))
            if self.low_to_low is not None:
                to_low.append(self.low_to_low(low))
        return Octave(sum(to_high) if to_high else None, sum(to_low) if to_low else None)


class OctaveMap(nn.Module):
    """The same kind of layer on both parts, such as a normalisation, an activation or pooling.

    Args:
        high, low: a layer for each part; parameters are not shared.
    """

    def __init__(self, high: nn.Module, low: nn.Module) -> None:
        super().__init__()
        self.high, self.low = high, low

    def forward(self, maps: Octave) -> Octave:
        """Each part through its layer; a part that is None stays None."""
        return Octave(
            None if maps.high is None else self.high(maps.high), None if maps.low is None else self.low(maps.low)
        )


def upsample(maps: Tensor) -> Tensor:
    """Each value repeated 2 x 2."""
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def merge(maps: Octave) -> Tensor:
    """Both parts as ordinary maps ``(B, C, H, W)``: low frequencies brought to the fine grid, behind the high ones."""
    parts = ([] if maps.high is None else [maps.high]) + ([] if maps.low is None else [upsample(maps.low)])
    return torch.cat(parts, dim=1)


def conv_flops(in_channels: int, out_channels: int, *, kernel_size: int = 3, height: int, width: int) -> int:
    """Multiplications of a plain convolution that keeps the size of its maps."""
    return in_channels * out_channels * kernel_size**2 * height * width


def octave_flops(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int = 3,
    height: int,
    width: int,
    ratio_in: float = 0.5,
    ratio_out: float = 0.5,
) -> int:
    """Multiplications of an octave convolution: every path but high to high works on a quarter of the pixels.

    For ``ratio_in = ratio_out = a`` that is ``1 - 3/4 a (2 - a)`` of a plain convolution's (Chen 2019, Table 1).
    Averages and additions are not counted.
    """
    high_in, low_in = split_channels(in_channels, ratio_in)
    high_out, low_out = split_channels(out_channels, ratio_out)
    fine = high_in * high_out
    coarse = high_in * low_out + low_in * high_out + low_in * low_out
    return (fine * height * width + coarse * (height // 2) * (width // 2)) * kernel_size**2
