"""What a cohort costs: time, memory and disk by its size, as ``benchmarks/costs.py`` measured them.

Time and disk of a stage follow a power law, fitted by least squares on logarithms; memory is a start and a growth per
subject, fitted as a straight line. With four sizes an interval has two degrees of freedom and is wide for that reason.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from statsmodels.regression.linear_model import OLS, RegressionResults

from radlib.book.provenance import describe
from radlib.core.errors import RadlibError, first_problem
from radlib.core.files import write_json
from radlib.core.paths import project_root

RADIOMICS = "radiomic features of 12 images"
"""The task of ``benchmarks/radiomics.py``, before the number of voxels."""
REMEDY = "run `python benchmarks/costs.py`"

STAGES: dict[str, tuple[str, str]] = {
    "simulate": (
        "images: simulate",
        "four modalities, segmentation and truth of every subject, written to disk; tumour growth, most of the work, "
        "has a grid of its own, so the grid of the images matters little",
    ),
    "features": ("images: 671 features", "the conventional features of Li 2017 from every segmentation"),
    "read": ("images: read", "four modalities and the labels onto one grid, as arrays in memory"),
    "segment": ("images: segment", "read a subject, apply the octave FCN slice by slice, write the labels"),
    "tables": ("tables: simulate", "participants and the expression of 1,740 genes, written to disk"),
    "idh": ("tables: IDH", "t-test, F-score and linear SVM with Platt's sigmoid, all protocols"),
    "survival": ("tables: survival", "SVM and network on genes and features ranked one by one, all protocols"),
    "elimination": ("tables: survival, RFE", "one SVM on genes and features eliminated one at a time, leakage-free"),
}
"""The stages in the order of the page: title, and what is done."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Measurement(_Strict):
    """One stage at one size, in a process of its own with one thread.

    Attributes:
        stage: a key of :data:`STAGES`.
        n: subjects.
        settings: what else decides the cost.
        start_seconds: core-seconds (user and system) before the work: imports, and inputs that other stages make.
        core_seconds: core-seconds of the work, children included.
        wall_seconds: of the work, on a machine that others may have used too.
        start_bytes: largest resident size before the work.
        peak_bytes: largest resident size of the process.
        disk_bytes: of the files that the work left; 0 where it leaves none.
        commit: of the code.
    """

    stage: str
    n: int = Field(gt=0)
    settings: dict[str, Any]
    start_seconds: float = Field(ge=0)
    core_seconds: float = Field(gt=0)
    wall_seconds: float = Field(gt=0)
    start_bytes: int = Field(gt=0)
    peak_bytes: int = Field(gt=0)
    disk_bytes: int = Field(ge=0)
    commit: str


class Training(_Strict):
    """Steps of one network at the sizes of the default profile.

    Attributes:
        paper, network: which.
        settings: its sizes, and the steps that were counted.
        seconds_per_step: core-seconds.
        default_steps: steps of one training in the default profile.
        peak_bytes: largest resident size of the process, images included.
        commit: of the code.
    """

    paper: str
    network: str
    settings: dict[str, Any]
    seconds_per_step: float = Field(gt=0)
    default_steps: int = Field(gt=0)
    peak_bytes: int = Field(gt=0)
    commit: str


class Beside(_Strict):
    """A package on a task that others do as well; they ran one after the other on the same cores.

    Attributes:
        task: what was done.
        package: by whom; ``radlib`` is this one.
        seconds: wall time, the median of the calls.
        memory_bytes: what the calls added to the process that had loaded package and data.
        calls: how many were timed.
        load: of the machine just before, processes that wanted a core.
        commit: of the code.
    """

    task: str
    package: str
    seconds: float = Field(gt=0)
    memory_bytes: int = Field(ge=0)
    calls: int = Field(gt=0)
    load: float = Field(ge=0)
    commit: str


class Step(_Strict):
    """A step from a fresh clone to the finished book: wall seconds on all cores, and the load before."""

    step: str
    seconds: float = Field(gt=0)
    load: float = Field(ge=0)
    commit: str


