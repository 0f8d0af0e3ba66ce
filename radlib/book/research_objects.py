"""What machines read of a build: RO-Crate, CodeMeta, a CODECHECK manifest, Croissant, a model card for every bundle.

The files are small JSON and YAML by public specifications, so they are written here without the libraries that check
them; CONTRIBUTING.md says how to check.
"""

from __future__ import annotations

import shutil
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pandas.api.types import is_float_dtype, is_integer_dtype

from radlib.book.provenance import describe
from radlib.book.registry import chapters
from radlib.book.results import read_results
from radlib.book.templates import environment
from radlib.core.files import read_json, read_yaml, sha256, write_json, write_text
from radlib.core.paths import project_root, run_dir, runs_root
from radlib.core.titles import METRIC_TITLES, REGION_TITLES, title

LICENCE = "https://spdx.org/licenses/Apache-2.0"
RUN_CRATE = "https://w3id.org/ro/wfrun"
BIOSCHEMAS = "https://bioschemas.org/profiles"
CROISSANT_NAMES = (
    "citeAs column conformsTo extract field fileObject recordSet source data dataType equivalentProperty examples "
    "fileProperty fileSet format includes isLiveDataset jsonPath key md5 parentField path references regex repeated "
    "replace samplingRate separator subField transform"
)
"""The names of Croissant 1.0; its specification asks for them in every file's context."""


def write_research_objects(folder: Path, *, cohort: str, profile: str) -> list[Path]:
    """Write the research objects of a build into one folder, which is an RO-Crate.

    Args:
        folder: made anew.
        cohort, profile: of the runs that the build shows.

    Returns:
        The files that the crate describes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    root = project_root()
    _copy(root / "workflow" / "Snakefile", folder / "Snakefile")
    _copy(root / "notebooks" / "profiles" / f"{profile}.yml", folder / "profile.yml")
    titles = {}
    for name, chapter in chapters().items():
        if (file := run_dir(cohort=cohort, profile=profile, chapter=name) / "results.json").is_file():
            _copy(file, folder / "results" / f"{name}.json")
            titles[f"results/{name}.json"] = f"Results of the chapter {chapter.title}"
    about = read_yaml(root / "CITATION.cff", what="citation file")
    write_json(folder / "codemeta.json", codemeta())
    write_text(folder / "codecheck.yml", yaml.safe_dump({
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "paper": {"title": about["title"], "authors": about["authors"]},
        "manifest": [{"file": file, "comment": title} for file, title in titles.items()],
    }, sort_keys=False))  # fmt: skip
    titles |= {"codemeta.json": "CodeMeta of the software", "codecheck.yml": "CODECHECK manifest"}
    for made in sorted((runs_root() / "simulated" / profile / "_cohorts").glob("*/participants.tsv")):
        name = f"cohorts/{made.parent.name}"
        _copy(made, folder / name / made.name)
        write_json(folder / name / "croissant.json", croissant(folder / name / made.name, about))
        titles |= {f"{name}/{made.name}": f"Simulated patients of the cohort {made.parent.name}",
                   f"{name}/croissant.json": f"Croissant of the cohort {made.parent.name}"}  # fmt: skip
    runs = (run_dir(cohort=cohort, profile=profile, chapter=name) for name in chapters())
    for bundle in sorted(bundle for run in runs for bundle in (run / "bundles").glob("*")):
        write_text(folder / "model_cards" / f"{bundle.name}.md", model_card(bundle))
        titles[f"model_cards/{bundle.name}.md"] = f"Model card of the bundle {bundle.name}"
    write_json(folder / "ro-crate-metadata.json", crate(folder, titles, about, cohort=cohort, profile=profile))
    return [folder / file for file in titles]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def codemeta() -> dict[str, Any]:
    """CodeMeta 3.0 of the software, from ``pyproject.toml`` and ``CITATION.cff``."""
    root = project_root()
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = read_yaml(root / "CITATION.cff", what="citation file")
    return {
        "@context": "https://w3id.org/codemeta/3.0", "@type": "SoftwareSourceCode", "name": about["title"],
        "identifier": project["name"], "description": project["description"], "version": project["version"],
        "license": LICENCE, "keywords": about["keywords"], "programmingLanguage": "Python",
        "runtimePlatform": f"Python {project['requires-python']}", "softwareRequirements": project["dependencies"],
        "author": [{"@type": "Organization", "name": author["name"]} for author in about["authors"]],
    }  # fmt: skip


def croissant(table: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Croissant 1.0 of the table of a simulated cohort: one record a patient, one field a column."""
    name = table.parent.name

    def field(column: str, values: pd.Series) -> dict[str, Any]:
        numbers = values.notna().any()  # a column without a value is read as numbers
        kind = "Integer" if is_integer_dtype(values) else "Float" if numbers and is_float_dtype(values) else "Text"
        return {
            "@type": "cr:Field", "@id": f"participants/{column}", "name": column, "dataType": f"sc:{kind}",
            "source": {"fileObject": {"@id": table.name}, "extract": {"column": column}},
        }  # fmt: skip

    return {
        "@context": {
            "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
            "dct": "http://purl.org/dc/terms/",
            **{one: f"cr:{one}" for one in CROISSANT_NAMES.split()}, "conformsTo": "dct:conformsTo",
            **{one: {"@id": f"cr:{one}", "@type": "@json"} for one in ("data", "examples")},
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        },
        "@type": "sc:Dataset", "name": name, "conformsTo": "http://mlcommons.org/croissant/1.0", "license": LICENCE,
        "description": "Simulated patients with glioma; nobody real is among them. Images are made by "
                       "`radlib phantom make`.",
        "version": about["version"], "citeAs": about["title"], "datePublished": datetime.now(UTC).date().isoformat(),
        "distribution": [{
            "@type": "cr:FileObject", "@id": table.name, "name": table.name, "contentUrl": table.name,
            "encodingFormat": "text/tab-separated-values", "sha256": sha256(table),
        }],
        "recordSet": [{
            "@type": "cr:RecordSet", "@id": "participants", "name": "participants",
            "field": [field(str(column), values) for column, values in pd.read_csv(table, sep="\t").items()],
        }],
    }  # fmt: skip


