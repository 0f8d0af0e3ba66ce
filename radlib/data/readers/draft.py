"""A draft of a cohort description, from looking at a folder. What is not certain becomes a question in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import ALLOWED, COLUMNS, FILE_COLUMNS, NUMBER_COLUMNS, Cohort
from radlib.data.decode import VOLUME_SUFFIXES, VolumeError
from radlib.data.nifti import map_labels
from radlib.data.readers.bids import find_bids
from radlib.data.readers.brats import read_brats
from radlib.data.readers.description import QUESTION
from radlib.data.readers.files import walk
from radlib.data.readers.folder import labels_found
from radlib.data.readers.ids import numbers_alone
from radlib.data.readers.own_tables import understood
from radlib.data.tables import TABLE_SUFFIXES, as_numbers, read_text_table

_TOKENS: tuple[tuple[str, str], ...] = (
    # The first that fits wins: t1ce and its spellings before t1.
    ("t1ce", r"t1w?[-_ ]?(ce|c|gd|gad|post|contrast|km)|(ce|gd|gad)[-_ ]?t1w?|ce-\w+_t1w|t1w?[-_ ]post[-_ ]?contrast"),
    ("flair", r"t2w?[-_ ]?flair|flair|t2f"),
    ("t2", r"t2w?"),
    ("t1", r"t1[nw]?|t1w?[-_]?(pre|native)"),
    ("seg", r"d?seg|segm\w*|truth|labels?(tr|ts)?|masks?|rois?|tumou?r\w*|lesions?"),
)
_NO_TUMOUR = re.compile(r"brain|skull|head|bet(?![a-z])|parenchyma|bias|atlas|tissue", re.IGNORECASE)
_GUESSES: dict[str, str] = {
    "site": r"site|cent(er|re)|hospital|institution",
    "age": r"age.*|patient'?s?[ _.-]?age",
    "sex": r"sex|gender",
    "grade": r"who|((final|path\w*)[ _.-]?)?((who|cns|histolog\w*)[ _.-]?)*grade",
    "idh": r"idh.*",
    "codel_1p19q": r".*1p.?19q.*|codel.*",
    "mgmt": r"mgmt.*",
    "survival_days": r".*survival.*|(os|overall)([ _.-]?(days|weeks|months|years|time))?|days_to_death|.*os\.time",
    "event": r".*(event|dead|death|deceased|vital|censor|alive).*|(survival|os|follow.?up)?[ _.-]?status|os",
    "split": r"split|subset|fold",
}
_NO_TIME = re.compile(r"status|event|censor|vital|dead|alive|class|group|pfs|progression", re.IGNORECASE)
_SURE_EVENT = re.compile(r"event|dead|death|deceased|died", re.IGNORECASE)


@dataclass
class _Table:
    """A table that may hold the participants, and what its columns seem to be."""

    path: Path
    identity: str
    columns: dict[str, str] = field(default_factory=dict)
    zeros: bool = False  # its ids differ from the images' in leading zeros
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    unit: str | None = None


def draft(folder: Path | str) -> str:
    """A commented description of a folder, as YAML text, from looking at its names, tables and labels.

    Raises:
        MissingDataError: if there is no folder, or neither volumes nor a table in it.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise MissingDataError("there is no such folder", file=folder, remedy="give the folder of the images")
    volumes, tables = [], []
    for here, names in walk(folder, max_depth=7):
        for name in names:
            if name.lower().endswith(VOLUME_SUFFIXES):
                volumes.append((here / name).relative_to(folder).as_posix())
            elif name.lower().endswith(TABLE_SUFFIXES):
                tables.append(here / name)
    if not volumes and not tables:
        raise MissingDataError(
            f"neither images ({', '.join(VOLUME_SUFFIXES)}) nor tables ({', '.join(TABLE_SUFFIXES)}) in this folder",
            file=folder,
            remedy="give the folder of the images",
        )
    layout, patterns, subjects = _guess_images(folder, volumes)
    named = subjects.get("participant", pd.Series(subjects.index, subjects.index))
    table = _guess_table(tables, {str(name) for name in named})
    taken = {file for column in FILE_COLUMNS if column in subjects for file in subjects[column].dropna()}
    return _as_yaml(
        folder, layout, patterns, subjects, table, _guess_encoding(folder, layout, subjects),
        left=[volume for volume in volumes if volume not in taken], tables=tables,
    )  # fmt: skip


