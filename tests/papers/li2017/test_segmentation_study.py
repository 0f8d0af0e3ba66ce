"""What the chapter on the tumour CNN compares: rules, steps behind the network, effects, the ledger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.published import published_values
from radlib.data.store import ImageStore
from radlib.papers.li2017 import segmentation as seg
from radlib.papers.li2017 import segmentation_figures as figures
from radlib.papers.li2017 import segmentation_ledger as ledger
from radlib.papers.li2017 import segmentation_results as results
from radlib.papers.li2017 import segmentation_study as study
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.patches import Scaling
from radlib.papers.li2017.segmentation_real import FROM_REAL, FROM_SIMULATED, TUNED, real_scores
from radlib.papers.li2017.segmentation_slices import TumourNetwork


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
        ids=tuple(f"s{row}" for row in range(n)), modalities=seg.MODALITIES, spacing=2.0,
        images=torch.from_numpy(images), labels=torch.from_numpy(labels),
        present=torch.ones((n, 2), dtype=torch.bool), has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.stack([np.eye(4)] * n), normalisation="none",
    )  # fmt: skip


def model() -> TumourNetwork:
    torch.manual_seed(0)
    network = TumourCNN(2, filters=(4, 4), neurons=8).eval()
    scaling = Scaling(kind="training", mean=(0.5, 0.5), std=(1.0, 1.0))
    return TumourNetwork(network=network, modalities=seg.MODALITIES, scaling=scaling, precision="32-true")


def test_the_variants_are_those_of_figure_1() -> None:
    titles = [variant.title((256, 4096)) for variant in study.VARIANTS]
    assert titles == [
        "4 conv., 256 neurons, FLAIR", "6 conv., 256 neurons, FLAIR", "4 conv., 4096 neurons, FLAIR",
        "6 conv., 4096 neurons, FLAIR", "6 conv., 4096 neurons, FLAIR + T1c",
    ]  # fmt: skip
    assert len({variant.key for variant in study.VARIANTS}) == 5


def test_flair_rule_finds_the_threshold_between_the_two_squares() -> None:
    store = store_of()
    rule = study.fit_flair_rule(store, store.ids)
    assert 2.1 < rule.threshold < 2.9
    assert rule.dice == pytest.approx(1.0)
    table = study.score_rules(store, rule, store.ids, smoothing=1).set_index(["rule", "subject"])
    assert (table.loc[rule.title, "dice"] == 1).all()
    brain, tumour = 28 * 24 * 6, (9 * 11) * 4
    whole = table.loc[("the whole brain", "s0")]
    assert whole["sensitivity"] == 1
    assert whole["ppv"] == pytest.approx(tumour / brain)
    assert study.natural_share(store, ["s0"]) == pytest.approx(tumour / brain)


def test_steps_behind_the_network() -> None:
    store = store_of()
    table = study.step_scores(model(), store, ["s0", "s1"], natural=0.1, dense=["s1"])
    assert list(table["step"].unique()) == list(study.STEPS)
    assert table.groupby("step")["subject"].nunique().sort_values().tolist() == [1, 1, 2, 2, 2, 2, 2]
    grid = table[table["step"] == "reference seen on the network's grid"]["dice"]
    assert ((grid > 0.6) & (grid < 1)).all()  # a square of ten pixels, known on every fourth
    published = table[table["step"] == study.AS_PUBLISHED].set_index("subject")
    again = seg.score_network(model(), store, ["s0", "s1"]).set_index("subject")
    np.testing.assert_allclose(published["dice"], again["dice"])
    shown = results.differences(table, method="step", reference=study.AS_PUBLISHED, n_boot=50, seed=0)
    assert list(shown["step"]) == list(study.STEPS)
    assert shown.set_index("step").loc[study.AS_PUBLISHED, "DSC, difference"] == ""
    said = results.difference_sentence(shown, method="step", reference=study.AS_PUBLISHED)
    assert said.startswith("DSC minus that of *as published*: *network alone* ")
    assert said.count("; ") == len(study.STEPS) - 2


def test_a_mask_on_the_grid_of_the_network() -> None:
    mask = np.zeros((9, 10, 2), dtype=bool)
    mask[3:6, 3:6, 0] = True  # of every fourth pixel only (4, 4) lies in it
    # Cubic convolution weighs it by 0.88 a pixel away and by 0.59 two away: over one half but for two away along both.
    want = np.zeros_like(mask)
    want[2:7, 2:7, 0] = True
    want[[2, 2, 6, 6], [2, 6, 2, 6], 0] = False
    np.testing.assert_array_equal(study.seen_on_grid(mask, stride=4), want)
    np.testing.assert_array_equal(study.seen_on_grid(mask, stride=1), mask)
    mask[4, 4, 0] = False
    assert not study.seen_on_grid(mask, stride=4).any()


def test_a_slice_and_its_patches_are_compared() -> None:
    same = study.compare_with_patches(model(), store_of(), "s0")
    assert same.patches > 10
    assert same.difference < 1e-5
    with pytest.raises(RadlibError, match="only be run patch by patch"):
        study.compare_with_patches(
            replace(model(), scaling=Scaling(kind="patch", mean=(0, 0), std=(1, 1))), store_of(), "s0"
        )


def outcomes_of(shifts: dict[str, float]) -> dict[str, study.Outcome]:
    """Scores of 20 patients in two runs: the patient's own, plus the variant's shift, plus a little of the run."""
    own = np.random.default_rng(1).uniform(0.3, 0.8, 20)
    made = {}
    for number, variant in enumerate(study.VARIANTS):
        rows = [
            {"run": run, "subject": f"s{k}", "dice": own[k] + shifts.get(variant.key, 0.0) + 0.001 * run * number,
             "ppv": np.nan if k == 3 else own[k], "sensitivity": own[k], "seconds": 0.5}
            for run in range(2) for k in range(20)
        ]  # fmt: skip
        made[variant.key] = study.Outcome(title=variant.title((16, 256)), runs=(), scores=pd.DataFrame(rows), masks={})
    return made


def test_effects_are_the_planted_ones() -> None:
    keys = [variant.key for variant in study.VARIANTS]
    outcomes = outcomes_of({keys[1]: 0.05, keys[2]: -0.02, keys[3]: 0.05, keys[4]: 0.15})
    found = results.effects(outcomes, n_boot=200, seed=0).set_index(["change", "metric"])
    assert found.loc[("deeper (narrow)", "dice"), "value"] == pytest.approx(0.05, abs=0.01)
    assert found.loc[("wider (4 conv.)", "dice"), "value"] == pytest.approx(-0.02, abs=0.01)
    assert found.loc[("T1c added", "dice"), "value"] == pytest.approx(0.10, abs=0.01)
    assert found.loc[("T1c added", "dice"), "low"] > 0
    assert found.loc[("T1c added", "dice"), "n"] == 20
    assert found.loc[("T1c added", "ppv"), "n"] == 19  # a patient without a prediction has no PPV
    assert found.loc[("deeper and wider", "sensitivity"), "value"] == pytest.approx(0)
    said = results.effect_sentence(found.reset_index())
    assert "*T1c added* gains (+0.1" in said
    assert "*wider (4 conv.)* loses" in said
    shown = results.readable_effects(found.reset_index())
    assert list(shown.columns) == ["change", "patients", "DSC", "PPV", "sensitivity"]


def test_network_against_rule_is_paired() -> None:
    outcome = outcomes_of({})[study.MULTIPLE.key]
    by_patient = outcome.scores.groupby("subject", as_index=False)["dice"].mean()
    rules = by_patient.assign(rule="FLAIR", dice=by_patient["dice"] - 0.1)
    against = results.network_against_rule(outcome, rules, n_boot=100, seed=0)
    assert against.value == pytest.approx(0.1)
    assert against.n == 20
    own = by_patient["dice"].to_numpy()
    said = results.misses_sentence(outcome, rules)
    assert f"{(own < 0.5).sum()} of 20 patients with the network and of {(own < 0.6).sum()} with the threshold" in said
    mismatch = pd.Series(1.0, index=by_patient["subject"])
    assert said in results.misses_sentence(outcome, rules, mismatch=mismatch)
    dark = f"{(own < 0.6).sum()} of those that the threshold misses were simulated with a T2-FLAIR mismatch"
    assert dark in results.misses_sentence(outcome, rules, mismatch=mismatch)
    assert "0 of those that the threshold" in results.misses_sentence(outcome, rules, mismatch=mismatch - 1)


def test_every_entry_of_the_ledger_exists() -> None:
    known = set(published_values("li2017"))
    assert {f"li2017.{name}" for name in ledger.LEDGER} <= known


def test_typical_patients_are_chosen_by_rank() -> None:
    table = pd.DataFrame({"subject": [f"s{k}" for k in range(11)], "dice": np.linspace(0, 1, 11)})
    assert figures.typical_patients(table) == ["s1", "s5", "s9"]


def test_sizes_of_the_published_network() -> None:
    table = results.layer_table(seg.Recipe(), modalities=2).set_index("layer")
    assert table.loc["conv6", "filters, published"] == 128
    assert table.loc["fc7", "filters, published"] == table.loc["fc8", "filters, published"] == 4096
    assert table.loc["conv6", "smallest image"] == 21
    assert table.loc["fc7", "kernel"] == "3 x 3"
    assert table.loc["output", "map of a patch"] == "1 x 1"


def test_real_subjects_by_every_way_of_learning() -> None:
    """On synthetic stand-ins: every subject is scored once a method, by a network that did not learn from it."""
    store = store_of(4)
    recipe = seg.Recipe(filters=(4, 4), neurons=8, steps=2, batch_size=8, evaluations=1, precision="32-true")
    run = seg.train_network(store, ["s0"], modalities=seg.MODALITIES, recipe=recipe, seed=0, name="simulated")
    rule = study.FlairRule(2.5, 1.0)
    table = real_scores(store, simulated={"network": run}, rule=rule, recipe=recipe, tuning_steps=1, n_folds=2, seed=0)
    counts = table.groupby(["method", "learnt from"])["subject"].nunique()
    assert counts.to_dict() == {
        ("FLAIR threshold", FROM_REAL): 4, ("FLAIR threshold", FROM_SIMULATED): 4, ("network", FROM_REAL): 4,
        ("network", FROM_SIMULATED): 4, ("network", TUNED): 4,
    }  # fmt: skip
    assert len(table) == 20
    shown = results.real_table(table)
    assert (shown["lowest"] <= shown["DSC"]).all()
    assert "4 real subjects" in results.real_sentence(shown)
