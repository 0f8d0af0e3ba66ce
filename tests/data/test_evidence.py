"""The declared ledger: every entry is spoken of once, and nothing stands in for anything else."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal

import pytest
from pydantic import ValidationError

from radlib.book.ledger.lacking import lacking
from radlib.book.parameters import declared_parameters, resolve
from radlib.book.registry import chapters
from radlib.book.results import Results, read_results
from radlib.core.errors import RadlibError
from radlib.core.paths import project_root, runs_root
from radlib.data.published import Evidence, Measure, check_all, evidence, load_paper, published_values
from radlib.data.published.declared import Parameter, spoken_of
from radlib.study.cohorts import read_profile


def test_every_entry_is_spoken_of_once() -> None:
    assert list(evidence()) == list(published_values())


def test_no_number_stands_in_for_another() -> None:
    """What is measured once stands beside one printed number only, or beside the same one printed again."""
    entries = defaultdict(list)
    for key, said in evidence().items():
        for measure in said.measured:
            entries[measure.study, measure.arm, measure.minus, measure.metric, measure.group].append((key, measure))
    for place, users in entries.items():
        values = [(published_values()[key], measure.scale) for key, measure in users]
        if len(values) == 1 or any(value.contradiction or "same numbers" in value.remark for value, _ in values):
            continue
        assert all(value.number is not None for value, _ in values), f"{place} stands beside words or a figure and more"
        low = max(value.low / scale for value, scale in values)
        high = min(value.high / scale for value, scale in values)
        assert low <= high + 1e-9, f"{place} stands beside different numbers: {[value.key for value, _ in values]}"


def test_only_figures_are_drawn_and_a_figure_is_drawn_or_not() -> None:
    for key, said in evidence().items():
        figure = published_values()[key].kind == "figure"
        assert figure or not said.drawn, key
        assert not figure or said.kind in ("drawn", "not_measured"), key


def test_what_is_said_to_follow_in_print_is_recomputed() -> None:
    reached = {item.key for item in check_all()}
    assert not [key for key, said in evidence().items() if said.in_print and key not in reached]


def _numbers(text: object) -> set[float]:
    return {float(Decimal(number)) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", str(text))}


@pytest.mark.parametrize(
    "key", [key for key, said in evidence().items() if isinstance(said.setting, Parameter)], ids=lambda key: key
)
def test_a_setting_is_the_parameter(key: str) -> None:
    setting = evidence()[key].setting
    assert isinstance(setting, Parameter)
    chapter = chapters()[setting.chapter]
    declared = declared_parameters(chapter.source)
    values = {name: one.default for name, one in declared.items()} | resolve(chapter, profile=setting.profile)
    assert setting.parameter in values
    printed, here = _numbers(published_values()[key].printed), _numbers(values[setting.parameter])
    if printed:  # words, such as "not stated", leave the value open
        assert printed <= here or here <= printed, (printed, here)


def test_declared_places_exist() -> None:
    """Studies and figures belong to chapters, and those whose results are at hand have what is declared of them."""
    for said in evidence().values():
        assert {one.chapter for one in (*said.measured, *said.drawn)} <= chapters().keys()
    files = [*runs_root().glob("*/*/*/results.json"), *(project_root() / "published").glob("*/*/*/results.json")]
    runs = defaultdict(list)
    # On real patients with sizes of their own a chapter leaves out what these patients cannot show.
    of_their_own = read_profile("default")["real"]
    for file in files:
        results = read_results(file)
        if results.source == "real" and results.chapter in of_their_own:
            continue
        if results.measured and results.profile != "smoke":
            runs[results.chapter].append(set(lacking(results)))
    # A cohort may lack what a value needs; what no cohort gave is declared wrongly.
    assert not [line for several in runs.values() for line in set.intersection(*several)]


def test_what_a_run_lacks_is_listed() -> None:
    run = Results.model_validate({"chapter": "handcrafted_features", "figures": {"boxes": {}}})
    assert lacking(run) == [
        "islam2020.text.radiomic_features_extracted: handcrafted_features.families: islam71, features, all"
    ]


def test_no_figure_is_asked_of_real_patients() -> None:
    simulated, real = (
        lacking(Results.model_validate({"chapter": "unet_features", "figures": {}, "source": source}))
        for source in ("simulated", "real")
    )
    assert any("no figure" in line for line in simulated)
    assert not any("no figure" in line for line in real)


MEASURE = {"study": "octave_segmentation.networks", "arm": "{arm}", "metric": "{metric}"}


def test_patterns_stand_for_parts_of_a_key() -> None:
    item = Evidence(keys=("t.{arm}.{metric}",), names={"arm": {"ours": "fcn"}}, measured=(Measure(**MEASURE),))
    found = item.of("t.ours.dice.wt")
    assert found is not None
    assert (found.measured[0].arm, found.measured[0].metric) == ("fcn", "dice.wt")  # the last takes the rest
    assert item.of("t.theirs.dice") is None
    assert item.of("t.ours") is None
    either = Evidence(keys=("t.*",), quoted="x")
    assert either.of("t.a.b") is not None
    assert either.of("u.a") is None


@pytest.mark.parametrize("given", [{}, {"quoted": "x", "setting": "y"}, {"measured": [MEASURE], "quoted": "x"}])
def test_an_item_says_one_thing(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="not one of"):
        Evidence.model_validate({"keys": "a"} | json.loads(json.dumps(given)))


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (["table1.*", "table1.zoom.parameters", "*"], "table1.zoom.parameters is spoken of twice"),
        (["table1.*"], "nothing is said of 64 entries"),
        (["table9.*"], "'table9.*' fits no entry"),
    ],
)
def test_gaps_and_overlaps_are_named(keys: list[str], problem: str) -> None:
    paper = load_paper("mehra2022").model_copy(update={"evidence": (Evidence(keys=tuple(keys), quoted="x"),)})
    with pytest.raises(RadlibError, match=re.escape(problem)):
        spoken_of(paper, published_values("mehra2022"))
