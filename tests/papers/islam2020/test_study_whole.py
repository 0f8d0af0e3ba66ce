"""Patients who lack a modality, and in whom the whole tumour alone is outlined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort, participants_table
from radlib.papers.islam2020 import study_lacking
from radlib.papers.islam2020.divisions import FoldsOf, HeldOutOf
from radlib.papers.islam2020.recipes import Recipe, SynthesisRecipe, everyone
from radlib.papers.islam2020.study_whole import ensemble, outlined_history, rule, segmentation
from radlib.study.cohorts import Images, Source, forget

THREE = ("t1", "t1ce", "flair")
TINY = Recipe(widths=(4, 4, 8), steps=2, batch_size=2, crop=0, validations=1, precision="32-true")
MAKER = SynthesisRecipe(
    widths=(4, 8), discriminator_widths=(4, 8), patch_widths=(4, 8), steps=2, batch_size=2, crop=0, validations=1,
    precision="32-true",
)  # fmt: skip


def table(n: int = 12, lacking: int = 2) -> Cohort:
    rows = [
        {"id": f"p{k:02d}", "grade": 2 + k % 2, "grade_group": "LGG", "seg": "seg.nii", "flair": "f.nii",
         **({} if k < lacking else {"t1": "1.nii", "t1ce": "c.nii"})}
        for k in range(n)
    ]  # fmt: skip
    return Cohort(name="thick", source="user", root=Path("."), participants=participants_table(rows))


def test_patients_with_the_modalities_take_part_and_both_chapters_hold_out_the_same() -> None:
    cohort = table()
    (one,) = HeldOutOf(n_test=3, modalities=THREE).splits(cohort)
    folds = FoldsOf(n_held_out=3, n_folds=2, modalities=THREE).splits(cohort)
    assert sorted(everyone(one)) == [f"p{k:02d}" for k in range(2, 12)]
    for fold in folds:
        assert fold.test == one.test
        assert sorted((*fold.train, *fold.validation)) == sorted(one.train)
    assert set(cohort.participants.loc[list(one.test), "grade"]) == {2, 3}  # within WHO grade


def test_too_few_patients_are_missing_data() -> None:
    with pytest.raises(MissingDataError, match="4 subjects of cohort 'thick' have t1, t1ce, flair"):
        HeldOutOf(n_test=2, modalities=THREE).splits(table(6))
    with pytest.raises(MissingDataError, match="needs 5"):
        FoldsOf(n_held_out=3, n_folds=2, modalities=THREE).splits(table(6))


def test_a_learning_curve_is_of_what_is_outlined() -> None:
    history = pd.DataFrame({"step": [1], "loss": [1.0], "dice_mean": [0.2], "dice_wt": [0.6], "dice_et": [0.0]})
    found = outlined_history(history)
    assert set(found) == {"step", "loss", "dice_mean", "dice_wt"}
    assert found["dice_mean"].tolist() == [0.6]


@pytest.fixture
def thick(six: Cohort, monkeypatch: pytest.MonkeyPatch) -> Iterator[Images]:
    """Ten patients without T2 whose labels say the whole tumour alone."""
    rows = six.participants.iloc[[0, 1, 2, 3, 0, 1, 2, 3, 0, 1]].set_axis([f"p{k}" for k in range(10)]).copy()
    rows.index.name = "id"
    rows["t2"], rows["grade"], rows["label_encoding"] = np.nan, [2.0, 3.0] * 5, "1:2 2:2 4:2"
    cohort = Cohort(name="thick", source="user", root=six.root, participants=rows)
    monkeypatch.setattr("radlib.study.cohorts.open_cohort", lambda role, **_: cohort)
    forget()
    yield Images(source=Source("huashan", "thick.yml"), grid=(16, 16, 8), spacing=2.0, modalities=THREE)
    forget()


@pytest.mark.slow
def test_scores_have_the_whole_tumour_only(thick: Images) -> None:
    division = FoldsOf(n_held_out=3, n_folds=2, modalities=THREE)
    members = tuple(
        segmentation(images=thick, division=division, fold=fold, model="unet", modalities=THREE, recipe=TINY)
        for fold in range(2)
    )
    scaled = replace(thick, normalise="minmax")
    maker = study_lacking.generator(
        images=scaled, division=HeldOutOf(n_test=3, modalities=THREE), target="t1ce", sources=("t1", "flair"),
        recipe=MAKER,
    )  # fmt: skip
    plain = ensemble(members=members)
    several = {
        "plain": plain,
        "synthetic": ensemble(members=members, generator=maker),
        "line": ensemble(members=members, line=scaled, target="t1ce", sources=("t1", "flair")),
        "zeroed": ensemble(members=members, zeroed=("t1ce",)),
        "rule": rule(images=thick, division=division),
    }
    for one in several.values():
        scores = one.result().scores
        assert set(scores["group"]) == {"wt"}
        assert scores["subject"].nunique() == len(scores) == 3
    assert set(plain.result().table("members")["group"]) == {"wt"}
    assert set(members[0].result().scores["group"]) == {"wt"}
    assert "dice_et" not in members[0].result().history
