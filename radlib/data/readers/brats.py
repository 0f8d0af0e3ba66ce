"""BraTS folders of every vintage, with their survival tables and id mappings.

Layouts (one folder a subject, anywhere under the root, also inside ``HGG/`` and ``LGG/``):

==================  ================================================================  =================
layout              files                                                             labels
==================  ================================================================  =================
``brats2015``       ``VSD.Brain.XX.O.MR_{Flair,T1,T1c,T2}.<n>.mha``, ``*.OT.*``       0 1 2 3 4
``brats2015z``      ``{Flair,T1,T1c,T2}_subtrMeanDivStd.nii.gz``, OTMultiClass        0 1 2 3 4
``brats2017``       ``<id>_{t1,t1ce,t2,flair,seg}.nii[.gz]`` (2017 to 2021)           0 1 2 4
``brats2023``       ``<id>-{t1n,t1c,t2w,t2f,seg}.nii.gz`` (2023)                      0 1 2 3
``brats-tcga``      ``<TCGA id>_<date>_{t1,t1Gd,t2,flair,GlistrBoost...}.nii.gz``     0 1 2 4
==================  ================================================================  =================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import MODALITIES, Cohort, participants_table
from radlib.data.decode import VOLUME_SUFFIXES
from radlib.data.readers.files import walk
from radlib.data.tables import read_text_table


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a vintage names its files.

    Attributes:
        name: of the layout.
        pattern: matches a file's whole name; the group ``modality``, and ``id`` unless the folder is the id.
        modalities: the pattern's modality, in lower case, to the column it belongs in. Where two map to one column,
            the earlier wins.
        encoding: the label encoding of its segmentations.
    """

    name: str
    pattern: re.Pattern[str]
    modalities: Mapping[str, str]
    encoding: str


BRATS_TCGA = Layout(
    name="brats-tcga",
    pattern=re.compile(
        r"(?P<id>TCGA-\w{2}-\w{4})_\d{4}\.\d\d\.\d\d_"
        r"(?P<modality>t1|t1gd|t2|flair|glistrboost_manuallycorrected|glistrboost)\.nii(\.gz)?",
        re.IGNORECASE,
    ),
    modalities={
        "t1": "t1", "t1gd": "t1ce", "t2": "t2", "flair": "flair",
        "glistrboost_manuallycorrected": "seg", "glistrboost": "seg",
    },
    encoding="brats",
)  # fmt: skip

LAYOUTS: tuple[Layout, ...] = (
    BRATS_TCGA,
    Layout(
        name="brats2017",
        pattern=re.compile(r"(?P<id>.+)_(?P<modality>t1|t1ce|t2|flair|seg)\.nii(\.gz)?"),
        modalities={name: name for name in (*MODALITIES, "seg")},
        encoding="brats",
    ),
    Layout(
        name="brats2023",
        pattern=re.compile(r"(?P<id>BraTS-.+)-(?P<modality>t1n|t1c|t2w|t2f|seg)\.nii(\.gz)?"),
        modalities={"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair", "seg": "seg"},
        encoding="brats2023",
    ),
    Layout(
        name="brats2015z",
        pattern=re.compile(r"(?P<modality>Flair|T1c?|T2|OTMultiClass)(?:_subtrMeanDivStd)?\.nii(\.gz)?"),
        modalities={"flair": "flair", "t1": "t1", "t1c": "t1ce", "t2": "t2", "otmulticlass": "seg"},
        encoding="brats2015",
    ),
    Layout(
        name="brats2015",
        pattern=re.compile(r"VSD\.Brain.*\.(?P<modality>MR_Flair|MR_T1c?|MR_T2|OT)\.\d+\.mha"),
        modalities={"mr_flair": "flair", "mr_t1": "t1", "mr_t1c": "t1ce", "mr_t2": "t2", "ot": "seg"},
        encoding="brats2015",
    ),
)


@dataclass(kw_only=True)
class Subject:
    """A subject found on disk; ``files`` maps columns to paths relative to the root."""

    id: str
    layout: Layout
    vintage: str
    grade_group: str | None
    folder: Path
    files: dict[str, str] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)


