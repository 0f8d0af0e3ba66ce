"""More features for the classifier of grade: the ACGAN that makes them, and its cheap rivals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn import functional

from radlib.core.errors import RadlibError
from radlib.core.seeds import named_seed, rng
from radlib.nn.device import device_of
from radlib.papers.mehra2022.classifier import train_classifier
from radlib.papers.mehra2022.losses import class_likelihood, source_likelihood
from radlib.papers.mehra2022.networks import (
    FeatureDiscriminator,
    FeatureGenerator,
)
from radlib.papers.mehra2022.recipes import GradeRecipe
from radlib.stats.generated import frechet_distance, memorised, precision_recall
from radlib.training.loop import train
from radlib.training.players import Player, Trained
from radlib.training.sampling import epoch_batch
from radlib.training.settings import LoopSettings, OptimizerSettings

CLASSES = ("LGG", "HGG")
"""Class 0 and class 1."""

Arm = Literal["baseline", "weighted_loss", "oversampling", "interpolation", "gaussian", "acgan"]

TITLES: dict[str, str] = {
    "baseline": "baseline", "weighted_loss": "weighted loss", "oversampling": "oversampling",
    "interpolation": "interpolation", "gaussian": "a Gaussian a class", "acgan": "ACGAN", "linear": "linear",
}  # fmt: skip
"""Arms as tables call them."""


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
    generator.scale.copy_(scale_of(features))
    judge = FeatureDiscriminator(channels, size, width=recipe.gan_width, spectral=recipe.spectral)
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

    makes = OptimizerSettings(learning_rate=recipe.gan_rate, betas=(0.5, 0.999))
    judges = OptimizerSettings(learning_rate=recipe.judge_rate or recipe.gan_rate, betas=(0.5, 0.999))
    trained = train(
        {"generator": generator, "discriminator": judge},
        players=[
            Player(name="discriminator", trains=("discriminator",), loss=judged, optimizer=judges),
            Player(name="generator", trains=("generator",), loss=made_better, optimizer=makes),
        ],
        batch=batch, shared=shared, seed=named_seed(seed, name), name=name, folder=folder,
        loop=LoopSettings(steps=recipe.gan_steps, log_every=max(1, recipe.gan_steps // 50), precision=recipe.precision,
                          ema=0.99, checkpoint_every=max(50, recipe.gan_steps // 10)),
    )  # fmt: skip
    return generator, trained


def scale_of(features: Tensor) -> Tensor:
    """The standard deviation of each map over samples and places, ``(C, 1, 1)``; that of all where a map is flat."""
    own, whole = features.std(dim=(0, 2, 3)), features.std().clamp(min=1e-6)
    return torch.where(own > 1e-3 * whole, own, whole)[:, None, None]


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


def gaussian(features: Tensor, labels: Tensor, wanted: Tensor, *, seed: int) -> Tensor:
    """New features from a Gaussian with the mean and the covariance of each class; what is negative becomes 0.

    A sum of a class's deviations from its mean, each times a normal number, has their covariance, so that none need be
    inverted, whatever the number of samples.
    """
    random = rng(seed, "gaussian")
    out = torch.empty((len(wanted), *features.shape[1:]))
    for category in wanted.unique():
        members = features[labels == category]
        if len(members) < 2:
            raise RadlibError(f"class {int(category)} has {len(members)} samples", remedy="a covariance needs two")
        places = torch.nonzero(wanted == category)[:, 0]
        shares = torch.from_numpy(random.normal(size=(len(places), len(members))).astype(np.float32))
        mean = members.mean(dim=0)
        spread = shares @ (members - mean).flatten(1) / (len(members) - 1) ** 0.5
        out[places] = (mean + spread.view(-1, *mean.shape)).clamp(min=0)
    return out


# Likeness


def likeness(train: Tensor, held_out: Tensor, made: Tensor, *, dimensions: int = 16) -> dict[str, float]:
    """How like held-out real features synthetic ones are, and whether they repeat those of the training.

    Samples become vectors of their maps' means on the principal axes of the training features, in units of the training
    features' standard deviation on the first.

    Args:
        train, held_out: real features ``(N, C, size, size)``.
        made: synthetic ones.
        dimensions: axes.

    Returns:
        ``frechet``, ``precision``, ``recall`` against the held-out features, and ``memorised``, the share that is
        closer to a training feature than 99 % of the held-out ones are.
    """
    vectors = [group.mean(dim=(2, 3)).numpy() for group in (train, held_out, made)]
    axes = PCA(min(dimensions, *vectors[0].shape, len(vectors[0]) - 1), random_state=0).fit(vectors[0])
    unit = max(float(axes.explained_variance_[0]) ** 0.5, 1e-12)
    a, b, c = (axes.transform(vector) / unit for vector in vectors)
    precision, recall = precision_recall(b, c)
    return {
        "frechet": frechet_distance(b, c), "precision": precision, "recall": recall,
        "memorised": float(memorised(a, b, c).mean()),
    }  # fmt: skip


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
    held_out: tuple[Tensor, Tensor] | None = None,
) -> tuple[nn.Module, pd.DataFrame, int]:
    """A classifier trained on real features, helped in one of six ways.

    Args:
        arm: ``baseline``; ``weighted_loss`` and ``oversampling`` by inverse class frequency; ``interpolation``,
            ``gaussian`` and ``acgan`` with ``n_more`` further samples (:func:`balanced_labels`).
        features, labels: the training slices.
        n_more: how many samples are added.
        recipe, seed: of the training.
        gan: generator and discriminator of ``acgan``; what the discriminator does not recognise is not added.
        linear: the linear classifier.
        held_out: of :func:`train_classifier`.

    Returns:
        The classifier, the history of its training, and how many samples were added.
    """
    counts = torch.bincount(labels, minlength=len(CLASSES)).float()
    inverse = (counts.sum() / (len(CLASSES) * counts.clamp(min=1))).tolist()
    names: dict[str, Any] = {"linear": linear, "held_out": held_out, "name": f"classifier, {TITLES[arm]}"}
    options: dict[str, Any] = {"recipe": recipe, "seed": seed, **names}
    if arm == "weighted_loss":
        options["class_weights"] = inverse
    elif arm == "oversampling":
        options["sample_weights"] = np.array([inverse[int(c)] for c in labels])
    more = balanced_labels(labels, n_more) if arm in ("interpolation", "gaussian", "acgan") else labels[:0]
    if arm == "acgan" and gan is None:
        raise RadlibError("the arm 'acgan' needs a generator", remedy="train one with train_acgan")
    if arm == "interpolation":
        made = interpolated(features, labels, more, seed=seed)
    elif arm == "gaussian":
        made = gaussian(features, labels, more, seed=seed)
    elif arm == "acgan" and gan is not None:
        made, more = recognised(*gan, more, seed=seed)
    else:
        made = features[:0]
    network, history = train_classifier(torch.cat([features, made]), torch.cat([labels, more]), **options)
    return network, history, len(more)
