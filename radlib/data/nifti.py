"""Volumes and tumour label maps, read in one orientation, with errors that say what is wrong with which file."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path
from radlib.data.decode import VolumeError, as_floats, background_of, decode, read_grid, turned, without_background

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

LABEL_TOLERANCE = 1e-3
"""Label maps stored with a scale factor come back as 0.99999997."""


class Volume(NamedTuple):
    """Voxels ``(X, Y, Z)``, the 4x4 affine from voxel index to mm (RAS+), and the voxel spacing in mm.

    A volume that was read has its axes in the order L, P, S, as BraTS: each index grows to the left, to the back and
    upwards, however the file is stored. Positions counted from its first voxel are in that frame.
    ``background`` is what the file has outside the head; the voxels there are 0.
    """

    data: np.ndarray
    affine: np.ndarray
    spacing: tuple[float, float, float]
    background: float = 0.0


def read_volume(
    path: Path | str, *, shape: tuple[int, int, int] | None = None, allow_nonfinite: bool = False
) -> Volume:
    """Read an image as float32, ``(X, Y, Z)`` in the order L, P, S, in the units of the file (scale factors applied).

    Values that float32 cannot hold (:func:`radlib.data.decode.as_floats`) come as float64. A background other than 0
    (:func:`radlib.data.decode.background_of`) becomes 0.

    Args:
        path: a NIfTI, MetaImage (``.mha``, ``.mhd``) or NRRD file.
        shape: the shape that the volume must have, such as that of the subject's other modalities.
        allow_nonfinite: accept NaN and infinite voxels.

    Raises:
        VolumeError: the file is missing or damaged, it is not three-dimensional or not of ``shape``, its header
            contradicts itself, or it has voxels that are no real numbers, NaN or infinite.
    """
    path = Path(path)
    volume = _oriented(path, shape)
    data = as_floats(volume.data)
    if not allow_nonfinite and not np.isfinite(data).all():
        count = int(data.size - np.isfinite(data).sum())
        raise VolumeError(
            "non-finite",
            f"{count} voxels are NaN or infinite",
            file=path,
            remedy="convert the file again, or set those voxels to 0",
        )
    background = background_of(data)
    if background:
        data = without_background(data, background)
    return Volume(data, volume.affine, volume.spacing, background)


def _oriented(path: Path, shape: tuple[int, int, int] | None) -> Volume:
    """A volume in the order L, P, S, of the type of its file; whatever is wrong with its header is raised."""
    found = decode(path)
    if found.problems:
        raise found.problems[0]
    grid = found.grid.upright()
    if shape is not None and grid.shape != tuple(shape):
        raise VolumeError(
            "shape-differs",
            f"the volume has shape {grid.shape}, expected {tuple(shape)}",
            file=path,
            remedy="bring all modalities of a subject onto one grid",
        )
    return Volume(turned(found.data, found.grid.affine), grid.affine, grid.spacing)


def read_labels(
    path: Path | str, *, encoding: str | None = "brats", shape: tuple[int, int, int] | None = None
) -> Volume:
    """Read a segmentation as uint8, ``(X, Y, Z)`` in the order L, P, S, with 0, 1, 2, 4 (:data:`BRATS_LABELS`).

    Args:
        path: the label file.
        encoding: a name in :data:`LABEL_ENCODINGS`, or a mapping as text, such as ``"0:0 1:1 2:2 3:4"``. None where
            it is not stated: it is then taken from the labels if they leave no choice.
        shape: the shape that the volume must have.

    Raises:
        VolumeError: as :func:`read_volume`; where the file has a label that the encoding does not know; where none is
            stated and the labels can be read in two ways.
    """
    volume = _oriented(Path(path), shape)
    return volume._replace(data=map_labels(volume.data, encoding=encoding, file=path))


def map_labels(data: npt.ArrayLike, *, encoding: str | None = "brats", file: Path | str = "") -> np.ndarray:
    """Labels of a vintage to 0, 1, 2, 4, as uint8 of the same shape; raises as :func:`read_labels`.

    A value within :data:`LABEL_TOLERANCE` of an integer is that integer.
    """
    data = np.asarray(data)
    values = label_values(data)
    if encoding is None:
        encoding = _only_reading(values, file)
    mapping = parse_encoding(encoding)
    if unknown := sorted(set(values) - set(mapping)):
        shown = ", ".join(f"{value:g}" for value in unknown[:8])
        raise VolumeError(
            "unexpected-label",
            f"unexpected label(s) {shown}; encoding {encoding!r} has {sorted(mapping)}",
            file=file,
            remedy=f"name the right label encoding ({', '.join(LABEL_ENCODINGS)}, or text such as '1:1 2:2 3:4')",
        )
    rounded = data if data.dtype.kind in "iub" else np.rint(data)
    mapped = np.zeros(data.shape, dtype=np.uint8, order="F" if data.flags.f_contiguous else "C")
    for label, target in mapping.items():
        if target:
            mapped[rounded == label] = target
    return mapped


def label_values(data: np.ndarray) -> list[float]:
    """The values of a label map other than 0, sorted; what is almost an integer is that integer."""
    # Most voxels are background: sorting the others only is ten times as fast.
    values = np.unique(data[data != 0]).astype(float)
    nearest = np.rint(values)
    return sorted(set(np.where(np.abs(values - nearest) <= LABEL_TOLERANCE, nearest, values).tolist()) - {0.0})


def _only_reading(values: Sequence[float], file: Path | str) -> str:
    """The encoding of a label map that nobody has named, where its labels leave no choice.

    Raises:
        VolumeError: if two encodings read these labels differently, such as a mask of 0 and 1 (necrosis, or the whole
            tumour), or none knows them.
    """
    fitting = [name for name, mapping in LABEL_ENCODINGS.items() if set(values) <= set(mapping)]
    readings = {tuple(LABEL_ENCODINGS[name][int(value)] for value in values) for name in fitting}
    if len(readings) == 1:
        return fitting[0]
    shown = ", ".join(f"{value:g}" for value in values[:8])
    problem = f"the labels {shown} can be read as {' or '.join(fitting)}" if fitting else f"unexpected label(s) {shown}"
    raise VolumeError(
        "unexpected-label", f"{problem}, and no label encoding is stated", file=file,
        remedy=f"state label_encoding: {', '.join(fitting or LABEL_ENCODINGS)}, or text such as '1:1 2:2 3:4'",
    )  # fmt: skip


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
    like: Path | None = None,
) -> None:
    """Write ``(X, Y, Z)`` voxels atomically as NIfTI-1, with mm and no scale factors.

    The same voxels give the same bytes: the gzip header carries no time and no name.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        data: voxels, written as ``dtype``.
        affine: from voxel index to mm (RAS+).
        dtype: of the file.
        description: for the header, of which 79 bytes are kept: what marks a volume that nobody measured.
        like: a file whose order of axes and affine the new one gets; ``affine`` is that file's as :func:`read_volume`
            gives it.
        note: kept as a comment extension in JSON; :func:`read_note` gives it back.
    """
    grid = None if like is None else read_grid(like)
    if grid is not None:
        data, affine = turned(data, affine, grid.affine), grid.affine
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
        raise VolumeError("missing-file", "the volume does not exist", file=path, remedy="check the path") from error
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
