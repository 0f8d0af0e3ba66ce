"""A user's own kernels, settings and Pythons: a chapter does not see them, or they are named."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from radlib.book.parameters import declared_parameters, parse_override
from radlib.book.registry import chapter
from radlib.book.run import run_chapter
from radlib.core.errors import RadlibError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_users_kernel_ipython_and_matplotlib_do_not_reach_a_chapter(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    (tmp_path / "ipython" / "profile_default" / "startup").mkdir(parents=True)
    (tmp_path / "ipython" / "profile_default" / "startup" / "a.py").write_text("pd = 1 / 0\nn = 'startup'\n")
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MATPLOTLIBRC", str(tmp_path / "matplotlibrc"))
    source = chapter("first").source
    figure = 'import matplotlib.pyplot as plt\nf, a = plt.subplots()\na.set_title("t_1")\n'
    figure += 'report.figure("f", f, caption="A figure.", alt="A figure.")\nreport.finish()'
    source.write_text(source.read_text().replace("report.finish()", figure))
    assert run_chapter(chapter("first"), cohort="simulated", profile="smoke").is_file()


def test_another_python_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "python3.99"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    for python in (other, tmp_path / "absent"):
        done = subprocess.run(
            ["make", "install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"], cwd=ROOT, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert f"{python} is no Python 3.11" in done.stdout
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("text", "value"),
    [("n=010", 10), ("weights=[1e-3, 2]", [1e-3, 2]), ("weights=[]", []), ("n=-1", -1)],
)
def test_values_are_read_by_the_declared_type(project: Path, text: str, value: object) -> None:
    assert parse_override(text, declared_parameters(chapter("first").source))[1] == value


@pytest.mark.parametrize(
    "text", ["weights=[1, 2", "weights={", "weights=*a", "n=1.5", "n=", "n=x", "weights=" + "[" * 9999]
)
def test_values_that_cannot_be_read_are_named(project: Path, text: str) -> None:
    with pytest.raises(RadlibError, match=text.partition("=")[0]):
        parse_override(text, declared_parameters(chapter("first").source))
