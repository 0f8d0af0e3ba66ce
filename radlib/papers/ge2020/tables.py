"""Tables of the chapter on the pairwise GAN: what was counted, and PSNR and DAEF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radlib.core.titles import MODALITY_TITLES
from radlib.data.splits import Split
from radlib.papers.ge2020.cases import ABSENT, Case, Translated
from radlib.papers.ge2020.data import SLICES, Patients
from radlib.papers.ge2020.quality import MEDIAN, REGIONS, daef, psnr_scores
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE
from radlib.stats.tables import format_interval
from radlib.study.estimates import AVERAGE, estimates
from radlib.study.store import Result

TITLES = {
    "masked": "with mask", "unmasked": "without mask", "copy": "other modality as it is", "line": "straight line",
    "bas_1": "Bas-1", "prop_a": "Prop-A", "bas_2": "Bas-2", "prop_b": "Prop-B", "mutation": "IDH1 mutation",
    "wildtype": "IDH1 wild-type", "psnr": "PSNR, whole image", "psnr_tumour": "PSNR, tumour",
}  # fmt: skip
"""How the chapters call arms, classes and metrics."""
SETS = {
    "training": "training", "training_real": "training, real", "training_gan": "training, GAN-augmented",
    "validation": "validation", "testing": "testing",
}  # fmt: skip
"""Columns of Table 1(b)."""
PATIENTS = {"training": AS_PUBLISHED, "held_out": LEAKAGE_FREE}
"""Patients whose images the networks saw, as the paper seems to take them, and those of the test set."""

ON_REAL = (
    "Real patients, analogous: the paper's own images are not at hand, and lower-grade gliomas of TCGA stand in for "
    "them. They have grade 2 or 3 (most of the paper's lower-grade patients are among them, none of its "
    "glioblastomas), so that most are mutant where most of the paper's are wild-type. They have T1, T1c and FLAIR but "
    "no T2: three streams in place of four, three pairs of modalities in place of six, and two fake patients of each "
    "real one in place of three. The whole tumour was outlined by hand; slices are thick and lengths nominal, so that "
    "sagittal and coronal pictures show a slab around the tumour."
)
"""What differs on real patients, as both chapters say it near their top."""


def direction_title(direction: str) -> str:
    """``T1 to FLAIR`` for ``t1_to_flair``."""
    return " to ".join(MODALITY_TITLES[name] for name in direction.split("_to_"))


def counts(cases: Mapping[str, Case], split: Split, mutant: pd.Series, *, taken: int) -> pd.DataFrame:
    """What a partition holds, counted from its records: slices of both classes by set, and the numbers of the text.

    Args:
        cases: of the partition.
        split: its patients.
        mutant: labels of all patients.
        taken: training patients who lose a scan.

    Returns:
        Rows as :meth:`radlib.book.report.Report.measured` takes them.
    """
    case, number = cases["prop_a"], {name: sum(r.fake for r in cases[name].augmented) for name in ("prop_a", "prop_b")}
    members = {
        "training": [record.subject for record in (*case.real, *case.augmented)],
        "training_real": [record.subject for record in case.real],
        "training_gan": [record.subject for record in case.augmented],
        "validation": split.validation, "testing": split.test,
    }  # fmt: skip
    rows: list[dict[str, object]] = [
        {"arm": arm, "metric": "slices", "group": group,
         "value": float(SLICES * sum(mutant[subject] == label for subject in subjects))}
        for arm, label in (("mutation", True), ("wildtype", False))
        for group, subjects in members.items()
    ]  # fmt: skip
    train = len(split.train)
    rows += [
        {"arm": "all", "metric": metric, "group": "all", "value": float(value)}
        for metric, value in {
            "training_share": 100 * train / len(mutant), "fake_patients_a": number["prop_a"],
            "fake_slices_a": SLICES * number["prop_a"], "fake_patients_b": number["prop_b"],
            "fake_slices_b": SLICES * number["prop_b"], "removed_share": 100 * taken / train,
            "removed_share_per_modality": 100 * taken / train / len(case.real[0].sources),
        }.items()
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(low=np.nan, high=np.nan, n=len(mutant))


def partition_table(counted: pd.DataFrame) -> pd.DataFrame:
    """Table 1(b): the slices of :func:`counts` in each modality, classes down, sets across."""
    slices = counted[counted["metric"] == "slices"]
    wide = slices.pivot_table(index="arm", columns="group", values="value").astype(int)
    return wide[list(SETS)].rename(index=TITLES, columns=SETS).rename_axis(index=None, columns=None)


def case_table(cases: Mapping[str, Case]) -> pd.DataFrame:
    """What each training set holds: real, completed and fake patients."""
    rows = []
    for name, case in cases.items():
        fake = sum(record.fake for record in case.augmented)
        lacking = sum(ABSENT in record.sources for record in case.real)
        whole = sum(record.sources == tuple(range(len(record.sources))) for record in case.real)
        rows.append({
            "training set": TITLES[name], "real patients, all modalities": whole,
            "real patients, a scan missing": lacking,
            "real patients, a scan synthesised": len(case.real) - whole - lacking, "fake patients": fake,
            "slices in each modality": SLICES * (len(case.real) + fake),
        })  # fmt: skip
    return pd.DataFrame(rows)


def quality(scores: pd.DataFrame, latents: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """PSNR and DAEF of every arm, with crossed intervals.

    Args:
        scores, latents: of the study of :func:`~radlib.papers.ge2020.study_gan.synthesis`.
        n_boot, seed: of the bootstrap.

    Returns:
        Rows ``patients, protocol, arm, metric, group, value, low, high, n, runs``, as
        :meth:`radlib.book.report.Report.measured` takes them without ``patients``: PSNR by direction (``psnr``,
        ``psnr_tumour``), and PSNR (mean over directions) and DAEF by region (``whole``, ``tumour``).
    """
    found = []
    for patients, part in scores.groupby("patients", sort=False):
        directions = [name for name in dict.fromkeys(part["group"]) if "_to_" in name]
        psnr = estimates(part, groups=[*directions, AVERAGE], n_boot=n_boot, seed=seed)
        mean = psnr["group"] == AVERAGE
        region = psnr["metric"].map({"psnr": "whole", "psnr_tumour": "tumour"})
        psnr["group"] = psnr["group"].mask(mean, region)
        psnr["metric"] = psnr["metric"].mask(mean, "psnr")
        own = latents[latents["patients"] == patients]
        distances = pd.DataFrame([
            {"arm": arm, "metric": "daef", "group": region, "runs": gaps["run"].nunique(),
             **daef(gaps, n_boot=n_boot, seed=seed).as_dict()}
            for (arm, region), gaps in own.groupby(["arm", "region"], sort=False)
        ])  # fmt: skip
        found.append(pd.concat([psnr, distances]).assign(patients=patients, protocol=PATIENTS[str(patients)]))
    return pd.concat(found, ignore_index=True)


def quality_table(found: pd.DataFrame, halves: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Table 6 here: models down, PSNR and DAEF across, on seen and on held-out patients.

    Args:
        found: of :func:`quality`.
        halves: of each run, DAEF between two halves of the real patients by region.
    """
    part = found[found["group"].isin(REGIONS)].copy()
    titles = {"whole": "whole image", "tumour": "tumour"}
    part["column"] = part["metric"].str.upper() + ", " + part["group"].map(titles)
    part["cell"] = [format_interval(*row, digits=2) for row in part[["value", "low", "high"]].to_numpy(dtype=float)]
    wide = part.pivot_table(index=["patients", "arm"], columns="column", values="cell", aggfunc="first", sort=False)
    table = wide.reset_index().rename(columns={"arm": "model"}).replace({"model": TITLES, "patients": _WORDS})
    real = {f"DAEF, {titles[region]}": f"{np.mean([one[region] for one in halves]):.2f}" for region in REGIONS}
    last = pd.DataFrame([{"patients": "held out", "model": "two halves of the real patients", **real}])
    return pd.concat([table, last], ignore_index=True).fillna("–")


