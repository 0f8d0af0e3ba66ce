"""Feature transition, self-reconstruction and 2D pre-training on toy subjects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from radlib.core.errors import RadlibError
from radlib.data.store import ImageStore
from radlib.papers.zhang2021 import pretraining
from radlib.papers.zhang2021.data import PAIRS, PatchSampler, Recipe
from radlib.papers.zhang2021.networks import UNet, build, build_transition
from radlib.papers.zhang2021.segmentation import start_from
from radlib.papers.zhang2021.shapes import Voc

Trained = tuple[pretraining.Trained, pretraining.Starts]


@pytest.fixture(scope="module")
def short(tiny: Recipe) -> Recipe:
    return replace(tiny, steps=24, learning_rate=5e-3)


@pytest.fixture(scope="module")
def cycle(store: ImageStore, short: Recipe) -> Trained:
    return pretraining.train_transition(store, store.ids[:5], tuning=store.ids[5:], groups=PAIRS, recipe=short, seed=0)


@pytest.mark.slow
def test_cycle_consistency_falls_on_other_subjects(cycle: Trained) -> None:
    history = pretraining.one_name(cycle[0].history)
    tried = history.query("part == 'validation'")["cycle"].tolist()
    assert len(tried) == 4
    assert tried[-1] < 0.8 * tried[0]
    training = history.query("part == 'training'")
    assert training["cycle"].notna().all()
    assert training["adversarial"].iloc[-1] > 0


@pytest.mark.slow
def test_transition_is_unpaired_and_reproducible(
    store: ImageStore, short: Recipe, cycle: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[int]] = []
    original = PatchSampler.draw

    def draw(self: PatchSampler, step: int, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        images, classes = original(self, step, random)
        drawn.append([step, int(classes.sum())])
        return images, classes

    monkeypatch.setattr(PatchSampler, "draw", draw)
    _, again = pretraining.train_transition(store, store.ids[:5], groups=PAIRS, recipe=short, seed=0)
    assert list(again) == ["t1-t1ce", "t2-flair"]
    for name, network in cycle[1].items():
        for key, tensor in network.state_dict().items():
            assert torch.equal(tensor, again[name].state_dict()[key]), key
    tumour = {step: [size for s, size in drawn if s == step] for step, _ in drawn}
    assert sum(len(set(sizes)) == 2 for sizes in tumour.values()) > 10  # other cubes of A than of B


@pytest.mark.slow
def test_errors_of_translations(store: ImageStore, short: Recipe, cycle: Trained) -> None:
    made, box = pretraining.translate(cycle[0].networks, store, "s5", groups=PAIRS, recipe=short)
    assert box == (slice(2, 18),) * 3
    errors = pretraining.translation_errors(made, "s5").set_index(["group", "metric"])["value"]
    b = store.subject("s5").take(PAIRS[1])[(slice(None), *box)]
    assert errors["a_to_b", "error_of_mean"] == pytest.approx(float((b - b.mean()).abs().mean()), rel=1e-4)
    assert errors["a_to_b", "error"] == pytest.approx(float((made["fake_b"] - b).abs().mean()), rel=1e-4)
    assert len(errors) == 8


@pytest.mark.slow
def test_self_reconstruction_learns_to_return_its_input(store: ImageStore, short: Recipe) -> None:
    trained, starts = pretraining.train_self(
        store, store.ids[:5], tuning=store.ids[5:], groups=PAIRS, recipe=short, seed=0
    )
    tried = trained.history.query("part == 'validation'")["cycle"].tolist()
    assert tried[-1] < 0.8 * tried[0]
    assert list(starts) == ["t1-t1ce", "t2-flair"]
    assert starts["t1-t1ce"].state_dict()["head.weight"].shape[0] == 2


def test_2d_weights_start_3d_branches(tiny: Recipe) -> None:
    flat = replace(tiny, patch=16, batch_size=4, steps=2)
    fitted, starts = pretraining.train_2d(groups=PAIRS, recipe=flat, seed=0)
    network = build("ours", recipe=tiny)
    head = network.branches[0].head.weight.clone()
    start_from(network, {name: one.state_dict() for name, one in starts.items()}, groups=PAIRS)
    kernel = network.branches[0].state_dict()["encoder.0.second.0.weight"]
    assert torch.equal(kernel[..., 0], kernel[..., 2])  # the same along the new axis
    assert torch.equal(kernel, starts["t1-t1ce"].state_dict()["encoder.0.second.0.weight"])
    assert torch.equal(network.branches[0].head.weight, head)
    tried = fitted.history.query("part == 'validation'")
    assert tried["accuracy"].between(0, 1).all()


def test_voc_trains(tmp_path: Path, tiny: Recipe) -> None:
    for name, mode in (("JPEGImages/a.jpg", "RGB"), ("SegmentationClass/a.png", "L")):
        (tmp_path / name).parent.mkdir()
        Image.fromarray(np.full((20, 30, 3)[: 3 if mode == "RGB" else 2], 5, np.uint8), mode=None).save(tmp_path / name)
    voc = Voc(folder=tmp_path, names=("a",))
    recipe = replace(tiny, patch=8, batch_size=2, steps=2)
    _, starts = pretraining.train_2d(groups=PAIRS, recipe=recipe, seed=0, voc=voc)
    assert starts["t2-flair"].state_dict()["encoder.0.first.0.weight"].shape == (4, 2, 3, 3, 3)


def test_generators_have_the_branches_layers(tiny: Recipe) -> None:
    nets = build_transition(PAIRS, tiny)
    assert isinstance(nets["to_b"], UNet)
    assert nets["d_b"](torch.zeros(1, 2, 12, 12, 12)).shape[1] == 1
    with pytest.raises(RadlibError, match="leave the discriminator nothing"):
        build_transition(PAIRS, replace(tiny, patch=4))