def _guess_images(folder: Path, volumes: list[str]) -> tuple[str, dict[str, list[str]], pd.DataFrame]:
    """The layout, the patterns by modality, and subjects x modalities: the layout that explains most volumes."""
    try:
        bids = find_bids(folder)
    except RadlibError:
        bids = pd.DataFrame(columns=list(FILE_COLUMNS))
    if len(bids) and len(bids) >= 0.5 * len(
        {match[0] for v in volumes if (match := re.search(r"sub-[A-Za-z0-9]+", v))}
    ):
        return "bids", {}, bids
    try:
        brats = read_brats(folder).participants
    except RadlibError:
        brats = pd.DataFrame(columns=list(FILE_COLUMNS))
    if brats[list(FILE_COLUMNS)].notna().sum().sum() > 0.5 * len(volumes):
        return "brats", {}, brats
    patterns, found = _guess_patterns(volumes)
    return "patterns", patterns, found


def _guess_patterns(volumes: Iterable[str]) -> tuple[dict[str, list[str]], pd.DataFrame]:
    """Patterns by modality, and the subjects that the first of each gives.

    The first explains most volumes. Others stand behind it where they explain at least half as many, of other subjects
    or in other folders: then nobody knows which is meant.
    """
    counts: dict[str, dict[str, dict[str, str]]] = {}
    for volume in volumes:
        if (told := _modality_and_subject(volume)) is not None:
            modality, identity, pattern = told
            counts.setdefault(modality, {}).setdefault(pattern, {})[identity] = volume
    ranked = {
        modality: sorted(options, key=lambda pattern: (-len(options[pattern]), pattern))
        for modality, options in counts.items()
    }
    patterns: dict[str, list[str]] = {}
    for modality in (name for name in FILE_COLUMNS if name in ranked):
        first, *others = ranked[modality]
        taken = _places(counts[modality][first])
        patterns[modality] = [first] + [
            other for other in others if 2 * len(_places(counts[modality][other]) - taken) >= len(taken)
        ]
    found = {modality: counts[modality][options[0]] for modality, options in patterns.items()}
    return patterns, pd.DataFrame(found)


def _places(files: Mapping[str, str]) -> set[tuple[str, str]]:
    """Subjects and the folders that their files are in: a second image of a subject beside the first is no new one."""
    return {(identity, file.rpartition("/")[0]) for identity, file in files.items()}


def _modality_and_subject(volume: str) -> tuple[str, str, str] | None:
    """The modality of a file by its name, else by that of a folder, with the subject and a pattern; None for others."""
    parent, _, name = volume.rpartition("/")
    stem = re.sub(r"\.(nii(\.gz)?|mh[ad]|n(rr|hd)[dr])$", "", name, flags=re.IGNORECASE)
    for modality, tokens in _TOKENS:
        if modality == "seg" and _NO_TUMOUR.search(stem):
            continue
        matches = list(re.finditer(rf"(?<![a-z0-9])({tokens})(?![a-z0-9])", stem, re.IGNORECASE))
        if not matches:
            continue
        before = stem[: matches[0 if modality == "seg" else -1].start()].rstrip("-_. ")
        folders = parent.split("/") if parent else []
        inside = [part for part in folders if part and part in before]
        identity = inside[-1] if inside else (before or (folders[-1] if folders else ""))
        if not identity:
            return None
        head, tail = _with_id(before, identity), stem[len(before) :] + name[len(stem) :]
        if head == before:
            head = before.replace(identity, "{id}")
        parts = [*(_with_id(part, identity) for part in folders), head + _with_id(tail, identity)]
        return modality, identity, "/".join(parts)
    # A folder a modality, such as masks/p1.nii.gz: the name is the subject.
    for modality, tokens in _TOKENS:
        if re.search(rf"(^|/)({tokens})/[^/]*$", volume, re.IGNORECASE) and not _NO_TUMOUR.search(volume):
            return modality, stem, "/".join([*parent.split("/"), name.replace(stem, "{id}")])
    return None


def _with_id(text: str, identity: str) -> str:
    """The text with ``{id}`` for an id that stands alone: the 1 of ``1_T1``, but not that of the modality."""
    return re.sub(rf"(?<![^\W_]){re.escape(identity)}(?![^\W_])", "{id}", text)


