"""The one way from a file to voxels: what every reader and every check of an image goes through.

Decided here, for every format: the axes of the grid and where it lies, whether the header agrees with itself, the
type that holds the voxels exactly, and what is wrong. NIfTI is read by nibabel; MetaImage and NRRD by ITK.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel import orientations

from radlib.core.errors import RadlibError
from radlib.data.findings import Kind

NIFTI_SUFFIXES = (".nii", ".nii.gz")
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, ".mha", ".mhd", ".nrrd", ".nhdr")

AFFINE_TOLERANCE = 1e-3
"""How far affines and voxel sizes may be apart, mm: writers round them to 32 bits."""

GRID_TOLERANCE = 0.05
"""How far the corners of two grids may be apart and the grids be one, in voxels."""

_HEAD_MM = 120.0
"""An image that reaches so far along every axis holds a head, and something around it."""

_UNITS = {"mm": 1.0, "unknown": 1.0, "meter": 1e3, "micron": 1e-3}
_VOXEL_MM = (0.01, 100.0)
_LPS = orientations.axcodes2ornt(("L", "P", "S"))
_AS_IT_IS = np.array([[0, 1], [1, 1], [2, 1]])


def _turn(affine: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
    """The permutation and flips from the order of axes of an affine to that of another, or to L, P, S."""
    goal = _LPS if target is None else _orientation(np.ascontiguousarray(target[:3, :3]).tobytes())
    return orientations.ornt_transform(_orientation(np.ascontiguousarray(affine[:3, :3]).tobytes()), goal)


@lru_cache(maxsize=1024)
def _orientation(linear: bytes) -> np.ndarray:
    """nibabel's orientation of an affine, which most files share."""
    affine = np.eye(4)
    affine[:3, :3] = np.frombuffer(linear).reshape(3, 3)
    return nib.io_orientation(affine)


class VolumeError(RadlibError):
    """A volume that cannot be used. ``kind`` says why, for programs."""

    def __init__(self, kind: Kind, problem: str, *, file: Path | str, remedy: str) -> None:
        super().__init__(problem, file=file, remedy=remedy)
        self.kind: Kind = kind


class Grid(NamedTuple):
    """Where voxels lie: shape, and the 4x4 affine from voxel index to mm in RAS+."""

    shape: tuple[int, ...]
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The voxel spacing in mm: the lengths of the affine's columns."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    def upright(self) -> Grid:
        """The same grid with its axes in the order L, P, S (each index grows to the left, to the back, upwards)."""
        turn = _turn(self.affine)
        if np.array_equal(turn, _AS_IT_IS):
            return self
        lengths = [int(self.shape[int(axis)]) for axis in np.argsort(turn[:, 0])]
        return Grid(tuple(lengths), self.affine @ orientations.inv_ornt_aff(turn, self.shape))

    def difference(self, other: Grid) -> str | None:
        """How another grid lies otherwise, for a person; None where the two are one, in whatever order of axes."""
        if self.shape == other.shape and np.array_equal(self.affine, other.affine):
            return None
        one, two = self.upright(), other.upright()
        if one.shape != two.shape:
            return f"has {times(two.shape)} voxels, not {times(one.shape)}"
        corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [*one.shape, 1]
        apart = np.linalg.norm((one.affine - two.affine) @ corners.T, axis=0).max()
        same = apart <= GRID_TOLERANCE * min(one.spacing)
        return None if same else f"lies elsewhere: its corners are up to {apart:.3g} mm away"


@dataclass(frozen=True)
class Decoded:
    """A volume as its file has it.

    Attributes:
        data: ``(X, Y, Z)`` in the file's order of axes and its own type, scale factors applied.
        grid: where it lies.
        problems: what is wrong with the header or the voxels' type, though there are voxels.
    """

    data: np.ndarray
    grid: Grid
    problems: list[VolumeError]


