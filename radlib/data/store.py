"""The images of a cohort as arrays on one grid: what networks are trained on and applied to.

Every subject is brought onto a grid of one shape, spacing and orientation (LPS, as BraTS), centred on its brain.
:meth:`ImageStore.restore` brings a result back onto the subject's own grid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, write_json
from radlib.core.progress import track
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.nifti import Volume
from radlib.data.resampling import (
    ZSCORE_LIMIT,
    Normalisation,
    Spacing,
    centred,
    edges_of,
    refuse_unusable,
    resample,
    resampled,
)

Where = Literal["tumour", "brain", "all"]


@dataclass(frozen=True, kw_only=True)
class ImageStore:
    """Images of one cohort.

    Attributes:
        ids: the subjects, in the order of the arrays' first axis.
        modalities: the channels.
        spacing: edges of a voxel, mm (X, Y, Z).
        images: ``(N, C, X, Y, Z)`` float32; 0 outside the brain, and everywhere where the modality is missing.
        labels: ``(N, X, Y, Z)`` uint8 with 0, 1, 2, 4; 0 where the subject has no segmentation.
        present: ``(N, C)`` bool, whether the subject has the modality.
        has_labels: ``(N,)`` bool.
        affines: ``(N, 4, 4)``, from voxel of this grid to mm (RAS+), as in NIfTI.
        normalisation: how intensities were scaled.
    """

    ids: tuple[str, ...]
    modalities: tuple[str, ...]
    spacing: tuple[float, float, float]
    images: torch.Tensor
    labels: torch.Tensor
    present: torch.Tensor
    has_labels: torch.Tensor
    affines: np.ndarray
    normalisation: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def grid(self) -> tuple[int, int, int]:
        """The shape ``(X, Y, Z)``."""
        x, y, z = self.labels.shape[1:]
        return x, y, z

    @property
    def device(self) -> torch.device:
        """Where the arrays are."""
        return self.images.device

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Row numbers of subjects.

        Raises:
            RadlibError: for a subject that the store does not have.
        """
        place = {subject: row for row, subject in enumerate(self.ids)}
        if unknown := [subject for subject in ids if subject not in place]:
            raise RadlibError(f"the store has no subject {unknown[0]!r}", remedy="prepare the images of these subjects")
        return [place[subject] for subject in ids]

    def subject(self, name: str) -> StoredSubject:
        """The arrays of one subject.

        Raises:
            RadlibError: for a subject that the store does not have.
        """
        row = self.rows([name])[0]
        return StoredSubject(self, row, self.images[row], self.labels[row])

    def subset(self, ids: Sequence[str]) -> ImageStore:
        """The store of these subjects, in this order."""
        rows = self.rows(ids)
        return replace(
            self,
            ids=tuple(ids),
            images=self.images[rows],
            labels=self.labels[rows],
            present=self.present[rows],
            has_labels=self.has_labels[rows],
            affines=self.affines[rows],
        )

    def channels(self, modalities: Sequence[str]) -> list[int]:
        """Channel numbers of modalities."""
        if unknown := [name for name in modalities if name not in self.modalities]:
            raise RadlibError(
                f"the store has no modality {unknown[0]!r}", remedy=f"it has {', '.join(self.modalities)}"
            )
        return [self.modalities.index(name) for name in modalities]

    def to(self, device: torch.device | str, *, share: float = 0.5) -> ImageStore:
        """The store on a device, if it fits into ``share`` of the device's free memory; as it is otherwise.

        What stays in memory-mapped files is gathered slice by slice and copied when taken.
        """
        device = torch.device(device)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.images.nbytes + self.labels.nbytes > share * free:
                return self
        return replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            present=self.present.to(device),
            has_labels=self.has_labels.to(device),
        )

    def replaced(self, images: Mapping[str, np.ndarray], *, modality: str) -> ImageStore:
        """The store with other images of one modality, such as synthetic ones, standardised as the real ones are.

        The brain of a subject is where any *other* modality of the store is not 0: the real image of the modality may
        lack, and a synthetic one has no 0 of its own.

        Args:
            images: ``(X, Y, Z)``, on any scale, by subject.
            modality: what they stand for.

        Raises:
            RadlibError: if the store is not ``normalise="zscore"``.
        """
        if self.normalisation != "zscore":
            raise RadlibError(
                f"images are standardised to replace those of a store with normalise={self.normalisation!r}",
                remedy="prepare it with normalise='zscore'",
            )
        channel = self.channels([modality])[0]
        others = [place for place in range(len(self.modalities)) if place != channel]
        filled, present = self.images.clone(), self.present.clone()
        for name, image in images.items():
            row = self.rows([name])[0]
            inside = (self.images[row, others] != 0).any(dim=0)
            values = torch.from_numpy(np.ascontiguousarray(image)).to(filled)[inside]
            scaled = (values - values.mean()) / values.std().clamp(min=1e-6)
            filled[row, channel] = 0
            filled[row, channel, inside] = scaled.clamp(-ZSCORE_LIMIT, ZSCORE_LIMIT)
            present[row, channel] = True
        return replace(self, images=filled, present=present)

    @property
    def voxel_ml(self) -> float:
        """The volume of a voxel, ml."""
        x, y, z = self.spacing
        return x * y * z / 1000

    # Slices and patches

    def slices(
        self, ids: Sequence[str], *, axis: int = 2, where: Where = "tumour", per_subject: int | None = None
    ) -> torch.Tensor:
        """Which slices to take: int64 ``(M, 2)``, row and position along ``axis``, on the CPU.

        Args:
            ids: subjects.
            axis: 0 sagittal, 1 coronal, 2 axial.
            where: slices with tumour, with brain, or all.
            per_subject: only so many a subject, those with most tumour (brain); all where there are fewer.
        """
        other = [place for place in range(3) if place != axis]
        taken = []
        for row in self.rows(ids):
            if where == "brain":
                area = (self.images[row] != 0).any(dim=0).sum(dim=other)
            else:
                area = (self.labels[row] != 0).sum(dim=other)
            area = area.cpu()
            places = torch.arange(len(area)) if where == "all" else torch.nonzero(area)[:, 0]
            if per_subject is not None and len(places) > per_subject:
                order = torch.argsort(area[places], descending=True, stable=True)
                places = torch.sort(places[order[:per_subject]]).values
            taken.append(torch.stack([torch.full_like(places, row), places], dim=1))
        return torch.cat(taken) if taken else torch.zeros((0, 2), dtype=torch.int64)

    def take_slices(self, index: torch.Tensor, *, axis: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
        """Images ``(M, C, H, W)`` and labels ``(M, H, W)`` of the slices of ``index`` ``(M, 2)``."""
        rows, places = index[:, 0].to(self.device), index[:, 1].to(self.device)
        images, labels = self.images.movedim(axis + 2, 1), self.labels.movedim(axis + 1, 1)
        return images[rows, places], labels[rows, places]

    def take_patches(
        self, rows: Sequence[int], centres: np.ndarray | torch.Tensor, size: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images ``(B, C, *size)`` and labels ``(B, *size)`` around ``centres`` ``(B, 3)``; 0 beyond the borders."""
        edge = tuple(int(length) for length in size)
        images = self.images.new_zeros((len(rows), self.images.shape[1], *edge))
        labels = self.labels.new_zeros((len(rows), *edge))
        for number, (row, centre) in enumerate(zip(rows, np.asarray(centres), strict=True)):
            first = [round(float(c)) - length // 2 for c, length in zip(centre, edge, strict=True)]
            low = [max(start, 0) for start in first]
            high = [min(s + length, top) for s, length, top in zip(first, edge, self.grid, strict=True)]
            if any(bottom >= top for bottom, top in zip(low, high, strict=True)):
                continue
            source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, first, strict=True))
            images[number][(slice(None), *target)] = self.images[row][(slice(None), *source)]
            labels[number][target] = self.labels[row][source]
        return images, labels

    # Back to the subject

    def restore(self, subject: str, array: np.ndarray, *, like: Volume, order: int = 0) -> np.ndarray:
        """A result on this grid ``(X, Y, Z)``, brought onto the grid of ``like``: 0 where this grid does not reach.

        Args:
            subject: whose result it is.
            array: labels (``order`` 0, nearest) or an image (``order`` 1, linear).
            like: an image of the subject as on disk.
            order: interpolation.
        """
        row = self.rows([subject])[0]
        moved = resample(array, self.affines[row], like.affine, like.data.shape, order=order)
        return moved.astype(array.dtype)


@dataclass(frozen=True)
class StoredSubject:
    """One subject of a store.

    Attributes:
        store: where it is from.
        row: its row there.
        images: ``(C, X, Y, Z)``, a view.
        labels: ``(X, Y, Z)``, a view.
    """

    store: ImageStore
    row: int
    images: torch.Tensor
    labels: torch.Tensor

    def image(self, modality: str) -> torch.Tensor:
        """One modality ``(X, Y, Z)``; 0 everywhere where the subject lacks it."""
        return self.images[self.store.channels([modality])[0]]

    def take(self, modalities: Sequence[str]) -> torch.Tensor:
        """Modalities ``(C, X, Y, Z)`` in this order."""
        return self.images[self.store.channels(modalities)]

    @property
    def brain(self) -> torch.Tensor:
        """Where any modality is not 0: ``(X, Y, Z)``, bool."""
        return (self.images != 0).any(dim=0)


def prepare(
    cohort: Cohort,
    *,
    modalities: Sequence[str] = MODALITIES,
    grid: Sequence[int] = (96, 96, 64),
    spacing: Spacing = 2.25,
    normalise: Normalisation = "zscore",
    ids: Sequence[str] | None = None,
    cache: Path | None = None,
) -> ImageStore:
    """Read a cohort's images onto one grid.

    Args:
        cohort: where the images are.
        modalities: the channels, in this order; a subject may lack some, but not all.
        grid: shape ``(X, Y, Z)``; a larger brain is cut at its borders.
        spacing: edge of a voxel, mm, or its edges along X, Y, Z, as for stacks of thick slices. Finer
            images are smoothed before they are resampled.
        normalise: ``zscore`` (mean 0, standard deviation 1 within the brain, cut at five deviations), ``minmax``
            (0 to 1 within the brain, the 99.5th percentile as 1), or ``none``.
        ids: subjects; all that have any of the modalities where None.
        cache: a folder for memory-mapped arrays, filled once, for cohorts that do not fit into memory. Arrays made
            with other settings, or damaged, are replaced.

    Raises:
        RadlibError: for an unknown normalisation or a subject without any of the modalities.
    """
    if normalise not in ("zscore", "minmax", "none"):
        raise RadlibError(f"unknown normalisation {normalise!r}", remedy="use 'zscore', 'minmax' or 'none'")
    x, y, z = (int(length) for length in grid)
    shape = (x, y, z)
    channels = tuple(modalities)
    if ids is None:
        ids = [subject for subject in cohort.ids if any(cohort.has(subject, name) for name in channels)]
    names = tuple(ids)
    present = np.array([[cohort.has(subject, name) for name in channels] for subject in names], dtype=bool)
    if lacking := [subject for row, subject in enumerate(names) if not present[row].any()]:
        raise RadlibError(
            f"subject {lacking[0]!r} of cohort {cohort.name!r} has none of {', '.join(channels)}",
            remedy="leave it out with ids=, or ask for other modalities",
        )
    settings: dict[str, object] = {
        "content": None if cache is None else cohort.subset(names).fingerprint(), "modalities": channels, "grid": shape,
        "spacing": edges_of(spacing), "normalise": normalise, "ids": names,
    }  # fmt: skip
    images, labels, filled = _allocate(cache, (len(names), len(channels), *shape), settings)
    affines = np.zeros((len(names), 4, 4))
    for row, subject in enumerate(track(names, description=f"images of {cohort.name}")):
        volumes = {name: cohort.volume(subject, name) for name, has in zip(channels, present[row], strict=True) if has}
        refuse_unusable(cohort, subject, volumes)
        affines[row] = centred(volumes, shape, spacing)
        if filled:
            continue
        for channel, name in enumerate(channels):
            if name in volumes:
                images[row, channel] = resampled(volumes[name], affines[row], shape, normalise)
        if cohort.has(subject, "seg"):
            seg = cohort.labels(subject)
            labels[row] = resample(seg.data, seg.affine, affines[row], shape, order=0)
    if cache is not None and not filled:
        images, labels = _finish(cache, images, labels, settings)
    return ImageStore(
        ids=names,
        modalities=channels,
        spacing=edges_of(spacing),
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        present=torch.from_numpy(present),
        has_labels=torch.tensor([cohort.has(subject, "seg") for subject in names], dtype=torch.bool),
        affines=affines,
        normalisation=normalise,
    )


def _allocate(
    cache: Path | None, shape: tuple[int, ...], settings: dict[str, object]
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Images and labels to fill, and whether they are filled already."""
    if cache is None:
        return np.zeros(shape, np.float32), np.zeros((shape[0], *shape[2:]), np.uint8), False
    stamp = cache / "store.json"
    try:
        if json.loads(stamp.read_text(encoding="utf-8")) == json.loads(json.dumps(settings)):
            images, labels = _open(cache)
            if images.shape == shape:
                return images, labels, True
    except (OSError, ValueError):
        pass  # not there yet, or damaged: it is only a cache, and is filled anew
    stamp.unlink(missing_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    images = np.lib.format.open_memmap(cache / ".part-images.npy", mode="w+", dtype=np.float32, shape=shape)
    labels = np.zeros((shape[0], *shape[2:]), np.uint8)
    return images, labels, False


def _finish(
    cache: Path, images: np.ndarray, labels: np.ndarray, settings: dict[str, object]
) -> tuple[np.ndarray, np.ndarray]:
    assert isinstance(images, np.memmap)
    images.flush()
    (cache / ".part-images.npy").replace(cache / "images.npy")
    with atomic_path(cache / "labels.npy") as temporary:
        np.save(temporary, labels)
    write_json(cache / "store.json", settings)
    return _open(cache)


def _open(cache: Path) -> tuple[np.ndarray, np.ndarray]:
    # Copy-on-write: torch wants arrays that can be written, and the file must stay as it is.
    return np.load(cache / "images.npy", mmap_mode="c"), np.load(cache / "labels.npy", mmap_mode="c")
