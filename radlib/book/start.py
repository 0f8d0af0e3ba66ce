"""The page on which ``make lab`` opens."""

from __future__ import annotations

from pathlib import Path

import nbformat

from radlib.book.registry import chapters
from radlib.book.templates import environment
from radlib.core.files import atomic_path, read_json
from radlib.core.paths import project_root, run_dir, runs_root
from radlib.study.store import jobs_root


def write_start() -> Path:
    """Write ``START.ipynb`` in the checkout: the chapters in the order of the book, how to change one, what it takes.

    A notebook, as JupyterLab shows Markdown of a notebook rendered and follows its links; it has no paired text.
    """
    text = environment().get_template("start.md.j2").render(
        chapters=list(chapters().values()), took={name: _took(name) for name in chapters()}, jobs=jobs_root(),
        results=runs_root() / "_lab" / "COHORT" / "PROFILE" / "CHAPTER",
    )  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text, id="start")])
    notebook.metadata["jupytext"] = {"formats": "ipynb"}
    # Named, so that JupyterLab does not ask for one.
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    target = project_root() / "START.ipynb"
    with atomic_path(target) as temporary:
        nbformat.write(notebook, temporary)
    return target


def _took(chapter: str) -> str:
    """Seconds of the chapter's last runs on simulated patients on this machine, by profile."""
    files = {
        profile: run_dir(cohort="simulated", profile=profile, chapter=chapter) / "timing.json"
        for profile in ("smoke", "default", "paper")
    }
    return ", ".join(
        f"{read_json(file, remedy='run the chapter again')['wall_seconds']:.0f} s ({profile})"
        for profile, file in files.items() if file.is_file()
    )  # fmt: skip
