"""Which code decides a result: the modules of radlib that it reaches through imports, as syntax trees.

Comments, docstrings and line breaks are not in a syntax tree, so that a better explanation computes nothing anew.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from radlib.core.paths import project_root

#: What is reached through these decides no number: they draw, write, hold printed values, or carry results around. What
#: the readers make of files is in a cohort's fingerprint itself, as tables and checksums.
OUTSIDE = (
    "radlib.plots", "radlib.book", "radlib.cli", "radlib.study", "radlib.core",
    "radlib.data.published", "radlib.data.readers", "radlib.data.tables", "radlib.data.check", "radlib.data.findings",
)  # fmt: skip
#: But these do, although they lie in one of the rooms above.
INSIDE = ("radlib.study.cohorts", "radlib.core.seeds")
#: Digests that were asked for, with the files that they are of and when these changed: hundreds of jobs ask for one.
_ASKED: dict[tuple[str, ...], tuple[list[tuple[str, Path, int]], str]] = {}
#: Modules by these names draw, whichever room they are in.
DRAWING = ("figures", "plots", "pages")


@cache
def decides(module: str) -> bool:
    """Whether the code of a module belongs to a result that reaches it."""
    if module in INSIDE:
        return True
    if module.rpartition(".")[2] in DRAWING:
        return False
    return not any(module == room or module.startswith(f"{room}.") for room in OUTSIDE)


def code_digest(modules: Iterable[str]) -> str:
    """A digest of the syntax trees of ``modules`` and of every module that they reach and that decides results."""
    names = tuple(modules)
    asked = (str(project_root()), *names)
    files, digest = _ASKED.get(asked, ([], ""))
    if not digest or any(os.stat(file).st_mtime_ns != changed for _, file, changed in files):
        files = [(module, file, file.stat().st_mtime_ns) for module, file in sorted(reached(names).items())]
        text = "\n".join(f"{module} {_digest(file, changed)}" for module, file, changed in files)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        _ASKED[asked] = files, digest
    return digest


def reached(modules: Iterable[str]) -> dict[str, Path]:
    """The modules of radlib that ``modules`` reach through ``import``, at the top or inside functions, with files.

    Modules that decide nothing (:func:`decides`) are left out, and so is what only they reach.
    """
    root = project_root()
    found: dict[str, Path] = {}
    todo = [name for module in modules for name in _with_packages(module, root)]
    while todo:
        module = todo.pop()
        if module in found or not decides(module):
            continue
        file = _file(module, root)
        if file is None:
            continue
        found[module] = file
        todo.extend(_imports(file, file.stat().st_mtime_ns, root))
    return found


def imported_files(code: str) -> list[Path]:
    """The files of radlib that ``code`` reaches through imports, whatever they decide, sorted."""
    root = project_root()
    seen: set[Path] = set()
    todo = [name for module in _names(ast.parse(code)) for name in _with_packages(module, root)]
    while todo:
        file = _file(todo.pop(), root)
        if file is not None and file not in seen:
            seen.add(file)
            todo.extend(_imports(file, file.stat().st_mtime_ns, root))
    return sorted(seen)


def _names(tree: ast.AST) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == "radlib")


@cache
def _imports(file: Path, _changed: int, root: Path) -> frozenset[str]:
    """The modules that a file imports, and the packages above them."""
    names = _names(ast.parse(file.read_text(encoding="utf-8")))
    return frozenset(part for name in names for part in _with_packages(name, root))


def _with_packages(module: str, root: Path) -> list[str]:
    """A module and the packages above it; nothing for a name that is no module (a function that was imported)."""
    if _file(module, root) is None:
        return []
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


@cache
def _file(module: str, root: Path) -> Path | None:
    path = root / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _digest(file: Path, _changed: int) -> str:
    return syntax_digest(file.read_text(encoding="utf-8"))


def syntax_digest(code: str) -> str:
    """A digest of what ``code`` does: its syntax tree without docstrings; the same for every version of Python."""
    return hashlib.sha256(repr(_tree(ast.parse(code))).encode()).hexdigest()[:16]


def _tree(node: object) -> object:
    if isinstance(node, ast.AST):
        fields = {}
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                value = [entry for place, entry in enumerate(value) if not (place == 0 and _is_text(entry))]
            # Fields that are empty are left out: newer versions of Python have more of them.
            if value is not None and value != [] and name not in ("kind", "type_comment"):
                fields[name] = _tree(value)
        return (type(node).__name__, fields)
    if isinstance(node, list):
        return [_tree(entry) for entry in node]
    return node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
