"""Which features survive what a second scan or a second reader would change: perturbations and intraclass correlation.

Each kind of perturbation makes, with the original, three measurements of a subject. Their intraclass correlation says
which share of a feature's spread is between subjects and not made by the perturbation (Zwanenburg 2019 chains them;
here they are apart, so that the table says what a feature is sensitive to).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt, gaussian_filter, rotate

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import rng
from radlib.stats.icc import Form, icc

Compute = Callable[[np.ndarray, np.ndarray, Mapping[str, Any]], Mapping[str, float]]
"""Features of an image and a mask, with settings that a perturbation may change (``bins``)."""

PERTURBATIONS: dict[str, str] = {
    "noise": "white noise of the image's own level added, twice",
    "rotation": "image and mask turned in the axial plane, by plus and minus the angle",
    "size": "mask grown and shrunk by 15 % of its volume",
    "contour": "mask redrawn with an outline that strays by half a voxel, twice",
    "bins": "three quarters and one and a half times the number of grey levels",
}

GROWTH = 0.15
"""Share of its volume by which a mask grows and shrinks."""

GOOD = 0.9
"""Limit of excellent reliability (Koo and Li 2016)."""


def perturbed(
    image: np.ndarray, mask: np.ndarray, kind: str, *, seed: int, bins: int = 32, angle: float = 5.0
) -> list[tuple[np.ndarray, np.ndarray, dict[str, Any]]]:
    """Two perturbed versions of an image, its mask and the settings.

    Args:
        image: ``(X, Y, Z)``, 0 outside the brain.
        mask: ``(X, Y, Z)`` bool.
        kind: a key of :data:`PERTURBATIONS`.
        seed: of the noise.
        bins: grey levels of the original.
        angle: of the rotation, degrees.

    Raises:
        RadlibError: for an unknown kind.
    """
    same = {"bins": bins}
    if kind == "noise":
        brain = image != 0
        level = noise_level(image)
        added = [rng(seed, "noise", number).normal(0, level, image.shape) * brain for number in range(2)]
        return [((image + one).astype(np.float32), mask, same) for one in added]
    if kind == "rotation":
        turned = [
            (rotate(image, by, axes=(0, 1), reshape=False, order=1), rotate(mask.astype(np.float32), by, axes=(0, 1),
             reshape=False, order=1) >= 0.5)
            for by in (angle, -angle)
        ]  # fmt: skip
        return [(one, outline, same) for one, outline in turned]
    if kind == "size":
        return [(image, resized(mask, share, within=image != 0), same) for share in (1 + GROWTH, 1 - GROWTH)]
    if kind == "contour":
        drawn = [redrawn(mask, rng(seed, "contour", number)) for number in range(2)]
        return [(image, outline & ((image != 0) | mask), same) for outline in drawn]
    if kind == "bins":
        return [(image, mask, {"bins": round(bins * factor)}) for factor in (0.75, 1.5)]
    raise RadlibError(f"unknown perturbation {kind!r}", remedy=f"use one of {', '.join(PERTURBATIONS)}")


def resized(mask: np.ndarray, share: float, *, within: np.ndarray) -> np.ndarray:
    """The mask at another volume: voxels are added to its surface, or taken away there, until the volume is right.

    Args:
        mask: bool.
        share: of its volume, above 0.
        within: where voxels may be added.

    Returns:
        At least one voxel of a mask that is not empty; less than asked for where ``within`` leaves no more room.
    """
    if not mask.any():
        return mask.copy()
    allowed = mask | within
    wanted = min(max(round(share * int(mask.sum())), 1), int(allowed.sum()))
    # Of many voxels at one distance, those come first that have more of the mask around them: the outline stays smooth.
    depth, around = _depth(mask)[allowed], gaussian_filter(mask.astype(np.float64), 1.5)[allowed]
    chosen = np.lexsort((-around, -depth))[:wanted]
    out = np.zeros_like(mask)
    out[tuple(np.argwhere(allowed)[chosen].T)] = True
    return out


def redrawn(mask: np.ndarray, generator: np.random.Generator, *, spread: float = 0.5, reach: float = 2.0) -> np.ndarray:
    """The mask with its surface displaced along its normal by a smooth random field.

    Args:
        mask: bool.
        generator: of the field.
        spread: standard deviation of the displacement, voxels.
        reach: over which displacements are alike, voxels (the width of the Gaussian that smooths the field).

    Returns:
        The mask unchanged where it would vanish.
    """
    field = gaussian_filter(generator.normal(size=mask.shape), reach)
    # Voxel centres lie at least half a voxel from the surface between them.
    out = _depth(mask) + spread * field / field.std() > 0
    return out if out.any() else mask.copy()


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance to the surface in voxels, positive inside: plus and minus one half on either side of it."""
    if mask.all() or not mask.any():
        return np.where(mask, np.inf, -np.inf)
    inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
    return np.where(mask, inside - 0.5, 0.5 - outside)


