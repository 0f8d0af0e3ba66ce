"""From images with gaps to survival: synthesis, segmentation, the 71 features, and the protocols of the survival study.

What a single stage does is a function of arrays, which ``radlib predict`` calls too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import nn

from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.data.resampling import Spacing
from radlib.data.store import ImageStore, prepare
from radlib.features.islam71 import Islam71Settings, feature_names, islam71
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.papers.islam2020.networks import Synthesiser
from radlib.papers.islam2020.study_segmentation import load_network, segment
from radlib.papers.islam2020.study_synthesis import load_generator, synthesise
from radlib.stats.protocols import ProtocolRun, RepeatedFolds
from radlib.stats.segmentation import score_labels
from radlib.study.cohorts import Source
from radlib.study.jobs import Job, job
from radlib.study.store import Work

TRUE_MASKS, RECORDED, SYNTHESISED = "true_masks", "recorded", "synthesised"
ARMS = (TRUE_MASKS, RECORDED, SYNTHESISED)
"""Where the 71 features come from: true masks on recorded images, as simulation has; masks predicted from recorded
images, with gaps; and the paper's pipeline, masks predicted after the gaps are filled in."""


# Stages


@dataclass(frozen=True, kw_only=True)
class Stages:
    """A cohort with its gaps, before and after they are filled.

    Attributes:
        recorded: z-scored images as they are; what lacks is 0.
        filled: the same with synthetic modalities in the gaps.
        synthesised: subject and modality of every image that was made.
    """

    recorded: ImageStore
    filled: ImageStore
    synthesised: pd.DataFrame


def fill_gaps(
    cohort: Cohort, generators: Mapping[str, Synthesiser], *, modalities: Sequence[str], grid: Sequence[int],
    spacing: Spacing, seed: int,
) -> Stages:  # fmt: skip
    """Read a cohort onto one grid and fill in the modalities that segmentation needs.

    A modality for which there is no generator, or no source, stays a gap.

    Args:
        cohort: subjects without any image are left out.
        generators: by target.
        modalities: what segmentation needs.
        grid, spacing: the common grid.
        seed: of the noise.
    """
    recorded = prepare(cohort, grid=grid, spacing=spacing)
    scaled = prepare(cohort, grid=grid, spacing=spacing, normalise="minmax")
    filled, rows = recorded, []
    for target in modalities:
        if target not in generators:
            continue
        network, channel = generators[target], recorded.channels([target])[0]
        takes = recorded.channels(network.sources)
        images = {}
        for row, subject in enumerate(track(recorded.ids, description=f"synthesise {target}")):
            if not recorded.present[row, channel] and recorded.present[row, takes].any():
                images[subject] = synthesise(network, scaled, subject, seed=seed)
        rows += [{"subject": subject, "modality": target} for subject in images]
        filled = filled.replaced(images, modality=target)
    return Stages(recorded=recorded, filled=filled, synthesised=pd.DataFrame(rows, columns=["subject", "modality"]))


def predict_masks(
    networks: Sequence[nn.Module], store: ImageStore, *, modalities: Sequence[str]
) -> dict[str, np.ndarray]:
    """Labels of every subject by the ensemble, ``(X, Y, Z)``; a subject with none of the modalities has no tumour."""
    return {
        subject: segment(networks, store, subject, modalities=modalities)
        for subject in track(store.ids, description="segment")
    }


def true_masks(store: ImageStore) -> dict[str, np.ndarray]:
    """The labels of the store."""
    return {subject: store.labels[row].cpu().numpy() for row, subject in enumerate(store.ids) if store.has_labels[row]}


def features(
    masks: Mapping[str, np.ndarray], store: ImageStore, *, settings: Islam71Settings | None = None
) -> pd.DataFrame:
    """The 71 features of each subject with a mask; NaN where a region is empty or the modality lacks.

    Where a network found no tumour at all, lengths and eigenvalues are 0: the patient stays in the study, as such a
    failure is part of the pipeline.
    """
    chosen = settings or Islam71Settings()
    channel = store.channels([chosen.modality])[0]
    rows = {}
    for subject, labels in masks.items():
        row = store.rows([subject])[0]
        image = store.images[row, channel].cpu().numpy() if store.present[row, channel] else None
        rows[subject] = islam71(image, labels, spacing=store.spacing, settings=chosen)
        if not labels.any():
            rows[subject] |= {name: 0.0 for name in rows[subject] if "length" in name or "eigenvalue" in name}
    return pd.DataFrame.from_dict(rows, orient="index", columns=feature_names()).rename_axis("id")