def _guess_encoding(folder: Path, layout: str, subjects: pd.DataFrame) -> tuple[str | None, str]:
    """The label encoding, or a question, or None where nothing need be said; and the labels that were found."""
    if "seg" not in subjects or not subjects["seg"].notna().any():
        return None, ""
    values = labels_found(folder / path for path in subjects["seg"].dropna().head(5))
    shown = ", ".join(f"{value:g}" for value in [0, *sorted(values)][:9])
    stated = subjects.get("label_encoding")
    if layout == "brats" and stated is not None and stated[subjects["seg"].notna()].notna().all():
        return (QUESTION if values == {1} else None), shown
    try:
        map_labels(pd.Series(sorted(values)).to_numpy(), encoding=None)
    except VolumeError:
        return QUESTION, shown
    return None, shown


def _guess_table(tables: Iterable[Path], ids: set[str]) -> _Table | None:
    """The table and column that name most of the ids (without images: the first column of the first table)."""
    best: tuple[tuple[int, int, int], _Table, pd.DataFrame] | None = None
    bare = {numbers_alone(name) for name in ids}
    for path in tables:
        try:
            table = read_text_table(path, published=False)
        except RadlibError:
            continue
        for place, column in enumerate(table.columns):
            cells = table[column].dropna()
            if cells.duplicated().any() or not len(cells):
                continue
            exact = len(ids & set(cells))
            found = exact or len(bare & set(map(numbers_alone, cells)))
            if not ids:
                found = exact = int(place == 0)
            if found:
                guess = _Table(path, str(column), _guess_columns(table.drop(columns=column)), zeros=not exact)
                rank = (exact, found, len(guess.columns))  # of two that know as many, the one that tells more
                if best is None or rank > best[0]:
                    best = (rank, guess, table)
    if best is None:
        return None
    guess, table = best[1], best[2]
    comma = bool(table.attrs["decimal_comma"])
    for ours, theirs in guess.columns.items():
        guess.values |= {ours: asked} if (asked := _open_values(table[theirs], ours, decimal_comma=comma)) else {}
    if time := guess.columns.get("survival_days"):
        guess.unit = _unit(time, as_numbers(table[time], decimal_comma=comma))
    return guess


def _guess_columns(table: pd.DataFrame) -> dict[str, str]:
    """Our column to theirs, by name, and by content where a name such as OS can be a time or a status."""
    columns: dict[str, str] = {}
    for ours, guess in _GUESSES.items():
        for theirs in table.columns:
            cells = table[theirs].dropna()
            status = cells.isin(["0", "1", "0.0", "1.0"]).all()
            if theirs in columns.values() or not re.fullmatch(f"(?i){guess}", theirs) or not len(cells):
                continue
            if ours == "survival_days" and (status or _NO_TIME.search(theirs)):
                continue
            if ours == "event" and theirs.lower() == "os" and not status:
                continue
            columns[ours] = theirs
            break
    return columns


def _open_values(column: pd.Series, ours: str, *, decimal_comma: bool) -> dict[str, str]:
    """What a person must say of a column's cells: which spelling means what, and which way round a status is."""
    _, strange = understood(column, ours, decimal_comma=decimal_comma)
    asked = {str(value): _likely(str(value), ours) for value in strange.unique()[:20]}
    if ours == "event" and not _SURE_EVENT.search(str(column.name)):
        asked |= {str(value): QUESTION for value in column.dropna().unique() if as_numbers(column).notna().any()}
    return asked if ours in ALLOWED or ours in NUMBER_COLUMNS else {}


def _likely(value: str, ours: str) -> str:
    if ours == "idh" and re.search(r"r132|r172", value, re.IGNORECASE):
        return "mutant"
    return QUESTION


def _unit(name: str, values: pd.Series) -> str:
    """By the name; days where someone would have lived for 40 years in the next unit; else a question."""
    named = next((unit for unit in ("days", "weeks", "months", "years") if unit[:-1] in name.lower()), None)
    return named or ("days" if values.max() > 500 else QUESTION)


def _pattern_lines(modality: str, options: Sequence[str], quoted: Callable[[str], str]) -> list[str]:
    """The pattern of a modality, or a question where several could be meant."""
    if len(options) == 1:
        return [f"  {modality}: {quoted(options[0])}"]
    shown = " or ".join(map(quoted, options[:4])) + " ..." * (len(options) > 4)
    return [f"  # {modality} may be {shown}; a * in place of a folder takes several.", f'  {modality}: "{QUESTION}"']


