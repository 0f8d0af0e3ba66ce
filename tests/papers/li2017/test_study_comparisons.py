"""What stands beside the networks of Li 2017: rules, steps behind a network, real subjects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from radlib.data.store import ImageStore
from radlib.papers.li2017.data import MODALITIES, Scaling, natural_share
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.segmentation import TumourNetwork, score_network
from radlib.papers.li2017.study import Recipe, train_network
from radlib.papers.li2017.study_comparisons import (
    FROM_REAL,
    FROM_SIMULATED,
    STEPS,
    TUNED,
    FlairRule,
    fit_flair_rule,
    real_scores,
    step_scores,
)


def store_of(n: int = 3) -> ImageStore:
    """Brains of 1 with a square of 3 as tumour and a smaller one of 2 that is none; 6 slices."""
    images = np.zeros((n, 2, 32, 28, 6), dtype=np.float32)
    labels = np.zeros((n, 32, 28, 6), dtype=np.uint8)
    images[:, :, 2:-2, 2:-2] = 1
    for row in range(n):
        labels[row, 6 : 15 + row, 5:16, 1:5] = 2
        images[row, :, 6 : 15 + row, 5:16, 1:5] = 3
        images[row, :, 20:26, 18:24, 1:5] = 2
    images += np.random.default_rng(0).normal(0, 0.05, images.shape).astype(np.float32) * (images != 0)
    return ImageStore(
        ids=tuple(f"s{row}" for row in range(n)), modalities=MODALITIES, spacing=2.0,
        images=torch.from_numpy(images), labels=torch.from_numpy(labels),
        present=torch.ones((n, 2), dtype=torch.bool), has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.stack([np.eye(4)] * n), normalisation="none",
    )  # fmt: skip


def model() -> TumourNetwork:
    torch.manual_seed(0)
    network = TumourCNN(2, filters=(4, 4), neurons=8).eval()
    scaling = Scaling(kind="training", mean=(0.5, 0.5), std=(1.0, 1.0))
    return TumourNetwork(network=network, modalities=MODALITIES, scaling=scaling, precision="32-true")


def test_flair_rule_finds_the_threshold_between_the_two_squares() -> None:
    store = store_of()
    rule = fit_flair_rule(store, store.ids)
    assert 2.1 < rule.threshold < 2.9
    assert rule.dice == pytest.approx(1.0)
    table = rule.scores(store, store.ids, smoothing=1)
    assert (table.loc[table["metric"] == "dice", "value"] == 1).all()
    brain, tumour = 28 * 24 * 6, (9 * 11) * 4
    assert natural_share(store, ["s0"]) == pytest.approx(tumour / brain)


def test_steps_behind_the_network() -> None:
    store = store_of()
    table = step_scores(model(), store, ["s0", "s1"], natural=0.1, dense=["s1"])
    assert list(table["step"].unique()) == list(STEPS)
    assert table.groupby("step")["subject"].nunique().sort_values().tolist() == [1, 1, 2, 2, 2, 2, 2]
    grid = table.query("step == 'grid' and metric == 'dice'")["value"]
    assert ((grid > 0.6) & (grid < 1)).all()  # a square of ten pixels, known on every fourth
    half = table[table["step"] == "half"]
    again = score_network(model(), store, ["s0", "s1"])
    np.testing.assert_array_equal(half["value"], again["value"])


def test_real_subjects_by_every_way_of_learning() -> None:
    """On synthetic stand-ins: every subject is scored once a method, by a network that did not learn from it."""
    store = store_of(4)
    recipe = Recipe(filters=(4, 4), neurons=8, steps=2, batch_size=8, evaluations=1, precision="32-true")
    made, _ = train_network(store, ["s0"], modalities=MODALITIES, recipe=recipe, seed=0, name="simulated")
    table = real_scores(
        store, simulated={"network": made}, known=FlairRule(2.5, 1.0), recipe=recipe, tuning_steps=1, n_folds=2, seed=0
    )
    counts = table.groupby(["method", "learnt"])["subject"].nunique()
    assert counts.to_dict() == {
        ("flair", FROM_REAL): 4, ("flair", FROM_SIMULATED): 4, ("network", FROM_REAL): 4,
        ("network", FROM_SIMULATED): 4, ("network", TUNED): 4,
    }  # fmt: skip
    assert len(table) == 20 * 3
