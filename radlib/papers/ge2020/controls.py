"""Where nothing is planted, and where labels are wrong: the cohort without signal, and unknown status as wild-type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from radlib.core.errors import MissingDataError
from radlib.core.paths import data_root
from radlib.core.seeds import named_seed
from radlib.data.cohort import Cohort
from radlib.data.sources import open_cohort
from radlib.papers.ge2020.arms import (
    CASES,
    COUNTED_ARM,
    RunResult,
    run_partition,
    run_rules,
    samples_of,
)
from radlib.papers.ge2020.cases import real_patients
from radlib.papers.ge2020.classifier import ClassifierRecipe, judge
from radlib.papers.ge2020.data import extract, partitions
from radlib.papers.ge2020.estimates import estimate
from radlib.papers.ge2020.gan import Generators
from radlib.papers.ge2020.runs import Partition, make_partitions
from radlib.papers.ge2020.study import Study
from radlib.stats.tables import format_interval


def null_cohort(folder: Path, *, n: int, grid: Sequence[int], seed: int) -> Cohort:
    """The cohort `tcga-idh` with the preset ``null``: no arrow leads from IDH, grade or age to an image.

    Args:
        folder: where it is made, or finished; beside the checkpoints, which another version of the code begins anew.
        n: patients.
        grid: voxels.
        seed: the next one is taken, so that nobody is the twin of a patient with signal.
    """
    from radlib.phantom.make import make

    x, y, z = grid
    return make("tcga-idh", out=folder, n=n, grid=(x, y, z), seed=seed + 1, preset="null")


def null_study(cohort: Cohort, *, size: int, field: float, n_runs: int, seed: int) -> tuple[Study, list[Partition]]:
    """Slices and partitions of a cohort without signal."""
    slices = extract(cohort, size=size, field=field, crop=1)
    mutant = (cohort.participants["idh"] == "mutant").loc[list(slices.ids)]
    study = Study(slices=slices, participants=cohort.participants.loc[list(slices.ids)], mutant=mutant)
    return study, make_partitions(partitions(slices.ids, mutant, n_runs=n_runs, seed=seed), seed=seed)


def run_null(
    study: Study,
    parts: Sequence[Partition],
    generators: Mapping[str, Generators],
    trained: Sequence[RunResult],
    *,
    recipe: ClassifierRecipe,
    seed: int,
) -> pd.DataFrame:
    """The paper's arms trained and tested where nothing is planted; and the networks of the real comparison there.

    The generators are those of the cohort with signal: they translate contrasts, which are the same, and never see a
    label.

    Args:
        study, parts: of :func:`null_study`.
        generators: of cases ``A`` and ``B``.
        trained: results on the cohort with signal; their ``Prop-A`` judges all patients of this one.
        recipe: of the classifier.
        seed: of everything.

    Returns:
        Predictions, with arms named as usual, and ``Prop-A, trained with signal``.
    """
    rows = [
        run_partition(
            study, part, generators, arms=CASES, recipe=recipe, run=run, seed=named_seed(seed, "null")
        ).predictions
        for run, part in enumerate(parts, start=1)
    ]
    records = real_patients(study.slices.ids, study.present)
    everyone = samples_of(records, study.slices, None, labels=study.mutant, masked=True)
    for run, result in enumerate(trained, start=1):
        found = judge(result.results["Prop-A"].network, everyone, study.slices.ids)
        rows.append(found.assign(arm="Prop-A, trained with signal", run=run))
    return pd.concat(rows, ignore_index=True)


def noise_table(predictions: pd.DataFrame, truth: pd.Series, *, n_boot: int, seed: int) -> pd.DataFrame:
    """What unknown status as wild-type does: networks by what they learnt, judged by these labels and by the truth.

    Args:
        predictions: with the arms ``Prop-A`` and that on labels as counted (whose ``truth`` are those labels).
        truth: labels by patient.
        n_boot, seed: of the intervals over patients.
    """
    rows = []
    for learnt, arm in (("true labels", "Prop-A"), ("unknown counted as wild-type", COUNTED_ARM.name)):
        part = predictions[predictions["arm"] == arm]
        counted = predictions[predictions["arm"] == COUNTED_ARM.name].set_index(["run", "subject"])["truth"]
        places = pd.MultiIndex.from_frame(part[["run", "subject"]])
        versions = {
            "unknown counted as wild-type": counted.loc[places].to_numpy(dtype=bool),
            "the truth": truth.loc[part["subject"]].to_numpy(dtype=bool),
        }
        for judged, labels in versions.items():
            row = {"learnt": learnt, "judged by": judged}
            for metric in ("accuracy", "sensitivity", "specificity", "auc"):
                found = estimate(part.assign(truth=labels), metric, n_boot=n_boot, seed=seed)
                row[metric] = format_interval(found.value, found.low, found.high)
            rows.append(row)
    return pd.DataFrame(rows)


def real_labels_table(*, n_runs: int, n_boot: int, seed: int) -> tuple[pd.DataFrame, str]:
    """Rules without images on the paper's own patients, judged by labels as counted and by known status.

    Returns:
        The table (rules by labels) and a sentence on who is unknown.

    Raises:
        MissingDataError: without the real tables.
    """
    if data_root() is None:
        raise MissingDataError("no real tables are at hand", remedy="set RADLIB_DATA to the folder that holds them")
    cohort = open_cohort("tcga-idh", cohort="real")
    table = cohort.participants
    counted = table["idh"] == "mutant"
    known = table["idh_ceccarelli"]
    found = pd.concat([
        run_rules(table, counted, split, run=run)
        for run, split in enumerate(partitions(list(table.index), counted, n_runs=n_runs, seed=seed), start=1)
    ])  # fmt: skip
    rows = []
    for arm, part in found.groupby("arm", sort=False):
        sure = part[part["subject"].map(known).notna()]
        status = sure["subject"].map(known == "mutant").to_numpy(dtype=bool)
        for judged, rated in (("as counted", part), ("known status", sure.assign(truth=status))):
            row: dict[str, object] = {"rule": arm, "judged by": judged, "patients": rated["subject"].nunique()}
            for metric in ("accuracy", "sensitivity", "specificity"):
                value = estimate(rated, metric, n_boot=n_boot, seed=seed)
                row[metric] = format_interval(value.value, value.low, value.high)
            rows.append(row)
    wild = known[~counted]
    sentence = (
        f"Of the {len(table)} real patients {int(counted.sum())} count as mutant and {int((~counted).sum())} as "
        f"wild-type; of the latter the status of {int(wild.isna().sum())} is unknown and "
        f"{int((wild == 'mutant').sum())} are mutant by another table."
    )
    return pd.DataFrame(rows), sentence
