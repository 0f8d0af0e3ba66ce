"""The ledger: rules of the verdict, joining results to published entries, and the page."""

from __future__ import annotations

import html
import importlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from radlib.book.answer import cards
from radlib.book.claims import UNKNOWN, claims
from radlib.book.ledger import VERDICTS, Finding, collect, judge, ledger_frame, pages
from radlib.book.ledger.verdict import declared
from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.data.published import PAPERS, Evidence, Likeness, evidence, load_paper, published, published_values
from radlib.study.contrasts import Decision

collecting = importlib.import_module("radlib.book.ledger.collect")  # the package has a function of that name
ACCURACY = "ge2020.table2.prop_a.accuracy"  # 88.82 %, n = 34
CHAPTER = "multistream_idh"  # measures it in its study `classifier`, as a fraction


COSTS = {paper: {"jobs": 0, "wanted": 3, "hours": 0.0, "longest": 0.0, "devices": ""} for paper in PAPERS}


SAME = Likeness(patients="same", features="same", protocol="same", because="the same hospital")


@pytest.fixture(autouse=True)
def _alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real data are of the paper's kind, whatever the manifests say."""
    monkeypatch.setattr(collecting, "likeness_of", lambda *_: SAME)


def page_of(name: str, *folders: Path) -> str:
    """A page made from these runs and kept results, with no claim decided."""
    undecided: dict[str, dict[str, list[Decision]]] = {key: {"simulated": [], "real": []} for key in claims()}
    return pages(collect(*folders), cards(undecided), costs=COSTS)[f"{name}.md"]


def ledger_page(*folders: Path) -> str:
    return page_of("ledger", *folders)


def claims_page(*folders: Path) -> str:
    return page_of("claims", *folders)


def measured(value: float = 88.0, **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "key": ACCURACY, "value": value, "low": value - 2, "high": value + 2, "n": 167, "unit": "",
        "protocol": "leakage-free", "note": "", "source": "real", "profile": "default", "chapter": "idh_tables",
        "likeness": SAME,
    }  # fmt: skip
    return Finding(**fields | changes)


@pytest.mark.parametrize(
    ("results", "verdict", "reason"),
    [
        ([measured(likeness=SAME.model_copy(update={"patients": "analogous"}))], "analogous", "the same hospital"),
        ([measured(60), measured(likeness=UNKNOWN, n=500)], "not reproduced", "below"),  # the same kind decides
        ([], "not yet", "has not run"),
        ([measured(88)], "reproduced", ""),
        ([measured(86.82)], "reproduced", ""),  # the interval just reaches the published value
        ([measured(86.816)], "reproduced", ""),  # or a value that would be printed like it
        ([measured(86.81)], "not reproduced", "below"),
        ([measured(95)], "not reproduced", "above"),
        ([measured(88.82, low=None, high=None)], "reproduced", ""),
        ([measured(88.83, low=None, high=None)], "not reproduced", "above"),
        ([measured(60), measured(88, protocol="as published")], "only as published", "below"),
        ([measured(60), measured(61, protocol="as published")], "not reproduced", "below"),
        ([measured(88, protocol="as published")], "not yet", "not run leakage-free"),
        ([measured(61, protocol="as published")], "not reproduced", "below"),
        ([measured(88, protocol="control")], "not yet", "only controls"),
        ([measured(88, protocol="as published, permuted labels")], "not yet", "only controls"),
        ([measured(60), measured(88, protocol="control")], "not reproduced", "below"),
        ([measured(88, source="simulated")], "simulated only", ""),
        ([measured(88, protocol="control"), measured(88, source="simulated")], "simulated only", "only controls"),
        ([measured(88, source="simulated", profile="paper")], "simulated only", ""),
        ([measured(60), measured(88, source="simulated")], "not reproduced", "below"),
        ([measured(88, source="user")], "not yet", "own cohort"),
        ([measured(88, profile="smoke")], "not yet", "smoke"),
        ([measured(88, n=17)], "reproduced", ""),  # half of 34
        ([measured(88, n=16)], "not yet", "measured on 16, the paper on 34"),
        ([measured(88, n=None)], "not yet", "does not say"),
        ([measured(60), measured(88, profile="paper")], "reproduced", ""),  # full size decides
        ([measured(88, n=40), measured(60, n=160)], "not reproduced", "below"),  # then the most subjects
        ([measured(88), measured(60, note="second")], "reproduced", ""),  # then the first recorded
    ],
)
def test_verdict(results: list[Finding], verdict: str, reason: str) -> None:
    found, why = judge(published(ACCURACY), results, missing="the chapter has not run")
    assert found == verdict
    assert reason in why


