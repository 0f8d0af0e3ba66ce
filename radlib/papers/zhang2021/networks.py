"""The networks of Zhang 2021: U-Net generators, discriminators, and the fusion network that takes their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.nn.attention import Attention, attention_block
from radlib.nn.common import check_widths, pad_to_multiple
from radlib.papers.zhang2021.data import PAIRS, Groups, Recipe

PAPER_WIDTHS: tuple[int, ...] = (16, 32, 64, 128, 256)
"""Channels of the U-Net's levels: 16 filters, doubled at each down-sampling (section 4.1)."""

DISCRIMINATOR_WIDTHS: tuple[int, ...] = (16, 32, 64, 128)
"""Filters of the discriminator (Table 1)."""

CLASSES = 4
"""Kernels of a segmentation branch's last layer: background, necrotic core, oedema, enhancing tumour."""

ATTENTION: dict[str, Attention] = {"ours": "mask", "without_mg": "none", "with_ca": "cbam"}
"""The fusion networks by the attention of their fusion branch."""

MONAI = ("segresnet", "dynunet")
"""Networks of today that are trained beside."""

HEAD = "head"
"""The last layer, the only one that a generator and a segmentation branch do not share."""


class ConvBlock(nn.Sequential):
    """A 3-wide convolution, instance norm and leaky ReLU, in 2D or 3D."""

    def __init__(self, in_channels: int, out_channels: int, *, dimensions: int) -> None:
        super().__init__(
            _CONV[dimensions](in_channels, out_channels, 3, padding=1),
            _NORM[dimensions](out_channels, affine=True),
            nn.LeakyReLU(0.01),
        )


class Level(nn.Module):
    """Two convolutions; gives the maps behind each of them."""

    def __init__(self, in_channels: int, out_channels: int, *, dimensions: int) -> None:
        super().__init__()
        self.first = ConvBlock(in_channels, out_channels, dimensions=dimensions)
        self.second = ConvBlock(out_channels, out_channels, dimensions=dimensions)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps ``(B, in_channels, ...)`` to two of ``(B, out_channels, ...)``."""
        earlier = self.first(maps)
        return earlier, self.second(earlier)


class UNet(nn.Module):
    """The U-Net of Figure 3: generator, and, with another last layer, segmentation branch.

    Two convolutions a level, max-pooling down, transposed convolutions of 2 up, skip connections by concatenation.
    Names of layers are the same in 2D and 3D, so that weights can be inflated (:func:`inflate`).

    Args:
        in_channels: modalities that come in.
        out_channels: modalities to generate, or :data:`CLASSES`.
        widths: channels of the levels, the lowest one included.
        dimensions: 2 or 3.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, widths: Sequence[int] = PAPER_WIDTHS, dimensions: int = 3
    ) -> None:
        super().__init__()
        check_widths(widths)
        if dimensions not in (2, 3):
            raise RadlibError(f"a U-Net of {dimensions} dimensions", remedy="give 2 or 3")
        self.in_channels, self.out_channels, self.widths = in_channels, out_channels, tuple(widths)
        self.dimensions, self.multiple = dimensions, 2 ** (len(widths) - 1)
        pairs = list(zip((in_channels, *widths), widths, strict=False))
        self.encoder = nn.ModuleList(Level(a, b, dimensions=dimensions) for a, b in pairs)
        self.pool = _POOL[dimensions](2)
        self.up = nn.ModuleList(_UP[dimensions](b, a, 2, stride=2) for a, b in reversed(pairs[1:]))
        self.decoder = nn.ModuleList(Level(2 * a, a, dimensions=dimensions) for a, _ in reversed(pairs[1:]))
        self.head = _CONV[dimensions](widths[0], out_channels, 1)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The maps of the last two convolutions in front of the head, ``(B, widths[0], ...)`` each.

        Sides must be multiples of ``self.multiple``.
        """
        skips: list[Tensor] = []
        earlier = maps = images
        for level in self.encoder:
            earlier, maps = level(self.pool(maps) if skips else maps)
            skips.append(maps)
        for up, level, skip in zip(self.up, self.decoder, reversed(skips[:-1]), strict=True):
            earlier, maps = level(torch.cat([up(maps), skip], dim=1))
        return earlier, maps

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, in_channels, ...)`` of any size to ``(B, out_channels, ...)``: intensities or logits."""
        padded, crop = pad_to_multiple(images, self.multiple)
        return self.head(self.features(padded)[1])[crop]


