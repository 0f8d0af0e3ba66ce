"""Attention for 3D maps: guided by predicted masks (Zhang 2021, Figure 4), or inferred from the maps (CBAM)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from radlib.core.errors import RadlibError

Attention = Literal["none", "mask", "cbam"]


class MaskGuidedAttention3d(nn.Module):
    """Maps weighted by masks that other branches predicted, and added to themselves.

    A 1 x 1 x 1 convolution gives every mask a group of channels of its own; each group is multiplied by its mask, and a
    3 x 3 x 3 convolution with instance norm and leaky ReLU mixes the groups: ``U + f(concat_k(M_k * g_k(U)))``. The
    masks say where, the convolutions what. With masks of 0 the maps pass unchanged but for the bias of the norm.

    Args:
        channels: of the maps.
        masks: how many masks guide them (branches times classes).
        group: channels of each mask's group; half of ``channels`` (at least 1) where None.
    """

    def __init__(self, channels: int, *, masks: int, group: int | None = None) -> None:
        super().__init__()
        if masks < 1:
            raise RadlibError(f"{masks} masks cannot guide anything", remedy="give at least one")
        self.masks = masks
        self.group = group if group is not None else max(1, channels // 2)
        self.project = nn.Conv3d(channels, masks * self.group, 1)
        self.mix = nn.Conv3d(masks * self.group, channels, 3, padding=1)
        self.norm = nn.InstanceNorm3d(channels, affine=True)
        self.activation = nn.LeakyReLU(0.01)

    def guided(self, maps: Tensor, masks: Tensor) -> Tensor:
        """The groups after multiplication, ``(B, masks * group, X, Y, Z)``: 0 wherever their mask is 0."""
        return self.project(maps) * masks.repeat_interleave(self.group, dim=1)

    def forward(self, maps: Tensor, masks: Tensor) -> Tensor:
        """Maps ``(B, C, X, Y, Z)`` under masks ``(B, masks, X, Y, Z)`` between 0 and 1; the shape of the maps."""
        return maps + self.activation(self.norm(self.mix(self.guided(maps, masks))))


class ChannelAttention3d(nn.Module):
    """CBAM's channel attention (Woo 2018): one hidden layer shared by the mean and the maximum of every channel."""

    def __init__(self, channels: int, *, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.shared = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def gates(self, maps: Tensor) -> Tensor:
        """Weights between 0 and 1, ``(B, C, 1, 1, 1)``."""
        total = self.shared(maps.mean(dim=(2, 3, 4))) + self.shared(maps.amax(dim=(2, 3, 4)))
        return torch.sigmoid(total)[..., None, None, None]

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, X, Y, Z)``, weighted by channel."""
        return maps * self.gates(maps)


class SpatialAttention3d(nn.Module):
    """CBAM's spatial attention: a convolution of the mean and the maximum over the channels."""

    def __init__(self, *, kernel_size: int = 7) -> None:
        super().__init__()
        self.mix = nn.Conv3d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def gates(self, maps: Tensor) -> Tensor:
        """Weights between 0 and 1, ``(B, 1, X, Y, Z)``."""
        both = torch.cat([maps.mean(dim=1, keepdim=True), maps.amax(dim=1, keepdim=True)], dim=1)
        return torch.sigmoid(self.mix(both))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, X, Y, Z)``, weighted by voxel."""
        return maps * self.gates(maps)


class ConventionalAttention3d(nn.Module):
    """CBAM in 3D: channel, then spatial attention, inferred from the maps themselves, and added to them.

    The same place, the same residual form and the same mixing convolution as :class:`MaskGuidedAttention3d`, so that
    the two differ in where the attention comes from.

    Args:
        channels: of the maps.
        kernel_size: of the spatial attention.
    """

    def __init__(self, channels: int, *, kernel_size: int = 7) -> None:
        super().__init__()
        self.channel = ChannelAttention3d(channels)
        self.spatial = SpatialAttention3d(kernel_size=kernel_size)
        self.mix = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm = nn.InstanceNorm3d(channels, affine=True)
        self.activation = nn.LeakyReLU(0.01)

    def forward(self, maps: Tensor, masks: Tensor) -> Tensor:
        """Maps ``(B, C, X, Y, Z)``; the masks are not looked at."""
        return maps + self.activation(self.norm(self.mix(self.spatial(self.channel(maps)))))


class NoAttention(nn.Module):
    """The maps as they are."""

    def forward(self, maps: Tensor, masks: Tensor) -> Tensor:
        """Maps unchanged; the masks are not looked at."""
        return maps


def attention_block(kind: Attention, channels: int, *, masks: int) -> nn.Module:
    """The block of that name; called with maps and masks.

    Raises:
        RadlibError: for an unknown name.
    """
    if kind == "mask":
        return MaskGuidedAttention3d(channels, masks=masks)
    if kind == "cbam":
        return ConventionalAttention3d(channels)
    if kind == "none":
        return NoAttention()
    raise RadlibError(f"unknown attention {kind!r}", remedy="use 'none', 'mask' or 'cbam'")
