"""A user's own folder: drafted, corrected, checked and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from radlib.cli import app
from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.readers.description import Description, read_description
from radlib.data.readers.draft import draft
from radlib.data.readers.folder import read_described
from radlib.data.sources import open_cohort

DESCRIPTION = {
    "name": "clinic",
    "root": "images",
    "images": {
        "flair": "{id}/anat/{id}_FLAIR.nii.gz",
        "t1ce": "{id}/anat/{id}_T1-Gd*.nii.gz",
        "seg": "masks/{id}.nii.gz",
    },
    "label_encoding": "1:4 2:2 3:1",
    "participants": "patients.csv",
    "id_column": "Patient",
    "columns": {"age": "Age", "sex": "Gender", "idh": "IDH1", "survival_days": "OS", "event": "Status", "grade": "WHO"},
    "values": {"idh": {1: "mutant", 0: "wildtype"}},
    "survival_unit": "months",
    "expression": {"file": "genes.csv", "id_column": "Patient", "drop": ["batch"]},
}


@pytest.fixture
def clinic(tmp_path: Path, write) -> Path:
    for subject in ("p1", "p2", "p9"):
        write(f"images/{subject}/anat/{subject}_FLAIR.nii.gz")
        write(f"images/{subject}/anat/{subject}_T1-Gd_v2.nii.gz")
    write("images/masks/p1.nii.gz", labels=[1, 2, 3])
    (tmp_path / "patients.csv").write_text(
        "Patient,Age,Gender,IDH1,OS,Status,WHO,KPS\np1,61,female,1,10,dead,IV,90\np2,47.5,M,0,,alive,G3,\np3,NA,,,,,,\n"
    )
    (tmp_path / "genes.csv").write_text("Patient,batch,TP53,EGFR\np2,x,1.5,2\np1,y,,-1\n")
    return write_yaml(tmp_path, DESCRIPTION)


def write_yaml(folder: Path, description: dict) -> Path:
    path = folder / "clinic.yml"
    path.write_text(yaml.safe_dump(description))
    return path


def test_everything_is_read(clinic: Path) -> None:
    cohort = open_cohort("huashan", cohort=str(clinic))  # a description stands in for every role
    table = cohort.participants
    assert (cohort.name, cohort.source, cohort.ids) == ("clinic", "user", ["p1", "p2", "p3"])
    assert table.loc["p1", ["age", "sex", "idh", "event", "grade", "KPS"]].tolist() == [61, "F", "mutant", 1, 4, "90"]
    assert table.loc["p2", ["sex", "idh", "event", "grade"]].tolist() == ["M", "wildtype", 0, 3]
    assert table.loc["p1", "survival_days"] == pytest.approx(304.375)
    assert table.loc[["p1", "p2"], "grade_group"].tolist() == ["HGG", "LGG"]  # of grades 4 and 3
    assert any(note.startswith("grade_group of 2 subject(s) follows from grade") for note in cohort.notes)
    assert table.loc["p3"].isna().all()
    assert cohort.path("p2", "t1ce").name == "p2_T1-Gd_v2.nii.gz"
    assert cohort.labels("p1").data.ravel()[:4].tolist() == [4, 2, 1, 0]
    assert cohort.expression is not None
    assert cohort.expression.loc["p1"].isna().tolist() == [True, False]
    assert cohort.expression.loc["p3"].isna().all()
    notes = " ".join(cohort.notes)
    assert "1 subject(s) have images but no row, left out: p9." in notes
    assert "1 of 3 subjects have no image: p3." in notes
    assert "1 subject(s) have no expression: p3." in notes
    assert "Columns of patients.csv that no chapter reads, kept as they are: KPS." in notes


def test_without_a_table_the_images_say_who_there_is(clinic: Path) -> None:
    only_images = {key: DESCRIPTION[key] for key in ("name", "root", "images", "label_encoding")}
    assert read_described(write_yaml(clinic.parent, only_images)).ids == ["p1", "p2", "p9"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, "nmae: Extra inputs are not permitted"),
        ({"images": {"flair": "x_flair.nii.gz"}}, r"the pattern of flair .* has no \{id\}"),
        ({"images": {"pet": "{id}.nii"}}, "images.pet"),
        ({"images": {"t1": "../{id}.nii"}}, "leaves the root"),
        ({"columns": {"weight": "Weight"}}, r"unknown column\(s\) weight"),
        ({"columns": {"age": "Alter"}}, r"no column Alter.*patients\.csv"),
        ({"id_column": "Name"}, r"no column Name.*patients\.csv"),
        ({"label_encoding": "nonsense"}, "unknown label encoding 'nonsense'"),
        ({"survival_unit": "fortnights"}, "survival_unit"),
        ({"participants": "gone.csv"}, r"participants 'gone\.csv' does not exist"),
        ({"root": "gone"}, "root 'gone' does not exist"),
        ({"values": {}}, r"IDH1 of p1 is '1', expected mutant or wildtype.*patients\.csv.*values: idh:"),
        ({"columns": {"age": "Gender"}, "values": {}, "survival_unit": "days"}, "survival_unit has no effect"),
        (
            {"columns": {"age": "Gender", "survival_days": "OS"}, "values": {}},
            "Gender of p1 is 'female', expected",
        ),
        ({"values": {"mgmt": {"1": "methylated"}}}, "values of mgmt have no effect"),
        ({"layout": "brats"}, "images has no effect beside layout: brats"),
        ({"participants": None}, "columns, id_column, survival_unit, values has no effect without participants"),
        ({"label_encoding": "?", "values": {"idh": {"1": "?"}}}, r"2 question.*label_encoding, values\.idh\.1"),
        (
            {"expression": {"file": "genes.csv", "id_column": "Patient"}},
            "batch of p2 is 'x'; batch of p1",
        ),
        ({"expression": {"file": "gone.csv", "id_column": "Patient"}}, r"expression 'gone\.csv' does not exist"),
        ({"images": {"flair": "{id}/anat/*.nii.gz"}}, "has flair twice"),
    ],
)
def test_mistakes_are_named(clinic: Path, change: dict, message: str) -> None:
    with pytest.raises(RadlibError, match=message) as caught:
        read_described(write_yaml(clinic.parent, DESCRIPTION | change))
    assert not isinstance(caught.value, MissingDataError)  # a mistake, not something that the cohort lacks


@pytest.mark.parametrize("text", ["a: [", "just words", "!!python/object/apply:os.getcwd []"])
def test_what_is_no_description(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yml").write_text(text)
    with pytest.raises(RadlibError, match=r"x\.yml"):
        read_description(tmp_path / "x.yml")
    with pytest.raises(RadlibError, match="no cohort description"):
        read_description(tmp_path / "gone.yml")


def test_lines_longer_than_the_header_are_refused(clinic: Path) -> None:
    """pandas would take the first column, the patients' names, for an index and shift all others."""
    table = clinic.parent / "patients.csv"
    table.write_text(table.read_text().replace(",90\n", ",90,note\n").replace("p2,47.5,M,0,,alive,G3,\n", ""))
    with pytest.raises(RadlibError, match=r"row 2 has 9 cells.*names 8 columns.*patients\.csv"):
        read_described(clinic)


