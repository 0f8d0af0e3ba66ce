"""Segmentation experiments on toy subjects: plans, batches, training, ensembles, differences, weights, transfer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.book.parameters import declared_parameters, resolve
from radlib.book.registry import chapters
from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort, participants_table
from radlib.data.store import ImageStore
from radlib.papers.islam2020 import segmentation as seg
from radlib.papers.islam2020 import segmentation_excitation as excitation
from radlib.papers.islam2020 import segmentation_results as results
from radlib.papers.islam2020 import segmentation_sizes as sizes
from radlib.papers.islam2020 import segmentation_transfer as transfer
from radlib.papers.islam2020.networks import OctaveFCN
from radlib.papers.islam2020.segmentation_batches import SliceSampler
from radlib.papers.islam2020.segmentation_networks import PAPER, TITLES, Recipe, arguments_of, build, construct
from radlib.training.inference import brain_box

IDS = tuple(f"s{number}" for number in range(8))
MODALITIES = ("t1", "t1ce", "t2", "flair")
TINY = Recipe(widths=(4, 8), steps=60, batch_size=4, crop=16, learning_rate=3e-2, validations=2, rates=(1, 2))

# MONAI's own: deprecations inside its imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def store() -> ImageStore:
    """Eight brains of 24 x 24 x 6; T1c shows enhancing tumour, FLAIR oedema, T2 the core, T1 nothing."""
    random = rng(0, "toy")
    images = np.zeros((8, 4, 24, 24, 6), np.float32)
    labels = np.zeros((8, 24, 24, 6), np.uint8)
    for row in range(8):
        x, y = random.integers(6, 13, size=2)
        labels[row, x : x + 6, y : y + 6, 1:5] = 2
        labels[row, x + 1 : x + 5, y + 1 : y + 5, 1:5] = 4
        labels[row, x + 2 : x + 4, y + 2 : y + 4, 2:4] = 1
        images[row, :, 2:22, 2:22, :] = random.normal(0, 0.2, size=(4, 20, 20, 6))
        for channel, label in ((1, 4), (3, 2), (2, 1)):
            images[row, channel][labels[row] == label] += 3
    return ImageStore(
        ids=IDS, modalities=MODALITIES, spacing=2.0, images=torch.from_numpy(images),
        labels=torch.from_numpy(labels), present=torch.ones(8, 4, dtype=torch.bool),
        has_labels=torch.ones(8, dtype=torch.bool), affines=np.tile(np.eye(4), (8, 1, 1)), normalisation="zscore",
    )  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> seg.Plan:
    return seg.make_plan(cohort(), held_out=2, n_folds=2, seed=0)


@pytest.fixture(scope="module")
def runs(store: ImageStore, plan: seg.Plan) -> list[seg.Run]:
    return seg.cross_validate(store, plan, model="fcn", recipe=TINY, seed=0)


def cohort(ids: tuple[str, ...] = IDS, *, segmented: int = 8) -> Cohort:
    rows = [
        {
            "id": name, "grade_group": "LGG" if number % 4 == 0 else "HGG",
            **({"seg": f"{name}.nii"} if number < segmented else {}),
        }
        for number, name in enumerate(ids)
    ]  # fmt: skip
    return Cohort(name="toy", source="simulated", root=Path("."), participants=participants_table(rows))


# Subjects


def test_nobody_is_on_two_sides_and_grades_are_spread(plan: seg.Plan) -> None:
    assert set(plan.held_out).isdisjoint(plan.development)
    assert sorted([*plan.held_out, *plan.development]) == sorted(IDS)
    tested = [subject for split in plan.folds for subject in split.test]
    assert sorted(tested) == sorted(plan.development)
    for split in plan.folds:
        assert set(split.train).isdisjoint(split.test)


def test_too_few_segmented_subjects_are_missing_data() -> None:
    with pytest.raises(MissingDataError, match="3 subjects"):
        seg.make_plan(cohort(segmented=3), held_out=2, n_folds=2, seed=0)


def test_slice_major_changes_the_memory_only(store: ImageStore) -> None:
    moved = seg.slice_major(store)
    torch.testing.assert_close(moved.images, store.images)
    assert moved.images.movedim(4, 1).is_contiguous()
    index = store.slices(IDS[:3])
    for a, b in zip(moved.take_slices(index), store.take_slices(index), strict=True):
        torch.testing.assert_close(a, b)


# Batches


def test_a_batch_is_a_function_of_its_step(store: ImageStore) -> None:
    sampler = SliceSampler.of(store, IDS[:4], modalities=("t1ce", "flair"), recipe=TINY, seed=3)
    first = sampler(5, rng(1, "batch", 5))
    again = sampler(5, rng(1, "batch", 5))
    torch.testing.assert_close(first, again)
    assert first["images"].shape == (4, 2, 16, 16)
    assert first["classes"].shape == (4, 16, 16)
    assert not torch.equal(first["images"], sampler(6, rng(1, "batch", 6))["images"])


def test_the_named_share_is_cut_around_tumour_and_the_background_stays_zero(store: ImageStore) -> None:
    recipe = Recipe(widths=(4, 8), batch_size=8, crop=6, tumour_share=0.5)
    sampler = SliceSampler.of(store, IDS, modalities=("t1ce",), recipe=recipe, seed=0)
    elsewhere = 0
    for step in range(6):
        batch = sampler(step, rng(0, "batch", step))
        tumour = (batch["classes"] > 0).flatten(1).any(dim=1)
        assert tumour[:4].all()
        elsewhere += int((~tumour[4:]).sum())
        assert set(batch["classes"].unique().tolist()) <= {0, 1, 2, 3}
        assert not (batch["classes"][batch["images"][:, 0] == 0] > 0).any()
    assert elsewhere > 8


def test_the_most_probable_class_is_torchs_argmax() -> None:
    torch.manual_seed(0)
    found = torch.rand(4, 5, 6, 7)
    assert torch.equal(seg.most_probable(found), found.argmax(dim=0))
    assert torch.equal(seg.most_probable(torch.zeros(4, 3)), torch.zeros(3, dtype=torch.int64))


def test_images_and_labels_are_cut_and_mirrored_together(store: ImageStore) -> None:
    """The label is drawn into the image: where the batch's label is, the batch's image has its value."""
    drawn = store.images.clone()
    drawn[:, 1] = store.labels.float() + 10
    marked = ImageStore(**{**{k: getattr(store, k) for k in store.__dataclass_fields__}, "images": drawn})
    recipe = Recipe(widths=(4, 8), batch_size=6, crop=12, augment=0.0)
    sampler = SliceSampler.of(marked, IDS, modalities=("t1ce",), recipe=recipe, seed=0)
    mirrored = 0
    for step in range(8):
        batch = sampler(step, rng(0, "batch", step))
        labels = batch["classes"] + (batch["classes"] == 3)
        torch.testing.assert_close(batch["images"][:, 0], labels.float() + 10)
        mirrored += int((labels != labels.flip(1)).any())
    assert mirrored


def test_subjects_without_tumour_cannot_be_trained_on(store: ImageStore) -> None:
    empty = ImageStore(
        **{**{k: getattr(store, k) for k in store.__dataclass_fields__}, "labels": torch.zeros_like(store.labels)}
    )
    with pytest.raises(RadlibError, match="slice with tumour"):
        SliceSampler.of(empty, IDS, modalities=("t1ce",), recipe=TINY, seed=0)


# Networks


@pytest.mark.parametrize("model", [name for name in TITLES if "MONAI" not in TITLES[name]])
def test_paper_sizes_build(model: str) -> None:
    with torch.device("meta"):
        network = build(model, in_channels=3, recipe=PAPER)
        assert network(torch.zeros(1, 3, 240, 240)).shape == (1, 4, 240, 240)


def test_only_these_networks_are_built() -> None:
    with pytest.raises(RadlibError, match="alexnet"):
        arguments_of("alexnet", in_channels=3, recipe=TINY)
    with pytest.raises(RadlibError, match=r"os\.system"):
        construct("os.system", {"command": "true"})


# Training and prediction


@pytest.mark.slow
def test_a_network_learns_and_its_history_says_so(runs: list[seg.Run], store: ImageStore, plan: seg.Plan) -> None:
    outcome = seg.apply("toy", runs, store, plan.held_out, recipe=TINY)
    assert outcome.ensemble.query("region == 'wt'")["dice"].mean() > 0.85
    for run in runs:
        checks = run.fitted.history.query("part == 'validation'")
        assert list(checks["step"]) == [30, 60]
        assert checks["dice_wt"].iloc[-1] > 0.8
    single = outcome.single.query("region == 'wt'")
    assert len(single) == 4
    assert set(outcome.labels) == set(plan.held_out)
    table = sizes.training_table({"fcn": outcome})
    assert table["waiting for data"].between(0, 1).all()


def test_networks_of_a_fold_see_the_same_batches(store: ImageStore, plan: seg.Plan) -> None:
    """Weights differ between networks, batches do not: the seed is the fold's, not the network's."""
    seen: dict[str, list[torch.Tensor]] = {"unet": [], "gcn": []}
    original = SliceSampler.__call__
    recipe = Recipe(widths=(4, 8), steps=3, batch_size=4, crop=16, validations=0, kernel_size=3)
    for model, kept in seen.items():

        def spy(sampler: SliceSampler, step: int, random: np.random.Generator) -> dict[str, torch.Tensor]:
            kept.append((batch := original(sampler, step, random))["images"])  # noqa: B023 - called in this turn
            return batch

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SliceSampler, "__call__", spy)
            seg.train(store, plan.folds[0], model=model, recipe=recipe, seed=1)
    assert len(seen["unet"]) == 3
    assert all(torch.equal(a, b) for a, b in zip(seen["unet"], seen["gcn"], strict=True))


def test_the_ensemble_is_the_mean_of_probabilities(runs: list[seg.Run], store: ImageStore, plan: seg.Plan) -> None:
    subject = plan.held_out[0]
    both, _ = seg.probabilities([run.network for run in runs], store, subject, modalities=seg.PAPER_MODALITIES)
    each = [seg.probabilities(run.network, store, subject, modalities=seg.PAPER_MODALITIES)[0] for run in runs]
    torch.testing.assert_close(both, (each[0] + each[1]) / 2)
    outcome = seg.apply("toy", runs, store, [subject], recipe=TINY)
    np.testing.assert_array_equal(outcome.labels[subject], seg.segment([run.network for run in runs], store, subject))
    alone = seg.apply("one", runs[:1], store, [subject], recipe=TINY)
    merged = alone.single.merge(alone.ensemble, on=["subject", "region"])
    np.testing.assert_allclose(merged["dice_x"], merged["dice_y"])


def test_own_folds_test_every_development_subject_once(runs: list[seg.Run], store: ImageStore, plan: seg.Plan) -> None:
    table = seg.own_folds(runs, store, recipe=TINY)
    assert sorted(table.query("region == 'et'")["subject"]) == sorted(plan.development)


def test_brain_box_holds_the_brain_and_nothing_is_found_outside(store: ImageStore) -> None:
    box = brain_box(store, "s0")
    inside = (store.images[0] != 0).any(dim=0)
    assert int(inside[box].sum()) == int(inside.sum())
    assert [part.stop - part.start for part in box] == [24, 24, 6]

    class Everything(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            out = torch.zeros(len(images), 4, *images.shape[-2:])
            out[:, 3] = 9
            return out

    labels = seg.segment(Everything(), store, "s0")
    assert (labels[inside.numpy()] == 4).all()
    assert not labels[~inside.numpy()].any()


def test_dice_by_region() -> None:
    truth = np.array([0, 1, 2, 4, 4, 0])
    found = np.array([0, 1, 2, 4, 2, 2])
    assert seg.dice_of(found, truth) == {
        "et": pytest.approx(2 / 3), "wt": pytest.approx(8 / 9), "tc": pytest.approx(4 / 5)
    }  # fmt: skip
    assert seg.dice_of(np.zeros(3), np.zeros(3)) == {"et": 1.0, "wt": 1.0, "tc": 1.0}


def test_weights_come_back(tmp_path: Path, runs: list[seg.Run], store: ImageStore) -> None:
    seg.save_runs(tmp_path, runs, store=store, recipe=TINY, seed=0)
    networks, about = seg.load_runs(tmp_path)
    assert about["modalities"] == list(seg.PAPER_MODALITIES)
    assert about["train"] == list(runs[0].split.train)
    assert isinstance(networks[1], OctaveFCN)
    images = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(networks[1](images), runs[1].network.cpu().eval()(images))
    with pytest.raises(RadlibError, match="gcn"):
        seg.load_runs(tmp_path, model="gcn")


# Results


def outcome_of(label: str, dice: np.ndarray, *, hd95: float = 3.0, ppv: float = 0.9) -> seg.Outcome:
    """An outcome from Dice values ``(runs, subjects)``, the same in every region."""
    single = [
        {"run": run + 1, "subject": f"p{subject}", "region": region, "dice": dice[run, subject]}
        for run in range(dice.shape[0])
        for subject in range(dice.shape[1])
        for region in seg.REGIONS
    ]
    whole = [
        {"subject": f"p{subject}", "region": region, "dice": dice[:, subject].mean(), "hd95": hd95, "ppv": ppv}
        for subject in range(dice.shape[1])
        for region in seg.REGIONS
    ]
    split = seg.Split(name="fold", train=("a",), test=("b",))
    run = seg.Run(model="fcn", modalities=("t1ce",), split=split, fitted=None)  # type: ignore[arg-type]
    return seg.Outcome(
        label=label, runs=(run,) * dice.shape[0], single=pd.DataFrame(single), ensemble=pd.DataFrame(whole), labels={}
    )


def test_crossed_interval_allows_for_runs_as_well_as_subjects() -> None:
    """Differences that depend on the run alone: an interval over subjects would be a point, the crossed one is not."""
    base = np.full((4, 10), 0.8)
    by_run = base - np.array([0.0, 0.02, 0.04, 0.06])[:, None]
    first, second = outcome_of("a", base).single, outcome_of("b", by_run).single
    region = first["region"] == "wt"
    found = results.crossed_difference(first[region], second[region], n_boot=4000)
    assert found.value == pytest.approx(0.03)
    assert found.n == 10
    # The mean of 4 draws of 0, .02, .04, .06 has a standard deviation of .0112.
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.0112, rel=0.15)
    constant = results.crossed_difference(first[region], outcome_of("c", base - 0.1).single[region])
    assert (constant.low, constant.high) == (pytest.approx(0.1), pytest.approx(0.1))


def test_differences_have_the_sign_of_the_reference_minus_the_other() -> None:
    random = rng(0, "dice")
    good = random.uniform(0.8, 0.9, size=(3, 12))
    table = results.differences(
        {"fcn": outcome_of("FCN", good), "unet": outcome_of("U-Net", good - 0.05)}, reference="fcn", n_boot=200
    )
    assert set(table["metric"]) == {"single runs", "ensemble"}
    np.testing.assert_allclose(table["value"], 0.05)
    assert "ahead of U-Net (ET +0.050)" in results.verdicts(table, name="the FCN")
    swapped = results.differences(
        {"fcn": outcome_of("FCN", good - 0.05), "unet": outcome_of("U-Net", good)}, reference="fcn", n_boot=200
    )
    assert "behind U-Net" in results.verdicts(swapped, name="the FCN")


def test_a_missed_region_is_counted_and_left_out_of_the_distance() -> None:
    outcome = outcome_of("FCN", np.full((1, 3), 0.8))
    table = outcome.ensemble
    place = (table["subject"] == "p0") & (table["region"] == "et")
    table["missed"] = False
    table.loc[place, ["dice", "hd95", "missed"]] = [0.0, np.nan, True]
    empty = (table["subject"] == "p1") & (table["region"] == "et")
    table.loc[empty, ["dice", "hd95", "ppv"]] = [1.0, np.nan, np.nan]
    found = results.scores({"fcn": outcome}, n_boot=100)
    row = found.query("region == 'et' and metric == 'hd95'").iloc[0]
    assert (row["value"], row["n"], row["missed"]) == (3.0, 1, 1)
    dice = found.query("region == 'et' and metric == 'dice'").iloc[0]
    assert dice["value"] == pytest.approx((0.0 + 1.0 + 0.8) / 3)
    shown = results.score_table(found, table="table1", rows=results.PUBLISHED_ROWS, metrics=["hd95"])
    assert shown.loc[0, "HD95 (mm), ET"].endswith("1 missed")
    assert shown.loc[0, "published hausdorff, WT"] == "5.08"


def test_gains_of_modalities_and_of_a_synthetic_one() -> None:
    random = rng(0, "gains")
    base = random.uniform(0.6, 0.7, size=(2, 6))
    sets = {name: outcome_of(name, base + gain) for name, gain in
            (("t1ce", 0.0), ("t1ce, flair", 0.2), ("t1ce, flair, t2", 0.21))}  # fmt: skip
    table = results.modality_gains(sets, outcome_of("synthetic", base + 0.205), n_boot=200)
    means = table.groupby("added", sort=False)["value"].mean().round(3).to_dict()
    assert means == {
        "FLAIR to T1c": 0.2, "T2 to T1c, FLAIR": 0.01, "synthetic T2 to T1c, FLAIR": 0.005,
        "true T2 in place of the synthetic one": 0.005,
    }  # fmt: skip
    assert "FLAIR to T1c" in results.gain_sentence(table)


def test_sizes_are_those_of_the_networks() -> None:
    table = sizes.size_table(["fcn", "unet"], TINY, side=24, paper=PAPER, paper_side=240).set_index("network")
    small = build("unet", in_channels=3, recipe=TINY)
    assert table.loc["U-Net", "parameters (10³), here"] * 1e3 == sum(p.numel() for p in small.parameters())
    assert sizes.octave_table()["of the plain convolution (%)"].tolist() == pytest.approx(
        [100, 67.1875, 43.75, 29.6875]
    )


# Excitation


def test_sparsity() -> None:
    assert excitation.hoyer(torch.ones(100)) == pytest.approx(0)
    assert excitation.hoyer(torch.eye(1, 100)) == pytest.approx(1)
    assert np.isnan(excitation.hoyer(torch.zeros(5)))
    assert excitation.near_zero(torch.tensor([0.0] * 30 + [1.0] * 70)) == pytest.approx(0.3)
    assert excitation.near_zero(torch.zeros(5)) == 1


def test_what_is_captured_went_through_the_excitation(runs: list[seg.Run], store: ImageStore) -> None:
    network = runs[0].network.cpu()
    images = store.take_slices(store.slices(IDS[:1]))[0][:, store.channels(seg.PAPER_MODALITIES)]
    kept = excitation.captured(network, images)
    assert len(kept) == 2  # the block below the encoder, and one a level of it
    blocks = [network.get_submodule("centre"), *network.get_submodule("decoder")]
    for (before, after), block in zip(kept, blocks, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(block.get_submodule("excitation")(before), after)
    assert not any(block.get_submodule("excitation")._forward_hooks for block in blocks)
    table = excitation.excitation_table({"skip-scSE": runs}, store, IDS[:2])
    assert (table["range"] >= 0.99 * table["range_before"]).all()
    assert len(table) == 2 * len(kept)


def test_the_claim_is_counted_block_by_block() -> None:
    rows = [
        {"excitation": name, "run": run, "block": block, "low": 0.0, "high": width, "range": width, "hoyer": sparse,
         "weights_hoyer": 0.5}
        for run in (1, 2)
        for name, block, width, sparse in (
            ("skip-scSE", 1, 4.0, 0.2), ("skip-scSE", 2, 1.0, 0.2), ("scSE", 1, 2.0, 0.3), ("scSE", 2, 2.0, 0.4)
        )
    ]  # fmt: skip
    said = excitation.excitation_sentence(pd.DataFrame(rows))
    assert "wider in 1, the maps are less sparse in 2, the weights less sparse in 0 of 2" in said


# Transfer


def test_a_synthetic_image_is_standardised_and_training_subjects_are_left_out(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = rng(0, "synthetic")
    fake = random.random((24, 24, 6)).astype(np.float32)
    header = {"target": "t2", "train": ["s0", "s1"]}
    monkeypatch.setattr(transfer, "load_synthesiser", lambda _: (None, header))
    monkeypatch.setattr(transfer, "prepare", lambda *_, **__: store)
    monkeypatch.setattr(transfer, "synthesise", lambda *_, **__: fake)
    made = transfer.with_synthetic(store, cohort(), Path("w"), ["s0", "s2", "s3"], sources=("t1ce", "flair"))
    assert made.ids == ("s2", "s3")
    inside = (store.images[2] != 0).any(dim=0)
    values = made.images[0, 2][inside]
    assert float(values.mean()) == pytest.approx(0, abs=1e-5)
    assert float(values.std()) == pytest.approx(1, abs=1e-4)
    assert not made.images[0, 2][~inside].any()
    torch.testing.assert_close(made.images[0, 1], store.images[2, 1])
    with pytest.raises(MissingDataError, match="trained on every"):
        transfer.with_synthetic(store, cohort(), Path("w"), ["s0"], sources=("t1ce", "flair"))


def test_weights_that_hide_their_training_subjects_are_refused(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "load_synthesiser", lambda _: (None, {"target": "t2"}))
    with pytest.raises(MissingDataError, match="on whom"):
        transfer.with_synthetic(store, cohort(), Path("w"), ["s0"], sources=("t1ce", "flair"))


def test_the_paper_profile_is_the_published_recipe() -> None:
    chapter = chapters()["octave_segmentation"]
    defaults = {name: one.default for name, one in declared_parameters(chapter.source).items()}
    values = defaults | resolve(chapter, profile="paper")
    assert (values["n_folds"], values["grid"], values["spacing"]) == (4, [240, 240, 155], 1.0)
    assert (
        (values["learning_rate"], values["weight_decay"]) == (PAPER.learning_rate, PAPER.weight_decay) == (1e-4, 1e-4)
    )
    assert tuple(values["widths"]) == PAPER.widths
    assert (tuple(values["atrous_rates"]), values["output_stride"], values["large_kernel"]) == (
        PAPER.rates, PAPER.output_stride, PAPER.kernel_size,
    )  # fmt: skip
    assert (values["crop"] or None, values["batch_size"], values["steps"], values["schedule"]) == (
        PAPER.crop, PAPER.batch_size, PAPER.steps, PAPER.schedule,
    )  # fmt: skip
