"""Net benefit by hand, and what a perfect and a useless model are worth."""

from __future__ import annotations

import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.stats.classification import Predictions
from radlib.stats.decision import EVERYBODY, decision_curves, net_benefit

TRUTH = np.array([True, True, False, False, False])


def test_by_hand() -> None:
    # At 0.5 three are acted on: two of the positive class, one of the other; odds 1.
    assert net_benefit(TRUTH, [0.9, 0.5, 0.6, 0.1, 0.2], 0.5) == pytest.approx((2 - 1) / 5)
    # At 0.2 the odds are 1/4, and the last is acted on too.
    assert net_benefit(TRUTH, [0.9, 0.5, 0.6, 0.1, 0.2], 0.2) == pytest.approx((2 - 2 / 4) / 5)


def test_runs_are_averaged() -> None:
    runs = [[0.9, 0.9, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.1]]
    assert net_benefit(TRUTH, runs, 0.5) == pytest.approx(0.2)


def test_curves_of_a_perfect_model_and_of_everybody() -> None:
    probability = TRUTH.astype(float)[None]
    found = Predictions.of(TRUTH, probability > 0.5, score=probability, probability=probability)
    table = decision_curves({"perfect": found}, [0.25, 0.5, 0.75], n_boot=50)
    wide = table.pivot_table(index="threshold", columns="model", values="value")
    assert wide["perfect"].tolist() == pytest.approx([0.4] * 3)
    assert wide[EVERYBODY].tolist() == pytest.approx([0.4 - 0.6 / 3, 0.4 - 0.6, 0.4 - 0.6 * 3])


def test_what_cannot_be_decided_is_named() -> None:
    with pytest.raises(RadlibError, match="the threshold is 1"):
        net_benefit(TRUTH, TRUTH, 1)
    with pytest.raises(RadlibError, match="no patient"):
        net_benefit([], [], 0.5)
    blind = Predictions.of(TRUTH, TRUTH[None])
    with pytest.raises(RadlibError, match="'blind' gives no probabilities"):
        decision_curves({"blind": blind}, [0.5])
