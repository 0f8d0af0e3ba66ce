"""REMBRANDT: the clinical table and the VASARI scores, as The Cancer Imaging Archive ships them.

Ages are five-year ranges, unknown cells hold ``--``, and free text has spilled into columns without a name. Three
radiologists scored 30 VASARI features of 33 patients.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.cohort import FILE_COLUMNS, Cohort, participants_table
from radlib.data.readers.brats import find_subjects
from radlib.data.readers.files import find_file
from radlib.data.tables import read_text_table

CLINICAL = "clinical_2014-01-16.xlsx"
VASARI = "VASARI_MRI_features__gmdi_-_wiki_.xls"
DAYS_PER_MONTH = 365.25 / 12
_GRADES = {"II": 2.0, "III": 3.0, "IV": 4.0}


def read_rembrandt(root: Path) -> Cohort:
    """The patients of the clinical table, and those of the VASARI table that it lacks.

    ``age`` is the middle of the printed range (``age_range``), ``survival_days`` months times 30.44; the table does
    not say who died, so ``event`` is empty. ``grade`` is the WHO grade, with IV for a GBM whose grade is not given;
    ``grade_group`` is ``LGG`` for grade II and ``HGG`` for III and IV, as Mehra 2022 must have divided 61 from 40.
    ``radiomics`` are the medians over the radiologists of the 29 VASARI features that are one number.
    """
    path = find_file(root, CLINICAL, dataset="REMBRANDT clinical data")
    clinical, notes = read_clinical(path)
    scores = read_vasari(find_file(root, VASARI, dataset="REMBRANDT VASARI scores"))
    medians = scores.drop(columns="f1").groupby("id").median(numeric_only=True).drop(columns="radiologist")
    only_scored = [subject for subject in medians.index if subject not in clinical.index]
    if only_scored:
        notes.append(f"In the VASARI table only: {', '.join(only_scored)}.")
    table = clinical.reindex([*clinical.index, *only_scored])
    table.index.name = "id"
    table["vasari"] = ["yes" if subject in medians.index else "no" for subject in table.index]
    images = {subject.id: subject for subject in find_subjects(root)}
    for column in FILE_COLUMNS:
        table[column] = [images[s].files.get(column) if s in images else None for s in table.index]
    notes.append(f"{len(medians)} patients have VASARI scores of {scores['radiologist'].nunique()} radiologists.")
    participants = participants_table(table, file=path)
    return Cohort(
        name="rembrandt",
        source="real",
        root=root,
        participants=participants,
        radiomics=medians.reindex(participants.index).add_prefix("vasari_"),
        notes=tuple(notes),
    )


def read_clinical(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The clinical table by sample id, and what was found in it.

    Raises:
        RadlibError: if a column is absent, an id is there twice, or an age, grade or survival cannot be read.
    """
    required = ("Sample", "Age at Dx (years)", "Gender", "Survival (months)", "Disease", "Grade", "Institution")
    raw = read_text_table(path, required=required)
    spilled = int(raw.filter(regex=r"^column \d+$").notna().any(axis=1).sum())
    records: dict[str, dict[str, Any]] = {}
    implied = 0
    for line, row in raw.iterrows():
        cell = {name: None if pd.isna(value) else str(value) for name, value in row.items()}
        identity = cell["Sample"]
        if identity is None:
            continue
        if identity in records:
            raise RadlibError(f"line {line}: sample {identity} is there twice", file=path, remedy="keep one row")
        grade = cell["Grade"]
        if grade is not None and grade not in _GRADES:
            raise RadlibError(f"line {line}: Grade is {grade!r}", file=path, remedy="expected II, III or IV")
        who = _GRADES[grade] if grade else np.nan
        if grade is None and cell["Disease"] == "GBM":
            who, implied = 4.0, implied + 1
        records[identity] = {
            "site": cell["Institution"],
            "collection": "GBM" if cell["Disease"] == "GBM" else ("LGG" if who in (2.0, 3.0) else None),
            "age": _middle(cell["Age at Dx (years)"], line, path),
            "age_range": cell["Age at Dx (years)"],
            "sex": cell["Gender"] if cell["Gender"] in ("F", "M") else None,
            "grade": who,
            "grade_group": None if np.isnan(who) else ("LGG" if who == 2.0 else "HGG"),
            "survival_days": _days(cell["Survival (months)"], line, path),
            "disease": cell["Disease"],
            "grade_printed": grade,
            "race": cell.get("Race"),
            "kps": None if cell.get("Karnofsky") is None else float(str(cell["Karnofsky"])),
        }
    table = pd.DataFrame.from_dict(records, orient="index")
    notes = [
        f"{len(table)} patients in the clinical table; {int(table['grade'].notna().sum())} with a grade, of whom "
        f"{implied} are GBM without a printed grade (WHO IV by definition).",
        f"Ages are five-year ranges; their middle is used ({int(table['age'].isna().sum())} unknown).",
    ]
    if spilled:
        notes.append(f"{spilled} rows have text in columns without a name; it is left out.")
    return table, notes


def read_vasari(path: Path) -> pd.DataFrame:
    """The VASARI scores, one row a patient and radiologist.

    Index ``id``; columns ``radiologist`` (1 to 3), ``f1`` (text: a tumour may have several locations), ``f2`` to
    ``f30`` (float64, the category numbers of the VASARI guide).
    """
    features = [f"f{number}" for number in range(1, 31)]
    raw = read_text_table(path, required=("GMDI", "radiologist", *features))
    records = []
    for line, row in raw.iterrows():
        reader = re.fullmatch(r"Radiologist #(\d+)", str(row["radiologist"]).strip())
        if reader is None:
            raise RadlibError(
                f"line {line}: radiologist is {row['radiologist']!r}", file=path, remedy="expected 'Radiologist #1'"
            )
        record: dict[str, Any] = {"id": str(row["GMDI"]).strip(), "radiologist": int(reader[1])}
        record["f1"] = str(row["f1"]).removesuffix(".0").strip()
        for name in features[1:]:
            try:  # some cells are numbers, some the same numbers as text
                record[name] = float(row[name])
            except ValueError as error:
                raise RadlibError(
                    f"line {line}: {name} is {row[name]!r}, not a number", file=path, remedy="obtain it again"
                ) from error
        records.append(record)
    return pd.DataFrame.from_records(records).set_index("id")


def _middle(text: str | None, line: Hashable, path: Path) -> float:
    """``35-39`` (completed years) is 37.5: the middle of 35 up to 40."""
    if text is None:
        return np.nan
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if match is None:
        raise RadlibError(f"line {line}: age is {text!r}", file=path, remedy="expected a range such as 35-39")
    return (int(match[1]) + int(match[2]) + 1) / 2


def _days(text: str | None, line: Hashable, path: Path) -> float:
    if text is None:
        return np.nan
    try:
        return round(float(text) * DAYS_PER_MONTH, 1)
    except ValueError as error:
        raise RadlibError(
            f"line {line}: survival is {text!r}", file=path, remedy="expected a number of months"
        ) from error
