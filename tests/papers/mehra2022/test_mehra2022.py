"""Mehra 2022: losses by hand, augmentation, streamed features, conditional generation, rivals, quality."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import MissingDataError, RadlibError
from radlib.features.streamed import FeatureFile, extract
from radlib.papers.mehra2022 import acgan as gr
from radlib.papers.mehra2022 import study, tables
from radlib.papers.mehra2022.classifier import probabilities, train_classifier
from radlib.papers.mehra2022.losses import hard_dice, intersection_over_union, soft_dice_loss
from radlib.papers.mehra2022.networks import FeatureDiscriminator, FeatureGenerator
from radlib.papers.mehra2022.recipes import GradeRecipe
from radlib.papers.mehra2022.unet import Augmentation, augment
from radlib.stats.generated import frechet_distance, memorised, precision_recall

# Equations


def test_segmentation_metrics_by_hand() -> None:
    masks = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    predicted = torch.tensor([[1.0, 0.0, 1.0, 1.0]])  # TP 1, FP 2, FN 1
    assert hard_dice(predicted, masks) == pytest.approx(2 / 5)
    assert intersection_over_union(predicted, masks) == pytest.approx(1 / 4)
    logits = torch.tensor([[math.log(3), 0.0, 0.0, -math.log(3)]])  # probabilities 3/4, 1/2, 1/2, 1/4
    assert soft_dice_loss(logits, masks, epsilon=0).item() == pytest.approx(1 - 2 * 1.25 / (2 + 2))
    assert hard_dice(torch.zeros(3), torch.zeros(3)) == 1.0
    assert intersection_over_union(torch.zeros(3), torch.zeros(3)) == 1.0


def test_acgan_objectives_by_hand() -> None:
    real, fake = torch.tensor([0.0, math.log(3)]), torch.tensor([math.log(1 / 4)])
    expected = (math.log(1 / 2) + math.log(3 / 4)) / 2 + math.log(4 / 5)
    assert gr.source_likelihood(real, fake).item() == pytest.approx(expected)
    classes = torch.tensor([[0.0, math.log(3)]])  # probabilities 1/4, 3/4
    found = gr.class_likelihood(classes, classes, torch.tensor([1]), torch.tensor([0]))
    assert found.item() == pytest.approx(math.log(3 / 4) + math.log(1 / 4))


# Augmentation


def test_image_and_mask_stay_aligned() -> None:
    """A checkerboard of eight-pixel squares: its augmented image must be bright where its augmented mask is."""
    board = ((torch.arange(96)[:, None] // 8 + torch.arange(96)[None] // 8) % 2).float()
    images, masks = augment(board.expand(6, 1, 96, 96), board.expand(6, 1, 96, 96), np.random.default_rng(0))
    disagree = ((images > 0.5) != (masks > 0.5)).float().mean()
    assert disagree < 0.02
    assert not torch.equal(masks[0], board[None])
    assert set(masks.unique().tolist()) <= {0.0, 1.0}


def test_each_augmentation_does_what_it_says() -> None:
    nothing = {"flip_horizontal": 0, "flip_vertical": 0, "alpha": 0, "rotation": 0, "shift": 0, "shear": 0, "zoom": 0}
    image = torch.rand(1, 1, 32, 32)

    def run(**changes: float) -> torch.Tensor:
        how = Augmentation(**{**nothing, **changes})
        return augment(image, image, np.random.default_rng(1), how=how)[0]

    still = run()
    # The grid runs from edge to edge, half a pixel wider than the pixels' centres.
    flipped = run(flip_horizontal=1)
    torch.testing.assert_close(flipped, still.flip(3))
    torch.testing.assert_close(run(flip_vertical=1), still.flip(2))
    for name, value in (("alpha", 720), ("rotation", 20), ("shift", 0.1), ("shear", 0.3), ("zoom", 0.3)):
        assert (run(**{name: value}) - still).abs().mean() > 0.01, name


# Streamed features


def test_an_interrupted_extraction_goes_on(tmp_path: Path) -> None:
    table = pd.DataFrame({"subject": [f"s{k % 5}" for k in range(80)], "value": range(80)})
    calls: list[int] = []

    def compute(rows: np.ndarray) -> torch.Tensor:
        calls.extend(rows)
        if len(calls) > 60 and not hasattr(compute, "whole"):
            raise KeyboardInterrupt
        return torch.from_numpy(rows).float()[:, None].expand(-1, 3)

    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path / "f", table, compute, identity={"a": 1}, batch_size=2)
    with pytest.raises(RadlibError, match="not complete"):
        FeatureFile(tmp_path / "f")
    compute.whole = True  # type: ignore[attr-defined]
    calls.clear()
    made = extract(tmp_path / "f", table, compute, identity={"a": 1}, batch_size=2)
    assert min(calls) == 32  # sixteen pieces of two were flushed
    assert torch.equal(made.take([79, 3, 41])[:, 0], torch.tensor([79.0, 3.0, 41.0]))
    assert torch.equal(torch.cat(list(made.pieces([5, 4, 70], size=2)))[:, 0], torch.tensor([5.0, 4.0, 70.0]))
    calls.clear()
    extract(tmp_path / "f", table, compute, identity={"a": 1}, batch_size=2)
    assert calls == []
    extract(tmp_path / "f", table, compute, identity={"a": 2}, batch_size=2)
    assert len(calls) == 80


# Conditional generation


def toy(n: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes of non-negative features that differ in which channel is bright."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    features = torch.rand(n, 4, 2, 2, generator=generator) * 0.3
    features[torch.arange(n), labels] += 2
    return features, labels


TINY = GradeRecipe(gan_width=16, noise=4, gan_steps=250, classifier_steps=80, classifier_width=8, precision="32-true")


def test_generation_depends_on_the_class() -> None:
    features, labels = toy(120, seed=0)
    generator, trained = gr.train_acgan(features, labels, recipe=TINY, seed=0)
    wanted = torch.arange(60) % 2
    made = gr.generate(generator, wanted, seed=1)
    bright = made.mean(dim=(2, 3))[:, :2].argmax(dim=1)
    assert (bright == wanted).float().mean() > 0.9
    assert torch.equal(made, gr.generate(generator, wanted, seed=1))
    assert {"discriminator.source", "discriminator.accuracy_synthetic", "generator.loss"} <= set(trained.history)
    # What was made for a class teaches a classifier that class.
    network, _ = train_classifier(made, wanted, recipe=TINY, seed=0)
    test, truth = toy(40, seed=2)
    assert ((probabilities(network, test) > 0.5) == truth.numpy()).mean() > 0.9


@pytest.mark.parametrize("arm", ["weighted_loss", "oversampling", "interpolation", "gaussian"])
def test_rivals_help_the_rare_class(arm: str) -> None:
    features, labels = toy(120, seed=0)
    keep = torch.nonzero((labels == 1) | (torch.arange(120) < 12))[:, 0]  # 6 of class 0, 60 of class 1
    test, truth = toy(40, seed=3)
    network, history, added = gr.run_arm(
        arm,
        features[keep],
        labels[keep],
        n_more=54,
        recipe=TINY,
        seed=0,
        held_out=(test, truth),  # type: ignore[arg-type]
    )
    assert added == (54 if arm in ("interpolation", "gaussian") else 0)
    assert history.loc[history["part"] == "validation", "auc"].iloc[-1] > 0.9
    assert ((probabilities(network, test) > 0.5) == truth.numpy()).mean() > 0.9


def test_added_samples_balance_the_classes_and_stay_between_neighbours() -> None:
    labels = torch.tensor([0] * 3 + [1] * 9)
    assert gr.balanced_labels(labels, 4).tolist() == [0] * 4
    assert torch.bincount(torch.cat([labels, gr.balanced_labels(labels, 10)])).tolist() == [11, 11]
    features = torch.arange(12.0)[:, None, None, None].expand(12, 2, 1, 1)
    made = gr.interpolated(features, labels, torch.tensor([0, 0, 1]), seed=0)
    assert (made[:2] <= 2).all()
    assert (made[2] >= 3).all()
    with pytest.raises(RadlibError, match="class 0 has 1 samples"):
        gr.interpolated(features[2:], labels[2:], torch.tensor([0]), seed=0)
    with pytest.raises(RadlibError, match="needs a generator"):
        gr.run_arm("acgan", features, labels, n_more=2, recipe=TINY, seed=0)


def test_patients_are_the_means_of_their_slices() -> None:
    slices = pd.DataFrame({"arm": "a", "run": 0, "subject": ["p", "p", "q"], "truth": [True, True, False],
                           "predicted": [True, False, True], "score": [0.9, 0.3, 0.6]})  # fmt: skip
    table = tables.patient_level(slices).set_index("subject")
    assert table.loc["p", ["score", "predicted", "slices"]].tolist() == [pytest.approx(0.6), True, 2]
    assert table.loc["q", "predicted"]
    found = tables.slice_estimates(slices, n_boot=50).set_index("group")
    assert (found.loc["total", "value"], found.loc["total", "n"]) == (pytest.approx((1 / 2 + 0) / 2), 2)
    assert found.loc["hgg", "value"] == pytest.approx(1 / 2)
    assert found.loc["average", "value"] == pytest.approx(1 / 4)


def test_the_true_grades_are_one_of_the_permutations() -> None:
    def scored(score: list[float], **more: object) -> pd.DataFrame:
        return pd.DataFrame({"subject": list("abcd"), "truth": [True, True, False, False], "score": score, **more})

    own = scored([0.9, 0.8, 0.2, 0.1], run=0)
    null = pd.concat([scored([0.9, 0.1, 0.8, 0.2], shuffle=0), scored([0.1, 0.2, 0.8, 0.9], shuffle=1)])
    found = tables.shuffle_test(own, null)
    assert (found["auc"], found["n"], found["p"]) == (1.0, 2, pytest.approx(1 / 3))
    assert found["mean"] == pytest.approx((0.5 + 0) / 2)


# Quality


def test_a_gaussian_a_class_has_the_classes_mean_and_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    features = 50 + torch.randn(400, 2, 1, 1, generator=generator) @ torch.ones(1, 1)
    features[:, 1] = 2 * features[:, 0] + torch.arange(400)[:, None, None] % 2 * 10
    labels = torch.arange(400) % 2
    made = gr.gaussian(features, labels, labels.repeat(10), seed=0)[:, :, 0, 0]
    for category in (0, 1):
        own, new = features[labels == category][:, :, 0, 0], made[labels.repeat(10) == category]
        torch.testing.assert_close(new.mean(0), own.mean(0), rtol=0.01, atol=0.2)
        torch.testing.assert_close(torch.cov(new.T), torch.cov(own.T), rtol=0.15, atol=0.05)
    assert (gr.gaussian(features - 50, labels, labels, seed=0) >= 0).all()
    with pytest.raises(RadlibError, match="class 0 has 1 samples"):
        gr.gaussian(features[:2], labels[:2], torch.tensor([0]), seed=0)


def test_likeness_tells_real_noise_and_copies_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    train, held_out, new, far = (torch.rand(200, 4, 2, 2, generator=generator) + k for k in (0, 0, 0, 5))
    alike, unlike, copied = (gr.likeness(train, held_out, one) for one in (new, far, train))
    assert min(alike["precision"], alike["recall"]) > 0.7
    assert (unlike["precision"], unlike["recall"]) == (0.0, 0.0)
    assert alike["frechet"] < 0.1 * unlike["frechet"]
    assert copied["memorised"] == 1.0
    assert alike["memorised"] < 0.1


def test_a_spectral_discriminator_has_no_batch_norm_and_unit_norms() -> None:
    judge = FeatureDiscriminator(3, 4, width=5, spectral=True)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in judge.modules())
    for _ in range(30):
        judge(torch.rand(2, 3, 4, 4))
    convolutions = [layer for layer in judge.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == 3
    for layer in convolutions:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_frechet_distance_of_known_gaussians() -> None:
    generator = np.random.default_rng(0)
    a = generator.normal(size=(20000, 2))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, 2 * generator.normal(size=(20000, 2)) + 1) == pytest.approx(2 + 2, abs=0.15)


def test_precision_recall_and_copies() -> None:
    generator = np.random.default_rng(1)
    real, other = generator.normal(size=(300, 3)), generator.normal(size=(300, 3))
    precision, recall = precision_recall(real, other)
    assert min(precision, recall) > 0.8
    narrow = precision_recall(real, 0.05 * generator.normal(size=(300, 3)))
    assert narrow[0] > 0.9
    assert narrow[1] < 0.2
    assert precision_recall(real, other + 50) == (0.0, 0.0)
    copied = np.vstack([real[:20] + 1e-6, other[:80] + 0.5])
    suspected = memorised(real, generator.normal(size=(300, 3)), copied)
    assert suspected[:20].all()
    assert suspected[20:].mean() < 0.1


@pytest.mark.parametrize(("low_grade", "trained"), [(["a"], 0), (["a", "b"], 2)])
def test_a_fold_without_a_class_to_learn_is_named(
    monkeypatch: pytest.MonkeyPatch, low_grade: list[str], trained: int
) -> None:
    table = pd.DataFrame({"subject": list("aabbccdd"), "row": range(8)})
    grade = pd.Series({subject: "LGG" if subject in low_grade else "HGG" for subject in "abcd"}, name="grade_group")
    cohort = SimpleNamespace(participants=grade.to_frame())
    monkeypatch.setattr(study, "graded", lambda _: cohort)
    part = SimpleNamespace(split=lambda _: SimpleNamespace(test=("a",)), title="fold 1")
    inputs = {"images": SimpleNamespace(source=None), "part": part}
    result = SimpleNamespace(job=SimpleNamespace(inputs=inputs), table=lambda _: table)
    if trained:
        fold = study.fold_of(result, "block")  # type: ignore[arg-type]
        assert int((fold.labels[fold.train] == 0).sum()) == trained
        assert fold.test.tolist() == [0, 1]
        return
    with pytest.raises(MissingDataError, match="fold 1 have 0 slices of LGG and 6 of HGG"):
        study.fold_of(result, "block")  # type: ignore[arg-type]


def test_only_recognised_features_are_added() -> None:
    class Judge(torch.nn.Module):
        """Recognises class 1 where the first value is above the others, and class 0 never."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            sure = (x[:, 0].flatten(1).mean(1) > x[:, 1].flatten(1).mean(1)).float()
            return sure, torch.stack([torch.full_like(sure, -1.0), sure], dim=1)

    torch.manual_seed(0)
    generator, judge = FeatureGenerator(2, 4, width=4, noise=3), Judge()
    made, labels = gr.recognised(generator, judge, torch.tensor([1] * 20 + [0] * 5), seed=0)
    assert labels.tolist() == [1] * len(made)
    assert (judge(made)[0] == 1).all()
    assert len(made) > 10


