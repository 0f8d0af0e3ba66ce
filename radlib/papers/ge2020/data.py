"""Slices and crops of the patients of Ge 2020, and the partitions by patient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import center_of_mass
from torch import Tensor

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import named_seed, rng
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.splits import Split, hold_out
from radlib.data.store import ImageStore, prepare
from radlib.study.cohorts import Source

VIEWS = ("sagittal", "coronal", "axial")
"""By the axis along which a view's slices lie one behind the other."""
SLICES = 6
"""Slices a scan (section III-A2); two of each view, which the paper leaves open."""
BACKGROUND = 1 / 3
"""Weight of what is not tumour in the mask of the loss; the tumour has 1 (section II-B3)."""
HELD_OUT = 0.2
"""Share of the patients for testing, and again for validation (60/20/20)."""
MISSING_SHARE = 0.06
"""Share of the training patients who lose a given modality in S3; 24 % lose one."""
_CHUNK = 8  # subjects whose volumes are in memory at once


@dataclass(frozen=True, kw_only=True)
class Patients:
    """Slices with tumour of all patients, and what is known of them.

    Attributes:
        images: ``(N, 6, K, S, S)`` float32 in [0, 1], channels in the order of ``modalities``; 0 where missing.
        masks: ``(N, 6, S, S)`` bool, whole tumour.
        present: ``(N, K)`` bool, whether the patient has the modality.
        table: the cohort's table, a row a patient.
        modalities: the channels; the paper has four.
    """

    images: Tensor
    masks: Tensor
    present: Tensor
    table: pd.DataFrame
    modalities: tuple[str, ...] = MODALITIES

    @property
    def ids(self) -> tuple[str, ...]:
        """The patients."""
        return tuple(self.table.index)

    @property
    def size(self) -> int:
        """Edge of a slice, pixels."""
        return int(self.images.shape[-1])

    @property
    def mutant(self) -> pd.Series:
        """By patient, whether the cohort calls them mutant."""
        return self.table["idh"] == "mutant"

    @property
    def available(self) -> dict[str, list[bool]]:
        """Which modalities each patient has."""
        return dict(zip(self.ids, self.present.tolist(), strict=True))

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Row numbers of patients."""
        place = {subject: row for row, subject in enumerate(self.ids)}
        if unknown := [subject for subject in ids if subject not in place]:
            raise RadlibError(f"there are no slices of {unknown[0]!r}", remedy="extract the slices of these patients")
        return [place[subject] for subject in ids]

    def without(self, missing: dict[str, int]) -> Patients:
        """The same patients after taking one modality from some: ``missing`` has the channel by patient."""
        images, present = self.images.clone(), self.present.clone()
        for subject, channel in missing.items():
            row = self.rows([subject])[0]
            images[row, :, channel] = 0
            present[row, channel] = False
        return replace(self, images=images, present=present)


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Slices of a cohort, as an input of jobs.

    Attributes:
        source: the cohort.
        size: edge of a slice, pixels.
        field: what a slice covers, mm.
    """

    source: Source
    size: int = 128
    field: float = 192.0

    @property
    def modalities(self) -> tuple[str, ...]:
        """The channels: all four of simulated patients, of others what their cohort has (:func:`modalities_of`)."""
        return MODALITIES if self.source.cohort == "simulated" else modalities_of(self.source.open())

    def cohort(self) -> Cohort:
        """The patients with a known label, a segmentation and every modality of the cohort, as the paper's have."""
        return self.source.open().complete("idh", "seg", *self.modalities)

    def open(self) -> Patients:
        """The slices of all patients who have a tumour; extracted once in a process."""
        return _opened(self)


