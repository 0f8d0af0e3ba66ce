"""From run directories to the sources of the book: executed chapters, the ledger, the status page."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from radlib.book.parameters import read_notebook
from radlib.book.pdf import html_dir
from radlib.book.registry import Chapter, chapters
from radlib.book.results import read_results
from radlib.book.run import gate
from radlib.book.templates import environment
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, read_json, reading, sha256, write_text, write_text_if_changed
from radlib.core.paths import project_root, run_dir, runs_root
from radlib.data.published import PAPERS
from radlib.stats.tables import as_text, to_markdown

ANSWER = "**The answer.**"
"""With this begins the Markdown cell above a chapter's answer."""


def book_dir() -> Path:
    """``book/`` of the checkout."""
    return project_root() / "book"


def publish_chapter(chapter: Chapter, *, cohort: str, profile: str, book: Path | None = None) -> Path:
    """Put an executed chapter, with its figures and tables, where Jupyter Book finds it.

    The outputs come from the run, the prose from the source as it is now, so that a change of prose needs no new run.
    A chapter without a whole run becomes a page that says so.

    Returns:
        The notebook in ``book/chapters/``.
    """
    directory = run_dir(cohort=cohort, profile=profile, chapter=chapter.name)
    out = (book or book_dir()) / "chapters"
    target = out / f"{chapter.name}.ipynb"
    executed = directory / "notebook.ipynb"
    unmet = _unmet(directory)
    if not executed.is_file() or unmet:
        notebook = _absent(chapter, directory, cohort=cohort, profile=profile, unmet=unmet)
    else:
        with reading(executed, remedy=f"run the chapter {chapter.name} again"):
            whole = nbformat.read(executed, as_version=4)
        notebook = answer_first(merge(whole, read_notebook(chapter.source), file=executed))
        _name_folds(notebook)
        _stamp_time(notebook, directory)
    for part in ("figures", "tables"):
        _mirror(directory / part, out / chapter.name / part)
    _mirror(directory / "pages", (book or book_dir()) / "generated" / "extra" / "chapters" / chapter.name / "pages")
    write_text_if_changed(target, nbformat.writes(notebook) + "\n")
    return target


def merge(
    executed: nbformat.NotebookNode, source: nbformat.NotebookNode, *, file: Path | None = None
) -> nbformat.NotebookNode:
    """The executed code cells between the source's present Markdown cells.

    Raises:
        RadlibError: if the run is not whole, or its code is no longer the source's code.
    """
    gate(executed, file=file)
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    injected = [cell for cell in code if "injected-parameters" in cell.metadata.get("tags", [])]
    own = [cell for cell in code if cell not in injected]
    wanted = [cell.source for cell in source.cells if cell.cell_type == "code"]
    if [cell.source for cell in own] != wanted:
        raise RadlibError(
            "the code of the chapter has changed since its run", file=file, remedy="run the chapter again"
        )
    merged = executed.copy()
    merged.cells = []
    queue = iter(own)
    for cell in source.cells:
        if cell.cell_type != "code":
            merged.cells.append(cell)
            continue
        merged.cells.append(next(queue))
        if "parameters" in cell.metadata.get("tags", []):
            merged.cells.extend(injected)
    return merged