class Machine(_Strict):
    """Where it was measured: processor, cores, memory in GiB."""

    processor: str
    cores: int = Field(gt=0)
    memory_gib: float = Field(gt=0)


class Costs(_Strict):
    """``published/costs.json``."""

    machine: Machine
    measurements: tuple[Measurement, ...] = ()
    trainings: tuple[Training, ...] = ()
    besides: tuple[Beside, ...] = ()
    steps: tuple[Step, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    def of(self, stage: str) -> list[Measurement]:
        """The measurements of a stage, smallest cohort first; those of one stage share their settings."""
        return sorted((row for row in self.measurements if row.stage == stage), key=lambda row: row.n)


def costs_file() -> Path:
    """``published/costs.json``, where what was measured is kept."""
    return project_root() / "published" / "costs.json"


def read_costs(file: Path | str) -> Costs:
    """Read ``costs.json``.

    Raises:
        RadlibError: if it is missing, no JSON, or has a wrong value; it names the first.
    """
    file = Path(file)
    try:
        return Costs.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RadlibError("the measured costs are not there", file=file, remedy=REMEDY) from error
    except ValueError as error:
        raise RadlibError(
            f"the measured costs are wrong: {first_problem(error)}", file=file, remedy=f"delete the file and {REMEDY}"
        ) from error


class CostsFile:
    """``costs.json`` for who measures: what it holds, and what is added, written at once.

    Raises:
        RadlibError: if the file was measured on another machine.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        held = read_costs(file) if file.is_file() else None
        here = this_machine()
        if held is not None and held.machine != here:
            raise RadlibError(
                f"it was measured on another machine ({held.machine.processor})", file=file, remedy="give another file"
            )
        self.held = held or Costs(machine=here)

    def has(self, kind: str, **same: Any) -> bool:
        """Whether there is a row with these values."""
        same = json.loads(json.dumps(same))
        rows = [row.model_dump(mode="json") for row in getattr(self.held, kind)]
        return any(all(row[key] == value for key, value in same.items()) for row in rows)

    def add(self, kind: str, row: dict[str, Any], *, instead_of: tuple[str, ...]) -> None:
        """Add a row in place of those that agree with it in ``instead_of``, and write the file."""
        provenance = describe()
        row = {**row, "commit": provenance["commit"]}
        held = self.held.model_dump(mode="json")
        rest = [old for old in held[kind] if any(old[key] != row[key] for key in instead_of)]
        self.held = Costs.model_validate({**held, kind: [*rest, row], "provenance": provenance})
        write_json(self.file, self.held.model_dump(mode="json"))


def this_machine() -> Machine:
    """The processor, cores and memory of this machine."""
    import psutil  # only who measures needs it

    processor, about = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if about.is_file():
        names = [line.split(":", 1)[1].strip() for line in about.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    gib = round(psutil.virtual_memory().total / 2**30, 1)
    return Machine(processor=f"{processor} ({platform.machine()})", cores=psutil.cpu_count() or 1, memory_gib=gib)


# Fits


@dataclass(frozen=True)
class Fit:
    """A straight line by least squares, through ``(x, y)`` or through their logarithms.

    Attributes:
        model: of statsmodels.
        logarithmic: whether ``y = factor * x ** slope`` instead of ``y = factor + slope * x``.
        level: of the intervals.
    """

    model: RegressionResults
    logarithmic: bool
    level: float = 0.95

    @property
    def factor(self) -> float:
        """The value at 1 of a power law, at 0 of a line."""
        value = float(self.model.params[0])
        return float(np.exp(value)) if self.logarithmic else value

    @property
    def slope(self) -> float:
        """The exponent of a power law, or the growth."""
        return float(self.model.params[1])

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the slope (Student's t)."""
        low, high = self.model.conf_int(alpha=1 - self.level)[1]
        return float(low), float(high)

    def at(self, n: float) -> tuple[float, float, float]:
        """The value for ``n`` subjects with the interval within which one more measurement is expected."""
        x = np.log(n) if self.logarithmic else n
        found = self.model.get_prediction([[1.0, x]])
        low, high = found.conf_int(obs=True, alpha=1 - self.level)[0]
        values = (found.predicted_mean[0], low, high)
        value, low, high = (float(np.exp(v)) if self.logarithmic else max(float(v), 0.0) for v in values)
        return value, low, high


def fit_line(n: Sequence[float], y: Sequence[float], *, logarithmic: bool, level: float = 0.95) -> Fit:
    """Least squares of ``y`` on ``n``, or of their logarithms: then the slope is the exponent.

    Args:
        n: subjects, at least three different sizes.
        y: what they cost; above 0 for logarithms.
        logarithmic: whether a power law is fitted.
        level: of the intervals.

    Raises:
        RadlibError: for fewer than three sizes, or values without a logarithm.
    """
    x, v = np.asarray(n, dtype=float), np.asarray(y, dtype=float)
    if len(np.unique(x)) < 3:
        raise RadlibError(f"a fit with an interval needs three sizes, not {len(np.unique(x))}", remedy=REMEDY)
    if logarithmic:
        if (x <= 0).any() or (v <= 0).any():
            raise RadlibError(f"a power law needs values above 0, not {min(x.min(), v.min()):g}", remedy=REMEDY)
        x, v = np.log(x), np.log(v)
    return Fit(OLS(v, np.column_stack([np.ones_like(x), x])).fit(), logarithmic, level)


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What is known of one stage: its measurements and their fits.

    Attributes:
        key: of :data:`STAGES`.
        rows: the measurements, smallest first.
        start: core-seconds before the work, the median; hardly depends on the size.
        time: power law of the core-seconds of the work.
        memory: line of the peak memory in bytes.
        disk: power law of the bytes on disk; None where nothing is left there.
    """

    key: str
    rows: tuple[Measurement, ...]
    start: float
    time: Fit
    memory: Fit
    disk: Fit | None

    @property
    def title(self) -> str:
        """As tables and figure call it."""
        return STAGES[self.key][0]

    @property
    def what(self) -> str:
        """What is done."""
        return STAGES[self.key][1]

    @property
    def memory_grows(self) -> bool:
        """Whether memory grows with the cohort beyond the scatter of the measurements."""
        return self.memory.interval[0] > 0

    def by_the_end(self, n: int) -> float:
        """Core-seconds for ``n`` subjects, start included, going on from the two largest sizes alone."""
        last = self.rows[-1]
        return self.start + float(last.core_seconds * self.last_doubling ** np.log2(n / last.n))

    @property
    def last_doubling(self) -> float:
        """What doubling multiplies the core time by between the two largest sizes: above the fit where a fixed part
        flattens the small sizes."""
        before, last = self.rows[-2:]
        return float(2 ** (np.log(last.core_seconds / before.core_seconds) / np.log(last.n / before.n)))


def stage_costs(costs: Costs) -> list[StageCost]:
    """The stages that were measured, in the order of :data:`STAGES`.

    Raises:
        RadlibError: for an unknown stage, one with fewer than three sizes, or one with several settings.
    """
    if unknown := sorted({row.stage for row in costs.measurements} - STAGES.keys()):
        raise RadlibError(f"the measured costs have an unknown stage {unknown[0]!r}", remedy=REMEDY)
    found = []
    for key in STAGES:
        rows = costs.of(key)
        if not rows:
            continue
        if any(row.settings != rows[0].settings for row in rows):
            raise RadlibError(f"stage {key!r} was measured with different settings", remedy=f"{REMEDY} for all sizes")
        n = [row.n for row in rows]
        disk = [row.disk_bytes for row in rows]
        found.append(
            StageCost(
                key=key,
                rows=tuple(rows),
                start=float(np.median([row.start_seconds for row in rows])),
                time=fit_line(n, [row.core_seconds for row in rows], logarithmic=True),
                memory=fit_line(n, [row.peak_bytes for row in rows], logarithmic=False),
                disk=fit_line(n, disk, logarithmic=True) if all(disk) else None,
            )
        )
    return found