def test_counts_must_agree_exactly() -> None:
    patients = published("ge2020.table1a.mutation.patients")
    count = measured(55, key=patients.key, low=None, high=None, protocol="")
    assert judge(patients, [count])[0] == "reproduced"
    assert judge(patients, [measured(54, low=None, high=None, protocol="")])[0] == "not reproduced"


def test_words_and_figures_are_shown_not_judged() -> None:
    figure = published("islam2020.figure9")
    assert judge(figure, [measured(0.6)])[0] == "shown"
    assert judge(figure, [measured(0.6, source="simulated")])[0] == "simulated only"
    assert judge(figure, [], missing="needs images") == ("not yet", "needs images")


def test_every_verdict_is_explained_and_reached() -> None:
    """Every verdict that the page explains can be had, so no rule is dead."""
    figure, accuracy = published("islam2020.figure9"), published(ACCURACY)
    measurements = [
        [], [measured()], [measured(60)], [measured(60), measured(protocol="as published")],
        [measured(source="simulated")], [measured(likeness=UNKNOWN)],
    ]  # fmt: skip
    kinds = [{"setting": "Adam"}, {"in_print": "a sum"}, {"quoted": "another"}, {"not_measured": "a diagram"}]
    reached = {judge(figure, [measured()])[0], *(judge(accuracy, results)[0] for results in measurements)}
    for kind in kinds:
        found = declared(Evidence.model_validate({"keys": "x"} | kind))
        assert found is not None
        assert found[1] == next(iter(kind.values()))
        reached.add(found[0])
    wrong = declared(Evidence(keys=("x",), in_print="a sum"), contradiction=True)
    assert wrong is not None
    reached.add(wrong[0])
    assert reached | {"drawn"} == set(VERDICTS)
    assert declared(evidence()[ACCURACY]) is None


def row(value: float, **changes: Any) -> dict[str, Any]:
    """A measured accuracy of Prop-A, in per cent, as ``results.json`` holds it."""
    value /= 100
    fields: dict[str, Any] = {
        "study": "classifier", "arm": "prop_a", "metric": "accuracy", "group": "all", "value": value,
        "low": value - 0.02, "high": value + 0.02, "n": 167, "protocol": "leakage-free",
    }  # fmt: skip
    return fields | changes


