"""Real subjects with a segmentation, of any BraTS vintage, on which networks of another cohort are tried."""

from __future__ import annotations

from pathlib import Path

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort
from radlib.data.readers.brats import read_brats


def real_subjects(root: Path, *, most: int) -> dict[tuple[str, ...], Cohort]:
    """Segmented real subjects under a data root by the modalities that they have: all of three, or T1c and FLAIR alone.

    Args:
        root: with BraTS folders of any vintage, anywhere under it.
        most: at most so many of each kind.
    """
    try:
        cohort = read_brats(root)
    except RadlibError:
        return {}
    has = cohort.participants[["t1ce", "flair", "t2", "seg"]].notna()
    kinds = {
        ("t1ce", "flair", "t2"): has.all(axis=1),
        ("t1ce", "flair"): has[["t1ce", "flair", "seg"]].all(axis=1) & ~has["t2"],
    }
    found = {}
    for modalities, there in kinds.items():
        ids = [str(subject) for subject in cohort.participants.index[there]][:most]
        if ids:
            found[modalities] = cohort.subset(ids)
    return found
