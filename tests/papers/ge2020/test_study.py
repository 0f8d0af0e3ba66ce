"""Ge 2020: the jobs, from a pairwise GAN to the classifiers, on patients made for the test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.papers.ge2020 import study_classifier
from radlib.papers.ge2020.cases import Translated, directions, pairs
from radlib.papers.ge2020.classifier import ClassifierRecipe
from radlib.papers.ge2020.data import Slices
from radlib.papers.ge2020.study_classifier import (
    Arm,
    all_arms,
    arm_jobs,
    labels_of,
    plain_rule,
    rules,
    transferred,
)
from radlib.papers.ge2020.study_gan import (
    GanRecipe,
    gan_jobs,
    load_generators,
    plain_translation,
    slice_autoencoder,
    synthesis,
    translate,
)
from radlib.papers.ge2020.tables_idh import beside_images
from radlib.stats.roc import auc
from radlib.study.cohorts import CohortOptions
from radlib.study.jobs import Job
from tests.papers.ge2020.made import RUN, SLICES, bright_mutants, opened, some_patients, unchanged, without_t2

GAN = GanRecipe(generator=(4, 4), discriminator=(4, 4), steps=2, batch_size=4, precision="32-true")
TINY = ClassifierRecipe(
    widths=(4, 4, 8), pool_after=(1, 2), hidden=(8,), pretrain_steps=25, refine_steps=20, pretrain_rate=0.05,
    refine_rate=0.005, batch_size=24, precision="32-true",
)  # fmt: skip


# The pairwise GAN


def test_case_b_has_gans_of_its_own_only_where_asked() -> None:
    shared, apart = (gan_jobs(RUN, GAN, gan_per_case=own) for own in (False, True))
    assert [job.inputs["pair"] for job in shared["a"]] == list(pairs())
    assert shared["a"] == shared["b"]
    assert all(job.inputs["taken"] for job in shared["a"])  # no fake stands in for a scan that its network has seen
    assert not any(job.inputs["taken"] for job in apart["a"])
    assert all(job.inputs["taken"] for job in apart["b"])
    assert not {job.fingerprint for job in apart["a"]} & {job.fingerprint for job in apart["b"]}


def test_every_number_of_a_recipe_is_in_the_fingerprint() -> None:
    recipes = [GAN, replace(GAN, l1_weight=1.0), replace(GAN, masked=False), replace(GAN, objective="printed")]
    assert len({gan_jobs(RUN, recipe)["a"][0].fingerprint for recipe in recipes}) == len(recipes)
    assert len({gan_jobs(replace(RUN, run=run), GAN)["a"][0].fingerprint for run in (1, 2, 3)}) == 3


def test_arms_of_a_pair_begin_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the mask: the same weights and batches, so that their difference is the mask's."""
    opened(monkeypatch, some_patients(10))
    still = replace(GAN, steps=1, learning_rate=1e-12)
    first, second = (
        load_generators(gan_jobs(RUN, replace(still, masked=masked))["a"][:1]) for masked in (True, False)
    )  # fmt: skip
    for direction, network in first.items():
        for one, two in zip(network.parameters(), second[direction].parameters(), strict=True):
            torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_what_a_run_of_gans_makes_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    patients = some_patients(10)
    opened(monkeypatch, patients)
    gans = gan_jobs(RUN, GAN)["a"]
    coder = slice_autoencoder(partition=RUN, widths=(4, 4), steps=2, seed=0)
    found = synthesis(partition=RUN, gans=gans, coder=coder).result()
    split = RUN.split()
    assert found.scores.groupby("patients")["subject"].nunique().to_dict() == {
        "training": len(split.train), "held_out": len(split.test)
    }  # fmt: skip
    assert found.scores["group"].nunique() == 12 + 1  # and the median over them
    assert set(found.scores["metric"]) == {"psnr", "psnr_tumour"}
    latents = found.table("latents")
    assert len(latents) == 2 * (len(split.train) + len(split.test))
    assert set(coder.result().notes["halves"]) == {"whole", "tumour"}
    first = gans[0].result()
    assert first.notes["steps_per_second"] > 0
    assert set(first.history["pair"]) == {"t1_to_t1ce"}
    # The scores are those of the generators that were kept.
    made = translate(load_generators(gans), patients, split.test)
    assert set(made.images) == set(directions())
    lines = plain_translation(partition=RUN, rule="line").result().scores
    assert set(lines["subject"]) == set(split.test)


