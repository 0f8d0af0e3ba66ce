"""Speed and memory of Ge 2020's networks, and what the paper profile would take. Run by hand:

    python benchmarks/ge2020.py                      # the sizes of the default profile
    python benchmarks/ge2020.py --size paper --steps 5

Slices are random numbers of the right shape, batches are made as in the chapters, and a GPU is used where there is one.
Steps are counted behind a first training that warms up kernels and caches. Memory is the GPU's peak, else the peak of a
process that does nothing else. The extrapolation multiplies the measured time of a step by the updates of the paper
profile.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import torch

from radlib.core.device import describe_device, pick_device
from radlib.papers.ge2020.classifier import (
    ClassifierRecipe,
    DenseRecipe,
    Samples,
    stage_schedule,
    train_densenet,
    train_two_stages,
)
from radlib.papers.ge2020.data import SLICES, Patients
from radlib.papers.ge2020.study_gan import GanRecipe, train_pair, translate
from radlib.training.players import Trained

TRAINING, FAKE = 99, 297
"""Training patients of a run, and fake patients of case A."""
RUNS, PAIRS = 5, 6
GANS = 3
"""GANs a run and pair in the paper profile: with mask, without, and those of case B."""
ARMS = 12
"""Classifiers a run in the chapter."""


def random_slices(patients: int, *, size: int) -> Patients:
    """Slices of random numbers."""
    return Patients(
        images=torch.rand(patients, SLICES, 4, size, size), masks=torch.rand(patients, SLICES, size, size) > 0.9,
        present=torch.ones(patients, 4, dtype=torch.bool),
        table=pd.DataFrame(index=[f"p{k:03d}" for k in range(patients)]),
    )  # fmt: skip


def measured(name: str, steps: float, seconds: float, waiting: float, memory: float) -> dict[str, object]:
    """One row of the table."""
    return {
        "network": name, "steps/s": steps / seconds, "waiting for data (%)": 100 * waiting, "memory (GB)": memory / 1e9,
    }  # fmt: skip


def gan(paper: bool, steps: int) -> dict[str, object]:
    """A pairwise GAN; a step updates two generators and two discriminators."""
    recipe = GanRecipe(steps=steps)
    size = 128
    if not paper:
        size, recipe = 48, replace(recipe, generator=(6, 12, 24, 48), discriminator=(6, 12, 24, 48), batch_size=8)
    slices = random_slices(8, size=size)
    train_pair(slices, slices.ids, (2, 3), recipe=replace(recipe, steps=2), seed=0, name="warm up")
    found: Trained = train_pair(slices, slices.ids, (2, 3), recipe=recipe, seed=0)[1]
    return measured("pairwise GAN", steps, found.seconds, found.data_share, found.peak_memory)


def generators(paper: bool, steps: int) -> dict[str, object]:
    """Translations: slices a second of one generator."""
    import time

    size, widths = (128, (32, 64, 128, 256)) if paper else (48, (6, 12, 24, 48))
    slices = random_slices(32, size=size)
    made, trained = train_pair(
        slices, slices.ids, (2, 3), recipe=GanRecipe(generator=widths, steps=1, discriminator=(4, 4)), seed=0
    )
    translate(made, slices, slices.ids[:4])
    start = time.monotonic()
    translate(made, slices, slices.ids)
    seconds = time.monotonic() - start
    return measured("generator, slices", 2 * SLICES * len(slices.ids), seconds, 0, trained.peak_memory)


def classifier(paper: bool, steps: int) -> dict[str, object]:
    """The four-stream classifier, without validation's share (one at the end)."""
    recipe = ClassifierRecipe(pretrain_steps=steps, refine_steps=1)
    size = 128
    if not paper:
        size, recipe = 48, replace(recipe, widths=(8, 8, 16, 16, 16, 16, 16), hidden=(32, 32))
    samples = Samples(images=torch.rand(16, SLICES, 4, size, size), labels=torch.arange(16) % 2)
    few = Samples(images=samples.images[:2], labels=samples.labels[:2])
    train_two_stages(samples, samples, few, recipe=replace(recipe, pretrain_steps=2), seed=0, name="warm up")
    history = train_two_stages(samples, samples, few, recipe=recipe, seed=0)[1]
    last = history[(history["stage"] == "augmented") & (history["part"] == "training")].iloc[-1]
    return measured("classifier", steps, last["seconds"], last["data_share"], last["peak_memory"])


def dense(paper: bool, steps: int) -> dict[str, object]:
    """MONAI's 3D DenseNet121."""
    import time

    recipe, edge = DenseRecipe(steps=steps), 96
    if not paper:
        recipe, edge = replace(recipe, features=8, growth=4), 32
    crops, labels = torch.rand(8, 4, edge, edge, edge), torch.arange(8) % 2
    few = crops[:1], labels[:1]
    train_densenet(crops, labels, few, recipe=replace(recipe, steps=1), seed=0, name="warm up")
    start = time.monotonic()
    train_densenet(crops, labels, few, recipe=recipe, seed=0)
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else float("nan")
    return measured("3D DenseNet121", steps, time.monotonic() - start, float("nan"), memory)


NETWORKS = {"gan": gan, "generator": generators, "classifier": classifier, "densenet": dense}


def alone(work: Callable[[bool, int], dict[str, object]], paper: bool, steps: int) -> dict[str, object]:
    """Run a measurement in a process of its own, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (paper, steps))


def extrapolated(table: pd.DataFrame) -> pd.DataFrame:
    """Hours of the paper profile at the measured speed."""
    speed = table.set_index("network")["steps/s"]
    recipe = ClassifierRecipe()
    gan_steps = GanRecipe().steps
    stages = [
        stage_schedule("augmented", FAKE * SLICES, recipe)[1], stage_schedule("real", TRAINING * SLICES, recipe)[1]
    ]  # fmt: skip
    rows = [
        ("one pair, 1000 epochs", gan_steps, "pairwise GAN"),
        ("six pairs of one run", PAIRS * gan_steps, "pairwise GAN"),
        ("all GANs of five runs", RUNS * GANS * PAIRS * gan_steps, "pairwise GAN"),
        ("one classifier, 100 and 50 epochs", sum(stages), "classifier"),
        ("all classifiers of five runs", RUNS * ARMS * sum(stages), "classifier"),
    ]
    return pd.DataFrame(
        [{"what": what, "steps": steps, "hours": steps / speed[network] / 3600} for what, steps, network in rows]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("default", "paper"), default="default")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    options = parser.parse_args()
    paper = options.size == "paper"
    print(f"{describe_device(pick_device('auto'))}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    table = pd.DataFrame([alone(NETWORKS[name], paper, options.steps) for name in options.networks])
    print(table.to_string(index=False, float_format="%.2f"))
    if paper and {"gan", "classifier"} <= set(options.networks):
        print(extrapolated(table).to_string(index=False, float_format="%.1f"))


if __name__ == "__main__":
    main()
