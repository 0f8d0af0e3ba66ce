"""Networks of Mehra 2022: published shapes, adaptation, conditional generation."""

from __future__ import annotations

import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.papers.mehra2022.networks import (
    PAPER_WIDTHS,
    FeatureClassifier,
    FeatureDiscriminator,
    FeatureGenerator,
    FeatureUNet,
    LinearOnDownsampled,
    adapt_input,
)


def test_published_shapes() -> None:
    with torch.device("meta"):
        network = FeatureUNet(4, widths=PAPER_WIDTHS)
        maps = network.maps(torch.zeros(1, 4, 240, 240))
        assert network(torch.zeros(1, 4, 240, 240)).shape == (1, 1, 240, 240)
    assert maps["encoder5"].shape == (1, 1024, 15, 15)
    assert maps["encoder4"].shape == (1, 512, 30, 30)
    assert maps["decoder3"].shape == (1, 128, 120, 120)
    assert list(maps) == list(network.blocks)


def test_published_acgan_and_classifier() -> None:
    with torch.device("meta"):
        made = FeatureGenerator(1024, 15, width=512)(torch.zeros(2, 100), torch.zeros(2, dtype=torch.int64))
        assert made.shape == (2, 1024, 15, 15)
        source, category = FeatureDiscriminator(1024, 15, width=512)(made)
        assert (source.shape, category.shape) == ((2,), (2, 2))
        assert FeatureClassifier(1024, 15)(made).shape == (2, 2)
        assert LinearOnDownsampled(1024)(made).shape == (2, 2)


@pytest.mark.parametrize("size", [1, 2, 4, 6, 15])
def test_any_size_of_features(size: int) -> None:
    made = FeatureGenerator(5, size, width=4, noise=3)(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]))
    assert made.shape == (4, 5, size, size)
    assert (made >= 0).all()
    FeatureDiscriminator(5, size, width=4)(made)[1].sum().backward()
    assert FeatureClassifier(5, size, width=4, hidden=4)(made.detach()).shape == (4, 2)


def test_adapted_network_keeps_the_kernels_of_its_channel() -> None:
    torch.manual_seed(0)
    network = FeatureUNet(4, widths=(4, 8))
    adapted = adapt_input(network, channel=3)
    kernels, own = network.encoder[0][0].weight, adapted.encoder[0][0].weight
    torch.testing.assert_close(own / own.norm(), kernels[:, 3:] / kernels[:, 3:].norm())
    assert float(own.detach().norm()) == pytest.approx(float(kernels.detach().norm()))
    torch.testing.assert_close(adapted.head.weight, network.head.weight)
    with pytest.raises(RadlibError, match="there is no channel 4 of 4"):
        adapt_input(network, channel=4)


def test_gradients_reach_every_parameter_and_wrong_input_is_named() -> None:
    network = FeatureUNet(1, widths=(4, 8, 8))
    network(torch.randn(2, 1, 16, 16)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    with pytest.raises(RadlibError, match="cannot be halved 2 times"):
        network(torch.zeros(1, 1, 18, 16))
    with pytest.raises(RadlibError, match="no block 'encoder9'"):
        network.features(torch.zeros(1, 1, 16, 16), "encoder9")
