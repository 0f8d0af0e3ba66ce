"""One patient under two names: found whatever was done to the copy, and nobody else is."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from nibabel import orientations

from radlib.data.check import check_datasets
from radlib.data.duplicates import (
    BLOCKS,
    Described,
    Pair,
    describe_image,
    describe_mask,
    same_images,
    same_masks,
    same_subjects,
)
from radlib.data.manifests import load_manifest
from tests.data.test_nifti import ORDERS


def head(seed: int) -> np.ndarray:
    """A smooth head of its own in a volume of 40 x 44 x 36 voxels."""
    random = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in (40, 44, 36)], indexing="ij")
    data = 500 + sum(80 * np.sin(a * x + b * y + c * z + d) for a, b, c, d in random.uniform(-4, 4, (6, 4)))
    return np.where((x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 0.7) ** 2 < 1, data, 0)


COPIES = {
    "the same": lambda d: d,
    "rescaled": lambda d: (d * 3.7).astype(np.int16),
    "in units of its spread": lambda d: np.where(d != 0, (d - d[d != 0].mean()) / d[d != 0].std(), 0),
    "square root": np.sqrt,
    "shifted": lambda d: np.roll(d, (3, -2, 1), axis=(0, 1, 2)),
    "cropped": lambda d: d[3:-3, 1:-1, 4:-4],
    "noisy": lambda d: np.where(d != 0, d + np.random.default_rng(9).normal(0, 10, d.shape), 0),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_and_another_patient_is_not(copy: str) -> None:
    described = [describe_image(COPIES[copy](head(0))), *(describe_image(head(seed)) for seed in range(6))]
    (pair,) = same_images([item for item in described if item is not None])
    assert (pair.one, pair.other) == (0, 1)


def test_a_copy_is_found_in_every_order_of_its_axes() -> None:
    first = describe_image(head(0))
    assert first is not None
    for order in ORDERS:
        turned = describe_image(orientations.apply_orientation(head(0), np.array(order, dtype=float)))
        assert turned is not None
        (pair,) = same_images([first, turned])
        assert pair.correlation == pytest.approx(1, abs=1e-3)


def test_masks_are_compared_by_shape() -> None:
    mask = head(0) > 600
    copies = [mask, np.roll(mask, 2, axis=1), mask.transpose(2, 0, 1)[::-1], head(1) > 600]
    described = [describe_mask(copy) for copy in copies]
    assert list(same_masks([item for item in described if item is not None])) == [
        Pair(0, 1, 1.0), Pair(0, 2, 1.0), Pair(1, 2, 1.0),
    ]  # fmt: skip
    assert describe_mask(np.ones((5, 5, 5))) is None  # too small to tell anything


def test_what_does_not_vary_is_not_described() -> None:
    assert describe_image(np.zeros((4, 4, 4))) is None
    assert describe_image(np.full((4, 4, 4), 3.0)) is None
    assert describe_image(np.arange(64.0).reshape(4, 4, 4)) is not None  # fewer voxels than blocks


def test_what_two_subjects_share_is_named() -> None:
    a, b = (describe_image(head(seed)) for seed in (0, 1))
    assert a is not None and b is not None  # noqa: PT018
    shared = same_subjects([
        Described(0, "t1", False, a), Described(1, "t1", False, a), Described(1, "t2", False, a),
        Described(2, "t1", False, b),
    ])  # fmt: skip
    assert shared == {(0, 1): ["t1", "t1 as t2"]}


@pytest.mark.slow
def test_1200_images_are_compared_in_seconds() -> None:
    random = np.random.default_rng(0)
    common = random.normal(size=BLOCKS**3)  # every pair is near enough to be turned
    vectors = [common + random.normal(size=BLOCKS**3) / 3 for _ in range(1200)]
    vectors = [((v - v.mean()) / np.linalg.norm(v - v.mean())).astype(np.float32) for v in vectors]
    started = time.perf_counter()
    assert list(same_images(vectors)) == []
    assert time.perf_counter() - started < 60


@pytest.mark.data
def test_the_patient_who_is_in_two_real_data_sets_is_found(real_data: Path) -> None:
    pair = [load_manifest(name) for name in ("brats2015-deepmedic", "brats2018")]
    found = [f for f in check_datasets(pair, [real_data], partial=True).findings if f.kind == "duplicate-subject"]
    assert [(f.subject, f.count) for f in found] == [("Brats18_2013_21_1", 3)]
    assert "brats_2013_pat0004_1" in found[0].message
    assert "the outline of seg" in found[0].message
