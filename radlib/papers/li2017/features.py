"""Deep features of Li 2017: the dictionary, and a Fisher vector a patient for every layer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radlib.core.device import pick_device
from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import named_seed, rng
from radlib.data.regions import region_mask
from radlib.data.store import ImageStore
from radlib.features.deep import Sampling, case_descriptors
from radlib.features.fisher import COMPONENTS, Mixture, Unit, fisher_vectors, fit_mixture
from radlib.papers.li2017.prediction import Table
from radlib.papers.li2017.recipes import Setting
from radlib.papers.li2017.segmentation import TumourNetwork
from radlib.papers.li2017.training import tumour_network
from radlib.study.jobs import Job, job
from radlib.study.store import Result, Work

#: One dictionary for all filters of a layer, or one a filter.
Dictionary = Literal["shared", "filter"]


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a patient becomes a Fisher vector.

    Attributes:
        sampling: scales and cells.
        slices: tumour slices a patient, those with most tumour; None takes all.
        components: Gaussian components.
        dictionary: ``shared``, one mixture for all filters of a layer (the paper speaks of *a* mixture), or
            ``filter``, one a filter.
        unit: over what the vector is brought to length one.
        n_fit: descriptors of a filter (of all together where shared) from which a mixture is fitted.
        fit_steps: updates of the mixture at most.
    """

    sampling: Sampling = field(default_factory=Sampling)
    slices: int | None = None
    components: int = COMPONENTS
    dictionary: Dictionary = "shared"
    unit: Unit = "filter"
    n_fit: int = 6000
    fit_steps: int = 50

    def __post_init__(self) -> None:
        if self.dictionary not in ("shared", "filter"):
            raise RadlibError(f"unknown dictionary {self.dictionary!r}", remedy="use 'shared' or 'filter'")


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Fisher vectors of some patients.

    Attributes:
        ids: patients.
        values: ``(patients, filters * components * 2)`` float32, in the order of
            :func:`radlib.features.fisher.place_of`.
        components: Gaussian components of each filter.
    """

    ids: tuple[str, ...]
    values: npt.NDArray[np.float32]
    components: int = COMPONENTS

    @property
    def filters(self) -> int:
        """Filters of the layer."""
        return self.values.shape[1] // (2 * self.components)

    def rows(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors of these patients, in this order.

        Raises:
            RadlibError: for a patient without one.
        """
        place = {subject: row for row, subject in enumerate(self.ids)}
        if unknown := [subject for subject in ids if subject not in place]:
            raise RadlibError(f"there are no features of {unknown[0]!r}", remedy="encode the images of these patients")
        return self.values[[place[subject] for subject in ids]]


