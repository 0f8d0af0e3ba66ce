"""Divisions of patients who lack a modality: those who have the others take part, within their WHO grade."""

from __future__ import annotations

from dataclasses import dataclass

from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort
from radlib.data.splits import Split, hold_out, k_fold
from radlib.papers.islam2020.recipes import Folds, HeldOut


@dataclass(frozen=True, kw_only=True)
class HeldOutOf(HeldOut):
    """Of the subjects with some modalities and a segmentation some are held out, within WHO grade.

    With the same number and seed these are the subjects that :class:`FoldsOf` holds out.

    Attributes:
        modalities: what a subject must have.
    """

    modalities: tuple[str, ...]

    def splits(self, cohort: Cohort) -> list[Split]:
        """The one split.

        Raises:
            MissingDataError: if there are fewer than :attr:`LEAST` such subjects.
        """
        chosen = _having(cohort, self.modalities, least=self.LEAST)
        grade = chosen.participants["grade"].astype(object).fillna("unknown")
        one = hold_out(chosen.ids, test=min(self.n_test, len(chosen) // 3), seed=self.seed, stratify=grade)
        return [Split(name="synthesis", train=one.train, test=one.test)]


@dataclass(frozen=True, kw_only=True)
class FoldsOf(Folds):
    """Of the subjects with some modalities and a segmentation some are held out; the others form folds.

    Both within WHO grade.

    Attributes:
        modalities: what a subject must have.
    """

    modalities: tuple[str, ...]

    def splits(self, cohort: Cohort) -> list[Split]:
        """One a fold: ``train``; ``validation``, the fold's other subjects; ``test``, those held out.

        Raises:
            MissingDataError: if there are too few.
        """
        chosen = _having(cohort, self.modalities, least=self.n_held_out + max(2, self.n_folds))
        grade = chosen.participants["grade"].astype(object).fillna("unknown")
        outer = hold_out(chosen.ids, test=self.n_held_out, seed=self.seed, stratify=grade)
        inner = k_fold(
            outer.train, n_folds=self.n_folds, seed=self.seed, stratify=grade[list(outer.train)].tolist()
        )  # fmt: skip
        return [Split(name=one.name, train=one.train, validation=one.test, test=outer.test) for one in inner]


def _having(cohort: Cohort, modalities: tuple[str, ...], *, least: int) -> Cohort:
    chosen = cohort.complete(*modalities, "seg")
    if len(chosen) < least:
        raise MissingDataError(
            f"{len(chosen)} subjects of cohort {cohort.name!r} have {', '.join(modalities)} and a segmentation; "
            f"training and testing needs {least}",
            remedy="use more subjects, or hold out fewer",
        )
    return chosen
