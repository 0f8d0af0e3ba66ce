"""Networks that Islam 2020 compares with (Table I), and two of MONAI's as a reference of today.

All take images ``(B, C, H, W)`` of any size and give logits ``(B, K, H, W)``. Widths are parameters: the originals are
the defaults, smaller ones make the comparison possible without a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.nn.common import Norm, check_widths, initialise, pad_to_multiple
from radlib.nn.excitation import Excitation, excitation_block


class DoubleConv(nn.Sequential):
    """Two 3 x 3 convolutions with ReLU, batch norm between where asked for, and an excitation behind."""

    def __init__(self, in_channels: int, out_channels: int, *, norm: Norm, excitation: Excitation) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers.append(nn.Conv2d(channels, out_channels, 3, padding=1, bias=norm == "none"))
            layers += [nn.BatchNorm2d(out_channels)] if norm == "batch" else []
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers, excitation_block(excitation, out_channels))


class UNet2d(nn.Module):
    """U-Net (Ronneberger 2015) with padded convolutions; with scSE behind every block it is that of Roy 2018.

    Args:
        in_channels: modalities.
        out_channels: classes.
        widths: channels of the levels, the lowest one included.
        excitation: behind every block of encoder and decoder.
        norm: batch norm behind every convolution; the original has none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        excitation: Excitation = "none",
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        check_widths(widths)
        self.multiple = 2 ** (len(widths) - 1)
        pairs = list(zip((in_channels, *widths), widths, strict=False))
        self.encoder = nn.ModuleList(DoubleConv(a, b, norm=norm, excitation=excitation) for a, b in pairs)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in reversed(pairs[1:]))
        self.decoder = nn.ModuleList(
            DoubleConv(2 * a, a, norm=norm, excitation=excitation) for a, _ in reversed(pairs[1:])
        )
        self.head = nn.Conv2d(widths[0], out_channels, 1)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits of the same size."""
        maps, crop = pad_to_multiple(images, self.multiple)
        skips: list[Tensor] = []
        for block in self.encoder:
            maps = block(self.pool(maps) if skips else maps)
            skips.append(maps)
        for up, block, skip in zip(self.up, self.decoder, reversed(skips[:-1]), strict=True):
            maps = block(torch.cat([skip, up(maps)], dim=1))
        return self.head(maps)[crop]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm around a shortcut (He 2016), with stride or dilation."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)``; the size is divided by the stride."""
        return torch.relu(self.shortcut(maps) + self.inner(maps))


