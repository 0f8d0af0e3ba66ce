"""What a simulated image had to show, read back from a cohort's truth."""

from __future__ import annotations

import pandas as pd

from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort

#: Imaging variables of the simulation, as ``truth/traits.tsv`` names them.
TRAITS = (
    "volume_ml", "fraction_et", "fraction_core", "necrosis", "border_sharpness", "t2_flair_mismatch", "n_foci",
    "mass_effect", "heterogeneity",
)  # fmt: skip


def planted_traits(cohort: Cohort) -> pd.DataFrame:
    """What a simulated image had to show, ``(patients, traits)``; the lobe as one column a lobe."""
    if cohort.truth is None or not (cohort.truth / "traits.tsv").is_file():
        raise MissingDataError(
            f"cohort {cohort.name!r} has no planted traits", file=cohort.truth, remedy="use cohort='simulated'"
        )
    traits = pd.read_csv(cohort.truth / "traits.tsv", sep="\t", index_col="id").loc[cohort.participants.index]
    lobes = pd.get_dummies(traits["lobe"], prefix="lobe", dtype=float)
    return pd.concat([traits[list(TRAITS)].astype(float), lobes], axis=1)
