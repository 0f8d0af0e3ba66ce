"""Grade from features: the ACGAN that makes more of them, its cheap rivals, and what a classifier gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed, rng
from radlib.papers.mehra2022.networks import (
    FeatureClassifier,
    FeatureDiscriminator,
    FeatureGenerator,
    LinearOnDownsampled,
)
from radlib.training.adversarial import Player, Trained, fit_adversarial
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import fit

CLASSES = ("LGG", "HGG")
"""Class 0 and class 1."""

Rival = Literal["baseline", "weighted loss", "oversampling", "interpolation", "acgan"]


@dataclass(frozen=True, kw_only=True)
class GradeRecipe:
    """Sizes and hyper-parameters of the ACGAN and the classifier.

    Attributes:
        gan_width: ``ndf`` and ``ngf``.
        noise: length of the noise vector.
        gan_steps, gan_batch: length of the ACGAN's training; the paper has 50 epochs in batches of 16.
        gan_rate: its learning rate (Adam, first decay 0.5 as in the implementation that the paper names).
        classifier_width, classifier_steps, classifier_batch, classifier_rate: of the classifier.
        precision: of both.
    """

    gan_width: int = 64
    noise: int = 32
    gan_steps: int = 600
    gan_batch: int = 16
    gan_rate: float = 0.002
    classifier_width: int = 32
    classifier_steps: int = 150
    classifier_batch: int = 32
    classifier_rate: float = 1e-3
    precision: Precision = "auto"


# Equations (1) and (2)


def source_likelihood(real: Tensor, fake: Tensor) -> Tensor:
    """Equation (1): ``L_S = E[log P(S = real | X_real)] + E[log P(S = fake | X_fake)]``, from logits of being real."""
    return -functional.softplus(-real.float()).mean() - functional.softplus(fake.float()).mean()


def class_likelihood(real: Tensor, fake: Tensor, real_labels: Tensor, fake_labels: Tensor) -> Tensor:
    """Equation (2): ``L_C = E[log P(C = c | X_real)] + E[log P(C = c | X_fake)]``, from class logits."""
    return -functional.cross_entropy(real.float(), real_labels) - functional.cross_entropy(fake.float(), fake_labels)


def train_acgan(
    features: Tensor, labels: Tensor, *, recipe: GradeRecipe, seed: int, name: str = "ACGAN"
) -> tuple[FeatureGenerator, Trained]:
    """Train an ACGAN on features.

    The discriminator ascends ``L_S + L_C``; the generator ascends ``L_C - L_S``, of which its fake features decide one
    term each. As usual it descends ``-log P(S = real | X_fake)`` for the second, which has a gradient when it loses.

    Args:
        features: ``(N, C, size, size)``, not negative.
        labels: ``(N,)`` class numbers.
        recipe: sizes and hyper-parameters.
        seed: of weights, batches and noise.
        name: shown with the progress.

    Returns:
        The generator (of features divided by their scale: see :func:`generate`) and its training, whose history has the
        losses and the discriminator's class accuracy on real and synthetic features, as Figure 11.
    """
    torch.manual_seed(named_seed(seed, name, "weights"))
    channels, size = features.shape[1], features.shape[-1]
    generator = FeatureGenerator(channels, size, width=recipe.gan_width, noise=recipe.noise)
    generator.scale.copy_(features.std().clamp(min=1e-6))
    judge = FeatureDiscriminator(channels, size, width=recipe.gan_width)
    n = len(features)

    def batch(step: int, random: np.random.Generator) -> dict[str, Tensor]:
        rows = torch.from_numpy(epoch_batch(n, recipe.gan_batch, step=step, seed=seed))
        noise = torch.from_numpy(random.normal(size=(len(rows), recipe.noise)).astype(np.float32))
        wanted = torch.from_numpy(random.integers(len(CLASSES), size=len(rows)))
        return {"real": features[rows], "labels": labels[rows], "noise": noise, "wanted": wanted}

    def shared(networks: Mapping[str, nn.Module], data: dict[str, Tensor]) -> dict[str, Any]:
        return {"fake": networks["generator"](data["noise"].float(), data["wanted"])}

    def judged(networks: Mapping[str, nn.Module], data: dict[str, Tensor], made: dict[str, Any]) -> dict[str, Tensor]:
        judge = networks["discriminator"]
        real_source, real_class = judge(data["real"] / generator.scale)
        fake_source, fake_class = judge(made["fake"].detach())
        of_source = source_likelihood(real_source, fake_source)
        of_class = class_likelihood(real_class, fake_class, data["labels"], data["wanted"])
        return {
            "loss": -(of_source + of_class), "source": -of_source, "class": -of_class,
            "accuracy_real": (real_class.argmax(1) == data["labels"]).float().mean(),
            "accuracy_synthetic": (fake_class.argmax(1) == data["wanted"]).float().mean(),
        }  # fmt: skip

    def made_better(networks: Mapping[str, nn.Module], data: dict[str, Tensor], made: dict[str, Any]) -> Tensor:
        source, category = networks["discriminator"](made["fake"])
        return functional.softplus(-source.float()).mean() + functional.cross_entropy(category.float(), data["wanted"])

    optimizer = OptimizerSettings(learning_rate=recipe.gan_rate, betas=(0.5, 0.999))
    trained = fit_adversarial(
        {"generator": generator, "discriminator": judge},
        players=[
            Player(name="discriminator", trains=("discriminator",), loss=judged, optimizer=optimizer),
            Player(name="generator", trains=("generator",), loss=made_better, optimizer=optimizer),
        ],
        batch=batch, shared=shared, seed=named_seed(seed, name), name=name,
        loop=LoopSettings(steps=recipe.gan_steps, log_every=max(1, recipe.gan_steps // 50), precision=recipe.precision,
                          ema=0.99),
    )  # fmt: skip
    return generator, trained


def generate(generator: FeatureGenerator, labels: Tensor, *, seed: int) -> Tensor:
    """Synthetic features of the classes ``labels`` ``(N,)``, in the scale of the real ones."""
    noise = torch.from_numpy(rng(seed, "generate").normal(size=(len(labels), generator.noise)).astype(np.float32))
    device = next(generator.parameters()).device
    generator.eval()
    with torch.no_grad():
        parts = [
            generator(z.to(device), c.to(device)) for z, c in zip(noise.split(256), labels.split(256), strict=True)
        ]
        return torch.cat(parts).float().cpu() * generator.scale.cpu()


def interpolated(features: Tensor, labels: Tensor, wanted: Tensor, *, seed: int, neighbours: int = 5) -> Tensor:
    """New features between a real one and one of its nearest neighbours of the same class (SMOTE, Chawla 2002)."""
    random = rng(seed, "interpolate")
    flat = features.flatten(1)
    out = torch.empty((len(wanted), *features.shape[1:]))
    for category in wanted.unique():
        members = torch.nonzero(labels == category)[:, 0]
        if len(members) < 2:
            raise RadlibError(f"class {int(category)} has {len(members)} samples", remedy="interpolate between two")
        near = torch.cdist(flat[members], flat[members]).argsort(dim=1)[:, 1 : neighbours + 1]
        places = torch.nonzero(wanted == category)[:, 0]
        first = torch.from_numpy(random.integers(len(members), size=len(places)))
        which = torch.from_numpy(random.integers(near.shape[1], size=len(places)))
        share = torch.from_numpy(random.random(len(places)).astype(np.float32)).view(-1, *([1] * (features.dim() - 1)))
        a, b = features[members[first]], features[members[near[first, which]]]
        out[places] = a + share * (b - a)
    return out


# Classifiers


def train_classifier(
    features: Tensor,
    labels: Tensor,
    *,
    recipe: GradeRecipe,
    seed: int,
    linear: bool = False,
    class_weights: Sequence[float] | None = None,
    sample_weights: np.ndarray | None = None,
    name: str = "classifier",
) -> nn.Module:
    """Train the paper's classifier, or a linear one on downsampled features.

    Args:
        features, labels: to train on, synthetic ones among them where wanted.
        recipe: sizes and hyper-parameters.
        seed: of weights and batches.
        linear: average each map to one value and fit a linear classifier.
        class_weights: of the loss.
        sample_weights: draw samples in these proportions.
        name: shown with the progress.
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

    fitted = fit(
        network, batch=batch, loss=loss, optimizer=OptimizerSettings(learning_rate=recipe.classifier_rate),
        loop=LoopSettings(steps=recipe.classifier_steps, log_every=recipe.classifier_steps, precision=recipe.precision),
        seed=named_seed(seed, name), name=name,
    )  # fmt: skip
    return nn.Sequential(_Scaled(scale), fitted.network)


