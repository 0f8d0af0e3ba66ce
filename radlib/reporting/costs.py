"""What a cohort costs: time, memory and disk by its size, as ``benchmarks/costs.py`` measured them, and the page.

Time and disk of a stage follow a power law, fitted by least squares on logarithms; memory is a start and a growth per
subject, fitted as a straight line. With four sizes an interval has two degrees of freedom and is wide for that reason.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.reporting.tables import to_markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REMEDY = "run `python benchmarks/costs.py`"
ASKED = (100, 1_000, 10_000)
"""Subjects for whom the page says what they would cost."""

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
    provenance: dict[str, Any] = Field(default_factory=dict)

    def of(self, stage: str) -> list[Measurement]:
        """The measurements of a stage, smallest cohort first; those of one stage share their settings."""
        return sorted((row for row in self.measurements if row.stage == stage), key=lambda row: row.n)


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
    except (ValidationError, UnicodeDecodeError) as error:
        where = ""
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where = f": {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise RadlibError(
            f"the measured costs are wrong{where}", file=file, remedy=f"delete the file and {REMEDY}"
        ) from error


# Fits


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A straight line by least squares, through ``(x, y)`` or through their logarithms.

    Attributes:
        logarithmic: whether ``y = factor * x ** slope`` instead of ``y = factor + slope * x``.
        factor: the value at 1 of a power law, at 0 of a line.
        slope, low, high: the exponent of a power law, or the growth, with its interval (Student's t).
        points: how many sizes.
        scatter: standard deviation of the residuals, natural logarithms in a power law.
        middle, spread: mean and sum of squares of ``x`` (its logarithm) about the mean.
    """

    logarithmic: bool
    factor: float
    slope: float
    low: float
    high: float
    points: int
    scatter: float
    middle: float
    spread: float

    def at(self, n: float, *, level: float = 0.95) -> tuple[float, float, float]:
        """The value for ``n`` subjects with the interval within which one more measurement is expected."""
        x = np.log(n) if self.logarithmic else n
        offset = np.log(self.factor) if self.logarithmic else self.factor
        y = offset + self.slope * x
        wide = self.scatter * np.sqrt(1 + 1 / self.points + (x - self.middle) ** 2 / self.spread)
        wide *= stats.t.ppf((1 + level) / 2, self.points - 2)
        values = [y, y - wide, y + wide]
        value, low, high = (float(np.exp(v)) if self.logarithmic else max(float(v), 0.0) for v in values)
        return value, low, high


