"""scSE and skip-scSE against their formulas."""

import math

import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.nn.excitation import (
    SCSE,
    ChannelExcitation,
    InnerImagingExcitation,
    SkipSCSE,
    excitation_block,
    picture_shape,
)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_scse_by_hand() -> None:
    """Two channels, one hidden node: U_c sigmoid(W1 relu(W2 z))_c + U sigmoid(w . U), number by number."""
    layer = SCSE(2)
    with torch.no_grad():
        layer.channel.squeeze.weight.copy_(torch.tensor([[1.0, -0.5]]))
        layer.channel.squeeze.bias.fill_(0.25)
        layer.channel.excite.weight.copy_(torch.tensor([[2.0], [-1.0]]))
        layer.channel.excite.bias.copy_(torch.tensor([0.0, 0.5]))
        layer.spatial.mix.weight.copy_(torch.tensor([1.0, 2.0])[None, :, None, None])
    maps = torch.tensor([[[[1.0, 3.0]], [[0.5, -0.5]]]])  # means 2 and 0
    hidden = max(0.0, 1.0 * 2 - 0.5 * 0 + 0.25)
    gates = [sigmoid(2 * hidden), sigmoid(-hidden + 0.5)]
    pixels = [sigmoid(1 + 2 * 0.5), sigmoid(3 - 2 * 0.5)]
    expected = [[maps[0, c, 0, x].item() * (gates[c] + pixels[x]) for x in range(2)] for c in range(2)]
    torch.testing.assert_close(layer(maps)[0, :, 0], torch.tensor(expected))


def test_skip_scse_without_skip_and_inner_imaging_is_scse() -> None:
    torch.manual_seed(0)
    plain, skipping = SCSE(8), SkipSCSE(8, skip=False, kernels=1)
    skipping.load_state_dict(plain.state_dict(), strict=False)
    imaging, mixing = skipping.channel.imaging[0], skipping.channel.imaging[2]
    with torch.no_grad():  # the kernel that keeps the picture, and positive means that ReLU keeps
        for layer in (imaging, mixing):
            layer.weight.zero_()
            layer.bias.zero_()
        imaging.weight[0, 0, 1, 1] = 1
        mixing.weight.fill_(1)
    maps = torch.rand(2, 8, 4, 4)
    torch.testing.assert_close(skipping(maps), plain(maps))
    skipping.skip = True
    torch.testing.assert_close(skipping(maps), plain(maps) + maps)


def test_inner_imaging_makes_neighbours_matter() -> None:
    """The weight of a channel answers to the mean of a channel beside it in the picture before any full layer."""
    torch.manual_seed(0)
    layer = InnerImagingExcitation(16)
    means = torch.zeros(1, 16, requires_grad=True)
    layer.imaging(means.view(1, 1, 4, 4))[0, 0, 1, 1].backward()
    assert means.grad is not None
    touched = means.grad.view(4, 4) != 0
    assert touched[:3, :3].any()
    assert not touched[3].any()
    assert not touched[:, 3].any()


@pytest.mark.parametrize(("kind", "low", "high"), [("scse", 0, 2), ("skip_scse", 1, 3)])
def test_factor_of_each_feature_is_bounded(kind: str, low: float, high: float) -> None:
    torch.manual_seed(1)
    maps = torch.randn(2, 6, 5, 5)
    factor = excitation_block(kind, 6)(maps) / maps  # type: ignore[arg-type]
    assert factor.min() > low
    assert factor.max() < high


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    layer = SkipSCSE(16)
    layer(torch.randn(4, 16, 6, 6)).square().sum().backward()
    assert [name for name, p in layer.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_few_channels_keep_a_hidden_node() -> None:
    assert ChannelExcitation(1).squeeze.weight.shape == (1, 1)
    assert excitation_block("skip_scse", 1)(torch.ones(1, 1, 2, 2)).shape == (1, 1, 2, 2)


@pytest.mark.parametrize(("channels", "shape"), [(16, (4, 4)), (32, (4, 8)), (7, (1, 7)), (512, (16, 32))])
def test_picture_is_as_square_as_can_be(channels: int, shape: tuple[int, int]) -> None:
    assert picture_shape(channels) == shape


def test_none_and_unknown() -> None:
    maps = torch.randn(1, 2, 3, 3)
    assert excitation_block("none", 2)(maps) is maps
    with pytest.raises(RadlibError, match="squeeze"):
        excitation_block("squeeze", 2)  # type: ignore[arg-type]
