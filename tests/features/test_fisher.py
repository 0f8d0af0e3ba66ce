"""Fisher vectors against scikit-image, a case by hand, and scikit-learn's mixtures."""

import numpy as np
import pytest
import torch
from skimage.feature import fisher_vector
from sklearn.mixture import GaussianMixture

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.features.fisher import (
    Mixture,
    Place,
    fisher_vectors,
    fit_mixture,
    normalised,
    number_of,
    place_of,
)


def random_mixture(F: int, K: int, D: int) -> Mixture:
    draw = rng(1, "mixture", F, K, D)
    weights = draw.dirichlet(np.full(K, 3.0), size=F)
    parts = (weights, draw.normal(size=(F, K, D)), draw.uniform(0.2, 1.5, size=(F, K, D)))
    return Mixture(*(torch.from_numpy(part) for part in parts))


def as_sklearn(mixture: Mixture, f: int) -> GaussianMixture:
    K = mixture.components
    model = GaussianMixture(K, covariance_type="diag")
    model.weights_, model.means_ = mixture.weights[f].numpy(), mixture.means[f].numpy()
    model.covariances_ = mixture.variances[f].numpy()
    model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    return model


@pytest.mark.parametrize(("F", "K", "D"), [(1, 2, 1), (3, 64, 1), (2, 5, 4)])
def test_equal_to_scikit_image(F: int, K: int, D: int) -> None:
    mixture = random_mixture(F, K, D)
    x = torch.from_numpy(rng(0, "x").normal(size=(F, 500, D)))
    ours = fisher_vectors(x, mixture, improved=False)
    for f in range(F):
        theirs = fisher_vector(x[f].numpy(), as_sklearn(mixture, f))
        first, second = theirs[K : K + K * D].reshape(K, D), -theirs[K + K * D :].reshape(K, D)
        np.testing.assert_allclose(ours[f, :, 0].numpy(), first, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours[f, :, 1].numpy(), second, rtol=1e-9, atol=1e-12)
        # The improved vector: theirs without the weights' part, by their own two steps.
        both = np.stack([first, second], axis=1)
        powered = np.sign(both) * np.sqrt(np.abs(both))
        improved = fisher_vectors(x[f : f + 1], as_one(mixture, f))
        np.testing.assert_allclose(improved[0].numpy(), powered / np.linalg.norm(powered), rtol=1e-9, atol=1e-12)


def as_one(mixture: Mixture, f: int) -> Mixture:
    return Mixture(mixture.weights[f : f + 1], mixture.means[f : f + 1], mixture.variances[f : f + 1])


def test_two_components_by_hand() -> None:
    """Components at -10 and 10, so far apart that every descriptor belongs to one of them."""
    mixture = Mixture(
        torch.tensor([[0.25, 0.75]], dtype=torch.float64),
        torch.tensor([[[-10.0], [10.0]]], dtype=torch.float64),
        torch.tensor([[[4.0], [1.0]]], dtype=torch.float64),
    )
    x = torch.tensor([[-8.0, -10.0, 10.0, 11.0]], dtype=torch.float64)
    # z of the first: 1, 0; of the second: 0, 1. u = sum z / (4 sqrt w); v = sum (z^2 - 1) / (4 sqrt 2w)
    expected = [1 / (4 * 0.5), -1 / (4 * 0.5**0.5), 1 / (4 * 0.75**0.5), -1 / (4 * 1.5**0.5)]
    found = fisher_vectors(x, mixture, improved=False).flatten()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    roots = np.sign(expected) * np.sqrt(np.abs(expected))
    np.testing.assert_allclose(fisher_vectors(x, mixture).flatten().numpy(), roots / np.linalg.norm(roots), rtol=1e-12)


def test_zero_for_the_mixture_itself() -> None:
    """Descriptors drawn from the mixture have no gradient, up to 1 / sqrt N."""
    mixture = random_mixture(1, 3, 1)
    draw = rng(0, "drawn")
    k = draw.choice(3, size=200_000, p=mixture.weights[0].numpy())
    values = draw.normal(mixture.means[0, k, 0], mixture.variances[0, k, 0].sqrt())
    found = fisher_vectors(torch.from_numpy(values)[None], mixture, improved=False)
    assert found.abs().max() < 5 / 200_000**0.5


def test_in_blocks_shared_and_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture, x = random_mixture(2, 5, 1), torch.from_numpy(rng(2).normal(size=(2, 101)))
    whole = fisher_vectors(x, mixture)
    likelihood = mixture.log_likelihood(x)
    monkeypatch.setattr("radlib.features.fisher._CELLS", 70)
    torch.testing.assert_close(fisher_vectors(x, mixture), whole)
    torch.testing.assert_close(mixture.log_likelihood(x), likelihood)
    one = as_one(mixture, 0)
    torch.testing.assert_close(fisher_vectors(x, one), torch.cat([fisher_vectors(x[f : f + 1], one) for f in range(2)]))
    assert fisher_vectors(x[:, :0], mixture).eq(0).all()
    assert mixture.log_likelihood(x[:, :0]).shape == (2, 0)