def fit_line(n: Sequence[float], y: Sequence[float], *, logarithmic: bool, level: float = 0.95) -> Fit:
    """Least squares of ``y`` on ``n``, or of their logarithms: then the slope is the exponent.

    Args:
        n: subjects, at least three different sizes.
        y: what they cost; above 0 for logarithms.
        logarithmic: whether a power law is fitted.
        level: of the interval of the slope.

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
    found = stats.linregress(x, v)
    degrees = len(x) - 2
    wide = float(stats.t.ppf((1 + level) / 2, degrees) * found.stderr)
    residuals = v - found.intercept - found.slope * x
    return Fit(
        logarithmic=logarithmic,
        factor=float(np.exp(found.intercept) if logarithmic else found.intercept),
        slope=float(found.slope),
        low=float(found.slope) - wide,
        high=float(found.slope) + wide,
        points=len(x),
        scatter=float(np.sqrt((residuals**2).sum() / degrees)),
        middle=float(x.mean()),
        spread=float(((x - x.mean()) ** 2).sum()),
    )


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


# The page


def costs_page(costs: Costs) -> str:
    """The page ``generated/costs.md`` as MyST; ``generated/costs.png`` (:func:`costs_figure`) is expected beside it.

    Raises:
        RadlibError: as :func:`stage_costs`.
    """
    stages = stage_costs(costs)
    machine = costs.machine
    sizes = {key.title.split(":")[0]: key.rows[-1].n for key in reversed(stages)}
    most = " and ".join(f"{n:,} subjects of {what}" for what, n in reversed(sizes.items()))
    parts = [
        "# What it costs",
        "Time, memory and disk of the stages of the book by the size of the cohort, measured on simulated subjects: "
        f"up to {most}. Every size ran in a fresh process with one thread. *Core time* is the time that the process "
        "and its children spent on a core (user and system), which other work on the machine hardly changes; memory "
        "is the largest resident size. Imports, and inputs that another stage makes, are counted as the start, apart "
        "from the work.",
        f"Machine: {machine.processor}, {machine.cores} cores, {machine.memory_gib:.0f} GiB of memory"
        f"{_versions(costs.provenance)}. What the chapters of *this* build took is on the "
        "[status page](status.md); `benchmarks/costs.py` measures all of this again.",
    ]
    if stages:
        parts += [*_figure_block(), *_sentences(stages)]
        caption = (
            "Measured, and how core time grows: a power law by least squares on logarithms, with a 95 % interval "
            "(Student's t, two degrees of freedom for four sizes). *At the largest* is what doubling costs between "
            "the two largest sizes alone."
        )
        parts.append(_table("measured", caption, measured_table(stages)))
        parts += ["## Other sizes", _caveat(stages)]
        parts.append(_table("time", "Core time on one core: start and work by the fitted law, what it gives for other "
                            "sizes with the interval within which one more measurement is expected, and what the two "
                            "largest sizes alone would give.", time_table(stages)))  # fmt: skip
        parts.append(_table("room", "Peak memory by the fitted line, and disk by the fitted power law.",
                            room_table(stages)))  # fmt: skip
    if costs.trainings:
        parts += [
            "## Training",
            "A training takes so many steps, not so many subjects, so its time does not depend on the size of the "
            "cohort; its memory does, by the images that it holds. Steps of one network a paper, at the sizes of the "
            "default profile:",
            _table("training", "Core time of a step and of one training, and peak memory with twelve subjects held.",
                   training_table(costs.trainings)),
        ]  # fmt: skip
    if stages:
        parts += ["## What was run", _what(stages)]
    return "\n\n".join([*parts, ""])


def measured_table(stages: Sequence[StageCost]) -> pd.DataFrame:
    """One row a stage, as text: sizes, core-seconds, exponent, what doubling costs, memory, disk."""
    rows = []
    for stage in stages:
        time, seconds = stage.time, [row.core_seconds for row in stage.rows]
        rows.append({
            "stage": stage.title,
            "subjects": ", ".join(f"{row.n:,}" for row in stage.rows),
            "core time (s)": ", ".join(f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in seconds),
            "exponent": f"{time.slope:.2f} ({time.low:.2f} to {time.high:.2f})",
            "doubling costs": f"{2**time.slope:.2f} times ({2**time.low:.2f} to {2**time.high:.2f})",
            "at the largest": f"{stage.last_doubling:.2f} times",
            "peak memory (GiB)": ", ".join(f"{row.peak_bytes / 2**30:.2f}" for row in stage.rows),
            "disk (MiB)": ", ".join(f"{row.disk_bytes / 2**20:.3g}" for row in stage.rows) if stage.disk else "none",
        })  # fmt: skip
    return pd.DataFrame(rows)


def time_table(stages: Sequence[StageCost]) -> pd.DataFrame:
    """Formula of the core-seconds, and the time of :data:`ASKED` subjects with its interval."""
    rows = []
    for stage in stages:
        row = {
            "stage": stage.title,
            "core-seconds": f"{stage.start:.1f} + {stage.time.factor:.2g} n^{_exponent(stage)}",
        }
        for n in ASKED:
            value, low, high = (stage.start + part for part in stage.time.at(n))
            row[f"{n:,}"] = f"{duration(value)} ({duration(low)} to {duration(high)})"
        last = stage.rows[-1]
        later = last.core_seconds * stage.last_doubling ** np.log2(ASKED[-1] / last.n)
        row[f"{ASKED[-1]:,}, from the two largest"] = duration(stage.start + float(later))
        rows.append(row)
    return pd.DataFrame(rows)


def room_table(stages: Sequence[StageCost]) -> pd.DataFrame:
    """Memory (GiB) and disk of :data:`ASKED` subjects."""
    rows = []
    for stage in stages:
        memory = stage.memory
        grows = f"{_bytes(memory.slope)} a subject" if memory.low > 0 else "no growth beyond scatter"
        row = {"stage": stage.title, "memory grows": grows}
        for n in ASKED:
            row[f"memory, {n:,}"] = _bytes(memory.at(n)[0] if memory.low > 0 else stage.rows[-1].peak_bytes)
        for n in ASKED:
            row[f"disk, {n:,}"] = _bytes(stage.disk.at(n)[0]) if stage.disk else "none"
        rows.append(row)
    return pd.DataFrame(rows)


def training_table(trainings: Sequence[Training]) -> pd.DataFrame:
    """One row a network: seconds a step, steps and time of a training, memory."""
    return pd.DataFrame([
        {
            "paper": one.paper,
            "network": one.network,
            "core time of a step": f"{1000 * one.seconds_per_step:.0f} ms",
            "steps of a training": f"{one.default_steps:,}",
            "core time of a training": duration(one.seconds_per_step * one.default_steps),
            "peak memory": _bytes(one.peak_bytes),
        }
        for one in trainings
    ])  # fmt: skip


def costs_figure(costs: Costs) -> Figure:
    """Core time and peak memory over the size of the cohort, measured (points) and fitted (lines), both logarithmic."""
    import matplotlib.pyplot as plt

    from radlib.reporting.style import PALETTE, set_style

    set_style()
    stages = stage_costs(costs)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 5.2))
    colours, markers = (*PALETTE, "#7F7F7F"), "osD^vP*X"
    for stage, colour, marker in zip(stages, colours, markers, strict=False):
        n = np.array([row.n for row in stage.rows], dtype=float)
        inside, outside = np.geomspace(n[0], n[-1], 50), np.geomspace(n[-1], max(ASKED), 50)
        for panel, fit, scale, values in (
            (left, stage.time, 1.0, [row.core_seconds for row in stage.rows]),
            (right, stage.memory, 2.0**30, [row.peak_bytes / 2**30 for row in stage.rows]),
        ):
            panel.plot(n, values, marker, color=colour, markersize=6, label=stage.title if panel is left else None)
            panel.plot(inside, [fit.at(x)[0] / scale for x in inside], color=colour, linewidth=1.6)
            if panel is left or fit.low > 0:
                panel.plot(outside, [fit.at(x)[0] / scale for x in outside], ":", color=colour, linewidth=1.2)
    for panel, title in ((left, "Core time of the work"), (right, "Peak memory")):
        panel.set(xscale="log", yscale="log", xlabel="Subjects", title=title)
        panel.set_xticks([10, 100, 1_000, 10_000], ["10", "100", "1,000", "10,000"])
        panel.grid(which="minor", visible=False)
    times = {0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h",
             360_000: "100 h", 3_600_000: "1,000 h", 36_000_000: "10,000 h"}  # fmt: skip
    _ticks(left, times)
    _ticks(right, {0.25: "256 MiB", 0.5: "512 MiB", 1: "1 GiB", 2: "2 GiB", 4: "4 GiB", 8: "8 GiB", 16: "16 GiB",
                   32: "32 GiB", 64: "64 GiB", 128: "128 GiB"})  # fmt: skip
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure


def figure_png(figure: Figure) -> bytes:
    """The figure as a PNG that is the same bytes each time; closes it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3.5 min``, ``2.1 h``, ``15 days``: two significant digits."""
    for limit, size, unit in ((100, 1, "s"), (6000, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{_two(seconds / size)} {unit}"
    days = seconds / 86_400
    return f"{_two(days)} days" if days < 1000 else f"{_two(days / 365.25)} years"


def _two(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if value < 1000:
            return f"{_two(value)} {unit}"
        value /= 1024
    return f"{_two(value)} GiB"


def _ticks(panel: Any, names: dict[float, str]) -> None:
    low, high = panel.get_ylim()
    inside = {value: name for value, name in names.items() if low <= value <= high}
    panel.set_yticks(list(inside), list(inside.values()))
    panel.set_yticks([], minor=True)


def _exponent(stage: StageCost) -> str:
    return f"{stage.time.slope:.2f}"


def _versions(provenance: dict[str, Any]) -> str:
    versions = provenance.get("versions", {})
    said = [f"{name} {versions[name]}" for name in ("python", "torch", "scikit-learn") if name in versions]
    return f"; {', '.join(said)}" if said else ""


def _figure_block() -> list[str]:
    return [
        ":::{figure} costs.png\n:name: fig-costs\n:alt: Two panels with logarithmic axes. Core time and peak memory of "
        "every stage over the number of subjects, measured points with fitted lines that go on dotted to ten thousand "
        "subjects.\n\nCore time of the work (without the start) and peak memory by the size of the cohort: measured "
        "(points), fitted (lines) and extrapolated (dotted). Memory without growth beyond scatter is not "
        "extrapolated.\n:::"
    ]


def _sentences(stages: Sequence[StageCost]) -> list[str]:
    """In words: which stages grow as the cohort does, which slower, which faster."""

    def named(chosen: list[StageCost]) -> str:
        return "; ".join(
            f"*{stage.title}* ({2**stage.time.slope:.1f} times, {2**stage.time.low:.1f} to {2**stage.time.high:.1f})"
            for stage in chosen
        )

    groups = {
        "in proportion to the cohort, as far as these measurements can tell (their interval holds 1)": [
            stage for stage in stages if stage.time.low <= 1 <= stage.time.high
        ],
        "more slowly than the cohort": [stage for stage in stages if stage.time.high < 1],
        "faster than the cohort": [stage for stage in stages if stage.time.low > 1],
    }
    said = [f"- {how}: {named(chosen)}" for how, chosen in groups.items() if chosen]
    return ["What doubling the cohort multiplies the core time by. It grows\n\n" + "\n".join(said)]


def _caveat(stages: Sequence[StageCost]) -> str:
    largest = ", ".join(f"{stage.rows[-1].n:,} for *{stage.title}*" for stage in stages)
    steeper = [stage.title for stage in stages if stage.last_doubling > 1.1 * 2**stage.time.slope]
    text = (
        f"Beyond the largest size that was measured ({largest}) these are extrapolations: they hold if nothing "
        "changes on the way, such as a table that no longer fits into memory, a file system with too many files, or "
        "a solver that needs more iterations. The intervals allow for the scatter about the fitted law, not for "
        "another law. Stages with images share out over cores subject by subject; divide by the cores."
    )
    if steeper:
        text += (
            " Where a part that does not depend on the cohort flattens the small sizes, the law is too low for large "
            f"ones: between the two largest sizes {'; '.join(f'*{title}*' for title in steeper)} grew by over a tenth "
            "more than the law has it. For these the last column is the better guess."
        )
    return text


def _table(name: str, caption: str, frame: pd.DataFrame) -> str:
    return f"```{{table}} {caption}\n:name: tbl-costs-{name}\n\n{to_markdown(frame)}\n```"


def _what(stages: Sequence[StageCost]) -> str:
    """The stages with what they do and their settings."""
    lines = []
    for stage in stages:
        settings = ", ".join(
            f"{key.replace('_', ' ')} {_setting(value)}" for key, value in sorted(stage.rows[0].settings.items())
        )
        lines.append(f"{stage.title}\n: {STAGES[stage.key][1]}" + (f" ({settings})" if settings else "") + "\n")
    return "\n".join(lines)


def _setting(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list) else str(value)