def test_nobody_found(clinic: Path) -> None:
    description = {"name": "x", "root": "images", "images": {"t1": "{id}_t1.nii"}}
    with pytest.raises(RadlibError, match="no subject found"):
        read_described(write_yaml(clinic.parent, description))


def test_a_draft_of_a_foreign_folder_reads_back(clinic: Path) -> None:
    (clinic.parent / "draft.yml").write_text(draft(clinic.parent))
    with pytest.raises(RadlibError, match=r"4 question.*label_encoding, values\.idh\.1, values\.idh\.0, survival_unit"):
        read_description(clinic.parent / "draft.yml")
    description = answered(clinic.parent / "draft.yml", '"1:4 2:2 3:1"', '"mutant"', '"wildtype"', "months")
    assert description.images["flair"] == "images/{id}/anat/{id}_FLAIR.nii.gz"
    assert description.images["t1ce"] == "images/{id}/anat/{id}_T1-Gd_v2.nii.gz"
    assert description.images["seg"] == "images/masks/{id}.nii.gz"
    assert description.participants == str(clinic.parent / "patients.csv")
    assert description.id_column == "Patient"
    assert description.columns == {
        "age": "Age", "sex": "Gender", "grade": "WHO", "idh": "IDH1", "survival_days": "OS", "event": "Status",
    }  # fmt: skip


def answered(path: Path, *answers: str) -> Description:
    """A draft whose questions are answered in their order."""
    before, *parts = path.read_text().split('"?"')
    assert len(parts) == len(answers), path.read_text()
    path.write_text(before + "".join(answer + part for answer, part in zip(answers, parts, strict=True)))
    return read_description(path)


def test_a_draft_of_a_brats_folder_needs_no_correction(tmp_path: Path, write) -> None:
    for subject in ("Brats18_A_1", "Brats18_B_1"):
        for modality in ("t1", "t1ce", "t2", "flair"):
            write(f"data/HGG/{subject}/{subject}_{modality}.nii.gz")
    path = tmp_path / "own.yml"
    path.write_text(draft(tmp_path / "data"))
    cohort = read_described(path)
    assert cohort.ids == ["Brats18_A_1", "Brats18_B_1"]
    assert cohort.participants["grade_group"].tolist() == ["HGG", "HGG"]
    assert cohort.source == "user"