_WORDS = {"held_out": "held out"}


def direction_table(found: pd.DataFrame) -> pd.DataFrame:
    """PSNR of held-out patients by direction and model, without intervals."""
    part = found[found["group"].str.contains("_to_") & (found["patients"] == "held_out")]
    wide = part.pivot_table(index="group", columns=["metric", "arm"], values="value", sort=False)
    wide.columns = pd.Index([
        f"{TITLES[column[0]].removeprefix('PSNR, ')}, {TITLES[column[1]]}" for column in wide.columns.to_list()
    ])  # fmt: skip
    return wide.rename(index=direction_title).rename_axis("direction").reset_index()


def sample_table(patients: Patients, made: Mapping[str, Translated]) -> pd.DataFrame:
    """PSNR by direction of translations by name, such as those of real samples."""
    scores = pd.concat([psnr_scores(patients, one).assign(model=name) for name, one in made.items()])
    scores = scores[scores["group"] != MEDIAN].assign(direction=lambda rows: rows["group"].map(direction_title))
    wide = scores.pivot_table(index=["direction", "model"], columns="metric", values="value", sort=False)
    return wide.rename(columns=TITLES).rename_axis(columns=None).reset_index()


def speed_table(results: Mapping[str, Sequence[Result]]) -> pd.DataFrame:
    """How fast the pairs of each arm were trained: means over its trainings."""
    rows = []
    for arm, found in results.items():
        notes = pd.DataFrame([one.notes for one in found])
        rows.append({
            "model": TITLES[arm], "trainings": len(found), "steps a second": notes["steps_per_second"].mean(),
            "waiting for data (%)": 100 * notes["data_share"].mean(),
            "peak memory (GB)": notes["peak_memory"].max() / 1e9,
            "minutes": sum(one.info["seconds"] for one in found) / 60,
        })  # fmt: skip
    return pd.DataFrame(rows)
