"""From ``results.json`` files to entries of the ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from radlib.book.ledger.verdict import Entry, Result, judge
from radlib.core.errors import RadlibError
from radlib.data.published import published_values


def collect(runs: Path, published: Path) -> list[Entry]:
    """Every published entry of the five papers, in the order of print, with its results and verdict.

    Args:
        runs: the folder of runs, ``<cohort>/<profile>/<chapter>/results.json``. It may be absent.
        published: the folder of kept results, ``<cohort>/<profile>/<chapter>/results.json``. It may be absent.

    Raises:
        RadlibError: if a file is no ``results.json``, or names a published entry that does not exist.
    """
    results: dict[str, dict[tuple[str, ...], Result]] = {}
    missing: dict[str, dict[str, None]] = {}
    unmet: dict[str, dict[str, None]] = {}
    anew = {file.relative_to(runs): _load(file) for file in sorted(runs.glob("*/*/*/results.json"))}
    files = [(runs / file, content, False) for file, content in anew.items()]
    for file in sorted(published.glob("*/*/*/results.json")):
        # What was run anew in this checkout takes the place of what was kept; a chapter that could not run does not.
        if "unmet" in anew.get(file.relative_to(published), {"unmet": ""}):
            files.append((file, _load(file), True))
    for file, content, kept in files:
        for item in content["ledger"]:
            result = _result(item, file=file, kept=kept)
            identity = (result.source, result.profile, result.chapter, result.protocol, result.note)
            results.setdefault(result.key, {})[identity] = result
        for item in content["missing"]:
            missing.setdefault(item["key"], {})[item["reason"]] = None
        if "unmet" in content:
            reason = f"{content['chapter']} could not run on {content['cohort']}: {content['unmet']}"
            for paper in content["papers"]:
                unmet.setdefault(paper, {})[reason] = None
    values = published_values()
    unknown = sorted((results.keys() | missing.keys()) - values.keys())
    if unknown:
        raise RadlibError(
            f"results name the published entry {unknown[0]!r}, which no paper has",
            file=runs,
            remedy="run the chapter again, or correct the key in data_manifests/papers",
        )
    entries = []
    for key, value in values.items():
        measured = tuple(results.get(key, {}).values())
        reasons = missing.get(key) or ({} if value.kind == "setting" else unmet.get(value.paper, {}))
        judgement = judge(value, measured, missing="; ".join(reasons))
        entries.append(Entry(value, measured, judgement.verdict, judgement.reason))
    return entries


def _result(item: dict[str, Any], *, file: Path, kept: bool) -> Result:
    try:
        return Result(**item, kept=kept)
    except TypeError as error:
        raise RadlibError(
            f"a ledger record that is not one: {item!r:.120}", file=file, remedy="run the chapter again"
        ) from error


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(content["ledger"], list) and isinstance(content["missing"], list)):
            raise TypeError
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise RadlibError(
            "not the results of a chapter", file=file, remedy="remove the file, or run the chapter again"
        ) from error
    return content
