"""Tables and pictures of Li 2017."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from radlib.papers.li2017 import figures, tables
from radlib.papers.li2017.recipes import Recipe


def scores(shifts: dict[str, float]) -> pd.DataFrame:
    """Scores of 20 patients in two runs: the patient's own, plus the arm's shift, plus a little of the run."""
    own = np.random.default_rng(1).uniform(0.3, 0.8, 20)
    return pd.DataFrame([
        {"arm": arm, "run": run, "subject": f"s{k}", "group": "all", "metric": metric,
         "value": np.nan if metric == "ppv" and k == 3 else own[k] + shift + 0.01 * run}
        for arm, shift in shifts.items() for run in range(2) for k in range(20) for metric in ("dice", "ppv")
    ])  # fmt: skip


def test_arms_beside_one() -> None:
    found = tables.beside(
        scores({"a": 0.0, "b": 0.1}), {"a": "A", "b": "B", "none": "C"}, reference="a", first="step", n_boot=50, seed=0,
        metrics=("dice", "ppv"),
    )  # fmt: skip
    assert found["step"].tolist() == ["A", "B"]
    assert found["Dice, difference"].tolist() == ["", "0.100 (0.100 to 0.100)"]
    assert found["PPV, difference"].iloc[1] == "0.100 (0.100 to 0.100)"


def test_estimates_to_read() -> None:
    found = pd.DataFrame(
        [{"arm": "A", "metric": m, "value": 0.5, "low": 0.4, "high": 0.6, "n": 3} for m in ("dice", "auc")]
    )
    assert tables.readable(found).loc[0].to_dict() == {
        "arm": "A", "patients": 3, "Dice": "0.500 (0.400 to 0.600)", "AUC": "0.500 (0.400 to 0.600)",
    }  # fmt: skip


def test_sizes_of_the_published_network() -> None:
    table = tables.layer_table(Recipe(), modalities=2).set_index("layer")
    assert table.loc["conv6", "filters, published"] == 128
    assert table.loc["fc7", "filters, published"] == table.loc["fc8", "filters, published"] == 4096
    assert table.loc["conv6", "smallest image"] == 21
    assert table.loc["fc7", "kernel"] == "3 x 3"
    assert table.loc["output", "map of a patch"] == "1 x 1"


def test_typical_patients_are_chosen_by_rank() -> None:
    table = pd.DataFrame({"subject": [f"s{k}" for k in range(11)], "value": np.linspace(0, 1, 11)})
    assert figures.typical_patients(table) == ["s1", "s5", "s9"]


def test_hanley_and_mcneil_s_error_of_an_area() -> None:
    # Their formula by hand for an area of 0.9 with 10 and 20 patients.
    one, two = 0.9 / 1.1, 2 * 0.81 / 1.9
    variance = (0.09 + 9 * (one - 0.81) + 19 * (two - 0.81)) / 200
    assert tables.hanley_mcneil(0.9, (10, 20)) == pytest.approx(np.sqrt(variance))
    assert tables.hanley_mcneil(0.9, (100, 200)) < tables.hanley_mcneil(0.9, (10, 20))


def test_what_printed_differences_say() -> None:
    table = tables.printed_differences().set_index("claim")
    row = table.loc["deep features above radiomics"]
    assert row["patients"] == 110
    assert row["difference"] == pytest.approx(0.0635)
    assert (table["power"].between(0.05, 1)).all()
    # Where the difference is just significant a repetition finds it every second time.
    assert ((table["p"] < 0.05) == (table["power"] > 0.5)).all()
    assert tables.printed_differences(correlation=0.9)["p"].lt(table["p"].to_numpy()).all()


def test_age_of_table_1_as_a_classifier() -> None:
    ages = tables.printed_age().set_index("cohort")
    assert ages.loc["first", "AUC of age"] == pytest.approx(0.67, abs=0.01)


def test_patches_are_drawn_by_class() -> None:
    drawn = figures.patches_figure(torch.rand(10, 2, 9, 9), torch.tensor([1] * 4 + [0] * 6), ("flair", "t1ce"))
    shown = [axes for axes in drawn.axes if axes.get_visible()]
    assert len(shown) == 10
    assert len(shown[0].images) == 1
    plt.close(drawn)


def test_patients_of_unknown_status_are_counted_apart() -> None:
    mutant = pd.Series({"a": True, "b": False, "c": True})
    table = tables.groups_by_status({"all": ("a", "b", "c", "d"), "known": ("a", "b")}, mutant)
    assert table.loc["all"].to_dict() == {"mutant": 2, "wild-type": 1, "unknown": 1}
    assert list(tables.groups_by_status({"known": ("a", "b")}, mutant)) == ["mutant", "wild-type"]
