from pathlib import Path

import pytest

from radlib.core.errors import RadlibError
from radlib.data.sources import open_cohort
from radlib.study.cohorts import cohort_options, make_cohort


def profile(project: Path, text: str) -> None:
    (project / "notebooks/profiles/smoke.yml").write_text("cohorts:\n" + text)


def test_made_opened_kept_and_replaced(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(project, "  rembrandt: {n: 2, grid: [48, 48, 36], features: islam71}\n")
    folder = make_cohort("rembrandt", profile="smoke")
    opened = open_cohort("rembrandt", cohort="simulated", profile="smoke")
    assert len(opened) == 2
    assert opened.radiomics is not None
    assert opened.radiomics.shape == (2, 71)
    images = sorted(folder.rglob("*.nii.gz"))
    before = [file.stat().st_mtime_ns for file in images]
    content = [file.read_bytes() for file in images]

    make_cohort("rembrandt", profile="smoke")  # the same again: nothing is made anew
    assert [file.stat().st_mtime_ns for file in images] == before

    images[0].unlink()  # as if interrupted there
    (folder / "made.json").unlink()
    make_cohort("rembrandt", profile="smoke")
    assert [file.read_bytes() for file in images] == content

    monkeypatch.setattr("radlib.study.cohorts.code_digest", lambda _: "another version of the simulator")
    make_cohort("rembrandt", profile="smoke")
    assert all(file.stat().st_mtime_ns > time for file, time in zip(images[1:], before[1:], strict=True))

    profile(project, "  rembrandt: {n: 3, grid: [48, 48, 36]}\n")
    make_cohort("rembrandt", profile="smoke")
    assert len(open_cohort("rembrandt", cohort="simulated", profile="smoke")) == 3
    assert not (folder / "radiomics.parquet").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  rembrandt: {nn: 2}\n", "nn"),
        ("  rembrandt: {n: 1}\n", "greater than or equal to 2"),
        ("  rembrandt: {grid: [48, 48]}\n", "grid"),
        ("  huashan: {n: 2}\n", "says nothing of the simulated cohort 'rembrandt'"),
    ],
)
def test_wrong_options(project: Path, text: str, message: str) -> None:
    profile(project, text)
    with pytest.raises(RadlibError, match=message):
        cohort_options("rembrandt", profile="smoke")
