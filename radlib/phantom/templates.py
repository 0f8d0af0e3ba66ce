"""The papers' cohorts as recipes: sizes, classes, ages, modalities, missing modalities, sites and what is known.

A :class:`Template` counts; it holds no image and no random number. Its counts hold exactly at its own size; for any
other number of subjects they are scaled and rounded (:func:`apportion`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Literal, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from radlib.core.errors import RadlibError

Modality = Literal["t1", "t1ce", "t2", "flair"]
Key = TypeVar("Key", bound=Hashable)
_ORDER: tuple[Modality, ...] = ("t1", "t1ce", "t2", "flair")


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
        return tuple(sorted(value, key=_ORDER.index))


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
        def check(what: str, counts: Mapping[object, int], *, exactly: bool) -> None:
            if negative := {key: number for key, number in counts.items() if number < 0}:
                raise ValueError(f"{what} has a negative count: {negative}")
            total = sum(counts.values())
            if total > self.count or (exactly and total != self.count):
                raise ValueError(f"{what} counts {total} subjects of a stratum of {self.count}")

        check("grade", dict(self.grade), exactly=True)
        check("idh", dict(self.idh), exactly=True)
        check("sex", dict(self.sex), exactly=False)
        check("ages", {group: group.count for group in self.ages.groups}, exactly=False)
        check("scans", {scan.modalities: scan.count for scan in self.scans}, exactly=True)
        check("survival", {"known": self.survival}, exactly=False)
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
    grid: tuple[int, int, int] = (240, 240, 155)
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    expression: bool = False
    codel_given_mutant: float = Field(default=0.28, gt=0, lt=1)
    volume_ml: float = Field(default=100.0, ge=5, le=300)
    median_survival: float = Field(default=410.0, gt=0)
    follow_up: tuple[float, float] | None = None
    hidden: frozenset[Literal["grade", "idh", "codel_1p19q", "mgmt", "collection"]] = frozenset()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if min(self.grid) < 8:
            raise ValueError(f"a grid of {self.grid} voxels is too small")
        if min(self.spacing) <= 0 or max(self.spacing) > 10:
            raise ValueError(f"a spacing of {self.spacing} mm is not above 0 and at most 10")
        if self.follow_up is not None and not 0 < self.follow_up[0] < self.follow_up[1]:
            raise ValueError(f"a follow-up from {self.follow_up[0]} to {self.follow_up[1]} days is impossible")
        if len({site.name for site in self.sites}) < len(self.sites):
            raise ValueError("two sites have the same name")
        return self

    @property
    def n(self) -> int:
        """The number of subjects at the template's own size."""
        return sum(stratum.count for stratum in self.strata)

    @property
    def survival(self) -> bool:
        """Whether anybody's survival is known."""
        return any(stratum.survival for stratum in self.strata)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that at least one subject has, in the order t1, t1ce, t2, flair."""
        present = {modality for stratum in self.strata for scan in stratum.scans for modality in scan.modalities}
        return tuple(modality for modality in _ORDER if modality in present)


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


def _whole(*modalities: Modality, count: int) -> tuple[Scans, ...]:
    return (Scans(modalities=modalities, count=count),)


def _patterns(**counts: int) -> tuple[Scans, ...]:
    """``t1_flair=20``: 20 subjects with T1 and FLAIR. ``none``: no scan."""
    return tuple(
        Scans(modalities=() if name == "none" else tuple(name.split("_")), count=count)  # type: ignore[arg-type]
        for name, count in counts.items()
    )


def _brats2017() -> Template:
    # 285 training subjects (210 HGG, 75 LGG) and 46 for validation: Islam et al. 2020, III.A; Zhang et al. 2021, 4.1.
    # 163 of the HGG have a survival, all of them deaths (challenge's survival table). IDH, grade and sex in the
    # proportions of the 102 GBM and 65 LGG of the TCGA part (Bakas et al. 2017); ages of the survival table.
    every: tuple[Modality, ...] = _ORDER
    hgg_ages, lgg_ages = Ages(mean=60, sd=12), Ages(mean=44, sd=14)
    strata = (
        Stratum(
            count=210, collection="GBM", split="train", grade={4: 210}, idh={"mutant": 8, "wildtype": 202},
            sex={"F": 79, "M": 131}, ages=hgg_ages, scans=_whole(*every, count=210), survival=163,
        ),
        Stratum(
            count=75, collection="LGG", split="train", grade={2: 33, 3: 42}, idh={"mutant": 59, "wildtype": 16},
            sex={"F": 44, "M": 31}, ages=lgg_ages, scans=_whole(*every, count=75),
        ),
        Stratum(
            count=34, collection="GBM", split="validation", grade={4: 34}, idh={"mutant": 1, "wildtype": 33},
            sex={"F": 13, "M": 21}, ages=hgg_ages, scans=_whole(*every, count=34),
        ),
        Stratum(
            count=12, collection="LGG", split="validation", grade={2: 5, 3: 7}, idh={"mutant": 9, "wildtype": 3},
            sex={"F": 7, "M": 5}, ages=lgg_ages, scans=_whole(*every, count=12),
        ),
    )  # fmt: skip
    return Template(
        name="brats2017",
        title="BraTS 2017: 285 training and 46 validation subjects, four modalities",
        strata=strata,
        sites=(
            Site(name="TCIA", protocol="tcga", weight=167),
            Site(name="CBICA", protocol="brats-3t", weight=88),
            Site(name="2013", protocol="brats-1.5t", weight=30),
        ),
    )


def _tcga_gbm() -> Template:
    # 202 with expression, 106 of them with MRI; one or two modalities for most, T2 missing for the majority, some
    # without T1 or FLAIR: Islam et al. 2020, III.A. The paper gives no counts a modality; these fit its words.
    # Sex, age and IDH of the 202 in the TCGA clinical tables (one patient without age and sex).
    scans = _patterns(
        t1ce_flair=22, t1_flair=20, t1_t1ce=18, t1_t1ce_flair=16, t1_t1ce_t2_flair=12, t1ce=8, t1ce_t2=6, flair=4,
        none=96,
    )  # fmt: skip
    return Template(
        name="tcga-gbm",
        title="TCGA-GBM: 202 glioblastomas with expression of 1740 genes, 106 of them with MRI",
        strata=(
            Stratum(
                count=202, collection="GBM", grade={4: 202}, idh={"mutant": 20, "wildtype": 182},
                sex={"F": 76, "M": 125}, ages=Ages(mean=56, sd=15, groups=(AgeGroup(low=14, high=88, count=201),)),
                scans=scans, survival=202,
            ),
        ),
        sites=(
            Site(name="TCGA-02", protocol="tcga", weight=3),
            Site(name="TCGA-06", protocol="tcga-thick", weight=3),
            Site(name="TCGA-08", protocol="brats-1.5t", weight=2),
            Site(name="TCGA-12", protocol="brats-3t", weight=2),
        ),
        expression=True,
        follow_up=(1500.0, 6000.0),
    )  # fmt: skip


def _tcga_idh() -> Template:
    # Ge et al. 2020, Table 1(a): 55 mutant (32 F, 23 M; 13, 35, 7, 0 in the four age groups) and 112 wild-type
    # (44 F, 67 M; 5, 55, 48, 3; one without age and sex). Composition by collection, sex and age of the 102 GBM and
    # 65 LGG of Bakas et al. 2017 with the mutation table of TCGA, which gives these very margins; grades from the
    # TCGA Clinical Data Resource (Liu et al. 2018), the one of unknown grade counted as 2.
    def stratum(
        collection: Literal["GBM", "LGG"], idh: Literal["mutant", "wildtype"], sexes: tuple[int, int],
        counts: tuple[int, int, int, int], mean: float, grade: dict[Literal[2, 3, 4], int],
    ) -> Stratum:  # fmt: skip
        count = sum(grade.values())
        edges = (18, 30, 60, 80, 90)
        groups = tuple(
            AgeGroup(low=low, high=high, count=number)
            for low, high, number in zip(edges[:-1], edges[1:], counts, strict=True)
        )
        return Stratum(
            count=count, collection=collection, grade=grade, idh={idh: count},
            sex={"F": sexes[0], "M": sexes[1]}, ages=Ages(mean=mean, sd=14, groups=groups),
            scans=_whole(*_ORDER, count=count), survival=sum(sexes),
        )  # fmt: skip

    return Template(
        name="tcga-idh",
        title="TCGA-GBM and TCGA-LGG: 55 IDH-mutant and 112 wild-type gliomas, four modalities",
        strata=(
            stratum("GBM", "mutant", (3, 1), (2, 2, 0, 0), 35, {4: 4}),
            stratum("LGG", "mutant", (29, 22), (11, 33, 7, 0), 43, {2: 25, 3: 26}),
            stratum("GBM", "wildtype", (35, 62), (2, 47, 45, 3), 59, {4: 98}),
            stratum("LGG", "wildtype", (9, 5), (3, 8, 3, 0), 47, {2: 4, 3: 10}),
        ),
        sites=(
            Site(name="TCGA-06", protocol="tcga", weight=2),
            Site(name="TCGA-DU", protocol="tcga-thick", weight=2),
            Site(name="TCGA-HT", protocol="brats-1.5t", weight=1),
            Site(name="TCGA-12", protocol="brats-3t", weight=1),
        ),
        follow_up=(60.0, 4500.0),
    )


def _huashan() -> Template:
    # Li et al. 2017, Table 1 and Methods: 151 of grade II, 112 mutant and 39 wild-type; T1ce of 119 of them (89 and
    # 30); one 3 T scanner, FLAIR of 0.4688 mm in plane and slices of 2 mm; mean volume 68 (SD 47) ml.
    def stratum(idh: Literal["mutant", "wildtype"], sexes: tuple[int, int], both: int, ages: Ages) -> Stratum:
        count = sum(sexes)
        return Stratum(
            count=count, collection="LGG", grade={2: count}, idh={idh: count}, sex={"F": sexes[0], "M": sexes[1]},
            ages=ages, scans=_patterns(t1ce_flair=both, flair=count - both),
        )  # fmt: skip

    return Template(
        name="huashan",
        title="Huashan Hospital: 151 gliomas of grade II, FLAIR and contrast-enhanced T1 at 0.47 x 0.47 x 2 mm",
        strata=(
            stratum("mutant", (54, 58), 89, Ages(mean=38.7, sd=10.7)),
            stratum("wildtype", (16, 23), 30, Ages(mean=43.5, sd=12.1)),
        ),
        sites=(Site(name="Huashan", protocol="huashan-3t", weight=1),),
        grid=(512, 512, 80),
        spacing=(0.4688, 0.4688, 2.0),
        codel_given_mutant=0.35,
        volume_ml=70.0,
    )


def _rembrandt() -> Template:
    # Mehra et al. 2022, 3.4 and 3.5: 61 HGG and 40 LGG, FLAIR only, about 50 slices a patient.
    def stratum(count: int, females: int, collection: Literal["GBM", "LGG"], mutants: int, mean: float) -> Stratum:
        grade: dict[Literal[2, 3, 4], int] = (
            {4: count} if collection == "GBM" else {2: count // 2, 3: count - count // 2}
        )
        return Stratum(
            count=count, collection=collection, grade=grade, idh={"mutant": mutants, "wildtype": count - mutants},
            sex={"F": females, "M": count - females}, ages=Ages(mean=mean, sd=13),
            scans=_whole("flair", count=count),
        )  # fmt: skip

    return Template(
        name="rembrandt",
        title="REMBRANDT: 61 high-grade and 40 low-grade gliomas, FLAIR only",
        strata=(stratum(61, 24, "GBM", 4, 57), stratum(40, 17, "LGG", 30, 43)),
        sites=(
            Site(name="HF", protocol="rembrandt-1.5t", weight=3),
            Site(name="TJU", protocol="brats-1.5t", weight=2),
        ),
        grid=(240, 240, 52),
        spacing=(1.0, 1.0, 3.0),
        hidden=frozenset({"idh", "codel_1p19q", "mgmt"}),
    )


_TEMPLATES = {
    "brats2017": _brats2017,
    "tcga-gbm": _tcga_gbm,
    "tcga-idh": _tcga_idh,
    "huashan": _huashan,
    "rembrandt": _rembrandt,
}
TEMPLATE_NAMES: tuple[str, ...] = tuple(_TEMPLATES)
"""The templates there are, named for the role they play."""


def load_template(name: str) -> Template:
    """The template of a role.

    Raises:
        RadlibError: if there is none of that name.
    """
    if name not in _TEMPLATES:
        raise RadlibError(f"no template is called {name!r}", remedy=f"use one of {', '.join(TEMPLATE_NAMES)}")
    return _TEMPLATES[name]()


def parse_template(values: Mapping[str, object], *, file: str | None = None) -> Template:
    """A template from plain values, as in a YAML file.

    Raises:
        RadlibError: naming every value that is unknown, missing or impossible.
    """
    try:
        return Template.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'template'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise RadlibError(
            f"an impossible template: {problems}", file=file, remedy="mend these values and try again"
        ) from error


def quota(counts: Mapping[Key, int], n: int, *, of: int, draw: np.random.Generator) -> list[Key | None]:
    """``n`` values in random order that hold ``counts`` of a stratum of ``of`` subjects, scaled; None is the rest."""
    known = dict(counts)
    shares: dict[Key | None, int] = {**known, None: of - sum(known.values())}
    values = [key for key, number in apportion(shares, n).items() for _ in range(number)]
    return [values[index] for index in draw.permutation(n)]
