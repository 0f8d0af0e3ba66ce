"""From the manifests' evidence and the chapters' ``results.json`` to entries of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from radlib.book.claims import likeness_of
from radlib.book.ledger.verdict import Entry, Finding, Verdict, declared, judge
from radlib.book.results import Results, read_results
from radlib.data.published import Evidence, evidence, published_values


@dataclass(frozen=True)
class Run:
    """A chapter's results, and whether they were kept rather than computed in this checkout."""

    results: Results
    kept: bool = False


def collect(runs: Path, published: Path) -> list[Entry]:
    """Every published entry of the five papers, in the order of print, with its results and verdict.

    Args:
        runs: the folder of runs, ``<cohort>/<profile>/<chapter>/results.json``. It may be absent.
        published: the folder of kept results, of the same form. It may be absent.

    Raises:
        RadlibError: if a file is no ``results.json``.
    """
    found = _without_needless_smoke(list(read_runs(runs, published)))
    entries = []
    for key, value in published_values().items():
        said = evidence()[key]
        results = tuple(result for run in found for result in results_of(key, said, run))
        drawn = tuple(dict.fromkeys(one for run in found for one in _drawn(said, run.results)))
        verdict, reason = declared(said, contradiction=value.contradiction) or _judge_measured(
            key, said, results, drawn, found
        )
        entries.append(Entry(value, said, results, drawn, verdict, reason))
    return entries


def read_runs(runs: Path, published: Path) -> Iterator[Run]:
    """Every chapter's results. What was run in this checkout takes the place of what was kept.

    A chapter that could not run on a cohort leaves the kept result.
    """
    anew = {file.relative_to(runs): read_results(file) for file in sorted(runs.glob("*/*/*/results.json"))}
    yield from (Run(results) for results in anew.values())
    for file in sorted(published.glob("*/*/*/results.json")):
        own = anew.get(file.relative_to(published))
        if own is None or own.unmet:
            yield Run(read_results(file), kept=True)


def _without_needless_smoke(runs: Sequence[Run]) -> list[Run]:
    """The runs without those of the smoke profile whose chapter also ran for its numbers on the cohort."""
    whole = {(run.results.cohort, run.results.chapter) for run in runs if run.results.profile != "smoke"}
    return [
        run for run in runs
        if run.results.profile != "smoke" or (run.results.cohort, run.results.chapter) not in whole
    ]  # fmt: skip


def results_of(key: str, said: Evidence, run: Run) -> Iterator[Finding]:
    """What one run of a chapter measured for an entry, in the published unit."""
    results = run.results
    for measure in said.measured:
        if measure.chapter != results.chapter:
            continue
        for row in results.measured:
            factor = measure.matches(row)
            if factor:
                low, high = (None if limit is None else factor * limit for limit in (row.low, row.high))
                if low is not None and high is not None and factor < 0:
                    low, high = high, low
                yield Finding(
                    key, factor * row.value, low, high, row.n, row.unit, row.protocol,
                    "; ".join(dict.fromkeys(note for note in (measure.note, row.note) if note)),
                    results.source, results.profile, results.chapter, run.kept,
                    likeness_of(key.partition(".")[0], results.chapter),
                )  # fmt: skip


def _drawn(said: Evidence, results: Results) -> Iterator[tuple[str, str]]:
    for drawing in said.drawn:
        if drawing.chapter == results.chapter:
            yield from ((drawing.chapter, name) for name in drawing.figures if name in results.figures)


def _judge_measured(
    key: str, said: Evidence, results: Sequence[Finding], drawn: Sequence[tuple[str, str]], runs: Sequence[Run]
) -> tuple[Verdict, str]:
    value = published_values()[key]
    if said.drawn and not results:
        return ("drawn", "") if drawn else ("not yet", _lacking(said, runs))
    return judge(value, results, missing="" if results else _lacking(said, runs))


def _lacking(said: Evidence, runs: Sequence[Run]) -> str:
    """Why an entry that studies are to measure or chapters to draw has no result."""
    chapters = dict.fromkeys([*(m.chapter for m in said.measured), *(d.chapter for d in said.drawn)])
    reasons = [
        f"{chapter} could not run on {run.results.cohort}: {run.results.unmet}"
        for chapter in chapters
        for run in runs
        if run.results.chapter == chapter and run.results.unmet
    ]
    if reasons:
        return "; ".join(dict.fromkeys(reasons))
    ran = [chapter for chapter in chapters if any(run.results.chapter == chapter for run in runs)]
    if ran:
        return f"undefined in the run of {', '.join(ran)}"
    return f"{', '.join(chapters)} has not run"
