"""What a network is made of, found by running it: blocks, their maps, and which feeds which; in a table or drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.errors import RadlibError
from radlib.nn.common import count_parameters
from radlib.plots.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 12
"""A drawing with at most so many blocks has their names."""

_TRANSPARENT = (nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Block:
    """One call of a block.

    Attributes:
        name: of the module within the network, such as ``encoder.0``; of an image that comes in, ``input``.
        kind: the module's class, in words of the code; empty for an input.
        shapes: of the tensors that it gives, without the batch: channels, then edges in pixels or voxels.
        parameters: trained ones. A block that is called twice counts at its first call.
        multiplications: of convolutions and linear layers for a batch of one.
        inputs: numbers of the blocks whose output it takes, directly or through additions, concatenations and the like.
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    multiplications: int
    inputs: tuple[int, ...]


def blocks_of(network: nn.Module, *shapes: Sequence[int], opened: Sequence[type[nn.Module]] = ()) -> list[Block]:
    """The blocks of a network in the order in which they are called, the inputs first.

    The network runs once on zeros; on the meta device nothing is computed, so that the published sizes cost nothing.
    Connections are read off the gradient's graph.

    Args:
        network: whose children are blocks. Lists of modules are opened.
        shapes: of its arguments, ``(C, X, Y)`` or ``(C, X, Y, Z)``; the batch is 1.
        opened: classes of blocks whose children are shown in their place.

    Raises:
        RadlibError: if no block was called.
    """
    from torch.utils.flop_counter import FlopCounterMode

    device = next((one.device for one in network.parameters()), torch.device("cpu"))
    images = [torch.zeros((1, *shape), device=device, requires_grad=True) for shape in shapes]
    names = {id(module): name for name, module in _children(network, "", tuple(opened))}
    blocks: list[Block] = [
        Block("input" if len(images) == 1 else f"input {k + 1}", "", (tuple(one.shape[1:]),), 0, 0, ())
        for k, one in enumerate(images)
    ]
    # An input becomes a node of the graph, so that the walk back ends at it.
    given = [image * 1 for image in images]
    source: dict[Any, int] = {image.grad_fn: number for number, image in enumerate(given)}
    seen: set[int] = set()
    before: list[int] = []  # of a block that is called within another only the outer one counts
    with FlopCounterMode(display=False) as counter:

        def enter(module: nn.Module, _: Any) -> None:
            before.append(counter.get_total_flops())

        def leave(module: nn.Module, taken: Any, made: Any) -> None:
            outputs = [one for one in _tensors(made) if one.grad_fn is not None]
            feeders: set[int] = set()
            for one in _tensors(taken):
                feeders |= _feeders(one, source)
            work = counter.get_total_flops() - before.pop()
            if before:
                return
            own = 0 if id(module) in seen else count_parameters(module)
            seen.add(id(module))
            sizes = tuple(tuple(one.shape[1:]) for one in outputs)
            kind = type(module).__name__
            blocks.append(Block(names[id(module)], kind, sizes, own, work // 2, tuple(sorted(feeders))))
            source.update({one.grad_fn: len(blocks) - 1 for one in outputs})

        hooks = [
            hook
            for module in network.modules()
            if id(module) in names
            # The input of an activation that works in place is gone afterwards: its node is taken before.
            for hook in (module.register_forward_pre_hook(enter), module.register_forward_hook(leave))
        ]
        training = network.training
        try:
            network.eval()(*given)
        finally:
            network.train(training)
            for hook in hooks:
                hook.remove()
    if len(blocks) == len(images):
        raise RadlibError("the network called none of its blocks", remedy="give a network with modules as children")
    return blocks


def _children(module: nn.Module, name: str, opened: tuple[type[nn.Module], ...]) -> Iterator[tuple[str, nn.Module]]:
    for key, child in module.named_children():
        path = f"{name}.{key}" if name else key
        if isinstance(child, (*_TRANSPARENT, *opened)):
            yield from _children(child, path, opened)
        elif not isinstance(child, nn.Identity):
            yield path, child


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)


def _feeders(tensor: Tensor, source: Mapping[Any, int]) -> set[int]:
    """The blocks from which a tensor comes without another block between."""
    found: set[int] = set()
    todo, seen = [tensor.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in source:
            found.add(source[node])
        else:
            todo += [one for one, _ in node.next_functions]
    return found


def block_table(blocks: Sequence[Block]) -> pd.DataFrame:
    """One row a block: ``block``, ``kind``, ``gives`` (channels x edges), ``from``, ``parameters``, ``Mmult``."""
    return pd.DataFrame([
        {
            "block": one.name, "kind": one.kind, "gives": spoken(one),
            "from": ", ".join(blocks[number].name for number in one.inputs), "parameters": one.parameters,
            "Mmult": one.multiplications / 1e6,
        }
        for one in blocks
    ])  # fmt: skip


def spoken(block: Block) -> str:
    """``16 x 48²``, or ``8 x 48² + 8 x 24²``; edges one by one where they differ."""

    def one(shape: tuple[int, ...]) -> str:
        channels, *edges = shape
        if not edges:
            return str(channels)
        same = len(set(edges)) == 1 and len(edges) in (2, 3)
        return f"{channels} × " + (f"{edges[0]}{'²³'[len(edges) - 2]}" if same else "×".join(map(str, edges)))

    return " + ".join(dict.fromkeys(map(one, block.shapes)))


def architecture_figure(
    blocks: Sequence[Block], *, lanes: Sequence[Sequence[str]] = (), titles: Mapping[str, str] | None = None,
    width: float = 10.0,
) -> Figure:  # fmt: skip
    """Draw blocks from left to right in the order of their calls, each on the line of its resolution.

    A box is as high as the logarithm of its edge and as wide as that of its channels; an arrow is a connection, dashed
    where it passes over other blocks of its lane (a skip connection).

    Args:
        blocks: of :func:`blocks_of`.
        lanes: prefixes of names that are drawn in a row of their own, top to bottom; what none names is in the first.
        titles: of kinds, where the class's name will not do.
        width: of the figure, inches.
    """
    import matplotlib.pyplot as plt

    titles = titles or {}
    kinds = list(dict.fromkeys(one.kind for one in blocks if one.kind))
    colour = {"": "0.85", **{kind: PALETTE[k % len(PALETTE)] for k, kind in enumerate(kinds)}}
    lane = [next((k for k, some in enumerate(lanes) if one.name.startswith(tuple(some))), 0) for one in blocks]
    level = [math.log2(max(1, max(one.shapes[0][1:], default=1))) for one in blocks]
    x, y, top = _columns(blocks, lane), [0.0] * len(blocks), 0.0
    for row in range(max(lane) + 1):
        here = [number for number, where in enumerate(lane) if where == row]
        highest = max((level[number] for number in here), default=0.0)
        for number in here:
            y[number] = top + level[number] - highest
        top = min((y[number] for number in here), default=top) - 1.6
    rows = -top
    figure, axes = plt.subplots(figsize=(width, min(9.0, 0.62 * rows + 1.2)), layout="constrained")
    wide = [0.25 + 0.045 * math.log2(1 + sum(shape[0] for shape in one.shapes)) for one in blocks]
    for number, one in enumerate(blocks):
        for feeder in one.inputs:
            axes.annotate(
                "", xy=(x[number] - wide[number] / 2, y[number]), xytext=(x[feeder] + wide[feeder] / 2, y[feeder]),
                zorder=2,
                arrowprops={
                    "arrowstyle": "-|>", "color": "0.45", "lw": 0.8, "ls": "--" if x[number] - x[feeder] > 1.5 else "-",
                    "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7,
                },
            )  # fmt: skip
    size = max(5.0, min(8.0, 105 / max(x[-1], 12)))
    for number, one in enumerate(blocks):
        axes.bar(
            x[number], 0.62, width=wide[number], bottom=y[number] - 0.31, color=colour[one.kind], edgecolor="0.2",
            linewidth=0.6, alpha=0.85, zorder=3,
        )  # fmt: skip
        axes.text(x[number], y[number] - 0.36, spoken(one).replace(" + ", "\n+ "), ha="center", va="top",
                  fontsize=size, zorder=4)  # fmt: skip
        if not one.kind or len(blocks) <= NAMED:
            parts = one.name.split(".")
            label = ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]
            axes.text(x[number], y[number] + 0.36, label, ha="center", va="bottom", fontsize=size)
    for kind in kinds:
        of = [one for one in blocks if one.kind == kind]
        own = sum(one.parameters for one in of)
        label = f"{titles.get(kind, kind)}: {len(of)}" + (f", {own:,} parameters" if own else "")
        axes.bar(np.nan, np.nan, color=colour[kind], edgecolor="0.2", label=label)
    axes.set(xlim=(-0.7, max(x) + 0.7), ylim=(-rows + 0.75, 0.8))
    axes.axis("off")
    figure.legend(loc="outside lower center", ncols=min(3, len(kinds)), fontsize=8, frameon=False)
    return figure


def _columns(blocks: Sequence[Block], lane: Sequence[int]) -> list[float]:
    """A column each, in the order of the calls within a lane, and to the right of what feeds it."""
    x: list[float] = []
    last: dict[int, float] = {}
    for number, one in enumerate(blocks):
        after = [x[feeder] + 1 for feeder in one.inputs]
        place = max([*after, last.get(lane[number], -1.0) + 1]) if after or lane[number] in last else 0.0
        x.append(place)
        last[lane[number]] = place
    return x
