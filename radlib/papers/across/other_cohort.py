"""Another cohort beside the one at work, with the same features: for external validation."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from radlib.core.errors import MissingDataError
from radlib.data.sources import open_cohort
from radlib.features.extract import extract_cohort
from radlib.stats.binary import Question
from radlib.stats.external import joined


def open_other(
    other: str, question: Question, *, cohort: str, profile: str, preset: str, out: Path
) -> tuple[Question, pd.Series]:
    """The question at work joined with that of another cohort, and which cohort each patient is of.

    Args:
        other: a role, opened from the source at work, or the path of a cohort description.
        question: IDH in the cohort at work.
        cohort, profile: the source at work.
        preset: extracted from the other cohort's images where it has no table of features.
        out: folder for extracted features; they are taken from there again.

    Raises:
        MissingDataError: if the other cohort, its IDH status, or both its features and its images are not there.
        RadlibError: if the cohorts share no feature or a patient.
    """
    described = other.endswith((".yml", ".yaml"))
    data = open_cohort("tcga-idh", cohort=other) if described else open_cohort(other, cohort=cohort, profile=profile)
    data.require("idh")
    if data.radiomics is not None:
        known = data.complete("idh", "radiomics")
        features = known.radiomics
    else:
        known = data.complete("idh", "seg")
        features = extract_cohort(known, preset=preset, out=out / f"{data.name}_{preset}.parquet").features
        known = known.subset([subject for subject in known.ids if subject in features.index])
        features = features.loc[known.ids]
    if features is None or features.empty:
        raise MissingDataError(f"cohort {data.name!r} has no patient with features and IDH status", file=data.root)
    second = Question(
        name=data.name, features=features, truth=known.participants["idh"] == "mutant",
        clinical=known.participants[["age", "collection"]],
    )  # fmt: skip
    return joined({question.name: question, data.name: second}, name="both cohorts")
