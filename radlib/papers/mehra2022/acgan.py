"""Grade from features: the ACGAN that makes more of them, its cheap rivals, and what a classifier gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed, rng
from radlib.nn.device import device_of
from radlib.papers.mehra2022.losses import class_likelihood, source_likelihood
from radlib.papers.mehra2022.networks import (
    FeatureClassifier,
    FeatureDiscriminator,
    FeatureGenerator,
    LinearOnDownsampled,
)
from radlib.training.loop import train
from radlib.training.players import Player, Trained
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import fit

CLASSES = ("LGG", "HGG")
"""Class 0 and class 1."""

Arm = Literal["baseline", "weighted_loss", "oversampling", "interpolation", "acgan"]

TITLES: dict[str, str] = {
    "baseline": "baseline", "weighted_loss": "weighted loss", "oversampling": "oversampling",
    "interpolation": "interpolation", "acgan": "acgan", "linear": "linear", "shuffled": "shuffled labels",
}  # fmt: skip
"""Arms as tables call them, controls behind them."""


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


def train_acgan(
    features: Tensor,
    labels: Tensor,
    *,
    recipe: GradeRecipe,
    seed: int,
    name: str = "ACGAN",
    folder: Path | None = None,
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
        folder: for checkpoints.

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
    trained = train(
        {"generator": generator, "discriminator": judge},
        players=[
            Player(name="discriminator", trains=("discriminator",), loss=judged, optimizer=optimizer),
            Player(name="generator", trains=("generator",), loss=made_better, optimizer=optimizer),
        ],
        batch=batch, shared=shared, seed=named_seed(seed, name), name=name, folder=folder,
        loop=LoopSettings(steps=recipe.gan_steps, log_every=max(1, recipe.gan_steps // 50), precision=recipe.precision,
                          ema=0.99, checkpoint_every=max(50, recipe.gan_steps // 10)),
    )  # fmt: skip
    return generator, trained


def generate(generator: FeatureGenerator, labels: Tensor, *, seed: int) -> Tensor:
    """Synthetic features of the classes ``labels`` ``(N,)``, in the scale of the real ones."""
    noise = torch.from_numpy(rng(seed, "generate").normal(size=(len(labels), generator.noise)).astype(np.float32))
    device = device_of(generator)
    generator.eval()
    with torch.no_grad():
        parts = [
            generator(z.to(device), c.to(device)) for z, c in zip(noise.split(256), labels.split(256), strict=True)
        ]
        return torch.cat(parts).float().cpu() * generator.scale.cpu()


def assigned(judge: nn.Module, made: Tensor, scale: Tensor) -> Tensor:
    """The class that the discriminator gives to each synthetic feature."""
    device = device_of(judge)
    judge.eval()
    with torch.no_grad():
        parts = [judge((part / scale.cpu()).to(device))[1].argmax(1).cpu() for part in made.split(256)]
    return torch.cat(parts)


def recognised(
    generator: FeatureGenerator, judge: nn.Module, labels: Tensor, *, seed: int, rounds: int = 20
) -> tuple[Tensor, Tensor]:
    """Synthetic features of the classes ``labels`` whose class the discriminator recognises (section 4.2.4).

    Args:
        generator, judge: of one ACGAN.
        labels: ``(N,)`` classes wanted.
        seed: of the noise.
        rounds: attempts at each feature.

    Returns:
        Features and their classes, in the order of ``labels``; those that no attempt brings are left out.
    """
    made = generate(generator, labels, seed=seed)
    right = assigned(judge, made, generator.scale) == labels
    for attempt in range(1, rounds):
        wrong = torch.nonzero(~right)[:, 0]
        if not len(wrong):
            break
        again = generate(generator, labels[wrong], seed=named_seed(seed, "attempt", attempt))
        made[wrong] = again
        right[wrong] = assigned(judge, again, generator.scale) == labels[wrong]
    return made[right], labels[right]


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
    device = device_of(network)
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
    arm: Arm,
    features: Tensor,
    labels: Tensor,
    *,
    n_more: int,
    recipe: GradeRecipe,
    seed: int,
    gan: tuple[FeatureGenerator, nn.Module] | None = None,
    linear: bool = False,
) -> tuple[nn.Module, int]:
    """A classifier trained on real features, helped in one of five ways.

    Args:
        arm: ``baseline``; ``weighted_loss`` and ``oversampling`` by inverse class frequency; ``interpolation`` and
            ``acgan`` with ``n_more`` further samples (:func:`balanced_labels`).
        features, labels: the training slices.
        n_more: how many samples are added.
        recipe, seed: of the training.
        gan: generator and discriminator of ``acgan``; what the discriminator does not recognise is not added.
        linear: the linear classifier.

    Returns:
        The classifier, and how many samples were added.
    """
    counts = torch.bincount(labels, minlength=len(CLASSES)).float()
    inverse = (counts.sum() / (len(CLASSES) * counts.clamp(min=1))).tolist()
    common: dict[str, Any] = {"recipe": recipe, "seed": seed, "linear": linear, "name": f"classifier, {TITLES[arm]}"}
    if arm == "baseline":
        return train_classifier(features, labels, **common), 0
    if arm == "weighted_loss":
        return train_classifier(features, labels, class_weights=inverse, **common), 0
    if arm == "oversampling":
        drawn = np.array([inverse[int(c)] for c in labels])
        return train_classifier(features, labels, sample_weights=drawn, **common), 0
    more = balanced_labels(labels, n_more)
    if arm == "interpolation":
        made = interpolated(features, labels, more, seed=seed)
    elif gan is not None:
        made, more = recognised(*gan, more, seed=seed)
    else:
        raise RadlibError("the arm 'acgan' needs a generator", remedy="train one with train_acgan")
    return train_classifier(torch.cat([features, made]), torch.cat([labels, more]), **common), len(more)
