"""``radlib chapter``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radlib.cli.messages import Profile, console, table, whole_path

if TYPE_CHECKING:
    from radlib.book.registry import Chapter

app = typer.Typer(help="Run chapters and build the book.", no_args_is_help=True)


Name = Annotated[str, typer.Argument(help="The chapter.")]
Cohort = Annotated[str, typer.Option(help="simulated, real, or the path of a cohort description.", callback=whole_path)]
Seed = Annotated[int, typer.Option(help="Seed of every random number.")]
Parameters = Annotated[list[str] | None, typer.Option("--parameter", "-p", help="name=value; repeatable.")]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]


def _chapter(name: str, parameter: list[str] | None) -> tuple[Chapter, dict[str, Any]]:
    """The chapter, and what the command line sets its parameters to."""
    from radlib.book.parameters import declared_parameters, parse_override
    from radlib.book.registry import chapter

    found = chapter(name)
    declared = declared_parameters(found.source)
    return found, dict(parse_override(text, declared) for text in parameter or [])


def _refuse_gone(cohort: str) -> None:
    """Refuse to make pages of a cohort whose description is not there: each would say that nothing has run."""
    from radlib.core.errors import RadlibError
    from radlib.core.paths import is_description

    if is_description(cohort) and not Path(cohort).is_file():
        raise RadlibError("there is no cohort description", file=cohort, remedy="check the path of --cohort")


def _commands() -> Any:
    """The whole command line, for its page of the book."""
    from radlib.cli import app as everything

    return typer.main.get_command(everything)


@app.command("list")
def list_chapters() -> None:
    """List the chapters: what each opens and reads."""
    from radlib.book.registry import chapters

    rows = table("chapter", "title", "papers", "cohorts", "needs")
    for name, one in chapters().items():
        rows.add_row(name, one.title, ", ".join(one.papers), ", ".join(one.cohorts), ", ".join(one.needs))
    console().print(rows)


@app.command()
def parameters(
    name: Name,
    cohort: Cohort = "simulated",
    profile: Profile = "default",
) -> None:
    """Show a chapter's parameters with what a profile sets them to."""
    from radlib.book.parameters import declared_parameters, resolve
    from radlib.book.registry import chapter

    found = chapter(name)
    chosen = resolve(found, profile=profile, cohort=cohort)
    rows = table("parameter", "type", "value", "meaning")
    for item in declared_parameters(found.source).values():
        value = chosen.get(item.name, item.default)
        rows.add_row(item.name, item.type, repr(value) + (" *" if item.name in chosen else ""), item.help)
    console().print(rows)
    typer.echo(f"* set by profile {profile}")


@app.command()
def run(
    name: Name,
    cohort: Cohort = "simulated",
    profile: Profile = "default",
    seed: Seed = 0,
    parameter: Parameters = None,
    threads: Threads = 1,
    timeout: Annotated[int | None, typer.Option(help="Limit for one cell in seconds.")] = None,
) -> None:
    """Run one chapter; its results lie in runs/<cohort>/<profile>/<chapter>/."""
    from radlib.book.run import run_chapter

    found, overrides = _chapter(name, parameter)
    path = run_chapter(
        found, cohort=cohort, profile=profile, seed=seed, overrides=overrides, threads=threads, timeout_s=timeout
    )
    typer.echo(path)


@app.command()
def cohort(
    role: Annotated[str, typer.Argument(help="brats2017, tcga-gbm, tcga-idh, huashan or rembrandt.")],
    profile: Profile = "default",
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Make the simulated cohort that a profile's chapters read."""
    from radlib.book.prepare import make_role

    typer.echo(make_role(role, profile=profile, seed=seed, jobs=jobs))


@app.command()
def publish(
    name: Annotated[str | None, typer.Argument(help="The chapter; all of them without a name.")] = None,
    cohort: Cohort = "simulated",
    profile: Profile = "default",
) -> None:
    """Put executed chapters and the generated pages into the sources of the book."""
    from radlib.book.publish import publish_chapter, write_generated_pages
    from radlib.book.registry import chapter, chapters

    _refuse_gone(cohort)
    for found in [chapter(name)] if name else chapters().values():
        publish_chapter(found, cohort=cohort, profile=profile)
    write_generated_pages(cohort=cohort, profile=profile, commands=_commands())


@app.command()
def book(cohort: Cohort = "simulated", profile: Profile = "default") -> None:
    """Build the book from what has run; a chapter without results gets a page that says so."""
    from radlib.book.publish import build_book

    _refuse_gone(cohort)
    typer.echo(build_book(cohort=cohort, profile=profile, commands=_commands()))


@app.command()
def pdf() -> None:
    """Print the built book: one PDF with page numbers and an outline. Needs Chromium."""
    from radlib.book.pdf import print_book

    typer.echo(print_book())


@app.command()
def keep(
    name: Name,
    cohort: Cohort = "real",
    profile: Profile = "default",
) -> None:
    """Keep a run's tables and provenance under published/, for readers who cannot run it."""
    from radlib.book.kept import keep_run
    from radlib.book.registry import chapter

    typer.echo(keep_run(chapter(name).name, cohort=cohort, profile=profile))


@app.command()
def diff(
    name: Name,
    cohort: Cohort = "simulated",
    profile: Profile = "default",
) -> None:
    """Show what a run in JupyterLab changes against the book's run, or the book's run against the kept one."""
    from radlib.book.diff import difference, runs_to_compare
    from radlib.book.registry import chapter

    before, after = runs_to_compare(chapter(name).name, cohort=cohort, profile=profile)
    found = difference(before, after)
    typer.echo(f"before: {before}\nafter:  {after}")
    if found.empty:
        typer.echo("no parameter, value or table differs")
        return
    rows = table(*found.columns)
    for row in found.astype(object).where(found.notna(), "").itertuples(index=False):
        rows.add_row(*(f"{one:.4g}" if isinstance(one, float) else str(one) for one in row))
    console().print(rows)
    numbers = found[found["what"] != "parameter"].dropna(subset="difference").to_dict("records")
    if numbers:
        largest = max(numbers, key=lambda row: abs(row["difference"]))
        typer.echo(f"largest difference: {largest['difference']:.4g} ({largest['what']} {largest['name']})")


@app.command()
def sync() -> None:
    """Make or update the paired .ipynb of every chapter and the start page, for JupyterLab."""
    from radlib.book.parameters import write_paired
    from radlib.book.registry import chapters
    from radlib.book.start import write_start

    for found in chapters().values():
        typer.echo(write_paired(found))
    typer.echo(write_start())
