import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.cohort import COLUMNS, Cohort
from radlib.features.extract import METADATA, extract_cohort
from radlib.features.presets import PRESETS, Preset
from tests.data.test_nifti import ORDERS, stored


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    rng = np.random.default_rng(0)
    rows = {}
    for name in ("a", "b", "c"):
        labels = np.zeros((16, 16, 16), dtype=np.uint8)
        labels[4:12, 5:11, 6:10], labels[6:10, 6:10, 7:9], labels[7:9, 7:9, 7] = 2, 4, 1
        image = rng.gamma(3, size=labels.shape).astype(np.float32)
        nib.save(nib.Nifti1Image(image, np.eye(4)), tmp_path / f"{name}_t1ce.nii.gz")
        nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / f"{name}_seg.nii.gz")
        rows[name] = {"t1ce": f"{name}_t1ce.nii.gz", "seg": f"{name}_seg.nii.gz"}
    participants = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(COLUMNS))
    participants.index.name = "id"
    return Cohort(name="tiny", source="user", root=tmp_path, participants=participants)


def test_one_row_a_subject_and_the_settings_inside(cohort: Cohort, tmp_path: Path) -> None:
    done = extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet", settings={"bins": 16})
    frame = pd.read_parquet(done.file)
    made_with = json.loads(pyarrow.parquet.read_schema(done.file).metadata[METADATA])
    assert frame.shape == (3, 71)
    assert frame.index.tolist() == ["a", "b", "c"]
    pd.testing.assert_frame_equal(frame, done.features)
    assert made_with["settings"]["bins"] == 16
    assert made_with["preset"] == "islam71"
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.slow
def test_several_processes_give_the_same(cohort: Cohort, tmp_path: Path) -> None:
    one = extract_cohort(cohort, preset="islam71", out=tmp_path / "one.parquet")
    two = extract_cohort(cohort, preset="islam71", out=tmp_path / "two.parquet", jobs=2)
    pd.testing.assert_frame_equal(one.features, two.features, check_exact=True)


def test_a_bad_subject_is_named_and_the_rest_goes_on(cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "b_t1ce.nii.gz").write_bytes(b"not an image")
    done = extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet")
    assert done.features.index.tolist() == ["a", "c"]
    assert "b_t1ce" in done.failed["b"]


