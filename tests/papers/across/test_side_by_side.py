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


def test_an_auc_is_one_of_a_run_on_the_patients_that_both_methods_predict_in_it() -> None:
    columns = ["arm", "run", "subject", "truth", "predicted", "score"]
    networks = pd.DataFrame(
        [("m", 1, "a", True, True, 0.9), ("m", 1, "b", False, False, 0.8), ("m", 1, "c", False, False, 0.1),
         ("m", 2, "a", True, False, 0.3), ("m", 2, "b", False, False, 0.2), ("m", 2, "d", True, True, 0.9)],
        columns=columns,
    )  # fmt: skip
    table = pd.DataFrame(
        [("t", run, name, truth, truth, score) for run in (0, 1, 2)
         for name, truth, score in (("a", True, -1.0), ("b", False, 5.0), ("c", False, -3.0))],
        columns=columns,
    )  # fmt: skip
    found = sides.matched_runs([networks, table])
    assert set(zip(found["run"], found["subject"], strict=True)) == {(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "b")}
    areas = class_estimates(found, metrics=["auc"], n_boot=20).set_index("arm")["value"]
    assert areas["m"] == 1.0  # pooled over its runs it would be 0.67: the mutant a has 0.3 in one, b 0.8 in the other
    assert areas["t"] == pytest.approx((0.5 + 0) / 2)
    gap = class_contrasts(found, [("m", "t")], n_boot=20)
    assert gap[["value", "runs"]].values.tolist() == [[pytest.approx(0.75), 2]]
    assert sides.matched_runs([networks]).empty
