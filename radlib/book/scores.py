"""What a chapter measured on single patients, kept for the chapter that sets methods of several papers side by side."""

from __future__ import annotations

import pandas as pd

from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, reading
from radlib.core.paths import run_dir

TASKS: dict[str, tuple[str, ...]] = {
    "segmentation": ("role", "model", "subject", "region", "dice"),
    "synthesis": ("role", "model", "subject", "direction", "psnr", "psnr_tumour"),
    "idh": ("role", "model", "subject", "run", "truth", "score", "predicted"),
}
"""Task to the columns that its rows need. ``role`` is the cohort; a subject may have several rows (runs, seeds)."""


def keep_scores(report: Report, task: str, scores: pd.DataFrame) -> None:
    """Keep scores of single patients in the run directory, ``arrays/scores_<task>.parquet``.

    Args:
        report: of the chapter at work.
        task: of :data:`TASKS`.
        scores: one row a method, patient (and run, region); other columns than the task's are left out.

    Raises:
        RadlibError: if a column lacks.
    """
    columns = list(TASKS[task])
    if lacking := [name for name in columns if name not in scores]:
        raise RadlibError(f"scores of the task {task!r} have no column {', '.join(lacking)}")
    with atomic_path(report.directory / "arrays" / f"scores_{task}.parquet") as temporary:
        scores[columns].reset_index(drop=True).to_parquet(temporary)


def read_scores(task: str, *, cohort: str, profile: str, chapters: list[str]) -> pd.DataFrame:
    """The rows that chapters have kept for a task, with a column ``chapter`` in front.

    A chapter that kept none, because the cohort lacks what it needs, adds no rows.

    Raises:
        RadlibError: if a file is damaged, naming it.
    """
    tables = [pd.DataFrame(columns=["chapter", *TASKS[task]])]
    for chapter in chapters:
        file = run_dir(cohort=cohort, profile=profile, chapter=chapter) / "arrays" / f"scores_{task}.parquet"
        if file.is_file():
            with reading(file, remedy=f"run the chapter {chapter} again"):
                table = pd.read_parquet(file)[list(TASKS[task])]
            table.insert(0, "chapter", chapter)
            tables.append(table)
    found = [table for table in tables if len(table)]
    return pd.concat(found, ignore_index=True) if found else tables[0]
