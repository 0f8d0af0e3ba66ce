"""Templates: the papers' numbers, scaling to any size, impossible values."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.phantom.templates import TEMPLATE_NAMES, load_template, parse_template
from radlib.phantom.templates.schema import apportion, quota


def _values(**changes: Any) -> dict[str, Any]:
    stratum = {
        "count": 10, "collection": "GBM", "grade": {4: 10}, "idh": {"mutant": 1, "wildtype": 9},
        "sex": {"F": 4, "M": 6}, "ages": {"mean": 60, "sd": 10}, "scans": [{"modalities": ["flair"], "count": 10}],
    }  # fmt: skip
    stratum |= changes.pop("stratum", {})
    return {
        "name": "mine", "title": "My cohort", "strata": [stratum],
        "sites": [{"name": "A", "protocol": "brats-3t", "weight": 1}], **changes,
    }  # fmt: skip


def test_sizes_of_the_papers() -> None:
    sizes = {name: load_template(name).n for name in TEMPLATE_NAMES}
    assert sizes == {"brats2017": 331, "tcga-gbm": 202, "tcga-idh": 167, "huashan": 151, "rembrandt": 101}


def test_modalities_of_the_papers() -> None:
    four = ("t1", "t1ce", "t2", "flair")
    assert {name: load_template(name).modalities for name in TEMPLATE_NAMES} == {
        "brats2017": four, "tcga-gbm": four, "tcga-idh": four, "huashan": ("t1ce", "flair"), "rembrandt": ("flair",),
    }  # fmt: skip


def test_huashan_voxels() -> None:
    template = load_template("huashan")
    assert template.spacing == (0.4688, 0.4688, 2.0)
    assert [round(n * mm) for n, mm in zip(template.grid, template.spacing, strict=True)] == [240, 240, 160]


def test_apportion_by_hand() -> None:
    # shares 2.63 and 5.37: floors 2 and 5, the larger remainder is the first
    assert apportion({"mutant": 55, "wildtype": 112}, 8) == {"mutant": 3, "wildtype": 5}
    assert apportion({"a": 1, "b": 1}, 3) == {"a": 2, "b": 1}  # a tie goes to the earlier
    assert apportion({"a": 0}, 0) == {"a": 0}


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8).filter(any), st.integers(0, 2000))
def test_apportion_adds_up_and_stays_within_one(counts: list[int], n: int) -> None:
    shares = apportion(dict(enumerate(counts)), n)
    assert sum(shares.values()) == n
    for key, count in enumerate(counts):
        assert abs(shares[key] - count * n / sum(counts)) < 1


def test_apportion_refuses_to_share_nothing() -> None:
    with pytest.raises(RadlibError, match="cannot share out 3"):
        apportion({"a": 0}, 3)


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_own_size_is_exact(name: str) -> None:
    template = load_template(name)
    assert template.sizes(template.n) == [stratum.count for stratum in template.strata]


@pytest.mark.parametrize("n", [2, 8, 24, 60, 500])
def test_class_balance_is_rounded_before_strata(n: int) -> None:
    template = load_template("tcga-idh")
    mutant = sum(size for size, s in zip(template.sizes(n), template.strata, strict=True) if "mutant" in s.idh)
    assert abs(mutant - n * 55 / 167) <= 0.5


def test_quota_is_shuffled_and_the_rest_is_none() -> None:
    values = quota({"F": 4, "M": 5}, 10, of=10, draw=rng(0))
    assert sorted(map(str, values)) == ["F"] * 4 + ["M"] * 5 + ["None"]
    assert values != quota({"F": 4, "M": 5}, 10, of=10, draw=rng(1))


def test_a_template_of_the_users_own_from_yaml(tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump(_values()))
    assert load_template(str(file)).n == 10


def test_unknown_name_lists_the_templates() -> None:
    with pytest.raises(RadlibError, match=r"no template is called 'brats2018'.*brats2017, tcga-gbm"):
        load_template("brats2018")


@pytest.mark.parametrize("content", ["name: [", "- 1"])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.yml"
    file.write_text(content)
    with pytest.raises(RadlibError, match=r"mine\.yml"):
        load_template(str(file))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=r"absent\.yml"):
        load_template(str(tmp_path / "absent.yml"))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"colour": "blue"}, "colour: Extra inputs"),
        ({"name": "My Cohort"}, "name: "),
        ({"strata": []}, "strata: "),
        ({"sites": []}, "sites: "),
        ({"grid": [240, 240, 0]}, "grid of"),
        ({"spacing": [1, 1, -1]}, "spacing of"),
        ({"spacing": [1, 1, float("nan")]}, "spacing"),
        ({"follow_up": [900, 100]}, "follow-up from 900"),
        ({"median_survival": 0}, "median_survival"),
        ({"volume_ml": 2000}, "volume_ml"),
        ({"codel_given_mutant": 1.5}, "codel_given_mutant"),
        ({"classes": "idh"}, "two kinds of IDH"),
        ({"stratum": {"count": 0}}, "count"),
        ({"stratum": {"grade": {4: 9}}}, "grade counts 9 subjects of a stratum of 10"),
        ({"stratum": {"grade": {5: 10}}}, "grade"),
        ({"stratum": {"idh": {"mutant": -1, "wildtype": 11}}}, "idh has a negative count"),
        ({"stratum": {"sex": {"F": 8, "M": 6}}}, "sex counts 14"),
        ({"stratum": {"survival": 11}}, "survival counts 11"),
        ({"stratum": {"ages": {"mean": 60, "sd": 0}}}, "sd"),
        ({"stratum": {"ages": {"mean": 60, "sd": 9, "low": 80, "high": 70}}}, "leave nobody"),
        ({"stratum": {"scans": [{"modalities": ["flair", "flair"], "count": 10}]}}, "twice"),
        ({"stratum": {"scans": [{"modalities": ["dwi"], "count": 10}]}}, "scans"),
        ({"stratum": {"scans": [{"modalities": ["t1"], "count": 4}]}}, "scans counts 4"),
        (
            {"sites": [{"name": "A", "protocol": "x", "weight": 1}, {"name": "A", "protocol": "y", "weight": 1}]},
            "same name",
        ),
    ],
)  # fmt: skip
def test_impossible_values_are_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(RadlibError, match="an impossible template") as caught:
        parse_template(_values(**changes), file="mine.yml")
    assert problem in str(caught.value)
    assert "mine.yml" in str(caught.value)


def test_a_recipe_does_not_depend_on_the_order_of_sets() -> None:
    template = load_template("rembrandt")
    assert len(template.hidden) > 1
    assert template.model_dump(mode="json")["hidden"] == sorted(template.hidden)
