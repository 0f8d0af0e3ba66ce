"""Descriptive tables: counted from small participants, and recomputed from what the papers print."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.data.cohort import participants_table
from radlib.data.published import check, published
from radlib.data.sources import open_cohort
from radlib.papers.across import baseline_tables as tables


@pytest.fixture
def participants() -> pd.DataFrame:
    rows = [
        {"id": "a", "idh": "mutant", "sex": "F", "age": 29.9, "collection": "LGG", "idh1_table": "mutated"},
        {"id": "b", "idh": "mutant", "sex": "M", "age": 30, "collection": "LGG", "idh1_table": "mutated"},
        {"id": "c", "idh": "wildtype", "sex": "M", "age": 60, "collection": "GBM", "idh_ceccarelli": "wildtype"},
        {"id": "d", "idh": "wildtype", "sex": "F", "age": 80, "collection": "GBM", "idh1_table": "not mutated"},
        {"id": "e", "idh": "wildtype", "collection": "GBM"},
        {"id": "f", "sex": "M", "age": 50},
    ]
    return participants_table(rows)


def test_counts_by_genotype(participants: pd.DataFrame) -> None:
    table = tables.by_genotype(participants)
    assert table.loc["mutation"].tolist() == [2, 1, 1, 1, 1, 0, 0]  # 30 years belong to 30 to 60
    assert table.loc["wildtype"].tolist() == [3, 1, 1, 0, 0, 1, 1]  # e counts as a patient only


def test_wildtype_contents(participants: pd.DataFrame) -> None:
    contents = tables.wildtype_contents(participants)
    assert contents.to_numpy().tolist() == [
        ["GBM", "absent", "unknown", 1],
        ["GBM", "absent", "wildtype", 1],
        ["GBM", "not mutated", "unknown", 1],
    ]
    with pytest.raises(RadlibError, match="no column idh1_table"):
        tables.wildtype_contents(participants.drop(columns="idh1_table"))


def test_beside_published_finds_the_cells_that_differ(participants: pd.DataFrame) -> None:
    cells = tables.beside_published(tables.by_genotype(participants), prefix="ge2020.table1a")
    assert len(cells) == 14
    assert cells.loc[cells["equal"], "key"].tolist() == ["ge2020.table1a.mutation.age_80_and_over"]  # 0 and 0


def test_grade_divisions() -> None:
    grades = [2, 2, 2, 3, 4, 4, None]
    participants = participants_table([{"id": str(i), "grade": grade} for i, grade in enumerate(grades)])
    participants["grade_printed"] = ["II", "II", "II", "III", "IV", None, None]
    divisions = tables.grade_divisions(participants, published_hgg=3, published_lgg=3)
    assert divisions[["LGG", "HGG", "all", "could hold the published"]].to_numpy().tolist() == [
        [3, 3, 6, True],
        [3, 2, 5, False],
        [4, 2, 6, False],
    ]


def test_papers_and_what_is_at_hand() -> None:
    table = tables.cohorts_of_the_papers({"tcga-idh": 5}, absent={"huashan": "private"}).set_index("cohort")
    assert table.loc["TCGA-GBM and TCGA-LGG", ["published", "at hand"]].tolist() == [167, 5]
    assert table.loc["Huashan Hospital", ["published", "at hand", "remark"]].tolist() == [151, 0, "private"]


def test_contingency_tests_by_hand() -> None:
    p = tables.contingency_p_values([[10, 20], [20, 10]])
    # Every expected count is 15: chi-squared is 4 * 25 / 15, with Yates 4 * 4.5^2 / 15.
    assert p["chi-squared"] == pytest.approx(stats.chi2.sf(100 / 15, 1))
    assert p["chi-squared, Yates"] == pytest.approx(stats.chi2.sf(81 / 15, 1))
    assert p["G-test"] == pytest.approx(stats.chi2.sf(2 * (20 * np.log(10 / 15) + 40 * np.log(20 / 15)), 1))
    assert set(tables.contingency_p_values([[1, 2], [3, 4], [5, 6]])) == {"chi-squared", "G-test"}


def test_t_tests_agree_with_the_raw_data() -> None:
    first, second = np.array([1.0, 2.0, 4.0, 7.0]), np.array([3.0, 8.0, 9.0])
    p = tables.t_test_p_values(
        (first.mean(), second.mean()), (first.std(ddof=1), second.std(ddof=1)), (len(first), len(second))
    )
    assert p["Student"] == pytest.approx(stats.ttest_ind(first, second).pvalue)
    assert p["Welch"] == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)


def test_mean_and_deviation_of_all_agree_with_the_raw_data() -> None:
    first, second = np.array([1.0, 2.0, 4.0, 7.0]), np.array([3.0, 8.0, 9.0])
    both = np.concatenate([first, second])
    found = tables._of_all(4, 3, (first.mean(), second.mean()), (first.std(ddof=1), second.std(ddof=1)))
    assert found["mean"] == pytest.approx(both.mean())
    assert found["standard deviation"] == pytest.approx(both.std(ddof=1))


def test_li_2017_shares_that_do_not_add_up() -> None:
    shares = tables.li2017_shares().set_index("key")
    assert len(shares) == 51
    row = shares.loc["li2017.table1.all.male.total.share"]
    assert (row["count"], row["of"], row["published"], bool(row["agrees"])) == (81, 151, 54.6, False)
    assert row["recomputed"] == pytest.approx(8100 / 151)
    assert shares.loc["li2017.table1.all.astrocytoma.wildtype.share", "recomputed"] == pytest.approx(2700 / 39)


def test_li_2017_agrees_with_the_relations_of_the_manifest() -> None:
    failing = {(item.relation, item.key) for item in check("li2017") if not item.holds}
    shares = tables.li2017_shares()
    assert set(shares.loc[~shares["agrees"], "key"]) == {key for relation, key in failing if relation == "share"}
    p_values = tables.li2017_p_values()
    assert set(p_values.loc[p_values["explained by"] == "", "key"]) == {key for rel, key in failing if rel == "p_value"}
    pooled = tables.li2017_pooled()
    for statistic, relation in (("mean", "weighted_mean"), ("standard deviation", "pooled_sd")):
        wrong = pooled[(pooled["statistic"] == statistic) & ~pooled["agrees"]]
        assert set(wrong["key"]) == {key for rel, key in failing if rel == relation}


def test_li_2017_sex_is_explained_by_chi_squared() -> None:
    row = tables.li2017_p_values().set_index("key").loc["li2017.table1.all.sex.p"]
    assert row["p"] == pytest.approx(stats.chi2_contingency([[58, 23], [54, 16]], correction=False).pvalue)
    assert row["n"] == 151
    assert "chi-squared" in row["explained by"]
    assert published("li2017.table1.all.sex.p").value == 0.44


@pytest.mark.data
def test_ge_2020_table_1a_is_reproduced_exactly(real_data: Path) -> None:
    participants = open_cohort("tcga-idh", cohort="real", root=real_data).participants
    assert tables.beside_published(tables.by_genotype(participants), prefix="ge2020.table1a")["equal"].all()
    contents = tables.wildtype_contents(participants)
    told = contents.groupby("IDH by Ceccarelli")["patients"].sum().to_dict()
    assert told == {"wildtype": 91, "unknown": 19, "mutant": 2}


@pytest.mark.data
def test_only_one_reading_of_rembrandt_can_hold_mehra_2022(real_data: Path) -> None:
    participants = open_cohort("rembrandt", cohort="real", root=real_data).participants
    divisions = tables.grade_divisions(participants, published_hgg=61, published_lgg=40)
    assert divisions["could hold the published"].tolist() == [True, False, False, False]
    assert divisions.loc[0, ["LGG", "HGG"]].tolist() == [41, 68]
