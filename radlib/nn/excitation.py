"""Excitation of feature maps in space and by channel: scSE (Roy 2018), and skip-scSE (Islam 2020, Figure 2 A)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from radlib.core.errors import RadlibError

Excitation = Literal["none", "scse", "skip_scse"]


class ChannelExcitation(nn.Module):
    """Channels weighted by what all of them hold on average (cSE).

    ``U_c * sigmoid(W1 relu(W2 z))_c`` with ``z`` the mean of each channel; ``W2`` has ``channels / reduction`` rows.
    """

    def __init__(self, channels: int, *, reduction: int = 2) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def gates(self, maps: Tensor) -> Tensor:
        """Weights between 0 and 1, ``(B, C, 1, 1)``, of maps ``(B, C, H, W)``."""
        return self._gates(maps.mean(dim=(2, 3)))[..., None, None]

    def _gates(self, means: Tensor) -> Tensor:
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)``, weighted by channel."""
        return maps * self.gates(maps)


class InnerImagingExcitation(ChannelExcitation):
    """Channel excitation behind inner-imaging (Hu 2018): the channels' means are laid out as a small picture.

    The picture, as nearly square as the number of channels allows, is convolved by 3 x 3 kernels, so that a channel's
    weight starts from a neighbourhood of channels. The kernels' answers are averaged and take the means' place.

    Args:
        channels: of the maps.
        reduction: of the hidden layer.
        kernels: how many 3 x 3 kernels.
    """

    def __init__(self, channels: int, *, reduction: int = 2, kernels: int = 4) -> None:
        super().__init__(channels, reduction=reduction)
        self.picture = picture_shape(channels)
        self.imaging = nn.Sequential(
            nn.Conv2d(1, kernels, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(kernels, 1, 1)
        )

    def _gates(self, means: Tensor) -> Tensor:
        picture = self.imaging(means.view(len(means), 1, *self.picture))
        return super()._gates(picture.flatten(1))


class SpatialExcitation(nn.Module):
    """Pixels weighted by a mixture of their channels (sSE): ``U * sigmoid(W * U)`` with one 1 x 1 kernel, no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, 1, 1, bias=False)

    def gates(self, maps: Tensor) -> Tensor:
        """Weights between 0 and 1, ``(B, 1, H, W)``."""
        return torch.sigmoid(self.mix(maps))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)``, weighted by pixel."""
        return maps * self.gates(maps)


class SCSE(nn.Module):
    """Spatial and channel excitation, added: ``cSE(U) + sSE(U)`` (Roy 2018)."""

    def __init__(self, channels: int, *, reduction: int = 2) -> None:
        super().__init__()
        self.channel = ChannelExcitation(channels, reduction=reduction)
        self.spatial = SpatialExcitation(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)``, excited; at most twice as large as they were."""
        return self.channel(maps) + self.spatial(maps)


class SkipSCSE(nn.Module):
    """scSE with inner-imaging before the channel excitation, and the maps themselves added (Islam 2020, Figure 2 A).

    ``U + cSE(inner-imaging(U)) + sSE(U)``: a feature that both excitations weigh with 0 stays instead of vanishing.

    Args:
        channels: of the maps.
        reduction: of the channel excitation's hidden layer.
        kernels: of the inner-imaging.
        skip: whether the maps are added; without, the effect of inner-imaging alone can be measured.
    """

    def __init__(self, channels: int, *, reduction: int = 2, kernels: int = 4, skip: bool = True) -> None:
        super().__init__()
        self.channel = InnerImagingExcitation(channels, reduction=reduction, kernels=kernels)
        self.spatial = SpatialExcitation(channels)
        self.skip = skip

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)``, excited; between one and three times as large as they were."""
        excited = self.channel(maps) + self.spatial(maps)
        return maps + excited if self.skip else excited


def excitation_block(kind: Excitation, channels: int, *, reduction: int = 2) -> nn.Module:
    """The layer of that name; ``none`` leaves the maps as they are.

    Raises:
        RadlibError: for an unknown name.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "scse":
        return SCSE(channels, reduction=reduction)
    if kind == "skip_scse":
        return SkipSCSE(channels, reduction=reduction)
    raise RadlibError(f"unknown excitation {kind!r}", remedy="use 'none', 'scse' or 'skip_scse'")


def picture_shape(channels: int) -> tuple[int, int]:
    """Rows and columns, at least as many columns as rows, that hold ``channels`` values exactly and most squarely."""
    rows = max(number for number in range(1, int(channels**0.5) + 1) if channels % number == 0)
    return rows, channels // rows
