"""Ge 2020: means over partitions, tests between arms, what a GAN run leaves, tables, and the whole ledger."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from radlib.book.report import Report
from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.published import published, published_values
from radlib.data.splits import Split
from radlib.papers.ge2020 import arms, controls, gan_results, multistream_ledger, quality, runs
from radlib.papers.ge2020 import estimates as est
from radlib.papers.ge2020 import multistream_results as results
from radlib.papers.ge2020.cases import DIRECTIONS, Translated, build_cases
from radlib.papers.ge2020.data import SliceSet
from radlib.papers.ge2020.gan import GanRecipe
from radlib.stats.classification import Predictions, evaluate


def some_predictions(
    arm: str = "Prop-A", *, n: int = 34, n_runs: int = 2, right: float = 0.8, seed: int = 0
) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    parts = []
    for run in range(1, n_runs + 1):
        numbers = random.permutation(60)[:n]
        truth = numbers % 3 == 0
        predicted = np.where(random.random(n) < right, truth, ~truth)
        parts.append(pd.DataFrame({
            "subject": [f"p{k:02d}" for k in numbers], "truth": truth, "votes": np.where(predicted, 4, 2),
            "predicted": predicted, "probability": 0.3 + 0.4 * predicted + 0.1 * random.random(n), "arm": arm,
            "run": run,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


# Estimates


def test_one_run_is_the_plain_estimate() -> None:
    table = some_predictions(n_runs=1).sort_values("subject")
    plain = evaluate(
        Predictions.of(table["truth"], table["predicted"], score=table["probability"]), intervals="bca", n_boot=200
    )
    for metric in est.METRICS:
        found = est.estimate(table, metric, n_boot=200)
        assert (found.value, found.low, found.high) == pytest.approx(
            (plain[metric].value, plain[metric].low, plain[metric].high)
        )
        assert found.n == 34


def test_several_runs_are_averaged_and_patients_resampled() -> None:
    table = some_predictions()
    each = est.per_run(table, "accuracy")
    by_hand = [(part["truth"] == part["predicted"]).mean() for _, part in table.groupby("run")]
    assert each == pytest.approx(by_hand)
    found = est.estimate(table, "accuracy", n_boot=500)
    assert found.value == pytest.approx(np.mean(by_hand))
    assert found.low < found.value < found.high
    assert found.n == table["subject"].nunique()
    twice = pd.concat([table[table["run"] == 1].assign(run=run) for run in (1, 2)])
    once = est.estimate(table[table["run"] == 1], "accuracy", n_boot=500)
    again = est.estimate(twice, "accuracy", n_boot=500)
    assert (again.low, again.high) == pytest.approx((once.low, once.high))  # the same patients twice add nothing


def test_runs_without_a_class_are_left_out() -> None:
    table = some_predictions()
    table.loc[table["run"] == 2, "truth"] = False
    assert np.isnan(est.per_run(table, "sensitivity")[1])
    found = est.estimate(table, "sensitivity", n_boot=50)
    assert found.value == pytest.approx(est.per_run(table, "sensitivity")[0])
    assert np.isnan(est.estimate(table[table["run"] == 2], "auc", n_boot=50).value)
    assert est.estimate(table.iloc[:0], "auc").n == 0


def test_gains_are_paired() -> None:
    table = some_predictions()
    same = est.gain(table, table.assign(arm="other"), n_boot=50)
    assert same.value == 0
    worse = table.assign(predicted=~table["truth"])
    best = table.assign(predicted=table["truth"])
    assert est.gain(best, worse.sample(frac=1, random_state=0), n_boot=50).value == 1
    with pytest.raises(RadlibError, match="different test patients"):
        est.gain(table, some_predictions(seed=1))


def test_mcnemar_counts_every_patient_once() -> None:
    table = some_predictions("first")
    other = table.assign(arm="second")
    flip = other["subject"].isin(est.once(table)["subject"].iloc[:6])
    right = other["predicted"] == other["truth"]
    other.loc[flip, "predicted"] = np.where(right[flip], ~other.loc[flip, "truth"], other.loc[flip, "truth"])
    found = est.comparisons(pd.concat([table, other]), [("first", "second"), ("first", "absent")], n_boot=50)
    assert len(found) == 1
    row = found.iloc[0]
    assert row["patients"] == table["subject"].nunique() == len(est.once(table))
    assert row["only first right"] + row["only second right"] == 6
    assert len(row["p in single runs"].split(", ")) == 2


def test_gain_of_the_printed_runs() -> None:
    """Within rounding of the gains in the text; the interval holds 0."""
    for table, first, second, key in (("table3", "prop_a", "bas_1", "a"), ("table4", "prop_b", "bas_2", "b")):
        found = est.published_gain(table, first, second)
        assert found.value == pytest.approx(published(f"ge2020.text.gain_{key}.accuracy").value, abs=0.02)
        assert found.low < 0 < found.high
    gaps = np.array([2.94, 0, -5.88, 11.76, 5.88])
    half = 2.776445 * np.sqrt((1 / 5 + 34 / 99) * gaps.var(ddof=1))
    found = est.published_gain("table3", "prop_a", "bas_1")
    assert (found.low, found.high) == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.02)


# A run of GANs


def smooth_slices(n: int, *, size: int = 16) -> SliceSet:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros((n, 6, size, size), dtype=torch.bool)
    masks[..., 4:10, 4:10] = True
    return SliceSet(
        ids=tuple(f"p{k:02d}" for k in range(n)), images=torch.rand((n, 6, 4, size, size), generator=generator),
        masks=masks, crops=torch.rand((n, 4, 4, 4, 4), generator=generator),
        crop_masks=torch.ones((n, 4, 4, 4), dtype=torch.bool), present=torch.ones((n, 4), dtype=torch.bool),
    )  # fmt: skip


@pytest.fixture(scope="module")
def gan_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[SliceSet, runs.Partition, runs.GanRun, Path]:
    folder = tmp_path_factory.mktemp("weights")
    slices = smooth_slices(10)
    split = Split(name="run 1", train=slices.ids[:6], validation=slices.ids[6:8], test=slices.ids[8:])
    (partition,) = runs.make_partitions([split], seed=0)
    recipe = GanRecipe(generator=(4, 4), discriminator=(4, 4), steps=2, batch_size=4, precision="32-true")
    found = runs.run_gans(
        slices, partition, run=1, recipe=recipe, unmasked=recipe, autoencoder_widths=(4, 4), autoencoder_steps=2,
        gan_per_case=False, seed=0, weights=folder,
    )  # fmt: skip
    return slices, partition, found, folder


@pytest.mark.slow
def test_a_gan_run_measures_seen_and_held_out_patients(
    gan_run: tuple[SliceSet, runs.Partition, runs.GanRun, Path],
) -> None:
    slices, partition, found, folder = gan_run
    counts = found.psnr.groupby(["model", "patients"])["subject"].nunique().to_dict()
    assert counts[runs.MASKED, runs.SEEN] == 6
    assert counts[runs.MASKED, runs.HELD_OUT] == counts["straight line", runs.HELD_OUT] == 2
    assert set(found.psnr.groupby(["from", "to"]).groups) == {
        (a, b) for a in ("t1", "t1ce", "t2", "flair") for b in ("t1", "t1ce", "t2", "flair") if a != b
    }
    assert len(found.speed) == 12
    assert (found.speed["steps_per_second"] > 0).all()
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.safetensors"))
    assert len(files) == 24
    assert files[0].startswith("run1/A/")
    value = found.psnr[(found.psnr["model"] == runs.MASKED) & (found.psnr["patients"] == runs.HELD_OUT)]
    estimate = runs.psnr_estimate([found], model=runs.MASKED, patients=runs.HELD_OUT, region="whole", n_boot=50, seed=0)
    assert estimate.value == pytest.approx(value.groupby("subject")["whole"].mean().mean())
    ids, real, fake = found.latents[runs.MASKED, runs.HELD_OUT, "whole"]
    assert ids == list(partition.split.test)
    distance = runs.daef_estimate([found], model=runs.MASKED, patients=runs.HELD_OUT, region="whole", n_boot=50, seed=0)
    assert distance.value == pytest.approx(float((real - fake).mean(0).norm()), rel=1e-4)
    assert slices.present.all()  # taking scans from S3 changes nothing here


def test_partitions_are_kept(tmp_path: Path) -> None:
    split = Split(name="run 1", train=("a", "b"), validation=("c",), test=("d",))
    partition = runs.Partition(split=split, missing={"a": 2})
    runs.save_partitions(tmp_path / "partitions.json", [partition])
    assert runs.load_partitions(tmp_path / "partitions.json") == [partition]
    with pytest.raises(MissingDataError, match=r"absent\.json.*run the chapter pairwise_gan"):
        runs.load_partitions(tmp_path / "absent.json")
    (tmp_path / "damaged.json").write_text('[{"train": ["a"]}]')
    with pytest.raises(RadlibError, match=r"damaged\.json.*run the chapter pairwise_gan"):
        runs.load_partitions(tmp_path / "damaged.json")


def test_quality_by_hand() -> None:
    slices = smooth_slices(3)
    half = {(a, b): (slices.images[:, :, b] - 0.5).abs() * 0 + slices.images[:, :, b] * 0.5 for a, b in DIRECTIONS}
    table = quality.psnr_table(slices, Translated(ids=slices.ids, images=half))
    row = table[(table["subject"] == "p00") & (table["from"] == "t1") & (table["to"] == "t2")].iloc[0]
    errors = (0.5 * slices.images[0, :, 2]).square()
    assert row["whole"] == pytest.approx(float((-10 * errors.mean(dim=(1, 2)).log10()).mean()), rel=1e-4)
    inside = torch.stack([e[m].mean() for e, m in zip(errors, slices.masks[0], strict=True)])
    assert row["tumour"] == pytest.approx(float((-10 * inside.log10()).mean()), rel=1e-4)
    missing = slices.without({"p00": 2})
    kept = quality.psnr_table(missing, quality.copied(missing, slices.ids))
    assert len(kept[kept["subject"] == "p00"]) == 6  # directions among three modalities
    assert quality.centroid_distance(torch.zeros(4, 3), torch.tensor([[3.0, 4.0, 0.0]])) == pytest.approx(5)


def test_a_straight_line_is_found() -> None:
    slices = smooth_slices(4)
    slices.images[:, :, 3] = 0.8 - 0.5 * slices.images[:, :, 0]
    found = quality.fitted_lines(slices, slices.ids[:2], slices.ids[2:])
    torch.testing.assert_close(found.images[0, 3], slices.images[2:, :, 3], atol=1e-4, rtol=0)


def test_real_patients_copied_are_as_far_as_nothing() -> None:
    """DAEF of a perfect translator is 0."""
    slices = smooth_slices(3)
    network = quality.SliceAutoencoder((4, 4), channels=4)
    perfect = Translated(ids=slices.ids, images={(a, b): slices.images[:, :, b] for a, b in DIRECTIONS})
    for region in ("whole", "tumour"):
        _, real, fake = quality.patient_latents(network, slices, perfect, region=region)
        torch.testing.assert_close(real, fake)


def test_collapsed_generators_are_named(gan_run: tuple[SliceSet, runs.Partition, runs.GanRun, Path]) -> None:
    slices, _, found, _ = gan_run
    images = dict.fromkeys(DIRECTIONS, slices.images[:, :, 0])
    images[2, 3] = torch.zeros_like(images[2, 3])
    assert quality.collapsed(Translated(ids=slices.ids, images=images)) == ["t2 to flair"]
    assert "24 generators" in gan_results.collapse_sentence([found])
    table = gan_results.speed_table([found])
    assert table["trainings"].tolist() == [6, 6]


# Tables and figures


@pytest.mark.slow
def test_tables_of_the_gan_chapter(gan_run: tuple[SliceSet, runs.Partition, runs.GanRun, Path]) -> None:
    slices, partition, found, _ = gan_run
    table, estimates = runs.table6([found], n_boot=20, seed=0)
    assert table["model"].tolist() == [
        runs.MASKED, runs.UNMASKED, runs.MASKED, runs.UNMASKED, "other modality as it is", "straight line",
        "two halves of the real patients",
    ]  # fmt: skip
    assert len(estimates) == 2 * 2 * 4 + 4
    mutant = pd.Series([k % 2 == 0 for k in range(10)], index=slices.ids)
    counts = gan_results.partition_table([partition], mutant)
    assert counts.loc["IDH1 mutation", "training, GAN-augmented"] == 3 * 6 * 3
    cases = build_cases(partition.split, slices, partition.missing)
    assert gan_results.case_table(cases)["fake patients"].tolist()[1] == 18
    for figure in (
        gan_results.case_figure(cases), gan_results.direction_figure([found]), gan_results.view_figure(slices, "p00"),
        gan_results.pair_losses(found.histories[runs.MASKED]),
        gan_results.example_figure(slices, found.examples[runs.MASKED], partition.split.test),
    ):  # fmt: skip
        assert figure.axes
        plt.close(figure)
    sentence = gan_results.published_mask_sentence()
    assert "-1.60 dB" in sentence
    assert "+0.45 dB" in sentence


def test_votes_and_groups() -> None:
    table = some_predictions(n_runs=1)
    table["votes"] = np.where(table.index == 0, 3, np.where(table["truth"], 6, 0))
    table["predicted"] = table["votes"] > 3
    table.loc[0, ["truth", "predicted"]] = [True, False]
    found = results.vote_table(table, ["Prop-A", "absent"]).iloc[0]
    assert found["patients with a tie"] == 1
    assert found["patients right, Eq. (6)"] == pytest.approx(33 / 34)
    assert found["ties as mutant"] == 1
    assert found["slices right"] == pytest.approx((33 * 6 + 3) / (34 * 6))
    collection = pd.Series(["GBM" if k % 2 else "LGG" for k in range(60)], index=[f"p{k:02d}" for k in range(60)])
    groups = results.group_table(table, collection, ["Prop-A"], n_boot=20, seed=0)
    assert groups.drop_duplicates("group")["n"].sum() == 34
    shown = results.group_display(groups)
    assert shown["group"].tolist() == ["LGG", "GBM"]


def test_noise_is_seen_in_training_and_in_judging() -> None:
    clean = some_predictions("Prop-A")
    counted = some_predictions(arms.COUNTED_ARM.name)
    counted["truth"] &= counted["subject"] != "p00"
    truth = pd.Series([k % 3 == 0 for k in range(60)], index=[f"p{k:02d}" for k in range(60)])
    found = controls.noise_table(pd.concat([clean, counted]), truth, n_boot=20, seed=0)
    assert found["learnt"].tolist() == ["true labels"] * 2 + ["unknown counted as wild-type"] * 2
    assert len(set(found["sensitivity"])) > 1


@pytest.mark.usefixtures("real_data")
def test_real_labels() -> None:
    found, sentence = controls.real_labels_table(n_runs=2, n_boot=50, seed=0)
    assert "55 count as mutant and 112 as wild-type" in sentence
    assert "19 is unknown" in sentence or "is unknown and 2 are mutant" in sentence
    assert set(found["judged by"]) == {"as counted", "known status"}


def test_no_real_tables_are_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RADLIB_DATA", raising=False)
    with pytest.raises(MissingDataError, match="no real tables"):
        controls.real_labels_table(n_runs=1, n_boot=10, seed=0)


def test_the_published_second_stage_moves_nothing() -> None:
    sentence = results.refining_sentence(594, rate=0.02)
    assert "1e-06" in sentence
    assert "900 updates" in sentence
    assert "add up to 6e-05" in sentence
    assert sentence.endswith("The rate here is 0.02.")


def test_two_runs_have_no_interval_over_runs() -> None:
    for n_runs, cell in ((2, "–"), (3, " to ")):
        table = some_predictions(n_runs=n_runs)
        found = results.arm_table(table, results.estimates_of(table, n_boot=20, seed=0), n_train=99, n_test=34)
        assert cell in found["accuracy, interval over runs"].item()


def test_methods_beside_table_7() -> None:
    table = pd.concat([some_predictions(), some_predictions(arms.DENSENET)])
    found = results.table7(results.estimates_of(table, n_boot=20, seed=0)).set_index("method")
    assert found.loc["Yu", "accuracy here (%)"] == "other patients"
    assert found.loc["Liang, 3D DenseNet121", "accuracy printed (%)"] == "84.60"
    assert found.loc["Ge, Prop-A", "accuracy here (%)"] == found.loc["Liang, 3D DenseNet121", "accuracy here (%)"]


def test_summary_says_what_was_kept() -> None:
    names = ["Prop-A", "Bas-1", "Prop-B", "Bas-2", arms.NO_MASK.name, "collection rule"]
    table = pd.concat([some_predictions(name) for name in names])
    nothing = results.control_estimates(
        [some_predictions(arms.CONTROLS[0].name).assign(setting="shuffled labels")], n_boot=20, seed=0
    )
    report = Report.start("multistream_idh", cohort="simulated", profile="smoke", seed=0)
    said = results.summary(report, table, results.estimates_of(table, n_boot=20, seed=0), nothing, n_boot=20, seed=0)
    assert report.text("prop_a") in said
    assert "(Prop-A minus Bas-1, same patients)" in said
    assert "AUC of Prop-A, permuted labels (shuffled labels)" in said
    for figure in (results.runs_figure(table),):
        assert len(figure.axes) == 4
        plt.close(figure)


# The ledger


def test_every_entry_is_recorded_or_explained_once(
    gan_run: tuple[SliceSet, runs.Partition, runs.GanRun, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slices, partition, found, _ = gan_run
    first = Report.start("pairwise_gan", cohort="simulated", profile="smoke", seed=0)
    _, estimates = runs.table6([found], n_boot=20, seed=0)
    mutant = pd.Series([k % 2 == 0 for k in range(10)], index=slices.ids)
    gan_results.record_all(
        first, estimates=estimates, counts=gan_results.partition_table([partition], mutant), patients=10,
        cases=build_cases(partition.split, slices, partition.missing), partition=partition,
    )  # fmt: skip
    second = Report.start("multistream_idh", cohort="simulated", profile="smoke", seed=0)
    names = ["Prop-A", "Bas-1", "Prop-B", "Bas-2", arms.NO_MASK.name, arms.DENSENET, "collection rule", "age model",
             arms.CONTROLS[0].name]  # fmt: skip
    table = pd.concat([some_predictions(name, right=0.6 + 0.03 * k) for k, name in enumerate(names)])
    same = some_predictions("Prop-A").sort_values(["run", "subject"])
    table = pd.concat([
        same.assign(arm=name, predicted=same["predicted"] ^ (np.arange(len(same)) % (k + 5) == 0))
        for k, name in enumerate(names)
    ])  # fmt: skip
    multistream_ledger.record_all(second, table, counted=same, counts=(20, 40), n_boot=20, seed=0)
    keys = [{e["key"] for e in report.ledger} | {e["key"] for e in report.absent} for report in (first, second)]
    assert not keys[0] & keys[1]
    of_paper = {
        key for key in published_values("ge2020")
        if not key.startswith("ge2020.table1a.") and published(key).kind != "setting"
    }  # fmt: skip
    assert keys[0] | keys[1] == of_paper
    for report in (first, second):
        recorded = {entry["key"] for entry in report.ledger}
        explained = [entry["key"] for entry in report.absent]
        assert not recorded & set(explained)
        assert len(explained) == len(set(explained))
    gain = next(e for e in second.ledger if e["key"] == "ge2020.text.loss_a.specificity")
    gained = est.gain(table[table["arm"] == "Prop-A"], table[table["arm"] == "Bas-1"], "specificity", n_boot=20)
    assert gain["value"] == pytest.approx(-100 * gained.value)
    assert gain["low"] is None or gain["low"] <= gain["value"] <= gain["high"]
