"""``radlib study``."""

from __future__ import annotations

from typing import Annotated

import typer

from radlib.cli.messages import Profile, console, table, whole_path
from radlib.core.settings import GPU_CORES

app = typer.Typer(help="The expensive work behind the chapters: list, compute, keep, check.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Chapters; all without a name.")]
Cohort = Annotated[str, typer.Option(help="simulated, real, or the path of a cohort description.", callback=whole_path)]
Seed = Annotated[int, typer.Option(help="Seed of every random number.")]


@app.command("list")
def list_jobs(names: Names = None, cohort: Cohort = "simulated", profile: Profile = "default", seed: Seed = 0) -> None:
    """List every job: its chapter, study and arm, and where its result lies."""
    from radlib.book.plan import plans
    from radlib.study.store import find

    for chapter, studies in plans(names, cohort=cohort, profile=profile, seed=seed).items():
        for study in studies.values():
            for arm, jobs in study.arms.items():
                for run, job in enumerate(jobs):
                    found = find(job)
                    where = found.origin if found else "missing"
                    typer.echo(f"{job.fingerprint}  {where:8}{chapter}.{study.name}  {arm} {run}  {job.title}")


@app.command()
def status(names: Names = None, cohort: Cohort = "simulated", profile: Profile = "default", seed: Seed = 0) -> None:
    """Say for every chapter how many jobs are kept, here and missing, and what computing these would cost."""
    from radlib.book.plan import jobs_of, plans
    from radlib.study.store import find, infos, jobs_root, kept_root

    known: dict[str, list[float]] = {}
    for root in (jobs_root(), kept_root()):
        for info in infos(root).values():
            known.setdefault(info["function"], []).append(info["seconds"])
    rows = table("chapter", "jobs", "kept", "here", "missing", "to compute")
    absent: dict[str, str] = {}
    for chapter, studies in plans(names, cohort=cohort, profile=profile, seed=seed, lacking=absent).items():
        jobs = jobs_of({chapter: studies})
        found = [find(job) for job in jobs]
        origins = [one.origin for one in found if one]
        lacking = [job for job, one in zip(jobs, found, strict=True) if one is None]
        costs = [known.get(job.function.name) for job in lacking]
        seconds = sum(sum(one) / len(one) for one in costs if one)
        cost = f"about {seconds / 60:.0f} min" if all(costs) else f"over {seconds / 60:.0f} min" if any(costs) else "?"
        counts = (len(jobs), origins.count("kept"), origins.count("here"), len(lacking))
        rows.add_row(chapter, *map(str, counts), cost if lacking else "")
    console().print(rows)
    for chapter, why in absent.items():
        typer.echo(f"{chapter}: not known yet, {why}")


@app.command()
def run(
    names: Names = None,
    cohort: Cohort = "simulated",
    profile: Profile = "default",
    seed: Seed = 0,
    study: Annotated[list[str] | None, typer.Option(help="Only these studies; repeatable.")] = None,
    part: Annotated[int, typer.Option(help="Which share of the jobs, from 1.", min=1)] = 1,
    parts: Annotated[int, typer.Option(help="Of how many shares.", min=1)] = 1,
    processes: Annotated[int, typer.Option(help="Processes that divide the jobs among them.", min=1)] = 1,
) -> None:
    """Compute what lacks. What is there is left alone, and what was killed is gone on with."""
    import subprocess
    import sys

    from radlib.book.plan import plans
    from radlib.core.errors import RadlibError
    from radlib.study.studies import in_order, missing, run_jobs

    if part > parts:
        raise RadlibError(f"there is no part {part} of {parts}", remedy=f"give a part from 1 to {parts}")
    found = plans(names, cohort=cohort, profile=profile, seed=seed)
    chosen = [one for studies in found.values() for one in studies.values() if not study or one.name in study]
    if study and (unknown := set(study) - {one.name for one in chosen}):
        named = sorted({one for studies in found.values() for one in studies})
        raise RadlibError(f"there is no study {min(unknown)!r}", remedy=f"choose among {', '.join(named)}")
    if processes > 1:
        common = ["--cohort", cohort, "--profile", profile, "--seed", str(seed)]
        common += [word for one in study or [] for word in ("--study", one)]
        shares = [
            subprocess.Popen([
                sys.executable, "-m", "radlib.cli", "study", "run", *(names or []), *common,
                "--part", str((part - 1) * processes + number), "--parts", str(parts * processes),
            ])
            for number in range(1, processes + 1)
        ]  # fmt: skip
        codes = [process.wait() for process in shares]
        if any(codes):
            raise typer.Exit(1)
        return
    everything = in_order(job for one in chosen for job in one.jobs())
    mine = everything[part - 1 :: parts]
    run_jobs(missing(mine), name="study")


