"""A draft of a cohort description, from looking at a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import FILE_COLUMNS
from radlib.data.readers.brats import VOLUME_SUFFIXES, read_brats
from radlib.data.readers.files import read_text_table, walk
from radlib.data.readers.folder import TABLE_COLUMNS, separator

_TOKENS: tuple[tuple[str, str], ...] = (
    # The first that fits wins: t1ce and its spellings before t1.
    ("t1ce", r"t1[-_]?(ce|c|gd|gad|post|contrast)|(ce|gd)[-_]?t1"),
    ("flair", r"t2[-_]?flair|flair|t2f"),
    ("t2", r"t2w?"),
    ("t1", r"t1[nw]?|t1[-_]?pre"),
    ("seg", r"seg|segm|segmentation|label|labels|mask|tumou?r[-_]?seg\w*|tumou?r[-_]?mask"),
)
_GUESSES: dict[str, str] = {
    "site": r"site|cent(er|re)|hospital|institution",
    "age": r"age.*",
    "sex": r"sex|gender",
    "grade": r"who|(who[ _.-]?)?(cns[ _.-]?)?grade",
    "idh": r"idh.*",
    "codel_1p19q": r".*1p.?19q.*|codel.*",
    "mgmt": r"mgmt.*",
    "survival_days": r"(overall[ _.-]?)?survival.*|os([ _.-]?(days|months|time))?",
    "event": r"event|dead|death|status|vital.*|censor.*",
    "split": r"split|subset|fold",
}


def draft(folder: Path | str) -> str:
    """A commented description of a folder, as YAML text, from looking at its names and tables.

    Raises:
        MissingDataError: if there is no folder, or neither volumes nor a table in it.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise MissingDataError("there is no such folder", file=folder, remedy="give the folder of the images")
    volumes, tables = [], []
    for here, names in walk(folder, max_depth=5):
        for name in names:
            if name.endswith(VOLUME_SUFFIXES):
                volumes.append((here / name).relative_to(folder).as_posix())
            elif name.lower().endswith((".csv", ".tsv")):
                tables.append(here / name)
    if not volumes and not tables:
        raise MissingDataError(
            "neither images (.nii, .nii.gz, .mha) nor tables (.csv, .tsv) in this folder",
            file=folder,
            remedy="give the folder of the images",
        )
    try:
        brats = read_brats(folder)
        ids = set(brats.ids)
        known = int(brats.participants[list(FILE_COLUMNS)].notna().sum().sum())
    except RadlibError:
        ids, known = set(), 0
    use_brats = known > 0.5 * len(volumes)
    patterns: dict[str, str] = {}
    if not use_brats:
        patterns, ids = _guess_patterns(volumes)
    table, identity, columns = _guess_table(tables, ids)
    return _as_yaml(folder, use_brats, patterns, len(ids), table, identity, columns)


