"""``radlib synthesise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radlib.cli.messages import open_given, report_failed, whole_path


def synthesise(
    cohort: Annotated[Path, typer.Argument(help="Folder of a cohort, or a description (.yml).")],
    missing: Annotated[str, typer.Option(help="The modality to fill in: t1, t1ce, t2 or flair.")],
    out: Annotated[Path, typer.Option(help="The folder for the synthetic images.")],
    trained_on: Annotated[
        str,
        typer.Option(
            help="The cohort of the chapter modality_synthesis whose generators are taken.", callback=whole_path
        ),
    ] = "simulated",
    profile: Annotated[str, typer.Option(help="The profile of that chapter.")] = "default",
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Synthesise a modality for every subject that lacks it; an interrupted run goes on where it stopped.

    Synthetic images say so in their names and in their NIfTI headers. They are not for diagnosis.
    """
    from radlib.book.plan import study_of
    from radlib.core.files import only_writer
    from radlib.papers.islam2020.fill import fill_in

    opened = open_given(cohort)
    fillers = study_of("modality_synthesis", "fillers", cohort=trained_on, profile=profile, seed=0)
    with only_writer(out):
        table = fill_in(
            opened, missing=missing, generators=fillers.arms.get(missing, ()), out=out, seed=seed, device=device
        )
    failed = table[table["state"].str.startswith("failed: ")].set_index("subject")["state"].str.removeprefix("failed: ")
    for state, count in table["state"][~table["subject"].isin(failed.index)].value_counts().items():
        typer.echo(f"{count} subjects: {state}")
    typer.echo(out / "synthetic.tsv")
    report_failed({str(subject): reason for subject, reason in failed.items()})
