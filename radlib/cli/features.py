"""``radlib features``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from radlib.cli.messages import console, open_given, report_failed, table

app = typer.Typer(help="Extract hand-crafted features.", no_args_is_help=True)


@app.command("list")
def list_presets() -> None:
    """List the feature sets."""
    from radlib.features.presets import PRESETS

    rows = table("preset", "version", "features", "what it is")
    for item in PRESETS.values():
        count = len(item.names(item.parse(None)))
        rows.add_row(item.name, str(item.version), str(count), item.description)
    console().print(rows)


@app.command()
def extract(
    cohort: Annotated[
        Path, typer.Argument(help="Folder of a cohort (with participants.tsv), or a description (.yml).")
    ],
    preset: Annotated[str, typer.Option(help="The feature set; `radlib features list` names them.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    settings: Annotated[Path | None, typer.Option(help="YAML with settings of the preset.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes; on a GPU, threads that overlap reading.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "cpu",
) -> None:
    """Extract a feature set from every subject of a cohort; an interrupted run goes on where it stopped."""
    from radlib.core.device import pick_device
    from radlib.core.errors import RadlibError
    from radlib.core.files import only_writer, read_yaml
    from radlib.features.extract import extract_cohort
    from radlib.features.presets import preset as find_preset

    values = None if settings is None else read_yaml(settings, what="settings of a preset")
    opened = open_given(cohort)
    find_preset(preset).parse(values, file=settings)  # its error names the file
    with only_writer(out):
        try:
            done = extract_cohort(
                opened, preset=preset, out=out, settings=values, jobs=jobs, device=pick_device(device)
            )
        except json.JSONDecodeError as error:
            parts = out.with_name(out.name + ".parts")
            raise RadlibError(
                f"what an interrupted run has left is damaged ({error})", file=parts, remedy="remove this folder"
            ) from error
    typer.echo(f"{len(done.features)} subjects, {done.features.shape[1]} features: {done.file}")
    report_failed(done.failed)
