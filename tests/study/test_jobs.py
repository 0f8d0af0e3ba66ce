"""Jobs and their fingerprints, the store, studies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.study.code import code_digest, reached, syntax_digest
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import NOT_DECIDING, Job, job
from radlib.study.store import Work, compute, find, fresh, jobs_root, result
from radlib.study.studies import Study

DONE: list[str] = []


@dataclass(frozen=True)
class Recipe:
    widths: tuple[int, ...] = (2, 3)
    rate: float = 0.1
    cache: bool = field(default=False, metadata=NOT_DECIDING)


@job
def first(work: Work, *, recipe: Recipe, seed: int, network: str = "plain") -> None:
    DONE.append(f"first {seed}")
    generator = np.random.default_rng(seed)
    values = generator.random(2) * len(recipe.widths)
    work.scores(pd.DataFrame({"subject": ["a", "b"], "group": "wt", "metric": "dice", "value": values}))
    work.weights("network", torch.nn.Linear(2, 2), keep=True)
    work.arrays("extra", {"x": generator.random((3, 2))})
    work.note(parameters=6)


@job
def second(work: Work, *, start: Job, seed: int = 0) -> None:
    DONE.append(f"second {seed}")
    value = start.result().scores["value"].sum() + start.result().state("network")["weight"].numel()
    work.scores(pd.DataFrame({"subject": ["a"], "group": "wt", "metric": "sum", "value": [value]}))


@pytest.fixture(autouse=True)
def _clean() -> None:
    DONE.clear()


def test_equal_inputs_are_one_job_and_every_other_input_another() -> None:
    one = first(recipe=Recipe(), seed=0)
    assert one.fingerprint == first(recipe=Recipe(), seed=0, network="plain").fingerprint
    assert one.fingerprint == first(recipe={"widths": [2, 3]}, seed=0).fingerprint
    assert one.fingerprint == first(recipe=Recipe(cache=True), seed=0).fingerprint
    others = [
        first(recipe=Recipe(), seed=1),
        first(recipe=Recipe(rate=0.2), seed=0),
        first(recipe=Recipe(widths=(2,)), seed=0),
        first(recipe=Recipe(), seed=0, network="other"),
        second(start=one),
        second(start=first(recipe=Recipe(), seed=1)),
    ]
    assert len({job.fingerprint for job in [one, *others]}) == 7


def test_the_last_bits_of_a_derived_number_are_no_other_input() -> None:
    """``exp`` and ``log`` differ between processors by one unit in the last place; a kept result is found on both."""
    one = first(recipe=Recipe(rate=0.3), seed=0)
    other = first(recipe=Recipe(rate=0.1 + 0.2), seed=0)
    assert other.inputs["recipe"].rate != one.inputs["recipe"].rate
    assert other.fingerprint == one.fingerprint
    assert other.spec()["inputs"]["recipe"]["rate"] == 0.1 + 0.2
    assert first(recipe=Recipe(rate=0.3 + 1e-9), seed=0).fingerprint != one.fingerprint


def test_wrong_inputs_are_named() -> None:
    with pytest.raises(RadlibError, match="seed"):
        first(recipe=Recipe())
    with pytest.raises(RadlibError, match="sede"):
        first(recipe=Recipe(), seed=0, sede=0)
    with pytest.raises(RadlibError, match="input 'seed' is 'x'"):
        first(recipe=Recipe(), seed="x")
    endless = first(recipe=Recipe(rate=float("inf")), seed=0)
    with pytest.raises(RadlibError, match="inf"):
        _ = endless.fingerprint


@job
def of_images(work: Work, *, images: Images) -> None: ...


def test_images_are_inputs() -> None:
    images = Images(source=Source("huashan", "simulated", "smoke"), grid=(8, 8, 8))
    assert of_images(images=images).inputs["images"] == images
    with pytest.raises(RadlibError, match="input 'images'"):
        of_images(images={"source": {"role": "huashan"}, "normalise": "none of these"})


def test_a_job_is_made_again_from_its_specification() -> None:
    one = second(start=first(recipe=Recipe(widths=(4, 5, 6)), seed=3))
    again = Job.from_spec(one.spec())
    assert again.fingerprint == one.fingerprint
    assert again.parents()[0].inputs["recipe"] == Recipe(widths=(4, 5, 6))
    with pytest.raises(RadlibError, match="no job function"):
        Job.from_spec({"function": "os:system", "inputs": {}})


def test_a_result_is_computed_and_found() -> None:
    one = second(start=first(recipe=Recipe(), seed=0))
    assert find(one) is None
    found = result(one)
    assert DONE == ["first 0", "second 0"]
    assert result(one).scores.equals(found.scores)
    assert len(DONE) == 2
    parent = first(recipe=Recipe(), seed=0).result()
    assert parent.notes == {"parameters": 6}
    assert parent.arrays("extra")["x"].shape == (3, 2)
    assert parent.info["keep"] == ["scores.parquet", "weights/network.safetensors"]
    parent.check()
    (parent.folder / "scores.parquet").write_bytes(b"other")
    with pytest.raises(RadlibError, match=r"scores\.parquet"):
        parent.check()


def test_a_failed_job_leaves_nothing_that_looks_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    one = first(recipe=Recipe(), seed=0)

    def fail(*_: object, **__: object) -> None:
        raise OSError("full")

    with monkeypatch.context() as context:
        context.setattr(Work, "note", fail)
        with pytest.raises(OSError, match="full"):
            result(one)
    assert find(one) is None
    assert result(one).notes == {"parameters": 6}


def test_a_kept_result_is_found_unless_a_fresh_one_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "published"
    kept.mkdir()
    monkeypatch.setattr("radlib.study.store.kept_root", lambda: kept)
    one = first(recipe=Recipe(), seed=0)
    shutil.move(result(one).folder, kept / one.fingerprint)
    found = find(one)
    assert found is not None
    assert found.origin == "kept"
    assert second(start=one).result().scores["value"].notna().all()
    shutil.rmtree(kept / one.fingerprint / "weights")  # a kept result may lack what later work needs
    assert found.state("network")["weight"].shape == (2, 2)
    monkeypatch.setenv("FRESH", "1")
    assert fresh()
    shutil.rmtree(jobs_root())
    assert find(one) is None


def test_budget_is_part_of_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = first(recipe=Recipe(), seed=0).fingerprint
    monkeypatch.setenv("BUDGET", "0.1")
    assert first(recipe=Recipe(), seed=0).fingerprint != whole
    monkeypatch.setenv("BUDGET", "2")
    with pytest.raises(RadlibError, match="BUDGET"):
        _ = first(recipe=Recipe(), seed=0).fingerprint


def test_study_computes_what_lacks() -> None:
    arms = {name: [first(recipe=Recipe(), seed=seed, network=name) for seed in (0, 1)] for name in ("a", "b")}
    compute(arms["a"][0])
    study = Study("small", arms, titles={"a": "A"})
    assert len(study.missing()) == 3
    study.run()
    assert len(DONE) == 4
    assert study.missing() == []
    scores = study.scores
    assert list(scores.columns) == ["arm", "run", "subject", "group", "metric", "value"]
    assert len(scores) == 8
    assert set(scores["run"]) == {0, 1}
    assert study.titles == {"a": "A", "b": "b"}
    assert "4 jobs (all computed here)" in study.provenance()
    with pytest.raises(RadlibError, match="no arm 'c'"):
        study.results("c")


def test_comments_and_docstrings_are_no_code() -> None:
    code = 'def f(x):\n    """Text."""\n    return x + 1  # why\n'
    assert syntax_digest(code) == syntax_digest("def f(x):\n\n    return (x + 1)\n")
    assert syntax_digest(code) != syntax_digest("def f(x):\n    return x + 2\n")
    assert syntax_digest("class A:\n    '''A.'''\n    b = 'text'\n") != syntax_digest("class A:\n    b = 'other'\n")


def test_code_that_changes_while_a_process_runs_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_PROJECT", str(tmp_path))
    (tmp_path / "radlib" / "papers").mkdir(parents=True)
    one, other = tmp_path / "radlib" / "papers" / "one.py", tmp_path / "radlib" / "papers" / "other.py"
    one.write_text("from radlib.papers.other import step\n")
    other.write_text("step = 1\n")
    before = code_digest(["radlib.papers.one"])
    assert code_digest(["radlib.papers.one"]) == before
    for later, (text, same) in enumerate((("step = 2\n", False), ("step = 1  # a comment\n", True)), start=1):
        other.write_text(text)
        os.utime(other, ns=(later * 10**9, later * 10**9))
        assert (code_digest(["radlib.papers.one"]) == before) is same


def test_what_draws_is_not_reached() -> None:
    modules = set(reached(["radlib.papers.zhang2021.study"]))
    assert {"radlib.training.loop", "radlib.data.store", "radlib.core.seeds", "radlib.nn.attention"} <= modules
    assert not any(module.startswith(("radlib.plots", "radlib.book", "radlib.cli")) for module in modules)


SLOW = """
import os, time
import pandas as pd
from radlib.study.jobs import job

