"""Sizes and hyper-parameters of the training on features."""

from __future__ import annotations

from dataclasses import dataclass

from radlib.training.settings import Precision


@dataclass(frozen=True, kw_only=True)
class GradeRecipe:
    """Sizes and hyper-parameters of the ACGAN and the classifier.

    Attributes:
        gan_width: ``ndf`` and ``ngf``.
        noise: length of the noise vector.
        gan_steps, gan_batch: length of the ACGAN's training; the paper has 50 epochs in batches of 16.
        gan_rate: its learning rate (Adam, first decay 0.5 as in the implementation that the paper names).
        judge_rate: that of the discriminator where it is another.
        spectral: spectral norm in the discriminator, in place of batch norm.
        classifier_width, classifier_steps, classifier_batch, classifier_rate: of the classifier.
        precision: of both.
    """

    gan_width: int = 64
    noise: int = 32
    gan_steps: int = 600
    gan_batch: int = 16
    gan_rate: float = 0.002
    judge_rate: float | None = None
    spectral: bool = False
    classifier_width: int = 32
    classifier_steps: int = 150
    classifier_batch: int = 32
    classifier_rate: float = 1e-3
    precision: Precision = "auto"
