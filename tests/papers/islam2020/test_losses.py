"""Objective (1) by hand."""

import math

import pytest
import torch

from radlib.papers.islam2020.losses import discriminator_loss, distance_loss, generator_loss, segmentation_loss


def test_objective_1_by_hand() -> None:
    """Logits of a 2 x 2 map with verdicts 1/2, 3/4 for real and 1/2, 1/5 for synthetic pixels."""
    real = torch.tensor([[0.0, 0.0], [math.log(3), math.log(3)]])
    fake = torch.tensor([[0.0, 0.0], [math.log(1 / 4), math.log(1 / 4)]])
    of_d = -(math.log(1 / 2) + math.log(3 / 4)) / 2 - (math.log(1 / 2) + math.log(4 / 5)) / 2
    assert discriminator_loss(real, fake).item() == pytest.approx(of_d)
    assert generator_loss(fake).item() == pytest.approx(-(math.log(1 / 2) + math.log(1 / 5)) / 2)
    assert generator_loss(fake, saturating=True).item() == pytest.approx((math.log(1 / 2) + math.log(4 / 5)) / 2)
    image = torch.tensor([[0.1, 0.4], [0.5, 1.0]])
    assert distance_loss(image, torch.tensor([[0.0, 0.5], [0.5, 0.4]])).item() == pytest.approx(0.8 / 4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # inside MONAI's imports
def test_segmentation_is_cross_entropy_and_dice_of_the_tumour_classes() -> None:
    """Logits so large that the classes are certain: right ones cost nothing, all wrong ones a Dice loss of 1."""
    classes = torch.tensor([[[0, 1], [2, 3]]])
    logits = 40.0 * torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float()
    loss = segmentation_loss()
    identity = torch.nn.Identity()
    assert loss(identity, {"images": logits, "classes": classes}).item() == pytest.approx(0, abs=1e-4)
    wrong = loss(identity, {"images": logits, "classes": (classes + 1) % 4}).item()
    assert wrong == pytest.approx(40 + 1, abs=1e-3)
