"""Improved Fisher vectors: sets of descriptors of any size become vectors of one length.

Li 2017 (Methods, "Selection of deep filter responses") pools the answers of each filter of a network over all slices
and scales of a patient, and describes their distribution by how it departs from a Gaussian mixture of 64 components:
two numbers a component, 128 filters, 16,384 in all. Everything here works on *F* sets at once, one for each filter.

For descriptors :math:`x_1, ..., x_N` and a mixture with weights :math:`w_k`, means :math:`\\mu_k`, standard deviations
:math:`\\sigma_k` and posteriors :math:`\\gamma_{nk}` (Perronnin, Sanchez and Mensink 2010),

.. math::

    u_k = \\frac{1}{N \\sqrt{w_k}} \\sum_n \\gamma_{nk} \\frac{x_n - \\mu_k}{\\sigma_k}, \\qquad
    v_k = \\frac{1}{N \\sqrt{2 w_k}} \\sum_n \\gamma_{nk} \\Big[\\frac{(x_n - \\mu_k)^2}{\\sigma_k^2} - 1\\Big].

A positive :math:`v_k` means that the descriptors spread wider around the component than the mixture does.
(``skimage.feature.fisher_vector`` gives these after its derivatives by the weights, and :math:`-v_k`.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from radlib.core.errors import RadlibError

#: Over what the vector has length one: each filter's part, or all of a case.
Unit = Literal["filter", "case"]

COMPONENTS = 64
"""Gaussian components of a filter (Li 2017, Methods)."""

_CELLS = 1 << 21  # numbers of one block of (sets, descriptors, components), so that memory stays in megabytes


class Place(NamedTuple):
    """Where a feature comes from.

    - ``filter``: counted from 0.
    - ``kernel``: Gaussian component, counted from 1.
    - ``order``: 1 for :math:`u_k` (means), 2 for :math:`v_k` (variances).
    """

    filter: int
    kernel: int
    order: int


def place_of(number: int, *, components: int = COMPONENTS) -> Place:
    """Where feature ``number`` (counted from 1, as the paper does) comes from.

    Both statistics of a component stand side by side, components follow each other, then filters: the order in which
    Li 2017 number theirs, as 13751 and 13768 are the first and a second order of the paper's filter no. 107.

    Raises:
        RadlibError: if the number is below 1.
    """
    if number < 1:
        raise RadlibError(f"there is no feature {number}", remedy="features are counted from 1")
    filter_, rest = divmod(number - 1, 2 * components)
    return Place(filter_, rest // 2 + 1, rest % 2 + 1)


def number_of(place: Place, *, components: int = COMPONENTS) -> int:
    """The number of a feature, counted from 1: the inverse of :func:`place_of`."""
    if place.filter < 0 or not 1 <= place.kernel <= components or place.order not in (1, 2):
        raise RadlibError(
            f"there is no {place}", remedy=f"filters count from 0, kernels from 1 to {components}, orders are 1 and 2"
        )
    return 2 * components * place.filter + 2 * (place.kernel - 1) + place.order


@dataclass(frozen=True)
class Mixture:
    """Diagonal Gaussian mixtures, one a set of descriptors, or one for all sets (``F = 1``).

    Attributes:
        weights: ``(F, K)``, each row adding up to 1.
        means: ``(F, K, D)``.
        variances: ``(F, K, D)``, positive.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor

    @property
    def components(self) -> int:
        """Components of each mixture, *K*."""
        return self.weights.shape[1]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Mixture:
        """The mixtures on a device."""
        return Mixture(*(part.to(device, dtype) for part in (self.weights, self.means, self.variances)))

    def log_likelihood(self, descriptors: Tensor) -> Tensor:
        """Log density of each descriptor: ``(F, N, D)`` (or ``(F, N)`` for ``D = 1``) to ``(F, N)``."""
        x = _as_sets(descriptors, self)
        parts = [torch.logsumexp(_joint(block, self)[0], dim=2) for block in _blocks(x, self)]
        return torch.cat(parts, dim=1) if parts else x.new_zeros(x.shape[:2])


