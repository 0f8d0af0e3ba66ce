"""TCGA: the joined cohorts by their published counts, and small tables with every quirk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.readers import tcga
from radlib.data.readers.tcga import read_expression, read_tcga_gbm, read_tcga_idh
from radlib.data.sources import open_cohort

P = ["TCGA-02-0001", "TCGA-02-0002", "TCGA-02-0003", "TCGA-CS-0004", "TCGA-CS-0005"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three GBM and two LGG patients; patient 3 is in no clinical table."""
    folder = tmp_path / "tcga"
    folder.mkdir()
    (folder / tcga.RADIOMICS["GBM"]).write_text(
        "ID,Date,VOLUME_ET,RATIO,FLAT,EMPTY\n"
        f"{P[0]},1996.08.23,10,0.5,7,\n{P[1]},1997.01.02,20,,7,\n{P[2]},1998.01.02,30,2,7,\n"
    )
    (folder / tcga.RADIOMICS["LGG"]).write_text(
        f"ID,Date,VOLUME_ET,RATIO,FLAT,EMPTY\n{P[3]},1999.01.01,0,#DIV/0!,7,\n{P[4]},1999.01.01,5,Inf,7,\n"
    )
    (folder / tcga.EXPRESSION).write_text(f"{P[0]}-01A-01\t{P[1]}-01A-01\nTP53\t0.5\t-1.5\nEGFR\t2\t3e-1\n")
    (folder / tcga.CDR).write_text(
        "bcr_patient_barcode,type,age_at_initial_pathologic_diagnosis,gender,histological_grade,histological_type,"
        "OS,OS.time,Redaction\n"
        f"{P[0]},GBM,44.0,FEMALE,[Not Available],GBM,1.0,358.0,\n"
        f"{P[1]},GBM,60.0,MALE,[Not Available],GBM,0.0,100.0,\n"
        f"{P[3]},LGG,31.0,MALE,G2,Astrocytoma,0.0,900.0,\n"
        f"{P[4]},LGG,,FEMALE,[Discrepancy],Oligodendroglioma,,,\n"
    )
    (folder / tcga.CECCARELLI).write_text(
        "patient,Tissue.source.site,IDH.status,X1p.19q.codeletion,MGMT.promoter.status,Karnofsky.Performance.Score,"
        "Transcriptome.Subtype\n"
        f"{P[0]},Duke,WT,non-codel,Methylated,80,CL\n{P[1]},Duke,NA,NA,NA,NA,NA\n{P[3]},UCSF,Mutant,codel,NA,90,PN\n"
        f"{P[4]},UCSF,Mutant,codel,Unmethylated,100,PN\n"
    )
    # The real file starts with a byte-order mark.
    (folder / tcga.MUTATIONS).write_text(
        f"\ufeffCase_ID,IDH1,IDH2\n{P[0]},NOT_MUTATED,NOT_MUTATED\n{P[3]},MUTATED,NOT_MUTATED\n"
        f"{P[4]},NOT_MUTATED,MUTATED\n",
        encoding="utf-8",
    )
    return tmp_path


def test_gbm_cohort_is_the_intersection(root: Path) -> None:
    cohort = read_tcga_gbm(root)
    cohort.validate()
    assert cohort.ids == P[:2]
    assert cohort.expression is not None
    assert cohort.expression.loc[P[1]].to_dict() == {"TP53": -1.5, "EGFR": 0.3}
    assert cohort.participants["survival_days"].tolist() == [358.0, 100.0]
    assert cohort.participants["event"].tolist() == [1.0, 0.0]
    assert cohort.participants["grade"].tolist() == [4.0, 4.0]
    assert cohort.radiomics is not None
    assert list(cohort.radiomics.columns) == ["VOLUME_ET"]  # RATIO has one value left, FLAT and EMPTY none to tell
    assert "3 GBM patients have radiomic features, 2 have expression, 2 have both" in cohort.notes[0]


def test_idh_follows_the_paper_and_keeps_the_other_opinions(root: Path) -> None:
    cohort = read_tcga_idh(root)
    cohort.validate()
    table = cohort.participants
    assert cohort.ids == P
    assert table["idh"].tolist() == ["wildtype", "wildtype", "wildtype", "mutant", "wildtype"]
    assert table["idh_ceccarelli"].fillna("?").tolist() == ["wildtype", "?", "?", "mutant", "mutant"]
    assert table["idh1_table"].isna().tolist() == [False, True, True, False, False]
    assert table["grade"].fillna(0).tolist() == [4, 4, 4, 2, 0]
    assert table["collection"].tolist() == ["GBM"] * 3 + ["LGG"] * 2
    assert table.loc[P[2], ["age", "sex", "survival_days"]].isna().all()
    assert any("2 are not in the mutation table, 2 have no IDH status" in note for note in cohort.notes)
    assert f"Without age and sex: {P[2]}." in cohort.notes