@app.command()
def costs(names: Names = None, cohort: Cohort = "simulated", profile: Profile = "default", seed: Seed = 0,
          gpu: Annotated[float, typer.Option(help="How many times as fast a GPU is as this processor.")] = GPU_CORES[1],
) -> None:  # fmt: skip
    """Say what a step of every training took, and what all its steps would take here and on a GPU."""
    from radlib.book.plan import jobs_of, plans
    from radlib.study.costs import training_costs

    found = training_costs(jobs_of(plans(names, cohort=cohort, profile=profile, seed=seed)))
    if found.empty:
        typer.echo("no training is there; compute with `radlib study run`")
        return
    rows = table("training", "steps", "s a step", "hours here", f"hours at {gpu:g} times", "GiB")
    for job, training, steps, seconds, hours, gib in found.to_numpy():
        numbers = (f"{seconds:.2f}", f"{hours:.1f}", f"{hours / gpu:.2f}", f"{gib:.1f}")
        rows.add_row(f"{job} {training}".strip(), str(steps), *numbers)
    console().print(rows)
    typer.echo(f"{len(found)} trainings, {found['hours'].sum():.0f} h here, up to {found['gib'].max():.1f} GiB")


@app.command()
def keep(
    names: Names = None,
    profile: Profile = "default",
    seed: Seed = 0,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what no chapter asks for any more.")] = False,
) -> None:
    """Keep the computed jobs of the simulated cohorts under published/jobs, for readers who cannot compute them."""
    from radlib.book.plan import jobs_of, plans
    from radlib.study import keep as keeping
    from radlib.study.store import find

    found = plans(names, profile=profile, seed=seed)
    wanted = {name: keeping.of_simulated(jobs_of({name: studies})) for name, studies in found.items()}
    simulated = keeping.of_simulated(jobs_of(found))
    made = keeping.keep([job for job in simulated if (result := find(job)) and result.origin == "here"])
    whole = {name for name, jobs in wanted.items() if jobs and all(map(find, jobs))}
    typer.echo(f"{len(made)} jobs kept; {sum(find(job) is None for job in simulated)} of {len(simulated)} are missing")
    if (profile, seed) == ("default", 0):
        typer.echo(f"kept whole: {', '.join(keeping.note_whole(whole, of=wanted)) or 'no chapter'}")
    if prune:
        typer.echo(f"{len(keeping.prune(jobs_of(plans(profile=profile, seed=seed))))} jobs deleted")


@app.command()
def restamp(
    sample: Annotated[int, typer.Option(help="Jobs of every job function that are computed anew.", min=1)] = 1,
    tolerance: Annotated[float, typer.Option(help="Largest difference of a score; above 0 between machines.")] = 0.0,
    here: Annotated[bool, typer.Option("--here", help="Those in runs/_jobs in place of the kept ones.")] = False,
) -> None:
    """Give kept jobs new fingerprints after a change of code that changes no result, as a sample must show."""
    from radlib.study import keep as keeping
    from radlib.study.store import jobs_root, kept_root

    compared = keeping.restamp(jobs_root() if here else kept_root(), sample=sample, tolerance=tolerance)
    for one in compared:
        typer.echo(f"{one.job.title}: {one.scores} scores, largest difference {one.largest:g}, {one.seconds:.0f} s")
    typer.echo("every fingerprint was right" if not compared else "restamped")


@app.command()
def compare(
    names: Names = None,
    profile: Profile = "default",
    sample: Annotated[int | None, typer.Option(help="Only so many kept jobs, drawn by --seed.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Draws the sample.")] = 0,
    tolerance: Annotated[float, typer.Option(help="Largest difference that is no fault.")] = 0.02,
) -> None:
    """Compute kept jobs anew and print how far their scores differ from the kept ones."""
    from radlib.book.plan import jobs_of, plans
    from radlib.core.seeds import rng
    from radlib.study import keep as keeping
    from radlib.study.store import INFO, Result, kept_root

    jobs = [job for job in jobs_of(plans(names, profile=profile)) if (kept_root() / job.fingerprint / INFO).is_file()]
    if sample is not None and sample < len(jobs):
        jobs = [jobs[place] for place in sorted(rng(seed, "compare").permutation(len(jobs))[:sample])]
    worst = 0.0
    for job in jobs:
        one = keeping.compare(job, Result(job, kept_root() / job.fingerprint, "kept"))
        typer.echo(f"{job.title}: {one.scores} scores, largest difference {one.largest:g}, {one.seconds:.0f} s")
        worst = max(worst, one.largest)
    typer.echo(f"{len(jobs)} kept jobs computed anew, largest difference {worst:g}")
    if worst > tolerance:
        raise typer.Exit(1)


@app.command()
def claims(
    cohort: Cohort = "simulated",
    profile: Profile = "default",
    keep: Annotated[bool, typer.Option("--keep", help="Keep what was decided on real patients.")] = False,
) -> None:
    """Say which word every claim has earned, from jobs that are there; nothing is computed."""
    from radlib.book.claims import claims as declared
    from radlib.book.claims import decide, keep_decisions
    from radlib.study.contrasts import word_of

    kept = keep_decisions() if keep else {}
    for key, claim in declared().items():
        found = kept.get(key, []) if keep else decide(claim, cohort=cohort, profile=profile)
        word = word_of(found)
        typer.echo(f"{key}: {word.word if word else 'not computed yet'}{f' ({word.why})' if word and word.why else ''}")
        for one in found:
            text = one.missing or f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f}), n {one.n}, runs {one.runs}"
            typer.echo(f"    {claim.decided[one.contrast].says}: {text}")