# The classifiers


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty patients whose FLAIR is bright if mutant, and generators that translate without any error."""
    patients = bright_mutants(40)
    opened(monkeypatch, patients)
    monkeypatch.setattr(study_classifier, "fakes", lambda gans, partition: unchanged(patients))


@pytest.mark.slow
def test_every_arm_runs_and_finds_what_is_planted(perfect: None) -> None:
    arms = {
        name: arm for name, arm in all_arms(TINY).items()
        if name in ("prop_a", "bas_1", "bas_1_updates", "bas_1_real", "prop_b")
    }  # fmt: skip
    jobs = arm_jobs(RUN, arms, gan_jobs(RUN, GAN), TINY, seed=0)
    assert jobs["bas_1"].fingerprint == jobs["bas_1_updates"].fingerprint  # steps are counted: one training, not two
    assert [len(jobs[name].parents()) for name in ("prop_a", "prop_b", "bas_1")] == [6, 6, 0]
    split, truth = RUN.split(), SLICES.open().mutant
    for name in ("prop_a", "bas_1", "prop_b"):
        study_classifier.classifier.function(work := _Work(), **jobs[name].inputs)
        assert work.frame["subject"].tolist() == list(split.test)
        assert work.frame["truth"].tolist() == truth.loc[list(split.test)].tolist()
        assert (work.frame["predicted"] == work.frame["truth"]).mean() > 0.8
        assert (work.frame["calibrated"] == work.frame["truth"]).mean() > 0.8
        np.testing.assert_allclose(work.tables["attention"][["t1", "t1ce", "t2", "flair"]].sum(axis=1), 1, atol=1e-5)


class _Work:
    """Takes what a job leaves, so that the test needs neither its parents nor a store."""

    def __init__(self) -> None:
        self.tables: dict[str, pd.DataFrame] = {}

    def checkpoints(self) -> None:
        return None

    def scores(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def table(self, name: str, frame: pd.DataFrame) -> None:
        self.tables[name] = frame

    def history(self, frame: pd.DataFrame) -> None: ...

    def weights(self, name: str, network: torch.nn.Module) -> None: ...

    def note(self, **values: object) -> None: ...


def test_a_baseline_matched_in_updates_is_another_training_where_epochs_are_counted() -> None:
    arms = {name: arm for name, arm in all_arms(TINY).items() if name.startswith("bas_1")}
    by_epochs = replace(TINY, pretrain_steps=0)
    more = {name: arm for name, arm in all_arms(by_epochs).items() if name.startswith("bas_1")}
    for recipe, found, count in ((TINY, arms, 2), (by_epochs, more, 3)):
        jobs = arm_jobs(RUN, found, gan_jobs(RUN, GAN), recipe, seed=0)
        assert len({job.fingerprint for job in jobs.values()}) == count
    assert more["bas_1_updates"].like == "prop_a"


def test_labels_of_an_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    opened(monkeypatch, patients := bright_mutants(60))
    truth = patients.mutant
    arms = all_arms(TINY)
    assert labels_of(arms["prop_a"], RUN).equals(truth)
    shuffled = labels_of(arms["prop_a_permuted"], RUN)
    assert not shuffled.equals(truth)
    assert shuffled.sum() == truth.sum()
    assert shuffled.equals(labels_of(arms["prop_a_permuted"], RUN))


def test_a_network_predicts_the_patients_of_another_cohort(monkeypatch: pytest.MonkeyPatch) -> None:
    others = some_patients(7, seed=1)
    opened(monkeypatch, bright_mutants(20), others)
    short = replace(TINY, pretrain_steps=2, refine_steps=1)
    job = arm_jobs(RUN, {"bas_1": Arm(case="bas_1")}, gan_jobs(RUN, GAN), short, seed=0)["bas_1"]
    elsewhere = replace(SLICES, source=replace(SLICES.source, own=CohortOptions(preset="null"), seed=1))
    found = transferred(slices=elsewhere, trained=job).result().scores
    assert found["subject"].tolist() == list(others.ids)
    threshold = job.result().notes["threshold"]
    assert found["calibrated"].tolist() == (found["score"] > threshold).tolist()
    assert isinstance(Job.from_spec(job.spec()), Job)
    assert Job.from_spec(job.spec()).fingerprint == job.fingerprint


def test_what_fake_patients_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLAIR is bright in mutants. A fake FLAIR is made from another modality, and another one from FLAIR."""
    opened(monkeypatch, patients := bright_mutants(40))
    copies = Translated(ids=patients.ids, images={(a, b): patients.images[:, :, a] for a, b in directions()})
    found = plain_rule(RUN, copies, seed=0)
    assert len(found["patients"].unique()) == 5
    area = {name: auc(part["truth"], part["score"]) for name, part in found.groupby("patients")}
    assert area["real"] > 0.95
    assert area["t1 with t1ce and t2 with flair"] > 0.95  # now it is T2 that is bright
    train = len(RUN.split().train)
    assert found[found["patients"] == "fake"]["way"].value_counts().to_dict() == dict.fromkeys(range(3), train)
    patients.table["idh"] = "wildtype"
    assert plain_rule(RUN, copies, seed=0).empty