def write(
    root: Path,
    *rows: dict[str, Any],
    cohort: str = "real",
    profile: str = "default",
    chapter: str = CHAPTER,
    **more: Any,
) -> Path:
    file = root / cohort / profile / chapter / "results.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    source = cohort if cohort in ("real", "simulated") else "user"
    content = {"chapter": chapter, "cohort": cohort, "source": source, "profile": profile, "measured": rows}
    file.write_text(json.dumps(content | more), encoding="utf-8")
    return file


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Runs of two cohorts and a kept full-size result; the entry is measured by a second arm too, as published."""
    said = evidence()
    leakage_free, *controls = said[ACCURACY].measured
    note = "unknown status counted as wild-type, in training and in testing"
    second = leakage_free.model_copy(update={"arm": "prop_a_counted", "protocol": "as published", "note": note})
    both = said[ACCURACY].model_copy(update={"measured": (leakage_free, second, *controls)})
    monkeypatch.setattr(collecting, "evidence", lambda: {**said, ACCURACY: both})
    runs, kept = tmp_path / "runs", tmp_path / "published"
    write(runs, row(70), cohort="simulated", figures={})
    write(runs, row(80), row(88, arm="prop_a_counted", protocol="as published", note="<b>&"))
    write(kept, row(88.5, n=40), profile="paper")
    return runs, kept


def at(runs: Path, kept: Path, key: str = ACCURACY) -> Any:
    return next(entry for entry in collect(runs, kept) if entry.published.key == key)


def test_all_entries_are_there_without_any_result(tmp_path: Path) -> None:
    entries = collect(tmp_path / "runs", tmp_path / "published")
    assert [entry.published.key for entry in entries] == list(published_values())
    assert {entry.verdict for entry in entries} == {
        "not yet",
        "setting",
        "quoted",
        "consistent in print",
        "contradicts itself",
        "not measured",
    }
    assert all(entry.reason for entry in entries)
    assert at(tmp_path, tmp_path).reason == "multistream_idh, idh_tables has not run"


def test_results_are_joined(folders: tuple[Path, Path]) -> None:
    entry = at(*folders)
    assert sorted(result.place for result in entry.results) == ["full size", "real", "real", "simulated"]
    assert entry.verdict == "reproduced"  # by the kept full-size result
    counted = next(result for result in entry.results if result.protocol == "as published")
    assert (counted.value, counted.low, counted.high) == pytest.approx((88, 86, 90))
    assert counted.note == "unknown status counted as wild-type, in training and in testing; <b>&"


def test_a_contrast_taken_the_other_way_round_is_turned(tmp_path: Path) -> None:
    change = row(3, minus="bas_1", low=-0.01, high=0.07)
    turned = row(-3, arm="bas_1", minus="prop_a", low=-0.07, high=0.01)
    for number, one in enumerate((change, turned)):
        write(tmp_path / str(number), one)
        result = at(tmp_path / str(number), tmp_path, "ge2020.text.gain_a.accuracy").results[0]
        assert (result.value, result.low, result.high) == pytest.approx((3, -1, 7))


def test_a_figure_is_drawn_where_a_chapter_drew_it(tmp_path: Path) -> None:
    assert at(tmp_path, tmp_path, "ge2020.figure7").verdict == "not yet"
    picture = {"examples": {"file": "figures/examples.png", "caption": "x", "alt": "y"}}
    write(tmp_path, cohort="simulated", chapter="pairwise_gan", figures=picture)
    entry = at(tmp_path, tmp_path, "ge2020.figure7")
    assert (entry.verdict, entry.drawn) == ("drawn", (("pairwise_gan", "examples"),))
    assert at(tmp_path, tmp_path, "ge2020.figure6").reason == "undefined in the run of pairwise_gan"


def test_a_run_takes_the_place_of_a_kept_result(folders: tuple[Path, Path]) -> None:
    runs, kept = folders
    write(runs, row(50, n=40), profile="paper")
    entry = at(runs, kept)
    full = [result for result in entry.results if result.place == "full size"]
    assert [result.value for result in full] == [50]
    assert not any(result.kept for result in entry.results)
    # The verdict follows: neither the full-size nor, now, any comparable leakage-free result holds the value.
    assert entry.verdict == "only as published"


def test_a_run_that_could_not_start_leaves_the_kept_result(folders: tuple[Path, Path]) -> None:
    runs, kept = folders
    write(runs, profile="paper", unmet="no T2")
    assert [result.value for result in at(runs, kept).results if result.place == "full size"] == [88.5]


def test_what_a_report_writes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
    report = Report.start(CHAPTER, cohort="real", profile="default", seed=0)
    report.measured("classifier", pd.DataFrame([row(88)]).drop(columns="study"))
    report.finish()
    entry = at(tmp_path / "runs", tmp_path / "none")
    assert entry.verdict == "reproduced"
    assert entry.results[0].n == 167


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not the results"),
        ('{"measured": []}', "chapter: Field required"),
        ('{"chapter": "x", "measured": [{"study": "s"}]}', r"measured\.0\.arm"),
    ],
)
def test_a_broken_results_file_is_named(tmp_path: Path, content: str, problem: str) -> None:
    file = write(tmp_path / "runs")
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RadlibError, match=problem):
        collect(tmp_path / "runs", tmp_path / "published")


def test_frame_holds_every_entry_and_every_result(folders: tuple[Path, Path]) -> None:
    frame = ledger_frame(collect(*folders))
    assert set(frame["key"]) == set(published_values())
    # Three of the four results stand beside five entries: the accuracy of Prop-A is printed so often.
    assert len(frame) == len(published_values()) + 3 + 4 * 2
    rows = frame[frame["key"] == ACCURACY]
    assert sorted(rows["measured"]) == pytest.approx([70, 80, 88, 88.5])
    assert set(rows["verdict"]) == {"reproduced"}
    assert rows["published"].unique().tolist() == [88.82]
    assert frame.loc[frame["key"] == "ge2020.table4.run5.bas_2.accuracy", "contradiction"].all()


def test_claims_count_every_entry_once(folders: tuple[Path, Path]) -> None:
    page = claims_page(*folders)
    for paper in PAPERS:
        assert f"{{cite:t}}`{load_paper(paper).citation}`" in page
        counts = re.search(rf"All in all {len(published_values(paper))} entries: (.*?) in the \[ledger\]", page)
        assert counts
        assert sum(int(number) for number in re.findall(r"\d+", counts[1])) == len(published_values(paper))
    assert re.search(r"All in all 187 entries: 5 reproduced, .*\d+ not yet", page)
    assert "28 of 34" in page


def test_claims_stand_beside_what_was_found(folders: tuple[Path, Path]) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", " ", claims_page(*folders)))
    for paper in PAPERS:
        for claim in (one for one in claims().values() if one.paper == paper):
            assert claim.says in text
            _, _, rest = text.partition(claim.says)
            for key in claim.keys:
                assert f"{published(f'{paper}.{key}').number or published(f'{paper}.{key}').printed}" in rest
    row = next(line for line in claims_page(*folders).splitlines() if f"#{ACCURACY}" in line)
    assert row.startswith("<tr")
    cells = [re.sub(r"<[^>]+>", " ", cell).split() for cell in row.split("<td>")]
    assert cells[1] == ["88.82", "±", "6.37", "%", "n", "=", "34"]
    assert "88.00" in cells[3]
    assert cells[-1] == ["reproduced"]


def test_claims_show_a_smoke_run_only_where_there_is_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, row(50), cohort="simulated", profile="smoke")
    only = claims_page(tmp_path, tmp_path / "none")
    assert "50.00" in only
    assert "smoke" in only
    write(tmp_path, row(60), cohort="simulated")
    both = claims_page(tmp_path, tmp_path / "none")
    assert "60.00" in both
    assert "50.00" not in both
    assert "smoke" not in both


class _Page(HTMLParser):
    """Collects the rows of the ledger's tables and everything that a browser would load."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: dict[str, dict[str, str | None]] = {}
        self.text: dict[str, str] = {}
        self.open: list[str] = []
        self.loads: list[str] = []
        self.row = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in ("input", "wbr"):
            self.open.append(tag)
        if tag == "tr":
            self.row = found.get("id") or ""
            if self.row:
                assert self.row not in self.rows, "ids are unique"
                self.rows[self.row] = found
        self.loads += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "tags are balanced"

    def handle_data(self, data: str) -> None:
        if self.row:
            self.text[self.row] = self.text.get(self.row, "") + data + " "


