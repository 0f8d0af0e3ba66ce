"""Checks of the images of a data set: one subject at a time, one volume in memory at a time."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from radlib.data.check.findings import Finding, Kind, Severity, shorten
from radlib.data.manifests import Image, Images, Manifest

Add = Callable[..., None]  # takes a kind and a message, and optionally file and count
Volume = tuple[np.ndarray, np.ndarray, tuple[float, ...]]  # voxels, affine (4, 4) in mm, voxel size in mm

_IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".dcm")
_LITTER = (".DS_Store", "Thumbs.db", "SHA256SUMS")  # what file systems and people leave behind
_AFFINE_TOLERANCE = 1e-3  # mm; writers round the affine to float32
_LABEL_TOLERANCE = 1e-3  # label maps stored with a scale factor come back as 0.99999997


@dataclass
class SubjectFiles:
    """The files of one subject: image name to paths below the root."""

    subject: str
    files: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list[str]))


@dataclass
class SubjectResult:
    """What one worker hands back: findings, and the content hash of every image that could be read."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)  # image to hash; constant images are left out
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
            is_image = path.name.lower().endswith(_IMAGE_SUFFIXES)
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

    grids: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}
    for name, image in images.images.items():
        paths = subject.files.get(name, [])
        if not paths and not image.optional:
            add("missing-file", f"there is no {name} image ({image.meaning})")
        for path in paths:
            result.images += 1
            content = _read(root / path, path, sums.get(path), add)
            result.bytes += len(content or b"")
            volume = _decode(content, path, add) if content is not None else None
            del content
            if volume is None:
                continue
            data, affine, zooms = volume
            if data.ndim != 3 or data.dtype.kind not in "biuf":
                add("unexpected-shape", f"{data.ndim}-dimensional image of type {data.dtype}", file=path)
                continue
            _check_grid(data.shape, affine, zooms, images, path, add)
            grids.setdefault(name, (data.shape, affine))
            constant = _check_voxels(data, image, path, add)
            if not constant:
                result.hashes.setdefault(name, content_hash(data))
            del data, volume

    if twice := [path for paths in subject.files.values() if len(paths) > 1 for path in paths]:
        add("duplicate-id", f"more than one file for the same image: {shorten(twice, limit=10)}", count=len(twice))
    if images.same_grid:
        _check_agreement(grids, add)
    by_hash = defaultdict(list)
    for name, digest in result.hashes.items():
        if images.images[name].labels is None:  # two segmentations may well agree
            by_hash[digest].append(name)
    for names in by_hash.values():
        if len(names) > 1:
            add("duplicate-image", f"{' and '.join(names)} hold the same voxels")
    return result


def _read(path: Path, relative: str, checksum: str | None, add: Add) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        add("unreadable", f"cannot be read: {error.strerror}", file=relative)
        return None
    if checksum and (digest := hashlib.sha256(content).hexdigest()) != checksum:
        add("wrong-checksum", f"SHA-256 is {digest}, SHA256SUMS says {checksum}", file=relative)
    return content


def _decode(content: bytes, path: str, add: Add) -> Volume | None:
    """The volume, scaled where the header says so; None where it cannot be read, with the finding added."""
    if not content:
        add("unreadable", "the file is empty", file=path)
        return None
    try:
        if path.endswith((".nii", ".nii.gz")):
            return _decode_nifti(gzip.decompress(content) if path.endswith(".gz") else content, path, add)
        return _decode_with_itk(content, path)
    except EOFError:
        add("truncated-gzip", f"the compressed stream ends early, after {len(content)} bytes", file=path)
    except (gzip.BadGzipFile, zlib.error) as error:
        add("corrupt-gzip", f"the compressed stream is damaged: {error}", file=path)
    except Exception as error:  # a decoder may raise anything on a broken file
        add("bad-header", f"not a readable image: {' '.join(str(error).split())}", file=path)
    return None


def _decode_nifti(content: bytes, path: str, add: Add) -> Volume | None:
    import nibabel as nib

    # The header says which of the two versions of the format it is in its first four bytes.
    version = nib.Nifti2Image if 540 in (_int32(content, "<"), _int32(content, ">")) else nib.Nifti1Image
    image = version.from_bytes(content)
    voxels = int(np.prod(image.shape, dtype=np.int64))
    proxy: Any = image.dataobj  # knows where in the content the voxels begin
    needed = proxy.offset + voxels * image.get_data_dtype().itemsize
    if len(content) < needed:
        add("truncated-volume", f"{len(content)} bytes, the header asks for {needed}", file=path)
        return None
    return np.asanyarray(proxy), image.affine, image.header.get_zooms()[:3]


def _int32(content: bytes, order: str) -> int:
    return int(np.frombuffer(content[:4].ljust(4, b"\0"), dtype=f"{order}i4")[0])


