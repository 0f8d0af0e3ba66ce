"""Jobs of Li 2017 beside its networks: rules, steps behind a network, and real subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.splits import k_fold
from radlib.data.store import ImageStore, prepare
from radlib.papers.li2017.data import MODALITIES, Mask, RealSubjects, flair_of, natural_share, truth_of
from radlib.papers.li2017.segmentation import (
    TumourNetwork,
    largest_per_slice,
    network_input,
    post_process,
    prior_threshold,
    score_network,
    score_rows,
    seen_on_grid,
    tumour_probability,
)
from radlib.papers.li2017.study import Recipe, Setting, train_network, tumour_network
from radlib.stats.segmentation import dice
from radlib.study.jobs import Job, job, job_on_real_patients
from radlib.study.store import Work

# Rules


class FlairRule(NamedTuple):
    """Tumour is where FLAIR is bright.

    - ``threshold``: standard deviations above the mean of the brain.
    - ``dice``: mean DSC on the patients it was chosen on, before the morphology.
    """

    threshold: float
    dice: float

    def mask(self, store: ImageStore, subject: str, *, smoothing: int) -> Mask:
        """The rule's segmentation, with the same morphology as the networks'."""
        image = flair_of(store, subject)
        return post_process(image > self.threshold, smoothing=smoothing, brain=image != 0)

    def scores(self, store: ImageStore, subjects: Sequence[str], *, smoothing: int, **columns: object) -> pd.DataFrame:
        """Long scores, as :func:`radlib.papers.li2017.segmentation.score_network` gives them."""
        rows: list[dict[str, object]] = []
        for subject in subjects:
            found = self.mask(store, subject, smoothing=smoothing)
            rows += score_rows(subject, found, truth_of(store, subject), **columns)
        return pd.DataFrame(rows)


def fit_flair_rule(store: ImageStore, train: Sequence[str]) -> FlairRule:
    """The threshold with the best mean DSC on training patients, of 0 to 4 in steps of 0.1."""
    thresholds = np.arange(0, 4.05, 0.1)
    found = np.zeros(len(thresholds))
    for subject in train:
        image, truth = flair_of(store, subject), truth_of(store, subject)
        found += [dice(image > threshold, truth) for threshold in thresholds]
    best = int(found.argmax())
    return FlairRule(float(thresholds[best]), float(found[best] / max(len(train), 1)))


@job
def rule(work: Work, *, setting: Setting, smoothing: int, kind: Literal["flair", "brain"]) -> None:
    """A rule that needs no network: FLAIR above a threshold, or the whole brain."""
    split, store = setting.split(), setting.store()
    if kind == "flair":
        fitted = fit_flair_rule(store, split.train)
        work.scores(fitted.scores(store, split.test, smoothing=smoothing))
        work.note(threshold=fitted.threshold, training_dice=fitted.dice)
        return
    rows: list[dict[str, object]] = []
    for subject in split.test:
        rows += score_rows(subject, flair_of(store, subject) != 0, truth_of(store, subject))
    work.scores(pd.DataFrame(rows))


# What follows the network

STEPS: dict[str, str] = {
    "alone": "network alone, above one half",
    "region": "and largest region of each slice",
    "half": "and box filter",
    "natural": "the same, threshold for the natural share",
    "grid": "reference seen on the network's grid",
    "dense": "a score for every pixel, above one half",
    "dense_natural": "a score for every pixel, natural share",
}
"""Rows of :func:`step_scores` and their titles."""


@job
def steps(work: Work, *, setting: Setting, trained: Job, n_dense: int) -> None:
    """What each step behind a network does, with a score for every pixel of the first ``n_dense`` test patients."""
    split, recipe = setting.split(), trained.inputs["recipe"]
    store = network_input(setting.store(), recipe.normalisation, patch=recipe.patch)
    natural = natural_share(setting.store(), split.train)
    work.scores(
        step_scores(
            tumour_network(trained.result()), store, split.test, natural=natural, dense=split.test[:n_dense]
        )
    )  # fmt: skip
    work.note(natural=natural)


def step_scores(
    model: TumourNetwork, store: ImageStore, subjects: Sequence[str], *, natural: float, dense: Sequence[str]
) -> pd.DataFrame:
    """Long scores of every step behind the network, in a column ``step`` (:data:`STEPS`).

    A threshold for the natural share undoes the selection of patches (:func:`prior_threshold`). A score for every
    pixel takes the interpolation out. The reference on the network's grid is what interpolation leaves of the truth,
    known on every fourth pixel.

    Args:
        model: trained on two classes.
        store: what the network wants.
        subjects: patients.
        natural: share of tumour in the brain, from training patients.
        dense: those patients for whom every pixel gets a score, which takes sixteen times as long.
    """
    threshold = prior_threshold(trained=model.tumour_share, natural=natural)
    rows: list[dict[str, object]] = []
    for subject in subjects:
        image, truth = store.subject(subject).take(model.modalities), truth_of(store, subject)
        brain = (image != 0).any(dim=0).cpu().numpy()

        def processed(p: np.ndarray, t: float, brain: Mask = brain) -> Mask:
            return post_process(p > t, smoothing=model.smoothing, brain=brain)

        cubic = tumour_probability(model, image).numpy()
        masks = [
            cubic > 0.5, largest_per_slice(cubic > 0.5), processed(cubic, 0.5), processed(cubic, threshold),
            seen_on_grid(truth, stride=model.network.geometry("output").stride),
        ]  # fmt: skip
        if subject in dense:
            every = tumour_probability(model, image, output="dense").numpy()
            masks += [processed(every, 0.5), processed(every, threshold)]
        for step, mask in zip(STEPS, masks, strict=False):
            rows += score_rows(subject, mask, truth, step=step)
    return pd.DataFrame(rows)


# Real subjects

FROM_SIMULATED, FROM_REAL, TUNED = "simulated", "other real subjects", "simulated, then other real subjects"


@job_on_real_patients
def real(
    work: Work, *, subjects: RealSubjects, setting: Setting, trained: tuple[Job, ...], tuning_steps: int, n_folds: int
) -> None:
    """Networks and the FLAIR rule on real subjects; columns ``method`` and ``learnt`` (from whom).

    Args:
        work: keeps the scores.
        subjects: who.
        setting: of the simulated trainings.
        trained: simulated trainings; the last is the one that is tuned, and whose recipe real trainings have.
        tuning_steps: of a simulated network on real subjects, at a tenth of the recipe's learning rate.
        n_folds: each real subject is segmented by networks that learnt from the other folds; 0 leaves these out.

    Raises:
        RadlibError: without subjects, or with fewer than folds.
    """
    if subjects.cohort is None:
        raise RadlibError("there are no real subjects", remedy="set RADLIB_DATA to a folder that has some")
    images = setting.images
    store = prepare(subjects.cohort, modalities=images.modalities, grid=images.grid, spacing=images.spacing)
    known = fit_flair_rule(setting.store(), setting.split().train)
    work.scores(real_scores(
        store, simulated={one.inputs["variant"].name: tumour_network(one.result()) for one in trained}, known=known,
        recipe=trained[-1].inputs["recipe"], tuning_steps=tuning_steps, n_folds=n_folds, seed=setting.seed,
    ))  # fmt: skip


def real_scores(
    store: ImageStore, *, simulated: dict[str, TumourNetwork], known: FlairRule, recipe: Recipe, tuning_steps: int,
    n_folds: int, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Scores of :func:`real`, on the subjects of a store."""
    own = network_input(store, recipe.normalisation, patch=recipe.patch)
    parts = [
        score_network(model, own, store.ids, method=name, learnt=FROM_SIMULATED) for name, model in simulated.items()
    ]
    name, last = list(simulated.items())[-1]
    options: dict[str, Any] = {"smoothing": recipe.smoothing, "method": "flair"}
    parts.append(known.scores(store, store.ids, learnt=FROM_SIMULATED, **options))
    for fold in k_fold(store.ids, n_folds=n_folds, seed=seed) if n_folds else ():
        trainings: dict[str, dict[str, Any]] = {
            FROM_REAL: {"name": f"real, {fold.name}", "recipe": recipe},
            TUNED: {
                "name": f"tuned, {fold.name}", "start": last,
                "recipe": replace(recipe, steps=tuning_steps, learning_rate=recipe.learning_rate / 10),
            },
        }  # fmt: skip
        for learnt, training in trainings.items():
            model, _ = train_network(own, fold.train, modalities=MODALITIES, seed=seed, **training)
            parts.append(score_network(model, own, fold.test, method=name, learnt=learnt))
        parts.append(fit_flair_rule(store, fold.train).scores(store, fold.test, learnt=FROM_REAL, **options))
    return pd.concat(parts, ignore_index=True)
