"""Volumes and tumour label maps, read with errors that say what is wrong with which file."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path

BRATS_LABELS: Mapping[int, str] = {1: "necrotic and non-enhancing core", 2: "oedema", 4: "enhancing tumour"}
"""The labels inside radlib, whatever the file has."""

LABEL_ENCODINGS: Mapping[str, Mapping[int, int]] = {
    # BraTS 2017 to 2020, and the simulated cohort.
    "brats": {0: 0, 1: 1, 2: 2, 4: 4},
    # BraTS 2012 to 2016: 1 necrosis, 2 oedema, 3 non-enhancing tumour, 4 enhancing tumour.
    "brats2015": {0: 0, 1: 1, 2: 2, 3: 1, 4: 4},
    # BraTS 2023 and later write the enhancing tumour as 3.
    "brats2023": {0: 0, 1: 1, 2: 2, 3: 4},
    # A mask of the whole tumour: no statement on its parts, so all of it counts as oedema (whole tumour only).
    "whole-tumour": {0: 0, 1: 2},
}

VolumeProblem = Literal["missing", "truncated", "unreadable", "shape", "non-finite", "labels"]


class VolumeError(RadlibError):
    """A volume that cannot be used. ``kind`` says why, for programs."""

    def __init__(self, kind: VolumeProblem, problem: str, *, file: Path | str, remedy: str) -> None:
        super().__init__(problem, file=file, remedy=remedy)
        self.kind: VolumeProblem = kind


class Volume(NamedTuple):
    """Voxels ``(X, Y, Z)``, the 4x4 affine from voxel index to mm (RAS+), and the voxel spacing in mm."""

    data: np.ndarray
    affine: np.ndarray
    spacing: tuple[float, float, float]


def read_volume(
    path: Path | str, *, shape: tuple[int, int, int] | None = None, allow_nonfinite: bool = False
) -> Volume:
    """Read an image as float32, ``(X, Y, Z)``, in the units of the file (scale factors of the header applied).

    Args:
        path: a ``.nii``, ``.nii.gz`` or ``.mha`` (BraTS 2015 and earlier) file.
        shape: the shape that the volume must have, such as that of the subject's other modalities.
        allow_nonfinite: accept NaN and infinite voxels.

    Raises:
        VolumeError: the file is missing, its gzip stream is truncated or corrupt, it is no NIfTI file, it is not
            three-dimensional or not of ``shape``, or it has voxels that are NaN or infinite.
    """
    path = Path(path)
    if not path.is_file():
        raise VolumeError(
            "missing", "the volume does not exist", file=path, remedy="check the path, or leave its cell empty"
        )
    data, affine = _read_metaimage(path) if path.suffix == ".mha" else _read_nifti(path)
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3 or 0 in data.shape:
        raise VolumeError(
            "shape",
            f"the volume has shape {data.shape}, expected three dimensions",
            file=path,
            remedy="store one modality and one time point a file",
        )
    if shape is not None and data.shape != tuple(shape):
        raise VolumeError(
            "shape",
            f"the volume has shape {data.shape}, expected {tuple(shape)}",
            file=path,
            remedy="bring all modalities of a subject onto one grid",
        )
    if not allow_nonfinite and not np.isfinite(data).all():
        count = int(data.size - np.isfinite(data).sum())
        raise VolumeError(
            "non-finite",
            f"{count} voxels are NaN or infinite",
            file=path,
            remedy="convert the file again, or set those voxels to 0",
        )
    return Volume(data, affine, spacing_of(affine))


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        # Decompressed whole, because only the end of a gzip stream says whether it is sound.
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError(
            "truncated",
            f"the gzip stream is truncated or corrupt ({error})",
            file=path,
            remedy="copy or download the file again",
        ) from error
    try:
        form = nib.Nifti2Image if content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nib.Nifti1Image
        image = form.from_bytes(content)
        data = np.asarray(image.dataobj, dtype=np.float32)
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, ValueError) as error:
        raise VolumeError(
            "unreadable",
            f"not a readable NIfTI volume ({error})",
            file=path,
            remedy="copy or convert the file again",
        ) from error
    return data, np.asarray(image.affine, dtype=np.float64)


def _read_metaimage(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A MetaImage (BraTS 2012 to 2016) as NIfTI would have it: axes ``(X, Y, Z)``, RAS+ instead of LPS."""
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise VolumeError(
            "unreadable", f"not a readable MetaImage ({reason})", file=path, remedy="copy the file again"
        ) from error
    size = image.GetDimension()
    lps = np.eye(4)
    if size == 3:
        lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        lps[:3, 3] = image.GetOrigin()
    data = np.ascontiguousarray(SimpleITK.GetArrayFromImage(image).T, dtype=np.float32)
    return data, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """The voxel spacing in mm: the lengths of the affine's columns."""
    lengths = np.linalg.norm(np.asarray(affine)[:3, :3], axis=0)
    return float(lengths[0]), float(lengths[1]), float(lengths[2])


