"""Time, memory and disk of the book's stages by the size of the cohort, on simulated subjects. Run by hand:

    OMP_NUM_THREADS=1 nice python benchmarks/costs.py                  # everything that costs.json does not have yet
    python benchmarks/costs.py --stages simulate read --image-sizes 5 10 20 --file /tmp/costs.json

Every stage and size is measured in a process of its own with one thread: core-seconds (user and system, children
included) of the work, and those of the start (imports, and inputs that other stages make) apart; the largest resident
size; the bytes that the work leaves on disk. What `published/costs.json` already holds with the same settings is not
measured again, so a run that was interrupted goes on. The page `generated/costs` of the book shows the file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# A measured process is a fresh one of this very file. Whatever weighs much is imported inside the stages, so that it is
# counted where it is needed.
Work = Callable[[], object]
Prepared = tuple[Work, Path | None]
"""What is measured, and the file or folder that it leaves."""

GRID, SPACING = (64, 64, 48), 3.375
IMAGE_SIZES, TABLE_SIZES, ELIMINATION_SIZES = (25, 50, 100, 200), (125, 250, 500, 1000), (100, 140, 200, 280)
TRAINING_SUBJECTS, FEW, MANY = 12, 5, 25


# Stages: each prepares its inputs and returns the work


def simulate(n: int, work: Path) -> Prepared:
    """A cohort with images."""
    from radlib.phantom.make import make

    folder = _folder(n, work)
    shutil.rmtree(folder, ignore_errors=True)
    return lambda: make("brats2017", out=folder, n=n, grid=GRID), folder


def features(n: int, work: Path) -> Prepared:
    """The conventional features of Li 2017."""
    from radlib.data.cohort import Cohort
    from radlib.features.extract import extract_cohort

    cohort, out = Cohort.load(_folder(n, work)), work / f"features-{n}.parquet"
    return lambda: extract_cohort(cohort, preset="li671", out=out), out


def read(n: int, work: Path) -> Prepared:
    """Images as arrays."""
    from radlib.data.cohort import Cohort
    from radlib.data.store import prepare

    cohort = Cohort.load(_folder(n, work))
    return lambda: prepare(cohort, grid=GRID, spacing=SPACING), None


def segment(n: int, work: Path) -> Prepared:
    """A segmentation network, subject by subject, from files to files. Its weights do not change its speed."""
    import torch

    from radlib.data.cohort import Cohort
    from radlib.data.nifti import write_volume
    from radlib.data.store import prepare
    from radlib.papers.islam2020 import study_segmentation as seg
    from radlib.papers.islam2020.recipes import PAPER_MODALITIES, Recipe, build

    torch.manual_seed(0)
    network = build("fcn", in_channels=len(PAPER_MODALITIES), recipe=Recipe())
    cohort, out = Cohort.load(_folder(n, work)), work / f"segmentations-{n}"
    shutil.rmtree(out, ignore_errors=True)

    def run() -> None:
        for subject in cohort.ids:
            store = prepare(cohort, grid=GRID, spacing=SPACING, ids=[subject], modalities=PAPER_MODALITIES)
            like = cohort.volume(subject, PAPER_MODALITIES[0])
            found = store.restore(subject, seg.segment(network, store, subject), like=like)
            write_volume(out / f"{subject}.nii.gz", found, affine=like.affine, dtype=found.dtype)

    return run, out


def tables(n: int, work: Path) -> Prepared:
    """A cohort without images: who the patients are, and their expression."""
    from radlib.data.cohort import Cohort
    from radlib.phantom.biology import sample_subjects
    from radlib.phantom.templates import load_template

    template, folder = load_template("tcga-gbm"), work / f"tables-{n}"
    shutil.rmtree(folder, ignore_errors=True)

    def run() -> None:
        made = sample_subjects(template, n=n, seed=0)
        people = made.participants
        cohort = Cohort(name="tables", source="simulated", root=folder, participants=people, expression=made.expression)
        cohort.save(folder)

    return run, folder


def idh(n: int, work: Path) -> Prepared:
    """The analysis of the chapter on IDH: all protocols, then shuffled labels."""
    from radlib.papers.across import idh as chapter
    from radlib.stats.binary import Recipe, folds_for, permuted, run_protocols

    cohort = _with_features("tcga-idh", n)
    question = chapter.questions_of(cohort, chapter.labels_of(cohort, unknown_share=0.114, missed_share=0.035))["all"]
    recipe, folds = Recipe(n_selected=100), folds_for(question, n_folds=5, n_repeats=5, seed=0)

    def run() -> None:
        run_protocols(question, folds, recipe)
        permuted(question, folds, recipe, permutations=5)

    return run, None


def survival(n: int, work: Path) -> Prepared:
    """The analysis of the chapter on survival, features ranked one by one: all protocols, one shuffle of the labels."""
    from radlib.papers.islam2020 import radiogenomics as rg
    from radlib.stats.baselines import clinical_model
    from radlib.stats.protocols import RepeatedFolds, three_protocols

    study = rg.study_of(_with_features("tcga-gbm", n))
    folds = RepeatedFolds(n_folds=4, n_repeats=1, seed=0)

    def run() -> None:
        three_protocols(
            study.X, study.classes, models=rg.models("classes", n_radiomic=8), n_permutations=1, splitter=folds,
            preparation=rg.fusion(study, n_radiomic=8, n_genomic=43, reading="classes", ranking="f"),
            clinical=study.X[["age"]], rules={rg.AGE_RULE: clinical_model("age")},
        )  # fmt: skip

    return run, None


def elimination(n: int, work: Path) -> Prepared:
    """The chapter's own selection, one feature at a time, leakage-free."""
    from radlib.papers.islam2020 import radiogenomics as rg
    from radlib.stats.protocols import RepeatedFolds, out_of_fold

    study = rg.study_of(_with_features("tcga-gbm", n))
    models = {"SVM, fused": rg.models("classes", n_radiomic=8)["SVM, fused"]}
    preparation = rg.fusion(study, n_radiomic=8, n_genomic=43, reading="classes")
    folds = RepeatedFolds(n_folds=4, n_repeats=1, seed=0)
    return lambda: out_of_fold(study.X, study.classes, models=models, preparation=preparation, splitter=folds), None


