"""The one kind of error that a user meets: it says what is wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class RadlibError(ValueError):
    """A problem with an input, a file or a parameter that the user can mend.

    Args:
        problem: what is wrong, with the offending value in it.
        file: the file (or folder) concerned, if any.
        remedy: what to do about it, as an instruction.
    """

    def __init__(self, problem: str, *, file: Path | str | None = None, remedy: str | None = None) -> None:
        self.problem = problem
        self.file = Path(file) if file is not None else None
        self.remedy = remedy
        parts = [problem.rstrip(".")]
        if file is not None:
            parts.append(f"File: {file}")
        if remedy:
            parts.append(f"Remedy: {remedy.rstrip('.')}")
        super().__init__(". ".join(parts) + ".")


class MissingDataError(RadlibError):
    """A data set, modality or column that the work at hand needs is not there."""


def first_problem(error: ValueError) -> str:
    """The first problem that a model of pydantic found, with its place: ``rows.3.n: Input should be ...``.

    Another ValueError, such as that of a file that is no text, is given in its own words.
    """
    found = getattr(error, "errors", None)
    if found is None:
        return str(error)
    first = found()[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)


def problems_of(error: Any) -> str:
    """What a pydantic ``ValidationError`` says, field by field, with the values that were given."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg'].removeprefix('Value error, ')} "
        f"(got {item['input']!r:.60})"
        for item in error.errors()
    )
