"""Subjects: counts of the papers, one seed one cohort, arrows that reach only what follows from them."""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.data.cohort import COLUMNS, Cohort
from radlib.phantom.biology import LEAST_ENHANCEMENT_ML, fractions, sample_subjects
from radlib.phantom.templates import TEMPLATE_NAMES, load_template
from radlib.phantom.traits import Lobe


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
@pytest.mark.parametrize("n", [None, 1, 7])
def test_the_table_is_a_valid_cohort(name: str, n: int | None, tmp_path: Path) -> None:
    subjects = sample_subjects(load_template(name), n=n, seed=0)
    people = subjects.participants
    assert list(people.columns) == list(COLUMNS)
    assert len(people) == (n or load_template(name).n)
    cohort = Cohort(name=name, source="simulated", root=tmp_path, participants=people, expression=subjects.expression)
    cohort.validate(files=False)
    cohort.save(tmp_path)
    pd.testing.assert_frame_equal(Cohort.load(tmp_path).participants, people)
    assert list(subjects.traits) == list(people.index) == list(subjects.latents.index)


def test_one_seed_one_cohort() -> None:
    template = load_template("tcga-gbm")
    first, second = (sample_subjects(template, n=30, seed=4) for _ in range(2))
    other = sample_subjects(template, n=30, seed=5)
    pd.testing.assert_frame_equal(first.participants, second.participants)
    pd.testing.assert_frame_equal(first.expression, second.expression)
    pd.testing.assert_frame_equal(first.latents, second.latents)
    assert first.traits == second.traits
    assert not first.latents.equals(other.latents)


def test_ge2020_table_1a() -> None:
    people = sample_subjects(load_template("tcga-idh"), seed=11).participants
    counts = people.groupby(["idh", "sex"]).size()
    assert counts.to_dict() == {
        ("mutant", "F"): 32, ("mutant", "M"): 23, ("wildtype", "F"): 44, ("wildtype", "M"): 67,
    }  # fmt: skip
    groups = pd.cut(people["age"], [0, 30, 60, 80, 120], right=False)
    ages = pd.crosstab(people["idh"], groups).to_numpy().tolist()
    assert ages == [[13, 35, 7, 0], [5, 55, 48, 3]]
    unknown = people[people["age"].isna()]
    assert len(unknown) == 1
    assert unknown["sex"].isna().all()
    assert unknown["idh"].tolist() == ["wildtype"]
    composition = pd.crosstab(people["idh"], people["collection"])
    assert composition.to_numpy().tolist() == [[4, 51], [98, 14]]


@pytest.mark.data
def test_ge2020_composition_is_that_of_the_tcga_tables(real_data: Path) -> None:
    mutated = pd.read_csv(real_data / "tcga-glioma/clinical/TCGA_GBM_LGG_Mutations_all.csv").set_index("Case_ID")
    clinical = pd.read_csv(real_data / "tcga-glioma/clinical/TCGA-CDR_GBM_LGG.csv").set_index("bcr_patient_barcode")
    real = pd.concat(
        [
            pd.read_csv(real_data / f"tcga-glioma/radiomics/TCGA_{name}_radiomicFeatures.csv", usecols=["ID"])
            .set_index("ID")
            .assign(collection=name)
            for name in ("GBM", "LGG")
        ]
    )
    real["idh"] = np.where(mutated["IDH1"].reindex(real.index) == "MUTATED", "mutant", "wildtype")
    real["sex"] = clinical["gender"].reindex(real.index).map({"FEMALE": "F", "MALE": "M"})
    real["group"] = pd.cut(
        clinical["age_at_initial_pathologic_diagnosis"].reindex(real.index), [0, 30, 60, 80, 120], right=False
    )
    people = sample_subjects(load_template("tcga-idh"), seed=1).participants
    people["group"] = pd.cut(people["age"], [0, 30, 60, 80, 120], right=False)
    for keys in (["collection", "idh"], ["collection", "idh", "sex"], ["collection", "idh", "group"]):
        expected, found = (t.groupby(keys, observed=True).size() for t in (real, people))
        pd.testing.assert_series_equal(found, expected, check_index_type=False)


def test_brats2017_splits_and_survival() -> None:
    people = sample_subjects(load_template("brats2017"), seed=0).participants
    assert people.groupby(["split", "grade_group"]).size().to_dict() == {
        ("train", "HGG"): 210, ("train", "LGG"): 75, ("validation", "HGG"): 34, ("validation", "LGG"): 12,
    }  # fmt: skip
    known = people[people["survival_days"].notna()]
    assert len(known) == 163
    assert set(known["grade_group"]) == {"HGG"}
    assert known["event"].eq(1).all()
    assert people[["t1", "t1ce", "t2", "flair", "seg"]].notna().all(axis=None)
    first = people[people["split"] == "train"].iloc[0]
    assert first["t1ce"] == f"{first['grade_group']}/{first.name}/{first.name}_t1ce.nii.gz"


