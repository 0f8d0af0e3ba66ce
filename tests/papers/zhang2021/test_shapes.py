"""Images for pre-training in 2D: simulated shapes, and PASCAL VOC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from radlib.core.errors import MissingDataError
from radlib.core.seeds import rng
from radlib.papers.zhang2021 import shapes


def test_shapes_are_what_they_say() -> None:
    images, classes = shapes.draw_shapes(40, rng(0, "shapes"), edge=32)
    again, _ = shapes.draw_shapes(40, rng(0, "shapes"), edge=32)
    assert torch.equal(images, again)
    assert set(classes.unique().tolist()) == set(range(len(shapes.SHAPES) + 1))
    assert images.mean().item() == pytest.approx(0, abs=1e-4)
    assert images.std(dim=(1, 2, 3)).tolist() == pytest.approx([1.0] * 40, rel=1e-2)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    folder = tmp_path / "voc2012/VOCdevkit/VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    (folder / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    random = np.random.default_rng(0)
    for name, size in (("a", (20, 30)), ("b", (10, 12))):
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(folder / f"JPEGImages/{name}.jpg")
        classes = np.zeros(size, np.uint8)
        classes[2:5, 3:9], classes[5:6, 3:9] = 15, 255
        palette = Image.fromarray(classes, mode=None)
        palette.putpalette([value for value in range(256) for _ in range(3)])
        palette.save(folder / f"SegmentationClass/{name}.png")
    return tmp_path


def test_voc_is_read_and_cut(voc: Path) -> None:
    found = shapes.Voc.of(voc)
    image, classes = found.read("b")
    assert image.shape == (3, 10, 12)
    assert image.mean() == pytest.approx(0, abs=1e-5)
    assert set(np.unique(classes)) == {0, 15, 255}
    images, cut = found.draw(6, rng(0, "voc"), edge=16)
    assert images.shape == (6, 3, 16, 16)
    small = [k for k in range(6) if (cut[k, 10:] == shapes.VOID).all()]
    assert small  # image b is smaller than the square: beyond it all is void
    assert (images[small[0], :, 10:] == 0).all()
    assert found == shapes.find_voc(voc)


def test_voc_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="PASCAL VOC 2012 is not there"):
        shapes.Voc.of(tmp_path)
    assert shapes.find_voc(tmp_path) is None
    assert shapes.find_voc(None) is None