def answer_first(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The page with its answer below the claim, although a notebook knows it only when its study has run.

    The answer is the cells from the Markdown cell :data:`ANSWER` to the next Markdown cell; where there are none, a
    copy of what the chapter's summary says. A chapter without either stays as it is.
    """
    cells = list(notebook.cells)
    headings = [place for place, cell in enumerate(cells) if cell.cell_type == "markdown"]

    def section(start: int) -> range:
        return range(start, next((place for place in headings if place > start), len(cells)))

    own = next((place for place in headings if cells[place].source.startswith(ANSWER)), None)
    summary = next((place for place in headings if cells[place].source.startswith("## Summary")), None)
    if own is not None:
        moved = [cells[place] for place in section(own)]
        rest = [cell for cell in cells[1:] if not any(cell is one for one in moved)]
    elif summary is not None:
        told = [cells[place] for place in section(summary) if cells[place].source.strip() != "report.finish()"]
        outputs = (output for cell in told for output in cell.get("outputs", []))
        said = [text for output in outputs if (text := output.get("data", {}).get("text/markdown"))]
        moved = [nbformat.v4.new_markdown_cell("\n\n".join([ANSWER, *said]), id="answer")] if said else []
        rest = cells[1:]
    else:
        return notebook
    notebook.cells = [cells[0], *moved, *rest]
    return notebook


def _name_folds(notebook: nbformat.NotebookNode) -> None:
    """The first folds of a chapter by what is in them: else three in a row say the same."""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        name = (
            "Parameters of this run" if "injected-parameters" in tags
            else "All parameters" if "parameters" in tags
            else "Imports" if cell.cell_type == "code" and "Report.start(" in cell.source else ""
        )  # fmt: skip
        if name:
            cell.metadata["mystnb"] = {"code_prompt_show": name, "code_prompt_hide": name}


def _stamp_time(notebook: nbformat.NotebookNode, directory: Path) -> None:
    timing = read_json(directory / "timing.json", remedy="run the chapter again")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/markdown", "")
            if "<!--wall-time-->" in text:
                output["data"]["text/markdown"] = text.replace(
                    "<!--wall-time-->", f" · ran in {timing['wall_seconds']:.0f} s"
                )


def _absent(
    chapter: Chapter, directory: Path, *, cohort: str, profile: str, unmet: str | None
) -> nbformat.NotebookNode:
    """A page in place of a chapter without results: it says why there are none."""
    if unmet:
        text = f"The cohort does not have what this chapter needs, so it has no results here.\n\n```text\n{unmet}\n```"
    else:
        text = "This chapter has not run to its end, so it has no results here."
        log = directory / "log.txt"
        last = log.read_text(encoding="utf-8").strip().splitlines()[-1:] if log.is_file() else []
        before = [name for name in chapter.needs if not _ran(name, cohort=cohort, profile=profile)]
        if last:
            text += f"\n\n```text\n{last[0]}\n```"
        elif before:
            text += f" It reads what {' and '.join(f'`{name}`' for name in before)} leaves, which has not run either."
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    kind = "note" if unmet else "warning"
    cell = nbformat.v4.new_markdown_cell(f"# {chapter.title}\n\n:::{{{kind}}}\n{text}\n:::")
    cell.id = "absent"
    notebook.cells = [cell]
    return notebook


def _ran(name: str, *, cohort: str, profile: str) -> bool:
    return (run_dir(cohort=cohort, profile=profile, chapter=name) / "results.json").is_file()


def _mirror(source: Path, target: Path) -> None:
    """Make ``target`` hold exactly the files of ``source``; unchanged files keep their times."""
    files = [path for path in source.iterdir() if path.is_file()] if source.is_dir() else []
    wanted = {path.name: path for path in files if not path.name.startswith(".")}  # of a killed run: half written
    if target.is_dir():
        for path in target.iterdir():
            if path.name not in wanted:
                path.unlink()
    for name, path in wanted.items():
        copy = target / name
        if not copy.is_file() or copy.read_bytes() != path.read_bytes():
            with atomic_path(copy) as temporary:
                shutil.copyfile(path, temporary)


def write_generated_pages(*, cohort: str, profile: str, commands: Any, book: Path | None = None) -> list[Path]:
    """The pages that are made from results and code: ledger, status, costs, command-line reference and API.

    Args:
        cohort, profile: of the runs that the status page lists.
        commands: the command line (click).
        book: the folder of the sources; default :func:`book_dir`.

    Returns:
        The files, in ``book/generated/``.
    """
    from radlib.book.answer import cards, costs_of
    from radlib.book.claims import decisions_by_kind
    from radlib.book.costs import costs_file, read_costs
    from radlib.book.costs_page import costs_figure, costs_page, figure_png
    from radlib.book.gallery import write_gallery
    from radlib.book.ledger import collect, ledger_frame, pages
    from radlib.book.reference import api_pages, command_line_page
    from radlib.book.research_objects import write_research_objects

    folder = (book or book_dir()) / "generated"
    published = project_root() / "published"
    costs = read_costs(costs_file())
    entries, found = collect(runs_root(), published), cards(decisions_by_kind(published))
    made = {
        **pages(entries, found, costs={paper: costs_of(paper) for paper in PAPERS}),
        "status.md": status_page(cohort=cohort, profile=profile),
        "costs.md": costs_page(costs),
        **api_pages(),
        "command_line.md": command_line_page(commands),
    }
    for name, text in made.items():
        write_text_if_changed(folder / name, text)
    write_text_if_changed(folder / "ledger.csv", ledger_frame(entries).to_csv(index=False))
    picture = figure_png(costs_figure(costs))
    if not (folder / "costs.png").is_file() or (folder / "costs.png").read_bytes() != picture:
        with atomic_path(folder / "costs.png") as temporary:
            temporary.write_bytes(picture)
    write_research_objects(folder / "extra" / "research", cohort=cohort, profile=profile)
    gallery = write_gallery(folder, cohort=cohort, profile=profile)
    return [gallery, *(folder / name for name in (*made, "ledger.csv", "costs.png"))]


def build_book(*, cohort: str, profile: str, commands: Any) -> Path:
    """Publish every chapter and have Jupyter Book render the book, warnings as errors.

    A chapter without results becomes a page that says so, so one failure does not take the book away. Pages that have
    not changed since a build without warnings stay, unless what shows on every page has changed.

    Returns:
        The first page.

    Raises:
        RadlibError: if Jupyter Book fails.
    """
    for chapter in chapters().values():
        publish_chapter(chapter, cohort=cohort, profile=profile)
    write_generated_pages(cohort=cohort, profile=profile, commands=commands)
    state, every_page = html_dir().parent / "every_page.txt", _every_page()
    unchanged = state.is_file() and state.read_text(encoding="utf-8") == every_page
    state.unlink(missing_ok=True)  # what fails or is killed is followed by a whole build, which says its warnings again
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "book", "--config", "_config.yml"]
    command += ["--path-output", "build", "-W", "-n", "--keep-going", "--quiet", *([] if unchanged else ["--all"])]
    if subprocess.run(command, cwd=project_root(), check=False).returncode:
        raise RadlibError("Jupyter Book did not build the book", remedy="read its messages above")
    write_text(state, every_page)
    return html_dir() / "index.html"


def _every_page() -> str:
    """What shows on every page: the table of contents, the title of each page, and the packages that draw it."""
    files = sorted(book_dir().rglob("*.md"))
    titles = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line[:2] == "# "]
    titles += [one.title for one in chapters().values()]
    lock = sha256(project_root() / "requirements.lock")
    return "\n".join([(book_dir() / "_toc.yml").read_text(encoding="utf-8"), *titles, lock, ""])


def status(*, cohort: str, profile: str) -> pd.DataFrame:
    """One row a chapter: whether it ran, seconds, peak memory, device, commit."""
    rows = []
    for chapter in chapters().values():
        directory = run_dir(cohort=cohort, profile=profile, chapter=chapter.name)
        done = (directory / "notebook.ipynb").is_file()
        provenance = _json(directory / "provenance.json") if done else {}
        timing = _json(directory / "timing.json") if done else {}
        memory = provenance.get("peak_memory_bytes")
        unmet = _unmet(directory)
        rows.append({
            "chapter": f"[{chapter.title}](/chapters/{chapter.name})",
            "state": "the cohort lacks what it needs" if unmet else "ran" if done else "no whole run",
            "seconds": timing.get("wall_seconds"),
            "peak memory (GiB)": memory / 2**30 if memory else None,
            "device": provenance.get("device", ""),
            "commit": provenance.get("commit", ""),
        })  # fmt: skip
    return pd.DataFrame(rows)


def status_page(*, cohort: str, profile: str) -> str:
    """The status page as MyST."""
    import psutil

    from radlib.book.provenance import describe

    frame = status(cohort=cohort, profile=profile)
    now = describe()
    return environment().get_template("status.md.j2").render(
        cohort=cohort, profile=profile, now=now, cores=psutil.cpu_count(),
        memory=psutil.virtual_memory().total / 2**30,
        chapters=to_markdown(as_text(frame, digits={"seconds": 0, "peak memory (GiB)": 2}, index=False)),
        packages=to_markdown(pd.DataFrame(sorted(now["versions"].items()), columns=["package", "version"])),
    )  # fmt: skip


def _unmet(directory: Path) -> str | None:
    """What the cohort lacks, where a chapter could not run on it."""
    file = directory / "results.json"
    return read_results(file).unmet if file.is_file() else None


def _json(path: Path) -> dict[str, Any]:
    return read_json(path, remedy="run the chapter again") if path.is_file() else {}
