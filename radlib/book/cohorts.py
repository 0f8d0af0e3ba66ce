"""The simulated cohorts that a profile asks for, made where the chapters look for them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radlib.book.parameters import load_profile, profile_file
from radlib.core.errors import RadlibError
from radlib.core.files import write_json
from radlib.data.sources import simulated_dir
from radlib.study.code import imported_files

#: The file in a simulated cohort's folder that says that it is whole.
MADE = "made.json"


class CohortOptions(BaseModel):
    """What a profile may say of a simulated cohort; what it leaves out is as in the template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int | None = Field(default=None, ge=2)
    grid: tuple[int, int, int] | None = None
    preset: str = "signal"
    features: str | None = None


def cohort_options(role: str, *, profile: str) -> CohortOptions:
    """The options of a role in a profile.

    Raises:
        RadlibError: if the profile does not have the role, or an option is unknown or impossible.
    """
    cohorts = load_profile(profile)["cohorts"]
    if role not in cohorts:
        raise RadlibError(
            f"profile {profile!r} says nothing of the simulated cohort {role!r}",
            file=profile_file(profile),
            remedy=f"add it under `cohorts`; there are {', '.join(cohorts) or 'none'}",
        )
    try:
        return CohortOptions.model_validate(cohorts[role] or {})
    except ValidationError as error:
        raise RadlibError(f"the options of cohort {role!r} are wrong: {error}", file=profile_file(profile)) from error


def make_cohort(role: str, *, profile: str, seed: int = 0, jobs: int = 1) -> Path:
    """Simulate a cohort and extract its features as the profile says.

    An interrupted run goes on where it stopped. A folder made with other options, or by another version of the
    simulator's code, is replaced. ``made.json`` appears last.

    Returns:
        The cohort's folder.
    """
    from radlib.data.cohort import Cohort
    from radlib.features.extract import extract_cohort
    from radlib.phantom.make import make

    options = cohort_options(role, profile=profile)
    folder = simulated_dir(role, profile=profile)
    made_with: dict[str, Any] = {"role": role, "seed": seed, **options.model_dump(mode="json"), "code": code_digest()}
    stamp = folder / "options.json"
    if folder.is_dir() and (not stamp.is_file() or json.loads(stamp.read_text(encoding="utf-8")) != made_with):
        shutil.rmtree(folder)
    write_json(stamp, made_with)
    make(role, out=folder, n=options.n, grid=options.grid, seed=seed, jobs=jobs, preset=options.preset)
    if options.features:
        extract_cohort(Cohort.load(folder), preset=options.features, out=folder / "radiomics.parquet", jobs=jobs)
    write_json(folder / MADE, made_with)
    return folder


def code_digest() -> str:
    """A digest of the modules that decide what a simulated subject is."""
    files = imported_files("import radlib.phantom.make")
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]
