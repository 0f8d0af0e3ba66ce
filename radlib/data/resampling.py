"""One image on another grid, scaled within its brain; and which images have no brain that could be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.data.decode import Grid, no_background, refuse_other_grid
from radlib.data.nifti import Volume

Normalisation = Literal["zscore", "minmax", "none"]

Spacing = float | tuple[float, float, float]
"""Edges of a voxel along X, Y and Z, mm; one number where voxels are cubes."""

#: Intensities are cut at this many standard deviations, or at this percentile for ``minmax``: a few bright vessels
#: would otherwise set the scale.
ZSCORE_LIMIT = 5.0
_MINMAX_PERCENTILE = 99.5


def edges_of(spacing: Spacing) -> tuple[float, float, float]:
    """The three edges of a voxel, mm."""
    if isinstance(spacing, (int, float)):
        return float(spacing), float(spacing), float(spacing)
    x, y, z = (float(edge) for edge in spacing)
    return x, y, z


def resample(
    data: np.ndarray, source: np.ndarray, target: np.ndarray, shape: Sequence[int], *, order: int
) -> np.ndarray:
    """Bring ``data`` from the grid with affine ``source`` onto the grid ``target`` of ``shape``; 0 beyond its borders.

    Finer data are smoothed first where ``order`` is 1 (a Gaussian of half the excess of the target's voxel size, as
    scikit-image does), so that a coarse voxel holds the mean of what it covers.
    """
    matrix = np.linalg.inv(source) @ target
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    if np.allclose(linear, np.eye(3), atol=1e-6) and np.allclose(offset, np.round(offset), atol=1e-4):
        return _shifted(data, np.round(offset).astype(int), shape)
    if order:
        factors = np.linalg.norm(linear, axis=1)
        data = gaussian_filter(data, np.maximum(0, (factors - 1) / 2))
    return affine_transform(data, linear, offset, output_shape=tuple(shape), order=order, mode="constant", cval=0.0)


def _shifted(data: np.ndarray, offset: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    out = np.zeros(tuple(shape), dtype=data.dtype)
    low = np.maximum(offset, 0)
    high = np.minimum(offset + np.asarray(shape), data.shape)
    if (low < high).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, offset, strict=True))
        out[target] = data[source]
    return out


def unusable(cohort: Cohort, modalities: Sequence[str]) -> dict[str, str]:
    """Subjects whose images of these modalities :func:`prepare` would refuse, and why: a run goes on without them."""
    failed = {}
    for subject in track(cohort.ids, description=f"check {cohort.name}"):
        try:
            volumes = {name: cohort.volume(subject, name) for name in modalities if cohort.has(subject, name)}
            if not volumes:
                raise RadlibError(f"none of {', '.join(modalities)} is there")
            refuse_unusable(cohort, subject, volumes)
        except RadlibError as error:
            failed[subject] = str(error)
    return failed


def refuse_unusable(cohort: Cohort, subject: str, volumes: dict[str, Volume]) -> None:
    """Refuse images on several grids, and a head without anything around it: the brain is what is not 0."""
    first, like = next(iter(volumes.items()))
    for name, volume in volumes.items():
        refuse_other_grid(
            Grid(volume.data.shape, volume.affine), Grid(like.data.shape, like.affine),
            file=cohort.path(subject, name), other=f"{first} of {subject}",
        )  # fmt: skip
        if problem := no_background(volume.data, volume.spacing):
            raise RadlibError(
                f"{name} of {subject} {problem}", file=cohort.path(subject, name),
                remedy="strip the skull (`radlib preprocess`, with --mask where you have one)",
            )  # fmt: skip


def centred(volumes: dict[str, Volume], shape: tuple[int, int, int], spacing: Spacing) -> np.ndarray:
    """The affine of an LPS grid of ``shape`` whose middle voxel lies on the middle of the brain's bounding box."""
    first = next(iter(volumes.values()))
    brain = np.zeros(first.data.shape, dtype=bool)
    for volume in volumes.values():
        brain |= volume.data != 0
    middle = []
    for axis in range(3):
        along = np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))
        middle.append(round((along[0] + along[-1]) / 2) if len(along) else brain.shape[axis] // 2)
    world = first.affine @ np.array([*middle, 1.0])
    x, y, z = edges_of(spacing)
    affine = np.diag([-x, -y, z, 1.0])
    affine[:3, 3] = world[:3] - affine[:3, :3] @ (np.array(shape) // 2)
    return affine


def resampled(volume: Volume, affine: np.ndarray, shape: tuple[int, int, int], normalise: Normalisation) -> np.ndarray:
    """One modality on the grid, scaled within its brain (where it is not 0)."""
    inside = volume.data != 0
    data = volume.data
    values = data[inside]
    if normalise == "zscore" and len(values):
        data = np.clip((data - values.mean()) / max(float(values.std()), 1e-6), -ZSCORE_LIMIT, ZSCORE_LIMIT)
    elif normalise == "minmax" and len(values):
        low, high = float(values.min()), float(np.percentile(values, _MINMAX_PERCENTILE))
        data = np.clip((data - low) / max(high - low, 1e-6), 0, 1)
    data = np.where(inside, data, 0).astype(np.float32)
    out = resample(data, volume.affine, affine, shape, order=1)
    # Interpolation blurs the border of the brain: what is mostly outside is outside.
    out[resample(inside.astype(np.float32), volume.affine, affine, shape, order=1) < 0.5] = 0
    return out
