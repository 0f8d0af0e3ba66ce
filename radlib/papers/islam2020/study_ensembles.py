"""Trained segmentation networks on the subjects that none of them saw, and what excitation does inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.readers.segmented import real_subjects
from radlib.data.regions import REGIONS, from_classes
from radlib.data.resampling import edges_of
from radlib.data.splits import Split
from radlib.data.store import ImageStore, prepare
from radlib.nn.device import device_of
from radlib.papers.islam2020.networks import DecoderBlock
from radlib.papers.islam2020.recipes import Folds, HeldOut, arguments_of, everyone
from radlib.papers.islam2020.study_segmentation import (
    dice_rows,
    labels_of,
    load_network,
    most_probable,
    open_slices,
    probabilities,
    segment,
    split_of,
)
from radlib.papers.islam2020.study_synthesis import load_generator, synthesise, trained_on, tumour_slice
from radlib.stats.rule import fit_rule
from radlib.stats.segmentation import dice, score_labels
from radlib.study.cohorts import Images
from radlib.study.jobs import Job, job
from radlib.study.store import Work
from radlib.study.studies import Study
from radlib.training.bundle import Segmenter, export_bundle

METRICS = ("dice", "sensitivity", "specificity", "ppv", "hd95", "missed", "lesion_dice", "lesion_hd95")

BINS = 10
"""Bins of confidence, of equal width from 1 / 4 (the least that the most probable of four classes can have) to 1."""


@job
def ensemble(
    work: Work, *, members: tuple[Job, ...], generator: Job | None = None, sources: tuple[str, ...] = (),
    zeroed: tuple[str, ...] = (), distances: bool = True,
) -> None:  # fmt: skip
    """Segment the test subjects by the mean of the members' probabilities.

    Scores are the ensemble's, by region (``missed``: 1 where exactly one of reference and prediction has the region),
    and the Dice of the necrotic core (group ``ncr``) of subjects that have one. The table ``members`` has the Dice of
    every ``member``, the table ``reliability`` what :func:`reliability` gives. For pictures the slice with most tumour
    is kept of the labels, of the probabilities' entropy (``entropy``), and of the synthetic images (``made``).

    Args:
        members: trainings with the same subjects, grid and modalities.
        generator: makes one of the modalities, which then replaces the real image; only subjects that it was not
            trained on are segmented.
        sources: what it makes it from; all that it takes where empty.
        zeroed: modalities that are taken from the test subjects, all 0 as outside the brain.
        distances: whether more than Dice is measured, of which distances take time.
    """
    split, store, made = _unseen(members, generator, sources)
    if zeroed:
        store = store.subset(split.test)
        for name in zeroed:
            blank = {subject: np.zeros(store.grid, np.float32) for subject in split.test}
            store = store.replaced(blank, modality=name)
    inputs = members[0].inputs
    networks = [load_network(one) for one in members]
    single: list[dict[str, Any]] = []
    parts: list[pd.DataFrame] = []
    bins: list[pd.DataFrame] = []
    slices, entropies = {}, {}
    for subject in split.test:
        truth = store.subject(subject).labels.cpu().numpy()
        total: Tensor | None = None
        for number, network in enumerate(networks):
            found, box = probabilities(
                network, store, subject, modalities=inputs["modalities"], precision=inputs["recipe"].precision
            )
            total = found if total is None else total + found
            single += dice_rows(labels_of(found, box, store, subject)[box], truth[box], subject=subject, member=number)
        assert total is not None
        labels = labels_of(total, box, store, subject)
        place = tumour_slice(store, subject)
        slices[subject] = labels[..., place]
        mean = total / len(members)
        inside = store.subject(subject).brain.cpu().numpy()[box]
        bins.append(reliability(mean, truth[box], inside).assign(subject=subject))
        flat = torch.zeros(store.grid[:2])
        p = mean[..., place - box[2].start]
        flat[box[:2]] = -(p * p.clamp(min=1e-12).log()).sum(dim=0)
        entropies[subject] = flat.numpy().astype(np.float16)
        # Everything lies in the brain's box: distances need not be measured over the whole grid.
        if distances:
            table = score_labels(labels[box], truth[box], spacing=store.spacing, subject=subject)
            long = table.melt(["subject", "region"], METRICS, var_name="metric").rename(columns={"region": "group"})
            parts.append(long.astype({"value": float}))
        else:
            parts.append(pd.DataFrame(dice_rows(labels[box], truth[box], subject=subject)))
        if (truth == 1).any():
            core = dice(labels == 1, truth == 1)
            parts.append(pd.DataFrame([{"subject": subject, "group": "ncr", "metric": "dice", "value": core}]))
    work.scores(pd.concat(parts, ignore_index=True)[["subject", "group", "metric", "value"]])
    work.table("members", pd.DataFrame(single))
    work.table("reliability", pd.concat(bins, ignore_index=True))
    work.arrays("slices", slices, keep=True)
    work.arrays("entropy", entropies, keep=True)
    if made:
        work.arrays("made", {key: image[..., tumour_slice(store, key)] for key, image in made.items()}, keep=True)


def reliability(probability: Tensor, truth: np.ndarray, inside: np.ndarray) -> pd.DataFrame:
    """How sure a segmentation is, and how often it is right, over the voxels of the brain.

    Args:
        probability: of the classes, ``(4, x, y, z)``.
        truth: labels ``(x, y, z)``, 0, 1, 2, 4.
        inside: the brain, ``(x, y, z)`` bool.

    Returns:
        One row a bin of confidence (the probability of the most probable class) that has voxels: ``bin``, ``voxels``,
        and the sums ``confidence`` and ``right`` over them. Divided by ``voxels`` they are the points of a reliability
        diagram; the mean absolute difference, weighted by voxels, is the expected calibration error.
    """
    where = torch.from_numpy(inside)
    p = probability[:, where].double()
    best = most_probable(p)
    sure = p.gather(0, best[None])[0].numpy()
    right = from_classes(best).numpy() == truth[inside]
    number = np.clip(((sure - 0.25) / 0.75 * BINS).astype(int), 0, BINS - 1)
    counts = {
        "voxels": np.bincount(number, minlength=BINS), "confidence": np.bincount(number, sure, minlength=BINS),
        "right": np.bincount(number, right, minlength=BINS),
    }  # fmt: skip
    table = pd.DataFrame({"bin": np.arange(BINS), **counts})
    return table[table["voxels"] > 0].reset_index(drop=True)


@job
def rule(work: Work, *, images: Images, division: Folds | HeldOut) -> None:
    """Two thresholds, on FLAIR and T1ce, fitted on all but the test subjects: what a network has to beat."""
    split = division.splits(images.source.open())[0]
    store = open_slices(images, everyone(split))
    found = fit_rule(store, (*split.train, *split.validation))
    work.note(flair=found.flair, t1ce=found.t1ce)
    rows = []
    for subject in split.test:
        rows += dice_rows(found.segment(store, subject), store.subject(subject).labels.cpu().numpy(), subject=subject)
    work.scores(pd.DataFrame(rows))


def _unseen(
    members: tuple[Job, ...], generator: Job | None, sources: tuple[str, ...]
) -> tuple[Split, ImageStore, dict[str, np.ndarray]]:
    """The split and its images; a generator leaves those whom it has not seen, its images in place of real ones."""
    split, images = split_of(members[0]), members[0].inputs["images"]
    store = open_slices(images, everyone(split))
    if generator is None:
        return split, store, {}
    unseen = tuple(subject for subject in split.test if subject not in set(trained_on(generator)))
    if not unseen:
        raise MissingDataError("the generator was trained on every subject that is tested")
    net, target = load_generator(generator), generator.inputs["target"]
    scaled = replace(images, normalise="minmax", memory_mapped=False).open(unseen)
    made = {subject: synthesise(net, scaled, subject, sources=sources or None) for subject in unseen}
    return replace(split, test=unseen), store.subset(unseen).replaced(made, modality=target), made


# What excitation does


NEAR_ZERO = 0.01
"""A value counts as near zero where it is below this share of the largest magnitude (99th percentile) of its layer."""


@job
def excitation(work: Work, *, network: Job, per_subject: int = 2, shown: int = 5) -> None:
    """Range and sparsity of the maps behind every decoder block's excitation, over slices of the test subjects.

    Scores have the decoder blocks (1 is the deepest) in the place of subjects: ``low`` and ``high`` (1st and 99th
    percentile of the maps behind the excitation), ``range``, ``range_before``, ``near_zero`` and ``hoyer`` of the maps,
    ``weights_near_zero`` and ``weights_hoyer`` of the layer that takes them. The array ``maps`` holds the ``shown``
    maps of widest range behind the last block, of the subject with the largest necrotic core.
    """
    split = split_of(network)
    store = open_slices(network.inputs["images"], everyone(split))
    channels, net = store.channels(network.inputs["modalities"]), load_network(network)

    def images_of(subjects: tuple[str, ...], count: int) -> Tensor:
        index = store.slices(subjects, where="tumour", per_subject=count)
        return store.take_slices(index)[0][:, channels].to(device_of(net))

    rows, takers = [], _takers(net)
    for block, (before, after) in enumerate(captured(net, images_of(split.test, per_subject))):
        low, high = np.percentile(after.cpu().numpy(), [1, 99])
        first, last = np.percentile(before.cpu().numpy(), [1, 99])
        found = {
            "low": low, "high": high, "range": high - low, "range_before": last - first,
            "near_zero": near_zero(after), "hoyer": hoyer(after), "weights_near_zero": near_zero(takers[block]),
            "weights_hoyer": hoyer(takers[block]),
        }  # fmt: skip
        rows += [{"subject": str(block + 1), "group": "all", "metric": name, "value": value}
                 for name, value in found.items()]  # fmt: skip
    work.scores(pd.DataFrame(rows))
    subject = necrotic_subjects(store, split.test, most=1)
    after = captured(net, images_of(subject, 1))[-1][1][0].cpu()
    spread = after.flatten(1).quantile(0.99, dim=1) - after.flatten(1).quantile(0.01, dim=1)
    work.arrays("maps", {"maps": after[spread.argsort(descending=True)[:shown]].numpy()}, keep=True)


def necrotic_subjects(store: ImageStore, subjects: tuple[str, ...], *, most: int) -> tuple[str, ...]:
    """The subjects with the largest necrotic core among those that have all three labels: what Figure 7 is about."""
    sizes = {}
    for subject in subjects:
        labels = store.subject(subject).labels
        if all(bool((labels == label).any()) for label in (1, 2, 4)):
            sizes[subject] = int((labels == 1).sum())
    chosen = sorted(sizes, key=lambda subject: -sizes[subject])[:most]
    return tuple(chosen) or subjects[:most]


def hoyer(values: Tensor) -> float:
    """Hoyer's sparsity: 0 where all magnitudes are equal, 1 where a single value is not 0; NaN where all are 0."""
    flat = values.flatten().double().abs()
    n, norm = flat.numel(), float(flat.square().sum().sqrt())
    if norm == 0 or n < 2:
        return float("nan")
    return (n**0.5 - float(flat.sum()) / norm) / (n**0.5 - 1)


