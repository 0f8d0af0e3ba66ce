"""Cohorts as inputs of jobs: what they are called, how the simulated ones are made, and what their content is."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from filelock import FileLock
from pydantic import Field, ValidationError

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import read_json, write_json
from radlib.core.models import Strict
from radlib.core.paths import project_root
from radlib.data.persons import each_once
from radlib.data.sources import open_cohort, simulated_dir
from radlib.study.code import code_digest
from radlib.study.jobs import NOT_DECIDING

if TYPE_CHECKING:
    from radlib.data.cohort import Cohort
    from radlib.data.store import ImageStore

_PROFILE = ("like", "cohorts", "chapters", "real")  # keys of a profile

#: The file in a simulated cohort's folder that says that it is whole.
MADE = "made.json"


class CohortOptions(Strict):
    """What a profile may say of a simulated cohort; what it leaves out is as in the template."""

    n: int | None = Field(default=None, ge=2)
    grid: tuple[int, int, int] | None = None
    preset: str = "signal"
    features: str | None = None


@dataclass(frozen=True)
class Source:
    """A cohort, as chapters ask for it.

    Attributes:
        role: a name in :data:`radlib.data.sources.ROLES`.
        cohort: ``simulated``, ``real``, or the path of a cohort description.
        profile: which size of the simulated cohort.
        seed: of the simulated cohort.
        own: options of a simulated cohort beside the profile's, such as one without signal. It is made when it is
            first opened.
    """

    role: str
    cohort: str = "simulated"
    profile: str = "default"
    seed: int = 0
    own: CohortOptions | None = None

    @property
    def key(self) -> str:
        """A digest of what was asked for: the recipe of a simulated cohort, the content of another."""
        return _digest(self._recipe()) if self.cohort == "simulated" else self.open().fingerprint()

    @property
    def fingerprint(self) -> str:
        """A digest of the content: the simulator's code belongs to a simulated cohort, every file to another."""
        return _digest(_made_with(self._recipe())) if self.cohort == "simulated" else self.key

    def open(self) -> Cohort:
        """The cohort, each person once, so that no split can divide one; opened once in a process."""
        return _open(self)

    def _recipe(self) -> dict[str, Any]:
        return _recipe(self.role, profile=self.profile, seed=self.seed, options=self.own)


@dataclass(frozen=True, kw_only=True)
class Images:
    """A cohort's images on one grid; see :func:`radlib.data.store.prepare` for what is not said here.

    Attributes:
        source: the cohort.
        grid: shape ``(X, Y, Z)``.
        spacing: edge of a voxel, mm, or its edges along X, Y, Z, as for stacks of thick slices.
        modalities: the channels.
        normalise: ``zscore``, ``minmax`` or ``none``.
        memory_mapped: whether the images lie in files instead of memory; decides nothing.
    """

    source: Source
    grid: tuple[int, int, int] = (96, 96, 64)
    spacing: float | tuple[float, float, float] = 2.25
    modalities: tuple[str, ...] = ("t1", "t1ce", "t2", "flair")
    normalise: Literal["zscore", "minmax", "none"] = "zscore"  # written out: jobs read it at run time
    memory_mapped: bool = field(default=False, metadata=NOT_DECIDING)

    def open(self, ids: Sequence[str] | None = None) -> ImageStore:
        """The images of ``ids`` (all where None), on the device where they fit; read once in a process."""
        return _images(self, tuple(ids) if ids is not None else None)


@cache
def _open(source: Source) -> Cohort:
    if source.own is not None:
        return _open_own(source)
    if source.cohort == "simulated":
        stamp = simulated_dir(source.role, profile=source.profile) / "options.json"
        if stamp.is_file() and read_json(stamp) != _made_with(source._recipe()):
            raise MissingDataError(
                f"the simulated cohort {source.role!r} was made with other options or by other code",
                file=stamp.parent, remedy=f"run: radlib chapter cohort {source.role} --profile {source.profile}",
            )  # fmt: skip
    cohort = open_cohort(source.role, cohort=source.cohort, profile=source.profile)
    return cohort.subset(each_once(cohort.participants))


