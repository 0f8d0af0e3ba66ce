"""How often intervals hold the truth: the truth itself, and the count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlib.papers.across import study_cover as cover
from radlib.stats.roc import auc


def test_the_true_auc_is_what_many_patients_have() -> None:
    random = np.random.default_rng(0)
    gap, weights = np.array([0.8, 0.3, 0.0]), np.array([1.0, -0.5])
    truth = np.arange(8_000) % 2 == 1
    score = (random.normal(size=(len(truth), 2)) + truth[:, None] * gap[:2]) @ weights
    assert cover.true_auc(weights, gap) == pytest.approx(auc(truth, score), abs=0.015)


def test_coverage_counts_cohorts_whose_interval_holds_the_truth() -> None:
    table = pd.DataFrame({
        "interval": cover.ONE, "quantity": cover.AUC, "low": [0.5, 0.6, 0.7, 0.8], "high": [0.7, 0.8, 0.9, 1.0],
        "same": [0.6, 0.9, 0.7, 0.79], "any": 0.75,
    })  # fmt: skip
    found = cover.coverage_table(table).set_index("target")
    assert found["covers"].to_dict() == {"these training patients": 0.5, "any training patients": 0.5}
    assert found["width"].tolist() == pytest.approx([0.2, 0.2])


def test_equals_differ_by_nothing_and_every_interval_is_there() -> None:
    result = cover.coverage(n_cohorts=3, n_truth=3, n_boot=50).result().table("intervals")
    assert len(result) == 3 * len(cover.INTERVALS) * len(cover.QUANTITIES)
    assert (result.loc[result["quantity"] == cover.NOTHING, ["same", "any"]] == 0).all(axis=None)
    assert (result["low"] < result["high"]).all()
    truth = result[(result["quantity"] == cover.AUC)]["same"]
    assert truth.between(0.55, 0.85).all()  # below the AUC of who knows the means
