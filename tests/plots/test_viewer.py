"""Gallery and viewer: simulated subjects only, nothing loaded, left and right where they belong."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from radlib.core.errors import RadlibError
from radlib.core.paths import project_root
from radlib.data.cohort import Cohort, participants_table
from radlib.data.nifti import Volume, write_volume
from radlib.plots.slices import grey
from radlib.plots.viewer import LARGEST, gallery, linked_viewer, to_lps, viewer_document

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
            linked_viewer(patients, {"t1": patients.volume("s", "t1")}, {})


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


def carried(document: str) -> dict:
    return json.loads(document.partition('type="application/json">')[2].partition("</script>")[0])


def voxels(png: str, shape: list[int]) -> np.ndarray:
    """``(X, Y, Z)``, as the page's script reads them."""
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
    return strip.reshape(shape[::-1]).T


def test_a_viewer_carries_its_voxels_in_place(cohort: Cohort) -> None:
    images = {name: cohort.volume("s", name) for name in ("flair", "t1")}
    labels = cohort.labels("s")
    document = linked_viewer(cohort, images, {"truth": labels})
    assert not re.search(r"https?:|@import|url\(|<link|src=", document)
    data = carried(document)
    assert data["shape"] == [14, 18, 10]  # of 20 x 24 x 16 what is not 0, and no voxel made
    assert [one["title"] for one in data["images"]] == ["flair", "t1"]
    ranks = voxels(data["overlays"][0]["png"], data["shape"]) // 64
    assert (ranks == np.searchsorted([0, 1, 2, 4], labels.data[3:17, 3:21, 3:13])).all()
    wanted = 255 * grey(images["t1"].data)[3:17, 3:21, 3:13]
    assert np.abs(voxels(data["images"][1]["png"], data["shape"]) - wanted).max() <= 0.5
    x, y, z = data["cross"]
    assert ranks[x, y, z]
    assert z == 6  # slice 9 has most tumour


def test_a_viewer_stays_small() -> None:
    """Noise is what PNG cannot compress; finer images than the grid can hold are made coarser."""
    noise = np.random.default_rng(0).uniform(1, 2, size=(150, 180, 140))
    images = {name: Volume(noise, BRATS, (1, 1, 1)) for name in "abcd"}
    document = viewer_document(images, {"truth": Volume((noise > 1.5).astype(np.uint8), BRATS, (1, 1, 1))})
    data = carried(document)
    assert len(document) < LARGEST + 100_000  # labels that are noise, too
    extent = np.multiply(data["shape"], data["spacing"])
    assert (extent >= (150, 180, 140)).all()
    assert (extent < np.add((150, 180, 140), data["spacing"])).all()


def test_a_viewer_needs_an_image() -> None:
    with pytest.raises(RadlibError, match="no picture to show"):
        viewer_document({"t1": Volume(np.zeros((3, 3, 3)), BRATS, (1, 1, 1))}, {})


def test_no_chapter_goes_past_the_guard() -> None:
    for chapter in (project_root() / "notebooks").glob("*.py"):
        assert "viewer_document" not in chapter.read_text(encoding="utf-8"), chapter


@pytest.mark.browser
def test_one_cross_moves_all_images(browser, cohort: Cohort, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    labels = cohort.labels("s")
    found = labels._replace(data=np.where(labels.data == 4, 2, labels.data))
    file = tmp_path / "viewer.html"
    images = {name: cohort.volume("s", name) for name in ("flair", "t1")}
    file.write_text(viewer_document(images, {"truth": labels, "network": found}))
    page = browser.new_page(viewport={"width": 700, "height": 340})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"file://{file}")
    first, second = (page.locator("canvas").nth(number) for number in (0, 1))
    second.wait_for(state="visible")

    def pictures() -> list[str]:
        return [one.evaluate("canvas => canvas.toDataURL()") for one in (first, second)]

    def slice_shown() -> int:
        return int(page.locator("#slice").input_value())

    def changed(before: list[str]) -> bool:
        return all(old != new for old, new in zip(before, pictures(), strict=True))

    start = slice_shown()
    page.mouse.move(100, 100)
    page.mouse.wheel(0, -100)
    assert slice_shown() == start  # the page's own wheel, until the viewer is clicked
    box = first.bounding_box()
    # The enhancing voxel is the fourth of 14 and the seventh of 18.
    first.click(position={"x": box["width"] * 3.5 / 14, "y": box["height"] * 6.5 / 18})
    place = page.locator("#place")
    assert place.inner_text().endswith("truth: enhancing (4) · network: oedema (2)")
    assert place.inner_text().startswith("R 3, A 2, ")
    before = pictures()
    page.mouse.wheel(0, -100)
    assert changed(before)
    page.keyboard.press("PageUp")
    assert slice_shown() == start + 2
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowRight")
    assert place.inner_text().startswith("R 2, A 2, ")
    page.keyboard.press("PageDown")
    assert page.locator("#legend").inner_text().split() == ["missed", "invented", "another", "part"]
    before = pictures()
    page.keyboard.press("o")
    assert changed(before)
    for control, value in (("#overlay", "0"), ("#plane", "sagittal")):
        before = pictures()
        page.select_option(control, value)
        page.wait_for_timeout(100)
        assert changed(before)
    for control in ("#opacity", "#window", "#level"):
        before = pictures()
        page.locator(control).fill("0.1" if control == "#opacity" else "50")
        assert changed(before)
    page.close()
    assert errors == []
