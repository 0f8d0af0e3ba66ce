"""External validation: another cohort with the same features, survival by site, and the tables of both."""

from __future__ import annotations

import pandas as pd

from radlib.core.errors import MissingDataError
from radlib.core.paths import runs_root
from radlib.data.persons import without
from radlib.features.extract import extract_cohort
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.stats.binary import Question
from radlib.stats.external import joined
from radlib.stats.protocols import CONTROL, EXTERNAL, LEAKAGE_FREE, LeaveGroupOutFolds, ProtocolRun, RepeatedFolds
from radlib.stats.survival import concordance
from radlib.stats.tables import format_interval
from radlib.study.cohorts import Source

SAME_DEFINITION = {"shape_VoxelVolume": "VOLUME_WT"}
"""What PyRadiomics and the table of Bakas et al. 2017 define alike: the volume of the whole tumour, mm³. Intensities
and textures differ in normalisation, bins and regions, whatever they are called."""


def open_other(other: Source, question: Question, *, preset: str) -> tuple[Question, pd.Series]:
    """The question at work joined with that of another cohort, and which cohort each patient is of.

    Args:
        other: the second cohort.
        question: IDH in the cohort at work.
        preset: extracted from the other cohort's images where it has no table of features.

    Raises:
        MissingDataError: if the other cohort, its IDH status, or both its features and its images are not there.
        RadlibError: if the cohorts share no feature.

    Patients who stand in both cohorts are left out of the other. Features of one definition get one name
    (:data:`SAME_DEFINITION`).
    """
    data = other.open()
    data.require("idh")
    data = data.subset(without(data.participants, question.clinical))
    if data.radiomics is not None:
        known = data.complete("idh", "radiomics")
        features = known.radiomics
    else:
        known = data.complete("idh", "seg")
        out = runs_root() / "_features" / f"{other.fingerprint}_{preset}.parquet"
        features = extract_cohort(known, preset=preset, out=out).features
        known = known.subset([subject for subject in known.ids if subject in features.index])
        features = features.loc[known.ids]
    if features is None or features.empty:
        raise MissingDataError(f"cohort {data.name!r} has no patient with features and IDH status", file=data.root)
    if not set(features) & set(question.features):
        features = features.rename(columns=SAME_DEFINITION)
    second = Question(
        name=data.name, features=features, truth=known.participants["idh"] == "mutant",
        clinical=known.participants.reindex(columns=["age", "collection", "person"]),
    )  # fmt: skip
    return joined({question.name: question, data.name: second}, name="both cohorts")


def validate_survival(study: rg.Study, groups: pd.Series, *, n_repeats: int = 5, seed: int = 0) -> ProtocolRun:
    """The machines of Islam 2020 and their rules, days of survival, on groups that trained nothing.

    Returns:
        Predictions of the protocols ``EXTERNAL`` (machines and rules), and ``LEAKAGE_FREE`` in ordinary folds.
    """
    outside = rg.run_reading(
        study, reading="days", splitter=LeaveGroupOutFolds(groups=groups), n_permutations=0, seed=seed
    ).predictions
    outside = outside[outside["protocol"].isin([LEAKAGE_FREE, CONTROL])].assign(protocol=EXTERNAL)
    folds = RepeatedFolds(n_folds=4, n_repeats=n_repeats, seed=seed)
    inside = rg.run_reading(study, reading="days", splitter=folds, n_permutations=0, seed=seed).predictions
    inside = inside[inside["protocol"].isin([LEAKAGE_FREE, CONTROL])].assign(protocol=LEAKAGE_FREE)
    return ProtocolRun(pd.concat([outside, inside], ignore_index=True), pd.DataFrame())


def survival_by_group(
    run: ProtocolRun, study: rg.Study, groups: pd.Series, *, n_boot: int = 500, seed: int = 0
) -> pd.DataFrame:
    """Concordance of every model in every group: rows of :func:`radlib.stats.external.by_group`."""
    rows = []
    for (protocol, model), part in rg.days_rows(run.predictions).groupby(["protocol", "model"], sort=False):
        for group in sorted(set(groups)):
            here = part[part["subject"].isin(groups.index[groups == group])]
            found = concordance(here, study.days, study.event, n_boot=n_boot, seed=seed)
            about = {"protocol": protocol, "model": model, "group": group, "metric": "concordance"}
            rows.append({**about, **found.as_dict()})
    return pd.DataFrame(rows)


def wide_metrics(found: pd.DataFrame) -> pd.DataFrame:
    """:func:`radlib.stats.external.by_group` to read: a line a group and model, a column a metric."""
    cells = found.assign(
        cell=[format_interval(*row, digits=2) for row in found[["value", "low", "high"]].to_numpy(dtype=float)]
    )
    wide = cells.pivot_table(
        index=["group", "protocol", "model", "n"], columns="metric", values="cell", aggfunc="first", sort=False
    ).reset_index()
    titles = {"n": "patients", "auc": "AUC", "slope": "calibration slope"}
    return wide.drop(columns="brier").rename(columns=titles)


def group_panels(found: pd.DataFrame, label: str) -> dict[str, str]:
    """Groups and the labels of their panels, with the number of patients: for :func:`radlib.plots.dots.dot_plot`."""
    sizes = found.groupby("group")["n"].max()
    return {str(group): f"{label}, {group}\n({size} patients)" for group, size in sizes.items()}