def find_subjects(root: Path, *, layouts: Sequence[Layout] = LAYOUTS) -> list[Subject]:
    """Every subject folder under ``root`` in one of the layouts, in the order of the ids.

    Raises:
        RadlibError: if two folders hold the same id.
    """
    found: dict[str, Subject] = {}
    for folder, names in walk(root, max_depth=6):
        volumes = [name for name in names if name.endswith(VOLUME_SUFFIXES)]
        for name in volumes:
            match, layout = _match(name, layouts)
            if match is None or layout is None:
                continue
            # BraTS 2015 has a folder a file, inside the subject's.
            home = folder.parent if layout.name == "brats2015" and folder.name.startswith("VSD.") else folder
            identity = match.groupdict().get("id") or home.name
            subject = found.setdefault(
                identity,
                Subject(
                    id=identity,
                    layout=layout,
                    vintage=_vintage(identity, layout),
                    grade_group=_grade_group(home, root),
                    folder=home,
                ),
            )
            if subject.folder != home:
                raise RadlibError(
                    f"subject {identity!r} is in two folders: {subject.folder} and {home}",
                    file=root,
                    remedy="remove one of them, or read each root apart",
                )
            _add(subject, match["modality"].lower(), (folder / name).relative_to(root).as_posix())
        home_subjects = [subject for subject in found.values() if subject.folder == folder]
        if len(home_subjects) == 1:
            _strays(home_subjects[0], volumes, root)
    return [found[identity] for identity in sorted(found)]


def read_brats(
    root: Path, *, vintages: Sequence[str] | None = None, name: str = "brats", tables: Path | None = None
) -> Cohort:
    """A BraTS folder as a cohort.

    Age, survival and grade come from the survival and mapping tables that lie under ``tables`` (by default ``root``),
    under whichever vintage's id they know the subject. ``ALIVE (361 days later)`` is 361 days without event.

    Args:
        root: the folder that holds the subjects, at any depth.
        vintages: keep these only: ``2015``, ``2017`` to ``2021``, ``2023``, ``tcga``, or ``other``.
        name: of the cohort.
        tables: where the CSV tables lie.

    Raises:
        MissingDataError: if there is no subject.
        RadlibError: if an id is there twice, or a table holds what cannot be read.
    """
    root = root.resolve()
    subjects = find_subjects(root)
    if vintages is not None:
        subjects = [subject for subject in subjects if subject.vintage in vintages]
    if not subjects:
        wanted = f" of BraTS {', '.join(vintages)}" if vintages is not None else ""
        raise MissingDataError(
            f"no BraTS subjects{wanted} under this folder",
            file=root,
            remedy="give the folder with one folder a subject, such as "
            "Brats18_X_1/Brats18_X_1_{t1,t1ce,t2,flair,seg}.nii.gz; for other names run `radlib cohort init`",
        )
    aliases, mapped = _name_mapping(tables or root)
    survival = _survival(tables or root)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for subject in subjects:
        names = aliases.get(subject.id, {subject.id})
        known = next((survival[alias] for alias in sorted(names) if alias in survival), {})
        mapping = mapped.get(subject.id, {})
        rows.append(
            {
                "id": subject.id,
                "person": _public_ids(subject.id, {*names, mapping.get("tcga_id", subject.id)}),
                "site": _site(subject),
                "grade_group": subject.grade_group or mapping.get("grade_group"),
                **subject.files,
                # Names alone do not tell how a clinic writes its labels.
                "label_encoding": subject.layout.encoding
                if "seg" in subject.files and subject.vintage != "other"
                else None,
                "vintage": subject.vintage,
                "tcga_id": mapping.get("tcga_id"),
                **known,
            }
        )
    remarks: dict[str, list[str]] = {}
    for subject in subjects:
        for text in subject.other:
            remarks.setdefault(text, []).append(subject.id)
    for text, ids in remarks.items():
        who = ids[0] if len(ids) == 1 else f"{len(ids)} subjects ({ids[0]} first)"
        notes.append(f"{who}: {text}.")
    notes += _same_patient(subjects, aliases)
    participants = participants_table(rows)
    lacking = participants[list(MODALITIES)].isna().any(axis=1)
    if lacking.any():
        notes.append(f"{int(lacking.sum())} of {len(participants)} subjects lack a modality.")
    return Cohort(name=name, source="real", root=root, participants=participants, notes=tuple(notes))


