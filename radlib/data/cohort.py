"""The cohort: one table, one row a subject, and the files it names. Every chapter sees data through it only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path, checksums, part_of_a_path
from radlib.data.decode import Grid, read_grid, refuse_other_grid
from radlib.data.nifti import Volume, parse_encoding, read_labels, read_volume
from radlib.data.tables import as_numbers, read_text_table

Source = Literal["simulated", "real", "user"]

MODALITIES: tuple[str, ...] = ("t1", "t1ce", "t2", "flair")
FILE_COLUMNS: tuple[str, ...] = (*MODALITIES, "seg")
NUMBER_COLUMNS: tuple[str, ...] = ("age", "grade", "survival_days", "event")
TEXT_COLUMNS: tuple[str, ...] = (
    "site", "collection", "sex", "grade_group", "idh", "codel_1p19q", "mgmt", "split", "label_encoding",
)  # fmt: skip
COLUMNS: tuple[str, ...] = (
    "site", "collection", "age", "sex", "grade", "grade_group", "idh", "codel_1p19q", "mgmt",
    "survival_days", "event", "split", *FILE_COLUMNS, "label_encoding",
)  # fmt: skip
"""The columns of every participants table, in this order; a source may add columns after them."""

ALLOWED: dict[str, frozenset[Any]] = {
    "collection": frozenset({"GBM", "LGG"}),
    "sex": frozenset({"F", "M"}),
    "grade": frozenset({2.0, 3.0, 4.0}),
    "grade_group": frozenset({"LGG", "HGG"}),
    "idh": frozenset({"mutant", "wildtype"}),
    "codel_1p19q": frozenset({"codel", "non-codel"}),
    "mgmt": frozenset({"methylated", "unmethylated"}),
    "event": frozenset({0.0, 1.0}),
    "split": frozenset({"train", "validation", "test"}),
}

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
        cell = self._row(subject)[modality]
        return isinstance(cell, str) and bool(cell)

    def volume(self, subject: str, modality: str) -> Volume:
        """The image of a subject as :func:`radlib.data.nifti.read_volume` reads it. For ``seg`` use :meth:`labels`.

        Raises:
            VolumeError: if it cannot be used, or lies on another grid than the subject's segmentation.
        """
        if modality == "seg":
            return self.labels(subject)
        path = self.path(subject, modality)
        volume = read_volume(path)
        seg = self._row(subject)["seg"]
        drawn_on = read_grid(self.root / str(seg)) if isinstance(seg, str) else None
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
            digest.update(f"{name}: {'none' if table is None else _digest(table)}\n".encode())
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
            RadlibError: one error that lists every problem found, the first 20 in words.
        """
        problems = list(self._problems(files=files))
        if problems:
            shown = "; ".join(problems[:20])
            more = f"; and {len(problems) - 20} more" if len(problems) > 20 else ""
            raise RadlibError(
                f"cohort {self.name!r} has {len(problems)} problem(s): {shown}{more}",
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
            _for_disk(self.participants).to_csv(path, sep="\t", index_label="id", lineterminator="\n")
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
        try:
            about = json.loads(about_file.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RadlibError(f"not JSON ({error})", file=about_file, remedy="make the cohort again") from error
        if not isinstance(about, dict) or about.get("format") != _FORMAT or about.get("version") != _VERSION:
            raise RadlibError(
                f"not a cohort of format {_FORMAT} version {_VERSION}", file=about_file, remedy="make the cohort again"
            )
        participants = read_participants(folder / "participants.tsv")
        tables: dict[str, pd.DataFrame | None] = {"expression.parquet": None, "radiomics.parquet": None}
        for name in tables:
            path = folder / name
            if path.is_file():
                tables[name] = _read_table(path, participants.index)
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


def participants_table(
    rows: Sequence[dict[str, Any]] | pd.DataFrame, *, file: Path | str | None = None
) -> pd.DataFrame:
    """A participants table from rows with an ``id``: every column of :data:`COLUMNS`, right types, NaN where unknown.

    Raises:
        RadlibError: if a number column holds text, naming the subject and the value.
    """
    table = pd.DataFrame(list(rows) if not isinstance(rows, pd.DataFrame) else rows)
    if "id" in table:
        table = table.set_index("id")
    table.index = pd.Index([str(subject) for subject in table.index], name="id", dtype="str")
    extra = [column for column in table.columns if column not in COLUMNS]
    table = table.reindex(columns=[*COLUMNS, *extra])
    for column in NUMBER_COLUMNS:
        numbers = pd.to_numeric(table[column], errors="coerce").astype(float)
        lost = table[column].notna() & numbers.isna()
        if lost.any():
            subject = table.index[lost][0]
            raise RadlibError(
                f"{column} of {subject} is {table.loc[subject, column]!r}, not a number",
                file=file,
                remedy="write a number, or leave the cell empty",
            )
        table[column] = numbers
    for column in (*TEXT_COLUMNS, *FILE_COLUMNS):
        text = table[column].astype(object)
        text = text.where(text.notna() & (text.astype(str).str.strip() != ""), np.nan)
        table[column] = text.astype("str")
    for column in extra:  # a source's own columns: NaN where unknown there too
        if table[column].dtype == object:
            table[column] = table[column].where(table[column].notna(), np.nan).infer_objects()
    return table


def read_participants(path: Path | str) -> pd.DataFrame:
    """A ``participants.tsv`` as a table indexed by ``id``, types as :func:`participants_table` makes them.

    Raises:
        RadlibError: if the file is absent, has no ``id`` column, or a number column holds text.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError("there is no participants table", file=path, remedy="make the cohort again")
    # Only an empty cell is missing: "NA" or "None" could be a site.
    table = read_text_table(path, delimiter="\t", missing=("",))
    if "id" not in table:
        raise RadlibError(
            f"no column 'id' among {', '.join(table.columns[:8])}", file=path, remedy="name the first column id"
        )
    if table["id"].isna().any():
        row = table.index[table["id"].isna()][0]
        raise RadlibError(f"line {row} has an empty id", file=path, remedy="give every subject an id")
    known = participants_table(table, file=path)
    for column in known.columns[len(COLUMNS) :]:  # a source's own columns: numbers where all of them are
        numbers = as_numbers(known[column])
        if known[column].notna().any() and numbers.notna().equals(known[column].notna()):
            known[column] = numbers
    known.attrs.clear()
    return known


def _read_table(path: Path, ids: pd.Index) -> pd.DataFrame:
    """A Parquet table with a row for each of ``ids``, in their order."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise RadlibError(f"not a readable table ({error})", file=path, remedy="make the cohort again") from error
    table.index = pd.Index([str(subject) for subject in table.index], name="id", dtype="str")
    if unknown := [subject for subject in table.index if subject not in ids]:
        raise RadlibError(
            f"{len(unknown)} subject(s), {unknown[0]} first, are not in participants.tsv",
            file=path,
            remedy="make the table again from this cohort",
        )
    if table.index.has_duplicates:
        raise RadlibError(
            f"subject {table.index[table.index.duplicated()][0]} is there twice", file=path, remedy="keep one row"
        )
    return table if list(table.index) == list(ids) else table.reindex(ids)


def _for_disk(table: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers without a decimal point, so that the file reads well."""
    table = table.copy()
    for column in table.columns:
        values = table[column]
        if pd.api.types.is_float_dtype(values) and (values.dropna() == values.dropna().round()).all():
            table[column] = values.astype("Int64")
    return table


def _digest(table: pd.DataFrame) -> str:
    """A digest of a table's ids, columns and values, the same after it was written and read."""
    digest = hashlib.sha256("\0".join(map(str, [*table.index, "", *table.columns])).encode())
    for _, column in table.items():
        values = column.dropna()
        if not len(values):
            digest.update(b"empty")
        elif pd.api.types.is_numeric_dtype(values):
            digest.update((column.to_numpy(dtype="<f8", na_value=np.nan) + 0.0).tobytes())
        else:
            digest.update("\0".join("\1" if pd.isna(cell) else str(cell) for cell in column).encode())
    return digest.hexdigest()


def _way(target: Path, start: Path) -> str:
    """``target`` as seen from ``start``: relative where it lies inside, else absolute."""
    target, start = target.resolve(), start.resolve()
    return target.relative_to(start).as_posix() if target.is_relative_to(start) else str(target)
