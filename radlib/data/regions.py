"""BraTS labels as regions and as classes. The same functions take NumPy arrays and torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from radlib.core.errors import RadlibError

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", np.ndarray, "torch.Tensor")

REGIONS: tuple[str, ...] = ("et", "wt", "tc")
"""Enhancing tumour, whole tumour, tumour core: the order of the papers' tables."""

LABELS: tuple[int, ...] = (0, 1, 2, 4)
"""Background, necrotic and non-enhancing core, oedema, enhancing tumour."""

LABELS_OF: dict[str, tuple[int, ...]] = {"et": (4,), "wt": (1, 2, 4), "tc": (1, 4)}
"""The labels that make up each region."""


def region_mask(labels: Array, region: str) -> Array:
    """Where ``labels`` (any shape; 0, 1, 2, 4) belong to ``region`` (``et``, ``wt`` or ``tc``): bool, same shape."""
    if region not in LABELS_OF:
        raise RadlibError(f"unknown region {region!r}", remedy=f"use one of {', '.join(REGIONS)}")
    first, *others = LABELS_OF[region]
    mask = labels == first
    for label in others:
        mask = mask | (labels == label)
    return mask


def to_regions(labels: Array) -> Array:
    """Labels ``(...)`` as masks ``(3, ...)``, bool, in the order of :data:`REGIONS`."""
    masks: list[Any] = [region_mask(labels, region) for region in REGIONS]
    if isinstance(labels, np.ndarray):
        return np.stack(masks)
    import torch

    return torch.stack(masks)


def to_classes(labels: Array) -> Array:
    """Labels 0, 1, 2, 4 as class numbers 0, 1, 2, 3 (int64, for cross-entropy)."""
    classes: Any = labels.astype(np.int64) if isinstance(labels, np.ndarray) else labels.long().clone()
    classes[classes == 4] = 3
    return classes


def from_classes(classes: Any) -> Any:
    """Class numbers 0, 1, 2, 3 as labels 0, 1, 2, 4 (uint8)."""
    labels: Any = classes.astype(np.uint8) if isinstance(classes, np.ndarray) else classes.byte()
    labels[labels == 3] = 4
    return labels
