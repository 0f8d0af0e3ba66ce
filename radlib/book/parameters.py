"""A chapter's parameters and the profiles that override them.

The parameters cell is the one place that declares a parameter: ``n_folds: int = 4  # patient-level folds``. It is read
as syntax, never executed here, and values are literals only.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml
from jupytext.combine import combine_inputs_with_outputs

from radlib.book.registry import Chapter, chapters
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, reading
from radlib.study.cohorts import profile_file, read_profile

#: Parameters that every chapter has; the runner sets them, a profile may not.
COMMON = ("cohort", "profile", "seed")

#: Key of a notebook's metadata: the digest of its cells when it was last written here.
_SYNCED = "radlib_synced"

_TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: name, type as written (``list[int]``), default, and the comment behind it."""

    name: str
    type: str
    default: Any
    help: str


def read_notebook(source: Path, text: str | None = None) -> nbformat.NotebookNode:
    """The py:percent file as a notebook, with ids that depend on position only (so that it is reproducible).

    Args:
        source: the file.
        text: what to read in place of its content.

    Raises:
        RadlibError: if it is no Python notebook or has no kernel in its header.
    """
    try:
        notebook = copy.deepcopy(_notebook_of(source.read_text(encoding="utf-8") if text is None else text))
    except (OSError, ValueError) as error:
        raise RadlibError(f"the chapter cannot be read: {error}", file=source) from error
    kernel = notebook.metadata.get("kernelspec", {})
    if kernel.get("language") != "python":
        raise RadlibError(
            "the header names no Python kernel",
            file=source,
            remedy="begin the chapter with the header of notebooks/_template.py",
        )
    for position, cell in enumerate(notebook.cells):
        cell.id = f"cell-{position}"
    return notebook


@cache
def _notebook_of(text: str) -> nbformat.NotebookNode:
    return jupytext.reads(text, fmt="py:percent")


def declared_parameters(source: Path, text: str | None = None) -> dict[str, Parameter]:
    """The parameters cell of a chapter, by name; of ``text`` where it stands in for the file's content.

    Raises:
        RadlibError: if there is not exactly one such cell, or an entry lacks its type, its default or its comment.
    """
    cells = [cell for cell in read_notebook(source, text).cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise RadlibError(f"{len(cells)} cells are tagged `parameters`", file=source, remedy="tag exactly one")
    lines = cells[0].source.splitlines()
    found: dict[str, Parameter] = {}
    for node in ast.parse(cells[0].source).body:
        comment = lines[node.end_lineno - 1].partition("#")[2].strip() if node.end_lineno else ""
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value and comment):
            raise RadlibError(
                f"line {node.lineno} of the parameters cell is no typed parameter: {lines[node.lineno - 1]!r}",
                file=source,
                remedy="write `name: type = default  # what it is`",
            )
        name = node.target.id
        try:
            default = ast.literal_eval(node.value)
        except ValueError as error:
            raise RadlibError(f"the default of {name!r} is no literal", file=source) from error
        found[name] = Parameter(name=name, type=ast.unparse(node.annotation), default=default, help=comment)
        check_value(found[name], default, file=source)
    if lacking := [name for name in COMMON if name not in found]:
        raise RadlibError(f"the parameters cell lacks {', '.join(lacking)}", file=source)
    return found


def check_value(parameter: Parameter, value: Any, *, file: Path | None = None) -> Any:
    """The value, converted from int to float where a float is declared.

    Raises:
        RadlibError: if it is of another type than declared, or not finite.
    """
    outer, _, inner = parameter.type.partition("[")
    wanted = _TYPES.get(outer)
    if wanted is None:
        raise RadlibError(f"{parameter.name!r} has the unknown type {parameter.type!r}", file=file)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)

    def fits(item: Any, kind: type) -> bool:
        number = kind is float and isinstance(item, int)
        infinite = isinstance(item, float) and not math.isfinite(item)
        return (
            (isinstance(item, kind) or number)
            and (kind in (bool, object) or not isinstance(item, bool))
            and not infinite
        )

    ok = fits(value, wanted)
    if ok and wanted is list and inner:
        ok = all(fits(item, _TYPES.get(inner.rstrip("]"), object)) for item in value)
    if not ok:
        raise RadlibError(f"parameter {parameter.name!r} is {value!r}, which is no {parameter.type}", file=file)
    return value


