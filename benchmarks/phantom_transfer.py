"""How real are simulated subjects? Train a segmentation network on them alone, apply it to real ones.

    python benchmarks/phantom_transfer.py --real DIR --work runs/transfer --steps 400

`DIR` holds BraTS subjects. The whole-tumour Dice on real subjects, beside that on held-out simulated ones, goes to
`published/phantom_transfer.json`, with the settings: one entry a call, so that attempts stand side by side.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import zoom

from radlib.book.provenance import describe
from radlib.core.device import pick_device
from radlib.core.files import write_json
from radlib.core.paths import project_root
from radlib.core.progress import track
from radlib.core.seeds import rng, seed_everything
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.readers.brats import read_brats
from radlib.phantom.make import GENERATOR, make


def load(
    cohort: Cohort, subject: str, *, grid: tuple[int, int, int], spacing: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Four z-scored modalities ``(4, X, Y, Z)`` and the whole tumour ``(1, X, Y, Z)`` on a common grid and spacing."""
    labels = cohort.labels(subject)
    factors = [edge / spacing for edge in labels.spacing]
    brain, images = None, []
    for name in MODALITIES:
        data = cohort.volume(subject, name).data
        brain = data != 0 if brain is None else brain & (data != 0)
        images.append(np.where(data != 0, (data - data[data != 0].mean()) / data[data != 0].std(), 0))
    centre = [(np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]].mean()) for axis in range(3)]
    arrays = [*images, (labels.data > 0).astype(np.float32)]
    out = np.zeros((5, *grid), dtype=np.float32)
    for place, array in enumerate(arrays):
        small = zoom(array, factors, order=1) if any(abs(f - 1) > 1e-3 for f in factors) else array
        source, target = [], []
        for axis in range(3):
            middle = round(centre[axis] * factors[axis])
            first = middle - grid[axis] // 2
            low, high = max(first, 0), min(first + grid[axis], small.shape[axis])
            source.append(slice(low, high))
            target.append(slice(low - first, high - first))
        out[place][tuple(target)] = small[tuple(source)]
    whole = torch.from_numpy(out)
    return whole[:4], (whole[4:] > 0.5).float()


def augment(image: torch.Tensor, mask: torch.Tensor, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Flips, and per modality another contrast, brightness, noise and sometimes no signal at all."""
    axes = [axis + 1 for axis in range(3) if random.random() < 0.5]
    image, mask = image.flip(axes), mask.flip(axes)
    inside = (image != 0).float()
    for channel in range(4):
        gain, shift = random.uniform(0.7, 1.4), random.uniform(-0.4, 0.4)
        bend = random.uniform(-0.12, 0.12)
        values = image[channel] * gain + shift + bend * image[channel] ** 2
        noise = torch.from_numpy(random.normal(0, 0.15, size=values.shape).astype(np.float32))
        image[channel] = (values + noise) * inside[channel]
        if random.random() < 0.1:
            image[channel] = 0
    return image, mask


def dice(predicted: torch.Tensor, truth: torch.Tensor) -> float:
    """Dice of two masks; 1 where both are empty."""
    total = float(predicted.sum() + truth.sum())
    return 1.0 if total == 0 else float(2 * (predicted * truth).sum()) / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, help="folder with real BraTS subjects")
    parser.add_argument("--work", type=Path, required=True, help="folder for the simulated subjects")
    parser.add_argument("--n", type=int, default=60, help="simulated subjects, a sixth of them held out")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--no-augment", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()

    from monai.losses import DiceCELoss
    from monai.networks.nets import UNet

    grid = (96, 96, 64)
    simulated = make("brats2017", out=arguments.work / f"cohort-{arguments.n}-{arguments.seed}", n=arguments.n,
                     grid=grid, seed=arguments.seed, jobs=arguments.jobs)  # fmt: skip
    spacing = simulated.labels(simulated.ids[0]).spacing[0]
    subjects = [load(simulated, name, grid=grid, spacing=spacing) for name in track(simulated.ids, description="load")]
    n_held = max(1, len(subjects) // 6)
    train, held = subjects[n_held:], subjects[:n_held]
    real_cohort = read_brats(arguments.real)
    real = [
        load(real_cohort, name, grid=grid, spacing=spacing) for name in real_cohort.complete(*MODALITIES, "seg").ids
    ]

    seed_everything(arguments.seed)
    random = rng(arguments.seed, "transfer")
    device = pick_device()
    network = UNet(3, 4, 1, (16, 32, 64, 128), (2, 2, 2), num_res_units=1, norm="INSTANCE").to(device)
    loss = DiceCELoss(sigmoid=True)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=arguments.steps)
    start = time.monotonic()
    for _ in track(range(arguments.steps), description="steps"):
        chosen = [train[index] for index in random.integers(len(train), size=arguments.batch)]
        if not arguments.no_augment:
            chosen = [augment(image.clone(), mask.clone(), random) for image, mask in chosen]
        images, masks = (torch.stack(part).to(device) for part in zip(*chosen, strict=True))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            outputs = network(images)
        value = loss(outputs.float(), masks)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()

    network.eval()
    with torch.no_grad():
        scores = {
            name: [dice((network(image[None].to(device))[0].cpu() > 0).float(), mask) for image, mask in part]
            for name, part in (("simulated", held), ("real", real))
        }
    entry = {
        "settings": {key: value for key, value in vars(arguments).items() if key not in ("real", "work", "jobs")},
        "generator": GENERATOR, "spacing_mm": spacing, "training_seconds": round(time.monotonic() - start),
        "provenance": describe(),
        **{f"{name}_dice": {"n": len(part), "mean": float(np.mean(part)), "min": min(part), "max": max(part)}
           for name, part in scores.items()},
    }  # fmt: skip
    file = project_root() / "published" / "phantom_transfer.json"
    attempts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    write_json(file, [*attempts, entry])
    print(json.dumps({name: entry[name] for name in ("simulated_dice", "real_dice", "training_seconds")}, indent=2))


if __name__ == "__main__":
    main()