def _guess_patterns(volumes: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Patterns by modality that explain most volumes, and the ids that they give."""
    counts: dict[str, dict[str, set[str]]] = {}
    for volume in volumes:
        parent, _, name = volume.rpartition("/")
        stem = re.sub(r"\.(nii(\.gz)?|mha)$", "", name)
        for modality, tokens in _TOKENS:
            matches = list(re.finditer(rf"(?<![a-z0-9])({tokens})(?![a-z0-9])", stem, re.IGNORECASE))
            if not matches:
                # A folder a modality, such as masks/p1.nii.gz: the name is the subject.
                if modality == "seg" and re.search(rf"(?<![a-z0-9])({tokens}|masks)/", volume, re.IGNORECASE):
                    counts.setdefault(modality, {}).setdefault(volume.replace(stem, "{id}"), set()).add(stem)
                continue
            before = stem[: matches[-1].start()].rstrip("-_. ")
            folders = parent.split("/") if parent else []
            inside = [part for part in folders if part and part in before]
            identity = inside[-1] if inside else (before or (folders[-1] if folders else ""))
            if identity:
                pattern = volume.replace(identity, "{id}")
                counts.setdefault(modality, {}).setdefault(pattern, set()).add(identity)
            break
    patterns = {
        modality: max(sorted(options), key=lambda pattern: len(options[pattern]))
        for modality, options in counts.items()
    }
    ids = {identity for modality, pattern in patterns.items() for identity in counts[modality][pattern]}
    return {modality: patterns[modality] for modality in FILE_COLUMNS if modality in patterns}, ids


def _guess_table(tables: Iterable[Path], ids: set[str]) -> tuple[Path | None, str, dict[str, str]]:
    """The table and column that name most of the ids (without images: the first column of the first table)."""
    best: tuple[tuple[int, int], Path | None, str, dict[str, str]] = ((0, 0), None, "id", {})
    for path in tables:
        try:
            table = read_text_table(path, sep=separator(path))
        except RadlibError:
            continue
        for place, column in enumerate(table.columns):
            cells = table[column].dropna()
            if cells.duplicated().any():
                continue
            found = len(ids & set(cells)) if ids else int(place == 0 and len(cells) > 0)
            if not found:
                continue
            columns: dict[str, str] = {}
            for ours, guess in _GUESSES.items():
                for theirs in table.columns:
                    if theirs != column and theirs not in columns.values() and re.fullmatch(f"(?i){guess}", theirs):
                        columns[ours] = theirs
                        break
            if (found, len(columns)) > best[0]:  # of two that know as many subjects, the one that tells more
                best = ((found, len(columns)), path, column, columns)
    return best[1], best[2], best[3]


def _as_yaml(
    folder: Path,
    use_brats: bool,
    patterns: dict[str, str],
    n_subjects: int,
    table: Path | None,
    identity: str,
    columns: dict[str, str],
) -> str:
    def quoted(text: str) -> str:
        return yaml.safe_dump(text, default_style='"', width=10_000).strip()

    lines = [
        "# A cohort of your own. Check it with: radlib cohort check <this file>",
        f"name: {quoted(folder.name or 'my-cohort')}",
        "",
        "# The folder of the images: absolute, or relative to this file.",
        f"root: {quoted(str(folder))}",
        "",
    ]
    if use_brats:
        lines += [
            f"# A BraTS folder ({n_subjects} subjects found): names and labels are those of its vintage.",
            "layout: brats",
        ]
    else:
        lines += [
            "layout: patterns",
            f"# Where the files of a subject lie below root ({n_subjects} subjects found): {{id}} is the subject,",
            "# * anything within one name. Leave out what you do not have.",
            "images:" if patterns else "images: {}",
            *(f"  {modality}: {quoted(pattern)}" for modality, pattern in patterns.items()),
            *(f'  # {modality}: "..."' for modality in FILE_COLUMNS if patterns and modality not in patterns),
            "",
            "# Labels of seg: brats (1 core, 2 oedema, 4 enhancing), brats2023 (3 enhancing), brats2015 (1 necrosis,",
            '# 2 oedema, 3 non-enhancing, 4 enhancing), whole-tumour (1), or your own, such as "1:2 2:1 3:4".',
            "label_encoding: brats",
        ]
    lines += ["", "# One row a subject, CSV or TSV. Without a table, every subject with an image is taken."]
    if table is None:
        lines += ['# participants: "participants.csv"', "# id_column: id", "# columns:", '#   age: "Age"']
    else:
        lines += [
            f"participants: {quoted(str(table))}",
            f"id_column: {quoted(identity)}",
            "# Our column: yours. Guessed from the names; correct what is wrong, remove what is not meant.",
            "columns:" if columns else "columns: {}",
            *(f"  {ours}: {quoted(theirs)}" for ours, theirs in columns.items()),
        ]
    lines += [
        f"# Known columns: {', '.join(TABLE_COLUMNS[:7])},",
        f"# {', '.join(TABLE_COLUMNS[7:])}.",
        "",
        "# What your spellings mean, where they are not usual ones (male, Mutant, WT, III, Dead ... are known).",
        "# values:",
        '#   idh: {"1": mutant, "0": wildtype}',
        "",
        "# days, weeks, months or years",
        f"survival_unit: {_unit(columns.get('survival_days', ''))}",
        "",
        "# Tables of numbers, one row a subject:",
        '# expression: {file: "genes.csv", id_column: "id"}',
        '# radiomics: {file: "features.csv", id_column: "id", drop: ["scanner"]}',
    ]
    return "\n".join(lines) + "\n"


def _unit(name: str) -> str:
    return next((unit for unit in ("weeks", "months", "years") if unit[:-1] in name.lower()), "days")
