"""Networks of Ge 2020: published shapes layer by layer, attention, bilinear layer."""

from __future__ import annotations

import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.papers.ge2020.networks import (
    AttentionFusion,
    MultiStreamClassifier,
    PairGenerator,
    PatchDiscriminator,
    SliceAutoencoder,
    bilinear,
)


def shapes(maps: list[torch.Tensor]) -> list[tuple[int, int, int]]:
    return [tuple(x.shape[1:]) for x in maps]  # type: ignore[misc]


def test_generator_has_the_published_layers() -> None:
    with torch.device("meta"):
        found = shapes(PairGenerator().maps(torch.zeros(2, 1, 128, 128)))
    assert found == [
        (32, 64, 64), (64, 32, 32), (128, 16, 16), (256, 8, 8),
        (128, 16, 16), (64, 32, 32), (32, 64, 64), (1, 128, 128),
    ]  # fmt: skip


def test_generator_appends_three_skips() -> None:
    network = PairGenerator()
    assert [layer.in_channels for layer in network.up] == [256, 128 + 128, 64 + 64, 32 + 32]
    assert {layer.kernel_size for layer in (*network.down, *network.up)} == {(4, 4)}
    assert [layer.stride for layer in network.down] == [(2, 2)] * 4
    assert [layer.stride for layer in network.up] == [(1, 1)] * 4


def test_discriminator_judges_eight_by_eight_patches() -> None:
    with torch.device("meta"):
        found = shapes(PatchDiscriminator().maps(torch.zeros(2, 1, 128, 128)))
    assert found == [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8), (1, 8, 8)]


def test_classifier_of_the_published_size() -> None:
    with torch.device("meta"):
        network = MultiStreamClassifier()
        images = torch.zeros(2, 4, 128, 128)
        assert network.stream_maps(images).shape == (2, 4, 256, 8, 8)
        assert network(images).shape == (2, 2)
    assert [layer.out_features for layer in network.head if isinstance(layer, torch.nn.Linear)] == [256, 256, 2]
    assert len(network.streams) == 4
    assert all(len(stream) == 7 for stream in network.streams)
    kernels = [m.kernel_size for m in network.streams.modules() if isinstance(m, torch.nn.Conv2d)]
    assert kernels == [(3, 3)] * 28


def test_autoencoder_has_the_published_layers() -> None:
    with torch.device("meta"):
        network = SliceAutoencoder()
        images = torch.zeros(1, 4, 128, 128)
        found = shapes(network.maps(images))
        assert network.latent(images).shape == (1, 512)
        assert network(images).shape == images.shape
    assert found == [
        (64, 128, 128), (64, 64, 64), (128, 64, 64), (128, 32, 32),
        (256, 32, 32), (256, 16, 16), (512, 16, 16), (512, 8, 8),
    ]  # fmt: skip
    assert [layer.stride for layer in network.decoder] == [(2, 2), (1, 1)] * 4


def test_attention_weights_sum_to_one_and_follow_equation_7() -> None:
    torch.manual_seed(0)
    maps = torch.randn(3, 4, 5, 2, 2)
    fusion = AttentionFusion(4, 20)
    torch.testing.assert_close(fusion.attention(maps), torch.full((3, 4), 0.25))
    torch.nn.init.normal_(fusion.weight).requires_grad_(False)
    found = fusion.attention(maps)
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    scores = torch.tensor([[float(maps[b, k].flatten() @ fusion.weight[k]) for k in range(4)] for b in range(3)])
    torch.testing.assert_close(found, scores.exp() / scores.exp().sum(1, keepdim=True))
    expected = sum(found[:, k, None, None, None] * maps[:, k] for k in range(4))
    torch.testing.assert_close(fusion(maps), expected)


def test_bilinear_layer_is_an_explicit_double_loop() -> None:
    maps = torch.randn(2, 3, 4, 5)
    found = bilinear(maps)
    for b in range(2):
        for i in range(3):
            for j in range(3):
                total = sum(float(maps[b, i, y, x] * maps[b, j, y, x]) for y in range(4) for x in range(5))
                assert float(found[b, i, j]) == pytest.approx(total / 20, abs=1e-5)


def test_small_networks_learn_from_every_parameter() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    made = PairGenerator((4, 4, 8, 8))(images)
    assert made.shape == images.shape
    assert float(made.detach().abs().max()) <= 1
    networks = [
        (PairGenerator((4, 4, 8, 8)), (images,)),
        (PatchDiscriminator((4, 8)), (images,)),
        (SliceAutoencoder((4, 4, 8, 8), channels=1), (images,)),
        (
            MultiStreamClassifier(widths=(4, 4, 8), pool_after=(1, 2), hidden=(8,), size=32, streams=2),
            (images.expand(2, 2, 32, 32),),
        ),
    ]
    for network, arguments in networks:
        network(*arguments).square().sum().backward()
        assert all(p.grad is not None for p in network.parameters()), type(network)


def test_wrong_inputs_are_named() -> None:
    with pytest.raises(RadlibError, match=r"cannot be halved 2 times"):
        PairGenerator((2, 2))(torch.zeros(1, 1, 18, 16))
    with pytest.raises(RadlibError, match=r"cannot be halved 4 times"):
        MultiStreamClassifier(size=40)
    network = MultiStreamClassifier(widths=(2, 2), pool_after=(1,), hidden=(2,), size=16)
    with pytest.raises(RadlibError, match="3, 16, 16"):
        network(torch.zeros(1, 3, 16, 16))


def test_networks_start_as_keras_does() -> None:
    """Glorot: uniform within sqrt(6 / (fan in + fan out)), biases 0."""
    for network in (PairGenerator(), PatchDiscriminator(), SliceAutoencoder(), MultiStreamClassifier(size=32)):
        layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
        for layer in layers:
            limit = (6 / (layer.weight[0].numel() + layer.weight[:, 0].numel())) ** 0.5
            largest = float(layer.weight.detach().abs().max())
            assert 0.8 * limit < largest <= limit
            assert layer.bias is None or not layer.bias.any()
