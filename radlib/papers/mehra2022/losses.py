"""Losses and scores of Mehra 2022, equations (1) to (5)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def source_likelihood(real: Tensor, fake: Tensor) -> Tensor:
    """Equation (1): ``L_S = E[log P(S = real | X_real)] + E[log P(S = fake | X_fake)]``, from logits of being real."""
    return -functional.softplus(-real.float()).mean() - functional.softplus(fake.float()).mean()


def class_likelihood(real: Tensor, fake: Tensor, real_labels: Tensor, fake_labels: Tensor) -> Tensor:
    """Equation (2): ``L_C = E[log P(C = c | X_real)] + E[log P(C = c | X_fake)]``, from class logits."""
    return -functional.cross_entropy(real.float(), real_labels) - functional.cross_entropy(fake.float(), fake_labels)


def soft_dice_loss(logits: Tensor, masks: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Equation (3): ``1 - (2 TP + eps) / ((TP + FP) + (TP + FN) + eps)`` with probabilities, over the whole batch."""
    p, t = logits.float().sigmoid(), masks.float()
    return 1 - (2 * (p * t).sum() + epsilon) / (p.sum() + t.sum() + epsilon)


def hard_dice(predicted: Tensor, masks: Tensor) -> float:
    """Equation (4), over all pixels given; 1 where both are empty."""
    total = float(predicted.sum() + masks.sum())
    return 2 * float((predicted * masks).sum()) / total if total else 1.0


def intersection_over_union(predicted: Tensor, masks: Tensor) -> float:
    """Equation (5), over all pixels given; 1 where both are empty."""
    both = float((predicted * masks).sum())
    union = float(predicted.sum() + masks.sum()) - both
    return both / union if union else 1.0
