"""Ge 2020: the classifier's schedules, augmentation, losses, vote, and arms that must and must not learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.published import published
from radlib.data.splits import Split
from radlib.papers.ge2020.cases import build_cases, real_patients
from radlib.papers.ge2020.classifier import (
    ClassifierRecipe,
    DenseRecipe,
    Samples,
    attention_of,
    augment,
    majority,
    predict,
    predict_crops,
    stage_schedule,
    train_densenet,
    train_two_stages,
    validation_threshold,
)
from radlib.papers.ge2020.data import Patients
from radlib.papers.ge2020.losses import weighted_cross_entropy
from radlib.papers.ge2020.networks import MultiStreamClassifier
from radlib.papers.ge2020.study_classifier import (
    rules,
    samples_of,
)
from tests.papers.ge2020.made import bright_mutants, unchanged

SMALL = ClassifierRecipe(
    widths=(4, 4, 8), pool_after=(1, 2), hidden=(8,), pretrain_steps=25, refine_steps=10, pretrain_rate=0.05,
    refine_rate=0.005, batch_size=24, precision="32-true",
)  # fmt: skip


def real_samples(patients: Patients) -> Samples:
    return Samples(images=patients.images, labels=torch.tensor(patients.mutant.to_numpy(dtype=int)))


def divided(patients: Patients) -> Split:
    ids, part = patients.ids, len(patients.ids) // 5
    return Split(name="run 1", train=ids[2 * part :], validation=ids[:part], test=ids[part : 2 * part])


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
    assert optimizer.rate(9, steps=30) == pytest.approx(1e-5)  # shares of the steps, however few
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


def test_predictions_vote_over_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    from radlib.papers.ge2020 import classifier

    logits = torch.zeros(2, 6, 2)
    logits[0, :4, 1] = 1  # four of six say mutant
    logits[1, :3, 1] = 1  # three of six
    monkeypatch.setattr(classifier, "slice_logits", lambda network, samples: logits)
    samples = Samples(images=torch.zeros(2, 6, 4, 8, 8), labels=torch.tensor([1, 1]))
    found = predict(torch.nn.Identity(), samples, ["a", "b"])
    assert found["votes"].tolist() == [4, 3]
    assert found["predicted"].tolist() == [True, False]
    high = float(torch.tensor([0.0, 1.0]).softmax(0)[1])
    assert found["score"].tolist() == pytest.approx([(4 * high + 2 * 0.5) / 6, (3 * high + 3 * 0.5) / 6])


# Two stages


def test_the_second_stage_goes_on_from_the_first() -> None:
    patients = bright_mutants(20)
    samples = real_samples(patients)
    network, history = train_two_stages(samples, samples, samples, recipe=SMALL, seed=0)
    assert list(dict.fromkeys(history["stage"])) == ["augmented", "real"]
    validation = history[history["part"] == "validation"]
    first, second = (validation[validation["stage"] == stage]["loss"] for stage in ("augmented", "real"))
    assert second.iloc[0] < 1.5 * first.min() + 0.1
    assert not network.training
    assert predict(network, samples, patients.ids)["predicted"].tolist() == patients.mutant.tolist()
    weights = attention_of(network, samples)
    assert weights.shape == (120, 4)
    torch.testing.assert_close(weights.sum(1), torch.ones(120))
    assert isinstance(network, MultiStreamClassifier)


def test_arms_start_from_the_same_weights() -> None:
    samples = real_samples(bright_mutants(8))
    frozen = SMALL.__class__(**{**SMALL.__dict__, "pretrain_steps": 1, "refine_steps": 1, "pretrain_rate": 1e-12,
                                "refine_rate": 1e-12})  # fmt: skip
    one, two = (train_two_stages(samples, samples, samples, recipe=frozen, seed=3, name=n)[0] for n in ("a", "b"))
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(first, second)


def test_a_stage_is_left_out_or_as_long_as_another_arms() -> None:
    samples = real_samples(bright_mutants(8))
    epochs = ClassifierRecipe(
        widths=(4, 4), pool_after=(1, 2), hidden=(4,), pretrain_epochs=2, refine_epochs=1, batch_size=24,
        precision="32-true",
    )  # fmt: skip
    _, history = train_two_stages(None, samples, samples, recipe=epochs, seed=0)
    assert set(history["stage"]) == {"real"}
    _, history = train_two_stages(samples, samples, samples, recipe=epochs, seed=0, like=24)
    last = history.groupby("stage")["step"].max()
    assert last["augmented"] == 2 * (24 * 6 // 24)
    assert last["real"] == 8 * 6 // 24
    # The first steps of one training alone, which can be computed again.
    assert set(history.loc[history["part"] == "first", "stage"]) == {"augmented"}


def test_the_threshold_is_that_of_the_largest_balanced_accuracy() -> None:
    truth, score = [False, False, True, True], [0.1, 0.2, 0.3, 0.8]
    assert validation_threshold(truth, score) == pytest.approx(0.25)
    assert validation_threshold([False, True, False, True], score) == pytest.approx(0.15)  # the first of equals
    assert validation_threshold([True, True, True, True], score) == 0.5


# Who is shown what


def test_held_out_patients_do_not_touch_the_training() -> None:
    """Images and labels of test patients are spoilt, and the network comes out the same."""
    networks = []
    for spoil in (False, True):
        patients = bright_mutants(20)
        split, labels = divided(patients), patients.mutant.copy()
        if spoil:
            patients.images[patients.rows(split.test)] = float("nan")
            labels.loc[list(split.test)] = ~labels.loc[list(split.test)]
        case, made = build_cases(split, patients, {})["prop_a"], unchanged(patients)
        recipe = ClassifierRecipe(**{**SMALL.__dict__, "pretrain_steps": 3, "refine_steps": 2})
        parts = [
            samples_of(records, patients, made, labels=labels, background=1 / 3)
            for records in (case.augmented, case.real, real_patients(split.validation, patients.available))
        ]
        networks.append(train_two_stages(*parts, recipe=recipe, seed=0)[0])
    for first_tensor, second_tensor in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(first_tensor, second_tensor)


def test_a_fake_patient_has_the_label_of_its_source() -> None:
    patients = bright_mutants(20)
    split = divided(patients)
    records = build_cases(split, patients, {})["prop_a"].augmented
    found = samples_of(records, patients, unchanged(patients), labels=patients.mutant, background=None)
    assert len(found) == 3 * len(split.train)
    assert found.labels.tolist() == [int(patients.mutant[r.subject]) for r in records]
    row = patients.rows([records[0].subject])[0]
    torch.testing.assert_close(found.images[0], patients.images[row])
    darker = samples_of(records, patients, unchanged(patients), labels=patients.mutant, background=0.25)
    outside = ~patients.masks[row, 0]
    torch.testing.assert_close(darker.images[0, 0, :, outside], 0.25 * patients.images[row, 0][:, outside])


def test_rules_are_fitted_on_training_patients() -> None:
    n = 40
    ids = [f"p{k:03d}" for k in range(n)]
    mutant = pd.Series([k % 2 == 1 for k in range(n)], index=ids)
    known = {"collection": np.where(mutant, "LGG", "GBM"), "age": np.where(mutant, 30.0, 60.0)}
    table = pd.DataFrame({**known, "grade": np.where(mutant, 2, 4)}, index=ids)
    split = Split(name="run 1", train=tuple(ids[:24]), validation=(), test=tuple(ids[24:]))
    found = rules(table, mutant, split, run=1, traits=table[["age"]])
    right = (found["predicted"] == found["truth"]).groupby(found["arm"]).mean()
    assert right["collection_rule"] == right["age_model"] == right["grade_model"] == right["traits"] == 1
    assert right["majority"] == 0.5
    backwards = mutant.copy()
    backwards.loc[ids[24:]] = ~mutant.loc[ids[24:]]
    assert (rules(table, backwards, split, run=1)["predicted"].to_numpy()
            == found[found["arm"] != "traits"]["predicted"].to_numpy()).all()  # fmt: skip


# Liang's network


@pytest.mark.slow
def test_densenet_of_121_layers_learns_bright_crops() -> None:
    from radlib.papers.ge2020.classifier import densenet

    small = DenseRecipe(features=4, growth=2, steps=12, batch_size=6, learning_rate=5e-3, class_weight=1,
                        precision="32-true")  # fmt: skip
    layers = [m for m in densenet(small).modules() if isinstance(m, torch.nn.Conv3d)]
    assert len(layers) + 1 == 121  # with the classifying layer
    crops = 0.1 * torch.rand(12, 4, 32, 32, 32)
    labels = torch.arange(12) % 2
    crops[labels == 1] += 0.8
    network = train_densenet(crops, labels, (crops, labels), recipe=small, seed=0)
    found = predict_crops(network, crops, labels, [str(k) for k in range(12)])
    assert (found["predicted"] == found["truth"]).mean() > 0.9
    with pytest.raises(RadlibError, match="give 32 or more"):
        train_densenet(crops[..., :16], labels, (crops, labels), recipe=small, seed=0)