def read_brats_like_2017(root: Path) -> Cohort:
    """The role ``brats2017``: BraTS 2017, or the vintage at hand that comes next (2018 has the same patients).

    One vintage only, because later ones hold the patients of earlier ones under other names.
    """
    present = {subject.vintage for subject in find_subjects(root.resolve())}
    for vintage in ("2017", "2018", "2019", "2020", "2021", "2023", "other"):
        if vintage in present:
            cohort = read_brats(root, vintages=(vintage,), name="brats2017")
            note = f"The vintage at hand is BraTS {vintage}: {len(cohort)} subjects (BraTS 2017 has 285)."
            return Cohort(
                name=cohort.name, source="real", root=cohort.root, participants=cohort.participants,
                notes=(note, *cohort.notes),
            )  # fmt: skip
    return read_brats(root, vintages=("2017", "2018"), name="brats2017")


# Parts


def _match(name: str, layouts: Sequence[Layout]) -> tuple[re.Match[str] | None, Layout | None]:
    for layout in layouts:
        if match := layout.pattern.fullmatch(name):
            return match, layout
    return None, None


def _add(subject: Subject, written: str, path: str) -> None:
    column = subject.layout.modalities[written]
    if column not in subject.files:
        subject.files[column] = path
        return
    order = list(subject.layout.modalities)
    before = _match(Path(subject.files[column]).name, (subject.layout,))[0]
    same = before is not None and before["modality"].lower() == written
    if same:
        raise RadlibError(
            f"subject {subject.id!r} has {column} twice: {subject.files[column]} and {path}",
            file=subject.folder,
            remedy="keep one of them",
        )
    if before is not None and order.index(written) < order.index(before["modality"].lower()):
        subject.files[column] = path


def _strays(subject: Subject, volumes: Sequence[str], root: Path) -> None:
    """Volumes in a subject's folder that the layout does not know.

    BraTS 2020 ships one segmentation under another name (``W39_1998.09.19_Segm.nii``): a lone stray that is called a
    segmentation is taken where the subject has none.
    """
    strays = [name for name in volumes if _match(name, (subject.layout,))[0] is None]
    segmentations = [name for name in strays if re.search(r"seg(m|mentation)?\.nii(\.gz)?$", name, re.IGNORECASE)]
    if "seg" not in subject.files and len(segmentations) == 1:
        subject.files["seg"] = (subject.folder / segmentations[0]).relative_to(root).as_posix()
        subject.other.append(f"{segmentations[0]} taken as its segmentation")
        strays.remove(segmentations[0])
    if strays:
        subject.other.append(f"{len(strays)} other volume(s) left out ({', '.join(strays[:3])})")


def _vintage(identity: str, layout: Layout) -> str:
    if layout.name.startswith("brats2015"):
        return "2015"
    if layout is BRATS_TCGA:
        return "tcga"
    if layout.name == "brats2023":
        return "2023"
    match = re.match(r"brats(?:20)?(\d\d)_", identity, re.IGNORECASE)
    return f"20{match[1]}" if match else "other"


def _public_ids(identity: str, names: set[str]) -> str:
    """Every id of a patient, separated by spaces; BraTS 2023 numbers the patients as 2021 does.

    A folder of a user's own may have spaces in its name. It is no public id, and its parts are no ids at all.
    """
    if match := re.fullmatch(r"BraTS-GLI-(\d{5})-\d{3}", identity):
        names = {*names, f"BraTS2021_{match[1]}"}
    return " ".join(sorted(name for name in names if not re.search(r"\s", name)))


