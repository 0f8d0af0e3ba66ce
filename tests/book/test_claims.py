"""Claims: what decides them is declared, and their words come from the gates on studies' scores."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radlib.book import answer
from radlib.book import claims as module
from radlib.book.answer import WORDS, cards
from radlib.book.claims import Claim, claims, decide, keep_decisions
from radlib.book.ledger import collect, pages
from radlib.core.errors import RadlibError
from radlib.core.paths import project_root
from radlib.data.published import PAPERS
from radlib.study.contrasts import MAJORITY, Contrast, Decision, word_of
from radlib.study.jobs import job
from radlib.study.store import Work
from radlib.study.studies import Study

RUNS = range(5)
IDS = [f"s{number}" for number in range(30)]


@job
def segmented(work: Work, *, mean: float, seed: int, rising: bool = False) -> None:
    random = np.random.default_rng(seed)
    values = mean + 0.01 * random.standard_normal(len(IDS))
    work.scores(pd.DataFrame({"subject": IDS, "group": "wt", "metric": "dice", "value": values, "protocol": "fair"}))
    last = 0.5 + 0.1 * rising
    steps = {"step": [100, 200, 300, 400], "part": "validation", "dice_mean": [0.1, 0.4, 0.5, last]}
    work.history(pd.DataFrame(steps))


@job
def classified(work: Work, *, signal: float, seed: int, slices: int = 1, repeats: int = 1) -> None:
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(IDS)) % 3 > 0, slices)
    frames = []
    for repeat in range(repeats):
        score = np.clip(0.5 + signal * (truth - 0.5) + 0.05 * random.standard_normal(len(truth)), 0, 1)
        rows = {"subject": np.repeat(IDS, slices), "truth": truth, "predicted": score > 0.5, "score": score}
        frames.append(pd.DataFrame(rows | {"repeat": repeat}))
    work.scores(pd.concat(frames, ignore_index=True))


def claim(**changes: Any) -> Claim:
    """A claim that the new network beats the old one by Dice, both above the rule, with flat curves."""
    contrast: dict[str, Any] = {
        "says": "new − old", "study": "chapter.networks", "first": "new", "second": "old", "metric": "dice",
        "group": "wt", "rule": {"arm": "rule", "fixed": True}, "comparator": {"arm": "rule", "fixed": True},
        "curves": [{"study": "chapter.networks", "metric": "dice_mean", "arms": ["new", "old"]}],
    }  # fmt: skip
    decided = (Contrast.model_validate(contrast | changes),)
    return Claim(name="one", short="s", says="s", settle="s", heading="h", keys=("a",), decided=decided)


def planned(monkeypatch: pytest.MonkeyPatch, *, compute: bool = True, **arms: Any) -> None:
    """The chapter has one study; its jobs lie in the runs of the test where ``compute``."""
    study = Study("networks", arms)
    if compute:
        study.run()
    monkeypatch.setattr(module, "_attempt", lambda *_: {"networks": study})


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))


def networks(new: float = 0.8, old: float = 0.7, rule: float = 0.6, **how: Any) -> dict[str, Any]:
    """Arms of five trainings whose mean Dice is given, and a rule that was fitted one time."""
    return {
        "new": [segmented(mean=new, seed=run, **how) for run in RUNS],
        "old": [segmented(mean=old, seed=100 + run) for run in RUNS], "rule": segmented(mean=rule, seed=1000),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "word", "failed"),
    [
        ({}, "as claimed", ()),
        ({"new": 0.65}, "reversed", ()),
        ({"new": 0.7}, "open", ("interval",)),
        ({"new": 0.8, "rule": 0.85}, "open", ("competence", "comparator")),
        ({"old": 0.55}, "open", ("comparator",)),
        ({"rising": True}, "open", ("convergence",)),
    ],
)
def test_the_word_follows_the_scores(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], word: str, failed: tuple[str, ...]
) -> None:
    planned(monkeypatch, **networks(**changes))
    (found,) = decide(claim())
    assert (found.word, found.failed, found.missing) == (word, failed, "")
    assert (found.n, found.runs) == (30, 5)
    assert found.low <= found.value <= found.high


def test_too_few_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    arms = networks()
    planned(monkeypatch, **arms | {"new": arms["new"][:4]})
    assert decide(claim())[0].failed == ("trainings",)


def test_a_direction_and_a_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, **networks())
    assert decide(claim(direction="less"))[0].word == "reversed"
    planned(monkeypatch, **networks(new=0.7))
    assert decide(claim(margin=0.02))[0].word == "as claimed"  # no worse than
    assert decide(claim(direction="less", margin=0.02))[0].word == "as claimed"


def test_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    arms = networks()
    planned(monkeypatch, compute=False, **arms)
    assert decide(claim())[0].missing == "jobs of chapter (networks) without a result: 5"
    assert decide(claim(second="unknown"))[0].missing.startswith("jobs of chapter")
    Study("networks", {"new": arms["new"]}).run()
    assert "no arm 'unknown'" in decide(claim(second="unknown"))[0].missing
    assert "no study 'other'" in decide(claim(study="chapter.other"))[0].missing
    assert word_of(decide(claim())) is None
    assert Study("networks", {"old": arms["old"]}).missing()


def test_rows_are_chosen_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, **networks())
    assert decide(claim(where={"protocol": "fair"}))[0].word == "as claimed"
    assert "no scores" in decide(claim(where={"protocol": "unfair"}))[0].missing
    assert "no column 'x'" in decide(claim(where={"x": "unfair"}))[0].missing


@pytest.mark.parametrize("metric", ["auc", "accuracy"])
@pytest.mark.parametrize(("signal", "word"), [(0.4, "as claimed"), (0.0, "open")])
def test_classes_are_held_against_the_majority(
    monkeypatch: pytest.MonkeyPatch, metric: str, signal: float, word: str
) -> None:
    planned(monkeypatch, new=[classified(signal=signal, seed=run, slices=3) for run in RUNS])
    how: dict[str, Any] = {
        "second": "majority",
        "rule": "majority",
        "comparator": None,
        "curves": [],
        "metric": metric,
        "group": "all",
    }
    (found,) = decide(claim(**how, pooled=True))
    assert found.word == word
    if signal:
        assert found.value == pytest.approx(0.5 if metric == "auc" else 1 / 3)
        assert found.change is None


def test_repeats_of_one_job_are_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, new=classified(signal=0.4, seed=0, repeats=6), old=classified(signal=0.05, seed=1, repeats=6))
    how: dict[str, Any] = {"rule": "majority", "comparator": None, "curves": [], "metric": "accuracy", "group": "all"}
    how["run"] = "repeat"
    (found,) = decide(claim(**how))
    assert (found.runs, found.word) == (6, "as claimed")


def test_a_metric_without_a_curve_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    planned(monkeypatch, **networks())
    curve = {"study": "chapter.networks", "metric": "auc", "arms": ["new"]}
    assert decide(claim(curves=[curve]))[0].failed == ("convergence",)


def test_every_claim_is_declared_and_has_its_contrasts() -> None:
    found = claims()
    assert {one.paper for one in found.values()} == {"islam2020", "ge2020", "zhang2021", "li2017", "mehra2022"}
    assert {"li2017.segmentation", "islam2020.generator", "islam2020.synthetic"} <= set(found)
    for one in found.values():
        assert one.decided
        assert len(one.short) <= 36, one.short
        chapter = (project_root() / "notebooks" / f"{one.decided[0].chapter}.py").read_text(encoding="utf-8")
        assert len(re.findall(rf"^# ##+ {re.escape(one.heading)}$", chapter, re.MULTILINE)) == 1, one.heading


def declared_arms() -> Iterator[tuple[str, str, str]]:
    """Claim, study and arm of everything that a claim names, for a check that all of it is there."""
    for key, claim in claims().items():
        for contrast in claim.decided:
            sides = (contrast.first, contrast.second, contrast.rule, contrast.comparator)
            for side in sides:
                if side is not None and side.arm != MAJORITY:
                    yield key, side.study or contrast.study, side.arm
            for curve in contrast.curves:
                for arm in curve.arms:
                    yield key, curve.study, arm


def test_every_declared_study_and_arm_is_there() -> None:
    from radlib.book.plan import plans

    lacking: dict[str, str] = {}
    names = sorted({name.partition(".")[0] for _, name, _ in declared_arms()})
    found = plans(names, lacking=lacking)
    wrong = []
    for key, name, arm in declared_arms():
        chapter, _, study = name.partition(".")
        if chapter not in lacking and (study not in found[chapter] or arm not in found[chapter][study].arms):
            wrong.append(f"{key}: {name} {arm}")
    assert not wrong


def test_decisions_on_real_patients_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = claim()
    monkeypatch.setattr(module, "claims", lambda: {"p.one": one})
    planned(monkeypatch, **networks())
    assert word_of(keep_decisions(tmp_path)["p.one"]).word == "as claimed"  # type: ignore[union-attr]
    planned(monkeypatch, compute=False, **networks(new=0.81))
    assert module.decisions_by_kind(tmp_path)["p.one"]["simulated"][0].missing
    assert module.decisions_by_kind(tmp_path)["p.one"]["real"][0].word == "as claimed"
    assert word_of(keep_decisions(tmp_path)["p.one"]).word == "as claimed"  # type: ignore[union-attr]
    text = module.kept_file(tmp_path).read_text(encoding="utf-8")
    assert not any(subject in text for subject in IDS[3:])  # numbers, no patients
    module.kept_file(tmp_path).write_text(json.dumps({"p.one": [{"word": "true"}]}), encoding="utf-8")
    with pytest.raises(RadlibError, match="not decisions"):
        module.kept_decisions(tmp_path)


def test_missing_decisions_survive_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = claim().model_copy(update={"decided": (*claim().decided, *claim(study="chapter.x").decided)})
    monkeypatch.setattr(module, "claims", lambda: {"p.one": one})
    planned(monkeypatch, **networks())
    keep_decisions(tmp_path)
    first, second = module.kept_decisions(tmp_path)["p.one"]
    assert isinstance(first, Decision)
    assert first.word == "as claimed"
    assert "no study" in second.missing
    assert second.value != second.value
    assert word_of([first, second]) is None


def test_scores_that_cross_zero_change_the_word_on_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the scores of jobs to the pages: the new network's Dice falls to the old one's."""
    key, anchor = "zhang2021.fusion", "claim-zhang2021-fusion"
    monkeypatch.setattr(answer, "kept_run", lambda *_: None)  # a finding on real patients would go first
    costs = {paper: {"jobs": 0, "wanted": 0, "hours": 0, "longest": 0, "devices": ""} for paper in PAPERS}
    for new, word in ((0.8, "as claimed"), (0.7, "open")):
        planned(monkeypatch, **networks(new=new))
        (decision,) = decide(claim())
        nothing: dict[str, list[Decision]] = {"simulated": [], "real": []}
        found = cards({one: nothing | ({"simulated": [decision]} if one == key else {}) for one in claims()})
        made = pages(collect(Path("none"), Path("none")), found, costs=costs)
        marks = {"glance": f'#{anchor}"', "claims": f"({anchor})=", "reports/zhang2021-results": f"#{anchor}"}
        for page, mark in marks.items():
            rest = made[f"{page}.md"].partition(mark)[2]
            assert re.findall(r'data-word="([^"]+)"', rest)[1] == word, page  # in print, then simulated
        assert f"simulated {WORDS[word][1]};" in made["ledger.md"]
        assert f": {WORDS[word][1]}" in next(line for line in made["sentences.md"].splitlines() if "Zhang 2021" in line)
