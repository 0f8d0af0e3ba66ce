"""Trained networks on what they did not see in training: a synthetic modality in place of a real one, real subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort
from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore, prepare
from radlib.papers.islam2020.segmentation import Run, dice_of, segment
from radlib.papers.islam2020.segmentation_networks import TITLES, Recipe, spoken
from radlib.papers.islam2020.synthesis import load_synthesiser, synthesise
from radlib.training.weights import read_metadata

# Synthetic in place of real


def find_synthesiser(run_directory: Path, *, target: str, sources: Sequence[str]) -> Path | None:
    """The weights that the synthesis chapter left for a target and sources, or None.

    Args:
        run_directory: of any chapter of the same cohort and profile; the synthesis chapter's lies beside it.
    """
    folder = run_directory.parent / "modality_synthesis" / "weights"
    for file in sorted(folder.glob("*.safetensors")):
        about = read_metadata(file)
        recipe = about.get("recipe", {})
        fits = about.get("target") == target and set(about.get("sources", ())) == set(sources)
        if fits and recipe.get("generator") == "fcn":
            return file
    return None


def with_synthetic(
    store: ImageStore, cohort: Cohort, weights: Path, subjects: Sequence[str], *, sources: Sequence[str]
) -> ImageStore:
    """The store of ``subjects`` with a synthetic image in place of the real one.

    The synthetic image, 0 to 1, is standardised within the brain as real ones are; subjects that the generator was
    trained on are left out.

    Raises:
        MissingDataError: if it was trained on all of them, or does not say on whom.
    """
    generator, about = load_synthesiser(weights)
    if "train" not in about:
        raise MissingDataError(
            "these weights do not say on whom they were trained, so nobody is known to be unseen", file=weights,
            remedy="run the chapter modality_synthesis again",
        )  # fmt: skip
    unseen = [subject for subject in subjects if subject not in set(about["train"])]
    if not unseen:
        raise MissingDataError("the generator was trained on every held-out subject", file=weights)
    scaled = prepare(
        cohort, modalities=store.modalities, grid=store.grid, spacing=store.spacing, normalise="minmax", ids=unseen
    )
    made = {subject: synthesise(generator, scaled, subject, sources=sources) for subject in unseen}
    return store.subset(unseen).replaced(made, modality=str(about["target"]))


# Real subjects


def real_table(
    cohorts: Mapping[tuple[str, ...], Cohort], runs: Mapping[str, Sequence[Run]], store: ImageStore, *, recipe: Recipe
) -> pd.DataFrame:
    """Dice of the ensembles on real subjects: a row a network and kind of subject; mean, lowest and highest.

    Args:
        cohorts: of :func:`real_subjects`.
        runs: by key; each is applied to the subjects with exactly its modalities.
        store: whose grid and spacing the networks were trained on.
        recipe: for the precision.
    """
    rows = []
    for modalities, cohort in cohorts.items():
        real = prepare(cohort, modalities=modalities, grid=store.grid, spacing=store.spacing)
        for members in runs.values():
            if members[0].modalities != modalities:
                continue
            networks = [run.network for run in members]
            found = []
            for subject in real.ids:
                predicted = segment(networks, real, subject, modalities=modalities, precision=recipe.precision)
                found.append(dice_of(predicted, real.labels[real.rows([subject])[0]].cpu().numpy()))
            for region in REGIONS:
                values = np.array([one[region] for one in found])
                rows.append({
                    "network": TITLES[members[0].model], "modalities": spoken(modalities), "region": region.upper(),
                    "subjects": len(values), "mean Dice": values.mean(), "lowest": values.min(),
                    "highest": values.max(),
                })  # fmt: skip
    return pd.DataFrame(rows)
