"""``radlib phantom``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make the simulated glioma cohort.", no_args_is_help=True)


@app.callback()
def phantom() -> None:
    """Make the simulated glioma cohort."""


@app.command()
def make(
    template: Annotated[
        str,
        typer.Option(
            "--template",
            "-t",
            metavar="NAME",
            help="brats2017, tcga-gbm, tcga-idh, huashan, rembrandt, or a .yml file.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the cohort.")],
    n: Annotated[int | None, typer.Option("--n", "-n", help="Subjects; the template's own number if left out.")] = None,
    grid: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z", help="Voxels, e.g. 96,96,64 or 240,240,155; the template's if left out."),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(metavar="MM", help="One or three numbers; the finest at which the brain fits if left out."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Subjects at the same time; 0 is one a core.")] = 1,
    strength: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Strength of a causal arrow, over the preset; may be repeated."),
    ] = None,
    mechanism: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Strength of what makes images hard, 0 to 3; 'all' sets the rest; may be repeated.",
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Strengths of the causal arrows: signal or null.")] = "signal",
    truth_images: Annotated[bool, typer.Option("--truth-images", help="Keep the un-noised images too.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "cpu",
) -> None:
    """Simulate a cohort and write it in BraTS layout; an interrupted run goes on where it stopped."""
    from radlib.phantom.make import make as make_cohort

    cohort = make_cohort(
        template,
        out=out,
        n=n,
        grid=None if grid is None else _integers(grid),
        spacing=None if spacing is None else _spacing(spacing),
        seed=seed,
        jobs=jobs,
        preset=preset,
        strengths=_numbers(strength, option="--strength", example="idh->survival=0"),
        mechanisms=_numbers(mechanism, option="--mechanism", example="vessels=0"),
        truth_images=truth_images,
        device=device,
    )
    typer.echo(f"{cohort.name}: {len(cohort)} subjects in {out}")


def _numbers(texts: list[str] | None, *, option: str, example: str) -> dict[str, float]:
    from radlib.core.errors import RadlibError

    numbers: dict[str, float] = {}
    for text in texts or []:
        name, _, value = text.partition("=")
        try:
            numbers[name.strip()] = float(value)
        except ValueError:
            remedy = f"give e.g. {option} '{example}'"
            raise RadlibError(f"{option} {text!r} is not NAME=NUMBER", remedy=remedy) from None
    return numbers


def _integers(text: str) -> tuple[int, int, int]:
    from radlib.core.errors import RadlibError

    try:
        x, y, z = (int(part) for part in text.split(","))
    except ValueError:
        raise RadlibError(f"--grid {text!r} is not three whole numbers", remedy="give e.g. 96,96,64") from None
    return x, y, z


def _spacing(text: str) -> float | tuple[float, float, float]:
    from radlib.core.errors import RadlibError

    try:
        parts = [float(part) for part in text.split(",")]
        if len(parts) == 1:
            return parts[0]
        x, y, z = parts
    except ValueError:
        raise RadlibError(f"--spacing {text!r} is not one or three numbers", remedy="give e.g. 2.0") from None
    return x, y, z
