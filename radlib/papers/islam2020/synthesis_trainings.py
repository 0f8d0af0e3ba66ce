"""What the synthesis chapter trains, a function each: methods, generators that fill in, segmentation networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.papers.islam2020 import segmentation as seg
from radlib.papers.islam2020.synthesis import (
    TITLES,
    Synthesiser,
    SynthesisRecipe,
    missing_directions,
    train_synthesiser,
)
from radlib.training.loop import Trained
from radlib.training.supervised import Fitted


def train_method(
    title: str,
    store: ImageStore,
    *,
    target: str,
    sources: Sequence[str],
    train: Sequence[str],
    test: Sequence[str],
    recipe: SynthesisRecipe,
    seed: int,
    folder: Path | None = None,
) -> tuple[Synthesiser, Trained]:
    """A method of :data:`~radlib.papers.islam2020.synthesis.TITLES` with one seed, in a folder of its own."""
    generator, discriminator = TITLES[title]
    return train_synthesiser(
        store, target=target, sources=[sources], train=train, validate=test, seed=seed,
        recipe=replace(recipe, generator=generator, discriminator=discriminator),
        name=f"{generator}, {discriminator}, seed {seed}",
        folder=None if folder is None else folder / f"{generator}-{discriminator}-{seed}",
    )  # fmt: skip


def needed_sources(cohort: Cohort, target: str) -> list[tuple[str, ...]]:
    """The sets of available modalities from which a cohort needs ``target``, the most frequent first.

    Where no subject lacks it: the three other modalities together.
    """
    table = missing_directions(cohort, targets=[target])
    sets: list[tuple[str, ...]] = [tuple(value) for value in table["sources"]]
    return sets or [tuple(name for name in MODALITIES if name != target)]


def train_fill(
    store: ImageStore,
    cohort: Cohort,
    *,
    target: str,
    train: Sequence[str],
    validate: Sequence[str],
    recipe: SynthesisRecipe,
    seed: int,
    folder: Path | None = None,
) -> tuple[Synthesiser, Trained]:
    """The generator of one modality, trained on every set of sources from which the cohort needs it."""
    return train_synthesiser(
        store, target=target, sources=needed_sources(cohort, target), train=train, validate=validate, recipe=recipe,
        seed=seed, name=f"fill in {target}", folder=None if folder is None else folder / f"fill-{target}",
    )  # fmt: skip


def train_segmentation(
    store: ImageStore,
    *,
    train: Sequence[str],
    validate: Sequence[str] = (),
    modalities: Sequence[str],
    recipe: seg.Recipe,
    seed: int,
    model: str = "unet",
    folder: Path | None = None,
) -> Fitted:
    """A segmentation network for some modalities, on real images."""
    split = Split(name="synthesis", train=tuple(train), test=tuple(validate))
    place = None if folder is None else folder / f"{model}-{'-'.join(modalities)}-{seed}"
    return seg.train(store, split, model=model, recipe=recipe, seed=seed, modalities=modalities, folder=place)


def synthesis_trainings(
    store: ImageStore,
    cohort: Cohort,
    *,
    target: str,
    sources: Sequence[str],
    fill_targets: Sequence[str],
    train: Sequence[str],
    test: Sequence[str],
    recipe: SynthesisRecipe,
    seeds: Sequence[int],
    scaled: Callable[[], ImageStore],
    segmentation: seg.Recipe,
    segmentation_seeds: Sequence[int],
    folder: Path,
) -> dict[str, Callable[[], object]]:
    """All of them by name; the generators that fill in have the first seed.

    Args:
        store: images from 0 to 1.
        cohort: where modalities lack.
        target, sources: of the methods.
        fill_targets: of the generators that fill in.
        train, test: subjects.
        recipe, seeds: of the generators.
        scaled: gives the z-scored images, of which only the segmentation networks have need.
        segmentation, segmentation_seeds: of these.
        folder: for checkpoints.
    """
    found: dict[str, Callable[[], object]] = {
        f"{title}, seed {seed}": partial(
            train_method, title, store, target=target, sources=sources, train=train, test=test, recipe=recipe,
            seed=seed, folder=folder,
        )
        for title in TITLES
        for seed in seeds
    }  # fmt: skip
    for name in fill_targets:
        found[f"fill in {name}"] = partial(
            train_fill, store, cohort, target=name, train=train, validate=test, recipe=recipe, seed=seeds[0],
            folder=folder,
        )  # fmt: skip
    for seed in segmentation_seeds:
        for modalities in (tuple(sources), (*sources, target)):

            def segment(modalities: tuple[str, ...] = modalities, seed: int = seed) -> None:
                train_segmentation(
                    scaled(), train=train, modalities=modalities, recipe=segmentation, seed=seed, folder=folder
                )

            found[f"U-Net, {'+'.join(modalities)}, seed {seed}"] = segment
    return found
