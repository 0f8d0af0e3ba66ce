"""The chapters of Islam 2020 build on each other's jobs."""

from __future__ import annotations

import pytest

from radlib.book.plan import study_of


@pytest.mark.parametrize("profile", ["smoke", "default", "paper"])
def test_chapters_share_their_trainings(profile: str) -> None:
    about = {"cohort": "simulated", "profile": profile, "seed": 0}
    maker = study_of("modality_synthesis", "generators", **about).arms["fcn"][0]  # type: ignore[arg-type]
    synthetic = study_of("octave_segmentation", "synthetic", **about).arms["fcn"][0]  # type: ignore[arg-type]
    assert synthetic.inputs["generator"].key == maker.key
    networks = study_of("octave_segmentation", "trainings", **about).arms["fcn"]  # type: ignore[arg-type]
    walk = study_of("radiogenomic_survival", "stages", **about).arms["walk"][0]  # type: ignore[arg-type]
    assert {one.key for one in walk.inputs["networks"]} <= {one.key for one in networks}
    fillers = study_of("modality_synthesis", "fillers", **about).arms  # type: ignore[arg-type]
    assert {name: one.key for name, one in walk.inputs["generators"].items()} == {
        name: jobs[0].key for name, jobs in fillers.items()
    }
