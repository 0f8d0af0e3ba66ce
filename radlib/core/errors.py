"""The one kind of error that a user meets: it says what is wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path


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
