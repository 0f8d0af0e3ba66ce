"""Small BraTS-like folders, made of numbers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from radlib.data.nifti import write_volume

Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """``write("a/b_t1.nii.gz")`` writes an image of 6x5x4 voxels under ``tmp_path``; ``labels`` makes a label map."""

    def writer(name: str, *, labels: Sequence[int] | None = None, shape: tuple[int, int, int] = (6, 5, 4)) -> Path:
        values = np.random.default_rng(zlib.crc32(name.encode())).permutation(int(np.prod(shape)))
        data = values.astype(np.int16).reshape(shape)
        if labels is not None:
            data = np.zeros(shape, dtype=np.int16)
            data.ravel()[: len(labels)] = labels
        write_volume(tmp_path / name, data, affine=np.diag([-1.0, -1.0, 1.0, 1.0]), dtype=np.int16)
        return tmp_path / name

    return writer
