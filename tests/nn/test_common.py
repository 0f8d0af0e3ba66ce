"""What networks share."""

import torch

from radlib.nn.common import pad_to_multiple


def test_padding_is_undone() -> None:
    images = torch.randn(1, 2, 13, 8)
    padded, crop = pad_to_multiple(images, 8)
    assert padded.shape == (1, 2, 16, 8)
    assert torch.equal(padded[crop], images)
    assert padded.count_nonzero() == images.count_nonzero()