def test_tcga_gbm_misses_what_islam2020_says() -> None:
    subjects = sample_subjects(load_template("tcga-gbm"), seed=0)
    people = subjects.participants
    assert set(people["grade"]) == {4.0}
    assert subjects.expression is not None
    assert subjects.expression.shape == (202, 1740)
    scanned = people[people["seg"].notna()]
    assert len(scanned) == 106
    assert people.loc[people["seg"].isna(), ["t1", "t1ce", "t2", "flair", "site"]].isna().all(axis=None)
    have = scanned[["t1", "t1ce", "t2", "flair"]].notna()
    assert have["t2"].mean() < 0.5
    assert (have.sum(axis=1) <= 2).mean() > 0.5
    assert 20 < (~have["t1"]).sum() < 106
    assert 20 < (~have["flair"]).sum() < 106
    assert have.any(axis=1).all()


def test_huashan_and_rembrandt_know_what_the_papers_know() -> None:
    huashan = sample_subjects(load_template("huashan"), seed=0).participants
    assert huashan["idh"].value_counts().to_dict() == {"mutant": 112, "wildtype": 39}
    assert set(huashan["grade"]) == {2.0}
    assert huashan["flair"].notna().all()
    assert huashan.groupby("idh")["t1ce"].count().to_dict() == {"mutant": 89, "wildtype": 30}
    assert huashan[["t1", "t2"]].isna().all(axis=None)
    assert huashan["survival_days"].isna().all()
    ages = huashan.groupby("idh")["age"].mean()
    assert ages["mutant"] == pytest.approx(38.7, abs=3)
    assert ages["wildtype"] == pytest.approx(43.5, abs=5)
    rembrandt = sample_subjects(load_template("rembrandt"), seed=0).participants
    assert rembrandt["grade_group"].value_counts().to_dict() == {"HGG": 61, "LGG": 40}
    assert rembrandt["idh"].isna().all()
    assert rembrandt["flair"].notna().all()
    assert rembrandt["t1ce"].isna().all()


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_traits_are_in_their_ranges(name: str) -> None:
    for traits in sample_subjects(load_template(name), n=300, seed=2).traits.values():
        assert traits.lobe in get_args(Lobe)
        assert 3 <= traits.volume_ml <= 350
        assert traits.n_foci in (1, 2, 3)
        assert 15 <= traits.age <= 95
        assert traits.fraction_et >= 0
        assert traits.fraction_core > 0
        assert traits.fraction_et + traits.fraction_core < 1
        shares = ("necrosis", "border_sharpness", "t2_flair_mismatch", "mass_effect", "heterogeneity")
        assert all(0 <= getattr(traits, share) <= 1 for share in shares)


def test_fractions_by_hand() -> None:
    # ratios to oedema 1 and 2: a quarter enhances, half is core
    et, core = fractions(np.array([100.0]), np.log([1.0]), np.log([2.0]))
    assert (et[0], core[0]) == pytest.approx((0.25, 0.5))
    # 0.1 ml of enhancement is none, and the rest shares the volume as before
    et, core = fractions(np.array([100.0]), np.log([0.003]), np.log([2.0]))
    assert et[0] == 0
    assert core[0] == pytest.approx(2 / 3)
    assert pytest.approx(0.7) == LEAST_ENHANCEMENT_ML


def test_mutant_tumours_look_as_stated() -> None:
    subjects = sample_subjects(load_template("tcga-idh"), n=1500, seed=0)
    traits = pd.DataFrame({key: vars(value) for key, value in subjects.traits.items()}).T
    mutant = subjects.participants["idh"] == "mutant"
    lobes = traits["lobe"].groupby(mutant).value_counts(normalize=True)
    assert lobes[True, "frontal"] > lobes[False, "frontal"] + 0.15
    assert lobes[True, "insular"] > lobes[False, "insular"]
    mean = traits.drop(columns=["lobe", "hemisphere"]).astype(float).groupby(mutant).mean()
    assert mean.loc[True, "border_sharpness"] > mean.loc[False, "border_sharpness"]
    assert mean.loc[True, "t2_flair_mismatch"] > mean.loc[False, "t2_flair_mismatch"]
    assert mean.loc[True, "fraction_et"] < mean.loc[False, "fraction_et"]
    low = subjects.participants["grade_group"] == "LGG"
    assert 0.15 < (traits.loc[low, "fraction_et"] == 0).mean() < 0.45
    assert 0.02 < (traits["n_foci"] > 1).mean() < 0.2


def test_nobody_is_an_error() -> None:
    with pytest.raises(RadlibError, match="0 subjects were asked for"):
        sample_subjects(load_template("huashan"), n=0, seed=0)
