"""One person under several names never trains what is tested on them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.data.persons import each_once, person_of, refuse_shared, shared, without
from radlib.data.sources import open_cohort
from radlib.data.splits import hold_out, k_fold, leave_one_out


def table(persons: dict[str, str | None]) -> pd.DataFrame:
    return pd.DataFrame({"person": list(persons.values())}, index=list(persons))


#: a and d are one person through two ids that only b's row names together.
CHAIN = table({"a": "X1", "b": "X1 Y1", "c": None, "d": "Y1", "e": "Z"})


def test_ids_join_over_others() -> None:
    person = person_of(CHAIN)
    assert person["a"] == person["b"] == person["d"]
    assert person.nunique() == 3
    assert person["c"] == "c"


def test_a_subject_is_known_by_its_own_id_too() -> None:
    assert shared(table({"TCGA-1": None}), table({"Brats_9": "TCGA-1 BraTS18_9"})) == ["TCGA-1"]
    assert shared(pd.DataFrame(index=["s1"]), pd.DataFrame(index=["s2"])) == []


def test_training_on_the_tested_is_refused() -> None:
    other = table({"p": "Y1", "q": "nobody"})
    with pytest.raises(RadlibError, match=r"3 person\(s\) are trained on and tested: a, b, d"):
        refuse_shared(CHAIN, other)
    assert without(CHAIN, other) == ["c", "e"]
    refuse_shared(CHAIN.loc[without(CHAIN, other)], other)


@pytest.mark.parametrize("seed", range(20))
def test_splits_of_an_opened_cohort_never_divide_a_person(seed: int) -> None:
    people = table({f"s{n}": f"p{n % 13}" for n in range(40)})  # of every person three or four examinations
    ids = each_once(people)
    assert ids == [f"s{n}" for n in range(13)]
    splits = [*k_fold(ids, n_folds=5, seed=seed), hold_out(ids, test=0.3, validation=0.2, seed=seed)]
    for split in [*splits, *leave_one_out(ids)]:
        refuse_shared(people.loc[[*split.train, *split.validation]], people.loc[list(split.test)])


def test_without_it_a_person_is_on_both_sides() -> None:
    """The attack that the others defend against: ordinary folds do divide a person."""
    people = table({f"s{n}": f"p{n % 13}" for n in range(40)})
    with pytest.raises(RadlibError, match="trained on and tested"):
        for split in k_fold(list(people.index), n_folds=5, seed=0):
            refuse_shared(people.loc[list(split.train)], people.loc[list(split.test)])


@pytest.mark.data
@pytest.mark.slow
def test_real_cohorts_that_overlap(real_data: Path) -> None:
    images = open_cohort("huashan", cohort="real", root=real_data).participants
    tables = open_cohort("tcga-idh", cohort="real", root=real_data).participants
    assert len(shared(images, tables)) == 61
    with pytest.raises(RadlibError, match="61 person"):
        refuse_shared(tables, images)
    ucsf = open_cohort("ucsf", cohort="real", root=real_data).participants
    assert person_of(ucsf).nunique() == 495
    assert shared(ucsf, pd.concat([images, tables])) == []
    brats = open_cohort("brats2017", cohort="real", root=real_data).participants
    assert shared(brats, brats) == list(brats.index)
