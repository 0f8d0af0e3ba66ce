"""Seconds a patient of every stage of Li 2017, beside the published ones. Run by hand:

    python benchmarks/li2017.py
    python benchmarks/li2017.py --size paper --patients 1 --slices 4

A patient is a brain of noise with a ball of 68 ml, the mean of the paper, as bright as a tumour; the network is hardly
trained, which does not change its speed. Stages: a training step, the segmentation of the whole brain, the answers of
Conv. 6 to the tumour at ten scales, and their Fisher vector. `--size paper` takes the published network and voxels,
which wants a GPU; `--slices` then measures some slices and counts up to all of them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import torch

from radlib.core.device import describe_device, pick_device
from radlib.data.published import published
from radlib.data.store import ImageStore
from radlib.features.deep import Sampling
from radlib.papers.li2017 import features as deep
from radlib.papers.li2017.data import MODALITIES
from radlib.papers.li2017.recipes import Recipe
from radlib.papers.li2017.segmentation import segment
from radlib.papers.li2017.training import train_network
from radlib.stats.tables import to_markdown

PUBLISHED_STEPS = 70_000
"""Steps behind the 38 hours are not printed; these are about 20 epochs of 450,000 patches in batches of 128."""


def patients(n: int, *, grid: tuple[int, int, int], spacing: tuple[float, float, float]) -> ImageStore:
    """Brains of noise, an ellipsoid of 140 x 170 x 130 mm each, with a bright ball of 68 ml."""
    axes = np.meshgrid(
        *[(np.arange(length) - length / 2) * edge for length, edge in zip(grid, spacing, strict=True)], indexing="ij"
    )
    brain = sum((axis / radius) ** 2 for axis, radius in zip(axes, (70, 85, 65), strict=True)) < 1
    radius = (68_000 * 3 / 4 / np.pi) ** (1 / 3)
    ball = sum((axis - shift) ** 2 for axis, shift in zip(axes, (30, 20, 10), strict=True)) < radius**2
    noise = np.random.default_rng(0).normal(size=(n, 2, *grid)).astype(np.float32)
    images = np.where(brain, noise + 2 * ball, 0).astype(np.float32)
    labels = np.broadcast_to(2 * (ball & brain), (n, *grid)).astype(np.uint8)
    return ImageStore(
        ids=tuple(f"patient {k}" for k in range(n)), modalities=MODALITIES, spacing=spacing,
        images=torch.from_numpy(images), labels=torch.from_numpy(labels.copy()),
        present=torch.ones((n, 2), dtype=torch.bool), has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.stack([np.eye(4)] * n), normalisation="none",
    )  # fmt: skip


def some_slices(store: ImageStore, n: int) -> tuple[ImageStore, float]:
    """The ``n`` slices in the middle of the tumour, and how many times as many have brain; everything for 0."""
    if not n:
        return store, 1.0
    z = int((store.labels[0] > 0).sum(dim=(0, 1)).argmax())
    part = slice(max(0, z - n // 2), max(0, z - n // 2) + n)
    there = int((store.images[0] != 0).any(dim=0).any(dim=0).any(dim=0).sum())
    fields = {name: getattr(store, name) for name in store.__dataclass_fields__}
    fields |= {"images": store.images[..., part], "labels": store.labels[..., part]}
    return ImageStore(**fields), there / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("default", "paper"), default="default", help="of network and grid")
    parser.add_argument("--patients", type=int, default=3, help="over whom times are averaged")
    parser.add_argument("--steps", type=int, default=20, help="training steps that are timed")
    parser.add_argument("--slices", type=int, default=0, help="slices that are segmented and described; 0 for all")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device, paper = pick_device(arguments.device), arguments.size == "paper"
    print(describe_device(device))

    recipe = Recipe(steps=arguments.steps, evaluations=1)
    grid, spacing, length = (112, 112, 40), (1.875, 1.875, 4.0), recipe.steps
    if paper:
        recipe = Recipe(steps=arguments.steps, evaluations=1, filters=(64, 128), neurons=4096, batch_size=128)
        grid, spacing, length = (512, 512, 80), (0.4688, 0.4688, 2.0), PUBLISHED_STEPS
    else:
        length = Recipe().steps
    store = patients(arguments.patients, grid=grid, spacing=spacing)
    model, fitted = train_network(store, store.ids, modalities=MODALITIES, recipe=recipe, seed=0, name="training")
    training = length / fitted.steps_per_second

    part, times = some_slices(store, arguments.slices)
    spent_on = []
    for subject in part.ids:
        begun = time.monotonic()
        segment(model, part, subject)
        spent_on.append(time.monotonic() - begun)
    segmentation = np.mean(spent_on[1:] or spent_on)

    slices = int((store.labels[0] > 0).any(dim=0).any(dim=0).sum())
    more = max(1.0, slices / arguments.slices) if arguments.slices else 1.0
    encoding = deep.Encoding(sampling=Sampling(where="box"))
    dictionaries = deep.fit_dictionaries(model, part, part.ids[:1], layers=["conv6"], encoding=encoding, seed=0)
    arms = {"conv6": ("conv6", dictionaries["conv6"])}
    sets, spent = deep.encode(model, part, part.ids, arms=arms, encoding=encoding, seed=0)
    print(f"{slices} tumour slices, {spent['cells']:.0f} cells a filter, {sets['conv6'].values.shape[1]} numbers")

    rows = [
        (f"training, {length} steps of {recipe.batch_size} patches", f"{training / 3600:.2f} h",
         "segmentation_training_time"),
        ("segmentation of a patient", f"{segmentation * times:.2f} s", "segmentation_time"),
        ("features of a patient, Conv. 6, ten scales", f"{spent['descriptors'] * more:.2f} s", "feature_time"),
        ("Fisher vector of a patient", f"{spent['encoding'] * more:.2f} s", "encoding_time"),
    ]  # fmt: skip
    table = []
    for stage, here, key in rows:
        entry = published(f"li2017.text.{key}")
        table.append({"stage": stage, "here": here, "published": f"{entry.printed} {entry.unit}"})
    print(to_markdown(pd.DataFrame(table)))


if __name__ == "__main__":
    main()
