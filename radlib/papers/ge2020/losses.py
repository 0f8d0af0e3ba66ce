"""The losses of Ge 2020: Eqs. (1) to (4) of the pairwise GAN, and the classifier's weighted cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from radlib.papers.ge2020.data import BACKGROUND


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Eqs. (1) and (2): ``E|D(x) - 1|^2 + E|D(G(x))|^2``, means over patches, from the discriminator's outputs."""
    return (real.float() - 1).square().mean() + fake.float().square().mean()


def deceive_loss(fake: Tensor) -> Tensor:
    """What a generator can do about Eqs. (1) and (2): ``E|D(G(x)) - 1|^2``, so that D takes its images for real."""
    return (fake.float() - 1).square().mean()


def mask_weights(masks: Tensor, *, masked: bool) -> Tensor:
    """The mask of Eq. (4): 1 in the tumour, 1/3 outside; 1 everywhere without masks."""
    return torch.where(masks, 1.0, BACKGROUND) if masked else torch.ones(masks.shape)


def weighted_l1(made: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """One half of Eq. (4): ``|M (G(x) - y)|``, the mean over pixels."""
    return (weight * (made.float() - real.float())).abs().mean()


def weighted_cross_entropy(logits: Tensor, labels: Tensor, *, class_weight: float) -> Tensor:
    """Mean over slices of the cross-entropy, that of mutant slices times ``class_weight``."""
    each = functional.cross_entropy(logits.float(), labels, reduction="none")
    return (each * torch.where(labels == 1, class_weight, 1.0)).mean()
