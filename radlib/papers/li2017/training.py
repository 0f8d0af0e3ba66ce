"""Training of the tumour CNN on patches, and the network that is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.seeds import named_seed, rng
from radlib.data.store import ImageStore
from radlib.nn.device import device_of
from radlib.papers.li2017.data import (
    PatchSampler,
    Scaling,
    fit_scaling,
    natural_share,
    truth_of,
)
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.recipes import Recipe
from radlib.papers.li2017.segmentation import (
    TumourNetwork,
    post_process,
    prior_threshold,
    tumour_probability,
)
from radlib.stats.segmentation import dice
from radlib.study.store import Result
from radlib.training.players import Trained
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit


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