def test_quirks_of_the_radiomic_tables_are_missing_and_reported(root: Path) -> None:
    cohort = read_tcga_idh(root)
    assert cohort.radiomics is not None
    assert cohort.radiomics["RATIO"].isna().tolist() == [False, True, False, True, True]
    notes = " ".join(cohort.notes)
    assert "text in 1 feature column(s), read as missing: RATIO ('#DIV/0!')" in notes
    assert f"1 infinite value(s), read as missing: RATIO of {P[4]}" in notes
    assert "2 of 4 features are constant or empty in these 5 patients and left out: FLAT, EMPTY" in notes


def test_images_are_joined_where_they_are(root: Path, write) -> None:
    for name in ("t1Gd", "flair"):
        write(f"images/{P[0]}/{P[0]}_1996.08.23_{name}.nii.gz")
    cohort = read_tcga_gbm(root)
    assert cohort.path(P[0], "t1ce").is_file()
    with pytest.raises(MissingDataError, match="has no t2"):
        cohort.path(P[0], "t2")
    assert "1 of 2 patients have images under the data root." in cohort.notes


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (tcga.CDR, "358.0", "long", r"OS\.time of TCGA-02-0001 is 'long'.*TCGA-CDR"),
        (tcga.CDR, P[1], P[0], "bcr_patient_barcode given twice: TCGA-02-0001"),
        (tcga.CDR, "OS.time", "time", "no column OS.time"),
        (tcga.MUTATIONS, "NOT_MUTATED,NOT", "MAYBE,NOT", "IDH1 of TCGA-02-0001 is 'MAYBE'"),
        (tcga.RADIOMICS["GBM"], P[1], P[0], "ID given twice"),
        (tcga.EXPRESSION, "\t-1.5", "", r"line 2 has 1 values for 2 samples.*unifiedScaledFiltered\.txt"),
        (tcga.EXPRESSION, "-1.5", "low", r"line 2 \(TP53\): could not convert"),
        (tcga.EXPRESSION, "-1.5", "inf", "gene TP53 has a value that is not finite"),
        (tcga.EXPRESSION, "EGFR", "TP53", "gene TP53 is there twice"),
        (tcga.EXPRESSION, f"{P[1]}-01A", f"{P[0]}-01B", "patient TCGA-02-0001 is there twice"),
    ],
)
def test_bad_tables_are_named(root: Path, file: str, old: str, new: str, message: str) -> None:
    path = root / "tcga" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RadlibError, match=message):
        read_tcga_gbm(root)


def test_a_missing_table_names_its_data_set(root: Path) -> None:
    (root / "tcga" / tcga.CDR).unlink()
    with pytest.raises(MissingDataError, match=r"TCGA-CDR_GBM_LGG\.csv of TCGA Clinical Data Resource"):
        read_tcga_idh(root)


def test_two_different_files_of_one_name_are_refused(root: Path) -> None:
    (root / tcga.CDR).write_text("something else\n")
    with pytest.raises(RadlibError, match="several different files"):
        read_tcga_idh(root)


@pytest.mark.data
def test_real_gbm(real_data: Path) -> None:
    cohort = open_cohort("tcga-gbm", cohort="real", root=real_data)
    cohort.validate()
    assert len(cohort) == 58
    assert cohort.participants["event"].sum() == 53
    assert cohort.expression is not None
    assert cohort.expression.shape == (58, 1740)
    assert cohort.radiomics is not None
    assert cohort.radiomics.shape[0] == 58
    assert cohort.expression.loc["TCGA-02-0006", "FSTL1"] == pytest.approx(
        read_expression(next(real_data.rglob(tcga.EXPRESSION))).loc["TCGA-02-0006", "FSTL1"]
    )


@pytest.mark.data
def test_real_idh_is_table_1a_of_ge_2020(real_data: Path) -> None:
    cohort = open_cohort("tcga-idh", cohort="real", root=real_data)
    cohort.validate()
    table = cohort.participants
    assert table["idh"].value_counts().to_dict() == {"wildtype": 112, "mutant": 55}
    assert table["idh_ceccarelli"].fillna("?").value_counts().to_dict() == {"wildtype": 91, "mutant": 57, "?": 19}
    assert table["collection"].value_counts().to_dict() == {"GBM": 102, "LGG": 65}
    assert pd.crosstab(table["idh"], table["sex"]).to_numpy().tolist() == [[32, 23], [44, 67]]
    ages = pd.cut(table["age"], [0, 30, 60, 80, np.inf], right=False)
    assert pd.crosstab(table["idh"], ages).to_numpy().tolist() == [[13, 35, 7, 0], [5, 55, 48, 3]]
    wildtype = table[table["idh"] == "wildtype"]
    assert wildtype["idh_ceccarelli"].isna().sum() == 19
    assert (wildtype["idh_ceccarelli"] == "mutant").sum() == 2
