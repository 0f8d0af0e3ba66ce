import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.features.boxcount import box_count


@pytest.mark.parametrize(("shape", "dimension"), [((32, 32, 32), 3), ((32, 32, 1), 2), ((32, 1, 1), 1)])
def test_cube_plane_line(shape: tuple[int, int, int], dimension: int) -> None:
    mask = np.zeros((40, 40, 40), dtype=bool)
    mask[tuple(slice(3, 3 + edge) for edge in shape)] = True
    found = box_count(mask)
    assert found.dimension == pytest.approx(dimension, abs=1e-9)
    assert found.size_mm.tolist() == [1, 2, 4, 8, 16]
    assert found.count.tolist() == [(32 // size) ** dimension for size in (1, 2, 4, 8, 16)]


def test_menger_like_cantor_dust() -> None:
    # The product of three Cantor-like sets that keep 1 of 2 at every other scale: log 2 / log 4 an axis.
    axis = np.array([int(all(bit in "01" for bit in np.base_repr(i, 4))) for i in range(64)], dtype=bool)
    dust = axis[:, None, None] & axis[None, :, None] & axis[None, None, :]
    counts = box_count(dust)
    assert counts.count[[0, 2, 4]].tolist() == [512, 64, 8]
    assert -np.polyfit(np.log(counts.size_mm[[0, 2, 4]]), np.log(counts.count[[0, 2, 4]]), 1)[0] == pytest.approx(1.5)


def test_anisotropic_voxels_are_measured_in_mm() -> None:
    mask = np.ones((32, 32, 8), dtype=bool)
    found = box_count(mask, spacing=(1, 1, 4))
    assert found.size_mm.tolist() == [4, 8, 16]
    assert found.dimension == pytest.approx(3, abs=1e-9)


def test_translation_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    blob = rng.random((12, 12, 12)) < 0.3
    values = []
    for shift in (0, 5):
        mask = np.zeros((24, 24, 24), dtype=bool)
        mask[shift : shift + 12, shift : shift + 12, shift : shift + 12] = blob
        values.append(box_count(mask).dimension)
    assert values[0] == values[1]


def test_too_small_is_nan() -> None:
    empty = np.zeros((5, 5, 5), dtype=bool)
    one = empty.copy()
    one[2, 2, 2] = True
    assert np.isnan(box_count(empty).dimension)
    assert np.isnan(box_count(one).dimension)
    with pytest.raises(RadlibError, match="3D"):
        box_count(empty[0])
