"""Jobs of IDH1 prediction, and the tables that are made of what they leave."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.papers.li2017 import study_prediction
from radlib.papers.li2017 import tables_prediction as tables
from radlib.papers.li2017.prediction import Classifier, Table
from radlib.papers.li2017.study_prediction import FOLDS, LEAVE_ONE_OUT, PROTOCOLS, Asked
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import JobFunction
from radlib.study.store import Work

N = 30
TRUTH = pd.Series([i % 3 != 0 for i in range(N)], index=[f"s{i:02}" for i in range(N)])


def asked(name: str, *, effect: float) -> Any:
    values = rng(0, "arm", name).normal(size=(N, 200)).astype(np.float32)
    values[:, :6] += effect * TRUTH.to_numpy()[:, None]
    return SimpleNamespace(table=lambda: Table(values, TRUTH), labels=lambda: TRUTH, setting=SimpleNamespace(seed=0))


def scores_of(job: JobFunction, folder: Path, **inputs: object) -> pd.DataFrame:
    job.function(Work(folder, folder / "scratch"), **inputs)  # type: ignore[call-arg]
    return pd.read_parquet(folder / "scores.parquet")


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder, parts = tmp_path_factory.mktemp("arms"), []
    for arm, effect in (("real", 2.5), ("noise", 0.0)):
        for run in (0, 1):
            found = scores_of(
                study_prediction.predictions, folder / f"{arm}{run}", asked=asked(arm, effect=effect), run=run,
                classifier=Classifier(), n_folds=3,
            )  # fmt: skip
            parts.append(found.assign(arm=arm, run=run))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def found(scores: pd.DataFrame) -> pd.DataFrame:
    return tables.by_protocol(scores, n_boot=50, seed=0)


def test_effects_are_found_and_noise_only_by_the_leaky_protocol(found: pd.DataFrame) -> None:
    assert tables.estimate(found, "real", FOLDS, LEAKAGE_FREE).value > 0.85
    assert tables.estimate(found, "noise", FOLDS, AS_PUBLISHED).value > 0.85
    assert tables.estimate(found, "noise", FOLDS, LEAKAGE_FREE).value < 0.75
    assert set(found["scheme"]) == {LEAVE_ONE_OUT, FOLDS}


def test_folds_differ_between_runs_and_leaving_one_out_does_not(scores: pd.DataFrame) -> None:
    wide = scores.query("arm == 'real'").pivot(index=["scheme", "protocol", "subject"], columns="run", values="score")
    same = (wide[0] == wide[1]).groupby("scheme").mean()
    assert same[LEAVE_ONE_OUT] == 1
    assert same[FOLDS] < 0.5
    both = tables.runs_of(scores.query("arm == 'real' and scheme == @FOLDS and protocol == @LEAKAGE_FREE"))
    assert (both.runs, both.n) == (2, N)


def test_printed_table_has_the_paper_s_line_first(found: pd.DataFrame) -> None:
    rows = {"real": "table2.b.multiple", "noise": ""}
    wide = tables.printed_table(found, rows, {"real": "R"}, scheme=LEAVE_ONE_OUT)
    assert wide["model"].tolist() == ["R", "R", "R", "noise", "noise"]
    assert wide["protocol"].tolist() == ["printed", AS_PUBLISHED, LEAKAGE_FREE, AS_PUBLISHED, LEAKAGE_FREE]
    assert wide.loc[0, "AUC"] == "0.916"
    assert wide.loc[2, "AUC"].startswith(f"{tables.estimate(found, 'real', LEAVE_ONE_OUT, LEAKAGE_FREE).value:.2f}")


def test_further_selection(tmp_path: Path) -> None:
    scores = scores_of(
        study_prediction.further_selection, tmp_path, asked=asked("real", effect=1.5), classifier=Classifier(),
        numbers=(2, 6, 20),
    )  # fmt: skip
    curve, chosen = (pd.read_parquet(tmp_path / "tables" / f"{name}.parquet") for name in ("curve", "chosen"))
    found = tables.by_protocol(scores.assign(arm="selected", run=0), n_boot=5, seed=0)
    best = tables.estimate(found, "selected", LEAVE_ONE_OUT, AS_PUBLISHED).value
    assert best == pytest.approx(curve[curve["protocol"] == AS_PUBLISHED]["value"].max())
    assert len(curve) == 6
    assert len(chosen) == N
    assert set(chosen["features"]) <= {2, 6, 20}


def test_split_by_time_tests_the_late_patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = list(TRUTH.index[-9:])
    early = [s for s in TRUTH.index if s not in late]
    monkeypatch.setattr(study_prediction, "late_patients", lambda _: (early, late))
    scores = scores_of(
        study_prediction.by_time, tmp_path, asked=asked("real", effect=2.5), classifier=Classifier(), numbers=(3, 6),
        n_splits=4,
    )  # fmt: skip
    for _, part in scores.groupby("protocol"):
        assert part["subject"].tolist() == late
        assert part["truth"].tolist() == TRUTH[late].tolist()
    draws = pd.read_parquet(tmp_path / "tables" / "draws.parquet")
    assert len(draws) == 4
    assert draws["auc"].mean() > 0.8


def test_controls_see_no_image(tmp_path: Path) -> None:
    people = pd.DataFrame(
        {
            "age": 40 + 12 * TRUTH.to_numpy() + rng(1).normal(size=N), "sex": ["M", "F"] * (N // 2), "grade": 2,
            "codel_1p19q": [None] * N,
        },
        index=TRUTH.index,
    )  # fmt: skip
    cohort = Cohort(name="c", source="simulated", root=tmp_path, participants=people)
    volumes = pd.DataFrame({"subject": TRUTH.index, "morphology_volume_voxel_counting": rng(2).random(N)})
    job = SimpleNamespace(result=lambda: SimpleNamespace(table=lambda _: volumes))
    one = asked("real", effect=0)
    one.setting.known = lambda: cohort
    scores = scores_of(study_prediction.controls, tmp_path, asked=one, volumes=job, n_folds=3, run=0)
    # One grade and unknown 1p/19q tell nothing, so their rules are left out.
    assert set(scores["model"]) == {"age", "age, sex, volume"}
    assert set(scores["scheme"]) == {LEAVE_ONE_OUT, FOLDS}
    found = tables.by_protocol(scores.assign(arm=scores["model"], run=0), n_boot=20, seed=0)
    assert tables.estimate(found, "age", LEAVE_ONE_OUT, CONTROL).value > 0.95
    cohort.participants["grade"] = np.where(TRUTH, 2, 3)
    cohort.participants["codel_1p19q"] = "codel"
    scores = scores_of(study_prediction.controls, tmp_path / "2", asked=one, volumes=job, n_folds=3, run=0)
    assert set(scores["model"]) == {"age", "age, sex, volume", "grade", "age, grade"}


def test_shuffles_and_chance(found: pd.DataFrame, tmp_path: Path) -> None:
    parts = []
    for arm, effect in (("real", 2.5), ("noise", 0.0)):
        part = scores_of(
            study_prediction.shuffled, tmp_path / arm, asked=asked(arm, effect=effect), classifier=Classifier(),
            permutations=12, n_folds=3, few=5, one_by_one=2,
        )  # fmt: skip
        parts.append(part.assign(arm=arm, features=arm))
    permutations = pd.concat(parts)
    drawn = permutations.query("permutation >= 0 and metric == 'auc'").groupby(["arm", "scheme", "protocol"])["value"]
    assert drawn.mean()["noise", FOLDS, AS_PUBLISHED] > 0.75
    assert abs(drawn.mean()["noise", FOLDS, LEAKAGE_FREE] - 0.5) < 0.2
    assert drawn.count()["noise", LEAVE_ONE_OUT, AS_PUBLISHED] == 2
    readings = {AS_PUBLISHED, LEAKAGE_FREE, "best 5, outside", "best 5, inside", "no selection"}
    assert set(permutations.query("scheme == @LEAVE_ONE_OUT")["protocol"]) == readings
    chance = tables.chance_table(found, permutations, {"real": "R"}).set_index("features")
    assert chance.loc["R", "p"] == pytest.approx(1 / 13)
    assert chance.loc["noise", "p"] > 0.1
    fits = tables.reading_table(permutations[permutations["scheme"] == FOLDS], {"real": 1.0, "noise": 0.5})
    fits = fits.set_index("reading")
    assert fits.loc[LEAKAGE_FREE, "distance from print"] < 0.25
    assert fits.loc[AS_PUBLISHED, "shuffled, lowest"] > 0.75
    # Shuffled labels under selection on all patients give more than the lowest print, 0.5.
    assert fits.loc[AS_PUBLISHED, "ruled out"] == "yes"
    assert len(fits) == 5
    rows = {"real": "table2.b.multiple", "noise": ""}
    wide = tables.auc_table(found, rows, {}, scheme=FOLDS, chance=permutations)
    assert wide["printed"].tolist() == ["0.916", ""]
    assert float(wide.loc[1, "as published, shuffled labels"]) > 0.75


def test_gaps_are_medians_and_labels_are_the_cohort_s(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame(
        {"subject": ["x", "y", "z"], "a": [1.0, np.nan, 3.0], "b": [np.nan] * 3, "c": [np.inf, 2.0, 4.0]}
    )
    job = SimpleNamespace(result=lambda: SimpleNamespace(table=lambda _: table))
    labels = pd.Series([True, False, True], index=["x", "y", "z"])
    monkeypatch.setattr(Asked, "labels", lambda _: labels)
    one = Asked(setting=None, n_encoder=0, features=job)  # type: ignore[arg-type]
    want = Table([[1, 0, 3], [2, 0, 2], [3, 0, 4]], labels)
    np.testing.assert_array_equal(one.table().values, want.values)


def test_traits_by_themselves() -> None:
    traits = pd.DataFrame({"one": TRUTH.astype(float), "less": -TRUTH.astype(float), "flat": 1.0})
    assert tables.trait_table(traits, TRUTH)["AUC"].tolist() == [1, 1, 0.5]


@pytest.mark.parametrize("profile", ["smoke", "default", "paper"])
def test_chapters_build_on_the_same_jobs(profile: str) -> None:
    """The networks and features behind the predictions are those of the chapters that show them."""
    from radlib.book.plan import study_of

    shared = {"cohort": "simulated", "profile": profile, "seed": 0}
    arms = study_of("idh_prediction", "arms", **shared).arms  # type: ignore[arg-type]
    features = study_of("fisher_features", "features", **shared).arms  # type: ignore[arg-type]
    networks = study_of("tumour_cnn", "encoders", **shared).arms  # type: ignore[arg-type]
    assert [job.inputs["asked"].features.key for job in arms["multiple"]] == [job.key for job in features["multiple"]]
    assert [job.inputs["trained"].key for job in features["multiple"]] == [job.key for job in networks["multiple"]]
    assert [job.inputs["trained"].key for job in features["single"]] == [job.key for job in networks["second"]]
    images = features["multiple"][0].inputs["setting"].images
    assert isinstance(images, Images)
    assert images.source == Source("huashan", "simulated", profile)
    assert set(PROTOCOLS) == {AS_PUBLISHED, LEAKAGE_FREE}
