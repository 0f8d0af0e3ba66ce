"""``radlib cohort``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radlib.cli.messages import Profile, console, open_given, table

if TYPE_CHECKING:
    from radlib.data.cohort import Cohort

app = typer.Typer(help="Describe, check and convert cohorts.", no_args_is_help=True)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder with images, tables or both.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The description to write.")] = Path("cohort.yml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing description.")] = False,
) -> None:
    """Look at a folder and write a commented description of it, to be corrected by you."""
    from radlib.core.errors import RadlibError
    from radlib.core.files import check_target, write_text
    from radlib.data.readers.draft import draft

    if out.suffix not in (".yml", ".yaml"):
        raise RadlibError("a description is YAML", file=out, remedy="give --out a name that ends in .yml")
    if out.exists() and not force:
        raise RadlibError("the description exists", file=out, remedy="give --force to replace it, or another --out")
    check_target(out)
    text = draft(folder)
    write_text(out, text)
    typer.echo(f"{out} written. Read it, correct it, then: radlib cohort check {shlex.quote(str(out))}")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A cohort description (.yml) or a cohort folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    images: Annotated[
        bool, typer.Option("--images", help="Read every voxel, not only whether files are there.")
    ] = False,
) -> None:
    """Read a cohort, say what is in it and what is wrong with it. Exit code 1 if anything is."""
    from radlib.core.errors import RadlibError
    from radlib.data.inspection import image_problems, label_problems, summary
    from radlib.data.readers.draft import first_rows

    problems: list[str] = []
    found: dict[str, Any] = {}
    try:
        cohort = _open(str(file))
        cohort.validate()
        found = summary(cohort)
        if images:
            problems = image_problems(cohort)
        else:  # whether labels can be read in two ways only they can tell
            unstated = cohort.participants["label_encoding"].isna() & cohort.participants["seg"].notna()
            problems = [text for subject in cohort.ids if unstated[subject] for text in label_problems(cohort, subject)]
    except RadlibError as error:
        problems = [str(error)]
    if as_json:
        typer.echo(json.dumps({"file": str(file), "ok": not problems, "problems": problems, **found}, indent=2))
    else:
        if found:
            _print_summary(found)
            typer.echo(f"The first rows as they were understood:\n{first_rows(cohort).to_string(na_rep='')}")
        for problem in problems:
            typer.secho(problem, fg="red", err=True)
        if not problems:
            typer.secho("No problems found.", fg="green")
    if problems:
        raise typer.Exit(1)


@app.command()
def show(
    cohort: Annotated[str, typer.Argument(help="A role such as tcga-idh, a cohort folder, or a description (.yml).")],
    source: Annotated[str, typer.Option(help="For a role: simulated or real.")] = "simulated",
    profile: Profile = "default",
    root: Annotated[Path | None, typer.Option(help="For a real role: the data root, else RADLIB_DATA.")] = None,
    rows: Annotated[int, typer.Option(help="Print so many rows of the participants too.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a cohort holds."""
    from radlib.data.inspection import summary

    opened = _open(cohort, source=source, profile=profile, root=root)
    found = summary(opened)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    _print_summary(found)
    if rows:
        table = opened.participants.dropna(axis=1, how="all").head(rows)
        typer.echo(table.to_string(na_rep=""))


def _open(cohort: str, *, source: str = "simulated", profile: str = "default", root: Path | None = None) -> Cohort:
    from radlib.data.sources import ROLES, open_cohort

    if cohort in ROLES:
        return open_cohort(cohort, cohort=source, profile=profile, root=root)
    if Path(cohort).is_dir():
        return open_given(Path(cohort))
    return open_cohort(next(iter(ROLES)), cohort=cohort)


def _print_summary(found: dict[str, Any]) -> None:
    out = console()
    out.print(f"{found['name']} ({found['source']}): {found['n_subjects']} subjects in {found['root']}", soft_wrap=True)
    columns = table("column", "known", "content")
    for column, entry in found["columns"].items():
        if "values" in entry:
            content = ", ".join(f"{value}: {count}" for value, count in entry["values"].items())
        elif "median" in entry:
            content = f"{entry['min']:g} to {entry['max']:g}, median {entry['median']:g}"
        else:
            content = ""
        columns.add_row(column, str(entry["known"]), content)
    out.print(columns)
    for name, of in (("expression", "genes"), ("radiomics", "features")):
        if found[name]:
            out.print(f"{name}: {found[name][0]} subjects x {found[name][1]} {of}")
    for note in found["notes"]:
        out.print(f"- {note}", soft_wrap=True)
