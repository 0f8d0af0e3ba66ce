"""Data of Li 2017: its cohorts, training patches, and how grey values are normalised.

The paper removes the mean grey level of the patches and normalises grey values and variance; whole images are then run
through the network "with the parameters of the training phase". Two readings, which differ in the mean only:

- ``training``: one mean a channel, that of the training patches. It can be applied to a whole image, so this is the
  reading that the paper's test phase needs, and the default.
- ``patch``: every patch loses its own mean. A pixel then has another value in every patch that holds it, and the
  network has no common maps: whole images can only be run patch by patch.

The standard deviation that divides is that of the training patches, after their mean was removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.data.published import published
from radlib.data.regions import region_mask
from radlib.data.splits import Split, hold_out
from radlib.data.store import ImageStore

MODALITIES: tuple[str, ...] = ("flair", "t1ce")
"""Those of the first cohort; the network for one modality takes the first."""

Mask = npt.NDArray[np.bool_]

Normalisation = Literal["training", "patch"]
NORMALISATIONS: tuple[Normalisation, ...] = ("training", "patch")

Second = Literal["share", "all"]
"""Who of those with both modalities also belongs to the second cohort: the paper's share of each class, or all."""


# Patients


def first_cohort(cohort: Cohort) -> list[str]:
    """Patients with FLAIR, contrast-enhanced T1 and a segmentation: the paper's first cohort.

    Raises:
        MissingDataError: if there are fewer than three.
    """
    whole = cohort.participants[[*MODALITIES, "seg"]].notna().all(axis=1)
    ids = [str(subject) for subject in cohort.participants.index[whole]]
    if len(ids) < 3:
        raise MissingDataError(
            f"{len(ids)} patient(s) of cohort {cohort.name!r} have FLAIR, contrast-enhanced T1 and a segmentation",
            remedy="describe a cohort with at least three",
        )
    return ids


def second_cohort(table: pd.DataFrame, *, second: Second, seed: int) -> list[str]:
    """Patients of the paper's second cohort, with FLAIR, a segmentation and IDH status.

    It has all who lack the contrast-enhanced T1. Of the others ``share`` draws so many of each class that the cohort
    has the paper's share of it, 76 of 112 mutant and 34 of 39 wild-type; ``all`` takes everybody.

    Args:
        table: participants with ``flair``, ``t1ce``, ``seg``, ``idh``.
        second: who belongs to both.
        seed: of the draws.
    """
    whole = table[table["flair"].notna() & table["seg"].notna() & table["idh"].notna()]
    if second == "all":
        return [str(subject) for subject in whole.index]
    both = whole["t1ce"].notna()
    chosen = set(whole.index[~both])
    for status, name in (("mutant", "mutation"), ("wildtype", "wildtype")):
        group = whole["idh"] == status
        share = published(f"li2017.table1.second.samples.{name}").value
        share /= published(f"li2017.table1.all.samples.{name}").value
        lacking = max(0, round(share * int(group.sum())) - int((group & ~both).sum()))
        pool = list(whole.index[group & both])
        order = rng(seed, "second cohort", status).permutation(len(pool))
        chosen |= {pool[i] for i in order[:lacking]}
    return [str(subject) for subject in whole.index if subject in chosen]


def divide(cohort: Cohort, ids: Sequence[str], *, n_train: int, seed: int) -> Split:
    """Training and test patients, each with its share of the IDH classes where they are known.

    Args:
        cohort: of the patients.
        ids: whom to divide.
        n_train: training patients, 60 of 119 in the paper.
        seed: the shuffle.

    Raises:
        MissingDataError: if nobody would be left to test.
    """
    if not 0 < n_train < len(ids):
        raise MissingDataError(
            f"{n_train} training patients out of {len(ids)}", remedy="leave at least one on either side"
        )
    return hold_out(ids, test=len(ids) - n_train, seed=seed, stratify=cohort.participants.loc[list(ids), "idh"])


@dataclass(frozen=True, kw_only=True)
class Patients:
    """Who belongs to what.

    Attributes:
        first: with FLAIR and contrast-enhanced T1; deep features from both.
        second: with FLAIR, the comparison with conventional radiomics; shares patients with the first.
        trained: patients of the first cohort whose segmentations trained its network.
        trained_single: patients of the second cohort that trained the network for FLAIR alone.
        encoder: patients from whom the dictionaries of the first cohort were fitted.
        encoder_single: the same for the single modality, from the second cohort.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    trained: tuple[str, ...]
    trained_single: tuple[str, ...]
    encoder: tuple[str, ...]
    encoder_single: tuple[str, ...]

    @property
    def unseen(self) -> tuple[str, ...]:
        """Patients of the first cohort that neither its network nor its dictionary has seen."""
        seen = {*self.trained, *self.encoder}
        return tuple(subject for subject in self.first if subject not in seen)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Every group by the name that tables use."""
        return {
            "first cohort": self.first, "second cohort": self.second,
            "in both": tuple(subject for subject in self.first if subject in set(self.second)),
            "trained the network for both": self.trained, "trained that for FLAIR": self.trained_single,
            "fitted the dictionary for both": self.encoder, "fitted that for FLAIR": self.encoder_single,
            "first cohort, seen by neither": self.unseen,
        }  # fmt: skip


def encoder_patients(ids: Sequence[str], *, trained: Sequence[str], n: int, seed: int) -> tuple[str, ...]:
    """``n`` of the patients (all where there are fewer): those that trained the network first, in random order."""
    known = set(trained)
    order = [ids[i] for i in rng(seed, "encoder").permutation(len(ids))]
    ranked = sorted(order, key=lambda subject: subject not in known)
    chosen = set(ranked[:n])
    return tuple(subject for subject in ids if subject in chosen)


