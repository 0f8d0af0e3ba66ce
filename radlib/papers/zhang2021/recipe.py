"""What can be set about the trainings of Zhang 2021, who takes part, and the patches that are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.data.regions import to_classes
from radlib.data.splits import Split, hold_out
from radlib.data.store import ImageStore
from radlib.training.sampling import epoch_batch
from radlib.training.settings import OptimizerSettings, Precision

Groups = tuple[tuple[str, ...], ...]

PAIRS: Groups = (("t1", "t1ce"), ("t2", "flair"))
"""The paper's pairs A and B (section 3.3): alike within a pair, complementary between them."""

OTHER_PAIRS: Groups = (("t1", "flair"), ("t2", "t1ce"))
"""The pairs of the ablation in section 4.3."""

SINGLES: Groups = (("t1",), ("t1ce",), ("t2",), ("flair",))
"""The naive extension: every modality by itself, six pairs of generators."""

MODALITY_NAMES = {"t1": "T1", "t1ce": "T1c", "t2": "T2", "flair": "FLAIR"}
"""Modalities as the paper writes them."""

Schedule = Literal["constant", "cosine", "polynomial", "one_cycle", "step"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a training that is not the network's kind or the subjects.

    Attributes:
        widths: of the U-Nets.
        discriminator_widths: of the discriminators.
        patch: edge of the cubes that networks are trained on and applied to, voxels.
        batch_size: cubes a batch.
        transition_steps: updates of generators and discriminators, and of self-reconstruction.
        flat_steps: updates of the 2D network.
        steps: updates of the segmentation networks.
        transition_rate, learning_rate: of Adam, in the two stages.
        schedule: of both.
        cycle_weight: lambda of objective (6).
        tumour_share: share of cubes centred in the tumour; the others lie anywhere in the brain.
        window: edge of the cubes that networks are applied to; 0 takes a whole brain at once. Instance norm makes a
            small cube without tumour look like one with tumour, and a whole brain look like none of the cubes that
            were trained on.
        overlap: of neighbouring cubes when a network is applied.
        precision: of autocast.
        validations: how often a training is looked at on held-out subjects; that decides nothing.
        clip_norm: longest gradient.
        checkpoints: how many a training writes where it has a folder; none before its 50th step.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    discriminator_widths: tuple[int, ...] = (16, 32, 64, 128)
    patch: int = 128
    batch_size: int = 1
    transition_steps: int = 40000
    flat_steps: int = 40000
    steps: int = 40000
    transition_rate: float = 1e-4
    learning_rate: float = 1e-4
    schedule: Schedule = "constant"
    cycle_weight: float = 10.0
    tumour_share: float = 1.0
    window: int = 128
    overlap: float = 0.25
    precision: Precision = "auto"
    validations: int = 6
    clip_norm: float | None = 5.0
    checkpoints: int = 40

    def __post_init__(self) -> None:
        if self.patch % 2 ** (len(self.widths) - 1):
            raise RadlibError(
                f"cubes of {self.patch} voxels cannot be halved {len(self.widths) - 1} times",
                remedy=f"give a multiple of {2 ** (len(self.widths) - 1)}, or fewer widths",
            )
        if self.window % 2 ** (len(self.widths) - 1):
            raise RadlibError(
                f"a window of {self.window} voxels cannot be halved {len(self.widths) - 1} times",
                remedy=f"give a multiple of {2 ** (len(self.widths) - 1)}, or 0 for whole brains",
            )
        if self.patch < 2 ** len(self.discriminator_widths) * 2:
            raise RadlibError(
                f"cubes of {self.patch} voxels leave the discriminator nothing behind "
                f"{len(self.discriminator_widths)} strided layers",
                remedy=f"give at least {2 ** len(self.discriminator_widths) * 2}, or fewer discriminator_widths",
            )

    @property
    def roi(self) -> tuple[int, int, int] | None:
        """What a network is applied to at once; None is the whole brain."""
        return (self.window,) * 3 if self.window else None

    @property
    def size(self) -> tuple[int, int, int]:
        """The cube as a shape."""
        return self.patch, self.patch, self.patch

    def optimizer(self, *, transition: bool = False) -> OptimizerSettings:
        """Adam, as the paper has it."""
        rate = self.transition_rate if transition else self.learning_rate
        return OptimizerSettings(kind="adam", learning_rate=rate, schedule=self.schedule)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the header of kept weights."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The inverse of :meth:`as_dict` (JSON turns tuples into lists).

        Raises:
            RadlibError: for a setting that this version does not have.
        """
        if unknown := set(values) - set(cls.__dataclass_fields__):
            raise RadlibError(
                f"a recipe has no setting {sorted(unknown)[0]!r}",
                remedy="these weights are of another version: run the chapter that made them again",
            )
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**plain)


def channels_of(groups: Groups) -> list[str]:
    """All modalities, group after group."""
    return [name for group in groups for name in group]


def spoken(groups: Sequence[str]) -> str:
    """Modalities as the paper writes them, joined by plus."""
    return " + ".join(MODALITY_NAMES[name] for name in groups)


def make_split(cohort: Cohort, *, held_out: int, seed: int) -> Split:
    """Hold out subjects within grade; only subjects with all four modalities and a segmentation take part.

    Raises:
        MissingDataError: if there are too few.
    """
    whole = cohort.complete(*channels_of(PAIRS), "seg")
    if len(whole) < held_out + 2:
        raise MissingDataError(
            f"cohort {cohort.name!r} has {len(whole)} subjects with four modalities and a segmentation, too few to "
            f"hold out {held_out}",
            remedy="use more subjects, or hold out fewer",
        )
    grade = whole.participants["grade_group"].fillna("unknown")
    return hold_out(whole.ids, test=held_out, seed=seed, stratify=grade)


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
        """Look up where tumour and brain are; at most 4096 places of each are kept a subject."""
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
        """Images ``(B, C, *size)`` and classes ``(B, *size)``, int64 with 0 to 3."""
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
            [self.rows[place] for place in chosen], np.array(centres), self.recipe.size
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
        """The same cubes whenever asked: ``count`` of them, for validation."""
        still = replace(self, recipe=replace(self.recipe, batch_size=count, tumour_share=1.0))
        return still.draw(0, rng(self.seed, "fixed"))


def _some(places: Tensor, random: np.random.Generator, most: int = 4096) -> np.ndarray:
    array = places.cpu().numpy().astype(np.int16)
    return array if len(array) <= most else array[random.choice(len(array), size=most, replace=False)]
