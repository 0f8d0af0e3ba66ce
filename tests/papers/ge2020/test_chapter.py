"""The chapters of Ge 2020 fit together in every profile, and the paper profile is the published one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from radlib.book.parameters import declared_parameters, resolve
from radlib.book.registry import chapters
from radlib.data.published import published
from radlib.papers.ge2020.classifier import ClassifierRecipe, stage_schedule
from radlib.papers.ge2020.networks import MultiStreamClassifier, PairGenerator, PatchDiscriminator, SliceAutoencoder

PROFILES = ("smoke", "default", "paper")


def parameters(name: str, profile: str) -> dict[str, Any]:
    one = chapters()[name]
    declared = {key: parameter.default for key, parameter in declared_parameters(one.source).items()}
    return declared | resolve(one, profile=profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_second_chapter_reads_what_the_first_wrote(profile: str) -> None:
    first, second = (parameters(name, profile) for name in ("pairwise_gan", "multistream_idh"))
    assert second["generator"] == first["generator"]
    assert second["field"] == first["field"]
    assert first["size"] % 16 == 0
    assert len(second["widths"]) == published("ge2020.text.cnn_layers").value
    assert first["crop"] >= 32  # DenseNet121 halves five times


def test_paper_profile_has_the_published_sizes() -> None:
    first, second = (parameters(name, "paper") for name in ("pairwise_gan", "multistream_idh"))
    size = first["size"]
    assert published("ge2020.text.image_size").printed == f"{size} × {size}"
    assert first["n_runs"] == published("ge2020.text.runs").value
    assert first["gan_rate"] == published("ge2020.text.gan_learning_rate").value
    updates = published("ge2020.text.gan_epochs").value * (99 * 6 // first["gan_batch"])
    assert first["gan_steps"] == updates
    recipe = ClassifierRecipe(
        pretrain_steps=second["pretrain_steps"], pretrain_epochs=second["pretrain_epochs"],
        pretrain_rate=second["pretrain_rate"], batch_size=second["batch_size"],
    )  # fmt: skip
    _, steps, epoch = stage_schedule("augmented", int(published("ge2020.text.fake_slices_a").value), recipe)
    assert steps / epoch == published("ge2020.text.pretraining_epochs").value
    assert second["refine_epochs"] == published("ge2020.text.refining_epochs").value
    assert second["refine_rate"] == published("ge2020.text.refining_learning_rate").value
    with torch.device("meta"):
        image = torch.zeros(1, 1, size, size)
        assert PairGenerator(first["generator"])(image).shape == image.shape
        assert PatchDiscriminator(first["discriminator"])(image).shape[-2:] == (8, 8)
        assert SliceAutoencoder(first["autoencoder"]).latent(image.expand(1, 4, size, size)).shape == (1, 512)
        network = MultiStreamClassifier(widths=second["widths"], hidden=second["hidden"], size=size)
        assert network(torch.zeros(2, 4, size, size)).shape == (2, 2)
    neurons = [layer.out_features for layer in network.head if isinstance(layer, torch.nn.Linear)]
    assert published("ge2020.text.classifier_neurons").printed == ", ".join(map(str, neurons))
    assert second["unknown_share"] == pytest.approx(19 / 112, abs=1e-3)