def _with_features(role: str, n: int) -> Any:
    """A cohort without images; in place of features, 71 mixtures of the planted traits and as much noise."""
    import numpy as np
    import pandas as pd

    from radlib.core.seeds import rng
    from radlib.data.cohort import Cohort
    from radlib.phantom.biology import sample_subjects
    from radlib.phantom.planted import TRAITS
    from radlib.phantom.templates import load_template

    made = sample_subjects(load_template(role), n=n, seed=0)
    traits = np.array([[getattr(made.traits[name], key) for key in TRAITS] for name in made.participants.index])
    traits = (traits - traits.mean(axis=0)) / np.maximum(traits.std(axis=0), 1e-9)
    random = rng(0, "costs", role)
    weights = random.normal(size=(len(TRAITS), 71)) / len(TRAITS) ** 0.5
    values = traits @ weights + random.normal(size=(n, 71))
    names = [f"stand-in {number}" for number in range(71)]
    return Cohort(
        name=role, source="simulated", root=Path("nowhere"), participants=made.participants,
        expression=made.expression, radiomics=pd.DataFrame(values, index=made.participants.index, columns=names),
    )  # fmt: skip


def _folder(n: int, work: Path) -> Path:
    return work / f"cohort-{n}"


_IMAGES = {"template": "brats2017", "grid": list(GRID)}
_STAND_INS = {"features": "71 stand-ins made of the planted traits"}
STAGES: dict[str, tuple[Callable[[int, Path], Prepared], tuple[int, ...], dict[str, Any]]] = {
    "simulate": (simulate, IMAGE_SIZES, _IMAGES),
    "features": (features, IMAGE_SIZES, {**_IMAGES, "preset": "li671"}),
    "read": (read, IMAGE_SIZES, {**_IMAGES, "spacing": SPACING}),
    "segment": (segment, IMAGE_SIZES, {**_IMAGES, "spacing": SPACING, "widths": [8, 16, 32]}),
    "tables": (tables, TABLE_SIZES, {"template": "tcga-gbm"}),
    "idh": (idh, TABLE_SIZES, {"template": "tcga-idh", **_STAND_INS, "folds": 5, "repeats": 5, "shuffles": 5}),
    "survival": (survival, TABLE_SIZES, {"template": "tcga-gbm", **_STAND_INS, "folds": 4, "shuffles": 1}),
    "elimination": (elimination, ELIMINATION_SIZES, {"template": "tcga-gbm", **_STAND_INS, "folds": 4}),
}
"""How to prepare, at which sizes, and what else decides the cost."""


# Trainings: a function of the number of steps, on twelve simulated subjects


def _store(work: Path, **settings: Any) -> Any:
    from radlib.data.cohort import Cohort
    from radlib.data.store import prepare

    cohort = Cohort.load(_folder(TRAINING_SUBJECTS, work))
    return prepare(cohort, **{"grid": (96, 96, 64), "spacing": 2.25, **settings})


