"""The seven augmentations of Table 1, applied to image and mask alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of Table 1; elastic distortion is in pixels of a 240 x 240 slice and scales with the slice.

    Attributes:
        flip_horizontal, flip_vertical: probabilities.
        alpha, sigma: strength and smoothness of the elastic distortion.
        rotation: largest angle, degrees.
        shift: largest shift, share of the edge, each way.
        shear: largest horizontal shear.
        zoom: largest change of size.
    """

    flip_horizontal: float = 0.5
    flip_vertical: float = 0.5
    alpha: float = 720.0
    sigma: float = 24.0
    rotation: float = 20.0
    shift: float = 0.1
    shear: float = 0.05
    zoom: float = 0.1


REFERENCE_EDGE = 240
"""Pixels of the slices for which the paper gives alpha and sigma."""


def augment(
    images: torch.Tensor, masks: torch.Tensor, random: np.random.Generator, *, how: Augmentation | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Augment slices, each in its own way.

    Args:
        images: ``(B, C, H, W)``, interpolated linearly; 0 comes in from outside.
        masks: ``(B, 1, H, W)``, 0 and 1, taken from the nearest pixel.
        random: of everything random.
        how: ranges.

    Returns:
        Images and masks of the same shapes, moved alike.
    """
    ranges = how or Augmentation()
    grid = torch.stack([_grid(images.shape[-2:], random, ranges) for _ in range(len(images))]).to(images.device)
    moved = functional.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    outlines = functional.grid_sample(masks.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved.to(images.dtype), outlines.to(masks.dtype)


def _grid(shape: torch.Size, random: np.random.Generator, how: Augmentation) -> torch.Tensor:
    """Where each pixel of the result comes from, ``(H, W, 2)`` in units of half an edge."""
    height, width = shape
    angle = np.deg2rad(random.uniform(-how.rotation, how.rotation))
    zoom = 1 + random.uniform(-how.zoom, how.zoom)
    shear = random.uniform(-how.shear, how.shear)
    flip = np.where(random.random(2) < (how.flip_horizontal, how.flip_vertical), -1.0, 1.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(flip) / zoom
    offset = 2 * random.uniform(-how.shift, how.shift, size=2)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    places = np.stack([x, y], axis=-1) @ matrix.T + offset
    if how.alpha:
        scale = width / REFERENCE_EDGE
        for axis, edge in ((0, width), (1, height)):
            noise = gaussian_filter(random.uniform(-1, 1, size=(height, width)), how.sigma * scale, mode="constant")
            # Pixels of displacement, as a share of half the edge. Smoothing over sigma pixels shrinks the noise with
            # 1 / sigma, so alpha scales with the square of the edge.
            places[..., axis] += noise * how.alpha * scale**2 * 2 / edge
    return torch.from_numpy(places.astype(np.float32))
