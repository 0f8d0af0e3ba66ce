"""Checklists: every item has a score and a place for every document."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlib.book.checklists import DOCUMENTS, SCORES, Checklist, checklists, second_reading
from radlib.core.errors import RadlibError

ITEM = {"number": "1", "part": "a", "item": "b"} | dict.fromkeys(DOCUMENTS, "yes; here")


def test_every_item_is_scored_with_its_place() -> None:
    found = {one.name: [item.number for item in one.items] for one in checklists()}
    assert {name: len(numbers) for name, numbers in found.items()} == {
        "METRICS": 30, "CLEAR": 58, "TRIPOD+AI": 52, "CLAIM": 44,
    }  # fmt: skip
    assert all(len(set(numbers)) == len(numbers) for numbers in found.values())
    for item in (item for one in checklists() for item in one.items):
        assert set(item.scores) == set(DOCUMENTS)
        assert all(one.score in SCORES and one.place for one in item.scores.values())


def test_the_share_leaves_out_what_does_not_apply() -> None:
    items = [ITEM, ITEM | {"book": "n/a; x"}, ITEM | {"book": "partly; x"}, ITEM | {"book": "no; x"}]
    found = Checklist.model_validate({"name": "x", "about": "y", "items": items})
    assert found.share("book") == (0.5, 3)
    assert found.share("ge2020") == (1.0, 4)


@pytest.mark.parametrize("wrong", ["maybe; here", "yes", "yes; "])
def test_a_score_without_a_place_is_refused(tmp_path: Path, wrong: str) -> None:
    lines = "".join(f"    {name}: {wrong if name == 'book' else 'no; here'}\n" for name in DOCUMENTS)
    (tmp_path / "x.yml").write_text(
        f"name: x\nabout: y\nitems:\n  - number: 1\n    part: a\n    item: b\n{lines}", encoding="utf-8"
    )
    with pytest.raises(RadlibError, match="book"):
        checklists(tmp_path)


def test_the_second_reading_is_compared_with_the_first_scores() -> None:
    """By hand: 33 of 40 alike; what chance gives follows from the shares of no, partly, yes and n/a of both readers."""
    found = second_reading()
    by_chance = (18 * 16 + 9 * 14 + 4 * 5 + 9 * 5) / 40**2
    assert (found.n, found.agreed) == (40, 33)
    assert found.kappa == pytest.approx((33 / 40 - by_chance) / (1 - by_chance))
    assert 0 < found.mended <= found.n - found.agreed
