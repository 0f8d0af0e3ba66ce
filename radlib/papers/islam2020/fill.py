"""Fill in a modality that subjects lack, and mark it so that it can never pass for a real one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import atomic_path, check_target
from radlib.core.progress import track
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.nifti import read_note, write_volume
from radlib.data.store import prepare
from radlib.papers.islam2020.networks import Synthesiser
from radlib.papers.islam2020.study_synthesis import load_generator, synthesise, trained_on
from radlib.study.jobs import Job

MARK = "SYNTHETIC, not measured"
"""How the description field of a synthetic image begins."""


def fill_in(
    cohort: Cohort, *, missing: str, generators: Sequence[Job], out: Path, seed: int = 0, device: str = "auto"
) -> pd.DataFrame:
    """Synthesise a modality for every subject that lacks it; images that are there already are left alone.

    Args:
        cohort: whose subjects.
        missing: the modality.
        generators: trainings of generators of this modality; for each subject the one that uses most of what it has.
        out: a folder; images go to ``<subject>/<subject>_<missing>_synthetic.nii.gz``, on the subject's own grid, with
            intensities from 0 to 1. ``synthetic.tsv`` lists them.
        seed: of the noise.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        One row a subject that lacks the modality: ``subject``, ``sources``, ``file``, ``state`` (``written``,
        ``there already`` where it was made from the same files, training and seed, or why there is none).

    Raises:
        MissingDataError: if no subject lacks the modality.
        RadlibError: for an unknown modality, or generators of another one.
    """
    if missing not in MODALITIES:
        raise RadlibError(f"unknown modality {missing!r}", remedy=f"use one of {', '.join(MODALITIES)}")
    if wrong := [one.inputs["target"] for one in generators if one.inputs["target"] != missing]:
        raise RadlibError(f"this generator makes {wrong[0]}, not {missing}")
    if not generators:
        raise RadlibError(f"there is no generator of {missing}", remedy="train one in the chapter modality_synthesis")
    there = cohort.participants[list(MODALITIES)].notna()
    lacking = [subject for subject in cohort.ids if not there.at[subject, missing]]
    if not lacking:
        raise MissingDataError(f"every subject of cohort {cohort.name!r} has {missing}", remedy="nothing is to be done")
    check_target(out, folder=True)
    check_target(out / "synthetic.tsv", inputs=cohort.files())
    loaded = [(one, load_generator(one)) for one in generators]
    rows = []
    for subject in track(lacking, description=f"synthesise {missing}"):
        has = {name for name in MODALITIES if there.at[subject, name]}
        fitting = [pair for pair in loaded if has & set(pair[1].sources)]
        file = out / subject / f"{subject}_{missing}_synthetic.nii.gz"
        used: tuple[str, ...] = ()
        if not fitting:
            state = f"none of {', '.join(sorted({name for _, net in loaded for name in net.sources}))} is there"
        else:
            one, net = max(fitting, key=lambda pair: len(has & set(pair[1].sources)))
            used = tuple(name for name in net.sources if name in has)
            made_from = {
                "subject": cohort.subset([subject]).fingerprint(), "training": one.fingerprint, "seed": seed,
                "software": f"radlib {version('radlib')}",
            }  # fmt: skip
            state = "there already"
            if not file.is_file() or read_note(file)[1].get("made_from") != made_from:
                try:
                    _refuse_what_is_not_synthetic(file)
                    _fill_one(cohort, subject, one, net, used=used, made_from=made_from, file=file, device=device)
                    state = "written"
                except RadlibError as error:  # one bad image does not end a run over a hundred
                    state, used = f"failed: {error}", ()
        written = "" if not used else str(file.relative_to(out))
        rows.append({"subject": subject, "sources": "+".join(used), "file": written, "state": state})
    table = pd.DataFrame(rows)
    with atomic_path(out / "synthetic.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False)
    return table


def _fill_one(
    cohort: Cohort, subject: str, one: Job, net: Synthesiser, *, used: Sequence[str], made_from: dict[str, Any],
    file: Path, device: str,
) -> None:  # fmt: skip
    images, source = one.inputs["images"], one.inputs["images"].source
    store = prepare(
        cohort, ids=[subject], modalities=net.sources, grid=images.grid, spacing=images.spacing, normalise="minmax"
    )
    like = cohort.volume(subject, used[0])
    made = synthesise(net, store, subject, seed=made_from["seed"], device=device)
    target = one.inputs["target"]
    provenance = {
        "synthetic": True, "modality": target, "sources": list(used), "subject": subject, "made_from": made_from,
        "trained_on": f"{len(trained_on(one))} subjects of {source.cohort} {source.role}",
    }  # fmt: skip
    write_volume(
        file, store.restore(subject, made, like=like, order=1), affine=like.affine,
        description=f"{MARK}: {target} from {'+'.join(used)}", note=provenance, like=cohort.path(subject, used[0]),
    )  # fmt: skip


def _refuse_what_is_not_synthetic(file: Path) -> None:
    """An image that this did not make is never replaced."""
    if file.is_file() and provenance_of(file) is None:
        raise RadlibError("there is an image that is not marked as synthetic", file=file, remedy="give another --out")


def provenance_of(path: Path) -> dict[str, Any] | None:
    """What a synthetic image says of itself; None for an image that is not marked as synthetic."""
    description, note = read_note(path)
    if note.get("synthetic"):
        return note
    return {"synthetic": True} if description.startswith(MARK) else None
