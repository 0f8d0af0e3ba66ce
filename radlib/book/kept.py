"""Results that are kept under ``published/``: runs on real data, at full size, of the default profile."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from radlib.book.results import Results, read_results
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, read_json
from radlib.core.paths import cohort_slug, project_root, run_dir

#: What is kept of a run. Figures are not: they are drawn again from the tables.
FILES = ("results.json", "provenance.json", "parameters.json")
#: A kept table is a table of results, not of patients or voxels.
LIMIT_BYTES = 200_000
#: Tables that name single patients, such as those without an age; they stay in the run.
NAMES_PATIENTS = ("notes",)

#: Ids of real patients, as the public data sets write them: no kept file of a run on real data holds one.
PATIENT = re.compile(
    r"TCGA[-_][A-Z0-9]{2}[-_][A-Z0-9]{4}|UCSF-PDGM-\d{3,4}|BraTS-GLI-\d{5}|BraTS2021_\d{5}|Brats1\d_[A-Z0-9]+_\w+|"
    r"brats_(?:tcia|2013)_pat\d+|UPENN-GBM-\d{5}"
)


@dataclass(frozen=True)
class KeptRun:
    """A kept run of a chapter.

    Attributes:
        folder: where it lies.
        results: its ``results.json``.
        provenance: its ``provenance.json``.
    """

    folder: Path
    results: Results
    provenance: dict[str, Any]

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run.

        Raises:
            RadlibError: if the run has no such table.
        """
        file = self.folder / "tables" / f"{name}.csv"
        if not file.is_file():
            known = ", ".join(sorted(path.stem for path in (self.folder / "tables").glob("*.csv")))
            raise RadlibError(f"the kept run has no table {name!r}", file=file, remedy=f"it has {known}")
        return pd.read_csv(file)

    def text(self, name: str) -> str:
        """A value of the run as text, as :meth:`radlib.book.report.Report.text` gave it."""
        if name not in self.results.values:
            raise RadlibError(f"the kept run has no value {name!r}", file=self.folder / "results.json")
        return self.results.values[name]["text"]

    def origin(self) -> str:
        """A sentence on where the run comes from."""
        versions = self.provenance["versions"]
        return (
            f"Kept run: cohort {self.results.cohort}, profile {self.results.profile}, seed {self.results.seed}, "
            f"{self.provenance['device']}, torch {versions.get('torch', '–')}, scikit-learn "
            f"{versions.get('scikit-learn', '–')}, commit {self.provenance['commit']}."
        )


def kept_dir(chapter: str, *, cohort: str, profile: str) -> Path:
    """``published/<cohort>/<profile>/<chapter>``."""
    return project_root() / "published" / cohort_slug(cohort) / profile / chapter


def kept_run(chapter: str, *, cohort: str = "real", profile: str = "default") -> KeptRun | None:
    """The kept run of a chapter, or None where there is none."""
    folder = kept_dir(chapter, cohort=cohort, profile=profile)
    if not (folder / "results.json").is_file():
        return None
    return KeptRun(folder, read_results(folder / "results.json"), read_json(folder / "provenance.json"))


def keep_run(chapter: str, *, cohort: str, profile: str) -> Path:
    """Copy a run's tables and provenance to ``published/``, replacing an older kept run.

    Raises:
        RadlibError: if there is no whole run, a table is so large that it may hold more than results, or a file names a
            patient.
    """
    source = run_dir(cohort=cohort, profile=profile, chapter=chapter)
    if not all((source / name).is_file() for name in (*FILES, "notebook.ipynb")):
        raise RadlibError("there is no whole run to keep", file=source, remedy="run the chapter first")
    tables = sorted(file for file in (source / "tables").glob("*.csv") if file.stem not in NAMES_PATIENTS)
    if large := [file for file in tables if file.stat().st_size > LIMIT_BYTES]:
        raise RadlibError(
            f"{large[0].name} has {large[0].stat().st_size} bytes, more than a table of results has",
            file=large[0],
            remedy="summarise it in the chapter; rows of single patients are not kept",
        )
    for file in (source / "results.json", *tables):
        if named := PATIENT.search(file.read_text(encoding="utf-8")):
            raise RadlibError(
                f"{file.name} names a patient ({named.group()})", file=file,
                remedy="show statistics of the cohort; rows and names of single patients are not kept",
            )  # fmt: skip
    target = kept_dir(chapter, cohort=cohort, profile=profile)
    shutil.rmtree(target, ignore_errors=True)
    for file in (*(source / name for name in FILES), *tables):
        with atomic_path(target / file.relative_to(source)) as temporary:
            shutil.copyfile(file, temporary)
    return target
