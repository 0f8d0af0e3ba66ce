"""Segmentation metrics, by region and subject.

Empty regions decide low-grade tables, so the conventions are stated, here and nowhere else:

- With reference and prediction empty, Dice is 1. With one of them empty, Dice is 0.
- A distance exists only where both have the region: HD95 is averaged over these subjects, and ``missed`` counts those
  with the region in exactly one of the two. (The BraTS leaderboard puts 373.13 mm, the diagonal of its volume, in
  their place, and 0 mm where both are empty: a mean of distances and conventions.)
- Sensitivity is undefined (NaN) for an empty reference and the positive predictive value for an empty prediction.

Means leave undefined values out, and ``n`` says how many subjects are left.

Lesion-wise scores (:func:`lesion_scores`) count what those of a whole region hide: a second lesion that is missed,
and islands of false tumour.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import binary_erosion, distance_transform_edt, label
from scipy.spatial import KDTree

from radlib.core.errors import RadlibError
from radlib.data.regions import REGIONS, region_mask

METRICS: tuple[str, ...] = ("dice", "sensitivity", "specificity", "ppv", "hd95")

MERGED_MM = 3.0
"""Reference lesions that touch once each is dilated by so much are one (BraTS 2023, glioma)."""

LEAST_MM3 = 50.0
"""Reference lesions up to this size are left out, and what was predicted there with them (BraTS 2023)."""

NOT_FOUND_MM = 374.0
"""The distance of a lesion that was missed or invented (BraTS 2023)."""

Mask = npt.NDArray[np.bool_]


def dice(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Dice coefficient of two masks of one shape, 0 to 1; 1 where both are empty."""
    p, t = _pair(predicted, truth)
    total = int(p.sum()) + int(t.sum())
    return 1.0 if total == 0 else 2 * int((p & t).sum()) / total


def sensitivity(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Share of the reference that was found; NaN where the reference is empty."""
    p, t = _pair(predicted, truth)
    return _share(int((p & t).sum()), int(t.sum()))


def specificity(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Share of what is outside the reference that was left alone, over the whole volume; NaN where nothing is outside.

    It is close to 1 for any small region and says more about the size of the volume than about the method.
    """
    p, t = _pair(predicted, truth)
    return _share(int((~p & ~t).sum()), int((~t).sum()))


def ppv(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Positive predictive value: share of the prediction that is right; NaN where the prediction is empty."""
    p, t = _pair(predicted, truth)
    return _share(int((p & t).sum()), int(p.sum()))


def hd95(
    predicted: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    percentile: float = 95.0,
) -> float:
    """Hausdorff distance at a percentile, mm: the larger of both directed percentiles of surface distances.

    The surface is the voxels of a mask that have a neighbour (of six) outside it. A definition that pools both
    directions, or weights by area, gives smaller values.

    Args:
        predicted, truth: masks of one shape.
        spacing: mm along each axis.
        percentile: 100 is the Hausdorff distance itself.

    Returns:
        NaN where either mask is empty.
    """
    p, t = _pair(predicted, truth)
    if not p.any() or not t.any():
        return float("nan")
    a, b = (_surface(mask) * np.asarray(spacing, dtype=float) for mask in (p, t))
    there, back = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
    return float(max(np.percentile(there, percentile), np.percentile(back, percentile)))


def lesion_scores(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, *, spacing: Sequence[float] = (1.0, 1.0, 1.0)
) -> dict[str, float]:
    """Dice and HD95 by lesion, as the BraTS challenge ranks since 2023.

    Reference lesions are components of the reference, dilated by :data:`MERGED_MM`, so that parts of one tumour count
    once. All predicted components that touch the dilated lesion are held against it together; a lesion that none
    touches is missed, a component that touches none is false. Missed and false ones have Dice 0 and distance
    :data:`NOT_FOUND_MM`; lesions of at most :data:`LEAST_MM3` are left out. Components have neighbours by face, edge
    and corner.

    Args:
        predicted, truth: masks of one shape.
        spacing: mm along each axis.

    Returns:
        ``lesion_dice``, ``lesion_hd95`` (mm): means over reference lesions and false components, 1 and 0 where there is
        neither; ``lesions``, ``lesions_found``, ``lesions_false``: how many.
    """
    p, t = _pair(predicted, truth)
    every = np.ones((3,) * t.ndim, dtype=bool)
    near = distance_transform_edt(~t, sampling=spacing) <= MERGED_MM if t.any() else t
    lesions, count = label(near, every)
    parts, n_parts = label(p, every)
    volume = float(np.prod(spacing))
    scores: list[tuple[float, float]] = []
    taken = np.zeros(n_parts + 1, dtype=bool)
    found = counted = 0
    for number in range(1, count + 1):
        there = lesions == number
        lesion = t & there
        touching = np.unique(parts[there])
        touching = touching[touching > 0]
        taken[touching] = True
        if int(lesion.sum()) * volume <= LEAST_MM3:
            continue
        counted += 1
        if len(touching):
            found += 1
            own = np.isin(parts, touching)
            scores.append((dice(own, lesion), hd95(own, lesion, spacing=spacing)))
        else:
            scores.append((0.0, NOT_FOUND_MM))
    false = n_parts - int(taken[1:].sum())
    scores += [(0.0, NOT_FOUND_MM)] * false
    values = np.mean(scores, axis=0) if scores else (1.0, 0.0)
    return {
        "lesion_dice": float(values[0]), "lesion_hd95": float(values[1]), "lesions": float(counted),
        "lesions_found": float(found), "lesions_false": float(false),
    }  # fmt: skip


def score_labels(
    predicted: npt.ArrayLike,
    truth: npt.ArrayLike,
    *,
    spacing: Sequence[float],
    subject: str,
    regions: Sequence[str] = REGIONS,
) -> pd.DataFrame:
    """Every metric of one subject.

    Args:
        predicted, truth: labels 0, 1, 2, 4, of one shape.
        spacing: mm along each axis.
        subject: its id.
        regions: ``et``, ``wt``, ``tc``.

    Returns:
        One row a region: ``subject``, ``region``, :data:`METRICS`, ``missed`` (whether exactly one of the two has the
        region) and what :func:`lesion_scores` gives.
    """
    p, t = np.asarray(predicted), np.asarray(truth)
    rows = []
    for region in regions:
        a, b = region_mask(p, region), region_mask(t, region)
        rows.append({
            "subject": subject, "region": region, "dice": dice(a, b), "sensitivity": sensitivity(a, b),
            "specificity": specificity(a, b), "ppv": ppv(a, b), "hd95": hd95(a, b, spacing=spacing),
            "missed": bool(a.any() != b.any()), **lesion_scores(a, b, spacing=spacing),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _pair(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Mask, Mask]:
    p, t = np.asarray(predicted).astype(bool), np.asarray(truth).astype(bool)
    if p.shape != t.shape:
        raise RadlibError(
            f"the prediction has shape {p.shape}, the reference {t.shape}",
            remedy="bring the prediction onto the grid of the reference",
        )
    return p, t


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _surface(mask: Mask) -> npt.NDArray[np.int64]:
    """Voxels of a mask with a neighbour outside it, ``(n, dimensions)``; only the mask's box is looked at."""
    places = np.nonzero(mask)
    low = [int(axis.min()) for axis in places]
    box = mask[tuple(slice(a, int(axis.max()) + 1) for a, axis in zip(low, places, strict=True))]
    edge = box & ~binary_erosion(np.pad(box, 1))[(slice(1, -1),) * box.ndim]
    return np.argwhere(edge) + np.array(low)
