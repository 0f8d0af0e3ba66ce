"""Derived images, evaluated in a box of the image and equal there to the filter of the whole image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
import pywt
import SimpleITK
import torch

from radlib.core.errors import RadlibError
from radlib.features.roi import Box
from radlib.features.separable import apply_axes, apply_axis, support
from radlib.features.settings import DerivedImage

WIDTH = 4.0  # a Gaussian kernel ends after this many standard deviations
NEGLIGIBLE = 1e-10  # weights below this are left out; ITK's recursive filters never quite reach zero


class ImageSource:
    """An image on whose boxes filters are evaluated; the image itself stays where it is.

    Args:
        image: the whole image, 3-D NumPy array.
        spacing: voxel size in mm.
        device: where to compute.
    """

    def __init__(self, image: np.ndarray, spacing: Sequence[float], device: torch.device) -> None:
        self.image = image
        self.spacing = tuple(spacing)
        self.device = device
        self._largest: float | None = None

    def crop(self, box: Box) -> torch.Tensor:
        """The image in a box, float64, on the device.

        Raises:
            RadlibError: where it is not finite there.
        """
        part = np.ascontiguousarray(self.image[box])
        values = torch.from_numpy(part).to(self.device).to(torch.float64)
        if part.dtype.kind == "f" and not bool(torch.isfinite(values).all()):
            bad = int((~torch.isfinite(values)).sum())
            raise RadlibError(
                f"the image holds {bad} NaN or infinite values in or near the region",
                remedy="mend the image, for example with numpy.nan_to_num",
            )
        return values

    def largest(self) -> float:
        """The largest absolute intensity of the whole image, which scales PyRadiomics' point operations."""
        if self._largest is None:
            low, high = float(self.image.min()), float(self.image.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                raise RadlibError(
                    "the image holds NaN or infinite values",
                    remedy="mend the image, for example with numpy.nan_to_num",
                )
            self._largest = max(abs(low), abs(high))
        return self._largest

    def through(self, matrices: Sequence[Sequence[np.ndarray]]) -> tuple[torch.Tensor, list[slice]]:
        """The part of the image that these operators (some for each axis) need, and where it lies."""
        needed = [support(operators, tolerance=NEGLIGIBLE) for operators in matrices]
        return self.crop((needed[0], needed[1], needed[2])), needed


def image_name(derived: DerivedImage, *, definitions: str = "ibsi", band: str = "") -> str:
    """The prefix of feature names: empty for IBSI's original image, PyRadiomics' own prefixes under its definitions."""
    kind = derived.kind
    if definitions == "pyradiomics":
        if kind == "log":
            return f"log-sigma-{str(float(derived.sigma_mm or 0)).replace('.', '-')}-mm-3D"
        if kind == "wavelet":
            return f"wavelet-{band}"
        return {"square_root": "squareroot"}.get(kind, kind)
    if kind == "original":
        return ""
    if kind == "log":
        return f"log-{derived.sigma_mm:g}mm"
    if kind == "wavelet":
        return f"wavelet-{band.lower()}"
    return kind.replace("_", "-")


def image_names(derived: DerivedImage, *, definitions: str = "ibsi") -> list[str]:
    """The prefixes of every image that a setting stands for (eight for wavelets)."""
    if derived.kind == "wavelet":
        return [image_name(derived, definitions=definitions, band=band) for band in derived.bands]
    return [image_name(derived, definitions=definitions)]


def derive(
    source: ImageSource, derived: DerivedImage, box: Box, *, definitions: str = "ibsi"
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and values (in the box, float64) of each image that a setting stands for."""
    if derived.kind == "wavelet":
        for band, values in wavelet_bands(source, box, derived.wavelet_name, derived.bands).items():
            yield image_name(derived, definitions=definitions, band=band), values
        return
    name = image_name(derived, definitions=definitions)
    if derived.kind == "log":
        assert derived.sigma_mm is not None
        yield name, laplacian_of_gaussian(source, box, derived.sigma_mm, recursive=definitions == "pyradiomics")
    elif derived.kind == "gradient":
        yield name, gradient_magnitude(source, box)
    else:
        yield name, point_operation(source, box, derived.kind)


def point_operation(source: ImageSource, box: Box, kind: str) -> torch.Tensor:
    """Original, square, square root, logarithm or exponential; scaled to keep the image's largest absolute value."""
    x = source.crop(box)
    if kind == "original":
        return x
    top = source.largest()
    if top == 0:
        return torch.ones_like(x) if kind == "exponential" else torch.zeros_like(x)
    if kind == "square":
        return x * x / top
    if kind == "square_root":
        return x.sign() * (top * x.abs()).sqrt()
    if kind == "logarithm":
        return x.sign() * torch.log1p(x.abs()) * (top / math.log1p(top))
    if kind == "exponential":
        return torch.exp(x * (math.log(top) / top))
    raise ValueError(f"unknown point operation {kind!r}")


def wavelet_bands(source: ImageSource, box: Box, wavelet: str, bands: Sequence[str]) -> dict[str, torch.Tensor]:
    """Bands of one level of the stationary wavelet transform, by name (letter k is the filter along axis k).

    The convention is PyRadiomics': ``pywt.swtn`` at level 1, periodic, an odd axis padded by one wrapped sample.
    """
    filters = [_wavelet_matrices(size, wavelet) for size in source.image.shape]
    rows = [[low[part], high[part]] for (low, high), part in zip(filters, box, strict=True)]
    x, needed = source.through(rows)
    cut = [[matrix[:, part] for matrix in pair] for pair, part in zip(rows, needed, strict=True)]
    result: dict[str, torch.Tensor] = {}
    for first, second in product("LH", repeat=2):
        wanted = [band for band in bands if band[:2] == first + second]
        if not wanted:
            continue
        partial = apply_axis(x, cut[0]["LH".index(first)], 0)
        partial = apply_axis(partial, cut[1]["LH".index(second)], 1)
        for band in wanted:
            result[band] = apply_axis(partial, cut[2]["LH".index(band[2])], 2)
    return {band: result[band] for band in bands}


@lru_cache(maxsize=16)
def _wavelet_matrices(size: int, wavelet: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        bank = pywt.Wavelet(wavelet)
    except ValueError as error:
        raise RadlibError(
            f"there is no discrete wavelet {wavelet!r}", remedy="`pywt.wavelist(kind='discrete')` lists them"
        ) from error
    even = size + size % 2
    wrapped = np.eye(even)[:, :size]
    if even > size:
        wrapped[size, 0] += 1.0
    low, high = pywt.swt(wrapped, bank, level=1, axis=0)[0]
    return low[:size], high[:size]


def laplacian_of_gaussian(source: ImageSource, box: Box, sigma: float, *, recursive: bool = False) -> torch.Tensor:
    """The Laplacian of Gaussian at ``sigma`` mm.

    By default with sampled Gaussians that end after four standard deviations, the image mirrored at its borders, in
    intensity per squared voxel as IBSI 2 defines it (isotropic spacing) and otherwise in units of mm scaled alike.
    ``recursive``: ITK's recursive Gaussian, scale-normalised, as PyRadiomics uses it.
    """
    operators = []
    for size, step, part in zip(source.image.shape, source.spacing, box, strict=True):
        make = _recursive_matrices if recursive else _gaussian_matrices
        smooth, second = make(size, sigma / step)
        operators.append((smooth[part], second[part]))
    x, needed = source.through(operators)
    cut = [(smooth[:, part], second[:, part]) for (smooth, second), part in zip(operators, needed, strict=True)]
    scale = [sigma**2 / step**2 for step in source.spacing] if recursive else [1.0, 1.0, 1.0]
    # Smoothing along the last axes is shared: S0 S1 D2 + (S0 D1 + D0 S1) S2.
    by_smooth = apply_axis(x, cut[2][0], 2)
    inner = scale[1] * apply_axes(by_smooth, (cut[0][0], cut[1][1], None))
    inner += scale[0] * apply_axes(by_smooth, (cut[0][1], cut[1][0], None))
    return inner + scale[2] * apply_axes(x, (cut[0][0], cut[1][0], cut[2][1]))


@lru_cache(maxsize=64)
def _gaussian_matrices(size: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian smoothing and its second derivative (per squared voxel) of ``size`` samples with mirrored ends."""
    radius = int(WIDTH * sigma + 0.5)
    k = np.arange(-radius, radius + 1, dtype=float)
    weights = np.exp(-0.5 * (k / sigma) ** 2)
    weights /= weights.sum()
    second = weights * (k**2 / sigma**4 - 1 / sigma**2)
    index = np.arange(size)[:, None] + k.astype(int)
    index = np.mod(index, 2 * size)
    index = np.where(index >= size, 2 * size - 1 - index, index)
    rows = np.broadcast_to(np.arange(size)[:, None], index.shape)
    matrices = np.zeros((2, size, size))
    for matrix, kernel in zip(matrices, (weights, second), strict=True):
        np.add.at(matrix, (rows, index), np.broadcast_to(kernel, index.shape))
    return matrices[0], matrices[1]


@lru_cache(maxsize=64)
def _recursive_matrices(size: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """ITK's recursive Gaussian and its second derivative, as matrices: what they do to each unit vector."""
    if size < 4:
        raise RadlibError(
            f"ITK's recursive Gaussian needs 4 voxels along each axis, and the image has {size}",
            remedy="use the IBSI definitions, whose filter takes any size",
        )
    unit = SimpleITK.GetImageFromArray(np.eye(size))
    result = []
    for order in (SimpleITK.RecursiveGaussianImageFilter.ZeroOrder, SimpleITK.RecursiveGaussianImageFilter.SecondOrder):
        response = SimpleITK.RecursiveGaussian(unit, sigma=sigma, normalizeAcrossScale=False, order=order, direction=0)
        result.append(SimpleITK.GetArrayFromImage(response).T.copy())
    return result[0], result[1]


def gradient_magnitude(source: ImageSource, box: Box) -> torch.Tensor:
    """The length of the gradient per mm by central differences, the edge repeated beyond the image."""
    operators = []
    for size, part in zip(source.image.shape, box, strict=True):
        matrix = (np.eye(size, k=1) - np.eye(size, k=-1)) / 2
        matrix[0, 0] -= 0.5
        matrix[-1, -1] += 0.5
        operators.append((matrix[part], np.eye(size)[part]))
    x, needed = source.through(operators)
    total = torch.zeros([part.stop - part.start for part in box], dtype=torch.float64, device=x.device)
    for axis in range(3):
        matrices = [operators[other][0 if other == axis else 1][:, needed[other]] for other in range(3)]
        total += (apply_axes(x, matrices) / source.spacing[axis]) ** 2
    return total.sqrt()