@job
def slow(work, *, seed: int):
    with open(os.environ["LOG"], "a") as stream:
        stream.write("computed\\n")
    time.sleep(float(os.environ.get("PAUSE", "1")))
    work.scores(pd.DataFrame({"subject": ["a"], "group": "g", "metric": "m", "value": [float(seed)]}))
"""


@pytest.mark.slow
def test_two_processes_compute_a_job_only_one_time(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import slow_jobs; "
        "print(slow_jobs.slow(seed=0).result().scores['value'].iloc[0])"
    )
    (tmp_path / "slow_jobs.py").write_text(SLOW)
    environment = {**os.environ, "LOG": str(tmp_path / "log")}
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = {process.communicate(timeout=120)[0] for process in both}
    assert len(answers) == 1
    assert (tmp_path / "log").read_text() == "computed\n"


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_whole_and_another_goes_on(tmp_path: Path) -> None:
    (tmp_path / "slow_jobs.py").write_text(SLOW)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import slow_jobs; slow_jobs.slow(seed=1).result()"
    environment = {**os.environ, "LOG": str(tmp_path / "log"), "PAUSE": "60"}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment)
    deadline = time.monotonic() + 100
    while not (tmp_path / "log").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(jobs_root().glob("[!.]*/job.json"))
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env={**environment, "PAUSE": "0"}, check=True)
    assert len(list(jobs_root().glob("[!.]*/job.json"))) == 1
