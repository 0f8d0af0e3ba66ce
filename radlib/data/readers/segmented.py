"""Real subjects with a segmentation, of any BraTS vintage, on which networks of another cohort are tried."""

from __future__ import annotations

from pathlib import Path

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort
from radlib.data.nifti import Volume
from radlib.data.readers.brats import read_brats


class ZeroBackground(Cohort):
    """A cohort whose images may have another value than 0 outside the brain, such as those standardised as a whole.

    The value in the corner is subtracted, so that 0 is outside, as everywhere in radlib; standardisation within the
    brain does not see the shift.
    """

    def volume(self, subject: str, modality: str) -> Volume:
        """As :meth:`radlib.data.cohort.Cohort.volume`, with the corner's value subtracted."""
        volume = super().volume(subject, modality)
        corner = volume.data[0, 0, 0]
        return volume if corner == 0 else volume._replace(data=volume.data - corner)


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
    plain = ZeroBackground(**{name: getattr(cohort, name) for name in cohort.__dataclass_fields__})
    has = plain.participants[["t1ce", "flair", "t2", "seg"]].notna()
    kinds = {
        ("t1ce", "flair", "t2"): has.all(axis=1),
        ("t1ce", "flair"): has[["t1ce", "flair", "seg"]].all(axis=1) & ~has["t2"],
    }
    found = {}
    for modalities, there in kinds.items():
        ids = [str(subject) for subject in plain.participants.index[there]][:most]
        if ids:
            found[modalities] = plain.subset(ids)
    return found
