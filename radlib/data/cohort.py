"""The cohort: one table, one row a subject, and the files it names. Every chapter sees data through it only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal, cast

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path, checksums, part_of_a_path, read_json
from radlib.data.decode import Grid, read_grid, refuse_other_grid
from radlib.data.nifti import Volume, parse_encoding, read_labels, read_volume
from radlib.data.participants import (
    ALLOWED,
    COLUMNS,
    FILE_COLUMNS,
    MODALITIES,
    NUMBER_COLUMNS,
    TEXT_COLUMNS,
    for_disk,
    participants_table,
    read_beside,
    read_participants,
    table_digest,
)

__all__ = [
    "ALLOWED",
    "COLUMNS",
    "FILE_COLUMNS",
    "MODALITIES",
    "NUMBER_COLUMNS",
    "TEXT_COLUMNS",
    "Cohort",
    "Source",
    "participants_table",
    "read_participants",
]  # fmt: skip

Source = Literal["simulated", "real", "user"]

_FORMAT = "radlib-cohort"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """A cohort in memory. Images stay on disk until a path or a volume is asked for.

    Attributes:
        name: what the cohort is called, such as ``tcga-gbm``.
        source: where it comes from: ``simulated``, ``real`` or ``user``.
        root: the folder that the paths of ``participants`` start from.
        participants: one row a subject, indexed by ``id``; the columns of :data:`COLUMNS` first. Numbers are
            float64, everything else text; unknown is NaN in both. ``label_encoding`` says how ``seg`` writes its
            labels (:data:`radlib.data.nifti.LABEL_ENCODINGS`; empty where only the labels themselves can tell).
        expression: subjects x genes, or None.
        radiomics: subjects x features, or None. NaN is a missing feature; a subject without any (no image, say) has a
            row of NaN.
        truth: the folder with the truth of a simulated cohort, or None.
        notes: what the reader noticed and did, one sentence each; chapters show them.
    """

    name: str
    source: Source
    root: Path
    participants: pd.DataFrame
    expression: pd.DataFrame | None = None
    radiomics: pd.DataFrame | None = None
    truth: Path | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.participants)

    @property
    def ids(self) -> list[str]:
        """The subjects, in the order of the table."""
        return [str(subject) for subject in self.participants.index]

    # Files

    def path(self, subject: str, modality: str) -> Path:
        """The file of ``modality`` (``t1``, ``t1ce``, ``t2``, ``flair`` or ``seg``) of a subject.

        Raises:
            MissingDataError: if the subject has no such file.
            RadlibError: for an unknown subject or modality.
        """
        if modality not in FILE_COLUMNS:
            raise RadlibError(f"unknown modality {modality!r}", remedy=f"use one of {', '.join(FILE_COLUMNS)}")
        cell = self._row(subject)[modality]
        if pd.isna(cell) or not cell:
            raise MissingDataError(
                f"subject {subject!r} of cohort {self.name!r} has no {modality}",
                remedy=f"take the subjects that have it with cohort.complete({modality!r})",
            )
        return self.root / str(cell)

    def has(self, subject: str, modality: str) -> bool:
        """Whether the table names a file of ``modality`` for a subject."""
        return isinstance(cell := self.participants.at[subject, modality], str) and bool(cell)

    def volume(self, subject: str, modality: str) -> Volume:
        """The image of a subject as :func:`radlib.data.nifti.read_volume` reads it. For ``seg`` use :meth:`labels`.

        Raises:
            VolumeError: if it cannot be used, or lies on another grid than the subject's segmentation.
        """
        if modality == "seg":
            return self.labels(subject)
        path = self.path(subject, modality)
        volume = read_volume(path)
        drawn_on = read_grid(self.path(subject, "seg")) if self.has(subject, "seg") else None
        if drawn_on is not None:
            refuse_other_grid(Grid(volume.data.shape, volume.affine), drawn_on, file=path, other="the segmentation")
        return volume

    def labels(self, subject: str) -> Volume:
        """The segmentation of a subject: uint8 ``(X, Y, Z)`` with 0, 1, 2, 4, whatever the vintage of the file."""
        encoding = self._row(subject)["label_encoding"]
        return read_labels(self.path(subject, "seg"), encoding=None if pd.isna(encoding) else str(encoding))

    def files(self) -> list[Path]:
        """Every image and segmentation that the table names."""
        cells = self.participants[list(FILE_COLUMNS)].stack()
        return [self.root / str(cell) for cell in cells if isinstance(cell, str) and cell]

    def fingerprint(self) -> str:
        """A digest of everything that the cohort holds: its tables and the content of every file, in hexadecimal.

        Two cohorts with one fingerprint give one result, wherever their files lie and whatever they are called.
        Checksums of files that have not changed are kept (:func:`radlib.core.files.checksums`).

        Raises:
            MissingDataError: if a file does not exist.
        """
        digest = hashlib.sha256()
        for name in ("participants", "expression", "radiomics"):
            table = getattr(self, name)
            digest.update(f"{name}: {'none' if table is None else table_digest(table)}\n".encode())
        files = {
            f"{subject}/{column}": self.root / str(cell)
            for column in FILE_COLUMNS
            for subject, cell in self.participants[column].dropna().items()
            if cell
        }
        if self.truth is not None and self.truth.is_dir():
            below = sorted(path for path in self.truth.rglob("*") if path.is_file() and not path.name.startswith("."))
            files |= {f"truth/{path.relative_to(self.truth).as_posix()}": path for path in below}
        sums = checksums(files.values())
        for what, path in sorted(files.items()):
            digest.update(f"{what}: {sums[path]}\n".encode())
        return digest.hexdigest()

    def _row(self, subject: str) -> pd.Series:
        if subject not in self.participants.index:
            raise RadlibError(
                f"cohort {self.name!r} has no subject {subject!r}", remedy=f"its first ids are {self.ids[:3]}"
            )
        return cast("pd.Series", self.participants.loc[subject])

    # Parts

    def subset(self, ids: Iterable[str]) -> Cohort:
        """The cohort of these subjects, in this order, with the matching rows of expression and radiomics.

        Raises:
            RadlibError: if an id is unknown or given twice.
        """
        wanted = list(ids)
        if unknown := [subject for subject in wanted if subject not in self.participants.index]:
            raise RadlibError(
                f"cohort {self.name!r} has no subject(s) {', '.join(map(str, unknown[:5]))}",
                remedy="take ids from cohort.ids",
            )
        if len(set(wanted)) < len(wanted):
            raise RadlibError("an id is given twice", remedy="give each subject once")

        def rows(table: pd.DataFrame | None) -> pd.DataFrame | None:
            return None if table is None else table.loc[wanted]

        return replace(
            self,
            participants=self.participants.loc[wanted],
            expression=rows(self.expression),
            radiomics=rows(self.radiomics),
        )

    def complete(self, *names: str) -> Cohort:
        """The subjects that have all of the named columns.

        ``expression`` and ``radiomics`` may be named too: a subject has them if any of its values is known.
        """
        self.require(*names)
        there = pd.Series(True, index=self.participants.index)
        for name in names:
            beside = {"expression": self.expression, "radiomics": self.radiomics}.get(name)
            if beside is not None:
                there &= beside.notna().any(axis=1)
            elif name in self.participants:
                there &= self.participants[name].notna()
        return self.subset(self.participants.index[there])

    def require(self, *names: str) -> None:
        """Check that the cohort has what the work at hand needs.

        Args:
            names: columns of ``participants``, ``expression``, ``radiomics`` or ``truth``.

        Raises:
            MissingDataError: naming everything that lacks: no such table, or a column without any value.
        """
        lacking = []
        for name in names:
            if name in ("expression", "radiomics"):
                table = getattr(self, name)
                present = table is not None and bool(table.notna().any(axis=None))
            elif name == "truth":
                present = self.truth is not None
            else:
                present = name in self.participants and bool(self.participants[name].notna().any())
            if not present:
                lacking.append(name)
        if lacking:
            raise MissingDataError(
                f"cohort {self.name!r} ({self.source}, {len(self)} subjects) has no {', '.join(lacking)}",
                file=self.root,
                remedy="add the data, or use a cohort that has it (cohort='simulated' has everything)",
            )

    # Checks

    def validate(self, *, files: bool = True) -> None:
        """Check the table and, with ``files``, that every file it names exists.

        Raises:
            RadlibError: one error that lists every problem found.
        """
        problems = list(self._problems(files=files))
        if problems:
            raise RadlibError(
                f"cohort {self.name!r} has {len(problems)} problem(s): {'; '.join(problems)}",
                file=self.root,
                remedy="mend the table or the files it names",
            )

    def _problems(self, *, files: bool) -> Iterable[str]:
        table = self.participants
        if missing := [column for column in COLUMNS if column not in table]:
            yield f"participants lacks the column(s) {', '.join(missing)}"
            return
        ids = pd.Series(table.index, dtype=object)
        if ids.isna().any() or (ids.astype(str).str.strip() == "").any():
            yield "a subject has an empty id"
        for text in ids.astype(str):
            try:
                part_of_a_path(text, what="id")
            except RadlibError as error:
                yield error.problem
        if repeated := sorted(set(ids[ids.duplicated()].astype(str))):
            yield f"id given twice: {', '.join(repeated[:5])}"
            return
        for column in NUMBER_COLUMNS:
            if not pd.api.types.is_numeric_dtype(table[column]):
                yield f"{column} is not numeric"
                continue
            for subject, value in table[column].dropna().items():
                if not np.isfinite(value) or value < 0:
                    yield f"{column} of {subject} is {value}"
        if pd.api.types.is_numeric_dtype(table["age"]):
            for subject, value in table["age"][table["age"] > 120].items():
                yield f"age of {subject} is {value} years"
        for column, allowed in ALLOWED.items():
            present = table[column].dropna()
            for subject, value in present[~present.isin(list(allowed))].items():
                yield f"{column} of {subject} is {value!r}, expected one of {', '.join(map(str, sorted(allowed)))}"
        for encoding in table["label_encoding"].dropna().unique():
            try:
                parse_encoding(str(encoding))
            except RadlibError as error:
                yield error.problem
        for column in FILE_COLUMNS:
            for subject, value in table[column].dropna().items():
                relative = PurePosixPath(str(value))
                if relative.is_absolute() or ".." in relative.parts:
                    yield f"{column} of {subject} is {value!r}, which leaves the cohort's folder"
                elif files and not (self.root / relative).is_file():
                    yield f"{column} of {subject}: no file {value}"
        for name in ("expression", "radiomics"):
            other = getattr(self, name)
            if other is None:
                continue
            if list(other.index) != list(table.index):
                yield f"{name} has {len(other)} rows that are not the {len(table)} subjects in their order"
            if words := [str(c) for c in other.columns if not pd.api.types.is_numeric_dtype(other[c])]:
                yield f"{name} has text in the column(s) {', '.join(words[:5])}"
                continue
            if not other.columns.is_unique:
                yield f"{name} has a column twice"
            if np.isinf(other.to_numpy(dtype=float)).any():
                yield f"{name} has infinite values"

    # Disk

    def save(self, folder: Path | str) -> None:
        """Write ``participants.tsv``, ``expression.parquet``, ``radiomics.parquet`` and ``cohort.json``.

        Images are not copied. Where ``folder`` is not ``root``, ``cohort.json`` keeps the way to ``root``. Everything
        is written to temporary files first and then renamed, ``cohort.json`` last: a failed write changes nothing.
        """
        self.validate(files=False)
        folder = Path(folder)
        tables = {"expression.parquet": self.expression, "radiomics.parquet": self.radiomics}
        about = {
            "format": _FORMAT,
            "version": _VERSION,
            "name": self.name,
            "source": self.source,
            "root": _way(self.root, folder),
            "truth": None if self.truth is None else _way(self.truth, folder),
            "n_subjects": len(self),
            "tables": sorted(name for name, table in tables.items() if table is not None),
            "notes": list(self.notes),
        }
        with ExitStack() as stack:  # renames run in reverse order of opening
            path = stack.enter_context(atomic_path(folder / "cohort.json"))
            path.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            path = stack.enter_context(atomic_path(folder / "participants.tsv"))
            for_disk(self.participants).to_csv(path, sep="\t", index_label="id", lineterminator="\n")
            for name, table in tables.items():
                if table is not None:
                    table.to_parquet(stack.enter_context(atomic_path(folder / name)))
        for name, table in tables.items():
            if table is None:
                (folder / name).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path | str) -> Cohort:
        """Read a folder written by :meth:`save`.

        An ``expression.parquet`` or ``radiomics.parquet`` that was put there afterwards is read too; subjects that it
        lacks get a row of NaN.

        Raises:
            MissingDataError: if there is no ``cohort.json``.
            RadlibError: if a table named there is absent, unreadable or does not fit.
        """
        folder = Path(folder)
        about_file = folder / "cohort.json"
        if not about_file.is_file():
            raise MissingDataError(
                "no cohort.json here, so this is no cohort, or writing it was interrupted",
                file=folder,
                remedy="make the cohort again, or check the path",
            )
        about = read_json(about_file, remedy="make the cohort again")
        if not isinstance(about, dict) or about.get("format") != _FORMAT or about.get("version") != _VERSION:
            raise RadlibError(
                f"not a cohort of format {_FORMAT} version {_VERSION}", file=about_file, remedy="make the cohort again"
            )
        participants = read_participants(folder / "participants.tsv")
        tables: dict[str, pd.DataFrame | None] = {"expression.parquet": None, "radiomics.parquet": None}
        for name in tables:
            path = folder / name
            if path.is_file():
                tables[name] = read_beside(path, participants.index)
            elif name in about["tables"]:
                raise RadlibError("the table is absent", file=path, remedy="make the cohort again")
        if len(participants) != about["n_subjects"]:
            raise RadlibError(
                f"participants.tsv has {len(participants)} subjects, cohort.json says {about['n_subjects']}",
                file=folder / "participants.tsv",
                remedy="make the cohort again",
            )
        cohort = cls(
            name=about["name"],
            source=about["source"],
            root=(folder / about["root"]).resolve(),
            participants=participants,
            expression=tables["expression.parquet"],
            radiomics=tables["radiomics.parquet"],
            truth=None if about["truth"] is None else (folder / about["truth"]).resolve(),
            notes=tuple(about["notes"]),
        )
        cohort.validate(files=False)
        return cohort


def _way(target: Path, start: Path) -> str:
    """``target`` as seen from ``start``: relative where it lies inside, else absolute."""
    target, start = target.resolve(), start.resolve()
    return target.relative_to(start).as_posix() if target.is_relative_to(start) else str(target)
