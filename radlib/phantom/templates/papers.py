"""The cohorts of the five papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from radlib.phantom.templates.schema import MODALITY_ORDER, AgeGroup, Ages, Modality, Scans, Site, Stratum, Template


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
    every: tuple[Modality, ...] = MODALITY_ORDER
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
        median_survival=350.0,
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
        median_survival=350.0,
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
            scans=_whole(*MODALITY_ORDER, count=count), survival=sum(sexes),
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
        classes="idh",
        follow_up=(60.0, 4500.0),
    )


def _huashan() -> Template:
    # Li et al. 2017, Table 1 and Methods: 151 of grade II, 112 mutant and 39 wild-type. T1ce of the first cohort only,
    # 119 of them (89 and 30), with its own ages and sexes; the rest has what is left of all 151. One 3 T scanner, FLAIR
    # of 0.4688 mm in plane and slices of 2 mm; mean volume 68 ml.
    def stratum(
        idh: Literal["mutant", "wildtype"], sexes: tuple[int, int], ages: tuple[float, float], *, first: bool
    ) -> Stratum:
        count = sum(sexes)
        modalities: tuple[Modality, ...] = ("t1ce", "flair") if first else ("flair",)
        return Stratum(
            count=count, collection="LGG", grade={2: count}, idh={idh: count}, sex={"F": sexes[0], "M": sexes[1]},
            ages=Ages(mean=ages[0], sd=ages[1]), scans=_whole(*modalities, count=count),
        )  # fmt: skip

    return Template(
        name="huashan",
        title="Huashan Hospital: 151 gliomas of grade II, FLAIR and contrast-enhanced T1 at 0.47 x 0.47 x 2 mm",
        strata=(
            stratum("mutant", (41, 48), (37.9, 8.9), first=True),
            stratum("wildtype", (11, 19), (44.2, 11.7), first=True),
            stratum("mutant", (13, 10), (41.8, 15.8), first=False),
            stratum("wildtype", (5, 4), (41.2, 13.8), first=False),
        ),
        sites=(Site(name="Huashan", protocol="huashan-3t", weight=1),),
        classes="idh",
        grid=(512, 512, 80),
        spacing=(0.4688, 0.4688, 2.0),
        codel_given_mutant=0.35,
        volume_ml=72.0,
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


PAPER_TEMPLATES: dict[str, Callable[[], Template]] = {
    "brats2017": _brats2017,
    "tcga-gbm": _tcga_gbm,
    "tcga-idh": _tcga_idh,
    "huashan": _huashan,
    "rembrandt": _rembrandt,
}
"""A template for each role."""
