"""Slices and crops of the patients of Ge 2020, and the partitions by patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import center_of_mass
from torch import Tensor

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path, reading, write_json
from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.splits import Split, hold_out
from radlib.data.store import ImageStore, prepare

VIEWS = ("sagittal", "coronal", "axial")
"""By the axis along which a view's slices lie one behind the other."""
SLICES = 6
"""Slices a scan (section III-A2); two of each view, which the paper leaves open."""
BACKGROUND = 1 / 3
"""Weight of what is not tumour in the mask; the tumour has 1 (section II-B3)."""
HELD_OUT = 0.2
"""Share of the patients for testing, and again for validation (60/20/20)."""
_CHUNK = 8  # subjects whose volumes are in memory at once


@dataclass(frozen=True, kw_only=True)
class SliceSet:
    """Slices with tumour of all patients, and a crop of each.

    Attributes:
        ids: ``(N,)`` patients.
        images: ``(N, 6, 4, S, S)`` float32 in [0, 1], modalities in the order of ``MODALITIES``; 0 where missing.
        masks: ``(N, 6, S, S)`` bool, whole tumour.
        crops: ``(N, 4, c, c, c)`` float32 in [0, 1], around the middle of the tumour.
        crop_masks: ``(N, c, c, c)`` bool.
        present: ``(N, 4)`` bool, whether the patient has the modality.
    """

    ids: tuple[str, ...]
    images: Tensor
    masks: Tensor
    crops: Tensor
    crop_masks: Tensor
    present: Tensor

    @property
    def size(self) -> int:
        """Edge of a slice, pixels."""
        return int(self.images.shape[-1])

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Row numbers of patients."""
        place = {subject: row for row, subject in enumerate(self.ids)}
        if unknown := [subject for subject in ids if subject not in place]:
            raise RadlibError(f"there are no slices of {unknown[0]!r}", remedy="extract the slices of these patients")
        return [place[subject] for subject in ids]

    def without(self, missing: dict[str, int]) -> SliceSet:
        """The same patients after taking one modality from some: ``missing`` has the channel by patient."""
        images, present = self.images.clone(), self.present.clone()
        for subject, channel in missing.items():
            row = self.rows([subject])[0]
            images[row, :, channel] = 0
            present[row, channel] = False
        return replace(self, images=images, present=present)

    def save(self, folder: Path) -> None:
        """Write the arrays, intensities in 16 bits."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            array = getattr(self, name).numpy()
            with atomic_path(folder / f"{name}.npy") as temporary, temporary.open("wb") as stream:
                np.save(stream, np.round(65535 * array).astype(np.uint16) if array.dtype == np.float32 else array)
        write_json(folder / "slices.json", {"ids": list(self.ids)})

    @classmethod
    def load(cls, folder: Path) -> SliceSet:
        """Read what :meth:`save` wrote.

        Raises:
            MissingDataError: if it has not been written.
        """
        import json

        file = folder / "slices.json"
        if not file.is_file():
            raise MissingDataError("there are no slices", file=file, remedy="run the chapter pairwise_gan first")
        arrays = {}
        for name in _ARRAYS:
            with reading(folder / f"{name}.npy", remedy="run the chapter pairwise_gan again"):
                arrays[name] = np.load(folder / f"{name}.npy", allow_pickle=False)
        tensors = {
            name: torch.from_numpy(array.astype(np.float32) / 65535 if array.dtype == np.uint16 else array)
            for name, array in arrays.items()
        }
        with reading(file, remedy="run the chapter pairwise_gan again"):
            ids = tuple(json.loads(file.read_text(encoding="utf-8"))["ids"])
        return cls(ids=ids, **tensors)


_ARRAYS = ("images", "masks", "crops", "crop_masks", "present")


