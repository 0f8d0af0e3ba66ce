"""Splits: every subject where it belongs, once."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.splits import Split, hold_out, k_fold, leave_one_group_out, leave_one_out

IDS = [f"s{i:02d}" for i in range(23)]
CLASSES = ["mutant"] * 6 + ["wildtype"] * 15 + [None] * 2


@given(n=st.integers(4, 40), n_folds=st.integers(2, 4), seed=st.integers(0, 99), rate=st.floats(0, 1))
def test_folds_partition_and_balance(n: int, n_folds: int, seed: int, rate: float) -> None:
    ids = [f"p{i}" for i in range(n)]
    labels = ["a" if i < rate * n else "b" for i in range(n)]
    splits = k_fold(ids, n_folds=n_folds, seed=seed, stratify=labels)
    assert sorted(subject for split in splits for subject in split.test) == sorted(ids)
    for split in splits:
        assert sorted(split.train + split.test) == sorted(ids)
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    label_of = dict(zip(ids, labels, strict=True))
    for value in ("a", "b"):
        counts = [sum(label_of[s] == value for s in split.test) for split in splits]
        assert max(counts) - min(counts) <= 1


def test_a_seed_gives_one_division() -> None:
    first = k_fold(IDS, n_folds=4, seed=1, stratify=CLASSES)
    assert first == k_fold(IDS, n_folds=4, seed=1, stratify=CLASSES)
    assert first != k_fold(IDS, n_folds=4, seed=2, stratify=CLASSES)


def test_a_missing_class_is_spread_too() -> None:
    splits = k_fold(IDS, n_folds=2, seed=0, stratify=pd.Series(CLASSES, index=IDS))
    assert [sum(s in split.test for s in IDS[-2:]) for split in splits] == [1, 1]


def test_groups_stay_together() -> None:
    sites = [f"site{i % 5}" for i in range(len(IDS))]
    site_of = dict(zip(IDS, sites, strict=True))
    splits = k_fold(IDS, n_folds=3, seed=0, stratify=CLASSES, groups=sites)
    assert sorted(s for split in splits for s in split.test) == IDS
    for split in splits:
        assert not {site_of[s] for s in split.train} & {site_of[s] for s in split.test}


def test_leave_one_out() -> None:
    splits = leave_one_out(IDS)
    assert [split.test for split in splits] == [(subject,) for subject in IDS]
    assert all(len(split.train) == len(IDS) - 1 for split in splits)


def test_leave_one_group_out() -> None:
    splits = leave_one_group_out(["a", "b", "c"], groups={"a": "x", "b": "y", "c": "x"})
    assert [(split.name, split.train, split.test) for split in splits] == [
        ("x", ("b",), ("a", "c")),
        ("y", ("a", "c"), ("b",)),
    ]


def test_hold_out_counts_shares_and_strata() -> None:
    labels = ["a"] * 40 + ["b"] * 60
    ids = [f"p{i:03d}" for i in range(100)]
    split = hold_out(ids, test=0.2, validation=10, seed=3, stratify=labels)
    assert (len(split.train), len(split.validation), len(split.test)) == (70, 10, 20)
    label_of = dict(zip(ids, labels, strict=True))
    assert sum(label_of[s] == "a" for s in split.test) == 8
    assert sum(label_of[s] == "a" for s in split.validation) == 4
    train, test = split.indices(ids)
    assert [ids[i] for i in test] == list(split.test)
    assert [ids[i] for i in train] == list(split.train)


def test_hold_out_keeps_groups_together() -> None:
    sites = [f"site{i % 6}" for i in range(len(IDS))]
    site_of = dict(zip(IDS, sites, strict=True))
    split = hold_out(IDS, test=0.25, validation=0.2, seed=0, groups=sites)
    parts = [{site_of[s] for s in part} for part in (split.train, split.validation, split.test)]
    assert all(parts)
    assert sum(map(len, parts)) == 6


def test_slices_are_refused() -> None:
    with pytest.raises(RadlibError, match=r"'p1' is given twice.*slices"):
        k_fold(["p1", "p1", "p2"], n_folds=2, seed=0)


@pytest.mark.parametrize("n_folds", [0, 1, 24])
def test_impossible_numbers_of_folds(n_folds: int) -> None:
    with pytest.raises(RadlibError, match=f"{n_folds} folds of 23 subjects"):
        k_fold(IDS, n_folds=n_folds, seed=0)


def test_labels_must_fit() -> None:
    with pytest.raises(RadlibError, match="2 labels for 23 subjects"):
        k_fold(IDS, n_folds=2, seed=0, stratify=["a", "b"])
    with pytest.raises(RadlibError, match="nothing for subject 's01'"):
        k_fold(IDS, n_folds=2, seed=0, stratify={"s00": "a"})
    with pytest.raises(RadlibError, match="3 folds of 1 groups"):
        k_fold(IDS, n_folds=3, seed=0, groups=["x"] * 23)


@pytest.mark.parametrize("test", [0, 1.5, -1, 23, True])
def test_impossible_hold_outs(test: float) -> None:
    with pytest.raises(RadlibError, match=r"test"):
        hold_out(IDS, test=test, seed=0)


def test_a_subject_cannot_be_on_both_sides() -> None:
    with pytest.raises(RadlibError, match="on two sides"):
        Split(name="bad", train=("a", "b"), test=("b",))


def test_too_few_subjects_are_something_that_lacks() -> None:
    """Which a chapter on a small cohort reports as unmet; a split that makes no sense is an error in the request."""
    with pytest.raises(MissingDataError, match="leave a part empty"):
        hold_out(["a", "b"], test=1, validation=1, seed=0)
    with pytest.raises(MissingDataError, match="3 folds of 2 subjects are not possible"):
        k_fold(["a", "b"], n_folds=3, seed=0)
    for wrong in (lambda: hold_out(["a", "b"], test=0, seed=0), lambda: k_fold(["a", "b"], n_folds=1, seed=0)):
        with pytest.raises(RadlibError) as caught:
            wrong()
        assert not isinstance(caught.value, MissingDataError)
