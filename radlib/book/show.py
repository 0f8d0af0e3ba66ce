"""Code of radlib on a chapter's page, as it stands in the package."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

from radlib.book.report import show_output
from radlib.core.errors import RadlibError

WIDTH = 88
"""Columns of a code cell."""

_ITEM = re.compile(r"(- |[\w*, ]+: )")


def show_code(*objects: type | Callable[..., object]) -> None:
    """Show the source of classes and functions, highlighted, the same in the book and in JupyterLab.

    Args:
        objects: classes, functions or methods of radlib, shown in this order in one block each.

    Raises:
        RadlibError: if one has no source.
    """
    for one in objects:
        code = code_of(one)
        show_output(f"~~~~python\n{code}\n~~~~\n", None, code)  # JupyterLab highlights Markdown's code, too


def code_of(one: type | Callable[..., object]) -> str:
    """The source of a class or function behind a comment that names its file, within :data:`WIDTH` columns.

    radlib's own lines may have 120 columns: code is broken again by ruff where that is installed, text is filled.

    Raises:
        RadlibError: if it has no source (it is built in, or a value).
    """
    try:
        found = inspect.unwrap(one)
        source, file = textwrap.dedent(inspect.getsource(found)), Path(inspect.getsourcefile(found) or "")
    except (TypeError, OSError) as error:
        raise RadlibError(f"{one!r} has no source to show", remedy="give a class or function of radlib") from error
    parts = file.parts
    start = len(parts) - 1 - parts[::-1].index("radlib") if "radlib" in parts else len(parts) - 1
    return f"# {'/'.join(parts[start:])}\n{_narrow(source).rstrip()}"


def _narrow(source: str) -> str:
    source = re.sub(r"  # fmt: skip$", "", source, flags=re.MULTILINE)
    source = "\n".join(part for line in source.splitlines() for part in _comment(line))
    try:
        from ruff import find_ruff_bin

        done = subprocess.run(
            [find_ruff_bin(), "format", "--isolated", f"--line-length={WIDTH}", "-"], input=source.encode(),
            capture_output=True, check=True,
        )  # fmt: skip
        source = done.stdout.decode()
    except (ImportError, OSError, subprocess.CalledProcessError):
        pass  # a reader without ruff sees long lines, and scrolls
    lines = source.splitlines()
    for first, last in reversed(_strings(source)):
        lines[first - 1 : last] = _filled(lines[first - 1 : last])
    return "\n".join(part for line in lines for part in (_text(line) or [line]))


def _strings(source: str) -> list[tuple[int, int]]:
    """First and last line of every docstring, in the order of the file."""
    found = [
        (node.value.lineno, node.value.end_lineno or node.value.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return sorted(found)


def _filled(lines: list[str]) -> list[str]:
    """Paragraphs and items of a docstring that are too wide, filled again with the indentation they have."""
    filled: list[str] = []
    paragraph: list[str] = []

    def flush() -> None:
        if paragraph and max(map(len, paragraph)) > WIDTH:
            indent = paragraph[0][: len(paragraph[0]) - len(paragraph[0].lstrip())]
            deeper = indent + ("    " if _ITEM.match(paragraph[0].lstrip()) and len(indent) > 4 else "")
            deeper = paragraph[1][: len(paragraph[1]) - len(paragraph[1].lstrip())] if len(paragraph) > 1 else deeper
            text = " ".join(line.strip() for line in paragraph)
            filled.extend(textwrap.wrap(
                text, WIDTH, initial_indent=indent, subsequent_indent=deeper, break_long_words=False,
                break_on_hyphens=False,
            ))  # fmt: skip
        else:
            filled.extend(paragraph)
        paragraph.clear()

    for line in lines:
        if not line.strip() or line.strip() == '"""':
            flush()
            filled.append(line)
        elif paragraph and (_ITEM.match(line.lstrip()) or len(line) - len(line.lstrip()) < _indent(paragraph)):
            flush()
            paragraph.append(line)
        else:
            paragraph.append(line)
    flush()
    return filled


def _indent(paragraph: list[str]) -> int:
    return len(paragraph[-1]) - len(paragraph[-1].lstrip())


def _text(line: str) -> list[str]:
    """A string alone on a line that is too wide, as two or more; nothing for any other line."""
    found = re.fullmatch(r'( +)(\w+=)?(f?)"([^"]+)"(,?)', line)
    if len(line) <= WIDTH or not found:
        return []
    indent, name, kind, text, comma = found.groups(default="")
    room = WIDTH - len(indent) - len(name) - len(kind) - 3
    # A space inside braces is code.
    breaks = [
        at.end() for at in re.finditer(" ", text[:room]) if text[: at.end()].count("{") == text[: at.end()].count("}")
    ]
    if not breaks:
        return []
    rest = f'{indent}{kind}"{text[breaks[-1] :]}"{comma}'
    return [f'{indent}{name}{kind}"{text[: breaks[-1]]}"', *(_text(rest) or [rest])]


def _comment(line: str) -> list[str]:
    """A comment that is too wide, on several lines; one behind code goes above it."""
    if len(line) <= WIDTH or "#" not in line:
        return [line]
    code, _, text = line.rpartition("  # ") if line.lstrip()[0] != "#" else ("", "", line.lstrip()[2:])
    if not text or not (code or line.lstrip()[0] == "#"):
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    above = textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    return [*above, code] if code else above
