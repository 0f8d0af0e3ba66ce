"""``radlib synthesise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radlib.cli.messages import report_failed


def synthesise(
    cohort: Annotated[Path, typer.Argument(help="Folder of a cohort, or a description (.yml).")],
    missing: Annotated[str, typer.Option(help="The modality to fill in: t1, t1ce, t2 or flair.")],
    out: Annotated[Path, typer.Option(help="The folder for the synthetic images.")],
    weights: Annotated[
        Path | None,
        typer.Option(
            help="A generator's weights, or a folder of them; those of the chapter modality_synthesis if left out."
        ),
    ] = None,
    profile: Annotated[str, typer.Option(help="The profile of that chapter's run.")] = "default",
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Synthesise a modality for every subject that lacks it; an interrupted run goes on where it stopped.

    Synthetic images say so in their names and in their NIfTI headers. They are not for diagnosis.
    """
    from radlib.core.errors import RadlibError
    from radlib.core.paths import run_dir
    from radlib.data.sources import open_path
    from radlib.papers.islam2020.fill import fill_in

    opened = open_path(cohort)
    place = weights or run_dir(cohort="simulated", profile=profile, chapter="modality_synthesis") / "weights"
    files = sorted(place.glob(f"{missing}_from_*.safetensors")) if place.is_dir() else [place]
    if not files:
        raise RadlibError(
            f"there is no generator of {missing}", file=place,
            remedy="run: radlib chapter run modality_synthesis",
        )  # fmt: skip
    table = fill_in(opened, missing=missing, weights=files, out=out, seed=seed, device=device)
    failed = table[table["state"].str.startswith("failed: ")].set_index("subject")["state"].str.removeprefix("failed: ")
    for state, count in table["state"][~table["subject"].isin(failed.index)].value_counts().items():
        typer.echo(f"{count} subjects: {state}")
    typer.echo(out / "synthetic.tsv")
    report_failed({str(subject): reason for subject, reason in failed.items()})
