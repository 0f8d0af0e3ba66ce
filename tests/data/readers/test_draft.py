"""Drafts of public data sets' folders, and of folders that leave something open: guessed right, or asked."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.persons import each_once
from radlib.data.readers.description import read_description
from radlib.data.readers.draft import draft
from radlib.data.readers.folder import read_described
from tests.data.readers.test_folder import answered

UPENN = "ID,Gender,Age_at_scan_years,Survival_from_surgery_days_UPDATED,Survival_Status,Survival_Censor,IDH1,MGMT\n"
UCSF = 'ID,Sex,Age at MRI,WHO CNS Grade,MGMT status,1p/19q,IDH,1-dead 0-alive,OS,EOR\n'  # fmt: skip
CDR = "bcr_patient_barcode,type,age_at_initial_pathologic_diagnosis,gender,vital_status,OS,OS.time\n"


def drafted(folder: Path) -> Path:
    path = folder.parent / f"{folder.name}.yml"
    path.write_text(draft(folder))
    return path


def table(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "clinical.csv").write_text(text)


def test_upenn(tmp_path: Path, write) -> None:
    for subject in ("UPENN-GBM-00001_11", "UPENN-GBM-00002_11"):
        for name in ("T1", "T1GD", "T2", "FLAIR"):
            write(f"upenn/images/{subject}/{subject}_{name}.nii.gz")
        write(f"upenn/segm/{subject}_segm.nii.gz", labels=[1, 2, 4])
    rows = (
        "UPENN-GBM-00001_11,M,61.5,400,Deceased,0,Wildtype,Unmethylated\nUPENN-GBM-00002_11,F,50,700,Alive,1,NOS/NEC,\n"
    )
    table(tmp_path / "upenn", UPENN + rows)
    path = drafted(tmp_path / "upenn")
    with pytest.raises(RadlibError, match=r"1 question.*values\.idh\.NOS/NEC"):
        read_description(path)
    description = answered(path, "null")
    assert description.columns == {
        "age": "Age_at_scan_years", "sex": "Gender", "idh": "IDH1", "mgmt": "MGMT",
        "survival_days": "Survival_from_surgery_days_UPDATED", "event": "Survival_Status",
    }  # fmt: skip
    assert set(description.images) == {"t1", "t1ce", "t2", "flair", "seg"}
    found = read_described(path).participants
    assert found["event"].tolist() == [1, 0]
    assert found["survival_days"].tolist() == [400, 700]
    assert found[["t1", "t1ce", "seg"]].notna().all(axis=None)


def test_ucsf_whose_table_has_fewer_zeros(tmp_path: Path, write) -> None:
    for number in ("0004", "0005"):
        home = f"ucsf/UCSF-PDGM-{number}_nifti/UCSF-PDGM-{number}"
        for name in ("T1", "T1c", "T2", "FLAIR", "T1_bias", "brain_segmentation"):
            write(f"{home}_{name}.nii.gz")
        write(f"{home}_tumor_segmentation.nii.gz", labels=[1, 2, 4])
    rows = "UCSF-PDGM-004,M,66,4,negative,unknown,wildtype,1,1303,STR\n"
    rows += "UCSF-PDGM-005,F,80,4,positive,intact,mutated (NOS),0,274,GTR\n"
    table(tmp_path / "ucsf", UCSF + rows)
    path = drafted(tmp_path / "ucsf")
    description = answered(path, "numbers", "mutant", "unmethylated", "methylated")
    assert description.images["seg"] == "UCSF-PDGM-{id}_nifti/UCSF-PDGM-{id}_tumor_segmentation.nii.gz".replace(
        "UCSF-PDGM-{id}", "{id}"
    )
    assert description.columns == {
        "age": "Age at MRI", "sex": "Sex", "grade": "WHO CNS Grade", "idh": "IDH", "codel_1p19q": "1p/19q",
        "mgmt": "MGMT status", "survival_days": "OS", "event": "1-dead 0-alive",
    }  # fmt: skip
    cohort = read_described(path)
    assert cohort.ids == ["UCSF-PDGM-0004", "UCSF-PDGM-0005"]
    assert cohort.participants["event"].tolist() == [1, 0]
    assert cohort.participants[["t1ce", "seg"]].notna().all(axis=None)


def test_tcga_takes_the_time_and_not_the_status(tmp_path: Path) -> None:
    table(tmp_path / "cdr", CDR + "TCGA-02-0001,GBM,44,FEMALE,Dead,1,358\nTCGA-02-0003,GBM,50,MALE,Alive,0,900\n")
    path = drafted(tmp_path / "cdr")
    description = read_description(path)
    assert description.columns["survival_days"] == "OS.time"
    assert description.columns["event"] == "vital_status"
    assert read_described(path).participants["survival_days"].tolist() == [358, 900]


def test_rembrandt_in_months(tmp_path: Path) -> None:
    table(tmp_path / "r", "Sample,Gender,Survival (months),Grade,Disease\nHF1,M,12.5,II,ASTROCYTOMA\nHF2,F,40,IV,GBM\n")
    description = read_description(drafted(tmp_path / "r"))
    assert description.columns["survival_days"] == "Survival (months)"
    assert description.survival_unit == "months"


@pytest.mark.parametrize("name", ["censored", "status", "vital status", "alive"])
def test_which_way_round_a_status_is_is_asked(tmp_path: Path, name: str) -> None:
    table(tmp_path / "c", f"id,survival_days,{name}\np1,400,1\np2,900,0\n")
    path = drafted(tmp_path / "c")
    with pytest.raises(RadlibError, match=r"2 question.*values\.event\.1, values\.event\.0"):
        read_description(path)
    answered(path, '"0"', '"1"')
    assert read_described(path).participants["event"].tolist() == [0, 1]


def test_a_survival_without_a_unit_is_asked(tmp_path: Path) -> None:
    table(tmp_path / "c", "id,OS,event\np1,14,1\np2,30,0\n")
    path = drafted(tmp_path / "c")
    with pytest.raises(RadlibError, match=r"1 question.*survival_unit"):
        read_description(path)
    answered(path, "months")
    assert read_described(path).participants["survival_days"].iloc[0] == pytest.approx(14 * 365.25 / 12)


@pytest.mark.parametrize("names", [("p1", "p2"), ("Brats17_A_1", "Brats17_B_1")])
def test_a_mask_of_0_and_1_is_asked(tmp_path: Path, write, names: tuple[str, str]) -> None:
    for subject in names:
        for name in ("flair", "t1", "t1ce", "t2"):
            write(f"c/{subject}/{subject}_{name}.nii.gz")
        write(f"c/{subject}/{subject}_seg.nii.gz", labels=[1, 1])
    path = drafted(tmp_path / "c")
    with pytest.raises(RadlibError, match=r"1 question.*label_encoding"):
        read_description(path)
    assert answered(path, "whole-tumour").layout == "brats"
    cohort = read_described(path)
    assert cohort.participants["label_encoding"].tolist() == ["whole-tumour"] * 2
    assert set(cohort.labels(names[0]).data.ravel()) == {0, 2}
    path.write_text(f"name: c\nlayout: brats\nroot: {tmp_path / 'c'}\n")
    with pytest.raises(RadlibError, match=r"label.* 1 (only|can be read).*label_encoding"):
        read_described(path).labels(names[0])


@pytest.mark.parametrize("name", ["seg", "truth", "label", "lesion_mask", "tumor_segmentation"])
def test_segmentations_by_any_name(tmp_path: Path, write, name: str) -> None:
    for subject in ("a01", "a02"):
        write(f"c/{subject}_t1.nii.gz")
        write(f"c/{subject}_brain_mask.nii.gz", labels=[1])
        write(f"c/{subject}-{name}.nii.gz", labels=[1, 2, 4])
    description = read_description(drafted(tmp_path / "c"))
    assert description.images == {"t1": "{id}_t1.nii.gz", "seg": f"{{id}}-{name}.nii.gz"}


def bids(write, subject: str, session: str = "") -> None:
    home, name = f"b/{subject}/" + (f"{session}/" if session else ""), "_".join(filter(None, (subject, session)))
    for suffix in ("T1w", "ce-gd_T1w", "T2w", "FLAIR"):
        write(f"{home}anat/{name}_{suffix}.nii.gz")
    write(f"b/derivatives/seg/{home[2:]}anat/{name}_label-tumor_dseg.nii.gz", labels=[1, 2, 4])
    write(f"b/derivatives/seg/{home[2:]}anat/{name}_desc-brain_mask.nii.gz", labels=[1])


def test_bids_with_sessions_and_contrast(tmp_path: Path, write) -> None:
    bids(write, "sub-01", "ses-01")
    bids(write, "sub-01", "ses-02")
    bids(write, "sub-02")
    bids(write, "sub-03", "ses-01")
    (tmp_path / "b" / "participants.tsv").write_text(
        "participant_id\tage\tsex\nsub-01\t60\tF\nsub-02\tn/a\tM\nsub-03\t40\tM\n"
    )
    path = drafted(tmp_path / "b")
    description = read_description(path)
    assert (description.layout, description.id_column) == ("bids", "participant_id")
    cohort = read_described(path)
    assert cohort.ids == ["sub-01_ses-01", "sub-01_ses-02", "sub-02", "sub-03"]
    assert cohort.participants["age"].tolist()[:2] == [60, 60]
    assert each_once(cohort.participants) == ["sub-01_ses-01", "sub-02", "sub-03"]
    assert all("ce-gd" in str(file) for file in cohort.participants["t1ce"])
    assert not any("ce-gd" in str(file) for file in cohort.participants["t1"])
    assert all("tumor" in str(file) for file in cohort.participants["seg"])


def test_names_with_spaces_are_no_lists_of_ids(tmp_path: Path, write) -> None:
    for subject in ("Pat 1 ß", "Pat 2 ß", "Pat 3 ß"):
        write(f"Köln/{subject}/{subject}_t1.nii.gz")
    path = drafted(tmp_path / "Köln")
    assert read_description(path).layout == "brats"
    cohort = read_described(path)
    assert each_once(cohort.participants) == ["Pat 1 ß", "Pat 2 ß", "Pat 3 ß"]
    assert not any("person" in note for note in cohort.notes)
    told = "id;person\nPat 1 ß;Frau A\nPat 2 ß;Frau B\nPat 3 ß;Frau A\n"
    cohort = read_described(described(tmp_path, told, root="Köln", layout="brats"))
    assert each_once(cohort.participants) == ["Pat 1 ß", "Pat 2 ß"]
    assert "3 subjects are 2 person(s); chapters take the first of each." in cohort.notes


def described(folder: Path, table: str, **more: object) -> Path:
    import yaml

    (folder / "t.csv").write_text(table)
    (folder / "c.yml").write_text(yaml.safe_dump({"name": "c", "participants": "t.csv", **more}))
    return folder / "c.yml"


def test_columns_with_our_names_need_no_entry(tmp_path: Path) -> None:
    path = described(tmp_path, "id,Alter,sex,idh\np1,60,F,mutant\n", columns={"age": "Alter"})
    row = read_described(path).participants.loc["p1"]
    assert (row["age"], row["sex"], row["idh"]) == (60, "F", "mutant")


def test_files_may_stand_in_the_table(tmp_path: Path, write) -> None:
    write("im/a.nii.gz")
    write("im/s.nii.gz", labels=[1, 2, 4])
    path = described(tmp_path, f"id,t1,seg\np1,im/a.nii.gz,{tmp_path}/im/s.nii.gz\n")
    cohort = read_described(path)
    assert cohort.path("p1", "t1") == tmp_path / "im" / "a.nii.gz"
    assert cohort.participants.at["p1", "seg"] == "im/s.nii.gz"


def test_every_wrong_cell_is_named(tmp_path: Path) -> None:
    path = described(tmp_path, "id,age,sex,idh\n" + "".join(f"p{k},x{k},?,maybe\n" for k in range(8)))
    with pytest.raises(RadlibError, match=r"24 cell.*t\.csv.*missing.*values: sex.*values: idh") as caught:
        read_described(path)
    assert all(f"row {k + 2}: age of p{k} is 'x{k}'" in str(caught.value) for k in range(8))
    path = described(tmp_path, "id,age,idh\np1,xx,nd\n", missing=["xx"], values={"idh": {"nd": None}})
    assert read_described(path).participants[["age", "idh"]].isna().all(axis=None)


def test_a_point_that_may_divide_thousands_is_named(tmp_path: Path) -> None:
    path = described(tmp_path, "id;age;survival_days\np1;61,5;1.200\n")
    with pytest.raises(RadlibError, match=r"1 cell.*survival_days of p1 is '1\.200'"):
        read_described(path)
    path = described(tmp_path, "id;age;survival_days\np1;61.5;100.125\n")  # no comma: points are decimal
    assert read_described(path).participants["survival_days"].tolist() == [100.125]


def test_a_comma_that_may_divide_thousands_is_named(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=r"1 cell.*survival_days of p1 is '1,234'"):
        read_described(described(tmp_path, "id;survival_days\np1;1,234\np2;987\n"))
    path = described(tmp_path, "id;age;survival_days\np1;61,5;1,234\n")  # commas are decimal in this table
    assert read_described(path).participants["survival_days"].tolist() == [1.234]


def test_ids_that_meet_no_image_are_a_problem(tmp_path: Path, write) -> None:
    write("001_t1.nii.gz")
    write("002_t1.nii.gz")
    images = {"t1": "{id}_t1.nii.gz"}
    path = described(tmp_path, "id,age\n1,60\n2,50\n", images=images)
    with pytest.raises(
        RadlibError, match=r"no id of the table meets an image.*'1', '2'.*'001', '002'.*id_match: numbers"
    ):
        read_described(path)
    path = described(tmp_path, "id,age\n1,60\n2,50\n", images=images, id_match="numbers")
    assert read_described(path).ids == ["001", "002"]
    path = described(tmp_path, "id,age\n1,60\n01,50\n", images=images, id_match="numbers")
    with pytest.raises(RadlibError, match="'1' and '01' are one id"):
        read_described(path)
    write("1_t1.nii.gz")  # another patient than 001, or the same: nobody knows
    path = described(tmp_path, "id,age\n1,60\n", images=images, id_match="numbers")
    with pytest.raises(RadlibError, match="'001' and '1' are one id"):
        read_described(path)


def test_an_accent_is_one_letter_however_it_is_written(tmp_path: Path, write) -> None:
    apart, composed = (unicodedata.normalize(form, "Müller") for form in ("NFD", "NFC"))
    write(f"{apart}_t1.nii.gz")
    genes = {"file": "g.csv", "id_column": "id"}
    (tmp_path / "g.csv").write_text(f"id,TP53\n{composed},2\n")
    path = described(tmp_path, f"id,age\n{composed},60\n", images={"t1": "{id}_t1.nii.gz"}, expression=genes)
    cohort = read_described(path)
    assert cohort.path(apart, "t1").is_file()
    assert cohort.participants["age"].tolist() == [60]
    assert cohort.expression is not None
    assert cohort.expression["TP53"].tolist() == [2]


def test_what_columns_leaves_aside_is_noted(tmp_path: Path) -> None:
    cohort = read_described(described(tmp_path, "id,age,Alter\np1,60,61\n", columns={"age": "Alter"}))
    assert cohort.participants["age"].tolist() == [61]
    assert "Columns of t.csv that are not read, as `columns` names others: age." in cohort.notes


def test_a_column_there_twice_is_refused_where_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=r"there twice: age.*t\.csv"):
        read_described(described(tmp_path, "id,age,age\np1,60,61\n"))
    assert read_described(described(tmp_path, "id,age,x,x\np1,60,61,62\n")).ids == ["p1"]


def test_a_column_whose_name_is_ours_but_for_capitals(tmp_path: Path) -> None:
    cohort = read_described(described(tmp_path, "id,Sex,Survival_Days,IDH,idh,AGE,Age\np1,f,300,x,mutant,60,61\n"))
    row = cohort.participants.loc["p1"]
    assert (row["sex"], row["survival_days"], row["idh"]) == ("F", 300, "mutant")
    assert np.isnan(row["age"])  # which of the two is meant nobody knows
    assert any("no chapter reads, kept as they are: IDH, AGE, Age." in note for note in cohort.notes)


@pytest.mark.parametrize("spelling", ["P_1", "p_01", "P-1", "p 1"])
def test_an_id_that_is_almost_that_of_an_image_is_named(tmp_path: Path, write, spelling: str) -> None:
    """The patient would be there without image, and the image be left out."""
    write("p_1_t1.nii.gz")
    write("p_2_t1.nii.gz")
    images, told = {"t1": "{id}_t1.nii.gz"}, f"id,age\n{spelling},60\np_2,50\n"
    with pytest.raises(RadlibError, match=rf"1 id.*'{spelling}' and 'p_1'.*id_match: exact"):
        read_described(described(tmp_path, told, images=images))
    cohort = read_described(described(tmp_path, told, images=images, id_match="exact"))  # a person has said so
    assert cohort.ids == [spelling, "p_2"]


def test_a_survival_of_centuries_is_a_wrong_unit(tmp_path: Path) -> None:
    told = "id,survival_days\np1,1200\np2,300\n"
    assert read_described(described(tmp_path, told)).participants["survival_days"].tolist() == [1200, 300]
    for unit in ("months", "years"):
        path = described(tmp_path, told.replace("1200", "1201"), survival_unit=unit)
        with pytest.raises(
            RadlibError, match=r"longer than 100 years: .* of p1.*t\.csv.*survival_unit, which is " + unit
        ):
            read_described(path)


def test_letters_that_no_mark_tells_are_noted(tmp_path: Path) -> None:
    path = described(tmp_path, "", columns={"site": "Größe"})
    (tmp_path / "t.csv").write_bytes("id,Größe\np1,Köln\n".encode("cp1252"))
    cohort = read_described(path)
    assert cohort.participants.at["p1", "site"] == "Köln"
    assert "t.csv is not in UTF-8; its letters were read as those of Windows (such as 'Größe')." in cohort.notes


def test_words_with_accents_are_compared_as_letters(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "id,Geschlecht,Größe\np1,männlich,Köln\np2,Männlich,Köln\n")
    path = described(tmp_path, apart, columns={"sex": "Geschlecht", "site": "Größe"}, values={"sex": {"männlich": "M"}})
    table = read_described(path).participants
    assert table["sex"].tolist() == ["M", "M"]
    assert table["site"].unique().tolist() == ["Köln"]


def test_capitals_that_a_person_tells_apart(tmp_path: Path) -> None:
    path = described(tmp_path, "id,sex\np1,m\np2,M\n", values={"sex": {"m": "F", "M": "M"}})
    assert read_described(path).participants["sex"].tolist() == ["F", "M"]
    path = described(tmp_path, "id,sex\np1,1\n", values={"sex": {1: "F", "1": "M"}})
    with pytest.raises(RadlibError, match="sex has one spelling twice"):
        read_described(path)


def test_images_that_no_pattern_takes_are_noted(tmp_path: Path, write) -> None:
    for name in ("p1_t1", "p1_bias", "deep/er/p2_t1"):
        write(f"im/{name}.nii.gz")
    (tmp_path / "im" / "p1_t2.nii.gz").mkdir()  # as some unpack an archive
    images = {"t1": "{id}_t1.nii.gz", "t2": "{id}_t2.nii.gz"}
    path = described(tmp_path, "id,age\np1,60\n", root="im", images=images)
    expected = (
        "3 image(s) below root are nobody's by the layout or patterns: p1_bias.nii.gz, deep/er/p2_t1.nii.gz, "
        "p1_t2.nii.gz (a folder)."
    )
    assert expected in read_described(path).notes


def test_a_folder_without_subjects_is_a_mistake_and_no_lack(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="no BraTS subjects") as caught:
        read_described(described(tmp_path, "id,age\np1,60\n", layout="brats"))
    assert not isinstance(caught.value, MissingDataError)


def test_ids_that_are_numbers_leave_the_modality_alone(tmp_path: Path, write) -> None:
    for subject in ("1", "2"):
        for name in ("T1", "T1 post", "T2", "T2_FLAIR"):
            write(f"c/{subject}/{subject}_{name}.nii.gz")
    description = read_description(drafted(tmp_path / "c"))
    assert description.images == {
        "t1": "{id}/{id}_T1.nii.gz", "t1ce": "{id}/{id}_T1 post.nii.gz", "t2": "{id}/{id}_T2.nii.gz",
        "flair": "{id}/{id}_T2_FLAIR.nii.gz",
    }  # fmt: skip


def test_a_folder_a_modality(tmp_path: Path, write) -> None:
    for subject in ("p1", "p2"):
        write(f"c/T1/{subject}.nii.gz")
        write(f"c/flair/{subject}.nii.gz")
        write(f"c/labelsTr/{subject}.nii.gz", labels=[1, 2, 4])
    description = read_description(drafted(tmp_path / "c"))
    assert description.images == {"t1": "T1/{id}.nii.gz", "flair": "flair/{id}.nii.gz", "seg": "labelsTr/{id}.nii.gz"}


@pytest.mark.parametrize(
    "names", [("p1/2020/t1", "p1/2021/t1", "p2/2020/t1"), ("a1_t1", "a2_T1"), ("raw/a_t1", "new/a_t1")]
)
def test_of_several_ways_to_find_images_none_is_guessed(tmp_path: Path, write, names: tuple[str, ...]) -> None:
    """One pattern would leave out half of the images without a word."""
    for name in names:
        write(f"c/{name}.nii.gz")
    path = drafted(tmp_path / "c")
    with pytest.raises(RadlibError, match=r"1 question.*images\.t1"):
        read_description(path)
    assert "# t1 may be " in path.read_text()


def test_a_second_image_beside_the_first_is_told(tmp_path: Path, write) -> None:
    for subject in ("p1", "p2"):
        write(f"c/{subject}/{subject}_t1.nii.gz")
        write(f"c/{subject}/{subject}_t1_bias.nii.gz")
    path = drafted(tmp_path / "c")
    assert read_description(path).images == {"t1": "{id}/{id}_t1.nii.gz"}
    assert '# 2 image(s) are nobody\'s so far: "p1/p1_t1_bias.nii.gz", "p2/p2_t1_bias.nii.gz".' in path.read_text()


def test_a_table_whose_ids_meet_no_image_is_asked(tmp_path: Path, write) -> None:
    write("c/p1_t1.nii.gz")
    table(tmp_path / "c", "Patient,age\nMeier,60\n")
    path = drafted(tmp_path / "c")
    with pytest.raises(RadlibError, match=r"1 question.*participants"):
        read_description(path)
    assert "1 table(s) found, none with a column of ids" in path.read_text()
