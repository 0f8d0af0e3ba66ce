"""What two runs of a chapter do not have in common: parameters, values, measured numbers, cells of tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radlib.book.results import read_results
from radlib.core.errors import MissingDataError
from radlib.core.files import read_json
from radlib.core.paths import cohort_slug, lab_dir, project_root, run_dir

COLUMNS = ["what", "name", "before", "after", "difference"]


def runs_to_compare(chapter: str, *, cohort: str, profile: str) -> tuple[Path, Path]:
    """The folders of the latest two of a chapter's runs: in JupyterLab, of the book, kept.

    Returns:
        The older kind (the book's beside JupyterLab's, the kept beside the book's) and the newer.

    Raises:
        MissingDataError: if there are not two.
    """
    about = {"cohort": cohort, "profile": profile, "chapter": chapter}
    kept = project_root() / "published" / cohort_slug(cohort) / profile / chapter
    found = [folder for folder in (lab_dir(**about), run_dir(**about), kept) if (folder / "results.json").is_file()]
    if len(found) < 2:
        raise MissingDataError(
            f"of chapter {chapter!r} there is {found[0] if found else 'no run'} and nothing to compare",
            remedy=f"run: radlib chapter run {chapter} --cohort {cohort} --profile {profile}",
        )
    return found[1], found[0]


def difference(before: Path, after: Path) -> pd.DataFrame:
    """One row a thing that differs between two run directories, in the columns :data:`COLUMNS`.

    ``difference`` is ``after`` minus ``before``, of a table the largest of a cell by amount; NaN where there is none
    (text, or on one side only). Of a table ``before`` and ``after`` are the cells with the largest difference.
    """
    rows: list[tuple[str, str, Any, Any]] = []
    for what, old, new in zip(("parameter", "value", "measured"), _numbers(before), _numbers(after), strict=True):
        rows += [(what, name, old.get(name), new.get(name)) for name in old | new if old.get(name) != new.get(name)]
    old, new = (dict(read_results(folder / "results.json").tables) for folder in (before, after))
    for name in old | new:
        rows += _cells(name, *(
            pd.read_csv(folder / tables[name]["file"]) if name in tables else None
            for folder, tables in ((before, old), (after, new))
        ))  # fmt: skip
    frame = pd.DataFrame([(*row, _minus(row[3], row[2])) for row in rows], columns=COLUMNS)
    return frame.astype({"difference": float})


def _numbers(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Parameters, values and measured numbers by name."""
    results, file = read_results(folder / "results.json"), folder / "parameters.json"
    parameters = read_json(file, remedy="run the chapter again") if file.is_file() else {}
    return (
        parameters,
        {name: one["value"] for name, one in results.values.items()},
        {" ".join(part for part in one.place if part): one.value for one in results.measured},
    )


def _cells(name: str, old: pd.DataFrame | None, new: pd.DataFrame | None) -> Iterator[tuple[str, str, Any, Any]]:
    if old is None or new is None or list(old) != list(new) or len(old) != len(new):
        before, after = ("lacking" if one is None else f"{len(one)} x {one.shape[1]}" for one in (old, new))
        yield "table", name, before, after
        return
    changed = ~((old == new) | (old.isna() & new.isna())).to_numpy()
    if changed.any():
        amounts = np.array([
            [abs(_minus(b, a)) if differs else 0.0 for a, b, differs in zip(*row, strict=True)]
            for row in zip(old.to_numpy(), new.to_numpy(), changed, strict=True)
        ])  # fmt: skip
        row, column = divmod(int(np.where(changed, np.nan_to_num(amounts), -1).argmax()), changed.shape[1])
        place = f"{name}: {changed.sum()} cells, most in {old.columns[column]!r}, row {row + 1}"
        yield "table", place, old.iat[row, column], new.iat[row, column]


def _minus(after: Any, before: Any) -> float:
    """The difference of two numbers; NaN for anything else."""
    numbers = all(isinstance(one, (int, float, np.number)) and not isinstance(one, bool) for one in (after, before))
    return float(after - before) if numbers else float("nan")
