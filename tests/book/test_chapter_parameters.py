from pathlib import Path

import pytest
import yaml

from radlib.book.parameters import (
    COMMON,
    Parameter,
    declared_parameters,
    load_profile,
    parse_override,
    resolve,
    write_paired,
)
from radlib.book.registry import chapter, chapters
from radlib.book.run import run_chapter
from radlib.core.errors import RadlibError
from radlib.core.files import write_json
from radlib.core.paths import run_dir


def test_declared(project: Path) -> None:
    found = declared_parameters(chapter("first").source)
    assert list(found) == ["cohort", "profile", "seed", "n", "weights"]
    assert (found["n"].type, found["n"].default, found["n"].help) == ("int", 3, "how many")


def test_profile_and_overrides(project: Path) -> None:
    assert resolve(chapter("first"), profile="smoke") == {"n": 5}
    assert resolve(chapter("first"), profile="default") == {}
    assert resolve(chapter("first"), profile="smoke", overrides={"weights": [1, 2.5]}) == {"n": 5, "weights": [1, 2.5]}


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("chapters:\n  first: {nn: 5}\n", "no parameter 'nn'"),
        ("chapters:\n  first: {n: five}\n", "'five', which is no int"),
        ("chapters:\n  first: {n: true}\n", "True, which is no int"),
        ("chapters:\n  first: {weights: [a]}\n", r"no list\[float\]"),
        ("chapters:\n  first: {seed: 1}\n", "cannot be set by a profile"),
        ("chapters:\n  frist: {n: 5}\n", "unknown chapters: frist"),
        ("chapter:\n  first: {n: 5}\n", "keys"),
        ("chapters: [\n", "no YAML"),
    ],
)
def test_a_wrong_profile_is_refused(project: Path, profile: str, message: str) -> None:
    (project / "notebooks/profiles/smoke.yml").write_text(profile)
    with pytest.raises(RadlibError, match=message):
        resolve(chapter("first"), profile="smoke")


@pytest.mark.parametrize("name", COMMON)
def test_what_decides_where_results_lie_is_no_parameter(project: Path, name: str) -> None:
    """``-p cohort=my.yml`` is refused before anything of the run that it would not belong to is deleted."""
    first = chapter("first")
    kept = run_dir(cohort="simulated", profile="smoke", chapter="first") / "results.json"
    write_json(kept, {"chapter": "first"})
    with pytest.raises(RadlibError, match=f"use --{name}"):
        run_chapter(first, cohort="simulated", profile="smoke", overrides={name: "real"})
    assert kept.is_file()


@pytest.mark.parametrize("text", ["name: c\nroot: gone\n", "name: c\nlayout: brats\n", "name: '?'\n", "a: [", None])
def test_a_cohort_that_cannot_be_read_costs_no_earlier_run(project: Path, text: str | None) -> None:
    """A description is read before anything is deleted; that it is wrong is no lack of the cohort."""
    description = project / "mine" / "c.yml"
    description.parent.mkdir()
    kept = run_dir(cohort=str(description), profile="smoke", chapter="first") / "results.json"
    write_json(kept, {"chapter": "first"})
    if text is not None:
        description.write_text(text)
    with pytest.raises(RadlibError, match=r"mine"):
        run_chapter(chapter("first"), cohort=str(description), profile="smoke")
    assert kept.is_file()


@pytest.mark.parametrize(("cohort", "profile"), [(None, "smoke"), ("..", "smoke"), ("", "smoke"), ("real", None)])
def test_a_run_stays_in_its_folder(project: Path, tmp_path: Path, cohort: str | None, profile: str | None) -> None:
    """A folder that is given as cohort or profile is the user's: nothing is written or deleted there."""
    mine = tmp_path / "mine" / "smoke" / "first" / "tables" / "mine.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    (tmp_path / "mine" / "smoke.yml").write_text("")
    with pytest.raises(RadlibError, match=r"unknown cohort|no name of a profile"):
        run_chapter(
            chapter("first"),
            cohort=str(tmp_path / "mine") if cohort is None else cohort,
            profile=str(tmp_path / "mine" / "smoke") if profile is None else profile,
        )
    assert mine.is_file()
    assert not (project / "smoke").exists()
    assert not (project / "runs").exists()


def test_unknown_names_list_the_known(project: Path) -> None:
    with pytest.raises(RadlibError, match="first, second"):
        chapter("third")
    with pytest.raises(RadlibError, match="default, smoke"):
        load_profile("papr")


def test_command_line_values_are_yaml_never_code(project: Path) -> None:
    declared = declared_parameters(chapter("first").source)
    assert parse_override("n=7", declared) == ("n", 7)
    assert parse_override("weights=[1, 2]", declared) == ("weights", [1, 2])
    for wrong in ("n=__import__('os').getcwd()", "n", "m=1", "n=1.5"):
        with pytest.raises(RadlibError):
            parse_override(wrong, declared)
    lists = {"l": Parameter("l", "list[int]", [1], "h"), "w": Parameter("w", "list[str]", ["a"], "h")}
    assert parse_override("l=[010, 7]", lists) == ("l", [10, 7])  # YAML alone would say 8
    assert parse_override("w=[no, 1:30]", lists) == ("w", ["no", "1:30"])
    for wrong in ("l=[1, true]", "l=[True]", "l=[1:30]", "w=no", "l=[[1]]"):
        with pytest.raises(RadlibError, match=r"no list\["):
            parse_override(wrong, lists)
    for wrong in ("weights=[1, nan]", "weights=[.inf]", "weights=[1e400]"):
        with pytest.raises(RadlibError, match=r"no list\[float\]"):
            parse_override(wrong, declared)
    with pytest.raises(RadlibError, match="nan, which is no float"):
        parse_override("rate=nan", {"rate": Parameter("rate", "float", 0.1, "h")})
    with pytest.raises(RadlibError, match="no dict"):
        parse_override("d=&a {x: *a}", {"d": Parameter("d", "dict", {}, "h")})
    with pytest.raises((RadlibError, yaml.YAMLError)):
        parse_override("n=!!python/object/apply:os.getcwd []", declared)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n: int = 3  # how many", "n = 3  # how many", "no typed parameter"),
        ("n: int = 3  # how many", "n: int = 3", "no typed parameter"),
        ("n: int = 3  # how many", "n: int = len('abc')  # how many", "no literal"),
        ("n: int = 3  # how many", "n: complex = 3  # how many", "unknown type"),
        ("seed: int = 0  # seed of every random number\n", "", "lacks seed"),
        (' tags=["parameters"]', "", "0 cells"),
        ("#     language: python\n", "", "no Python kernel"),
    ],
)
def test_a_wrong_parameters_cell_is_refused(project: Path, old: str, new: str, message: str) -> None:
    source = chapter("first").source
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    with pytest.raises(RadlibError, match=message):
        declared_parameters(source)


def test_registry_order(project: Path) -> None:
    assert list(chapters()) == ["first", "second"]
    (project / "notebooks/chapters.yml").write_text(
        "chapters:\n  second: {title: S, needs: [first]}\n  first: {title: F}\n"
    )
    from radlib.book import registry

    registry._load.cache_clear()
    with pytest.raises(RadlibError, match="does not come before"):
        chapters()


def test_pairing_follows_the_text(project: Path) -> None:
    paired = write_paired(chapter("first"))
    first = paired.read_text()
    assert write_paired(chapter("first")).read_text() == first
    import jupytext

    assert jupytext.read(paired).cells[1].metadata["tags"] == ["parameters"]
