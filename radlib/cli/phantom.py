"""``radlib phantom``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Make the simulated glioma cohort.", no_args_is_help=True)
