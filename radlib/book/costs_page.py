"""The page ``generated/costs`` of the book and its picture, from what :mod:`radlib.book.costs` reads and fits."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from radlib.book.costs import Costs, stage_costs
from radlib.book.templates import environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ASKED = (100, 1_000, 10_000)
"""Subjects for whom the page says what they would cost."""


def costs_page(costs: Costs) -> str:
    """The page ``generated/costs.md`` as MyST; ``generated/costs.png`` (:func:`costs_figure`) is expected beside it.

    Raises:
        RadlibError: as :func:`stage_costs`.
    """
    template = environment(duration=duration, size=_bytes, short=_short).get_template("costs.md.j2")
    return template.render(costs=costs, stages=stage_costs(costs), asked=ASKED)


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
            if panel is left or stage.memory_grows:
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


def _short(seconds: float) -> str:
    """As :func:`duration`, but milliseconds below one second."""
    return duration(seconds) if seconds >= 1 else f"{_two(1000 * seconds)} ms"


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