def train_islam2020(work: Path) -> Callable[[int], object]:
    """The octave FCN."""
    from radlib.papers.islam2020 import study_segmentation as seg
    from radlib.papers.islam2020.batches import SliceSampler
    from radlib.papers.islam2020.losses import segmentation_loss
    from radlib.papers.islam2020.recipes import PAPER_MODALITIES, Recipe, build
    from radlib.training.settings import LoopSettings, OptimizerSettings
    from radlib.training.supervised import fit

    store = seg.slice_major(_store(work))
    sampler = SliceSampler.of(store, store.ids, modalities=PAPER_MODALITIES, recipe=Recipe(), seed=0)
    network = build("fcn", in_channels=len(PAPER_MODALITIES), recipe=Recipe())
    return lambda steps: fit(
        network,
        batch=sampler,
        loss=segmentation_loss(),
        optimizer=OptimizerSettings(),
        loop=LoopSettings(steps=steps),
        seed=0,
    )


def train_zhang2021(work: Path) -> Callable[[int], object]:
    """The fusion network."""
    from radlib.papers.zhang2021.data import Recipe
    from radlib.papers.zhang2021.segmentation import train_network

    store = _store(work, grid=(54, 54, 36), spacing=4.0)

    def train(steps: int) -> object:
        recipe = Recipe(
            widths=(8, 16, 32), patch=16, batch_size=4, steps=steps, learning_rate=0.02, schedule="one_cycle",
            tumour_share=0.5, validations=0,
        )  # fmt: skip
        return train_network("ours", store, store.ids, recipe=recipe, seed=0)

    return train


def train_li2017(work: Path) -> Callable[[int], object]:
    """The tumour CNN."""
    from radlib.papers.li2017.data import MODALITIES
    from radlib.papers.li2017.recipes import Recipe
    from radlib.papers.li2017.training import train_network

    store = _store(work, modalities=MODALITIES)
    return lambda steps: train_network(
        store, store.ids, modalities=MODALITIES, recipe=Recipe(steps=steps, evaluations=1), seed=0, name="CNN"
    )


def train_ge2020(work: Path) -> Callable[[int], object]:
    """The pairwise GAN."""
    from radlib.data.cohort import Cohort
    from radlib.papers.ge2020.data import extract
    from radlib.papers.ge2020.study_gan import GanRecipe, train_pair

    slices = extract(Cohort.load(_folder(TRAINING_SUBJECTS, work)), size=48, field=180.0)

    def train(steps: int) -> object:
        recipe = GanRecipe(
            generator=(6, 12, 24, 48), discriminator=(6, 12, 24, 48), steps=steps, batch_size=8, learning_rate=2e-3
        )
        return train_pair(slices, slices.ids, (2, 3), recipe=recipe, seed=0)

    return train


def train_mehra2022(work: Path) -> Callable[[int], object]:
    """The U-Net on four modalities."""
    from radlib.data.cohort import MODALITIES
    from radlib.papers.mehra2022.networks import FeatureUNet
    from radlib.papers.mehra2022.unet import UNetRecipe, train_unet

    store = _store(work, grid=(64, 64, 48), spacing=3.375)

    def train(steps: int) -> object:
        return train_unet(
            FeatureUNet(len(MODALITIES), widths=UNetRecipe().widths), store, modalities=MODALITIES, train=store.ids,
            validate=(), recipe=UNetRecipe(steps=steps, evaluations=1), seed=0, name="U-Net",
        )  # fmt: skip

    return train


TRAININGS: dict[str, tuple[Callable[[Path], Callable[[int], object]], str, str, int]] = {
    "islam2020": (train_islam2020, "Islam 2020", "octave FCN, 8 slices of 32 x 32", 160),
    "zhang2021": (train_zhang2021, "Zhang 2021", "fusion network with mask guidance, 4 cubes of 16 x 16 x 16", 160),
    "li2017": (train_li2017, "Li 2017", "tumour CNN, 64 patches of 33 x 33", 240),
    "ge2020": (
        train_ge2020,
        "Ge 2020",
        "pairwise GAN, two generators and two discriminators, 8 slices of 48 x 48",
        200,
    ),
    "mehra2022": (train_mehra2022, "Mehra 2022", "U-Net, 10 slices of 64 x 64, augmented", 300),
}
"""The training, its paper and network, and the steps of one in the default profile."""


# Measuring: in the process that is measured


def core_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in spent)


def peak_bytes() -> int:
    """The largest resident size of this process, and of the largest child if that is larger.

    Linux hands ``ru_maxrss`` of whoever started a process on to it; ``VmHWM`` is this process's own.
    """
    from radlib.core.device import peak_memory_bytes

    own, status = peak_memory_bytes(), Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        own = int(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else own
    unit = 1 if sys.platform == "darwin" else 1024
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)


def size_of(path: Path | None) -> int:
    """Bytes of a file, or of everything in a folder; 0 for None."""
    if path is None:
        return 0
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def measure_stage(stage: str, n: int, work: Path) -> dict[str, Any]:
    """Prepare and run a stage in this process."""
    run, left = STAGES[stage][0](n, work)
    start, start_bytes, clock = core_seconds(), peak_bytes(), time.perf_counter()
    run()
    return {
        "start_seconds": start,
        "core_seconds": core_seconds() - start,
        "wall_seconds": time.perf_counter() - clock,
        "start_bytes": start_bytes,
        "peak_bytes": peak_bytes(),
        "disk_bytes": size_of(left),
    }