def fit_mixture(
    descriptors: Tensor,
    *,
    components: int = COMPONENTS,
    steps: int = 100,
    tolerance: float = 1e-3,
    floor: float = 1e-6,
) -> Mixture:
    """Fit a mixture to each of F sets by expectation maximisation, all at once.

    It starts from equal shares of the sorted distinct values along each dimension and is therefore not random. With
    the same start scikit-learn's ``GaussianMixture`` goes through the same steps.

    Args:
        descriptors: ``(F, N, D)``, or ``(F, N)`` for ``D = 1``; N at least 1.
        components: K.
        steps: updates at most.
        tolerance: stop when the mean log-likelihood of a descriptor (in standard deviations) gains less in every set.
        floor: added to every variance, in units of the set's variance.

    Returns:
        The mixtures, on the device and of the type of the descriptors. A set of one value has all its means there.

    Raises:
        RadlibError: without descriptors, for values that are not finite, or fewer than one component.
    """
    x = descriptors[..., None] if descriptors.ndim == 2 else descriptors
    if x.ndim != 3 or x.shape[1] < 1 or components < 1:
        raise RadlibError(
            f"{components} components cannot be fitted to descriptors of shape {tuple(descriptors.shape)}",
            remedy="give (sets, descriptors, dimensions) with at least one descriptor",
        )
    if not torch.isfinite(x).all():
        raise RadlibError("a descriptor is NaN or infinite", remedy="look at the network that gave it")
    centre, spread = x.mean(dim=1, keepdim=True), x.std(dim=1, keepdim=True, correction=0)
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    x = (x - centre) / spread
    mixture = _start(x, components, floor)
    before = x.new_full((len(x),), -math.inf)
    for _ in range(steps):
        mixture, now = _update(x, mixture, floor)
        if bool((now - before < tolerance).all()):
            break
        before = now
    return Mixture(mixture.weights, mixture.means * spread + centre, mixture.variances * spread**2)


def fisher_vectors(descriptors: Tensor, mixture: Mixture, *, improved: bool = True, unit: Unit = "filter") -> Tensor:
    """Fisher vectors of F sets of descriptors.

    Args:
        descriptors: ``(F, N, D)``, or ``(F, N)`` for ``D = 1``.
        mixture: F mixtures, or one for all.
        improved: signed square roots of all numbers, then division by their length (Perronnin 2010, 3.1 and 3.2).
        unit: over what that length is taken; Li 2017 does not say.

    Returns:
        ``(F, K, 2, D)``: :math:`u_k` and :math:`v_k`. Flattened (``D = 1``) it has the order of :func:`place_of`.
        Without descriptors (``N = 0``) all zeros.

    Raises:
        RadlibError: if the shapes do not fit.
    """
    x = _as_sets(descriptors, mixture)
    F, N, D = x.shape
    first = x.new_zeros((F, mixture.components, D))
    second = torch.zeros_like(first)
    for block in _blocks(x, mixture):
        joint, z = _joint(block, mixture)
        share = torch.softmax(joint, dim=2)[..., None]  # (F, n, K, 1)
        weighted = share * z
        first += weighted.sum(dim=1)
        second += (weighted.mul_(z) - share).sum(dim=1)
    weights = mixture.weights[..., None]
    vectors = torch.stack([first / weights.sqrt(), second / (2 * weights).sqrt()], dim=2) / max(N, 1)
    return normalised(vectors, unit=unit) if improved else vectors


def normalised(vectors: Tensor, *, unit: Unit = "filter") -> Tensor:
    """Signed square roots, then length one over each filter's numbers or over all (``filter``, ``case``).

    Args:
        vectors: ``(F, K, 2, D)``. What is all zero stays so.
    """
    if unit not in ("filter", "case"):
        raise RadlibError(f"unknown unit {unit!r}", remedy="use 'filter' or 'case'")
    powered = vectors.sign() * vectors.abs().sqrt()
    length = powered.flatten(1).norm(dim=1) if unit == "filter" else powered.norm().expand(len(powered))
    length = torch.where(length > 0, length, torch.ones_like(length))
    return powered / length[:, None, None, None]