def test_both_chapters_run_on_three_modalities(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the GANs to the classifier, as real patients have them: no T2, and one collection."""
    patients = without_t2(bright_mutants(20))
    patients.table["collection"] = "LGG"
    patients.table["grade"] = np.where(np.arange(20) % 4 < 2, 2.0, 3.0)
    patients.table["codel_1p19q"] = np.where(np.arange(20) % 4 == 1, "codel", "non-codel")
    opened(monkeypatch, patients)
    monkeypatch.setattr(Slices, "modalities", patients.modalities)
    gans = gan_jobs(RUN, GAN)
    assert [job.inputs["pair"] for job in gans["a"]] == [(0, 1), (0, 2), (1, 2)]
    coder = slice_autoencoder(partition=RUN, widths=(4, 4), steps=1, seed=0)
    found = synthesis(partition=RUN, gans=gans["a"], coder=coder).result().scores
    assert set(found["group"]) == {
        "t1_to_t1ce", "t1ce_to_t1", "t1_to_flair", "flair_to_t1", "t1ce_to_flair", "flair_to_t1ce", "median",
    }  # fmt: skip
    short = replace(TINY, pretrain_steps=1, refine_steps=1)
    job = arm_jobs(RUN, {"prop_b": Arm(case="prop_b")}, gans, short, seed=0)["prop_b"]
    assert list(job.result().table("attention")) == ["t1", "t1ce", "flair", "subject"]
    assert "attention_flair" in job.result().history
    shown = plain_rule(RUN, study_classifier.fakes(gans["a"], RUN), seed=0)
    assert "t1 from t1ce, t1ce from flair, flair from t1" in set(shown["patients"])
    plain = rules(patients.table, patients.mutant, RUN.split(), run=1)
    assert set(plain["arm"]) == {"majority", "age_model", "grade_model", "age_grade", "codel"}
    assert beside_images(plain["arm"]) == ["age_model", "grade_model", "age_grade", "codel"]
    assert beside_images(["age_model", "collection_rule", "grade_model"]) == ["collection_rule", "age_model"]


def test_there_are_no_slices_of_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    opened(monkeypatch, some_patients(10))
    with pytest.raises(RadlibError, match="no slices of 'nobody'"):
        translate({}, SLICES.open(), ["nobody"])
