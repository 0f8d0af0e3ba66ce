"""The *LGG MRI segmentation* set: 110 lower-grade gliomas of TCGA as slices, with the whole tumour outlined by hand.

Mazurowski et al. 2017 and Buda et al. 2019 published axial slices of three channels (T1 before contrast, FLAIR, T1
after contrast), registered to each other, with the skull. The slices become volumes without the skull, which
:mod:`radlib.data.store` reads as it reads every other image. What the set does not tell is declared, not made up: see
:data:`VOXEL`.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import checksums, read_json, write_json
from radlib.core.paths import runs_root
from radlib.core.progress import track
from radlib.data.cohort import Cohort, participants_table
from radlib.data.nifti import write_volume
from radlib.data.readers.files import walk
from radlib.data.readers.tcga import clinical_table

CHANNELS = ("t1", "flair", "t1ce")
"""The channels of a slice in the publisher's order."""

REFERENCE = "flair"
"""The channel that every patient has; a channel that repeats it was missing, and the publishers filled it in."""

VOXEL = (1.0, 1.0, 5.0)
"""Edges of a voxel as the volumes declare them, *nominal* mm. The set stores neither pixel size nor slice thickness:
a slice is 256 pixels wide, and patients have 20 to 88 slices. Lengths and volumes are in these units, in no others."""

MARGIN = 2
"""So many slices below and above the tumour are taken, whatever a download holds beyond."""

_CASE = re.compile(r"TCGA_([A-Z0-9]{2})_([A-Z0-9]{4})_\d{8}")
_FORMAT = 1  # of what `_convert` writes


@dataclass(frozen=True)
class Case:
    """The files of one patient.

    Attributes:
        name: such as ``TCGA_CS_4941_19960909``.
        numbers: of the slices, rising.
        folder: with ``<name>_<number>.tif`` and ``<name>_<number>_mask.tif``.
        brain: folder with ``<name>_<number>_brain.tif``, or None.
    """

    name: str
    numbers: tuple[int, ...]
    folder: Path
    brain: Path | None

    @property
    def person(self) -> str:
        """The patient of TCGA, such as ``TCGA-CS-4941``."""
        return "-".join(self.name.split("_")[:3])

    def slices(self) -> list[Path]:
        return [self.folder / f"{self.name}_{number}.tif" for number in self.numbers]

    def masks(self) -> list[Path]:
        return [self.folder / f"{self.name}_{number}_mask.tif" for number in self.numbers]

    def brains(self) -> list[Path]:
        """Brain masks of the slices; empty where none lie beside the set."""
        return [] if self.brain is None else [self.brain / f"{self.name}_{number}_brain.tif" for number in self.numbers]

    def files(self) -> list[Path]:
        return [*self.slices(), *self.masks(), *self.brains()]


def read_lgg_segmentation(root: Path) -> Cohort:
    """110 patients with FLAIR, most with T1 and contrast-enhanced T1, the whole tumour, IDH, grade and survival.

    Volumes are made once, under the folder of runs (:func:`convert`). ``idh``, ``codel_1p19q`` and ``site`` are
    Ceccarelli's, ``grade`` and survival the Clinical Data Resource's. A channel that is a copy of FLAIR is a missing
    modality. ``tumour_lost`` is the share of the tumour's pixels outside the brain mask (0 to 1), ``brain_mask``
    where that mask is from (``file`` or ``classical``).

    Raises:
        MissingDataError: if the set or a clinical table is not under ``root``.
        RadlibError: if a slice cannot be read, has another shape, or a mask lacks.
    """
    cases = find_cases(root)
    folder = convert(cases)
    images = pd.DataFrame(read_json(folder / "cases.json")).set_index("id")
    clinical = clinical_table(root, pd.Series("LGG", index=images.index, name="collection"))
    participants = participants_table(clinical.join(images))
    counts = {name: int(participants[name].notna().sum()) for name in CHANNELS}
    lost = participants["tumour_lost"].to_numpy(dtype=float)
    made = int((participants["brain_mask"] == "classical").sum())
    notes = (
        f"{len(participants)} patients with FLAIR, {counts['t1']} with T1 and {counts['t1ce']} with contrast-enhanced "
        "T1: a channel that is a copy of FLAIR is missing.",
        "The set stores no voxel size. Volumes declare "
        f"{' x '.join(f'{edge:g}' for edge in VOXEL)} as nominal mm, so lengths and volumes are comparable only "
        "within this cohort. Whether slices run upwards and which side is left is not stored either.",
        f"Slices are taken from {MARGIN} below to {MARGIN} above the tumour.",
        f"The skull is taken off by brain masks ({made} of {len(participants)} by the classical rule, the others from "
        f"files); they lose {100 * lost.mean():.2f} % of the tumour's pixels on average, {100 * lost.max():.1f} % in "
        "the worst patient.",
    )
    return Cohort(name="tcga-lgg", source="real", root=folder, participants=participants, notes=notes)


def find_cases(root: Path) -> list[Case]:
    """The patients under a data root, sorted by name, cut to the slices around the tumour.

    Raises:
        MissingDataError: if there are none.
        RadlibError: if a slice has no mask, or a patient lies in two folders.
    """
    found: dict[str, tuple[Path, list[str]]] = {}
    brains: dict[str, Path] = {}
    for folder, files in walk(root):
        if not _CASE.fullmatch(folder.name):
            continue
        if any(name.endswith("_mask.tif") for name in files):
            if folder.name in found:
                raise RadlibError(f"{folder.name} is there twice", file=folder, remedy="keep one copy of the set")
            found[folder.name] = (folder, files)
        elif any(name.endswith("_brain.tif") for name in files):
            brains[folder.name] = folder
    if not found:
        raise MissingDataError(
            "the LGG MRI segmentation set is not under the data root",
            file=root,
            remedy="`radlib data fetch lgg-segmentation` says how to obtain it",
        )
    return [_case(name, *found[name], brains.get(name)) for name in sorted(found)]