def read_labels(path: Path | str, *, encoding: str = "brats", shape: tuple[int, int, int] | None = None) -> Volume:
    """Read a segmentation as uint8 with the labels 0, 1, 2, 4 (:data:`BRATS_LABELS`).

    Args:
        path: the label file.
        encoding: a name in :data:`LABEL_ENCODINGS`, or a mapping as text, such as ``"0:0 1:1 2:2 3:4"``.
        shape: the shape that the volume must have.

    Raises:
        VolumeError: as :func:`read_volume`, and where the file has a label that the encoding does not know.
    """
    volume = read_volume(path, shape=shape)
    return Volume(map_labels(volume.data, encoding=encoding, file=path), volume.affine, volume.spacing)


def map_labels(data: npt.ArrayLike, *, encoding: str = "brats", file: Path | str = "") -> np.ndarray:
    """Labels of a vintage to 0, 1, 2, 4, as uint8 of the same shape. Raises on labels the encoding lacks."""
    mapping = parse_encoding(encoding)
    data = np.asarray(data)
    mapped = np.zeros(data.shape, dtype=np.uint8)
    known = data == 0
    for label, target in mapping.items():
        here = data == label
        known |= here
        if target:
            mapped[here] = target
    if not known.all():
        unknown = np.unique(data[~known])
        shown = ", ".join(f"{value:g}" for value in unknown[:8])
        raise VolumeError(
            "labels",
            f"unexpected label(s) {shown}; encoding {encoding!r} has {sorted(mapping)}",
            file=file,
            remedy=f"name the right label encoding ({', '.join(LABEL_ENCODINGS)}, or text such as '1:1 2:2 3:4')",
        )
    return mapped


def parse_encoding(encoding: str) -> Mapping[int, int]:
    """The mapping behind an encoding's name, or written out as ``"1:1 2:2 3:4"`` (0 is always background).

    Raises:
        RadlibError: for a name that is not known, a text that does not parse, or a target other than 0, 1, 2, 4.
    """
    if encoding in LABEL_ENCODINGS:
        return LABEL_ENCODINGS[encoding]
    pairs = [re.fullmatch(r"(\d+):(\d+)", part) for part in encoding.replace(",", " ").split()]
    if not pairs or not all(pairs):
        raise RadlibError(
            f"unknown label encoding {encoding!r}",
            remedy=f"use one of {', '.join(LABEL_ENCODINGS)}, or write pairs such as '1:1 2:2 3:4'",
        )
    mapping = {0: 0} | {int(pair[1]): int(pair[2]) for pair in pairs if pair}
    if wrong := sorted(set(mapping.values()) - {0, *BRATS_LABELS}):
        raise RadlibError(
            f"label encoding {encoding!r} maps to {wrong}", remedy="map to 0, 1 (core), 2 (oedema), 4 (enhancing)"
        )
    return mapping


def write_volume(
    path: Path | str,
    data: np.ndarray,
    *,
    affine: np.ndarray,
    dtype: npt.DTypeLike = np.float32,
    description: str = "",
    note: Mapping[str, Any] | None = None,
) -> None:
    """Write ``(X, Y, Z)`` voxels atomically as NIfTI-1, with mm and no scale factors.

    The same voxels give the same bytes: the gzip header carries no time and no name.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        data: voxels, written as ``dtype``.
        affine: from voxel index to mm (RAS+).
        dtype: of the file.
        description: for the header, of which 79 bytes are kept: what marks a volume that nobody measured.
        note: kept as a comment extension in JSON; :func:`read_note` gives it back.
    """
    image = nib.Nifti1Image(np.asarray(data).astype(dtype, copy=False), np.asarray(affine, dtype=np.float64))
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header["descrip"] = description.encode()[:79]
    if note is not None:
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", json.dumps(note).encode()))
    with atomic_path(path) as temporary:
        if temporary.suffix == ".gz":
            temporary.write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))
        else:
            temporary.write_bytes(image.to_bytes())


def read_note(path: Path | str) -> tuple[str, dict[str, Any]]:
    """The description field of a NIfTI file and the note that :func:`write_volume` kept; empty where there is none.

    Raises:
        VolumeError: if the file is missing or no NIfTI file.
    """
    path = Path(path)
    try:
        image = nib.load(path)
    except FileNotFoundError as error:
        raise VolumeError("missing", "the volume does not exist", file=path, remedy="check the path") from error
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, zlib.error, ValueError) as error:
        raise VolumeError(
            "unreadable", f"not a readable NIfTI volume ({error})", file=path, remedy="copy the file again"
        ) from error
    if not isinstance(image, nib.Nifti1Pair):
        return "", {}
    description = bytes(image.header["descrip"]).rstrip(b"\0").decode("utf-8", "replace")
    for extension in image.header.extensions:
        try:
            note = json.loads(extension.get_content())
        except (ValueError, TypeError):  # of another program
            continue
        if isinstance(note, dict):
            return description, note
    return description, {}
