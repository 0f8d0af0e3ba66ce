"""What a cohort holds, and what is wrong with its images."""

from __future__ import annotations

from typing import Any

import numpy as np

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.data.cohort import FILE_COLUMNS, Cohort
from radlib.data.nifti import Volume


def summary(cohort: Cohort) -> dict[str, Any]:
    """What a cohort holds, as plain values that JSON can carry: counts, ranges and frequencies by column."""
    table = cohort.participants
    described: dict[str, Any] = {}
    for column in table.columns:
        values = table[column].dropna()
        if not len(values):
            continue
        entry: dict[str, Any] = {"known": len(values)}
        if column in FILE_COLUMNS:
            pass
        elif values.dtype.kind == "f" and values.nunique() > 6:
            entry |= {"min": float(values.min()), "median": float(values.median()), "max": float(values.max())}
        elif values.nunique() <= 12:
            entry["values"] = {
                f"{k:g}" if isinstance(k, float) else str(k): int(n) for k, n in values.value_counts().items()
            }
        described[str(column)] = entry
    return {
        "name": cohort.name,
        "source": cohort.source,
        "root": str(cohort.root),
        "n_subjects": len(cohort),
        "columns": described,
        "expression": None if cohort.expression is None else list(cohort.expression.shape),
        "radiomics": None if cohort.radiomics is None else list(cohort.radiomics.shape),
        "notes": list(cohort.notes),
    }


def image_problems(cohort: Cohort) -> list[str]:
    """Every problem of every volume, one sentence each; reads one volume at a time.

    Unreadable, not finite, the same everywhere, unexpected labels, or on another grid than the subject's first.
    """
    problems = []
    for subject in track(cohort.ids, description="subjects"):
        first: tuple[str, Volume] | None = None
        for column in FILE_COLUMNS:
            if cohort.participants[column].isna()[subject]:
                continue
            try:
                volume = cohort.volume(subject, column)
            except RadlibError as error:
                problems.append(str(error))
                continue
            if column != "seg" and np.ptp(volume.data) == 0:
                problems.append(f"{subject}: {column} is the same everywhere")
            if first is None:
                first = (column, volume)
            elif volume.data.shape != first[1].data.shape:
                problems.append(
                    f"{subject}: {column} has shape {volume.data.shape}, {first[0]} has {first[1].data.shape}"
                )
            elif not np.allclose(volume.affine, first[1].affine, atol=1e-3):
                problems.append(f"{subject}: {column} lies elsewhere in space than {first[0]} (affines differ)")
    return problems
