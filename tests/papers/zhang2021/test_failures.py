"""Subtypes of tumours, and one trait changed while nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import Cohort
from radlib.data.store import prepare
from radlib.papers.zhang2021 import failures
from radlib.phantom.make import make
from radlib.phantom.render import render_subject
from radlib.phantom.scanner import load_protocol
from radlib.phantom.traits import ImagingTraits


def test_shape_of_a_reference_by_hand() -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[2:8, 2:8, 2:8] = 2
    cube = failures.shape_of(labels, voxel_ml=0.008)
    # 6 * 36 faces over those of a digital ball of 216 voxels.
    ball = 1.5 * 4 * np.pi * (3 * 216 / (4 * np.pi)) ** (2 / 3)
    assert cube == pytest.approx({"et_ml": 0.0, "raggedness": 216 / ball, "foci": 1.0})
    ragged = labels.copy()
    ragged[2:8:2, 2:8:2, 2:8] = 0
    assert failures.shape_of(ragged, voxel_ml=0.008)["raggedness"] > 1.5 * cube["raggedness"]
    labels[12:17, 12:17, 12:17] = 4
    labels[0, 19, 0] = 2  # too small to count
    both = failures.shape_of(labels, voxel_ml=0.008)
    assert (both["foci"], both["et_ml"]) == (2.0, 125 * 0.008)
    assert failures.shape_of(np.zeros((4, 4, 4), np.uint8), voxel_ml=0.001)["foci"] == 0


def test_subtypes_as_they_are() -> None:
    ids = [f"s{number}" for number in range(6)]
    shapes = pd.DataFrame(
        {"absent_et": [True, True, False, False, False, False], "ragged": [False] * 6, "disconnected": [True] * 6},
        index=pd.Index(ids, name="subject"),
    )
    grade = pd.Series(["LGG", "HGG"] * 3, index=ids)
    dice = dict(zip(ids, [0.2, 0.4, 0.8, 0.9, 0.7, 0.8], strict=True))
    scores = pd.DataFrame([
        {"run": 0, "subject": one, "group": group, "metric": "dice", "value": dice[one]}
        for one in ids for group in ("et", "wt", "tc")
    ])  # fmt: skip
    table = failures.as_they_are(scores, shapes, grade, n_boot=200)
    row = table.query("subtype == 'absent enhancing tumour' and region == 'WT'").iloc[0]
    assert row["difference"] == pytest.approx(0.3 - 0.8)
    assert row["high"] < 0
    assert (row["n with"], row["n without"]) == (2, 4)
    assert table.query("subtype == 'ragged contours'")["difference"].isna().all()
    chosen = failures.hardest(scores, shapes, grade)
    assert chosen == {"s1": "high grade", "s0": "absent enhancing tumour", "s4": "disconnected regions"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make("brats2017", out=tmp_path_factory.mktemp("cohorts") / "one", n=1, grid=(40, 48, 36), seed=48)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["traits.tsv", "recipe.json", "subjects/{}.json"])
def test_a_damaged_truth_is_named(simulated: Cohort, name: str, tmp_path: Path) -> None:
    assert simulated.truth is not None
    file = simulated.truth / name.format(simulated.ids[0])
    content = file.read_bytes()
    try:
        file.write_bytes(content[: len(content) // 3])
        with pytest.raises(RadlibError, match=rf"{re.escape(file.name)}.*make the cohort again"):
            failures.change_traits(simulated, simulated.ids, most=1, folder=tmp_path)
    finally:
        file.write_bytes(content)


@pytest.mark.slow
def test_one_trait_is_changed_and_nothing_else(simulated: Cohort, tmp_path: Path) -> None:
    both = failures.change_traits(simulated, simulated.ids, most=1, folder=tmp_path)
    (subject,) = simulated.ids
    assert both.ids == [f"{subject}:{change}" for change in failures.CHANGES]
    store = prepare(both, grid=(40, 48, 36), spacing=4.5)
    shapes = pd.DataFrame([failures.shape_of(labels.numpy(), voxel_ml=4.5**3 / 1000) for labels in store.labels])
    check = failures.change_check(shapes.assign(arm=list(failures.CHANGES))).set_index("subjects")
    assert check.loc["as it is", "enhancing (ml)"] > 0
    assert check.loc["absent enhancing tumour", "enhancing (ml)"] == 0
    assert check.loc["disconnected regions", "foci"] > check.loc["as it is", "foci"]
    # T1 shows no contrast agent: without enhancement the core stays where it was, and healthy tissue is the same.
    labels, (base, other) = store.labels, (0, 1)
    core = ((labels[base] == 1) | (labels[base] == 4)).float()
    assert (core * (labels[other] == 1)).sum() > 0.8 * core.sum()
    far = (labels[base] == 0) & (labels[other] == 0) & (store.images[base] != 0).any(dim=0)
    t1 = store.images[[base, other], 0][:, far].numpy()
    assert np.corrcoef(t1)[0, 1] > 0.9


@pytest.mark.slow
def test_as_it_is_is_what_the_simulation_gave(simulated: Cohort) -> None:
    import json

    from radlib.phantom.anatomy import Grid
    from radlib.phantom.mechanisms import resolve_mechanisms

    subject = simulated.ids[0]
    assert simulated.truth is not None
    traits = pd.read_csv(simulated.truth / "traits.tsv", sep="\t", index_col=0).loc[subject].to_dict()
    record = json.loads((simulated.truth / "subjects" / f"{subject}.json").read_text())
    recipe = json.loads((simulated.truth / "recipe.json").read_text())
    again = render_subject(
        ImagingTraits(**traits), subject=subject, seed=recipe["seed"], protocol=load_protocol(record["protocol"]),
        grid=Grid(shape=tuple(recipe["grid"]), spacing=tuple(recipe["spacing"])),
        mechanisms=resolve_mechanisms(recipe["mechanisms"]),
    )  # fmt: skip
    assert np.array_equal(again.images["flair"], simulated.volume(subject, "flair").data)
    assert np.array_equal(again.labels, simulated.labels(subject).data)


def test_a_cohort_without_truth_is_refused(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="has no truth"):
        failures.change_traits(cohort, cohort.ids, most=1, folder=tmp_path)
