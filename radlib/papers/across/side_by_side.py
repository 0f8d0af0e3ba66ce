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


def matched_runs(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Predictions of several methods on the same patients in the same runs.

    Networks of different runs score in different units, so that an AUC is one of a run. Run ``k`` of one method stands
    beside run ``k`` of another, with the patients whom both predict there; runs are numbered anew, in order, and a
    method without runs stands in each.

    Args:
        parts: predictions ``arm, run, subject, truth, predicted, score`` of each method's arms.

    Returns:
        All of them, where every part has a prediction of the patient in the run; scores are ranks within arm and run.
    """
    numbered = []
    for part in parts:
        runs = {run: number for number, run in enumerate(sorted(part["run"].unique()))}
        numbered.append(part.assign(run=part["run"].map(runs)))
    keys = [set(zip(part["run"], part["subject"], strict=True)) for part in numbered]
    both = set.intersection(*keys) if len(keys) > 1 else set()
    found = pd.concat(numbered, ignore_index=True)
    found = found[[pair in both for pair in zip(found["run"], found["subject"], strict=True)]]
    return found.assign(score=found.groupby(["arm", "run"])["score"].rank(pct=True)).reset_index(drop=True)


def against(
    scores: pd.DataFrame, reference: str, *, metric: str, groups: Sequence[str], n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Every other arm minus ``reference``, group by group (:func:`radlib.study.estimates.contrasts`)."""
    pairs = [(arm, reference) for arm in dict.fromkeys(scores["arm"]) if arm != reference]
    return contrasts(scores, pairs, metrics=[metric], groups=groups, n_boot=n_boot, seed=seed)