def truth_of(store: ImageStore, subject: str) -> Mask:
    """The reference: whole tumour, ``(X, Y, Z)`` bool."""
    return region_mask(store.subject(subject).labels.cpu().numpy(), "wt")


def flair_of(store: ImageStore, subject: str) -> npt.NDArray[np.float32]:
    """FLAIR ``(X, Y, Z)``, 0 outside the brain."""
    image: npt.NDArray[np.float32] = store.subject(subject).image("flair").cpu().numpy()
    return image


def natural_share(store: ImageStore, subjects: Sequence[str]) -> float:
    """Share of the brain's voxels that are tumour, all patients together."""
    tumour = sum(int(truth_of(store, subject).sum()) for subject in subjects)
    return tumour / sum(int((flair_of(store, subject) != 0).sum()) for subject in subjects)


# Patches


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How grey values become the network's input.

    Attributes:
        kind: one of :data:`NORMALISATIONS`.
        mean, std: of the training patches, a value a channel; ``mean`` is 0 for ``patch``.
    """

    kind: Normalisation
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Patches, or for ``training`` images of any size, ``(B, C, H, W)``, as the network takes them."""
        mean = images.mean(dim=(2, 3), keepdim=True) if self.kind == "patch" else self._column(self.mean, images)
        return (images - mean) / self._column(self.std, images)

    @staticmethod
    def _column(values: Sequence[float], images: Tensor) -> Tensor:
        return images.new_tensor(values)[:, None, None]

    def as_dict(self) -> dict[str, Any]:
        """For the header of a file of weights; ``Scaling(**...)`` builds it again."""
        return {"kind": self.kind, "mean": list(self.mean), "std": list(self.std)}


class PatchSampler:
    """Draws square axial patches of a store: a share of them around tumour, the rest anywhere else in the brain.

    A patient is drawn first and a voxel of it second, so large tumours are not seen more often than small ones.

    Args:
        store: images and labels.
        ids: patients to draw from.
        modalities: channels.
        patch: edge, pixels, odd.
        tumour_share: of patches whose middle pixel is whole tumour, 0 to 1; 0.4 in the paper.

    Raises:
        RadlibError: if a share is impossible, or no patient has a tumour (or brain without tumour).
    """

    def __init__(
        self, store: ImageStore, ids: Sequence[str], *, modalities: Sequence[str], patch: int, tumour_share: float
    ) -> None:
        if not 0 <= tumour_share <= 1:
            raise RadlibError(f"the share of tumour patches is {tumour_share}", remedy="give a share from 0 to 1")
        self.store, self.patch, self.tumour_share = store, patch, tumour_share
        self.channels = store.channels(modalities)
        self.tumour: list[tuple[int, npt.NDArray[np.int32]]] = []
        self.other: list[tuple[int, npt.NDArray[np.int32]]] = []
        for row in store.rows(ids):
            mask = region_mask(store.labels[row], "wt")
            brain = (store.images[row, self.channels] != 0).any(dim=0)
            for places, where in ((self.tumour, mask), (self.other, brain & ~mask)):
                flat = torch.nonzero(where.flatten())[:, 0].cpu().numpy().astype(np.int32)
                if len(flat):
                    places.append((row, flat))
        if (tumour_share and not self.tumour) or (tumour_share < 1 and not self.other):
            raise RadlibError(
                f"{len(ids)} patient(s) have no voxel to cut patches around",
                remedy="give patients with images and segmentations, or another share of tumour patches",
            )

    def draw(self, n: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """``n`` patches ``(n, C, patch, patch)`` as in the store, and the class of their middle pixels ``(n,)`` int64.

        ``round(tumour_share * n)`` come first and are tumour (1), the rest is not (0). Beyond the image is 0.
        """
        n_tumour = round(self.tumour_share * n)
        rows, places = [], []
        for source, count in ((self.tumour, n_tumour), (self.other, n - n_tumour)):
            for chosen in generator.integers(len(source), size=count) if count else ():
                row, flat = source[chosen]
                rows.append(row)
                places.append(int(flat[generator.integers(len(flat))]))
        centres = np.stack(np.unravel_index(np.array(places, dtype=np.int64), self.store.grid), axis=1)
        images, _ = self.store.take_patches(rows, centres, (self.patch, self.patch, 1))
        classes = torch.zeros(n, dtype=torch.int64, device=images.device)
        classes[:n_tumour] = 1
        return images[:, self.channels, :, :, 0], classes


def fit_scaling(sampler: PatchSampler, *, kind: Normalisation, seed: int, n: int = 1024) -> Scaling:
    """The parameters of the training phase, from ``n`` training patches.

    Raises:
        RadlibError: for an unknown kind, or a channel that is constant.
    """
    if kind not in NORMALISATIONS:
        raise RadlibError(f"unknown normalisation {kind!r}", remedy=f"use one of {', '.join(NORMALISATIONS)}")
    patches, _ = sampler.draw(n, rng(seed, "scaling"))
    values = patches.double()
    if kind == "patch":
        values = values - values.mean(dim=(2, 3), keepdim=True)
        mean = torch.zeros(patches.shape[1], dtype=torch.float64)
    else:
        mean = values.mean(dim=(0, 2, 3))
    std = values.std(dim=(0, 2, 3))
    if bool((std <= 0).any()):
        raise RadlibError("a modality is constant over all training patches", remedy="leave the modality out")
    return Scaling(kind=kind, mean=tuple(map(float, mean)), std=tuple(map(float, std)))
