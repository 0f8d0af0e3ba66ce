"""The networks that the segmentation chapter compares, and everything about their training that is a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from radlib.core.errors import RadlibError
from radlib.nn import baselines2d
from radlib.papers.islam2020.networks import OctaveFCN
from radlib.training.settings import Precision

CLASSES = 4
"""Background, necrotic core, oedema, enhancing tumour."""

PAPER_MODALITIES = ("t1ce", "flair", "t2")
"""What the networks of Table I see; the order of Table III."""

MODALITY_NAMES = {"t1": "T1", "t1ce": "T1c", "t2": "T2", "flair": "FLAIR"}
"""Modalities as the paper writes them."""

TITLES: dict[str, str] = {
    "fcn": "Octave FCN, skip-scSE",
    "unet_scse": "U-Net, scSE",
    "unet": "U-Net",
    "deeplab_v3": "DeepLab v3",
    "gcn": "GCN",
    "dynunet": "DynUNet (MONAI)",
    "segresnet": "SegResNet (MONAI)",
    "basic_unet": "BasicUNet (MONAI)",
    "fcn_scse": "Octave FCN, scSE",
    "fcn_none": "Octave FCN, no excitation",
    "fcn_plain": "plain FCN, skip-scSE",
}
"""The networks by the names that the chapter calls them; the first five are rows of Table I."""


BASELINES = ("UNet2d", "DeepLabV3", "GCN", "dynunet", "segresnet", "basic_unet")
"""Makers in :mod:`radlib.nn.baselines2d`."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a training that is not the network's kind or the subjects.

    Attributes:
        widths: channels of the levels of U-Net; the FCN and the residual encoders have all but the last.
        ratio: share of low frequencies of the octave convolutions.
        norm: batch norm in the U-Nets.
        output_stride, rates: of DeepLab v3.
        kernel_size: of GCN's large kernels.
        steps, batch_size: how long.
        crop: edge of the square cut around tumour or brain; None takes whole slices.
        tumour_share: share of a batch cut around tumour; the rest is cut anywhere in the brain, tumour or not.
        learning_rate, weight_decay, schedule: of Adam, whose first decay rate is the paper's momentum of 0.9.
        augment: scale of the random changes of intensity; 0 for none. Left and right are swapped in any case.
        precision: of training and inference.
        validations: how often the loss's companion, the Dice on slices of the fold's other subjects, is measured.
        validation_slices: on how many slices.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64)
    ratio: float = 0.5
    norm: str = "batch"
    output_stride: int = 4
    rates: tuple[int, ...] = (2, 4, 6)
    kernel_size: int = 7
    steps: int = 160
    batch_size: int = 8
    crop: int | None = 32
    tumour_share: float = 0.6
    learning_rate: float = 2e-2
    weight_decay: float = 1e-4
    schedule: str = "one_cycle"
    augment: float = 1.0
    precision: Precision = "auto"
    validations: int = 4
    validation_slices: int = 12


PAPER = Recipe(
    widths=(64, 128, 256, 512, 1024), output_stride=8, rates=(6, 12, 18), kernel_size=15, batch_size=16, crop=None,
    learning_rate=1e-4, weight_decay=1e-4, schedule="constant", steps=40_000,
)  # fmt: skip
"""The published learning rate and weight decay, whole slices, and the originals' widths; steps and batch are ours."""


# Networks


def arguments_of(model: str, *, in_channels: int, recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """The dotted name of a network's class or function, and what it is called with.

    Raises:
        RadlibError: for an unknown network.
    """
    channels = {"in_channels": in_channels, "out_channels": CLASSES}
    widths, inner = list(recipe.widths), list(recipe.widths[:-1])
    here = "radlib.nn.baselines2d."
    residual = {**channels, "widths": inner, "blocks": 2 if len(inner) > 3 else 1}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "unet": (here + "UNet2d", {**channels, "widths": widths, "norm": recipe.norm}),
        "unet_scse": (here + "UNet2d", {**channels, "widths": widths, "norm": recipe.norm, "excitation": "scse"}),
        "deeplab_v3": (
            here + "DeepLabV3",
            {**residual, "output_stride": recipe.output_stride, "rates": list(recipe.rates), "pyramid": 4 * widths[0]},
        ),
        "gcn": (here + "GCN", {**residual, "kernel_size": recipe.kernel_size}),
        "dynunet": (here + "dynunet", {**channels, "widths": widths}),
        "segresnet": (here + "segresnet", {**channels, "width": widths[0]}),
        "basic_unet": (here + "basic_unet", {**channels, "widths": [*widths, *widths[-1:] * 5][:5]}),
    }
    for name, excitation, ratio in (
        ("fcn", "skip_scse", recipe.ratio),
        ("fcn_scse", "scse", recipe.ratio),
        ("fcn_none", "none", recipe.ratio),
        ("fcn_plain", "skip_scse", 0.0),
    ):
        about = {**channels, "widths": inner, "ratio": ratio, "excitation": excitation}
        kinds[name] = ("radlib.papers.islam2020.networks.OctaveFCN", about)
    if model not in kinds:
        raise RadlibError(f"unknown network {model!r}", remedy=f"use one of {', '.join(kinds)}")
    return kinds[model]


def build(model: str, *, in_channels: int, recipe: Recipe) -> nn.Module:
    """A network with the weights that torch's generator draws: images ``(B, in_channels, H, W)`` to class logits."""
    return construct(*arguments_of(model, in_channels=in_channels, recipe=recipe))


def construct(target: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The network that :func:`arguments_of` describes.

    Raises:
        RadlibError: if the name is none of these networks.
    """
    module, _, name = target.rpartition(".")
    if target == "radlib.papers.islam2020.networks.OctaveFCN":
        return OctaveFCN(**arguments)
    if module != "radlib.nn.baselines2d" or name not in BASELINES:
        raise RadlibError(f"{target!r} is no segmentation network of this chapter", remedy="train the weights again")
    maker: Callable[..., nn.Module] = getattr(baselines2d, name)
    return maker(**arguments)


def spoken(modalities: str | Sequence[str]) -> str:
    """Modalities (``t1ce, flair``, or a sequence) as text: ``T1c, FLAIR``; other words stay as they are."""
    names = modalities.split(", ") if isinstance(modalities, str) else modalities
    return ", ".join(" ".join(MODALITY_NAMES.get(word, word) for word in name.split()) for name in names)
