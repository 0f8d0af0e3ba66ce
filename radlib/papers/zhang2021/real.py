"""Networks that have seen a cohort, applied to the real BraTS subjects under a data root. Numbers only, no pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort
from radlib.data.readers.brats import read_brats
from radlib.data.store import ImageStore, prepare
from radlib.papers.zhang2021.fusion import TITLES, Run, apply
from radlib.papers.zhang2021.recipe import PAIRS, channels_of


def real_subjects(root: Path, *, most: int) -> Cohort | None:
    """Segmented BraTS subjects of any vintage with all four modalities; None where there are none."""
    try:
        cohort = read_brats(root)
    except RadlibError:
        return None
    there = cohort.participants[[*channels_of(PAIRS), "seg"]].notna().all(axis=1)
    ids = [str(subject) for subject in cohort.participants.index[there]][:most]
    return cohort.subset(ids) if ids else None


def real_table(cohort: Cohort, runs: Mapping[str, Sequence[Run]], store: ImageStore) -> pd.DataFrame:
    """Dice on real subjects: a row a network and region, with mean, lowest and highest over subjects (runs averaged).

    Args:
        cohort: of :func:`real_subjects`.
        runs: by key.
        store: whose grid and spacing the networks were trained on.
    """
    real = prepare(cohort, grid=store.grid, spacing=store.spacing)
    rows = []
    for name, members in runs.items():
        for key, outcome in apply(members, real, real.ids, key=name).items():
            for region, part in outcome.scores.groupby("region", sort=False):
                dice = part.groupby("subject")["dice"].mean()
                rows.append({
                    "network": TITLES[key], "region": str(region).upper(), "subjects": len(dice),
                    "mean Dice": dice.mean(), "lowest": dice.min(), "highest": dice.max(),
                })  # fmt: skip
    return pd.DataFrame(rows)


def real_sentence(table: pd.DataFrame, *, key: str = "ours") -> str:
    """The full network's rows in words."""
    part = table[table["network"] == TITLES[key]]
    said = ", ".join(
        f"{row['region']} {row['mean Dice']:.3f} ({row['lowest']:.3f} to {row['highest']:.3f})"
        for row in part.to_dict("records")
    )
    return f"On {int(part['subjects'].max())} real subjects the full network has a Dice of {said}."
