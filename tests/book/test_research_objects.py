"""Research objects: every file is described as it lies there, nothing is named that is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from radlib.book.research_objects import codemeta, write_research_objects
from radlib.core.files import read_json, sha256, write_json, write_text

MEASURED = {"study": "networks", "metric": "dice", "group": "wt", "value": 0.5, "n": 8, "runs": 5}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The research objects of a build with one chapter, one cohort and one bundle."""
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
    runs = tmp_path / "runs" / "simulated" / "smoke"
    chapter = runs / "octave_segmentation"
    measured = [
        MEASURED | {"arm": "fcn"}, MEASURED | {"arm": "unet", "value": 0.25}, MEASURED | {"arm": "rule", "value": 0.4},
        MEASURED | {"study": "synthetic", "arm": "fcn", "value": 0.75},
    ]  # fmt: skip
    write_json(chapter / "results.json", {"chapter": chapter.name, "profile": "smoke", "measured": measured})
    write_json(chapter / "bundles" / "octave_fcn" / "configs" / "metadata.json", {
        "description": "OctaveFCN", "version": "1", "intended_use": "Research.", "image_classes": "z-scored",
        "label_classes": {"0": "background"},
        "radlib": {"modalities": ["t1"], "spacing": [1, 1, 1], "trained_on": "9 subjects"},
    })  # fmt: skip
    write_text(runs / "_cohorts" / "tcga-idh" / "participants.tsv", "id\tage\tgrade\tsplit\nS1\t40.5\t2\t\n")
    write_research_objects(tmp_path / "research", cohort="simulated", profile="smoke")
    return tmp_path / "research"


def _ids(value: Any) -> set[str]:
    """Every ``@id`` that is referred to."""
    if isinstance(value, list):
        return set().union(*map(_ids, value)) if value else set()
    if isinstance(value, dict):
        return {value["@id"]} if set(value) == {"@id"} else set().union(*map(_ids, value.values()))
    return set()


def test_the_crate_describes_the_files_that_are_there(folder: Path) -> None:
    graph = read_json(folder / "ro-crate-metadata.json")["@graph"]
    entities = {one["@id"]: one for one in graph}
    assert len(entities) == len(graph)
    assert {one for one in _ids(graph) if not one.startswith("https:")} <= set(entities)
    files = {name for name, one in entities.items() if "File" in one["@type"]}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == there - {"ro-crate-metadata.json"}
    assert _ids(entities["./"]["hasPart"]) == files
    assert all(one["sha256"] == sha256(folder / name) for name, one in entities.items() if "sha256" in one)
    assert _ids(entities["#run"]["result"]) == {"results/octave_segmentation.json", "model_cards/octave_fcn.md"}


def test_the_manifest_of_outputs_names_files(folder: Path) -> None:
    manifest = yaml.safe_load((folder / "codecheck.yml").read_text(encoding="utf-8"))["manifest"]
    assert [one["file"] for one in manifest] == ["results/octave_segmentation.json"]


def test_a_cohort_has_a_field_a_column(folder: Path) -> None:
    described = read_json(folder / "cohorts" / "tcga-idh" / "croissant.json")
    fields = {one["name"]: one["dataType"] for one in described["recordSet"][0]["field"]}
    assert fields == {"id": "sc:Text", "age": "sc:Float", "grade": "sc:Integer", "split": "sc:Text"}
    assert described["distribution"][0]["sha256"] == sha256(folder / "cohorts" / "tcga-idh" / "participants.tsv")


def test_a_model_card_has_the_numbers_of_its_own_arm(folder: Path) -> None:
    card = (folder / "model_cards" / "octave_fcn.md").read_text(encoding="utf-8")
    assert "| Dice | whole tumour | 0.500 | none | 0.400 | 8 | 5 |" in card
    assert "0.250" not in card
    assert "0.750" not in card  # of another study
    assert "It has not been tried on any." in card


def test_the_software_is_described_as_it_is_packaged() -> None:
    from importlib.metadata import version

    about = codemeta()
    assert about["version"] == version("radlib")
    assert any(one.startswith("torch") for one in about["softwareRequirements"])
