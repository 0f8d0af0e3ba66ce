"""Scores of several chapters, patient by patient."""

from __future__ import annotations

import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.papers.across import side_by_side as sides
from radlib.study.estimates import class_contrasts, class_estimates


def dice_rows(arm: str, values: dict[str, float], run: int = 0) -> pd.DataFrame:
    return pd.DataFrame([
        {"arm": arm, "run": run, "subject": subject, "group": "wt", "metric": "dice", "value": value}
        for subject, value in values.items()
    ])  # fmt: skip


def test_a_chapter_without_its_data_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kept:
        def run(self) -> Kept:
            return self

    def study_of(chapter: str, study: str, **_: object) -> Kept:
        if chapter == "absent":
            raise MissingDataError("no cohort")
        return Kept()

    monkeypatch.setattr(sides, "study_of", study_of)
    found = sides.studies_of({"absent": "a", "there": "b"}, cohort="real", profile="smoke", seed=0)
    assert list(found) == ["there"]


def test_common_subjects_are_those_of_all() -> None:
    first, second = dice_rows("u", {"c": 1.0, "a": 0.2, "b": 0.4}), dice_rows("z", {"b": 0.1, "c": 0.3, "d": 0.2})
    assert sides.common_subjects([first, second]) == ["b", "c"]
    assert sides.common_subjects([first]) == []
    assert sides.common_subjects([]) == []


def test_a_patient_counts_once_in_scores_and_differences() -> None:
    runs = [dice_rows("z", {"a": 0.6, "b": 0.9}), dice_rows("z", {"a": 0.8, "b": 0.9}, run=1)]
    scores = sides.once(pd.concat([*runs, dice_rows("u", {"a": 0.5, "b": 0.8}, run=3)]))
    assert len(scores) == 4
    gaps = sides.against(scores, "u", metric="dice", groups=["wt"], n_boot=20)
    assert gaps[["first", "second", "n", "runs"]].values.tolist() == [["z", "u", 2, 1]]
    assert gaps["value"].item() == pytest.approx(0.15)  # 0.7 - 0.5 and 0.9 - 0.8


def test_votes_of_several_runs_are_one_prediction_a_patient() -> None:
    rows = pd.DataFrame(
        [("m", 0, "a", True, True, 0.9), ("m", 0, "b", False, False, -4.0), ("m", 0, "c", True, False, 0.4),
         ("m", 1, "a", True, True, 0.7), ("m", 1, "b", False, True, 0.6), ("m", 1, "c", True, False, 0.2),
         ("rule", 0, "a", True, True, 1.0), ("rule", 0, "b", False, True, 1.0), ("rule", 0, "c", True, False, 0.0)],
        columns=["arm", "run", "subject", "truth", "predicted", "score"],
    )  # fmt: skip
    votes = sides.votes(rows).set_index(["arm", "subject"])
    assert votes.loc["m", "predicted"].tolist() == [True, True, False]  # half of the runs for mutant is mutant
    assert votes.loc["m", "score"].tolist() == pytest.approx([1.0, 1 / 3, 2 / 3])
    found = class_estimates(votes.reset_index(), metrics=["auc", "accuracy"], n_boot=20).set_index(["arm", "metric"])
    assert found.loc[("m", "auc"), "value"] == 1.0
    assert found.loc[("rule", "auc"), "value"] == pytest.approx(0.25)  # a tie counts half
    assert found.loc[("rule", "accuracy"), "value"] == pytest.approx(1 / 3)
    gap = class_contrasts(votes.reset_index(), [("m", "rule")], n_boot=20)
    assert gap["value"].item() == pytest.approx(0.75)
