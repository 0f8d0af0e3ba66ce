"""RGB images to segment in 2D: simulated shapes, or PASCAL VOC where it is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from radlib.core.errors import MissingDataError, RadlibError

SHAPES = ("ellipse", "rectangle", "ring", "triangle")
"""Kinds of objects, classes 1 to 4; 0 is background."""

VOID = 255
"""Pixels that count for nothing, as at the borders of VOC's objects."""

VOC_FOLDERS = ("voc2012/VOCdevkit/VOC2012", "VOCdevkit/VOC2012")
VOC_CLASSES = 21


def draw_shapes(count: int, random: np.random.Generator, *, edge: int = 64) -> tuple[Tensor, Tensor]:
    """RGB images of coloured objects that hide each other, before a textured ground, under one-sided light and noise.

    Args:
        count: images.
        random: every random number.
        edge: pixels.

    Returns:
        Images ``(count, 3, edge, edge)`` float32, mean 0 and standard deviation 1 each; classes ``(count, edge, edge)``
        int64, 0 or 1 plus the place in :data:`SHAPES`.
    """
    images = np.zeros((count, 3, edge, edge), np.float32)
    classes = np.zeros((count, edge, edge), np.int64)
    y, x = np.mgrid[:edge, :edge] / edge
    for image, labels in zip(images, classes, strict=True):
        ground = gaussian_filter(random.normal(size=(edge, edge)), random.uniform(1, 6))
        image[:] = random.random((3, 1, 1)) + random.uniform(0, 2) * ground
        for _ in range(random.integers(1, 5)):
            kind = int(random.integers(len(SHAPES)))
            mask = _shape(kind, x, y, random)
            texture = gaussian_filter(random.normal(size=(edge, edge)), random.uniform(0.5, 3))
            colour = random.random((3, 1, 1)) + random.uniform(0, 1) * texture
            image[:, mask] = colour[:, mask]
            labels[mask] = kind + 1
        light = 1 + random.uniform(-0.5, 0.5) * (x - 0.5) + random.uniform(-0.5, 0.5) * (y - 0.5)
        image *= light
        image += random.normal(0, random.uniform(0.01, 0.1), size=image.shape)
        image -= image.mean()
        image /= max(float(image.std()), 1e-6)
    return torch.from_numpy(images), torch.from_numpy(classes)


def _shape(kind: int, x: np.ndarray, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
    centre, angle = random.uniform(0.15, 0.85, size=2), random.uniform(0, 2 * np.pi)
    a, b = random.uniform(0.1, 0.3, size=2)
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    distance = (u / a) ** 2 + (v / b) ** 2
    if SHAPES[kind] == "ellipse":
        return distance < 1
    if SHAPES[kind] == "rectangle":
        return (np.abs(u) < a) & (np.abs(v) < b)
    if SHAPES[kind] == "ring":
        return (distance < 1) & (distance > 0.35)
    return (v > -b) & (v < b - 2 * b / a * np.abs(u))


@dataclass(frozen=True, kw_only=True)
class Voc:
    """PASCAL VOC 2012, the segmentation part, as unpacked from the challenge's archive.

    Attributes:
        folder: ``VOCdevkit/VOC2012``.
        names: images of the part that was asked for.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, *, part: str = "train") -> Voc:
        """Find the data set below a data root.

        Raises:
            MissingDataError: if it is not there.
        """
        folders = [root / folder for folder in VOC_FOLDERS]
        folder = next((folder for folder in folders if folder.is_dir()), folders[0])
        listed = folder / "ImageSets" / "Segmentation" / f"{part}.txt"
        if not listed.is_file():
            raise MissingDataError(
                "PASCAL VOC 2012 is not there", file=listed,
                remedy="obtain it as `radlib data show voc2012` says, or pre-train on simulated shapes",
            )  # fmt: skip
        names = tuple(listed.read_text(encoding="utf-8").split())
        if not names:
            raise RadlibError("no image is listed", file=listed)
        return cls(folder=folder, names=names)

    def read(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """An image ``(3, H, W)``, mean 0 and standard deviation 1, and classes ``(H, W)``: 0 to 20, 255 void."""
        from PIL import Image

        with Image.open(self.folder / "JPEGImages" / f"{name}.jpg") as picture:
            image = np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1)
        with Image.open(self.folder / "SegmentationClass" / f"{name}.png") as picture:
            classes = np.asarray(picture, np.int64)  # the palette's indices are the classes
        if classes.shape != image.shape[1:]:
            raise RadlibError(f"image and classes of {name} differ in size", file=self.folder)
        return (image - image.mean()) / max(float(image.std()), 1e-6), classes

    def draw(self, count: int, random: np.random.Generator, *, edge: int) -> tuple[Tensor, Tensor]:
        """``count`` random squares of random images; beyond a small image's border all is void."""
        images, classes = torch.zeros(count, 3, edge, edge), torch.full((count, edge, edge), VOID)
        for place, name in enumerate(random.choice(self.names, size=count)):
            image, labels = self.read(str(name))
            top, left = (int(random.integers(max(1, side - edge + 1))) for side in labels.shape)
            part = torch.from_numpy(labels[top : top + edge, left : left + edge].copy())
            height, width = part.shape
            classes[place, :height, :width] = part
            images[place, :, :height, :width] = torch.from_numpy(image[:, top : top + edge, left : left + edge].copy())
        return images, classes


def find_voc(root: Path | None) -> Voc | None:
    """The training part of PASCAL VOC below a data root, or None where it is not there."""
    if root is None:
        return None
    try:
        return Voc.of(root)
    except MissingDataError:
        return None