# Parts


def _as_sets(descriptors: Tensor, mixture: Mixture) -> Tensor:
    x = descriptors[..., None] if descriptors.ndim == 2 else descriptors
    F, _, D = mixture.means.shape
    if x.ndim != 3 or x.shape[2] != D or F not in (1, x.shape[0]):
        raise RadlibError(
            f"descriptors of shape {tuple(descriptors.shape)} do not fit {F} mixtures in {D} dimensions",
            remedy="give (sets, descriptors, dimensions), a mixture for each set or one for all",
        )
    return x


def _blocks(x: Tensor, mixture: Mixture) -> tuple[Tensor, ...]:
    """The descriptors in portions that fit into memory with their components."""
    if not x.shape[1]:
        return ()
    width = x.shape[0] * mixture.components * x.shape[2]
    cells = _CELLS if x.device.type == "cpu" else 32 * _CELLS  # a GPU wants more at once
    return torch.split(x, max(1, cells // max(width, 1)), dim=1)


def _joint(x: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Log of weight times density ``(F, n, K)``, and the distances in standard deviations ``(F, n, K, D)``."""
    scale = mixture.variances.rsqrt()
    z = (x[:, :, None, :] - mixture.means[:, None]) * scale[:, None]
    constant = mixture.weights.log() + scale.log().sum(dim=2) - 0.5 * x.shape[2] * math.log(2 * math.pi)
    return constant[:, None] - 0.5 * (z * z).sum(dim=3), z


def _start(x: Tensor, components: int, floor: float) -> Mixture:
    """Means in the middle of equal shares of the distinct values, variances of half the way to the neighbours."""
    F, _, D = x.shape
    at = (torch.arange(components, dtype=x.dtype, device=x.device) + 0.5) / components
    means = x.new_empty((F, components, D))
    for f in range(F):
        for d in range(D):
            values = torch.unique(x[f, :, d])  # many equal values (behind ReLU) must not take all components
            means[f, :, d] = values[(at * len(values)).long()]
    gaps = means.diff(dim=1).clamp(min=1e-3) if components > 1 else torch.ones_like(means)
    last = gaps[:, -1:]
    widths = torch.cat([gaps, last], dim=1)[:, :components]
    return Mixture(x.new_full((F, components), 1 / components), means, widths**2 + floor)


def _update(x: Tensor, mixture: Mixture, floor: float) -> tuple[Mixture, Tensor]:
    """One step of expectation maximisation, and the mean log-likelihood ``(F,)`` before it.

    Moments are taken around the old means, so that narrow components keep their digits.
    """
    shape = (x.shape[0], mixture.components)
    count, likelihood = x.new_zeros(shape), x.new_zeros(x.shape[0])
    first = x.new_zeros((*shape, x.shape[2]))
    second = torch.zeros_like(first)
    for block in _blocks(x, mixture):
        joint, z = _joint(block, mixture)
        total = torch.logsumexp(joint, dim=2)
        likelihood += total.sum(dim=1)
        share = (joint - total[..., None]).exp_()
        count += share.sum(dim=1)
        weighted = share[..., None] * z
        first += weighted.sum(dim=1)
        second += weighted.mul_(z).sum(dim=1)
    safe = count + 10 * torch.finfo(x.dtype).eps
    deviation, moved = mixture.variances.sqrt(), first / safe[..., None]
    variances = mixture.variances * (second / safe[..., None] - moved**2).clamp(min=0) + floor
    weights = safe / safe.sum(dim=1, keepdim=True)
    return Mixture(weights, mixture.means + deviation * moved, variances), likelihood / x.shape[1]
