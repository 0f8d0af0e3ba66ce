"""Where a network is."""

from __future__ import annotations

import torch
from torch import nn


def device_of(network: nn.Module) -> torch.device:
    """The device of a network's parameters; the CPU where it has none."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
