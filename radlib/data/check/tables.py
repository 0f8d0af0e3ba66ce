"""Checks of one table against its description: every problem, not the first."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from radlib.core.errors import RadlibError
from radlib.data.findings import Finding, Kind, plural, shorten
from radlib.data.manifests import Column, File, Known, Table
from radlib.data.tables import read_rows

_DATES = ("%Y.%m.%d", "%Y-%m-%d", "%m/%d/%Y")


def check_table_file(dataset: str, root: Path, file: File) -> tuple[list[Finding], int]:
    """All findings of one file of a manifest that exists below ``root``, and the bytes read."""

    def found(kind: Kind, message: str) -> Finding:
        return Finding("error", kind, dataset, message, file=file.path)

    try:
        content = (root / file.path).read_bytes()
    except OSError as error:
        return [found("unreadable", f"cannot be read: {error.strerror}")], 0
    findings = []
    if file.sha256 and (digest := hashlib.sha256(content).hexdigest()) != file.sha256:
        findings.append(found("wrong-checksum", f"SHA-256 is {digest}, the manifest says {file.sha256}"))
    if file.table is not None:
        try:
            delimiter = {"csv": ",", "tsv": "\t"}.get(file.table.format)
            rows = [row for row in read_rows(root / file.path, content, delimiter=delimiter).cells if any(row)]
        except RadlibError as error:
            findings.append(found("unreadable", f"not a readable {file.table.format} table: {error.problem}"))
        else:
            findings += check_rows(dataset, file.path, rows, file.table)
    return findings, len(content)


def check_rows(dataset: str, path: str, rows: list[list[str]], table: Table) -> list[Finding]:
    """All findings of the rows of a table, header first.

    Args:
        dataset: name of the data set, for the findings.
        path: path of the file, for the findings.
        rows: the cells as text; an empty list gives one ``row-count`` finding.
        table: what the table must hold.
    """
    report = _TableReport(dataset, path, table)
    if not rows:
        report.add("row-count", f"the table is empty; {table.rows} rows are expected", count=0)
        return report.findings

    header = [cell.strip() for cell in rows[0]]
    body = [[cell.strip() for cell in row] for row in rows[1:]]
    body = [row for row in body if row[0] not in table.skip]
    width = len(header) + table.row_names

    _check_header(report, header, table)
    ragged = [(number, len(row)) for number, row in enumerate(body, start=1) if len(row) != width]
    if ragged:
        listed = shorten(f"row {number} has {length}" for number, length in ragged)
        report.add("ragged-row", f"rows without exactly {width} cells: {listed}", count=len(ragged))
    if len(body) != table.rows:
        report.add("row-count", f"{plural(len(body), 'row')} of data, {table.rows} expected", count=len(body))

    even = [row for row in body if len(row) == width]
    names = [row[0] for row in even] if table.row_names else []
    offset = int(table.row_names)
    cells = {name: [row[i + offset] for row in even] for i, name in enumerate(header)}
    _check_key(report, names, cells, table)
    _check_cells(report, cells, table)
    return report.findings


class _TableReport:
    """Collects findings; turns those that the manifest declares into notes."""

    def __init__(self, dataset: str, path: str, table: Table) -> None:
        self.dataset, self.path, self.known = dataset, path, table.known
        self.findings: list[Finding] = []

    def add(self, kind: Kind, message: str, *, columns: tuple[str, ...] = (), count: int | None = None) -> None:
        self.findings.append(
            Finding("error", kind, self.dataset, message, file=self.path, columns=columns, count=count)
        )

    def add_by_column(self, kind: Kind, counts: dict[str, int], describe: Callable[[list[str]], str]) -> None:
        """One finding for what the manifest knows (as a note) and one for what it does not."""
        left = dict(counts)
        for known in self.known:
            if known.kind != kind:
                continue
            columns = [name for name in left if _is_named(known, name)]
            total = sum(left[name] for name in columns)
            if columns and known.count in (None, total):
                self.add(kind, describe(columns), columns=tuple(columns), count=total)
                self.findings[-1] = self.findings[-1].as_note(known.note)
                for name in columns:
                    del left[name]
        if left:
            self.add(kind, describe(list(left)), columns=tuple(left), count=sum(left.values()))


def _is_named(known: Known, column: str) -> bool:
    return known.columns is None or Column(pattern=known.columns, type="text", meaning="-").matches(column)


def _check_header(report: _TableReport, header: list[str], table: Table) -> None:
    if len(header) != table.fields:
        report.add(
            "column-count", f"the header has {len(header)} fields, {table.fields} are expected", count=len(header)
        )
    report.add_by_column(
        "duplicate-column",
        {name: count for name, count in Counter(header).items() if count > 1},
        lambda columns: f"named more than once in the header: {shorten(map(repr, columns))}",
    )
    for column in table.columns:
        matching = [name for name in header if column.matches(name)]
        if column.name is not None and not matching:
            report.add("missing-column", f"there is no column {column.name!r}", columns=(column.name,))
        if column.count is not None and len(matching) != column.count:
            report.add(
                "column-count",
                f"{len(matching)} columns match {column.pattern!r}, {column.count} are expected",
                count=len(matching),
            )
    extra = [name for name in header if not any(column.matches(name) for column in table.columns)]
    if extra:
        report.add(
            "extra-column",
            f"columns that the manifest does not describe: {shorten(map(repr, extra))}",
            columns=tuple(extra),
            count=len(extra),
        )


def _check_key(report: _TableReport, names: list[str], cells: dict[str, list[str]], table: Table) -> None:
    if table.row_names:
        keys = [(name,) for name in names]
    elif table.key and all(name in cells for name in table.key):
        keys = list(zip(*(cells[name] for name in table.key), strict=True))
    else:
        return
    twice = [" / ".join(key) for key, count in Counter(keys).items() if count > 1]
    if twice:
        report.add("duplicate-id", f"more than one row for {shorten(twice)}", columns=table.key, count=len(twice))


def _check_cells(report: _TableReport, cells: dict[str, list[str]], table: Table) -> None:
    na = set(table.na)
    samples: dict[Kind, dict[str, list[str]]] = defaultdict(dict)
    missing: dict[str, int] = {}
    constant: dict[str, int] = {}
    for name, values in cells.items():
        present = [value for value in values if value not in na]
        if len(present) < len(values):
            missing[name] = len(values) - len(present)
        if len(values) > 1 and len(set(present)) <= 1 and len(present) in (0, len(values)):
            constant[name] = 1
        column = next((column for column in table.columns if column.matches(name)), None)
        if column is not None:
            for kind, wrong in _wrong_values(present, column).items():
                samples[kind][name] = wrong

    def describe(text: str, kind: Kind) -> Callable[[list[str]], str]:
        return lambda columns: text.format(
            values=shorten(repr(value) for name in columns for value in dict.fromkeys(samples[kind][name])),
            columns=shorten(columns),
        )

    texts: dict[Kind, str] = {
        "text-in-number": "text where numbers belong: {values} in {columns}",
        "infinite-value": "infinite: {values} in {columns}",
        "unexpected-value": "unexpected: {values} in {columns}",
        "out-of-range": "outside the possible range: {values} in {columns}",
    }
    for kind, text in texts.items():
        counts = {name: len(values) for name, values in samples[kind].items()}
        report.add_by_column(kind, counts, describe(text, kind))
    report.add_by_column(
        "missing-value",
        missing,
        lambda columns: (
            f"{sum(missing[name] for name in columns)} of the cells are missing, in {plural(len(columns), 'column')}: "
            f"{shorten(f'{name} ({missing[name]})' for name in columns)}"
        ),
    )
    report.add_by_column(
        "constant-column",
        constant,
        lambda columns: f"{plural(len(columns), 'column')} with a single value or none: {shorten(columns)}",
    )


def _wrong_values(values: list[str], column: Column) -> dict[Kind, list[str]]:
    wrong: dict[Kind, list[str]] = defaultdict(list)
    for value in values:
        kind = _fault(value, column)
        if kind is not None:
            wrong[kind].append(value)
    return wrong


def _fault(value: str, column: Column) -> Kind | None:
    if column.type in ("number", "integer"):
        try:
            number = float(value.replace("_", "?"))  # Python would take 1_000 for a number
        except ValueError:
            return "text-in-number"
        if math.isnan(number):
            return "text-in-number"
        if math.isinf(number):
            return "infinite-value"
        if column.type == "integer" and number != int(number):
            return "unexpected-value"
        if (column.low is not None and number < column.low) or (column.high is not None and number > column.high):
            return "out-of-range"
    elif column.type == "category":
        assert column.values is not None
        return None if value in column.values else "unexpected-value"
    elif column.type == "date":
        return None if any(_is_date(value, style) for style in _DATES) else "unexpected-value"
    return None


def _is_date(value: str, style: str) -> bool:
    try:
        datetime.strptime(value, style)
    except ValueError:
        return False
    return True