def test_the_two_parts_of_a_division_are_those_of_the_cohort() -> None:
    ids = [f"s{k}" for k in range(20)]
    cohort = SimpleNamespace(ids=ids, participants=pd.DataFrame({"grade_group": ["HGG", "LGG"] * 10}, index=ids))
    folds = [study.Part(fold=k, n_folds=4).split(cohort) for k in range(4)]  # type: ignore[arg-type]
    assert sorted(subject for fold in folds for subject in fold.test) == sorted(ids)
    published = study.Part(test_share=0.2).split(cohort)  # type: ignore[arg-type]
    assert len(published.test) == 4
    assert set(published.train).isdisjoint(published.test)


def test_signs_of_flair_see_darkness_edges_and_size() -> None:
    def subject(edge: int, inside: float) -> SimpleNamespace:
        flair = torch.full((16, 16, 16), 0.25)
        labels = torch.zeros(16, 16, 16, dtype=torch.uint8)
        labels[4 : 4 + edge, 4 : 4 + edge, 4 : 4 + edge] = 2
        flair[labels > 0] = inside
        return SimpleNamespace(labels=labels, take=lambda _: flair[None])

    people = {"small and bright": subject(4, 2.0), "large and dark": subject(8, -1.0)}
    store = SimpleNamespace(ids=list(people), subject=people.__getitem__)
    found = tables.flair_signs(store)  # type: ignore[arg-type]
    assert np.exp(found["volume"]).tolist() == pytest.approx([64, 512])
    assert found["surface"].tolist() == pytest.approx([(64 - 8) / 16, (512 - 216) / 64])
    assert found["dark"].tolist() == [0, 1]
    assert found["edge"].tolist() == pytest.approx([1.75, -1.25])
    assert found["mean"].tolist() == found["p95"].tolist() == [2, -1]
