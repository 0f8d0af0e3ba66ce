"""How close synthetic slices are to real ones: PSNR and DAEF (Table 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from radlib.core.seeds import rng
from radlib.data.cohort import MODALITIES
from radlib.nn.device import device_of
from radlib.papers.ge2020.cases import Translated, assemble, directions, fake_patients
from radlib.papers.ge2020.data import SLICES, Patients
from radlib.papers.ge2020.networks import SliceAutoencoder
from radlib.stats.intervals import Estimate, Floats
from radlib.stats.synthesis import psnr

REGIONS = ("whole", "tumour")
MEDIAN = "median"
"""The group of a patient's median over the (twelve) directions, which one collapsed generator does not move."""


def psnr_scores(patients: Patients, made: Translated) -> pd.DataFrame:
    """PSNR of every translation of patients who have both modalities.

    Returns:
        Long scores: ``subject``, ``group`` (``t1_to_flair``, or :data:`MEDIAN`), ``metric`` (``psnr``, or
        ``psnr_tumour`` over the tumour alone) and ``value`` (dB on intensities in [0, 1], mean over the slices).
    """
    rows, names = [], patients.modalities
    for number, (subject, row) in enumerate(zip(made.ids, patients.rows(made.ids), strict=True)):
        masks = patients.masks[row].numpy()
        for (source, target), images in made.images.items():
            if not patients.present[row, [source, target]].all():
                continue
            pairs = list(zip(images[number].numpy(), patients.images[row, :, target].numpy(), masks, strict=True))
            values = {
                "psnr": [psnr(a, b, data_range=1) for a, b, _ in pairs],
                "psnr_tumour": [psnr(a, b, data_range=1, mask=mask) for a, b, mask in pairs if mask.any()],
            }
            rows += [
                {"subject": subject, "group": f"{names[source]}_to_{names[target]}", "metric": metric,
                 "value": float(np.mean(found))}
                for metric, found in values.items()
            ]  # fmt: skip
    scores = pd.DataFrame(rows)
    middle = scores.groupby(["subject", "metric"], sort=False)["value"].median().reset_index()
    return pd.concat([scores, middle.assign(group=MEDIAN)], ignore_index=True)


def collapsed(made: Translated, modalities: Sequence[str] = MODALITIES, *, least: float = 0.01) -> list[str]:
    """Directions in which a generator gives nearly the same value everywhere, such as a black image.

    Args:
        made: translations.
        modalities: their channels.
        least: the standard deviation over the pixels of all slices, intensities in [0, 1].
    """
    return [
        f"{modalities[source]}_to_{modalities[target]}"
        for (source, target), images in made.images.items()
        if float(images.std()) < least
    ]


def copied(patients: Patients, ids: Sequence[str]) -> Translated:
    """The rule that needs no network: the other modality as it is."""
    rows, both = patients.rows(ids), directions(len(patients.modalities))
    return Translated(ids=tuple(ids), images={(a, b): patients.images[rows][:, :, a] for a, b in both})


def fitted_lines(patients: Patients, train: Sequence[str], ids: Sequence[str]) -> Translated:
    """The next simplest: a straight line in the other modality's intensity, fitted within training patients' brains."""
    learn, rows = patients.rows(train), patients.rows(ids)
    images = {}
    for a, b in directions(len(patients.modalities)):
        both = [row for row in learn if patients.present[row, [a, b]].all()]
        x, y = patients.images[both][:, :, a].flatten(), patients.images[both][:, :, b].flatten()
        inside = (x > 0) & (y > 0)
        slope, offset = np.polyfit(x[inside].numpy(), y[inside].numpy(), 1)
        given = patients.images[rows][:, :, a]
        images[a, b] = torch.where(given > 0, (slope * given + offset).clamp(0, 1), 0.0)
    return Translated(ids=tuple(ids), images=images)


def latents(network: SliceAutoencoder, images: Tensor, *, batch_size: int = 64) -> Tensor:
    """Latent vectors ``(M, L)`` of slices ``(M, K, S, S)`` in [0, 1]."""
    device = device_of(network)
    with torch.no_grad():
        return torch.cat([network.latent(2 * part.to(device) - 1).float().cpu() for part in images.split(batch_size)])


def latent_gaps(network: SliceAutoencoder, patients: Patients, made: Translated, *, region: str) -> pd.DataFrame:
    """The mean latent vector of each patient's real slices, minus that of the (three) fake patients made from them.

    Args:
        network: the autoencoder.
        patients, made: real and synthetic images; patients with gaps are left out.
        region: ``whole``, or ``tumour``: everything else is set to 0 in both.

    Returns:
        ``subject`` and the entries of the vector, ``z0`` and so on. DAEF is the norm of the mean over patients
        (:func:`daef`): every patient has as many slices as every other.
    """
    ids = [s for s, row in zip(made.ids, patients.rows(made.ids), strict=True) if patients.present[row].all()]
    rows = patients.rows(ids)
    masks = patients.masks[rows][:, :, None] if region == "tumour" else torch.ones(())
    real = latents(network, (patients.images[rows] * masks).flatten(0, 1)).view(len(ids), SLICES, -1).mean(1)
    records = fake_patients(ids, len(patients.modalities))
    each = len(patients.modalities) - 1
    total = torch.zeros_like(real)
    for number in range(each):
        fake = assemble(records[number::each], patients, made) * masks
        total += latents(network, fake.flatten(0, 1)).view(len(ids), SLICES, -1).mean(1)
    gaps = (real - total / each).numpy()
    return pd.DataFrame(gaps, columns=[f"z{number}" for number in range(gaps.shape[1])]).assign(subject=ids)


def daef(gaps: pd.DataFrame, *, n_boot: int, seed: int) -> Estimate:
    """DAEF, the mean over runs, with an interval that resamples runs and patients together.

    Args:
        gaps: of :func:`latent_gaps`, with ``run``.
        n_boot, seed: of the bootstrap (percentiles: a distance has no symmetric error).
    """
    everyone, runs = sorted(set(gaps["subject"])), sorted(set(gaps["run"]))
    random = rng(seed, "daef")
    by_run = np.vstack([np.ones(len(runs)), random.multinomial(len(runs), [1 / len(runs)] * len(runs), n_boot)])
    shares = [1 / len(everyone)] * len(everyone)
    weights = np.vstack([np.ones(len(everyone)), random.multinomial(len(everyone), shares, n_boot)])
    vectors = [column for column in gaps if str(column).startswith("z")]
    values = np.empty((n_boot + 1, len(runs)))
    for number, run in enumerate(runs):
        part = gaps[gaps["run"] == run]
        own: Floats = weights[:, [everyone.index(subject) for subject in part["subject"]]]
        mean = own @ part[vectors].to_numpy(dtype=float) / np.maximum(own.sum(axis=1, keepdims=True), 1e-9)
        values[:, number] = np.linalg.norm(mean, axis=1)
    draws = (values * by_run).sum(axis=1) / len(runs)
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    return Estimate(float(draws[0]), float(low), float(high), len(everyone), "crossed bootstrap")


def daef_of_halves(
    network: SliceAutoencoder, patients: Patients, ids: Sequence[str], *, region: str, seed: int
) -> float:
    """What DAEF is between two random halves of real patients: the least that anything can be asked to reach."""
    rows = np.array(patients.rows(ids))[rng(seed, "halves").permutation(len(ids))]
    images = patients.images[rows] * (patients.masks[rows][:, :, None] if region == "tumour" else 1)
    half = len(rows) // 2
    first, second = (latents(network, part.flatten(0, 1)).mean(0) for part in (images[:half], images[half:]))
    return float((first - second).norm())
