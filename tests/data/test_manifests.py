"""The manifests are complete, agree with each other and with the data, and a wrong one says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from radlib.core.errors import RadlibError
from radlib.core.files import sha256
from radlib.data.check import KINDS
from radlib.data.manifests import (
    Manifest,
    datasets_dir,
    downloadable,
    load_manifest,
    load_manifests,
    manifest_names,
    read_manifest,
)

NEEDED = {
    "brats2015",
    "brats2017",
    "brats2018",
    "brats2023",
    "brats-tables",
    "brats-tcga",
    "brats-tcga-radiomics",
    "tcga-gbm-expression",
    "tcga-cdr",
    "ceccarelli2016",
    "tcga-mutations",
    "rembrandt",
    "rembrandt-images",
    "upenn-gbm",
    "ucsf-pdgm",
    "huashan",
}


def minimal(**changes: Any) -> dict[str, Any]:
    content = {
        "name": "example",
        "title": "Example",
        "description": "An example.",
        "version": "1",
        "doi": "10.1000/example",
        "access": "registration",
        "licence": "none",
        "terms": "none",
        "citation": "none",
        "layout": "none",
        "steps": ["Ask."],
    }
    return content | changes


def test_every_data_set_has_a_manifest() -> None:
    assert set(manifest_names()) >= NEEDED


@pytest.mark.parametrize("manifest", load_manifests(), ids=lambda manifest: manifest.name)
def test_manifest_agrees_with_the_others(manifest: Manifest) -> None:
    for other in manifest.overlaps:
        assert manifest.name in load_manifest(other).overlaps, "sharing subjects goes both ways"
    known = [known for file in manifest.files if file.table for known in file.table.known]
    assert {entry.kind for entry in known} <= set(KINDS)
    for file in manifest.files:
        if file.table and file.table.key:
            described = [column.name for column in file.table.columns]
            assert set(file.table.key) <= set(described), file.path
    if manifest.images is not None:
        matching = [
            name
            for name in manifest.images.images
            if any(pattern.fullmatch(manifest.images.example) for pattern in manifest.images.expressions(name))
        ]
        assert len(matching) == 1, "the example must be a file of the layout"


def test_only_private_data_cannot_be_obtained() -> None:
    assert [manifest.name for manifest in load_manifests() if manifest.access == "private"] == ["huashan"]


def test_nothing_is_downloaded_from_an_unconfirmed_address() -> None:
    file = load_manifest("upenn-gbm").files[0]
    assert file.address is not None
    assert not file.address.verified
    assert not downloadable(file)


def test_the_brats_vintages_differ_in_names_and_in_the_label_of_enhancing_tumour() -> None:
    labels = {}
    for name in ("brats2015", "brats2017", "brats2018", "brats2023"):
        images = load_manifest(name).images
        assert images is not None
        labels[name] = images.images["seg"].labels
        assert {"t1", "t1ce", "t2", "flair", "seg"} == set(images.images)
    assert labels["brats2018"] == labels["brats2017"]
    assert labels["brats2018"] is not None
    assert labels["brats2018"][4] == labels["brats2023"][3] == "enhancing tumour"  # type: ignore[index]
    assert set(labels["brats2015"] or ()) == {0, 1, 2, 3, 4}


@pytest.mark.data
def test_checksums_are_those_of_the_data(real_data: Path) -> None:
    files = [file for manifest in load_manifests() for file in manifest.files if (real_data / file.path).exists()]
    assert len(files) == 15
    for file in files:
        assert sha256(real_data / file.path) == file.sha256, file.path


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(RadlibError, match=r"no data set 'brats2081'.*brats2018"):
        load_manifest("brats2081")


def test_file_by_name() -> None:
    manifest = load_manifest("brats-tables")
    assert manifest.file("survival_data_2017.csv").path == "brats-tables/survival_data_2017.csv"
    with pytest.raises(RadlibError, match=r"0 files named 'survival\.csv'"):
        manifest.file("survival.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"access": "secret"}, "access: Input should be"),
        ({"doi": "11.1/x"}, "doi: String should match"),
        ({"doi": None}, "has a DOI or an address"),
        ({"steps": []}, "what a person does"),
        ({"files": [{"path": "../x.csv", "what": "x"}]}, "not a path below the data root"),
        ({"files": [{"path": "/x.csv", "what": "x"}]}, "not a path below the data root"),
        ({"files": [{"path": "x.csv", "what": "x"}] * 2}, "same path"),
        ({"addresses": [{"url": "http://example.org", "what": "x", "verified": False}]}, "not an https address"),
        ({"addresses": [{"url": "https://example.org", "what": "x", "verified": True}]}, "what confirms it"),
        (
            {
                "files": [
                    {
                        "path": "x.csv",
                        "what": "x",
                        "address": {"url": "https://e.org/x", "what": "x", "verified": True, "confirmed_by": "x"},
                    }
                ]
            },
            "needs its sha256",
        ),
        (
            {
                "images": {
                    "folders": ["x"],
                    "subject": "[a-z",
                    "templates": ["{subject}_{image}"],
                    "images": {"t1": {"file": "t1", "meaning": "T1"}},
                    "example": "a_t1",
                }
            },
            "not a regular expression",
        ),
        (
            {
                "images": {
                    "folders": ["x"],
                    "subject": "[a-z]+",
                    "templates": ["{image}"],
                    "images": {"t1": {"file": "t1", "meaning": "T1"}},
                    "example": "t1",
                }
            },
            "does not hold {subject}",
        ),
    ],
)
def test_a_wrong_manifest_names_file_field_and_reason(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yml"
    path.write_text(yaml.safe_dump(minimal(**changes)))
    with pytest.raises(RadlibError) as caught:
        read_manifest(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_manifest_has_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "other.yml"
    path.write_text(yaml.safe_dump(minimal()))
    with pytest.raises(RadlibError, match="same name"):
        read_manifest(path)


def test_text_that_is_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "example.yml"
    path.write_text("name: [")
    with pytest.raises(RadlibError, match="not YAML"):
        read_manifest(path)


def test_manifests_hold_no_machine_path() -> None:
    for path in datasets_dir().glob("*.yml"):
        assert "/work/" not in path.read_text()
        assert "/home/" not in path.read_text()
