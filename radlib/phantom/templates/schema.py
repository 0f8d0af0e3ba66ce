"""The papers' cohorts as recipes: sizes, classes, ages, modalities, missing modalities, sites and what is known.

A :class:`Template` counts; it holds no image and no random number. Its counts hold exactly at its own size; for any
other number of subjects they are scaled and rounded (:func:`apportion`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator, model_validator

from radlib.core.errors import RadlibError, problems_of

Modality = Literal["t1", "t1ce", "t2", "flair"]
Key = TypeVar("Key", bound=Hashable)
MODALITY_ORDER: tuple[Modality, ...] = ("t1", "t1ce", "t2", "flair")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Site(_Strict):
    """A place of scanning.

    Attributes:
        name: goes into the column ``site``.
        protocol: the scanner protocol, a name that :mod:`radlib.phantom.scanner` knows.
        weight: share of the subjects, relative to the other sites.
    """

    name: str = Field(min_length=1)
    protocol: str = Field(min_length=1)
    weight: float = Field(gt=0)


class AgeGroup(_Strict):
    """``count`` subjects of ``low`` <= age < ``high`` years."""

    low: float = Field(ge=0, le=120)
    high: float = Field(gt=0, le=120)
    count: int = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"an age group from {self.low} to {self.high} years is empty")
        return self


class Ages(_Strict):
    """Ages of a stratum: normal with ``mean`` and ``sd`` within ``low`` to ``high``, or within each of ``groups``."""

    mean: float = Field(gt=0, lt=120)
    sd: float = Field(gt=0, le=40)
    low: float = Field(default=18, ge=0)
    high: float = Field(default=90, le=120)
    groups: tuple[AgeGroup, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"ages from {self.low} to {self.high} years leave nobody")
        return self


class Scans(_Strict):
    """``count`` subjects of a stratum that have these modalities and no other; none at all is allowed."""

    modalities: tuple[Modality, ...]
    count: int = Field(ge=0)

    @field_validator("modalities")
    @classmethod
    def _sorted(cls, value: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"a modality is given twice in {value}")
        return tuple(sorted(value, key=MODALITY_ORDER.index))


class Stratum(_Strict):
    """Subjects that are alike in how they came into the cohort.

    Attributes:
        count: how many.
        collection: ``GBM``, ``LGG``, or None.
        split: ``train``, ``validation``, ``test``, or None.
        grade: WHO grade -> how many.
        idh: ``mutant``, ``wildtype`` -> how many.
        sex: ``F``, ``M`` -> how many; the rest are unknown.
        ages: their distribution; where its groups count fewer than ``count``, the rest are unknown. Where both sex
            and age are unknown for some, they are the same subjects.
        scans: which modalities they have.
        survival: how many have a known survival.
    """

    count: int = Field(gt=0)
    collection: Literal["GBM", "LGG"] | None = None
    split: Literal["train", "validation", "test"] | None = None
    grade: dict[Literal[2, 3, 4], int]
    idh: dict[Literal["mutant", "wildtype"], int]
    sex: dict[Literal["F", "M"], int]
    ages: Ages
    scans: tuple[Scans, ...]
    survival: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        def check(what: str, counts: Iterable[int], *, exactly: bool) -> None:
            counts = list(counts)
            if min(counts, default=0) < 0:
                raise ValueError(f"{what} has a negative count: {min(counts)}")
            total = sum(counts)
            if total > self.count or (exactly and total != self.count):
                raise ValueError(f"{what} counts {total} subjects of a stratum of {self.count}")

        check("grade", self.grade.values(), exactly=True)
        check("idh", self.idh.values(), exactly=True)
        check("sex", self.sex.values(), exactly=False)
        check("ages", (group.count for group in self.ages.groups), exactly=False)
        check("scans", (scan.count for scan in self.scans), exactly=True)
        check("survival", (self.survival,), exactly=False)
        return self

    @property
    def grade_group(self) -> Literal["LGG", "HGG"]:
        """``HGG`` where everyone has grade 4, else ``LGG``, as BraTS and the papers group them."""
        return "HGG" if set(self.grade) == {4} else "LGG"


class Template(_Strict):
    """A cohort's recipe.

    Attributes:
        name: the role it plays, such as ``brats2017``.
        title: a line about it.
        strata: its subjects by how they were recruited.
        classes: the column whose balance comes first when the size changes: all strata of one class are rounded
            together. ``idh`` needs strata of one IDH status each; ``grade_group`` tells HGG from LGG.
        sites: where they were scanned; drawn by weight, independently of everything else.
        grid: voxels ``(X, Y, Z)`` of the images.
        spacing: mm ``(X, Y, Z)``.
        expression: whether the 1740 genes are released.
        codel_given_mutant: probability of 1p/19q codeletion of an IDH-mutant tumour between grades 2 and 3.
        volume_ml: median volume of a wild-type grade 4 tumour of mean aggressiveness, ml.
        median_survival: median survival of the reference subject, days: a woman of 60 with a wild-type,
            unmethylated grade 4 tumour of mean aggressiveness and of mean size and genes.
        follow_up: days until the last contact, uniform from the first to the second number and independent of
            everything else; None: everybody is followed until death.
        hidden: columns of ``participants`` that the cohort does not tell.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = Field(min_length=1)
    strata: tuple[Stratum, ...] = Field(min_length=1)
    sites: tuple[Site, ...] = Field(min_length=1)
    classes: Literal["idh", "grade_group"] = "grade_group"
    grid: tuple[int, int, int] = (240, 240, 155)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    expression: bool = False
    codel_given_mutant: float = Field(default=0.28, gt=0, lt=1)
    volume_ml: float = Field(default=100.0, ge=5, le=300)
    median_survival: float = Field(default=410.0, gt=0)
    follow_up: tuple[float, float] | None = None
    hidden: frozenset[Literal["grade", "idh", "codel_1p19q", "mgmt", "collection"]] = frozenset()

    @field_serializer("hidden", when_used="json")
    def _in_order(self, value: frozenset[str]) -> list[str]:
        """A set has no order of its own, and a recipe is compared with the one on disk."""
        return sorted(value)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if min(self.grid) < 8:
            raise ValueError(f"a grid of {self.grid} voxels is too small")
        if min(self.spacing) <= 0 or max(self.spacing) > 10:
            raise ValueError(f"a spacing of {self.spacing} mm is not above 0 and at most 10")
        if self.follow_up is not None and not 0 < self.follow_up[0] < self.follow_up[1]:
            raise ValueError(f"a follow-up from {self.follow_up[0]} to {self.follow_up[1]} days is impossible")
        if self.classes == "idh" and any(len(stratum.idh) > 1 for stratum in self.strata):
            raise ValueError("classes is 'idh', but a stratum has two kinds of IDH status")
        if len({site.name for site in self.sites}) < len(self.sites):
            raise ValueError("two sites have the same name")
        return self

    @property
    def n(self) -> int:
        """The number of subjects at the template's own size."""
        return sum(stratum.count for stratum in self.strata)

    def sizes(self, n: int) -> list[int]:
        """How many subjects of each stratum a cohort of ``n`` has: first its classes are rounded, then the strata.

        Splits are kept apart, so a class of the training part is one, and of the validation part another.
        """

        def group(stratum: Stratum) -> tuple[str | None, str]:
            return stratum.split, next(iter(stratum.idh)) if self.classes == "idh" else stratum.grade_group

        groups: dict[tuple[str | None, str], dict[int, int]] = {}
        for number, stratum in enumerate(self.strata):
            groups.setdefault(group(stratum), {})[number] = stratum.count
        totals = apportion({key: sum(members.values()) for key, members in groups.items()}, n)
        sizes = {
            number: size for key, members in groups.items() for number, size in apportion(members, totals[key]).items()
        }
        return [sizes[number] for number in range(len(self.strata))]

    @property
    def survival(self) -> bool:
        """Whether anybody's survival is known."""
        return any(stratum.survival for stratum in self.strata)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that at least one subject has, in the order t1, t1ce, t2, flair."""
        present = {modality for stratum in self.strata for scan in stratum.scans for modality in scan.modalities}
        return tuple(modality for modality in MODALITY_ORDER if modality in present)


def apportion(counts: Mapping[Key, int], n: int) -> dict[Key, int]:
    """Scale counts to a sum of ``n`` by largest remainders; ties go to the earlier key.

    Args:
        counts: how many of each; their order is kept. Empty, or all zero, is allowed for ``n = 0`` only.

    Raises:
        RadlibError: if ``n`` is negative, or above 0 with nothing to scale.
    """
    total = sum(counts.values())
    if n < 0 or (n > 0 and total == 0):
        raise RadlibError(f"cannot share out {n} subjects over counts {dict(counts)}", remedy="give counts above 0")
    if total == 0:
        return dict.fromkeys(counts, 0)
    whole = {key: value * n // total for key, value in counts.items()}
    rest = {key: value * n % total for key, value in counts.items()}
    by_rest = sorted(counts, key=lambda key: -rest[key])  # sorted() is stable: ties keep their order
    for key in by_rest[: n - sum(whole.values())]:
        whole[key] += 1
    return whole


def parse_template(values: Mapping[str, object], *, file: Path | str | None = None) -> Template:
    """A template from plain values, as in a YAML file.

    Raises:
        RadlibError: naming every value that is unknown, missing or impossible.
    """
    try:
        return Template.model_validate(values)
    except ValidationError as error:
        raise RadlibError(
            f"an impossible template: {problems_of(error)}", file=file, remedy="mend these values and try again"
        ) from error


def quota(counts: Mapping[Key, int], n: int, *, of: int, draw: np.random.Generator) -> list[Key | None]:
    """``n`` values in random order that hold ``counts`` of a stratum of ``of`` subjects, scaled; None is the rest."""
    shares: dict[Key | None, int] = dict(counts.items())
    shares[None] = of - sum(counts.values())
    values = [key for key, number in apportion(shares, n).items() for _ in range(number)]
    return [values[index] for index in draw.permutation(n)]
