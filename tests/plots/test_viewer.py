"""Gallery and viewer: simulated subjects only, nothing loaded, left and right where they belong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort, participants_table
from radlib.data.nifti import Volume, write_volume
from radlib.plots.viewer import external_resources, gallery, interactive_viewer, to_lps

BRATS = np.array([[-1.0, 0, 0, 10], [0, -1.0, 0, 12], [0, 0, 1.0, -8], [0, 0, 0, 1]])


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    shape = (20, 24, 16)
    brain = np.zeros(shape)
    brain[3:17, 3:21, 3:13] = np.random.default_rng(0).normal(100, 10, size=(14, 18, 10))
    labels = np.zeros(shape, dtype=np.uint8)
    labels[5:9, 8:12, 9] = 1
    labels[5:9, 8:10, 8] = 2
    labels[6, 9, 9] = 4
    for name, data in (("flair", brain), ("t1", brain), ("seg", labels)):
        write_volume(tmp_path / f"s_{name}.nii.gz", data, affine=BRATS, dtype=np.float32)
    row = {"id": "s", "age": 60, "sex": "F", "grade": 4, "idh": "mutant"}
    row |= {name: f"s_{name}.nii.gz" for name in ("flair", "t1", "seg")}
    return Cohort(name="x", source="simulated", root=tmp_path, participants=participants_table([row]))


def test_patients_are_not_pictured(cohort: Cohort) -> None:
    for source in ("real", "user"):
        patients = replace(cohort, source=source)
        with pytest.raises(RadlibError, match="no pictures of patients"):
            gallery(patients, ["s"])
        with pytest.raises(RadlibError, match="no pictures of patients"):
            interactive_viewer(patients, "s")


@pytest.mark.parametrize("affine", [BRATS, np.diag([1.0, 1.0, 1.0, 1.0]), np.diag([-2.0, 1.0, -1.0, 1.0])])
def test_radiological_convention(affine: np.ndarray) -> None:
    """A voxel on the patient's left, in front, comes last along x, first along y; higher slices come later."""
    data = np.zeros((4, 5, 6))
    corners = np.array([[x, y, z] for x in (0, 3) for y in (0, 4) for z in (0, 5)])
    world = corners @ affine[:3, :3].T + affine[:3, 3]
    left_front_top = corners[np.argmax(world @ [-1, 1, 1])]
    data[tuple(left_front_top)] = 1
    shown = to_lps(Volume(data, affine, (1, 1, 1)))
    assert np.argwhere(shown == 1).tolist() == [[3, 0, 5]]
    assert shown.shape == (4, 5, 6)


def test_gallery_shows_the_slice_with_most_tumour_and_names_what_is_missing(cohort: Cohort) -> None:
    figure = gallery(cohort, ["s"])
    fields = figure.axes
    assert [axes.get_title() for axes in fields] == ["T1", "T1ce", "T2", "FLAIR", "segmentation"]
    assert [text.get_text() for axes in fields for text in axes.texts] == ["missing", "missing"]
    assert fields[0].get_ylabel() == "s\n60 y F grade 4\nIDH mutant"
    (shown,) = (image.get_array() for image in fields[4].images)
    assert np.ptp(shown, axis=2).astype(bool).sum() == 16  # slice 9: 15 coloured voxels of core, one of enhancing
    plt.close(figure)
    with pytest.raises(RadlibError, match="no picture to show"):
        gallery(cohort, [])


def test_viewer_carries_everything(cohort: Cohort) -> None:
    document = interactive_viewer(cohort, "s", modality="flair")
    assert document.lstrip().lower().startswith("<!doctype html>")
    assert "brainsprite" in document.lower()
    assert "data:image/png;base64," in document
    assert external_resources(document) == []
    assert "http" not in document.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("document", "loads"),
    [
        ('<script src="//cdn.example/x.js"></script>', ["//cdn.example/x.js"]),
        ('<link rel="stylesheet" href="a.css">', ["a.css"]),
        ("<style>@import 'b.css'; p {background: url(c.png)}</style>", ["b.css", "c.png"]),
        ('<p style="background: url(https://e.example/d.png)"></p>', ["https://e.example/d.png"]),
        ('<script>fetch("https://e.example/x")</script>', ["https://e.example/x"]),
        ('<iframe srcdoc="&lt;img src=f.png&gt;"></iframe>', ["f.png"]),
        ('<a href="https://e.example">a click</a><img src="data:image/png;base64,AA">', []),
        ('<svg xmlns="http://www.w3.org/2000/svg"></svg><a href="#top">up</a>', []),
    ],
)
def test_external_resources(document: str, loads: list[str]) -> None:
    assert external_resources(document) == loads
