"""Real subjects with a segmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radlib.data.cohort import Cohort, participants_table
from radlib.data.nifti import Volume
from radlib.data.readers.segmented import ZeroBackground, real_subjects


def test_the_value_in_the_corner_becomes_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.full((4, 4, 4), -3.5, np.float32)
    data[1:3, 1:3, 1:3] = 0.0  # zeros inside the brain
    monkeypatch.setattr(Cohort, "volume", lambda *_: Volume(data, np.eye(4), (1.0, 1.0, 1.0)))
    shifted = ZeroBackground(name="toy", source="real", root=Path("."), participants=participants_table([{"id": "s0"}]))
    volume = shifted.volume("s0", "flair").data
    assert volume[0, 0, 0] == 0
    assert (volume[1:3, 1:3, 1:3] == 3.5).all()


@pytest.mark.data
def test_real_subjects_by_what_they_have(real_data: Path) -> None:
    found = real_subjects(real_data, most=2)
    assert {len(names): len(found[names]) for names in found} == {3: 2, 2: 2}
    two = found["t1ce", "flair"]
    assert two.volume(two.ids[0], "flair").data[0, 0, 0] == 0


def test_no_real_subjects_under_an_empty_root(tmp_path: Path) -> None:
    assert real_subjects(tmp_path, most=2) == {}
