"""``radlib data``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Data sets: what to obtain, and whether it is whole.", no_args_is_help=True)
