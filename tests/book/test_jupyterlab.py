"""Pairing through a real Jupyter server, started as ``make lab`` starts it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from radlib.book.parameters import declared_parameters, write_paired
from radlib.book.registry import chapter
from radlib.book.start import write_start
from radlib.core.paths import project_root, run_dir

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--no-browser", "--ServerApp.token=t", "--ServerApp.port=0", "--allow-root"]


class Server:
    """A running server and what a browser asks of it."""

    def __init__(self, url: str, token: str, command: list[str]) -> None:
        self.url, self.token, self.command = url, token, command

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}api/{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def open(self, path: str) -> Any:
        return self.ask("GET", f"contents/{path}")["content"]

    def save(self, path: str, content: Any) -> None:
        self.ask("PUT", f"contents/{path}", {"type": "notebook", "format": "json", "content": content})


@pytest.fixture
def server(project: Path, tmp_path: Path) -> Iterator[Server]:
    """The command of ``make lab``, in a checkout with a space in its path, without a browser."""
    shutil.copy(ROOT / "jupytext.toml", project)
    for name in ("Makefile", "requirements.lock", "requirements-cuda.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    (project / ".venv").mkdir()
    (project / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    lines = subprocess.run(
        ["make", "-n", "lab"], cwd=project, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ").splitlines()  # fmt: skip
    command = next(shlex.split(line) for line in lines if "jupyter lab" in line)
    # .venv/bin/jupyter of this interpreter, as the launcher in a link would take another prefix
    place = next(number for number, part in enumerate(command) if part.endswith("/jupyter"))
    command[place : place + 2] = [sys.executable, "-m", "jupyterlab"]
    command += OPTIONS
    state = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"), "JUPYTER_CONFIG_DIR": str(tmp_path / "c")}
    running = subprocess.Popen(command, cwd=project, env=state, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield _when_ready(tmp_path / "runtime", running, command)
    finally:
        running.terminate()
        running.wait(timeout=60)


def _when_ready(runtime: Path, running: subprocess.Popen[bytes], command: list[str]) -> Server:
    for _ in range(240):
        for file in runtime.glob("jpserver-*.json"):
            try:
                server = Server(json.loads(file.read_text())["url"], "t", command)
                server.ask("GET", "status")
                return server
            except (urllib.error.URLError, json.JSONDecodeError):  # not yet there, or half written
                pass
        assert running.poll() is None, "the server has ended"
        time.sleep(0.5)
    raise AssertionError("no server after two minutes")


def set_n(content: Any, value: int) -> None:
    cell = next(cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", []))
    assert "n: int = " in cell["source"]
    before, after = cell["source"].split("n: int = ", 1)
    cell["source"] = f"{before}n: int = {value}{after[1:]}"


@pytest.mark.slow
def test_a_saved_parameter_reaches_the_text_and_outputs_survive(server: Server, project: Path) -> None:
    assert str(project_root()) == str(project)
    first = chapter("first")
    paired = write_paired(first)
    notebook = server.open("notebooks/first.ipynb")
    set_n(notebook, 7)
    notebook["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "kept"}]
    server.save("notebooks/first.ipynb", notebook)

    assert declared_parameters(first.source)["n"].default == 7  # what the next run takes
    text = first.source.read_text()
    write_paired(first)  # `make lab` again
    assert nbformat.read(paired, as_version=4).cells[-1].outputs[0].text == "kept"
    assert server.open("notebooks/first.ipynb")["cells"][-1]["outputs"][0]["text"] == "kept"
    assert first.source.read_text() == text


def pulled(source: Path) -> None:
    """What ``git pull`` does to a text."""
    source.write_text(source.read_text().replace("Some prose.", "Pulled prose."))
    later = time.time() + 5
    os.utime(source, (later, later))


def test_a_pull_updates_a_notebook_that_nobody_has_edited(project: Path) -> None:
    first = chapter("first")
    paired = write_paired(first)
    notebook = nbformat.read(paired, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="kept")]
    nbformat.write(notebook, paired)
    pulled(first.source)
    write_paired(first)
    notebook = nbformat.read(paired, as_version=4)
    assert "Pulled prose." in "".join(cell.source for cell in notebook.cells)
    assert notebook.cells[-1].outputs[0].text == "kept"
    assert not list(paired.parent.glob("*.mine*"))


def test_a_pull_does_not_eat_a_notebook_with_edits(project: Path) -> None:
    first = chapter("first")
    paired = write_paired(first)
    notebook = nbformat.read(paired, as_version=4)
    set_n(notebook, 8)
    nbformat.write(notebook, paired)
    pulled(first.source)
    write_paired(first)
    assert declared_parameters(first.source)["n"].default == 3
    mine = nbformat.read(paired.with_name("first.mine.ipynb"), as_version=4)
    assert "n: int = 8" in "".join(cell.source for cell in mine.cells)


def test_edits_made_without_pairing_reach_the_text(project: Path) -> None:
    first = chapter("first")
    before = first.source.read_text()
    paired = write_paired(first)
    notebook = nbformat.read(paired, as_version=4)
    set_n(notebook, 9)
    nbformat.write(notebook, paired)
    later = time.time() + 5
    os.utime(paired, (later, later))
    write_paired(first)
    assert declared_parameters(first.source)["n"].default == 9
    changed = [line for line in first.source.read_text().splitlines() if line not in before.splitlines()]
    assert [line for line in changed if not line.startswith("#")] == ["n: int = 9  # how many"]


@pytest.mark.slow
def test_lab_opens_on_the_chapters_in_order(server: Server, project: Path) -> None:
    timing = run_dir(cohort="simulated", profile="smoke", chapter="second")
    timing.mkdir(parents=True)
    (timing / "timing.json").write_text('{"wall_seconds": 41.6}')
    write_paired(chapter("first"))
    assert write_start() == project / "START.ipynb"
    assert server.command[-1 - len(OPTIONS)].endswith("=/lab/tree/START.ipynb")
    page = server.open("START.ipynb")
    text = page["cells"][0]["source"]
    assert re.findall(r"\[(\w+)\]\((.+?)\)", text) == [
        ("First", "notebooks/first.ipynb"), ("Second", "notebooks/second.ipynb"),
    ]  # fmt: skip
    assert "| first | 42 s (smoke) |" in text
    assert server.open("notebooks/first.ipynb")["cells"]
    server.save("START.ipynb", page)
    assert not list(project.glob("START.py"))
