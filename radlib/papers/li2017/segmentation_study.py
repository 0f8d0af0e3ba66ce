"""What the chapter on the tumour CNN of Li 2017 compares: variants, rules, normalisations, steps behind the network.

Every function gives a long table with a row a patient (and training), so that all differences can be paired.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from radlib.core.device import pick_device
from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed
from radlib.data.store import ImageStore
from radlib.features.deep import Sampling
from radlib.papers.li2017 import features as deep
from radlib.papers.li2017.patches import NORMALISATIONS
from radlib.papers.li2017.segmentation import (
    MODALITIES,
    Recipe,
    Training,
    image_of,
    network_input,
    score_mask,
    score_network,
    train_network,
    truth_of,
)
from radlib.papers.li2017.segmentation_slices import (
    Mask,
    TumourNetwork,
    coarse_probability,
    enlarge,
    largest_per_slice,
    post_process,
    prior_threshold,
    tumour_probability,
)
from radlib.stats.segmentation import dice

SPOKEN = {"flair": "FLAIR", "t1ce": "T1c"}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One network of Figure 1(a).

    Attributes:
        convolutions: 4 or 6.
        wide: whether it has the larger number of neurons.
        modalities: its channels.
    """

    convolutions: int
    wide: bool
    modalities: tuple[str, ...]

    @property
    def key(self) -> str:
        """Short name, such as ``conv6_wide_flair``."""
        return f"conv{self.convolutions}_{'wide' if self.wide else 'narrow'}_{'_'.join(self.modalities)}"

    def title(self, neurons: tuple[int, int]) -> str:
        """As it is called in tables and figures, for these numbers of neurons (narrow, wide)."""
        names = " + ".join(SPOKEN.get(name, name) for name in self.modalities)
        return f"{self.convolutions} conv., {neurons[self.wide]} neurons, {names}"


VARIANTS: tuple[Variant, ...] = (
    *(Variant(convolutions=c, wide=w, modalities=MODALITIES[:1]) for w in (False, True) for c in (4, 6)),
    Variant(convolutions=6, wide=True, modalities=MODALITIES),
)
"""Figure 1(a): from the network that the paper starts from (4 convolutions, 256 neurons, FLAIR) to its own."""

SINGLE, MULTIPLE = VARIANTS[3], VARIANTS[4]
"""The paper's network for one and for two modalities; their weights are kept."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A variant's trainings and what they reach.

    Attributes:
        title: of the variant.
        runs: trainings with different seeds.
        scores: one row a run and patient: ``run``, ``subject``, ``dice``, ``ppv``, ``sensitivity``, ``seconds``.
        masks: of the first run, by patient.
    """

    title: str
    runs: tuple[Training, ...]
    scores: pd.DataFrame
    masks: dict[str, Mask]


def run_variant(
    variant: Variant,
    store: ImageStore,
    train: Sequence[str],
    *,
    test: Sequence[str],
    compared: Sequence[str],
    recipe: Recipe,
    neurons: tuple[int, int],
    n_runs: int,
    seed: int,
    folder: Path | None = None,
) -> Outcome:
    """Train a variant several times and apply it.

    Variants with the same modalities see the same patches in the same run.

    Args:
        variant: which.
        store: what networks with the recipe's normalisation want.
        train: patients to learn from.
        test: patients to whom the first training is applied.
        compared: those of them to whom the others are applied.
        recipe: its convolutions and neurons are replaced by the variant's.
        neurons: of the narrow and the wide variants.
        n_runs: trainings.
        seed: of the first; the others follow from it.
        folder: for checkpoints.
    """
    runs: list[Training] = []
    scores: list[pd.DataFrame] = []
    masks: dict[str, Mask] = {}
    for number in range(n_runs):
        run = train_variant(
            variant, store, train, test=test, recipe=recipe, neurons=neurons, number=number, seed=seed, folder=folder
        )
        runs.append(run)
        subjects = compared if number else test
        found = score_network(run.model, store, subjects, keep=None if number else masks)
        scores.append(found.assign(run=number))
    return Outcome(
        title=variant.title(neurons), runs=tuple(runs), scores=pd.concat(scores, ignore_index=True), masks=masks
    )


def train_variant(
    variant: Variant,
    store: ImageStore,
    train: Sequence[str],
    *,
    test: Sequence[str],
    recipe: Recipe,
    neurons: tuple[int, int],
    number: int,
    seed: int,
    folder: Path | None = None,
) -> Training:
    """One training of :func:`run_variant`, by its number from 0."""
    own = replace(recipe, convolutions=variant.convolutions, neurons=neurons[variant.wide])
    name = f"{variant.key} run {number + 1}"
    return train_network(
        store, train, modalities=variant.modalities, recipe=own, seed=named_seed(seed, "run", number), name=name,
        monitor=test, folder=None if folder is None else folder / name.replace(" ", "_"),
    )  # fmt: skip


