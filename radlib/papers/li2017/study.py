"""Jobs of the tumour CNN of Li 2017: the networks of Figure 1(a), and what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.device import pick_device
from radlib.core.seeds import named_seed, rng
from radlib.data.cohort import Cohort
from radlib.data.splits import Split, k_fold
from radlib.data.store import ImageStore
from radlib.nn.baselines2d import basic_unet
from radlib.nn.device import device_of
from radlib.papers.li2017.data import (
    MODALITIES,
    Mask,
    Normalisation,
    PatchSampler,
    Patients,
    Scaling,
    Second,
    divide,
    encoder_patients,
    first_cohort,
    fit_scaling,
    flair_of,
    natural_share,
    second_cohort,
    truth_of,
)
from radlib.papers.li2017.networks import Padding, TumourCNN
from radlib.papers.li2017.segmentation import (
    TumourNetwork,
    largest_per_slice,
    post_process,
    prior_threshold,
    score_network,
    score_rows,
    seen_on_grid,
    tumour_probability,
)
from radlib.stats.segmentation import dice
from radlib.study.cohorts import Images
from radlib.study.jobs import Job, job
from radlib.study.store import Result, Work
from radlib.training.inference import predict_slices
from radlib.training.players import Trained
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import fit


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes and hyper-parameters of one training.

    Attributes:
        convolutions, filters, neurons, patch, dropout, padding: of the network.
        tumour_share: of the patches.
        normalisation: of the patches, see :mod:`radlib.papers.li2017.data`.
        steps, batch_size: length.
        learning_rate, momentum, weight_decay, schedule, clip_norm: of SGD.
        evaluations: how often loss and accuracy on unseen patches are measured.
        threshold: ``half`` takes a probability above one half for tumour; ``natural`` undoes the share of tumour
            patches by Bayes' rule, with the share of tumour in the brains of the training patients; ``dice`` takes
            the one with the best mean DSC of training patients.
        n_calibrated: training patients for that.
        smoothing: edge of the 3D box that smooths the segmentation, voxels.
        precision: of training and inference.
    """

    convolutions: int = 6
    filters: tuple[int, int] = (16, 32)
    neurons: int = 256
    patch: int = 33
    dropout: float = 0.5
    padding: Padding = "valid"
    tumour_share: float = 0.4
    normalisation: Normalisation = "training"
    steps: int = 240
    batch_size: int = 64
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "one_cycle"
    clip_norm: float | None = 1.0
    evaluations: int = 8
    threshold: Literal["half", "natural", "dice"] = "dice"
    n_calibrated: int = 12
    smoothing: int = 3
    precision: Precision = "auto"

    def network(self, modalities: int) -> TumourCNN:
        """A new network, its weights drawn from torch's generator."""
        return TumourCNN(
            modalities, self.convolutions, filters=self.filters, neurons=self.neurons, patch=self.patch,
            dropout=self.dropout, padding=self.padding,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One network of the paper.

    Attributes:
        convolutions: 4 or 6.
        wide: whether it has the larger number of neurons.
        modalities: its channels.
        cohort: whose patients it is trained and tested on.
    """

    convolutions: int = 6
    wide: bool = True
    modalities: tuple[str, ...] = MODALITIES[:1]
    cohort: Literal["first", "second"] = "first"

    @property
    def name(self) -> str:
        """Such as ``conv6_wide_flair``."""
        return f"conv{self.convolutions}_{'wide' if self.wide else 'narrow'}_{'_'.join(self.modalities)}"

    def title(self, neurons: Sequence[int]) -> str:
        """As it is called in tables and figures, for these numbers of neurons (narrow, wide)."""
        names = " + ".join({"flair": "FLAIR", "t1ce": "T1c"}[name] for name in self.modalities)
        return f"{self.convolutions} conv., {neurons[self.wide]} neurons, {names}"


VARIANTS: dict[str, Variant] = {
    "conv4_narrow": Variant(convolutions=4, wide=False),
    "conv6_narrow": Variant(wide=False),
    "conv4_wide": Variant(convolutions=4),
    "conv6_wide": Variant(),
    "multiple": Variant(modalities=MODALITIES),
}
"""Figure 1(a): from the network that the paper starts from (4 convolutions, 256 neurons, FLAIR) to its own."""

SECOND = Variant(cohort="second")
"""The network for FLAIR whose features the paper takes: "built using the second cohort"."""

CHANGES: dict[str, tuple[str, str]] = {
    "deeper (narrow)": ("conv6_narrow", "conv4_narrow"), "deeper (wide)": ("conv6_wide", "conv4_wide"),
    "wider (4 conv.)": ("conv4_wide", "conv4_narrow"), "wider (6 conv.)": ("conv6_wide", "conv6_narrow"),
    "deeper and wider": ("conv6_wide", "conv4_narrow"), "T1c added": ("multiple", "conv6_wide"),
}  # fmt: skip
"""What the paper changes: arms after and before."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Patients and images: what all networks of the chapters share.

    Attributes:
        images: of the cohort, with both modalities.
        n_train: training patients of a cohort; the others are tested.
        seed: of the division and of all trainings.
        second: who of the first cohort is also in the second.
        n_folds: folds by patient in which segmentation is tested, instead of one division; 0 for one division.
    """

    images: Images
    n_train: int
    seed: int
    second: Second = "share"
    n_folds: int = 0

    def cohort(self) -> Cohort:
        """The patients with FLAIR and a segmentation."""
        return self.images.source.open().complete("flair", "seg")

    def store(self) -> ImageStore:
        """Their images."""
        return self.images.open(tuple(self.cohort().ids))

    def split(self, cohort: Literal["first", "second"] = "first") -> Split:
        """Training and test patients of one of the paper's cohorts."""
        everyone = self.cohort()
        ids = (
            first_cohort(everyone) if cohort == "first"
            else second_cohort(everyone.participants, second=self.second, seed=self.seed)
        )  # fmt: skip
        return divide(everyone, ids, n_train=self.n_train, seed=self.seed)

    def tests(self, modalities: Sequence[str], *, cohort: Literal["first", "second"] = "first") -> list[Split]:
        """The divisions in which a segmentation is tested: one, or folds of all patients with these modalities.

        With other modalities a patient stays in the same fold.
        """
        if not self.n_folds:
            return [self.split(cohort)]
        people = self.cohort().participants
        has = set(people.index[people[list(modalities)].notna().all(axis=1)])
        return [
            Split(name=fold.name, train=tuple(s for s in fold.train if s in has),
                  test=tuple(s for s in fold.test if s in has))
            for fold in k_fold([str(one) for one in people.index], n_folds=self.n_folds, seed=self.seed)
        ]  # fmt: skip

    def known(self) -> Cohort:
        """The patients with FLAIR, a segmentation and IDH status."""
        return self.images.source.open().complete("flair", "seg", "idh")

    def patients(self, *, n_encoder: int) -> Patients:
        """Who of them belongs to what; ``n_encoder`` patients fit each dictionary."""
        table = self.known().participants
        first = tuple(str(subject) for subject in table.index[table["t1ce"].notna()])
        second = tuple(second_cohort(table, second=self.second, seed=self.seed))
        trained, single = self.split("first").train, self.split("second").train
        return Patients(
            first=first, second=second, trained=trained, trained_single=single,
            encoder=encoder_patients(first, trained=trained, n=n_encoder, seed=self.seed),
            encoder_single=encoder_patients(second, trained=single, n=n_encoder, seed=self.seed),
        )  # fmt: skip


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


def train_network(
    store: ImageStore,
    train: Sequence[str],
    *,
    modalities: Sequence[str],
    recipe: Recipe,
    seed: int,
    name: str,
    monitor: Sequence[str] = (),
    folder: Path | None = None,
) -> tuple[TumourNetwork, Trained]:
    """Train the CNN on patches by SGD with cross-entropy.

    Args:
        store: images, standardised within the brain.
        train: patients to learn from.
        modalities: channels.
        recipe: sizes and hyper-parameters.
        seed: of weights, patches and dropout. Networks with the same seed and patch see the same patches.
        name: shown with the progress.
        monitor: other patients, on whose patches loss and accuracy are shown; they decide nothing.
        folder: for checkpoints.
    """

    def sampler_of(ids: Sequence[str]) -> PatchSampler:
        return PatchSampler(store, ids, modalities=modalities, patch=recipe.patch, tumour_share=recipe.tumour_share)

    sampler = sampler_of(train)
    scaling = fit_scaling(sampler, kind=recipe.normalisation, seed=seed)
    unseen = sampler_of(monitor).draw(256, rng(seed, "monitor")) if len(monitor) else None

    def batch(step: int, _: np.random.Generator) -> dict[str, Tensor]:
        patches, classes = sampler.draw(recipe.batch_size, rng(seed, "patches", step))
        return {"patches": scaling(patches), "classes": classes}

    def validate(network: nn.Module) -> dict[str, float]:
        assert unseen is not None
        device = device_of(network)
        losses = patch_loss(network, {"patches": scaling(unseen[0]).to(device), "classes": unseen[1].to(device)})
        return {key: float(value) for key, value in losses.items()}

    torch.manual_seed(named_seed(seed, "weights"))
    made = recipe.network(len(modalities))
    fitted = fit(
        made, batch=batch, loss=patch_loss, seed=seed, name=name, folder=folder,
        optimizer=OptimizerSettings(
            kind="sgd", learning_rate=recipe.learning_rate, momentum=recipe.momentum,
            weight_decay=recipe.weight_decay, schedule=recipe.schedule,  # type: ignore[arg-type]
        ),
        validate=None if unseen is None else validate,
        loop=LoopSettings(
            steps=recipe.steps, log_every=max(1, recipe.steps // 40), clip_norm=recipe.clip_norm,
            validate_every=max(1, recipe.steps // recipe.evaluations), checkpoint_every=max(200, recipe.steps // 20),
            precision=recipe.precision, channels_last=True,
        ),
    )  # fmt: skip
    model = TumourNetwork(
        network=made.eval(), modalities=tuple(modalities), scaling=scaling, smoothing=recipe.smoothing,
        tumour_share=recipe.tumour_share, precision=recipe.precision,
    )  # fmt: skip
    if recipe.threshold == "natural":
        natural = prior_threshold(trained=recipe.tumour_share, natural=natural_share(store, train))
        model = replace(model, threshold=natural)
    elif recipe.threshold == "dice":
        model = replace(model, threshold=calibrated_threshold(model, store, train[: recipe.n_calibrated]))
    return model, fitted


def patch_loss(network: nn.Module, data: dict[str, Tensor]) -> dict[str, Tensor]:
    """Cross-entropy of the middle pixels' classes, the only loss of the paper; ``accuracy`` is shown beside it.

    Args:
        network: patches to scores.
        data: ``patches`` ``(B, C, 33, 33)``, normalised, and ``classes`` ``(B,)``, 1 for tumour.
    """
    scores = network(data["patches"]).flatten(1).float()
    right = (scores.argmax(dim=1) == data["classes"]).float().mean()
    return {"loss": functional.cross_entropy(scores, data["classes"]), "accuracy": right}


def calibrated_threshold(model: TumourNetwork, store: ImageStore, train: Sequence[str]) -> float:
    """The probability with the best mean DSC on training patients, behind the morphology: 0.5 to 0.98 by odds.

    The network was trained on more tumour than brains hold, so one half is too low; Bayes' rule alone gives the
    threshold with the fewest wrong voxels, which is too high for the DSC.
    """
    thresholds = 1 / (1 + np.exp(-np.arange(0.0, 4.1, 0.25)))
    found = np.zeros(len(thresholds))
    for subject in train:
        image, truth = store.subject(subject).take(model.modalities), truth_of(store, subject)
        brain, probability = (image != 0).any(dim=0).cpu().numpy(), tumour_probability(model, image).numpy()
        found += [
            dice(post_process(probability > one, smoothing=model.smoothing, brain=brain), truth) for one in thresholds
        ]
    return float(thresholds[int(found.argmax())])


def describe_network(model: TumourNetwork) -> dict[str, Any]:
    """What besides the weights is needed to apply a network, as plain values."""
    fields = ("modalities", "threshold", "smoothing", "tumour_share", "precision")
    about = {name: getattr(model, name) for name in fields}
    return about | {"network": model.network.settings, "scaling": model.scaling.as_dict()}


def tumour_network(found: Result) -> TumourNetwork:
    """The network of a job :func:`network`, in evaluation mode."""
    about = dict(found.notes["model"])
    made = TumourCNN(**about.pop("network"))
    found.load("network", made)
    scaling = about.pop("scaling")
    return TumourNetwork(
        network=made.eval(), modalities=tuple(about.pop("modalities")),
        scaling=Scaling(kind=scaling["kind"], mean=tuple(scaling["mean"]), std=tuple(scaling["std"])), **about,
    )  # fmt: skip


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
