"""From a folder of images to a page a patient: fill in, segment, measure, predict."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from radlib.book.plan import study_of
from radlib.core.errors import MissingDataError
from radlib.core.files import atomic_path, check_target
from radlib.core.titles import title
from radlib.data.cohort import Cohort
from radlib.data.nifti import Volume, write_volume
from radlib.data.resampling import unusable
from radlib.data.sources import open_cohort
from radlib.papers.across.predict.models import SURVIVAL_COVARIATES, Answer, predict_idh, predict_survival
from radlib.papers.across.predict.page import NOT_CLINICAL, patient_page, summary_row
from radlib.papers.islam2020 import study_survival as stages
from radlib.papers.islam2020.study_segmentation import load_network, split_of
from radlib.papers.islam2020.study_synthesis import load_generator
from radlib.plots.viewer import viewer_document
from radlib.study.jobs import Job
from radlib.study.store import find

PARTS = {"enhancing tumour": (4,), "necrosis and non-enhancing core": (1,), "oedema": (2,), "whole tumour": (1, 2, 4)}
MARK = "PREDICTED by radlib, not for clinical use"
"""The description field of a predicted segmentation."""


def predict(
    cohort: Cohort,
    *,
    out: Path,
    subjects: Sequence[str] | None = None,
    profile: str = "default",
    n_boot: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """Segment patients and predict IDH and survival, with what the chapters on the simulated cohort have trained.

    Modalities that the segmentation needs and a patient lacks are synthesised, and the page says so. Features are
    measured on the predicted segmentation.

    Args:
        cohort: the patients; at least one modality each.
        out: for each patient ``<id>/<id>_seg_predicted.nii.gz`` on its own grid and ``<id>/<id>.html``; and
            ``predictions.tsv``.
        subjects: some of them; all where None.
        profile: of the chapters' runs.
        n_boot: refits behind the intervals of probabilities.
        seed: of noise and resamples.

    Returns:
        ``predictions.tsv``: a line a patient. ``attrs["failed"]`` has the patients without one, and why.

    Raises:
        MissingDataError: if the networks have not been trained, or no patient has an image that can be used.
        RadlibError: for an unknown subject.
    """
    chosen = cohort if subjects is None else cohort.subset(subjects)
    check_target(out, folder=True)
    for subject in chosen.ids:
        for target in (_segmentation_file(out, subject), out / "predictions.tsv"):
            check_target(target, inputs=cohort.files())
    jobs = trained("octave_segmentation", "trainings", "fcn", profile=profile)
    networks, images = [load_network(one) for one in jobs], jobs[0].inputs["images"]
    modalities = list(jobs[0].inputs["modalities"])
    failed = unusable(chosen, modalities)
    if len(failed) == len(chosen):
        raise MissingDataError(
            f"no patient of cohort {cohort.name!r} can be used: {next(iter(failed.values()), 'there is none')}",
            file=cohort.root, remedy="check the cohort with: radlib cohort check --images",
        )  # fmt: skip
    chosen = chosen.subset([subject for subject in chosen.ids if subject not in failed])
    complete = chosen.participants[modalities].notna().all(axis=None)
    generators = {}
    if not complete:
        fillers = trained("modality_synthesis", "fillers", profile=profile)
        generators = {one.inputs["target"]: load_generator(one) for one in fillers}
    filled = stages.fill_gaps(
        chosen, generators, modalities=modalities, grid=images.grid, spacing=images.spacing, seed=seed
    )
    masks = stages.predict_masks(networks, filled.filled, modalities=modalities)
    features = stages.features(masks, filled.filled)
    answers = _answers(features, chosen, profile=profile, n_boot=n_boot, seed=seed)
    provenance = {
        "software": f"radlib {version('radlib')}, profile {profile}",
        "networks": f"{len(networks)} x octave FCN, trained on {len(split_of(jobs[0]).train)} simulated patients each",
        "trainings": ", ".join(one.fingerprint for one in jobs),
    }
    rows = []
    for subject in chosen.ids:
        made = list(filled.synthesised.query("subject == @subject")["modality"])
        labels, volumes_ml = _segmentation(chosen, filled, subject, masks[subject], out=out)
        notes = [f"Synthesised, not measured: {', '.join(made)}." if made else "", "" if labels.data.any() else
                 "No tumour was found: whatever follows is about a patient without one."]  # fmt: skip
        has = [name for name in modalities if isinstance(chosen.participants.at[subject, name], str)]
        # The page stays with its patient: pictures are meant.
        viewer = viewer_document({title(name): chosen.volume(subject, name) for name in has}, {"predicted": labels})
        page = patient_page(subject, viewer, volumes_ml, answers, [note for note in notes if note], provenance)
        with atomic_path(out / subject / f"{subject}.html") as temporary:
            temporary.write_text(page, encoding="utf-8")
        rows.append(summary_row(subject, volumes_ml, answers))
    table = pd.DataFrame(rows)
    table.attrs["failed"] = failed
    with atomic_path(out / "predictions.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False)
    return table


def trained(chapter: str, study: str, *arms: str, profile: str) -> list[Job]:
    """The trainings of a chapter's study on simulated patients, of some arms or all; none is computed here.

    Raises:
        MissingDataError: if one has neither been computed here nor is kept.
    """
    found = study_of(chapter, study, cohort="simulated", profile=profile, seed=0)
    jobs = [one for arm in arms or found.arms for one in found.arms[arm]]
    if lacking := [one for one in jobs if find(one) is None]:
        raise MissingDataError(
            f"{len(lacking)} of the {len(jobs)} networks of {chapter} have not been trained: {lacking[0].title}",
            remedy=f"run: radlib study run {chapter} --profile {profile}",
        )
    return jobs


def _answers(features: pd.DataFrame, cohort: Cohort, *, profile: str, n_boot: int, seed: int) -> list[Answer]:
    age = cohort.participants.loc[features.index, "age"].astype(float)
    covariates = features.assign(age=age)[list(SURVIVAL_COVARIATES)]
    if age.isna().all():
        covariates = covariates.drop(columns="age")
    return [
        predict_idh(open_cohort("tcga-idh", profile=profile), features, n_boot=n_boot, seed=seed),
        predict_survival(open_cohort("tcga-gbm", profile=profile), covariates, n_boot=n_boot, seed=seed),
    ]


def _segmentation_file(out: Path, subject: str) -> Path:
    return out / subject / f"{subject}_seg_predicted.nii.gz"


def _segmentation(
    cohort: Cohort, filled: stages.Stages, subject: str, mask: np.ndarray, *, out: Path
) -> tuple[Volume, dict[str, float]]:
    """Write the labels on the patient's own grid; give them with the volumes of their parts."""
    modality = next(m for m in filled.filled.modalities if isinstance(cohort.participants.at[subject, m], str))
    like = cohort.volume(subject, modality)
    labels = filled.filled.restore(subject, mask, like=like, order=0).astype(np.uint8)
    note = {"predicted": True, "note": NOT_CLINICAL, "software": f"radlib {version('radlib')}"}
    file = _segmentation_file(out, subject)
    write_volume(
        file, labels, affine=like.affine, dtype=np.uint8, description=MARK, note=note,
        like=cohort.path(subject, modality),
    )  # fmt: skip
    voxel_ml = abs(float(np.linalg.det(like.affine[:3, :3]))) / 1000
    volumes = {name: float(np.isin(labels, values).sum()) * voxel_ml for name, values in PARTS.items()}
    return Volume(labels, like.affine, like.spacing), volumes
