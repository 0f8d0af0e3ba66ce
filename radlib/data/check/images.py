"""Checks of the images of a data set: one subject at a time, one volume in memory at a time."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from radlib.data.decode import (
    AFFINE_TOLERANCE,
    VOLUME_SUFFIXES,
    Grid,
    VolumeError,
    background_of,
    decode,
    no_background,
    times,
    without_background,
)
from radlib.data.duplicates import describe_image, describe_mask, same_images
from radlib.data.findings import Finding, Kind, Severity, shorten
from radlib.data.manifests import Images, Manifest
from radlib.data.nifti import LABEL_TOLERANCE

_LITTER = (".DS_Store", "Thumbs.db", "SHA256SUMS")  # what file systems and people leave behind


@dataclass
class SubjectFiles:
    """The files of one subject: image name to paths below the root."""

    subject: str
    files: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list[str]))


@dataclass
class SubjectResult:
    """What one worker hands back: findings, and a description of every image that could be read and varies."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    described: dict[str, np.ndarray] = field(default_factory=dict)
    masks: frozenset[str] = frozenset()  # which of them are label maps
    images: int = 0
    bytes: int = 0


def image_folder(root: Path, images: Images) -> Path:
    """The first of the manifest's folders that exists below ``root``; else ``root`` itself."""
    return next((root / folder for folder in images.folders if (root / folder).is_dir()), root)


def scan(manifest: Manifest, root: Path) -> tuple[list[SubjectFiles], list[Finding]]:
    """Sort the files of the image folder below ``root`` into subjects; what fits no template is a finding.

    Subjects come sorted by name. A folder without a fitting file gives no subjects.
    """
    images = manifest.images
    assert images is not None
    patterns = [(name, expression) for name in images.images for expression in images.expressions(name)]
    folder = image_folder(root, images)
    tables = {file.path for file in manifest.files}
    subjects: dict[str, SubjectFiles] = {}
    findings: list[Finding] = []
    for path in _walk(folder):
        below = path.relative_to(folder).as_posix()
        file = path.relative_to(root).as_posix()
        for image, pattern in patterns:
            if match := pattern.fullmatch(below):
                subject = match.group("subject")
                subjects.setdefault(subject, SubjectFiles(subject)).files[image].append(file)
                break
        else:
            if path.name in _LITTER or file in tables or any(fnmatch(path.name, name) for name in images.ignore):
                continue
            is_image = path.name.lower().endswith((*VOLUME_SUFFIXES, ".dcm"))
            message = f"fits no file of the layout, such as {images.example}"
            severity: Severity = "error" if is_image else "note"
            findings.append(Finding(severity, "extra-file", manifest.name, message, file=file))
    if not subjects:  # another folder altogether: its files are not worth a line each
        message = f"no file fits the layout, such as {images.example}"
        return [], [Finding("error", "subject-count", manifest.name, message, count=0)]
    if folder == root:  # other data sets may lie below it too
        files = (path for subject in subjects.values() for paths in subject.files.values() for path in paths)
        home = Path(os.path.commonpath([Path(path).parent for path in files]))
        findings = [finding for finding in findings if Path(str(finding.file)).is_relative_to(home)]
    return [subjects[name] for name in sorted(subjects)], findings


