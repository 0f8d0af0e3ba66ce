"""What is trained, on whom, in numbers: recipes of segmentation and synthesis, and how subjects are divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.splits import Split, hold_out, k_fold
from radlib.nn import baselines2d
from radlib.nn.common import Norm
from radlib.papers.islam2020.networks import (
    EncoderDecoderDiscriminator,
    OctaveFCN,
    PatchDiscriminator,
    Synthesiser,
)
from radlib.training.settings import Precision

Schedule = Literal["constant", "cosine", "polynomial", "one_cycle", "step"]

CLASSES = 4
"""Background, necrotic core, oedema, enhancing tumour."""

PAPER_MODALITIES = ("t1ce", "flair", "t2")
"""What the networks of Table I see; the order of Table III."""


FCNS: dict[str, dict[str, Any]] = {
    "fcn": {}, "fcn_norm": {"norm": "batch"}, "fcn_scse": {"excitation": "scse"}, "fcn_none": {"excitation": "none"},
    "fcn_plain": {"ratio": 0.0},
}  # fmt: skip
"""The paper's network and its variants: how each differs from it."""


# Subjects


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Subjects are held out; the others form folds. Both within high- and low-grade glioma where grades are known.

    Attributes:
        n_held_out: subjects that no training sees.
        n_folds: of the others.
        seed: of the shuffles.
    """

    n_held_out: int
    n_folds: int
    seed: int = 0

    def splits(self, cohort: Cohort) -> list[Split]:
        """One a fold: ``train``; ``validation``, the fold's other subjects; ``test``, those held out.

        Only subjects with a segmentation take part.

        Raises:
            MissingDataError: if there are too few.
        """
        cohort = cohort.complete("seg")
        if len(cohort) < self.n_held_out + max(2, self.n_folds):
            raise MissingDataError(
                f"cohort {cohort.name!r} has {len(cohort)} subjects with a segmentation, which is too few to hold out "
                f"{self.n_held_out} and divide the others into {self.n_folds} folds",
                remedy="use more subjects, or lower n_held_out and n_folds",
            )
        grade = cohort.participants["grade_group"].fillna("unknown")
        outer = hold_out(cohort.ids, test=self.n_held_out, seed=self.seed, stratify=grade)
        inner = k_fold(
            outer.train, n_folds=self.n_folds, seed=self.seed, stratify=grade[list(outer.train)].tolist()
        )  # fmt: skip
        return [Split(name=one.name, train=one.train, validation=one.test, test=outer.test) for one in inner]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Of the subjects with every modality and a segmentation some are held out, within grade.

    Attributes:
        n_test: at most so many, and at most a third.
        seed: of the shuffle.
    """

    LEAST = 6
    n_test: int
    seed: int = 0

    def splits(self, cohort: Cohort) -> list[Split]:
        """The one split.

        Raises:
            MissingDataError: if there are fewer than :attr:`LEAST` such subjects.
        """
        complete = cohort.complete(*MODALITIES, "seg")
        if len(complete) < self.LEAST:
            raise MissingDataError(
                f"{len(complete)} subjects of cohort {cohort.name!r} have all four modalities and a segmentation; "
                f"training and testing needs {self.LEAST}",
                remedy="run the chapter on a larger cohort",
            )
        grade = complete.participants["grade_group"].fillna("unknown")
        one = hold_out(complete.ids, test=min(self.n_test, len(complete) // 3), seed=self.seed, stratify=grade)
        return [Split(name="synthesis", train=one.train, test=one.test)]


def everyone(split: Split) -> tuple[str, ...]:
    """All subjects of a split."""
    return (*split.train, *split.validation, *split.test)


# Segmentation


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a segmentation training that is not the network's kind or the subjects.

    Attributes:
        widths: channels of the levels of U-Net; the FCN and the residual encoders have all but the last.
        ratio: share of low frequencies of the octave convolutions.
        groups: of the octave convolutions.
        norm: batch norm in the U-Nets; the FCN's encoder has none, as printed, but in ``fcn_norm``.
        output_stride, atrous_rates: of DeepLab v3.
        large_kernel: edge of GCN's kernels.
        steps, batch_size: how long.
        crop: edge of the square cut around tumour or brain; 0 takes whole slices.
        tumour_share: share of a batch cut around tumour; the rest is cut anywhere in the brain, tumour or not.
        learning_rate, weight_decay, schedule: of Adam, whose first decay rate is the paper's momentum of 0.9.
        clip_norm: largest norm of the gradient.
        augment: scale of the random changes of intensity; 0 for none. Left and right are swapped in any case.
        dropped: share of slices that lack modalities in training, any number but all of them; 0 for none.
        precision: of training and inference.
        validations: how often the loss's companion, the Dice on slices of the fold's other subjects, is measured.
        validation_slices: on how many slices.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64)
    ratio: float = 0.5
    groups: int = 1
    norm: Norm = "batch"
    output_stride: int = 4
    atrous_rates: tuple[int, ...] = (2, 4, 6)
    large_kernel: int = 7
    steps: int = 160
    batch_size: int = 8
    crop: int = 32
    tumour_share: float = 0.6
    learning_rate: float = 2e-2
    weight_decay: float = 1e-4
    schedule: Schedule = "one_cycle"
    clip_norm: float = 5.0
    augment: float = 1.0
    dropped: float = 0.0
    precision: Precision = "auto"
    validations: int = 4
    validation_slices: int = 12

    def changed(self, **fields: Any) -> Recipe:
        """The recipe with some fields changed."""
        return replace(self, **fields)


PAPER = Recipe(
    widths=(64, 128, 256, 512, 1024), output_stride=8, atrous_rates=(12, 24, 36), large_kernel=15, batch_size=16,
    crop=0, learning_rate=1e-4, weight_decay=1e-4, schedule="constant", steps=40_000,
)  # fmt: skip
"""The published learning rate and weight decay, whole slices, and the originals' widths; steps and batch are ours.

DeepLab v3 has rates of 6, 12 and 18 at a stride of 16 and twice that at 8 (Chen 2017, section 3.3)."""


def arguments_of(model: str, *, in_channels: int, recipe: Recipe) -> tuple[str, dict[str, Any]]:
    """The dotted name of a segmentation network's class or function, and what it is called with.

    Raises:
        RadlibError: for an unknown network.
    """
    channels = {"in_channels": in_channels, "out_channels": CLASSES}
    widths, inner = list(recipe.widths), list(recipe.widths[:-1])
    here = "radlib.nn.baselines2d."
    residual = {**channels, "widths": inner, "blocks": 2 if len(inner) > 3 else 1}
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "unet": (here + "UNet2d", {**channels, "widths": widths, "norm": recipe.norm}),
        "unet_plain": (here + "UNet2d", {**channels, "widths": widths, "norm": "none"}),
        "unet_scse": (here + "UNet2d", {**channels, "widths": widths, "norm": recipe.norm, "excitation": "scse"}),
        "deeplab_v3": (
            here + "DeepLabV3",
            {**residual, "output_stride": recipe.output_stride, "rates": list(recipe.atrous_rates),
             "pyramid": 4 * widths[0]},
        ),
        "gcn": (here + "GCN", {**residual, "kernel_size": recipe.large_kernel}),
        "dynunet": (here + "dynunet", {**channels, "widths": widths}),
        "segresnet": (here + "segresnet", {**channels, "width": widths[0]}),
        "basic_unet": (here + "basic_unet", {**channels, "widths": [*widths, *widths[-1:] * 5][:5]}),
    }  # fmt: skip
    own = {**channels, "widths": inner, "ratio": recipe.ratio, "excitation": "skip_scse", "groups": recipe.groups}
    for name, changes in FCNS.items():
        kinds[name] = ("radlib.papers.islam2020.networks.OctaveFCN", {**own, **changes})
    if model not in kinds:
        raise RadlibError(f"unknown network {model!r}", remedy=f"use one of {', '.join(kinds)}")
    return kinds[model]


