"""Ge 2020: PSNR and DAEF by hand, tables that are counted, and the tables of the classifier's chapter."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from radlib.data.published import published
from radlib.data.sources import open_cohort
from radlib.data.splits import Split
from radlib.papers.ge2020 import figures, quality, tables, tables_idh
from radlib.papers.ge2020.cases import Translated, build_cases, directions
from radlib.papers.ge2020.data import Patients, partition, take_scans
from radlib.papers.ge2020.networks import SliceAutoencoder
from tests.papers.ge2020.made import some_patients, unchanged


def smooth_patients(n: int) -> Patients:
    patients = some_patients(n)
    patients.masks[:] = False
    patients.masks[..., 4:10, 4:10] = True
    return patients


# Quality


def test_psnr_by_hand() -> None:
    patients = smooth_patients(3)
    half = {(a, b): 0.5 * patients.images[:, :, b] for a, b in directions()}
    scores = quality.psnr_scores(patients, Translated(ids=patients.ids, images=half))
    own = scores[(scores["subject"] == "p000") & (scores["group"] == "t1_to_t2")].set_index("metric")["value"]
    errors = (0.5 * patients.images[0, :, 2]).square()
    assert own["psnr"] == pytest.approx(float((-10 * errors.mean(dim=(1, 2)).log10()).mean()), rel=1e-4)
    inside = torch.stack([e[m].mean() for e, m in zip(errors, patients.masks[0], strict=True)])
    assert own["psnr_tumour"] == pytest.approx(float((-10 * inside.log10()).mean()), rel=1e-4)
    of_one = scores[(scores["subject"] == "p000") & (scores["metric"] == "psnr")].set_index("group")["value"]
    assert of_one[quality.MEDIAN] == np.median(of_one.drop(quality.MEDIAN))
    missing = patients.without({"p000": 2})
    kept = quality.psnr_scores(missing, quality.copied(missing, patients.ids))
    assert (kept["subject"] == "p000").sum() == 2 * (6 + 1)  # directions among three modalities, and their median


def test_a_straight_line_is_found() -> None:
    patients = smooth_patients(4)
    patients.images[:, :, 3] = 0.8 - 0.5 * patients.images[:, :, 0]
    found = quality.fitted_lines(patients, patients.ids[:2], patients.ids[2:])
    torch.testing.assert_close(found.images[0, 3], patients.images[2:, :, 3], atol=1e-4, rtol=0)


def test_daef_of_a_perfect_translator_is_nothing() -> None:
    patients = smooth_patients(3)
    network = SliceAutoencoder((4, 4), channels=4)
    for region in quality.REGIONS:
        gaps = quality.latent_gaps(network, patients, unchanged(patients), region=region).assign(run=1)
        assert quality.daef(gaps, n_boot=10, seed=0).value == pytest.approx(0, abs=1e-5)
    assert quality.daef_of_halves(network, patients, patients.ids, region="whole", seed=0) > 0


def test_daef_by_hand() -> None:
    """Of one run the length of the mean gap, of several runs their mean; resampling knows who was in which run."""
    gaps = pd.DataFrame({
        "run": [1, 1, 2, 2], "subject": ["a", "b", "a", "c"], "z0": [3.0, 3.0, 0.0, 0.0], "z1": [4.0, 4.0, 1.0, 1.0]
    })  # fmt: skip
    found = quality.daef(gaps, n_boot=200, seed=0)
    assert found.value == pytest.approx((5 + 1) / 2)
    assert found.low < found.value < found.high
    assert found.n == 3
    assert quality.daef(gaps[gaps["run"] == 1], n_boot=20, seed=0).high == pytest.approx(5)


def test_collapsed_generators_are_named() -> None:
    patients = smooth_patients(3)
    images = dict.fromkeys(directions(), patients.images[:, :, 0])
    images[2, 3] = torch.zeros_like(images[2, 3])
    assert quality.collapsed(Translated(ids=patients.ids, images=images)) == ["t2_to_flair"]


# The chapter on the pairwise GAN


def test_table_1b_is_counted() -> None:
    patients = some_patients(167, size=1)
    mutant = pd.Series([k < 55 for k in range(167)], index=patients.ids)
    split = partition(patients.ids, mutant, run=1, seed=0)
    taken = take_scans(split.train, seed=0)
    cases = build_cases(split, patients, taken)
    found = tables.counts(cases, split, mutant, taken=len(taken)).set_index(["arm", "metric", "group"])["value"]
    for row in ("mutation", "wildtype"):
        for column in tables.SETS:
            assert found[row, "slices", column] == published(f"ge2020.table1b.{row}.{column}").number
    for name in ("fake_patients_a", "fake_slices_a", "fake_patients_b", "fake_slices_b"):
        assert found["all", name, "all"] == published(f"ge2020.text.{name}").number
    assert tables.case_table(cases)["fake patients"].tolist() == [0, 297, 0, 225]
    # Without a patient's slices there are no fakes of them: the table follows the records, not a formula.
    lacking = patients.without({split.train[0]: 1})
    less = tables.counts(build_cases(split, lacking, {}), split, mutant, taken=0)
    assert less.set_index("metric")["value"]["fake_patients_a"] == 297 - 3


def test_quality_table() -> None:
    scores = pd.DataFrame([
        {"arm": arm, "run": run, "subject": subject, "group": group, "metric": metric, "patients": patients,
         "value": 20.0 + number}
        for number, arm in enumerate(("masked", "unmasked"))
        for patients in ("training", "held_out")
        for run in (1, 2)
        for subject in ("a", "b")
        for group in ("t1_to_t2", "t2_to_t1", quality.MEDIAN)
        for metric in ("psnr", "psnr_tumour")
    ])  # fmt: skip
    latents = pd.DataFrame([
        {"arm": arm, "run": run, "subject": "a", "patients": patients, "region": region, "z0": 3.0, "z1": 4.0}
        for arm in ("masked", "unmasked") for run in (1, 2) for patients in ("training", "held_out")
        for region in quality.REGIONS
    ])  # fmt: skip
    found = tables.quality(scores, latents, n_boot=20, seed=0)
    by = found.set_index(["patients", "arm", "metric", "group"])["value"]
    assert by["held_out", "unmasked", "psnr", "whole"] == by["held_out", "unmasked", "psnr_tumour", "t1_to_t2"] == 21
    assert by["training", "masked", "daef", "tumour"] == pytest.approx(5)
    table = tables.quality_table(found, [{"whole": 1.0, "tumour": 2.0}, {"whole": 3.0, "tumour": 2.0}])
    assert table["model"].tolist() == ["with mask", "without mask"] * 2 + ["two halves of the real patients"]
    assert table["DAEF, whole image"].iloc[-1] == "2.00"
    directions = tables.direction_table(found)
    assert directions["direction"].tolist() == ["T1 to T2", "T2 to T1"]
    assert directions["tumour, without mask"].tolist() == [21, 21]


def test_figures_of_the_gan_chapter() -> None:
    patients = smooth_patients(10)
    split = Split(name="run 1", train=patients.ids[:6], validation=patients.ids[6:8], test=patients.ids[8:])
    cases = build_cases(split, patients, {patients.ids[0]: 2})
    made = Translated(ids=split.test, images={(a, b): patients.images[8:, :, a] for a, b in directions()})
    drawn = (figures.case_figure(cases), figures.example_figure(patients, made), figures.view_figure(patients, "p000"))
    for figure, count in zip(drawn, (2, 8, 24), strict=True):
        assert len(figure.axes) == count
        plt.close(figure)


# The chapter on the classifier


def some_predictions(arm: str = "prop_a", *, n: int = 34, n_runs: int = 2, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    parts = []
    for run in range(1, n_runs + 1):
        numbers = random.permutation(60)[:n]
        truth = numbers % 3 == 0
        predicted = np.where(random.random(n) < 0.8, truth, ~truth)
        parts.append(pd.DataFrame({
            "arm": arm, "run": run, "subject": [f"p{k:02d}" for k in numbers], "truth": truth,
            "votes": np.where(predicted, 4, 2), "predicted": predicted, "calibrated": truth,
            "score": 0.3 + 0.4 * predicted + 0.1 * random.random(n),
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_estimates_by_vote_and_by_the_threshold_of_validation() -> None:
    table = pd.concat([some_predictions(), some_predictions("prop_a_permuted")])
    found = tables_idh.estimated(table, n_boot=50, seed=0).set_index(["arm", "metric"])
    own = some_predictions()
    right = (own["predicted"] == own["truth"]).groupby(own["run"]).mean().mean()
    assert found.loc[("prop_a", "accuracy"), "value"] == pytest.approx(right)
    assert found.loc[("prop_a", "accuracy_calibrated"), "value"] == 1
    protocols = found.groupby("arm")["protocol"].first().to_dict()
    assert protocols == {"prop_a": "leakage-free", "prop_a_permuted": "control"}
    wide = tables_idh.wide(found.reset_index())
    assert list(wide) == ["arm", "AUC", "Accuracy", "Sensitivity", "Specificity"]
    assert tables_idh.title_of("null_prop_a") == "Prop-A, without signal"


def test_mcnemar_counts_every_patient_once() -> None:
    first = some_predictions()
    other = first.assign(arm="bas_1")
    distinct = list(dict.fromkeys(first.sort_values("run")["subject"]))
    flip = other["subject"].isin(distinct[:6])
    other.loc[flip, "predicted"] = ~other.loc[flip, "predicted"]
    table, gains = tables_idh.paired(pd.concat([first, other]), n_boot=20, seed=0)
    assert len(table) == 1  # other pairs lack an arm
    row = table.iloc[0]
    assert row["patients"] == len(distinct)
    assert row["only first right"] + row["only second right"] == 6
    assert set(gains["metric"]) == {"auc", "accuracy", "sensitivity", "specificity"}
    assert tables_idh.spread(first, "prop_a") == pytest.approx(
        np.std([(part["predicted"] == part["truth"]).mean() for _, part in first.groupby("run")], ddof=1)
    )
    assert np.isnan(tables_idh.spread(some_predictions(n_runs=1), "prop_a"))


def test_gain_of_the_printed_runs() -> None:
    """Within rounding of the gains in the text; the interval holds 0."""
    for table, first, second, key in (("table3", "prop_a", "bas_1", "a"), ("table4", "prop_b", "bas_2", "b")):
        found = tables_idh.published_gain(table, first, second)
        assert found.value == pytest.approx(published(f"ge2020.text.gain_{key}.accuracy").value, abs=0.02)
        assert found.low < 0 < found.high
    gaps = np.array([2.94, 0, -5.88, 11.76, 5.88])
    half = 2.776445 * np.sqrt((1 / 5 + 34 / 99) * gaps.var(ddof=1))
    found = tables_idh.published_gain("table3", "prop_a", "bas_1")
    assert (found.low, found.high) == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.02)


def test_votes_and_groups() -> None:
    table = some_predictions(n_runs=1)
    table["votes"] = np.where(table.index == 0, 3, np.where(table["truth"], 6, 0))
    table["predicted"] = table["votes"] > 3
    table.loc[0, ["truth", "predicted"]] = [True, False]
    found = tables_idh.vote_table(table, ["prop_a"]).iloc[0]
    assert found["patients with a tie"] == 1
    assert found["patients right, Eq. (6)"] == pytest.approx(33 / 34)
    assert found["ties as mutant"] == 1
    assert found["slices right"] == pytest.approx((33 * 6 + 3) / (34 * 6))
    collection = pd.Series(["GBM" if k % 2 else "LGG" for k in range(60)], index=[f"p{k:02d}" for k in range(60)])
    groups = tables_idh.group_table(table, collection, ["prop_a", "absent"], n_boot=20, seed=0)
    assert [name[:3] for name in groups["collection"]] == ["LGG", "GBM"]
    assert sum(int(name.split()[1]) for name in groups["collection"]) == 34
    grades = collection.replace({"GBM": "grade 3", "LGG": "grade 2"})
    by_grade = tables_idh.group_table(table, grades, ["prop_a"], n_boot=20, seed=0, by="grade")
    assert by_grade.columns[0] == "grade"


def test_rules_without_an_image_stand_beside_one_collection() -> None:
    """Where no collection tells, both networks are compared with age, grade, both and 1p/19q."""
    arms = ("prop_a", "bas_1", "age_model", "grade_model", "age_grade", "codel")
    table = pd.concat([some_predictions(arm, seed=0) for arm in arms])
    _, gains = tables_idh.paired(table, n_boot=10, seed=0)
    assert {("prop_a", "age_grade"), ("bas_1", "codel")} <= set(zip(gains["first"], gains["second"], strict=True))
    _, gains = tables_idh.paired(pd.concat([table, some_predictions("collection_rule")]), n_boot=10, seed=0)
    assert "age_grade" not in set(gains["second"])
    found = tables_idh.estimated(table, n_boot=10, seed=0)
    assert set(found.loc[found["arm"] == "codel", "protocol"]) == {"control"}


def test_runs_with_and_without_fake_patients() -> None:
    table = pd.concat([some_predictions(arm) for arm in ("prop_a", "bas_1", "prop_b", "bas_2")])
    found = tables_idh.accuracies(table)
    assert found.groupby("where").size().to_dict() == {"here": 8, "printed": 20}
    first = found[(found["where"] == "printed") & (found["row"] == "case A, run 1")].set_index("training")["value"]
    assert first.to_dict() == {"with fake patients": pytest.approx(30 / 34), "real data alone": pytest.approx(29 / 34)}
    one = tables_idh.run_table(table, ("prop_a", "bas_1"))
    assert one["run"].tolist() == [1, 2]


@pytest.mark.usefixtures("real_data")
def test_real_labels() -> None:
    table = open_cohort("tcga-idh", cohort="real").participants
    found = tables_idh.real_labels(table, n_runs=2, n_boot=50, seed=0)
    assert set(found["rated by"]) == {"as counted", "known status"}
    assert set(found["rule"]) == {"majority class", "collection rule", "age model", "age + collection", "grade"}


def test_methods_beside_table_7() -> None:
    table = pd.concat([some_predictions(), some_predictions("densenet")])
    found = tables_idh.methods_table(tables_idh.estimated(table, n_boot=20, seed=0)).set_index("method")
    assert found.loc["Yu", "accuracy here (%)"] == "other patients"
    assert found.loc["Liang, 3D DenseNet121", "accuracy printed (%)"] == "84.60"
    assert found.loc["Ge, Prop-A", "accuracy here (%)"] == found.loc["Liang, 3D DenseNet121", "accuracy here (%)"]