def tumour_slices(
    store: ImageStore,
    subject: str,
    *,
    modalities: Sequence[str],
    most: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The axial slices with tumour: images ``(S, C, X, Y)`` and masks ``(S, X, Y)``; ``S`` is 0 without tumour.

    Args:
        store: images and reference segmentations.
        subject: whose.
        modalities: channels.
        most: only so many, those with most tumour.
    """
    row = store.rows([subject])[0]
    inside = region_mask(store.labels[row], "wt")
    area = inside.sum(dim=(0, 1)).cpu()
    places = torch.nonzero(area)[:, 0]
    if most is not None and len(places) > most:
        order = torch.argsort(area[places], descending=True, stable=True)
        places = places[order[:most]].sort().values
    places = places.to(store.device)
    images = store.images[row, store.channels(modalities)].movedim(3, 0)[places]
    return images, inside.movedim(2, 0)[places]


def describe(
    model: TumourNetwork,
    store: ImageStore,
    ids: Sequence[str],
    *,
    layers: Sequence[str],
    encoding: Encoding,
    seed: int,
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Each patient's descriptors by layer, ``(filters, N)``.

    Args:
        model: the trained network.
        store: images and reference segmentations.
        ids: patients.
        layers: whose answers.
        encoding: slices, scales, cells.
        seed: of the cells drawn; the same for a patient in whatever company.

    Raises:
        RadlibError: for a network whose patches were each normalised by themselves: a pixel then has another value in
            every patch, and there are no maps of an image.
    """
    if model.scaling.kind == "patch":
        raise RadlibError(
            "a network with normalisation 'patch' has no maps of an image",
            remedy="train it with normalisation 'training'",
        )
    device = pick_device()
    network = model.network.to(device).eval()
    for subject in track(ids, description="deep descriptors"):
        images, inside = tumour_slices(store, subject, modalities=model.modalities, most=encoding.slices)
        yield subject, case_descriptors(
            network, images.to(device), inside.to(device), layers=layers, sampling=encoding.sampling,
            scaling=model.scaling, seed=named_seed(seed, "cells", subject),
        )  # fmt: skip


def fit_dictionaries(
    model: TumourNetwork,
    store: ImageStore,
    ids: Sequence[str],
    *,
    layers: Sequence[str],
    encoding: Encoding,
    seed: int,
) -> dict[str, Mixture]:
    """The mixtures by layer, from some patients alone; each patient gives the same number of descriptors at most."""
    each = max(1, -(-encoding.n_fit // max(len(ids), 1)))
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for subject, found in describe(model, store, ids, layers=layers, encoding=encoding, seed=seed):
        generator = rng(seed, "dictionary", subject)
        for layer, x in found.items():
            parts[layer].append(x[:, _some(x.shape[1], each, generator, x.device)])
    fitted = {}
    for layer, columns in parts.items():
        x = torch.cat(columns, dim=1)
        if encoding.dictionary == "shared":
            x = x.flatten()
            x = x[_some(len(x), encoding.n_fit, rng(seed, "dictionary", layer), x.device)][None]
        fitted[layer] = fit_mixture(x, components=encoding.components, steps=encoding.fit_steps)
    return fitted


def encode(
    model: TumourNetwork,
    store: ImageStore,
    ids: Sequence[str],
    *,
    arms: Mapping[str, tuple[str, Mixture]],
    encoding: Encoding,
    seed: int,
) -> tuple[dict[str, FeatureSet], dict[str, float]]:
    """A Fisher vector a patient for each arm.

    Args:
        arms: name to layer and dictionary.
        model, store, ids, encoding, seed: as in :func:`describe`.

    Returns:
        The vectors by arm; seconds a patient of ``descriptors`` (all layers together) and ``encoding`` (all arms
        together), and the mean number of ``cells`` of a filter in the deepest convolution.
    """
    layers = list(dict.fromkeys(layer for layer, _ in arms.values()))
    device = pick_device()
    there = {name: mixture.to(device) for name, (_, mixture) in arms.items()}
    rows: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in arms}
    spent, cells, before = {"descriptors": 0.0, "encoding": 0.0}, 0, time.monotonic()
    for _, found in describe(model, store, ids, layers=layers, encoding=encoding, seed=seed):
        cells += found[layers[0]].shape[1] if len(layers) == 1 else found[_deepest(layers)].shape[1]
        middle = time.monotonic()
        spent["descriptors"] += middle - before
        for name, (layer, _) in arms.items():
            vectors = fisher_vectors(found[layer], there[name], unit=encoding.unit)
            rows[name].append(vectors.flatten().cpu().numpy())
        before = time.monotonic()
        spent["encoding"] += before - middle
    n = max(len(ids), 1)
    sets = {
        name: FeatureSet(ids=tuple(ids), values=np.stack(values), components=encoding.components)
        for name, values in rows.items()
    }
    return sets, {**{stage: seconds / n for stage, seconds in spent.items()}, "cells": cells / n}


# The job


@job
def features(
    work: Work,
    *,
    setting: Setting,
    trained: Job,
    who: Literal["first", "second"],
    encoding: Encoding,
    n_encoder: int,
    layers: tuple[str, ...] = (),
) -> None:
    """A dictionary from some patients, and a Fisher vector a patient and layer.

    Args:
        work: keeps ``vectors_<layer>`` and ``mixtures_<layer>``, and in its notes the patients (``ids``), seconds and
            cells a patient, and the filters with the best F-scores (``leading``).
        setting: of the network.
        trained: the network.
        who: the cohort whose patients fit the dictionary. Encoded are the patients of the first cohort; with
            ``second`` those of both.
        encoding: slices, scales, cells, mixture.
        n_encoder: patients from whom the dictionaries are fitted.
        layers: whose answers; the last convolution where there are none.
    """
    model, patients = tumour_network(trained.result()), setting.patients(n_encoder=n_encoder)
    last = last_convolution(trained)
    fitted_on = patients.encoder if who == "first" else patients.encoder_single
    ids = patients.first if who == "first" else tuple(str(one) for one in setting.known().ids)
    store = setting.store()
    mixtures = fit_dictionaries(
        model, store, fitted_on, layers=layers or (last,), encoding=encoding, seed=setting.seed
    )  # fmt: skip
    arms = {layer: (layer, mixture) for layer, mixture in mixtures.items()}
    sets, seconds = encode(model, store, ids, arms=arms, encoding=encoding, seed=setting.seed)
    mutant = (setting.known().participants["idh"] == "mutant")[list(ids)].to_numpy(dtype=bool)
    leading = {}
    for layer, found in sets.items():
        keep = trained.inputs["run"] == 0 and layer == last and who == "first"
        work.arrays(f"vectors_{layer}", {"values": found.values}, keep=keep)
        parts = {part: getattr(mixtures[layer], part).cpu().numpy() for part in ("weights", "means", "variances")}
        work.arrays(f"mixtures_{layer}", parts, keep=keep)
        best = (-Table(found.values, mutant).scores().f).argsort(kind="stable") // (2 * found.components)
        leading[layer] = list(dict.fromkeys(int(number) for number in best))[:4]
    work.note(
        ids=list(ids), components=encoding.components, seconds=seconds, leading=leading,
        filters={layer: found.filters for layer, found in sets.items()},
    )  # fmt: skip


def feature_set(found: Result, layer: str) -> FeatureSet:
    """The Fisher vectors of a layer that a job :func:`features` left."""
    values = found.arrays(f"vectors_{layer}")["values"]
    return FeatureSet(ids=tuple(found.notes["ids"]), values=values, components=found.notes["components"])


def mixture_of(found: Result, layer: str) -> Mixture:
    """The dictionary of a layer that a job :func:`features` left."""
    parts = {name: torch.from_numpy(values) for name, values in found.arrays(f"mixtures_{layer}").items()}
    return Mixture(**parts)


def last_convolution(trained: Job) -> str:
    """The layer whose features the paper takes."""
    return f"conv{trained.inputs['variant'].convolutions}"


def layers_of(trained: Job) -> tuple[str, ...]:
    """The layers of the network of a job ``network``, as the paper counts them."""
    n = trained.inputs["variant"].convolutions
    return (*(f"conv{number + 1}" for number in range(n)), f"fc{n + 1}", f"fc{n + 2}")


# Checks


def agreement_with_libraries(descriptors: Tensor, mixture: Mixture) -> dict[str, float]:
    """Largest differences from scikit-image's Fisher vector and scikit-learn's log-likelihood, for one filter.

    Args:
        descriptors: ``(N,)`` of one filter.
        mixture: its dictionary, or a shared one.

    Returns:
        ``first order``, ``second order``, ``log-likelihood``, each relative to the largest value.
    """
    from skimage.feature import fisher_vector
    from sklearn.mixture import GaussianMixture

    x, there = descriptors.double().cpu()[None, :, None], mixture.to("cpu", torch.float64)
    # Weights of single precision do not add up to one in double precision, and both libraries take that they do.
    there = Mixture(there.weights / there.weights.sum(dim=1, keepdim=True), there.means, there.variances)
    model = GaussianMixture(there.components, covariance_type="diag")
    model.weights_, model.means_, model.covariances_ = (
        part[0].numpy() for part in (there.weights, there.means, there.variances)
    )
    model.precisions_cholesky_ = 1 / np.sqrt(model.covariances_)
    theirs = fisher_vector(x[0].numpy(), model)[there.components :].reshape(2, -1)
    ours = fisher_vectors(x, there, improved=False)[0, :, :, 0].numpy()
    pairs = {
        "first order": (ours[:, 0], theirs[0]),
        "second order": (ours[:, 1], -theirs[1]),
        "log-likelihood": (there.log_likelihood(x)[0].numpy(), model.score_samples(x[0].numpy())),
    }
    return {name: float(np.abs(a - b).max() / np.abs(b).max()) for name, (a, b) in pairs.items()}


# Parts


def _deepest(layers: Sequence[str]) -> str:
    convolutions = [layer for layer in layers if layer.startswith("conv")]
    return max(convolutions or layers)


def _some(n: int, most: int, generator: np.random.Generator, device: torch.device) -> Tensor:
    """``most`` of ``n`` places, or all."""
    chosen = generator.permutation(n)[:most] if n > most else np.arange(n)
    return torch.from_numpy(chosen).to(device)