@job
def stages(
    work: Work, *, patients: Source, networks: tuple[Job, ...], generators: dict[str, Job], seed: int = 0
) -> None:
    """Fill in the gaps of a cohort, segment it with them and without, and measure the 71 features.

    Scores are the Dice of both predictions (column ``masks``, an arm of :data:`ARMS`) by region, with the number of
    ``gaps`` that were filled in. The tables ``true_masks``, ``recorded`` and ``synthesised`` hold the features.

    Args:
        patients: the cohort; subjects without any image are left out.
        networks: trainings that segment together.
        generators: trainings that fill in, by target.
        seed: of the noise.
    """
    inputs = networks[0].inputs
    modalities, images = inputs["modalities"], inputs["images"]
    found = fill_gaps(
        patients.open(), {target: load_generator(one) for target, one in generators.items()}, modalities=modalities,
        grid=images.grid, spacing=images.spacing, seed=seed,
    )  # fmt: skip
    loaded = [load_network(one) for one in networks]
    masks = {
        TRUE_MASKS: true_masks(found.recorded),
        RECORDED: predict_masks(loaded, found.recorded, modalities=modalities),
        SYNTHESISED: predict_masks(loaded, found.filled, modalities=modalities),
    }
    for arm, labels in masks.items():
        table = features(labels, found.filled if arm == SYNTHESISED else found.recorded)
        work.table(arm, table.reset_index())
    gaps = found.synthesised.groupby("subject").size()
    truth = masks[TRUE_MASKS]
    rows = [
        score_labels(
            masks[arm][subject], truth[subject], spacing=found.recorded.spacing, subject=subject
        ).assign(masks=arm, gaps=int(gaps.get(subject, 0)))
        for arm in (RECORDED, SYNTHESISED)
        for subject in truth
    ]  # fmt: skip
    scores = pd.concat(rows, ignore_index=True).rename(columns={"region": "group", "dice": "value"})
    work.scores(scores.assign(metric="dice")[["subject", "group", "metric", "value", "masks", "gaps"]])
    work.note(patients=len(patients.open()), with_images=len(found.recorded), modalities=list(modalities),
              synthesised=len(found.synthesised), of=int(found.synthesised["subject"].nunique()))  # fmt: skip


# The survival study


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Everything about the survival study that is not data.

    Attributes:
        n_radiomic, n_genomic: features kept of each table.
        svm_c: penalty C of the SVM and of the eliminating machine.
        hidden_nodes: of the network.
        short_below_days, long_above_days: limits of the classes.
        censored_as_deaths: take the last follow-up of a censored patient for the day of death.
    """

    n_radiomic: int = 8
    n_genomic: int = 43
    svm_c: float = 1.0
    hidden_nodes: int = 6
    short_below_days: float = 300.0
    long_above_days: float = 450.0
    censored_as_deaths: bool = False


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Folds of patients, drawn anew several times, and how often labels are shuffled."""

    n_folds: int = 4
    n_repeats: int = 10
    n_permutations: int = 10
    seed: int = 0

    @property
    def splitter(self) -> RepeatedFolds:
        """The folds."""
        return RepeatedFolds(n_folds=self.n_folds, n_repeats=self.n_repeats, seed=self.seed)


def study_from(patients: Source, machines: Machines, *, measured: Job | None = None, arm: str = "") -> rg.Study:
    """The patients with their radiomic features, or with those that a job of :func:`stages` measured in an arm."""
    cohort = patients.open()
    if measured is not None:
        table = measured.result().table(arm).set_index("id")
        cohort = replace(cohort.subset([str(subject) for subject in table.index]), radiomics=table)
    return rg.study_of(cohort, short_below=machines.short_below_days, long_above=machines.long_above_days)


@job
def protocols(
    work: Work, *, patients: Source, reading: rg.Reading, machines: Machines, repeats: Repeats,
    measured: Job | None = None, arm: str = "",
) -> None:  # fmt: skip
    """One reading of the paper under all protocols (:func:`.radiogenomics.run_reading`).

    Scores are the predictions, ``truth`` and ``predicted`` being classes; the table ``selected`` has the features.
    """
    run = rg.run_reading(
        study_from(patients, machines, measured=measured, arm=arm), reading=reading, splitter=repeats.splitter,
        n_radiomic=machines.n_radiomic, n_genomic=machines.n_genomic, C=machines.svm_c, hidden=machines.hidden_nodes,
        censored_as_deaths=machines.censored_as_deaths, n_permutations=repeats.n_permutations, seed=repeats.seed,
    )  # fmt: skip
    work.scores(run.predictions.rename(columns={"true": "truth"}))
    work.table("selected", run.selected)


@job
def ranked(work: Work, *, patients: Source, machines: Machines, repeats: Repeats) -> None:
    """The fused SVM as published, with features ranked one by one instead of eliminated; scores are predictions."""
    run = rg.ranked_run(
        study_from(patients, machines), splitter=repeats.splitter, n_radiomic=machines.n_radiomic,
        n_genomic=machines.n_genomic, C=machines.svm_c,
    )  # fmt: skip
    work.scores(run.predictions.rename(columns={"true": "truth"}))


def run_of(one: Job) -> ProtocolRun:
    """What a job of :func:`protocols` or :func:`ranked` predicted and selected."""
    found = one.result()
    selected = found.table("selected") if found.has("tables/selected.parquet") else pd.DataFrame()
    return ProtocolRun(found.scores.rename(columns={"truth": "true"}), selected)
