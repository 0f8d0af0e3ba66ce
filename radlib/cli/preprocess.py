"""``radlib preprocess``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Image = Annotated[Path | None, typer.Option(help="NIfTI file, or a folder of DICOM files.")]


def preprocess(
    subject: Annotated[str, typer.Option(help="Name of the patient.")],
    out: Annotated[Path, typer.Option(help="The folder for the images.")],
    t1: Image = None,
    t1ce: Image = None,
    t2: Image = None,
    flair: Image = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="The brain, on the grid of T1ce (or of the first of T1, FLAIR, T2 that is there)."),
    ] = None,
    stripped: Annotated[bool, typer.Option("--stripped", help="The images have no skull already.")] = False,
    registration: Annotated[str, typer.Option(help="simpleitk, or ants from the extra preprocess.")] = "simpleitk",
    bias_correction: Annotated[bool, typer.Option(help="N4 before registration.")] = True,
) -> None:
    """Make raw images of a patient like BraTS: registered, skull-stripped, 1 mm; every step is recorded.

    DICOM folders need dcm2niix, skull-stripping needs HD-BET (or --mask, or --stripped).
    """
    from radlib.data.preprocess import preprocess as run

    given = {"t1": t1, "t1ce": t1ce, "t2": t2, "flair": flair}
    record = run(
        {name: path for name, path in given.items() if path is not None},
        subject=subject, out=out, mask=mask, stripping="none" if stripped else "hd-bet",
        registration=registration,  # type: ignore[arg-type]  # checked there
        bias_correction=bias_correction,
    )  # fmt: skip
    for step in record["steps"]:
        typer.echo(f"- {step}")
    typer.echo(out / subject)
