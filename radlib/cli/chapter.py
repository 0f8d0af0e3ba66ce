"""``radlib chapter``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Run chapters and build the book.", no_args_is_help=True)
