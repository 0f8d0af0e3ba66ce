"""Jobs of Zhang 2021: what depends on what, both chapters' jobs, and a whole study on toy subjects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from radlib.book.plan import plan
from radlib.book.registry import chapter
from radlib.core.errors import MissingDataError
from radlib.papers.zhang2021.data import PAIRS, PAPER, Data, Recipe, Subjects
from radlib.papers.zhang2021.networks import build, build_transition
from radlib.papers.zhang2021.study import find_real, on_training, segmentation, segmenter_of, transition
from radlib.study.cohorts import Images, Source
from radlib.study.studies import Study

# MONAI's own: deprecations inside its imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def studies(name: str, profile: str, **overrides: Any) -> dict[str, Study]:
    return plan(chapter(name), profile=profile, overrides=overrides)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["smoke", "default", "paper"])
def test_the_second_chapter_goes_on_with_the_jobs_of_the_first(profile: str) -> None:
    first = studies("feature_transition", profile)["starts"].arms
    second = studies("feature_fusion", profile)["networks"].arms
    for arm in ("ours", "rule"):
        assert [job.key for job in first[arm]] == [job.key for job in second[arm]]
    for arm in ("branches", "without_mg", "with_ca"):
        assert [job.parents()[0].key for job in second[arm]] == [job.parents()[0].key for job in first["ours"]]
        assert [job.inputs["recipe"] for job in second[arm]] == [job.inputs["recipe"] for job in first["ours"]]
    assert all(not job.parents() for job in second["segresnet"])


@pytest.mark.slow
def test_paper_profile_is_the_published_size() -> None:
    ours = studies("feature_transition", "paper")["starts"].arms["ours"][0]
    recipe, (start,) = ours.inputs["recipe"], ours.parents()
    assert recipe == replace(PAPER, steps=recipe.steps)
    assert start.inputs["recipe"] == replace(PAPER, steps=start.inputs["recipe"].steps)
    with torch.device("meta"):
        for key in ("ours", "without_mg", "with_ca"):
            network = build(key, recipe=recipe)
            assert network(torch.empty(1, 4, 128, 128, 128)).shape == (1, 4, 128, 128, 128)
        nets = build_transition(PAIRS, recipe)
        assert nets["to_b"](torch.empty(1, 2, 128, 128, 128)).shape == (1, 2, 128, 128, 128)
        assert nets["d_a"](torch.empty(1, 2, 128, 128, 128)).shape == (1, 1, 7, 7, 7)


@pytest.mark.slow
def test_a_parameter_changes_only_what_depends_on_it() -> None:
    def keys(**overrides: Any) -> dict[str, str]:
        made = studies("feature_transition", "smoke", **overrides)
        arms = {**made["pretraining"].arms, **made["starts"].arms, **made["divisions"].arms}
        return {arm: jobs[0].key for arm, jobs in arms.items()}

    base, plain = keys(), {"ours_random", "ours_2d", "ours_self", "ours", "ours_other", "ours_six"}
    for parameter, value, depends in (
        ("steps", 3, plain),
        ("windows", [16], plain),
        ("cycle_weight", 1.0, {"transition", "longer", "ours", "ours_other", "ours_six"}),
        ("six_steps", 2, {"ours_six"}),
        ("edge_2d", 32, {"2d", "ours_2d"}),
        ("transition_steps", 3, {"transition", "longer", "self", "ours", "ours_self", "ours_other"}),
        ("longer", 3, {"longer"}),
        ("n_tuning", 2, set(base) - {"2d"}),
        ("memory_mapped", True, set()),
        ("n_boot", 7, set()),
    ):
        other = keys(**{parameter: value})
        assert {name for name in base if base[name] != other[name]} == depends, parameter


@pytest.mark.parametrize("profile", ["smoke", "default"])
def test_real_patients_have_no_t2(profile: str) -> None:
    made = plan(chapter("feature_transition"), cohort="real", profile=profile)
    assert list(made["starts"].arms) == ["ours_random", "ours_self", "ours", "rule"]
    assert list(made["pretraining"].arms) == ["transition", "self"]
    job = made["starts"].arms["ours"][0]
    assert job.inputs["data"].images.source.role == "huashan"
    assert job.inputs["data"].images.modalities == ("t1", "t1ce", "flair")
    assert job.inputs["groups"] == job.parents()[0].inputs["groups"] == (("t1", "t1ce"), ("flair",))
    *_, depth = job.inputs["recipe"].cube
    assert job.inputs["data"].images.spacing[2] * depth >= 64  # most stacks fit into a cube
    with pytest.raises(MissingDataError, match="of T2 this cohort has no images"):
        plan(chapter("feature_fusion"), cohort="real", profile=profile)


def test_the_naive_extension_has_six_parents() -> None:
    (job,) = studies("feature_transition", "smoke")["divisions"].arms["ours_six"]
    groups = [parent.inputs["groups"] for parent in job.parents()]
    assert len(groups) == 6
    assert groups[0] == (("t1",), ("t1ce",))
    assert groups[-1] == (("t2",), ("flair",))  # the last one's weights are taken


@pytest.fixture
def data(subjects: Subjects, monkeypatch: pytest.MonkeyPatch) -> Data:
    monkeypatch.setattr(Data, "open", lambda _: subjects)
    for name in ("fingerprint", "key"):
        monkeypatch.setattr(Source, name, property(lambda self: f"toy {self.cohort}"))
    return Data(images=Images(source=Source("brats2017", "simulated", "smoke")), n_held_out=3, n_tuning=1)


@pytest.mark.slow
def test_a_study_on_toy_subjects(data: Data, subjects: Subjects, tiny: Recipe) -> None:
    short = replace(tiny, steps=2)
    start = transition(data=data, groups=PAIRS, recipe=short, seed=0)
    ours = segmentation(data=data, recipe=replace(short, windows=(0, 12)), seed=0, start=(start,))
    branches = segmentation(data=data, network="branches", recipe=short, seed=0, start=(start,))
    study = Study("toy", {"ours": [ours], "branches": [branches]}).run()
    scores = study.scores
    assert set(scores["subject"]) == set(subjects.held_out)
    assert set(scores[scores["arm"] == "branches"]["prediction"]) == {"s_a", "s_b", "s_a_s_b"}
    assert set(scores["metric"]) == {
        "dice", "sensitivity", "specificity", "ppv", "hd95", "missed",
        "lesion_dice", "lesion_hd95", "lesions", "lesions_found", "lesions_false",
    }  # fmt: skip
    made = study.result("ours")
    assert made.notes["window"] == int(made.table("windows").sort_values("dice")["window"].iloc[-1])
    assert made.notes["seconds_per_subject"] > 0
    assert made.arrays("slices")["ours/s5"].shape == (20, 20)
    assert set(start.result().scores["metric"]) == {"error", "error_of_mean"}
    assert start.result().arrays("translations")["s5/fake_b"].shape[0] == 2
    again = segmenter_of(ours).segment(subjects.store, "s5")["ours"]
    labels = subjects.store.subject("s5").labels.numpy()
    z = int((labels > 0).sum(axis=(0, 1)).argmax())
    assert (again[..., z] == made.arrays("slices")["ours/s5"]).all()
    trained_on = on_training(network=ours, most=2).result().scores
    assert set(trained_on["subject"]) == {"s0", "s1"}


@pytest.mark.slow
def test_pictures_of_real_patients_are_not_kept(data: Data, tiny: Recipe) -> None:
    own = replace(data, images=replace(data.images, source=Source("brats2017", "mine.yml")))
    short = replace(tiny, steps=1, validations=0)
    for one, kept in ((data, True), (own, False)):
        job = segmentation(data=one, network="without_mg", recipe=short, seed=0)
        assert ("arrays/slices.safetensors" in job.result().info["keep"]) is kept


@pytest.mark.slow
def test_real_subjects_have_zero_outside_the_brain(real_data: Path) -> None:
    cohort = find_real(3, real_data)
    assert cohort is not None
    assert len(cohort) == 3
    for subject in cohort.ids:
        for modality in ("t1", "t1ce", "t2", "flair"):
            assert cohort.volume(subject, modality).data[0, 0, 0] == 0


def test_no_real_subjects(tmp_path: Path) -> None:
    assert find_real(3, tmp_path) is None
