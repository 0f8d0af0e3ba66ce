"""Methods of several papers on the same patients: their scores, from the studies of their chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from radlib.book.plan import study_of
from radlib.core.errors import MissingDataError
from radlib.study.estimates import contrasts
from radlib.study.studies import Study


def studies_of(names: Mapping[str, str], *, cohort: str, profile: str, seed: int) -> dict[str, Study]:
    """Studies by chapter, with their results; a chapter whose data the cohort lacks is left out.

    Args:
        names: chapter to the name of its study.
        cohort, profile, seed: of the chapters.
    """
    found = {}
    for chapter, name in names.items():
        try:
            found[chapter] = study_of(chapter, name, cohort=cohort, profile=profile, seed=seed).run()
        except MissingDataError:
            continue
    return found


def common_subjects(parts: Sequence[pd.DataFrame]) -> list[str]:
    """The patients who have rows in every table, sorted; none where there are fewer than two tables."""
    if len(parts) < 2:
        return []
    return sorted(set.intersection(*(set(part["subject"]) for part in parts)))


def once(scores: pd.DataFrame) -> pd.DataFrame:
    """Long scores with each patient once, as run 0: the mean over the runs. Runs of two chapters make no pairs."""
    keys = ["arm", "group", "metric", "subject"]
    return scores.groupby(keys, sort=False)["value"].mean().reset_index().assign(run=0)


def votes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions with each patient once: the mean score, and what most runs decided.

    Half of the runs for mutant is mutant. Methods score in different units. The AUC needs their order alone, so a
    score becomes its rank within the arm, above 0 and at most 1.
    """
    found = predictions.groupby(["arm", "subject"], sort=False).agg(
        truth=("truth", "first"), predicted=("predicted", "mean"), score=("score", "mean")
    )
    ranks = found.groupby(level="arm")["score"].rank(pct=True)
    return found.assign(predicted=found["predicted"] >= 0.5, score=ranks, run=0).reset_index()


def against(
    scores: pd.DataFrame, reference: str, *, metric: str, groups: Sequence[str], n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Every other arm minus ``reference``, group by group (:func:`radlib.study.estimates.contrasts`)."""
    pairs = [(arm, reference) for arm in dict.fromkeys(scores["arm"]) if arm != reference]
    return contrasts(scores, pairs, metrics=[metric], groups=groups, n_boot=n_boot, seed=seed)