def resolve(
    chapter: Chapter, *, profile: str, cohort: str = "simulated", overrides: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The parameters to inject: the profile's for this chapter (on real data, then those that it has for real data),
    then ``overrides``; the rest keeps its default.

    Raises:
        RadlibError: on a name that the chapter does not declare (the message gives those it does) or a wrong type.
    """
    declared = declared_parameters(chapter.source)
    file = profile_file(profile)
    content = load_profile(profile)
    chosen = dict(content["chapters"].get(chapter.name) or {})
    if cohort == "real":
        chosen |= content["real"].get(chapter.name) or {}
    if set_by_runner := [name for name in COMMON if name in chosen]:
        raise RadlibError(f"{', '.join(set_by_runner)} cannot be set by a profile", file=file)
    if set_by_runner := [name for name in COMMON if name in (overrides or {})]:
        raise RadlibError(
            f"{', '.join(set_by_runner)} cannot be set like another parameter: it decides where results lie",
            remedy=f"use {', '.join(f'--{name}' for name in set_by_runner)}",
        )
    chosen |= overrides or {}
    for name, value in chosen.items():
        if name not in declared:
            raise RadlibError(
                f"chapter {chapter.name!r} has no parameter {name!r}",
                file=file,
                remedy=f"its parameters are {', '.join(declared)}",
            )
        chosen[name] = check_value(declared[name], value, file=file)
    return chosen


def load_profile(profile: str) -> dict[str, Any]:
    """The profile (:func:`radlib.study.cohorts.read_profile`), whose chapters all exist.

    Raises:
        RadlibError: if it cannot be read, or names a chapter that does not exist.
    """
    content = read_profile(profile)
    if unknown := [name for name in {**content["chapters"], **content["real"]} if name not in chapters()]:
        raise RadlibError(f"the profile names unknown chapters: {', '.join(unknown)}", file=profile_file(profile))
    return content


def parse_override(text: str, declared: dict[str, Parameter]) -> tuple[str, Any]:
    """``name=value`` from a command line; the value is read as YAML (never evaluated).

    Raises:
        RadlibError: if it has another form or the chapter has no such parameter.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise RadlibError(f"{text!r} is no parameter", remedy="write name=value")
    if name not in declared:
        raise RadlibError(f"there is no parameter {name!r}", remedy=f"choose one of {', '.join(declared)}")
    return name, check_value(declared[name], _parsed(value, declared[name]))


def _parsed(text: str, parameter: Parameter) -> Any:
    """The value of a text by the declared type: ``010`` is ten and ``1e-3`` a float, which YAML does not say."""
    outer, _, inner = parameter.type.rstrip("]").partition("[")
    try:
        if outer in _FROM_TEXT:
            return _FROM_TEXT[outer](text)
        try:
            return ast.literal_eval(text)  # literals only: nothing is evaluated
        except (ValueError, SyntaxError):
            if outer != "list" or inner not in _FROM_TEXT:
                return json.loads(json.dumps(yaml.safe_load(text)))  # true without quotes; no dates, no circles
            words = yaml.load(text, Loader=yaml.BaseLoader)  # [t1, t2]; text only, so that [010, no] is as declared
            return [_FROM_TEXT[inner](word) for word in words] if isinstance(words, list) else words
    except (ValueError, TypeError, yaml.YAMLError, RecursionError, MemoryError) as error:
        raise RadlibError(
            f"parameter {parameter.name!r} is {text!r}, which is no {parameter.type}",
            remedy=f"write a value such as {parameter.name}={parameter.default!r}",
        ) from error


def write_paired(chapter: Chapter) -> Path:
    """Bring the chapter's ``.ipynb`` and its source together; what either alone has is kept.

    Where both have the same cells nothing is written. Where the notebook is the newer, the text gets its cells. Where
    the text is the newer, the notebook gets its cells and keeps the outputs of those that have not changed; a notebook
    that was edited since it was last written here is kept beside it as ``<name>.mine.ipynb``.

    Returns:
        The notebook. It stays out of version control; the text is what counts.

    Raises:
        RadlibError: if the notebook cannot be read.
    """
    paired = chapter.source.with_suffix(".ipynb")
    text = read_notebook(chapter.source)
    if paired.is_file():
        with reading(paired, remedy="move it away; the text of the chapter is beside it"):
            before = nbformat.read(paired, as_version=4)
        if _cells(before) == _cells(text):
            return paired
        if paired.stat().st_mtime > chapter.source.stat().st_mtime:
            before.metadata.pop(_SYNCED, None)
            with atomic_path(chapter.source) as temporary:
                jupytext.write(_like(before, text), temporary, fmt="py:percent")
            text = before
        elif before.metadata.get(_SYNCED) != _digest(before):
            _keep_beside(paired)
        text = combine_inputs_with_outputs(text, before, fmt="py:percent")
    text.metadata[_SYNCED] = _digest(text)
    with atomic_path(paired) as temporary:
        jupytext.write(text, temporary, fmt="ipynb")
    return paired


def _cells(notebook: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    """What of a notebook its text holds."""
    return [(cell.cell_type, cell.source, sorted(cell.metadata.get("tags", []))) for cell in notebook.cells]


def _digest(notebook: nbformat.NotebookNode) -> str:
    return hashlib.sha256(repr(_cells(notebook)).encode()).hexdigest()


def _like(notebook: nbformat.NotebookNode, text: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with the header of the text: what a server adds to it stays out."""
    out = nbformat.v4.new_notebook(cells=notebook.cells, metadata=text.metadata)
    for cell in out.cells:
        keep = ("tags", "mystnb")
        cell.metadata = nbformat.from_dict({key: value for key, value in cell.metadata.items() if key in keep})
    return out


def _keep_beside(notebook: Path) -> None:
    number = 1
    while (kept := notebook.with_name(f"{notebook.stem}.mine{number if number > 1 else ''}.ipynb")).exists():
        number += 1
    shutil.copy2(notebook, kept)
