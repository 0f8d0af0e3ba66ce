"""The classifier of grade, on features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.seeds import named_seed
from radlib.nn.device import device_of
from radlib.papers.mehra2022.networks import (
    FeatureClassifier,
    LinearOnDownsampled,
)
from radlib.papers.mehra2022.recipes import GradeRecipe
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit


def train_classifier(
    features: Tensor,
    labels: Tensor,
    *,
    recipe: GradeRecipe,
    seed: int,
    linear: bool = False,
    class_weights: Sequence[float] | None = None,
    sample_weights: np.ndarray | None = None,
    held_out: tuple[Tensor, Tensor] | None = None,
    name: str = "classifier",
) -> tuple[nn.Module, pd.DataFrame]:
    """Train the paper's classifier, or a linear one on downsampled features.

    Args:
        features, labels: to train on, synthetic ones among them where wanted.
        recipe: sizes and hyper-parameters.
        seed: of weights and batches.
        linear: average each map to one value and fit a linear classifier.
        class_weights: of the loss.
        sample_weights: draw samples in these proportions.
        held_out: features and labels whose loss and AUC the history follows; they decide nothing.
        name: shown with the progress.

    Returns:
        The network, which takes features as they are, and the history of its training.
    """
    torch.manual_seed(named_seed(seed, name, "weights"))
    channels, size = features.shape[1], features.shape[-1]
    network: nn.Module = LinearOnDownsampled(channels) if linear else FeatureClassifier(
        channels, size, width=recipe.classifier_width
    )  # fmt: skip
    scale = float(features.std().clamp(min=1e-6))
    weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        rows = torch.from_numpy(epoch_batch(
            len(features), recipe.classifier_batch, step=step, seed=seed, weights=sample_weights
        ))  # fmt: skip
        return {"features": features[rows] / scale, "labels": labels[rows]}

    def loss(net: nn.Module, data: dict[str, Tensor]) -> Tensor:
        logits = net(data["features"]).float()
        return functional.cross_entropy(logits, data["labels"], weights.to(logits) if weights is not None else None)

    def validate(net: nn.Module) -> dict[str, float]:
        assert held_out is not None
        score = probabilities(nn.Sequential(_Scaled(scale), net), held_out[0])
        truth = held_out[1].numpy() == 1
        area = roc_auc_score(truth, score) if truth.any() and not truth.all() else float("nan")
        return {"auc": float(area), "accuracy": float(((score > 0.5) == truth).mean())}

    every = max(1, recipe.classifier_steps // 8)
    fitted = fit(
        network, batch=batch, loss=loss, validate=None if held_out is None else validate,
        optimizer=OptimizerSettings(learning_rate=recipe.classifier_rate, schedule="cosine"),
        loop=LoopSettings(steps=recipe.classifier_steps, log_every=every, precision=recipe.precision,
                          validate_every=None if held_out is None else every),
        seed=named_seed(seed, name), name=name,
    )  # fmt: skip
    return nn.Sequential(_Scaled(scale), fitted.network), fitted.history


class _Scaled(nn.Module):
    """Divides by a constant."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        return features / self.scale


def probabilities(network: nn.Module, features: Tensor) -> np.ndarray:
    """Probability of HGG of each sample."""
    device = device_of(network)
    network.eval()
    with torch.no_grad():
        parts = [network(part.to(device)).float().softmax(1)[:, 1].cpu() for part in features.split(256)]
    return torch.cat(parts).numpy()