@cache
def _opened(slices: Slices) -> Patients:
    return extract(slices.cohort(), size=slices.size, field=slices.field, modalities=slices.modalities)


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A run's random partition by patient, as an input of jobs.

    Attributes:
        slices: of all patients.
        run: number, from 1; the paper has 5.
        seed: of all runs.
    """

    slices: Slices
    run: int
    seed: int = 0

    def split(self) -> Split:
        """Training, validation and test patients, 60/20/20 within each class."""
        patients = self.slices.open()
        return partition(patients.ids, patients.mutant, run=self.run, seed=self.seed)

    def missing(self) -> dict[str, int]:
        """Who loses which channel in S3."""
        ids, channels = self.split().train, len(self.slices.modalities)
        return take_scans(ids, seed=named_seed(self.seed, "scans", self.run - 1), channels=channels)


def modalities_of(cohort: Cohort) -> tuple[str, ...]:
    """The modalities that at least half of a cohort's patients with a segmentation have, in the order of MODALITIES.

    Raises:
        MissingDataError: if there are fewer than two, between which nothing can be translated.
    """
    table = cohort.participants[cohort.participants["seg"].notna()]
    found = tuple(name for name in MODALITIES if 2 * table[name].notna().sum() >= max(1, len(table)))
    if len(found) < 2:
        raise MissingDataError(
            f"cohort {cohort.name!r} has {len(found)} modality(ies) that half of the segmented patients have",
            file=cohort.root, remedy="images are translated between modalities: give at least two",
        )  # fmt: skip
    return found


def partition(ids: Sequence[str], mutant: pd.Series, *, run: int, seed: int) -> Split:
    """A random partition by patient, 60/20/20 within each class.

    Of the paper's 55 mutant and 112 wild-type patients, 33 and 66 are for training, 11 and 23 for validation and for
    testing, as in Table 1(b).
    """
    held_out, chosen = math.ceil(HELD_OUT * len(ids)), mutant.loc[list(ids)]
    return hold_out(
        ids, test=held_out, validation=held_out, stratify=chosen, seed=named_seed(seed, "run", run - 1)
    )  # fmt: skip


def take_scans(
    ids: Sequence[str], *, seed: int, share: float = MISSING_SHARE, channels: int = len(MODALITIES)
) -> dict[str, int]:
    """S3: who loses which modality (channel); ``share`` of the patients for each, nobody loses two.

    Of 99 patients 6 lose T1, 6 T1ce, 6 T2 and 6 FLAIR, which leaves 75 with all.
    """
    each = round(share * len(ids))
    order = [ids[i] for i in rng(seed, "missing scans").permutation(len(ids))]
    return {subject: channel for channel in range(channels) for subject in order[channel * each : (channel + 1) * each]}


def extract(cohort: Cohort, *, size: int, field: float, modalities: Sequence[str] | None = None) -> Patients:
    """Six slices of every patient who has a tumour: two of each view, at a quarter and at three quarters of it.

    Args:
        cohort: with images and segmentations; a patient may lack modalities.
        size: edge of a slice, pixels.
        field: what a slice covers, mm.
        modalities: the channels; those of :func:`modalities_of` where None.

    Raises:
        MissingDataError: if the cohort has no images or segmentations.
    """
    channels = modalities_of(cohort) if modalities is None else tuple(modalities)
    kept, images, masks, present = [], [], [], []
    for store, row in _volumes(cohort, cohort.ids, size=size, field=field, modalities=channels):
        tumour = store.labels[row] > 0
        pictures, tumours = [], []
        for axis in range(3):
            places = tumour_positions(tumour, axis=axis, count=SLICES // 3)
            pictures.append(store.images[row].movedim(axis + 1, 0)[places])
            tumours.append(tumour.movedim(axis, 0)[places])
        kept.append(store.ids[row])
        images.append(torch.cat(pictures))
        masks.append(torch.cat(tumours))
        present.append(store.present[row])
    if not kept:
        raise MissingDataError(
            f"no patient of cohort {cohort.name!r} has a tumour outlined", remedy="add segmentations"
        )
    table = cohort.participants.loc[kept]
    return Patients(
        images=torch.stack(images), masks=torch.stack(masks), present=torch.stack(present), table=table,
        modalities=channels,
    )  # fmt: skip


def extract_crops(slices: Slices, ids: Sequence[str], *, crop: int) -> tuple[Tensor, Tensor]:
    """A cube around the middle of the tumour of every patient, voxels of the edge of a pixel.

    Returns:
        ``(N, K, c, c, c)`` float32 in [0, 1] and ``(N, c, c, c)`` bool, whole tumour.
    """
    images, masks = [], []
    how = {"size": slices.size, "field": slices.field, "modalities": slices.modalities}
    for store, row in _volumes(slices.cohort(), ids, **how):  # type: ignore[arg-type]
        centre = np.array([center_of_mass((store.labels[row] > 0).numpy())])
        cube, labels = store.take_patches([row], centre, (crop,) * 3)
        images.append(cube[0])
        masks.append(labels[0] > 0)
    return torch.stack(images), torch.stack(masks)


def _volumes(
    cohort: Cohort, ids: Sequence[str], *, size: int, field: float, modalities: Sequence[str]
) -> Iterator[tuple[ImageStore, int]]:
    """A store and a row of it for every patient with a tumour."""
    cohort.require(*modalities, "seg")
    chosen = [subject for subject in ids if isinstance(cohort.participants.loc[subject, "seg"], str)]
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        store = prepare(
            cohort, modalities=modalities, ids=part, grid=(size,) * 3, spacing=field / size, normalise="minmax"
        )
        for row in range(len(store.ids)):
            if (store.labels[row] > 0).any():
                yield store, row


def tumour_positions(tumour: Tensor, *, axis: int, count: int) -> Tensor:
    """Where to cut: positions along ``axis`` that divide the tumour's volume at ``(i + 1/2) / count``.

    Slices next to each other show nearly the same; these are spread over the tumour, and all of them hold tumour.
    """
    area = tumour.sum(dim=[other for other in range(3) if other != axis]).double()
    share = area.cumsum(0) / area.sum()
    wanted = (torch.arange(count).double() + 0.5) / count
    return torch.searchsorted(share, wanted)


def enhanced(images: Tensor, masks: Tensor, *, background: float = BACKGROUND, space: int = 2) -> Tensor:
    """Images ``(..., C, *space)`` times their mask ``(..., *space)``: 1 in the tumour, ``background`` outside.

    Args:
        images, masks: to multiply.
        background: the paper gives 1/3 for the mask of the GAN's loss, and no number for the classifier's input.
        space: dimensions of space, 2 or 3.
    """
    return images * torch.where(masks, 1.0, background).unsqueeze(-space - 1)
