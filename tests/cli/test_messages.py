"""What the command line says of what a user can mend."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from radlib.cli.messages import as_message, console, report_failed, table
from radlib.core.errors import RadlibError
from tests.cli.conftest import CommandLine


@pytest.mark.slow
def test_an_ascii_terminal(tmp_path: Path) -> None:
    def in_ascii(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "radlib.cli", *map(str, words)], capture_output=True, encoding="utf-8", check=False,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        )  # fmt: skip

    (tmp_path / "c.yml").write_text("name: Größe\nroot: ñ\n", encoding="utf-8")
    shown = in_ascii("chapter", "list")
    assert shown.returncode == 0, shown.stderr
    failed = in_ascii("cohort", "show", tmp_path / "c.yml")
    assert failed.returncode == 2
    assert re.search(r"root '.+' does not exist", failed.stderr)
    assert "Traceback" not in failed.stderr


def test_square_brackets_stay(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table("a")
    rows.add_row("list[int] [old] [/]")
    console().print(rows)
    console().print("[red]plain[/]")
    out = capsys.readouterr().out
    assert "list[int] [old] [/]" in out
    assert "[red]plain[/]" in out


def test_settings_files_are_named(tmp_path: Path, radlib: CommandLine) -> None:
    (tmp_path / "cohort.yml").write_text("name: c\nimages: {t1: '{id}.nii'}\n")
    (tmp_path / "p1.nii").touch()
    for text, says in (("binz: 3", "binz"), ("[1]", "key: value"), ("bins: [old]", r"\['old'\]"), ("a: [", "not YAML")):
        (tmp_path / "s.yml").write_text(text)
        code, message = radlib("features", "extract", tmp_path / "cohort.yml", "--preset", "islam71", "--settings",
                               tmp_path / "s.yml", "--out", tmp_path / "o.parquet")  # fmt: skip
        assert code == 2
        assert re.search(rf"{says}.*s\.yml", message.replace("\n", " ")), message


@pytest.mark.parametrize(
    "command", [("cohort", "check"), ("features", "extract", "--preset", "islam71", "--out", "o.parquet")]
)
def test_a_folder_of_images_is_to_be_described(tmp_path: Path, radlib: CommandLine, command: tuple[str, ...]) -> None:
    code, message = radlib(*command, tmp_path)
    assert code in (1, 2)
    assert f"describe it with `radlib cohort init {tmp_path}`" in message


@pytest.mark.parametrize("command", [("chapter", "publish"), ("chapter", "book"), ("study", "list")])
def test_a_description_that_is_not_there_is_named_by_its_whole_path(
    tmp_path: Path, radlib: CommandLine, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Relative to the folder of the command, also where further processes work in another one."""
    monkeypatch.chdir(tmp_path)
    code, message = radlib(*command, "--cohort", "gone.yml")
    assert code == 2
    assert f"there is no cohort description. File: {tmp_path / 'gone.yml'}" in message


def test_what_an_interrupted_run_has_left_may_be_damaged(
    tmp_path: Path, radlib: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cohort.yml").write_text("name: c\nimages: {t1: '{id}.nii'}\n")
    (tmp_path / "p1.nii").touch()
    monkeypatch.setattr("radlib.features.extract.extract_cohort", lambda *_, **__: json.loads("[1,"))
    code, message = radlib("features", "extract", tmp_path / "cohort.yml", "--preset", "islam71", "--out",
                           tmp_path / "o.parquet")  # fmt: skip
    assert code == 2
    assert f"is damaged (Expecting value: line 1 column 4 (char 3)). File: {tmp_path / 'o.parquet.parts'}" in message


def test_what_can_be_mended_is_a_message() -> None:
    assert as_message(RadlibError("a", remedy="b")) == "a. Remedy: b."
    assert "not enough memory" in str(as_message(MemoryError()))
    assert "Not a directory" in str(as_message(OSError(errno.ENOTDIR, "x", "/a")))
    assert "leads nowhere" in str(as_message(RuntimeError("Symlink loop from 'a'")))
    assert as_message(OSError(errno.EIO, "x")) is None
    assert as_message(KeyError("x")) is None


def test_failed_subjects_are_named_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    report_failed({})
    with pytest.raises(typer.Exit):
        report_failed({"p1": "no image"})
    assert capsys.readouterr().err == "p1: no image\n1 subject(s) failed\n"


@pytest.mark.parametrize("profile", ["../x", "nope"])
@pytest.mark.parametrize(
    "command",
    [("chapter", "run", "cohorts"), ("study", "status"), ("cohort", "show", "huashan"),
     ("predict", "c.yml", "--out", "o")],
)  # fmt: skip
def test_a_wrong_profile_is_named_by_every_command(command: tuple[str, ...], profile: str, radlib: CommandLine) -> None:
    code, message = radlib(*command, "--profile", profile)
    assert code == 2
    assert re.search(rf"no profile '{profile}'.*default, paper, .*smoke", message.replace("\n", " ")), message
