"""No traceback at the command line, whatever it is given: arguments, settings and files of every command."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from radlib.cli import app
from radlib.cli.messages import as_message
from radlib.core.paths import project_root
from tests.book.conftest import project, training_project  # noqa: F401

SEARCH = os.environ.get("RADLIB_FUZZ")
FUZZ = settings(
    max_examples=int(SEARCH or 25), deadline=None, derandomize=SEARCH is None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
"""The same examples in every run; ``RADLIB_FUZZ=1000`` draws so many new ones a command."""

CHAPTERS = ("chapter", "study")
"""Groups whose commands run chapters and jobs, or build the book, once their arguments are right."""


GROUP = typer.main.get_command(app)  # made once: it takes as long as most commands here


def commands() -> dict[str, typer.core.TyperCommand]:
    """Every command, by its words."""
    found = {}
    for name, command in GROUP.commands.items():  # type: ignore[attr-defined]
        for words, part in {f"{name} {n}": c for n, c in getattr(command, "commands", {}).items()}.items() or [
            (name, command)
        ]:
            found[words] = part
    return found


COMMANDS = commands()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of file that a command could be given by mistake."""
    folder = tmp_path_factory.mktemp("plàce with spaces")
    image = np.random.default_rng(0).uniform(1, 9, (6, 5, 4)).astype(np.float32)
    for name in ("p1_t1", "p1_flair", "p1_seg"):
        nib.save(
            nib.Nifti1Image(image.astype(np.uint8) % 3 if "seg" in name else image, np.eye(4)),
            folder / f"{name}.nii.gz",
        )
    nib.save(nib.Nifti1Image(image[..., :1], np.eye(4)), folder / "slice.nii")
    contents = {
        "cohort.yml": b"name: c\nimages: {t1: '{id}_t1.nii.gz', seg: '{id}_seg.nii.gz'}\n",
        "questions.yml": b"name: c\nlabel_encoding: '?'\n", "list.yml": b"[1, 2]", "broken.yml": b"a: [",
        "empty.yml": b"", "utf16.yml": "modality: t1".encode("utf-16"),
        "latin1.yml": "name: Gr\xf6\xdfe".encode("latin-1"),
        "settings.yml": b"modality: t1\n", "wrong.yml": b"[old]: 3\nmodality: pet\n", "table.csv": b"id,age\np1,60\n",
        "utf16.csv": "id;age\np1;60".encode("utf-16"), "binary.nii.gz": b"\x1f\x8b\0\1", "text.txt": b"text",
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    return folder


FILES = (
    "cohort.yml", "questions.yml", "list.yml", "broken.yml", "empty.yml", "utf16.yml", "latin1.yml", "settings.yml",
    "wrong.yml", "table.csv", "utf16.csv", "binary.nii.gz", "text.txt", "p1_t1.nii.gz", "slice.nii", "empty", "loop",
    "gone.yml", ".", "table.csv/below.parquet", "x" * 300, "new/out.parquet", "out.parquet", "out.csv", "out",
)  # fmt: skip
WORDS = (
    "", "-1", "0", "1e-3", "010", "nan", "[old]", "[1, 2", "a=b", "=", "t1", "t1ce", "seg", "islam71", "ibsi",
    "brats2018", "tcga-cdr", "brats2017", "smoke", "default", "cpu", "cuda", "real", "simulated", "../x",
    "\U0001f9e0", "x" * 5000, "1000000,1000000,1000000", "4,4,4", "2", "ants",
)  # fmt: skip

CORRECT = ("first", "second", "toy", "smoke", "default", "1", "2", "n=4", "rate=1e-3", "weights=[1, 2", "rembrandt")
"""What the miniature checkout knows."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written under a relative name goes here."""
    monkeypatch.setattr("typer.testing._get_command", lambda _: GROUP)
    monkeypatch.setenv("RADLIB_PROJECT", str(project_root()))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A command, in the miniature checkout if it runs chapters, and without a network."""
    words = str(request.param)
    if words.split()[0] in CHAPTERS:
        monkeypatch.syspath_prepend(request.getfixturevalue("training_project"))

    def nobody(*_: object) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "there is no network here")

    if words == "data fetch":
        monkeypatch.setattr("socket.socket.connect", nobody)
    if words == "study run":  # further processes run the same command
        popen, ended = subprocess.Popen, SimpleNamespace(wait=lambda: 0)
        monkeypatch.setattr(
            "subprocess.Popen", lambda what, *a, **k: ended if what[0] == sys.executable else popen(what, *a, **k)
        )
    return words


@pytest.mark.parametrize("name", COMMANDS, indirect=True)
@FUZZ
@given(data=st.data())
def test_no_command_ends_in_a_traceback(name: str, place: Path, data: st.DataObject) -> None:
    value = st.one_of(
        st.sampled_from(FILES).map(lambda file: str(place / file)), st.sampled_from(WORDS), st.text(max_size=6)
    )
    if name.split()[0] in CHAPTERS:
        value = st.one_of(st.sampled_from(CORRECT), value)
    arguments = name.split()
    for parameter in COMMANDS[name].params:
        given_so = parameter.required or data.draw(st.booleans(), label=parameter.name or "")
        if not given_so or parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            arguments.append(data.draw(value))
        elif getattr(parameter, "is_flag", False):
            arguments.append(parameter.opts[0])
        else:
            arguments += [parameter.opts[0], data.draw(value)]
    if name == "phantom make":
        arguments += ["--n", "0"]
    done = CliRunner().invoke(app, arguments)
    error = done.exception
    if error is not None and not isinstance(error, SystemExit):
        assert isinstance(error, Exception)
        assert as_message(error) is not None, f"{arguments}: {error!r}"
    assert done.exit_code in (0, 1, 2)
