"""The page ``generated/costs`` of the book and its picture, from what :mod:`radlib.book.costs` reads and fits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radlib.book.costs import STAGES, Costs, StageCost, Training, stage_costs
from radlib.stats.tables import to_markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ASKED = (100, 1_000, 10_000)
"""Subjects for whom the page says what they would cost."""


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
        "and its children spent on a core (user and system), which other work on the machine changes far less than "
        f"the time that passed{_crowd(costs)}; memory is the largest resident size. Imports, and "
        "inputs that another stage makes, are counted as the start, apart "
        "from the work.",
        f"Machine: {machine.processor}, {machine.cores} cores, {machine.memory_gib:.0f} GiB of memory"
        f"{_versions(costs.provenance)}. What the chapters of *this* build took is on the "
        "[status page](status.md); `benchmarks/costs.py` measures all of this again.",
    ]
    if stages:
        parts += [*_figure_block(), *_sentences(stages)]
        caption = (
            "How core time grows: start, and a power law of the work by least squares on logarithms, with the 95 % "
            "interval of its exponent (Student's t, two degrees of freedom for four sizes). The last column is what "
            "doubling multiplies the time by between the two largest sizes alone."
        )
        parts.append(_table("growth", caption, growth_table(stages)))
        measured = _table("measured", "Every measurement, in a process of its own.", measured_table(stages))
        parts.append(f":::{{dropdown}} Every measurement\n{measured}\n:::")
        parts += ["## Other sizes", _caveat(stages)]
        caption = (
            "Time on one core, start included, by the fitted law with the interval within which one more measurement "
            "is expected; the last column goes on from the two largest sizes alone."
        )
        parts.append(_table("time", caption, time_table(stages)))
        caption = "Peak memory by the fitted line, and disk by the fitted power law."
        parts.append(_table("room", caption, room_table(stages)))
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


def growth_table(stages: Sequence[StageCost]) -> pd.DataFrame:
    """One row a stage, as text: law, exponent, what doubling costs by it and between the two largest sizes."""
    rows = []
    for stage in stages:
        time = stage.time
        rows.append({
            "stage": stage.title,
            "core-seconds": f"{stage.start:.1f} + {time.factor:.2g} n^{time.slope:.2f}",
            "exponent": f"{time.slope:.2f} ({time.low:.2f} to {time.high:.2f})",
            "doubling: times": f"{2**time.slope:.2f} ({2**time.low:.2f} to {2**time.high:.2f})",
            "at the end": f"{stage.last_doubling:.2f}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def measured_table(stages: Sequence[StageCost]) -> pd.DataFrame:
    """One row a measurement, as text."""
    return pd.DataFrame([
        {
            "stage": stage.title,
            "subjects": f"{row.n:,}",
            "start (core-s)": f"{row.start_seconds:.1f}",
            "work (core-s)": f"{row.core_seconds:.2f}",
            "wall time (s)": f"{row.wall_seconds:.1f}",
            "memory at start": _bytes(row.start_bytes),
            "peak memory": _bytes(row.peak_bytes),
            "disk": _bytes(row.disk_bytes) if row.disk_bytes else "none",
        }
        for stage in stages for row in stage.rows
    ])  # fmt: skip


def time_table(stages: Sequence[StageCost]) -> pd.DataFrame:
    """Core time of :data:`ASKED` subjects with its interval, and by the two largest sizes alone."""
    rows = []
    for stage in stages:
        row = {"stage": stage.title}
        for n in ASKED:
            value, low, high = (stage.start + part for part in stage.time.at(n))
            row[f"{n:,}"] = f"{duration(value)} ({duration(low)} to {duration(high)})"
        last = stage.rows[-1]
        later = last.core_seconds * stage.last_doubling ** np.log2(ASKED[-1] / last.n)
        row[f"{ASKED[-1]:,}, by the end"] = duration(stage.start + float(later))
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

    from radlib.plots.style import PALETTE, set_style

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


def _crowd(costs: Costs) -> str:
    """How busy the machine was with other work."""
    if not costs.measurements:
        return ""
    ratio = float(np.median([row.wall_seconds / row.core_seconds for row in costs.measurements]))
    return f" (here {_two(ratio)} times as long, in the median)" if ratio > 1.2 else ""


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
        "in a way that so few sizes cannot tell from proportion (the interval of the exponent holds 1)": [
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
    return f"```{{table}} {caption}\n:name: tbl-costs-{name}\n:class: result\n\n{to_markdown(frame)}\n```"


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
