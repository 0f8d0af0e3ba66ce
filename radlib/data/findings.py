"""What a check found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

Severity = Literal["error", "note"]

Kind = Literal[
    # files
    "missing-file",
    "extra-file",
    "wrong-checksum",
    "unreadable",
    "truncated-gzip",
    "corrupt-gzip",
    # images
    "bad-header",
    "truncated-volume",
    "shape-differs",
    "affine-differs",
    "unexpected-shape",
    "unexpected-spacing",
    "non-finite",
    "constant-image",
    "no-background",
    "unexpected-label",
    "duplicate-image",
    "duplicate-subject",
    "duplicate-id",
    "subject-count",
    # tables
    "row-count",
    "column-count",
    "missing-column",
    "extra-column",
    "duplicate-column",
    "ragged-row",
    "text-in-number",
    "infinite-value",
    "missing-value",
    "constant-column",
    "unexpected-value",
    "out-of-range",
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Finding:
    """One problem, or one known blemish.

    Attributes:
        severity: ``error``, or ``note`` for what the manifest declares as known.
        kind: one of :data:`KINDS`.
        dataset: the data set's name.
        message: what is wrong, with the offending values.
        file: path below the root that was checked.
        subject: the subject concerned.
        columns: the columns concerned.
        count: how many cells, voxels, files or columns are concerned.
    """

    severity: Severity
    kind: Kind
    dataset: str
    message: str
    file: str | None = None
    subject: str | None = None
    columns: tuple[str, ...] = ()
    count: int | None = None

    def as_note(self, why: str) -> Finding:
        """The same as a note that says why it is expected."""
        return replace(self, severity="note", message=f"{self.message} (known: {why})")


@dataclass
class CheckReport:
    """What was checked and what was found."""

    datasets: list[str]
    roots: list[str]
    findings: list[Finding] = field(default_factory=list)
    tables: int = 0  # read
    subjects: int = 0  # with at least one image
    images: int = 0  # read
    bytes: int = 0  # read
    seconds: float = 0.0

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def notes(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "note"]

    @property
    def ok(self) -> bool:
        """No errors; notes are allowed."""
        return not self.errors

    def counts(self) -> dict[str, int]:
        """How many errors of each kind."""
        return dict(Counter(finding.kind for finding in self.errors))

    def to_json(self) -> dict[str, Any]:
        """For programs: everything, in plain types."""
        content = asdict(self)
        content["findings"] = [asdict(finding) for finding in self.findings]
        return content | {"ok": self.ok, "errors": len(self.errors), "notes": len(self.notes)}


def shorten(values: Iterable[object], *, limit: int = 5) -> str:
    """The first few values, and how many more there are."""
    items = [str(value) for value in values]
    text = ", ".join(items[:limit])
    return f"{text} and {len(items) - limit} more" if len(items) > limit else text


def plural(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
