"""What networks of several papers share: padding, initialisation, and how large a network is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.nn.device import device_of

Norm = Literal["none", "batch"]


def pad_to_multiple(images: Tensor, multiple: int) -> tuple[Tensor, tuple[slice, ...]]:
    """Images ``(B, C, ...)`` with zeros on all sides up to multiples, and the index that cuts an output back."""
    crop: list[slice] = [slice(None), slice(None)]
    around: list[int] = []
    for length in images.shape[2:]:
        lack = -length % multiple
        crop.append(slice(lack // 2, lack // 2 + length))
        around = [lack // 2, lack - lack // 2, *around]  # torch counts from the last axis
    return functional.pad(images, around) if any(around) else images, tuple(crop)


def initialise(network: nn.Module) -> None:
    """He's initialisation (fan in, ReLU) of every convolution, zero biases: without norm, torch's own is too small."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def check_widths(widths: Sequence[int]) -> None:
    """Raise RadlibError where a network would have no layer, or a layer no channel."""
    if not widths or min(widths) < 1:
        raise RadlibError(f"the widths are {tuple(widths)}", remedy="give at least one positive number of channels")


def count_parameters(network: nn.Module) -> int:
    """Trained parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_flops(network: nn.Module, shape: Sequence[int]) -> int:
    """Multiplications of convolutions and linear layers in one pass over images of ``shape`` ``(B, C, H, W)``.

    Counted by torch (which counts a multiplication and its addition as two) on the meta device or wherever the
    network is; nothing is computed on the meta device.
    """
    from torch.utils.flop_counter import FlopCounterMode

    device = device_of(network)
    training = network.training
    network.eval()
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(tuple(shape), device=device))
    finally:
        network.train(training)
    return counter.get_total_flops() // 2
