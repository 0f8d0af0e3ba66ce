"""Methods of several chapters on the same patients."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.book.report import Report
from radlib.book.scores import keep_scores, read_scores
from radlib.core.errors import RadlibError
from radlib.papers.across import side_by_side as sides
from radlib.stats.classification import Predictions


def dice_rows(model: str, values: dict[str, float], **more: object) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"role": "brats2017", "model": model, "subject": s, "region": "wt", "dice": v, **more}
            for s, v in values.items()
        ]
    )


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path))
    tables = {
        "octave_segmentation": [dice_rows("u", {"a": 0.5, "b": 0.7, "c": 0.9}, extra=1)],
        "feature_fusion": [
            dice_rows("z", {"b": 0.8, "c": 0.8, "d": 0.1}),
            dice_rows("z", {"b": 0.6, "c": 1.0, "d": 0.1}),
        ],
    }
    for chapter, parts in tables.items():
        report = Report.start(chapter, cohort="simulated", profile="smoke", seed=0)
        keep_scores(report, "segmentation", pd.concat(parts))


@pytest.fixture
def kept(runs: None) -> pd.DataFrame:
    chapters = ["octave_segmentation", "feature_fusion", "unet_features"]
    return read_scores("segmentation", cohort="simulated", profile="smoke", chapters=chapters)


def test_scores_of_the_chapters_that_kept_some(kept: pd.DataFrame) -> None:
    assert list(kept) == ["chapter", "role", "model", "subject", "region", "dice"]
    assert kept["chapter"].value_counts().to_dict() == {"feature_fusion": 6, "octave_segmentation": 3}


def test_without_any_chapter_there_are_columns_and_no_rows(runs: None) -> None:
    nothing = read_scores("idh", cohort="simulated", profile="smoke", chapters=["idh_tables"])
    assert "truth" in nothing
    assert nothing.empty
    assert sides.common_subjects(nothing, role="tcga-idh", chapters=["idh_tables"]) == []


def test_a_column_that_lacks_is_named(runs: None) -> None:
    report = Report.start("octave_segmentation", cohort="simulated", profile="smoke", seed=0)
    with pytest.raises(RadlibError, match="no column dice"):
        keep_scores(report, "segmentation", dice_rows("u", {"a": 1.0}).drop(columns="dice"))


def test_a_subject_counts_once_and_only_where_all_have_it(kept: pd.DataFrame) -> None:
    shared = sides.common_subjects(kept, role="brats2017", chapters=["octave_segmentation", "feature_fusion"])
    assert shared == ["b", "c"]
    both = kept[kept["subject"].isin(shared)]
    found = sides.means(both, metrics=["dice"], within="region").set_index("model")
    assert found.loc["u", "value"] == pytest.approx(0.8)
    assert found.loc["z", ["value", "n"]].tolist() == pytest.approx([0.8, 2])
    gaps = sides.differences(both, reference="u", metric="dice", within="region")
    assert gaps["value"].tolist() == pytest.approx([0.0])  # z: means 0.7 and 0.9 over its runs, u: 0.7 and 0.9
    assert gaps["metric"].tolist() == ["wt"]


def test_patients_tested_in_several_runs_count_once() -> None:
    truth = np.array([True, False, True])
    model = Predictions.of(truth, [[1, 0, 0], [1, 1, 0]], score=[[0.9, 0.1, 0.4], [0.7, 0.6, 0.2]])
    rows = sides.prediction_rows({"m": model}, ["a", "b", "c"])
    assert len(rows) == 6
    again = sides.predictions(rows)
    assert again.score is not None
    assert again.score[0] == pytest.approx([0.8, 0.35, 0.3])
    assert again.predicted[0].tolist() == [True, True, False]  # half of the runs for mutant is mutant


def test_tests_are_on_the_patients_of_both() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(30) % 2 == 0
    good = Predictions.of(truth, truth, score=truth + random.normal(0, 0.4, 30))
    poor = Predictions.of(truth, ~truth, score=random.normal(0, 1, 30))
    names = [f"p{k}" for k in range(30)]
    rows = sides.prediction_rows({"good": good, "rule": poor}, names)
    rows = rows[(rows["model"] == "rule") | rows["subject"].isin(names[:20])]
    table = sides.classifier_tests(rows, reference="rule")
    assert table["patients"].tolist() == [20]
    assert table["p (DeLong)"].iloc[0] < 0.05
    both = sides.classifiers(rows).query("metric == 'accuracy'").set_index("model")["value"]
    assert both.to_dict() == {"good": 1.0, "rule": 0.0}


def test_a_rule_of_two_chapters_is_taken_once() -> None:
    rows = pd.concat([dice_rows("rule", {"a": 0.1}, chapter="x"), dice_rows("rule", {"a": 0.2}, chapter="y"),
                      dice_rows("own", {"a": 0.3}, chapter="y")])  # fmt: skip
    assert sides.one_chapter_a_model(rows)["dice"].tolist() == [0.1, 0.3]


def test_sentences_name_the_best_and_its_equals() -> None:
    gaps = pd.DataFrame([
        {"model": "near", "metric": group, "value": -0.01, "low": -0.03, "high": 0.01} for group in ("ET", "WT")
    ] + [
        {"model": "behind", "metric": "ET", "value": -0.2, "low": -0.3, "high": -0.1},
        {"model": "behind", "metric": "WT", "value": 0.0, "low": -0.1, "high": 0.1},
    ])  # fmt: skip
    text = sides.ranking_sentence(gaps, best="top", groups=["ET", "WT"])
    assert text == (
        "top has the largest mean Dice. Not told apart from it in any region: near. "
        "1 of the 2 others are behind it in a region."
    )
    ahead = pd.DataFrame([{"model": "ahead", "metric": "ET", "value": 0.2, "low": 0.1, "high": 0.3}])
    assert sides.ranking_sentence(ahead, best="top", groups=["ET"]) == (
        "top has the largest mean Dice. 0 of the 1 others are behind it in a region. Ahead of it in a region: ahead."
    )
    judged = pd.DataFrame([
        {"model": "net", "metric": "auc", "value": 0.9, "low": 0.8, "high": 0.95},
        {"model": "collection rule", "metric": "auc", "value": 0.8, "low": 0.7, "high": 0.9},
        {"model": "none", "metric": "auc", "value": np.nan, "low": np.nan, "high": np.nan},
    ])  # fmt: skip
    assert "of net; the collection rule has 0.800" in sides.best_classifier_sentence(judged)
    assert "No model" in sides.best_classifier_sentence(judged.iloc[2:])


def test_networks_behind_a_rule_are_named() -> None:
    gaps = pd.DataFrame(
        [("a", "ET", -0.3, -0.1), ("a", "WT", -0.1, 0.1), ("b", "ET", -0.1, 0.1), ("b", "WT", 0.1, 0.2),
         ("c", "ET", -0.1, 0.1), ("c", "WT", -0.1, 0.1)],
        columns=["model", "metric", "low", "high"],
    )  # fmt: skip
    assert sides.rule_sentence(gaps, rule="thresholds") == (
        "Against thresholds, for which nothing is trained, 1 of 3 networks are behind in a region (a) and 1 ahead "
        "in one (b)."
    )
    assert "0 of 3 networks are behind in a region and 0 ahead in one." in sides.rule_sentence(
        gaps.assign(low=-0.1, high=0.1), rule="thresholds"
    )
