"""Toy subjects on which the networks of Islam 2020 are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter

from radlib.core.seeds import rng
from radlib.data.cohort import COLUMNS, NUMBER_COLUMNS, Cohort
from radlib.data.nifti import write_volume
from radlib.data.store import ImageStore
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.stats.protocols import ProtocolRun, RepeatedFolds
from radlib.study.cohorts import forget

IDS = tuple(f"s{number}" for number in range(8))
MODALITIES = ("t1", "t1ce", "t2", "flair")


@pytest.fixture(scope="module")
def store() -> ImageStore:
    """Eight brains of 24 x 24 x 6; T1c shows enhancing tumour, FLAIR oedema, T2 the core, T1 nothing."""
    random = rng(0, "toy")
    images = np.zeros((8, 4, 24, 24, 6), np.float32)
    labels = np.zeros((8, 24, 24, 6), np.uint8)
    for row in range(8):
        x, y = random.integers(6, 13, size=2)
        labels[row, x : x + 6, y : y + 6, 1:5] = 2
        labels[row, x + 1 : x + 5, y + 1 : y + 5, 1:5] = 4
        labels[row, x + 2 : x + 4, y + 2 : y + 4, 2:4] = 1
        images[row, :, 2:22, 2:22, :] = random.normal(0, 0.2, size=(4, 20, 20, 6))
        for channel, label in ((1, 4), (3, 2), (2, 1)):
            images[row, channel][labels[row] == label] += 3
    return ImageStore(
        ids=IDS, modalities=MODALITIES, spacing=(2.0, 2.0, 2.0), images=torch.from_numpy(images),
        labels=torch.from_numpy(labels), present=torch.ones(8, 4, dtype=torch.bool),
        has_labels=torch.ones(8, dtype=torch.bool), affines=np.tile(np.eye(4), (8, 1, 1)), normalisation="zscore",
    )  # fmt: skip


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Six subjects of 16x16x8 voxels; T2 follows T1ce. The last lacks T2, the one before T1ce and FLAIR too."""
    root = tmp_path_factory.mktemp("cohort")
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    rows = {}
    for number in range(6):
        generator = np.random.default_rng(number)
        base = np.zeros((16, 16, 8), np.float32)
        field = gaussian_filter(generator.normal(size=(12, 10, 6)), 1.5)
        base[2:14, 3:13, 1:7] = 1 + 99 * (field - field.min()) / np.ptp(field)
        labels = np.zeros(base.shape, np.uint8)
        labels[5:9, 5:9, 3:5] = 4
        labels[6:8, 6:8, 3:5] = 1
        labels[5:9, 9:11, 3:5] = 2
        images = {
            "t1": base + (base != 0), "t1ce": base,
            "t2": np.where(base != 0, 20 + base / 2, 0), "flair": base[::-1].copy(),
        }  # fmt: skip
        if number >= 4:
            del images["t2"]
        if number == 4:
            del images["t1ce"], images["flair"]
        row = {"seg": f"{number}-seg.nii.gz"}
        write_volume(root / row["seg"], labels, affine=affine, dtype=np.uint8)
        for name, data in images.items():
            row[name] = f"{number}-{name}.nii.gz"
            write_volume(root / row[name], data, affine=affine)
        rows[f"s{number}"] = row
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(COLUMNS)).astype(object)
    table.index.name = "id"
    return Cohort(name="six", source="user", root=root, participants=table)


@pytest.fixture
def whole(six: Cohort, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cohort]:
    """What every role opens: the subjects of ``six`` with all that T2 follows from, ten of them, under other names."""
    table = six.participants.iloc[[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]].set_axis([f"p{k}" for k in range(10)])
    table.index.name = "id"
    cohort = Cohort(name="ten", source="user", root=six.root, participants=table)
    monkeypatch.setattr("radlib.study.cohorts.open_cohort", lambda role, **_: cohort)
    forget()
    yield cohort
    forget()


def _made_up(n: int = 36, *, signal: float = 0.0) -> Cohort:
    draw = np.random.default_rng(0)
    index = pd.Index([f"p{i:02d}" for i in range(n)], name="id")
    table = pd.DataFrame(index=index, columns=list(COLUMNS), dtype=object)
    table = table.astype(dict.fromkeys(NUMBER_COLUMNS, float))
    genes = pd.DataFrame(draw.normal(size=(n, 120)), index=index, columns=[f"g{j}" for j in range(120)])
    radiomics = pd.DataFrame(draw.normal(size=(n, 30)), index=index, columns=[f"r{j}" for j in range(30)])
    radiomics.iloc[0, 0] = np.nan
    radiomics["constant"] = 1.0
    table["age"] = draw.uniform(30, 80, n)
    table["survival_days"] = np.linspace(50, 800, n).round()
    table["event"] = 1.0
    genes["g7"] += signal * (table["survival_days"] - 425) / 220
    return Cohort(
        name="made up", source="user", root=Path("."), participants=table, expression=genes, radiomics=radiomics
    )


@pytest.fixture(scope="session")
def made_up() -> Callable[..., Cohort]:
    """Makes patients with genes, features and survival; ``signal`` lets one gene act."""
    return _made_up


@pytest.fixture(scope="session")
def survival_runs() -> tuple[rg.Study, dict[str, ProtocolRun]]:
    study = rg.study_of(_made_up())
    return study, {
        reading: rg.run_reading(
            study, reading=reading, splitter=RepeatedFolds(n_repeats=1), n_radiomic=4, n_genomic=15, n_permutations=2
        )
        for reading in ("days", "classes")  # type: ignore[misc]
    }
