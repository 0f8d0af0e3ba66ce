"""What a chapter's result depends on: its code cells and the modules of radlib that it imports, directly or not."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from radlib.book.parameters import read_notebook
from radlib.book.registry import Chapter
from radlib.core.files import write_text_if_changed
from radlib.core.paths import project_root


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


def imported_files(code: str) -> list[Path]:
    """The files of radlib that ``code`` reaches through ``import``, at the top or inside functions, transitively."""
    seen: set[Path] = set()
    todo = list(_direct(code))
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo.extend(_imports_of(file))
    return sorted(seen)


@cache
def _imports_of(file: Path) -> frozenset[Path]:
    return _direct(file.read_text(encoding="utf-8"))


def _direct(code: str) -> frozenset[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    root = project_root()
    return frozenset(file for name in names if name.split(".")[0] == "radlib" for file in _files(name, root))


@cache
def _files(module: str, root: Path) -> list[Path]:
    """The file of a module and the ``__init__`` of each package above it; nothing for a name that is no module."""
    path = root / Path(*module.split("."))
    own = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    above = [parent / "__init__.py" for parent in path.parents if root in parent.parents]
    return own + [file for file in above if file.is_file()] if own else []