def build(model: str, *, in_channels: int, recipe: Recipe) -> nn.Module:
    """A network with the weights that torch's generator draws: images ``(B, in_channels, H, W)`` to class logits."""
    target, arguments = arguments_of(model, in_channels=in_channels, recipe=recipe)
    name = target.rpartition(".")[2]
    maker: Callable[..., nn.Module] = OctaveFCN if name == "OctaveFCN" else getattr(baselines2d, name)
    return maker(**arguments)


# Synthesis


@dataclass(frozen=True, kw_only=True)
class SynthesisRecipe:
    """Everything about a synthesis training that is not data.

    Attributes:
        generator: ``fcn`` (octave, skip-scSE) or ``unet`` (with batch norm, as pix2pix has).
        discriminator: ``encoder_decoder`` (a verdict a pixel), ``patch``, or ``none`` (distance loss alone).
        norm: behind the FCN's octave convolutions; the paper has none.
        widths, ratio, groups: of the generator. The U-Net has one level more, so that both have as many poolings.
        discriminator_widths: of the encoder-decoder.
        patch_widths: of PatchGAN's encoder. Three layers judge 34 x 34 pixels, four 70 x 70 as in pix2pix.
        noise_channels: of standard normal noise beside the input.
        distance_weight: lambda of objective (1); pix2pix's 100, where the paper gives none.
        saturating: the generator minimises ``log(1 - D)``, as objective (1) is written, and not ``-log D``, as pix2pix
            computes it.
        steps, batch_size, crop: length; ``crop`` is the edge of a random square, 0 takes whole slices.
        learning_rate, weight_decay: of Adam, for both players.
        schedule: of the learning rate.
        average: decay of the moving average of the generator's weights that is kept; None keeps the last weights.
        validations: how often the PSNR of held-out slices is measured.
        precision: of training and inference.
    """

    generator: Literal["fcn", "unet"] = "fcn"
    discriminator: Literal["encoder_decoder", "patch", "none"] = "encoder_decoder"
    norm: Norm = "none"
    widths: tuple[int, ...] = (8, 16, 32)
    ratio: float = 0.5
    groups: int = 1
    discriminator_widths: tuple[int, ...] = (8, 16, 32)
    patch_widths: tuple[int, ...] = (8, 16, 32)
    noise_channels: int = 1
    distance_weight: float = 100.0
    saturating: bool = False
    steps: int = 600
    batch_size: int = 8
    crop: int = 40
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    schedule: Schedule = "polynomial"
    average: float | None = 0.98
    validations: int = 10
    precision: Precision = "auto"


