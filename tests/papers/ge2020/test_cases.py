"""Ge 2020: slices, partitions, the training sets S1 to S5, and that nothing of a held-out patient gets into them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import Cohort
from radlib.data.published import published
from radlib.data.splits import Split
from radlib.papers.ge2020 import losses, quality, study_gan
from radlib.papers.ge2020.cases import (
    ABSENT,
    Record,
    Translated,
    assemble,
    build_cases,
    completed,
    directions,
    fake_patients,
    pairs,
    real_patients,
    substitute,
)
from radlib.papers.ge2020.data import (
    BACKGROUND,
    Patients,
    Slices,
    enhanced,
    modalities_of,
    partition,
    take_scans,
    tumour_positions,
)
from radlib.study.cohorts import Source
from tests.papers.ge2020.made import some_patients, without_t2

T1, T1CE, T2, FLAIR = range(4)
ALL = (T1, T1CE, T2, FLAIR)


@pytest.fixture(scope="module")
def cohort() -> tuple[Patients, pd.Series, Split]:
    """167 patients as in Table 1(a), with slices of one pixel, and the first partition."""
    patients = some_patients(167, size=1)
    mutant = pd.Series([k < 55 for k in range(167)], index=patients.ids)
    return patients, mutant, partition(patients.ids, mutant, run=1, seed=0)


def test_partition_is_that_of_table_1b(cohort: tuple[Patients, pd.Series, Split]) -> None:
    slices, mutant, split = cohort
    parts = {"training_real": split.train, "validation": split.validation, "testing": split.test}
    for name, part in parts.items():
        for label, row in ((True, "mutation"), (False, "wildtype")):
            found = 6 * sum(mutant[subject] == label for subject in part)
            assert found == published(f"ge2020.table1b.{row}.{name}").number
    runs = [partition(slices.ids, mutant, run=run, seed=0) for run in range(1, 6)]
    assert len({one.test for one in runs}) == 5
    assert runs[0] == split


def test_published_counts_of_the_training_sets(cohort: tuple[Patients, pd.Series, Split]) -> None:
    slices, mutant, split = cohort
    missing = take_scans(split.train, seed=1)
    cases = build_cases(split, slices, missing)
    s2 = cases["prop_a"].augmented
    assert len(s2) == published("ge2020.text.fake_patients_a").number == 297
    assert 6 * len(s2) == published("ge2020.text.fake_slices_a").number
    for label, row in ((True, "mutation"), (False, "wildtype")):
        found = 6 * sum(mutant[record.subject] == label for record in s2)
        assert found == published(f"ge2020.table1b.{row}.training_gan").number
    assert Counter(missing.values()) == dict.fromkeys(range(4), 6)  # 6 of 99 patients for each modality
    assert round(100 * len(missing) / 99) == published("ge2020.text.removed_share").number == 24
    s5 = [record for record in cases["prop_b"].augmented if record.fake]
    assert len(s5) == published("ge2020.text.fake_patients_b").number == 225
    assert 6 * len(s5) == published("ge2020.text.fake_slices_b").number
    s4 = [record for record in cases["prop_b"].real if record.sources != ALL]
    assert len(s4) == len(missing) == 24
    assert {len(cases[name].real) for name in cases} == {99}
    assert sum(ABSENT in record.sources for record in cases["bas_2"].real) == 24
    assert all(record.sources == ALL for record in cases["bas_1"].real)
    assert cases["bas_1"].augmented == cases["bas_2"].augmented == ()


def test_no_training_set_holds_a_held_out_patient(cohort: tuple[Patients, pd.Series, Split]) -> None:
    slices, _, split = cohort
    missing = take_scans(split.train, seed=1)
    for case in build_cases(split, slices, missing).values():
        assert {record.subject for record in (*case.augmented, *case.real)} <= set(split.train)
    with pytest.raises(RadlibError, match="is no training patient"):
        build_cases(split, slices, {split.test[0]: T1})


def test_fake_patients_use_every_translation_once() -> None:
    made = fake_patients(["a"])
    assert len(made) == 3
    assert all(record.fake for record in made)
    used = [(source, channel) for record in made for channel, source in enumerate(record.sources)]
    assert sorted(used) == sorted(directions())
    for record in made:  # both outputs of two pairs
        assert [record.sources[source] for source in record.sources] == list(ALL)
    assert made[0].sources == (T1CE, T1, FLAIR, T2)
    assert len(pairs()) == published("ge2020.text.gan_pairs").number
    assert not Record("a", ALL).fake
    assert not Record("a", (T1CE, T1CE, T2, FLAIR)).fake


@pytest.mark.parametrize(
    ("missing", "by"), [((T1,), (T1CE,)), ((T1CE,), (T1,)), ((T2,), (FLAIR,)), ((FLAIR,), (T2,)),
                        ((T1, T1CE), (FLAIR, FLAIR)), ((T2, FLAIR), (T1CE, T1CE)), ((T1, T1CE, FLAIR), (T2, T2, T2))]
)  # fmt: skip
def test_which_modality_stands_in(missing: tuple[int, ...], by: tuple[int, ...]) -> None:
    record = Record("a", tuple(ABSENT if k in missing else k for k in ALL))
    assert [completed(record).sources[k] for k in missing] == list(by)
    assert [completed(record).sources[k] for k in ALL if k not in missing] == [k for k in ALL if k not in missing]


def test_three_modalities_are_exchanged_in_circles() -> None:
    """Without T2: every image synthetic, every translation used once, two fake patients, and FLAIR from T1c."""
    names = ("t1", "t1ce", "flair")
    made = fake_patients(["a", "b"], len(names))
    assert [record.sources for record in made] == [(1, 2, 0), (2, 0, 1)] * 2
    assert all(record.fake for record in made)
    used = [(source, channel) for record in made[:2] for channel, source in enumerate(record.sources)]
    assert sorted(used) == sorted(directions(3))
    assert pairs(3) == ((0, 1), (0, 2), (1, 2))
    assert fake_patients(["a"], 2) == [Record("a", (1, 0))]
    assert completed(Record("a", (0, 1, ABSENT)), names).sources == (0, 1, 1)
    assert completed(Record("a", (ABSENT, 1, 2)), names).sources == (1, 1, 2)
    with pytest.raises(RadlibError, match="flair is not missing"):
        substitute(2, [True] * 3, names)


def test_training_sets_of_three_modalities() -> None:
    patients = without_t2(some_patients(50, size=1))
    split = partition(patients.ids, patients.mutant, run=1, seed=0)
    missing = take_scans(split.train, seed=1, channels=3)
    assert Counter(missing.values()) == dict.fromkeys(range(3), 2)  # 6 % of 30 for each modality
    cases = build_cases(split, patients, missing)
    assert len(cases["prop_a"].augmented) == 2 * 30
    assert sum(record.fake for record in cases["prop_b"].augmented) == 2 * 24
    slices = assemble(cases["bas_2"].real, patients, None)
    assert slices.shape == (30, 6, 3, 1, 1)


def test_modalities_are_those_of_half_of_the_patients() -> None:
    table = pd.DataFrame({name: ["a.nii"] * 4 for name in ("t1", "t1ce", "t2", "flair", "seg")}, index=list("abcd"))
    table.loc[["a", "b"], "t1"] = None
    table.loc[["b", "c", "d"], "t2"] = None
    cohort = Cohort(name="made", source="user", root=Path(), participants=table.assign(idh="mutant"))
    assert modalities_of(cohort) == ("t1", "t1ce", "flair")
    assert modalities_of(cohort.subset(["a"])) == ("t1ce", "t2", "flair")
    with pytest.raises(MissingDataError, match="1 modality"):
        modalities_of(replace(cohort, participants=table.assign(t1=None, t1ce=None, t2=None)))


def test_patients_have_every_modality_of_their_cohort(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({name: ["x.nii"] * 4 for name in ("t1", "t1ce", "flair", "seg")}, index=list("abcd"))
    table = table.assign(t2=None, idh=["mutant", "wildtype", None, "mutant"])
    table.loc["d", "t1"] = None
    cohort = Cohort(name="made", source="user", root=Path(), participants=table)
    monkeypatch.setattr(Source, "open", lambda self: cohort)
    slices = Slices(source=Source("huashan", "real"))
    assert slices.modalities == ("t1", "t1ce", "flair")
    assert slices.cohort().ids == ["a", "b"]
    assert Slices(source=Source("tcga-idh")).modalities == ("t1", "t1ce", "t2", "flair")


def test_a_substitute_needs_something_missing_and_something_there() -> None:
    with pytest.raises(RadlibError, match="t1 is not missing"):
        substitute(T1, [True] * 4)
    with pytest.raises(RadlibError, match="without any modality"):
        substitute(T1, [False] * 4)


def test_assembled_slices_are_the_ones_named() -> None:
    slices = some_patients(2)
    made = Translated(ids=("p001",), images={(a, b): torch.full((1, 6, 16, 16), 10.0 * a + b) for a, b in directions()})
    found = assemble([Record("p001", (T1, T2, ABSENT, T1CE))], slices, made)
    torch.testing.assert_close(found[0, :, T1], slices.images[1, :, T1])
    assert (found[0, :, T1CE] == 10 * T2 + T1CE).all()
    assert (found[0, :, T2] == 0).all()
    assert (found[0, :, FLAIR] == 10 * T1CE + FLAIR).all()
    with pytest.raises(RadlibError, match="nothing was made of 'p000'"):
        assemble(fake_patients(["p000"]), slices, made)
    real = assemble(real_patients(["p000"], {"p000": [True] * 4}), slices, None)
    torch.testing.assert_close(real[0], slices.images[0])


def test_masks_enhance_the_tumour() -> None:
    images, masks = torch.ones(2, 6, 4, 3, 3), torch.zeros(2, 6, 3, 3, dtype=torch.bool)
    masks[0, 0, 1, 1] = True
    found = enhanced(images, masks)
    assert float(found[0, 0, 2, 1, 1]) == 1
    assert float(found[0, 1, 2, 1, 1]) == pytest.approx(BACKGROUND)
    crops = enhanced(torch.ones(2, 4, 3, 3, 3), torch.ones(2, 3, 3, 3, dtype=torch.bool), space=3)
    assert (crops == 1).all()


def test_positions_divide_the_tumour() -> None:
    tumour = torch.zeros(12, 4, 4, dtype=torch.bool)
    tumour[2:10] = True
    assert tumour_positions(tumour, axis=0, count=2).tolist() == [3, 7]
    tumour[:] = False
    tumour[5, 2, 2] = True
    assert tumour_positions(tumour, axis=0, count=2).tolist() == [5, 5]


def test_a_scan_is_taken_from_a_copy() -> None:
    patients = some_patients(3)
    taken = patients.without({"p001": T2})
    assert (taken.images[1, :, T2] == 0).all()
    assert not taken.present[1, T2]
    assert taken.available["p001"] == [True, True, False, True]
    assert patients.present.all()
    assert patients.images[1, :, T2].any()
    with pytest.raises(RadlibError, match="no slices of 'nobody'"):
        patients.rows(["nobody"])


# Losses and Algorithm 1


def test_losses_by_hand() -> None:
    real, fake = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 1.0])
    assert losses.discriminator_loss(real, fake).item() == pytest.approx((0 + 0.25) / 2 + (0 + 1) / 2)
    assert losses.deceive_loss(fake).item() == pytest.approx((1 + 0) / 2)
    mask = torch.tensor([True, False])
    weight = losses.mask_weights(mask, masked=True)
    torch.testing.assert_close(weight, torch.tensor([1.0, 1 / 3]))
    l1 = losses.weighted_l1(torch.tensor([0.5, 1.0]), torch.tensor([0.0, -0.5]), weight)
    assert l1.item() == pytest.approx((1 * 0.5 + 1.5 / 3) / 2)
    assert losses.mask_weights(mask, masked=False).tolist() == [1.0, 1.0]


SMALL = study_gan.GanRecipe(generator=(4, 4), discriminator=(4, 4), steps=3, batch_size=4, precision="32-true")


def test_held_out_patients_do_not_touch_the_gan() -> None:
    """Their images are NaN, and the networks come out the same."""
    slices = some_patients(8)
    train = slices.ids[:5]
    clean, _ = study_gan.train_pair(slices, train, (T1, T2), recipe=SMALL, seed=0)
    for row in range(5, 8):
        slices.images[row] = float("nan")
    spoilt, _ = study_gan.train_pair(slices, train, (T1, T2), recipe=SMALL, seed=0)
    for direction, network in clean.items():
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, spoilt[direction].state_dict()[name])


def test_a_taken_scan_does_not_touch_the_gan() -> None:
    slices = some_patients(6)
    taken = slices.without({"p000": T1})
    assert torch.equal(taken.images[0, :, T2], slices.images[0, :, T2])
    taken.images[0] = float("nan")
    study_gan.train_pair(taken, slices.ids, (T1, T2), recipe=SMALL, seed=0)  # a loss that is not finite would raise
    with pytest.raises(RadlibError, match="no training patient has t1 and t2"):
        study_gan.train_pair(taken, ["p000"], (T1, T2), recipe=SMALL, seed=0)


def test_algorithm_1_updates_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = study_gan.train

    def spy(networks: dict, **given: object) -> object:
        seen.extend((player.name, player.trains) for player in given["players"])  # type: ignore[attr-defined]
        return original(networks, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(study_gan, "train", spy)
    study_gan.train_pair(some_patients(3), ["p000", "p001"], (T1CE, FLAIR), recipe=SMALL, seed=0)
    assert seen == [
        ("generators", ("generator_m", "generator_n")),
        ("discriminator_n", ("discriminator_n",)),
        ("discriminator_m", ("discriminator_m",)),
    ]


def test_validation_patients_are_measured_and_change_no_weight() -> None:
    slices = some_patients(4)
    recipe = SMALL.__class__(**{**vars(SMALL), "steps": 16})
    train, held = ["p000", "p001"], ["p002", "p003"]
    alone, _ = study_gan.train_pair(slices, train, (T1, T2), recipe=recipe, seed=0)
    watched, trained = study_gan.train_pair(slices, train, (T1, T2), recipe=recipe, seed=0, validation=held)
    for direction, network in alone.items():
        torch.testing.assert_close(network.state_dict(), watched[direction].state_dict(), rtol=0, atol=0)
    curve = trained.history[trained.history["part"] == "validation"]
    assert list(curve["step"]) == list(range(2, 17, 2))
    made = study_gan.translate(watched, slices, held)
    scores = quality.psnr_scores(slices, made).query("group != 'median' and metric == 'psnr_tumour'")
    assert curve["psnr_tumour"].iloc[-1] == pytest.approx(scores["value"].mean())
    lacking = slices.without({"p002": T2, "p003": T2})
    _, unseen = study_gan.train_pair(lacking, train, (T1, T2), recipe=recipe, seed=0, validation=held)
    assert "validation" not in set(unseen.history["part"])


@pytest.mark.slow
def test_gan_learns_an_inversion_and_equation_5_as_printed_does_not() -> None:
    slices = some_patients(6)
    smooth = torch.nn.functional.avg_pool2d(slices.images[:, :, :1].flatten(0, 1), 5, stride=1, padding=2)
    slices.images[:, :, T1] = smooth.view(6, 6, 16, 16)
    slices.images[:, :, T2] = 1 - slices.images[:, :, T1]
    common = {"generator": (8, 8), "discriminator": (4, 4), "steps": 60, "batch_size": 8, "learning_rate": 5e-3}
    error = {}
    for objective in ("corrected", "printed"):
        recipe = study_gan.GanRecipe(**common, objective=objective, precision="32-true")  # type: ignore[arg-type]
        made, trained = study_gan.train_pair(slices, slices.ids, (T1, T2), recipe=recipe, seed=0)
        error[objective] = trained.history["generators.l1"]
        found = study_gan.translate(made, slices, slices.ids[:2])
        assert found.images[T1, T2].shape == (2, 6, 16, 16)
        assert float(found.images[T1, T2].min()) >= 0
    assert error["corrected"].iloc[-1] < 0.5 * error["corrected"].iloc[0]
    assert error["printed"].iloc[-1] > 1.5 * error["printed"].iloc[0]