def test_units() -> None:
    vectors = torch.from_numpy(rng(3).normal(size=(4, 6, 2, 1)))
    vectors[2] = 0
    by_filter, by_case = normalised(vectors), normalised(vectors, unit="case")
    lengths = by_filter.flatten(1).norm(dim=1)
    np.testing.assert_allclose(lengths.numpy(), [1, 1, 0, 1], rtol=1e-12)
    assert by_case.norm().item() == pytest.approx(1)
    with pytest.raises(RadlibError, match="unit"):
        normalised(vectors, unit="slice")  # type: ignore[arg-type]


def test_log_likelihood_equal_to_scikit_learn() -> None:
    for F, K, D in ((2, 64, 1), (2, 4, 3)):
        mixture = random_mixture(F, K, D)
        x = torch.from_numpy(rng(4).normal(size=(F, 300, D)))
        ours = mixture.log_likelihood(x)
        for f in range(F):
            theirs = as_sklearn(mixture, f).score_samples(x[f].numpy())
            np.testing.assert_allclose(ours[f].numpy(), theirs, rtol=1e-10)


def test_fit_goes_through_the_steps_of_scikit_learn() -> None:
    from radlib.features.fisher import _start

    x = torch.from_numpy(np.concatenate([rng(5).normal(-2, 0.5, 600), rng(6).normal(1, 1, 900)]))[None, :, None]
    x = (x - x.mean()) / x.std(correction=0)
    start = _start(x, 4, 1e-6)
    model = GaussianMixture(
        4, covariance_type="diag", weights_init=start.weights[0], means_init=start.means[0],
        precisions_init=1 / start.variances[0], max_iter=7, tol=0, reg_covar=1e-6,
    )  # fmt: skip
    with pytest.warns(Warning, match="did not converge"):
        model.fit(x[0].numpy())
    ours = fit_mixture(x, components=4, steps=7, tolerance=-1)
    np.testing.assert_allclose(ours.means[0].numpy(), model.means_, rtol=1e-6)
    np.testing.assert_allclose(ours.weights[0].numpy(), model.weights_, rtol=1e-6)
    np.testing.assert_allclose(ours.variances[0].numpy(), model.covariances_, rtol=1e-5)


def test_fit_of_several_sets_is_the_fit_of_each() -> None:
    x = torch.from_numpy(rng(7).normal(size=(3, 400)) ** 3)
    together = fit_mixture(x, components=8, steps=20, tolerance=-1)
    for f in range(3):
        alone = fit_mixture(x[f : f + 1], components=8, steps=20, tolerance=-1)
        torch.testing.assert_close(together.means[f : f + 1], alone.means)
    scaled = fit_mixture(10 * x + 5, components=8, steps=20, tolerance=-1)
    torch.testing.assert_close(scaled.means, 10 * together.means + 5)


def test_fit_of_ties_and_constants() -> None:
    """Half of the values zero, as behind ReLU; a filter that never answers."""
    half = torch.from_numpy(rng(8).normal(size=1000)).clamp(min=0)
    mixture = fit_mixture(torch.stack([half, torch.zeros(1000, dtype=torch.float64)]), components=16)
    for part in (mixture.weights, mixture.means, mixture.variances):
        assert torch.isfinite(part).all()
    assert (mixture.variances > 0).all()
    assert torch.unique(mixture.means[0]).numel() == 16
    assert mixture.means[1].eq(0).all()
    assert torch.isfinite(fisher_vectors(torch.ones(2, 3, dtype=torch.float64), mixture)).all()
    with pytest.raises(RadlibError, match="NaN"):
        fit_mixture(torch.full((1, 3), torch.nan))
    with pytest.raises(RadlibError, match="cannot be fitted"):
        fit_mixture(torch.zeros(1, 0))


def test_numbers_lead_back() -> None:
    """The paper's two features, counted from its filter no. 107."""
    assert place_of(13751) == Place(107, 28, 1)
    assert place_of(13768) == Place(107, 36, 2)
    assert place_of(1) == Place(0, 1, 1)
    assert place_of(128 * 64 * 2) == Place(127, 64, 2)
    assert all(number_of(place_of(n, components=5), components=5) == n for n in range(1, 31))
    vectors = torch.arange(3 * 5 * 2).reshape(3, 5, 2, 1)
    for number in (1, 7, 30):
        f, k, order = place_of(number, components=5)
        assert vectors.flatten()[number - 1] == vectors[f, k - 1, order - 1, 0]
    with pytest.raises(RadlibError, match="no feature 0"):
        place_of(0)
    with pytest.raises(RadlibError, match="kernel=65"):
        number_of(Place(0, 65, 1))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(RadlibError, match="do not fit 2 mixtures"):
        fisher_vectors(torch.zeros(3, 4), random_mixture(2, 2, 1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_same_on_a_gpu() -> None:
    x = torch.from_numpy(rng(9).normal(size=(4, 5000)).astype(np.float32))
    here = fit_mixture(x, components=64, steps=10, tolerance=-1)
    there = fit_mixture(x.cuda(), components=64, steps=10, tolerance=-1)
    torch.testing.assert_close(there.means.cpu(), here.means, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        fisher_vectors(x.cuda(), here.to("cuda")).cpu(), fisher_vectors(x, here), rtol=1e-3, atol=1e-4
    )
