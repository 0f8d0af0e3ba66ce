"""The chapter on the pairwise GAN: partitions, six pairs a run with and without masks, and how good they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from radlib.core.files import reading, write_json
from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES
from radlib.data.splits import Split
from radlib.papers.ge2020 import quality
from radlib.papers.ge2020.cases import Translated, take_scans
from radlib.papers.ge2020.data import SliceSet
from radlib.papers.ge2020.gan import PAIRS, GanRecipe, Generators, save_generators, train_all, translate
from radlib.papers.ge2020.networks import SliceAutoencoder
from radlib.stats.intervals import Estimate, Floats, bootstrap
from radlib.training.loop import Trained
from radlib.training.supervised import Fitted

MASKED, UNMASKED, CASE_B = "with mask", "without mask", "case B"
SEEN, HELD_OUT = "training", "held out"
"""Patients on whose images the networks were trained, and those of the test set."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A run's patients.

    Attributes:
        split: training, validation and test patients.
        missing: who loses which channel in S3.
    """

    split: Split
    missing: dict[str, int]


def make_partitions(splits: Sequence[Split], *, seed: int) -> list[Partition]:
    """Partitions with the scans that S3 takes from the training patients."""
    return [
        Partition(split=split, missing=take_scans(split.train, seed=named_seed(seed, "scans", run)))
        for run, split in enumerate(splits)
    ]


def save_partitions(file: Path, partitions: Sequence[Partition]) -> None:
    """Write partitions as JSON."""
    write_json(file, [
        {"train": p.split.train, "validation": p.split.validation, "test": p.split.test, "missing": p.missing}
        for p in partitions
    ])  # fmt: skip


def load_partitions(file: Path) -> list[Partition]:
    """Read what :func:`save_partitions` wrote.

    Raises:
        MissingDataError: if it has not been written.
        RadlibError: if it is damaged.
    """
    with reading(file, remedy="run the chapter pairwise_gan"):
        return [
            Partition(
                split=Split(name=f"run {run}", train=tuple(item["train"]), validation=tuple(item["validation"]),
                            test=tuple(item["test"])),
                missing=dict(item["missing"]),
            )
            for run, item in enumerate(json.loads(file.read_text(encoding="utf-8")), start=1)
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GanRun:
    """What one run's trainings leave.

    Attributes:
        psnr: rows of :func:`~radlib.papers.ge2020.quality.psnr_table` with ``run``, ``model`` and ``patients``.
        latents: real and fake latent vectors ``(N, L)`` by (model, patients, region).
        halves: DAEF between halves of the real training patients by region.
        histories: of the trainings, by model and pair.
        autoencoder: history of the autoencoder.
        examples: translations of test patients with and without mask.
        speed: a row a training: ``run, model, pair, steps_per_second, data_share, peak_memory`` (bytes), ``seconds``.
        collapsed: generators that give nearly the same value everywhere.
    """

    psnr: pd.DataFrame
    latents: dict[tuple[str, str, str], tuple[list[str], Tensor, Tensor]]
    halves: dict[str, float]
    histories: dict[str, dict[str, pd.DataFrame]]
    autoencoder: pd.DataFrame
    examples: dict[str, Translated] = field(default_factory=dict)
    speed: pd.DataFrame = field(default_factory=pd.DataFrame)
    collapsed: list[str] = field(default_factory=list)


TrainGans = Callable[..., tuple[Generators, dict[str, Trained]]]


def gan_sets(
    slices: SliceSet,
    partition: Partition,
    *,
    run: int,
    recipe: GanRecipe,
    unmasked: GanRecipe,
    gan_per_case: bool,
    seed: int,
    checkpoints: Path | None = None,
) -> dict[str, TrainGans]:
    """The sets of six GANs that :func:`run_gans` trains: :func:`~radlib.papers.ge2020.gan.train_all` by model."""
    train, left = partition.split.train, slices.without(partition.missing)
    folder = None if checkpoints is None else checkpoints / f"run{run}"
    data = slices if gan_per_case else left
    sets: dict[str, TrainGans] = {
        model: partial(
            train_all, data, train, recipe=how, seed=named_seed(seed, "gan", run), name=f"run {run}, {model}",
            folder=None if folder is None else folder / model.replace(" ", "_"),
        )
        for model, how in ((MASKED, recipe), (UNMASKED, unmasked))
    }  # fmt: skip
    if gan_per_case:
        sets[CASE_B] = partial(
            train_all, left, train, recipe=recipe, seed=named_seed(seed, "gan B", run), name=f"run {run}, case B",
            folder=None if folder is None else folder / "case_b",
        )  # fmt: skip
    return sets


def train_coder(
    slices: SliceSet,
    partition: Partition,
    *,
    run: int,
    widths: Sequence[int],
    steps: int,
    seed: int,
    checkpoints: Path | None = None,
) -> tuple[SliceAutoencoder, Fitted]:
    """The autoencoder of a run."""
    return quality.train_autoencoder(
        slices, partition.split.train, widths=widths, steps=steps, seed=named_seed(seed, "autoencoder", run),
        name=f"run {run}, autoencoder", folder=None if checkpoints is None else checkpoints / f"run{run}/autoencoder",
    )  # fmt: skip


def gan_trainings(
    slices: SliceSet,
    partitions: Sequence[Partition],
    *,
    autoencoder_widths: Sequence[int],
    autoencoder_steps: int,
    checkpoints: Path,
    seed: int,
    **options: Any,
) -> dict[str, Callable[[], object]]:
    """Everything that :func:`run_gans` trains, one GAN or autoencoder each, by name.

    Args:
        slices: of all patients.
        partitions: of all runs.
        autoencoder_widths, autoencoder_steps, checkpoints, seed: as there.
        options: the others of :func:`gan_sets`.
    """
    found: dict[str, Callable[[], object]] = {}
    for run, partition in enumerate(partitions, start=1):
        for model, gans in gan_sets(slices, partition, run=run, seed=seed, checkpoints=checkpoints, **options).items():
            for pair in PAIRS:
                title = " and ".join(MODALITIES[channel] for channel in pair)
                found[f"run {run}, {model}, {title}"] = partial(gans, pairs=[pair])
        found[f"run {run}, autoencoder"] = partial(
            train_coder, slices, partition, run=run, widths=autoencoder_widths, steps=autoencoder_steps, seed=seed,
            checkpoints=checkpoints,
        )  # fmt: skip
    return found


def run_gans(
    slices: SliceSet,
    partition: Partition,
    *,
    run: int,
    recipe: GanRecipe,
    unmasked: GanRecipe,
    autoencoder_widths: Sequence[int],
    autoencoder_steps: int,
    gan_per_case: bool,
    seed: int,
    weights: Path,
    checkpoints: Path | None = None,
) -> GanRun:
    """Train a run's GANs, keep the generators, and measure what they make.

    Args:
        slices: of all patients.
        partition: of this run.
        run: its number, from 1.
        recipe, unmasked: with masks, and without.
        autoencoder_widths, autoencoder_steps: behind DAEF.
        gan_per_case: whether case B has GANs of its own. If not, those of both cases are trained on what S3 leaves, so
            that no synthetic scan stands in for one that its network has seen.
        seed: of everything.
        weights: folder for the generators of cases ``A`` and ``B``.
        checkpoints: folder for unfinished trainings.
    """
    train, test = partition.split.train, partition.split.test
    sets = gan_sets(
        slices, partition, run=run, recipe=recipe, unmasked=unmasked, gan_per_case=gan_per_case, seed=seed,
        checkpoints=checkpoints,
    )  # fmt: skip
    trained = {model: sets[model]() for model in (MASKED, UNMASKED)}
    own_b = sets[CASE_B]() if CASE_B in sets else trained[MASKED]
    for case, (generators, _) in (("A", trained[MASKED]), ("B", own_b)):
        save_generators(weights / f"run{run}" / case, generators, note={"run": run, "case": case})
    coder, fitted = train_coder(
        slices, partition, run=run, widths=autoencoder_widths, steps=autoencoder_steps, seed=seed,
        checkpoints=checkpoints,
    )  # fmt: skip
    made = {
        (model, patients): translate(generators, slices, ids)
        for model, (generators, _) in trained.items()
        for patients, ids in ((SEEN, train), (HELD_OUT, test))
    }
    rivals = {
        ("other modality as it is", HELD_OUT): quality.copied(slices, test),
        ("straight line", HELD_OUT): quality.fitted_lines(slices, train, test),
    }
    psnr = [
        quality.psnr_table(slices, images).assign(run=run, model=model, patients=patients)
        for (model, patients), images in {**made, **rivals}.items()
    ]
    return GanRun(
        psnr=pd.concat(psnr, ignore_index=True),
        latents={
            (model, patients, region): quality.patient_latents(coder, slices, images, region=region)
            for (model, patients), images in made.items()
            for region in ("whole", "tumour")
        },
        halves={
            region: quality.daef_of_halves(coder, slices, test, region=region, seed=named_seed(seed, "halves", run))
            for region in ("whole", "tumour")
        },
        histories={model: {pair: t.history for pair, t in found.items()} for model, (_, found) in trained.items()},
        autoencoder=fitted.history,
        examples={model: made[model, HELD_OUT] for model in trained},
        speed=pd.DataFrame(
            [
                {
                    "run": run,
                    "model": model,
                    "pair": pair,
                    "steps_per_second": t.steps_per_second,
                    "data_share": t.data_share,
                    "peak_memory": t.peak_memory,
                    "seconds": t.seconds,
                }
                for model, (_, found) in trained.items()
                for pair, t in found.items()
            ]
        ),
        collapsed=[
            f"{direction}, {model}, run {run}"
            for (model, patients), images in made.items()
            if patients == SEEN
            for direction in quality.collapsed(images)
        ],
    )


# Means over runs, intervals over patients


def _over_patients(values: Sequence[tuple[Sequence[str], Floats]], *, n_boot: int, seed: int) -> Estimate:
    """Mean over runs of the mean over patients; a patient of several runs is resampled once."""
    everyone = sorted({subject for ids, _ in values for subject in ids})
    place = {subject: number for number, subject in enumerate(everyone)}
    parts = [(np.array([place[s] for s in ids]), np.asarray(found)) for ids, found in values]

    def mean(weights: Floats) -> Floats:
        runs = [weights[:, rows] @ found / np.maximum(weights[:, rows].sum(1), 1e-9) for rows, found in parts]
        return np.asarray(np.mean(runs, axis=0))

    return bootstrap(mean, np.zeros(len(everyone)), n_boot=n_boot, seed=seed)


def psnr_estimate(
    runs: Sequence[GanRun], *, model: str, patients: str, region: str, n_boot: int, seed: int
) -> Estimate:
    """PSNR, mean over directions, patients and runs, with an interval over patients."""
    values = []
    for run in runs:
        rows = run.psnr[(run.psnr["model"] == model) & (run.psnr["patients"] == patients)]
        means = rows.groupby("subject")[region].mean()
        values.append((list(means.index), means.to_numpy(dtype=float)))
    return _over_patients(values, n_boot=n_boot, seed=seed)


def daef_estimate(
    runs: Sequence[GanRun], *, model: str, patients: str, region: str, n_boot: int, seed: int
) -> Estimate:
    """DAEF, mean over runs, with an interval over patients (percentiles: a distance has no symmetric error)."""
    parts = [run.latents[model, patients, region] for run in runs]
    everyone = sorted({subject for ids, _, _ in parts for subject in ids})
    place = {subject: number for number, subject in enumerate(everyone)}
    rows = [np.array([place[s] for s in ids]) for ids, _, _ in parts]
    gaps = [(real - fake).numpy().astype(float) for _, real, fake in parts]

    def distance(weights: Floats) -> Floats:
        found = []
        for places, gap in zip(rows, gaps, strict=True):
            w = weights[:, places]
            found.append(np.linalg.norm(w @ gap / np.maximum(w.sum(1, keepdims=True), 1e-9), axis=1))
        return np.asarray(np.mean(found, axis=0))

    return bootstrap(distance, np.zeros(len(everyone)), method="percentile", n_boot=n_boot, seed=seed)


def per_run(runs: Sequence[GanRun], *, model: str, patients: str, metric: str, region: str) -> list[float]:
    """PSNR or DAEF of each run."""
    if metric == "psnr":
        return [
            float(run.psnr[(run.psnr["model"] == model) & (run.psnr["patients"] == patients)][region].mean())
            for run in runs
        ]
    return [float((real - fake).mean(0).norm()) for _, real, fake in (r.latents[model, patients, region] for r in runs)]


def table6(
    runs: Sequence[GanRun], *, n_boot: int, seed: int
) -> tuple[pd.DataFrame, Mapping[tuple[str, ...], Estimate]]:
    """Table 6 here: models down, PSNR and DAEF across, on seen and on held-out patients.

    Returns:
        The table to show, and the estimates by (model, patients, metric, region).
    """
    from radlib.stats.tables import format_interval

    estimates: dict[tuple[str, ...], Estimate] = {}
    rows = []
    for patients in (SEEN, HELD_OUT):
        for model in (MASKED, UNMASKED):
            row = {"patients": patients, "model": model}
            for metric, estimate in (("psnr", psnr_estimate), ("daef", daef_estimate)):
                for region in ("whole", "tumour"):
                    found = estimate(runs, model=model, patients=patients, region=region, n_boot=n_boot, seed=seed)
                    estimates[model, patients, metric, region] = found
                    each = per_run(runs, model=model, patients=patients, metric=metric, region=region)
                    spread = f"; SD of runs {np.std(each, ddof=1):.2f}" if len(each) > 1 else ""
                    title = f"{metric.upper()}, {'whole image' if region == 'whole' else 'tumour'}"
                    row[title] = format_interval(found.value, found.low, found.high, digits=2) + spread
            rows.append(row)
    for model in ("other modality as it is", "straight line"):
        row = {"patients": HELD_OUT, "model": model}
        for region, title in (("whole", "PSNR, whole image"), ("tumour", "PSNR, tumour")):
            found = psnr_estimate(runs, model=model, patients=HELD_OUT, region=region, n_boot=n_boot, seed=seed)
            estimates[model, HELD_OUT, "psnr", region] = found
            row[title] = format_interval(found.value, found.low, found.high, digits=2)
        rows.append(row)
    halves = {
        f"DAEF, {'whole image' if region == 'whole' else 'tumour'}": f"{np.mean([r.halves[region] for r in runs]):.2f}"
        for region in ("whole", "tumour")
    }
    rows.append({"patients": HELD_OUT, "model": "two halves of the real patients", **halves})
    return pd.DataFrame(rows).fillna("–"), estimates


def mask_difference(runs: Sequence[GanRun], *, region: str, n_boot: int, seed: int) -> Estimate:
    """PSNR with mask minus without, on held-out patients, paired."""
    values = []
    for run in runs:
        rows = run.psnr[run.psnr["patients"] == HELD_OUT]
        wide = rows.pivot_table(index="subject", columns="model", values=region)
        values.append((list(wide.index), (wide[MASKED] - wide[UNMASKED]).to_numpy(dtype=float)))
    return _over_patients(values, n_boot=n_boot, seed=seed)


def real_samples(slices: SliceSet, generators: Generators) -> pd.DataFrame:
    """PSNR by direction of real samples, translated by generators that were trained on the cohort at hand."""
    models = {"pairwise GAN": translate(generators, slices, slices.ids),
              "other modality as it is": quality.copied(slices, slices.ids)}  # fmt: skip
    table = pd.concat([quality.psnr_table(slices, made).assign(model=name) for name, made in models.items()])
    return table.groupby(["from", "to", "model"], sort=False)[["whole", "tumour"]].mean().reset_index()
