"""The patients of the two chapters: REMBRANDT's and BraTS' where they are simulated, and who stands in for them.

No job reaches this module: what it makes of a cohort's labels is in the cohort's fingerprint, as with the readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from radlib.data.cohort import Cohort
from radlib.data.sources import role_with_images, simulated_dir
from radlib.papers.mehra2022.acgan import CLASSES
from radlib.study.cohorts import MADE, Source, cohort_options

GRADES: Mapping[float, str] = dict(zip((2.0, 3.0), CLASSES, strict=True))
"""WHO grades among lower-grade gliomas, and the class of the paper in whose place each stands."""


@dataclass(frozen=True)
class LowerGrades(Source):
    """A cohort of lower-grade glioma alone, whose ``grade_group`` says LGG for WHO grade 2 and HGG for grade 3.

    Where the grade is unknown the group is, too. The jobs learn ``grade_group``, so they learn the grade here;
    :func:`class_names` has what the classes are called on a page.
    """

    def open(self) -> Cohort:
        """The cohort with its grades as groups, each person once."""
        cohort = super().open()
        people = cohort.participants
        return replace(cohort, participants=people.assign(grade_group=people["grade"].map(GRADES)))


def graded_source(*, cohort: str, profile: str) -> Source:
    """Whose grade is predicted: the role ``rembrandt``, but real patients are lower-grade gliomas of TCGA by grade."""
    role = role_with_images("rembrandt", cohort=cohort)
    return LowerGrades(role, cohort, profile) if cohort == "real" else Source(role, cohort, profile)


def first_source(*, cohort: str, profile: str) -> Source:
    """Who has the first training, on four modalities: the role ``brats2017``.

    Of the real patients with images none has all four, so for them these are the simulated patients of the profile.
    The first training is then the same job, and none of its patients is tested. Where they have not been made, they
    are when they are first opened.
    """
    if cohort != "real":
        return Source("brats2017", cohort, profile)
    usual = Source("brats2017", "simulated", profile)
    if (simulated_dir(usual.role, profile=profile) / MADE).is_file():
        return usual
    return replace(usual, own=cohort_options(usual.role, profile=profile))


def class_names(source: Source) -> dict[str, str]:
    """What pages call the two classes of ``grade_group``: ``LGG`` and ``HGG``, or ``grade 2`` and ``grade 3``."""
    if isinstance(source, LowerGrades):
        return {group: f"grade {grade:.0f}" for grade, group in GRADES.items()}
    return {group: group for group in CLASSES}


def replacement(cohort: Cohort) -> str:
    """Two sentences: who stands in for the paper's patients, of the graded cohort of :class:`LowerGrades`, and why."""
    counts = cohort.participants["grade_group"].value_counts()
    low, high = (f"grade {grade:.0f} ({counts.get(group, 0)} patients)" for grade, group in GRADES.items())
    rarer = ", the rarer class here as there" if counts.get(CLASSES[0], 0) < counts.get(CLASSES[1], 0) else ""
    return (
        f"*Real, analogous*: {len(cohort)} lower-grade gliomas of TCGA stand in for REMBRANDT, of which no images are "
        f"at hand, {high} for its HGG and {low} for its LGG{rarer}. Grades 2 and 3 differ less than low and high grade "
        "do, and the slices are thick."
    )
