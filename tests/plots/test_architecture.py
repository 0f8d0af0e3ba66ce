"""Networks drawn from their modules."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.plots.architecture import architecture_figure, block_table, blocks_of, spoken


class Small(nn.Module):
    """Two convolutions, a pooling that is called in between, and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)])
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.act(self.down[0](images))
        coarse = self.down[1](self.pool(fine))
        return self.head(torch.cat([fine, self.up(coarse)], dim=1))


def test_blocks_connections_and_counts_are_those_of_the_forward_pass() -> None:
    with torch.device("meta"):
        blocks = blocks_of(Small(), (1, 8, 6))
    assert [one.name for one in blocks] == ["input", "down.0", "act", "pool", "down.1", "up", "head"]
    assert [one.inputs for one in blocks] == [(), (0,), (1,), (2,), (3,), (4,), (2, 5)]
    assert [one.shapes[0] for one in blocks[-2:]] == [(2, 8, 6), (1, 8, 6)]
    # A 3 x 3 kernel from 1 to 2 channels and 2 biases; 9 * 2 multiplications at each of 48 pixels.
    assert (blocks[1].parameters, blocks[1].multiplications) == (20, 9 * 2 * 48)
    assert (blocks[6].parameters, blocks[6].multiplications) == (5, 4 * 48)
    table = block_table(blocks).set_index("block")
    assert table.loc["head", "from"] == "act, up"
    assert table["parameters"].sum() == sum(one.numel() for one in Small().parameters())


def test_a_class_is_opened_and_a_second_call_has_no_parameters_again() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())

        def forward(self, images: Tensor) -> Tensor:
            return self.inner(self.inner(images))

    closed = blocks_of(Twice(), (1, 4, 4))
    assert [(one.kind, one.parameters) for one in closed] == [("", 0), ("Sequential", 2), ("Sequential", 0)]
    opened = blocks_of(Twice(), (1, 4, 4), opened=(nn.Sequential,))
    assert [one.kind for one in opened] == ["", "Conv2d", "ReLU", "Conv2d", "ReLU"]


def test_sizes_in_words() -> None:
    blocks = blocks_of(Small(), (1, 8, 6))
    assert (spoken(blocks[0]), spoken(blocks[3])) == ("1 × 8×6", "2 × 4×3")
    assert spoken(blocks_of(Small(), (1, 8, 8))[1]) == "2 × 8²"


def test_the_drawing_has_a_box_a_block_finer_maps_above_coarser_ones() -> None:
    blocks = blocks_of(Small(), (1, 8, 8))
    figure = architecture_figure(blocks, lanes=(("down", "act", "pool", "input"), ("up", "head")))
    boxes = [one for one in figure.axes[0].patches if isinstance(one, Rectangle)]
    assert len(boxes) >= len(blocks)
    place = {one.name: boxes[number].get_y() for number, one in enumerate(blocks)}
    assert place["input"] > place["pool"] > place["up"]
    plt.close(figure)


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(RadlibError, match="none of its blocks"):
        blocks_of(nn.ReLU(), (1, 4, 4))
