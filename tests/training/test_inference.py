"""Whole-volume prediction: slices, windows, flips and ensembles agree with what they are made of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.training.inference import predict_slices, predict_volume

CPU = {"device": "cpu", "precision": "32-true"}
IMAGE = torch.randn(2, 10, 12, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_predicted_one_by_one(axis: int) -> None:
    torch.manual_seed(0)
    net = nn.Conv2d(2, 3, 3, padding=1)
    out = predict_slices(net, IMAGE, axis=axis, batch_size=4, **CPU)
    assert out.shape == (3, *IMAGE.shape[1:])
    torch.testing.assert_close(out.sum(0), torch.ones(IMAGE.shape[1:]))
    alone = net(IMAGE.select(axis + 1, 3)[None])[0].softmax(0)
    torch.testing.assert_close(out.select(axis + 1, 3), alone.detach())
    assert net.training  # as it was


def test_window_of_a_pointwise_network_changes_nothing() -> None:
    net = nn.Conv3d(2, 2, 1)
    whole = predict_volume(net, IMAGE, **CPU)
    windows = predict_volume(net, IMAGE, roi=(6, 6, 4), **CPU)
    torch.testing.assert_close(windows, whole, atol=1e-5, rtol=1e-5)


def test_flips_make_the_prediction_symmetric() -> None:
    torch.manual_seed(0)
    net = nn.Conv3d(2, 1, 3, padding=1)
    out = predict_volume(net, IMAGE, flips=(0,), activation=None, **CPU)
    mirrored = predict_volume(net, IMAGE.flip(1), flips=(0,), activation=None, **CPU)
    torch.testing.assert_close(out, mirrored.flip(1))
    plain = predict_volume(net, IMAGE, activation=None, **CPU)
    other = predict_volume(net, IMAGE.flip(1), activation=None, **CPU).flip(1)
    torch.testing.assert_close(out, (plain + other) / 2)


def test_ensemble_is_the_mean() -> None:
    nets = [nn.Conv2d(2, 1, 1), nn.Conv2d(2, 1, 1)]
    both = predict_slices(nets, IMAGE, activation="sigmoid", **CPU)
    alone = [predict_slices(net, IMAGE, activation="sigmoid", **CPU) for net in nets]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)
    with pytest.raises(RadlibError, match="ensemble without members"):
        predict_slices([], IMAGE, **CPU)
