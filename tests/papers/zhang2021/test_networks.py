"""Networks of Zhang 2021: shapes of Table 1 and Figures 3 and 4, guidance by masks, weights that really transfer."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.data.published import published
from radlib.nn.attention import ChannelAttention3d, MaskGuidedAttention3d, SpatialAttention3d, attention_block
from radlib.papers.zhang2021.networks import (
    PAPER_WIDTHS,
    BranchesNet,
    Discriminator,
    FusionBranch,
    FusionNet,
    UNet,
    inflate,
    transfer,
)

TINY = (2, 4, 8)


def shapes_of(network: nn.Module, *inputs: torch.Tensor, kinds: tuple[type, ...]) -> list[tuple[type, tuple, tuple]]:
    seen: list[tuple[type, tuple, tuple]] = []

    def note(module: nn.Module, given: tuple, out: torch.Tensor) -> None:
        before = given[0].shape[1:] if isinstance(given[0], torch.Tensor) else ()
        seen.append((type(module), tuple(before), tuple(out.shape[1:])))

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, kinds)]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def test_discriminator_is_table_1() -> None:
    with torch.device("meta"):
        network = Discriminator(1)
        layers = shapes_of(
            network, torch.empty(1, 1, 128, 128, 128), kinds=(nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU)
        )
    assert len(layers) == 12
    names = {nn.Conv3d: "Conv.", nn.InstanceNorm3d: "instance norm.", nn.LeakyReLU: "LReLU"}
    modules = list(network.layers)
    for number, ((kind, before, _), module) in enumerate(zip(layers, modules, strict=True), start=1):
        row = f"zhang2021.table1.l{number}"
        assert names[kind] == published(f"{row}.type").printed
        assert str(before[0]) == published(f"{row}.input_channels").printed
        assert before[1:] == (int(published(f"{row}.input_size").printed),) * 3
        if isinstance(module, nn.Conv3d):
            assert module.kernel_size == (4, 4, 4)
            assert str(module.stride[0]) == published(f"{row}.stride").printed
            assert str(module.out_channels) == published(f"{row}.filters").printed
    assert Discriminator(2).layers[0].in_channels == 2


def test_generator_is_figure_3() -> None:
    with torch.device("meta"):
        network = UNet(2, 2)
        seen = shapes_of(network, torch.empty(1, 2, 128, 128, 128), kinds=(nn.Conv3d, nn.ConvTranspose3d))
    outs = [after for _, _, after in seen]
    down = [(width, *[128 // 2**level] * 3) for level, width in enumerate(PAPER_WIDTHS) for _ in range(2)]
    up = []
    for level in (3, 2, 1, 0):
        up += [(PAPER_WIDTHS[level], *[128 // 2**level] * 3)] * 3  # transposed, and two convolutions
    assert outs == [*down, *up, (2, 128, 128, 128)]
    assert PAPER_WIDTHS[0] == 16
    assert all(b == 2 * a for a, b in itertools.pairwise(PAPER_WIDTHS))
    norms = [module for module in network.modules() if isinstance(module, nn.InstanceNorm3d)]
    assert len(norms) == 2 * (2 * len(PAPER_WIDTHS) - 1)


@pytest.mark.parametrize("attention", ["mask", "cbam", "none"])
def test_fusion_is_figure_4(attention: str) -> None:
    with torch.device("meta"):
        network = FusionNet(attention=attention)  # type: ignore[arg-type]
        images = torch.empty(1, 4, 128, 128, 128)
        seen = shapes_of(network, images, kinds=(FusionBranch, MaskGuidedAttention3d))
        fused, branches = network.outputs(images)
        entering = shapes_of(network, images, kinds=(nn.Conv3d,))
    assert fused.shape == (1, 4, 128, 128, 128)
    assert [one.shape for one in branches] == [fused.shape] * 2
    assert seen[-1][2] == (4, 128, 128, 128)
    fusing = [before for _, before, _ in entering if before[0] in (32, 48) and before[1] == 128]
    assert (32, 128, 128, 128) in fusing  # both branches' last but one layer
    assert (48, 128, 128, 128) in fusing  # the fused maps and both branches' last layer


def test_masks_guide() -> None:
    torch.manual_seed(0)
    block = MaskGuidedAttention3d(4, masks=2)
    maps = torch.randn(1, 4, 6, 6, 6)
    masks = torch.zeros(1, 2, 6, 6, 6)
    masks[:, 0, :3] = 1
    guided = block.guided(maps, masks)
    assert torch.equal(guided[:, 2:], torch.zeros_like(guided[:, 2:]))  # the second mask's group
    assert torch.equal(guided[:, :2, 3:], torch.zeros_like(guided[:, :2, 3:]))  # outside the first mask
    assert (guided[:, :2, :3] != 0).all()
    assert torch.equal(guided[:, :2, :3], block.project(maps)[:, :2, :3])
    changed = block(maps, masks.flip(2)) - block(maps, masks)
    assert changed.abs().max() > 0.1
    # Conventional attention and none do not look at masks.
    for kind in ("cbam", "none"):
        other = attention_block(kind, 4, masks=2)  # type: ignore[arg-type]
        assert torch.equal(other(maps, masks), other(maps, 1 - masks))


def test_predictions_of_the_branches_reach_the_fusion() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 4, 8, 8, 8)
    for kind, moved in (("mask", True), ("none", False)):
        network = FusionNet(widths=TINY, attention=kind).eval()  # type: ignore[arg-type]
        before = network(images)
        with torch.no_grad():
            network.branches[0].head.bias += torch.tensor([5.0, 0, 0, 0])  # the branch says: background
        assert torch.allclose(before, network(images)) != moved


def test_cbam_by_hand() -> None:
    channel = ChannelAttention3d(2, reduction=2)
    nn.init.constant_(channel.shared[0].weight, 1.0)
    nn.init.constant_(channel.shared[0].bias, 0.0)
    nn.init.constant_(channel.shared[2].weight, 0.5)
    nn.init.constant_(channel.shared[2].bias, 0.0)
    maps = torch.zeros(1, 2, 2, 2, 2)
    maps[0, 0, 0, 0, 0] = 8.0  # mean 1, maximum 8
    expected = torch.sigmoid(torch.tensor(0.5 * (1 + 8))).item()
    assert channel.gates(maps).detach().flatten() == pytest.approx([expected] * 2)
    spatial = SpatialAttention3d(kernel_size=1)
    nn.init.constant_(spatial.mix.weight, 1.0)
    gate = spatial.gates(maps).detach()
    assert gate[0, 0, 0, 0, 0] == pytest.approx(torch.sigmoid(torch.tensor(4.0 + 8.0)).item())
    assert gate[0, 0, 1, 1, 1] == pytest.approx(0.5)


def test_weights_transfer_all_but_the_last_layer() -> None:
    torch.manual_seed(0)
    generator, branch = UNet(2, 2, widths=TINY), UNet(2, 4, widths=TINY)
    head = branch.head.weight.clone()
    names = transfer(generator, branch)
    theirs, own = generator.state_dict(), branch.state_dict()
    assert set(own) - set(names) == {"head.weight", "head.bias"}
    for name in names:
        assert torch.equal(own[name], theirs[name]), name
        assert own[name].data_ptr() != theirs[name].data_ptr()
    assert torch.equal(branch.head.weight, head)
    images = torch.randn(1, 2, 8, 8, 8)
    for ours, other in zip(branch.features(images), generator.features(images), strict=True):
        assert torch.equal(ours, other)


def test_transfer_names_what_does_not_fit() -> None:
    with pytest.raises(RadlibError, match=r"encoder\.0\.first\.0\.weight.*\(2, 2, 3, 3, 3\).*\(2, 1, 3, 3, 3\)"):
        transfer(UNet(1, 1, widths=TINY), UNet(2, 4, widths=TINY))


def test_inflated_weights_answer_alike_on_equal_slices() -> None:
    torch.manual_seed(0)
    flat = UNet(3, 5, widths=(4, 8), dimensions=2)
    solid = UNet(3, 4, widths=(4, 8))
    weights = inflate(flat.state_dict(), solid)
    transfer(weights, solid)
    slices = torch.randn(1, 3, 8, 8)
    volume = slices[..., None].repeat(1, 1, 1, 1, 9)
    first2d, first3d = flat.encoder[0].first[0], solid.encoder[0].first[0]
    expected, found = first2d(slices), first3d(volume)
    assert torch.allclose(found[..., 4], expected, atol=1e-5)  # a slice whose neighbours are all alike
    assert not torch.allclose(found[..., 0], expected, atol=1e-3)  # at the border zeros come in
    maps = torch.randn(1, 8, 4, 4)
    deep = solid.up[0](maps[..., None].repeat(1, 1, 1, 1, 3))
    assert torch.allclose(deep[..., 2], flat.up[0](maps), atol=1e-5)


def test_inflation_from_rgb_to_two_modalities() -> None:
    torch.manual_seed(0)
    flat, solid = UNet(3, 5, widths=(4, 8), dimensions=2), UNet(2, 4, widths=(4, 8))
    transfer(inflate(flat.state_dict(), solid), solid)
    grey = torch.randn(1, 1, 8, 8)
    expected = flat.encoder[0].first[0](grey.repeat(1, 3, 1, 1))
    found = solid.encoder[0].first[0](grey[..., None].repeat(1, 2, 1, 1, 5))
    assert torch.allclose(found[..., 2], expected, atol=1e-5)


def test_mean_of_the_branches() -> None:
    torch.manual_seed(0)
    network = BranchesNet(widths=TINY).eval()
    images = torch.randn(1, 4, 8, 8, 8)
    a, b = (one.softmax(dim=1) for one in network.outputs(images))
    assert torch.allclose(network(images).softmax(dim=1), (a + b) / 2, atol=1e-6)


def test_any_size_and_single_modalities() -> None:
    images = torch.randn(1, 4, 9, 10, 11)
    assert FusionNet(widths=TINY)(images).shape == (1, 4, 9, 10, 11)
    naive = FusionNet((1, 1, 1, 1), widths=TINY)
    fused, branches = naive.outputs(images)
    assert fused.shape == (1, 4, 9, 10, 11)
    assert len(branches) == 4
    assert naive.fusion.attention.masks == 16


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    network = FusionNet(widths=TINY)
    fused, branches = network.outputs(torch.randn(2, 4, 8, 8, 8))
    sum(one.square().mean() for one in (fused, *branches)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
