"""The large table: persons once, the optimism of the published protocol, and a model carried elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort, participants_table
from radlib.papers.across import study_large as large
from radlib.papers.across import tables_large as tables
from radlib.papers.across.study import Folds
from radlib.stats.binary import Recipe
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, PERMUTED, PUBLISHED_PERMUTED
from radlib.study.cohorts import Source


def cohort(folder: Path, *, n: int = 80, seed: int = 0, prefix: str = "u", volume: str = "shape_VoxelVolume") -> Source:
    """Patients of whom age and one of 12 features show the status; the last is the first, examined again."""
    random = np.random.default_rng(seed)
    ids = [f"{prefix}{k}" for k in range(n)]
    mutant = random.random(n) < 0.4
    table = participants_table(pd.DataFrame({
        "age": np.where(mutant, 42, 58) + random.normal(0, 8, n), "sex": "F", "grade": [2.0, 4.0] * (n // 2),
        "idh": np.where(mutant, "mutant", "wildtype"),
        "person": [*ids[:-1], f"{ids[-1]} {ids[0]}"],
    }, index=ids))  # fmt: skip
    features = pd.DataFrame(random.normal(size=(n, 12)), index=ids, columns=[volume, *(f"f{k}" for k in range(11))])
    features["f0"] += 1.5 * mutant
    features[volume] = np.exp(features[volume] + 8)
    folder.mkdir(parents=True, exist_ok=True)
    Cohort(name=prefix, source="user", root=folder, participants=table, radiomics=features).save(folder)
    (folder / "cohort.yml").write_text(f"name: {prefix}\n")
    return Source(prefix, str(folder))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """Roles of these tests open the folders that were written here."""
    from radlib.study import cohorts

    monkeypatch.setattr(cohorts, "open_cohort", lambda role, *, cohort, profile: Cohort.load(Path(cohort)))
    cohorts.forget()
    return cohort(tmp_path / "one")


def test_each_person_once_and_by_grade(source: Source) -> None:
    everyone = large.question_of(source)
    assert len(everyone) == 79
    assert "u79" not in everyone.truth.index
    low = large.question_of(source, grade=2.0)
    assert len(low) == 40
    assert low.name == "grade 2"


def test_models_and_their_differences(source: Source) -> None:
    folds = Folds(n_folds=4, n_repeats=1)
    scores = large.answers(source=source, folds=folds, grades=(2.0,)).result().scores
    assert "u79" not in set(scores["subject"])
    table = tables.models_table(scores, n_boot=50, seed=0)
    auc = table[table["metric"] == "auc"].set_index(["group", "model"])["value"]
    assert auc["all", large.AGE] > 0.8
    assert auc["all", large.FEATURES] > 0.7
    apart = tables.differences_table(scores, n_boot=50, seed=0).set_index(["group", "difference"])["value"]
    assert apart["all", f"{large.BOTH} - {large.AGE}"] == pytest.approx(auc["all", large.BOTH] - auc["all", large.AGE])
    assert set(tables.calibration_table(scores)["model"]) == {large.AGE, large.FEATURES, large.BOTH, large.GRADE}
    assert tables.decision_table(scores, n_boot=20, seed=0)["model"].nunique() == 4


@pytest.mark.slow
def test_fewer_patients_and_more_columns_flatter_the_published_protocol(source: Source) -> None:
    recipe = Recipe(n_selected=5)
    found = large.fewer_patients(source=source, sizes=(30, 79), draws=6, recipe=recipe, shuffled_columns=300)
    table = found.result().table("sizes")
    mean = table.groupby(["n", "protocol"])["value"].mean()
    assert mean[30, PUBLISHED_PERMUTED] > 0.8 > mean[79, PUBLISHED_PERMUTED]
    assert mean[30, PERMUTED] < 0.65
    assert (79, large.OTHERS) not in mean  # nobody is left out of the whole cohort
    gaps = tables.gaps_table({"wide": table}).set_index(["n", "protocol"])["value"]
    assert gaps[30, AS_PUBLISHED] > gaps[30, LEAKAGE_FREE]
    assert set(tables.sizes_table({"wide": table})["draws"]) == {6}


def test_a_model_is_carried_and_set_right(source: Source, tmp_path: Path) -> None:
    other = cohort(tmp_path / "two", seed=5, prefix="v", volume="VOLUME_WT")
    job = large.transported(source=other, other=source, volume=("VOLUME_WT", "shape_VoxelVolume"))
    scores = job.result().scores
    assert set(scores["group"]) == {"u", "v"}
    auc = tables.models_table(scores, n_boot=50, seed=0).query("metric == 'auc'").set_index(["group", "model"])["value"]
    assert auc["u", large.AGE] > 0.8
    assert abs(auc["u", "volume"] - 0.5) < 0.25  # it shows nothing here
    moved = tables.moved_table(scores, model=large.AGE, sizes=[20], draws=5, seed=0)
    assert set(moved["how"]) == {"as it comes", "in the large", "logistic"}


def test_a_person_of_both_cohorts_is_refused(source: Source, tmp_path: Path) -> None:
    twin = cohort(tmp_path / "twin", seed=9, prefix="u", volume="VOLUME_WT")  # the same ids
    job = large.transported(source=twin, other=source, volume=("VOLUME_WT", "shape_VoxelVolume"))
    with pytest.raises(RadlibError, match="trained on and tested"):
        job.result()


def test_shuffles_beside_the_own_survival() -> None:
    found = pd.DataFrame({
        "reading": ["days"] * 4, "permutation": [-1, 0, 1, 2], "accuracy": [0.8, 0.6, 0.7, 0.8],
    })  # fmt: skip
    (row,) = tables.shuffles_table(found).itertuples()
    assert (row.observed, row.shuffles) == (0.8, 3)
    assert row.p == pytest.approx(2 / 4)  # one of three is as good, and the observed counts
