"""The obvious rule, without a network: bright on FLAIR is tumour, bright on T1c within it enhances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from radlib.data.store import ImageStore
from radlib.papers.zhang2021.fusion import Outcome
from radlib.stats.segmentation import dice, score_labels

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
    truths = {s: store.labels[store.rows([s])[0]].cpu().numpy() for s in subjects}
    images = {s: _images(store, s) for s in subjects}
    found = {
        level: float(np.mean([dice(largest(images[s][0] > level), truths[s] > 0) for s in subjects]))
        for level in LEVELS
    }
    flair = max(found, key=lambda level: found[level])
    whole = {s: largest(images[s][0] > flair) for s in subjects}
    found = {
        level: float(np.mean([dice(whole[s] & (images[s][1] > level), truths[s] == 4) for s in subjects]))
        for level in LEVELS
    }
    return Rule(float(flair), float(max(found, key=lambda level: found[level])))


def apply_rule(rule: Rule, store: ImageStore, subjects: Sequence[str], *, runs: Sequence[int]) -> Outcome:
    """The rule's scores; the same for every run, so that networks can be compared with it run by run."""
    labels = {s: rule.segment(store, s) for s in subjects}
    truths = {s: store.labels[store.rows([s])[0]].cpu().numpy() for s in subjects}
    scores = pd.concat(
        [score_labels(labels[s], truths[s], spacing=(store.spacing,) * 3, subject=s) for s in subjects],
        ignore_index=True,
    )
    return Outcome(
        key="rule", scores=pd.concat([scores.assign(run=run) for run in runs], ignore_index=True), labels=labels,
        histories=(),
    )  # fmt: skip


def _images(store: ImageStore, subject: str) -> tuple[np.ndarray, np.ndarray]:
    row = store.rows([subject])[0]
    flair, t1ce = store.channels(["flair", "t1ce"])
    return store.images[row, flair].cpu().numpy(), store.images[row, t1ce].cpu().numpy()