def _walk(folder: Path) -> Iterator[Path]:
    """Files below ``folder`` in order, through links to folders too, but no folder twice."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names))


def check_subject(
    dataset: str, root: Path, images: Images, subject: SubjectFiles, sums: Mapping[str, str]
) -> SubjectResult:
    """All findings of one subject.

    Args:
        dataset: name of the data set, for the findings.
        root: the folder that the subject's paths are below.
        images: the layout.
        subject: the subject's files.
        sums: SHA-256 by path below ``root``, for the files where it is known.
    """
    result = SubjectResult(subject.subject)

    def add(kind: Kind, message: str, *, file: str | None = None, count: int | None = None) -> None:
        result.findings.append(
            Finding("error", kind, dataset, message, file=file, subject=subject.subject, count=count)
        )

    grids: dict[str, Grid] = {}
    for name, image in images.images.items():
        paths = subject.files.get(name, [])
        if not paths and not image.optional:
            add("missing-file", f"there is no {name} image ({image.meaning})")
        for path in paths:
            result.images += 1
            content = _read(root / path)
            result.bytes += len(content or b"")
            if content and path in sums and (digest := hashlib.sha256(content).hexdigest()) != sums[path]:
                add("wrong-checksum", f"SHA-256 is {digest}, SHA256SUMS says {sums[path]}", file=path)
            found = examine(root / path, content, mask=image.labels is not None)
            del content
            for kind, message, count in found.faults:
                add(kind, message, file=path, count=count)
            if found.grid is not None:
                for kind, message in _unexpected(found.grid, images):
                    add(kind, message, file=path)
                grids.setdefault(name, found.grid)
            if image.labels is not None and (wrong := [v for v in found.labels if v not in image.labels]):
                add(
                    "unexpected-label",
                    f"{sum(found.labels[value] for value in wrong)} voxels are labelled "
                    f"{shorten(f'{value:g}' for value in wrong)}; possible are "
                    f"{shorten(sorted(image.labels), limit=9)}",
                    file=path,
                    count=sum(found.labels[value] for value in wrong),
                )
            if found.description is not None:
                result.described.setdefault(name, found.description)

    if twice := [path for paths in subject.files.values() if len(paths) > 1 for path in paths]:
        add("duplicate-id", f"more than one file for the same image: {shorten(twice, limit=10)}", count=len(twice))
    if images.same_grid:
        for kind, message in disagreements(grids):
            add(kind, message)
    result.masks = frozenset(name for name in result.described if images.images[name].labels is not None)
    for message in repeated({name: v for name, v in result.described.items() if name not in result.masks}):
        add("duplicate-image", message)
    return result


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:  # the decoder says what is wrong
        return None


@dataclass(frozen=True)
class Examined:
    """What one file holds.

    Attributes:
        faults: kind, message and, where something is counted, how many voxels.
        grid: where its voxels lie; None where there are none, or the header contradicts itself.
        labels: of a label map, each value other than 0 and its number of voxels.
        description: for :mod:`radlib.data.duplicates`; None where nothing varies.
    """

    faults: list[tuple[Kind, str, int | None]]
    grid: Grid | None = None
    labels: Mapping[float, int] = field(default_factory=dict)
    description: np.ndarray | None = None


def examine(path: Path, content: bytes | None = None, *, mask: bool) -> Examined:
    """Everything that is wrong with one image or label map, by the same decoder that readers use."""
    try:
        found = decode(path, content)
    except VolumeError as error:
        return Examined([(error.kind, error.problem, None)])
    faults: list[tuple[Kind, str, int | None]] = [(error.kind, error.problem, None) for error in found.problems]
    if faults and faults[0][0] == "unexpected-shape":
        return Examined(faults)
    grid = None if faults else found.grid  # a header that contradicts itself does not say where the voxels lie
    data = found.data
    finite: np.ndarray = data
    if data.dtype.kind == "f":
        sound = np.isfinite(data)
        if bad := data.size - int(np.count_nonzero(sound)):
            faults.append(("non-finite", f"{bad} of {data.size} voxels are NaN or infinite", bad))
            finite = data[sound]
    if finite.size == 0:
        return Examined(faults, grid)
    low, high = finite.min(), finite.max()
    if low == high:
        what = "no voxel is labelled" if mask and low == 0 else f"every voxel is {low:g}"
        faults.append(("constant-image", what, None))
        return Examined(faults, grid, {} if not mask or low == 0 else {float(low): finite.size})
    if finite is not data:
        data = np.where(sound, data, 0)
    if mask:
        values = data[data != 0].astype(np.float64)
        nearest = np.rint(values)
        values = np.where(np.abs(values - nearest) <= LABEL_TOLERANCE, nearest, values)
        counts = dict(zip(*(found.tolist() for found in np.unique(values, return_counts=True)), strict=True))
        counts.pop(0.0, None)
        return Examined(faults, grid, counts, describe_mask(data != 0))
    background = background_of(data)
    if background:
        data = without_background(data, background)
    if grid is not None and (problem := no_background(data, grid.spacing)):
        faults.append(("no-background", problem, None))
    return Examined(faults, grid, description=describe_image(data))


def _unexpected(grid: Grid, images: Images) -> Iterator[tuple[Kind, str]]:
    if images.shape is not None and tuple(grid.shape) != images.shape:
        yield "unexpected-shape", f"{times(grid.shape)} voxels, {times(images.shape)} are expected"
    if images.spacing is not None and not np.allclose(grid.spacing, images.spacing, atol=AFFINE_TOLERANCE):
        here, there = (" x ".join(f"{value:.4g}" for value in spacing) for spacing in (grid.spacing, images.spacing))
        yield "unexpected-spacing", f"voxels of {here} mm, {there} mm are expected"


def disagreements(grids: Mapping[str, Grid]) -> Iterator[tuple[Kind, str]]:
    """Each image of a subject against the most frequent grid among its images; the order of axes is no difference."""
    names = list(grids)
    agreeing = [[other for other in names if grids[name].difference(grids[other]) is None] for name in names]
    usual = max(agreeing, key=len, default=[])
    for name in names:
        if name not in usual and (difference := grids[usual[0]].difference(grids[name])):
            kind: Kind = "shape-differs" if difference.startswith("has") else "affine-differs"
            yield kind, f"{name} {difference}: it does not share the grid of {shorten(usual)}"


def repeated(described: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Images of one subject that show the same."""
    names = list(described)
    for pair in same_images(list(described.values()), least=0.9999):
        yield f"{names[pair.one]} and {names[pair.other]} hold the same image"
