"""How close a synthetic image is to the one it stands for."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from radlib.core.errors import RadlibError

Floats = npt.NDArray[np.float64]


def psnr(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, *, data_range: float, mask: npt.ArrayLike | None = None
) -> float:
    """Peak signal-to-noise ratio, dB: ``10 log10(data_range^2 / MSE)``.

    Args:
        predicted, truth: images of one shape.
        data_range: difference of the largest and the smallest possible intensity. PSNR of two images can only be
            compared at one range.
        mask: where to look, such as the brain or the tumour; everywhere where None. Background that both images leave
            at 0 raises the value without any merit.

    Returns:
        dB; infinite for equal images, NaN for an empty mask.
    """
    a, b = _pair(predicted, truth, data_range)
    inside = np.ones(a.shape, bool) if mask is None else np.asarray(mask).astype(bool)
    if inside.shape != a.shape:
        raise RadlibError(f"the mask has shape {inside.shape}, the images {a.shape}", remedy="mask the same grid")
    if not inside.any():
        return float("nan")
    error = float(np.mean((a[inside] - b[inside]) ** 2))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)


def ssim(predicted: npt.ArrayLike, truth: npt.ArrayLike, *, data_range: float) -> float:
    """Structural similarity (scikit-image, windows of 7 voxels), at most 1; over the whole image, 2D or 3D."""
    a, b = _pair(predicted, truth, data_range)
    if min(a.shape) < 7:
        raise RadlibError(f"an image of {a.shape} is smaller than the window of 7", remedy="give larger images")
    return float(structural_similarity(a, b, data_range=data_range))


def synthesis_scores(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, *, tumour: npt.ArrayLike, data_range: float
) -> dict[str, float]:
    """PSNR of the whole image, of the brain (where the true image is not 0) and of the tumour, SSIM, and mean error.

    Args:
        predicted, truth: ``(X, Y, Z)``.
        tumour: mask of the whole tumour; without one its PSNR is NaN.
        data_range: range of the intensities.
    """
    a, b = _pair(predicted, truth, data_range)
    brain = b != 0
    return {
        "psnr": psnr(a, b, data_range=data_range),
        "psnr_brain": psnr(a, b, data_range=data_range, mask=brain),
        "psnr_tumour": psnr(a, b, data_range=data_range, mask=tumour),
        "ssim": ssim(a, b, data_range=data_range),
        "mae_brain": float(np.abs(a - b)[brain].mean()) if brain.any() else float("nan"),
    }


def _pair(predicted: npt.ArrayLike, truth: npt.ArrayLike, data_range: float) -> tuple[Floats, Floats]:
    a, b = np.asarray(predicted, dtype=float), np.asarray(truth, dtype=float)
    if a.shape != b.shape:
        raise RadlibError(f"images of {a.shape} and {b.shape}", remedy="bring both onto one grid")
    if not data_range > 0:
        raise RadlibError(f"data_range is {data_range}", remedy="give the range of the intensities, above 0")
    return a, b