def near_zero(values: Tensor) -> float:
    """Share of values whose magnitude is below :data:`NEAR_ZERO` of the layer's 99th percentile; 1 where all are 0."""
    flat = values.flatten().float().abs()
    top = float(np.percentile(flat.cpu().numpy(), 99))
    return float((flat <= NEAR_ZERO * top).float().mean())


def captured(network: nn.Module, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What goes into and comes out of the excitation of every decoder block, deepest first, each ``(B, C, h, w)``.

    Raises:
        RadlibError: if the network has no decoder blocks.
    """
    blocks = [module for module in network.modules() if isinstance(module, DecoderBlock)]
    if not blocks:
        raise RadlibError("the network has no decoder block with excitation", remedy="give an OctaveFCN")
    kept: list[tuple[Tensor, Tensor]] = []
    hooks = [
        # The input is kept as a copy: the activation before it works in place.
        block.excitation.register_forward_hook(lambda _, given, out: kept.append((given[0].clone(), out.clone())))
        for block in blocks
    ]
    try:
        with torch.no_grad():
            network.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
    return kept


def _takers(network: nn.Module) -> list[Tensor]:
    """The weights that take the excited maps: each block's deconvolution, and the head for the last block."""
    blocks = [module for module in network.modules() if isinstance(module, DecoderBlock)]
    head = network.get_submodule("head")
    layers = [block.up if isinstance(block.up, nn.ConvTranspose2d) else head for block in blocks]
    return [layer.get_parameter("weight").detach() for layer in layers]


# Elsewhere


def members_of(study: Study) -> pd.DataFrame:
    """Dice of the single members of a study of ensembles, as scores: a ``run`` is a member."""
    table = study.table("members")
    return table.assign(run=table.pop("member"))


def real_table(root: Path, ensembles: Mapping[str, Sequence[Job]], *, most: int) -> pd.DataFrame:
    """Dice of ensembles on real subjects: a row a network and region; mean, lowest and highest.

    Args:
        root: with BraTS folders of any vintage, anywhere under it.
        ensembles: trainings by the network's name; each is applied to the subjects with exactly its modalities.
        most: at most so many subjects of each kind.
    """
    rows = []
    found = real_subjects(root, most=most)
    for name, members in ensembles.items():
        inputs = members[0].inputs
        if (cohort := found.get(inputs["modalities"])) is None:
            continue
        images, modalities = inputs["images"], inputs["modalities"]
        store = prepare(cohort, modalities=modalities, grid=images.grid, spacing=images.spacing)
        networks = [load_network(one) for one in members]
        scores = pd.DataFrame([
            row
            for subject in store.ids
            for row in dice_rows(
                segment(networks, store, subject, modalities=modalities, precision=inputs["recipe"].precision),
                store.subject(subject).labels.numpy(),
            )
        ])  # fmt: skip
        for region in REGIONS:
            values = scores.loc[scores["group"] == region, "value"]
            rows.append({
                "network": name, "region": region.upper(), "subjects": len(values), "mean Dice": values.mean(),
                "lowest": values.min(), "highest": values.max(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def export(folder: Path, one: Job) -> Path:
    """Write a trained network as a MONAI bundle (:func:`radlib.training.bundle.export_bundle`)."""
    inputs, split = one.inputs, split_of(one)
    target, arguments = arguments_of(
        inputs["model"], in_channels=len(inputs["modalities"]), recipe=inputs["recipe"]
    )  # fmt: skip
    return export_bundle(
        folder,
        Segmenter(
            network=load_network(one), target=target, arguments=arguments, modalities=inputs["modalities"],
            spacing=edges_of(inputs["images"].spacing), roi=inputs["images"].grid[:2],
            trained_on=f"{len(split.train)} subjects ({split.name}), axial slices",
        ),
    )  # fmt: skip
