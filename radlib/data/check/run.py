"""Checking whole data sets: tables and subjects go through a pool of processes, one file in memory at a time."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.data.check.images import SubjectFiles, SubjectResult, check_subject, image_folder, scan
from radlib.data.check.tables import check_table_file
from radlib.data.duplicates import Described, same_subjects
from radlib.data.findings import CheckReport, Finding, plural, shorten
from radlib.data.manifests import Images, Manifest


def check_datasets(
    manifests: Sequence[Manifest],
    roots: Sequence[Path | str],
    *,
    jobs: int | None = None,
    partial: bool = False,
) -> CheckReport:
    """Check data sets on disk and look for the same subject under two names, across all of them.

    Args:
        manifests: what the folders must hold.
        roots: one folder for all, or one each. Tables lie at the manifest's paths below it; images lie in one of the
            manifest's folders below it, or in it.
        jobs: processes; by default as many as this process may use of the machine's processors.
        partial: the folders hold part of the subjects, so their number is not checked.

    Raises:
        RadlibError: if a folder does not exist, the numbers do not fit, or a worker was killed.
    """
    folders = _check_roots(manifests, roots)
    started = time.monotonic()
    report = CheckReport([manifest.name for manifest in manifests], [str(folder) for folder in folders])
    workers = jobs or _usable_processors()
    results: list[tuple[Manifest, SubjectResult]] = []
    for manifest, root in zip(manifests, folders, strict=True):
        _check_files(report, manifest, root)
        if manifest.images is not None:
            found = _check_images(report, manifest, root, workers, partial=partial)
            results += [(manifest, result) for result in found]
    report.findings += _duplicate_subjects(results)
    report.seconds = round(time.monotonic() - started, 3)
    return report


def check_dataset(
    manifest: Manifest, root: Path | str, *, jobs: int | None = None, partial: bool = False
) -> CheckReport:
    """:func:`check_datasets` for one data set."""
    return check_datasets([manifest], [root], jobs=jobs, partial=partial)


def _check_roots(manifests: Sequence[Manifest], roots: Sequence[Path | str]) -> list[Path]:
    if len(roots) not in (1, len(manifests)):
        raise RadlibError(
            f"{len(manifests)} data sets and {len(roots)} folders",
            remedy="give one folder for all data sets, or one folder for each, in the same order",
        )
    folders = [Path(root) for root in roots] * (len(manifests) if len(roots) == 1 else 1)
    for folder in folders:
        if not folder.is_dir():
            raise RadlibError(
                "the folder to check does not exist", file=folder, remedy="give an existing folder with --root"
            )
    return folders


def _check_files(report: CheckReport, manifest: Manifest, root: Path) -> None:
    for file in manifest.files:
        if (root / file.path).is_file():
            findings, size = check_table_file(manifest.name, root, file)
            report.findings += findings
            report.bytes += size
            report.tables += file.table is not None
        elif not file.optional:
            report.findings.append(
                Finding("error", "missing-file", manifest.name, f"is not there: {file.what}", file=file.path)
            )


def _check_images(
    report: CheckReport, manifest: Manifest, root: Path, workers: int, *, partial: bool
) -> list[SubjectResult]:
    images = manifest.images
    assert images is not None
    subjects, findings = scan(manifest, root)
    sums, sums_findings = _read_checksums(manifest, root)
    findings += sums_findings
    present = {path for subject in subjects for paths in subject.files.values() for path in paths}
    findings += [
        Finding("error", "missing-file", manifest.name, "SHA256SUMS lists it, but it is not there", file=path)
        for path in sorted(sums.keys() - present)
        if not (root / path).exists()
    ]
    if subjects and images.subjects not in (None, len(subjects)) and not partial:
        message = f"{plural(len(subjects), 'subject')}, {images.subjects} expected"
        findings.append(Finding("error", "subject-count", manifest.name, message, count=len(subjects)))

    tasks = [(manifest.name, root, images, subject, sums) for subject in subjects]
    results = list(track(_map(tasks, workers), description=f"{manifest.name}: subjects", total=len(tasks)))
    for result in results:
        findings += result.findings
        report.images += result.images
        report.bytes += result.bytes
    report.findings += findings
    report.subjects += len(subjects)
    return results


_Task = tuple[str, Path, Images, SubjectFiles, dict[str, str]]


def _map(tasks: list[_Task], workers: int) -> Iterator[SubjectResult]:
    """Results in the order of the tasks, so that a report does not depend on the number of processes."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(_check_one, tasks)
        return
    # A fresh interpreter each: a fork would inherit the locks of libraries that run threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        try:
            yield from pool.map(_check_one, tasks)
        except BrokenProcessPool:
            raise RadlibError(
                "a worker process was killed, most likely because memory ran out",
                remedy="run again with fewer processes (--jobs 1)",
            ) from None


def _check_one(task: _Task) -> SubjectResult:
    dataset, root, images, subject, sums = task
    if images.slices:
        from radlib.data.check.slices import check_slices

        return check_slices(dataset, root, images, subject)
    return check_subject(dataset, root, images, subject, sums)


def _usable_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read_checksums(manifest: Manifest, root: Path) -> tuple[dict[str, str], list[Finding]]:
    """SHA-256 by path below ``root`` for the files of the image folder, from SHA256SUMS there or in the root."""
    assert manifest.images is not None
    folder = image_folder(root, manifest.images)
    sums: dict[str, str] = {}
    findings = []
    for place in dict.fromkeys((root, folder)):
        listing = place / "SHA256SUMS"
        if not listing.is_file():
            continue
        for number, line in enumerate(listing.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if match := re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line):
                path = place / match[2]
                if path.is_relative_to(folder):
                    sums[path.relative_to(root).as_posix()] = match[1].lower()
            elif line.strip():
                message = f"line {number} is not a checksum and a path"
                file = listing.relative_to(root).as_posix()
                findings.append(Finding("error", "unreadable", manifest.name, message, file=file))
    return sums, findings


def _duplicate_subjects(results: list[tuple[Manifest, SubjectResult]]) -> list[Finding]:
    """Subjects that share an image or the outline of a mask, with what they share."""
    described = [
        Described(index, name, name in result.masks, values)
        for index, (_, result) in enumerate(results)
        for name, values in result.described.items()
    ]
    findings = []
    for (one, other), names in same_subjects(described).items():
        (first, a), (second, b) = results[one], results[other]
        finding = Finding(
            "error",
            "duplicate-subject",
            second.name,
            f"the same as {first.name} {a.subject}: {shorten(sorted(names), limit=9)}",
            subject=b.subject,
            count=len(names),
        )
        if first.name in second.overlaps or second.name in first.overlaps:
            finding = finding.as_note(f"{first.name} and {second.name} share subjects")
        findings.append(finding)
    return findings
