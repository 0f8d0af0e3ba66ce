"""A network is where its parameters are."""

from __future__ import annotations

import torch
from torch import nn

from radlib.nn.device import device_of


def test_device_of_a_network() -> None:
    assert device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")
