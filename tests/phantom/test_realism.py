from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.data.cohort import COLUMNS, Cohort
from radlib.data.nifti import write_volume
from radlib.data.readers.brats import read_brats
from radlib.phantom.make import make
from radlib.phantom.realism import PARTS, Appearance, appearance, appearances, compare, mean_intensities, spectrum_slope


@pytest.mark.parametrize("exponent", [-2.0, -3.0])
def test_slope_of_a_known_spectrum(exponent: float) -> None:
    rng = np.random.default_rng(0)
    size = 128
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    frequency[0, 0] = 1
    noise = np.fft.fft2(rng.normal(size=(5, size, size))) * frequency ** (exponent / 2)
    noise[:, 0, 0] = 0
    image = np.moveaxis(np.fft.ifft2(noise).real, 0, -1)
    assert spectrum_slope(image, np.ones(image.shape, dtype=bool), spacing=(1, 1, 1)) == pytest.approx(
        exponent, abs=0.15
    )


def test_means_by_hand(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((24, 24, 24), dtype=np.uint8)
    labels[2:6, 2:6, 2:6] = 2
    base = np.repeat([100.0, 200.0, 300.0], 8)[:, None, None] * np.ones((24, 24, 24))
    row = {"seg": "seg.nii.gz"}
    write_volume(tmp_path / "seg.nii.gz", labels, affine=np.eye(4), dtype=np.uint8)
    for place, name in enumerate(("t1", "t1ce", "t2", "flair")):
        image = base + 50 * place * (labels == 2) + rng.normal(size=base.shape)
        write_volume(tmp_path / f"{name}.nii.gz", image, affine=np.eye(4))
        row[name] = f"{name}.nii.gz"
    table = pd.DataFrame([row], index=pd.Index(["a"], name="id")).reindex(columns=list(COLUMNS))
    cohort = Cohort(name="x", source="user", root=tmp_path, participants=table)
    found = appearance(cohort, "a")
    scale = np.sqrt(20_000 / 3)
    assert found.means.loc["t1", list(PARTS[:3])].to_numpy(dtype=float) == pytest.approx(
        np.array([-100, 0, 100]) / scale, abs=0.03
    )
    assert found.means.loc["flair", "oedema"] == pytest.approx((150 - 100) / scale, abs=0.03)
    assert found.means[["core", "enhancing"]].isna().all(axis=None)
    with pytest.raises(MissingDataError, match="flair"):
        appearance(Cohort(name="x", source="user", root=tmp_path, participants=table.assign(flair=None)), "a")


def test_equal_cohorts_do_not_differ() -> None:
    rng = np.random.default_rng(0)
    means = pd.DataFrame(rng.normal(size=(4, 6)), index=["t1", "t1ce", "t2", "flair"], columns=list(PARTS))
    one = Appearance(means, {name: np.sort(rng.normal(size=199)) for name in means.index}, means["core"])
    table = compare({"a": one}, {"b": one})
    assert table["order"].tolist() == pytest.approx([1] * 4)
    assert table[["difference", "distance"]].to_numpy().max() == 0
    assert table["real distance"].isna().all()


@pytest.mark.data
def test_simulated_against_real_subjects(real_data: Path, tmp_path: Path) -> None:
    """Orderings that every radiologist knows hold on both; histograms are about as near as those of real subjects."""
    real = appearances(read_brats(real_data / "brats-sample"))
    simulated = appearances(make("brats2017", out=tmp_path / "cohort", n=4, grid=(96, 96, 64)))
    for found in (real, simulated):
        means = mean_intensities(found)
        assert means.loc["t1", "dark on T1"] < means.loc["t1", "middle on T1"] < means.loc["t1", "bright on T1"]
        assert means.loc["t1ce", "enhancing"] == means.loc["t1ce"].max()
        assert means.loc["flair", "oedema"] > means.loc["flair", "bright on T1"] > means.loc["flair", "dark on T1"]
        assert means.loc["t2", "oedema"] > means.loc["t2", "bright on T1"]
    table = compare(simulated, real)
    assert len(real) == 3
    assert (table["order"] > 0.3).all()
    assert (table["distance"] < 3 * table["real distance"]).all()
