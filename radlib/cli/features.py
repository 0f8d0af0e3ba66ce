"""``radlib features``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Extract hand-crafted features.", no_args_is_help=True)