def noise_level(image: np.ndarray) -> float:
    """Standard deviation of the noise, from the median of second differences along x within the brain.

    Second differences of a smooth image are small, so what is left is mostly noise; structure makes the estimate a
    little too large. 0 where the image is too small.
    """
    inside = image != 0
    three = inside[:-2] & inside[1:-1] & inside[2:]
    if not three.any():
        return 0.0
    second = (image[:-2] - 2 * image[1:-1] + image[2:])[three]
    # The variance of a second difference of white noise is 6 times that of the noise.
    return float(np.median(np.abs(second)) / 0.6745 / np.sqrt(6))


def measure(
    subjects: Mapping[str, tuple[np.ndarray, np.ndarray]],
    compute: Compute,
    *,
    kinds: Sequence[str] = tuple(PERTURBATIONS),
    seed: int = 0,
    bins: int = 32,
    angle: float = 5.0,
) -> pd.DataFrame:
    """Features of every subject, as they are and perturbed.

    Args:
        subjects: image and mask by id.
        compute: features of an image and a mask.
        kinds: perturbations.
        seed, bins, angle: see :func:`perturbed`.

    Returns:
        Index ``kind``, ``subject``, ``version`` (0 is the original); one column a feature.
    """
    rows, keys = [], []
    for subject, (image, mask) in track(subjects.items(), description="perturbations", total=len(subjects)):
        original = compute(image, mask, {"bins": bins})
        for kind in kinds:
            own = rng(seed, subject, kind).integers(2**31)
            versions = perturbed(image, mask, kind, seed=int(own), bins=bins, angle=angle)
            found = [original, *(compute(*version) for version in versions)]
            rows += found
            keys += [(kind, subject, version) for version in range(len(found))]
    index = pd.MultiIndex.from_tuples(keys, names=["kind", "subject", "version"])
    return pd.DataFrame(rows, index=index)


def stability_table(measured: pd.DataFrame, *, form: Form = "1,1") -> pd.DataFrame:
    """Intraclass correlation of every feature under every perturbation.

    Args:
        measured: of :func:`measure`.
        form: of the correlation. By default the versions are exchangeable, as in Zwanenburg 2019: a shift that a grown
            mask makes in every subject counts against a feature. ``2,1`` counts it too, but takes three versions for a
            sample of all possible ones, and its intervals grow very wide.

    Returns:
        Index feature; columns (perturbation, ``icc``/``low``/``high``). NaN where a feature is constant.
    """
    parts = {}
    for kind, part in measured.groupby(level="kind", sort=False):
        rows = {}
        for feature in measured:
            found = icc(part[feature].unstack("version").to_numpy(), form=form)
            rows[feature] = {"icc": found.value, "low": found.low, "high": found.high}
        parts[kind] = pd.DataFrame.from_dict(rows, orient="index")
    return pd.concat(parts, axis=1).rename_axis(index="feature")


def stability_counts(table: pd.DataFrame, families: Mapping[str, str]) -> pd.DataFrame:
    """Share of the features of a family whose lower limit is above :data:`GOOD`, by perturbation and under all (%).

    Args:
        table: of :func:`stability_table`.
        families: family by feature.
    """
    kinds = kinds_of(table)
    # Without error there is no interval: such a feature is as reliable as can be.
    good = pd.DataFrame({k: (table[k, "low"] > GOOD) | (table[k, "icc"] >= 1 - 1e-9) for k in kinds})
    good["all of them"] = good.all(axis=1)
    family = [families[str(name)] for name in table.index]
    rows = {name: good[[one == name for one in family]] for name in dict.fromkeys(family)} | {"all features": good}
    return pd.DataFrame.from_dict(
        {name: {"features": len(part), **(100 * part.mean()).to_dict()} for name, part in rows.items()}, orient="index"
    ).rename_axis("family")


def kinds_of(table: pd.DataFrame) -> list[str]:
    """The perturbations of a :func:`stability_table`, in its order."""
    return list(dict.fromkeys(str(column[0]) for column in table.columns))
