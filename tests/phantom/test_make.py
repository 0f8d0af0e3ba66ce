"""A cohort on disk: the same bytes always, resumable, nothing half written."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from radlib.cli import app
from radlib.core.errors import RadlibError
from radlib.core.files import sha256
from radlib.data.cohort import Cohort
from radlib.data.nifti import read_volume
from radlib.phantom import make as module
from radlib.phantom.make import make

pytestmark = pytest.mark.slow  # whole subjects are made and registered

TINY = (40, 48, 36)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohorts") / "three"
    make("brats2017", out=out, n=3, grid=TINY, seed=5, truth_images=True)
    return out


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def again(out: Path, **options: object) -> Cohort:
    defaults: dict[str, object] = {"n": 3, "grid": TINY, "seed": 5, "truth_images": True}
    return make("brats2017", out=out, **{**defaults, **options})  # type: ignore[arg-type]


def test_layout(made: Path) -> None:
    cohort = Cohort.load(made)
    cohort.validate()
    assert len(cohort) == 3
    assert cohort.source == "simulated"
    assert cohort.truth == made / "truth"
    for subject in cohort.ids:
        folder = cohort.path(subject, "t1ce").parent
        assert folder.name == subject
        assert sorted(p.name for p in folder.iterdir()) == sorted(
            f"{subject}_{kind}.nii.gz" for kind in ("t1", "t1ce", "t2", "flair", "seg")
        )
        image, labels = cohort.volume(subject, "t1"), cohort.labels(subject)
        assert image.data.shape == TINY == labels.data.shape
        assert set(np.unique(labels.data)) <= {0, 1, 2, 4}
        record = json.loads((made / "truth" / "subjects" / f"{subject}.json").read_text())
        assert record["volumes_ml"]["whole"] > 0
        assert (made / "truth" / "probabilities" / f"{subject}.nii.gz").is_file()
        assert read_volume(made / "truth" / "distractors" / f"{subject}.nii.gz").data.max() > 0
        assert len(list((made / "truth" / "images" / subject).iterdir())) == 4
    latents = pd.read_csv(made / "truth" / "latents.tsv", sep="\t", index_col="id")
    traits = pd.read_csv(made / "truth" / "traits.tsv", sep="\t", index_col="id")
    assert list(latents.index) == list(traits.index) == cohort.ids
    assert json.loads((made / "truth" / "effects.json").read_text())["strengths"]
    assert not list(made.glob(".part-*"))


def test_bytes_do_not_depend_on_the_number_of_processes(made: Path, tmp_path: Path) -> None:
    again(tmp_path / "two", jobs=2)
    assert digests(tmp_path / "two") == digests(made)


def test_a_finished_cohort_is_left_alone(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*.nii.gz")}
    monkeypatch.setattr(module, "_make_subject", lambda job: pytest.fail(f"{job.subject} was made again"))
    features = copy / "radiomics.parquet"
    ids = Cohort.load(copy).participants.index
    pd.DataFrame({"volume": np.arange(3.0)}, index=ids).to_parquet(features)  # made from the images later
    again(copy)
    assert features.exists()
    assert before == {path: path.stat().st_mtime_ns for path in copy.rglob("*.nii.gz")}


@pytest.mark.parametrize("damage", ["missing", "corrupt", "unrecorded"])
def test_what_is_not_finished_is_made_again(
    made: Path, copy: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Cohort.load(copy).ids[1]
    file = Cohort.load(copy).path(subject, "t2")
    if damage == "missing":
        file.unlink()
    elif damage == "corrupt":
        file.write_bytes(file.read_bytes()[:-40])
    else:
        (copy / "truth" / "subjects" / f"{subject}.json").unlink()
    done = []
    original = module._make_subject
    monkeypatch.setattr(module, "_make_subject", lambda job: done.append(job.subject) or original(job))
    again(copy)
    assert done == [subject]
    assert digests(copy) == digests(made)


def test_an_interrupted_run_goes_on(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "stopped"
    original = module.write_volume
    calls = 0

    def stop(path: Path, *args: object, **kwargs: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 14:  # in the middle of the second subject's files
            raise KeyboardInterrupt
        original(path, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_volume", stop)
        with pytest.raises(KeyboardInterrupt):
            again(out)
    assert not (out / "cohort.json").exists()
    assert len(list((out / "truth" / "subjects").iterdir())) == 1
    assert len(list(out.rglob("*_seg.nii.gz"))) == 1
    again(out)
    assert digests(out) == digests(made)


def test_a_full_disk(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "full"
    original = module.write_volume
    calls = 0

    def fill(path: Path, *args: object, **kwargs: object) -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        original(path, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_volume", fill)
        with pytest.raises(RadlibError, match="the disk is full"):
            again(out)
    assert not list(out.glob(".part-*"))
    assert len(list(out.rglob("*_seg.nii.gz"))) == 1
    again(out)
    assert digests(out) == digests(made)


def test_too_little_disk_is_seen_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(RadlibError, match=r"needs about .* GB and the disk has 0\.0 GB free"):
        again(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, r"differs in seed \(5 there, 6 asked for\)"),
        ({"n": 4}, r"n \(3 there, 4 asked for\)"),
        ({"grid": (40, 48, 40)}, "differs in grid"),
        ({"preset": "null"}, "differs in strengths"),
    ],
)
def test_a_folder_of_another_cohort_is_refused(made: Path, change: dict[str, object], message: str) -> None:
    before = digests(made)
    with pytest.raises(RadlibError, match=message):
        again(made, **change)
    assert digests(made) == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(RadlibError, match=r"holds no simulated cohort: thesis\.doc"):
        again(tmp_path)
    with pytest.raises(RadlibError, match="the output is a file"):
        again(tmp_path / "thesis.doc")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.doc"]


def test_two_makers_of_one_cohort(copy: Path) -> None:
    from filelock import FileLock

    with FileLock(copy / ".lock"), pytest.raises(RadlibError, match="another process is making this cohort"):
        again(copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "0 subjects"),
        ({"grid": (96, 96, 64), "spacing": 1.0}, "a brain needs"),
        ({"grid": None, "spacing": 2.0}, "without a grid"),
        ({"strengths": {"idh->everything": 1.0}}, "unknown arrow"),
        ({"strengths": {"preset": "nothing"}}, "unknown preset"),
        ({"jobs": -1}, "-1 jobs"),
    ],
)
def test_impossible_values_write_nothing(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(RadlibError, match=message):
        again(tmp_path / "out", **options)
    assert not list(tmp_path.rglob("*.nii.gz"))
    assert not (tmp_path / "out" / "cohort.json").exists()


def test_missing_modalities_are_empty_cells(tmp_path: Path) -> None:
    cohort = make("tcga-gbm", out=tmp_path / "gbm", n=8, grid=TINY, seed=0)
    assert cohort.expression is not None
    table = cohort.participants
    assert table["t2"].isna().sum() > 4
    files = {str(p.relative_to(tmp_path / "gbm")) for p in (tmp_path / "gbm").rglob("SIM*.nii.gz")}
    named = {name for kind in ("t1", "t1ce", "t2", "flair", "seg") for name in table[kind].dropna()}
    assert {name for name in files if not name.startswith("truth")} == named
    none = table[table["seg"].isna()].index
    assert len(none) > 0
    assert not any((tmp_path / "gbm" / "truth" / "subjects" / f"{subject}.json").exists() for subject in none)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner = CliRunner()
    out = tmp_path / "cli"
    line = ["phantom", "make", "-t", "rembrandt", "-o", str(out), "--n", "2", "--grid", "40,48,36"]
    result = runner.invoke(app, [*line, "--strength", "idh->location=0", "--preset", "null", "--mechanism", "bias=0.5"])
    assert result.exit_code == 0, result.output
    assert "rembrandt: 2 subjects" in result.output
    assert Cohort.load(out).participants["t1"].isna().all()
    recipe = json.loads((out / "truth" / "recipe.json").read_text())
    assert recipe["strengths"]["idh->location"] == 0
    assert recipe["mechanisms"]["bias"] == 0.5
    assert recipe["mechanisms"]["vessels"] == 1
    for bad in (
        ["--strength", "idh"],
        ["--mechanism", "bias=much"],
        ["--mechanism", "hair=1"],
        ["--grid", "96,96"],
        ["--spacing", "fine"],
    ):
        result = runner.invoke(app, [*line[:-2], *bad])
        assert isinstance(result.exception, RadlibError)
