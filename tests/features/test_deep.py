"""Descriptors of a tumour: scales, cells that look at it, several layers in one pass."""

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.features.deep import (
    Sampling,
    case_descriptors,
    inner_cells,
    layer_maps,
    scale_ratios,
    scaled_regions,
)
from radlib.papers.li2017.networks import TumourCNN


@pytest.fixture(scope="module")
def network() -> TumourCNN:
    torch.manual_seed(0)
    return TumourCNN(2, filters=(3, 4), neurons=5).eval()


@pytest.fixture
def slices() -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(2, 2, 60, 50, generator=torch.Generator().manual_seed(1))
    masks = torch.zeros(2, 60, 50, dtype=torch.bool)
    masks[0, 20:32, 5:15] = True
    masks[1, 24:30, 8:20] = True
    return images, masks


def test_ratios_are_the_papers() -> None:
    ratios = scale_ratios()
    assert len(ratios) == 10
    assert (ratios[0], ratios[-1]) == pytest.approx((0.5, 2))
    assert np.diff(np.log(ratios)).std() < 1e-12
    assert scale_ratios(1) == (1.0,)
    with pytest.raises(RadlibError, match="0 scales"):
        scale_ratios(0)


def test_region_at_scale_one_is_a_crop(slices) -> None:
    images, masks = slices
    region, inside = scaled_regions(images, masks, 1.0, margin=16)
    assert region.shape == (2, 2, 12 + 34, 15 + 34)
    # The box of both: rows 20 to 32, columns 5 to 20; 17 pixels around, 12 of them beyond the left border.
    assert region[:, :, :, :12].eq(0).all()
    torch.testing.assert_close(region[:, :, :, 12:], images[:, :, 3:49, :37])
    assert inside.sum(dim=(1, 2)).tolist() == masks.sum(dim=(1, 2)).tolist()
    assert inside[0, 17, 17]


@pytest.mark.parametrize("ratio", scale_ratios())
def test_regions_have_the_scale_and_hold_the_deepest_field(slices, network, ratio: float) -> None:
    images, masks = slices
    region, inside = scaled_regions(images, masks, ratio, margin=16)
    assert min(region.shape[2:]) >= network.geometry("fc8").minimum
    assert inside.sum().item() == pytest.approx(masks.sum().item() * ratio**2, rel=0.15)
    # The tumour keeps the margin to every border, so that every cell of the tumour exists in the deepest map.
    rows = torch.nonzero(inside.any(dim=0).any(dim=1))[:, 0]
    assert rows[0] >= 16
    assert region.shape[2] - 1 - rows[-1] >= 16


def test_enlarging_a_ramp_keeps_its_values() -> None:
    image = torch.arange(40.0).expand(1, 1, 40, 40)
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 18:22, 18:22] = True
    region, inside = scaled_regions(image, mask, 2.0, margin=4)
    values = region[0, 0][inside[0]]
    assert values.min().item() == pytest.approx(17.75, abs=0.05)
    assert values.max().item() == pytest.approx(21.25, abs=0.05)


def test_no_tumour_is_an_error() -> None:
    with pytest.raises(RadlibError, match="no tumour"):
        scaled_regions(torch.zeros(1, 1, 9, 9), torch.zeros(1, 9, 9, dtype=torch.bool), 1.0, margin=2)


def test_one_pass_gives_what_each_layer_gives(network) -> None:
    images = torch.randn(2, 2, 41, 45)
    found = layer_maps(network, images, ["fc8", "conv1", "conv6"])
    assert list(found) == ["fc8", "conv1", "conv6"]
    with torch.no_grad():
        for layer, maps in found.items():
            torch.testing.assert_close(maps, network.maps(images, layer))
    assert not any(module._forward_hooks for module in network.weights.values())
    with pytest.raises(RadlibError, match="no layer 'conv9'"):
        layer_maps(network, images, ["conv9"])


