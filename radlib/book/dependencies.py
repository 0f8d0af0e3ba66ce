"""What a chapter's page depends on: its code cells and the modules of radlib that it imports, directly or not."""

from __future__ import annotations

from pathlib import Path

from radlib.book.parameters import read_notebook
from radlib.book.registry import Chapter
from radlib.core.files import write_text_if_changed
from radlib.study.code import imported_files


def code_of(chapter: Chapter) -> str:
    """The code cells alone. Prose is not in it: a chapter whose text changes need not run again."""
    return "\n\n".join(cell.source for cell in read_notebook(chapter.source).cells if cell.cell_type == "code") + "\n"


def write_code(chapter: Chapter, folder: Path) -> Path:
    """Keep :func:`code_of` as a file whose modification time changes only with its content."""
    file = folder / f"{chapter.name}.py"
    write_text_if_changed(file, code_of(chapter))
    return file


def modules_of(chapter: Chapter) -> list[Path]:
    """The files of radlib that the chapter's code reaches through imports, sorted."""
    return imported_files(code_of(chapter))
