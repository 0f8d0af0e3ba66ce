"""The losses of Zhang 2021, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.papers.zhang2021 import losses


def test_adversarial_losses_by_hand() -> None:
    real, fake = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 1.0])
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(0.5 + (0.25 + 1) / 2)
    assert losses.generator_loss(fake).item() == pytest.approx((0.25 + 0) / 2)
    # A discriminator that is right has no loss, which a literal maximum of equation (5) would not give it.
    assert losses.discriminator_loss(torch.ones(3), torch.zeros(3)).item() == 0


def test_cycle_loss_sums_the_two_means() -> None:
    a, b = torch.zeros(2, 2), torch.ones(4)
    assert losses.cycle_loss([a + 0.5, b], [a, b + 2]).item() == pytest.approx(0.5 + 2)
    with pytest.raises(RadlibError, match="1 images came back for 2"):
        losses.cycle_loss([a], [a, b])


def test_dice_loss_by_hand() -> None:
    classes = torch.tensor([0, 1, 2, 3]).reshape(1, 4, 1, 1)
    right = 50.0 * nn.functional.one_hot(classes, 4).movedim(-1, 1).float()
    assert losses.dice_loss(right, classes).item() == pytest.approx(0, abs=1e-6)
    assert losses.region_targets(classes)[0, :, :, 0, 0].tolist() == [[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 0, 1]]
    everything_et = torch.zeros(1, 4, 4, 1, 1)
    everything_et[:, 3] = 50.0
    # |Y| of ET, WT, TC is 1, 3, 2 of 4 voxels; all 4 are predicted.
    expected = [1 - 2 * y / (y + 4) for y in (1, 3, 2)]
    assert losses.dice_loss(everything_et, classes, smooth=0.0).item() == pytest.approx(float(np.mean(expected)))
    # Squared probabilities: half certain of WT in two of three voxels, |S| is 2 * 0.25.
    half = torch.zeros(1, 4, 3, 1, 1)
    half[:, 0, 2] = 50.0
    half[:, 1], half[:, 3] = -50.0, -50.0
    oedema = torch.tensor([2, 2, 0]).reshape(1, 3, 1, 1)
    wt = 1 - 2 * (0.5 + 0.5) / (0.25 + 0.25 + 2)
    assert losses.dice_loss(half, oedema, smooth=1e-9).item() == pytest.approx(wt / 3, abs=1e-4)
    # An empty region that is not predicted costs nothing.
    nothing = torch.zeros(1, 4, 4, 1, 1)
    nothing[:, 0] = 50.0
    assert losses.dice_loss(nothing, torch.zeros_like(classes)).item() == pytest.approx(0, abs=1e-6)


def test_objective_7_adds_the_branches() -> None:
    torch.manual_seed(0)
    classes = torch.randint(0, 4, (1, 4, 4, 4))
    logits = [torch.randn(1, 4, 4, 4, 4) for _ in range(3)]
    parts = losses.fusion_loss(logits[0], logits[1:], classes)
    own = [losses.dice_loss(one, classes) for one in logits]
    assert parts["loss"].item() == pytest.approx(sum(float(one) for one in own))
    assert parts["fused"].item() == pytest.approx(float(own[0]))


def test_regions_that_are_not_outlined_are_left_out() -> None:
    classes = torch.tensor([0, 2, 2, 2]).reshape(1, 4, 1, 1)
    logits = torch.zeros(1, 4, 4, 1, 1)
    logits[:, 0, 0] = logits[:, 3, 1:] = 50.0  # the whole tumour is found, as enhancing
    assert losses.dice_loss(logits, classes, regions=("wt",)).item() == pytest.approx(0, abs=1e-6)
    assert losses.dice_loss(logits, classes).item() > 0.4
    both = losses.fusion_loss(logits, [logits, logits], classes, regions=("wt",))
    assert both["loss"].item() == pytest.approx(0, abs=1e-5)
