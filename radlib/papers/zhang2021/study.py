"""What is computed for Zhang 2021: pre-trainings, segmentation networks, and what they find elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.core.paths import data_root, require_data_root
from radlib.data.cohort import Cohort
from radlib.data.readers.brats import read_brats
from radlib.data.store import ImageStore, prepare
from radlib.nn.common import count_parameters
from radlib.papers.zhang2021.data import PAIRS, Data, Groups, Recipe, channels_of
from radlib.papers.zhang2021.networks import build
from radlib.papers.zhang2021.pretraining import (
    Starts,
    name_of,
    one_name,
    train_2d,
    train_self,
    train_transition,
    translate,
    translation_errors,
)
from radlib.papers.zhang2021.segmentation import Segmenter, scores_of, train_network
from radlib.papers.zhang2021.shapes import Voc
from radlib.stats.rule import fit_rule
from radlib.study.cohorts import Images
from radlib.study.jobs import Job, job, job_on_real_patients
from radlib.study.store import Work
from radlib.training.players import Trained

SHOWN = 3
"""Subjects whose translations are kept for pictures."""


# Pre-training


@job
def transition(work: Work, *, data: Data, groups: Groups, recipe: Recipe, seed: int) -> None:
    """Feature transition: generators between two groups, their errors on held-out subjects, slices to show."""
    subjects = data.open()
    trained, starts = train_transition(
        subjects.store, subjects.train, tuning=subjects.tuning, groups=groups, recipe=recipe, seed=seed,
        folder=work.checkpoints(),
    )  # fmt: skip
    _keep(work, trained, starts)
    scores: list[pd.DataFrame] = []
    slices: dict[str, np.ndarray] = {}
    for number, subject in enumerate(subjects.held_out):
        made, box = translate(trained.networks, subjects.store, subject, groups=groups, recipe=recipe)
        scores.append(translation_errors(made, subject))
        if number < SHOWN:
            z = widest(subjects.store.subject(subject).labels[box].cpu().numpy())
            slices |= {f"{subject}/{name}": images[..., z].numpy() for name, images in made.items()}
    work.scores(pd.concat(scores, ignore_index=True))
    work.arrays("translations", slices, keep=_pictures_may_be_kept(data, seed))


@job
def self_reconstruction(work: Work, *, data: Data, groups: Groups, recipe: Recipe, seed: int) -> None:
    """A U-Net for each group that learns to return its input."""
    subjects = data.open()
    trained, starts = train_self(
        subjects.store, subjects.train, tuning=subjects.tuning, groups=groups, recipe=recipe, seed=seed,
        folder=work.checkpoints(),
    )  # fmt: skip
    _keep(work, trained, starts)


@job
def flat(work: Work, *, images: Literal["shapes", "voc"], groups: Groups, recipe: Recipe, seed: int) -> None:
    """2D segmentation of simulated shapes, or of PASCAL VOC below the data root, inflated to 3D for every group."""
    voc = Voc.of(require_data_root()) if images == "voc" else None
    fitted, starts = train_2d(groups=groups, recipe=recipe, seed=seed, voc=voc, folder=work.checkpoints())
    _keep(work, fitted, starts)


def _keep(work: Work, trained: Trained, starts: Starts) -> None:
    work.history(one_name(trained.history))
    for name, network in starts.items():
        work.weights(name, network)
    work.note(
        updates=int(trained.history["step"].max()), steps_per_second=trained.steps_per_second,
        peak_memory=trained.peak_memory,
    )  # fmt: skip


# Segmentation


@job
def segmentation(
    work: Work, *, data: Data, network: str = "ours", groups: Groups = PAIRS, recipe: Recipe, seed: int,
    start: tuple[Job, ...] = (),
) -> None:  # fmt: skip
    """Train a network, choose its window on the tuning subjects, test it on the held-out ones.

    ``start`` are pre-trainings; where several have weights for a group, the last one's are taken.
    """
    subjects = data.open()
    states = {name_of(group): one.result().state(name_of(group)) for one in start for group in one.inputs["groups"]}
    fitted = train_network(
        network, subjects.store, subjects.train, tuning=subjects.tuning, groups=groups, states=states, recipe=recipe,
        seed=seed, folder=work.checkpoints(), regions=subjects.regions,
    )  # fmt: skip
    work.history(fitted.history)
    work.weights("network", fitted.network, keep=network == "ours" and bool(start))
    plain = Segmenter(
        key=network, network=fitted.network, groups=groups, recipe=recipe, window=recipe.windows[0],
        regions=subjects.regions,
    )  # fmt: skip
    segmenter, windows = plain.tuned(subjects.store, subjects.tuning)
    work.table("windows", windows)
    seconds = _test(work, segmenter, subjects.store, subjects.held_out, keep=_pictures_may_be_kept(data, seed))
    work.note(
        parameters=count_parameters(fitted.network), steps_per_second=fitted.steps_per_second, updates=recipe.steps,
        peak_memory=fitted.peak_memory, window=segmenter.window, seconds_per_subject=seconds,
    )  # fmt: skip


@job
def rule(work: Work, *, data: Data) -> None:
    """Two thresholds, fitted on the training subjects, tested on the held-out ones."""
    subjects = data.open()
    found = fit_rule(subjects.store, (*subjects.train, *subjects.tuning))
    work.note(flair=found.flair, t1ce=found.t1ce)
    scores = []
    for subject in subjects.held_out:
        truth = subjects.store.subject(subject).labels.cpu().numpy()
        labels = found.segment(subjects.store, subject)
        scores.append(scores_of(labels, truth, subjects.store, subject, regions=subjects.regions))
    work.scores(pd.concat(scores, ignore_index=True).assign(prediction="rule"))


@job
def on_training(work: Work, *, network: Job, most: int) -> None:
    """Apply a trained network to at most so many of the subjects that it was trained on."""
    data: Data = network.inputs["data"]
    subjects = data.open()
    keep = _pictures_may_be_kept(data, network.inputs["seed"])
    segmenter = replace(segmenter_of(network), regions=subjects.regions)
    _test(work, segmenter, subjects.store, subjects.train[:most], keep=keep)


@job_on_real_patients
def on_real(work: Work, *, networks: tuple[Job, ...], subjects: tuple[str, ...], content: str) -> None:
    """Apply trainings of a network to real subjects, on the grid of the training; only means over subjects are left.

    ``content`` is the fingerprint of their cohort, so that other images are another job.
    """
    images: Images = networks[0].inputs["data"].images
    cohort = find_real(len(subjects))
    assert cohort is not None
    store = prepare(cohort, grid=images.grid, spacing=images.spacing, ids=subjects)
    scores = pd.concat([segmenter_of(network).test(store, subjects)[0] for network in networks])
    dice = scores[scores["metric"] == "dice"].groupby(["prediction", "group", "subject"], sort=False)["value"].mean()
    found = dice.groupby(["prediction", "group"], sort=False)
    work.table("real", found.agg(["size", "mean", "min", "max"]).reset_index())


def segmenter_of(network: Job) -> Segmenter:
    """The trained network of a :func:`segmentation`, with the window that was chosen for it."""
    made, given = network.result(), network.inputs
    built = build(given["network"], groups=given["groups"], recipe=given["recipe"])
    made.load("network", built)
    return Segmenter(
        key=given["network"], network=built.eval(), groups=given["groups"], recipe=given["recipe"],
        window=_window(made.notes["window"]),
    )  # fmt: skip


def _window(noted: int | Sequence[int]) -> int | tuple[int, int, int]:
    """A window as a job's notes have it: JSON has lists in place of tuples."""
    if isinstance(noted, int):
        return noted
    x, y, z = noted
    return x, y, z


