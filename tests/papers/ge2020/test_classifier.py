"""Ge 2020: the classifier's schedules, augmentation, losses, vote, and arms that must and must not learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.published import published
from radlib.data.splits import Split
from radlib.papers.ge2020 import arms
from radlib.papers.ge2020.cases import DIRECTIONS, Translated, build_cases, real_patients
from radlib.papers.ge2020.classifier import (
    ClassifierRecipe,
    DenseRecipe,
    Samples,
    attention_of,
    augment,
    judge,
    judge_crops,
    majority,
    stage_schedule,
    train_densenet,
    train_two_stages,
    weighted_cross_entropy,
)
from radlib.papers.ge2020.data import SliceSet, clinical_values
from radlib.papers.ge2020.fakes import what_is_shown
from radlib.papers.ge2020.networks import MultiStreamClassifier
from radlib.papers.ge2020.study import COUNTED, Study, permuted_labels, unknown_counted
from radlib.stats.roc import auc

SMALL = ClassifierRecipe(
    widths=(4, 4, 8), pool_after=(1, 2), hidden=(8,), pretrain_steps=25, refine_steps=10, pretrain_rate=0.05,
    refine_rate=0.005, batch_size=24, precision="32-true",
)  # fmt: skip


def bright_mutants(n: int, *, size: int = 16, crop: int = 8, seed: int = 0) -> tuple[SliceSet, pd.Series]:
    """Patients whose tumour is bright in FLAIR if mutant (every other one)."""
    generator = torch.Generator().manual_seed(seed)
    mutant = torch.arange(n) % 2 == 1
    images = 0.3 * torch.rand((n, 6, 4, size, size), generator=generator)
    masks = torch.zeros((n, 6, size, size), dtype=torch.bool)
    masks[..., 4:12, 4:12] = True
    images[mutant, :, 3, 4:12, 4:12] += 0.7
    crops = torch.rand((n, 4, crop, crop, crop), generator=generator)
    ids = tuple(f"p{k:03d}" for k in range(n))
    slices = SliceSet(
        ids=ids, images=images, masks=masks, crops=crops, crop_masks=torch.ones((n, crop, crop, crop)).bool(),
        present=torch.ones((n, 4), dtype=torch.bool),
    )  # fmt: skip
    return slices, pd.Series(mutant.numpy(), index=ids)


def people(mutant: pd.Series) -> pd.DataFrame:
    n = len(mutant)
    return pd.DataFrame(
        {"collection": np.where(np.arange(n) % 3 == 0, "GBM", "LGG"), "age": 40.0 + np.arange(n), "grade": 2.0},
        index=mutant.index,
    )


def a_study(n: int = 30) -> tuple[Study, Split]:
    slices, mutant = bright_mutants(n)
    study = Study(slices=slices, participants=people(mutant), mutant=mutant, counted=mutant & (np.arange(n) != 1))
    ids = slices.ids
    part = n // 5
    split = Split(name="run 1", train=ids[2 * part :], validation=ids[:part], test=ids[part : 2 * part])
    return study, split


def unchanged(slices: SliceSet) -> Translated:
    """A perfect translator: the real image of the other modality."""
    return Translated(ids=slices.ids, images={(a, b): slices.images[:, :, b] for a, b in DIRECTIONS})


# Schedules and losses


def test_published_schedules() -> None:
    recipe = ClassifierRecipe()
    slices = int(published("ge2020.text.fake_slices_a").value)
    optimizer, steps, epoch = stage_schedule("augmented", slices, recipe)
    assert epoch == slices // recipe.batch_size
    assert steps == published("ge2020.text.pretraining_epochs").value * epoch
    rates = [optimizer.rate(number * epoch, steps=steps) for number in (0, 29, 30, 59, 60, 99)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    assert isinstance(optimizer.build([torch.nn.Parameter(torch.zeros(1))]), torch.optim.Adagrad)
    optimizer, steps, epoch = stage_schedule("real", 594, recipe)
    assert steps == published("ge2020.text.refining_epochs").value * epoch
    assert optimizer.rate(steps - 1, steps=steps) == published("ge2020.text.refining_learning_rate").value
    assert recipe.class_weight == published("ge2020.text.class_weight_mutation").value
    assert 100 * recipe.shift == published("ge2020.text.augmentation_shift").value


def test_mutant_slices_weigh_twice() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, np.log(3)]])
    labels = torch.tensor([0, 1])
    expected = (np.log(2) + 2 * np.log(4 / 3)) / 2
    assert weighted_cross_entropy(logits, labels, class_weight=2).item() == pytest.approx(expected)


def test_augmentation_flips_and_shifts_by_at_most_a_tenth() -> None:
    images = torch.zeros(64, 2, 20, 20)
    images[:, 0, 7, 10] = 1
    images[:, 1, 7, 10] = 2
    found = augment(images, np.random.default_rng(0))
    places = [tuple(map(int, (image[0] == 1).nonzero()[0])) for image in found]
    assert {row for row, _ in places} == {5, 6, 7, 8, 9}
    assert {column for _, column in places} == {7, 8, 9, 10, 11, 12}  # 10 and, flipped, 9; each 2 to both sides
    assert all(found[k, 1, r, c] == 2 for k, (r, c) in enumerate(places))  # modalities move together
    still = augment(images, np.random.default_rng(0), shift=0)
    assert {tuple(map(int, (image[0] == 1).nonzero()[0])) for image in still} == {(7, 10), (7, 9)}
    corner = torch.zeros(32, 1, 20, 20)
    corner[:, 0, 0, 0] = 1
    assert set(augment(corner, np.random.default_rng(1)).sum(dim=(1, 2, 3)).tolist()) == {0.0, 1.0}  # nothing wraps


# The vote


def test_a_tie_is_wild_type() -> None:
    votes = [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 1]]
    assert majority(votes).tolist() == [True, False, False, True]
    assert majority([[1], [0]]).tolist() == [True, False]


def test_judgement_votes_over_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    from radlib.papers.ge2020 import classifier

    logits = torch.zeros(2, 6, 2)
    logits[0, :4, 1] = 1  # four of six say mutant
    logits[1, :3, 1] = 1  # three of six
    monkeypatch.setattr(classifier, "slice_logits", lambda network, samples: logits)
    samples = Samples(images=torch.zeros(2, 6, 4, 8, 8), labels=torch.tensor([1, 1]))
    found = judge(torch.nn.Identity(), samples, ["a", "b"])
    assert found["votes"].tolist() == [4, 3]
    assert found["predicted"].tolist() == [True, False]
    high = float(torch.tensor([0.0, 1.0]).softmax(0)[1])
    assert found["probability"].tolist() == pytest.approx([(4 * high + 2 * 0.5) / 6, (3 * high + 3 * 0.5) / 6])


# Two stages


def test_the_second_stage_goes_on_from_the_first() -> None:
    slices, mutant = bright_mutants(20)
    samples = Samples(images=slices.images, labels=torch.tensor(mutant.to_numpy(dtype=int)))
    network, history = train_two_stages(samples, samples, samples, recipe=SMALL, seed=0)
    assert list(dict.fromkeys(history["stage"])) == ["augmented", "real"]
    validation = history[history["part"] == "validation"]
    first, second = (validation[validation["stage"] == stage]["loss"] for stage in ("augmented", "real"))
    assert second.iloc[0] < 1.5 * first.min() + 0.1
    assert not network.training
    assert judge(network, samples, slices.ids)["predicted"].tolist() == mutant.tolist()
    weights = attention_of(network, samples)
    assert weights.shape == (120, 4)
    torch.testing.assert_close(weights.sum(1), torch.ones(120))
    assert isinstance(network, MultiStreamClassifier)


def test_arms_start_from_the_same_weights() -> None:
    slices, mutant = bright_mutants(8)
    samples = Samples(images=slices.images, labels=torch.tensor(mutant.to_numpy(dtype=int)))
    frozen = SMALL.__class__(**{**SMALL.__dict__, "pretrain_steps": 1, "refine_steps": 1, "pretrain_rate": 1e-12,
                                "refine_rate": 1e-12})  # fmt: skip
    one, two = (train_two_stages(samples, samples, samples, recipe=frozen, seed=3, name=n)[0] for n in ("a", "b"))
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(first, second)


# Arms


@pytest.mark.slow
def test_every_arm_runs_and_finds_what_is_planted() -> None:
    study, split = a_study()
    cases = build_cases(split, study.slices, {split.train[0]: 1})
    made = {case: unchanged(study.slices) for case in ("A", "B")}
    wanted = (arms.CASES[0], arms.CASES[2], arms.GIVEN[0], arms.COUNTED_ARM)
    for arm in wanted:
        found = arms.run_arm(arm, study, split, cases, made, recipe=SMALL, run=1, seed=0)
        assert found.predictions["subject"].tolist() == list(split.test)
        assert set(found.predictions["arm"]) == {arm.name}
        assert (found.predictions["predicted"] == study.mutant.loc[list(split.test)].to_numpy()).mean() > 0.8
        assert found.attention.shape == (6 * len(split.test), 4)


def test_held_out_patients_do_not_touch_the_training() -> None:
    """Images and labels of test patients are spoilt, and the network comes out the same."""
    networks = []
    for spoil in (False, True):
        study, split = a_study(20)
        if spoil:
            rows = study.slices.rows(split.test)
            study.slices.images[rows] = float("nan")
            study.mutant.loc[list(split.test)] = ~study.mutant.loc[list(split.test)]
        cases = build_cases(split, study.slices, {})
        made = {"A": unchanged(study.slices)}
        arm, recipe = arms.CASES[0], ClassifierRecipe(**{**SMALL.__dict__, "pretrain_steps": 3, "refine_steps": 2})
        validation = arms.samples_of(real_patients(split.validation, study.present), study.slices, None,
                                     labels=study.mutant, masked=True)  # fmt: skip
        first = arms.samples_of(cases[arm.case].augmented, study.slices, made["A"], labels=study.mutant, masked=True)
        second = arms.samples_of(cases[arm.case].real, study.slices, None, labels=study.mutant, masked=True)
        networks.append(train_two_stages(first, second, validation, recipe=recipe, seed=0)[0])
    for first_tensor, second_tensor in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(first_tensor, second_tensor)


def test_a_fake_patient_has_the_label_of_its_source() -> None:
    study, split = a_study(20)
    record = build_cases(split, study.slices, {})["Prop-A"].augmented
    age = clinical_values(study.participants["age"], train=split.train)
    found = arms.samples_of(
        record, study.slices, unchanged(study.slices), labels=study.mutant, masked=False, clinical=age
    )
    assert len(found) == 3 * len(split.train)
    assert found.labels.tolist() == [int(study.mutant[r.subject]) for r in record]
    assert found.clinical is not None
    torch.testing.assert_close(found.clinical[:3], found.clinical[:1].expand(3, 1))
    row = study.slices.rows([record[0].subject])[0]
    torch.testing.assert_close(found.images[0], study.slices.images[row])


def test_what_fake_patients_show() -> None:
    """FLAIR is bright in mutants. A fake FLAIR is made from another modality, and another one from FLAIR."""
    study, split = a_study(40)
    cases = build_cases(split, study.slices, {})
    copies = Translated(ids=study.slices.ids, images={(a, b): study.slices.images[:, :, a] for a, b in DIRECTIONS})
    found = what_is_shown(study, cases, copies, run=2, seed=0)
    assert len(found["arm"].unique()) == 5
    area = {arm: auc(part["truth"], part["probability"]) for arm, part in found.groupby("arm")}
    assert area["real patients (S1)"] > 0.95
    assert area["fake patients (S2), t1 with t1ce and t2 with flair"] > 0.95  # now it is T2 that is bright
    fake = found[found["arm"] == "fake patients (S2), all"]
    assert fake["run"].value_counts().to_dict() == {20: len(split.train), 21: len(split.train), 22: len(split.train)}
    alone = Study(slices=study.slices, participants=study.participants, mutant=study.mutant & False)
    assert what_is_shown(alone, cases, copies, run=1, seed=0).empty


def test_clinical_values_know_training_patients_only() -> None:
    column = pd.Series([40.0, 60.0, np.nan, 1000.0], index=list("abcd"))
    found = clinical_values(column, train=["a", "b"])
    assert found.tolist() == pytest.approx([-1, 1, 0, 95])


def test_permuted_labels_keep_the_counts_within_groups() -> None:
    mutant = pd.Series([True, False] * 20, index=[f"p{k}" for k in range(40)])
    within = pd.Series(["x"] * 10 + ["y"] * 30, index=mutant.index)
    mutant.iloc[:10] = True
    found = permuted_labels(mutant, within, seed=0)
    assert found.iloc[:10].all()
    assert found.sum() == mutant.sum()
    assert (found != mutant).any()
    assert mutant.iloc[:10].all()  # the argument is as it was


def test_unknown_status_counts_as_wild_type_at_the_published_rate() -> None:
    """19 of 112 counted as wild-type are unknown, on average over seeds."""
    share = 19 / 112
    mutant = pd.Series([k < 55 for k in range(167)], index=[f"p{k}" for k in range(167)])
    shares = []
    for seed in range(200):
        counted, unknown = unknown_counted(mutant, share=share, seed=seed)
        assert not (counted & ~mutant).any()
        assert (counted[mutant & ~unknown]).all()
        assert not counted[unknown].any()
        shares.append(unknown.sum() / (~counted).sum())
    assert np.mean(shares) == pytest.approx(share, abs=0.003)


def test_labels_that_are_not_there_are_refused() -> None:
    study, _ = a_study(10)
    alone = Study(slices=study.slices, participants=study.participants, mutant=study.mutant)
    assert not arms.possible(arms.COUNTED_ARM, alone)
    assert not arms.possible(arms.GIVEN[1], alone)  # everyone has the same grade
    assert arms.possible(arms.CONTROLS[1], alone)
    with pytest.raises(RadlibError, match="one version of the labels"):
        alone.labels(COUNTED, seed=0)


def test_rules_are_fitted_on_training_patients() -> None:
    n = 40
    ids = [f"p{k:03d}" for k in range(n)]
    mutant = pd.Series([k % 2 == 1 for k in range(n)], index=ids)
    table = pd.DataFrame({"collection": np.where(mutant, "LGG", "GBM"), "age": np.where(mutant, 30.0, 60.0)}, index=ids)
    split = Split(name="run 1", train=tuple(ids[:24]), validation=(), test=tuple(ids[24:]))
    found = arms.run_rules(table, mutant, split, run=1, traits=table[["age"]])
    right = (found["predicted"] == found["truth"]).groupby(found["arm"]).mean()
    assert right["collection rule"] == right["age model"] == right[arms.TRAITS] == 1
    assert right[arms.MAJORITY] == 0.5
    backwards = mutant.copy()
    backwards.loc[ids[24:]] = ~mutant.loc[ids[24:]]
    assert (arms.run_rules(table, backwards, split, run=1)["predicted"].to_numpy()
            == found[found["arm"] != arms.TRAITS]["predicted"].to_numpy()).all()  # fmt: skip


# Liang's network


@pytest.mark.slow
def test_densenet_of_121_layers_learns_bright_crops() -> None:
    from radlib.papers.ge2020.classifier import densenet

    small = DenseRecipe(features=4, growth=2, steps=12, batch_size=6, learning_rate=5e-3, precision="32-true")
    layers = [m for m in densenet(small).modules() if isinstance(m, torch.nn.Conv3d)]
    assert len(layers) + 1 == 121  # with the classifying layer
    crops = 0.1 * torch.rand(12, 4, 32, 32, 32)
    labels = torch.arange(12) % 2
    crops[labels == 1] += 0.8
    network = train_densenet(crops, labels, (crops, labels), recipe=small, class_weight=1, seed=0)
    found = judge_crops(network, crops, labels, [str(k) for k in range(12)])
    assert (found["predicted"] == found["truth"]).mean() > 0.9
    with pytest.raises(RadlibError, match="give 32 or more"):
        train_densenet(crops[..., :16], labels, (crops, labels), recipe=small, class_weight=1, seed=0)
