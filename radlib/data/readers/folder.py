"""A user's own folder as a cohort, described by a short YAML file that ``radlib cohort init`` drafts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import FILE_COLUMNS, Cohort, participants_table
from radlib.data.decode import VOLUME_SUFFIXES, decode
from radlib.data.nifti import label_values
from radlib.data.persons import each_once
from radlib.data.readers.bids import find_bids
from radlib.data.readers.brats import read_brats
from radlib.data.readers.description import Description, read_description
from radlib.data.readers.files import walk
from radlib.data.readers.ids import by_id, compared, first_ids, refuse_alike
from radlib.data.readers.own_tables import own_numbers, own_participants, placed

_PERSON = {"participant": "person"}  # of a BIDS folder: sessions of one participant are one person


def read_described(path: Path | str) -> Cohort:
    """The cohort that a YAML file describes.

    With a participants table, its rows are the subjects, and images of others are left out (a note names them);
    without, every subject that has a file is one.

    Raises:
        RadlibError: naming file, subject and value for everything that cannot be read; all wrong cells at once.
    """
    path = Path(path).resolve()
    description = read_description(path)
    root = placed(description.root, path).resolve()
    if not root.is_dir():
        raise RadlibError(f"root {description.root!r} does not exist", file=path, remedy="correct root")
    images, notes = _find_images(description, root)
    notes += _left_over(images, root) if description.layout != "patterns" or description.images else []
    if description.participants is None:
        table = images.rename(columns=_PERSON)
    else:
        table = _joined(description, path, images, notes)
    if not len(table):
        raise RadlibError(
            f"no subject found under {root}", file=path, remedy="correct the patterns under `images`, or `participants`"
        )
    table.index.name = "id"
    table.attrs.clear()
    for column in [name for name in FILE_COLUMNS if name in table]:
        table[column] = table[column].map(lambda cell: _below(root, str(cell)), na_action="ignore")
    participants = participants_table(table, file=path)
    grouped = participants["grade"].map({2.0: "LGG", 3.0: "LGG", 4.0: "HGG"})
    if n_grouped := int((participants["grade_group"].isna() & grouped.notna()).sum()):
        participants["grade_group"] = participants["grade_group"].fillna(grouped)
        notes.append(f"grade_group of {n_grouped} subject(s) follows from grade: 2 and 3 are LGG, 4 is HGG.")
    if description.label_encoding is not None:
        has_seg = participants["seg"].notna()
        if not has_seg.any():
            raise RadlibError("label_encoding has no effect: there is no segmentation", file=path, remedy="remove it")
        participants["label_encoding"] = participants["label_encoding"].mask(has_seg, description.label_encoding)
    if (people := len(each_once(participants))) < len(participants):
        notes.append(f"{len(participants)} subjects are {people} person(s); chapters take the first of each.")
    cohort = Cohort(
        name=description.name,
        source="user",
        root=root,
        participants=participants,
        expression=own_numbers(description.expression, description, path, participants.index, notes, "expression"),
        radiomics=own_numbers(description.radiomics, description, path, participants.index, notes, "radiomics"),
        notes=tuple(notes),
    )
    cohort.validate()
    if description.layout == "brats" and description.label_encoding is None:
        drawn = [subject for subject in cohort.ids if cohort.has(subject, "seg")][:3]
        if labels_found(cohort.path(subject, "seg") for subject in drawn) == {1}:
            raise RadlibError(
                f"the names are those of BraTS, but the segmentations of {', '.join(drawn)} have the label 1 only, "
                "necrosis or the whole tumour", file=path, remedy="state label_encoding: brats, or whole-tumour",
            )  # fmt: skip
    return cohort


def _left_over(images: pd.DataFrame, root: Path) -> list[str]:
    """A note on the volumes below the root that the layout or patterns give to nobody, and on folders named as one."""
    taken = {file for column in FILE_COLUMNS if column in images for file in images[column].dropna()}
    left: list[str] = []
    for folder, names in walk(root, max_depth=7):
        if folder.name.lower().endswith(VOLUME_SUFFIXES) and folder != root:
            left.append(f"{folder.relative_to(root).as_posix()} (a folder)")
        files = ((folder / name).relative_to(root).as_posix() for name in names)
        left += [file for file in files if file.lower().endswith(VOLUME_SUFFIXES) and file not in taken]
    shown = ", ".join(left[:3]) + " ..." * (len(left) > 3)
    return [f"{len(left)} image(s) below root are nobody's by the layout or patterns: {shown}."] if left else []


def labels_found(files: Iterable[Path]) -> set[float]:
    """The labels other than 0 of all these segmentations; what cannot be read has none, and the check names it."""
    values: set[float] = set()
    for file in files:
        try:
            values |= set(label_values(decode(file).data))
        except RadlibError:
            continue
    return values


def _below(root: Path, file: str) -> str:
    """A path of the table relative to the root, where it lies there."""
    return Path(file).relative_to(root).as_posix() if Path(file).is_relative_to(root) else file


def _find_images(description: Description, root: Path) -> tuple[pd.DataFrame, list[str]]:
    """Subjects x what the images say of them, and notes; empty for a description without images."""
    if description.layout == "brats":
        try:
            brats = read_brats(root, name=description.name)
        except MissingDataError as error:  # it is the description that is wrong, not the cohort that lacks something
            raise RadlibError(error.problem, file=root, remedy=error.remedy) from error
        return brats.participants, list(brats.notes)
    if description.layout == "bids":
        return find_bids(root), []
    patterns = {modality: _compile(pattern) for modality, pattern in description.images.items()}
    # Of two patterns that fit one file, the one that spells out more is meant: {id}_ce_T1w before {id}_T1w.
    modalities: list[str] = sorted(patterns, key=lambda name: -len(re.sub(r"\{id\}|\*", "", description.images[name])))  # type: ignore[index]
    depth = max((pattern.count("/") for pattern in description.images.values()), default=0)
    found: dict[str, dict[str, str]] = {}
    for folder, names in walk(root, max_depth=depth + 1) if patterns else ():
        for relative in ((folder / name).relative_to(root).as_posix() for name in names):
            for modality in modalities:
                if match := patterns[modality].fullmatch(relative):  # type: ignore[index]
                    files = found.setdefault(match["id"], {})
                    if modality in files:
                        raise RadlibError(
                            f"subject {match['id']!r} has {modality} twice: {files[modality]} and {relative}",
                            file=root,
                            remedy=f"make the pattern of {modality} narrower",
                        )
                    files[modality] = relative
                    break
    return pd.DataFrame.from_dict(found, orient="index", columns=list(patterns)).sort_index(), []


def _compile(pattern: str) -> re.Pattern[str]:
    """``{id}/{id}_t1.nii.gz`` to a regular expression; a second ``{id}`` must repeat the first."""
    text, seen = "", False
    for part in re.split(r"(\{id\}|\*)", pattern):
        if part == "{id}":
            text += "(?P=id)" if seen else r"(?P<id>[^/]+?)"
            seen = True
        else:
            text += "[^/]*" if part == "*" else re.escape(part)
    return re.compile(text)


def _joined(description: Description, path: Path, images: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The rows of the user's table with the images that belong to them."""
    names = images.get("participant", pd.Series(images.index, images.index))
    told = own_participants(description, path, notes, {str(name) for name in names})
    of_table = by_id(told.index, description, path)
    by_id(names.unique(), description, path)
    rows = pd.Series([of_table.get(compared(name, description)) for name in names], index=images.index, dtype=object)
    met = rows.dropna()
    images = images.rename(columns=_PERSON)
    if len(images) and not len(met):
        raise RadlibError(
            f"no id of the table meets an image: the table has {first_ids(told.index)}, "
            f"the images {first_ids(images.index)}", file=path,
            remedy="correct id_column or the patterns, or write `id_match: numbers` where only zeros differ",
        )  # fmt: skip
    bare = [str(subject) for subject in told.index if subject not in set(met)]
    refuse_alike(bare, [str(name) for name in names[rows.isna()]], description, path)
    # A subject goes by the name of its images; who has several sessions is there several times.
    table = told.loc[[*met, *bare]]
    table.index = pd.Index([*met.index, *bare], dtype="str")
    order = {subject: place for place, subject in enumerate(told.index)}
    table = table.iloc[np.argsort([order[subject] for subject in [*met, *bare]], kind="stable")]
    images = images.reindex(table.index)
    for column in images:
        table[column] = (
            table[column].where(table[column].notna(), images[column]) if column in table else images[column]
        )
    if unlisted := [str(subject) for subject in rows.index[rows.isna()]]:
        notes.append(f"{len(unlisted)} subject(s) have images but no row, left out: {', '.join(unlisted)}.")
    if bare and len(images.columns):
        notes.append(f"{len(bare)} of {len(table)} subjects have no image: {', '.join(bare)}.")
    return table