class ResidualEncoder(nn.Module):
    """A ResNet whose later stages may keep their resolution by dilation instead of halving it.

    Args:
        in_channels: modalities.
        widths: channels of the stages; every stage halves the size (the first by its stem) until ``output_stride``.
        blocks: residual blocks a stage.
        output_stride: how much smaller than the input the last maps are, at most.
    """

    def __init__(self, in_channels: int, *, widths: Sequence[int], blocks: int, output_stride: int) -> None:
        super().__init__()
        check_widths(widths)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.ModuleList()
        self.strides: list[int] = []
        channels, reached, dilation = widths[0], 2, 1
        for place, width in enumerate(widths):
            stride = 2 if place and reached < output_stride else 1
            dilation = 2 * dilation if place and stride == 1 else dilation
            reached *= stride
            stage = [ResidualBlock(channels, width, stride=stride, dilation=dilation)]
            stage += [ResidualBlock(width, width, dilation=dilation) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            self.strides.append(reached)
            channels = width

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps behind every stage, finest first."""
        maps, levels = self.stem(images), []
        for stage in self.stages:
            maps = stage(maps)
            levels.append(maps)
        return levels


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling (Chen 2017, Figure 5): 1 x 1, dilated 3 x 3 and the image's mean."""

    def __init__(self, in_channels: int, channels: int, *, rates: Sequence[int]) -> None:
        super().__init__()

        def branch(kernel: int, rate: int = 1) -> nn.Sequential:
            padding = rate if kernel == 3 else 0
            conv = nn.Conv2d(in_channels, channels, kernel, padding=padding, dilation=rate, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))

        self.branches = nn.ModuleList([branch(1), *(branch(3, rate) for rate in rates)])
        # One value a channel and image: batch norm over a batch of one could not work.
        self.image = nn.Sequential(nn.Conv2d(in_channels, channels, 1), nn.ReLU(inplace=True))
        self.project = nn.Sequential(
            nn.Conv2d((len(rates) + 2) * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to ``(B, channels, H, W)``."""
        mean = self.image(maps.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, *maps.shape[-2:])
        return self.project(torch.cat([*(branch(maps) for branch in self.branches), mean], dim=1))


class DeepLabV3(nn.Module):
    """DeepLab v3 (Chen 2017): a residual encoder with dilated last stages, an atrous pyramid, bilinear upsampling.

    The encoder is not pretrained: no natural images go into it.

    Args:
        in_channels: modalities.
        out_channels: classes.
        widths: channels of the encoder's stages.
        blocks: residual blocks a stage.
        output_stride: 8 or 16 in the paper.
        rates: of the pyramid; the paper has 6, 12, 18 at an output stride of 16 and twice that at 8.
        pyramid: channels of every branch; the paper has 256.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 2,
        output_stride: int = 8,
        rates: Sequence[int] = (6, 12, 18),
        pyramid: int = 256,
    ) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(in_channels, widths=widths, blocks=blocks, output_stride=output_stride)
        self.pyramid = AtrousPyramid(widths[-1], pyramid, rates=rates)
        self.head = nn.Sequential(
            nn.Conv2d(pyramid, pyramid, 3, padding=1, bias=False),
            nn.BatchNorm2d(pyramid),
            nn.ReLU(inplace=True),
            nn.Conv2d(pyramid, out_channels, 1),
        )
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits of the same size."""
        logits = self.head(self.pyramid(self.encoder(images)[-1]))
        return functional.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)


class GlobalConv(nn.Module):
    """A large kernel in two separable ways, added (Peng 2017, Figure 3 A): ``1 x k, k x 1`` and ``k x 1, 1 x k``."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int) -> None:
        super().__init__()
        half = kernel_size // 2
        tall = {"kernel_size": (kernel_size, 1), "padding": (half, 0)}
        wide = {"kernel_size": (1, kernel_size), "padding": (0, half)}
        self.first = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, **tall),  # type: ignore[arg-type]
            nn.Conv2d(out_channels, out_channels, **wide),  # type: ignore[arg-type]
        )
        self.second = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, **wide),  # type: ignore[arg-type]
            nn.Conv2d(out_channels, out_channels, **tall),  # type: ignore[arg-type]
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(B, C, H, W)`` to ``(B, out_channels, H, W)``."""
        return self.first(maps) + self.second(maps)


class BoundaryRefinement(nn.Module):
    """A residual of two 3 x 3 convolutions on score maps (Peng 2017, Figure 3 B)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same shape."""
        return maps + self.inner(maps)


class GCN(nn.Module):
    """Global convolutional network (Peng 2017): large kernels on every stage's maps, scores refined on the way up.

    Args:
        in_channels: modalities.
        out_channels: classes.
        widths: channels of the residual encoder's stages.
        blocks: residual blocks a stage.
        kernel_size: odd edge of the large kernels; the paper has 15.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 2,
        kernel_size: int = 15,
    ) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(in_channels, widths=widths, blocks=blocks, output_stride=2 ** len(widths))
        self.multiple = 2 ** len(widths)
        self.large = nn.ModuleList(GlobalConv(width, out_channels, kernel_size=kernel_size) for width in widths)
        self.refine = nn.ModuleList(BoundaryRefinement(out_channels) for _ in widths)
        self.up = nn.ModuleList(nn.ConvTranspose2d(out_channels, out_channels, 4, stride=2, padding=1) for _ in widths)
        self.refine_up = nn.ModuleList(BoundaryRefinement(out_channels) for _ in widths)
        initialise(self)
        for up in self.up:
            _bilinear(up)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits of the same size."""
        padded, crop = pad_to_multiple(images, self.multiple)
        scores: Tensor | None = None
        for level, maps in reversed(list(enumerate(self.encoder(padded)))):
            here = self.refine[level](self.large[level](maps))
            if scores is not None:
                here = self.refine_up[level](here + scores)
            scores = self.up[level](here)
        assert scores is not None
        # The last stage above: scores at full size are refined once more.
        return self.refine_up[-1](scores)[crop]


def _bilinear(layer: nn.Module) -> None:
    """Start a 4 x 4 deconvolution with stride 2 as bilinear upsampling of every channel (Long 2015)."""
    assert isinstance(layer, nn.ConvTranspose2d)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(layer.out_channels):
            layer.weight[channel, channel] = torch.outer(ramp, ramp)


class AnySize(nn.Module):
    """A network that wants heights and widths in multiples, for images of any size: pads with zeros and cuts back."""

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits of the same size."""
        padded, crop = pad_to_multiple(images, self.multiple)
        return self.network(padded)[crop]


def segresnet(in_channels: int, out_channels: int, *, width: int = 32) -> nn.Module:
    """MONAI's SegResNet in two dimensions (Myronenko 2018), with group norm."""
    from monai.networks.nets import SegResNet

    network = SegResNet(
        spatial_dims=2,
        init_filters=width,
        in_channels=in_channels,
        out_channels=out_channels,
        norm=("GROUP", {"num_groups": min(8, width)}),
    )
    return AnySize(network, 8)


def dynunet(in_channels: int, out_channels: int, *, widths: Sequence[int] = (32, 64, 128, 256, 320)) -> nn.Module:
    """MONAI's DynUNet, the network of nnU-Net, in two dimensions."""
    from monai.networks.nets import DynUNet

    levels = len(widths)
    network = DynUNet(
        spatial_dims=2,
        in_channels=in_channels,
        out_channels=out_channels,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(widths),
    )
    return AnySize(network, 2 ** (levels - 1))


def basic_unet(in_channels: int, out_channels: int, *, widths: Sequence[int] = (32, 64, 128, 256, 512)) -> nn.Module:
    """MONAI's BasicUNet in two dimensions: a U-Net with instance norm and leaky ReLU; five levels."""
    from monai.networks.nets import BasicUNet

    network = BasicUNet(
        spatial_dims=2, in_channels=in_channels, out_channels=out_channels, features=(*widths, widths[0])
    )
    return AnySize(network, 16)
