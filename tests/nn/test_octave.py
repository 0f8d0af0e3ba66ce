"""Octave convolution against plain convolutions, by hand, and its number of multiplications."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.nn.octave import (
    Octave,
    OctaveConv2d,
    OctaveMap,
    conv_flops,
    merge,
    octave_flops,
    split_channels,
    upsample,
)


def test_channels_are_split_by_the_ratio() -> None:
    assert split_channels(8, 0.5) == (4, 4)
    assert split_channels(8, 0) == (8, 0)
    assert split_channels(8, 1) == (0, 8)
    assert split_channels(10, 0.25) == (8, 2)
    with pytest.raises(RadlibError, match=r"1\.5"):
        split_channels(8, 1.5)


def test_ratio_zero_is_a_plain_convolution() -> None:
    torch.manual_seed(0)
    layer = OctaveConv2d(3, 5, ratio_in=0, ratio_out=0)
    images = torch.randn(2, 3, 8, 6)
    assert layer.high_to_high is not None
    assert [layer.low_to_high, layer.low_to_low, layer.high_to_low] == [None] * 3
    out = layer(images)
    assert out.low is None
    torch.testing.assert_close(
        out.high, functional.conv2d(images, layer.high_to_high.weight, layer.high_to_high.bias, padding=1)
    )


def test_ratio_one_is_a_plain_convolution_on_the_coarse_grid() -> None:
    torch.manual_seed(0)
    layer = OctaveConv2d(3, 5, ratio_in=1, ratio_out=1)
    coarse = torch.randn(2, 3, 4, 3)
    assert layer.low_to_low is not None
    out = layer(Octave(None, coarse))
    assert out.high is None
    torch.testing.assert_close(
        out.low, functional.conv2d(coarse, layer.low_to_low.weight, layer.low_to_low.bias, padding=1)
    )


def test_first_layer_from_zero_to_one_convolves_the_averages() -> None:
    torch.manual_seed(0)
    layer = OctaveConv2d(3, 5, ratio_in=0, ratio_out=1)
    images = torch.randn(1, 3, 4, 4)
    assert layer.high_to_low is not None
    expected = layer.high_to_low(functional.avg_pool2d(images, 2))
    torch.testing.assert_close(layer(images).low, expected)


def test_by_hand() -> None:
    """Kernels of one tap: every path is a multiplication, averages and repetitions can be written down."""
    layer = OctaveConv2d(2, 2, kernel_size=1, ratio_in=0.5, ratio_out=0.5)
    weights = {"high_to_high": 2.0, "low_to_high": 10.0, "low_to_low": 3.0, "high_to_low": 100.0}
    with torch.no_grad():
        for name, weight in weights.items():
            getattr(layer, name).weight.fill_(weight)
        layer.high_to_high.bias.fill_(0.5)  # type: ignore[union-attr]
        layer.low_to_low.bias.fill_(0.25)  # type: ignore[union-attr]
    high = torch.tensor([[1.0, 2.0, 5.0, 5.0], [3.0, 6.0, 5.0, 9.0]])[None, None]
    low = torch.tensor([[7.0, -1.0]])[None, None]
    out = layer(Octave(high, low))
    # high' = 2 high + 10 low repeated + 0.5
    torch.testing.assert_close(out.high, torch.tensor([[72.5, 74.5, 0.5, 0.5], [76.5, 82.5, 0.5, 8.5]])[None, None])
    # low' = 3 low + 100 means (3 and 6) + 0.25
    torch.testing.assert_close(out.low, torch.tensor([[321.25, 597.25]])[None, None])


@pytest.mark.parametrize(("ratio_in", "ratio_out"), [(0, 0.5), (0.5, 0.5), (0.5, 0), (1, 0.25)])
def test_one_bias_a_part(ratio_in: float, ratio_out: float) -> None:
    layer = OctaveConv2d(8, 8, ratio_in=ratio_in, ratio_out=ratio_out)
    biases = sum(m.bias.numel() for m in layer.modules() if isinstance(m, nn.Conv2d) and m.bias is not None)
    assert biases == 8


def test_last_layer_gives_ordinary_maps() -> None:
    layer = OctaveConv2d(4, 6, ratio_in=0.5, ratio_out=0)
    out = layer(Octave(torch.randn(1, 2, 4, 4), torch.randn(1, 2, 2, 2)))
    assert out.low is None
    assert out.high is not None
    assert out.high.shape == (1, 6, 4, 4)


def test_layers_act_on_each_part_and_merging_repeats_the_low_one() -> None:
    maps = Octave(torch.full((1, 1, 2, 2), -1.0), torch.tensor([[[[3.0]]]]))
    out = OctaveMap(nn.ReLU(), nn.Identity())(maps)
    torch.testing.assert_close(merge(out), torch.tensor([[[[0.0, 0], [0, 0]], [[3.0, 3], [3, 3]]]]))
    torch.testing.assert_close(merge(Octave(None, maps.low)), upsample(torch.tensor([[[[3.0]]]])))


def test_even_kernels_are_refused() -> None:
    with pytest.raises(RadlibError, match="odd"):
        OctaveConv2d(2, 2, kernel_size=2)


@pytest.mark.parametrize("ratio", [0, 0.25, 0.5, 0.75, 1])
def test_multiplications(ratio: float) -> None:
    """Against the closed form of Chen 2019 and against torch's own count of the layer."""
    from torch.utils.flop_counter import FlopCounterMode

    plain = conv_flops(8, 8, height=16, width=16)
    octave = octave_flops(8, 8, height=16, width=16, ratio_in=ratio, ratio_out=ratio)
    assert octave == pytest.approx(plain * (1 - 0.75 * ratio * (2 - ratio)))
    layer = OctaveConv2d(8, 8, ratio_in=ratio, ratio_out=ratio).to("meta")
    high, low = split_channels(8, ratio)
    maps = Octave(
        torch.zeros(1, high, 16, 16, device="meta") if high else None,
        torch.zeros(1, low, 8, 8, device="meta") if low else None,
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(maps)
    assert counter.get_total_flops() == 2 * octave
