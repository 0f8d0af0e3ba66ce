"""Roles and where their cohorts come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.paths import runs_root
from radlib.data.cohort import Cohort, participants_table
from radlib.data.sources import REAL_ONLY, ROLES, open_cohort, role_with_images, simulated_dir


def test_a_simulated_cohort_is_found_by_profile() -> None:
    folder = runs_root() / "simulated" / "smoke" / "_cohorts" / "huashan"
    assert simulated_dir("huashan", profile="smoke") == folder
    with pytest.raises(MissingDataError, match=r"has not been made.*radlib chapter cohort huashan --profile smoke"):
        open_cohort("huashan", cohort="simulated", profile="smoke")
    made = Cohort(name="huashan", source="simulated", root=folder, participants=participants_table([{"id": "s1"}]))
    made.save(folder)
    assert open_cohort("huashan", cohort="simulated", profile="smoke").ids == ["s1"]
    with pytest.raises(MissingDataError):
        open_cohort("huashan", cohort="simulated", profile="default")


def test_unknown_roles_and_cohorts() -> None:
    with pytest.raises(RadlibError, match="unknown cohort role 'brats'"):
        open_cohort("brats")
    with pytest.raises(RadlibError, match="unknown cohort 'reel'"):
        open_cohort("brats2017", cohort="reel")


def test_real_needs_a_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RADLIB_DATA", raising=False)
    for role in {**ROLES, **REAL_ONLY}:
        with pytest.raises(MissingDataError, match="no data root is named"):
            open_cohort(role, cohort="real")
        with pytest.raises(MissingDataError):
            open_cohort(role, cohort="real", root=tmp_path)


def test_a_cohort_that_is_real_only_is_not_simulated() -> None:
    with pytest.raises(MissingDataError, match="there is no simulated cohort 'ucsf'"):
        open_cohort("ucsf", cohort="simulated")


def test_chapters_on_images_take_the_patients_who_have_any() -> None:
    assert role_with_images("rembrandt", cohort="simulated") == "rembrandt"
    assert role_with_images("rembrandt", cohort="mine.yml") == "rembrandt"
    assert role_with_images("rembrandt", cohort="real") == "huashan"