def parse(page: str) -> _Page:
    parser = _Page()
    for block in re.findall(r"```\{raw\} html\n(.*?)\n```", page, flags=re.DOTALL):
        parser.feed(block)
    assert not parser.open
    return parser


def test_page_shows_every_entry(folders: tuple[Path, Path]) -> None:
    page = ledger_page(*folders)
    parser = parse(page)
    assert set(parser.rows) == set(published_values())
    row = parser.rows[ACCURACY]
    assert (row["data-verdict"], row["data-kind"]) == ("reproduced", "result")
    text = parser.text[ACCURACY]
    for part in ("88.82 ± 6.37 %", "n = 34", "80.00 (78.00 to 82.00)", "as published", "<b>&", "88.50"):
        assert part in text, part
    assert "has not run" in parser.text["ge2020.figure7"]
    assert parser.rows["ge2020.table4.run5.bas_2.accuracy"]["data-contradiction"] == "1"
    assert "81 patients" in parser.text["li2017.table1.all.male.total"]
    for rule in VERDICTS.values():
        assert rule in page


def test_a_note_of_many_rows_stands_below_the_table_once(tmp_path: Path) -> None:
    often, seldom = "mean over runs; <interval> over patients", "said of one entry only and nowhere else"
    cells = [{"arm": arm, "metric": metric} for arm in ("prop_a", "prop_b") for metric in ("accuracy", "sensitivity")]
    write(tmp_path / "runs", *(row(80, note=often, **cell) for cell in cells), row(8, arm="densenet", note=seldom))
    page = ledger_page(tmp_path / "runs", tmp_path / "none")
    parser = parse(page)
    assert len(re.findall(rf'<li id="ge2020-note-[0-9]+">{re.escape(html.escape(often))}</li>', page)) == 1
    for cell in cells:
        text = parser.text[f"ge2020.table2.{cell['arm']}.{cell['metric']}"]
        assert "note" in text
        assert "interval" not in text
    assert seldom in parser.text["ge2020.table7.liang.accuracy"]
    assert f">{seldom}</li>" not in page


def test_page_loads_nothing_from_elsewhere(folders: tuple[Path, Path]) -> None:
    assert not [address for address in parse(ledger_page(*folders)).loads if "//" in address]


def test_page_is_the_same_twice(folders: tuple[Path, Path]) -> None:
    assert ledger_page(*folders) == ledger_page(*folders)


def test_a_chapter_that_could_not_run_gives_its_entries_the_reason(tmp_path: Path) -> None:
    write(tmp_path, cohort="my", chapter="pairwise_gan", unmet="no T2")
    entry = at(tmp_path, tmp_path / "none", "ge2020.table6.with_mask.psnr.whole")
    assert (entry.verdict, entry.reason) == ("not yet", "pairwise_gan could not run on my: no T2")
    assert "no T2" not in at(tmp_path, tmp_path / "none").reason
