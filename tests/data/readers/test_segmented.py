"""Real subjects with a segmentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlib.data.readers.segmented import real_subjects


@pytest.mark.data
def test_real_subjects_by_what_they_have(real_data: Path) -> None:
    found = real_subjects(real_data, most=2)
    assert {len(names): len(found[names]) for names in found} == {3: 2, 2: 2}
    two = found["t1ce", "flair"]
    assert two.volume(two.ids[0], "flair").data[0, 0, 0] == 0


def test_no_real_subjects_under_an_empty_root(tmp_path: Path) -> None:
    assert real_subjects(tmp_path, most=2) == {}
