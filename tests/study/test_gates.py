"""Each gate can fail, and alone makes a claim open."""

from __future__ import annotations

import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.stats.intervals import Estimate
from radlib.study.gates import GATES, Verdict, joint, last_quarter_change, verdict

ABOVE, AROUND, BELOW = Estimate(0.1, 0.05, 0.15), Estimate(0.1, -0.05, 0.25), Estimate(-0.1, -0.15, -0.05)
GOOD = {"contrast": ABOVE, "runs": 5, "competence": {"a": ABOVE, "b": ABOVE}, "curves": {"a": 0.009, "b": 0.0}}


def test_the_words() -> None:
    assert verdict(**GOOD).word == "as claimed"
    assert verdict(**GOOD | {"contrast": BELOW}).word == "reversed"
    assert verdict(**GOOD | {"contrast": BELOW}, claimed=-1).word == "as claimed"
    assert verdict(**GOOD, comparator=ABOVE).word == "as claimed"


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"runs": 4}, "trainings"),
        ({"contrast": AROUND}, "interval"),
        ({"contrast": Estimate(0.1)}, "interval"),
        ({"competence": {"a": ABOVE, "b": AROUND}}, "competence"),
        ({"competence": {}}, "competence"),
        ({"curves": {"a": 0.01, "b": 0.0}}, "convergence"),
        ({"curves": {"a": float("nan")}}, "convergence"),
        ({"curves": {}}, "convergence"),
        ({"comparator": AROUND}, "comparator"),
    ],
)
def test_a_gate_that_fails_is_named(changed: dict[str, object], gate: str) -> None:
    found = verdict(**GOOD | changed)  # type: ignore[arg-type]
    assert found.word == "open"
    assert found.failed == (gate,)
    assert found.why == GATES[gate].exact


def test_several_are_named_in_order() -> None:
    assert verdict(AROUND, runs=1, competence={}, curves={}).failed == (
        "trainings", "interval", "competence", "convergence",
    )  # fmt: skip


def test_change_in_the_last_quarter() -> None:
    def course(arm: str, training: int, values: list[float]) -> pd.DataFrame:
        steps = range(100, 100 * len(values) + 1, 100)
        return pd.DataFrame({"arm": arm, "training": training, "step": steps, "part": "validation", "dice": values})

    history = pd.concat([
        course("flat", 0, [0.1, 0.5, 0.8, 0.80]), course("flat", 1, [0.1, 0.5, 0.7, 0.72]),
        course("rising", 0, [0.1, 0.2, 0.3, 0.4]), course("short", 0, [0.4]),
        course("falling", 0, [0.4, 0.6, 0.7, 0.66]), course("falling", 1, [0.4, 0.6, 0.7, 0.68]),
        course("noisy", 0, [0.1, 0.5, 0.80, 0.83]), course("noisy", 1, [0.1, 0.5, 0.82, 0.79]),
    ])  # fmt: skip
    found = last_quarter_change(history, "dice")
    assert found["flat"] == pytest.approx(0.01)
    assert found["rising"] == pytest.approx(0.1)
    assert found["falling"] == pytest.approx(0.03)
    assert found["noisy"] == pytest.approx(0, abs=1e-9)  # the arm learns nothing more, each run moves by 0.03
    assert found["short"] != found["short"]
    with pytest.raises(RadlibError, match="auc"):
        last_quarter_change(history, "auc")


def test_models_without_steps_have_no_curve() -> None:
    assert verdict(**GOOD | {"curves": None}).word == "as claimed"  # type: ignore[arg-type]


def test_no_worse_than() -> None:
    level = Estimate(0.0, -0.01, 0.01)
    assert verdict(**GOOD | {"contrast": level}).failed == ("interval",)  # type: ignore[arg-type]
    assert verdict(**GOOD | {"contrast": level}, margin=0.02).word == "as claimed"  # type: ignore[arg-type]
    assert verdict(**GOOD | {"contrast": level}, margin=0.02, claimed=-1).word == "as claimed"  # type: ignore[arg-type]
    assert verdict(**GOOD | {"contrast": BELOW}, margin=0.02).word == "reversed"  # type: ignore[arg-type]
    assert verdict(**GOOD | {"contrast": BELOW}, margin=0.08).failed == ("interval",)  # type: ignore[arg-type]


def test_a_claim_of_several_contrasts() -> None:
    good, bad, unknown = Verdict("as claimed"), Verdict("reversed"), Verdict("open", ("interval",))
    assert joint([good, good]) == good
    assert joint([good, unknown]) == unknown
    assert joint([good, bad, unknown]) == bad
    assert joint([unknown, Verdict("open", ("trainings",))]).failed == ("trainings", "interval")
    with pytest.raises(RadlibError, match="without a contrast"):
        joint([])
