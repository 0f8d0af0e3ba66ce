"""Estimates and contrasts of scores: hand-countable means, pairing, and intervals that grow with what they resample."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from radlib.core.errors import RadlibError
from radlib.study.estimates import class_contrasts, class_estimates, contrasts, estimates, standard_table


def long(values: dict[str, np.ndarray], metric: str = "dice") -> pd.DataFrame:
    """Scores of arms, each ``(groups, runs, subjects)``."""
    rows = []
    for arm, cube in values.items():
        for (group, run, subject), value in np.ndenumerate(cube):
            rows.append({"arm": arm, "run": run, "subject": f"s{subject}", "group": ("wt", "et")[group],
                         "metric": metric, "value": value})  # fmt: skip
    return pd.DataFrame(rows)


def test_means_by_hand() -> None:
    cube = np.array([[[0.8, 0.6], [0.4, 0.2]], [[1.0, np.nan], [0.0, 0.5]]])
    found = estimates(long({"a": cube}), groups=["wt", "et", "average"], n_boot=50)
    assert found["value"].tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert found["n"].tolist() == [2, 2, 2]
    assert found["runs"].tolist() == [2, 2, 2]
    alone = estimates(long({"a": cube}), groups=["wt"], subjects=["s0"], n_boot=50)
    assert alone["value"].tolist() == pytest.approx([0.6])


def test_a_constant_difference_has_no_width_however_the_subjects_vary() -> None:
    base = np.random.default_rng(0).random((1, 3, 20))
    found = contrasts(long({"a": base + 0.1, "b": base}), [("a", "b")], metrics=["dice"], n_boot=200)
    assert found[["value", "low", "high"]].to_numpy().ravel().tolist() == pytest.approx([0.1, 0.1, 0.1])
    alone = estimates(long({"a": base}), n_boot=200)
    assert alone["high"].iloc[0] - alone["low"].iloc[0] > 0.05


def test_the_interval_allows_for_trainings() -> None:
    by_run = np.broadcast_to(np.array([0.2, 0.8])[None, :, None], (1, 2, 30))
    found = estimates(long({"a": by_run}), n_boot=400)
    assert found["low"].iloc[0] == pytest.approx(0.2)
    assert found["high"].iloc[0] == pytest.approx(0.8)


def test_one_subject_has_no_interval() -> None:
    found = estimates(long({"a": np.full((1, 3, 1), 0.5)}), n_boot=20).iloc[0]
    assert (found["value"], found["n"]) == (0.5, 1)
    assert found[["low", "high"]].isna().all()


def test_only_common_runs_and_subjects_are_compared() -> None:
    a, b = np.ones((1, 3, 4)), np.zeros((1, 2, 4))
    scores = long({"a": a, "b": b})
    scores = scores[~((scores["arm"] == "b") & (scores["subject"] == "s3"))]
    found = contrasts(scores, [("a", "b")], metrics=["dice"], n_boot=20).iloc[0]
    assert (found["value"], found["runs"], found["n"]) == (1, 2, 3)
    with pytest.raises(RadlibError, match="no run and subject in common"):
        contrasts(scores, [("a", "c")], metrics=["dice"], n_boot=20)


def predictions(noise: float, arm: str, runs: int = 2, n: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(1)
    truth = np.arange(n) % 2 == 0
    parts = []
    for run in range(runs):
        score = 1 / (1 + np.exp(-(truth * 2.0 - 1 + noise * random.normal(size=n))))
        parts.append(pd.DataFrame({"arm": arm, "run": run, "subject": [f"p{i}" for i in range(n)], "truth": truth,
                                   "predicted": score > 0.5, "score": score}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_class_metrics_are_those_of_scikit_learn() -> None:
    table = predictions(1.5, "a")
    found = class_estimates(table, n_boot=100).set_index("metric")
    aucs = [roc_auc_score(part["truth"], part["score"]) for _, part in table.groupby("run")]
    assert found.loc["auc", "value"] == pytest.approx(np.mean(aucs))
    assert found.loc["accuracy", "value"] == pytest.approx((table["truth"] == table["predicted"]).mean())
    assert found.loc["auc", "low"] < found.loc["auc", "value"] < found.loc["auc", "high"]
    assert found.loc["auc", "n"] == 40


def test_class_contrasts_are_paired() -> None:
    good, same = predictions(0.8, "good"), predictions(0.8, "same")
    found = class_contrasts(pd.concat([good, same]), [("good", "same")], metrics=["auc", "accuracy"], n_boot=100)
    assert found[["value", "low", "high"]].to_numpy().ravel().tolist() == pytest.approx([0] * 6)
    bad = predictions(4.0, "bad")
    apart = class_contrasts(pd.concat([good, bad]), [("good", "bad")], n_boot=200).iloc[0]
    assert apart["low"] > 0
    with pytest.raises(RadlibError, match="in common"):
        class_contrasts(good, [("good", "none")])


def test_the_table_to_read() -> None:
    found = estimates(long({"a": np.full((2, 1, 3), 0.5)}), groups=["wt", "et"], n_boot=20)
    table = standard_table(found, titles={"a": "Network A"}, digits=2)
    assert table.columns.tolist() == ["", "WT", "ET"]
    assert table.iloc[0, 0] == "Network A"
    assert table.iloc[0, 1].startswith("0.50")
