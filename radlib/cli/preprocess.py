"""``radlib preprocess``."""

from __future__ import annotations

from collections.abc import Mapping
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
    from radlib.core.files import only_writer, part_of_a_path
    from radlib.data.preprocess import preprocess as run

    named = {"t1": t1, "t1ce": t1ce, "t2": t2, "flair": flair}
    given = {name: path for name, path in named.items() if path is not None}
    with only_writer(out / part_of_a_path(subject, what="subject")):
        _refuse_contradictions(named, subject=subject, out=out, mask=mask, stripped=stripped)
        record = run(
            given,
            subject=subject, out=out, mask=mask, stripping="none" if stripped else "hd-bet",
            registration=registration,  # type: ignore[arg-type]  # checked there
            bias_correction=bias_correction,
        )  # fmt: skip
    for step in record["steps"]:
        typer.echo(f"- {step}")
    typer.echo(out / subject)


def _refuse_contradictions(
    named: Mapping[str, Path | None], *, subject: str, out: Path, mask: Path | None, stripped: bool
) -> None:
    """Refuse what would end in images that are not what their names say.

    Raises:
        RadlibError: for one file under two modalities, a mask of images that are stripped already, a patient who is
            finished already, and images that an earlier, other call has left in the patient's folder.
    """
    from radlib.core.errors import RadlibError

    if mask is not None and stripped:
        raise RadlibError("--mask and --stripped say two things of the skull", remedy="give one of them")
    there = {name: path for name, path in named.items() if path is not None and path.exists()}
    for name, path in there.items():
        for other, same in there.items():
            if name < other and path.samefile(same):
                raise RadlibError(f"{name} and {other} are one file", file=path, remedy="give each its own image")
    home = out / subject
    if (home / f"{subject}_steps.json").is_file():
        raise RadlibError(
            f"subject {subject!r} is finished already", file=home,
            remedy="remove this folder to make it anew, or give another --subject or --out",
        )  # fmt: skip
    for name in (name for name, path in named.items() if path is None):
        if (left := home / f"{subject}_{name}.nii.gz").is_file():
            raise RadlibError(
                f"an image that is not made now lies in the folder of subject {subject!r}", file=left,
                remedy=f"remove it, or give --{name} too: it may be another patient's",
            )  # fmt: skip