@pytest.mark.parametrize("layer", ["conv1", "conv4", "conv6", "fc7"])
def test_cells_are_where_their_field_is(network, layer: str) -> None:
    """The cells said to lie in a one-pixel mask are those whose answer moves most when its surroundings change."""
    geometry = network.geometry(layer)
    shape = [network.map_edge(layer, 61)] * 2
    index = shape[0] // 2
    middle = int(index * geometry.stride + geometry.offset)
    mask = torch.zeros(1, 61, 61, dtype=torch.bool)
    mask[0, middle, middle] = True
    cells = inner_cells(mask, shape, stride=geometry.stride, offset=geometry.offset)
    assert torch.nonzero(cells).tolist() == [[0, index, index]]
    image = torch.zeros(1, 2, 61, 61, requires_grad=True)
    network.maps(image + torch.randn(1, 2, 61, 61), layer)[0, :, index, index].sum().backward()
    assert image.grad is not None
    seen = torch.nonzero(image.grad[0].abs().sum(dim=0))
    centre = (seen.min(dim=0).values + seen.max(dim=0).values) / 2
    assert (centre - middle).abs().max() <= geometry.stride


def test_descriptors_are_the_maps_at_the_tumour(network, slices) -> None:
    images, masks = slices
    found = case_descriptors(network, images, masks, layers=["conv1", "fc7"], sampling=Sampling(scales=(1.0,)))
    assert found["conv1"].shape == (3, int(masks.sum()))
    whole = network.maps(images, "conv1").detach()
    expected = torch.cat([whole[s][:, masks[s, 1:-1, 1:-1]] for s in range(2)], dim=1)
    torch.testing.assert_close(found["conv1"].sort().values, expected.sort().values, atol=1e-5, rtol=1e-5)
    assert found["fc7"].shape[0] == 5
    assert found["fc7"].shape[1] == pytest.approx(int(masks.sum()) / 16, rel=0.4)


def test_box_limits_and_nothing(network, slices) -> None:
    images, masks = slices
    masks[0, 20, 5] = False
    box = case_descriptors(network, images, masks, layers=["conv1"], sampling=Sampling(scales=(1.0,), where="box"))
    assert box["conv1"].shape[1] == 12 * 10 + 6 * 12
    sampling = Sampling(scales=(0.5, 1.0, 2.0), per_map=7)
    few = case_descriptors(network, images, masks, layers=["conv1", "conv6"], sampling=sampling)
    assert few["conv1"].shape == (3, 3 * 2 * 7)
    again = case_descriptors(network, images, masks, layers=["conv1", "conv6"], sampling=sampling)
    other = case_descriptors(network, images, masks, layers=["conv1", "conv6"], sampling=sampling, seed=1)
    assert torch.equal(few["conv1"], again["conv1"])
    assert not torch.equal(few["conv1"], other["conv1"])
    nothing = case_descriptors(network, images, torch.zeros_like(masks), layers=["conv6"])
    assert nothing["conv6"].shape == (4, 0)
    assert case_descriptors(network, images[:0], masks[:0], layers=["fc8"])["fc8"].shape == (5, 0)
    with pytest.raises(RadlibError, match="sample nothing"):
        Sampling(per_map=0)


def test_paper_size_shapes() -> None:
    """128 filters of 64 components with two statistics: 16,384 numbers a case."""
    with torch.device("meta"):
        network = TumourCNN(2)
        maps = network.maps(torch.zeros(1, 2, 65, 65), "conv6")
    assert maps.shape[1] * 64 * 2 == 16384


def test_scaling_reaches_the_margin(network, slices) -> None:
    """What lies beyond the image is scaled with it, as zeros around the brain are in training."""
    images, masks = slices
    sampling = Sampling(scales=(0.7,))
    wide = torch.nn.functional.pad(images, (30, 30, 30, 30))
    wider = torch.nn.functional.pad(masks, (30, 30, 30, 30))
    narrow = case_descriptors(
        network, images, masks, layers=["conv6"], sampling=sampling, scaling=lambda x: (x - 2) / 3
    )
    same = case_descriptors(network, wide, wider, layers=["conv6"], sampling=sampling, scaling=lambda x: (x - 2) / 3)
    torch.testing.assert_close(narrow["conv6"], same["conv6"])
