"""Jobs of the tumour CNN of Li 2017: trainings of the networks of Figure 1(a)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.seeds import named_seed, rng
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.nn.device import device_of
from radlib.papers.li2017.data import (
    MODALITIES,
    Normalisation,
    PatchSampler,
    Scaling,
    divide,
    fit_scaling,
    natural_share,
)
from radlib.papers.li2017.networks import Padding, TumourCNN
from radlib.papers.li2017.segmentation import TumourNetwork, network_input, prior_threshold, score_network
from radlib.study.cohorts import Images
from radlib.study.jobs import Job, job
from radlib.study.store import Result, Work
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
            patches by Bayes' rule, with the share of tumour in the brains of the training patients.
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
    threshold: Literal["half", "natural"] = "natural"
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
    """One network of Figure 1(a).

    Attributes:
        convolutions: 4 or 6.
        wide: whether it has the larger number of neurons.
        modalities: its channels.
    """

    convolutions: int
    wide: bool
    modalities: tuple[str, ...] = MODALITIES[:1]

    @property
    def name(self) -> str:
        """Such as ``conv6_wide_flair``."""
        return f"conv{self.convolutions}_{'wide' if self.wide else 'narrow'}_{'_'.join(self.modalities)}"

    def title(self, neurons: Sequence[int]) -> str:
        """As it is called in tables and figures, for these numbers of neurons (narrow, wide)."""
        names = " + ".join({"flair": "FLAIR", "t1ce": "T1ce"}[name] for name in self.modalities)
        return f"{self.convolutions} conv., {neurons[self.wide]} neurons, {names}"


VARIANTS: dict[str, Variant] = {
    "conv4_narrow": Variant(convolutions=4, wide=False),
    "conv6_narrow": Variant(convolutions=6, wide=False),
    "conv4_wide": Variant(convolutions=4, wide=True),
    "conv6_wide": Variant(convolutions=6, wide=True),
    "multiple": Variant(convolutions=6, wide=True, modalities=MODALITIES),
}
"""Figure 1(a): from the network that the paper starts from (4 convolutions, 256 neurons, FLAIR) to its own."""

CHANGES: dict[str, tuple[str, str]] = {
    "deeper (narrow)": ("conv6_narrow", "conv4_narrow"), "deeper (wide)": ("conv6_wide", "conv4_wide"),
    "wider (4 conv.)": ("conv4_wide", "conv4_narrow"), "wider (6 conv.)": ("conv6_wide", "conv6_narrow"),
    "deeper and wider": ("conv6_wide", "conv4_narrow"), "T1ce added": ("multiple", "conv6_wide"),
}  # fmt: skip
"""What the paper changes: arms after and before."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Patients and images: what all networks of the chapters share.

    Attributes:
        images: of the cohort, with both modalities.
        n_train: training patients of the first cohort; the others are tested.
        seed: of the division and of all trainings.
    """

    images: Images
    n_train: int
    seed: int

    def split(self) -> Split:
        """Training and test patients."""
        return divide(self.images.source.open(), n_train=self.n_train, seed=self.seed)

    def store(self) -> ImageStore:
        """The images of both."""
        split = self.split()
        return self.images.open((*split.train, *split.test))


@job
def network(
    work: Work, *, setting: Setting, variant: Variant, recipe: Recipe, run: int, n_tested: int | None = None
) -> None:
    """One training of a variant, and its scores on test patients.

    Variants with the same modalities see the same patches in the same run.

    Args:
        work: keeps the network, see :func:`tumour_network`.
        setting: patients and images.
        variant: gives the convolutions.
        recipe: all else.
        run: number of the training; its seed follows from the setting's.
        n_tested: the first so many test patients are segmented; all where None.
    """
    split = setting.split()
    store = network_input(setting.store(), recipe.normalisation, patch=recipe.patch)
    recipe = replace(recipe, convolutions=variant.convolutions)
    seed = named_seed(setting.seed, "run", run)
    model, fitted = train_network(
        store, split.train, modalities=variant.modalities, recipe=recipe, seed=seed, monitor=split.test,
        name=f"{variant.name} run {run + 1}", folder=work.checkpoints(),
    )  # fmt: skip
    work.history(fitted.history)
    work.weights("network", model.network, keep=run == 0 and variant.wide and recipe.normalisation == "training")
    work.scores(score_network(model, store, split.test[:n_tested]))
    work.note(
        parameters=sum(one.numel() for one in model.network.parameters()), training_seconds=fitted.seconds,
        steps_per_second=fitted.steps_per_second, peak_memory=fitted.peak_memory, model=describe_network(model),
    )  # fmt: skip


def network_jobs(
    setting: Setting, recipe: Recipe, *, arm: str, neurons: Sequence[int], n_runs: int, n_tested: int | None = None
) -> list[Job]:
    """The trainings of an arm of :data:`VARIANTS`; ``neurons`` are those of narrow and wide networks."""
    variant = VARIANTS[arm]
    own = replace(recipe, neurons=neurons[variant.wide])
    return [network(setting=setting, variant=variant, recipe=own, run=run, n_tested=n_tested) for run in range(n_runs)]


def train_network(
    store: ImageStore,
    train: Sequence[str],
    *,
    modalities: Sequence[str],
    recipe: Recipe,
    seed: int,
    name: str,
    monitor: Sequence[str] = (),
    start: TumourNetwork | None = None,
    folder: Path | None = None,
) -> tuple[TumourNetwork, Trained]:
    """Train the CNN on patches by SGD with cross-entropy.

    Args:
        store: images, standardised within the brain, without local means where the recipe says ``local``.
        train: patients to learn from.
        modalities: channels.
        recipe: sizes and hyper-parameters.
        seed: of weights, patches and dropout. Networks with the same seed and patch see the same patches.
        name: shown with the progress.
        monitor: other patients, on whose patches loss and accuracy are shown; they decide nothing.
        start: a network to go on with, with its weights and scaling; it is left as it is.
        folder: for checkpoints.
    """

    def sampler_of(ids: Sequence[str]) -> PatchSampler:
        return PatchSampler(store, ids, modalities=modalities, patch=recipe.patch, tumour_share=recipe.tumour_share)

    sampler = sampler_of(train)
    scaling = fit_scaling(sampler, kind=recipe.normalisation, seed=seed) if start is None else start.scaling
    unseen: tuple[Tensor, Tensor] | None = None
    if len(monitor):
        unseen = sampler_of(monitor).draw(256, rng(seed, "monitor"))

    def batch(step: int, _: np.random.Generator) -> dict[str, Tensor]:
        patches, classes = sampler.draw(recipe.batch_size, rng(seed, "patches", step))
        return {"patches": scaling(patches), "classes": classes}

    def loss(network: nn.Module, data: dict[str, Tensor]) -> dict[str, Tensor]:
        scores = network(data["patches"]).flatten(1).float()
        right = (scores.argmax(dim=1) == data["classes"]).float().mean()
        return {"loss": functional.cross_entropy(scores, data["classes"]), "accuracy": right}

    def validate(network: nn.Module) -> dict[str, float]:
        assert unseen is not None
        device = device_of(network)
        losses = loss(network, {"patches": scaling(unseen[0]).to(device), "classes": unseen[1].to(device)})
        return {key: float(value) for key, value in losses.items()}

    torch.manual_seed(named_seed(seed, "weights"))
    made = recipe.network(len(modalities))
    if start is not None:
        made.load_state_dict(start.network.state_dict())
    fitted = fit(
        made, batch=batch, loss=loss, seed=seed, name=name, folder=folder,
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
    threshold = 0.5
    if recipe.threshold == "natural":
        threshold = prior_threshold(trained=recipe.tumour_share, natural=natural_share(store, train))
    model = TumourNetwork(
        network=made.eval(), modalities=tuple(modalities), scaling=scaling, threshold=threshold,
        smoothing=recipe.smoothing, tumour_share=recipe.tumour_share, precision=recipe.precision,
    )  # fmt: skip
    return model, fitted


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
