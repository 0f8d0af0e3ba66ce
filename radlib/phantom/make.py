"""A simulated cohort on disk: one subject at a time, in any number of processes, again from where it stopped.

Layout beside what :class:`radlib.data.cohort.Cohort` writes::

    truth/recipe.json                what the cohort is made from; a folder with another recipe is refused
    truth/effects.json               strengths of the causal arrows, survival model, prognostic genes
    truth/latents.tsv                every variable of the causal graph, one row a subject
    truth/traits.tsv                 what each image had to show
    truth/subjects/<id>.json         volumes and seeds of the tumour, checksums of the subject's files
    truth/probabilities/<id>.nii.gz  probability of labels 0, 1, 2, 4 under partial volume (4D, 255 is 1)
    truth/distractors/<id>.nii.gz    what can mislead, codes of radlib.phantom.distractors.DISTRACTORS
    truth/images/<id>/<id>_t1.nii.gz ... images before bias, motion, slices and noise, on request
"""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from radlib.core.device import pick_device
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, sha256, write_json
from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.data.nifti import write_volume
from radlib.phantom.anatomy import Grid
from radlib.phantom.biology import Subjects, sample_subjects
from radlib.phantom.causal import resolve_strengths
from radlib.phantom.growth import check_traits
from radlib.phantom.mechanisms import Mechanisms, resolve_mechanisms
from radlib.phantom.render import MODALITIES, render_subject
from radlib.phantom.scanner import Protocol, load_protocol
from radlib.phantom.templates import Template, load_template
from radlib.phantom.traits import ImagingTraits

if TYPE_CHECKING:
    from filelock import FileLock

GENERATOR = 4
"""Version of what is simulated: raised when the same recipe gives other files."""

_OWN = frozenset({"options.json"})  # what a caller may have left in a folder that holds no cohort yet


@dataclasses.dataclass(frozen=True)
class _Job:
    """One subject, as it goes to a worker."""

    subject: str
    traits: ImagingTraits
    protocol: Protocol
    files: dict[str, str]  # modality or "seg" -> path relative to the cohort
    out: Path
    seed: int
    grid: Grid
    mechanisms: Mechanisms
    truth_images: bool
    device: str

    @property
    def record(self) -> Path:
        return self.out / "truth" / "subjects" / f"{self.subject}.json"


def make(
    template: str | Template,
    *,
    out: Path | str,
    n: int | None = None,
    grid: tuple[int, int, int] | None = None,
    spacing: float | tuple[float, float, float] | None = None,
    seed: int = 0,
    jobs: int = 1,
    preset: str = "signal",
    strengths: Mapping[str, float] | None = None,
    mechanisms: Mapping[str, float] | None = None,
    truth_images: bool = False,
    device: str = "cpu",
) -> Cohort:
    """Make a simulated cohort in ``out``, or finish one that was interrupted there.

    Every subject depends on the recipe and its own name only, so the files are the same, bit for bit, whatever the
    number of processes, on one platform and one kind of device. Subjects that are already there are verified by their
    checksums and not made again.

    Args:
        template: a role (:data:`radlib.phantom.templates.TEMPLATE_NAMES`), a YAML file, or a template.
        out: folder of the cohort.
        n: number of subjects; the template's own where None.
        grid: voxels; the template's where None. A given grid has the finest cubic voxels that hold the brain.
        spacing: mm, one number or three; only with ``grid``.
        seed: seed of every random number.
        jobs: subjects made at the same time, each in a process of one thread; 0 is one a core.
        preset: ``signal`` or ``null``, strengths of the causal arrows.
        strengths: arrows by name, over the preset.
        mechanisms: strengths of what makes images hard, by name (:func:`.mechanisms.resolve_mechanisms`).
        truth_images: also keep every image before bias, motion, slices and noise.
        device: ``cpu``, ``cuda`` or ``auto``; on a GPU subjects are made one after the other.

    Raises:
        RadlibError: for impossible values, a grid smaller than the brain, a folder that holds something else, too
            little disk.
    """
    recipe_template = load_template(template) if isinstance(template, str) else template
    where = pick_device(device)
    voxels = _grid(recipe_template, grid, spacing)
    out = Path(out)
    values = resolve_strengths({"preset": preset, **(strengths or {})})  # type: ignore[dict-item]
    subjects = sample_subjects(recipe_template, n=n, seed=seed, strengths=values)
    protocols = {site.name: load_protocol(site.protocol) for site in recipe_template.sites}
    hard = resolve_mechanisms(mechanisms)
    work = _jobs_of(
        subjects, protocols, out, seed=seed, grid=voxels, mechanisms=hard, truth_images=truth_images, device=str(where)
    )
    recipe = {
        "generator": GENERATOR,
        "template": recipe_template.model_dump(mode="json"),
        "n": len(subjects.participants),
        "grid": list(voxels.shape),
        "spacing": list(voxels.spacing),
        "seed": seed,
        "strengths": values,
        "mechanisms": dataclasses.asdict(hard),
        "truth_images": truth_images,
        "device": where.type,
    }
    _claim(out, json.loads(json.dumps(recipe)))
    with _lock(out), _disk_errors(out):
        for stale in out.glob(".part-*"):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        _check_room(out, work, voxels)
        if not (out / "truth" / "recipe.json").exists():
            _write_truth(out, subjects)
            write_json(out / "truth" / "recipe.json", recipe)
        todo = [job for job in work if not _is_finished(job)]
        workers = min(_workers(jobs), max(len(todo), 1))
        if where.type == "cuda":
            workers = 1
        results = _in_this_process(todo) if workers == 1 else _in_processes(todo, workers)
        for _ in track(results, description=f"{recipe_template.name}: subjects", total=len(todo)):
            pass
        cohort = Cohort(
            name=recipe_template.name,
            source="simulated",
            root=out,
            participants=subjects.participants,
            expression=subjects.expression,
            truth=out / "truth",
            notes=(f"Simulated: seed {seed}, {voxels.shape} voxels, preset {preset}.",),
        )
        if todo or not (out / "cohort.json").exists():
            cohort.save(out)
    return Cohort.load(out)


