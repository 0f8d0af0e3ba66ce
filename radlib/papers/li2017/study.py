"""Jobs of the tumour CNN of Li 2017: the networks of Figure 1(a), and what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.device import pick_device
from radlib.core.seeds import named_seed, rng
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.nn.baselines2d import basic_unet
from radlib.papers.li2017.data import (
    MODALITIES,
    Mask,
    flair_of,
    natural_share,
    truth_of,
)
from radlib.papers.li2017.recipes import SECOND, VARIANTS, Recipe, Setting, Variant
from radlib.papers.li2017.segmentation import (
    largest_per_slice,
    post_process,
    prior_threshold,
    score_network,
    score_rows,
    seen_on_grid,
    tumour_probability,
)
from radlib.papers.li2017.training import describe_network, train_network, tumour_network
from radlib.stats.segmentation import dice
from radlib.study.jobs import Job, job
from radlib.study.store import Work
from radlib.training.inference import predict_slices
from radlib.training.players import Trained
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit

# The paper's network


@job
def network(work: Work, *, setting: Setting, variant: Variant, recipe: Recipe, run: int) -> None:
    """One training of a variant on one division of the patients, and its scores on the test patients.

    Variants with the same modalities and cohort see the same patches in the same run.

    Args:
        work: keeps the network, see :func:`tumour_network`.
        setting: patients and images.
        variant: gives convolutions, modalities and the cohort.
        recipe: all else.
        run: number of the training; its seed follows from the setting's.
    """
    split, store = setting.split(variant.cohort), setting.store()
    model, fitted = train_network(
        store, split.train, modalities=variant.modalities, recipe=replace(recipe, convolutions=variant.convolutions),
        seed=named_seed(setting.seed, "run", run), monitor=split.test, name=f"{variant.name} run {run + 1}",
        folder=work.checkpoints(),
    )  # fmt: skip
    work.history(fitted.history)
    work.weights("network", model.network, keep=run == 0 and variant in (VARIANTS["multiple"], SECOND))
    work.scores(score_network(model, store, split.test))
    work.note(
        parameters=sum(one.numel() for one in model.network.parameters()), training_seconds=fitted.seconds,
        steps_per_second=fitted.steps_per_second, model=describe_network(model),
    )  # fmt: skip


@job
def folds(work: Work, *, setting: Setting, variant: Variant, recipe: Recipe, run: int) -> None:
    """As :func:`network` in every fold of the setting: each patient is segmented by a network that never saw it."""
    store, scores, courses = setting.store(), [], []
    for number, split in enumerate(setting.tests(variant.modalities)):
        model, fitted = train_network(
            store, split.train, modalities=variant.modalities,
            recipe=replace(recipe, convolutions=variant.convolutions),
            seed=named_seed(setting.seed, "run", run, number), monitor=split.test,
            name=f"{variant.name} run {run + 1} {split.name}", folder=work.checkpoints(split.name),
        )  # fmt: skip
        scores.append(score_network(model, store, split.test))
        courses.append(fitted.history)
    work.history(_mean_course(courses))
    work.scores(pd.concat(scores))
    work.note(parameters=sum(one.numel() for one in model.network.parameters()))


def _mean_course(courses: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean of the learning curves of the folds."""
    whole = pd.concat(courses)
    keys = [column for column in whole if not pd.api.types.is_float_dtype(whole[column])]
    return whole.groupby(keys, sort=False, as_index=False).mean()


def network_jobs(
    setting: Setting, recipe: Recipe, *, variant: Variant, neurons: Sequence[int], n_runs: int
) -> list[Job]:
    """The trainings of a variant; ``neurons`` are those of narrow and wide networks."""
    own, made = replace(recipe, neurons=neurons[variant.wide]), folds if setting.n_folds else network
    return [made(setting=setting, variant=variant, recipe=own, run=run) for run in range(n_runs)]


# What stands beside it


class FlairRule(NamedTuple):
    """Tumour is where FLAIR is bright.

    - ``threshold``: standard deviations above the mean of the brain.
    - ``dice``: mean DSC on the patients it was chosen on, before the morphology.
    """

    threshold: float
    dice: float

    def mask(self, store: ImageStore, subject: str, *, smoothing: int) -> Mask:
        """The rule's segmentation, with the same morphology as the networks'."""
        image = flair_of(store, subject)
        return post_process(image > self.threshold, smoothing=smoothing, brain=image != 0)


def fit_flair_rule(store: ImageStore, train: Sequence[str]) -> FlairRule:
    """The threshold with the best mean DSC on training patients, of 0 to 4 in steps of 0.1."""
    thresholds = np.arange(0, 4.05, 0.1)
    found = np.zeros(len(thresholds))
    for subject in train:
        image, truth = flair_of(store, subject), truth_of(store, subject)
        found += [dice(image > threshold, truth) for threshold in thresholds]
    best = int(found.argmax())
    return FlairRule(float(thresholds[best]), float(found[best] / max(len(train), 1)))


@job
def flair_rule(work: Work, *, setting: Setting, smoothing: int) -> None:
    """FLAIR above a threshold that is chosen on training patients, with the networks' morphology."""
    store, rows, cuts = setting.store(), [], []
    for split in setting.tests(MODALITIES[:1]):
        rule = fit_flair_rule(store, split.train)
        cuts.append(rule.threshold)
        for subject in split.test:
            rows += score_rows(subject, rule.mask(store, subject, smoothing=smoothing), truth_of(store, subject))
    work.scores(pd.DataFrame(rows))
    work.note(threshold=float(np.mean(cuts)))


