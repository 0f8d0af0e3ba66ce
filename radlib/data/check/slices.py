"""Checks of a subject that lies on disk as pictures of slices, each with a mask of the tumour."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from radlib.core.errors import RadlibError
from radlib.data.check.images import SubjectFiles, SubjectResult
from radlib.data.duplicates import describe_image, describe_mask
from radlib.data.findings import Finding, Kind, Severity, shorten
from radlib.data.manifests import Images
from radlib.data.readers.lgg import CHANNELS, REFERENCE, read_picture


def check_slices(dataset: str, root: Path, images: Images, subject: SubjectFiles) -> SubjectResult:
    """All findings of one subject; arguments as of :func:`radlib.data.check.images.check_subject`.

    A channel that repeats FLAIR is a note: readers take it for a missing modality.
    """
    result = SubjectResult(subject.subject)

    def add(kind: Kind, message: str, *, file: str | None = None, severity: Severity = "error") -> None:
        result.findings.append(Finding(severity, kind, dataset, message, file=file, subject=subject.subject))

    files = {name: {_number(path): path for path in subject.files.get(name, [])} for name in ("slice", "mask")}
    if apart := sorted(set(files["slice"]) ^ set(files["mask"])):
        add("missing-file", f"a slice or its mask lacks: {shorten(apart)}")
    numbers = sorted(set(files["slice"]) & set(files["mask"]))
    if numbers and (gaps := sorted(set(range(numbers[0], numbers[-1])) - set(numbers) - set(apart))):
        add("missing-file", f"slices lack between the first and the last: {shorten(gaps)}")
    labels = images.images["mask"].labels or {}
    stacks: dict[str, list[np.ndarray]] = {"slice": [], "mask": []}
    for name, mode in (("slice", "RGB"), ("mask", "L")):
        for number in numbers:
            path = files[name][number]
            result.images += 1
            try:
                result.bytes += (root / path).stat().st_size
                picture = read_picture(root / path, mode)
            except (RadlibError, OSError) as error:
                add("unreadable", getattr(error, "problem", str(error)), file=path)
                continue
            stacks[name].append(picture)
            if picture.shape[:2] != stacks[name][0].shape[:2]:
                add("shape-differs", f"is {picture.shape[:2]}, others are {stacks[name][0].shape[:2]}", file=path)
            if name == "mask" and (wrong := sorted(set(np.unique(picture).tolist()) - set(labels))):
                add("unexpected-label", f"the mask has {shorten(wrong)}; possible are {sorted(labels)}", file=path)
    if result.findings or not numbers:
        return result
    pictures, masks = np.stack(stacks["slice"]), np.stack(stacks["mask"])
    if pictures.shape[:3] != masks.shape:
        add("shape-differs", f"slices are {pictures.shape[1:3]}, masks {masks.shape[1:]}")
    if not masks.any():
        add("constant-image", "no slice has a tumour")
    reference = pictures[..., CHANNELS.index(REFERENCE)]
    for channel, name in enumerate(CHANNELS):
        image = pictures[..., channel]
        if image.min() == image.max():
            add("constant-image", f"{name} is {image.min()} everywhere")
        elif name != REFERENCE and np.array_equal(image, reference):
            add("duplicate-image", f"{name} is a copy of {REFERENCE}, so a missing modality", severity="note")
    # With the skull on, heads of different persons look alike on T1: only FLAIR and the outline of the tumour tell.
    if (description := describe_image(reference.transpose(2, 1, 0))) is not None:
        result.described[REFERENCE] = description
    if (outline := describe_mask(masks.transpose(2, 1, 0) > 0)) is not None:
        result.described["mask"] = outline
        result.masks = frozenset({"mask"})
    return result


def _number(path: str) -> int:
    found = re.findall(r"_(\d+)(?=[_.][^/]*$)", path)
    return int(found[-1]) if found else -1
