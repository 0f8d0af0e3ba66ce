"""Perturbations and what they do to features."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.plots.statistics import stability_figure
from radlib.stats.perturbation import (
    GOOD,
    PERTURBATIONS,
    measure,
    noise_level,
    perturbed,
    redrawn,
    resized,
    stability_counts,
    stability_table,
)


def subject(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x, y, z = np.ogrid[-12:12, -12:12, -8:8]
    brain = (x / 11) ** 2 + (y / 11) ** 2 + (z / 7) ** 2 < 1
    image = np.where(brain, 100 + 10 * seed + generator.normal(0, 2, brain.shape), 0).astype(np.float32)
    mask = x**2 + y**2 + z**2 < (3 + 0.4 * seed) ** 2
    return image, mask


def compute(image: np.ndarray, mask: np.ndarray, settings: Mapping[str, Any]) -> dict[str, float]:
    values = image[mask]
    return {"mean": values.mean(), "volume": mask.sum(), "bins": settings["bins"] + 0.1 * values.mean(),
            "coin": float(zlib.crc32(values.tobytes()) % 1000), "constant": 1.0}  # fmt: skip


def test_noise_is_of_the_images_own_level() -> None:
    image, mask = subject(0)
    assert noise_level(image) == pytest.approx(2, rel=0.1)
    first, second = (version[0] for version in perturbed(image, mask, "noise", seed=0))
    assert (first - image)[image != 0].std() == pytest.approx(2, rel=0.15)
    assert not (first - image)[image == 0].any()
    assert not np.array_equal(first, second)
    assert noise_level(np.zeros((4, 4, 4))) == 0


def test_masks_and_bins() -> None:
    image, mask = subject(1)
    grown, shrunk = (version[1] for version in perturbed(image, mask, "size", seed=0))
    assert (grown.sum(), shrunk.sum()) == (round(1.15 * mask.sum()), round(0.85 * mask.sum()))
    assert (grown | mask == grown).all()
    assert (shrunk & mask == shrunk).all()
    assert [version[2]["bins"] for version in perturbed(image, mask, "bins", seed=0, bins=32)] == [24, 48]
    turned = perturbed(image, mask, "rotation", seed=0, angle=5)[0][1]
    assert turned.sum() == pytest.approx(mask.sum(), rel=0.1)
    with pytest.raises(RadlibError, match="unknown perturbation 'tilt'"):
        perturbed(image, mask, "tilt", seed=0)


def test_resizing_has_limits() -> None:
    mask = np.zeros((5, 5, 5), dtype=bool)
    everywhere = np.ones_like(mask)
    assert not resized(mask, 1.15, within=everywhere).any()
    mask[2, 2, 2] = True
    assert resized(mask, 0.1, within=everywhere).sum() == 1
    assert resized(mask, 7, within=everywhere).sum() == 7
    assert resized(mask, 7, within=everywhere)[2, 2, 1:4].all()  # the six neighbours come first
    assert resized(mask, 7, within=mask).sum() == 1
    assert resized(everywhere, 0.5, within=everywhere).sum() == 62


def test_a_redrawn_outline_strays_by_what_was_asked() -> None:
    x, y, z = np.ogrid[-16:16, -16:16, -16:16]
    mask = x**2 + y**2 + z**2 < 100
    generator = np.random.default_rng(0)
    some, more = (redrawn(mask, generator, spread=spread) for spread in (0.5, 1.5))
    changed = [int((one != mask).sum()) for one in (some, more)]
    surface = 4 * np.pi * 100
    assert 0.1 * surface < changed[0] < 0.5 * surface
    assert changed[1] > 2 * changed[0]
    assert some.sum() == pytest.approx(mask.sum(), rel=0.05)
    radius = np.sqrt(x**2 + y**2 + z**2)[some != mask]
    assert np.abs(radius - 10).max() < 3
    alone = np.zeros((3, 3, 3), dtype=bool)
    assert not redrawn(alone, generator).any()
    alone[1, 1, 1] = True
    assert all(redrawn(alone, np.random.default_rng(seed)).any() for seed in range(20))


def test_reliable_and_unreliable_features_are_told_apart() -> None:
    subjects = {f"s{seed}": subject(seed) for seed in range(8)}
    measured = measure(subjects, compute, seed=1)
    assert len(measured) == 8 * len(PERTURBATIONS) * 3
    table = stability_table(measured)
    assert table.loc["mean", ("noise", "icc")] > 0.99
    assert table.loc["volume", ("noise", "icc")] == 1
    assert 0.9 < table.loc["volume", ("size", "icc")] < table.loc["volume", ("contour", "icc")] < 1
    assert table.loc["volume", ("size", "low")] < GOOD
    assert table.loc["coin", ("noise", "icc")] < 0.75
    assert table.loc["bins", ("bins", "icc")] < 0.6
    assert np.isnan(table.loc["constant", ("noise", "icc")])
    families = {name: "shape" if name == "volume" else "other" for name in table.index}
    counts = stability_counts(table, families)
    assert counts.loc["shape", "noise"] == 100
    assert counts.loc["shape", "size"] == 0
    assert counts.loc["all features", "features"] == 5
    stability_figure(table, families)
