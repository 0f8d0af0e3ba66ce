"""Patients of Ge 2020 made for tests: without a cohort, in a partition that jobs can open."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.papers.ge2020 import data
from radlib.papers.ge2020.cases import Translated, directions
from radlib.papers.ge2020.data import Partition, Patients, Slices
from radlib.study.cohorts import Source

SLICES = Slices(source=Source("tcga-idh", profile="smoke"), size=16)
RUN = Partition(slices=SLICES, run=1)


def some_patients(n: int, *, size: int = 16, seed: int = 0, masks: float = 0.7) -> Patients:
    """Random slices; every other patient is mutant, and of LGG."""
    generator = torch.Generator().manual_seed(seed)
    mutant = np.arange(n) % 2 == 1
    table = pd.DataFrame(
        {"idh": np.where(mutant, "mutant", "wildtype"), "collection": np.where(mutant, "LGG", "GBM"),
         "age": 30.0 + np.arange(n), "grade": 3.0},
        index=[f"p{k:03d}" for k in range(n)],
    )  # fmt: skip
    return Patients(
        images=torch.rand((n, 6, 4, size, size), generator=generator),
        masks=torch.rand((n, 6, size, size), generator=generator) > masks,
        present=torch.ones((n, 4), dtype=torch.bool), table=table,
    )  # fmt: skip


def bright_mutants(n: int, *, size: int = 16) -> Patients:
    """Patients whose tumour is bright in FLAIR if mutant; every third is of GBM."""
    found = some_patients(n, size=size)
    found.images.mul_(0.3)
    found.masks[:] = False
    found.masks[..., 4:12, 4:12] = True
    found.images[torch.arange(n) % 2 == 1, :, 3, 4:12, 4:12] += 0.7
    found.table["collection"] = np.where(np.arange(n) % 3 == 0, "GBM", "LGG")
    return found


def without_t2(patients: Patients) -> Patients:
    """The same patients with three modalities, as the real ones have."""
    return Patients(
        images=patients.images[:, :, [0, 1, 3]], masks=patients.masks, present=patients.present[:, [0, 1, 3]],
        table=patients.table, modalities=("t1", "t1ce", "flair"),
    )  # fmt: skip


def unchanged(patients: Patients) -> Translated:
    """A perfect translator: the real image of the other modality."""
    return Translated(ids=patients.ids, images={(a, b): patients.images[:, :, b] for a, b in directions()})


def opened(monkeypatch: pytest.MonkeyPatch, patients: Patients, others: Patients | None = None) -> None:
    """Let jobs find these patients: ``others`` in a cohort with options of its own."""
    monkeypatch.setattr(data, "_opened", lambda slices: others if others and slices.source.own else patients)
