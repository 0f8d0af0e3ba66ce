"""Losses by hand, cubes, feature transition and its rivals, fusion networks, and weights that are handed on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from radlib.book.parameters import resolve
from radlib.book.registry import chapters
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.data.store import ImageStore
from radlib.papers.zhang2021 import fusion, losses, shapes, stages, transition
from radlib.papers.zhang2021.networks import PAPER_WIDTHS, FusionNet, UNet
from radlib.papers.zhang2021.recipe import PAIRS, SINGLES, PatchSampler, Recipe, channels_of, make_split

# MONAI's own: deprecations inside its imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


# Losses


def test_adversarial_losses_by_hand() -> None:
    real, fake = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 1.0])
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(0.5 + (0.25 + 1) / 2)
    assert losses.generator_loss(fake).item() == pytest.approx((0.25 + 0) / 2)
    # A discriminator that is right has no loss, which a literal maximum of equation (5) would not give it.
    assert losses.discriminator_loss(torch.ones(3), torch.zeros(3)).item() == 0


def test_cycle_loss_sums_the_two_means() -> None:
    a, b = torch.zeros(2, 2), torch.ones(4)
    assert losses.cycle_loss([a + 0.5, b], [a, b + 2]).item() == pytest.approx(0.5 + 2)
    with pytest.raises(RadlibError, match="1 images came back for 2"):
        losses.cycle_loss([a], [a, b])


def test_dice_loss_by_hand() -> None:
    classes = torch.tensor([0, 1, 2, 3]).reshape(1, 4, 1, 1)
    right = 50.0 * nn.functional.one_hot(classes, 4).movedim(-1, 1).float()
    assert losses.dice_loss(right, classes).item() == pytest.approx(0, abs=1e-6)
    assert losses.region_targets(classes)[0, :, :, 0, 0].tolist() == [[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 0, 1]]
    everything_et = torch.zeros(1, 4, 4, 1, 1)
    everything_et[:, 3] = 50.0
    # |Y| of ET, WT, TC is 1, 3, 2 of 4 voxels; all 4 are predicted.
    expected = [1 - 2 * y / (y + 4) for y in (1, 3, 2)]
    assert losses.dice_loss(everything_et, classes, smooth=0.0).item() == pytest.approx(float(np.mean(expected)))
    # Squared probabilities: half certain of WT in two of three voxels, |S| is 2 * 0.25.
    half = torch.zeros(1, 4, 3, 1, 1)
    half[:, 0, 2] = 50.0
    half[:, 1], half[:, 3] = -50.0, -50.0
    oedema = torch.tensor([2, 2, 0]).reshape(1, 3, 1, 1)
    wt = 1 - 2 * (0.5 + 0.5) / (0.25 + 0.25 + 2)
    assert losses.dice_loss(half, oedema, smooth=1e-9).item() == pytest.approx(wt / 3, abs=1e-4)
    # An empty region that is not predicted costs nothing.
    nothing = torch.zeros(1, 4, 4, 1, 1)
    nothing[:, 0] = 50.0
    assert losses.dice_loss(nothing, torch.zeros_like(classes)).item() == pytest.approx(0, abs=1e-6)


def test_objective_7_adds_the_branches() -> None:
    torch.manual_seed(0)
    classes = torch.randint(0, 4, (1, 4, 4, 4))
    logits = [torch.randn(1, 4, 4, 4, 4) for _ in range(3)]
    parts = losses.fusion_loss(logits[0], logits[1:], classes)
    own = [losses.dice_loss(one, classes) for one in logits]
    assert parts["loss"].item() == pytest.approx(sum(float(one) for one in own))
    assert parts["fused"].item() == pytest.approx(float(own[0]))


# Recipe, subjects, cubes


def test_recipe_refuses_what_does_not_fit() -> None:
    with pytest.raises(RadlibError, match="cubes of 20 voxels cannot be halved 3 times"):
        Recipe(widths=(4, 4, 4, 4), patch=20, discriminator_widths=(4,))
    with pytest.raises(RadlibError, match="leave the discriminator nothing"):
        Recipe(widths=(4, 4), patch=16)
    with pytest.raises(RadlibError, match="a window of 30 voxels cannot be halved 2 times"):
        Recipe(widths=(4, 4, 4), patch=32, window=30)
    assert Recipe(window=0).roi is None
    with pytest.raises(RadlibError, match="no setting 'older'"):
        Recipe.from_dict({**Recipe().as_dict(), "older": 1})
    assert Recipe.from_dict({**Recipe().as_dict(), "widths": [16, 32, 64, 128, 256]}) == Recipe()


def test_paper_profile_is_the_published_size() -> None:
    values = resolve(chapters()["feature_transition"], profile="paper")
    fields = set(Recipe().as_dict())
    recipe = Recipe.from_dict({name: value for name, value in values.items() if name in fields})
    assert recipe.size == (128, 128, 128)
    assert (recipe.learning_rate, recipe.cycle_weight, recipe.batch_size) == (1e-4, 10, 1)
    assert (recipe.widths, recipe.tumour_share, recipe.window) == (PAPER_WIDTHS, 1.0, 128)
    with torch.device("meta"):
        for key in ("ours", "without_mg", "with_ca"):
            network = fusion.build_network(key, recipe=recipe)
            assert network(torch.empty(1, 4, 128, 128, 128)).shape == (1, 4, 128, 128, 128)
        nets = transition.build_transition(PAIRS, recipe)
        assert nets["to_b"](torch.empty(1, 2, 128, 128, 128)).shape == (1, 2, 128, 128, 128)
        assert nets["d_a"](torch.empty(1, 2, 128, 128, 128)).shape == (1, 1, 7, 7, 7)


def test_split_needs_all_modalities_and_a_segmentation(cohort: Cohort) -> None:
    split = make_split(cohort, held_out=3, seed=0)
    assert sorted([*split.train, *split.test]) == [f"p{number}" for number in range(7)]
    assert len(split.test) == 3
    with pytest.raises(MissingDataError, match="too few to hold out 6"):
        make_split(cohort, held_out=6, seed=0)


def test_cubes_depend_on_the_step_alone(store: ImageStore, tiny: Recipe) -> None:
    inside = Recipe(**{**tiny.as_dict(), "tumour_share": 1.0})
    sampler = PatchSampler.of(store, store.ids[:4], modalities=("t1ce", "flair"), recipe=inside, seed=1)
    images, classes = sampler.draw(3, rng(0, 3))
    again, same = sampler.draw(3, rng(0, 3))
    assert torch.equal(images, again)
    assert torch.equal(classes, same)
    assert images.shape == (2, 2, 12, 12, 12)
    assert classes.dtype == torch.int64
    assert set(classes.unique().tolist()) <= {0, 1, 2, 3}
    assert not torch.equal(images, sampler.draw(4, rng(0, 4))[0])
    # Every cube of the tumour area has tumour in its middle, and FLAIR shows it.
    assert (classes[:, 5:7, 5:7, 5:7].flatten(1).amax(dim=1) > 0).all()
    assert images[:, 1][classes > 0].mean() > images[:, 1][classes == 0].mean() + 1


def test_cubes_without_a_brain_are_refused(store: ImageStore, tiny: Recipe) -> None:
    with pytest.raises(RadlibError, match="no brain"):
        PatchSampler.of(store, [], modalities=("t1",), recipe=tiny, seed=0)


# Pre-training


@pytest.fixture(scope="module")
def cycle(store: ImageStore, tiny: Recipe) -> transition.Pretrained:
    return transition.train_transition(store, store.ids[:5], held_out=store.ids[5:], recipe=tiny, seed=0)


@pytest.mark.slow
def test_cycle_consistency_falls_on_held_out_subjects(cycle: transition.Pretrained) -> None:
    seen = cycle.history.query("part == 'validation'")["cycle"].tolist()
    assert len(seen) == 4
    assert seen[-1] < 0.8 * seen[0]
    training = cycle.history.query("part == 'training'")
    assert training["cycle"].notna().all()
    assert training["adversarial"].iloc[-1] > 0
    assert transition.cycle_fall({0: cycle}) == f"from {seen[0]:.2f} to {seen[-1]:.2f}"


@pytest.mark.slow
def test_transition_is_unpaired_and_reproducible(
    store: ImageStore, tiny: Recipe, cycle: transition.Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[int]] = []
    original = PatchSampler.draw

    def draw(self: PatchSampler, step: int, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        images, classes = original(self, step, random)
        drawn.append([step, len(self.channels), int(classes.sum())])
        return images, classes

    monkeypatch.setattr(PatchSampler, "draw", draw)
    again = transition.train_transition(store, store.ids[:5], recipe=Recipe(**{**tiny.as_dict(), "validations": 0}),
                                        seed=0)  # fmt: skip
    for group, weights in cycle.weights.items():
        for name, tensor in weights.items():
            assert torch.equal(tensor, again.weights[group][name]), name
    tumour = {step: [size for s, _, size in drawn if s == step] for step, _, _ in drawn}
    assert sum(len(set(sizes)) == 2 for sizes in tumour.values()) > 10  # other cubes of A than of B


def test_errors_of_translations(store: ImageStore, tiny: Recipe, cycle: transition.Pretrained) -> None:
    errors = transition.transition_errors(cycle, store, store.ids[5:7], recipe=tiny)
    assert errors.groupby("what").size().tolist() == [2, 2, 2, 2]
    table = transition.error_table(errors, n_boot=100)
    assert table["direction"].tolist() == ["A to B", "B to A", "A to B to A", "B to A to B"]
    row = table.iloc[0]
    assert row["difference"] == pytest.approx(row["error"] - row["error of the mean"])
    made = table.assign(difference=[0.2, -0.1, 0.0, 0.0], low=[0.1, -0.2, -0.1, -0.1], high=[0.3, -0.01, 0.1, 0.1])
    said = transition.error_sentence(made)
    assert "A to B above it (+0.20" in said
    assert "B to A below it" in said
    assert "no contradiction" in said
    # The error of the mean needs no network: by hand for one subject.
    box = (slice(2, 18),) * 3
    b = store.images[5][(store.channels(PAIRS[1]), *box)]
    assert errors.iloc[0]["mean_error"] == pytest.approx(float((b - b.mean()).abs().mean()), rel=1e-4)


def test_self_reconstruction_learns_to_return_its_input(store: ImageStore, tiny: Recipe) -> None:
    made = transition.train_self(store, store.ids[:5], held_out=store.ids[5:], recipe=tiny, seed=0)
    seen = made.history.query("part == 'validation'")["cycle"].tolist()
    assert seen[-1] < 0.8 * seen[0]
    assert set(made.weights) == set(PAIRS)
    assert made.weights[PAIRS[0]]["head.weight"].shape[0] == 2


def test_naive_extension_trains_six_pairs(store: ImageStore, tiny: Recipe) -> None:
    short = Recipe(**{**tiny.as_dict(), "transition_steps": 1})
    made = transition.train_six(store, store.ids[:4], modalities=channels_of(SINGLES), recipe=short, seed=0)
    assert made.history["pair"].nunique() == 6
    assert set(made.weights) == set(SINGLES)
    network = fusion.build_network("ours", groups=SINGLES, recipe=short)
    fusion.start_from(network, made, groups=SINGLES)
    for group, branch in zip(SINGLES, network.branches, strict=True):
        assert torch.equal(
            branch.state_dict()["encoder.0.first.0.weight"], made.weights[group]["encoder.0.first.0.weight"]
        )


# 2D


def test_shapes_are_what_they_say() -> None:
    images, classes = shapes.draw_shapes(40, rng(0, "shapes"), edge=32)
    again, _ = shapes.draw_shapes(40, rng(0, "shapes"), edge=32)
    assert torch.equal(images, again)
    assert set(classes.unique().tolist()) == set(range(len(shapes.SHAPES) + 1))
    assert images.mean().item() == pytest.approx(0, abs=1e-4)
    assert images.std(dim=(1, 2, 3)).tolist() == pytest.approx([1.0] * 40, rel=1e-2)


def test_2d_weights_start_3d_branches(tiny: Recipe) -> None:
    made = shapes.train_2d(recipe=tiny, seed=0, edge=16, batch_size=4)
    assert made.kind == "shapes"
    network = fusion.build_network("ours", recipe=tiny)
    head = network.branches[0].head.weight.clone()
    fusion.start_from(network, made, groups=PAIRS)
    kernel = network.branches[0].state_dict()["encoder.0.second.0.weight"]
    assert torch.equal(kernel[..., 0], kernel[..., 2])  # the same along the new axis
    assert torch.equal(kernel, made.weights[PAIRS[0]]["encoder.0.second.0.weight"])
    assert torch.equal(network.branches[0].head.weight, head)
    seen = made.history.query("part == 'validation'")
    assert seen["accuracy"].between(0, 1).all()


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    folder = tmp_path / "voc2012/VOCdevkit/VOC2012"
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    (folder / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    random = np.random.default_rng(0)
    for name, size in (("a", (20, 30)), ("b", (10, 12))):
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(folder / f"JPEGImages/{name}.jpg")
        classes = np.zeros(size, np.uint8)
        classes[2:5, 3:9], classes[5:6, 3:9] = 15, 255
        palette = Image.fromarray(classes, mode=None)
        palette.putpalette([value for value in range(256) for _ in range(3)])
        palette.save(folder / f"SegmentationClass/{name}.png")
    return tmp_path


def test_voc_is_read_and_cut(voc: Path) -> None:
    found = shapes.Voc.of(voc)
    image, classes = found.read("b")
    assert image.shape == (3, 10, 12)
    assert image.mean() == pytest.approx(0, abs=1e-5)
    assert set(np.unique(classes)) == {0, 15, 255}
    images, cut = found.draw(6, rng(0, "voc"), edge=16)
    assert images.shape == (6, 3, 16, 16)
    small = [k for k in range(6) if (cut[k, 10:] == shapes.VOID).all()]
    assert small  # image b is smaller than the square: beyond it all is void
    assert (images[small[0], :, 10:] == 0).all()
    assert found == shapes.find_voc(voc)


def test_voc_trains(voc: Path, tiny: Recipe) -> None:
    short = Recipe(**{**tiny.as_dict(), "transition_steps": 2})
    made = shapes.train_2d(recipe=short, seed=0, voc=shapes.Voc.of(voc), edge=8, batch_size=2)
    assert made.kind == "voc"
    assert made.weights[PAIRS[0]]["encoder.0.first.0.weight"].shape == (4, 2, 3, 3, 3)


def test_voc_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="PASCAL VOC 2012 is not there"):
        shapes.Voc.of(tmp_path)
    assert shapes.find_voc(tmp_path) is None
    assert shapes.find_voc(None) is None


# Fusion


def test_branches_start_from_the_generators_and_nothing_else_differs(
    tiny: Recipe, cycle: transition.Pretrained, store: ImageStore
) -> None:
    short = Recipe(**{**tiny.as_dict(), "steps": 1, "learning_rate": 1e-12, "validations": 0})
    started, plain = (
        fusion.train_network("ours", store, store.ids[:4], pretrained=one, recipe=short, seed=0).network
        for one in (cycle, None)
    )
    assert isinstance(started, FusionNet)
    assert isinstance(plain, FusionNet)
    for group, branch in zip(PAIRS, started.branches, strict=True):
        for name, tensor in branch.state_dict().items():
            if not name.startswith("head."):
                assert torch.allclose(tensor, cycle.weights[group][name], atol=1e-9), name
    for name, tensor in started.fusion.state_dict().items():
        assert torch.allclose(tensor, plain.fusion.state_dict()[name], atol=1e-9), name
    with pytest.raises(RadlibError, match="no weights for t1"):
        fusion.start_from(fusion.build_network("ours", groups=SINGLES, recipe=tiny), cycle, groups=SINGLES)


@pytest.fixture(scope="module")
def runs(store: ImageStore, tiny: Recipe) -> list[fusion.Run]:
    return [fusion.train_network("ours", store, store.ids[:5], held_out=store.ids[5:], recipe=tiny, seed=0)]


@pytest.mark.slow
def test_fusion_learns_the_toy(runs: list[fusion.Run], store: ImageStore) -> None:
    outcome = fusion.apply(runs, store, store.ids[5:])["ours"]
    assert outcome.scores.query("region == 'wt'")["dice"].mean() > 0.6
    assert outcome.scores.groupby("region").size().tolist() == [3, 3, 3]
    for subject, labels in outcome.labels.items():
        brain = (store.images[store.rows([subject])[0]] != 0).any(dim=0).numpy()
        assert (labels[~brain] == 0).all()
        assert set(np.unique(labels)) <= {0, 1, 2, 4}
    history = runs[0].fitted.history
    assert history["loss"].dropna().iloc[-1] < history["loss"].dropna().iloc[0]
    assert history["fused"].notna().any()


@pytest.mark.slow
def test_cube_by_cube_covers_the_brain(runs: list[fusion.Run], store: ImageStore) -> None:
    cubes = fusion.Run(key="ours", groups=PAIRS, recipe=Recipe(**{**runs[0].recipe.as_dict(), "window": 12}),
                       seed=0, fitted=runs[0].fitted)  # fmt: skip
    found = fusion.segment(cubes, store, store.ids[5])["ours"]
    truth = store.labels[5].numpy() > 0
    both = ((found > 0) & truth).sum()
    assert 2 * both / ((found > 0).sum() + truth.sum()) > 0.5


def test_branches_give_three_predictions(store: ImageStore, tiny: Recipe) -> None:
    short = Recipe(**{**tiny.as_dict(), "steps": 2, "validations": 0})
    run = fusion.train_network("branches", store, store.ids[:4], recipe=short, seed=0)
    found = fusion.apply([run], store, store.ids[6:])
    assert list(found) == ["s_a", "s_b", "s_a_s_b"]
    # The mean of both branches' probabilities, by hand.
    image = store.images[6][:, 2:18, 2:18, 2:18][None]
    with torch.no_grad():
        p = torch.stack([one.softmax(dim=1) for one in run.network.outputs(image)]).mean(dim=0)[0]
    expected = (p.argmax(dim=0).numpy() > 0) & (image[0] != 0).any(dim=0).numpy()
    assert ((found["s_a_s_b"].labels["s6"][2:18, 2:18, 2:18] > 0) == expected).all()


@pytest.mark.parametrize("key", fusion.MONAI)
def test_monai_networks_take_any_size(key: str, store: ImageStore, tiny: Recipe) -> None:
    short = Recipe(**{**tiny.as_dict(), "widths": (4, 4, 8), "steps": 1, "validations": 0})
    run = fusion.train_network(key, store, store.ids[:4], recipe=short, seed=0)
    assert fusion.segment(run, store, "s7")[key].shape == store.grid


def test_unknown_network(tiny: Recipe) -> None:
    with pytest.raises(RadlibError, match="unknown network 'other'"):
        fusion.build_network("other", recipe=tiny)
    with pytest.raises(RadlibError, match="DynUNet needs three levels"):
        fusion.build_network("dynunet", recipe=tiny)


def test_weights_are_handed_on(
    runs: list[fusion.Run], cycle: transition.Pretrained, store: ImageStore, tiny: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(RadlibError, match="there are no weights"):
        fusion.read_handed(tmp_path)
    (tmp_path / "ours-9.safetensors").write_bytes(b"of an earlier run")
    files = fusion.keep(tmp_path, runs, {0: cycle}, store=store, train=store.ids[:5], held_out=store.ids[5:])
    assert len(files) == 3
    handed = fusion.read_handed(tmp_path)
    assert (handed.recipe, handed.grid, handed.spacing) == (tiny, (20, 20, 20), 2.0)
    assert handed.train == store.ids[:5]
    assert handed.seeds == (0,)
    for group, weights in cycle.weights.items():
        for name, tensor in weights.items():
            assert torch.equal(handed.pretrained[0].weights[group][name], tensor)
    before, after = (fusion.segment(run, store, "s6")["ours"] for run in (runs[0], fusion.load_ours(handed, 0)))
    assert np.array_equal(before, after)


# Stages


def test_stages_pair_seeds(subjects: stages.Subjects, tiny: Recipe) -> None:
    short = Recipe(**{**tiny.as_dict(), "steps": 1, "transition_steps": 1, "validations": 1})
    start = stages.pretrain("self", subjects, recipe=short, seeds=[3, 4])
    assert list(start) == [3, 4]
    runs, found = stages.train_and_apply("ours_self", subjects, recipe=short, seeds=[3, 4], start=start)
    assert [run.seed for run in runs] == [3, 4]
    assert sorted(found["ours_self"].scores["run"].unique()) == [3, 4]
    assert found["ours_self"].title == "Ours, self-reconstruction"
    costs = stages.cost_table({"self": start})
    assert costs["updates"].tolist() == [1]
    table = subjects.table()
    assert table["subjects"].tolist() == [5, 3, 2]
    assert table["WT (ml)"].tolist() == pytest.approx([512 * 0.008] * 3)
    assert not math.isnan(stages.rule_outcome(subjects, seeds=[3]).scores["dice"].sum())


def test_generators_have_the_branches_layers(tiny: Recipe) -> None:
    nets = transition.build_transition(PAIRS, tiny)
    assert isinstance(nets["to_b"], UNet)
    assert nets["d_b"](torch.zeros(1, 2, 12, 12, 12)).shape[1] == 1
