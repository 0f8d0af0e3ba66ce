"""What a cohort holds, and what is wrong with its images."""

from __future__ import annotations

from typing import Any

import numpy as np

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.data.check.images import disagreements, examine, repeated
from radlib.data.cohort import FILE_COLUMNS, Cohort
from radlib.data.duplicates import Described, same_subjects
from radlib.data.nifti import map_labels


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

    What :func:`radlib.data.check.images.examine` finds, images of a subject on several grids, labels that the stated
    encoding does not know or that can be read in two ways, and subjects that show the same patient.
    """
    problems, described = [], []
    for number, subject in enumerate(track(cohort.ids, description="subjects")):
        grids, own = {}, {}
        for column in FILE_COLUMNS:
            if cohort.participants[column].isna()[subject]:
                continue
            path = cohort.path(subject, column)
            found = examine(path, mask=column == "seg")
            problems += [f"{subject}: {column}: {message}. File: {path}" for _, message, _ in found.faults]
            if found.grid is not None:
                grids[column] = found.grid
            if found.description is not None:
                own[column] = found.description
                described.append(Described(number, column, column == "seg", found.description))
            if column == "seg" and found.labels:
                problems += label_problems(cohort, subject, list(found.labels))
        problems += [f"{subject}: {message}" for _, message in disagreements(grids)]
        own.pop("seg", None)
        problems += [f"{subject}: {message}" for message in repeated(own)]
    for (one, other), names in same_subjects(described).items():
        problems.append(f"{cohort.ids[other]} shows the same as {cohort.ids[one]}: {', '.join(sorted(names))}")
    return problems


def label_problems(cohort: Cohort, subject: str, values: list[float] | None = None) -> list[str]:
    """What is wrong with the labels of a subject's segmentation, given its values or read from its file."""
    try:
        if values is None:
            cohort.labels(subject)
        else:
            encoding = cohort.participants["label_encoding"].dropna().get(subject)
            named = None if encoding is None else str(encoding)
            map_labels(np.array(values), encoding=named, file=cohort.path(subject, "seg"))
    except RadlibError as error:
        return [f"{subject}: {error}"]
    return []
