"""``radlib cohort``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Describe, check and convert cohorts.", no_args_is_help=True)