class Discriminator(nn.Module):
    """The discriminator of Table 1: strided 4 x 4 x 4 convolutions and a last one of stride 1, without a sigmoid.

    The table does not print paddings; with 1, sizes halve from layer to layer as printed.

    Args:
        in_channels: 1, or 2 for a pair of modalities.
        widths: filters of L1, L3, L6 and L9.
    """

    def __init__(self, in_channels: int, *, widths: Sequence[int] = DISCRIMINATOR_WIDTHS) -> None:
        super().__init__()
        check_widths(widths)
        layers: list[nn.Module] = []
        channels = in_channels
        for place, width in enumerate(widths):
            layers.append(nn.Conv3d(channels, width, 4, stride=2, padding=1))
            if place:
                layers.append(nn.InstanceNorm3d(width, affine=True))
            layers.append(nn.LeakyReLU(0.2))
            channels = width
        layers.append(nn.Conv3d(channels, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, X, Y, Z)`` to scores of overlapping patches, ``(B, 1, x, y, z)``; 1 means real."""
        return self.layers(images)


class FusionBranch(nn.Module):
    """S_F of Figure 4: deep features of the branches are fused layer by layer, then attended to, then classified.

    The features of the last but one layer of all branches are fused first; the result is fused with those of the last.

    Args:
        width: channels of the branches' last layers.
        branches: how many branches.
        classes: of the prediction.
        attention: ``mask`` (the paper's), ``cbam`` (its baseline with conventional attention) or ``none`` (without).
    """

    def __init__(self, width: int, *, branches: int = 2, classes: int = CLASSES, attention: Attention = "mask") -> None:
        super().__init__()
        self.fuse_earlier = ConvBlock(branches * width, width, dimensions=3)
        self.fuse_last = ConvBlock((branches + 1) * width, width, dimensions=3)
        self.attention = attention_block(attention, width, masks=branches * classes)
        self.refine = ConvBlock(width, width, dimensions=3)
        self.head = nn.Conv3d(width, classes, 1)

    def forward(self, earlier: Sequence[Tensor], last: Sequence[Tensor], masks: Tensor) -> Tensor:
        """Features ``(B, width, X, Y, Z)`` of every branch, masks ``(B, branches * classes, X, Y, Z)``, to logits."""
        fused = self.fuse_earlier(torch.cat(list(earlier), dim=1))
        fused = self.fuse_last(torch.cat([fused, *last], dim=1))
        return self.head(self.refine(self.attention(fused, masks)))


class FusionNet(nn.Module):
    """The cross-modality feature fusion network: a branch for every group of modalities, and a fusion branch.

    Args:
        groups: how many modalities each branch takes: ``(2, 2)`` for two pairs, ``(1, 1, 1, 1)`` for the naive
            extension to single modalities. The images hold them one group after the other.
        widths: of the branches.
        attention: of the fusion branch.
        classes: of the prediction.
    """

    def __init__(
        self,
        groups: Sequence[int] = (2, 2),
        *,
        widths: Sequence[int] = PAPER_WIDTHS,
        attention: Attention = "mask",
        classes: int = CLASSES,
    ) -> None:
        super().__init__()
        self.groups = tuple(groups)
        self.branches = nn.ModuleList(UNet(group, classes, widths=widths) for group in groups)
        self.fusion = FusionBranch(widths[0], branches=len(self.groups), classes=classes, attention=attention)
        self.multiple = 2 ** (len(widths) - 1)

    def outputs(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits of the fusion branch and of every branch, ``(B, classes, X, Y, Z)`` each: what objective (7) adds up.

        The masks that guide the fusion are the branches' probabilities; gradients pass through them.
        """
        padded, crop = pad_to_multiple(images, self.multiple)
        parts = padded.split(self.groups, dim=1)
        pairs = [branch.features(part) for branch, part in zip(self.branches, parts, strict=True)]  # type: ignore[operator]
        logits = [branch.head(last) for branch, (_, last) in zip(self.branches, pairs, strict=True)]  # type: ignore[operator]
        masks = torch.cat([one.softmax(dim=1) for one in logits], dim=1)
        fused = self.fusion([earlier for earlier, _ in pairs], [last for _, last in pairs], masks)
        return fused[crop], [one[crop] for one in logits]

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, sum(groups), X, Y, Z)`` to logits of the fusion branch."""
        return self.outputs(images)[0]


class BranchesNet(nn.Module):
    """The branches without fusion: the baselines S_A and S_B, and, as its output, the mean of their predictions.

    Args:
        groups: how many modalities each branch takes.
        widths: of the branches.
        classes: of the prediction.
    """

    def __init__(
        self, groups: Sequence[int] = (2, 2), *, widths: Sequence[int] = PAPER_WIDTHS, classes: int = CLASSES
    ) -> None:
        super().__init__()
        self.groups = tuple(groups)
        self.branches = nn.ModuleList(UNet(group, classes, widths=widths) for group in groups)

    def outputs(self, images: Tensor) -> list[Tensor]:
        """Logits of every branch."""
        parts = images.split(self.groups, dim=1)
        return [branch(part) for branch, part in zip(self.branches, parts, strict=True)]

    def forward(self, images: Tensor) -> Tensor:
        """The logarithm of the branches' mean probabilities (a softmax gives the mean itself)."""
        mean = torch.stack([one.float().softmax(dim=1) for one in self.outputs(images)]).mean(dim=0)
        return mean.clamp(min=1e-12).log()


def build(key: str, *, groups: Groups = PAIRS, recipe: Recipe) -> nn.Module:
    """A segmentation network; MONAI's take all modalities at once and have levels of the same widths.

    Args:
        key: of :data:`ATTENTION` or :data:`MONAI`, or ``branches``.
        groups: modalities of the branches.
        recipe: for the widths.

    Raises:
        RadlibError: for an unknown key.
    """
    sizes, widths = tuple(len(group) for group in groups), recipe.widths
    if key in ATTENTION:
        return FusionNet(sizes, widths=widths, attention=ATTENTION[key])
    if key == "branches":
        return BranchesNet(sizes, widths=widths)
    if key == "segresnet":
        from monai.networks.nets import SegResNet

        return SegResNet(
            spatial_dims=3, init_filters=widths[0], in_channels=sum(sizes), out_channels=CLASSES,
            blocks_down=(1, 2, 2, 4)[: len(widths)], blocks_up=(1, 1, 1)[: len(widths) - 1],
            norm=("GROUP", {"num_groups": min(8, widths[0])}),
        )  # fmt: skip
    if key == "dynunet":
        from monai.networks.nets import DynUNet

        levels = len(widths)
        if levels < 3:
            raise RadlibError(f"DynUNet needs three levels, and widths has {levels}", remedy="give more widths")
        return DynUNet(
            spatial_dims=3, in_channels=sum(sizes), out_channels=CLASSES, kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1), upsample_kernel_size=[2] * (levels - 1), filters=list(widths),
        )  # fmt: skip
    raise RadlibError(f"unknown network {key!r}", remedy=f"use one of {', '.join([*ATTENTION, 'branches', *MONAI])}")