METHODS: dict[str, dict[str, str]] = {
    "fcn": {},
    "fcn_norm": {"norm": "batch"},
    "unet": {"generator": "unet", "discriminator": "patch"},
    "fcn_l1": {"discriminator": "none"},
}
"""What is compared with the paper's method, the first: how each recipe differs from it."""


def build_generator(sources: tuple[str, ...], recipe: SynthesisRecipe) -> Synthesiser:
    """A generator of one modality from ``sources``, with the weights that torch's generator draws."""
    channels = len(sources) + recipe.noise_channels
    if recipe.generator == "fcn":
        network: nn.Module = OctaveFCN(
            channels, 1, widths=recipe.widths, ratio=recipe.ratio, norm=recipe.norm, groups=recipe.groups
        )
    else:
        widths = (*recipe.widths, 2 * recipe.widths[-1])
        network = baselines2d.UNet2d(channels, 1, widths=widths, norm="batch")
    return Synthesiser(network, sources=sources, noise_channels=recipe.noise_channels)


def build_discriminator(channels: int, recipe: SynthesisRecipe) -> nn.Module | None:
    """The discriminator over ``channels`` (sources and target), or None."""
    if recipe.discriminator == "none":
        return None
    if recipe.discriminator == "patch":
        return PatchDiscriminator(channels, widths=recipe.patch_widths)
    return EncoderDecoderDiscriminator(channels, widths=recipe.discriminator_widths)
