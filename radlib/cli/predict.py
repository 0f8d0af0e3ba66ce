"""``radlib predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radlib.cli.messages import Profile, open_given, report_failed


def predict(
    cohort: Annotated[Path, typer.Argument(help="Folder of a cohort, or a description (.yml).")],
    out: Annotated[Path, typer.Option(help="The folder for segmentations, pages and predictions.tsv.")],
    subject: Annotated[list[str] | None, typer.Option(help="Only this patient; repeatable.")] = None,
    profile: Profile = "default",
    n_boot: Annotated[int, typer.Option(help="Refits behind the intervals.", min=2)] = 100,
    seed: Annotated[int, typer.Option(help="Seed of noise and resamples.")] = 0,
) -> None:
    """Segment patients and predict IDH and survival; a page a patient. NOT for clinical use.

    The networks are those that the chapters modality_synthesis and octave_segmentation have trained on simulated
    patients; the models are fitted on the simulated cohorts of the profile.
    """
    from radlib.core.files import only_writer
    from radlib.papers.across.predict.run import predict as run

    opened = open_given(cohort)
    with only_writer(out):
        table = run(opened, out=out, subjects=subject, profile=profile, n_boot=n_boot, seed=seed)
    typer.echo(f"{len(table)} patients: {out / 'predictions.tsv'}, and a page each. Not for clinical use.")
    report_failed(table.attrs["failed"])
