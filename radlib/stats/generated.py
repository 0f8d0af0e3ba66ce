"""Are generated samples like real ones, as varied, and not copies? Measures on vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from radlib.core.errors import RadlibError

Floats = npt.NDArray[np.float64]


def frechet_distance(real: npt.ArrayLike, generated: npt.ArrayLike) -> float:
    """Squared Frechet distance between Gaussians fitted to two samples (Heusel 2017), in squared units of the vectors.

    Args:
        real, generated: (samples, dimensions), more samples than dimensions for a covariance of full rank; reduce
            longer vectors first.
    """
    a, b = _pair(real, generated)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(np.atleast_2d(first) @ np.atleast_2d(second)))
    gap = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    return gap + float(np.trace(np.atleast_2d(first)) + np.trace(np.atleast_2d(second)) - 2 * np.trace(root))


def precision_recall(real: npt.ArrayLike, generated: npt.ArrayLike, *, neighbours: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkaanniemi 2019).

    Precision is the share of generated samples that lie within the reach of a real one, recall the share of real
    samples within the reach of a generated one; the reach of a sample is the distance of its k-th neighbour of its own
    kind.
    """
    a, b = _pair(real, generated)
    if min(len(a), len(b)) <= neighbours:
        raise RadlibError(f"{min(len(a), len(b))} samples have no {neighbours} neighbours", remedy="give more samples")

    def within(points: Floats, manifold: Floats) -> float:
        reach = np.sort(cdist(manifold, manifold), axis=1)[:, neighbours]
        return float((cdist(points, manifold) <= reach[None]).any(axis=1).mean())

    return within(b, a), within(a, b)


def memorised(
    train: npt.ArrayLike, held_out: npt.ArrayLike, generated: npt.ArrayLike, *, share: float = 0.01
) -> npt.NDArray[np.bool_]:
    """Which generated samples are suspiciously close to a training sample.

    Suspicious is a distance below the ``share`` quantile of the distances of held-out real samples to their nearest
    training sample: a generator that does not copy has about this share.

    Returns:
        ``(generated,)`` bool.
    """
    a, b = _pair(train, held_out)
    _, c = _pair(train, generated)
    limit = np.quantile(cdist(b, a).min(axis=1), share)
    return np.asarray(cdist(c, a).min(axis=1) < limit)


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or len(a) < 2 or len(b) < 2:
        raise RadlibError(
            f"samples of shapes {a.shape} and {b.shape}", remedy="give (samples, dimensions), two or more"
        )
    return a, b
