"""Published numbers: everything is there, and every relation among them holds or is listed as a contradiction."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from radlib.core.errors import RadlibError
from radlib.core.paths import manifests_dir
from radlib.data.published import PAPERS, PublishedValue, check, check_all, load_paper, published, published_values
from radlib.data.published.arithmetic import Recompute, class_sizes, confusion_metrics, pooled_sd, sample_sd

# Rows, columns and filled cells of every printed table, counted on paper.
TABLES = {
    "islam2020": {"table1": (6, 6, 36), "table2": (5, 8, 40), "table3": (3, 3, 9)},
    "ge2020": {
        "table1a": (2, 9, 18),
        "table1b": (2, 5, 10),
        "table2": (2, 3, 6),
        "table3": (6, 6, 36),
        "table4": (6, 6, 36),
        "table5": (2, 3, 6),
        "table6": (2, 4, 8),
        "table7": (5, 3, 15),
    },
    "zhang2021": {
        "table1": (12, 6, 51),  # activations and norms have no filter, stride or number of filters
        "table2": (9, 12, 108),
        "table3": (12, 8, 96),
        "table4": (9, 12, 108),
        "table5": (7, 8, 56),
    },
    "li2017": {"table1": (33, 4, 91), "table2": (6, 7, 42), "table3": (8, 7, 56)},
    "mehra2022": {"table1": (7, 1, 7), "table2": (2, 3, 6), "table3": (2, 3, 6)},
}
FIGURES = {"islam2020": 9, "ge2020": 7, "zhang2021": 9, "li2017": 5, "mehra2022": 11}


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_and_figure_is_there(paper: str) -> None:
    manifest = load_paper(paper)
    sizes = {
        key: (len(table.rows), len(table.columns), sum(c != "~" for row in table.rows.values() for c in row.cells))
        for key, table in manifest.tables.items()
    }
    assert sizes == TABLES[paper]
    assert list(manifest.figures) == [f"figure{number}" for number in range(1, FIGURES[paper] + 1)]


@pytest.mark.parametrize("paper", PAPERS)
def test_relations_hold_except_the_listed_contradictions(paper: str) -> None:
    """A relation that fails must be listed, and a listed one must fail: neither can rot."""
    listed = {(relation, key) for key, value in published_values(paper).items() for relation in value.failing}
    failing = {(item.relation, item.key): item for item in check(paper) if not item.holds}
    unlisted = [failing[pair] for pair in failing.keys() - listed]
    assert not unlisted, f"contradictions that the manifest does not list: {unlisted}"
    assert not listed - failing.keys(), "listed contradictions that do not contradict"


def test_every_recomputable_cell_is_recomputed() -> None:
    """The relations reach the tables that can be recomputed: none was left out by a mistyped key."""
    reached = {item.key for item in check_all()}
    for pattern in (
        "islam2020.table2.avg.",
        "ge2020.table1a.mutation.slices",
        "ge2020.table3.",
        "ge2020.table4.",
        "mehra2022.table3.",
    ):
        cells = [key for key in published_values() if key.startswith(pattern)]
        assert cells
        assert not [key for key in cells if key not in reached], pattern
    averages = [key for key in published_values("zhang2021") if key.endswith(".average")]
    assert len(averages) == 2 * 9 * 3 + 12 * 2 + 7 * 2
    assert set(averages) <= reached
    shares = [key for key in published_values("li2017") if key.endswith(".share")]
    assert len(shares) == 3 * (2 * 3 + 3 * 3) + 2 * 3
    assert set(shares) <= reached
    predictions = [key for key in published_values("li2017") if ".table2." in key or ".table3." in key]
    assert set(predictions) <= reached


def test_one_cell_with_everything() -> None:
    cell = published("ge2020.table3.mean.prop_a.accuracy")
    assert (cell.value, cell.spread, cell.n, cell.unit) == (88.82, Decimal("6.37"), 34, "%")
    assert (cell.row, cell.column, cell.table) == ("Mean (STD)", "Accuracy, Prop-A", "Table 3")
    assert "section III-D1" in cell.where
    assert cell.kind == "result"
    assert not cell.contradiction


def test_printed_digits_bound_the_value() -> None:
    assert published("islam2020.table2.fold2.specificity.short").low == pytest.approx(87.495)
    cut = published("ge2020.table3.run2.prop_a.sensitivity")  # 10 of 11, printed 90.90
    assert cut.rounding == "truncated"
    assert cut.low == pytest.approx(90.90)
    assert cut.low <= 100 * 10 / 11 <= cut.high
    count = published("mehra2022.text.training_slices")
    assert count.low == count.high == 4540


def test_words_have_no_value() -> None:
    with pytest.raises(RadlibError, match=r"is no number.*not stated"):
        _ = published("islam2020.text.class_thresholds").value


def test_unknown_key_names_the_closest() -> None:
    with pytest.raises(RadlibError, match=r"islam2020\.table2\.avg\.accuracy"):
        published("islam2020.table2.average.accuracy")


def test_unknown_paper_names_the_papers() -> None:
    with pytest.raises(RadlibError, match="islam2020"):
        load_paper("islam2021")


def test_contradictions_reach_the_entries() -> None:
    cell = published("ge2020.table4.run5.bas_2.accuracy")
    assert cell.contradiction
    assert "28 of 34" in cell.remark
    note = published("ge2020.table3.run1.prop_a.accuracy")
    assert note.remark
    assert not note.contradiction


def _broken(folder: Path, change) -> Path:
    raw = yaml.load((manifests_dir() / "papers" / "mehra2022.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    change(raw)
    (folder / "mehra2022.yml").write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw["tables"]["table3"].update(captoin="x"), r"tables\.table3\.captoin"),
        (lambda raw: raw["tables"]["table3"]["rows"]["baseline"]["cells"].pop(), "2 cells for 3 columns"),
        (lambda raw: raw["remarks"][0].update(keys=["table9.*"]), r"table9\.\*"),
        (lambda raw: raw.update(key="mehra"), "key: Input should be"),
    ],
    ids=["unknown field", "short row", "remark on nothing", "unknown paper"],
)
def test_a_broken_manifest_is_named(tmp_path: Path, change, problem: str) -> None:
    with pytest.raises(RadlibError, match=problem):
        load_paper("mehra2022", folder=_broken(tmp_path, change))


def test_text_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "mehra2022.yml").write_text("key: [unclosed", encoding="utf-8")
    with pytest.raises(RadlibError, match="not YAML"):
        load_paper("mehra2022", folder=tmp_path)


def _value(printed: str, unit: str = "%") -> PublishedValue:
    return PublishedValue(
        key="x", paper="li2017", kind="result", table="", where="", printed=printed, number=Decimal(printed), unit=unit
    )


def test_class_sizes_of_printed_shares() -> None:
    assert class_sizes([_value("16.67"), _value("66.67")], most=20) == [6, 12, 18]
    assert class_sizes([_value("40"), _value("90")], most=15) == [10]
    assert class_sizes([_value("0.5000", "fraction")], most=5) == [2, 4]


def test_confusion_metrics_by_hand() -> None:
    metrics = confusion_metrics(tp=3, tn=1, positives=4, negatives=2)
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["ppv"] == pytest.approx(3 / 4)
    assert metrics["npv"] == pytest.approx(1 / 2)
    assert metrics["mcc"] == pytest.approx((3 * 1 - 1 * 1) / (4 * 4 * 2 * 2) ** 0.5)
    assert str(confusion_metrics(tp=0, tn=2, positives=1, negatives=2)["ppv"]) == "nan"


def test_pooled_sd_is_that_of_the_joined_groups() -> None:
    a, b = [1.0, 2.0, 4.0], [3.0, 7.0]
    joined = pooled_sd((3, 2), (7 / 3, 5.0), (sample_sd(*a), sample_sd(*b)))
    assert joined == pytest.approx(sample_sd(*a, *b))


def test_a_wrong_number_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machinery notices a mean that is off by more than rounding allows, and one that is not."""
    recompute = Recompute("islam2020")
    key = "islam2020.table2.avg.accuracy"
    folds = [f"table2.fold{n}.accuracy" for n in range(1, 5)]
    for printed, holds in (("71.15", True), ("71.16", True), ("71.18", False)):
        values = {**recompute.values, key: recompute.values[key].model_copy(update={"number": Decimal(printed)})}
        monkeypatch.setattr(recompute, "values", values)
        recompute.derived("mean", "table2.avg.accuracy", folds, lambda *x: sum(x) / 4)
        assert recompute.checks[-1].holds is holds
