"""Damaged files: a reader gives what is there or a named error, never another exception."""

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort, read_participants
from radlib.data.manifests import read_manifest
from radlib.data.nifti import read_labels, read_volume
from radlib.data.readers.folder import read_described
from radlib.training.weights import load_weights, save_weights

SEARCH = os.environ.get("RADLIB_FUZZ")
FUZZ = settings(
    max_examples=int(SEARCH or 60),
    deadline=None,
    derandomize=SEARCH is None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""The same examples in every run; ``RADLIB_FUZZ=2000`` draws so many new ones."""

damage = st.tuples(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),  # place, byte
    st.floats(0, 1),  # how much of it is kept
    st.binary(max_size=8),  # what follows
)
"""Bytes changed anywhere, the end cut off, something else appended."""


def damaged(content: bytes, how: tuple[list[tuple[float, int]], float, bytes]) -> bytes:
    changes, kept, tail = how
    out = bytearray(content)
    for place, value in changes:
        out[int(place * len(out))] = value
    return bytes(out[: round(kept * len(out))]) + tail


@contextmanager
def at_most_an_error_that_names(file: Path) -> Iterator[None]:
    """Lets pass what does not fail, and what fails with an error of ours."""
    try:
        yield
    except RadlibError as error:
        if str(file) not in str(error):
            raise AssertionError(f"the error does not name {file}: {error}") from error


def small_nifti() -> bytes:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2.0, 2.0, 3.0, 1.0]))
    return image.to_bytes()


@FUZZ
@given(how=damage, zipped=st.booleans(), header_only=st.booleans())
def test_nifti(tmp_path: Path, how: tuple, zipped: bool, header_only: bool) -> None:
    content = small_nifti()
    size = 348 if header_only else len(content)  # most of what can go wrong is in the header
    content = damaged(content[:size], how) + content[size:]
    file = tmp_path / "v.nii"
    file.write_bytes(gzip.compress(content) if zipped else content)
    with at_most_an_error_that_names(file):
        volume = read_volume(file)
        assert volume.data.ndim == 3
        assert np.isfinite(volume.data).all()
        assert len(volume.spacing) == 3


@FUZZ
@given(how=damage)
def test_gzip_stream(tmp_path: Path, how: tuple) -> None:
    file = tmp_path / "v.nii.gz"
    file.write_bytes(damaged(gzip.compress(small_nifti()), how))
    with at_most_an_error_that_names(file):
        read_labels(file)


cells = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["s1", "F", "GBM", "../x", "\0"]),
)
tables = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "age", "sex", "grade", "event", "t1", "seg"), cells)),
    max_size=4,
)


@pytest.mark.slow
@FUZZ
@given(rows=tables, how=damage)
def test_participants(tmp_path: Path, rows: list[dict], how: tuple) -> None:
    file = tmp_path / "participants.tsv"
    stream = io.StringIO()
    pd.DataFrame(rows).to_csv(stream, sep="\t", index=False)
    file.write_bytes(damaged(stream.getvalue().encode("utf-8", "surrogatepass"), how))
    with at_most_an_error_that_names(tmp_path):
        table = read_participants(file)
        Cohort(name="fuzz", source="user", root=tmp_path, participants=table).validate()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "participants.tsv").write_text("id\tage\n" + "".join(f"s{k}\t{40 + k}\n" for k in range(4)))
    cohort = Cohort(
        name="fuzz", source="user", root=folder, participants=read_participants(folder / "participants.tsv"),
        expression=pd.DataFrame(np.eye(4, 3), index=[f"s{k}" for k in range(4)], columns=["a", "b", "c"]),
    )  # fmt: skip
    cohort.save(folder)
    return folder


@FUZZ
@given(how=damage, name=st.sampled_from(["expression.parquet", "cohort.json"]))
def test_saved_cohort(saved: Path, how: tuple, name: str) -> None:
    file = saved / name
    sound = file.read_bytes()
    file.write_bytes(damaged(sound, how))
    try:
        with at_most_an_error_that_names(saved):
            cohort = Cohort.load(saved)
            assert cohort.expression is None or len(cohort.expression) == len(cohort)
    finally:
        file.write_bytes(sound)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


@FUZZ
@given(fields=st.dictionaries(
    st.sampled_from(["name", "root", "participants", "columns", "images", "segmentation", "values", "title", "files"]),
    values,
))  # fmt: skip
@example(fields={"name": "a", "root": "\0"})
@example(fields={"name": "a", "root": "~nobody-of-this-name", "participants": "~nobody-of-this-name/p.csv"})
def test_descriptions_and_manifests(tmp_path: Path, fields: dict) -> None:
    file = tmp_path / "my.yml"
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    for read in (read_described, read_manifest):
        with pytest.raises(RadlibError) as caught:
            read(file)
        assert str(file) in str(caught.value)


@FUZZ
@given(how=damage)
def test_weights(tmp_path: Path, how: tuple) -> None:
    network = torch.nn.Linear(3, 2)
    file = tmp_path / "w.safetensors"
    save_weights(file, network)
    file.write_bytes(damaged(file.read_bytes(), how))
    with at_most_an_error_that_names(file):
        load_weights(file, network)