def find_real(most: int, root: Path | None = None) -> Cohort | None:
    """Real BraTS subjects of any vintage under the data root with four modalities and a segmentation, or None."""
    root = root or data_root()
    try:
        found = read_brats(root).complete(*channels_of(PAIRS), "seg") if root is not None else None
    except RadlibError:  # no BraTS folder, or none with everything
        return None
    return found.subset(found.ids[:most]) if found is not None and len(found) else None


def _test(work: Work, segmenter: Segmenter, store: ImageStore, ids: Sequence[str], *, keep: bool) -> float:
    """Scores, and of every prediction the axial slice with most tumour; returns the seconds a subject took."""
    scores, labels, seconds = segmenter.test(store, ids)
    work.scores(scores)
    places = {subject: widest(store.subject(subject).labels.cpu().numpy()) for subject in ids}
    slices = {name: found[..., places[name.partition("/")[2]]] for name, found in labels.items()}
    work.arrays("slices", slices, keep=keep)
    return seconds


def widest(labels: np.ndarray) -> int:
    """The axial position with most tumour in ``(X, Y, Z)``; the middle one where there is none."""
    areas = (labels > 0).sum(axis=(0, 1))
    return int(areas.argmax()) if areas.any() else areas.size // 2


def _pictures_may_be_kept(data: Data, seed: int) -> bool:
    """Pictures are of the first run, and no picture of a real patient is kept."""
    return data.images.source.cohort == "simulated" and seed == data.seed
