"""Toy subjects: cubes of noise as brains, with boxes as tumours whose parts show on their modality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.seeds import rng
from radlib.data.cohort import Cohort, participants_table
from radlib.data.store import ImageStore
from radlib.papers.zhang2021.data import Recipe, Subjects

IDS = tuple(f"s{number}" for number in range(8))


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    return Recipe(
        widths=(4, 8), discriminator_widths=(4, 4), patch=12, batch_size=2, steps=60, learning_rate=2e-2, validations=4,
        windows=(0,), tumour_share=0.5,
    )  # fmt: skip


@pytest.fixture(scope="session")
def store() -> ImageStore:
    """Eight brains of 16 cubed in a grid of 20 cubed; T1c shows enhancing tumour, FLAIR the whole, T2 the core."""
    random = rng(0, "toy")
    images = np.zeros((8, 4, 20, 20, 20), np.float32)
    labels = np.zeros((8, 20, 20, 20), np.uint8)
    for row in range(8):
        x, y, z = random.integers(4, 8, size=3)
        labels[row, x : x + 8, y : y + 8, z : z + 8] = 2
        labels[row, x + 1 : x + 7, y + 1 : y + 7, z + 1 : z + 7] = 4
        labels[row, x + 2 : x + 6, y + 2 : y + 6, z + 2 : z + 6] = 1
        images[row, :, 2:18, 2:18, 2:18] = random.normal(0, 0.2, size=(4, 16, 16, 16))
        for channel, shown in ((1, (4,)), (3, (1, 2, 4)), (2, (1, 4))):
            images[row, channel][np.isin(labels[row], shown)] += 3
    return ImageStore(
        ids=IDS, modalities=("t1", "t1ce", "t2", "flair"), spacing=(2.0, 2.0, 2.0), images=torch.from_numpy(images),
        labels=torch.from_numpy(labels), present=torch.ones(8, 4, dtype=torch.bool),
        has_labels=torch.ones(8, dtype=torch.bool), affines=np.tile(np.eye(4), (8, 1, 1)), normalisation="zscore",
    )  # fmt: skip


@pytest.fixture(scope="session")
def subjects(store: ImageStore) -> Subjects:
    grade = pd.Series(["HGG", "LGG"] * 4, index=list(IDS))
    return Subjects(store=store, train=IDS[:4], tuning=IDS[4:5], held_out=IDS[5:], fewer=IDS[5:7], grade=grade)


@pytest.fixture
def cohort() -> Cohort:
    """Nine subjects; the last has no T2, the one before no segmentation."""
    rows = [
        {
            "id": f"p{number}", "grade_group": "LGG" if number % 3 == 0 else "HGG",
            **{name: f"{number}_{name}.nii" for name in ("t1", "t1ce", "flair")},
            **({"t2": f"{number}_t2.nii"} if number != 8 else {}),
            **({"seg": f"{number}_seg.nii"} if number != 7 else {}),
        }
        for number in range(9)
    ]  # fmt: skip
    return Cohort(name="toy", source="simulated", root=Path("."), participants=participants_table(rows))
