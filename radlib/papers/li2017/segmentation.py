"""The tumour CNN of Li 2017: trained on patches, applied to whole slices, and what follows the network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import MissingDataError
from radlib.core.seeds import named_seed, rng
from radlib.data.cohort import Cohort
from radlib.data.regions import region_mask
from radlib.data.splits import Split, hold_out
from radlib.data.store import ImageStore
from radlib.papers.li2017.networks import Padding, TumourCNN
from radlib.papers.li2017.patches import Normalisation, PatchSampler, Scaling, fit_scaling, without_local_mean
from radlib.papers.li2017.segmentation_slices import Mask, TumourNetwork, post_process, tumour_probability
from radlib.stats.segmentation import dice, ppv, sensitivity
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import Fitted, fit
from radlib.training.weights import load_weights, read_metadata, save_weights

MODALITIES: tuple[str, ...] = ("flair", "t1ce")
"""Those of the first cohort; the network for one modality takes the first."""

METRICS: tuple[str, ...] = ("dice", "ppv", "sensitivity")
"""As the paper evaluates a segmentation."""


def first_cohort(cohort: Cohort) -> list[str]:
    """Patients with FLAIR, contrast-enhanced T1 and a segmentation: the paper's first cohort.

    Raises:
        MissingDataError: if there are fewer than three.
    """
    whole = cohort.participants[[*MODALITIES, "seg"]].notna().all(axis=1)
    ids = [str(subject) for subject in cohort.participants.index[whole]]
    if len(ids) < 3:
        raise MissingDataError(
            f"{len(ids)} patient(s) of cohort {cohort.name!r} have FLAIR, contrast-enhanced T1 and a segmentation",
            remedy="describe a cohort with at least three",
        )
    return ids


def divide(cohort: Cohort, *, n_train: int, seed: int) -> Split:
    """Training and test patients of the first cohort, each with its share of the IDH classes where they are known.

    Args:
        cohort: with at least three patients of the first cohort.
        n_train: training patients, 60 of 119 in the paper.
        seed: the shuffle.

    Raises:
        MissingDataError: if nobody would be left to test.
    """
    ids = first_cohort(cohort)
    if not 0 < n_train < len(ids):
        raise MissingDataError(
            f"{n_train} training patients out of {len(ids)}", remedy="leave at least one on either side"
        )
    return hold_out(ids, test=len(ids) - n_train, seed=seed, stratify=cohort.participants.loc[ids, "idh"])


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes and hyper-parameters of one training.

    Attributes:
        convolutions, filters, neurons, patch, dropout, padding: of the network.
        tumour_share: of the patches.
        normalisation: of the patches, see :mod:`radlib.papers.li2017.patches`.
        steps, batch_size: length.
        learning_rate, momentum, weight_decay, schedule, clip_norm: of SGD.
        evaluations: how often loss and accuracy on unseen patches are measured.
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
    smoothing: int = 3
    precision: Precision = "auto"

    def network(self, modalities: int) -> TumourCNN:
        """A new network, its weights drawn from torch's generator."""
        return TumourCNN(
            modalities, self.convolutions, filters=self.filters, neurons=self.neurons, patch=self.patch,
            dropout=self.dropout, padding=self.padding,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training: the network, its course, and on whom."""

    model: TumourNetwork
    fitted: Fitted
    recipe: Recipe
    train: tuple[str, ...]
    seed: int


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
) -> Training:
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
    options = {"modalities": modalities, "patch": recipe.patch, "tumour_share": recipe.tumour_share}
    sampler = PatchSampler(store, train, **options)  # type: ignore[arg-type]
    scaling = fit_scaling(sampler, kind=recipe.normalisation, seed=seed) if start is None else start.scaling
    unseen: tuple[Tensor, Tensor] | None = None
    if len(monitor):
        unseen = PatchSampler(store, monitor, **options).draw(256, rng(seed, "monitor"))  # type: ignore[arg-type]

    def batch(step: int, _: np.random.Generator) -> dict[str, Tensor]:
        patches, classes = sampler.draw(recipe.batch_size, rng(seed, "patches", step))
        return {"patches": scaling(patches), "classes": classes}

    def loss(network: nn.Module, data: dict[str, Tensor]) -> dict[str, Tensor]:
        scores = network(data["patches"]).flatten(1).float()
        right = (scores.argmax(dim=1) == data["classes"]).float().mean()
        return {"loss": functional.cross_entropy(scores, data["classes"]), "accuracy": right}

    def validate(network: nn.Module) -> dict[str, float]:
        assert unseen is not None
        device = next(network.parameters()).device
        losses = loss(network, {"patches": scaling(unseen[0]).to(device), "classes": unseen[1].to(device)})
        return {key: float(value) for key, value in losses.items()}

    torch.manual_seed(named_seed(seed, "weights"))
    network = recipe.network(len(modalities))
    if start is not None:
        network.load_state_dict(start.network.state_dict())
    fitted = fit(
        network, batch=batch, loss=loss, seed=seed, name=name, folder=folder,
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
        identity={
            **asdict(recipe), "modalities": list(modalities), "train": list(train), "from scratch": start is None,
        },
    )  # fmt: skip
    model = TumourNetwork(
        network=network, modalities=tuple(modalities), scaling=scaling, smoothing=recipe.smoothing,
        tumour_share=recipe.tumour_share, precision=recipe.precision,
    )  # fmt: skip
    return Training(model=model, fitted=fitted, recipe=recipe, train=tuple(train), seed=seed)


# Application


def image_of(model: TumourNetwork, store: ImageStore, subject: str) -> Tensor:
    """The channels of a subject that a network takes, ``(C, X, Y, Z)``."""
    return store.images[store.rows([subject])[0], store.channels(model.modalities)]


def segment(model: TumourNetwork, store: ImageStore, subject: str) -> Mask:
    """The tumour of one subject of a store, ``(X, Y, Z)`` bool: probability above one half, post-processed.

    Args:
        model: a trained network.
        store: what the network wants as input, see :func:`network_input`.
        subject: whose.
    """
    image = image_of(model, store, subject)
    brain = (image != 0).any(dim=0).cpu().numpy()
    found = tumour_probability(model, image).numpy() > 0.5
    return post_process(found, smoothing=model.smoothing, brain=brain)


def truth_of(store: ImageStore, subject: str) -> Mask:
    """The reference: whole tumour, ``(X, Y, Z)`` bool."""
    return region_mask(store.labels[store.rows([subject])[0]].cpu().numpy(), "wt")


def score_mask(predicted: Mask, truth: Mask) -> dict[str, float]:
    """DSC, PPV and sensitivity of one subject; PPV is NaN for an empty prediction, sensitivity for an empty truth."""
    return {"dice": dice(predicted, truth), "ppv": ppv(predicted, truth), "sensitivity": sensitivity(predicted, truth)}


def score_network(
    model: TumourNetwork, store: ImageStore, subjects: Sequence[str], *, keep: dict[str, Mask] | None = None
) -> pd.DataFrame:
    """One row a subject: ``subject``, ``dice``, ``ppv``, ``sensitivity``, ``seconds``.

    Args:
        model, store, subjects: what to apply to whom.
        keep: where the masks are put, by subject.
    """
    rows = []
    for subject in subjects:
        start = time.monotonic()
        mask = segment(model, store, subject)
        seconds = time.monotonic() - start
        rows.append({"subject": subject, **score_mask(mask, truth_of(store, subject)), "seconds": seconds})
        if keep is not None:
            keep[subject] = mask
    return pd.DataFrame(rows)


def network_input(store: ImageStore, normalisation: Normalisation, *, patch: int) -> ImageStore:
    """The store as networks with this normalisation want it: without local means for ``local``, else as it is."""
    return without_local_mean(store, patch=patch) if normalisation == "local" else store


# Weights


def save_training(path: Path, training: Training, *, store: ImageStore, test: Sequence[str] = ()) -> Path:
    """Write a trained network with all that :func:`load_network` needs, and on whom it was trained.

    Args:
        path: ends in ``.safetensors``.
        training: what to keep.
        store: for the grid and spacing.
        test: patients that the training did not see.
    """
    model = training.model
    save_weights(
        path, model.network,
        metadata={
            "network": model.network.settings, "modalities": list(model.modalities),
            "scaling": model.scaling.as_dict(), "smoothing": model.smoothing, "tumour_share": model.tumour_share,
            "precision": model.precision, "grid": list(store.grid), "spacing": store.spacing,
            "normalise": store.normalisation, "train": list(training.train), "test": list(test),
            "seed": training.seed, "steps": training.recipe.steps,
        },
    )  # fmt: skip
    return path


def load_network(path: Path) -> tuple[TumourNetwork, dict[str, Any]]:
    """A network that :func:`save_training` wrote, in evaluation mode, and the header of the file."""
    about = read_metadata(path)
    network = TumourCNN(**about["network"])
    load_weights(path, network)
    scaling = about["scaling"]
    model = TumourNetwork(
        network=network.eval(),
        modalities=tuple(about["modalities"]),
        scaling=Scaling(kind=scaling["kind"], mean=tuple(scaling["mean"]), std=tuple(scaling["std"])),
        smoothing=int(about["smoothing"]),
        tumour_share=float(about["tumour_share"]),
        precision=about["precision"],
    )
    return model, about


def find_network(run_directory: Path, *, modalities: Sequence[str]) -> Path:
    """The weights that the chapter on the tumour CNN left for these modalities.

    Args:
        run_directory: of any chapter of the same cohort and profile; that chapter's lies beside it.
        modalities: ``("flair",)`` or ``("flair", "t1ce")``.

    Raises:
        MissingDataError: if that chapter has not run.
    """
    path = run_directory.parent / "tumour_cnn" / "weights" / f"{'_'.join(modalities)}.safetensors"
    if not path.is_file():
        raise MissingDataError(
            f"there is no trained network for {', '.join(modalities)}", file=path, remedy="run the chapter tumour_cnn"
        )
    return path
