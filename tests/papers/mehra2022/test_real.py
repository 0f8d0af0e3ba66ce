"""Mehra 2022 on real patients: who stands in for whom, by what name, and what each protocol is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.data.cohort import Cohort, participants_table
from radlib.papers.mehra2022 import tables
from radlib.papers.mehra2022.grades import LowerGrades, class_names, first_source, graded_source, replacement
from radlib.papers.mehra2022.study import Part, graded
from radlib.study import cohorts
from radlib.study.cohorts import Source
from radlib.study.jobs import _identity
from radlib.study.keep import real_patients


@pytest.fixture
def lower_grades(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cohort]:
    """Ten made-up patients of grade 2 and 3, one of unknown grade and one without FLAIR; all are LGG."""
    people = participants_table(pd.DataFrame(
        {"grade": [2.0] * 4 + [3.0] * 6 + [np.nan, 2.0], "grade_group": "LGG", "flair": "f.nii.gz", "seg": "s.nii.gz"},
        index=pd.Index([f"p{number:02d}" for number in range(12)], name="id"),
    ))  # fmt: skip
    people.loc["p11", "flair"] = np.nan
    for name in ("f.nii.gz", "s.nii.gz"):
        (tmp_path / name).write_bytes(name.encode())
    cohort = Cohort(name="made-up", source="real", root=tmp_path, participants=people)
    monkeypatch.setattr(cohorts, "open_cohort", lambda *_, **__: cohort)
    cohorts.forget()
    yield cohort
    cohorts.forget()


def test_real_patients_are_classed_by_who_grade(lower_grades: Cohort) -> None:
    source = graded_source(cohort="real", profile="default")
    found = graded(source).participants
    assert source.role == "huashan"
    assert found.index.tolist() == [f"p{number:02d}" for number in range(10)]  # those of known grade, with FLAIR
    assert (found["grade_group"] == "HGG").tolist() == (found["grade"] == 3).tolist()
    assert set(lower_grades.participants["grade_group"]) == {"LGG"}  # the cohort itself is left alone
    assert class_names(source) == {"LGG": "grade 2", "HGG": "grade 3"}
    said = replacement(graded(source))
    assert "grade 3 (6 patients) for its HGG and grade 2 (4 patients) for its LGG, the rarer class" in said


def test_folds_divide_real_patients_within_their_grade(lower_grades: Cohort) -> None:
    cohort = graded(graded_source(cohort="real", profile="default"))
    splits = [Part(fold=number, n_folds=2).split(cohort) for number in range(2)]
    assert sorted(one for split in splits for one in split.test) == cohort.ids
    for split in splits:
        assert set(split.test).isdisjoint(split.train)
        assert cohort.participants.loc[list(split.test), "grade"].value_counts().to_dict() == {3.0: 3, 2.0: 2}


def test_the_classes_are_in_the_fingerprint_and_such_jobs_are_never_kept(lower_grades: Cohort) -> None:
    """The same patients by another label are another input, and still real ones."""
    by_grade, by_group = LowerGrades("huashan", "real"), Source("huashan", "real")
    assert by_grade.fingerprint != by_group.fingerprint
    assert by_grade.key != by_group.key
    assert _identity(by_grade, "spec")["cohort"] == "real"
    job = type("Job", (), {"function": type("F", (), {"keep": True}), "spec": lambda _: _identity(by_grade, "spec")})()
    assert real_patients(job) == "real"


def test_other_cohorts_keep_their_roles_and_groups() -> None:
    assert graded_source(cohort="simulated", profile="smoke") == Source("rembrandt", "simulated", "smoke")
    assert first_source(cohort="simulated", profile="smoke") == Source("brats2017", "simulated", "smoke")
    assert first_source(cohort="own.yml", profile="smoke") == Source("brats2017", "own.yml", "smoke")
    assert class_names(Source("rembrandt")) == {"LGG": "LGG", "HGG": "HGG"}


@pytest.mark.parametrize("profile", ["smoke", "default"])
@pytest.mark.parametrize("made", [False, True])
def test_the_first_training_for_real_patients_is_the_simulated_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str, made: bool
) -> None:
    """So the kept job is found, and a patient of the first training is nobody who is tested."""
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path))
    usual = Source("brats2017", "simulated", profile)
    if made:
        folder = cohorts.simulated_dir("brats2017", profile=profile)
        folder.mkdir(parents=True)
        (folder / cohorts.MADE).write_text("{}")
    first = first_source(cohort="real", profile=profile)
    assert (first.cohort, first.own is None) == ("simulated", made)  # made when opened, where it is not there
    assert (first.key, first.fingerprint) == (usual.key, usual.fingerprint)


def predictions(arm: str, score: float) -> pd.DataFrame:
    truth = np.array([True, True, False, False])
    scores = 0.5 + (truth - 0.5) * score
    frame = pd.DataFrame({"subject": list("abcd"), "truth": truth, "predicted": scores > 0.5, "score": scores})
    return frame.assign(arm=arm, run=0)


def test_each_protocol_is_given_its_own_arms() -> None:
    slices = pd.concat([predictions("baseline", 1.0), predictions("majority", 0.0), predictions("age", -1.0)])
    by_patient = tables.patient_estimates(tables.patient_level(slices), n_boot=10, seed=0)
    once = pd.concat([predictions("0.0", -1.0), predictions("0.5", 0.2), predictions("1.0", -0.2)])
    curve = tables.slice_estimates(once, n_boot=2).assign(added=lambda rows: rows["arm"].astype(float))
    best = tables.best_of_division(curve, once)
    assert best.groupby("arm")["score"].max().to_dict() == {"baseline": 1.0, "acgan": pytest.approx(0.6)}
    shuffled = {"mean": 0.48, "low": 0.3, "high": 0.7}
    found = tables.protocol_table(by_patient, best, shuffled, n_boot=10, seed=0)
    auc = found.set_index(["protocol", "arm"])["AUC of patients"].to_dict()
    assert auc == {
        ("leakage-free", "baseline"): 1.0, ("as published", "baseline"): 0.0, ("as published", "acgan"): 1.0,
        ("permuted labels", "baseline"): 0.48, ("control", "majority"): 0.5, ("control", "age"): 0.0,
    }  # fmt: skip


def test_tables_call_the_classes_as_asked() -> None:
    slices = predictions("baseline", 1.0)
    called = {"LGG": "grade 2", "HGG": "grade 3"}
    table = tables.arm_table(
        tables.slice_estimates(slices, n_boot=2),
        tables.patient_estimates(tables.patient_level(slices), n_boot=2, seed=0),
        {}, called=called,
    )  # fmt: skip
    assert {"grade 2 slices", "grade 3 slices"} <= set(table)
    assert not any("GG" in str(column) for column in table)
