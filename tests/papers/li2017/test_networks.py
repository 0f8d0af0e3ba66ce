"""Network of Li 2017: published shapes, counting of layers, patches and images alike."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.papers.li2017.networks import TumourCNN


def small(convolutions: int = 6, **options: object) -> TumourCNN:
    torch.manual_seed(0)
    return TumourCNN(2, convolutions, filters=(4, 6), neurons=8, **options).eval()  # type: ignore[arg-type]


def test_published_size() -> None:
    with torch.device("meta"):
        network = TumourCNN(2)
        scores = network(torch.zeros(1, 2, 33, 33))
        maps = {name: network.maps(torch.zeros(1, 2, 33, 33), name) for name in network.layers}
    assert scores.shape == (1, 2, 1, 1)
    assert list(network.layers) == ["conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc7", "fc8"]
    assert maps["conv3"].shape == (1, 64, 27, 27)
    assert maps["conv6"].shape == (1, 128, 7, 7)
    assert maps["fc7"].shape == maps["fc8"].shape == (1, 4096, 1, 1)
    assert network.channels("conv6") == 128
    # Counted by hand: convolutions with biases, then 3 x 3 x 128 -> 4096 -> 4096 -> 2.
    convolutions = (2 * 9 + 1) * 64 + 2 * (64 * 9 + 1) * 64 + (64 * 9 + 1) * 128 + 2 * (128 * 9 + 1) * 128
    connected = (9 * 128 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 2
    assert sum(parameter.numel() for parameter in network.parameters()) == convolutions + connected


def test_the_smaller_network_counts_its_layers_on() -> None:
    network = small(4)
    assert network.layers == ("conv1", "conv2", "conv3", "conv4", "fc5", "fc6")
    assert network.geometry("output") == (4, 31, 16.0, 33)
    assert [network.geometry(name).minimum for name in network.layers] == [5, 7, 13, 17, 33, 33]
    assert [small().geometry(name).minimum for name in small().layers] == [3, 5, 7, 13, 17, 21, 33, 33]


@pytest.mark.parametrize("convolutions", [4, 6])
def test_an_image_gives_the_scores_of_its_patches(convolutions: int) -> None:
    network = small(convolutions)
    image = torch.randn(2, 2, 53, 49)
    scores = network(image)
    assert scores.shape == (2, 2, 6, 5)
    for i in range(6):
        for j in range(5):
            patch = image[:, :, 4 * i : 4 * i + 33, 4 * j : 4 * j + 33]
            torch.testing.assert_close(scores[:, :, i, j], network(patch)[:, :, 0, 0])


def test_padded_convolutions_do_not() -> None:
    network = small(padding="same")
    image = torch.randn(1, 2, 53, 53)
    assert not torch.allclose(network(image)[0, :, 2, 2], network(image[:, :, 8:41, 8:41])[0, :, 0, 0], atol=1e-3)


def test_fully_connected_layers_are_linear_layers_with_the_same_weights() -> None:
    network = small()
    patch = torch.randn(3, 2, 33, 33)
    pooled = functional.max_pool2d(network.maps(patch, "conv6", rectified=True), 3, 2)
    before = pooled.flatten(1)
    for name in ("fc7", "fc8", "output"):
        layer = network.weights[name]
        before = functional.linear(before, layer.weight.flatten(1), layer.bias)
        torch.testing.assert_close(network.maps(patch, name).flatten(1), before)
        before = torch.relu(before)


def test_cells_of_a_map_lie_where_the_geometry_says() -> None:
    """The gradient of one cell reaches exactly its field, centred on its offset."""
    for convolutions in (4, 6):
        network = small(convolutions)
        for name in (*network.layers, "output"):
            stride, field, offset, minimum = network.geometry(name)
            image = torch.rand(1, 2, minimum + 8, minimum + 8, requires_grad=True)
            network.maps(image, name)[0, :, 1, 1].sum().backward()
            assert image.grad is not None
            seen = torch.nonzero(image.grad.abs().sum(dim=(0, 1, 3)))[:, 0]
            middle = offset + stride
            # Pooling passes the gradient of its maxima only, so the field bounds what is seen.
            assert seen.min() >= middle - (field - 1) / 2
            assert seen.max() <= middle + (field - 1) / 2
            assert network.map_edge(name, minimum) == 1
            assert network.map_edge(name, minimum - 1) < 1


def test_dropout_acts_in_training_and_never_on_maps() -> None:
    network = small(dropout=0.5)
    patch = torch.randn(1, 2, 33, 33)
    torch.testing.assert_close(network(patch), network(patch))
    network.train()
    draws = torch.stack([network(patch) for _ in range(8)])
    assert (draws != draws[0]).any()
    torch.testing.assert_close(network.maps(patch, "output"), network.maps(patch, "output"))
    torch.testing.assert_close(network.maps(patch, "fc8"), network.eval().maps(patch, "fc8"))


def test_dropout_follows_each_fully_connected_layer() -> None:
    network = small().train()
    dropped: list[torch.Tensor] = []
    network.dropout.register_forward_hook(lambda module, taken, given: dropped.append(taken[0]))
    patch = torch.randn(1, 2, 33, 33)
    network(patch)
    assert len(dropped) == 2
    torch.testing.assert_close(dropped[0], network.maps(patch, "fc7", rectified=True))
    assert not torch.allclose(dropped[1], network.maps(patch, "fc8", rectified=True))  # behind the first dropout


def test_maps_before_and_behind_relu() -> None:
    network = small()
    image = torch.randn(1, 2, 40, 40)
    raw = network.maps(image, "conv6")
    assert (raw < 0).any()
    torch.testing.assert_close(network.maps(image, "conv6", rectified=True), raw.clamp(min=0))
    assert network.maps(image[:0], "conv6").shape == (0, *raw.shape[1:])


def test_settings_build_the_network_again() -> None:
    network = small(4, padding="same", dropout=0.1)
    again = TumourCNN(**network.settings)
    again.load_state_dict(network.state_dict())
    image = torch.randn(1, 2, 40, 44)
    torch.testing.assert_close(again.eval()(image), network(image))


def test_what_does_not_fit_is_named() -> None:
    network = small()
    with pytest.raises(RadlibError, match="32 x 40 pixels are too small for layer 'output'") as caught:
        network(torch.zeros(1, 2, 32, 40))
    assert "at least 33 pixels" in str(caught.value)
    with pytest.raises(RadlibError, match=r"shape \(1, 3, 40, 40\)"):
        network(torch.zeros(1, 3, 40, 40))
    with pytest.raises(RadlibError, match="no layer 'fc9'"):
        network.maps(torch.zeros(1, 2, 40, 40), "fc9")
    with pytest.raises(RadlibError, match="5 convolutions"):
        TumourCNN(1, 5)
    with pytest.raises(RadlibError, match="32 pixels"):
        TumourCNN(1, patch=32)
    with pytest.raises(RadlibError, match="too small for 8 convolutions"):
        TumourCNN(1, 8, patch=21)
