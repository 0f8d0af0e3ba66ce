import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml
from filelock import FileLock

from radlib.book.parameters import read_notebook
from radlib.book.publish import ANSWER, answer_first, merge, publish_chapter, status
from radlib.book.registry import chapter
from radlib.book.run import gate, run_chapter
from radlib.core.errors import RadlibError
from radlib.core.paths import run_dir
from radlib.data.cohort import Cohort, participants_table

pytestmark = pytest.mark.filterwarnings(
    # ZeroMQ and nbclient, inside papermill: a kernel of the test's own on this machine
    "ignore::DeprecationWarning",
    "ignore::RuntimeWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)


def run(name: str, **options: object) -> Path:
    return run_chapter(chapter(name), cohort="simulated", profile="smoke", **options)  # type: ignore[arg-type]


def test_a_whole_run_and_its_page(project: Path) -> None:
    path = run("first", overrides={"weights": [3.0]})
    folder = path.parent
    notebook = nbformat.read(path, as_version=4)
    injected = [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert len(injected) == 1
    assert "hide-input" in injected[0].metadata["tags"]
    assert json.loads((folder / "parameters.json").read_text()) == {
        "cohort": "simulated", "profile": "smoke", "seed": 0, "n": 5, "weights": [3.0],
    }  # fmt: skip
    assert len((folder / "tables/draws.csv").read_text().splitlines()) == 6
    assert str(project) not in json.dumps(notebook.metadata)

    # The page: prose as it is now, outputs from the run.
    source = chapter("first").source
    source.write_text(source.read_text().replace("Some prose.", "Better prose."))
    page = publish_chapter(chapter("first"), cohort="simulated", profile="smoke", book=project / "book")
    text = page.read_text()
    assert "Better prose." in text
    assert "There are 5 draws." in text
    assert "ran in" in text
    cells = json.loads(text)["cells"]
    folds = [cell["metadata"]["mystnb"]["code_prompt_show"] for cell in cells if "mystnb" in cell["metadata"]]
    assert folds == ["All parameters", "Parameters of this run", "Imports"]
    assert (project / "book/chapters/first/tables/draws.csv").is_file()

    # Other code is no longer what ran.
    source.write_text(source.read_text().replace("size=n", "size=n + 1"))
    with pytest.raises(RadlibError, match="has changed"):
        publish_chapter(chapter("first"), cohort="simulated", profile="smoke", book=project / "book")


def test_a_failing_cell_leaves_a_log_and_no_notebook(project: Path) -> None:
    source = chapter("first").source
    source.write_text(source.read_text().replace("size=n)", "size=n) / undefined"))
    with pytest.raises(RadlibError, match="NameError"):
        run("first")
    folder = run_dir(cohort="simulated", profile="smoke", chapter="first")
    assert "NameError" in (folder / "log.txt").read_text()
    assert (folder / "failed.ipynb").is_file()
    assert not (folder / "notebook.ipynb").exists()
    assert not (folder / "results.json").exists()
    page = publish_chapter(chapter("first"), cohort="simulated", profile="smoke", book=project / "book")
    assert "has not run to its end" in page.read_text()


def test_a_cohort_without_what_a_chapter_needs_is_no_failure(project: Path) -> None:
    source = chapter("first").source
    lacking = (
        'from radlib.core.errors import MissingDataError\nraise MissingDataError("no gene expression")\ndraws = rng'
    )
    source.write_text(source.read_text().replace("draws = rng", lacking))
    with pytest.raises(RadlibError, match="no gene expression"):  # a simulated cohort has everything
        run("first")
    run_chapter(chapter("first"), cohort="real", profile="smoke")
    folder = run_dir(cohort="real", profile="smoke", chapter="first")
    assert json.loads((folder / "results.json").read_text())["unmet"] == "no gene expression."
    page = publish_chapter(chapter("first"), cohort="real", profile="smoke", book=project / "book").read_text()
    assert "The cohort does not have what this chapter needs" in page
    assert "no gene expression" in page
    assert status(cohort="real", profile="smoke").loc[0, "state"] == "the cohort lacks what it needs"

    # A chapter that reads this one says why there is nothing to read.
    source = chapter("second").source
    source.write_text(
        source.read_text().replace(
            "draws = pd", lacking.replace("gene expression", "draws").removesuffix("draws = rng") + "draws = pd"
        )
    )
    run_chapter(chapter("second"), cohort="real", profile="smoke")
    unmet = json.loads((folder.parent / "second" / "results.json").read_text())["unmet"]
    assert "no draws." in unmet
    assert "the chapter first leaves, which could not run on this cohort: no gene expression." in unmet


def test_a_killed_run_resumes_to_the_same_tables(project: Path) -> None:
    whole = run("first").parent
    expected = {file.name: file.read_bytes() for file in (whole / "tables").iterdir()}
    results = (whole / "results.json").read_bytes()
    source = chapter("first").source
    text = source.read_text()
    here = project / "here"
    wait = f"import pathlib, time; pathlib.Path({str(here)!r}).touch(); time.sleep(60)"
    for before in ("draws = rng", 'report.table("draws"', "report.finish()"):
        source.write_text(text.replace(before, f"{wait}\n{before}"))
        job = subprocess.Popen(
            [sys.executable, "-m", "radlib.cli", "chapter", "run", "first", "--profile", "smoke"],
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while not here.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert here.exists(), before
        here.unlink()
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        assert not (whole / "notebook.ipynb").exists()
        source.write_text(text)
        run("first")
        assert {file.name: file.read_bytes() for file in (whole / "tables").iterdir()} == expected
        assert (whole / "results.json").read_bytes() == results


def test_a_run_starts_from_a_clean_directory(project: Path) -> None:
    """What an older run showed, or a killed one left half written, is in no table of the next."""
    folder = run_dir(cohort="simulated", profile="smoke", chapter="first")
    for name in ("tables/old.csv", "tables/.part-x.csv", "arrays/.part-y.npy", "arrays/kept.npy"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    run("first")
    left = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert {"tables/draws.csv", "arrays/kept.npy"} <= left
    assert not {"tables/old.csv", "tables/.part-x.csv", "arrays/.part-y.npy"} & left
    (folder / "tables/.part-z.csv").write_text("")
    publish_chapter(chapter("first"), cohort="simulated", profile="smoke", book=project / "book")
    assert [file.name for file in (project / "book/chapters/first/tables").iterdir()] == ["draws.csv"]

    # A damaged notebook or record of the run is named, with the way out.
    for name in ("timing.json", "notebook.ipynb"):
        (folder / name).write_text("{")
        with pytest.raises(RadlibError, match=rf"{name}.*Remedy: run the chapter"):
            publish_chapter(chapter("first"), cohort="simulated", profile="smoke", book=project / "book")


def test_a_damaged_image_or_table_fails_the_chapter_and_is_named_on_its_page(project: Path) -> None:
    """Also on a user's cohort, where what merely lacks is no failure."""
    data = project / "data"
    data.mkdir()
    (data / "p1_t1.nii.gz").write_bytes(b"\x1f\x8b no gzip")
    description = project / "mine.yml"
    description.write_text("name: mine\nroot: data\nimages: {t1: '{id}_t1.nii.gz'}\n")
    source = chapter("first").source
    opening = (
        "from radlib.data.sources import open_cohort\n"
        'open_cohort("brats2017", cohort=cohort, profile=profile).volume("p1", "t1")\ndraws = rng'
    )
    source.write_text(source.read_text().replace("draws = rng", opening))
    with pytest.raises(RadlibError, match=r"the compressed stream is damaged.*p1_t1\.nii\.gz"):
        run_chapter(chapter("first"), cohort=str(description), profile="smoke")
    page = publish_chapter(chapter("first"), cohort=str(description), profile="smoke", book=project / "book")
    assert "p1_t1.nii.gz" in page.read_text()

    made = project / "runs/simulated/smoke/_cohorts/brats2017"
    table = pd.DataFrame({"gene": [1.0]}, index=["p1"])
    Cohort(
        name="c", source="simulated", root=made, participants=participants_table([{"id": "p1"}]), expression=table
    ).save(made)
    (made / "expression.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(RadlibError, match=r"not a readable table.*expression\.parquet.*make the cohort again"):
        run("first")


def test_a_parameter_is_a_value_never_code(project: Path) -> None:
    """Whatever a profile holds, papermill writes it as a literal."""
    trap = project / "trap"
    code = f"""'); open({str(trap)!r}, "w"); ('\n\"\"\" # {{{{1 + 1}}}} \\"""
    source = chapter("first").source
    text = source.read_text().replace("n: int = 3", 'label: str = ""  # a text\nn: int = 3')
    source.write_text(
        text.replace("report.finish()", 'report.sentence("the label is " + repr(label))\nreport.finish()')
    )
    profile = {"chapters": {"first": {"n": 2, "label": code}}}
    (project / "notebooks/profiles/smoke.yml").write_text(yaml.safe_dump(profile))
    path = run("first")
    assert not trap.exists()
    assert json.loads((path.parent / "parameters.json").read_text())["label"] == code
    shown = [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", [])]
    assert any(f"the label is {code!r}" in str(o.get("data", {}).get("text/markdown", "")) for o in shown)


def test_a_full_disk_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("radlib.book.run.nbformat.write", full)
        with pytest.raises(RadlibError, match="the disk is full, so that chapter 'first' could not be finished"):
            run("first")
    folder = run_dir(cohort="simulated", profile="smoke", chapter="first")
    assert not (folder / "notebook.ipynb").exists()
    assert not (folder / "results.json").exists()
    run("first")  # the lock is free again


def test_two_runs_at_once_are_refused(project: Path) -> None:
    folder = run_dir(cohort="simulated", profile="smoke", chapter="first")
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(RadlibError, match="another process"):
        run("first")


def test_the_gate() -> None:
    def notebook(duration: float | None, *outputs: object) -> nbformat.NotebookNode:
        cell = nbformat.v4.new_code_cell("x = 1", outputs=list(outputs), metadata={"papermill": {"duration": duration}})
        return nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"end_time": "now"}})

    gate(notebook(0.1))
    with pytest.raises(RadlibError, match="did not run"):
        gate(notebook(None))
    error = nbformat.v4.new_output("error", ename="KeyboardInterrupt", evalue="", traceback=[])
    with pytest.raises(RadlibError, match="KeyboardInterrupt"):
        gate(notebook(0.1, error))
    killed = notebook(0.1)
    killed.metadata["papermill"]["end_time"] = None
    with pytest.raises(RadlibError, match="no end"):
        gate(killed)


def test_merge_keeps_the_injected_cell_behind_the_parameters(project: Path) -> None:
    source = read_notebook(chapter("first").source)
    executed = source.copy()
    executed.cells = [cell.copy() for cell in source.cells]
    for cell in executed.cells:
        cell.metadata["papermill"] = {"duration": 0.1}
    injected = nbformat.v4.new_code_cell(
        "n = 5", metadata={"tags": ["injected-parameters"], "papermill": {"duration": 0}}
    )
    executed.cells.insert(2, injected)
    executed.metadata["papermill"] = {"end_time": "now"}
    assert [cell.source for cell in merge(executed, source).cells] == [cell.source for cell in executed.cells]


def test_the_answer_stands_below_the_claim() -> None:
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell

    def says(source: str, words: str) -> nbformat.NotebookNode:
        return code(source, outputs=[nbformat.v4.new_output("display_data", data={"text/markdown": words})])

    def page(*cells: nbformat.NotebookNode) -> list[str]:
        return [cell.source for cell in answer_first(nbformat.v4.new_notebook(cells=list(cells))).cells]

    title, work, data = text("# Title"), code("study.run()"), text("## Data")
    answer, sentence = text(ANSWER), says("report.sentence(answer)", "It is 5.")
    summary, finish = text("## Summary"), says("report.finish()", "*1 table*")
    assert page(title, work, answer, sentence, data, summary, finish) == [
        "# Title", ANSWER, "report.sentence(answer)", "study.run()", "## Data", "## Summary", "report.finish()",
    ]  # fmt: skip
    assert page(title, work, summary, sentence, finish)[:3] == ["# Title", f"{ANSWER}\n\nIt is 5.", "study.run()"]
    assert page(title, work, data) == ["# Title", "study.run()", "## Data"]
    assert page(title, work, summary, finish) == ["# Title", "study.run()", "## Summary", "report.finish()"]
