"""Memory of streamed features, and steps per second of the networks of Mehra 2022. Run by hand:

    python benchmarks/mehra2022.py --slices 5110
    python benchmarks/mehra2022.py --size paper --slices 0

Features of the published sizes (15 x 15 x 1024, and the 120 x 120 x 128 that the paper could not hold in memory) are
written and read back in pieces. Memory is what the process itself holds (anonymous pages); pages of the mapped file are
the system's to drop. `--size paper` takes the published networks, which want a GPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from radlib.core.device import describe_device, pick_device
from radlib.features.streamed import extract
from radlib.papers.mehra2022.acgan import train_acgan
from radlib.papers.mehra2022.classifier import train_classifier
from radlib.papers.mehra2022.losses import soft_dice_loss
from radlib.papers.mehra2022.networks import PAPER_WIDTHS, FeatureUNet
from radlib.papers.mehra2022.recipes import GradeRecipe
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit


def own_memory() -> float:
    """Anonymous memory of this process, GB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024 / 1e9
    return float("nan")


def stream(shape: tuple[int, ...], slices: int, folder: Path) -> None:
    """Write and read ``slices`` features of ``shape``; print time, rate and memory."""
    table = pd.DataFrame({"subject": [f"s{k // 50}" for k in range(slices)]})
    piece = torch.rand(32, *shape)
    peak = before = own_memory()

    def compute(rows: np.ndarray) -> torch.Tensor:
        nonlocal peak
        peak = max(peak, own_memory())
        return piece[: len(rows)]

    start = time.monotonic()
    made = extract(folder / "features", table, compute, identity={"shape": list(shape)})
    written = time.monotonic() - start
    start = time.monotonic()
    for part in made.pieces(np.random.default_rng(0).permutation(slices), size=64):
        peak = max(peak, own_memory())
        assert part.shape[1:] == shape
    size = made.array.nbytes / 1e9
    print(
        f"{slices} x {' x '.join(map(str, shape))}: {size:.2f} GB on disk, written in {written:.0f} s, read in random "
        f"order in {time.monotonic() - start:.0f} s, own memory at most {peak:.2f} GB ({before:.2f} before)"
    )


def networks(*, paper: bool, device: str) -> None:
    """Steps per second and memory of U-Net, ACGAN and classifier."""
    widths, edge, batch = (PAPER_WIDTHS, 240, 10) if paper else ((8, 16, 32, 64, 128), 64, 10)
    images = {"images": torch.randn(batch, 1, edge, edge), "masks": (torch.rand(batch, 1, edge, edge) > 0.9).float()}
    steps = 10 if paper else 40
    loop = LoopSettings(steps=steps)
    fitted = fit(
        FeatureUNet(1, widths=widths), batch=lambda step, random: images, optimizer=OptimizerSettings(), loop=loop,
        loss=lambda net, data: soft_dice_loss(net(data["images"]), data["masks"]), seed=0, device=device, name="U-Net",
    )  # fmt: skip
    print(f"U-Net {widths}, {batch} x {edge}^2: {fitted.steps_per_second:.2f} steps/s, "
          f"{fitted.peak_memory / 1e9:.2f} GB; waiting for data {100 * fitted.data_share:.1f} %")  # fmt: skip
    channels, size, width = (1024, 15, 512) if paper else (128, 4, 64)
    features, labels = torch.rand(256, channels, size, size), torch.arange(256) % 2
    recipe = GradeRecipe(gan_width=width, gan_steps=steps, classifier_steps=steps, classifier_width=width)
    _, trained = train_acgan(features, labels, recipe=recipe, seed=0)
    print(f"ACGAN {width} channels on {channels} x {size}^2: {trained.steps_per_second:.2f} steps/s, "
          f"{trained.peak_memory / 1e9:.2f} GB")  # fmt: skip
    start = time.monotonic()
    train_classifier(features, labels, recipe=recipe, seed=0)
    print(f"classifier: {steps / (time.monotonic() - start):.2f} steps/s")
    epochs = 30 * 4540 / 10 / fitted.steps_per_second / 3600, 50 * 4540 / 16 / trained.steps_per_second / 3600
    print(f"published length at this speed: U-Net {epochs[0]:.2f} h (30 epochs), ACGAN {epochs[1]:.2f} h (50 epochs)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=5110, help="slices streamed; 0 streams none")
    parser.add_argument("--large-slices", type=int, default=500, help="slices of 120 x 120 x 128 streamed")
    parser.add_argument("--size", choices=("default", "paper"), default="default", help="of the networks")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    print(describe_device(pick_device(arguments.device)))
    networks(paper=arguments.size == "paper", device=arguments.device)
    for shape, slices in (((1024, 15, 15), arguments.slices), ((128, 120, 120), arguments.large_slices)):
        if slices:
            with tempfile.TemporaryDirectory() as folder:
                stream(shape, slices, Path(folder))


if __name__ == "__main__":
    main()
