"""Losses of Islam 2020: the players of objective (1), and what the segmentation networks minimise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn import functional


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``-E[log D(x, y)] - E[log(1 - D(x, G(x, z)))]``, from logits of any shape."""
    return functional.softplus(-real.float()).mean() + functional.softplus(fake.float()).mean()


def generator_loss(fake: Tensor, *, saturating: bool = False) -> Tensor:
    """``-E[log D(x, G(x, z))]``, or ``E[log(1 - D(x, G(x, z)))]`` where ``saturating``; from logits."""
    return -functional.softplus(fake.float()).mean() if saturating else functional.softplus(-fake.float()).mean()


def distance_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """L1: the mean absolute difference."""
    return (predicted.float() - truth.float()).abs().mean()


def segmentation_loss() -> Callable[[nn.Module, Mapping[str, Tensor]], Tensor]:
    """Cross-entropy plus soft Dice over the three tumour classes, both over the whole batch (MONAI's).

    The paper names no loss. The Dice has squares in its denominator (Milletari 2016): a class that is not found at
    first is found sooner.

    Returns:
        Of a network and a batch: ``images`` ``(B, C, H, W)`` and ``classes`` ``(B, H, W)``.
    """
    from monai.losses import DiceCELoss

    criterion = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, squared_pred=True, batch=True)

    def loss(network: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        value: Tensor = criterion(network(batch["images"]).float(), batch["classes"][:, None])
        return value

    return loss