def _open_own(source: Source) -> Cohort:
    from radlib.data.cohort import Cohort

    if source.cohort != "simulated":
        raise RadlibError(f"a cohort {source.cohort!r} has no options", remedy="options are of simulated cohorts")
    recipe = source._recipe()
    folder = simulated_dir("_own", profile=source.profile) / f"{source.role}-{_digest(recipe)[:8]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not (folder / MADE).is_file() or read_json(folder / MADE) != _made_with(recipe):
            _make(folder, recipe)
    return Cohort.load(folder)


@cache
def _images(images: Images, ids: tuple[str, ...] | None) -> ImageStore:
    from radlib.core.device import pick_device
    from radlib.core.paths import runs_root
    from radlib.data.store import prepare

    cache_folder = None
    if images.memory_mapped:
        name = _digest([images.source.fingerprint, images.grid, images.spacing, images.normalise, ids])
        cache_folder = runs_root() / "_images" / name
    store = prepare(
        images.source.open(), modalities=images.modalities, grid=images.grid, spacing=images.spacing,
        normalise=images.normalise, ids=ids, cache=cache_folder,
    )  # fmt: skip
    return store.to(pick_device())


def forget() -> None:
    """Forget what was opened, so that files that have changed are read again."""
    _open.cache_clear()
    _images.cache_clear()


def profile_file(profile: str) -> Path:
    """``notebooks/profiles/<profile>.yml``."""
    return project_root() / "notebooks" / "profiles" / f"{profile}.yml"


def read_profile(profile: str) -> dict[str, Any]:
    """The profile: ``cohorts`` (role -> options of the simulated cohort), ``chapters`` (name -> parameters) and
    ``real`` (name -> parameters that take the place of those on real data, such as the grid of another cohort).
    ``like`` names a profile whose options and parameters hold where this one says nothing.

    Raises:
        RadlibError: if there is no such profile, it cannot be read, or it has other keys.
    """
    file = profile_file(profile)
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.yml")))
        raise RadlibError(f"there is no profile {profile!r}", remedy=f"choose one of {known}")
    return _profile(file, file.stat().st_mtime_ns)


@cache
def _profile(file: Path, _changed: int) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise RadlibError(f"the profile is no YAML: {error}", file=file) from error
    if not isinstance(content, dict) or set(content) - set(_PROFILE):
        raise RadlibError(f"a profile has the keys {', '.join(_PROFILE)} and no others", file=file)
    base = read_profile(content["like"]) if content.get("like") else {}
    return {key: _over(base.get(key) or {}, content.get(key) or {}) for key in _PROFILE if key != "like"}


def _over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    return {name: {**(base.get(name) or {}), **(own.get(name) or {})} for name in {**base, **own}}


def cohort_options(role: str, *, profile: str) -> CohortOptions:
    """The options of a role in a profile.

    Raises:
        RadlibError: if the profile does not have the role, or an option is unknown or impossible.
    """
    cohorts = read_profile(profile)["cohorts"]
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
    folder = simulated_dir(role, profile=profile)
    _make(folder, _recipe(role, profile=profile, seed=seed), jobs=jobs)
    return folder


def _make(folder: Path, recipe: dict[str, Any], *, jobs: int = 1) -> None:
    from radlib.data.cohort import Cohort
    from radlib.features.extract import extract_cohort
    from radlib.phantom.make import make

    made_with, stamp = _made_with(recipe), folder / "options.json"
    if folder.is_dir() and (not stamp.is_file() or read_json(stamp) != made_with):
        shutil.rmtree(folder)
    write_json(stamp, made_with)
    grid = recipe["grid"] and tuple(recipe["grid"])
    make(recipe["role"], out=folder, n=recipe["n"], grid=grid, seed=recipe["seed"], jobs=jobs, preset=recipe["preset"])
    if recipe["features"]:
        extract_cohort(Cohort.load(folder), preset=recipe["features"], out=folder / "radiomics.parquet", jobs=jobs)
    write_json(folder / MADE, made_with)


def _recipe(role: str, *, profile: str, seed: int, options: CohortOptions | None = None) -> dict[str, Any]:
    options = options or cohort_options(role, profile=profile)
    return {"role": role, "seed": seed, **options.model_dump(mode="json")}


def _made_with(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe with a digest of the code that decides what comes out."""
    features = ["radlib.features.extract"] if recipe["features"] else []
    return {**recipe, "code": code_digest(["radlib.phantom.make", *features])}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]
