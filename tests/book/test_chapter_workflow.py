"""What Snakemake decides to run."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from radlib.book.dependencies import code_of, modules_of
from radlib.book.publish import publish_chapter
from radlib.book.registry import chapter
from radlib.core.paths import project_root, run_dir
from radlib.study.code import imported_files


def snakemake(project: Path, *arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--cores", "2", "--nolock",
         "--rerun-incomplete", "--keep-going", "--config", "profile=smoke", *arguments, "--", "chapters"],
        cwd=project, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(project: Path) -> set[str]:
    out = snakemake(project, "--dry-run")
    return {name for name in ("first", "second") if f"rule chapter_{name}:" in out}


def test_only_what_changed_runs_again(project: Path) -> None:
    assert planned(project) == {"first", "second"}
    snakemake(project)
    assert planned(project) == set()

    source = chapter("first").source
    time.sleep(1.1)  # Snakemake compares times
    source.write_text(source.read_text().replace("Some prose.", "Other prose."))
    assert planned(project) == set()

    (project / "notebooks/profiles/smoke.yml").write_text("chapters:\n  second: {n: 9}\n  first: {n: 5}\n")
    assert planned(project) == {"second"}

    source.write_text(source.read_text().replace('draws."', 'random draws."'))
    assert planned(project) == {"first", "second"}


def test_an_own_cohort_whose_content_changes_runs_again(project: Path, tmp_path: Path) -> None:
    """Its description has a blank in its name, and a namesake in another folder is another cohort."""
    own = [tmp_path / name / "my cohort.yml" for name in ("a", "b")]
    for path in own:
        path.parent.mkdir()
        path.write_text("name: c\nparticipants: t.csv\n")
        (path.parent / "t.csv").write_text("id,age\np1,60\n")

    def ran(path: Path, *arguments: str) -> bool:
        return "rule chapter_first:" in snakemake(project, f"cohort={path}", *arguments)

    assert ran(own[0])
    assert not ran(own[0], "--dry-run")
    results = [run_dir(cohort=str(path), profile="smoke", chapter="second") / "results.json" for path in own]
    assert [path.is_file() for path in results] == [True, False]
    assert ran(own[1], "--dry-run")
    time.sleep(1.1)  # Snakemake compares times
    (own[0].parent / "t.csv").write_text("id,age\np1,61\n")
    assert ran(own[0], "--dry-run")


def test_one_failure_leaves_the_other_chapters_and_a_page_that_names_it(project: Path) -> None:
    notebooks = project / "notebooks"
    text = (notebooks / "first.py").read_text()
    (notebooks / "third.py").write_text(text.replace('"first"', '"third"'))
    (notebooks / "first.py").write_text(text.replace("size=n)", "size=n) / undefined"))
    with open(notebooks / "chapters.yml", "a") as stream:
        stream.write("  third: {title: Third}\n")
    snakemake(project, fails=True)
    ran = {name: (run_dir(cohort="simulated", profile="smoke", chapter=name) / "results.json").is_file()
           for name in ("first", "second", "third")}  # fmt: skip
    assert ran == {"first": False, "second": False, "third": True}
    pages = {}
    for name in ran:
        page = publish_chapter(chapter(name), cohort="simulated", profile="smoke", book=project / "book")
        pages[name] = page.read_text()
    assert "NameError: name 'undefined' is not defined" in pages["first"]
    assert "It reads what `first` leaves, which has not run either." in pages["second"]
    assert "There are 3 draws." in pages["third"]


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import radlib.core.files", "core/files.py"),
        ("from radlib.core import files", "core/files.py"),
        ("def f():\n    from radlib.core.files import sha256", "core/files.py"),
        ("from radlib.core.paths import run_dir", "core/errors.py"),  # one further
    ],
)
def test_imports_are_followed(code: str, module: str) -> None:
    root = project_root()
    found = {str(file.relative_to(root / "radlib")) for file in imported_files(code)}
    assert {module, "__init__.py", "core/__init__.py"} <= found
    assert "reporting/report.py" not in found


def test_other_imports_are_none_of_ours() -> None:
    assert imported_files("import numpy\nfrom pathlib import Path\nimport radlibrary") == []


def test_code_is_without_prose(project: Path) -> None:
    assert "Some prose" not in code_of(chapter("first"))
    assert any(file.name == "report.py" for file in modules_of(chapter("first")))