def build_transition(groups: Groups, recipe: Recipe) -> dict[str, nn.Module]:
    """Generators ``to_b`` (the paper's G_B^A, from A to B) and ``to_a``, discriminators ``d_a`` and ``d_b``.

    Raises:
        RadlibError: if the cubes are too small for the discriminator.
    """
    least = 2 ** (len(recipe.discriminator_widths) + 1)
    if min(recipe.cube) < least:
        raise RadlibError(
            f"cubes of {min(recipe.cube)} voxels leave the discriminator nothing behind "
            f"{len(recipe.discriminator_widths)} strided layers",
            remedy=f"give at least {least}, or fewer discriminator_widths",
        )
    a, b = (len(group) for group in groups)
    return {
        "to_b": UNet(a, b, widths=recipe.widths),
        "to_a": UNet(b, a, widths=recipe.widths),
        "d_a": Discriminator(a, widths=recipe.discriminator_widths),
        "d_b": Discriminator(b, widths=recipe.discriminator_widths),
    }


# Weights from one network to another


def transfer(source: nn.Module | Mapping[str, Tensor], target: nn.Module) -> list[str]:
    """Copy all weights but those of the last layer (:data:`HEAD`), in place.

    Args:
        source: a generator, or its ``state_dict``.
        target: a branch of the same sizes.

    Returns:
        The names of the copied tensors.

    Raises:
        RadlibError: naming the first tensor that the two do not have in common.
    """
    weights = source.state_dict() if isinstance(source, nn.Module) else source
    own = target.state_dict()
    shared = [name for name in own if not name.startswith(f"{HEAD}.")]
    for name in shared:
        here, there = tuple(own[name].shape), tuple(weights[name].shape) if name in weights else None
        if here != there:
            raise RadlibError(
                f"weights cannot be transferred: {name!r} is {here} here and {there} in the source",
                remedy="give both networks the same widths and numbers of modalities",
            )
    target.load_state_dict({**own, **{name: weights[name] for name in shared}})
    return shared


def inflate(weights: Mapping[str, Tensor], target: UNet) -> dict[str, Tensor]:
    """Weights of a 2D U-Net as those of a 3D one, as Carreira 2017 does: kernels repeated along the third axis.

    A convolution's kernel is repeated and divided by the number of repeats, so that a volume whose slices are all alike
    gives what the slice gives. A transposed convolution of stride 2 has one tap a voxel along the new axis and is
    repeated undivided. Where the numbers of input channels differ (RGB against modalities), every new channel takes the
    mean kernel, scaled so that equal channels give the same sum.

    Args:
        weights: of the 2D network.
        target: the 3D network.

    Returns:
        A ``state_dict`` for ``target`` without the last layer; :func:`transfer` copies it.
    """
    own = target.state_dict()
    inflated = {}
    for name, here in own.items():
        if name.startswith(f"{HEAD}."):
            continue
        if name not in weights:
            raise RadlibError(f"the 2D network has no {name!r}", remedy="build it with dimensions=2 and equal widths")
        tensor = weights[name]
        if here.dim() == 5:
            depth = here.shape[2]
            if not name.startswith("up.") and tensor.shape[1] != here.shape[1]:
                tensor = tensor.mean(dim=1, keepdim=True).repeat(1, here.shape[1], 1, 1)
                tensor = tensor * weights[name].shape[1] / here.shape[1]
            share = 1 if name.startswith("up.") else depth
            tensor = tensor[..., None, :, :].movedim(-3, -1).repeat(1, 1, 1, 1, depth) / share
        if tensor.shape != here.shape:
            raise RadlibError(
                f"{name!r} is {tuple(tensor.shape)} inflated and {tuple(here.shape)} in the 3D network",
                remedy="give both networks the same widths",
            )
        inflated[name] = tensor
    return inflated


_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
