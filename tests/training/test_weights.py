"""Weights on disk: what was saved comes back, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.training.weights import load_weights, save_weights


class Tied(nn.Module):
    """Two names of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(2)


def test_round_trip_with_tied_weights(tmp_path: Path) -> None:
    one, other = Tied(), Tied()
    save_weights(tmp_path / "w.safetensors", one)
    save_weights(tmp_path / "again.safetensors", one)
    assert (tmp_path / "w.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    load_weights(tmp_path / "w.safetensors", other)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_weights(file, nn.Linear(3, 2))
    with pytest.raises(RadlibError, match=r"size mismatch for weight: .*\[2, 3\].*\[2, 4\].*w\.safetensors"):
        load_weights(file, nn.Linear(4, 2))
    with pytest.raises(RadlibError, match=r"Unexpected key\(s\) in state_dict: .*bias"):
        load_weights(file, nn.Linear(3, 2, bias=False))


def test_absent_and_truncated_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    with pytest.raises(RadlibError, match="there are no weights"):
        load_weights(file, nn.Linear(3, 2))
    save_weights(file, nn.Linear(3, 2))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(RadlibError, match="the weights cannot be read"):
        load_weights(file, nn.Linear(3, 2))