def model_card(bundle: Path) -> str:
    """The model card of a MONAI bundle in a run's ``bundles/``, with what its chapter measured; Markdown.

    A bundle's name ends in the arm whose first training it is: ``octave_fcn`` is of the arm ``fcn``. Its numbers are
    those of the first study that has the arm, beside the study's arm ``rule``; those on real patients are of the
    table ``real``.
    """
    run = bundle.parents[1]
    results = read_results(run / "results.json")
    known = [one for one in results.measured if not one.minus and one.metric in METRIC_TITLES]
    own = [one for one in known if bundle.name.endswith(f"_{one.arm}")]
    rules = {(one.metric, one.group): one.value for one in known if one.arm == "rule"}
    real = pd.read_csv(file) if (file := run / "tables" / "real.csv").is_file() else pd.DataFrame()
    made = read_json(file) if (file := run / "provenance.json").is_file() else {}
    return environment(title_of=title).get_template("model_card.md.j2").render(
        name=bundle.name, metadata=read_json(bundle / "configs" / "metadata.json"), source=results.source,
        profile=results.profile, measured=[one for one in own if one.study == own[0].study], rules=rules,
        regions=REGION_TITLES, chapter=chapters()[results.chapter], commit=made.get("commit", ""),
        real="; ".join(
            f"{row['network']} on {row['subjects']} real subjects, {row['region']}: Dice {row['mean Dice']:.2f}"
            for row in real.to_dict("records")
        ),
    )  # fmt: skip


