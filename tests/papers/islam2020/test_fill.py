"""Filling in: marked images, provenance, and a second run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from typer.testing import CliRunner

from radlib.cli import app
from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import Cohort
from radlib.papers.islam2020.fill import fill_in, provenance_of
from radlib.papers.islam2020.recipes import HeldOut, SynthesisRecipe
from radlib.papers.islam2020.study_synthesis import generator
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import Job

TINY = SynthesisRecipe(widths=(4, 8), discriminator_widths=(4, 8), steps=1, batch_size=2, crop=0, validations=1)


def trained(target: str, *sources: str, seed: int = 0) -> Job:
    images = Images(source=Source("brats2017", "ten.yml"), grid=(16, 16, 8), spacing=2.0, normalise="minmax")
    return generator(images=images, division=HeldOut(n_test=2), target=target, sources=sources, recipe=TINY, seed=seed)


@pytest.mark.usefixtures("whole")
def test_filled_in_images_are_marked_and_a_second_run_leaves_them(six: Cohort, tmp_path: Path) -> None:
    job = trained("t2", "t1", "t1ce", "flair")
    given = {"missing": "t2", "generators": [job], "out": tmp_path / "out", "device": "cpu"}
    table = fill_in(six, **given).set_index("subject")
    assert table["sources"].to_dict() == {"s4": "t1", "s5": "t1+t1ce+flair"}
    file = tmp_path / "out" / table.loc["s5", "file"]
    found = provenance_of(file)
    assert found is not None
    assert (found["modality"], found["sources"], found["subject"]) == ("t2", ["t1", "t1ce", "flair"], "s5")
    assert found["made_from"]["training"] == job.fingerprint
    assert found["trained_on"] == "8 subjects of ten.yml brats2017"
    image = nib.load(file)
    assert bytes(image.header["descrip"]).startswith(b"SYNTHETIC")
    assert image.shape == (16, 16, 8)
    assert np.asarray(image.dataobj).max() > 0
    assert provenance_of(six.path("s0", "t2")) is None
    before = file.stat().st_mtime_ns
    assert set(fill_in(six, **given)["state"]) == {"there already"}
    assert file.stat().st_mtime_ns == before
    other = trained("t2", "t1", "t1ce", "flair", seed=1)  # another training, another seed: made anew
    for change in ({"generators": [other]}, {"seed": 1}):
        assert set(fill_in(six, **given | change)["state"]) == {"written"}
    shutil.copy(six.path("s0", "t2"), file)  # an image of the user's under this name is not replaced
    state = fill_in(six, **given).set_index("subject")
    assert state.loc["s5", "state"].startswith("failed: there is an image that is not marked as synthetic")
    assert file.read_bytes() == six.path("s0", "t2").read_bytes()


@pytest.mark.usefixtures("whole")
def test_other_orders_of_axes_are_no_difference_and_other_shapes_are_named(six: Cohort, tmp_path: Path) -> None:
    root = tmp_path / "with spaces"
    shutil.copytree(six.root, root)
    for name, order in (("t1", "RAS"), ("flair", "PIR")):
        image = nib.load(root / f"5-{name}.nii.gz")
        turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(order))
        nib.save(image.as_reoriented(turn), root / f"5-{name}.nii.gz")
    cut = nib.load(root / "5-t1ce.nii.gz").slicer[:, :, :-1]
    nib.save(cut, root / "4-t1ce.nii.gz")
    table = six.participants.copy()
    table.loc["s4", "t1ce"] = "4-t1ce.nii.gz"
    other = replace(six, root=root, participants=table)
    given = {"missing": "t2", "generators": [trained("t2", "t1", "t1ce", "flair")], "device": "cpu"}
    states = fill_in(other, **given, out=tmp_path / "turned").set_index("subject")["state"]
    assert states["s5"] == "written"
    assert "has 16 x 16 x 7 voxels, not 16 x 16 x 8: it does not share the grid" in states["s4"]
    assert f"File: {root / '4-t1ce.nii.gz'}. Remedy: bring the images" in states["s4"]
    fill_in(six, **given, out=tmp_path / "as they were")
    made = [nib.load(tmp_path / out / "s5" / "s5_t2_synthetic.nii.gz") for out in ("turned", "as they were")]
    assert nib.aff2axcodes(made[0].affine) == ("R", "A", "S")  # as its t1
    turned, before = (nib.as_closest_canonical(image) for image in made)
    assert np.allclose(turned.affine, before.affine)
    assert np.allclose(turned.get_fdata(), before.get_fdata(), atol=1e-6)


@pytest.mark.usefixtures("whole")
def test_what_cannot_be_filled_in_is_named(six: Cohort, tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="this generator makes t2, not t1ce"):
        fill_in(six, missing="t1ce", generators=[trained("t2", "t1")], out=tmp_path)
    with pytest.raises(RadlibError, match="no generator of t1"):
        fill_in(six, missing="t1", generators=[], out=tmp_path)
    with pytest.raises(MissingDataError, match="every subject of cohort 'six' has t1"):
        fill_in(six, missing="t1", generators=[trained("t1", "t2")], out=tmp_path)


def test_command(tmp_path: Path) -> None:
    arguments = ["synthesise", str(tmp_path), "--missing", "t2", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, RadlibError)  # the folder is no cohort
    assert "--missing" in CliRunner().invoke(app, ["synthesise", "--help"]).output
