"""Strengths of mechanisms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.phantom.mechanisms import NAMES, NONE, Mechanisms, mechanism_table, resolve_mechanisms, spread


def test_names_and_bases() -> None:
    assert resolve_mechanisms() == Mechanisms()
    assert resolve_mechanisms({"all": 0}) == NONE
    only = resolve_mechanisms({"all": 0, "bias": 0.5})
    assert only == dataclasses.replace(NONE, bias=0.5)
    assert resolve_mechanisms({"bias": 2}).lesions == 1


@pytest.mark.parametrize(
    ("strengths", "problem"),
    [
        ({"hair": 1}, "unknown mechanism 'hair'"),
        ({"bias": -0.1}, "'bias' is -0.1"),
        ({"bias": 4}, "'bias' is 4"),
        ({"bias": float("nan")}, "'bias' is nan"),
        ({"bias": True}, "'bias' is True"),
    ],
)
def test_impossible_strengths(strengths: dict[str, float], problem: str) -> None:
    with pytest.raises(RadlibError, match=problem):
        resolve_mechanisms(strengths)


def test_every_mechanism_says_what_it_does_and_where_that_comes_from() -> None:
    table = mechanism_table()
    assert list(table.index) == list(NAMES)
    assert (table["what"].str.len() > 20).all()
    assert (table["source"].str.len() > 5).all()


def test_spread_is_lognormal_and_one_without_spread() -> None:
    random = rng(0, "spread")
    logs = np.log([spread(random, 0.5) for _ in range(4000)])
    assert logs.mean() == pytest.approx(0, abs=0.03)
    assert logs.std() == pytest.approx(0.5, abs=0.03)
    assert np.abs(logs).max() <= 1.25
    assert spread(random, 0.0) == 1
