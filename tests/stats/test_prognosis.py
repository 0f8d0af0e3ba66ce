"""Measures of prognosis against scikit-survival, and what signal, noise and knowing nothing give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.data.splits import k_fold
from radlib.stats.prognosis import (
    BRIER,
    DYNAMIC,
    IPCW,
    NOBODY_KNOWN,
    cox,
    kaplan_meier_only,
    prognosis_table,
    summary,
    through_cox,
)


@pytest.fixture(scope="module")
def followed() -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """200 patients; ``signal`` moves log survival, a third are censored."""
    random = np.random.default_rng(1)
    ids = [f"p{k}" for k in range(200)]
    table = pd.DataFrame({"signal": random.normal(size=200), "noise": random.normal(size=200)}, index=ids)
    death = 400 * np.exp(-0.8 * table["signal"]) * random.exponential(size=200)
    end = random.uniform(50, 1500, 200)
    return table, pd.Series(np.minimum(death, end), ids), pd.Series((death <= end).astype(float), ids)


def test_signal_is_found_and_noise_is_not(followed: tuple[pd.DataFrame, pd.Series, pd.Series]) -> None:
    table, days, event = followed
    models = {
        "signal": (table[["signal"]], cox()), "noise": (table[["noise"]], cox()),
        NOBODY_KNOWN: (table[["noise"]], kaplan_meier_only()),
    }  # fmt: skip
    splits = k_fold(list(table.index), n_folds=4, seed=0, stratify=event)
    found = summary(prognosis_table(models, days, event, splits=splits), folds=4).set_index(["model", "metric"])[
        "value"
    ]
    assert found["signal", IPCW] > 0.65
    assert found["signal", DYNAMIC] > 0.7
    assert abs(found["noise", IPCW] - 0.5) < 0.1
    assert found["signal", BRIER] < found[NOBODY_KNOWN, BRIER] - 0.02
    assert (NOBODY_KNOWN, IPCW) not in found  # it orders nobody


def test_days_become_a_prognosis(followed: tuple[pd.DataFrame, pd.Series, pd.Series]) -> None:
    """A machine that predicts the signal itself does as well as the Cox regression on it, whatever its scale."""
    table, days, event = followed
    machine = through_cox(lambda train, d, died, test: (
        -1000 * train["signal"].to_numpy(), -1000 * test["signal"].to_numpy()
    ))  # fmt: skip
    splits = k_fold(list(table.index), n_folds=2, seed=0)
    models = {"cox": (table[["signal"]], cox()), "machine": (table, machine)}
    wide = prognosis_table(models, days, event, splits=splits).pivot(
        index=["split", "metric"], columns="model", values="value"
    )
    assert wide["machine"].to_numpy() == pytest.approx(wide["cox"].to_numpy(), abs=1e-6)


def test_without_a_death_there_is_nothing_to_judge(followed: tuple[pd.DataFrame, pd.Series, pd.Series]) -> None:
    table, days, event = followed
    with pytest.raises(RadlibError, match="no fold has deaths"):
        prognosis_table({"x": (table[["signal"]], kaplan_meier_only())}, days, event * 0,
                        splits=k_fold(list(table.index), n_folds=2, seed=0))  # fmt: skip
