"""Features of a whole cohort: subjects in parallel, resumable, one Parquet file with its settings inside."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import BaseModel

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, check_target, checksums, write_json
from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.features.presets import Preset
from radlib.features.presets import preset as find_preset

#: Key of the schema metadata under which a file keeps how it was made.
METADATA = b"radlib.features"


@dataclass(frozen=True)
class Extraction:
    """What :func:`extract_cohort` did.

    Attributes:
        file: the Parquet file: one row a subject, one float64 column a feature.
        features: its content.
        failed: subjects without features, and why.
    """

    file: Path
    features: pd.DataFrame
    failed: dict[str, str]


def extract_cohort(
    cohort: Cohort,
    *,
    preset: str,
    out: Path | str,
    settings: Mapping[str, Any] | None = None,
    jobs: int = 1,
    device: torch.device | str = "cpu",
) -> Extraction:
    """Compute a preset for every subject that has a segmentation.

    A subject that is done is kept in ``<out>.parts/`` until all are; a run that was interrupted goes on from there,
    where neither the subject's files and row nor the settings have changed since. A subject that fails gets no row,
    its reason is returned and stands in the file's metadata; the next run tries it again. So does one whose region
    is empty, or vanishes in resampling: it has a row without any value, and is among the failed.

    Args:
        cohort: the subjects and their images.
        preset: name of a feature set (:data:`radlib.features.presets.PRESETS`).
        out: the Parquet file.
        settings: values for the preset's settings; the rest is as the preset has it.
        jobs: processes on the CPU. On a GPU there is one, and so many threads that read images ahead of it.
        device: where to count.

    Raises:
        RadlibError: if the preset or a setting is unknown, the file cannot be written or is none of these, or no
            subject at all gave features.
    """
    chosen = find_preset(preset)
    parsed = chosen.parse(settings)
    out = _target(Path(out), cohort)
    made_with = {"preset": chosen.name, "version": chosen.version, "settings": parsed.model_dump(mode="json")}
    folder = out.with_name(out.name + ".parts")
    subjects = [name for name in cohort.ids if isinstance(cohort.participants.loc[name, "seg"], str)]
    modality = getattr(parsed, "modality", "seg")
    parts = {
        name: folder / f"{digest}.json" for name, digest in _contents(cohort, subjects, modality, made_with).items()
    }
    todo = [name for name in subjects if "features" not in _read(parts[name])]
    for name, answer in track(
        _compute(cohort, todo, chosen, parsed, jobs=jobs, device=torch.device(device)),
        description=f"{chosen.name} features",
        total=len(todo),
    ):
        write_json(parts[name], answer)
    answers = {name: _read(parts[name]) for name in subjects}
    failed = {name: answer["failed"] for name, answer in answers.items() if "failed" in answer}
    failed |= {
        name: "no feature has a value: the region is empty, or vanishes in resampling"
        for name, answer in answers.items()
        if "features" in answer and all(value is None for value in answer["features"]) and cohort.has(name, modality)
    }
    rows = {name: answer["features"] for name, answer in answers.items() if "features" in answer}
    if len(failed) == len(subjects):
        reason = next(iter(failed.values()), "no subject has a segmentation")
        raise RadlibError(f"no subject of cohort {cohort.name!r} gave features: {reason}")
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=chosen.names(parsed), dtype="float64")
    frame.index.name = "id"
    _write(frame, out, {**made_with, "cohort": cohort.name, "failed": failed})
    shutil.rmtree(folder)
    return Extraction(out, frame, failed)


def _compute(
    cohort: Cohort, subjects: list[str], chosen: Preset, settings: BaseModel, *, jobs: int, device: torch.device
) -> Iterator[tuple[str, dict[str, Any]]]:
    if device.type != "cpu":
        # A GPU counts one subject at a time, each of which fills it; threads read and unpack the next ones meanwhile.
        with ThreadPoolExecutor(max(1, jobs)) as readers:
            ahead = {name: readers.submit(_one, cohort, name, chosen.name, settings, device) for name in subjects}
            for name, task in ahead.items():
                yield name, task.result()
        return
    if jobs <= 1 or len(subjects) <= 1:
        for name in subjects:
            yield name, _one(cohort, name, chosen.name, settings)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_single_thread) as pool:
        tasks = {name: pool.submit(_one, cohort.subset([name]), name, chosen.name, settings) for name in subjects}
        for name, task in tasks.items():
            yield name, task.result()


def _one(
    cohort: Cohort, subject: str, preset_name: str, settings: BaseModel, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    chosen = find_preset(preset_name)
    try:
        values = chosen.compute(cohort, subject, settings, device=device)
    except (
        RadlibError,
        ArithmeticError,
        IndexError,
        MemoryError,
        OSError,
        ValueError,
        torch.OutOfMemoryError,
    ) as error:
        return {"failed": str(error) or type(error).__name__}
    return {"features": [None if math.isnan(values[name]) else values[name] for name in chosen.names(settings)]}


def _read(part: Path) -> dict[str, Any]:
    return dict(json.loads(part.read_text(encoding="utf-8"))) if part.is_file() else {}


def _single_thread() -> None:
    torch.set_num_threads(1)


def _write(frame: pd.DataFrame, out: Path, made_with: dict[str, Any]) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pandas(frame)
    metadata = {**(table.schema.metadata or {}), METADATA: json.dumps(made_with, sort_keys=True).encode()}
    with atomic_path(out) as temporary:
        pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), temporary)


def _target(out: Path, cohort: Cohort) -> Path:
    """The Parquet file to write: new, or one of :func:`extract_cohort`, which it replaces."""
    import pyarrow
    import pyarrow.parquet

    if out.suffix != ".parquet":
        raise RadlibError("features are written as Parquet", file=out, remedy="give a name that ends in .parquet")
    check_target(out, inputs=cohort.files())
    if out.exists():
        try:
            ours = METADATA in (pyarrow.parquet.read_schema(out).metadata or {})
        except (OSError, pyarrow.ArrowException):
            ours = False
        if not ours:
            raise RadlibError("there is another file, which is not overwritten", file=out, remedy="name another file")
    return out


def _contents(cohort: Cohort, subjects: list[str], modality: str, made_with: dict[str, Any]) -> dict[str, str]:
    """By subject, a digest of all that its features follow from: image, mask, how it is labelled, and the settings."""
    files = {
        name: [cohort.path(name, column) for column in ("seg", modality) if cohort.has(name, column)]
        for name in subjects
    }
    sums = checksums(path for paths in files.values() for path in paths if path.is_file())
    encodings = cohort.participants["label_encoding"].astype(str)
    return {
        name: hashlib.sha256(
            json.dumps([name, encodings[name], [sums.get(path) for path in paths], made_with], sort_keys=True).encode()
        ).hexdigest()[:24]
        for name, paths in files.items()
    }