def crate(folder: Path, titles: dict[str, str], about: dict[str, Any], *, cohort: str, profile: str) -> dict[str, Any]:
    """The metadata of the crate: RO-Crate 1.1 with the profile Workflow Run Crate 0.5."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made_by = describe()
    ids = [
        f"{RUN_CRATE}/process/0.5",
        f"{RUN_CRATE}/workflow/0.5",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    ]
    kinds = {".json": "application/json", ".yml": "application/yaml", ".md": "text/markdown",
             ".tsv": "text/tab-separated-values"}  # fmt: skip

    authors = {"@id": "#authors"}

    def refer(names: list[str]) -> list[dict[str, str]]:
        return [{"@id": name} for name in names]

    def file(name: str, title: str) -> dict[str, Any]:
        path = folder / name
        return {"@id": name, "@type": "File", "name": title, "encodingFormat": kinds[path.suffix],
                "contentSize": str(path.stat().st_size), "sha256": sha256(path)}  # fmt: skip

    values = {"cohort": cohort if cohort in ("simulated", "real") else "a reader's own", "profile": profile}
    results = [name for name in titles if name.startswith(("results/", "model_cards/"))]
    return {
        "@context": ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"],
        "@graph": [
            {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": [
                {"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": ids[-1]}]},
            {"@id": "./", "@type": "Dataset", "name": f"A build of: {about['title']}",
             "description": f"The results of every chapter that ran on the cohort {values['cohort']} in the profile "
                            f"{profile}, with the workflow that made them, at commit {made_by['commit']}.",
             "license": {"@id": LICENCE}, "datePublished": now, "author": authors, "publisher": authors,
             "conformsTo": refer(ids), "mainEntity": {"@id": "Snakefile"}, "mentions": {"@id": "#run"},
             "hasPart": refer(["Snakefile", "profile.yml", *titles])},
            *({"@id": one, "@type": "CreativeWork", "name": title, "version": one.rpartition("/")[2]} for one, title in
              zip(ids, ("Process Run Crate", "Workflow Run Crate", "Workflow RO-Crate"), strict=True)),
            {"@id": LICENCE, "@type": "CreativeWork", "name": "Apache License 2.0", "identifier": "Apache-2.0"},
            {"@id": "#authors", "@type": "Organization", "name": about["authors"][0]["name"]},
            {"@id": "#snakemake", "@type": "ComputerLanguage", "name": "Snakemake", "alternateName": "Snakemake",
             "identifier": {"@id": "https://snakemake.github.io"}, "url": {"@id": "https://snakemake.github.io"}},
            {"@id": "Snakefile", "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
             "name": "Cohorts, jobs and chapters", "description": "The workflow that makes every chapter's results.",
             "license": {"@id": LICENCE}, "author": authors, "version": about["version"],
             "encodingFormat": "text/plain", "conformsTo": {"@id": f"{BIOSCHEMAS}/ComputationalWorkflow/1.0-RELEASE"},
             "programmingLanguage": {"@id": "#snakemake"}, "input": refer([f"#{name}" for name in values])},
            *({"@id": f"#{name}", "@type": "FormalParameter", "name": name, "additionalType": "Text",
               "conformsTo": {"@id": f"{BIOSCHEMAS}/FormalParameter/1.0-RELEASE"}} for name in values),
            *({"@id": f"#{name}-value", "@type": "PropertyValue", "name": name, "value": value,
               "exampleOfWork": {"@id": f"#{name}"}} for name, value in values.items()),
            {"@id": "#run", "@type": "CreateAction", "name": "The build", "instrument": {"@id": "Snakefile"},
             "description": f"On {made_by['platform']}, {made_by['device']}.", "endTime": now,
             "actionStatus": "http://schema.org/CompletedActionStatus", "agent": authors,
             "object": refer([*(f"#{name}-value" for name in values), "profile.yml"]), "result": refer(results)},
            *(file(name, title) for name, title in {"profile.yml": f"The profile {profile}", **titles}.items()),
        ],
    }  # fmt: skip