def _grade_group(folder: Path, root: Path) -> str | None:
    parts = {part.upper() for part in folder.relative_to(root).parts}
    return next((group for group in ("HGG", "LGG") if group in parts), None)


def _site(subject: Subject) -> str | None:
    """The institution, where the id has it: ``Brats18_CBICA_AAB_1`` is from CBICA, ``..._2013_2_1`` from BraTS 2013."""
    if match := re.match(r"brats(?:20)?1[789]_([A-Z0-9]+)_", subject.id, re.IGNORECASE):
        return match[1]
    if match := re.match(r"brats_(tcia|\d{4})_pat", subject.id, re.IGNORECASE):
        return match[1]
    return subject.id[5:7] if subject.layout is BRATS_TCGA else None


def _name_mapping(root: Path) -> tuple[dict[str, set[str]], dict[str, dict[str, str]]]:
    """All the ids of a patient by each of them, and what the mapping tables say of it (grade group, TCGA id)."""
    aliases: dict[str, set[str]] = {}
    about: dict[str, dict[str, str]] = {}
    for path in _tables(root, "name_mapping"):
        table = read_text_table(path, required=("Grade",))
        names_of = [column for column in table.columns if re.fullmatch(r"(?i)brats_?\d{4}_subject_id", column)]
        tcga = [column for column in table.columns if column.upper().startswith("TCGA")]
        for row in table.to_dict(orient="records"):
            names = {str(row[column]) for column in names_of if pd.notna(row[column])}
            names = names.union(*(aliases.get(name, set()) for name in names))
            told: dict[str, str] = {}
            if row["Grade"] in ("HGG", "LGG"):
                told["grade_group"] = str(row["Grade"])
            if tcga and pd.notna(row[tcga[0]]):
                told["tcga_id"] = str(row[tcga[0]])
            for name in names:
                aliases[name] = names
                about[name] = about.get(name, {}) | told
    return aliases, about


def _survival(root: Path) -> dict[str, dict[str, float]]:
    """Age, survival and event by BraTS id, out of every survival table."""
    known: dict[str, dict[str, float]] = {}
    for path in (*_tables(root, "survival_data"), *_tables(root, "survival_info")):
        table = read_text_table(path, required=("Age",))
        columns = list(table.columns)
        identity = next((c for c in columns if re.fullmatch(r"(?i)brats\d+_?id", c)), columns[0])
        survival = next((c for c in columns if c.lower() in ("survival", "survival_days")), None)
        if survival is None:
            raise RadlibError(
                f"the table has no column Survival; it has {', '.join(columns)}",
                file=path,
                remedy="use the file as the challenge ships it",
            )
        for line, row in enumerate(table.to_dict(orient="records"), start=2):
            entry: dict[str, float] = {}
            if pd.notna(row["Age"]):
                entry["age"] = _number(str(row["Age"]), "Age", line, path)
            if pd.notna(row[survival]):
                text = str(row[survival])
                alive = re.fullmatch(r"ALIVE \((\d+) days later\)", text)
                entry["survival_days"] = _number(alive[1] if alive else text, survival, line, path)
                entry["event"] = 0.0 if alive else 1.0
            known.setdefault(str(row[identity]), {}).update(entry)
    return known


def _number(text: str, column: str, line: int, path: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise RadlibError(
            f"line {line}: {column} is {text!r}, expected a number or 'ALIVE (<n> days later)'",
            file=path,
            remedy="correct the cell, or leave it empty",
        ) from error


def _tables(root: Path, start: str) -> list[Path]:
    return [
        folder / name
        for folder, names in walk(root, max_depth=3)
        for name in names
        if name.lower().startswith(start) and name.lower().endswith(".csv")
    ]


def _same_patient(subjects: Sequence[Subject], aliases: Mapping[str, set[str]]) -> list[str]:
    present = {subject.id for subject in subjects}
    groups = {tuple(sorted(aliases[name] & present)) for name in present if name in aliases}
    return [f"One patient under {len(group)} names: {', '.join(group)}." for group in sorted(groups) if len(group) > 1]
