"""The studies of synthesis on patients of whom nobody has all four modalities: the same jobs, other divisions."""

from __future__ import annotations

from radlib.papers.islam2020 import study_synthesis
from radlib.papers.islam2020.divisions import HeldOutOf
from radlib.papers.islam2020.recipes import SynthesisRecipe
from radlib.papers.islam2020.study_synthesis import Sources
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import job
from radlib.study.store import Work


@job
def generator(
    work: Work, *, images: Images, division: HeldOutOf, target: str, sources: Sources, recipe: SynthesisRecipe,
    seed: int = 0,
) -> None:  # fmt: skip
    """:func:`radlib.papers.islam2020.study_synthesis.generator` of these patients."""
    study_synthesis.generator.function(
        work, images=images, division=division, target=target, sources=sources, recipe=recipe, seed=seed
    )


@job
def filler(
    work: Work, *, images: Images, division: HeldOutOf, target: str, lacking: Source, recipe: SynthesisRecipe,
    seed: int = 0,
) -> None:  # fmt: skip
    """:func:`radlib.papers.islam2020.study_synthesis.filler` of these patients."""
    study_synthesis.filler.function(
        work, images=images, division=division, target=target, lacking=lacking, recipe=recipe, seed=seed
    )


@job
def linear(
    work: Work, *, images: Images, division: HeldOutOf, target: str, sources: Sources = (),
    lacking: Source | None = None,
) -> None:  # fmt: skip
    """:func:`radlib.papers.islam2020.study_synthesis.linear` of these patients."""
    study_synthesis.linear.function(
        work, images=images, division=division, target=target, sources=sources, lacking=lacking
    )