def _decode_with_itk(content: bytes, path: str) -> Volume:
    import SimpleITK

    # ITK reads files only, and picks the reader by suffix.
    with tempfile.NamedTemporaryFile(suffix=Path(path).suffix) as copy:
        copy.write(content)
        copy.flush()
        image = SimpleITK.ReadImage(copy.name)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)[:3, :3]
    affine[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    data = SimpleITK.GetArrayFromImage(image)
    return data.transpose(range(data.ndim)[::-1]), affine, image.GetSpacing()[:3]


def _check_grid(
    shape: tuple[int, ...], affine: np.ndarray, zooms: tuple[float, ...], images: Images, path: str, add: Add
) -> None:
    if not np.isfinite(affine).all():
        add("bad-header", "the affine holds values that are not finite", file=path)
        return
    columns = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(columns, zooms, atol=_AFFINE_TOLERANCE):
        add(
            "bad-header",
            f"the voxel size {_numbers(zooms)} mm and the affine's {_numbers(columns)} mm differ",
            file=path,
        )
    if images.shape is not None and tuple(shape) != images.shape:
        add("unexpected-shape", f"{_times(shape)} voxels, {_times(images.shape)} are expected", file=path)
    if images.spacing is not None and not np.allclose(columns, images.spacing, atol=_AFFINE_TOLERANCE):
        add(
            "unexpected-spacing",
            f"voxels of {_numbers(columns)} mm, {_numbers(images.spacing)} mm are expected",
            file=path,
        )


def _check_voxels(data: np.ndarray, image: Image, path: str, add: Add) -> bool:
    """Findings of the values; True where the image says nothing (constant, or nothing finite)."""
    if data.size == 0:
        add("constant-image", "there are no voxels", file=path)
        return True
    finite = data
    if data.dtype.kind == "f":
        mask = np.isfinite(data)
        bad = data.size - int(np.count_nonzero(mask))
        if bad:
            add("non-finite", f"{bad} of {data.size} voxels are NaN or infinite", file=path, count=bad)
            finite = data[mask]
        if finite.size == 0:
            return True
    low, high = finite.min(), finite.max()
    if low == high:
        what = "no voxel is labelled" if image.labels is not None and low == 0 else f"every voxel is {low:g}"
        add("constant-image", what, file=path)
    if image.labels is not None:
        # Most voxels are background: sorting the others only is ten times as fast.
        values = np.unique(finite[finite != 0])
        nearest = np.rint(values)
        allowed = np.isin(nearest, list(image.labels)) & (np.abs(values - nearest) <= _LABEL_TOLERANCE)
        wrong = values[~allowed]
        if wrong.size:
            count = int(np.isin(finite, wrong).sum())
            add(
                "unexpected-label",
                f"{count} voxels are labelled {shorten(f'{value:g}' for value in wrong)}; "
                f"possible are {shorten(sorted(image.labels), limit=9)}",
                file=path,
                count=count,
            )
    return bool(low == high)


def _check_agreement(grids: dict[str, tuple[tuple[int, ...], np.ndarray]], add: Add) -> None:
    """Each image against the most frequent shape and affine among the subject's images."""
    if len(grids) < 2:
        return
    names = list(grids)
    shapes = [grids[name][0] for name in names]
    usual = max(shapes, key=shapes.count)
    for name in names:
        if grids[name][0] != usual:
            others = [other for other in names if grids[other][0] == usual]
            add(
                "shape-differs",
                f"{name} has {_times(grids[name][0])} voxels, {shorten(others)} have {_times(usual)}",
            )
    affines = [grids[name][1] for name in names]
    agreeing = [[np.allclose(one, other, atol=_AFFINE_TOLERANCE) for other in affines] for one in affines]
    reference = max(range(len(names)), key=lambda i: sum(agreeing[i]))
    for i, name in enumerate(names):
        if not agreeing[reference][i]:
            apart = float(np.nanmax(np.abs(affines[i] - affines[reference])))
            add(
                "affine-differs",
                f"the affine of {name} differs from that of {names[reference]} by up to {apart:g}",
            )


def content_hash(data: np.ndarray) -> str:
    """A hash of shape and voxel values, whatever the header, the data type and the compression.

    Values are compared as 32-bit floating point numbers, which holds every MR intensity in use exactly.
    """
    digest = hashlib.blake2b(str(tuple(data.shape)).encode(), digest_size=16)
    for index in range(data.shape[-1] if data.ndim else 0):
        digest.update((data[..., index].astype("<f4") + np.float32(0)).tobytes())  # adding 0 turns -0 into 0
    return digest.hexdigest()


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in shape)


def _numbers(values: Any) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