def decode(path: Path, content: bytes | None = None) -> Decoded:
    """Read a volume with everything that is wrong with its header.

    Args:
        path: a NIfTI, MetaImage or NRRD file.
        content: its bytes, where they are at hand.

    Raises:
        VolumeError: if there is no such file, or no voxels can be had from it.
    """
    try:
        content = path.read_bytes() if content is None else content
    except FileNotFoundError:
        raise VolumeError(
            "missing-file", "the volume does not exist", file=path, remedy="check the path, or leave its cell empty"
        ) from None
    except OSError as error:
        raise VolumeError(
            "unreadable", f"cannot be read: {error.strerror}", file=path, remedy="give a file that you may read"
        ) from error
    if not content:
        raise VolumeError("unreadable", "the file is empty", file=path, remedy="copy or download the file again")
    read = _decode_with_itk if _is_itk(path) else _decode_nifti
    try:
        data, grid, problems = read(path, content)
    except (VolumeError, MemoryError):
        raise
    except EOFError:
        raise VolumeError(
            "truncated-gzip", f"the compressed stream is truncated: it ends early, after {len(content)} bytes",
            file=path, remedy="copy or download the file again",
        ) from None  # fmt: skip
    except (gzip.BadGzipFile, zlib.error) as error:
        raise VolumeError(
            "corrupt-gzip", f"the compressed stream is damaged: {error}", file=path,
            remedy="copy or download the file again",
        ) from error  # fmt: skip
    except Exception as error:  # a decoder may raise anything on a broken file
        reason = " ".join(str(error).split()).rpartition("sitk::ERROR: ")[2] or type(error).__name__
        raise VolumeError(
            "bad-header", f"not a readable image: {reason[:200]}", file=path, remedy="copy or convert the file again"
        ) from error
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]

    def wrong(kind: Kind, problem: str, remedy: str) -> VolumeError:
        return VolumeError(kind, problem, file=path, remedy=remedy)

    if data.dtype.kind not in "biuf":
        what = {"V": "of colours", "c": "of complex numbers"}.get(data.dtype.kind, f"of type {data.dtype}")
        problems.insert(0, wrong("unexpected-shape", f"the image is {what}", "give the intensities as real numbers"))
    elif data.ndim != 3 or 0 in data.shape:
        message = f"a {data.ndim}-dimensional image of {times(data.shape)} voxels; three dimensions are expected"
        problems.insert(0, wrong("unexpected-shape", message, "store one modality and one time point a file"))
    return Decoded(data, Grid(data.shape[:3], grid.affine), problems)


def _is_itk(path: Path) -> bool:
    return path.suffix.lower() in (".mha", ".mhd", ".nrrd", ".nhdr")


def _decode_nifti(path: Path, content: bytes) -> tuple[np.ndarray, Grid, list[VolumeError]]:
    if content[:2] == b"\x1f\x8b" or path.suffix == ".gz":
        # Decompressed whole, because only the end of a gzip stream says whether it is sound.
        content = gzip.decompress(content)
    image = _nifti_class(content).from_bytes(content)
    proxy: Any = image.dataobj  # knows where in the content the voxels begin
    needed = proxy.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
    if len(content) < needed:
        raise VolumeError(
            "truncated-volume", f"{len(content)} bytes, the header asks for {needed}", file=path,
            remedy="copy or download the file again",
        )  # fmt: skip
    grid, problems = _nifti_grid(image.header, path)
    return np.asanyarray(proxy), grid, problems


