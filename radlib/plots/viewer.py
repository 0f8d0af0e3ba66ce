"""Pictures of subjects: a gallery of slices, and a viewer that loads nothing from anywhere.

The book shows no real patients: it is made to be passed on.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from nibabel.orientations import apply_orientation, io_orientation
from PIL import Image

from radlib.core.errors import RadlibError
from radlib.core.titles import title
from radlib.data import nifti
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.resampling import resample
from radlib.plots.slices import LABEL_COLOURS, Tile, as_array, grey, slice_figure, widest_slice

if TYPE_CHECKING:
    from radlib.data.store import ImageStore

#: Bytes of a viewer.
LARGEST = 2_500_000
#: Voxels of a viewer's images together: in base64 they stay below LARGEST even where PNG cannot compress them.
VOXELS = 1_750_000
CORNERS = list(itertools.product((0, 1), repeat=3))


def gallery(
    cohort: Cohort, subjects: Sequence[str] | Mapping[str, str], *, modalities: Sequence[str] = MODALITIES
) -> Figure:
    """A row a subject: its modalities and the segmentation, in the axial slice with most tumour.

    Radiological convention: the patient's left is on the right of the picture. A missing modality is an empty field
    that says so.

    Args:
        cohort: a simulated one.
        subjects: who is shown; or why to whom, which is then written beside the row.
        modalities: left to right; the segmentation lies over the last one.

    Raises:
        RadlibError: if the cohort is not simulated, or no subject is given.
    """
    _only_simulated(cohort)
    reasons = dict(subjects) if isinstance(subjects, Mapping) else {subject: subject for subject in subjects}
    rows = {}
    for reason, subject in reasons.items():
        labels = to_lps(cohort.labels(subject)) if _has(cohort, subject, "seg") else None
        images = {name: to_lps(cohort.volume(subject, name)) for name in modalities if _has(cohort, subject, name)}
        z = widest_slice(labels if labels is not None else next(iter(images.values())))
        tiles = [Tile(image=images[name][..., z] if name in images else None, title=title(name)) for name in modalities]
        last = list(images.values())[-1][..., z] if labels is not None else None
        over = None if labels is None else labels[..., z]
        rows[_describe(cohort, subject, reason)] = [*tiles, Tile(image=last, labels=over, title=title("seg"))]
    return slice_figure(rows, crop=False)


def linked_viewer(
    cohort: Cohort, images: Mapping[str, nifti.Volume], labels: Mapping[str, nifti.Volume], **how: Any
) -> str:
    """:func:`viewer_document` of a simulated subject, for a chapter.

    Raises:
        RadlibError: if the cohort is not simulated.
    """
    _only_simulated(cohort)
    return viewer_document(images, labels, **how)


def viewer_document(
    images: Mapping[str, nifti.Volume], labels: Mapping[str, nifti.Volume], *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    colours: Mapping[int, tuple[str, str]] = LABEL_COLOURS,
) -> str:  # fmt: skip
    """A whole HTML document: one plane of several images side by side under one cross. It loads nothing.

    Radiological convention: the patient's left is on the right, marked L. The images are cut to what is not 0 in any of
    them and brought to one grid, coarse enough for the document to stay below :data:`LARGEST`. Real patients belong
    only on a page that stays with them (``radlib predict``); a chapter calls :func:`linked_viewer`.

    Args:
        images: by title, left to right; each on a grid of its own.
        labels: by title, 0 and the keys of ``colours``; of two, the second is also shown as far as it differs from
            the first.
        limits: by title, what is shown black and white; where not given as :class:`radlib.plots.slices.Tile` says.
        colours: label to colour and name.

    Raises:
        RadlibError: if there is no image, or all are 0.
    """
    low, high = _box(images)
    edge = max(
        min(min(image.spacing) for image in images.values()), float(np.cbrt(np.prod(high - low) * len(images) / VOXELS))
    )
    shape = [max(1, math.ceil(length)) for length in (high - low) / edge]
    # From voxel to mm (RAS+): axes to the left, to the back and upwards, the first voxel's centre half an edge inside.
    affine = np.diag([-edge, -edge, edge, 1.0])
    affine[:3, 3] = [high[0] - edge / 2, high[1] - edge / 2, low[2] + edge / 2]
    shown = []
    for name, image in images.items():
        values = grey(image.data.astype(np.float32), (limits or {}).get(name))
        shown.append({"title": name, "png": _png(255 * resample(values, image.affine, affine, shape, order=1))})
    ranks = {title: _ranks(volume, affine, shape, list(colours)) for title, volume in labels.items()}
    first = next(iter(ranks.values()), np.zeros(shape))
    z = widest_slice(first)
    inside = np.argwhere(first[..., z])
    x, y = inside.mean(axis=0) if len(inside) else (shape[0] // 2, shape[1] // 2)
    data = {
        "shape": shape, "spacing": edge, "cross": [int(x), int(y), z],
        "images": shown, "overlays": [{"title": title, "png": _png(one * 64)} for title, one in ranks.items()],
        "labels": [[name, colour] for colour, name in colours.values()],
    }  # fmt: skip
    template = resources.files("radlib.plots").joinpath("viewer.html").read_text(encoding="utf-8")
    return template.replace("DATA", json.dumps(data).replace("<", "\\u003c"))


def on_grid(store: ImageStore, subject: str, arrays: Mapping[str, Any]) -> dict[str, nifti.Volume]:
    """Arrays ``(X, Y, Z)`` on the grid of a store as volumes."""
    affine = store.affines[store.rows([subject])[0]]
    return {title: nifti.Volume(as_array(values), affine, store.spacing) for title, values in arrays.items()}


def _box(images: Mapping[str, nifti.Volume]) -> tuple[np.ndarray, np.ndarray]:
    """Corners, mm (RAS+), of the smallest box around what is not 0 in any of the images, voxels included whole."""
    corners = []
    for image in images.values():
        found = np.argwhere(image.data)
        if len(found):
            ends = np.stack([found.min(axis=0) - 0.5, found.max(axis=0) + 0.5])
            corners += [image.affine @ [*(ends[pick, axis] for axis, pick in enumerate(picks)), 1] for picks in CORNERS]
    if not corners:
        raise RadlibError("no picture to show", remedy="give an image that is not 0 everywhere")
    places = np.stack(corners)[:, :3]
    return places.min(axis=0), places.max(axis=0)


def _ranks(volume: nifti.Volume, affine: np.ndarray, shape: Sequence[int], values: list[int]) -> np.ndarray:
    """Labels as 1, 2, ... in the order of ``values``."""
    found = resample(volume.data, volume.affine, affine, shape, order=0)
    return sum(((found == value) * rank for rank, value in enumerate(values, start=1)), np.zeros(shape, int))


def _png(values: np.ndarray) -> str:
    """``(X, Y, Z)``, 0 to 255, as one grey picture in base64: the axial slices below one another."""
    stream = io.BytesIO()
    strip = np.round(values).astype(np.uint8).T.reshape(-1, values.shape[0])
    Image.fromarray(strip).save(stream, format="png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def _only_simulated(cohort: Cohort) -> None:
    if cohort.source != "simulated":
        raise RadlibError(
            f"cohort {cohort.name!r} is {cohort.source}: the book shows no pictures of patients",
            remedy="show a simulated cohort; look at patients in a viewer of your own",
        )


def _has(cohort: Cohort, subject: str, modality: str) -> bool:
    return not bool(cohort.participants[modality].isna()[subject])


def to_lps(volume: nifti.Volume) -> np.ndarray:
    """Voxels ``(X, Y, Z)`` turned so that the axes run to the patient's left, to the back and upwards."""
    return apply_orientation(volume.data, io_orientation(volume.affine))[::-1, ::-1]


def _describe(cohort: Cohort, subject: str, reason: str) -> str:
    row = cohort.participants.loc[subject]
    parts = [reason]
    facts = [
        f"{row['age']:.0f} y" if row.notna()["age"] else "",
        str(row["sex"]) if row.notna()["sex"] else "",
        f"grade {row['grade']:.0f}" if row.notna()["grade"] else "",
    ]
    parts.append(" ".join(fact for fact in facts if fact))
    if row.notna()["idh"]:
        parts.append(f"IDH {row['idh']}")
    return "\n".join(part for part in parts if part)
