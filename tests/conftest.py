"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real sample data (``RADLIB_DATA``); the test is skipped where there is none."""
    named = os.environ.get("RADLIB_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("needs real data: set RADLIB_DATA to a folder with the data sets")
    return Path(named)


@pytest.fixture(autouse=True)
def _runs_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the checkout's ``runs/``."""
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
