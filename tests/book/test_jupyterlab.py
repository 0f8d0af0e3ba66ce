"""Pairing, and a chapter in a browser, through a real Jupyter server, started as ``make lab`` starts it."""

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from radlib.book.diff import difference
from radlib.book.parameters import declared_parameters, write_paired
from radlib.book.registry import chapter
from radlib.book.start import write_start
from radlib.core.paths import lab_dir, project_root, run_dir
from radlib.data.sources import simulated_dir
from radlib.study.cohorts import MADE

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


def write_line(page: Any, line: str) -> None:
    """Put ``line`` in the place of that of the same variable, with the keyboard."""
    page.locator(".cm-line", has_text=line.split(" =")[0]).first.click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.type(line)


def until(true: Callable[[], Any], *, seconds: int = 120) -> None:
    for _ in range(seconds * 5):
        if true():
            return
        time.sleep(0.2)
    raise AssertionError(f"not in {seconds} s")


@pytest.mark.slow
@pytest.mark.browser
def test_a_chapter_is_edited_run_and_saved_in_a_browser(
    browser, training_project: Path, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a profile typed into its cell, for patients whom nobody has made yet; the command line does the same."""
    notebooks = training_project / "notebooks"
    (notebooks / "chapters.yml").write_text("chapters:\n  first: {title: First, cohorts: [rembrandt]}\n")
    sizes = "cohorts:\n  rembrandt: {n: 2, grid: [32, 32, 24]}\nchapters:\n  first: {n: 5}\n"
    (notebooks / "profiles" / "smoke.yml").write_text(sizes)
    first = chapter("first")
    write_paired(first)
    write_start()

    page = browser.new_page(viewport={"width": 1280, "height": 3000})  # cells out of sight are not in the page
    page.goto(f"{server.url}lab/tree/START.ipynb?token={server.token}")
    page.get_by_role("link", name="First").click(timeout=120_000)
    write_line(page, 'profile: str = "smoke"  # which profile')
    write_line(page, "rate: float = 0.2  # of the trainings")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    about = {"cohort": "simulated", "profile": "smoke", "chapter": "first"}
    page.get_by_text("The same run").wait_for(timeout=120_000)
    page.keyboard.press("Control+s")
    until(lambda: declared_parameters(first.source)["rate"].default == 0.2)
    assert declared_parameters(first.source)["profile"].default == "smoke"
    page.close()
    assert (simulated_dir("rembrandt", profile="smoke") / MADE).is_file()
    outputs = server.open("notebooks/first.ipynb")["cells"]
    assert "Profile smoke sets n = 5." in str(outputs)
    command = re.search(r"!radlib (chapter run .+)", outputs[-1]["outputs"][0]["data"]["text/plain"])
    assert command is not None
    found = lab_dir(**about)
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "other"))  # nothing of what Lab computed
    subprocess.run([sys.executable, "-m", "radlib.cli", *shlex.split(command[1])], check=True, stdout=subprocess.PIPE)
    assert difference(found, run_dir(**about)).empty
    assert len(pd.read_csv(run_dir(**about) / "tables" / "draws.csv")) == 5
