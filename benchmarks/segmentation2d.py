"""Training step and inference of the segmentation networks beside MONAI's UNet of equal multiplications.

    python benchmarks/segmentation2d.py
    python benchmarks/segmentation2d.py --grid 240,240,155 --widths 64,128,256,512,1024 --crop 0 --batch 16

Every case runs in a process of its own on the same made-up brains: radlib's loop (Fabric, batches that are a function
of their step) and a plain loop of torch over the same batches. MONAI's UNet gets the width whose multiplications come
closest to the octave FCN's. ``waiting`` is the share of time in which the loop waits for data. Memory is what training
adds to the process that has images and network on a CPU, what torch allocated at most on a GPU. A subject is all slices
of a volume; radlib leaves out what is not brain. Times are medians over ``--repeats``: run it on a quiet machine.
``--keep`` writes them to `published/costs.json`, which the page *What it costs* shows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from radlib.core.device import describe_device, peak_memory_bytes, pick_device
from radlib.core.seeds import rng
from radlib.data.store import ImageStore
from radlib.nn.common import count_flops, count_parameters
from radlib.papers.islam2020 import study_segmentation as seg
from radlib.papers.islam2020.batches import SliceSampler
from radlib.papers.islam2020.losses import segmentation_loss
from radlib.papers.islam2020.recipes import PAPER_MODALITIES, Recipe, build
from radlib.training.settings import LoopSettings, OptimizerSettings, precision_on
from radlib.training.supervised import fit

CASES = ("fcn, radlib", "fcn, plain", "unet, radlib", "unet, plain", "monai, plain")


def brains(n: int, grid: tuple[int, int, int]) -> ImageStore:
    """Ellipsoid brains of noise with a spherical tumour of three shells."""
    x, y, z = (np.linspace(-1, 1, edge, dtype=np.float32) for edge in grid)
    radius = np.sqrt(x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2)
    images = np.zeros((n, 4, *grid), np.float32)
    labels = np.zeros((n, *grid), np.uint8)
    for row in range(n):
        random = rng(0, "benchmark", row)
        a, b, c = random.uniform(-0.3, 0.3, size=3)
        away = np.sqrt((x - a)[:, None, None] ** 2 + (y - b)[None, :, None] ** 2 + (z - c)[None, None, :] ** 2)
        for label, limit in ((2, 0.35), (4, 0.22), (1, 0.12)):
            labels[row][away < limit] = label
        for channel in range(4):
            images[row, channel] = random.standard_normal(grid, dtype=np.float32) + labels[row] * (channel + 1) / 4
        images[row][:, radius > 0.8] = 0
        labels[row][radius > 0.8] = 0
    return ImageStore(
        ids=tuple(f"b{row}" for row in range(n)), modalities=("t1", "t1ce", "t2", "flair"),
        spacing=(216 / grid[0],) * 3, images=torch.from_numpy(images), labels=torch.from_numpy(labels),
        present=torch.ones(n, 4, dtype=torch.bool), has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.tile(np.eye(4), (n, 1, 1)), normalisation="zscore",
    )  # fmt: skip


def monai_unet(width: int, levels: int) -> nn.Module:
    """MONAI's residual UNet with the widths ``width, 2 width, ...``."""
    from monai.networks.nets import UNet

    channels = [width * 2**level for level in range(levels)]
    return UNet(2, 3, 4, channels, [2] * (levels - 1), num_res_units=2, norm="BATCH")


def equal_monai(multiplications: int, levels: int, shape: tuple[int, ...]) -> nn.Module:
    """MONAI's UNet whose multiplications come closest to the given number."""

    def cost(width: int) -> int:
        with torch.device("meta"):
            return count_flops(monai_unet(width, levels), shape)

    return monai_unet(min(range(4, 129, 2), key=lambda width: abs(cost(width) - multiplications)), levels)


