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
from radlib.features.presets import PRESETS


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
    whole = PRESETS["islam71"].compute

    def stop_at_c(cohort: Cohort, subject: str, settings: object, **options: object) -> dict[str, float]:
        computed.append(subject)
        if subject == "c" and computed.count("c") == 1:
            raise KeyboardInterrupt
        return dict(whole(cohort, subject, settings, **options))  # type: ignore[arg-type]

    monkeypatch.setattr(
        "radlib.features.extract.find_preset",
        lambda name: type(PRESETS[name])(**{**PRESETS[name].__dict__, "compute": stop_at_c}),
    )
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


def test_parts_of_another_cohort_are_not_taken(cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "c_t1ce.nii.gz").write_bytes(b"not an image")
    for name in ("a", "b"):
        (tmp_path / f"{name}_t1ce.nii.gz").unlink()
    with pytest.raises(RadlibError, match="gave features"):
        extract_cohort(cohort, preset="islam71", out=tmp_path / "f.parquet")
    first = next((tmp_path / "f.parquet.parts").iterdir())
    with pytest.raises(RadlibError, match="gave features"):
        extract_cohort(replace(cohort, name="other"), preset="islam71", out=tmp_path / "f.parquet")
    assert {first} < set((tmp_path / "f.parquet.parts").iterdir())


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
