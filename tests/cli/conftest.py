"""The command line in the test's own process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from radlib.cli import main

CommandLine = Callable[..., tuple[object, str]]


@pytest.fixture
def radlib(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """``radlib(*words)``: exit code and standard error of a command that ends with an error."""

    def run(*words: str | Path) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["radlib", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run
