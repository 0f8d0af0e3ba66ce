"""The patients of the classifier's comparison, and the versions of their labels."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.papers.ge2020.data import SliceSet
from radlib.stats.noise import counted_as_negative

TRUE, COUNTED, PERMUTED, WITHIN = "true", "as counted", "permuted", "permuted within collections"
"""Labels that an arm learns: the cohort's; unknown counted as wild-type; shuffled; shuffled within collections."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """The patients and what is known of them.

    Attributes:
        slices: of all patients.
        participants: the cohort's table, rows as in ``slices.ids``.
        mutant: by patient, the labels that the cohort gives.
        counted: by patient, the labels if an unknown status counts as wild-type; None where ``mutant`` is already so.
    """

    slices: SliceSet
    participants: pd.DataFrame
    mutant: pd.Series
    counted: pd.Series | None = None

    def labels(self, kind: str, *, seed: int) -> pd.Series:
        """Labels of one kind, True for mutant.

        Raises:
            RadlibError: for labels that these patients do not have.
        """
        if kind == TRUE:
            return self.mutant
        if kind == COUNTED:
            if self.counted is None:
                raise RadlibError(
                    "there is one version of the labels only", remedy="leave out the arm on labels as counted"
                )
            return self.counted
        within = self.participants["collection"] if kind == WITHIN else pd.Series("", index=self.mutant.index)
        return permuted_labels(self.mutant, within.fillna(""), seed=seed)

    @property
    def present(self) -> dict[str, list[bool]]:
        """Which modalities each patient has."""
        return dict(zip(self.slices.ids, self.slices.present.tolist(), strict=True))


def permuted_labels(mutant: pd.Series, within: pd.Series, *, seed: int) -> pd.Series:
    """Labels shuffled between the patients of each group."""
    found = mutant.copy()
    for value in sorted(within.unique()):
        members = within.index[within == value]
        found.loc[members] = mutant.loc[members].to_numpy()[rng(seed, "permuted", value).permutation(len(members))]
    return found


def unknown_counted(mutant: pd.Series, *, share: float, seed: int) -> tuple[pd.Series, pd.Series]:
    """Labels in which patients without a known status count as wild-type.

    Args:
        mutant: the truth.
        share: of those counted as wild-type whose status is unknown: 19 of 112 in the paper's cohort.
        seed: of who loses the status.

    Returns:
        The labels, and who has no status. As many lose it, whatever their status, as make up ``share`` on average.
    """
    n, positive = len(mutant), int(mutant.sum())
    lost = share * (n - positive) / (n - share * positive)  # u n = share (n - positive + u positive)
    unknown = rng(seed, "status lost").permutation(n) < round(lost * n)
    counted = counted_as_negative(mutant.to_numpy(dtype=bool), unknown=unknown.astype(float), seed=seed)
    return pd.Series(counted, index=mutant.index), pd.Series(unknown, index=mutant.index)
