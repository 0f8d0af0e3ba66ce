"""Cohorts as inputs of jobs."""

from __future__ import annotations

from typing import Any

import pytest

from radlib.core.errors import RadlibError
from radlib.study import cohorts
from radlib.study.cohorts import CohortOptions, Source

TINY = CohortOptions(n=2, grid=(48, 48, 48), preset="null")


def test_a_cohort_with_options_of_its_own_is_made_when_it_is_opened() -> None:
    """Beside the profile's, which is neither opened nor touched; a second opening makes nothing."""
    source = Source("huashan", profile="smoke", seed=3, own=TINY)
    cohorts.forget()
    cohort = source.open()
    assert len(cohort.ids) == 2
    (folder,) = cohorts.simulated_dir("_own", profile="smoke").glob("huashan-*")
    before = (folder / cohorts.MADE).stat().st_mtime_ns
    cohorts.forget()
    assert source.open().ids == cohort.ids
    assert (folder / cohorts.MADE).stat().st_mtime_ns == before
    cohorts.forget()


def test_every_option_of_its_own_is_in_the_fingerprint() -> None:
    sources = [
        Source("huashan", profile="smoke"),
        Source("huashan", profile="smoke", own=TINY),
        Source("huashan", profile="smoke", own=TINY, seed=1),
        Source("huashan", profile="smoke", own=TINY.model_copy(update={"preset": "signal"})),
        Source("huashan", profile="smoke", own=TINY.model_copy(update={"n": 3})),
    ]
    assert len({one.fingerprint for one in sources}) == len({one.key for one in sources}) == len(sources)


@pytest.mark.parametrize("given", ["real", "own.yml"])
def test_only_simulated_cohorts_have_options(given: Any) -> None:
    with pytest.raises(RadlibError, match="has no options"):
        Source("huashan", cohort=given, own=TINY).open()