def _grid(
    template: Template,
    shape: tuple[int, int, int] | None,
    spacing: float | tuple[float, float, float] | None,
) -> Grid:
    if spacing is not None and shape is None:
        raise RadlibError("a spacing was given without a grid", remedy="give --grid too, e.g. 96,96,64")
    if shape is None:
        return Grid(template.grid, template.spacing)
    if spacing is None:
        return Grid.fitting(shape)
    three = (float(spacing),) * 3 if isinstance(spacing, (int, float)) else tuple(float(s) for s in spacing)
    return Grid(shape, three)  # type: ignore[arg-type]


def _jobs_of(subjects: Subjects, protocols: Mapping[str, Protocol], out: Path, **options: Any) -> list[_Job]:
    jobs = []
    table = subjects.participants
    for subject in table.index:
        row = table.loc[subject]
        files = {kind: str(row[kind]) for kind in (*MODALITIES, "seg") if isinstance(row[kind], str)}
        traits = subjects.traits[subject]
        check_traits(traits, subject=subject)
        if files:
            jobs.append(_Job(subject, traits, protocols[row["site"]], files, out, **options))
    return jobs


def _claim(out: Path, recipe: dict[str, Any]) -> None:
    """Refuse a folder that holds something else."""
    there = out / "truth" / "recipe.json"
    if there.is_file():
        try:
            other = json.loads(there.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RadlibError(f"not JSON ({error})", file=there, remedy="delete the folder, or give another") from error
        names = recipe.keys() | other.keys()
        differing = sorted(name for name in names if other.get(name) != recipe.get(name))
        if differing:
            what = ", ".join(
                name
                if isinstance(recipe.get(name), dict)
                else f"{name} ({other.get(name)} there, {recipe.get(name)} asked for)"
                for name in differing
            )
            raise RadlibError(
                f"the folder already holds another cohort; it differs in {what}",
                file=out,
                remedy="give another --out, or delete the folder",
            )
        return
    if out.exists() and not out.is_dir():
        raise RadlibError("the output is a file", file=out, remedy="give a folder")
    ours = {"truth"}  # an interrupted start: the recipe is written last of the truth
    entries = [p.name for p in out.iterdir() if not p.name.startswith(".")] if out.is_dir() else []
    if foreign := sorted(set(entries) - _OWN - ours):
        raise RadlibError(
            f"the folder is not empty and holds no simulated cohort: {', '.join(foreign[:3])}",
            file=out,
            remedy="give an empty or new folder",
        )


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RadlibError(
            f"the folder cannot be made ({error.strerror})", file=out, remedy="give a folder that you may write to"
        ) from error
    lock: FileLock = FileLock(out / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RadlibError(
            "another process is making this cohort", file=out, remedy="wait for it, or give another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """A full or read-only disk as a message. What was being written is gone; finished subjects stay."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RadlibError(
                "the disk is full; the finished subjects stay and the command goes on from them",
                file=out,
                remedy="free some space and run the same command again",
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise RadlibError(
                f"the folder cannot be written ({error.strerror})", file=out, remedy="give another --out"
            ) from error
        raise


def _check_room(out: Path, jobs: list[_Job], grid: Grid) -> None:
    """Stop early where the disk cannot hold the cohort: about 1.4 bytes a brain voxel and image after compression."""
    images = sum(len(job.files) - 1 for job in jobs if not job.record.exists())
    if jobs and jobs[0].truth_images:
        images *= 2
    needed = int(images * 1.4 * 1600 / grid.voxel_ml)
    free = shutil.disk_usage(out).free
    if needed > free:
        raise RadlibError(
            f"the cohort needs about {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free",
            file=out,
            remedy="free some space, or make fewer subjects (--n) or a smaller grid (--grid)",
        )


def _write_truth(out: Path, subjects: Subjects) -> None:
    truth = out / "truth"
    write_json(truth / "effects.json", subjects.effects)
    traits = pd.DataFrame({key: dataclasses.asdict(value) for key, value in subjects.traits.items()}).T
    traits = traits.reindex(subjects.participants.index)
    for name, table in (("latents", subjects.latents), ("traits", traits)):
        with atomic_path(truth / f"{name}.tsv") as temporary:
            table.to_csv(temporary, sep="\t", index_label="id", lineterminator="\n")


def _is_finished(job: _Job) -> bool:
    """Whether every file of the subject is there with the checksum that was recorded."""
    try:
        recorded = json.loads(job.record.read_text(encoding="utf-8"))["sha256"]
        expected = set(job.files.values())
        return expected <= recorded.keys() and all(
            sha256(job.out / name) == digest for name, digest in recorded.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _workers(jobs: int) -> int:
    if jobs < 0:
        raise RadlibError(f"{jobs} jobs were asked for", remedy="give 1 or more, or 0 for one a core")
    return jobs or multiprocessing.cpu_count()


def _in_this_process(jobs: list[_Job]) -> Iterator[str]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of sums, and so their last bits, depends on the number of threads
    try:
        for job in jobs:
            yield _make_subject(job)
    finally:
        torch.set_num_threads(threads)


def _in_processes(jobs: list[_Job], workers: int) -> Iterator[str]:
    """Make subjects in processes; only a few are queued at a time, so memory does not grow with the cohort."""
    context = multiprocessing.get_context("spawn")
    queue = iter(jobs)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        running: set[Future[str]] = {pool.submit(_make_subject, job) for job in itertools.islice(queue, 2 * workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
                    for job in itertools.islice(queue, 1):
                        running.add(pool.submit(_make_subject, job))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _one_thread() -> None:
    torch.set_num_threads(1)


def _make_subject(job: _Job) -> str:
    """Render one subject into a temporary folder, move its files into place, and record them."""
    with _disk_errors(job.out):
        modalities = tuple(m for m in MODALITIES if m in job.files)
        rendered = render_subject(
            job.traits,
            subject=job.subject,
            seed=job.seed,
            protocol=job.protocol,
            grid=job.grid,
            modalities=modalities,
            mechanisms=job.mechanisms,
            clean=job.truth_images,
            device=job.device,
        )
        volumes: dict[str, np.ndarray] = {
            **{job.files[m]: rendered.images[m] for m in modalities},
            job.files["seg"]: rendered.labels,
            f"truth/probabilities/{job.subject}.nii.gz": rendered.probabilities,
            f"truth/distractors/{job.subject}.nii.gz": rendered.distractors,
            **{f"truth/images/{job.subject}/{job.subject}_{m}.nii.gz": image for m, image in rendered.clean.items()},
        }
        job.record.unlink(missing_ok=True)
        checksums = {}
        with tempfile.TemporaryDirectory(dir=job.out, prefix=".part-") as part:
            for name, voxels in volumes.items():
                write_volume(Path(part) / name, voxels, affine=job.grid.affine, dtype=voxels.dtype)
                checksums[name] = sha256(Path(part) / name)
            for name in volumes:
                (job.out / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(part) / name).replace(job.out / name)
        write_json(
            job.record,
            {
                "id": job.subject,
                "protocol": job.protocol.name,
                "volumes_ml": rendered.volumes_ml,
                "seeds_mm": rendered.seeds,
                "sha256": checksums,
            },
        )
    return job.subject