def plain_loop(
    network: nn.Module, sampler: SliceSampler, *, steps: int, device: torch.device, loss: Callable[..., torch.Tensor]
) -> tuple[float, float]:
    """A loop of bare torch: seconds a step, share of it waiting for data."""
    network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    kind = precision_on(device, "auto")
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(kind, torch.float32)
    waited, start = 0.0, time.perf_counter()
    for step in range(steps):
        before = time.perf_counter()
        batch = {key: value.to(device) for key, value in sampler(step, rng(0, "batch", step)).items()}
        waited += time.perf_counter() - before
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            value = loss(network, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    spent = time.perf_counter() - start
    return spent / steps, waited / spent


def plain_inference(network: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Labels of all slices, 32 at a time, in bare torch."""
    kind = precision_on(image.device, "auto")
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(kind, torch.float32)
    network.eval()
    with torch.no_grad(), torch.autocast(image.device.type, dtype=dtype, enabled=dtype != torch.float32):
        parts = [network(part).argmax(dim=1).cpu() for part in image.movedim(3, 0).split(32)]
    return torch.cat(parts)


def measure(case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One case in this process."""
    device = pick_device(arguments.device)
    grid = tuple(int(edge) for edge in arguments.grid.split(","))
    recipe = Recipe(
        widths=tuple(int(width) for width in arguments.widths.split(",")), steps=arguments.steps,
        batch_size=arguments.batch, crop=arguments.crop, validations=0,
    )  # fmt: skip
    store = seg.slice_major(brains(arguments.subjects, grid)).to(device)  # type: ignore[arg-type]
    sampler = SliceSampler.of(store, store.ids, modalities=PAPER_MODALITIES, recipe=recipe, seed=0)
    kind, loop = case.split(", ")
    edge = -(-(recipe.crop or grid[0]) // 16) * 16
    shape = (1, 3, edge, edge)
    torch.manual_seed(0)
    if kind == "monai":
        with torch.device("meta"):
            wanted = count_flops(build("fcn", in_channels=3, recipe=recipe), shape)
        network = equal_monai(wanted, len(recipe.widths), shape)
    else:
        network = build(kind, in_channels=3, recipe=recipe)
    loss = segmentation_loss()
    base = peak_memory_bytes()
    plain_loop(network, sampler, steps=3, device=device, loss=loss)  # warm up
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps, waits = [], []
    for _ in range(arguments.repeats):
        if loop == "plain":
            seconds, waiting = plain_loop(network, sampler, steps=arguments.steps, device=device, loss=loss)
        else:
            fitted = fit(
                network, batch=sampler, loss=loss, optimizer=OptimizerSettings(), seed=0, device=arguments.device,
                loop=LoopSettings(steps=arguments.steps),
            )  # fmt: skip
            seconds, waiting = 1 / fitted.steps_per_second, fitted.data_share
        steps.append(seconds)
        waits.append(waiting)
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else peak_memory_bytes() - base
    subjects = []
    for subject in store.ids[: arguments.repeats]:
        start = time.perf_counter()
        if loop == "radlib":
            seg.segment(network, store, subject)
        else:
            plain_inference(network, store.images[store.rows([subject])[0]][store.channels(PAPER_MODALITIES)])
        subjects.append(time.perf_counter() - start)
    return {
        "case": case, "parameters": count_parameters(network), "multiplications (10⁹)": count_flops(
            network, shape) / 1e9, "ms a step": 1e3 * statistics.median(steps), "waiting": statistics.median(waits),
        "MiB": memory / 2**20, "s a subject": statistics.median(subjects),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", default="96,96,64")
    parser.add_argument("--widths", default="8,16,32,64")
    parser.add_argument("--crop", type=int, default=32, help="edge of the squares; 0 takes whole slices")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--keep", action="store_true", help="write the medians to published/costs.json")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")
    if arguments.case:
        print(json.dumps(measure(arguments.case, arguments)))
        return
    print(describe_device(pick_device(arguments.device)), f"| grid {arguments.grid}, batches of {arguments.batch}")
    rows = []
    load = os.getloadavg()[0]
    for case in CASES:
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--case", case], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    if arguments.keep:
        keep(rows, calls=arguments.repeats, load=load)


def keep(rows: list[dict[str, Any]], *, calls: int, load: float) -> None:
    """Write what the page of costs shows: a step of training, and a subject."""
    from radlib.book.costs import CostsFile, costs_file

    file = CostsFile(costs_file())
    titles = {"fcn": "octave FCN", "unet": "U-Net"}
    for row in rows:
        kind, loop = row["case"].split(", ")
        package = {"radlib": "radlib", "plain": "a bare loop of torch"}[loop]
        if kind == "monai":
            kind, package = "fcn", "MONAI's UNet of as many multiplications, a bare loop"
        for what, seconds in (("a step of training", 1e-3 * row["ms a step"]), ("a subject", row["s a subject"])):
            file.add("besides", {
                "task": f"{titles[kind]}, {what}", "package": package, "seconds": seconds,
                "memory_bytes": max(0, round(row["MiB"] * 2**20)), "calls": calls, "load": load,
            }, instead_of=("task", "package"))  # fmt: skip


if __name__ == "__main__":
    main()
