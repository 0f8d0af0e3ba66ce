"""Linear operators that act along one axis at a time, as small matrices.

Resampling, Gaussian filters, wavelets and derivatives on a grid are all of the form "a matrix along each axis".
Written so, every one of them can be evaluated at the voxels of a region only, is exact there (the rows that are
needed are the whole image's rows, with its borders), and runs on any torch device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def support(matrices: Sequence[np.ndarray], *, tolerance: float = 0.0) -> slice:
    """The columns (input samples) on which any of the matrices depends by more than ``tolerance``."""
    used = np.zeros(matrices[0].shape[1], dtype=bool)
    for matrix in matrices:
        used |= (np.abs(matrix) > tolerance).any(axis=0)
    touched = np.flatnonzero(used)
    return slice(int(touched[0]), int(touched[-1]) + 1) if touched.size else slice(0, 1)


def apply_axis(values: torch.Tensor, matrix: np.ndarray | torch.Tensor, axis: int) -> torch.Tensor:
    """Multiply a volume (3-D, float64) by ``matrix`` (new length x old length) along ``axis``."""
    operator = torch.as_tensor(matrix, dtype=values.dtype, device=values.device)
    if axis == 0:
        return (operator @ values.reshape(values.shape[0], -1)).reshape(-1, *values.shape[1:])
    if axis == 2:
        return values @ operator.T
    return operator @ values  # batched over axis 0


def apply_axes(values: torch.Tensor, matrices: Sequence[np.ndarray | None]) -> torch.Tensor:
    """Apply one operator an axis (None leaves an axis), the one that shrinks the volume most first."""
    todo = [(axis, matrix) for axis, matrix in enumerate(matrices) if matrix is not None]
    todo.sort(key=lambda item: item[1].shape[0] / item[1].shape[1])
    for axis, matrix in todo:
        values = apply_axis(values, matrix, axis)
    return values


def interpolation_matrix(n: int, positions: np.ndarray, order: str, *, outside: str = "edge") -> np.ndarray:
    """Interpolation from ``n`` samples at 0..n-1 to ``positions`` (in samples), shape ``(len(positions), n)``.

    Args:
        n: number of samples.
        positions: where to interpolate.
        order: ``nearest``, ``linear`` or ``cubic`` (interpolating cubic B-spline with mirrored ends).
        outside: positions beyond half a voxel outside the samples repeat the ``edge`` or are ``zero``.
    """
    inside = (positions >= -0.5 - 1e-6) & (positions <= n - 0.5 + 1e-6)
    if order == "nearest":
        matrix = np.zeros((len(positions), n))
        nearest = np.clip(np.floor(positions + 0.5 + 1e-9).astype(int), 0, n - 1)
        matrix[np.arange(len(positions)), nearest] = 1.0
    elif order == "linear":
        matrix = np.zeros((len(positions), n))
        clipped = np.clip(positions, 0, n - 1)
        low = np.minimum(np.floor(clipped + 1e-9).astype(int), max(n - 2, 0))
        fraction = clipped - low
        row = np.arange(len(positions))
        matrix[row, low] += 1 - fraction
        matrix[row, np.minimum(low + 1, n - 1)] += fraction
    elif order == "cubic":
        matrix = _cubic_matrix(n, np.clip(positions, 0, n - 1) if outside == "edge" else positions)
    else:
        raise ValueError(f"unknown interpolation {order!r}")
    if outside == "zero":
        matrix[~inside] = 0.0
    return matrix


def _cubic_matrix(n: int, positions: np.ndarray) -> np.ndarray:
    """Cubic B-spline interpolation: basis functions at the positions times the inverse of those at the samples."""
    if n == 1:
        return np.ones((len(positions), 1))

    def basis(at: np.ndarray) -> np.ndarray:
        values = np.zeros((len(at), n))
        start = np.floor(at).astype(int) - 1
        period = 2 * (n - 1)
        for k in range(4):
            distance = np.abs(at - (start + k))
            weight = np.where(
                distance < 1,
                2 / 3 - distance**2 + distance**3 / 2,
                np.clip(2 - distance, 0, None) ** 3 / 6,
            )
            index = np.mod(start + k, period)
            index = np.where(index >= n, period - index, index)  # whole-sample mirror
            np.add.at(values, (np.arange(len(at)), index), weight)
        return values

    return basis(positions) @ np.linalg.inv(basis(np.arange(n, dtype=float)))
