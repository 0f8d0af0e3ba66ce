"""Who takes part in the studies of Zhang 2021, what can be set about a training, and the cubes that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import rng
from radlib.data.regions import REGIONS, to_classes
from radlib.data.splits import hold_out
from radlib.data.store import ImageStore
from radlib.study.cohorts import Images
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision

Groups = tuple[tuple[str, ...], ...]

PAIRS: Groups = (("t1", "t1ce"), ("t2", "flair"))
"""The paper's pairs A and B (section 3.3): alike within a pair, complementary between them."""

OTHER_PAIRS: Groups = (("t1", "flair"), ("t2", "t1ce"))
"""The pairs of the ablation in section 4.3."""

SINGLES: Groups = (("t1",), ("t1ce",), ("t2",), ("flair",))
"""The naive extension: every modality by itself, six pairs of generators."""

SHARE_2017 = 46 / 66
"""The validation set of BraTS 2017 over that of 2018 (section 4.1)."""


WHOLE_ALONE: tuple[str, ...] = ("wt",)
"""The regions of subjects of whom the whole tumour alone is outlined."""


def channels_of(groups: Groups) -> list[str]:
    """All modalities, group after group."""
    return [name for group in groups for name in group]


def among(groups: Groups, modalities: Sequence[str]) -> Groups:
    """Groups without the modalities that a cohort lacks: the paper's pairs are (T1, T1c) and (FLAIR) without T2."""
    kept = (tuple(name for name in group if name in modalities) for group in groups)
    return tuple(group for group in kept if group)


@dataclass(frozen=True)
class Subjects:
    """Who takes part, and their images.

    Attributes:
        store: images of all.
        train: whom networks are trained on.
        tuning: a part of the training subjects that no network is trained on: learning curves and windows.
        held_out: on whom networks are tested; they decide nothing.
        fewer: those of them that stand for the smaller validation set of BraTS 2017.
        grade: ``HGG`` or ``LGG`` by subject, where known; ``grade 2`` and so on where all are of one of these groups.
        regions: those that are outlined; no other is trained on or scored.
    """

    store: ImageStore
    train: tuple[str, ...]
    tuning: tuple[str, ...]
    held_out: tuple[str, ...]
    fewer: tuple[str, ...]
    grade: pd.Series
    regions: tuple[str, ...] = REGIONS


