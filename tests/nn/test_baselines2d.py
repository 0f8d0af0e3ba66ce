"""The networks of Table I: shapes, gradients, sizes."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from radlib.nn.baselines2d import (
    GCN,
    AtrousPyramid,
    BoundaryRefinement,
    DeepLabV3,
    GlobalConv,
    ResidualEncoder,
    UNet2d,
    basic_unet,
    dynunet,
    segresnet,
)
from radlib.nn.common import count_parameters

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "U-Net": lambda: UNet2d(2, 4, widths=(4, 8, 8)),
    "U-Net scSE": lambda: UNet2d(2, 4, widths=(8, 16, 16), excitation="scse", norm="batch"),
    "DeepLab": lambda: DeepLabV3(2, 4, widths=(4, 8, 8), blocks=1, rates=(1, 2), pyramid=8),
    "GCN": lambda: GCN(2, 4, widths=(4, 8, 8), blocks=1, kernel_size=5),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(32, 32), (21, 30)])
def test_logits_have_the_images_size_and_gradients_reach_everything(name: str, size: tuple[int, int]) -> None:
    silent: set[str] = set()
    for seed in range(3):  # the few hidden nodes of a small excitation may all be silent after one initialisation
        torch.manual_seed(seed)
        network = NETWORKS[name]()
        out = network(torch.randn(4, 2, *size))
        assert out.shape == (4, 4, *size)
        out.square().mean().backward()
        here = {key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()}
        silent = here if seed == 0 else silent & here
    assert silent == set()


@pytest.mark.parametrize(
    ("build", "millions"),
    [
        (lambda: UNet2d(1, 2), 31.0),  # 31.03 million: the original with one channel in and two classes out
        (lambda: UNet2d(4, 4, excitation="scse"), 32.8),
        (lambda: DeepLabV3(4, 4), 15.9),
        (lambda: GCN(4, 4), 11.3),
    ],
)
def test_paper_sizes(build: Callable[[], nn.Module], millions: float) -> None:
    with torch.device("meta"):
        network = build()
        channels = next(m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d))
        assert network(torch.zeros(1, channels, 240, 240)).shape[-2:] == (240, 240)
    assert count_parameters(network) / 1e6 == pytest.approx(millions, abs=0.05)


def test_unet_parameters_by_hand() -> None:
    network = UNet2d(3, 2, widths=(4, 8))
    encoder = (3 * 4 + 4 * 4 + 4 * 8 + 8 * 8) * 9 + 4 + 4 + 8 + 8
    decoder = (8 * 4 * 4 + 4) + (8 * 4 + 4 * 4) * 9 + 8
    assert count_parameters(network) == encoder + decoder + (4 * 2 + 2)


def test_later_stages_are_dilated_instead_of_strided() -> None:
    encoder = ResidualEncoder(1, widths=(4, 4, 4, 4), blocks=1, output_stride=4)
    assert encoder.strides == [2, 4, 4, 4]
    convs = [stage[0].inner[0] for stage in encoder.stages]
    assert [conv.dilation[0] for conv in convs] == [1, 1, 2, 4]
    assert [tuple(maps.shape[-2:]) for maps in encoder(torch.zeros(1, 1, 32, 32))] == [(16, 16), (8, 8), (8, 8), (8, 8)]


def test_pyramid_takes_a_batch_of_one() -> None:
    pyramid = AtrousPyramid(3, 5, rates=(2, 4))
    assert pyramid(torch.randn(1, 3, 7, 7)).shape == (1, 5, 7, 7)


def test_global_convolution_sees_a_cross_product() -> None:
    """Both separable ways cover the whole k x k square, and nothing beyond it."""
    torch.manual_seed(0)
    image = torch.randn(1, 1, 15, 15, requires_grad=True)
    GlobalConv(1, 1, kernel_size=7)(image)[0, 0, 7, 7].backward()
    assert image.grad is not None
    seen = torch.nonzero(image.grad[0, 0])
    assert len(seen) == 49
    assert seen.min() == 4
    assert seen.max() == 10


def test_boundary_refinement_is_a_residual() -> None:
    layer = BoundaryRefinement(2)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    scores = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(layer(scores), scores)


def test_scores_are_upsampled_bilinearly_at_first() -> None:
    network = GCN(1, 2, widths=(4,), blocks=1, kernel_size=3)
    scores = torch.arange(8.0).reshape(1, 2, 2, 2)
    expected = nn.functional.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    found = network.up[0](scores)
    torch.testing.assert_close(found[..., 1:3, 1:3], expected[..., 1:3, 1:3])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # MONAI's own
def test_monai_references() -> None:
    networks = [segresnet(2, 4, width=8), dynunet(2, 4, widths=(4, 8, 8)), basic_unet(2, 4, widths=(4, 4, 4, 4, 4))]
    for network in networks:
        assert network.eval()(torch.randn(1, 2, 27, 34)).shape == (1, 4, 27, 34)
