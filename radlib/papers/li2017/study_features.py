"""Jobs of the Fisher-vector features of Li 2017: the answers of a trained network, as numbers a patient."""

from __future__ import annotations

from typing import Literal

import torch

from radlib.data.cohort import Cohort
from radlib.data.store import ImageStore
from radlib.features.fisher import Mixture
from radlib.papers.li2017.data import Patients, choose_patients
from radlib.papers.li2017.features import Encoding, FeatureSet, encode, fit_dictionaries
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.prediction import Table
from radlib.papers.li2017.segmentation import network_input, segment
from radlib.papers.li2017.study import Setting, tumour_network
from radlib.study.jobs import Job, job
from radlib.study.store import Result, Work

Kind = Literal["multiple", "single", "predicted"]
"""Both modalities, all layers, first cohort; FLAIR alone, last convolution, all patients; and as the first, last
convolution, within the outlines that the network finds itself."""


def patients_of(setting: Setting) -> Cohort:
    """The patients with FLAIR, a segmentation and IDH status."""
    return setting.images.source.open().complete("flair", "seg", "idh")


def groups_of(setting: Setting, *, n_encoder: int) -> Patients:
    """Who belongs to what."""
    cohort = patients_of(setting)
    return choose_patients(
        cohort.participants, trained=setting.split().train, n_encoder=n_encoder, seed=setting.seed
    )  # fmt: skip


def images_for(setting: Setting, trained: Job) -> ImageStore:
    """The images of all these patients as the network of a job ``network`` wants them."""
    recipe = trained.inputs["recipe"]
    store = setting.images.open(tuple(patients_of(setting).ids))
    return network_input(store, recipe.normalisation, patch=recipe.patch)


def last_convolution(trained: Job) -> str:
    """The layer whose features the paper takes."""
    return f"conv{trained.inputs['variant'].convolutions}"


@job
def features(work: Work, *, setting: Setting, trained: Job, kind: Kind, encoding: Encoding, n_encoder: int) -> None:
    """Dictionaries from some patients, and a Fisher vector a patient and layer.

    Args:
        work: keeps ``vectors_<layer>`` and ``mixtures_<layer>``, and in its notes the patients (``ids``), seconds and
            cells a patient, and the filters with the best F-scores (``leading``).
        setting: of the network.
        trained: the network.
        kind: whose features, and of which layers.
        encoding: slices, scales, cells, mixture.
        n_encoder: patients from whom the dictionaries are fitted.
    """
    model, store = tumour_network(trained.result()), images_for(setting, trained)
    who = groups_of(setting, n_encoder=n_encoder)
    layers = model.network.layers if kind == "multiple" else (last_convolution(trained),)
    fitted_on, ids = (who.encoder_single, store.ids) if kind == "single" else (who.encoder, who.first)
    masks = {subject: segment(model, store, subject) for subject in who.first} if kind == "predicted" else None
    mixtures = fit_dictionaries(
        model, store, fitted_on, layers=layers, encoding=encoding, seed=setting.seed, masks=masks
    )  # fmt: skip
    arms = {layer: (layer, mixture) for layer, mixture in mixtures.items()}
    sets, seconds = encode(model, store, ids, arms=arms, encoding=encoding, seed=setting.seed, masks=masks)
    mutant = (patients_of(setting).participants["idh"] == "mutant")[list(ids)].to_numpy(dtype=bool)
    leading = {}
    for layer, found in sets.items():
        keep = trained.inputs["run"] == 0 and layer == last_convolution(trained)
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


def layers_of(trained: Job) -> tuple[str, ...]:
    """The layers of the network of a job ``network``, from its recipe alone."""
    recipe, variant = trained.inputs["recipe"], trained.inputs["variant"]
    with torch.device("meta"):
        made = TumourCNN(
            len(variant.modalities), variant.convolutions, filters=recipe.filters, neurons=1, patch=recipe.patch,
            padding=recipe.padding,
        )  # fmt: skip
    return made.layers
