"""The LGG MRI segmentation set: slices become volumes, a copied channel a missing modality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.nifti import read_labels, read_volume
from radlib.data.readers import lgg
from radlib.data.sources import open_cohort
from radlib.data.store import prepare

NAME = "TCGA_CS_0001_19990101"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine slices of 32 x 32; the tumour is on slices 9 and 10, which sort after 11 as text."""
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
    case = tmp_path / "set" / NAME
    case.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for number in range(5, 14):
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[4:28, 6:26] = noise.integers(50, 200, (24, 20, 3))
        picture[..., 1] += number * (picture[..., 1] > 0).astype(np.uint8)
        Image.fromarray(picture).save(case / f"{NAME}_{number}.tif")
        mask = np.zeros((32, 32), np.uint8)
        if number in (9, 10):
            mask[8:12, 10:13] = 255
        Image.fromarray(mask).save(case / f"{NAME}_{number}_mask.tif")
    return tmp_path / "set"


def brains(folder: Path, numbers: range = range(5, 14)) -> None:
    place = folder / "brains" / NAME
    place.mkdir(parents=True)
    for number in numbers:
        mask = np.zeros((32, 32), bool)
        mask[6:26, 8:24] = True
        mask[8, 10] = False  # one of the tumour's 24 pixels a slice pair: two of 24 in all
        Image.fromarray(mask).save(place / f"{NAME}_{number}_brain.tif")


def row_of(folder: Path) -> tuple[Path, dict[str, object]]:
    made = lgg.convert(lgg.find_cases(folder))
    return made, lgg.read_json(made / "cases.json")[0]


def test_slices_become_volumes_around_the_tumour(folder: Path) -> None:
    brains(folder)
    (case,) = lgg.find_cases(folder)
    assert case.numbers == (7, 8, 9, 10, 11, 12)
    assert case.person == "TCGA-CS-0001"
    made, row = row_of(folder)
    assert row["brain_mask"] == "file"
    assert row["tumour_lost"] == pytest.approx(2 / 24)
    flair, seg = read_volume(made / str(row["flair"])), read_labels(made / str(row["seg"]), encoding="whole-tumour")
    assert flair.data.shape == (32, 32, 6)
    assert flair.spacing == lgg.VOXEL
    picture = np.asarray(Image.open(folder / NAME / f"{NAME}_9.tif"))
    assert flair.data[12, 20, 2] == picture[20, 12, 1]  # columns first; inside the brain as published
    assert flair.data[6, 20, 2] == 0  # skull
    assert (seg.data == 2).sum() == 24
    assert seg.data[10, 8, 2] == 2


def test_a_copied_channel_is_a_missing_modality(folder: Path) -> None:
    for path in (folder / NAME).glob(f"{NAME}_*[0-9].tif"):
        picture = np.array(Image.open(path))
        picture[..., 2] = picture[..., 1]
        Image.fromarray(picture).save(path)
    _, row = row_of(folder)
    assert "t1ce" not in row
    assert "t1" in row
    assert "flair" in row


def test_masks_that_lack_a_slice_are_not_used(folder: Path) -> None:
    brains(folder, range(5, 10))
    assert row_of(folder)[1]["brain_mask"] == "classical"


def test_other_content_is_another_folder(folder: Path) -> None:
    made, _ = row_of(folder)
    assert row_of(folder)[0] == made
    Image.fromarray(np.full((32, 32, 3), 9, np.uint8)).save(folder / NAME / f"{NAME}_9.tif")
    assert row_of(folder)[0] != made


def test_what_is_wrong_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / NAME / f"{NAME}_9_mask.tif").unlink()
    with pytest.raises(RadlibError, match="slice 9 has no mask"):
        lgg.find_cases(folder)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(folder / NAME / f"{NAME}_9_mask.tif")
    with pytest.raises(RadlibError, match="mode RGB, expected L"):
        lgg.find_cases(folder)
    (folder / NAME / f"{NAME}_9_mask.tif").write_bytes(b"II*\0 no picture")
    with pytest.raises(RadlibError, match="not a readable picture"):
        lgg.find_cases(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="not under the data root"):
        lgg.find_cases(tmp_path / "empty")


def test_classical_mask_takes_the_skull_off() -> None:
    rows, columns = np.mgrid[:128, :128]
    radius = np.hypot(rows - 64, columns - 64)
    head = np.where(radius < 50, 90, 3).astype(np.uint8)
    head[(radius > 44) & (radius < 50)] = 250  # scalp
    (mask,) = lgg.classical_brain_mask(head[None])
    assert not mask[radius > 48].any()
    assert mask[radius < 40].all()
    assert not lgg.classical_brain_mask(np.zeros((1, 8, 8), np.uint8)).any()


@pytest.mark.data
@pytest.mark.slow
def test_the_published_set(real_data: Path) -> None:
    cohort = open_cohort("huashan", cohort="real", root=real_data)
    table = cohort.participants
    assert len(cohort) == 110
    assert table["slices"].sum() == 1807
    assert table[["flair", "t1", "t1ce"]].notna().sum().tolist() == [110, 104, 100]
    counts = table.groupby(["grade", "idh"]).size()
    assert counts.to_dict() == {(2, "mutant"): 45, (2, "wildtype"): 5, (3, "mutant"): 39, (3, "wildtype"): 19}
    assert table["survival_days"].notna().all()
    assert table["event"].sum() == 32
    assert (table["codel_1p19q"] == "codel").sum() == 26
    assert table["tumour_lost"].mean() < 0.005
    one = cohort.ids[0]
    store = prepare(cohort, modalities=("flair", "t1ce"), grid=(128, 128, 44), spacing=(1.5, 1.5, 5.0), ids=[one])
    # Slices of the store are slices of the set: none is mixed from two.
    assert int((store.labels[0] != 0).any(dim=0).any(dim=0).sum()) == table.loc[one, "slices"] - 2 * lgg.MARGIN
