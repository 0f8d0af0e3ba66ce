"""Killed writers and damaged files, wherever something is written or one chapter reads what another has left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from radlib.book.report import Report
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import read_json, reading
from radlib.features.streamed import FeatureFile


def write_everything() -> None:
    """A chapter's run directory by every way of writing into it that a report has."""
    report = Report.start("idh_tables", cohort="simulated", profile="smoke", seed=3)
    frame = pd.DataFrame({"x": np.random.default_rng(report.seed).normal(size=4)})
    report.table("draws", frame, caption="Draws.")
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.plot(frame["x"])
    report.figure("line", figure, caption="A line.", alt="A line.")
    report.value("mean", float(frame["x"].mean()))
    report.finish()


def contents(folder: Path) -> dict[str, bytes]:
    """What a run leaves, but for times; every file whole by its own format."""
    files = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    return {
        name: content
        for name, content in files.items()
        if Path(name).name != "provenance.json" and ".part-" not in name
    }


def killed_at(write: int, *, after: bool, work: Callable[[], None]) -> bool:
    """Do the work in a process that is killed (nothing is cleaned up) at its n-th write. True if it was."""
    child = os.fork()
    if child == 0:
        count, replace = 0, os.replace

        def counted(source: str, target: str) -> None:
            nonlocal count
            count += 1
            if count == write and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
            if count == write:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = counted  # type: ignore[assignment]
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the rename", "after the rename"])
def test_a_writer_killed_at_any_write_leaves_whole_files_and_resumes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "whole"))
    write_everything()
    expected = contents(tmp_path / "whole")
    assert {"results.json", "draws.csv", "line.png"} <= {Path(name).name for name in expected}
    kills = 0
    while True:
        runs = tmp_path / f"killed-{kills}"
        monkeypatch.setenv("RADLIB_RUNS", str(runs))
        if not killed_at(kills + 1, after=after, work=write_everything):
            break
        left = contents(runs)
        assert left.items() <= expected.items()
        write_everything()
        assert contents(runs) == expected
        kills += 1
    assert kills >= 4


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with pytest.raises(MissingDataError, match=r"does not exist.*a\.json"):
        read_json(file)
    for content in (b"{", b"\xff\xfe", b""):
        file.write_bytes(content)
        with pytest.raises(RadlibError, match=r"damaged.*a\.json.*Remedy: make the file again"):
            read_json(file)
    file.write_text("[1]")
    assert read_json(file) == [1]
    with pytest.raises(RadlibError, match="mine"), reading(file):
        raise RadlibError("mine")


def damaged(file: Path) -> None:
    """Cut a file in half and overturn some of what is left."""
    content = bytearray(file.read_bytes()[: file.stat().st_size // 2])
    content[:4] = b"\0\xff\0\xff"
    file.write_bytes(content)


def test_damaged_arrays_of_another_chapter(tmp_path: Path) -> None:
    for name in ("b_fold1.npy", "b_fold1.tsv"):
        (tmp_path / name).write_bytes(b"no array")
    (tmp_path / "b_fold1.json").write_text(json.dumps({"done": 2, "rows": 2, "identity": {"test": ["a"]}}))
    with pytest.raises(RadlibError, match=r"b_fold1\.npy.*extract them again"):
        FeatureFile(tmp_path / "b_fold1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("size=60k", "the disk is full, so that chapter 'real_tables' could not be finished"),
        ("size=60k,ro", "cannot write or read: Read-only file system"),
    ],
)
def test_a_chapter_on_a_disk_that_takes_nothing(tmp_path: Path, options: str, problem: str) -> None:
    """The command line on a file system of 60 kB of its own, full after the first files, or read-only."""
    mount = f"mount -t tmpfs -o {options} none {tmp_path}"
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "sh", "-c", mount], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    command = f"{mount} && {Path(sys.executable).parent / 'radlib'} chapter run real_tables --profile smoke"
    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command],
        env={**os.environ, "RADLIB_RUNS": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert problem in ended.stderr
    assert "Traceback" not in ended.stderr.splitlines()[-1]
    assert "Remedy" in ended.stderr.splitlines()[-1]
