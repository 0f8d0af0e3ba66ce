"""The octave FCN and the discriminators: shapes, gradients, sizes, maps."""

import pytest
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.nn.common import count_flops, count_parameters
from radlib.nn.octave import OctaveConv2d, octave_flops
from radlib.papers.islam2020.networks import (
    PAPER_WIDTHS,
    DecoderBlock,
    EncoderDecoderDiscriminator,
    OctaveFCN,
    PatchDiscriminator,
)

SMALL = (4, 8, 8)


def without_gradient(network: nn.Module) -> list[str]:
    return [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("excitation", ["skip_scse", "scse", "none"])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(16, 24), (21, 30)])
def test_logits_have_the_images_size(excitation: str, ratio: float, size: tuple[int, int]) -> None:
    network = OctaveFCN(2, 4, widths=SMALL, ratio=ratio, excitation=excitation)  # type: ignore[arg-type]
    assert network(torch.randn(2, 2, *size)).shape == (2, 4, *size)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_gradients_reach_every_parameter(norm: str) -> None:
    torch.manual_seed(0)
    network = OctaveFCN(2, 3, widths=(8, 8, 16), norm=norm)  # type: ignore[arg-type]
    network(torch.randn(4, 2, 32, 32)).square().mean().backward()
    assert without_gradient(network) == []


def test_parameters_by_hand() -> None:
    """Octave convolutions have a plain convolution's weights; excitation and inner-imaging are counted one by one."""
    network = OctaveFCN(3, 4, widths=(4, 8), excitation="none")
    encoder = (3 * 4 + 4 * 4 + 4 * 8 + 8 * 8) * 9 + 4 + 4 + 8 + 8
    centre = 8 * 8 * 9 + 2 * 8 + 8 * 8 * 16 + 8
    second = 16 * 8 * 9 + 2 * 8 + 8 * 4 * 16 + 4
    first = 8 * 4 * 9 + 2 * 4
    assert count_parameters(network) == encoder + centre + second + first + (4 * 4 + 4)
    skip = OctaveFCN(3, 4, widths=(4, 8), excitation="skip_scse")
    imaging = 4 * 9 + 4 + 4 + 1
    block = {c: 2 * (c * c // 2) + c // 2 + c + c + imaging for c in (4, 8)}
    assert count_parameters(skip) - count_parameters(network) == 2 * block[8] + block[4]


def test_octave_parts_save_multiplications() -> None:
    """The saving of the whole network is that of its encoder's octave convolutions, which the closed form gives."""
    with torch.device("meta"):
        octave, plain = (OctaveFCN(3, 4, ratio=ratio, excitation="none") for ratio in (0.5, 0.0))
    shape = (1, 3, 240, 240)
    saved, channels, size = 0, 3, 240
    for level, width in enumerate(PAPER_WIDTHS):
        for count, incoming in ((channels, 0.5 if level else 0.0), (width, 0.5)):
            here = {"height": size, "width": size}
            saved += octave_flops(count, width, ratio_in=0, ratio_out=0, **here)
            saved -= octave_flops(count, width, ratio_in=incoming, ratio_out=0.5, **here)
        channels, size = width, size // 2
    assert count_flops(plain, shape) - count_flops(octave, shape) == saved > 0


def test_paper_size_builds() -> None:
    with torch.device("meta"):
        network = OctaveFCN(3, 4)
    assert network(torch.zeros(2, 3, 240, 240, device="meta")).shape == (2, 4, 240, 240)
    assert [m.high_to_high.weight.shape[0] for m in network.modules() if isinstance(m, OctaveConv2d) and m.high_to_high
            ] == [32, 32, 64, 64, 128, 128, 256, 256]  # fmt: skip
    assert 20e6 < count_parameters(network) < 22e6


def test_decoder_block_is_made_of_the_published_layers() -> None:
    block = DecoderBlock(8, 4, 2, excitation="skip_scse")
    kinds = [type(m).__name__ for m in block.children()]
    assert kinds == ["Conv2d", "BatchNorm2d", "LeakyReLU", "SkipSCSE", "ConvTranspose2d"]
    assert block.up.kernel_size == (4, 4)
    assert block(torch.randn(1, 8, 5, 6)).shape == (1, 2, 10, 12)


@pytest.mark.parametrize("size", [(32, 32), (30, 21)])
def test_encoder_decoder_judges_every_pixel(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = EncoderDecoderDiscriminator(3, widths=SMALL)
    out = network(torch.randn(2, 3, *size))
    assert out.shape == (2, 1, *size)
    out.square().mean().backward()
    assert without_gradient(network) in ([], ["layers.2.bias"])


def test_patch_discriminator_is_that_of_pix2pix() -> None:
    """30 x 30 judgements of 256 x 256 pixels, each of which sees 70 x 70."""
    with torch.device("meta"):
        assert PatchDiscriminator(4)(torch.zeros(1, 4, 256, 256)).shape == (1, 1, 30, 30)
    # One channel, all weights positive, no norm: an input pixel is seen where its gradient is not 0.
    network = PatchDiscriminator(1, widths=(1, 1, 1, 1), norm="none")
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.5)
    image = torch.ones(1, 1, 256, 256, requires_grad=True)
    network(image)[0, 0, 15, 15].backward()
    assert image.grad is not None
    rows, columns = torch.nonzero(image.grad[0, 0], as_tuple=True)
    assert [int(x.max() - x.min()) + 1 for x in (rows, columns)] == [70, 70]


def test_patch_discriminator_gradients() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(2, widths=SMALL)
    network(torch.randn(2, 2, 48, 48)).square().mean().backward()
    assert without_gradient(network) == []


@pytest.mark.parametrize("widths", [(), (4, 0)])
def test_bad_widths_are_named(widths: tuple[int, ...]) -> None:
    for build in (lambda: OctaveFCN(1, 1, widths=widths), lambda: PatchDiscriminator(1, widths=widths)):
        with pytest.raises(RadlibError, match="widths"):
            build()
