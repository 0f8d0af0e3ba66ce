"""Tables beside the published numbers, orders, the networks as printed, who takes part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore
from radlib.papers.zhang2021 import figures, tables
from radlib.papers.zhang2021.data import PAIRS, Recipe, Subjects
from radlib.papers.zhang2021.tables import PLACES, TITLES
from radlib.stats import rule
from radlib.study.estimates import estimates


def scores(dice: dict[str, np.ndarray]) -> pd.DataFrame:
    """Scores of arms with the given Dice ``(runs, subjects)`` in every region; where it is 0 the region is missed."""
    rows = [
        {"arm": arm, "run": run, "subject": f"s{number}", "group": region, "metric": metric, "value": value}
        for arm, table in dice.items()
        for (run, number), one in np.ndenumerate(table)
        for region in REGIONS
        for metric, value in {"dice": one, "hd95": 4.0 if one else np.nan, "missed": float(one == 0)}.items()
    ]
    return pd.DataFrame(rows)


def test_tables_have_the_published_numbers_beside() -> None:
    both = scores({"s_a": np.array([[0.5, 0.6]]), "rule": np.array([[0.0, 0.8]])})
    found = estimates(both, metrics=["dice", "hd95"], groups=PLACES, n_boot=50)
    table = tables.score_table(found, both, "dice", tables={"2017": "table2"})
    assert table["network"].tolist() == [TITLES["s_a"], TITLES["rule"]]
    assert table["2017"].tolist() == ["0.752 / 0.799 / 0.787 / 0.779", ""]
    assert table.loc[0, "WT"].startswith("0.550 (")
    distances = tables.score_table(found, both, "hd95")
    assert distances["WT"].tolist() == ["4.0 (4.0 to 4.0)", "4.0; 1.0 missed"]
    assert distances.loc[1, "average"].endswith("; 3.0 missed")
    quoted = tables.quoted_table("table3", found)
    assert quoted["network"].iloc[-2:].tolist() == [TITLES["s_a"], TITLES["rule"]]
    assert quoted.loc[quoted["network"].str.startswith("Hu"), "HD95 (mm), WT"].item() == "25.240"
    assert quoted["Dice, average"].iloc[-1] == "0.400"


def test_orders_pass_the_gates_or_are_open() -> None:
    random = np.random.default_rng(1)
    base = random.uniform(0.3, 0.6, size=(5, 20))
    noise = random.normal(0, 0.2, size=(5, 20))
    chain = {
        "ours_random": base, "ours_2d": base + 0.1, "ours_self": base + 0.1 + noise - noise.mean(), "ours": base,
    }  # fmt: skip
    flat = dict.fromkeys(chain, 0.001)
    table = tables.order_table(scores(chain | {"rule": base - 0.2}), list(chain), curves=flat, n_boot=500)
    assert table["here"].tolist() == ["as claimed", "open", "reversed"]
    assert table["failed"].tolist() == ["", "the interval of the paired difference holds 0", ""]
    assert table["claim"].iloc[0] == "random weights < 2D segmentation"
    assert table["value"].tolist() == pytest.approx([0.1, 0.0, -0.1])
    # Behind the rule, and with curves that nobody has drawn, nothing is said.
    behind = tables.order_table(scores(chain | {"rule": base + 0.3}), list(chain), curves={}, n_boot=50)
    assert set(behind["here"]) == {"open"}
    assert behind["failed"].str.contains("trivial rule").all()
    apart = tables.difference_table(scores(chain), [("ours_2d", "ours")], n_boot=50)
    assert apart["group"].tolist() == list(PLACES)
    assert apart["comparison"].unique().tolist() == ["2D segmentation − full network"]
    assert apart[["value", "low", "high"]].to_numpy() == pytest.approx(0.1)


def test_predictions_of_branches_are_arms() -> None:
    both = pd.DataFrame({"arm": ["ours", "branches"], "prediction": ["ours", "s_a"], "value": [1.0, 2.0]})
    assert tables.by_prediction(both)["arm"].tolist() == ["ours", "s_a"]


def test_one_region_has_no_average_and_one_threshold() -> None:
    assert tables.places_of(REGIONS) == PLACES
    places = tables.places_of(("wt",))
    assert places == ("wt",)
    arms = {"ours_self": np.full((5, 9), 0.6), "ours": np.full((5, 9), 0.7), "rule": np.full((5, 9), 0.5)}
    whole = scores(arms).query("group == 'wt'")
    table = tables.score_table(
        estimates(whole, metrics=["hd95"], groups=places, n_boot=20), whole, "hd95", tables={"2018": "table4"}
    )
    assert table.columns.tolist() == ["network", "WT", "2018"]
    assert table["network"].iloc[-1] == "threshold on FLAIR"
    assert table["2018"].iloc[1] == "4.998"
    apart = tables.difference_table(whole, [("ours", "rule")], places=places, n_boot=20)
    assert apart["group"].tolist() == ["wt"]
    assert apart["comparison"].item() == "full network − threshold on FLAIR"
    assert len(figures.difference_figure(apart).axes) >= 1
    order = tables.order_table(
        whole, ["ours_self", "ours"], curves={"ours": 0.0, "ours_self": 0.0}, places=places, n_boot=20
    )
    assert order["here"].tolist() == ["as claimed"]


def test_subjects_by_part(subjects: Subjects) -> None:
    table = tables.subject_table(subjects)
    assert table["subjects"].tolist() == [4, 1, 3, 2]
    assert table["WT (ml)"].tolist() == pytest.approx([512 * 0.008] * 4)
    assert (table["high grade"] + table["low grade"] == table["subjects"]).all()
    assert len(tables.subject_table(replace(subjects, tuning=()))) == 3
    grade = subjects.grade.map({"HGG": "grade 3", "LGG": "grade 2"})
    whole = tables.subject_table(replace(subjects, grade=grade, regions=("wt",)))
    assert whole.columns.tolist() == ["part", "subjects", "grade 2", "grade 3", "WT (ml)"]


def test_built_as_printed() -> None:
    table = tables.discriminator_table()
    assert len(table) == 12
    assert (table["input as printed"] == table["input here"]).all()
    sizes = tables.size_table(Recipe(widths=(4, 8), patch=16, discriminator_widths=(4,)))
    assert sizes["CycleGANs"].tolist() == [1, 6]
    assert sizes["transition, as published"].iloc[1] > 5 * sizes["transition, as published"].iloc[0]
    assert sizes["fusion network, as published"].iloc[1] / sizes["fusion network, as published"].iloc[0] == (
        pytest.approx(2, abs=0.01)
    )


def test_likeness_of_modalities(store: ImageStore) -> None:
    images = store.images.clone()
    images[:, 1] = -2 * images[:, 0]  # T1c is T1 turned round: as alike as can be
    alike = ImageStore(**{**store.__dict__, "images": images})
    table = tables.pair_correlations(alike, store.ids[:3])
    assert table.xs("t1", level=1)["t1ce"].tolist() == pytest.approx([1.0] * 3)
    both = tables.within_and_between(table, PAIRS, n_boot=100)
    assert both["difference"].value == pytest.approx(both["within"].value - both["between"].value)
    assert both["difference"].low > 0
    square = tables.correlation_table(table)
    assert square.loc["t1ce", "t1"] == pytest.approx(1.0)
    assert np.allclose(square, square.T)


def test_rule_finds_what_is_bright(store: ImageStore) -> None:
    found = rule.fit_rule(store, store.ids[:5])
    for subject in store.ids[5:]:
        labels, truth = found.segment(store, subject), store.subject(subject).labels.numpy()
        assert (labels == truth)[truth > 0].mean() > 0.9  # what the ring encloses belongs to the core
        assert (labels > 0).sum() == pytest.approx((truth > 0).sum(), rel=0.1)
    assert not rule.Rule(flair=100.0, t1ce=1.0).segment(store, "s0").any()


def test_largest_component() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[:2, 0, 0] = mask[4:, 2:4, 2:5] = True
    assert rule.largest(mask).sum() == 12
    assert not rule.largest(np.zeros((3, 3, 3), bool)).any()
