"""Recipes, divisions of subjects, and the networks that recipes describe."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from radlib.book.parameters import declared_parameters, resolve
from radlib.book.registry import chapters
from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import MODALITIES, Cohort, participants_table
from radlib.papers.islam2020.recipes import (
    METHODS,
    PAPER,
    Folds,
    HeldOut,
    Recipe,
    SynthesisRecipe,
    arguments_of,
    build,
    build_discriminator,
    build_generator,
    everyone,
)
from radlib.papers.islam2020.tables import MODELS

IDS = tuple(f"s{number}" for number in range(8))
# MONAI's own: deprecations inside its imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def cohort(*, segmented: int = 8) -> Cohort:
    rows = [
        {
            "id": name, "grade_group": "LGG" if number % 4 == 0 else "HGG",
            **({"seg": f"{name}.nii"} if number < segmented else {}), **dict.fromkeys(MODALITIES, f"{name}-x.nii"),
        }
        for number, name in enumerate(IDS)
    ]  # fmt: skip
    return Cohort(name="toy", source="simulated", root=Path("."), participants=participants_table(rows))


def test_nobody_is_on_two_sides_and_everyone_is_validated_once() -> None:
    splits = Folds(n_held_out=2, n_folds=2).splits(cohort())
    held_out = splits[0].test
    assert len(held_out) == 2
    assert {split.test for split in splits} == {held_out}
    for split in splits:
        assert sorted(everyone(split)) == sorted(IDS)
    assert sorted(one for split in splits for one in split.validation) == sorted(set(IDS) - set(held_out))


def test_a_third_is_held_out_at_most() -> None:
    (split,) = HeldOut(n_test=12).splits(cohort())
    assert (len(split.train), len(split.test), split.validation) == (6, 2, ())
    assert sorted(everyone(split)) == sorted(IDS)


def test_too_few_segmented_subjects_are_missing_data() -> None:
    with pytest.raises(MissingDataError, match="3 subjects"):
        Folds(n_held_out=2, n_folds=2).splits(cohort(segmented=3))
    with pytest.raises(MissingDataError, match="5 subjects"):
        HeldOut(n_test=2).splits(cohort(segmented=5))


@pytest.mark.parametrize("model", [name for name in MODELS if "MONAI" not in MODELS[name]])
def test_paper_sizes_build(model: str) -> None:
    with torch.device("meta"):
        network = build(model, in_channels=3, recipe=PAPER)
        assert network(torch.zeros(1, 3, 240, 240)).shape == (1, 4, 240, 240)


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(RadlibError, match="alexnet"):
        arguments_of("alexnet", in_channels=3, recipe=Recipe())


def test_groups_of_a_recipe_reach_the_encoder() -> None:
    network = build("fcn", in_channels=3, recipe=Recipe(widths=(8, 16, 32), groups=2))
    groups = [one.groups for one in network.get_submodule("encoder").modules() if isinstance(one, nn.Conv2d)]
    assert set(groups) == {1, 2}


def test_methods_differ_from_the_papers_in_one_part_each() -> None:
    kinds = {}
    for name, changes in METHODS.items():
        recipe = SynthesisRecipe(**changes)  # type: ignore[arg-type]
        net, judge = build_generator(("t1ce", "flair"), recipe), build_discriminator(3, recipe)
        kinds[name] = (type(net.network).__name__, type(judge).__name__)
    assert kinds == {
        "fcn": ("OctaveFCN", "EncoderDecoderDiscriminator"), "fcn_norm": ("OctaveFCN", "EncoderDecoderDiscriminator"),
        "unet": ("UNet2d", "PatchDiscriminator"), "fcn_l1": ("OctaveFCN", "NoneType"),
    }  # fmt: skip


def parameters(name: str) -> dict[str, object]:
    chapter = chapters()[name]
    return {key: one.default for key, one in declared_parameters(chapter.source).items()} | resolve(
        chapter, profile="paper"
    )


def test_the_paper_profile_is_the_published_recipe() -> None:
    values = parameters("octave_segmentation")
    assert (values["n_folds"], values["grid"], values["spacing"]) == (4, [240, 240, 155], 1.0)
    assert PAPER.learning_rate == PAPER.weight_decay == 1e-4
    names = (
        "learning_rate",
        "weight_decay",
        "output_stride",
        "large_kernel",
        "crop",
        "batch_size",
        "steps",
        "schedule",
    )
    assert {name: values[name] for name in names} == {name: getattr(PAPER, name) for name in names}
    assert values["schedule"] == PAPER.schedule
    assert (values["widths"], values["atrous_rates"]) == (list(PAPER.widths), list(PAPER.atrous_rates))


def test_synthesis_at_the_papers_size_has_pix2pix_of_its_own_size() -> None:
    values = parameters("modality_synthesis")
    assert values["patch_widths"] == [64, 128, 256, 512]  # judges 70 x 70 pixels: tests of the networks
    assert values["learning_rate"] == 0.005