def measure_training(name: str, work: Path) -> dict[str, Any]:
    """Train twice in this process; what a training costs beside its steps cancels out."""
    train = TRAININGS[name][0](work)
    train(2)  # what is loaded and compiled once
    spent = []
    for steps in (FEW, MANY):
        before = core_seconds()
        train(steps)
        spent.append(core_seconds() - before)
    return {"seconds_per_step": (spent[1] - spent[0]) / (MANY - FEW), "peak_bytes": peak_bytes()}


# Collecting: in the process that starts the others


def in_a_process(work: Path, *arguments: object) -> dict[str, Any]:
    """What a fresh process of this file measured.

    Raises:
        RuntimeError: with its last words, if it failed.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, __file__, "--work", str(work), *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, **threads, "RADLIB_DEVICE": "cpu"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr.strip()[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def needs_images(stage: str) -> bool:
    """Whether a stage reads a cohort that another stage makes."""
    return stage in ("features", "read", "segment")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="*", choices=list(STAGES), default=list(STAGES), metavar="STAGE",
                        help=f"of {', '.join(STAGES)}; all if left out")  # fmt: skip
    parser.add_argument("--trainings", nargs="*", choices=list(TRAININGS), default=list(TRAININGS), metavar="PAPER",
                        help=f"of {', '.join(TRAININGS)}; all if left out")  # fmt: skip
    parser.add_argument("--image-sizes", nargs="+", type=int, default=IMAGE_SIZES, metavar="N")
    parser.add_argument("--table-sizes", nargs="+", type=int, default=TABLE_SIZES, metavar="N")
    parser.add_argument("--elimination-sizes", nargs="+", type=int, default=ELIMINATION_SIZES, metavar="N")
    parser.add_argument("--file", type=Path, help="published/costs.json if left out")
    parser.add_argument(
        "--work", type=Path, help="folder of the cohorts, kept; runs/costs if left out, removed at the end"
    )
    parser.add_argument("--measure", choices=[*STAGES, *TRAININGS], help=argparse.SUPPRESS)
    parser.add_argument("--n", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure_here(arguments)
        return
    from radlib.book.costs import CostsFile, costs_file
    from radlib.core.errors import RadlibError
    from radlib.core.paths import runs_root

    try:
        book = CostsFile(arguments.file or costs_file())
    except RadlibError as error:
        sys.exit(str(error))
    work = arguments.work or runs_root() / "costs"
    sizes: dict[tuple[int, ...], Sequence[int]] = {
        IMAGE_SIZES: arguments.image_sizes,
        TABLE_SIZES: arguments.table_sizes,
        ELIMINATION_SIZES: arguments.elimination_sizes,
    }
    todo = [
        (stage, n) for stage in arguments.stages for n in sizes[STAGES[stage][1]]
        if not book.has("measurements", stage=stage, n=n, settings=STAGES[stage][2])
    ]  # fmt: skip
    for number, (stage, n) in enumerate(todo, start=1):
        if needs_images(stage) and not (_folder(n, work) / "cohort.json").is_file():
            in_a_process(work, "--measure", "simulate", "--n", n)
        found = in_a_process(work, "--measure", stage, "--n", n)
        book.add("measurements", {"stage": stage, "n": n, "settings": STAGES[stage][2], **found},
                 instead_of=("stage", "n"))  # fmt: skip
        said = f"{found['core_seconds']:.2f} core-seconds, {found['peak_bytes'] / 2**30:.2f} GiB"
        print(f"[{number}/{len(todo)}] {stage}, {n} subjects: {said}", flush=True)
    for name in arguments.trainings:
        _, paper, network, steps = TRAININGS[name]
        row = {"paper": paper, "network": network, "default_steps": steps,
               "settings": {"subjects": TRAINING_SUBJECTS, "steps": [FEW, MANY]}}  # fmt: skip
        if book.has("trainings", **row):
            continue
        if not (_folder(TRAINING_SUBJECTS, work) / "cohort.json").is_file():
            in_a_process(work, "--measure", "simulate", "--n", TRAINING_SUBJECTS)
        found = in_a_process(work, "--measure", name)
        book.add("trainings", {**row, **found}, instead_of=("paper",))
        print(f"{paper}, {network}: {found['seconds_per_step']:.3f} core-seconds a step", flush=True)
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)


def measure_here(arguments: argparse.Namespace) -> None:
    """Measure one stage or training in this process; the last line printed is the result."""
    import warnings

    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    name, work = arguments.measure, arguments.work
    found = measure_stage(name, arguments.n, work) if name in STAGES else measure_training(name, work)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
