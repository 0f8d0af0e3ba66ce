"""A study: arms by name, each one job or several (its runs, which differ in the seed or the fold)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.study.jobs import Job
from radlib.study.store import Result, compute, find


class Study:
    """Arms x runs of jobs, found or computed, and what they measured.

    Args:
        name: short slug such as ``segmentation``; with the chapter's name it stands in the ledger's declarations.
        arms: jobs by arm. Run ``k`` of one arm is compared with run ``k`` of another, so give both the same seeds.
        titles: of arms, as tables and figures call them; an arm without one goes by its name.
        runs: numbers of the runs, 0, 1, ... where None.

    Raises:
        RadlibError: for a study without arms, or an arm without jobs.
    """

    def __init__(
        self, name: str, arms: Mapping[str, Job | Sequence[Job]], *, titles: Mapping[str, str] | None = None,
        runs: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.arms = {arm: (jobs,) if isinstance(jobs, Job) else tuple(jobs) for arm, jobs in arms.items()}
        if empty := [arm for arm, jobs in self.arms.items() if not jobs]:
            raise RadlibError(f"arm {empty[0]!r} of study {name!r} has no jobs")
        self.titles = {arm: (titles or {}).get(arm, arm) for arm in self.arms}
        self._runs = None if runs is None else tuple(runs)

    def jobs(self) -> list[Job]:
        """Every job, parents before their children, each once."""
        return in_order(job for jobs in self.arms.values() for job in jobs)

    def missing(self) -> list[Job]:
        """The jobs that neither lie here nor are kept, and that a job which lacks needs."""
        return missing(job for jobs in self.arms.values() for job in jobs)

    def only(self, *arms: str) -> Study:
        """The study with these arms alone."""
        return Study(self.name, {arm: self.arms[arm] for arm in arms}, titles=self.titles, runs=self._runs)

    def run(self) -> Study:
        """Compute what lacks, with progress; what is there is left alone."""
        run_jobs(self.missing(), name=self.name)
        return self

    def results(self, arm: str) -> list[Result]:
        """The results of an arm, in the order of its runs.

        Raises:
            RadlibError: for an unknown arm.
        """
        if arm not in self.arms:
            raise RadlibError(f"study {self.name!r} has no arm {arm!r}", remedy=f"it has {', '.join(self.arms)}")
        return [job.result() for job in self.arms[arm]]

    def result(self, arm: str, run: int = 0) -> Result:
        """One result of an arm, by its place among the runs."""
        return self.results(arm)[run]

    @property
    def scores(self) -> pd.DataFrame:
        """Scores of all arms and runs: the jobs' columns behind ``arm`` and ``run``."""
        return self._stacked("scores.parquet", required=True)

    @property
    def history(self) -> pd.DataFrame:
        """Learning curves of all arms and runs that have one, behind ``arm``, ``run`` and ``training``.

        A run may have several trainings (folds, pairs of modalities); ``training`` counts those of an arm.
        """
        return self._stacked("history.parquet", number="training")

    def table(self, name: str) -> pd.DataFrame:
        """A further table of the arms and runs that have it, behind ``arm`` and ``run``."""
        return self._stacked(f"tables/{name}.parquet")

    def costs(self) -> pd.DataFrame:
        """What was computed where: ``arm`` (title), ``jobs``, ``seconds`` of one, ``device, computed, origin``."""
        rows = []
        for arm in self.arms:
            found = self.results(arm)
            rows.append({
                "arm": self.titles[arm], "jobs": len(found),
                "seconds": sum(one.info["seconds"] for one in found) / len(found),
                "device": ", ".join(sorted({one.info["device"] for one in found})),
                "computed": max(one.info["computed"] for one in found),
                "origin": ", ".join(sorted({one.origin for one in found})),
            })  # fmt: skip
        return pd.DataFrame(rows)

    def provenance(self) -> str:
        """One sentence: how many jobs, where they come from, what they cost."""
        found = [job.result() for job in self.jobs()]
        kept = [one for one in found if one.origin == "kept"]
        minutes = sum(one.info["seconds"] for one in found) / 60
        where = f"{len(kept)} kept, {len(found) - len(kept)} computed here" if kept else "all computed here"
        days = sorted({one.info["computed"] for one in found})
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        devices = "; ".join(sorted({one.info["device"] for one in found}))
        return f"Study {self.name}: {len(found)} jobs ({where}), {minutes:.1f} minutes on {devices}, {span}."

    def _stacked(self, file: str, *, required: bool = False, number: str | None = None) -> pd.DataFrame:
        parts = []
        for arm in self.arms:
            found = self.results(arm)
            for place, (run, one) in enumerate(zip(self._runs or range(len(found)), found, strict=False)):
                if required or one.has(file):
                    about: dict[str, Any] = {"arm": arm, "run": run} | ({number: place} if number else {})
                    parts.append(one.parquet(file).assign(**about))
        first = ["arm", "run", *([number] if number else [])]
        if not (parts := [part for part in parts if len(part)]):
            return pd.DataFrame(columns=first)
        whole = pd.concat(parts, ignore_index=True)
        return whole[[*first, *[column for column in whole if column not in first]]]


def in_order(jobs: Iterable[Job], wanted: Callable[[Job], bool] = lambda job: True) -> list[Job]:
    """Those of ``jobs`` that are wanted, behind their wanted parents, each once; a parent of what is not may lack."""
    found: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job.fingerprint not in found and wanted(job):
            for parent in job.parents():
                add(parent)
            found[job.fingerprint] = job

    for job in jobs:
        add(job)
    return list(found.values())


def missing(jobs: Iterable[Job]) -> list[Job]:
    """Those of ``jobs`` that lack, and the parents that lack to them, parents first."""
    return in_order(jobs, lambda job: find(job) is None)


def run_jobs(jobs: Sequence[Job], *, name: str) -> None:
    """Compute jobs one after the other, and report how many are left and for about how long."""
    if not jobs:
        return
    spent: dict[str, list[float]] = {}
    begun = time.monotonic()
    for number, job in enumerate(jobs):
        rest = [_mean(spent.get(one.function.name)) for one in jobs[number:]]
        left = f", about {_spoken(sum(filter(None, rest)))} left" if any(rest) else ""
        print(f"{name}: job {number + 1} of {len(jobs)}{left}: {job.title}", file=sys.stderr, flush=True)
        start = time.monotonic()
        compute(job)
        spent.setdefault(job.function.name, []).append(time.monotonic() - start)
    print(f"{name}: {len(jobs)} jobs in {_spoken(time.monotonic() - begun)}", file=sys.stderr, flush=True)


def _mean(values: Sequence[float] | None) -> float | None:
    return sum(values) / len(values) if values else None


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
