"""The losses of Zhang 2021, equations (2) to (8)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from radlib.core.errors import RadlibError
from radlib.data.regions import REGIONS


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Equations (2) and (3) as a discriminator minimises them: ``mean((D(real) - 1)^2) + mean(D(fake)^2)``.

    Objective (5) prints a maximum over the discriminators, which would teach them that real images are fake; least
    squares are minimised by both sides.

    Args:
        real, fake: scores of any shape.
    """
    return (real - 1).square().mean() + fake.square().mean()


def generator_loss(fake: Tensor) -> Tensor:
    """What a generator makes of (2) and (3): its images scored as real, ``mean((D(fake) - 1)^2)`` (CycleGAN)."""
    return (fake - 1).square().mean()


def cycle_loss(again: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Equation (4): the mean absolute difference of every image to itself after both generators, summed over images."""
    if len(again) != len(real) or not real:
        raise RadlibError(f"{len(again)} images came back for {len(real)}", remedy="give one for each")
    return torch.stack([(a - b).abs().mean() for a, b in zip(again, real, strict=True)]).sum()


def region_probabilities(logits: Tensor) -> Tensor:
    """Probabilities of ET, WT and TC, ``(B, 3, ...)``, from logits of the four classes ``(B, 4, ...)``."""
    p = logits.float().softmax(dim=1)
    return torch.stack([p[:, 3], 1 - p[:, 0], p[:, 1] + p[:, 3]], dim=1)


def region_targets(classes: Tensor) -> Tensor:
    """The regions of classes 0 to 3 ``(B, ...)``: ET, WT, TC as 0 and 1, ``(B, 3, ...)`` float32."""
    return torch.stack([classes == 3, classes > 0, (classes == 1) | (classes == 3)], dim=1).float()


def dice_loss(logits: Tensor, classes: Tensor, *, smooth: float = 1.0, regions: Sequence[str] = REGIONS) -> Tensor:
    """Equation (8), ``1 - 2 |Y and S| / (|Y| + |S|)``, meant over the regions ET, WT and TC.

    Sizes are taken over the whole batch. ``|S|`` is the sum of squared probabilities, as in V-Net (Milletari 2016),
    which the paper follows; for a prediction of 0 and 1 that is the size itself. The plain sum, which equation (8)
    would allow too, finds small regions much later.

    Args:
        logits: ``(B, 4, X, Y, Z)``.
        classes: ``(B, X, Y, Z)``, 0 to 3.
        smooth: added above and below, so that an empty region that is not predicted costs nothing.
        regions: those that are outlined; the others are left out of the mean.
    """
    p, y = region_probabilities(logits), region_targets(classes)
    over = (0, *range(2, p.dim()))
    shared, total = (p * y).sum(dim=over), p.square().sum(dim=over) + y.sum(dim=over)
    lost = 1 - (2 * shared + smooth) / (total + smooth)
    return (lost if tuple(regions) == REGIONS else lost[[REGIONS.index(name) for name in regions]]).mean()


def fusion_loss(
    fused: Tensor, branches: Sequence[Tensor], classes: Tensor, *, regions: Sequence[str] = REGIONS
) -> dict[str, Tensor]:
    """Objective (7): the Dice loss of the fusion branch plus that of every branch; ``fused`` is logged too."""
    own = dice_loss(fused, classes, regions=regions)
    return {"loss": own + sum(dice_loss(one, classes, regions=regions) for one in branches), "fused": own}
