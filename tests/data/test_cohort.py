"""The cohort table: what it accepts, keeps and refuses, in memory and on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import COLUMNS, Cohort, participants_table, read_participants
from radlib.data.nifti import write_volume


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    root = tmp_path / "data"
    data = np.zeros((4, 4, 4), dtype=np.int16)
    data[1, 1, :3] = [1, 2, 3]
    for subject in ("a", "b"):
        write_volume(root / subject / f"{subject}_flair.nii.gz", data + 1, affine=np.eye(4), dtype=np.int16)
    write_volume(root / "a" / "a_seg.nii.gz", data, affine=np.eye(4), dtype=np.int16)
    participants = participants_table(
        [
            {"id": "a", "age": 50, "sex": "F", "grade": 4, "survival_days": 300, "event": 1, "kps": 90,
             "flair": "a/a_flair.nii.gz", "seg": "a/a_seg.nii.gz", "label_encoding": "brats2023"},
            {"id": "b", "age": 61.5, "idh": "mutant", "flair": "b/b_flair.nii.gz"},
            {"id": "003", "collection": "LGG"},
        ]
    )  # fmt: skip
    genes = pd.DataFrame(np.arange(6.0).reshape(3, 2), index=participants.index, columns=["TP53", "EGFR"])
    radiomics = pd.DataFrame({"volume": [1.0, np.nan, 3.0]}, index=participants.index)
    return Cohort(
        name="small",
        source="user",
        root=root,
        participants=participants,
        expression=genes,
        radiomics=radiomics,
        notes=("one feature is missing",),
    )


def assert_same(one: Cohort, other: Cohort) -> None:
    pd.testing.assert_frame_equal(one.participants, other.participants)
    for name in ("expression", "radiomics"):
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None)
        if first is not None:
            pd.testing.assert_frame_equal(first, second, check_index_type=False)
    assert (one.name, one.source, one.notes) == (other.name, other.source, other.notes)


def test_table_has_the_contract_columns_first_and_right_types(cohort: Cohort) -> None:
    table = cohort.participants
    assert list(table.columns) == [*COLUMNS, "kps"]
    assert table.index.name == "id"
    assert table["age"].dtype == float
    assert table.loc["b", "idh"] == "mutant"
    assert pd.isna(table.loc["a", "idh"])


@pytest.mark.parametrize("place", ["inside", "elsewhere"])
def test_save_and_load_are_inverse(cohort: Cohort, tmp_path: Path, place: str) -> None:
    folder = cohort.root if place == "inside" else tmp_path / "elsewhere"
    cohort.save(folder)
    again = Cohort.load(folder)
    assert_same(cohort, again)
    assert again.ids == ["a", "b", "003"]  # an id that looks like a number stays text
    assert again.path("a", "flair").is_file()
    assert not list(folder.glob(".part-*"))


def test_saved_inside_its_root_a_cohort_can_be_moved(cohort: Cohort, tmp_path: Path) -> None:
    cohort.save(cohort.root)
    moved = cohort.root.rename(tmp_path / "moved")
    assert Cohort.load(moved).path("a", "seg").is_file()


def test_saving_without_expression_removes_the_old_table(cohort: Cohort) -> None:
    cohort.save(cohort.root)
    replace(cohort, expression=None).save(cohort.root)
    assert Cohort.load(cohort.root).expression is None
    assert not (cohort.root / "expression.parquet").exists()


def test_a_failed_save_changes_nothing(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort.save(cohort.root)
    before = {path.name: path.read_bytes() for path in cohort.root.iterdir() if path.is_file()}

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        replace(cohort, name="other").save(cohort.root)
    assert {path.name: path.read_bytes() for path in cohort.root.iterdir() if path.is_file()} == before


def test_whole_numbers_are_written_without_a_point(cohort: Cohort) -> None:
    cohort.save(cohort.root)
    lines = (cohort.root / "participants.tsv").read_text().splitlines()
    assert lines[0].startswith("id\tsite\tcollection\tage")
    assert "\t300\t1\t" in lines[1]
    assert "61.5" in lines[2]


def test_labels_use_the_subjects_encoding(cohort: Cohort) -> None:
    assert sorted(np.unique(cohort.labels("a").data)) == [0, 1, 2, 4]
    assert cohort.volume("a", "flair").data.max() == 4.0


def test_a_missing_modality_is_named(cohort: Cohort) -> None:
    with pytest.raises(MissingDataError, match=r"'b' of cohort 'small' has no t1ce"):
        cohort.path("b", "t1ce")
    with pytest.raises(RadlibError, match="unknown modality 'pet'"):
        cohort.path("b", "pet")
    with pytest.raises(RadlibError, match="no subject 'z'"):
        cohort.path("z", "t1")


def test_subset_keeps_order_and_takes_the_tables_along(cohort: Cohort) -> None:
    part = cohort.subset(["003", "a"])
    assert part.ids == ["003", "a"]
    assert part.expression is not None
    assert part.expression["TP53"].tolist() == [4.0, 0.0]
    part.validate()
    with pytest.raises(RadlibError, match="no subject"):
        cohort.subset(["a", "x"])
    with pytest.raises(RadlibError, match="twice"):
        cohort.subset(["a", "a"])


def test_complete_takes_the_subjects_that_have_everything(cohort: Cohort) -> None:
    assert cohort.complete("age").ids == ["a", "b"]
    assert cohort.complete("age", "seg", "expression").ids == ["a"]
    with pytest.raises(MissingDataError, match="mgmt"):
        cohort.complete("mgmt")


def test_require_names_everything_that_lacks(cohort: Cohort) -> None:
    cohort.require("survival_days", "expression", "flair", "kps")
    with pytest.raises(MissingDataError, match=r"has no t1, truth, shoe_size"):
        cohort.require("t1", "flair", "truth", "shoe_size")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sex", "female", r"sex of a is 'female', expected one of F, M"),
        ("grade", 5.0, r"grade of a is 5\.0"),
        ("idh", "wild-type", "idh of a"),
        ("event", 2.0, "event of a"),
        ("age", -1.0, r"age of a is -1\.0"),
        ("age", 400.0, r"age of a is 400\.0 years"),
        ("survival_days", np.inf, "survival_days of a is inf"),
        ("flair", "../elsewhere.nii.gz", "leaves the cohort's folder"),
        ("flair", "/etc/passwd", "leaves the cohort's folder"),
        ("flair", "a/gone.nii.gz", r"flair of a: no file a/gone\.nii\.gz"),
        ("label_encoding", "brats1999", "unknown label encoding"),
    ],
)
def test_validate_names_the_subject_and_the_value(cohort: Cohort, column: str, value: object, message: str) -> None:
    table = cohort.participants.copy()
    table.loc["a", column] = value
    with pytest.raises(RadlibError, match=message):
        replace(cohort, participants=table).validate()


def test_validate_lists_every_problem(cohort: Cohort) -> None:
    cohort.validate()
    table = cohort.participants.copy()
    table.loc["a", "sex"] = "x"
    table.loc["b", "age"] = 999.0
    with pytest.raises(RadlibError, match=r"2 problem\(s\)"):
        replace(cohort, participants=table).validate()


def test_validate_checks_the_tables_beside(cohort: Cohort) -> None:
    assert cohort.expression is not None
    with pytest.raises(RadlibError, match="expression has 3 rows that are not the 3 subjects in their order"):
        replace(cohort, expression=cohort.expression.iloc[::-1]).validate()
    with pytest.raises(RadlibError, match="infinite"):
        replace(cohort, radiomics=cohort.expression * np.inf).validate()
    with pytest.raises(RadlibError, match=r"text in the column\(s\) TP53"):
        replace(cohort, expression=cohort.expression.astype({"TP53": str})).validate()


def test_duplicate_ids_are_refused(cohort: Cohort) -> None:
    table = cohort.participants.rename(index={"b": "a"})
    with pytest.raises(RadlibError, match="id given twice: a"):
        replace(cohort, participants=table, expression=None, radiomics=None).validate()


def test_text_in_a_number_column_names_subject_and_file(tmp_path: Path) -> None:
    path = tmp_path / "participants.tsv"
    path.write_text("id\tage\nx\t60\ny\tsixty\n")
    with pytest.raises(RadlibError, match=r"age of y is 'sixty', not a number.*participants\.tsv"):
        read_participants(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("name\tage\nx\t1\n", "no column 'id'"), ("id\tage\n\t1\n", "line 2"), ("id\tage\nx\t1\tF\n", "names 2 columns")],
)
def test_tables_without_ids(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "participants.tsv").write_text(text)
    with pytest.raises(RadlibError, match=message):
        read_participants(tmp_path / "participants.tsv")


def test_a_table_written_later_is_read_and_filled_up(cohort: Cohort) -> None:
    replace(cohort, radiomics=None).save(cohort.root)
    features = pd.DataFrame({"volume": [3.0, 1.0]}, index=pd.Index(["003", "a"], name="id"))
    features.to_parquet(cohort.root / "radiomics.parquet")
    loaded = Cohort.load(cohort.root)
    assert loaded.radiomics is not None
    assert loaded.radiomics["volume"].fillna(-1).tolist() == [1.0, -1.0, 3.0]
    assert loaded.complete("radiomics").ids == ["a", "003"]
    features.rename(index={"003": "stranger"}).to_parquet(cohort.root / "radiomics.parquet")
    with pytest.raises(RadlibError, match=r"stranger first, are not in participants\.tsv.*radiomics\.parquet"):
        Cohort.load(cohort.root)
    features.rename(index={"003": "a"}).to_parquet(cohort.root / "radiomics.parquet")
    with pytest.raises(RadlibError, match="a is there twice"):
        Cohort.load(cohort.root)


def test_loading_what_is_no_cohort(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no cohort\.json"):
        Cohort.load(tmp_path)
    cohort.save(cohort.root)
    about = cohort.root / "cohort.json"
    whole = about.read_text()
    about.write_text(whole[:20])
    with pytest.raises(RadlibError, match="damaged"):
        Cohort.load(cohort.root)
    about.write_text(json.dumps(json.loads(whole) | {"version": 99}))
    with pytest.raises(RadlibError, match="version 1"):
        Cohort.load(cohort.root)
    about.write_text(whole)
    (cohort.root / "expression.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(RadlibError, match=r"not a readable table.*expression\.parquet"):
        Cohort.load(cohort.root)
    (cohort.root / "expression.parquet").unlink()
    with pytest.raises(RadlibError, match="the table is absent"):
        Cohort.load(cohort.root)


def test_a_fingerprint_follows_the_content_and_nothing_else(cohort: Cohort, tmp_path: Path) -> None:
    whole = cohort.fingerprint()
    cohort.save(cohort.root)
    moved = cohort.root.rename(tmp_path / "moved")
    again = Cohort.load(moved)
    assert replace(again, name="other").fingerprint() == whole
    flair = moved / "b" / "b_flair.nii.gz"
    before = flair.read_bytes()
    write_volume(flair, np.full((4, 4, 4), 9), affine=np.eye(4))
    assert again.fingerprint() != whole
    flair.write_bytes(before)
    assert again.fingerprint() == whole
    seen = {whole}
    for change in (
        {"participants": again.participants.assign(age=[50.0, 61.5, 1.0])},
        {"participants": again.participants.assign(label_encoding="brats")},
        {"expression": None},
        {"radiomics": again.radiomics * 2},
        {"radiomics": again.radiomics.rename(columns={"volume": "surface"})},
    ):
        seen.add(replace(again, **change).fingerprint())
    seen |= {again.subset(["b", "a", "003"]).fingerprint(), again.subset(["a", "b"]).fingerprint()}
    assert len(seen) == 8
    flair.unlink()
    with pytest.raises(MissingDataError, match="b_flair"):
        again.fingerprint()
