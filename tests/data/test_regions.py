"""Labels, regions and classes, for arrays and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.regions import from_classes, region_mask, to_classes

LABELS = np.array([0, 1, 2, 4], dtype=np.uint8)


@pytest.mark.parametrize(("region", "expected"), [("et", [0, 0, 0, 1]), ("wt", [0, 1, 1, 1]), ("tc", [0, 1, 0, 1])])
def test_regions_hold_their_labels(region: str, expected: list[int]) -> None:
    assert region_mask(LABELS, region).tolist() == [bool(value) for value in expected]
    assert region_mask(torch.from_numpy(LABELS), region).tolist() == [bool(value) for value in expected]


def test_round_trips() -> None:
    tensor = torch.from_numpy(LABELS)
    assert to_classes(LABELS).tolist() == [0, 1, 2, 3]
    assert from_classes(to_classes(LABELS)).tolist() == LABELS.tolist()
    assert torch.equal(from_classes(to_classes(tensor)), tensor)
    assert torch.equal(from_classes(to_classes(tensor)), tensor)


def test_wrong_input_is_named() -> None:
    with pytest.raises(RadlibError, match="unknown region 'core'"):
        region_mask(LABELS, "core")