def _nifti_class(content: bytes) -> Any:
    """The header says which of the two versions of the format it is in its first four bytes."""
    return nib.Nifti2Image if content[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nib.Nifti1Image


def _nifti_grid(header: Any, path: Path) -> tuple[Grid, list[VolumeError]]:
    """The grid in mm, and where units, voxel sizes and the two affines of the header contradict each other."""
    try:
        unit = str(header.get_xyzt_units()[0])
    except KeyError:
        unit = "unknown"
    scale = _UNITS.get(unit, 1.0)
    affine = np.array(header.get_best_affine(), dtype=np.float64)
    affine[:3] *= scale
    zooms = [float(zoom) * scale for zoom in header.get_zooms()[:3]]
    problems = _affine_problems(affine, path, unit=unit)
    if problems:
        return Grid(header.get_data_shape()[:3], affine), problems
    columns = np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(columns[: len(zooms)] - zooms).max(initial=0) > AFFINE_TOLERANCE * (1 + columns.max()):
        message = f"the voxel size {_numbers(zooms)} mm and the affine's {_numbers(columns)} mm differ"
        problems.append(_bad_header(message, path))
    if header["sform_code"] and header["qform_code"]:
        forms = [header.get_sform(), header.get_qform()]
        if not np.array_equal(_turn(*forms), _AS_IT_IS):
            names = ["".join(map(str, nib.aff2axcodes(form))) for form in forms]
            message = f"the sform says that the axes are {names[0]}, the qform {names[1]}"
            problems.append(_bad_header(message, path))
    return Grid(header.get_data_shape()[:3], affine), problems


def _affine_problems(affine: np.ndarray, path: Path, *, unit: str = "mm") -> list[VolumeError]:
    """What makes an affine useless: not finite, no volume, sheared, voxels that no scanner makes."""
    if not np.isfinite(affine).all():
        return [_bad_header("the affine holds values that are not finite", path)]
    columns = np.linalg.norm(affine[:3, :3], axis=0)
    if not columns.all():
        return [_bad_header(f"an axis of the affine has no length (voxels of {_numbers(columns)} mm)", path)]
    if not all(_VOXEL_MM[0] <= length <= _VOXEL_MM[1] for length in columns):
        message = f"voxels of {_numbers(columns)} mm (the header's unit is {unit})"
        return [_bad_header(message, path)]
    axes = affine[:3, :3] / columns
    if np.abs(axes.T @ axes - np.eye(3)).max() > AFFINE_TOLERANCE:
        return [_bad_header("the axes are not at right angles: the affine is sheared or has no volume", path)]
    return []


def _bad_header(message: str, path: Path) -> VolumeError:
    return VolumeError("bad-header", message, file=path, remedy="mend the header, or convert the image again")


def _decode_with_itk(path: Path, content: bytes) -> tuple[np.ndarray, Grid, list[VolumeError]]:
    """A MetaImage (BraTS 2012 to 2016) or NRRD as NIfTI would have it: axes ``(X, Y, Z)``, RAS+ instead of LPS."""
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    grid = _itk_grid(image)
    data = SimpleITK.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        data = np.zeros(image.GetSize(), dtype=[("components", "V1")])
    return data.T, grid, _affine_problems(grid.affine, path)


def _itk_grid(header: Any) -> Grid:
    """The grid of an ITK image, or of a reader that has read the header only."""
    lps = np.eye(4)
    if header.GetDimension() == 3:
        lps[:3, :3] = np.array(header.GetDirection()).reshape(3, 3) * np.array(header.GetSpacing())
        lps[:3, 3] = header.GetOrigin()
    return Grid(tuple(header.GetSize()[:3]), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)


def read_grid(path: Path) -> Grid | None:
    """The grid of a volume, from its header only; None where the header cannot be read or is wrong."""
    try:
        status = path.stat()
        return _read_grid(path, status.st_mtime_ns, status.st_size)
    except Exception:  # whoever reads the voxels says what is wrong
        return None


def refuse_other_grid(grid: Grid, other_grid: Grid, *, file: Path, other: str) -> None:
    """Refuse a volume that does not share the grid of another one of its subject.

    Raises:
        VolumeError: naming how they differ.
    """
    if difference := other_grid.difference(grid):
        kind: Kind = "shape-differs" if difference.startswith("has") else "affine-differs"
        raise VolumeError(
            kind, f"the volume {difference}: it does not share the grid of {other}", file=file,
            remedy="bring the images and the segmentation of a subject onto one grid",
        )  # fmt: skip


@lru_cache(maxsize=4096)
def _read_grid(path: Path, changed: int, size: int) -> Grid | None:
    """Kept by path, time of change and size."""
    if _is_itk(path):
        import SimpleITK

        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        grid = _itk_grid(reader)
        return None if _affine_problems(grid.affine, path) else grid
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    with (gzip.open if zipped else open)(path, "rb") as stream:
        start = stream.read(540)
    form = _nifti_class(start).header_class
    grid, problems = _nifti_grid(form(start[: form.sizeof_hdr]), path)
    return None if problems else grid


def turned(data: np.ndarray, source: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
    """Voxels with their axes permuted and flipped from the order of one affine to that of another.

    Args:
        data: ``(X, Y, Z)``.
        source: the affine whose order the axes have.
        target: the affine whose order they get; None for L, P, S.

    Returns:
        A view where nothing is to be done, else a copy in Fortran's order, as NIfTI is stored: sums over the voxels
        then run in one order, and features are equal to the last bit.
    """
    return np.asfortranarray(orientations.apply_orientation(data, _turn(source, target)))


def as_floats(data: np.ndarray) -> np.ndarray:
    """Voxels as float32, or as float64 where float32 cannot hold them.

    That is for integers beyond 2^24 and other values beyond 2^16: float32 keeps 24 bits.
    """
    if data.dtype.kind == "b" or (data.dtype.kind in "iu" and data.dtype.itemsize <= 2) or data.dtype == np.float32:
        return data.astype(np.float32, copy=False)
    if data.size == 0 or data.dtype == np.float16:
        return data.astype(np.float32)
    low, high = float(data.min()), float(data.max())
    limit = 2**24 if data.dtype.kind in "iu" else 2**16
    fits = max(abs(low), abs(high)) <= limit or not (math.isfinite(low) and math.isfinite(high))
    return data.astype(np.float32 if fits else np.float64)


def without_background(data: np.ndarray, background: float) -> np.ndarray:
    """The image with 0 where it has the value ``background``; what is 0 inside the head becomes a trace above it."""
    zero, trace = np.zeros((), data.dtype), data.dtype.type(1e-30 if data.dtype.kind == "f" else 0)
    return np.where(data == background, zero, np.where(data == 0, trace, data))


def background_of(data: np.ndarray) -> float:
    """The value outside the head: 0, or another one that the corners share and a tenth of the voxels have.

    Images in units of their spread have a background below 0, and some scanners add an offset.
    """
    corners = data[:: max(data.shape[0] - 1, 1), :: max(data.shape[1] - 1, 1), :: max(data.shape[2] - 1, 1)]
    value = corners.flat[0]
    if value == 0 or not np.isfinite(value) or not (corners == value).all():
        return 0.0
    share = np.count_nonzero(data == value) / data.size
    return float(value) if 0.1 <= share < 1 and np.count_nonzero(data == 0) < 0.1 * data.size else 0.0


def no_background(data: np.ndarray, spacing: tuple[float, float, float]) -> str | None:
    """What is wrong with a head that nothing surrounds; None where something does, or the image is a piece of a head.

    Args:
        data: ``(X, Y, Z)``, with a background of 0 (:func:`without_background`).
        spacing: mm.
    """
    if (np.array(data.shape) * spacing).min() < _HEAD_MM or np.count_nonzero(data) <= 0.9 * data.size:
        return None
    return (
        "has no background: more than nine tenths of its voxels are not 0, so that the brain cannot be told from what "
        "is around it"
    )


def times(shape: tuple[int, ...]) -> str:
    """``240 x 240 x 155``."""
    return " x ".join(str(length) for length in shape)


def _numbers(values: Any) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
