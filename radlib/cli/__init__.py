"""The command line: ``radlib --help``.

Each group lives in a module of its own and imports what it needs inside its commands, so that
``radlib --help`` answers before torch could load.
"""

from __future__ import annotations

import io
import sys

import typer

from radlib.cli import chapter, cohort, data, features, phantom, study
from radlib.cli.messages import as_message
from radlib.cli.predict import predict
from radlib.cli.preprocess import preprocess
from radlib.cli.synthesise import synthesise

app = typer.Typer(
    name="radlib",
    help="Data, cohorts, features and chapters of the glioma MRI book.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(cohort.app, name="cohort")
app.add_typer(phantom.app, name="phantom")
app.add_typer(features.app, name="features")
app.add_typer(chapter.app, name="chapter")
app.add_typer(study.app, name="study")
app.command()(synthesise)
app.command()(predict)
app.command()(preprocess)


@app.callback(invoke_without_command=True)
def version(show: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if show:
        from radlib import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point: what the user can mend is a message and exit code 2, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows ASCII only gets the rest as \\u....
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Exception as error:
        message = as_message(error)
        if message is None:
            raise
        typer.secho(f"radlib: {message}", err=True, fg="red")
        sys.exit(2)
