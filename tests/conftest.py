"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests run side by side, a process a core: threads of their own would only wait for each other. Processes that tests
# start inherit it.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real sample data (``RADLIB_DATA``); the test is skipped where there is none."""
    named = os.environ.get("RADLIB_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("needs real data: set RADLIB_DATA to a folder with the data sets")
    return Path(named)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium; the test is skipped where there is none."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield started
        started.close()


@pytest.fixture(autouse=True)
def _runs_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the checkout's ``runs/``."""
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