@dataclass(frozen=True, kw_only=True)
class Data:
    """Images and how their subjects are divided, within grade.

    Attributes:
        images: of the cohort.
        n_held_out: subjects to test on.
        n_tuning: subjects of the rest that are kept out of training, for learning curves and windows.
        seed: of the division.
    """

    images: Images
    n_held_out: int
    n_tuning: int = 0
    seed: int = 0

    def open(self) -> Subjects:
        """Divide those with all modalities of the images and a segmentation, and read their images.

        Raises:
            MissingDataError: if there are too few.
        """
        cohort = self.images.source.open().complete(*self.images.modalities, "seg")
        if len(cohort) < self.n_held_out + self.n_tuning + 2:
            raise MissingDataError(
                f"cohort {cohort.name!r} has {len(cohort)} subjects with {', '.join(self.images.modalities)} and a "
                f"segmentation, too few to hold out {self.n_held_out} and {self.n_tuning}",
                remedy="use more subjects, or hold out fewer",
            )
        grade = cohort.participants["grade_group"]
        if grade.nunique() < 2 and cohort.participants["grade"].nunique() > 1:
            grade = cohort.participants["grade"].map("grade {:g}".format, na_action="ignore")
        encodings = cohort.participants["label_encoding"]
        regions = WHOLE_ALONE if (encodings == "whole-tumour").all() else REGIONS
        known = grade.fillna("unknown")
        whole = hold_out(cohort.ids, test=self.n_held_out, seed=self.seed, stratify=known)
        train, test = whole.train, whole.test
        tuning: tuple[str, ...] = ()
        if self.n_tuning:
            part = hold_out(train, test=self.n_tuning, seed=self.seed, stratify=known.reindex(train))
            train, tuning = part.train, part.test
        few = min(max(1, round(SHARE_2017 * len(test))), len(test) - 1)
        fewer = hold_out(test, test=few, seed=0, stratify=known.reindex(test)).test
        store = self.images.open((*whole.train, *test))
        return Subjects(store, train, tuning, test, fewer, grade, regions)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What can be set about one training; the defaults are the published sizes.

    Attributes:
        widths: of the U-Nets.
        patch: edge of the cubes (in 2D of the images), voxels; or their three edges, as for stacks of thick slices.
        batch_size: cubes a batch.
        steps: updates; the paper prints hours, no number.
        learning_rate: of Adam.
        schedule: of the rate.
        tumour_share: share of cubes centred in the tumour; the others lie anywhere in the brain.
        windows: edges of the cubes that a network is applied to; 0 takes a whole brain. Of several, the tuning subjects
            choose. Instance norm makes a small cube without tumour look like one with tumour, and a whole brain look
            like none of the cubes of the training. An entry may have three edges, too.
        overlap: of neighbouring cubes when a network is applied.
        precision: of autocast; ``auto`` is bf16 on a GPU.
        validations: how often the tuning subjects are tried during a training; that decides nothing.
        clip_norm: longest gradient; the paper mentions none.
        discriminator_widths: filters of the discriminators' strided layers; feature transition only.
        cycle_weight: lambda of objective (6); feature transition only.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    patch: int | tuple[int, int, int] = 128
    batch_size: int = 1
    steps: int = 40000
    learning_rate: float = 1e-4
    schedule: Literal["constant", "cosine", "polynomial", "one_cycle", "step"] = "constant"
    tumour_share: float = 1.0
    windows: tuple[int | tuple[int, int, int], ...] = (128,)
    overlap: float = 0.25
    precision: Precision = "auto"
    validations: int = 6
    clip_norm: float | None = 5.0
    discriminator_widths: tuple[int, ...] = (16, 32, 64, 128)
    cycle_weight: float = 10.0

    def __post_init__(self) -> None:
        for name in ("widths", "windows", "discriminator_widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        multiple = 2 ** (len(self.widths) - 1)
        windows = [edge for window in self.windows for edge in self.roi(window) or ()]
        for name, edges in {"cubes": list(self.cube), "windows": windows}.items():
            if wrong := [edge for edge in edges if edge % multiple or edge < 2 * multiple]:
                raise RadlibError(  # instance norm needs more than one voxel
                    f"{name} of {wrong[0]} voxels cannot be halved {len(self.widths) - 1} times and have two voxels "
                    "left",
                    remedy=f"give a multiple of {multiple} from {2 * multiple} on, or fewer widths",
                )
        if not self.windows:
            raise RadlibError("a network is applied to cubes of some size", remedy="give windows; 0 is a whole brain")

    @property
    def cube(self) -> tuple[int, int, int]:
        """Edges of the cubes, voxels."""
        return self.patch if isinstance(self.patch, tuple) else (self.patch,) * 3

    @property
    def optimizer(self) -> OptimizerSettings:
        """Adam, as the paper has it."""
        return OptimizerSettings(kind="adam", learning_rate=self.learning_rate, schedule=self.schedule)

    @property
    def loop(self) -> LoopSettings:
        """Length, logging, validation and checkpoints of a training."""
        return LoopSettings(
            steps=self.steps, log_every=max(1, self.steps // 40), clip_norm=self.clip_norm, precision=self.precision,
            validate_every=max(1, self.steps // self.validations) if self.validations else None,
            checkpoint_every=max(50, self.steps // 40),
        )  # fmt: skip

    def roi(self, window: int | tuple[int, int, int]) -> tuple[int, int, int] | None:
        """What a network is applied to at once; None is the whole brain."""
        if isinstance(window, tuple):
            return window
        return (window,) * 3 if window else None


PAPER = Recipe()
"""The published sizes."""


@dataclass(frozen=True, kw_only=True)
class PatchSampler:
    """Cubes of subjects, drawn as a function of the step and its generator alone.

    A subject comes once an epoch. The cube's middle is a random voxel of its tumour, or of its brain; left and right
    are swapped in every other cube. Made by :meth:`of`.
    """

    store: ImageStore
    rows: tuple[int, ...]
    channels: tuple[int, ...]
    tumour: tuple[np.ndarray, ...]
    brain: tuple[np.ndarray, ...]
    recipe: Recipe
    seed: int

    @classmethod
    def of(
        cls, store: ImageStore, ids: Sequence[str], *, modalities: Sequence[str], recipe: Recipe, seed: int
    ) -> PatchSampler:
        """Find where tumour and brain are; at most 4096 places of each are kept a subject."""
        rows, tumour, brain = store.rows(ids), [], []
        for row in rows:
            random = rng(seed, "places", store.ids[row])
            inside = _some(torch.nonzero((store.images[row] != 0).any(dim=0)), random)
            lesion = _some(torch.nonzero(store.labels[row]), random)
            brain.append(inside)
            tumour.append(lesion if len(lesion) else inside)
        if not rows or any(not len(places) for places in brain):
            raise RadlibError("there is no brain to draw cubes from", remedy="give subjects with images")
        return cls(
            store=store, rows=tuple(rows), channels=tuple(store.channels(modalities)), tumour=tuple(tumour),
            brain=tuple(brain), recipe=recipe, seed=seed,
        )  # fmt: skip

    def draw(self, step: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images ``(B, C, *cube)`` and classes ``(B, *cube)``, int64 with 0 to 3."""
        size = self.recipe.batch_size
        if len(self.rows) < size:  # a batch may need a subject twice
            chosen = random.choice(len(self.rows), size=size)
        else:
            chosen = epoch_batch(len(self.rows), size, step=step, seed=self.seed)
        centres = []
        for place in chosen:
            among = self.tumour if random.random() < self.recipe.tumour_share else self.brain
            centres.append(among[place][random.integers(len(among[place]))])
        images, labels = self.store.take_patches(
            [self.rows[place] for place in chosen], np.array(centres), self.recipe.cube
        )
        images = images[:, list(self.channels)]
        swap = [number for number in range(len(chosen)) if random.random() < 0.5]
        if swap:
            images[swap], labels[swap] = images[swap].flip(2), labels[swap].flip(1)
        return images, to_classes(labels).long()

    def __call__(self, step: int, random: np.random.Generator) -> dict[str, Tensor]:
        """A batch of segmentation: ``images`` and ``classes``."""
        images, classes = self.draw(step, random)
        return {"images": images, "classes": classes}

    def fixed(self, count: int) -> tuple[Tensor, Tensor]:
        """The same ``count`` cubes whenever asked, for validation."""
        still = replace(self, recipe=replace(self.recipe, batch_size=count, tumour_share=1.0))
        return still.draw(0, rng(self.seed, "fixed"))


def _some(places: Tensor, random: np.random.Generator, most: int = 4096) -> np.ndarray:
    array = places.cpu().numpy().astype(np.int16)
    return array if len(array) <= most else array[random.choice(len(array), size=most, replace=False)]
