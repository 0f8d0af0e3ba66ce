"""Kept jobs stay true: what is kept, restamped, compared, and a study that is killed again and again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.study import keep as keeping
from radlib.study import store
from radlib.study.cohorts import Source
from radlib.study.costs import training_costs
from radlib.study.jobs import Job, JobFunction, job, job_on_real_patients
from radlib.study.store import Result, Work, compute, find, infos, jobs_root
from radlib.study.studies import Study
from radlib.training.players import Batch
from radlib.training.settings import LoopSettings, OptimizerSettings
from radlib.training.supervised import fit

STEPS = 10
_left: int | None = None  # steps until this process kills itself


def step_or_die() -> None:
    global _left
    if _left is not None:
        _left -= 1
        if _left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


@job
def training(work: Work, *, seed: int, start: Job | None = None, scale: float = 1.0) -> None:
    def batch(_: int, random: np.random.Generator) -> Batch:
        step_or_die()
        return {"x": torch.from_numpy(random.normal(size=(4, 2)).astype("float32"))}

    torch.manual_seed(seed)
    network = torch.nn.Linear(2, 1)
    if start is not None:
        start.result().load("network", network)
    fitted = fit(
        network, batch=batch, loss=lambda net, data: net(data["x"]).square().mean(), seed=seed, device="cpu",
        optimizer=OptimizerSettings(learning_rate=0.1), loop=LoopSettings(steps=STEPS, checkpoint_every=2),
        folder=work.checkpoints(),
    )  # fmt: skip
    work.history(fitted.history)
    work.weights("network", fitted.network, keep=start is None)
    weights = fitted.network.weight.detach().numpy().ravel() * scale
    work.scores(pd.DataFrame({"subject": ["a", "b"], "group": "all", "metric": "weight", "value": weights}))


@job
def on_a_cohort(work: Work, *, source: Source) -> None:
    work.scores(pd.DataFrame({"subject": ["a"], "group": "all", "metric": "n", "value": [1.0]}))


@job_on_real_patients
def on_patients(work: Work, *, seed: int) -> None:
    work.scores(pd.DataFrame({"subject": ["a"], "group": "all", "metric": "n", "value": [1.0]}))


@pytest.fixture(autouse=True)
def _kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    for module in ("radlib.study.store", "radlib.study.keep"):
        monkeypatch.setattr(f"{module}.kept_root", lambda: folder)


def kept_root() -> Path:
    return store.kept_root()


def chain() -> Study:
    first = training(seed=1)
    return Study("chain", {"plain": [first, training(seed=2)], "further": [training(seed=3, start=first)]})


def die_after(count: int) -> None:
    global _left
    _left = count
    chain().run()


@pytest.mark.slow
def test_killed_at_ten_points_a_study_ends_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def content() -> dict[str, bytes | pd.DataFrame]:
        found: dict[str, bytes | pd.DataFrame] = {}
        for one in chain().jobs():
            result = find(one)
            assert result is not None
            for name in ("scores.parquet", "weights/network.safetensors"):
                found[f"{one.fingerprint} {name}"] = (result.folder / name).read_bytes()
            found[one.fingerprint] = result.history.drop(columns="seconds")
        return found

    chain().run()
    whole = content()
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "again"))
    fork = multiprocessing.get_context("fork")
    for count in (0, 1, 2, 3, 2, 3, 4, 3, 5, 4):
        process = fork.Process(target=die_after, args=(count,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    chain().run()
    again = content()
    assert whole.keys() == again.keys()
    for key, value in whole.items():
        other = again[key]
        if isinstance(value, pd.DataFrame):
            assert isinstance(other, pd.DataFrame)
            pd.testing.assert_frame_equal(value, other, check_exact=True)
        else:
            assert value == other, key


def test_a_history_counts_the_trainings_of_an_arm_where_a_run_has_several() -> None:
    jobs = [training(seed=seed) for seed in (1, 2, 3, 4)]
    found = Study("folds", {"arm": jobs}, runs=[0, 0, 1, 1]).run().history
    assert found.groupby("training")["run"].first().tolist() == [0, 0, 1, 1]
    assert list(found.columns[:3]) == ["arm", "run", "training"]
    for place, one in enumerate(jobs):
        own = found[found["training"] == place].drop(columns=["arm", "run", "training"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(own, one.result().history)


def test_kept_jobs_hold_scores_history_and_what_was_marked() -> None:
    study = chain().run()
    made = keeping.keep(study.jobs())
    assert len(made) == 3
    assert keeping.keep(study.jobs()) == []
    kept = {folder.name for folder in made}
    assert kept == {one.fingerprint for one in study.jobs()}
    for one in study.jobs():
        result = Result(one, kept_root() / one.fingerprint, "kept")
        result.check()
        assert result.has("weights/network.safetensors") == (one.inputs["start"] is None)
    assert keeping.compare(study.jobs()[2], find(study.jobs()[2])).largest == 0  # type: ignore[arg-type]
    assert keeping.prune([training(seed=2)]) == sorted(kept - {training(seed=2).fingerprint})
    assert set(infos(kept_root())) == {training(seed=2).fingerprint}


def test_rows_of_real_patients_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "key", "k")
    monkeypatch.setattr(Source, "fingerprint", "f")
    real = on_a_cohort(source=Source("tcga-idh", cohort="real"))
    compute(real)
    with pytest.raises(RadlibError, match="rests on the cohort 'real'"):
        keeping.keep([real])
    compute(on_patients(seed=0))
    with pytest.raises(RadlibError, match="rests on the cohort 'real'"):
        keeping.keep([on_patients(seed=0)])
    compute(on_a_cohort(source=Source("tcga-idh")))
    assert len(keeping.keep([on_a_cohort(source=Source("tcga-idh"))])) == 1


def test_what_was_not_computed_cannot_be_kept() -> None:
    with pytest.raises(RadlibError, match="has not been computed"):
        keeping.keep([training(seed=9)])


def test_a_rewording_is_restamped_and_a_change_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    study = chain().run()
    before = {one.fingerprint for one in study.jobs()}
    keeping.keep(study.jobs())
    assert keeping.restamp(kept_root()) == []
    monkeypatch.setattr(JobFunction, "code", "other code")
    fresh = chain()
    assert before.isdisjoint({one.fingerprint for one in fresh.jobs()})
    compared = keeping.restamp(kept_root(), sample=2)
    assert [one.largest for one in compared] == [0, 0]
    assert set(infos(kept_root())) == {one.fingerprint for one in fresh.jobs()}
    stamps = [info["restamped"] for info in infos(kept_root()).values()]
    assert all(one[0]["from"] in before for one in stamps)
    for one in fresh.jobs():
        found = find(one)
        assert found is not None
        found.check()

    monkeypatch.setattr(JobFunction, "code", "a third")

    def all_twos(layer: torch.nn.Linear) -> None:
        for parameter in layer.parameters():
            torch.nn.init.constant_(parameter, 2.0)

    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", all_twos)
    with pytest.raises(RadlibError, match="gives other scores now"):
        keeping.restamp(kept_root(), sample=3)
    assert set(infos(kept_root())) == {one.fingerprint for one in fresh.jobs()}
    assert not list(jobs_root().glob("*.part"))


def test_costs_are_those_of_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGET", "0.2")
    done = training(seed=0)
    assert training_costs([done]).empty
    compute(done)
    (row,) = training_costs([done, on_a_cohort(source=Source("huashan", profile="smoke"))]).itertuples()
    assert row.steps == 0.2 * STEPS
    assert row.hours == pytest.approx(row.seconds * STEPS / 3600)
    assert row.gib > 0.1
