"""Zhang 2021: updates of both stages and seconds a subject, beside SegResNet of MONAI and the published times.

    python benchmarks/zhang2021.py
    python benchmarks/zhang2021.py --patch 128 --widths 16,32,64,128,256 --discriminator-widths 16,32,64,128 --batch 1

Every case runs in a process of its own on made-up brains: the feature transition, the fusion network with mask guidance
and MONAI's SegResNet of the same first width, in radlib's loop and in the precision that it picks. Memory is what torch
allocated at most on a GPU, what training adds to the process on a CPU. A subject is a volume of ``--subject`` voxels
that is all brain, taken in cubes of the training's size with a quarter of overlap, or at once with ``--whole``.
``updates in 18 h 57 min`` is how many such updates fit in the published time of training, if both stages share it
evenly; how many the authors made is not printed. Times are medians over ``--repeats``: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import torch

from radlib.core.device import describe_device, peak_memory_bytes, pick_device
from radlib.core.seeds import rng
from radlib.data.published import published
from radlib.data.store import ImageStore
from radlib.nn.common import count_parameters
from radlib.papers.zhang2021.data import PAIRS, Recipe
from radlib.papers.zhang2021.networks import build_transition
from radlib.papers.zhang2021.pretraining import train_transition
from radlib.papers.zhang2021.segmentation import Segmenter, train_network

CASES = ("transition", "ours", "segresnet")
PUBLISHED_SECONDS = 18 * 3600 + 57 * 60


def brains(n: int, grid: tuple[int, int, int]) -> ImageStore:
    """Noise everywhere, with a ball of three shells as tumour."""
    x, y, z = (np.linspace(-1, 1, edge, dtype=np.float32) for edge in grid)
    away = np.sqrt(x[:, None, None] ** 2 + y[None, :, None] ** 2 + z[None, None, :] ** 2)
    labels = np.zeros((n, *grid), np.uint8)
    for label, limit in ((2, 0.4), (4, 0.25), (1, 0.15)):
        labels[:, away < limit] = label
    images = np.empty((n, 4, *grid), np.float32)
    for row in range(n):
        images[row] = rng(0, "benchmark", row).standard_normal((4, *grid), dtype=np.float32) + labels[row] / 2
    return ImageStore(
        ids=tuple(f"b{row}" for row in range(n)), modalities=("t1", "t1ce", "t2", "flair"), spacing=(1.0, 1.0, 1.0),
        images=torch.from_numpy(images), labels=torch.from_numpy(labels),
        present=torch.ones(n, 4, dtype=torch.bool), has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.tile(np.eye(4), (n, 1, 1)), normalisation="zscore",
    )  # fmt: skip


def measure(case: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One case in this process."""
    device = pick_device()
    recipe = Recipe(
        widths=_numbers(arguments.widths), discriminator_widths=_numbers(arguments.discriminator_widths),
        patch=arguments.patch, batch_size=arguments.batch, steps=arguments.steps, validations=0,
        windows=(0 if arguments.whole else arguments.patch,),
    )  # fmt: skip
    edge = arguments.patch + arguments.patch // 2
    store = brains(2, (edge, edge, edge)).to(device)
    base, speeds, memory, waited = peak_memory_bytes(), [], 0, 0.0
    for number in range(arguments.repeats + 1):  # the first warms up
        if case == "transition":
            made, _ = train_transition(store, store.ids, groups=PAIRS, recipe=recipe, seed=number)
            speed, memory = made.steps_per_second, max(memory, made.peak_memory)
        else:
            run = train_network(case, store, store.ids, recipe=recipe, seed=number)
            speed, memory, waited = run.steps_per_second, max(memory, run.peak_memory), run.data_share
        if number:
            speeds.append(speed)
    speed = statistics.median(speeds)
    if case == "transition":
        parameters = sum(count_parameters(net) for net in build_transition(PAIRS, recipe).values())
    else:
        parameters = count_parameters(run.network)
    if device.type != "cuda":
        memory = max(0, peak_memory_bytes() - base)
    line: dict[str, Any] = {
        "case": case, "parameters": parameters, "updates a second": speed,
        "cubes a second": speed * arguments.batch, "waiting": waited, "GiB": memory / 2**30,
        "updates in 18 h 57 min": round(speed * PUBLISHED_SECONDS / 2), "s a subject": None,
    }  # fmt: skip
    if case != "transition":
        shape = _numbers(arguments.subject)
        whole = brains(1, shape).to(device)  # type: ignore[arg-type]
        network = Segmenter(key=case, network=run.network, groups=PAIRS, recipe=recipe, window=recipe.windows[0])
        line["s a subject"] = statistics.median(network.seconds(whole, ["b0"]) for _ in range(arguments.repeats))
    return line


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--widths", default="8,16,32")
    parser.add_argument("--discriminator-widths", default="4,8")
    parser.add_argument("--subject", default="240,240,155", help="voxels of the volume that is segmented")
    parser.add_argument("--whole", action="store_true", help="the volume at once instead of in cubes")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")
    if arguments.case:
        print(json.dumps(measure(arguments.case, arguments)))
        return
    said = published("zhang2021.text.training_time").printed, published("zhang2021.text.test_time").printed
    print(describe_device(pick_device()), f"| cubes of {arguments.patch}, batches of {arguments.batch}")
    print(f"published (GTX 1080 Ti, cubes of 128): {said[0]} of training, {said[1]} s a subject")
    rows = []
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


if __name__ == "__main__":
    main()
