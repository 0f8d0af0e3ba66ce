"""What tests of heads and of tumours share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from radlib.phantom.fields import Lattice


def least_determinant(displacement: Lattice) -> float:
    """The lowest det(I + du/dx) of a displacement by central differences; above 0 where it folds nowhere."""
    u = displacement.values
    rows = [torch.stack(torch.gradient(u[a], spacing=displacement.spacing)) for a in range(3)]
    matrix = torch.stack(rows).movedim((0, 1), (-2, -1)) + torch.eye(3)
    return float(torch.linalg.det(matrix).min())


@pytest.fixture(scope="session")
def least_jacobian() -> Callable[[Lattice], float]:
    return least_determinant
