"""The obvious rule, without a network: bright on FLAIR is tumour, bright on T1ce within it enhances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from radlib.data.store import ImageStore
from radlib.stats.segmentation import dice

LEVELS = tuple(np.round(np.arange(0.5, 3.6, 0.25), 2))
"""Thresholds that are tried, standard deviations above the brain's mean."""


@dataclass(frozen=True)
class Rule:
    """Two thresholds, in standard deviations above the mean of the brain.

    Attributes:
        flair: above it, the largest component is the whole tumour.
        t1ce: above it within the whole tumour is enhancing; what it encloses belongs to the core.
    """

    flair: float
    t1ce: float

    def segment(self, store: ImageStore, subject: str) -> np.ndarray:
        """Labels ``(X, Y, Z)`` with 0, 1, 2, 4."""
        flair, t1ce = _images(store, subject)
        whole = largest(flair > self.flair)
        enhancing = whole & (t1ce > self.t1ce)
        core = whole & ndimage.binary_fill_holes(ndimage.binary_closing(enhancing, iterations=2))
        labels = np.where(whole, 2, 0).astype(np.uint8)
        labels[core] = 1
        labels[enhancing] = 4
        return labels


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest component of a mask, face neighbours; an empty mask gives itself."""
    components, count = ndimage.label(mask)
    return components == np.bincount(components.ravel())[1:].argmax() + 1 if count else mask


def fit_rule(store: ImageStore, subjects: Sequence[str]) -> Rule:
    """The thresholds with the best mean Dice of WT, then of ET, over the subjects."""
    images = {subject: _images(store, subject) for subject in subjects}
    truths = {subject: store.subject(subject).labels.cpu().numpy() for subject in subjects}

    def best(found: Callable[[str, float], np.ndarray], truth: Callable[[np.ndarray], np.ndarray]) -> float:
        means = [np.mean([dice(found(s, level), truth(truths[s])) for s in subjects]) for level in LEVELS]
        return float(LEVELS[int(np.argmax(means))])

    flair = best(lambda s, level: largest(images[s][0] > level), lambda labels: labels > 0)
    whole = {subject: largest(images[subject][0] > flair) for subject in subjects}
    return Rule(flair, best(lambda s, level: whole[s] & (images[s][1] > level), lambda labels: labels == 4))


def _images(store: ImageStore, subject: str) -> tuple[np.ndarray, np.ndarray]:
    one = store.subject(subject)
    return one.image("flair").cpu().numpy(), one.image("t1ce").cpu().numpy()
