"""Pictures of simulated subjects: a gallery of slices, and a viewer that loads nothing from anywhere.

Real patients are never pictured: a rendered book is made to be passed on.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from nibabel.orientations import apply_orientation, io_orientation

from radlib.core.errors import RadlibError
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.nifti import Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_COLOURS: dict[int, tuple[str, str]] = {
    1: ("#D55E00", "core (1)"),
    2: ("#56B4E9", "oedema (2)"),
    4: ("#F0E442", "enhancing (4)"),
}
_TITLES = {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR"}


def gallery(cohort: Cohort, subjects: Sequence[str], *, modalities: Sequence[str] = MODALITIES) -> Figure:
    """A row a subject: its modalities and the segmentation, in the axial slice with most tumour.

    Radiological convention: the patient's left is on the right of the picture. Grey values run from the 1st to the
    99.5th percentile of the brain. A missing modality is an empty field that says so.

    Raises:
        RadlibError: if the cohort is not simulated, or no subject is given.
    """
    _only_simulated(cohort)
    if not subjects:
        raise RadlibError("no subject to show", remedy="name at least one")
    columns = [*modalities, "seg"]
    figure, fields = plt.subplots(
        len(subjects), len(columns), figsize=(7.4, 1.75 * len(subjects) + 0.5), squeeze=False, facecolor="white"
    )
    for row, subject in zip(fields, subjects, strict=True):
        labels = upright(cohort.labels(subject)) if _has(cohort, subject, "seg") else None
        shown: np.ndarray | None = None
        place: int | None = int(np.count_nonzero(labels, axis=(0, 1)).argmax()) if labels is not None else None
        for axes, modality in zip(row, columns, strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            axes.set_facecolor("black")
            if modality == "seg":
                _draw_labels(axes, shown, None if labels is None or place is None else labels[..., place])
                continue
            if not _has(cohort, subject, modality):
                axes.text(0.5, 0.5, "missing", color="white", ha="center", va="center", transform=axes.transAxes)
                continue
            voxels = upright(cohort.volume(subject, modality))
            if place is None:
                place = voxels.shape[2] // 2
            low, high = grey_window(voxels)
            shown = np.clip((voxels[..., place] - low) / (high - low), 0, 1)
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
        row[0].set_ylabel(_describe(cohort, subject), fontsize="x-small")
    for axes, modality in zip(fields[0], columns, strict=True):
        axes.set_title(_TITLES.get(modality, "segmentation"), fontsize="small")
    figure.legend(
        handles=[Patch(color=colour, label=text) for colour, text in LABEL_COLOURS.values()],
        loc="outside lower center", ncols=3, fontsize="small",
    )  # fmt: skip
    return figure


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
            title=_TITLES.get(modality, modality),
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


def upright(volume: Volume) -> np.ndarray:
    """Voxels as ``(rows from anterior to posterior, columns from the patient's right to left, slices upwards)``."""
    ras = apply_orientation(volume.data, io_orientation(volume.affine))
    return ras[::-1, ::-1].transpose(1, 0, 2)


def grey_window(voxels: np.ndarray) -> tuple[float, float]:
    """What is shown black and what white: the 1st and the 99.5th percentile of the voxels that are not 0."""
    brain = voxels[voxels != 0]
    if not brain.size:
        return 0.0, 1.0
    low, high = np.percentile(brain, [1, 99.5])
    return float(low), float(high if high > low else low + 1)


def _draw_labels(axes: Axes, grey: np.ndarray | None, labels: np.ndarray | None) -> None:
    if grey is not None:
        axes.imshow(grey, cmap="gray", vmin=0, vmax=1)
    if labels is None:
        axes.text(0.5, 0.5, "missing", color="white", ha="center", va="center", transform=axes.transAxes)
        return
    for label, (colour, _) in LABEL_COLOURS.items():
        axes.imshow(np.ma.masked_where(labels != label, labels), cmap=ListedColormap([colour]), alpha=0.75,
                    interpolation="nearest")  # fmt: skip


def _describe(cohort: Cohort, subject: str) -> str:
    row = cohort.participants.loc[subject]
    parts = [subject]
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