@dataclass(frozen=True, kw_only=True)
class UNetRecipe:
    """A U-Net of today on the same patients.

    Attributes:
        widths: of the five levels of MONAI's BasicUNet.
        steps, batch_size: batches of axial slices, half of them with tumour.
        learning_rate: of Adam, falling to 0 along a cosine.
        smoothing: edge of the 3D box that smooths the segmentation, voxels.
    """

    widths: tuple[int, int, int, int, int] = (16, 16, 32, 64, 128)
    steps: int = 300
    batch_size: int = 8
    learning_rate: float = 0.002
    smoothing: int = 3


@job
def unet(work: Work, *, setting: Setting, modalities: tuple[str, ...], recipe: UNetRecipe, run: int) -> None:
    """MONAI's U-Net with Dice and cross-entropy, in the place of the paper's network, in every test division."""
    store, rows, courses = setting.store(), [], []
    for number, split in enumerate(setting.tests(modalities)):
        made, fitted = _train_unet(
            store, split, modalities, recipe, seed=named_seed(setting.seed, "run", run, number),
            name=f"U-Net run {run + 1} {split.name}", folder=work.checkpoints(split.name),
        )  # fmt: skip
        courses.append(fitted.history)
        for subject in split.test:
            image = store.subject(subject).take(modalities)
            brain = (image != 0).any(dim=0).cpu().numpy()
            found = predict_slices(made, image)[1].numpy() > 0.5
            mask = post_process(found, smoothing=recipe.smoothing, brain=brain)
            rows += score_rows(subject, mask, truth_of(store, subject))
    work.history(_mean_course(courses))
    work.scores(pd.DataFrame(rows))


def _train_unet(
    store: ImageStore,
    split: Split,
    modalities: Sequence[str],
    recipe: UNetRecipe,
    *,
    seed: int,
    name: str,
    folder: Path,
) -> tuple[nn.Module, Trained]:
    from monai.losses import DiceCELoss

    channels = store.channels(modalities)
    places = {where: store.slices(split.train, where=where) for where in ("tumour", "brain")}

    def batch(step: int, _: np.random.Generator) -> dict[str, Tensor]:
        generator = rng(seed, "slices", step)
        taken = []
        for where, count in (("tumour", recipe.batch_size // 2), ("brain", -(-recipe.batch_size // 2))):
            taken.append(places[where][generator.integers(len(places[where]), size=count)])
        images, labels = store.take_slices(torch.cat(taken))
        images, masks = images[:, channels], (labels > 0).long()[:, None]
        for axis in (2, 3):  # mirrored slices, one in two
            mirrored = torch.from_numpy(generator.random(len(images)) < 0.5).to(images.device)[:, None, None, None]
            images = torch.where(mirrored, images.flip(axis), images)
            masks = torch.where(mirrored, masks.flip(axis), masks)
        return {"images": images, "masks": masks}

    criterion = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)

    def loss(network: nn.Module, data: dict[str, Tensor]) -> Tensor:
        value: Tensor = criterion(network(data["images"]).float(), data["masks"])
        return value

    torch.manual_seed(named_seed(seed, "weights"))
    made = basic_unet(len(modalities), 2, widths=recipe.widths)
    fitted = fit(
        made, batch=batch, loss=loss, seed=seed, name=name, folder=folder,
        optimizer=OptimizerSettings(kind="adam", learning_rate=recipe.learning_rate, schedule="cosine"),
        loop=LoopSettings(
            steps=recipe.steps, log_every=max(1, recipe.steps // 40), clip_norm=1.0,
            checkpoint_every=max(200, recipe.steps // 5), channels_last=True,
        ),
    )  # fmt: skip
    return made.eval().to(pick_device()), fitted


# What follows the network

STEPS: dict[str, str] = {
    "alone": "network alone, above one half",
    "region": "and largest region of each slice",
    "half": "and box filter",
    "natural": "the same, threshold for the natural share",
    "calibrated": "the same, threshold calibrated on training patients",
    "grid": "reference seen on the network's grid",
    "dense": "a score for every pixel, calibrated threshold",
}
"""Arms of :func:`steps` and their titles."""


@job
def steps(work: Work, *, setting: Setting, trained: Job, n_dense: int) -> None:
    """What each step behind a network does (column ``step``, :data:`STEPS`), on its test patients.

    A threshold for the natural share undoes the selection of patches (:func:`prior_threshold`); the calibrated one is
    the network's own. The reference on the network's grid is what interpolation leaves of the truth, known on every
    fourth pixel. A score for every pixel takes the interpolation out, and sixteen times as long: for the first
    ``n_dense`` test patients.
    """
    split, store, model = setting.split(), setting.store(), tumour_network(trained.result())
    natural = natural_share(store, split.train)
    threshold = prior_threshold(trained=model.tumour_share, natural=natural)
    rows: list[dict[str, object]] = []
    for number, subject in enumerate(split.test):
        image, truth = store.subject(subject).take(model.modalities), truth_of(store, subject)
        brain = (image != 0).any(dim=0).cpu().numpy()

        def processed(p: np.ndarray, t: float, brain: Mask = brain) -> Mask:
            return post_process(p > t, smoothing=model.smoothing, brain=brain)

        cubic = tumour_probability(model, image).numpy()
        masks = [
            cubic > 0.5, largest_per_slice(cubic > 0.5), processed(cubic, 0.5), processed(cubic, threshold),
            processed(cubic, model.threshold), seen_on_grid(truth, stride=model.network.geometry("output").stride),
        ]  # fmt: skip
        if number < n_dense:
            masks.append(processed(tumour_probability(model, image, output="dense").numpy(), model.threshold))
        for step, mask in zip(STEPS, masks, strict=False):
            rows += score_rows(subject, mask, truth, step=step)
    work.scores(pd.DataFrame(rows))
    work.note(natural=natural)
