"""The jobs of the chapter on hand-crafted features: what perturbations do, what a preset costs, and its values."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from radlib.core.errors import MissingDataError
from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.data.regions import region_mask
from radlib.data.splits import hold_out
from radlib.features.api import compute_features
from radlib.features.presets import preset
from radlib.features.settings import Discretisation, FeatureSettings
from radlib.phantom.planted import planted_traits
from radlib.stats import perturbation as pt
from radlib.stats.intervals import Estimate
from radlib.stats.roc import delong
from radlib.study.cohorts import Source
from radlib.study.jobs import job
from radlib.study.store import Work


@job
def perturbations(work: Work, *, source: Source, n: int, modality: str, bins: int, angle: float, seed: int) -> None:
    """Every IBSI feature of the whole tumour, as it is and perturbed: the table ``measured``.

    Its columns are ``kind``, ``subject``, ``version`` (:func:`radlib.stats.perturbation.measure`) and one a feature; a
    note has the ``spacing`` of the images, mm.
    """
    cohort = source.open()
    subjects = load_regions(cohort, cohort.complete(modality, "seg").ids[:n], modality=modality)
    spacing = cohort.volume(next(iter(subjects)), modality).spacing

    def compute(image: np.ndarray, mask: np.ndarray, settings: Mapping[str, Any]) -> Mapping[str, float]:
        found = compute_features(image, mask, spacing, texture_settings(settings["bins"]))
        return {str(name): float(value) for name, value in found.items()}

    work.table("measured", pt.measure(subjects, compute, seed=seed, bins=bins, angle=angle).reset_index())
    work.note(spacing=[float(edge) for edge in spacing])


def texture_settings(bins: int) -> FeatureSettings:
    """Every IBSI family on the original image, in 3D, with a fixed number of grey levels."""
    return FeatureSettings(
        aggregations=("3d_merged", "3d"),
        discretisation=Discretisation(method="fbn", bin_count=bins),
        ivh=Discretisation(method="fbn", bin_count=1000),
    )


def load_regions(
    cohort: Cohort, ids: Sequence[str], *, modality: str, region: str = "wt"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Image and mask of subjects that have both and a region that is not empty."""
    found = {}
    for subject in cohort.subset(ids).complete(modality, "seg").ids:
        mask = region_mask(cohort.labels(subject).data, region)
        if mask.any():
            found[subject] = (cohort.volume(subject, modality).data, mask)
    return found


@job
def timings(work: Work, *, source: Source, n: int) -> None:
    """Seconds a subject of every preset on the machine at work, one CPU thread: the table ``speed``."""
    cohort = source.open()
    ids = cohort.complete("seg", "flair", "t1ce").ids[:n]
    rows = []
    for name in ("islam71", "ibsi", "li671"):
        chosen = preset(name)
        settings = chosen.parse(None)
        chosen.compute(cohort, ids[0], settings)  # the first call compiles
        times = []
        for subject in ids:
            start = time.perf_counter()
            chosen.compute(cohort, subject, settings)
            times.append(time.perf_counter() - start)
        rows.append({
            "preset": name, "features": len(chosen.names(settings)), "median (s)": float(np.median(times)),
            "slowest (s)": max(times), "subjects": len(times),
        })  # fmt: skip
    work.table("speed", pd.DataFrame(rows))


@job
def separated(work: Work, *, source: Source, modalities: tuple[str, ...], n: int, seed: int) -> None:
    """What single features of ``li671`` tell of IDH and grade: the table ``separations``.

    Args:
        source, modalities: whose images.
        n: subjects, drawn by IDH status and :func:`collection_or_grade`; all for 0.
        seed: of the draw.
    """
    cohort = source.open().complete(*modalities, "seg", "idh")
    ids = cohort.ids
    if 0 < n < len(ids):
        both = cohort.participants["idh"] + collection_or_grade(cohort.participants)
        ids = list(hold_out(ids, test=n, seed=seed, stratify=both).test)
    values = preset_features(cohort, name="li671", ids=ids, modalities=modalities)
    work.table("separations", pd.concat(separations(values, cohort), names=["question", "feature"]).reset_index())