def extract(cohort: Cohort, *, size: int, field: float, crop: int) -> SliceSet:
    """Six slices of every patient who has a tumour: two of each view, at a quarter and at three quarters of it.

    Args:
        cohort: with images and segmentations; a patient may lack modalities.
        size: edge of a slice, pixels.
        field: what a slice covers, mm.
        crop: edge of the crop around the tumour, voxels of ``field / size`` mm.

    Raises:
        MissingDataError: if the cohort has no images or segmentations.
    """
    cohort.require(*MODALITIES, "seg")
    ids = [subject for subject in cohort.ids if isinstance(cohort.participants.loc[subject, "seg"], str)]
    kept: list[str] = []
    parts: dict[str, list[Tensor]] = {name: [] for name in _ARRAYS}
    for start in range(0, len(ids), _CHUNK):
        store = prepare(
            cohort, ids=ids[start : start + _CHUNK], grid=(size,) * 3, spacing=field / size, normalise="minmax"
        )
        for row, subject in enumerate(store.ids):
            if not (store.labels[row] > 0).any():
                continue
            kept.append(subject)
            for name, tensor in zip(_ARRAYS, _of_patient(store, row, crop=crop), strict=True):
                parts[name].append(tensor)
    if not kept:
        raise MissingDataError(
            f"no patient of cohort {cohort.name!r} has a tumour outlined", remedy="add segmentations"
        )
    return SliceSet(ids=tuple(kept), **{name: torch.stack(tensors) for name, tensors in parts.items()})


def _of_patient(store: ImageStore, row: int, *, crop: int) -> tuple[Tensor, ...]:
    tumour = store.labels[row] > 0
    images, masks = [], []
    for axis in range(3):
        places = tumour_positions(tumour, axis=axis, count=SLICES // 3)
        images.append(store.images[row].movedim(axis + 1, 0)[places])
        masks.append(tumour.movedim(axis, 0)[places])
    centre = np.array([center_of_mass(tumour.numpy())])
    crops, crop_labels = store.take_patches([row], centre, (crop,) * 3)
    return torch.cat(images), torch.cat(masks), crops[0], crop_labels[0] > 0, store.present[row]


def tumour_positions(tumour: Tensor, *, axis: int, count: int) -> Tensor:
    """Where to cut: positions along ``axis`` that divide the tumour's volume at ``(i + 1/2) / count``.

    Slices next to each other show nearly the same; these are spread over the tumour, and all of them hold tumour.
    """
    area = tumour.sum(dim=[other for other in range(3) if other != axis]).double()
    share = area.cumsum(0) / area.sum()
    wanted = (torch.arange(count).double() + 0.5) / count
    return torch.searchsorted(share, wanted)


def partitions(ids: Sequence[str], mutant: pd.Series, *, n_runs: int, seed: int) -> list[Split]:
    """Random partitions by patient, 60/20/20 within each class.

    Of the paper's 55 mutant and 112 wild-type patients, 33 and 66 are for training, 11 and 23 for validation and for
    testing, as in Table 1(b).

    Args:
        ids: patients.
        mutant: by patient.
        n_runs: partitions; the paper has 5.
        seed: of all of them.
    """
    held_out = math.ceil(HELD_OUT * len(ids))
    return [
        hold_out(
            ids, test=held_out, validation=held_out, stratify=mutant.loc[list(ids)], seed=named_seed(seed, "run", run)
        )
        for run in range(n_runs)
    ]


def enhanced(images: Tensor, masks: Tensor, *, space: int = 2) -> Tensor:
    """Images ``(..., C, *space)`` times their mask ``(..., *space)``: 1 in the tumour, 1/3 outside.

    Args:
        images, masks: to multiply.
        space: dimensions of space, 2 or 3.
    """
    return images * torch.where(masks, 1.0, BACKGROUND).unsqueeze(-space - 1)


def clinical_values(column: pd.Series, *, train: Sequence[str]) -> pd.Series:
    """Age or grade in standard deviations of the training patients; a gap is their median."""
    values = column.astype(float)
    known = values.loc[list(train)].dropna()
    return (values.fillna(known.median()) - known.mean()) / max(float(known.std(ddof=0)), 1e-6)
