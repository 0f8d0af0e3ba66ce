"""Pictures of simulated subjects: a gallery of slices, and a viewer that loads nothing from anywhere.

Real patients are never pictured: a rendered book is made to be passed on.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from nibabel.orientations import apply_orientation, io_orientation

from radlib.core.errors import RadlibError
from radlib.core.titles import title
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.nifti import Volume
from radlib.plots.slices import LABEL_COLOURS, Tile, slice_figure, widest_slice

if TYPE_CHECKING:
    pass


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


def interactive_viewer(cohort: Cohort, subject: str, *, modality: str = "flair") -> str:
    """A whole HTML document: three linked sections of one image with its segmentation, to be clicked through.

    The patient's left is on the left and marked so, other than in :func:`gallery`: nilearn's radiological view draws
    the cross on the wrong side. The numbers are the place of the cross in mm.

    The document carries its scripts and its voxels and makes no network request.

    Raises:
        RadlibError: if the cohort is not simulated, or the document would load something.
    """
    from nilearn.plotting import view_img

    _only_simulated(cohort)
    image = cohort.volume(subject, modality)
    labels = cohort.labels(subject)
    colours = ListedColormap(["#000000", *(LABEL_COLOURS[label][0] for label in (1, 2, 4))])
    # Labels 1, 2, 4 as 1, 2, 3, so that each has a colour of its own.
    ranks = np.searchsorted([0, 1, 2, 4], labels.data).astype(np.float32)
    low, high = grey_window(image.data)
    grey = np.clip((image.data - low) / (high - low), 0, 1).astype(np.float32)
    with warnings.catch_warnings():
        # nilearn calls a method of colour maps that matplotlib means to deprecate.
        warnings.filterwarnings("ignore", message="The set_bad function", category=PendingDeprecationWarning)
        view = view_img(
            nib.Nifti1Image(ranks, labels.affine),
            bg_img=nib.Nifti1Image(grey, image.affine),
            threshold=0.5,
            vmin=0,
            vmax=3,
            cmap=colours,
            symmetric_cmap=False,
            black_bg=True,
            colorbar=False,
            opacity=0.45,
            resampling_interpolation="nearest",
            cut_coords=_centre(labels),
            title=title(modality),
        )
    document = str(view.get_standalone())
    if requests := external_resources(document):
        raise RadlibError(
            f"the viewer would load {requests[0]}", remedy="use a version of nilearn whose viewers are self-contained"
        )
    return document


def external_resources(document: str) -> list[str]:
    """What a browser might load when it opens an HTML document, beside the document itself.

    Addresses in ``src`` (and ``href`` of ``link``), in style sheets, and every http(s) address in a script, whatever
    it is for. ``data:`` addresses, page anchors and XML namespaces are not counted, nor links that need a click.
    """
    parser = _Resources()
    parser.feed(document)
    return [
        address
        for address in parser.found
        if address and not address.startswith(("data:", "#", "about:", "http://www.w3.org/"))
    ]


class _Resources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        for name, value in attrs:
            if name == "src" or (name == "href" and tag == "link"):
                self.found.append((value or "").strip())
            elif name == "srcdoc" and value:
                self.found += external_resources(value)
            elif name == "style" and value:
                self._style(value)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            self._style(data)
        elif self.inside == "script":
            self.found += re.findall(r"https?://[^\s\"'`<>)]+", data)

    def _style(self, text: str) -> None:
        self.found += re.findall(r"(?:@import\s+|url\()\s*[\"']?([^\"')\s;]+)", text, re.IGNORECASE)


def _only_simulated(cohort: Cohort) -> None:
    if cohort.source != "simulated":
        raise RadlibError(
            f"cohort {cohort.name!r} is {cohort.source}: the book shows no pictures of patients",
            remedy="show a simulated cohort; look at patients in a viewer of your own",
        )


def _has(cohort: Cohort, subject: str, modality: str) -> bool:
    return not bool(cohort.participants[modality].isna()[subject])


def to_lps(volume: Volume) -> np.ndarray:
    """Voxels ``(X, Y, Z)`` turned so that the axes run to the patient's left, to the back and upwards."""
    return apply_orientation(volume.data, io_orientation(volume.affine))[::-1, ::-1]


def grey_window(voxels: np.ndarray) -> tuple[float, float]:
    """What is shown black and what white: the 1st and the 99.5th percentile of the voxels that are not 0."""
    brain = voxels[voxels != 0]
    if not brain.size:
        return 0.0, 1.0
    low, high = np.percentile(brain, [1, 99.5])
    return float(low), float(high if high > low else low + 1)


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


def _centre(labels: Volume) -> tuple[float, float, float]:
    """The middle of the tumour in mm; of the volume where there is none."""
    inside = np.argwhere(labels.data > 0)
    middle = inside.mean(axis=0) if len(inside) else (np.array(labels.data.shape) - 1) / 2
    x, y, z = (labels.affine @ [*middle, 1])[:3]
    return float(x), float(y), float(z)
