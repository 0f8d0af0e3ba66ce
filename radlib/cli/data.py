"""``radlib data``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from radlib.data.check import CheckReport, Finding
    from radlib.data.manifests import Address, File, Images, Manifest

app = typer.Typer(help="Data sets: what to obtain, and whether it is whole.", no_args_is_help=True)

_Root = Annotated[
    Path | None, typer.Option("--root", help="The data root; without it $RADLIB_DATA.", show_default=False)
]


@app.command("list")
def list_() -> None:
    """List the data sets: access, size, and the papers that use them."""
    from rich.table import Table

    from radlib.data.manifests import load_manifests

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    for header in ("what", "access", "holds", "papers"):
        table.add_column(header)
    for manifest in load_manifests():
        table.add_row(
            manifest.name,
            manifest.title,
            f"[{_COLOURS[manifest.access]}]{manifest.access}[/]",
            _size(manifest),
            ", ".join(manifest.papers),
        )
    console = _console()
    console.print(table)
    console.print("\n`radlib data show NAME` says where to obtain one and how it lies on disk.", style="dim")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The data set; `radlib data list` names them.")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show one data set: source, terms, layout, columns, labels, checksums."""
    from radlib.data.manifests import load_manifest

    manifest = load_manifest(name)
    if json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    console = _console()
    console.print(f"[bold]{manifest.name}[/]: {manifest.title}\n{manifest.description}\n")
    facts = {
        "version": manifest.version,
        "doi": manifest.doi or "none",
        "access": manifest.access,
        "licence": manifest.licence,
        "terms": manifest.terms,
        "cite": manifest.citation,
        "layout": manifest.layout,
        "shares subjects with": ", ".join(manifest.overlaps),
    }
    _print_facts(console, {key: value for key, value in facts.items() if value})
    if manifest.addresses:
        console.print("\n[bold]addresses[/]")
        for address in manifest.addresses:
            _print_address(console, address)
    if manifest.images is not None:
        _print_images(console, manifest.images)
    for file in manifest.files:
        _print_file(console, file)
    _print_steps(console, manifest)


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
        _print_report(_console(), report)
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
    console = _console()
    outcomes = fetch_files(manifest, folder.expanduser(), overwrite=overwrite)
    for path, outcome in outcomes.items():
        console.print(f"{outcome:>13}  {path}", soft_wrap=True, highlight=False)
    optional = {file.path for file in manifest.files if file.optional}
    remains = manifest.images is not None or not manifest.files
    remains |= any(outcome == "by hand" and path not in optional for path, outcome in outcomes.items())
    if remains:
        if manifest.access != "open":
            console.print(f"\n{manifest.name} is not open ({manifest.access}). {manifest.terms}")
        for address in manifest.addresses:
            _print_address(console, address)
        _print_steps(console, manifest)
        raise typer.Exit(1)


_COLOURS = {"open": "green", "registration": "yellow", "private": "red", "error": "red", "note": "yellow"}


def _console() -> Console:
    import sys

    from rich.console import Console

    # Without a terminal (a pipe, a log) there is no width to keep to.
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


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


def _print_facts(console: Console, facts: dict[str, str]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        table.add_row(key, _plain(value))
    console.print(table)


def _print_address(console: Console, address: Address) -> None:
    mark = f"[dim]confirmed by {_plain(address.confirmed_by or '')}[/]" if address.verified else "[red]not verified[/]"
    console.print(f"  {address.url}\n    {_plain(address.what)}; {mark}", soft_wrap=True)


def _print_images(console: Console, images: Images) -> None:
    console.print("\n[bold]images[/]")
    facts = {
        "example": images.example,
        "folders": ", ".join((*images.folders, "the root itself")),
        "subjects": str(images.subjects or "not fixed"),
        "shape": " x ".join(map(str, images.shape)) + " voxels" if images.shape else "differs",
        "spacing": " x ".join(f"{value:g}" for value in images.spacing) + " mm" if images.spacing else "differs",
    }
    for name, image in images.images.items():
        facts[name] = image.meaning + (", may be missing" if image.optional else "")
        if image.labels:
            facts[name] += ": " + ", ".join(f"{value} {label}" for value, label in image.labels.items())
    _print_facts(console, facts)


def _print_file(console: Console, file: File) -> None:
    from rich.table import Table

    console.print(f"\n[bold]{file.path}[/]: {_plain(file.what)}{' (optional)' if file.optional else ''}")
    if file.sha256:
        console.print(f"  SHA-256 {file.sha256}", soft_wrap=True)
    if file.address:
        _print_address(console, file.address)
    if file.table is None:
        return
    console.print(f"  {file.table.format}, {file.table.rows} rows, {file.table.fields} columns")
    table = Table(box=None, pad_edge=True, header_style="dim")
    for header in ("column", "type", "unit", "meaning"):
        table.add_column(header, overflow="fold")
    for column in file.table.columns:
        label = (
            column.name
            if column.name is not None
            else f"{column.pattern}" + (f" ({column.count})" if column.count else "")
        )
        kind = " | ".join(column.values) if column.values else column.type
        table.add_row(_plain(label), _plain(kind), _plain(column.unit or ""), _plain(column.meaning))
    console.print(table)
    for known in file.table.known:
        console.print(f"  known: {known.kind}, {_plain(known.columns or 'any column')}: {_plain(known.note)}")


def _print_steps(console: Console, manifest: Manifest) -> None:
    if manifest.steps:
        console.print("\n[bold]steps[/]")
    for number, step in enumerate(manifest.steps, start=1):
        console.print(f"  {number}. {_plain(step)}")


def _print_report(console: Console, report: CheckReport) -> None:
    from rich.table import Table

    from radlib.data.findings import plural

    if report.findings:
        table = Table(header_style="bold", show_lines=False, expand=False)
        for header in ("", "problem", "where", "what"):
            table.add_column(header, overflow="fold")
        for finding in report.errors + report.notes:
            colour = _COLOURS[finding.severity]
            table.add_row(
                f"[{colour}]{finding.severity}[/]", finding.kind, _plain(_place(finding)), _plain(finding.message)
            )
        console.print(table)
    read = [plural(report.subjects, "subject"), plural(report.images, "image")] if report.images else []
    read += [plural(report.tables, "table")] if report.tables else []
    read += [f"{report.bytes / 1e6:.1f} MB read in {report.seconds:.1f} s"]
    console.print(f"{', '.join(report.datasets)}: {', '.join(read)}")
    if report.ok:
        console.print(f"[green]no errors[/], {plural(len(report.notes), 'note')}")
    else:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(report.counts().items()))
        console.print(f"[red]{plural(len(report.errors), 'error')}[/] ({kinds}), {plural(len(report.notes), 'note')}")


def _place(finding: Finding) -> str:
    """The file, or else the subject, or else the data set."""
    return finding.file or " ".join(part for part in (finding.dataset, finding.subject) if part)


def _plain(text: str) -> str:
    """Text in which square brackets are no markup."""
    from rich.markup import escape

    return escape(text)
