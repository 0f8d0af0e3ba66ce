"""The tumour CNN of Li 2017: trained on patches, applied to whole slices, and what follows the network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.ndimage import label, uniform_filter
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.device import pick_device
from radlib.core.errors import MissingDataError
from radlib.core.seeds import named_seed, rng
from radlib.data.regions import region_mask
from radlib.data.store import ImageStore
from radlib.evaluation.segmentation import dice, ppv, sensitivity
from radlib.experiments.li2017.patches import Normalisation, PatchSampler, Scaling, fit_scaling, without_local_mean
from radlib.models.li2017 import Padding, TumourCNN
from radlib.training.inference import predict_slices
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import Fitted, fit
from radlib.training.weights import load_weights, read_metadata, save_weights

Mask = npt.NDArray[np.bool_]

MODALITIES: tuple[str, ...] = ("flair", "t1ce")
"""Those of the first cohort; the network for one modality takes the first."""

METRICS: tuple[str, ...] = ("dice", "ppv", "sensitivity")
"""As the paper evaluates a segmentation."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes and hyper-parameters of one training.

    Attributes:
        convolutions, filters, neurons, patch, dropout, padding: of the network.
        tumour_share: of the patches.
        normalisation: of the patches, see :mod:`radlib.experiments.li2017.patches`.
        steps, batch_size: length.
        learning_rate, momentum, weight_decay, schedule: of SGD.
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
    steps: int = 200
    batch_size: int = 128
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "one_cycle"
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
class TumourNetwork:
    """A trained network with all that is needed to apply it.

    Attributes:
        network: in evaluation mode.
        modalities: its channels.
        scaling: of its input.
        smoothing: edge of the box that smooths its segmentation.
        precision: of inference.
    """

    network: TumourCNN
    modalities: tuple[str, ...]
    scaling: Scaling
    smoothing: int = 3
    precision: Precision = "auto"


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
        folder: for checkpoints.
    """
    options = {"modalities": modalities, "patch": recipe.patch, "tumour_share": recipe.tumour_share}
    sampler = PatchSampler(store, train, **options)  # type: ignore[arg-type]
    scaling = fit_scaling(sampler, kind=recipe.normalisation, seed=seed)
    unseen: tuple[Tensor, Tensor] | None = None
    if len(monitor):
        unseen = PatchSampler(store, monitor, **options).draw(512, rng(seed, "monitor"))  # type: ignore[arg-type]

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
    fitted = fit(
        network, batch=batch, loss=loss, seed=seed, name=name, folder=folder,
        optimizer=OptimizerSettings(
            kind="sgd", learning_rate=recipe.learning_rate, momentum=recipe.momentum,
            weight_decay=recipe.weight_decay, schedule=recipe.schedule,  # type: ignore[arg-type]
        ),
        validate=None if unseen is None else validate,
        loop=LoopSettings(
            steps=recipe.steps, log_every=max(1, recipe.steps // 40), precision=recipe.precision,
            validate_every=max(1, recipe.steps // recipe.evaluations), checkpoint_every=max(200, recipe.steps // 20),
        ),
        identity={**asdict(recipe), "modalities": list(modalities), "train": list(train)},
    )  # fmt: skip
    model = TumourNetwork(
        network=network, modalities=tuple(modalities), scaling=scaling, smoothing=recipe.smoothing,
        precision=recipe.precision,
    )  # fmt: skip
    return Training(model=model, fitted=fitted, recipe=recipe, train=tuple(train), seed=seed)


# Whole slices


def slice_probability(network: TumourCNN, scaling: Scaling, slices: Tensor) -> Tensor:
    """Tumour probability of every pixel: the network on whole slices, its output enlarged by bicubic interpolation.

    The slices are padded so that the middles of the patches lie on every fourth pixel, from the first to behind the
    last. At these pixels the value is the network's own, the same as on the patch around the pixel (with ``valid``
    padding); in between it is interpolated.

    Args:
        network: in evaluation mode.
        scaling: of its input. For ``patch`` every patch is cut out, normalised and run by itself.
        slices: ``(B, C, H, W)``, 0 outside the brain; cut from a larger slice only where it is 0 beyond the cut.

    Returns:
        ``(B, 1, H, W)``, 0 to 1.
    """
    coarse = coarse_probability(network, scaling, slices)
    stride = network.geometry("output").stride
    height, width = coarse.shape[2:]
    fine = functional.interpolate(
        coarse, size=((height - 1) * stride + 1, (width - 1) * stride + 1), mode="bicubic", align_corners=True
    )
    return fine[:, :, : slices.shape[2], : slices.shape[3]].clamp(0, 1)


def coarse_probability(network: TumourCNN, scaling: Scaling, slices: Tensor) -> Tensor:
    """Tumour probability of the pixels whose coordinates are multiples of 4, ``(B, 1, h, w)``, from the whole slice.

    The last row and column may lie beyond the slice, so that every pixel lies between two of them.
    """
    geometry = network.geometry("output")
    before, stride = round(geometry.offset), geometry.stride
    cells = [-(-(edge - 1) // stride) + 1 for edge in slices.shape[2:]]
    after = []
    for edge, count in zip(slices.shape[2:], cells, strict=True):
        whole = before + edge
        while network.map_edge("output", whole) < count:
            whole += 1
        after.append(whole - before - edge)
    padded = functional.pad(slices, (before, after[1], before, after[0]))
    if scaling.kind == "patch":
        return _patch_by_patch(network, scaling, padded, stride)
    return _tumour(network(scaling(padded)))[:, :, : cells[0], : cells[1]]


def _tumour(scores: Tensor) -> Tensor:
    return scores.float().softmax(dim=1)[:, 1:]


def _patch_by_patch(network: TumourCNN, scaling: Scaling, padded: Tensor, stride: int, *, at_once: int = 512) -> Tensor:
    """The scores of all patches, each normalised by itself; patches without brain are not run and get 0."""
    windows = padded.unfold(2, network.patch, stride).unfold(3, network.patch, stride)
    images, channels, height, width = windows.shape[:4]
    flat = windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, network.patch, network.patch)
    out = padded.new_zeros(len(flat))
    middle = network.patch // 2
    inside = torch.nonzero((flat[..., middle, middle] != 0).any(dim=1))[:, 0]
    for part in inside.split(at_once):
        out[part] = _tumour(network(scaling(flat[part]))).flatten().to(out.dtype)
    return out.view(images, 1, height, width)


def tumour_probability(model: TumourNetwork, image: Tensor) -> Tensor:
    """Tumour probability of every voxel of a volume, 0 outside the brain.

    Args:
        model: the network.
        image: ``(C, X, Y, Z)`` with the channels of the model.

    Returns:
        ``(X, Y, Z)`` float32 on the CPU; all 0 for an image without brain.
    """
    brain = (image != 0).any(dim=0).cpu()
    out = torch.zeros(brain.shape)
    if not brain.any():
        return out
    box = tuple(slice(int(places.min()), int(places.max()) + 1) for places in torch.nonzero(brain, as_tuple=True))
    model.network.to(pick_device()).eval()
    found = predict_slices(
        lambda slices: slice_probability(model.network, model.scaling, slices),
        image[(slice(None), *box)], activation=None, precision=model.precision,
    )  # fmt: skip
    out[box] = found[0]
    return out * brain


def largest_per_slice(mask: Mask) -> Mask:
    """The largest connected region (8 neighbours) of every axial slice; of equal ones the first."""
    out = np.zeros(mask.shape, dtype=bool)
    for z in np.flatnonzero(mask.any(axis=(0, 1))):
        regions, count = label(mask[:, :, z], structure=np.ones((3, 3)))
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        out[:, :, z] = regions == 1 + int(sizes[1:].argmax())
    return out


def box_smoothed(mask: Mask, *, size: int) -> Mask:
    """Where more than half of the ``size``-cubed box around a voxel is in the mask; beyond the volume nothing is."""
    if size <= 1:
        return np.asarray(mask, dtype=bool)
    return np.asarray(uniform_filter(mask.astype(np.float64), size=size, mode="constant") > 0.5)


def post_process(mask: Mask, *, smoothing: int, brain: Mask | None = None) -> Mask:
    """The paper's morphology: largest region of each slice, then a 3D box filter; nothing outside the brain."""
    out = box_smoothed(largest_per_slice(mask), size=smoothing)
    return out if brain is None else out & brain


def segment(model: TumourNetwork, store: ImageStore, subject: str) -> Mask:
    """The tumour of one subject of a store, ``(X, Y, Z)`` bool: probability above one half, post-processed."""
    image = store.images[store.rows([subject])[0], store.channels(model.modalities)]
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
            "network": model.network.settings, "modalities": list(model.modalities), "scaling": model.scaling.as_dict(),
            "smoothing": model.smoothing, "precision": model.precision, "grid": list(store.grid),
            "spacing": store.spacing, "normalise": store.normalisation, "train": list(training.train),
            "test": list(test), "seed": training.seed, "steps": training.recipe.steps,
        },
    )  # fmt: skip
    return path


def load_network(path: Path) -> tuple[TumourNetwork, dict[str, object]]:
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
