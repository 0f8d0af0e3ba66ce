import numpy as np
import pytest

from radlib.core.errors import RadlibError
from radlib.features.islam71 import Islam71Settings, feature_names, islam71


def ellipsoid(shape: tuple[int, int, int], radii: tuple[float, float, float]) -> np.ndarray:
    grid = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    return (grid**2 / np.array(radii).reshape(3, 1, 1, 1) ** 2).sum(axis=0) <= 1


@pytest.fixture
def tumour() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((41, 41, 41), dtype=np.uint8)
    labels[ellipsoid(labels.shape, (18, 12, 9))] = 2
    labels[ellipsoid(labels.shape, (12, 8, 6))] = 4
    labels[ellipsoid(labels.shape, (6, 4, 3))] = 1
    image = np.random.default_rng(0).gamma(4, size=labels.shape)
    return image, labels


def test_there_are_71() -> None:
    names = feature_names()
    assert len(names) == len(set(names)) == 71


def test_ellipsoid(tumour: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = tumour
    found = islam71(image, labels)
    assert list(found) == feature_names()
    assert [found[f"wt_centroid_{axis}"] for axis in "xyz"] == [20, 20, 20]
    # A solid ellipsoid of semi-axis a has variance a**2 / 5 along that axis.
    for axis, radius in zip((1, 2, 3), (18, 12, 9), strict=True):
        assert found[f"wt_eigenvalue{axis}"] == pytest.approx(radius**2 / 5, rel=0.03)
        assert found[f"wt_axis{axis}_length"] == pytest.approx(4 * radius / 5**0.5, rel=0.02)
    assert found["wt_meridional_eccentricity"] == pytest.approx((1 - 9**2 / 18**2) ** 0.5, abs=0.01)
    assert found["wt_equatorial_eccentricity"] == pytest.approx((1 - 12**2 / 18**2) ** 0.5, abs=0.01)
    assert [found[f"wt_axis1_{axis}"] for axis in "xyz"] == pytest.approx([1, 0, 0], abs=1e-9)
    assert [found[f"wt_axis3_{axis}"] for axis in "xyz"] == pytest.approx([0, 0, 1], abs=1e-9)


def test_axis_tip(tumour: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = tumour
    found = islam71(image, labels, settings=Islam71Settings(axis_coordinates="tip"))
    assert found["wt_axis1_x"] == pytest.approx(found["wt_axis1_length"] / 2)


def test_spacing_is_in_mm(tumour: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = tumour
    one, two = islam71(image, labels), islam71(image, labels, spacing=(2, 2, 2))
    assert two["tc_axis1_length"] == pytest.approx(2 * one["tc_axis1_length"])
    assert two["tc_eigenvalue3"] == pytest.approx(4 * one["tc_eigenvalue3"])
    assert two["tc_entropy"] == one["tc_entropy"]


def test_intensity_by_hand() -> None:
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    labels[0, 0] = 1
    image = np.ones(labels.shape)
    image[0, 0] = [1, 2, 2, 3]
    found = islam71(image, labels, settings=Islam71Settings(bins=3, histogram="peak"))
    assert found["necrosis_entropy"] == pytest.approx(1.5)  # shares 1/4, 1/2, 1/4
    assert found["necrosis_histogram"] == 0.5
    assert found["necrosis_kurtosis"] == pytest.approx(2 - 3)  # fourth moment 1/2 over squared variance 1/4


def test_brightness_and_contrast_of_the_scanner_do_not_matter(tumour: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = tumour
    assert islam71(image, labels) == pytest.approx(islam71(image * 7.0, labels), nan_ok=True)


def test_missing_parts_are_nan(tumour: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = tumour
    labels = np.where(labels == 1, 4, labels)
    found = islam71(image, labels)
    empty = [name for name, value in found.items() if np.isnan(value)]
    assert empty == [name for name in feature_names() if name.startswith("necrosis")]
    no_image = islam71(None, labels)
    assert {name for name in no_image if np.isnan(no_image[name])} - set(empty) == {
        f"{region}_{what}" for region in ("tc", "wt") for what in ("kurtosis", "entropy", "histogram")
    }


def test_one_voxel_and_constant_region() -> None:
    labels = np.zeros((5, 5, 5), dtype=np.uint8)
    labels[2, 2, 2] = 1
    found = islam71(np.ones(labels.shape), labels)
    assert found["wt_axis1_length"] == 0
    assert np.isnan(found["wt_axis1_x"])
    assert np.isnan(found["wt_meridional_eccentricity"])
    assert np.isnan(found["wt_kurtosis"])


def test_bad_input(tumour: tuple[np.ndarray, np.ndarray]) -> None:
    image, labels = tumour
    with pytest.raises(RadlibError, match="labels are"):
        islam71(image[1:], labels)
    with pytest.raises(RadlibError, match="no background"):
        islam71(np.abs(image) + 1, labels, spacing=(9.0, 9.0, 9.0))
    image[20, 20, 20] = np.nan
    with pytest.raises(RadlibError, match="NaN"):
        islam71(image, labels)