# Obvious rules


class FlairRule(NamedTuple):
    """Tumour is where FLAIR is bright.

    - ``threshold``: standard deviations above the mean of the brain.
    - ``dice``: mean DSC on the patients it was chosen on, before the morphology.
    """

    threshold: float
    dice: float

    @property
    def title(self) -> str:
        """As it is called in tables and figures."""
        return f"FLAIR above {self.threshold:.1f} SD"

    def mask(self, store: ImageStore, subject: str, *, smoothing: int) -> Mask:
        """The rule's segmentation, with the same morphology as the networks'."""
        image = _flair(store, subject)
        return post_process(image > self.threshold, smoothing=smoothing, brain=image != 0)


def fit_flair_rule(store: ImageStore, train: Sequence[str]) -> FlairRule:
    """The threshold with the best mean DSC on training patients, of 0 to 4 in steps of 0.1."""
    thresholds = np.arange(0, 4.05, 0.1)
    found = np.zeros(len(thresholds))
    for subject in train:
        image, truth = _flair(store, subject), truth_of(store, subject)
        found += [dice(image > threshold, truth) for threshold in thresholds]
    best = int(found.argmax())
    return FlairRule(float(thresholds[best]), float(found[best] / max(len(train), 1)))


def score_rules(store: ImageStore, rule: FlairRule, subjects: Sequence[str], *, smoothing: int) -> pd.DataFrame:
    """DSC, PPV and sensitivity of the rule and of taking the whole brain, one row a ``rule`` and ``subject``."""
    rows = []
    for subject in subjects:
        truth = truth_of(store, subject)
        found = {
            rule.title: rule.mask(store, subject, smoothing=smoothing),
            "the whole brain": _flair(store, subject) != 0,
        }
        rows += [{"rule": name, "subject": subject, **score_mask(mask, truth)} for name, mask in found.items()]
    return pd.DataFrame(rows)


def _flair(store: ImageStore, subject: str) -> np.ndarray:
    image: np.ndarray = store.images[store.rows([subject])[0], store.channels(["flair"])[0]].cpu().numpy()
    return image


# What follows the network

AS_PUBLISHED = "as published"
STEPS: tuple[str, ...] = (
    "network alone", "and largest region of each slice", AS_PUBLISHED, "as published, threshold for the natural share",
    "reference seen on the network's grid", "a score for every pixel", "a score for every pixel, natural share",
)  # fmt: skip
"""Rows of :func:`step_scores`."""


def natural_share(store: ImageStore, subjects: Sequence[str]) -> float:
    """Share of the brain's voxels that are tumour, all patients together."""
    tumour = sum(int(truth_of(store, subject).sum()) for subject in subjects)
    return tumour / sum(int((_flair(store, subject) != 0).sum()) for subject in subjects)


def step_scores(
    model: TumourNetwork, store: ImageStore, subjects: Sequence[str], *, natural: float, dense: Sequence[str]
) -> pd.DataFrame:
    """What each step behind the network does, one row a ``step`` and ``subject``.

    *As published* is bicubic interpolation, a probability above one half, the largest region of each slice and the box
    filter. A threshold for the natural share undoes the selection of patches (:func:`prior_threshold`). A score for
    every pixel takes the interpolation out. The reference on the network's grid is what interpolation leaves of the
    truth, known on every fourth pixel.

    Args:
        model: trained on two classes.
        store: what the network wants.
        subjects: patients.
        natural: share of tumour in the brain, from training patients.
        dense: those patients for whom every pixel gets a score, which takes sixteen times as long.
    """
    threshold = prior_threshold(trained=model.tumour_share, natural=natural)
    stride = model.network.geometry("output").stride
    rows = []
    for subject in subjects:
        image, truth = image_of(model, store, subject), truth_of(store, subject)
        brain = (image != 0).any(dim=0).cpu().numpy()

        def processed(p: np.ndarray, t: float, brain: Mask = brain) -> Mask:
            return post_process(p > t, smoothing=model.smoothing, brain=brain)

        cubic = tumour_probability(model, image).numpy()
        masks = [
            cubic > 0.5, largest_per_slice(cubic > 0.5), processed(cubic, 0.5), processed(cubic, threshold),
            seen_on_grid(truth, stride=stride),
        ]  # fmt: skip
        if subject in dense:
            every = tumour_probability(model, image, output="dense").numpy()
            masks += [processed(every, 0.5), processed(every, threshold)]
        rows += [
            {"step": step, "subject": subject, **score_mask(mask, truth)}
            for step, mask in zip(STEPS, masks, strict=False)
        ]
    return pd.DataFrame(rows)


