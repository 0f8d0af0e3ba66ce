"""External validation: groups that trained nothing, and how they differ."""

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.papers.across.other_cohort import wide_metrics
from radlib.stats import external
from radlib.stats.binary import SVM, Question, Recipe
from radlib.stats.protocols import CONTROL, EXTERNAL, LEAKAGE_FREE, LeaveGroupOutFolds


def question(n: int = 60, *, name: str = "q", seed: int = 0, flip: bool = False, offset: float = 0.0) -> Question:
    """Ten features; the first shows the class, the other way round where ``flip``."""
    random = np.random.default_rng(seed)
    ids = [f"{name}{k:03d}" for k in range(n)]
    truth = pd.Series(np.arange(n) % 2 == 0, index=ids)
    features = pd.DataFrame(random.normal(size=(n, 10)), index=ids, columns=[f"f{k}" for k in range(10)])
    features["f0"] += (-3.0 if flip else 3.0) * truth + offset
    clinical = pd.DataFrame({"age": random.uniform(30, 80, n), "collection": "GBM"}, index=ids)
    return Question(name=name, features=features, truth=truth, clinical=clinical)


def auc(table: pd.DataFrame, protocol: str) -> pd.Series:
    rows = table[(table["metric"] == "auc") & (table["model"] == SVM) & (table["protocol"] == protocol)]
    return rows.set_index("group")["value"]


def test_a_group_trains_nothing_of_itself() -> None:
    groups = pd.Series(["a", "b", "b", "c"], index=list("wxyz"))
    folds = LeaveGroupOutFolds(groups=groups).folds(list("wxyz"), None, repeat=0)
    assert [(fold.name, fold.train, fold.test) for fold in folds] == [
        ("a", ("x", "y", "z"), ("w",)),
        ("b", ("w", "z"), ("x", "y")),
        ("c", ("w", "x", "y"), ("z",)),
    ]


def test_small_and_nameless_groups_are_one() -> None:
    groups = pd.Series(["a"] * 3 + ["b", "c", None])
    assert external.pooled_groups(groups, fewest=3).tolist() == ["a"] * 3 + ["other sites"] * 3


def test_a_signal_that_turns_round_passes_inside_and_fails_outside() -> None:
    """What cross-validation cannot see: the effect has the other sign in the other cohort."""
    both, of = external.joined({"here": question(name="h"), "there": question(name="t", flip=True)}, name="both")
    results = external.validate(both, of, Recipe(n_selected=1), n_repeats=1)
    assert set(results) >= {(EXTERNAL, SVM), (LEAKAGE_FREE, SVM), (CONTROL, "age model")}
    table = external.by_group(results, of, n_boot=50)
    assert (auc(table, EXTERNAL) < 0.1).all()
    same, of_same = external.joined({"here": question(name="h"), "there": question(name="t", seed=1)}, name="both")
    again = external.by_group(external.validate(same, of_same, Recipe(n_selected=1), n_repeats=1), of_same, n_boot=50)
    assert (auc(again, EXTERNAL) > 0.9).all()
    slopes = again[(again["metric"] == "slope") & (again["protocol"] == EXTERNAL)]
    assert slopes["value"].notna().all()
    shown = wide_metrics(again)
    assert {"group", "protocol", "model", "patients", "AUC", "accuracy", "calibration slope"} <= set(shown)


def test_a_group_of_one_class_has_no_auc_but_an_accuracy() -> None:
    asked = question()
    place = np.arange(60)
    names = np.where(asked.truth & (place < 20), "one class", np.where(place < 40, "left", "right"))
    groups = pd.Series(names, index=asked.truth.index)
    table = external.by_group(external.validate(asked, groups, Recipe(n_selected=2), n_repeats=1), groups, n_boot=50)
    one = table[(table["group"] == "one class") & (table["model"] == SVM) & (table["protocol"] == EXTERNAL)]
    values = one.set_index("metric")["value"]
    assert np.isnan(values["auc"])
    assert values["accuracy"] > 0.5
    assert "slope" not in values


def test_the_shift_is_found_where_it_is() -> None:
    first, second = question(name="h"), question(name="t", seed=1, offset=5.0)
    both, of = external.joined({"here": first, "there": second}, name="both")
    found = external.shift(both, of).set_index(["group", "feature"])
    assert found.loc[("there", "f0"), "smd"] > 1
    assert found.loc[("here", "f0"), "smd"] == pytest.approx(-found.loc[("there", "f0"), "smd"])
    assert found.loc[("there", "f3"), "ks"] < 0.4
    summary = external.shift_summary(found.reset_index()).set_index("group")
    assert summary.loc["there", "of"] == "f0"
    assert summary.loc["there", "differ (Holm)"] == 1
    apart = external.domain_auc(both, of, n_boot=50)
    assert (apart["value"] > 0.9).all()
    mixed = pd.Series(np.where(np.random.default_rng(0).random(120) < 0.5, "x", "y"), index=both.truth.index)
    assert external.domain_auc(both, mixed, n_boot=50)["value"].between(0.25, 0.75).all()
    counts = external.balance(both, of).set_index("group")
    assert counts["patients"].to_dict() == {"here": 60, "there": 60}
    assert counts["share"].tolist() == [0.5, 0.5]


def test_features_without_values_on_one_side_are_undefined() -> None:
    asked = question()
    groups = pd.Series(["a"] * 30 + ["b"] * 30, index=asked.truth.index)
    asked.features.loc[groups == "a", "f5"] = np.nan
    row = external.shift(asked, groups).set_index(["group", "feature"]).loc[("a", "f5")]
    assert np.isnan(row["smd"])
    assert (row["missing"], row["missing elsewhere"]) == (1.0, 0.0)


def test_what_cannot_be_joined_or_tested_is_named() -> None:
    with pytest.raises(RadlibError, match="patient 'q000' is in two cohorts"):
        external.joined({"here": question(), "there": question(seed=1)}, name="both")
    renamed = question(name="t")
    renamed = Question(
        name="t", features=renamed.features.add_prefix("x"), truth=renamed.truth, clinical=renamed.clinical
    )
    with pytest.raises(RadlibError, match="share no feature"):
        external.joined({"here": question(), "there": renamed}, name="both")
    asked = question()
    with pytest.raises(RadlibError, match="without 'False'"):
        external.validate(asked, asked.truth.astype(str), Recipe())


def test_a_person_in_two_groups_is_refused() -> None:
    asked = question(40, seed=3)
    groups = pd.Series(["a"] * 20 + ["b"] * 20, index=asked.truth.index)
    person = pd.Series([f"p{n}" for n in range(40)], index=asked.truth.index)
    person.iloc[25] = "other-id p3"  # patient 3 again, at the other hospital
    clinical = asked.clinical.assign(person=person)
    asked = Question(name="twice", features=asked.features, truth=asked.truth, clinical=clinical)
    with pytest.raises(RadlibError, match="trained on and tested"):
        external.validate(asked, groups, Recipe(n_selected=2), n_repeats=1)