def _as_yaml(
    folder: Path, layout: str, patterns: Mapping[str, list[str]], subjects: pd.DataFrame, table: _Table | None,
    encoding: tuple[str | None, str], *, left: Sequence[str], tables: Sequence[Path],
) -> str:  # fmt: skip
    def quoted(text: str) -> str:
        return yaml.safe_dump(text, default_style='"', width=10_000, allow_unicode=True).strip()

    lines = [
        "# A cohort of your own. Check it with: radlib cohort check <this file>",
        f"# A value of {QUESTION} is a question to you: write what is right in its place.",
        f"name: {quoted(folder.name or 'my-cohort')}",
        "",
        "# The folder of the images: absolute, or relative to this file.",
        f"root: {quoted(str(folder))}",
        "",
        f"layout: {layout}",
    ]
    if layout == "patterns":
        lines += [
            f"# Where the files of a subject lie below root ({len(subjects)} subjects found): {{id}} is the subject,",
            "# * anything within one name. Leave out what you do not have.",
            "images:" if patterns else "images: {}",
            *(line for modality, options in patterns.items() for line in _pattern_lines(modality, options, quoted)),
            *(f'  # {modality}: "..."' for modality in FILE_COLUMNS if patterns and modality not in patterns),
        ]
    else:
        lines.append(f"# {len(subjects)} subjects found; {layout} says where their files lie.")
    if left:
        shown = ", ".join(map(quoted, left[:3])) + " ..." * (len(left) > 3)
        lines.append(f"# {len(left)} image(s) are nobody's so far: {shown}.")
    found = f" Found: {encoding[1]}." if encoding[1] else ""
    lines += [
        "",
        f"# Labels of seg.{found} brats (1 core, 2 oedema, 4 enhancing), brats2023 (3 enhancing), brats2015",
        '# (1 necrosis, 2 oedema, 3 non-enhancing, 4 enhancing), whole-tumour (1), or your own: "1:2 2:1 3:4".',
        f'label_encoding: "{QUESTION}"' if encoding[0] else "# label_encoding: brats",
        "",
        "# One row a subject: CSV, TSV or Excel. Without a table, every subject with an image is taken.",
    ]
    if table is None and tables:
        lines += [
            f"# {len(tables)} table(s) found, none with a column of ids that are those of images: "
            + ", ".join(quoted(str(path)) for path in tables[:3]) + " ..." * (len(tables) > 3) + ".",
            "# Name the one that is meant, with its ids written as those of the images, or remove the line below.",
            f'participants: "{QUESTION}"', "# id_column: id", "# columns:", '#   age: "Age"',
        ]  # fmt: skip
    elif table is None:
        lines += ['# participants: "participants.csv"', "# id_column: id", "# columns:", '#   age: "Age"']
    else:
        lines += [f"participants: {quoted(str(table.path))}", f"id_column: {quoted(table.identity)}"]
        if table.zeros:
            lines += [
                "# No id of the table is an image's; without leading zeros some are (004 and 0004). Are these the same",
                "# patients? Then write: numbers",
                f'id_match: "{QUESTION}"',
            ]
        lines += [
            "# Our column: yours. Guessed from the names; correct what is wrong, remove what is not meant.",
            "columns:" if table.columns else "columns: {}",
            *(f"  {ours}: {quoted(theirs)}" for ours, theirs in table.columns.items()),
        ]
    known = [column for column in COLUMNS if column not in (*FILE_COLUMNS, "label_encoding")]
    lines += [f"# Known columns: {', '.join(known[:7])},", f"# {', '.join(known[7:])}, and t1 ... seg for files.", ""]
    lines.append("# What your spellings mean; null is unknown. Usual ones (male, Mutant, WT, III, Dead ...) are known.")
    if table is not None and table.values:
        lines += ["# event is 1 where the death was observed and 0 where the patient was last seen alive.", "values:"]
        for ours, asked in table.values.items():
            lines += [f"  {ours}:", *(f"    {quoted(value)}: {quoted(means)}" for value, means in asked.items())]
    else:
        lines += ["# values:", '#   idh: {"1": mutant, "0": wildtype}']
    lines += ["", '# Your words for unknown: missing: ["nd", "xx"]', "", "# days, weeks, months or years"]
    lines.append(f'survival_unit: "{table.unit}"' if table is not None and table.unit else "# survival_unit: days")
    lines += [
        "",
        "# Tables of numbers, one row a subject:",
        '# expression: {file: "genes.csv", id_column: "id"}',
        '# radiomics: {file: "features.csv", id_column: "id", drop: ["scanner"]}',
    ]
    return "\n".join(lines) + "\n"


def first_rows(cohort: Cohort, *, rows: int = 3) -> pd.DataFrame:
    """The first subjects as they were understood, one a column, so that a person sees them."""
    return cohort.participants.dropna(axis=1, how="all").head(rows).T
