"""Networks of Figure 1(a), sizes of their training, and whose images they are trained and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from radlib.data.cohort import Cohort
from radlib.data.splits import Split, k_fold
from radlib.data.store import ImageStore
from radlib.papers.li2017.data import (
    MODALITIES,
    Normalisation,
    Patients,
    Second,
    divide,
    encoder_patients,
    first_cohort,
    second_cohort,
)
from radlib.papers.li2017.networks import Padding, TumourCNN
from radlib.study.cohorts import Images
from radlib.training.settings import Precision


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes and hyper-parameters of one training.

    Attributes:
        convolutions, filters, neurons, patch, dropout, padding: of the network.
        tumour_share: of the patches.
        normalisation: of the patches, see :mod:`radlib.papers.li2017.data`.
        steps, batch_size: length.
        learning_rate, momentum, weight_decay, schedule, clip_norm: of SGD.
        evaluations: how often loss and accuracy on unseen patches are measured.
        threshold: ``half`` takes a probability above one half for tumour; ``natural`` undoes the share of tumour
            patches by Bayes' rule, with the share of tumour in the brains of the training patients; ``dice`` takes
            the one with the best mean DSC of training patients.
        n_calibrated: training patients for that.
        smoothing: edge of the 3D box that smooths the segmentation, voxels.
        precision: of training and inference.
    """

    convolutions: int = 6
    filters: tuple[int, int] = (16, 32)
    neurons: int = 256
    patch: int = 33
    dropout: float = 0.5
    padding: Padding = "valid"
    tumour_share: float = 0.4
    normalisation: Normalisation = "training"
    steps: int = 240
    batch_size: int = 64
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "one_cycle"
    clip_norm: float | None = 1.0
    evaluations: int = 8
    threshold: Literal["half", "natural", "dice"] = "dice"
    n_calibrated: int = 12
    smoothing: int = 3
    precision: Precision = "auto"

    def network(self, modalities: int) -> TumourCNN:
        """A new network, its weights drawn from torch's generator."""
        return TumourCNN(
            modalities, self.convolutions, filters=self.filters, neurons=self.neurons, patch=self.patch,
            dropout=self.dropout, padding=self.padding,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One network of the paper.

    Attributes:
        convolutions: 4 or 6.
        wide: whether it has the larger number of neurons.
        modalities: its channels.
        cohort: whose patients it is trained and tested on.
    """

    convolutions: int = 6
    wide: bool = True
    modalities: tuple[str, ...] = MODALITIES[:1]
    cohort: Literal["first", "second"] = "first"

    @property
    def name(self) -> str:
        """Such as ``conv6_wide_flair``."""
        return f"conv{self.convolutions}_{'wide' if self.wide else 'narrow'}_{'_'.join(self.modalities)}"

    def title(self, neurons: Sequence[int]) -> str:
        """As it is called in tables and figures, for these numbers of neurons (narrow, wide)."""
        names = " + ".join({"flair": "FLAIR", "t1ce": "T1c"}[name] for name in self.modalities)
        return f"{self.convolutions} conv., {neurons[self.wide]} neurons, {names}"


VARIANTS: dict[str, Variant] = {
    "conv4_narrow": Variant(convolutions=4, wide=False),
    "conv6_narrow": Variant(wide=False),
    "conv4_wide": Variant(convolutions=4),
    "conv6_wide": Variant(),
    "multiple": Variant(modalities=MODALITIES),
}
"""Figure 1(a): from the network that the paper starts from (4 convolutions, 256 neurons, FLAIR) to its own."""

SECOND = Variant(cohort="second")
"""The network for FLAIR whose features the paper takes: "built using the second cohort"."""

CHANGES: dict[str, tuple[str, str]] = {
    "deeper (narrow)": ("conv6_narrow", "conv4_narrow"), "deeper (wide)": ("conv6_wide", "conv4_wide"),
    "wider (4 conv.)": ("conv4_wide", "conv4_narrow"), "wider (6 conv.)": ("conv6_wide", "conv6_narrow"),
    "deeper and wider": ("conv6_wide", "conv4_narrow"), "T1c added": ("multiple", "conv6_wide"),
}  # fmt: skip
"""What the paper changes: arms after and before."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Patients and images: what all networks of the chapters share.

    Attributes:
        images: of the cohort, with both modalities.
        n_train: training patients of a cohort; the others are tested.
        seed: of the division and of all trainings.
        second: who of the first cohort is also in the second.
        n_folds: folds by patient in which segmentation is tested, instead of one division; 0 for one division.
    """

    images: Images
    n_train: int
    seed: int
    second: Second = "share"
    n_folds: int = 0

    def cohort(self) -> Cohort:
        """The patients with FLAIR and a segmentation."""
        return self.images.source.open().complete("flair", "seg")

    def store(self) -> ImageStore:
        """Their images."""
        return self.images.open(tuple(self.cohort().ids))

    def split(self, cohort: Literal["first", "second"] = "first") -> Split:
        """Training and test patients of one of the paper's cohorts."""
        everyone = self.cohort()
        ids = (
            first_cohort(everyone) if cohort == "first"
            else second_cohort(everyone.participants, second=self.second, seed=self.seed)
        )  # fmt: skip
        return divide(everyone, ids, n_train=self.n_train, seed=self.seed)

    def tests(self, modalities: Sequence[str], *, cohort: Literal["first", "second"] = "first") -> list[Split]:
        """The divisions in which a segmentation is tested: one, or folds of all patients with these modalities.

        With other modalities a patient stays in the same fold.
        """
        if not self.n_folds:
            return [self.split(cohort)]
        people = self.cohort().participants
        has = set(people.index[people[list(modalities)].notna().all(axis=1)])
        return [
            Split(name=fold.name, train=tuple(s for s in fold.train if s in has),
                  test=tuple(s for s in fold.test if s in has))
            for fold in k_fold([str(one) for one in people.index], n_folds=self.n_folds, seed=self.seed)
        ]  # fmt: skip

    def known(self) -> Cohort:
        """The patients with FLAIR, a segmentation and IDH status."""
        return self.images.source.open().complete("flair", "seg", "idh")

    def patients(self, *, n_encoder: int) -> Patients:
        """Who of them belongs to what; ``n_encoder`` patients fit each dictionary."""
        table = self.known().participants
        first = tuple(str(subject) for subject in table.index[table["t1ce"].notna()])
        second = tuple(second_cohort(table, second=self.second, seed=self.seed))
        trained, single = self.split("first").train, self.split("second").train
        return Patients(
            first=first, second=second, trained=trained, trained_single=single,
            encoder=encoder_patients(first, trained=trained, n=n_encoder, seed=self.seed),
            encoder_single=encoder_patients(second, trained=single, n=n_encoder, seed=self.seed),
        )  # fmt: skip
