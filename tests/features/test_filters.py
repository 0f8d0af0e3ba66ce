"""Derived images and resampling: equal to the whole image's, and to independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import SimpleITK
import torch
from scipy import ndimage

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.features.filters import ImageSource, derive, image_names
from radlib.features.roi import Box
from radlib.features.separable import interpolation_matrix
from radlib.features.settings import DerivedImage, FeatureSettings

SPACING = (1.0, 1.5, 2.0)
SHAPE = (41, 36, 27)
INNER: Box = (slice(0, 12), slice(13, 30), slice(20, 27))  # touches two borders
WHOLE: Box = (slice(0, 41), slice(0, 36), slice(0, 27))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return ndimage.gaussian_filter(rng(0, "filters").normal(0, 500, SHAPE), 1) + 300


ALL = [
    DerivedImage(kind="original"),
    DerivedImage(kind="wavelet"),
    DerivedImage(kind="log", sigma_mm=2.0),
    DerivedImage(kind="square"),
    DerivedImage(kind="square_root"),
    DerivedImage(kind="logarithm"),
    DerivedImage(kind="exponential"),
    DerivedImage(kind="gradient"),
]


@pytest.mark.parametrize("definitions", ["ibsi", "pyradiomics"])
@pytest.mark.parametrize("derived", ALL, ids=lambda item: item.kind)
def test_crop_equals_whole_image(image: np.ndarray, derived: DerivedImage, definitions: str) -> None:
    source = ImageSource(image, SPACING, CPU)
    whole = dict(derive(source, derived, WHOLE, definitions=definitions))
    part = dict(derive(source, derived, INNER, definitions=definitions))
    assert list(part) == list(whole) == image_names(derived, definitions=definitions)
    for name, values in part.items():
        np.testing.assert_allclose(values, whole[name][INNER], rtol=1e-9, atol=1e-6)


def test_wavelets_are_those_of_pywt(image: np.ndarray) -> None:
    padded = np.pad(image, [(0, size % 2) for size in SHAPE], mode="wrap")
    bands = pywt.swtn(padded, "coif1", level=1)[0]
    found = dict(derive(ImageSource(image, SPACING, CPU), DerivedImage(kind="wavelet"), WHOLE))
    assert len(found) == 8
    for letters, expected in bands.items():
        name = "wavelet-" + letters.replace("a", "l").replace("d", "h")
        np.testing.assert_allclose(found[name], expected[WHOLE], atol=1e-9)


def test_laplacian_of_gaussian_is_that_of_scipy(image: np.ndarray) -> None:
    source = ImageSource(image, (1.5, 1.5, 1.5), CPU)
    found = dict(derive(source, DerivedImage(kind="log", sigma_mm=3.0), WHOLE))["log-3mm"]
    np.testing.assert_allclose(found, ndimage.gaussian_laplace(image, 2.0, truncate=4.0), atol=1e-9)


def test_laplacian_of_gaussian_is_that_of_itk(image: np.ndarray) -> None:
    scan = SimpleITK.GetImageFromArray(image.T)
    scan.SetSpacing(SPACING)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.LaplacianRecursiveGaussian(scan, 2.0, True)).T
    source = ImageSource(image, SPACING, CPU)
    derived = DerivedImage(kind="log", sigma_mm=2.0)
    found = dict(derive(source, derived, WHOLE, definitions="pyradiomics"))["log-sigma-2-0-mm-3D"]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())  # ITK filters in float32


def test_gradient_is_that_of_itk(image: np.ndarray) -> None:
    scan = SimpleITK.GetImageFromArray(image.T)
    scan.SetSpacing(SPACING)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.GradientMagnitude(scan)).T
    found = dict(derive(ImageSource(image, SPACING, CPU), DerivedImage(kind="gradient"), WHOLE))["gradient"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_point_operations(image: np.ndarray) -> None:
    source, top = ImageSource(image, SPACING, CPU), np.abs(image).max()
    expected = {
        "square": image**2 / top,
        "square_root": np.sign(image) * np.sqrt(np.abs(image) * top),
        "logarithm": np.sign(image) * np.log(np.abs(image) + 1) * top / np.log(top + 1),
        "exponential": np.exp(image * np.log(top) / top),
    }
    for kind, values in expected.items():
        derived = DerivedImage(kind=kind)  # type: ignore[arg-type]
        (found,) = dict(derive(source, derived, WHOLE)).values()
        np.testing.assert_allclose(found, values)


def test_interpolation_matrices() -> None:
    samples = rng(0, "samples").normal(size=11)
    at = np.linspace(0, 10, 37)
    for order, degree in (("linear", 1), ("cubic", 3)):
        expected = ndimage.map_coordinates(samples, [at], order=degree, mode="mirror")
        np.testing.assert_allclose(interpolation_matrix(11, at, order) @ samples, expected, atol=1e-10)
    nearest = interpolation_matrix(11, np.array([0.4, 0.6, 9.9]), "nearest") @ samples
    np.testing.assert_array_equal(nearest, samples[[0, 1, 10]])


def test_a_wrong_filter_is_named() -> None:
    with pytest.raises(RadlibError, match=r"sigma_mm"):
        FeatureSettings.create(images=[{"kind": "log"}])
    source = ImageSource(np.zeros(SHAPE), SPACING, CPU)
    with pytest.raises(RadlibError, match="nosuch"):
        list(derive(source, DerivedImage(kind="wavelet", wavelet_name="nosuch"), WHOLE))
