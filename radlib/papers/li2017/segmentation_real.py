"""The tumour CNN of Li 2017 on real subjects: learnt from simulated images, from other real subjects, or from both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.readers.segmented import real_subjects
from radlib.data.splits import k_fold
from radlib.data.store import ImageStore, prepare
from radlib.papers.li2017.segmentation import (
    MODALITIES,
    Recipe,
    Training,
    network_input,
    score_mask,
    score_network,
    train_network,
    truth_of,
)
from radlib.papers.li2017.segmentation_study import FlairRule, fit_flair_rule

FROM_SIMULATED = "simulated"
FROM_REAL = "other real subjects"
TUNED = "simulated, then other real subjects"


def real_store(root: Path, *, like: ImageStore, most: int) -> ImageStore | None:
    """Segmented real subjects with T1c and FLAIR and no T2 under a data root, on the grid of ``like``; None if none.

    Raises:
        RadlibError: if a file that is there cannot be read.
    """
    cohort = real_subjects(root, most=most).get(("t1ce", "flair"))
    if cohort is None:
        return None
    return prepare(cohort, modalities=like.modalities, grid=like.grid, spacing=like.spacing)


def real_scores(
    store: ImageStore,
    *,
    simulated: Mapping[str, Training],
    rule: FlairRule,
    recipe: Recipe,
    tuning_steps: int,
    n_folds: int,
    seed: int,
) -> pd.DataFrame:
    """Networks and rules on real subjects, one row a ``method``, ``learnt from`` and ``subject``.

    Args:
        store: of :func:`real_store`.
        simulated: trained on simulated subjects, by title; the last is the one that is tuned.
        rule: its threshold from the simulated training patients.
        recipe: of trainings on real subjects, on both modalities.
        tuning_steps: of a simulated network on real subjects, at a tenth of the recipe's learning rate.
        n_folds: each real subject is segmented by networks that learnt from the other folds.
        seed: of folds and trainings.

    Raises:
        RadlibError: with fewer subjects than folds.
    """
    if not simulated:
        raise RadlibError("no network from simulated subjects was given", remedy="give at least one")
    own = network_input(store, recipe.normalisation, patch=recipe.patch)
    parts = [
        score_network(run.model, own, store.ids).assign(method=title, learnt=FROM_SIMULATED)
        for title, run in simulated.items()
    ]
    title, last = list(simulated.items())[-1]
    parts.append(_rule_scores(rule, store, store.ids, smoothing=recipe.smoothing).assign(learnt=FROM_SIMULATED))
    for fold in k_fold(store.ids, n_folds=n_folds, seed=seed) if n_folds else ():
        fresh = train_network(
            own, fold.train, modalities=MODALITIES, recipe=recipe, seed=seed, name=f"real, {fold.name}"
        )
        tuned = train_network(
            own, fold.train, modalities=MODALITIES, seed=seed, name=f"tuned, {fold.name}", start=last.model,
            recipe=replace(recipe, steps=tuning_steps, learning_rate=recipe.learning_rate / 10),
        )  # fmt: skip
        parts += [
            score_network(run.model, own, fold.test).assign(method=title, learnt=learnt)
            for run, learnt in ((fresh, FROM_REAL), (tuned, TUNED))
        ]
        found = fit_flair_rule(store, fold.train)
        parts.append(_rule_scores(found, store, fold.test, smoothing=recipe.smoothing).assign(learnt=FROM_REAL))
    return pd.concat(parts, ignore_index=True).drop(columns="seconds").rename(columns={"learnt": "learnt from"})


def _rule_scores(rule: FlairRule, store: ImageStore, subjects: Sequence[str], *, smoothing: int) -> pd.DataFrame:
    rows = [
        {"subject": subject, **score_mask(rule.mask(store, subject, smoothing=smoothing), truth_of(store, subject)),
         "seconds": np.nan}
        for subject in subjects
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(method="FLAIR threshold")