def _case(name: str, folder: Path, files: Sequence[str], brain: Path | None) -> Case:
    numbers = sorted(int(match[1]) for file in files if (match := re.fullmatch(rf"{name}_(\d+)\.tif", file)))
    if lacking := [number for number in numbers if f"{name}_{number}_mask.tif" not in files]:
        raise RadlibError(f"slice {lacking[0]} has no mask", file=folder, remedy="obtain the set again")
    case = Case(name, tuple(numbers), folder, brain)
    tumour = [number for number, path in zip(numbers, case.masks(), strict=True) if read_picture(path, "L").any()]
    if not tumour:
        raise RadlibError("no slice has a tumour", file=folder, remedy="obtain the set again")
    taken = tuple(n for n in numbers if min(tumour) - MARGIN <= n <= max(tumour) + MARGIN)
    case = Case(name, taken, folder, brain)
    if all(path.is_file() for path in case.brains()):
        return case
    return Case(name, taken, folder, None)


def convert(cases: Sequence[Case]) -> Path:
    """The folder with the patients as volumes; made where it is not whole yet, once for each content of the files."""
    sums = checksums(path for case in cases for path in case.files())
    content = json.dumps([_FORMAT, VOXEL, sorted((path.name, digest) for path, digest in sums.items())])
    folder = runs_root() / "_converted" / f"lgg-segmentation-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not (folder / "cases.json").is_file():
            rows = [_convert(case, folder) for case in track(cases, description="volumes of LGG MRI segmentation")]
            write_json(folder / "cases.json", rows)
    return folder


def _convert(case: Case, folder: Path) -> dict[str, Any]:
    """Write the volumes of a patient; its row."""
    stack = np.stack([read_picture(path, "RGB") for path in case.slices()])  # slices, rows, columns, channels
    tumour = np.stack([read_picture(path, "L") > 0 for path in case.masks()])
    if tumour.shape != stack.shape[:3]:
        raise RadlibError(
            f"slices are {stack.shape[1:3]}, masks {tumour.shape[1:]}", file=case.folder, remedy="obtain the set again"
        )
    flair = stack[..., CHANNELS.index(REFERENCE)]
    if case.brain is not None:
        brain, origin = np.stack([read_picture(path, "1") for path in case.brains()]).astype(bool), "file"
    else:
        brain, origin = classical_brain_mask(flair), "classical"
    row: dict[str, Any] = {
        "id": case.person, "label_encoding": "whole-tumour", "slices": len(case.numbers),
        "brain_mask": origin, "tumour_lost": float((tumour & ~brain).sum() / tumour.sum()),
    }  # fmt: skip
    for channel, name in enumerate(CHANNELS):
        image = stack[..., channel]
        if name != REFERENCE and np.array_equal(image, flair):
            continue
        # Inside the brain nothing is 0, because 0 is what is outside.
        row[name] = _write(folder, case, name, np.where(brain, np.maximum(image, 1), 0))
    row["seg"] = _write(folder, case, "seg", tumour)
    return row


def _write(folder: Path, case: Case, name: str, stack: np.ndarray) -> str:
    """One volume from slices, rows and columns: rows run to the back of the head and columns to its left, nominally."""
    path = f"{case.person}/{case.person}_{name}.nii.gz"
    (folder / case.person).mkdir(parents=True, exist_ok=True)
    x, y, z = VOXEL
    write_volume(
        folder / path, stack.transpose(2, 1, 0), affine=np.diag([-x, -y, z, 1.0]), dtype=np.uint8,
        description="voxel size is nominal: the source does not state it",
    )  # fmt: skip
    return path


def classical_brain_mask(flair: np.ndarray) -> np.ndarray:
    """Brain masks without a network: bool, of the shape of ``flair`` ``(slices, rows, columns)``, with the skull.

    Slice by slice: the head is what is brighter than half the mean of the picture, its holes filled; the scalp is a rim
    of a fixed share of the head's half width, which is eroded; the largest piece is kept. It is crude, and errs towards
    keeping too much: on every seventh patient of the set it loses 0.5 % of the tumour's pixels, and holds 1.5 times as
    many pixels as HD-BET's masks (Dice 0.78). Rules that take more of the skull lose 1 to 2 % of the tumours.
    """
    out = np.zeros(flair.shape, dtype=bool)
    for number, image in enumerate(flair):
        if not image.any():
            continue
        head = ndimage.binary_fill_holes(_largest(ndimage.binary_opening(image > image.mean() / 2, iterations=2)))
        if head.any():
            depth = ndimage.distance_transform_edt(head)
            out[number] = _largest(depth > RIM_SHARE * depth.max())
    return out


RIM_SHARE = 0.05
"""What :func:`classical_brain_mask` erodes, as a share of the head's half width."""


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def read_picture(path: Path, mode: str) -> np.ndarray:
    """One picture: ``RGB`` ``(rows, columns, 3)``, ``L`` or ``1`` ``(rows, columns)``; refuses another mode."""
    try:
        with warnings.catch_warnings(action="error"), Image.open(path) as image:  # a damaged header is a warning
            if image.mode != mode:
                raise RadlibError(f"mode {image.mode}, expected {mode}", file=path, remedy="obtain the set again")
            return np.asarray(image)
    except FileNotFoundError as error:
        raise MissingDataError("the picture does not exist", file=path, remedy="obtain the set again") from error
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Warning) as error:
        raise RadlibError(f"not a readable picture ({error})", file=path, remedy="obtain the set again") from error
