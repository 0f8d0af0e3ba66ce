"""One patient under two names: images compared by what they show, whatever their scaling, orientation and place.

An image is described by the ranks of its mean intensities in a grid of blocks over its foreground: rescaling and
normalisation keep ranks, cropping to the foreground takes shifts out, and two images are compared in all 48 orders
and directions of their axes. A mask is described by its number of voxels and its moments, which do not depend on
place or orientation either.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

BLOCKS = 10
"""Blocks along each axis."""

SAME = 0.98
"""Rank correlation from which two images are of one acquisition; other patients reach 0.8."""

LEAST_VOXELS = 200
"""Smaller masks can agree by chance."""


class Pair(NamedTuple):
    """Two descriptions, by number, that are of one image, and their rank correlation (1 for masks)."""

    one: int
    other: int
    correlation: float


class Described(NamedTuple):
    """An image or a mask of a subject; ``subject`` is a number."""

    subject: int
    name: str
    mask: bool
    values: np.ndarray


def same_subjects(described: Sequence[Described]) -> dict[tuple[int, int], list[str]]:
    """Pairs of subjects, the earlier first, and what they share: ``t1``, ``t2 as flair``, ``the outline of seg``."""
    shared: dict[tuple[int, int], list[str]] = defaultdict(list)
    for masks, find in ((False, same_images), (True, same_masks)):
        chosen = [item for item in described if item.mask is masks]
        for pair in find([item.values for item in chosen]):
            one, other = sorted((chosen[pair.one], chosen[pair.other]), key=lambda item: item.subject)
            if one.subject != other.subject:
                name = one.name if one.name == other.name else f"{one.name} as {other.name}"
                name += "" if pair.correlation > 0.9999 else f" (rank correlation {pair.correlation:.3f})"
                shared[one.subject, other.subject].append(f"the outline of {name}" if masks else name)
    return dict(sorted(shared.items()))


def describe_image(data: np.ndarray) -> np.ndarray | None:
    """The ranks of an image's blocks, float32 ``(BLOCKS ** 3,)`` of mean 0 and norm 1; None where nothing varies.

    Args:
        data: ``(X, Y, Z)``, finite, 0 in the background. Blocks that are mostly background have the value 0.
    """
    inside = data != 0
    box = bounding_box(inside)
    if box is None:
        return None
    inside, data = inside[box], data[box]
    values = data[inside]
    low, high = float(values.min()), float(values.max())
    if low == high:
        return None
    filled = _blocks(inside)
    known = filled > 0.5
    scaled = np.where(inside, (data - low) / (high - low), 0)  # so that 32 bits are enough
    means = _blocks(scaled)[known] / filled[known]
    if len(means) < 2:
        return None
    order = np.empty(len(means), dtype=np.float64)
    order[np.argsort(means, kind="stable")] = np.arange(len(means))
    order -= order.mean()
    out = np.zeros(BLOCKS**3, dtype=np.float32)
    out[known.ravel()] = order / np.linalg.norm(order)
    return out


def describe_mask(mask: np.ndarray) -> np.ndarray | None:
    """Voxels, sorted edges of the box and principal moments of a mask, float64 ``(7,)``; None for a small one."""
    box = bounding_box(mask)
    if box is None:
        return None
    places = np.argwhere(mask[box]).astype(np.float64)
    if len(places) < LEAST_VOXELS:
        return None
    edges = sorted(part.stop - part.start for part in box)
    moments = np.linalg.eigvalsh(np.cov(places, rowvar=False, bias=True))
    return np.array([len(places), *edges, *moments])


def bounding_box(inside: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest box that holds every voxel that is not 0; None where there is none."""
    box = []
    for axis in range(3):
        along = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
        if not len(along):
            return None
        box.append(slice(int(along[0]), int(along[-1]) + 1))
    return box[0], box[1], box[2]


def same_images(descriptions: Sequence[np.ndarray], *, least: float = SAME) -> Iterator[Pair]:
    """Every pair of images with a rank correlation of at least ``least`` in some order of their axes."""
    if len(descriptions) < 2:
        return
    vectors = np.stack(descriptions)
    orders, orbits = _orders()
    # The mean over all 48 orders does not depend on the order, and brings no two images further apart: whatever
    # differs there by more than images of this correlation can, need not be turned.
    sizes = np.bincount(orbits)
    means = np.zeros((len(vectors), len(sizes)), dtype=np.float64)
    for row, vector in enumerate(vectors):
        means[row] = np.bincount(orbits, weights=vector) / np.sqrt(sizes)
    lengths = (means**2).sum(axis=1)
    for row in range(len(vectors) - 1):
        apart = lengths[row] + lengths[row + 1 :] - 2 * means[row + 1 :] @ means[row]
        near = row + 1 + np.flatnonzero(apart <= 2 - 2 * least + 1e-6)
        if len(near):
            found = (vectors[near] @ vectors[row][orders].T).max(axis=1)
            for other in np.flatnonzero(found >= least):
                yield Pair(row, int(near[other]), float(found[other]))


def same_masks(descriptions: Sequence[np.ndarray]) -> Iterator[Pair]:
    """Every pair of masks with the same description."""
    alike: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for row, description in enumerate(descriptions):
        alike[tuple(description[:4])].append(row)
    for rows in alike.values():
        for row, other in itertools.combinations(rows, 2):
            if np.allclose(descriptions[row], descriptions[other], rtol=1e-9):
                yield Pair(row, other, 1.0)


@cache
def _orders() -> tuple[np.ndarray, np.ndarray]:
    """The blocks in all 48 orders, ``(48, BLOCKS ** 3)``, and the number of each block's orbit under them."""
    cubes = np.arange(BLOCKS**3).reshape((BLOCKS,) * 3)
    orders = np.stack([
        np.flip(cubes.transpose(axes), flips).ravel()
        for axes in itertools.permutations(range(3))
        for count in range(4)
        for flips in itertools.combinations(range(3), count)
    ])  # fmt: skip
    return orders, np.unique(np.sort(orders, axis=0), axis=1, return_inverse=True)[1].ravel()


@lru_cache(maxsize=1024)
def _shares(length: int) -> np.ndarray:
    """``(BLOCKS, length)``: which share of each of ``length`` voxels lies in each block; rows sum to 1."""
    edges = np.linspace(0, length, BLOCKS + 1)
    voxels = np.arange(length)
    overlap = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    return (overlap.clip(min=0) * (BLOCKS / length)).astype(np.float32)


def _blocks(data: np.ndarray) -> np.ndarray:
    """The mean of each block, float32 ``(BLOCKS, BLOCKS, BLOCKS)``."""
    x, y, z = data.shape
    first = (np.ascontiguousarray(data, dtype=np.float32).reshape(x * y, z) @ _shares(z).T).reshape(x, y * BLOCKS)
    return np.matmul(_shares(y), (_shares(x) @ first).reshape(BLOCKS, y, BLOCKS))