def seen_on_grid(mask: Mask, *, stride: int) -> Mask:
    """A mask ``(X, Y, Z)`` known on every ``stride``-th pixel of its slices, interpolated bicubically in between."""
    x, y = mask.shape[:2]
    padded = functional.pad(torch.from_numpy(mask).float(), (0, 0, 0, -y % stride + 1, 0, -x % stride + 1))
    grid = enlarge(padded[::stride, ::stride].movedim(2, 0)[:, None], stride=stride)[:, 0, :x, :y]
    return np.asarray(grid.movedim(0, 2).numpy() > 0.5)


# Normalisation


def normalisation_scores(
    store: ImageStore,
    train: Sequence[str],
    subjects: Sequence[str],
    *,
    modalities: Sequence[str],
    recipe: Recipe,
    seed: int,
    known: Training | None = None,
) -> pd.DataFrame:
    """The same training with every reading of the paper's normalisation, one row a ``normalisation`` and ``subject``.

    Args:
        store: images as prepared, with their local means.
        train, subjects: patients to learn from and to segment.
        modalities, recipe, seed: of the trainings.
        known: a training with the recipe and seed, which is not repeated.
    """
    part = store.subset([*train, *subjects])
    rows = []
    for kind in NORMALISATIONS:
        own = network_input(part, kind, patch=recipe.patch)
        if known is not None and known.recipe.normalisation == kind:
            run = known
        else:
            run = train_network(
                own, train, modalities=modalities, recipe=replace(recipe, normalisation=kind), seed=seed,
                name=f"normalisation {kind}",
            )  # fmt: skip
        rows.append(score_network(run.model, own, subjects).assign(normalisation=kind))
    return pd.concat(rows, ignore_index=True)


class Equality(NamedTuple):
    """A whole slice against its patches.

    - ``difference``: largest difference of the probabilities, 0 to 1.
    - ``patches``: compared.
    - ``whole``, ``one_by_one``: seconds.
    """

    difference: float
    patches: int
    whole: float
    one_by_one: float


def compare_with_patches(model: TumourNetwork, store: ImageStore, subject: str) -> Equality:
    """Run the slice with most tumour at once and patch by patch, in full precision, and compare.

    Raises:
        RadlibError: for a network whose patches were each normalised by themselves.
    """
    if model.scaling.kind == "patch":
        raise RadlibError("this network can only be run patch by patch", remedy="choose another normalisation")
    device = pick_device()
    network = model.network.to(device).eval()
    z = int(truth_of(store, subject).sum(axis=(0, 1)).argmax())
    slices = image_of(model, store, subject)[None, :, :, :, z].to(device)
    found, seconds = [], []
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for patchwise in (False, True):
            start = time.monotonic()
            found.append(coarse_probability(network, model.scaling, slices, patchwise=patchwise).cpu())
            seconds.append(time.monotonic() - start)
    run = found[1] > 0  # patches without brain in their middle are not run
    return Equality(float((found[0] - found[1])[run].abs().max()), int(run.sum()), *seconds)


def feature_times(training: Training, store: ImageStore, subjects: Sequence[str], *, seed: int) -> dict[str, float]:
    """Seconds a patient for the answers of the last convolution at the paper's ten scales, and for their Fisher vector.

    Args:
        training: whose network.
        store: what the network wants.
        subjects: patients with tumour; the first gives the dictionary, whose fit is not timed.
        seed: of the dictionary.

    Returns:
        ``descriptors`` and ``encoding``, both with all tumour slices and cells, and ``cells`` a filter.
    """
    model = training.model
    layer, encoding = model.network.conv_names[-1], deep.Encoding(sampling=Sampling(where="box"))
    fitted = deep.fit_dictionaries(model, store, subjects[:1], layers=[layer], encoding=encoding, seed=seed)
    arms = {layer: (layer, fitted[layer])}
    return deep.encode(model, store, subjects, arms=arms, encoding=encoding, seed=seed)[1]


def histories(outcomes: Mapping[str, Outcome]) -> dict[str, pd.DataFrame]:
    """Course of the first training of every variant, by title."""
    return {outcome.title: outcome.runs[0].fitted.history for outcome in outcomes.values()}