def test_a_table_beside_a_brats_folder_wins_and_is_filled_up(tmp_path: Path, write) -> None:
    for subject in ("Brats18_A_1", "Brats18_B_1"):
        write(f"HGG/{subject}/{subject}_t1.nii.gz")
    (tmp_path / "survival_data.csv").write_text("Brats18ID,Age,Survival\nBrats18_A_1,60,100\nBrats18_B_1,50,200\n")
    (tmp_path / "own.csv").write_text("id,age\nBrats18_A_1,61\nBrats18_B_1,\n")
    description = {"name": "x", "layout": "brats", "participants": "own.csv"}
    cohort = read_described(write_yaml(tmp_path, description))
    assert cohort.participants["age"].tolist() == [61, 50]
    assert cohort.participants["survival_days"].tolist() == [100, 200]


def test_nothing_to_draft(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="neither images"):
        draft(tmp_path)
    with pytest.raises(MissingDataError, match="no such folder"):
        draft(tmp_path / "gone")


# The command line


def test_init_then_check(clinic: Path) -> None:
    runner = CliRunner()
    target = clinic.parent / "drafted.yml"
    done = runner.invoke(app, ["cohort", "init", str(clinic.parent / "images"), "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert "# days, weeks, months or years" in target.read_text()
    again = runner.invoke(app, ["cohort", "init", str(clinic.parent), "-o", str(target)])
    assert isinstance(again.exception, RadlibError)
    checked = runner.invoke(app, ["cohort", "check", str(target)])
    assert checked.exit_code == 1
    assert "1 question(s) wait for your answer: label_encoding" in checked.output
    answered(target, "brats2023")
    checked = runner.invoke(app, ["cohort", "check", str(target)])
    assert checked.exit_code == 0, checked.output
    assert "No problems found." in checked.output
    assert "The first rows as they were understood" in checked.output


def test_check_as_json_and_by_voxel(clinic: Path, write) -> None:
    runner = CliRunner()
    good = runner.invoke(app, ["cohort", "check", str(clinic), "--json", "--images"])
    assert good.exit_code == 0, good.output
    answer = json.loads(good.stdout)
    assert answer["ok"] is True
    assert answer["n_subjects"] == 3
    assert answer["columns"]["sex"] == {"known": 2, "values": {"F": 1, "M": 1}}
    write("images/masks/p1.nii.gz", labels=[1, 9])
    write("images/p2/anat/p2_FLAIR.nii.gz", shape=(6, 5, 3))
    whole = (clinic.parent / "images/p1/anat/p1_FLAIR.nii.gz").read_bytes()
    (clinic.parent / "images/p1/anat/p1_FLAIR.nii.gz").write_bytes(whole[:-20])
    bad = runner.invoke(app, ["cohort", "check", str(clinic), "--json", "--images"])
    assert bad.exit_code == 1
    problems = json.loads(bad.stdout)["problems"]
    assert len(problems) == 3
    assert any("truncated" in problem and "p1_FLAIR" in problem for problem in problems)
    assert any("unexpected label(s) 9" in problem for problem in problems)
    assert any(problem.startswith("p2: flair has 6 x 5 x 3 voxels, not 6 x 5 x 4") for problem in problems)


def test_check_says_what_is_wrong_with_a_description(clinic: Path) -> None:
    path = write_yaml(clinic.parent, DESCRIPTION | {"values": {}})
    bad = CliRunner().invoke(app, ["cohort", "check", str(path), "--json"])
    assert bad.exit_code == 1
    assert "IDH1 of p1 is '1'" in json.loads(bad.stdout)["problems"][0]


def test_show_a_saved_cohort(clinic: Path, tmp_path: Path) -> None:
    read_described(clinic).save(tmp_path / "saved")
    shown = CliRunner().invoke(app, ["cohort", "show", str(tmp_path / "saved"), "--rows", "2"])
    assert shown.exit_code == 0, shown.output
    assert "clinic (user): 3 subjects" in shown.output
    assert "expression: 3 subjects x 2 genes" in shown.output
    as_json = CliRunner().invoke(app, ["cohort", "show", str(tmp_path / "saved"), "--json"])
    assert json.loads(as_json.stdout)["expression"] == [3, 2]
    assert np.isclose(json.loads(as_json.stdout)["columns"]["age"]["known"], 2)
