"""Checks of a set of slices: every problem is named, a copied channel is a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radlib.data.check.images import scan
from radlib.data.check.slices import check_slices
from radlib.data.findings import Finding
from radlib.data.manifests import load_manifest

NAME = "TCGA_CS_0001_19990101"
MANIFEST = load_manifest("lgg-segmentation")


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Four slices; the tumour is on two of them."""
    folder = tmp_path / "lgg-segmentation" / "kaggle_3m" / NAME
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in (8, 9, 10, 11):
        Image.fromarray(random.integers(1, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{NAME}_{number}.tif")
        mask = np.zeros((32, 32), np.uint8)
        mask[4:20, 6:20] = 255 * (number in (9, 10))
        Image.fromarray(mask).save(folder / f"{NAME}_{number}_mask.tif")
    return folder


def found(case: Path) -> list[Finding]:
    assert MANIFEST.images is not None
    root = case.parents[2]
    (subject,), findings = scan(MANIFEST, root)
    assert findings == []
    return check_slices(MANIFEST.name, root, MANIFEST.images, subject).findings


def kinds(case: Path) -> list[tuple[str, str]]:
    return [(one.severity, one.kind) for one in found(case)]


def test_a_sound_case_has_no_findings_and_is_described(case: Path) -> None:
    assert kinds(case) == []
    assert MANIFEST.images is not None
    (subject,), _ = scan(MANIFEST, case.parents[2])
    result = check_slices(MANIFEST.name, case.parents[2], MANIFEST.images, subject)
    assert result.images == 8
    assert set(result.described) == {"flair", "mask"}
    assert result.masks == {"mask"}


def test_a_copied_channel_is_a_note(case: Path) -> None:
    for path in case.glob(f"{NAME}_*[0-9].tif"):
        picture = np.array(Image.open(path))
        picture[..., 0] = picture[..., 1]
        Image.fromarray(picture).save(path)
    (one,) = found(case)
    assert (one.severity, one.kind) == ("note", "duplicate-image")
    assert "t1 is a copy of flair" in one.message


def test_slices_that_lack_are_named(case: Path) -> None:
    (case / f"{NAME}_9_mask.tif").unlink()
    (one,) = found(case)
    assert (one.kind, one.message) == ("missing-file", "a slice or its mask lacks: 9")
    (case / f"{NAME}_9.tif").unlink()
    (one,) = found(case)
    assert one.message == "slices lack between the first and the last: 9"


@pytest.mark.parametrize(
    ("file", "picture", "kind"),
    [
        ("9_mask", np.full((32, 32), 7, np.uint8), "unexpected-label"),
        ("9_mask", np.zeros((32, 30), np.uint8), "shape-differs"),
        ("9", np.zeros((32, 32), np.uint8), "unreadable"),  # one channel
        ("10", np.zeros((30, 32, 3), np.uint8), "shape-differs"),
    ],
)
def test_wrong_pictures_are_named(case: Path, file: str, picture: np.ndarray, kind: str) -> None:
    Image.fromarray(picture).save(case / f"{NAME}_{file}.tif")
    assert ("error", kind) in kinds(case)


def test_a_damaged_picture_and_no_tumour_are_named(case: Path) -> None:
    for number in (9, 10):
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(case / f"{NAME}_{number}_mask.tif")
    assert kinds(case) == [("error", "constant-image")]
    whole = (case / f"{NAME}_8.tif").read_bytes()
    (case / f"{NAME}_8.tif").write_bytes(whole[:100])
    assert kinds(case) == [("error", "unreadable")]
