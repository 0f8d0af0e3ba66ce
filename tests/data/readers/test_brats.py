"""BraTS folders: every vintage's names and labels, and the tables beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.nifti import VolumeError, read_volume
from radlib.data.readers.brats import read_brats, read_brats_like_2017
from radlib.data.sources import open_cohort

MODALITIES = ("t1", "t1ce", "t2", "flair")


def brats18(write, identity: str, folder: str = "", missing: str = "") -> None:
    for modality in (*MODALITIES, "seg"):
        if modality != missing:
            write(f"{folder}{identity}/{identity}_{modality}.nii.gz", labels=[1, 2, 4] if modality == "seg" else None)


def test_2018_with_grades_tables_and_aliases(tmp_path: Path, write) -> None:
    brats18(write, "Brats18_CBICA_AAB_1", "train/HGG/")
    brats18(write, "Brats18_TCIA13_642_1", "train/LGG/", missing="t2")
    brats18(write, "Brats18_2013_9_1", "train/")
    (tmp_path / "survival_data_2017.csv").write_text("Brats17ID,Age,Survival\nBrats17_CBICA_AAB_1,60.463,289\n")
    (tmp_path / "survival_data.csv").write_text(
        "Brats18ID,Age,Survival,ResectionStatus\nBrats18_TCIA13_642_1,41.5,ALIVE (361 days later),NA\n"
    )
    (tmp_path / "name_mapping_2018.csv").write_text(
        "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID\n"
        "HGG,Brats17_CBICA_AAB_1,Brats18_CBICA_AAB_1,NA\n"
        "LGG,Brats17_TCIA_642_1,Brats18_TCIA13_642_1,TCGA-HT-8114\n"
        "HGG,Brats17_2013_9_1,Brats18_2013_9_1,NA\n"
    )
    cohort = read_brats(tmp_path)
    cohort.validate()
    table = cohort.participants
    assert cohort.ids == ["Brats18_2013_9_1", "Brats18_CBICA_AAB_1", "Brats18_TCIA13_642_1"]
    assert table["grade_group"].tolist() == ["HGG", "HGG", "LGG"]  # the first by the mapping table
    assert table["site"].tolist() == ["2013", "CBICA", "TCIA13"]
    known = table.loc["Brats18_CBICA_AAB_1"]  # its survival stands under its name of 2017
    assert (known["age"], known["survival_days"], known["event"]) == (60.463, 289.0, 1.0)
    alive = table.loc["Brats18_TCIA13_642_1"]
    assert (alive["survival_days"], alive["event"], alive["tcga_id"]) == (361.0, 0.0, "TCGA-HT-8114")
    assert table["t2"].notna().tolist() == [True, True, False]
    assert "1 of 3 subjects lack a modality." in cohort.notes
    assert sorted(np.unique(cohort.labels("Brats18_2013_9_1").data)) == [0, 1, 2, 4]


def test_2023_names_and_labels(tmp_path: Path, write) -> None:
    for modality in ("t1n", "t1c", "t2w", "t2f", "seg"):
        write(
            f"BraTS-GLI-00001-000/BraTS-GLI-00001-000-{modality}.nii.gz",
            labels=[1, 2, 3] if modality == "seg" else None,
        )
    cohort = read_brats(tmp_path)
    (subject,) = cohort.ids
    assert cohort.path(subject, "t1ce").name.endswith("-t1c.nii.gz")
    assert cohort.path(subject, "flair").name.endswith("-t2f.nii.gz")
    assert cohort.labels(subject).data.ravel()[:3].tolist() == [1, 2, 4]


def test_2015_as_deepmedic_ships_it(tmp_path: Path, write) -> None:
    for name in ("Flair_subtrMeanDivStd", "T1c_subtrMeanDivStd", "brainmask"):
        write(f"HGG/brats_tcia_pat101_0001/{name}.nii.gz")
    write("HGG/brats_tcia_pat101_0001/OTMultiClass.nii.gz", labels=[1, 2, 3, 4])
    cohort = read_brats(tmp_path)
    row = cohort.participants.loc["brats_tcia_pat101_0001"]
    assert row[["t1", "t2"]].isna().all()
    assert (row["grade_group"], row["site"], row["label_encoding"]) == ("HGG", "tcia", "brats2015")
    assert cohort.labels("brats_tcia_pat101_0001").data.ravel()[:4].tolist() == [1, 2, 1, 4]
    assert any("brainmask" in note for note in cohort.notes)


def test_2015_as_the_challenge_ships_it(tmp_path: Path) -> None:
    home = tmp_path / "LGG" / "brats_2013_pat0001_1"
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)  # (z, y, x) for SimpleITK
    for number, name in enumerate(("MR_Flair", "MR_T1", "MR_T1c", "MR_T2")):
        image = SimpleITK.GetImageFromArray(voxels)
        image.SetSpacing((1.0, 2.0, 3.0))
        image.SetOrigin((10.0, 20.0, 30.0))
        stem = f"VSD.Brain.XX.O.{name}.{54512 + number}"
        (home / stem).mkdir(parents=True)
        SimpleITK.WriteImage(image, str(home / stem / f"{stem}.mha"))
    labels = SimpleITK.GetImageFromArray((voxels % 5).astype(np.uint8))
    labels.CopyInformation(image)
    (home / "VSD.Brain_3more.XX.O.OT.54517").mkdir()
    SimpleITK.WriteImage(labels, str(home / "VSD.Brain_3more.XX.O.OT.54517" / "VSD.Brain_3more.XX.O.OT.54517.mha"))
    cohort = read_brats(tmp_path)
    cohort.validate()
    assert cohort.ids == ["brats_2013_pat0001_1"]
    volume = cohort.volume("brats_2013_pat0001_1", "t1ce")
    assert volume.data.shape == (5, 4, 3)
    assert volume.data[1, 2, 1] == voxels[1, 2, 1]
    assert volume.spacing == (1.0, 2.0, 3.0)
    # LPS (10, 20, 30) is RAS (-10, -20, 30).
    np.testing.assert_allclose(volume.affine @ [0, 0, 0, 1], [-10, -20, 30, 1])
    assert set(np.unique(cohort.labels("brats_2013_pat0001_1").data)) == {0, 1, 2, 4}


def test_a_broken_metaimage_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mha").write_text("ObjectType = Image\nno more\n")
    with pytest.raises(VolumeError, match=r"not a readable image.*a\.mha"):
        read_volume(tmp_path / "a.mha")


def test_brats_tcga_takes_the_corrected_segmentation(tmp_path: Path, write) -> None:
    start = "TCGA-02-0006/TCGA-02-0006_1996.08.23"
    for name in ("t1", "t1Gd", "t2", "flair"):
        write(f"{start}_{name}.nii.gz")
    write(f"{start}_GlistrBoost.nii.gz", labels=[1])
    write(f"{start}_GlistrBoost_ManuallyCorrected.nii.gz", labels=[1, 4])
    cohort = read_brats(tmp_path)
    assert cohort.ids == ["TCGA-02-0006"]
    assert cohort.path("TCGA-02-0006", "seg").name.endswith("ManuallyCorrected.nii.gz")
    assert cohort.path("TCGA-02-0006", "t1ce").name.endswith("t1Gd.nii.gz")


def test_2020_has_a_segmentation_under_another_name(tmp_path: Path, write) -> None:
    brats18(write, "BraTS20_Training_355", missing="seg")
    write("BraTS20_Training_355/W39_1998.09.19_Segm.nii", labels=[1, 2, 4])
    cohort = read_brats(tmp_path)
    assert cohort.path("BraTS20_Training_355", "seg").name == "W39_1998.09.19_Segm.nii"
    assert any("taken as its segmentation" in note for note in cohort.notes)
    assert cohort.participants["vintage"].tolist() == ["2020"]


def test_the_same_id_in_two_folders_is_refused(tmp_path: Path, write) -> None:
    brats18(write, "Brats18_X_1", "a/")
    brats18(write, "Brats18_X_1", "b/")
    with pytest.raises(RadlibError, match=r"'Brats18_X_1' is in two folders"):
        read_brats(tmp_path)


def test_the_same_modality_twice_is_refused(tmp_path: Path, write) -> None:
    brats18(write, "Brats18_X_1")
    write("Brats18_X_1/Brats18_X_1_t1.nii")
    with pytest.raises(RadlibError, match="has t1 twice"):
        read_brats(tmp_path)


def test_one_patient_under_two_names_is_noted(tmp_path: Path, write) -> None:
    for identity in ("Brats17_TCIA_642_1", "Brats18_TCIA13_642_1"):
        brats18(write, identity)
    (tmp_path / "name_mapping.csv").write_text(
        "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID\nLGG,Brats17_TCIA_642_1,Brats18_TCIA13_642_1\n"
    )
    assert "One patient under 2 names: Brats17_TCIA_642_1, Brats18_TCIA13_642_1." in read_brats(tmp_path).notes
    assert read_brats_like_2017(tmp_path).ids == ["Brats17_TCIA_642_1"]  # one vintage, so one name


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no BraTS subjects"):
        read_brats(tmp_path)
    with pytest.raises(MissingDataError, match="no BraTS subjects"):
        read_brats_like_2017(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Brats18ID,Age,Survival\nBrats18_X_1,60,soon\n", r"line 2: Survival is 'soon'.*survival_data\.csv"),
        ("Brats18ID,Age,Survival\nBrats18_X_1,sixty,10\n", "line 2: Age is 'sixty'"),
        ("Brats18ID,Age\nBrats18_X_1,60\n", "no column Survival"),
        ("Brats18ID,Survival\nBrats18_X_1,60\n", "no column Age"),
    ],
)
def test_a_bad_survival_table_is_named(tmp_path: Path, write, text: str, message: str) -> None:
    brats18(write, "Brats18_X_1")
    (tmp_path / "survival_data.csv").write_text(text)
    with pytest.raises(RadlibError, match=message):
        read_brats(tmp_path)


@pytest.mark.data
def test_real_folders(real_data: Path) -> None:
    cohort = read_brats(real_data)
    assert cohort.participants["vintage"].value_counts().to_dict() == {"2015": 6, "2018": 2, "2023": 1}
    for subject in ("Brats18_2013_2_1", "BraTS-GLI-00000-000", "brats_2013_pat0001_1"):
        labels = cohort.labels(subject)
        assert labels.data.shape == (240, 240, 155)
        assert set(np.unique(labels.data)) == {0, 1, 2, 4}
        assert labels.spacing == (1.0, 1.0, 1.0)
    role = open_cohort("brats2017", cohort="real", root=real_data)
    assert role.ids == ["Brats18_2013_21_1", "Brats18_2013_2_1"]
    assert role.participants["grade_group"].tolist() == ["HGG", "HGG"]


@pytest.mark.data
def test_real_survival_tables_are_read_whole(real_data: Path, tmp_path: Path, write) -> None:
    for identity in ("BraTS19_CBICA_BFP_1", "BraTS19_CBICA_AAB_1"):
        brats18(write, identity)
    table = read_brats(tmp_path, tables=real_data).participants
    assert table["survival_days"].tolist() == [289.0, 1029.0]
    assert table["event"].tolist() == [1.0, 0.0]
    assert table["grade_group"].tolist() == ["HGG", "HGG"]
