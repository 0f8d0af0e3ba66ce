"""BIDS folders: ``sub-01[/ses-02]/anat/sub-01[_ses-02]_ce-gd_T1w.nii.gz`` and segmentations among the derivatives."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.cohort import FILE_COLUMNS
from radlib.data.decode import VOLUME_SUFFIXES
from radlib.data.readers.files import walk

_NAME = re.compile(
    r"(?P<subject>sub-[A-Za-z0-9]+)(?P<session>_ses-[A-Za-z0-9]+)?(?P<entities>(_[a-z]+-[A-Za-z0-9+]+)*)"
    r"_(?P<suffix>[A-Za-z0-9]+)\.(nii|nii\.gz)"
)
_CONTRAST = re.compile(r"_ce-|_(acq|desc|rec)-\w*(post|gd|gad|contrast|t1c)", re.IGNORECASE)
_OTHER = re.compile(r"brain|skull|gm|wm|csf|head|lobe|atlas", re.IGNORECASE)


def modality_of(name: str) -> str | None:
    """The column that a BIDS file belongs in; None for what is no image of a cohort."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    suffix, entities = match["suffix"].lower(), match["entities"]
    if suffix in ("t1w", "t1"):
        return "t1ce" if _CONTRAST.search(entities) else "t1"
    if suffix in ("t2w", "t2"):
        return "t2"
    if suffix in ("flair", "t2flair"):
        return "flair"
    if suffix in ("dseg", "mask", "seg", "roi") and not _OTHER.search(entities):
        return "seg"
    return None


def find_bids(root: Path) -> pd.DataFrame:
    """Subjects by modalities: paths below ``root``. Where someone has several sessions, each is a subject of its own.

    The column ``participant`` has the subject without its session, which is what ``participants.tsv`` names.

    Raises:
        RadlibError: if a session has a modality twice.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for folder, names in walk(root, max_depth=7):
        for name in names:
            column, match = modality_of(name), _NAME.fullmatch(name)
            if column is None or match is None or not name.endswith(VOLUME_SUFFIXES):
                continue
            files = found.setdefault((match["subject"], match["session"] or ""), {})
            path = (folder / name).relative_to(root).as_posix()
            if column in files:
                raise RadlibError(
                    f"{match['subject']}{match['session'] or ''} has {column} twice: {files[column]} and {path}",
                    file=root, remedy="keep one, or say with `layout: patterns` which is meant",
                )  # fmt: skip
            files[column] = path
    sessions = pd.Series([subject for subject, _ in found], dtype="str").value_counts()
    rows = {
        subject + (session if sessions[subject] > 1 else ""): {"participant": subject, **files}
        for (subject, session), files in sorted(found.items())
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["participant", *FILE_COLUMNS])