class _Scaled(nn.Module):
    """Divides by a constant."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        return features / self.scale


def probabilities(network: nn.Module, features: Tensor) -> np.ndarray:
    """Probability of HGG of each sample."""
    device = next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        parts = [network(part.to(device)).float().softmax(1)[:, 1].cpu() for part in features.split(256)]
    return torch.cat(parts).numpy()


# Arms


def balanced_labels(labels: Tensor, n: int) -> Tensor:
    """Classes of ``n`` more samples that bring both classes as near to balance as ``n`` allows."""
    counts = torch.bincount(labels, minlength=len(CLASSES))
    few, many = int(counts.argmin()), int(counts.argmax())
    gap = min(n, int(counts[many] - counts[few]))
    rest = n - gap
    return torch.tensor([few] * gap + [few, many] * (rest // 2) + [few] * (rest % 2), dtype=torch.int64)


def run_arm(
    arm: Rival,
    features: Tensor,
    labels: Tensor,
    *,
    n_more: int,
    recipe: GradeRecipe,
    seed: int,
    generator: FeatureGenerator | None = None,
    linear: bool = False,
) -> nn.Module:
    """A classifier trained on real features, helped in one of five ways.

    Args:
        arm: ``baseline``; ``weighted loss`` and ``oversampling`` by inverse class frequency; ``interpolation`` and
            ``acgan`` with ``n_more`` further samples (:func:`balanced_labels`).
        features, labels: the training slices.
        n_more: how many samples are added.
        recipe, seed: of the training.
        generator: of ``acgan``.
        linear: the linear classifier.
    """
    counts = torch.bincount(labels, minlength=len(CLASSES)).float()
    inverse = (counts.sum() / (len(CLASSES) * counts.clamp(min=1))).tolist()
    common: dict[str, Any] = {"recipe": recipe, "seed": seed, "linear": linear, "name": f"classifier, {arm}"}
    if arm == "baseline":
        return train_classifier(features, labels, **common)
    if arm == "weighted loss":
        return train_classifier(features, labels, class_weights=inverse, **common)
    if arm == "oversampling":
        return train_classifier(features, labels, sample_weights=np.array([inverse[int(c)] for c in labels]), **common)
    more = balanced_labels(labels, n_more)
    if arm == "interpolation":
        made = interpolated(features, labels, more, seed=seed)
    elif arm == "acgan":
        if generator is None:
            raise RadlibError("the arm 'acgan' needs a generator", remedy="train one with train_acgan")
        made = generate(generator, more, seed=seed)
    else:
        raise RadlibError(f"unknown arm {arm!r}")
    return train_classifier(torch.cat([features, made]), torch.cat([labels, more]), **common)


def patient_level(slices: pd.DataFrame) -> pd.DataFrame:
    """One row a patient (and arm): mean probability of the slices, and the class above one half.

    Args:
        slices: ``arm``, ``subject``, ``truth`` (1 for HGG), ``probability``.
    """
    grouped = slices.groupby(["arm", "subject"], sort=False)
    table = grouped.agg(truth=("truth", "first"), probability=("probability", "mean"), slices=("truth", "size"))
    return table.assign(predicted=(table["probability"] > 0.5).astype(int)).reset_index()
