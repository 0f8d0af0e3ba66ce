"""The simulation's physics against what can be worked out without it, and what each stage costs."""

from __future__ import annotations

import math

import pandas as pd
import torch

from radlib.core.errors import RadlibError
from radlib.phantom.anatomy import Grid
from radlib.phantom.biology import Subjects
from radlib.phantom.distractors import NORMAL_TISSUES
from radlib.phantom.growth import grow
from radlib.phantom.render import MODALITIES, Stages, render_subject
from radlib.phantom.scanner import load_protocol
from radlib.phantom.signal import signal_model
from radlib.phantom.tumour import TUMOUR_TISSUES


def front_speed(
    *, diffusion: float, proliferation: float, points: int = 240, widths: float = 60.0
) -> tuple[float, float]:
    """The speed of the simulated front along a bar of homogeneous tissue, and the speed that it should have there.

    A front that starts steep tends to ``2 sqrt(D rho)`` from below, as ``2 sqrt(D rho) (1 - 3 / (4 rho t))``
    (Bramson 1983, Memoirs of the AMS 44:285). Both are taken between 60 and 90 % of the bar.

    Args:
        diffusion: D, mm2 a day.
        proliferation: rho, 1 / day.
        points: of the bar; at least 2 for each width.
        widths: length of the bar in widths ``sqrt(D / rho)`` of the front; at least 30.

    Returns:
        Simulated speed and expected speed, mm a day.

    Raises:
        RadlibError: if the bar is too coarse or too short for the front.
    """
    if points < 2 * widths or widths < 30:
        raise RadlibError(
            f"a bar of {points} points and {widths:g} widths of the front is too coarse or too short",
            remedy="use at least 30 widths and 2 points a width",
        )
    limit = 2 * math.sqrt(diffusion * proliferation)
    spacing = math.sqrt(diffusion / proliferation) * widths / points
    density = torch.zeros((points, 1, 1))
    density[: round(2 * points / widths)] = 1.0
    growth = grow(
        density,
        diffusion=torch.full_like(density, diffusion),
        proliferation=proliferation,
        spacing=spacing,
        stop_days=1.15 * points * spacing / limit,
    )
    first, last = round(0.6 * points), round(0.9 * points)
    start, end = (float(growth.arrival[point, 0, 0]) for point in (first, last))
    # The mean of 1 - 3 / (4 rho t) from start to end.
    slowing = 3 / (4 * proliferation) * math.log(end / start) / (end - start)
    return (last - first) * spacing / (end - start), limit * (1 - slowing)


def growth_table(pairs: list[tuple[float, float]]) -> pd.DataFrame:
    """Simulated, expected and limiting front speed (mm a year) for pairs of D (mm2 a day) and rho (1 / day)."""
    rows = []
    for diffusion, proliferation in pairs:
        simulated, expected = front_speed(diffusion=diffusion, proliferation=proliferation)
        rows.append(
            {"D, mm2/day": diffusion, "rho, 1/day": proliferation, "simulated, mm/year": 365 * simulated,
             "expected, mm/year": 365 * expected, "2 sqrt(D rho), mm/year": 730 * math.sqrt(diffusion * proliferation),
             "simulated / expected": simulated / expected}
        )  # fmt: skip
    return pd.DataFrame(rows)


def signal_table(protocol: str) -> pd.DataFrame:
    """Signal of a pure voxel of every tissue in every modality, relative to white matter in that modality."""
    scanner = load_protocol(protocol)
    names = tuple(dict.fromkeys((*NORMAL_TISSUES, *TUMOUR_TISSUES)))
    table = pd.DataFrame(
        {
            modality: signal_model(scanner.sequence(modality), names, tesla=scanner.tesla).signal.abs().numpy()
            for modality in MODALITIES
        },
        index=pd.Index(names, name="tissue"),
    )
    return table / table.loc["white"]


def stage_times(subjects: Subjects, *, protocol: str, grid: Grid, n: int, seed: int = 0) -> pd.DataFrame:
    """Seconds a subject of each stage of the simulation, over the first ``n`` subjects, on one thread of the CPU.

    A subject is made before the clock starts, so that reading the anatomical maps does not count.

    Returns:
        One row a stage, in the order they run, and a row ``all``; columns ``seconds`` and ``share``.
    """
    stages, scanner = Stages(), load_protocol(protocol)
    chosen = list(subjects.traits.items())[:n]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for subject, traits in chosen[:1]:
            render_subject(traits, subject=subject, seed=seed, protocol=scanner, grid=grid)
        for subject, traits in chosen:
            render_subject(traits, subject=subject, seed=seed, protocol=scanner, grid=grid, stages=stages)
    finally:
        torch.set_num_threads(threads)
    seconds = pd.Series(stages.seconds) / len(chosen)
    table = pd.DataFrame({"seconds": seconds, "share": seconds / seconds.sum()})
    table.loc["all"] = table.sum()
    return table.rename_axis("stage")
