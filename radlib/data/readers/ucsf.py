"""UCSF-PDGM's two tables: clinical data of 501 examinations, and radiomic features of post-contrast T1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort, participants_table
from radlib.data.readers.files import find_file
from radlib.data.tables import index_by, read_text_table, to_numbers

CLINICAL = "UCSF-PDGM-metadata_v2.csv"
FEATURES = "radiomic_features_T1gad_bias.csv"

_CODELETION = {
    "co-deletion": "codel", "Co-deletion": "codel", "relative co-deletion": "codel", "intact": "non-codel",
}  # fmt: skip
_MGMT = {"positive": "methylated", "negative": "unmethylated"}  # and indeterminate, which is unknown
_DIAGNOSIS = "Final pathologic diagnosis (WHO 2021)"


def read_ucsf_tables(root: Path) -> Cohort:
    """495 adults with diffuse glioma in 501 examinations: IDH, age, survival and radiomic features, without images.

    ``grade`` is WHO 2021's, to which IDH belongs: a glioblastoma is wild-type by definition. It is **no fair control**
    of a prediction of IDH, nor is ``diagnosis``; ``grade_contains_idh`` says so by ``yes``. ``collection`` is empty: it
    would be the grade again. ``radiomics`` are the features of the whole tumour on post-contrast T1 (PyRadiomics 3.1.0,
    bin width 25, 1 mm), its diagnostic columns left out. Examinations with equal sex, age, diagnosis, survival and
    status are one person: six pairs, as many as the publisher's 501 examinations of 495 patients ask for.
    """
    path = find_file(root, CLINICAL, dataset="UCSF-PDGM")
    raw = index_by(
        read_text_table(
            path,
            required=(
                "ID", "Sex", "Age at MRI", "WHO CNS Grade", _DIAGNOSIS, "MGMT status", "1p/19q", "IDH",
                "1-dead 0-alive", "OS", "BraTS21 ID",
            ),
        ),
        "ID",
        file=path,
    )  # fmt: skip
    table = pd.DataFrame(index=raw.index)
    table["site"] = "UCSF"
    table["age"] = to_numbers(raw["Age at MRI"], file=path)
    table["sex"] = raw["Sex"]
    table["grade"] = to_numbers(raw["WHO CNS Grade"], file=path)
    table["grade_group"] = np.where(table["grade"] == 4, "HGG", "LGG")
    table["idh"] = [idh_status(text, subject=subject, file=path) for subject, text in raw["IDH"].items()]
    table["codel_1p19q"] = raw["1p/19q"].map(_CODELETION)
    table["mgmt"] = raw["MGMT status"].map(_MGMT)
    table["survival_days"] = to_numbers(raw["OS"], file=path)
    table["event"] = to_numbers(raw["1-dead 0-alive"], file=path)
    table["diagnosis"] = raw[_DIAGNOSIS]
    table["grade_contains_idh"] = "yes"
    table["person"] = _persons(table, raw["BraTS21 ID"])
    participants = participants_table(table, file=path)
    features = read_features(find_file(root, FEATURES, dataset="UCSF-PDGM radiomic features"))
    people = participants["person"].nunique()
    notes = (
        f"{len(participants)} examinations of {people} persons: pairs with equal sex, age, diagnosis and survival are "
        "taken for one person.",
        f"IDH is written as free words; any mutation of IDH1 or IDH2 is mutant "
        f"({int((participants['idh'] == 'mutant').sum())} of {len(participants)}).",
        "The grade is WHO 2021's and contains IDH, so grade and diagnosis are no fair controls.",
        f"{int(raw['BraTS21 ID'].notna().sum())} examinations are in BraTS 2021 too; none is in TCGA.",
    )
    return Cohort(
        name="ucsf-pdgm", source="real", root=root, participants=participants,
        radiomics=features.reindex(participants.index), notes=notes,
    )  # fmt: skip


def idh_status(text: Any, *, subject: object = "", file: Path | str | None = None) -> str | None:
    """``wildtype`` or ``mutant`` from the words of the table; None where the cell is empty.

    ``IDH1 p.R132H``, ``IDH2 p.Arg172Trp`` and ``mutated (NOS)`` are mutant.

    Raises:
        RadlibError: for words that say neither.
    """
    if text is None or pd.isna(text) or not str(text).strip():
        return None
    words = str(text).strip().lower()
    if words in ("wildtype", "wild-type", "wild type"):
        return "wildtype"
    if words.startswith(("idh1 p.", "idh2 p.", "mutated")):
        return "mutant"
    raise RadlibError(
        f"IDH of {subject} is {text!r}", file=file, remedy="expected 'wildtype', 'mutated (NOS)' or a mutation"
    )


def read_features(path: Path) -> pd.DataFrame:
    """The radiomic features, examinations x features, float64; names without PyRadiomics' ``original_``.

    Raises:
        RadlibError: if a value is no number, or not all were computed with the same settings.
    """
    raw = index_by(read_text_table(path, required=("ID", "diagnostics_Configuration_Settings")), "ID", file=path)
    if raw["diagnostics_Configuration_Settings"].nunique() != 1:
        raise RadlibError("features were computed with several settings", file=path, remedy="obtain the table again")
    columns = [name for name in map(str, raw.columns) if name.startswith("original_")]
    return pd.DataFrame({name.removeprefix("original_"): to_numbers(raw[name], file=path) for name in columns})


def _persons(table: pd.DataFrame, brats: pd.Series) -> pd.Series:
    """All public ids of the person of each examination, separated by spaces."""
    alike = ["sex", "age", "diagnosis", "survival_days", "event"]
    own = pd.Series([f"{subject} {'' if pd.isna(other) else other}".strip() for subject, other in brats.items()])
    own.index = table.index
    known = table["survival_days"].notna()
    joined = own[known].groupby([table.loc[known, name] for name in alike]).transform(" ".join)
    return joined.reindex(table.index).fillna(own)
