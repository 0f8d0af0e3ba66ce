"""UCSF-PDGM's tables: free words become a status, two examinations of one person are found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.data.persons import person_of, shared
from radlib.data.readers.ucsf import CLINICAL, FEATURES, idh_status, read_ucsf_tables

HEADER = (
    "ID,Sex,Age at MRI,WHO CNS Grade,Final pathologic diagnosis (WHO 2021),MGMT status,MGMT index,1p/19q,IDH,"
    "1-dead 0-alive,OS,EOR,Biopsy prior to imaging,BraTS21 ID"
)
ROWS = [
    'U-1,F,40,2,"Oligodendroglioma, IDH-mutant",positive,3,Co-deletion,IDH1 p.R132H,0,900,GTR,No,BraTS2021_00001',
    'U-2,M,61,4,"Glioblastoma, IDH-wildtype",indeterminate,,intact,wildtype,1,300,STR,No,BraTS2021_00002',
    'U-3,M,61,4,"Glioblastoma, IDH-wildtype",indeterminate,,intact,wildtype,1,300,STR,No,',
    'U-4,M,61,4,"Glioblastoma, IDH-wildtype",negative,0,,wildtype,1,,STR,No,',
]


def written(folder: Path, rows: list[str] = ROWS, value: str = "2.5") -> Path:
    (folder / CLINICAL).write_text("\n".join([HEADER, *rows]) + "\n")
    lines = [f"U-{n},x,{value if n == 2 else n}" for n in range(1, 5)]
    header = "ID,diagnostics_Configuration_Settings,original_shape_VoxelVolume"
    (folder / FEATURES).write_text("\n".join([header, *lines]) + "\n")
    return folder


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("wildtype", "wildtype"), ("mutated (NOS)", "mutant"), ("IDH1 p.Arg132His", "mutant"),
        ("IDH2 p.R172K", "mutant"), ("", None), (float("nan"), None),
    ],
)  # fmt: skip
def test_words_become_a_status(words: object, status: str | None) -> None:
    assert idh_status(words) == status


def test_other_words_are_named() -> None:
    with pytest.raises(RadlibError, match="IDH of U-9 is 'not done'"):
        idh_status("not done", subject="U-9")


def test_the_tables_become_a_cohort(tmp_path: Path) -> None:
    cohort = read_ucsf_tables(written(tmp_path))
    table = cohort.participants
    assert table["idh"].tolist() == ["mutant", "wildtype", "wildtype", "wildtype"]
    assert table["codel_1p19q"].fillna("?").tolist() == ["codel", "non-codel", "non-codel", "?"]
    assert table["mgmt"].fillna("?").tolist() == ["methylated", "?", "?", "unmethylated"]
    assert set(table["grade_contains_idh"]) == {"yes"}
    assert table["collection"].isna().all()  # it would be the grade again
    assert cohort.radiomics is not None
    assert cohort.radiomics["shape_VoxelVolume"].tolist() == [1.0, 2.5, 3.0, 4.0]


def test_two_examinations_of_one_person(tmp_path: Path) -> None:
    """Equal sex, age, diagnosis and survival; where survival is not known nothing is said."""
    person = person_of(read_ucsf_tables(written(tmp_path)).participants)
    assert person["U-2"] == person["U-3"]
    assert person.nunique() == 3
    table = read_ucsf_tables(tmp_path).participants
    brats = pd.DataFrame({"person": ["BraTS2021_00002"]}, index=["BraTS-GLI-00002-000"])
    assert shared(table, brats) == ["U-2", "U-3"]


def test_a_feature_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="original_shape_VoxelVolume of U-2 is 'inf'"):
        read_ucsf_tables(written(tmp_path, value="inf"))
