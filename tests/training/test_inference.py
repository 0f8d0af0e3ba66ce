"""Whole-volume prediction: slices, windows and ensembles agree with what they are made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.training.inference import predict_slices, predict_volume

CPU = {"device": "cpu", "precision": "32-true"}
IMAGE = torch.randn(2, 10, 12, 6, generator=torch.Generator().manual_seed(0))


def test_slices_are_predicted_one_by_one() -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(2, 3, 3, padding=1)
    out = predict_slices(net, IMAGE, batch_size=4, **CPU)
    assert out.shape == (3, *IMAGE.shape[1:])
    torch.testing.assert_close(out.sum(0), torch.ones(IMAGE.shape[1:]))
    alone = net(IMAGE[..., 3][None])[0].softmax(0)
    torch.testing.assert_close(out[..., 3], alone.detach())
    assert net.training  # as it was


def test_window_of_a_pointwise_network_changes_nothing() -> None:
    net = nn.Conv3d(2, 2, 1)
    whole = predict_volume(net, IMAGE, **CPU)
    windows = predict_volume(net, IMAGE, roi=(6, 6, 4), **CPU)
    torch.testing.assert_close(windows, whole, atol=1e-5, rtol=1e-5)


def test_ensemble_is_the_mean() -> None:
    nets = [nn.Conv2d(2, 1, 1), nn.Conv2d(2, 1, 1)]
    both = predict_slices(nets, IMAGE, activation="sigmoid", **CPU)
    alone = [predict_slices(net, IMAGE, activation="sigmoid", **CPU) for net in nets]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)
    with pytest.raises(RadlibError, match="ensemble without members"):
        predict_slices([], IMAGE, **CPU)
