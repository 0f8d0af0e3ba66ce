import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from radlib.core.device import peak_memory_bytes, pick_device
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.paths import cohort_slug, data_root, project_root, require_data_root, run_dir
from radlib.core.progress import track
from radlib.core.seeds import named_seed, rng


def test_an_error_names_value_file_and_remedy() -> None:
    error = RadlibError("grade is 7", file="a/b.tsv", remedy="use 2, 3 or 4.")
    assert str(error) == "grade is 7. File: a/b.tsv. Remedy: use 2, 3 or 4."
    assert isinstance(MissingDataError("x"), ValueError)


def test_streams_depend_on_names_only() -> None:
    first = rng(0, "subject", 17).normal(size=3)
    rng(0, "subject", 18).normal(size=100)
    np.testing.assert_array_equal(first, rng(0, "subject", 17).normal(size=3))
    assert len({named_seed(seed, *names) for seed in (0, 1) for names in (("a",), ("b",), ("a", "b"), ("ab",))}) == 8
    assert 0 <= named_seed(0) < 2**63


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (project_root() / "pyproject.toml").is_file()
    assert [cohort_slug(name) for name in ("simulated", "real")] == ["simulated", "real"]
    assert run_dir(cohort="real", profile="smoke", chapter="x").parts[-3:] == ("real", "smoke", "x")
    monkeypatch.delenv("RADLIB_DATA", raising=False)
    assert data_root() is None
    with pytest.raises(MissingDataError, match="RADLIB_DATA"):
        require_data_root()
    monkeypatch.setenv("RADLIB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(RadlibError, match="does not exist"):
        data_root()


def test_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_PROJECT", str(tmp_path))
    assert project_root() == tmp_path


def test_cohorts_with_one_file_name_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (cohort_slug(str(tmp_path / folder / "my.yml")) for folder in "ab")
    assert first.startswith("my-")
    assert first != second
    monkeypatch.chdir(tmp_path / "..")
    assert cohort_slug(f"{tmp_path.name}/a/my.yml") == first  # one file, however it is named
    assert cohort_slug(str(tmp_path / "b" / ".." / "a" / "my.yml")) == first
    assert cohort_slug(str(tmp_path / "simulated.yml")) != "simulated"
    assert run_dir(cohort=str(tmp_path / "real.yaml"), profile="smoke", chapter="x").parts[-3].startswith("real-")


@pytest.mark.parametrize(("system", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_is_in_bytes(monkeypatch: pytest.MonkeyPatch, system: str, unit: int) -> None:
    """Linux counts in KiB, macOS in bytes; see getrusage(2) of both."""
    import resource

    monkeypatch.setattr("sys.platform", system)
    assert peak_memory_bytes() == pytest.approx(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, rel=0.1)


def test_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("RADLIB_DEVICE", "cpu")
    assert pick_device().type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(RadlibError, match="sees no GPU"):
            pick_device("cuda")


def test_track_yields_everything_and_reports_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), description="steps", every_seconds=0)) == [0, 1, 2]
    assert "steps: 3/3" in capsys.readouterr().err


@pytest.mark.slow
def test_help_is_quick_and_needs_no_torch() -> None:
    code = (
        "import sys, radlib.cli; sys.exit('torch' in sys.modules or 'pandas' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    best = min(_seconds([sys.executable, "-m", "radlib.cli", "--help"]) for _ in range(5))
    assert best < 1.5  # half a second on an idle machine; this only catches a heavy import


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


@pytest.mark.slow
def test_a_named_error_is_a_message_not_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "radlib.cli", "chapter", "run", "no_such_chapter"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no_such_chapter" in done.stderr
    assert "Traceback" not in done.stderr
