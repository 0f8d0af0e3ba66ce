"""How close synthetic slices are to real ones: PSNR and DAEF (Table 6)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from radlib.core.seeds import named_seed, rng
from radlib.data.cohort import MODALITIES
from radlib.papers.ge2020.cases import DIRECTIONS, Translated, assemble, fake_patients
from radlib.papers.ge2020.data import SLICES, SliceSet
from radlib.papers.ge2020.networks import PAPER_AUTOENCODER, SliceAutoencoder
from radlib.stats.synthesis import psnr
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import Fitted, fit


def psnr_table(slices: SliceSet, made: Translated) -> pd.DataFrame:
    """PSNR of every translation of patients who have both modalities.

    Returns:
        One row a patient and direction: ``subject``, ``from``, ``to``, ``whole`` and ``tumour`` (dB on intensities in
        [0, 1], means over the patient's slices).
    """
    rows = []
    for number, (subject, row) in enumerate(zip(made.ids, slices.rows(made.ids), strict=True)):
        masks = slices.masks[row].numpy()
        for (source, target), images in made.images.items():
            if not slices.present[row, [source, target]].all():
                continue
            pairs = list(zip(images[number].numpy(), slices.images[row, :, target].numpy(), masks, strict=True))
            rows.append({
                "subject": subject, "from": MODALITIES[source], "to": MODALITIES[target],
                "whole": float(np.mean([psnr(a, b, data_range=1) for a, b, _ in pairs])),
                "tumour": float(np.mean([psnr(a, b, data_range=1, mask=mask) for a, b, mask in pairs if mask.any()])),
            })  # fmt: skip
    return pd.DataFrame(rows)


def collapsed(made: Translated, *, least: float = 0.01) -> list[str]:
    """Directions in which a generator gives nearly the same value everywhere, such as a black image.

    Args:
        made: translations.
        least: the standard deviation over the pixels of all slices, intensities in [0, 1].
    """
    return [
        f"{MODALITIES[source]} to {MODALITIES[target]}"
        for (source, target), images in made.images.items()
        if float(images.std()) < least
    ]


def copied(slices: SliceSet, ids: Sequence[str]) -> Translated:
    """The rule that needs no network: the other modality as it is."""
    rows = slices.rows(ids)
    return Translated(ids=tuple(ids), images={(a, b): slices.images[rows][:, :, a] for a, b in DIRECTIONS})


def fitted_lines(slices: SliceSet, train: Sequence[str], ids: Sequence[str]) -> Translated:
    """The next simplest: a straight line in the other modality's intensity, fitted within training patients' brains."""
    learn, rows = slices.rows(train), slices.rows(ids)
    images = {}
    for a, b in DIRECTIONS:
        both = [row for row in learn if slices.present[row, [a, b]].all()]
        x, y = slices.images[both][:, :, a].flatten(), slices.images[both][:, :, b].flatten()
        inside = (x > 0) & (y > 0)
        slope, offset = np.polyfit(x[inside].numpy(), y[inside].numpy(), 1)
        given = slices.images[rows][:, :, a]
        images[a, b] = torch.where(given > 0, (slope * given + offset).clamp(0, 1), 0.0)
    return Translated(ids=tuple(ids), images=images)


def train_autoencoder(
    slices: SliceSet,
    ids: Sequence[str],
    *,
    widths: Sequence[int] = PAPER_AUTOENCODER,
    steps: int,
    seed: int,
    batch_size: int = 16,
    learning_rate: float = 1e-3,
    name: str = "autoencoder",
    folder: Path | None = None,
) -> tuple[SliceAutoencoder, Fitted]:
    """The autoencoder behind DAEF, trained to reconstruct real slices of the training patients (squared error).

    ``folder`` is for checkpoints.
    """
    torch.manual_seed(named_seed(seed, name, "weights"))
    pool = slices.images[slices.rows(ids)].flatten(0, 1)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        chosen = torch.from_numpy(epoch_batch(len(pool), batch_size, step=step, seed=seed))
        return {"images": 2 * pool[chosen] - 1}

    network = SliceAutoencoder(widths, channels=pool.shape[1])
    fitted = fit(
        network, batch=batch, loss=lambda net, data: functional.mse_loss(net(data["images"]).float(), data["images"]),
        optimizer=OptimizerSettings(learning_rate=learning_rate), seed=named_seed(seed, name), name=name,
        loop=LoopSettings(steps=steps, log_every=max(1, steps // 25), checkpoint_every=1000), folder=folder,
        identity={"train": ",".join(ids), "batch": batch_size},
    )  # fmt: skip
    return network, fitted


def latents(network: SliceAutoencoder, images: Tensor, *, batch_size: int = 64) -> Tensor:
    """Latent vectors ``(M, L)`` of slices ``(M, 4, S, S)`` in [0, 1]."""
    device = next(network.parameters()).device
    with torch.no_grad():
        return torch.cat([network.latent(2 * part.to(device) - 1).float().cpu() for part in images.split(batch_size)])


def centroid_distance(first: Tensor, second: Tensor) -> float:
    """Euclidean distance between the means of two sets of vectors."""
    return float((first.mean(0) - second.mean(0)).norm())


def patient_latents(
    network: SliceAutoencoder, slices: SliceSet, made: Translated, *, region: str
) -> tuple[list[str], Tensor, Tensor]:
    """Mean latent vector of each patient's real slices, and of those of the three fake patients made from them.

    DAEF is the norm of the mean difference: every patient has as many slices as every other.

    Args:
        network: of :func:`train_autoencoder`.
        slices, made: real and synthetic images; patients with gaps are left out.
        region: ``whole``, or ``tumour``: everything else is set to 0 in both.

    Returns:
        The patients, and ``(N, L)`` real and fake vectors.
    """
    ids = [s for s, row in zip(made.ids, slices.rows(made.ids), strict=True) if slices.present[row].all()]
    rows = slices.rows(ids)
    masks = slices.masks[rows][:, :, None] if region == "tumour" else torch.ones(())
    real = latents(network, (slices.images[rows] * masks).flatten(0, 1)).view(len(ids), SLICES, -1).mean(1)
    records = fake_patients(ids)
    each = len(MODALITIES) - 1
    total = torch.zeros_like(real)
    for number in range(each):
        fake = assemble(records[number::each], slices, made) * masks
        total += latents(network, fake.flatten(0, 1)).view(len(ids), SLICES, -1).mean(1)
    return ids, real, total / each


def daef_of_halves(network: SliceAutoencoder, slices: SliceSet, ids: Sequence[str], *, region: str, seed: int) -> float:
    """What DAEF is between two random halves of real patients: the least that anything can be asked to reach."""
    rows = np.array(slices.rows(ids))[rng(seed, "halves").permutation(len(ids))]
    images = slices.images[rows] * (slices.masks[rows][:, :, None] if region == "tumour" else 1)
    half = len(rows) // 2
    return centroid_distance(
        latents(network, images[:half].flatten(0, 1)), latents(network, images[half:].flatten(0, 1))
    )
