"""The course of a learning rate is a function of the step."""

from __future__ import annotations

import pytest

from radlib.core.errors import RadlibError
from radlib.training.settings import OptimizerSettings


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {0: 1.0, 99: 1.0}),
        ({"schedule": "cosine"}, {0: 1.0, 50: 0.5, 100: 0.0}),
        ({"schedule": "polynomial"}, {0: 1.0, 50: 0.5**0.9, 100: 0.0}),
        ({"schedule": "one_cycle"}, {0: 1 / 25, 15: (1 / 25 + 1) / 2, 30: 1.0, 65: (1 + 1e-4) / 2, 100: 1e-4}),
        ({"schedule": "step", "decay_every": 40}, {39: 1.0, 40: 0.1, 80: 0.01}),
        ({"schedule": "milestones", "milestones": (0.5, 0.75), "decay": 0.5}, {49: 1.0, 50: 0.5, 75: 0.25}),
    ],
)
def test_rates_of_a_hundred_steps(options: dict, expected: dict[int, float]) -> None:
    settings = OptimizerSettings(learning_rate=1.0, **options)
    assert {step: settings.rate(step, steps=100) for step in expected} == pytest.approx(expected, abs=1e-7)


def test_a_schedule_of_steps_needs_their_length() -> None:
    with pytest.raises(RadlibError, match="no decay_every"):
        OptimizerSettings(schedule="step").rate(0, steps=100)