def test_an_interrupted_run_goes_on(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    whole = Preset.compute

    def stop_at_c(self: Preset, cohort: Cohort, subject: str, settings: object, **options: object) -> dict[str, float]:
        computed.append(subject)
        if subject == "c" and computed.count("c") == 1:
            raise KeyboardInterrupt
        return whole(self, cohort, subject, settings, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Preset, "compute", stop_at_c)
    with pytest.raises(KeyboardInterrupt):
        extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet")
    assert not (tmp_path / "f.parquet").exists()
    done = extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet")
    assert computed == ["a", "b", "c", "c"]
    assert len(done.features) == 3


def test_a_failed_subject_is_tried_again(cohort: Cohort, tmp_path: Path) -> None:
    whole = {name: (tmp_path / f"{name}_t1ce.nii.gz").read_bytes() for name in cohort.ids}
    for name in cohort.ids:
        (tmp_path / f"{name}_t1ce.nii.gz").write_bytes(b"not an image")
    with pytest.raises(RadlibError, match="no subject of cohort 'tiny' gave features"):
        extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet")
    for name, content in whole.items():
        (tmp_path / f"{name}_t1ce.nii.gz").write_bytes(content)
    assert len(extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet").features) == 3


CHANGES = {
    "the mask": lambda c: nib.save(nib.Nifti1Image(np.ones((16, 16, 16), np.uint8), np.eye(4)), c.path("a", "seg")),
    "the image": lambda c: nib.save(nib.Nifti1Image(np.ones((16, 16, 16)), np.eye(4)), c.path("a", "t1ce")),
    "the encoding": lambda c: c.participants.__setitem__("label_encoding", "1:2 2:1 4:4"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_interrupted_run_takes_nothing_from_what_has_changed(
    cohort: Cohort, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "f.parquet"
    monkeypatch.setattr("radlib.features.extract._write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        extract_cohort(cohort, preset="islam71", out=out)
    monkeypatch.undo()
    assert len(list((tmp_path / "f.parquet.parts").iterdir())) == 3
    CHANGES[change](cohort)
    again = extract_cohort(cohort, preset="islam71", out=out).features
    fresh = extract_cohort(cohort, preset="islam71", out=tmp_path / "fresh.parquet").features
    pd.testing.assert_frame_equal(again, fresh)


@pytest.mark.parametrize(
    ("preset", "suffix"),
    [*(("islam71", suffix) for suffix in (".nii", ".nii.gz", ".nrrd", ".mha")),
     *(pytest.param(preset, ".nii", marks=pytest.mark.slow) for preset in ("li671", "ibsi"))],
)  # fmt: skip
def test_features_do_not_depend_on_how_a_file_is_stored(
    cohort: Cohort, tmp_path: Path, preset: str, suffix: str
) -> None:
    """In each of the 48 orders of the axes, also where image and mask are stored differently: equal to the last bit."""
    affine = np.diag([-1.0, -2.0, 1.5, 1.0])
    voxels = {name: np.asarray(nib.load(cohort.path("a", name)).dataobj) for name in ("t1ce", "seg")}
    expected: dict[str, float] = {}
    for number, order in enumerate(ORDERS):
        files = {name: f"{name}{suffix}" for name in voxels}
        for name, data in voxels.items():
            stored(tmp_path / files[name], data, affine, order if name == "t1ce" else ORDERS[-number])
        stored_so = replace(cohort.subset(["a"]), participants=cohort.participants.loc[["a"]].assign(**files))
        values = PRESETS[preset].compute(stored_so, "a", PRESETS[preset].parse({"modality": "t1ce"}))
        expected = expected or dict(values)
        assert values == pytest.approx(expected, nan_ok=True, abs=0, rel=1e-6 if suffix == ".nii" else 1e-5)


def test_a_mask_on_another_grid_is_named(cohort: Cohort, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((16, 16, 15), 2, np.uint8), np.eye(4)), cohort.path("b", "seg"))
    nib.save(
        nib.Nifti1Image(np.full((16, 16, 16), 2, np.uint8), np.eye(4) + 9 * np.eye(4, k=3)), cohort.path("c", "seg")
    )
    failed = extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet").failed
    assert "16 x 16 x 16 voxels, not 16 x 16 x 15: it does not share the grid of the segmentation" in failed["b"]
    assert "9 mm away" in failed["c"]


def test_an_empty_mask_is_named(cohort: Cohort, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((16, 16, 16), np.uint8), np.eye(4)), cohort.path("b", "seg"))
    done = extract_cohort(cohort, preset="ibsi", settings={"modality": "t1ce"}, out=tmp_path / "f.parquet")
    assert list(done.failed) == ["b"]
    assert "the region is empty" in done.failed["b"]
    assert done.features.loc["b"].isna().all()


def test_a_file_that_is_no_extraction_is_not_overwritten(cohort: Cohort, tmp_path: Path) -> None:
    table = tmp_path / "mine.parquet"
    pd.DataFrame({"x": [1.0]}).to_parquet(table)
    (tmp_path / "linked.parquet").symlink_to(cohort.path("a", "t1ce"))
    (tmp_path / "folder.parquet").mkdir()
    for name, says in (
        ("mine.parquet", "another file"), ("linked.parquet", "would overwrite"), ("folder.parquet", "this is a folder"),
        ("f.csv", "as Parquet"), ("mine.parquet/f.parquet", "cannot be written"), ("x" * 300 + ".parquet", "too long"),
    ):  # fmt: skip
        with pytest.raises(RadlibError, match=says):
            extract_cohort(cohort, preset="islam71", out=tmp_path / name)
    assert pd.read_parquet(table)["x"].tolist() == [1.0]


@pytest.mark.parametrize("preset", ["li671", "ibsi"])
def test_a_gpu_gives_what_the_cpu_gives(cohort: Cohort, tmp_path: Path, preset: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    options = {"modality": "t1ce"}
    here = extract_cohort(cohort, preset=preset, settings=options, out=tmp_path / "cpu.parquet")
    there = extract_cohort(cohort, preset=preset, settings=options, out=tmp_path / "gpu.parquet", device="cuda", jobs=2)
    pd.testing.assert_frame_equal(here.features, there.features, rtol=1e-7)


def test_unknown_names(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="islam71"):
        extract_cohort(cohort, preset="islam17", out=tmp_path / "f.parquet")
    with pytest.raises(RadlibError, match="binz"):
        extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet", settings={"binz": 3})
