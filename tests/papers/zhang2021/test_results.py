"""Means and differences with intervals, orders, the ledger, the rule, failures by intervention, real subjects."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import Cohort
from radlib.data.published import published_values
from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore
from radlib.papers.zhang2021 import architecture, claims, failures, pictures, results, rule
from radlib.papers.zhang2021.fusion import TITLES, Outcome
from radlib.papers.zhang2021.real import real_subjects
from radlib.papers.zhang2021.recipe import PAIRS, Recipe
from radlib.papers.zhang2021.stages import Subjects
from radlib.phantom.make import make
from radlib.phantom.render import render_subject
from radlib.phantom.scanner import load_protocol
from radlib.phantom.traits import ImagingTraits
from radlib.stats.intervals import Estimate
from radlib.stats.paired import crossed_mean


def outcome(key: str, dice: np.ndarray, **columns: np.ndarray) -> Outcome:
    """An outcome with the given Dice ``(runs, subjects)`` in every region."""
    rows = []
    for run, line in enumerate(dice):
        for number, value in enumerate(line):
            for region in REGIONS:
                row = {"run": run, "subject": f"s{number}", "region": region, "dice": value, "sensitivity": value,
                       "specificity": 1.0, "ppv": value, "hd95": 10 * (1 - value), "missed": False}  # fmt: skip
                rows.append(row | {name: float(table[run, number]) for name, table in columns.items()})
    return Outcome(key=key, scores=pd.DataFrame(rows), labels={}, histories=(pd.DataFrame(),) * len(dice))


def crossed(values: np.ndarray, *, n_boot: int = 2000) -> Estimate:
    return crossed_mean(values, random=np.random.default_rng(0), n_boot=n_boot)


def test_mean_and_interval_by_hand() -> None:
    values = np.array([[0.6, 0.8, 1.0], [0.4, 0.6, 0.8]])
    one = results.estimate(outcome("ours", values), "dice", "average", n_boot=500)
    assert one.value == pytest.approx(0.7)
    assert one.n == 3
    assert 0.4 <= one.low < 0.7 < one.high <= 1.0
    # Without spread over subjects the interval is that over runs: 0.6, 0.7 or 0.8 in a quarter, half, a quarter.
    runs_only = crossed(np.array([[[0.8, 0.8], [0.6, 0.6]]]), n_boot=4000)
    assert (runs_only.low, runs_only.high) == pytest.approx((0.6, 0.8))


def test_undefined_values_count_for_nothing() -> None:
    values = np.array([[[0.5, np.nan, 0.7]]])
    assert crossed(values, n_boot=200).value == pytest.approx(0.6)
    assert crossed(values, n_boot=200).n == 2
    assert np.isnan(crossed(np.full((1, 1, 3), np.nan)).value)
    assert np.isnan(crossed(np.stack([values[0], np.full((1, 3), np.nan)])).value)  # a region without any


def test_average_is_the_mean_of_the_regions() -> None:
    one = outcome("ours", np.array([[0.5, 0.7]]))
    one.scores.loc[one.scores["region"] == "et", "dice"] = [0.1, np.nan]
    assert results.estimate(one, "dice", "et").value == pytest.approx(0.1)
    assert results.estimate(one, "dice", "average").value == pytest.approx((0.1 + 0.6 + 0.6) / 3)


def test_distances_of_absent_regions_are_left_out_and_missed_ones_counted() -> None:
    one = outcome(
        "ours", np.array([[1.0, 0.0, 0.5]]), hd95=np.array([[np.nan, np.nan, 4.0]]), missed=np.array([[0, 1, 0]])
    )
    assert results.estimate(one, "hd95", "wt").value == pytest.approx(4.0)
    found = results.score_rows({"ours": one}, n_boot=50)
    row = found.query("metric == 'hd95' and place == 'wt'").iloc[0]
    assert (row["missed"], row["n"]) == (1.0, 1)
    assert found.query("metric == 'hd95' and place == 'average'").iloc[0]["missed"] == 3.0


def test_differences_are_paired() -> None:
    random = np.random.default_rng(0)
    base = random.uniform(0.2, 0.9, size=(2, 30))
    better, worse = outcome("ours", base + 0.05), outcome("ours_random", base)
    one = results.difference(better, worse, "dice", "average", n_boot=300)
    assert (one.value, one.low, one.high) == pytest.approx((0.05, 0.05, 0.05))
    fewer = outcome("ours_self", base[:1])
    assert results.difference(better, fewer, "dice", "wt", n_boot=50).value == pytest.approx(0.05)
    stranger = outcome("ours_self", base)
    stranger.scores["subject"] += "x"
    with pytest.raises(RadlibError, match="no run and subject in common"):
        results.difference(better, stranger, "dice", "wt")


def test_orders() -> None:
    random = np.random.default_rng(1)
    base = random.uniform(0.3, 0.6, size=(2, 20))
    noise = random.normal(0, 0.2, size=(2, 20))
    chain = {
        "ours_random": outcome("ours_random", base), "ours_2d": outcome("ours_2d", base + 0.1),
        "ours_self": outcome("ours_self", base + 0.1 + noise - noise.mean()), "ours": outcome("ours", base),
    }  # fmt: skip
    table = results.order_table(chain, list(chain), n_boot=500)
    assert table["here"].tolist() == ["holds", "open", "reversed"]
    assert table["claim"].iloc[0] == "Ours, random initialisation < Ours, pre-trained in 2D"
    chain["rule"] = outcome("rule", base - 0.2)
    assert "is ahead of two thresholds (+0.200" in results.rule_sentence(chain, n_boot=50)
    said = results.order_sentence(table)
    assert "1 of 3 steps hold" in said
    assert "1 of 3 steps are reversed" in said


def test_tables_have_the_published_numbers_beside() -> None:
    both = {"s_a": outcome("s_a", np.array([[0.5, 0.6]])), "rule": outcome("rule", np.array([[0.4, 0.4]]))}
    found = results.score_rows(both, n_boot=50)
    table = results.score_table(found, metric="dice", tables={"2017": "table2"})
    assert table.loc[0, "2017"] == "0.752 / 0.799 / 0.787 / 0.779"
    assert table.loc[1, "2017"] == ""
    assert table.loc[0, "WT"].startswith("0.550 (")
    quoted = results.quoted_table("table3", found)
    assert quoted["network"].iloc[-2:].tolist() == [TITLES["s_a"], TITLES["rule"]]
    assert quoted.loc[quoted["network"].str.startswith("Hu"), "HD95 (mm), WT"].item() == "25.240"
    assert quoted["Dice, average"].iloc[-1] == "0.400"


# Ledger


class Ledger:
    """What a report is asked to write."""

    def __init__(self, source: str = "simulated") -> None:
        self.source = source
        self.records: dict[str, dict[str, Any]] = {}
        self.keys: list[str] = []

    def record(self, key: str, value: float, **more: Any) -> None:
        assert np.isfinite(value)
        self.keys.append(key)
        self.records[key] = {"value": value, **more}

    def missing(self, key: str, reason: str) -> None:
        assert len(reason) > 20
        self.keys.append(key)


def speak(source: str, subjects: Subjects, *, voc: bool = False, other: bool = True) -> Ledger:
    dice = np.array([[0.5, 0.6, 0.7], [0.6, 0.7, 0.8]])
    keys = [*results.TRANSITION_ROWS, *results.FUSION_ROWS, *(["ours_other"] if other else [])]
    outcomes = {key: outcome(key, dice - place / 100) for place, key in enumerate(keys)}
    scores = {table: results.score_rows(outcomes, n_boot=20) for table in ("table2", "table4")}
    one = Estimate(0.5, 0.4, 0.6, 3)
    ledger = Ledger(source)
    claims.record_transition(ledger, subjects, scores, outcomes, voc=voc, pairs={"difference": one}, n_boot=20)  # type: ignore[arg-type]
    claims.record_fusion(ledger, subjects, scores, outcomes, training=one, failure=one, failure_note="made up here",
                         n_boot=20)  # type: ignore[arg-type]  # fmt: skip
    return ledger


@pytest.mark.slow
@pytest.mark.parametrize(("source", "voc"), [("simulated", False), ("real", False), ("real", True)])
def test_every_entry_of_the_paper_is_spoken_of_once(source: str, voc: bool, subjects: Subjects) -> None:
    ledger = speak(source, subjects, voc=voc, other=not voc)
    wanted = {key for key, entry in published_values("zhang2021").items() if entry.kind != "setting"}
    assert {key for key, count in Counter(ledger.keys).items() if count > 1} == set()
    assert set(ledger.keys) == wanted
    # Shapes stand for photographs in the simulation only.
    assert ("zhang2021.table2.ours_voc.dice.wt" in ledger.records) == (source == "simulated" or voc)


@pytest.mark.slow
def test_what_is_recorded(subjects: Subjects) -> None:
    records = speak("simulated", subjects).records
    row = records["zhang2021.table4.s_b.dice.et"]
    assert row["value"] == pytest.approx(0.65 - 0.04)
    assert row["protocol"] == "leakage-free"
    assert row["n"] == 3
    assert "2 trainings" in row["note"]
    assert records["zhang2021.text.dice_gain_2018"]["value"] == pytest.approx(-3.0)  # ours is 3 places after S_A + S_B
    assert records["zhang2021.table5.ours.hd95.tc"]["value"] == records["zhang2021.table4.ours.hd95.tc"]["value"]
    assert records["zhang2021.text.fusion_order"]["value"] == 1  # S_A above S_A + S_B, which is below S_B
    assert "simulated shapes" in records["zhang2021.table2.ours_voc.dice.wt"]["note"]
    assert records["zhang2021.text.training_subjects"]["value"] == 8


# Networks and modalities


def test_built_as_printed() -> None:
    table = architecture.discriminator_table()
    assert len(table) == 12
    assert (table["input as printed"] == table["input here"]).all()
    generator = architecture.generator_table()
    assert generator["channels"].max() == 256
    assert generator["edge"].min() == 8
    assert generator.iloc[-1].tolist() == ["convolution", 1, 2, 128]
    moved = architecture.transferred()
    assert moved["parameters"] + moved["left"] + architecture.fusion_parameters() == moved["of"]
    assert moved["left"] == 2 * (16 * 4 + 4)
    sizes = architecture.size_table(Recipe(widths=(4, 8), patch=16, discriminator_widths=(4,)))
    assert sizes["CycleGANs"].tolist() == [1, 6]
    assert sizes["transition, as published"].iloc[1] > 5 * sizes["transition, as published"].iloc[0]


def test_likeness_of_modalities(store: ImageStore) -> None:
    images = store.images.clone()
    images[:, 1] = -2 * images[:, 0]  # T1c is T1 turned round: as alike as can be
    alike = ImageStore(**{**store.__dict__, "images": images})
    table = architecture.pair_correlations(alike, store.ids[:3])
    assert table.query("first == 't1' and second == 't1ce'")["correlation"].tolist() == pytest.approx([1.0] * 3)
    both = architecture.within_and_between(table, PAIRS, n_boot=100)
    assert both["difference"].value == pytest.approx(both["within"].value - both["between"].value)
    assert both["difference"].low > 0
    square = architecture.correlation_table(table)
    assert square.loc["t1ce", "t1"] == pytest.approx(1.0)
    assert np.allclose(square, square.T)


def test_rule_finds_what_is_bright(store: ImageStore) -> None:
    found = rule.fit_rule(store, store.ids[:5])
    out = rule.apply_rule(found, store, store.ids[5:], runs=[0, 7])
    assert sorted(out.scores["run"].unique()) == [0, 7]
    assert out.scores.query("region == 'wt'")["dice"].min() > 0.95
    assert out.scores.query("region == 'et'")["dice"].min() > 0.9
    assert out.scores.query("region == 'tc'")["dice"].min() > 0.9  # what the ring encloses belongs to the core
    labels = rule.Rule(flair=100.0, t1ce=1.0).segment(store, "s0")
    assert not labels.any()


def test_largest_component() -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[:2, 0, 0] = mask[4:, 2:4, 2:5] = True
    assert rule.largest(mask).sum() == 12
    assert not rule.largest(np.zeros((3, 3, 3), bool)).any()


# Failures


def test_shape_of_a_reference_by_hand() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:8, 2:8, 2:8] = 2
    cube = failures.shape_of(labels, spacing=2.0)
    # 6 * 36 faces over those of a digital ball of 216 voxels.
    ball = 1.5 * 4 * np.pi * (3 * 216 / (4 * np.pi)) ** (2 / 3)
    assert cube == pytest.approx({"et_ml": 0.0, "raggedness": 216 / ball, "foci": 1.0})
    ragged = labels.copy()
    ragged[2:8:2, 2:8:2, 2:8] = 0
    assert failures.shape_of(ragged, spacing=2.0)["raggedness"] > 1.5 * cube["raggedness"]
    labels[12:17, 12:17, 12:17] = 4
    labels[0, 19, 0] = 2  # too small to count
    both = failures.shape_of(labels, spacing=2.0)
    assert (both["foci"], both["et_ml"]) == (2.0, 125 * 0.008)
    assert failures.shape_of(np.zeros((4, 4, 4), np.uint8), spacing=1.0)["foci"] == 0


def test_subtypes_as_they_are() -> None:
    ids = [f"s{number}" for number in range(6)]
    shapes = pd.DataFrame(
        {"absent_et": [True, True, False, False, False, False], "ragged": [False] * 6, "disconnected": [True] * 6},
        index=pd.Index(ids, name="subject"),
    )
    grade = pd.Series(["LGG", "HGG"] * 3, index=ids)
    table = failures.as_they_are(outcome("ours", np.array([[0.2, 0.4, 0.8, 0.9, 0.7, 0.8]])), shapes, grade, n_boot=200)
    row = table.query("subtype == 'absent enhancing tumour' and region == 'WT'").iloc[0]
    assert row["difference"] == pytest.approx(0.3 - 0.8)
    assert row["high"] < 0
    assert (row["n with"], row["n without"]) == (2, 4)
    assert table.query("subtype == 'ragged contours'")["difference"].isna().all()
    chosen = failures.hardest(outcome("ours", np.array([[0.2, 0.4, 0.8, 0.9, 0.7, 0.8]])), shapes, grade)
    assert chosen == {"s1": "high grade", "s0": "absent enhancing tumour", "s4": "disconnected regions"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make("brats2017", out=tmp_path_factory.mktemp("cohorts") / "one", n=1, grid=(40, 48, 36), seed=48)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["traits.tsv", "recipe.json", "subjects/{}.json"])
def test_a_damaged_truth_is_named(simulated: Cohort, name: str) -> None:
    assert simulated.truth is not None
    file = simulated.truth / name.format(simulated.ids[0])
    content = file.read_bytes()
    try:
        file.write_bytes(content[: len(content) // 3])
        with pytest.raises(RadlibError, match=rf"{re.escape(file.name)}.*make the cohort again"):
            failures.change_traits(simulated, simulated.ids, most=1, grid=(40, 48, 36), spacing=4.5)
    finally:
        file.write_bytes(content)


@pytest.mark.slow
def test_one_trait_is_changed_and_nothing_else(simulated: Cohort) -> None:
    changed = failures.change_traits(simulated, simulated.ids, most=1, grid=(40, 48, 36), spacing=4.5)
    (subject,) = changed.subjects
    assert changed.store.ids == tuple(f"{subject}:{key}" for key in ("as_it_is", *failures.SUBTYPES))
    check = failures.change_check(changed).set_index("subjects")
    assert check.loc["as it is", "enhancing (ml)"] > 0
    assert check.loc["absent enhancing tumour", "enhancing (ml)"] == 0
    assert check.loc["disconnected regions", "foci"] > check.loc["as it is", "foci"]
    # T1 shows no contrast agent: without enhancement the core stays where it was, and healthy tissue is the same.
    labels = changed.store.labels
    base, other = (changed.store.rows([f"{subject}:{key}"])[0] for key in ("as_it_is", "absent_et"))
    core = ((labels[base] == 1) | (labels[base] == 4)).float()
    assert (core * (labels[other] == 1)).sum() > 0.8 * core.sum()
    far = (labels[base] == 0) & (labels[other] == 0) & (changed.store.images[base] != 0).any(dim=0)
    t1 = changed.store.images[[base, other], 0][:, far].numpy()
    assert np.corrcoef(t1)[0, 1] > 0.9
    assert list(failures.rows_of(changed)) == list(changed.store.ids)


@pytest.mark.slow
def test_as_it_is_is_what_the_simulation_gave(simulated: Cohort) -> None:
    import json

    from radlib.phantom.anatomy import Grid

    subject = simulated.ids[0]
    assert simulated.truth is not None
    traits = pd.read_csv(simulated.truth / "traits.tsv", sep="\t", index_col=0).loc[subject].to_dict()
    record = json.loads((simulated.truth / "subjects" / f"{subject}.json").read_text())
    recipe = json.loads((simulated.truth / "recipe.json").read_text())
    again = render_subject(
        ImagingTraits(**traits), subject=subject, seed=recipe["seed"], protocol=load_protocol(record["protocol"]),
        grid=Grid(shape=tuple(recipe["grid"]), spacing=tuple(recipe["spacing"])),
    )  # fmt: skip
    assert np.array_equal(again.images["flair"], simulated.volume(subject, "flair").data)
    assert np.array_equal(again.labels, simulated.labels(subject).data)


def test_a_cohort_without_truth_is_refused(cohort: Cohort) -> None:
    with pytest.raises(MissingDataError, match="has no truth"):
        failures.change_traits(cohort, cohort.ids, most=1, grid=(8, 8, 8), spacing=1.0)


def test_what_stands_for_figure_9() -> None:
    changes = pd.DataFrame([
        {"subtype": title, "region": region, "as it is": 0.8, "changed": 0.6, "difference": value, "low": value - 0.1,
         "high": value + 0.1, "n": 4}
        for title, value in zip(failures.SUBTYPES.values(), (-0.2, 0.0, -0.05), strict=True)
        for region in ("ET", "WT", "TC")
    ])  # fmt: skip
    one, note = failures.for_the_ledger(pd.DataFrame(), changes)
    assert (one.value, one.n) == (-0.2, 4)
    assert "taken away" in note
    said = failures.failure_sentence(changes)
    assert "absent enhancing tumour (TC -0.200" in said
    assert "disconnected" not in said


# Figures and real subjects


def test_figures_say_what_they_show(store: ImageStore, subjects: Subjects) -> None:
    truth = {subject: store.labels[store.rows([subject])[0]].numpy() for subject in subjects.held_out}
    wrong = {subject: np.zeros_like(labels) for subject, labels in truth.items()}
    figure = pictures.segmentation_figure(
        store, dict.fromkeys(subjects.held_out[:2], "row"), {"right": truth, "nothing": wrong}
    )
    said = [axes.get_xlabel() for axes in figure.axes]
    assert said.count("Dice 1.00") == 2
    assert said.count("Dice 0.00") == 2
    assert [axes.get_title() for axes in figure.axes[:4]] == ["FLAIR", "reference", "right", "nothing"]
    pairs = pictures.pair_figure(store, subjects.held_out[:1], PAIRS)
    assert [axes.get_title() for axes in pairs.axes] == [
        "T1\n(pair A)", "T1c\n(pair A)", "T2\n(pair B)", "FLAIR\n(pair B)", "reference\n"
    ]  # fmt: skip
    table = results.differences(
        {"ours": outcome("ours", np.array([[0.5, 0.6]])), "s_a": outcome("s_a", np.array([[0.4, 0.6]]))},
        [("ours", "s_a")], n_boot=20,
    )  # fmt: skip
    shown = pictures.difference_figure(table)
    assert [axes.get_xlabel().split()[-1] for axes in shown.axes] == ["ET", "WT", "TC", "average"]


@pytest.mark.slow
def test_real_subjects_have_zero_outside_the_brain(real_data: Path) -> None:
    cohort = real_subjects(real_data, most=3)
    assert cohort is not None
    assert len(cohort) == 3
    for subject in cohort.ids:
        for modality in ("t1", "t1ce", "t2", "flair"):
            assert cohort.volume(subject, modality).data[0, 0, 0] == 0


def test_no_real_subjects(tmp_path: Path) -> None:
    assert real_subjects(tmp_path, most=3) is None