def preset_features(cohort: Cohort, *, name: str, ids: Sequence[str], modalities: Sequence[str]) -> pd.DataFrame:
    """A preset's features of subjects on several modalities, in memory.

    Columns are named ``<modality>: <feature>``. Of features that are the same on two modalities, such as the shape of
    the region, one is left, named by the feature alone.
    """
    chosen = preset(name)
    tables = {}
    for modality in modalities:
        settings = chosen.parse({"modality": modality})
        rows = {
            subject: chosen.compute(cohort, subject, settings)
            for subject in track(ids, description=f"{name} features of {modality}")
        }
        tables[modality] = pd.DataFrame.from_dict(rows, orient="index", columns=chosen.names(settings))
    first = tables[modalities[0]]
    same = [column for column in first if all(first[column].equals(one[column]) for one in tables.values())]
    if len(modalities) == 1:
        same = []
    parts = [one.drop(columns=same).add_prefix(f"{modality}: ") for modality, one in tables.items()]
    return pd.concat([first[same], *parts], axis=1).rename_axis("id")


def separation(table: pd.DataFrame, positive: pd.Series) -> pd.DataFrame:
    """How well each feature alone tells two classes apart.

    Args:
        table: subjects x features.
        positive: bool, same index.

    Returns:
        ``auc`` with ``low`` and ``high`` (DeLong; the direction in which it is at least 0.5), ``p`` (two-sided, normal)
        and ``q`` (Benjamini and Hochberg), the best first. Features without two values are left out.
    """
    rows = {}
    for name in table:
        values = table[name].dropna()
        truth = positive[values.index].to_numpy()
        if values.nunique() < 2 or truth.all() or not truth.any():
            continue
        found = delong(truth, values.to_numpy())
        if found.value < 0.5:
            found = Estimate(1 - found.value, 1 - found.high, 1 - found.low, found.n, found.method)
        test = stats.mannwhitneyu(values[truth], values[~truth])
        rows[name] = {"auc": found.value, "low": found.low, "high": found.high, "n": found.n, "p": test.pvalue}
    out = pd.DataFrame.from_dict(rows, orient="index")
    if out.empty:
        raise MissingDataError("no feature has two values in both classes", remedy="use a larger cohort")
    out["q"] = stats.false_discovery_control(out["p"])
    return out.sort_values("auc", ascending=False)


def separations(values: pd.DataFrame, cohort: Cohort) -> dict[str, pd.DataFrame]:
    """:func:`separation` for IDH, collection, and IDH among low-grade gliomas, with planted traits where there are any.

    Collections are those of :func:`collection_or_grade`. A question is left out where one of its classes has fewer than
    two subjects.
    """
    clinic = cohort.participants.loc[values.index]
    collection = collection_or_grade(clinic)
    low_grade = clinic[collection == "LGG"]
    questions = {
        "IDH mutant or wild-type, all": clinic["idh"] == "mutant",
        "LGG or GBM": collection[collection != "unknown"] == "LGG",
        "IDH mutant or wild-type, LGG only": low_grade["idh"] == "mutant",
    }
    traits = planted_traits(cohort).loc[values.index].add_prefix("trait: ") if cohort.truth is not None else None
    found = {}
    for title, positive in questions.items():
        if min(int(positive.sum()), int((~positive).sum())) < 2:
            continue
        parts = [separation(values.loc[positive.index], positive)]
        if traits is not None:
            parts.append(separation(traits.loc[positive.index], positive))
        found[title] = pd.concat(parts).sort_values("auc", ascending=False)
    return found


def collection_or_grade(participants: pd.DataFrame) -> pd.Series:
    """``LGG`` or ``GBM`` by collection; where that is not known, by grade (IV is GBM); else ``unknown``."""
    by_grade = participants["grade"].map(lambda grade: "unknown" if pd.isna(grade) else "GBM" if grade >= 4 else "LGG")
    return participants["collection"].where(participants["collection"].notna(), by_grade).astype("str")
