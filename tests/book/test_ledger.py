"""The ledger: rules of the verdict, joining results to published entries, and the page."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from radlib.book.ledger import VERDICTS, Result, claims, claims_page, collect, judge, ledger_frame, ledger_page
from radlib.book.ledger.verdict import claim_holds
from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.data.published import PAPERS, Claim, load_paper, published, published_values

ACCURACY = "ge2020.table2.prop_a.accuracy"  # 88.82 %, n = 34


def measured(value: float = 88.0, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "key": ACCURACY, "value": value, "low": value - 2, "high": value + 2, "n": 167, "unit": "",
        "protocol": "leakage-free", "note": "", "source": "real", "profile": "default", "chapter": "idh_tables",
    }  # fmt: skip
    return Result(**fields | changes)


@pytest.mark.parametrize(
    ("results", "verdict", "reason"),
    [
        ([], "not yet", "no chapter measures it"),
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
def test_verdict(results: list[Result], verdict: str, reason: str) -> None:
    judgement = judge(published(ACCURACY), results)
    assert judgement.verdict == verdict
    assert reason in judgement.reason


def test_counts_must_agree_exactly() -> None:
    patients = published("ge2020.table1a.mutation.patients")
    count = measured(55, key=patients.key, low=None, high=None, protocol="")
    assert judge(patients, [count]).verdict == "reproduced"
    assert judge(patients, [measured(54, low=None, high=None, protocol="")]).verdict == "not reproduced"


def test_words_and_figures_are_shown_not_judged() -> None:
    figure = published("islam2020.figure9")
    assert judge(figure, [measured(0.6)]).verdict == "shown"
    assert judge(figure, [measured(0.6, source="simulated")]).verdict == "simulated only"
    assert judge(figure, [], missing="needs images").reason == "needs images"


def test_settings_are_no_measurements() -> None:
    assert judge(published("ge2020.text.gan_epochs"), []).verdict == "setting"


def test_every_verdict_is_explained_and_reached() -> None:
    """Every verdict that the page explains can be had, so no rule is dead."""
    figure, setting, accuracy = (published(k) for k in ("islam2020.figure9", "ge2020.text.runs", ACCURACY))
    reached = {
        judge(figure, [measured()]).verdict,
        judge(setting, []).verdict,
        *(
            judge(accuracy, results).verdict
            for results in (
                [],
                [measured()],
                [measured(60)],
                [measured(60), measured(protocol="as published")],
                [measured(source="simulated")],
            )
        ),
    }
    assert reached == set(VERDICTS)


def write(folder: Path, *records: Result, missing: dict[str, str] | None = None) -> Path:
    file = folder / "results.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    ledger = [{k: v for k, v in vars(record).items() if k != "kept"} for record in records]
    absent = [{"key": key, "reason": reason, "chapter": "c"} for key, reason in (missing or {}).items()]
    file.write_text(json.dumps({"ledger": ledger, "missing": absent, "chapter": "c"}), encoding="utf-8")
    return file


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Runs of three kinds and a kept full-size result."""
    runs, kept = tmp_path / "runs", tmp_path / "published"
    write(runs / "simulated" / "default" / "idh_tables", measured(70, source="simulated"))
    write(
        runs / "real" / "default" / "idh_tables",
        measured(80),
        measured(88, protocol="as published", note="<b>&"),
        missing={"ge2020.figure7": "needs scans"},
    )
    write(kept / "real" / "paper" / "gan", measured(88.5, profile="paper", chapter="gan", n=40))
    return runs, kept


def test_all_entries_are_there_without_any_result(tmp_path: Path) -> None:
    entries = collect(tmp_path / "runs", tmp_path / "published")
    assert [entry.published.key for entry in entries] == list(published_values())
    assert {entry.verdict for entry in entries} == {"not yet", "setting"}
    assert all(entry.reason for entry in entries if entry.verdict == "not yet")


def test_results_are_joined(folders: tuple[Path, Path]) -> None:
    entries = {entry.published.key: entry for entry in collect(*folders)}
    entry = entries[ACCURACY]
    assert sorted(result.place for result in entry.results) == ["full size", "real", "real", "simulated"]
    assert entry.verdict == "reproduced"  # by the kept full-size result
    assert entries["ge2020.figure7"].reason == "needs scans"


def test_a_run_takes_the_place_of_a_kept_result(folders: tuple[Path, Path]) -> None:
    runs, kept = folders
    write(runs / "real" / "paper" / "gan", measured(50, profile="paper", chapter="gan", n=40))
    entry = next(entry for entry in collect(runs, kept) if entry.published.key == ACCURACY)
    full = [result for result in entry.results if result.place == "full size"]
    assert [result.value for result in full] == [50]
    assert not full[0].kept
    assert not any(result.kept for result in entry.results)
    # The verdict follows: neither the full-size nor, now, any comparable leakage-free result holds the value.
    assert entry.verdict == "only as published"


def test_a_run_that_could_not_start_leaves_the_kept_result(folders: tuple[Path, Path]) -> None:
    runs, kept = folders
    file = write(runs / "real" / "paper" / "gan")
    file.write_text(json.dumps({"ledger": [], "missing": [], "chapter": "gan", "cohort": "real", "papers": [],
                                "unmet": "no T2"}))  # fmt: skip
    entry = next(entry for entry in collect(runs, kept) if entry.published.key == ACCURACY)
    assert [result.value for result in entry.results if result.place == "full size"] == [88.5]


def test_what_a_report_writes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLIB_RUNS", str(tmp_path / "runs"))
    report = Report.start("idh_tables", cohort="real", profile="default", seed=0)
    report.record(ACCURACY, 88.0, low=80.0, high=92.0, n=148, protocol="leakage-free")
    report.missing("ge2020.figure7", "needs scans")
    report.finish()
    entries = {entry.published.key: entry for entry in collect(tmp_path / "runs", tmp_path / "none")}
    assert entries[ACCURACY].verdict == "reproduced"
    assert entries[ACCURACY].results[0].n == 148
    assert entries["ge2020.figure7"].reason == "needs scans"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not the results"),
        ('{"chapter": "x"}', "not the results"),
        ('{"ledger": [{"key": "x"}], "missing": []}', "ledger record"),
        ('{"ledger": [], "missing": [{"key": "ge2020.table99", "reason": "r"}]}', "'ge2020.table99'"),
    ],
)
def test_a_broken_results_file_is_named(tmp_path: Path, content: str, problem: str) -> None:
    file = write(tmp_path / "runs" / "real" / "default" / "c")
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RadlibError, match=problem):
        collect(tmp_path / "runs", tmp_path / "published")


def test_frame_holds_every_entry_and_every_result(folders: tuple[Path, Path]) -> None:
    frame = ledger_frame(*folders)
    assert set(frame["key"]) == set(published_values())
    assert len(frame) == len(published_values()) + 3  # four results of one entry
    rows = frame[frame["key"] == ACCURACY]
    assert set(rows["measured"]) == {70, 80, 88, 88.5}
    assert set(rows["verdict"]) == {"reproduced"}
    assert rows["published"].unique().tolist() == [88.82]
    assert frame.loc[frame["key"] == "ge2020.table4.run5.bas_2.accuracy", "contradiction"].all()


def test_claims_count_every_entry_once(folders: tuple[Path, Path]) -> None:
    counts = claims(*folders)
    assert list(counts.index) == list(PAPERS)
    assert counts[list(VERDICTS)].to_numpy().sum() == len(published_values())
    assert counts.loc["ge2020", "reproduced"] == 1
    assert counts.loc["islam2020", "reproduced"] == 0
    page = claims_page(*folders)
    for paper in ("islam2020radiogenomic", "mehra2022features"):
        assert f"{{cite:t}}`{paper}`" in page
    assert re.search(r"Of these: 1 reproduced, \d+ not yet", page)
    assert "28 of 34" in page


def test_claims_stand_beside_what_was_found(folders: tuple[Path, Path]) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", " ", claims_page(*folders)))
    for paper in PAPERS:
        for claim in load_paper(paper).claims:
            assert claim.says in text
            _, _, rest = text.partition(claim.says)
            for key in claim.keys:
                assert f"{published(f'{paper}.{key}').number or published(f'{paper}.{key}').printed}" in rest
    row = next(line for line in claims_page(*folders).splitlines() if f"#{ACCURACY}" in line)
    cells = [re.sub(r"<[^>]+>", " ", cell).split() for cell in row.split("<td>")]
    assert cells[1] == ["88.82", "±", "6.37", "%", "n", "=", "34"]
    assert "88.00" in cells[3]
    assert cells[-1] == ["reproduced"]


def test_claims_show_a_smoke_run_only_where_there_is_nothing_else(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    smoke = measured(50, profile="smoke", source="simulated", chapter="gan")
    write(runs / "simulated" / "smoke" / "gan", smoke)
    only = claims_page(runs, tmp_path / "none")
    assert "50.00" in only
    assert "smoke" in only
    write(runs / "simulated" / "default" / "gan", replace(smoke, profile="default", value=60))
    both = claims_page(runs, tmp_path / "none")
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
    assert "needs scans" in parser.text["ge2020.figure7"]
    assert parser.rows["ge2020.table4.run5.bas_2.accuracy"]["data-contradiction"] == "1"
    assert "81 patients" in parser.text["li2017.table1.all.male.total"]
    for rule in VERDICTS.values():
        assert rule in page


def test_a_note_of_many_rows_stands_below_the_table_once(tmp_path: Path) -> None:
    keys = [f"ge2020.table2.prop_{case}.{metric}" for case in "ab" for metric in ("accuracy", "sensitivity")]
    often, seldom = "mean over runs; <interval> over patients", "said of one entry only and nowhere else"
    records = [measured(note=often, key=key) for key in keys]
    write(tmp_path / "runs" / "real" / "default" / "gan", *records, measured(note=seldom, chapter="other"))
    page = ledger_page(tmp_path / "runs", tmp_path / "none")
    parser = parse(page)
    assert page.count(f'<li id="ge2020-note-1">{html.escape(often)}</li>') == 1
    for key in keys:
        assert "note" in parser.text[key]
        assert "interval" not in parser.text[key]
    assert seldom in parser.text[ACCURACY]
    assert f">{seldom}</li>" not in page


def test_page_loads_nothing_from_elsewhere(folders: tuple[Path, Path]) -> None:
    assert not [address for address in parse(ledger_page(*folders)).loads if "//" in address]


def test_page_is_the_same_twice(folders: tuple[Path, Path]) -> None:
    assert ledger_page(*folders) == ledger_page(*folders)


def test_a_chapter_that_could_not_run_gives_its_papers_entries_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "my" / "default" / "pairwise_gan"
    folder.mkdir(parents=True)
    content = {"chapter": "pairwise_gan", "cohort": "my", "papers": ["ge2020"], "unmet": "no T2", "ledger": [],
               "missing": []}  # fmt: skip
    (folder / "results.json").write_text(json.dumps(content))
    entries = {entry.published.key: entry for entry in collect(tmp_path / "runs", tmp_path / "published")}
    assert entries[ACCURACY].verdict == "not yet"
    assert entries[ACCURACY].reason == "pairwise_gan could not run on my: no T2"
    assert "no T2" not in entries["islam2020.table2.avg.accuracy"].reason
    assert {entry.verdict for entry in entries.values() if entry.published.kind == "setting"} == {"setting"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": (1, 2), "b": (3, 4), "c": (5, 6)}, "as claimed"),
        ({"a": (1, 3.5), "b": (3, 4), "c": (5, 6)}, "open"),
        ({"a": (3, 4), "b": (1, 2), "c": (5, 6)}, "reversed"),
        ({"a": (1, 2), "b": (3, 4), "c": None}, None),
        ({"a": (1, 2), "b": (3, 4)}, None),
    ],
)
def test_an_order_holds_where_the_intervals_do_not_meet(
    values: dict[str, tuple[float, float] | None], expected: str | None
) -> None:
    claim = Claim(says="c is above b, b above a", keys=("a", "b", "c"), ascending=(("a", "b", "c"),))
    results: dict[str, Result | None] = dict.fromkeys("abc")
    for key, bounds in values.items():
        low, high = bounds or (None, None)
        results[key] = replace(measured(), low=low, high=high)
    assert claim_holds(claim, results) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.1, 0.5, "as claimed"), (-0.1, 0.5, "open"), (-0.5, -0.1, "reversed")]
)
def test_a_difference_holds_where_its_interval_is_above_0(low: float, high: float, expected: str) -> None:
    claim = Claim(says="d is above 0", keys=("d", "e"), positive=("d",))
    assert claim_holds(claim, {"d": replace(measured(), low=low, high=high), "e": None}) == expected
    assert claim_holds(Claim(says="a value", keys=("d",)), {"d": measured()}) is None


@pytest.mark.parametrize("wrong", [{"positive": ["b"]}, {"ascending": [["a", "b"]]}, {"ascending": [["a"]]}])
def test_a_claim_rests_on_its_keys(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"among its keys|has no order"):
        Claim(says="x", keys=("a",), **wrong)


def test_the_page_says_whether_a_claim_holds(tmp_path: Path) -> None:
    gains = [
        measured(12, key=f"ge2020.text.gain_a.{metric}", source="simulated") for metric in ("accuracy", "sensitivity")
    ]
    write(tmp_path / "runs" / "simulated" / "default" / "gan", *gains)
    page = claims_page(tmp_path / "runs", tmp_path / "none")
    assert page.count('data-holds="as claimed">simulated: as claimed') == 1
    assert page.count("data-holds") == 1
    smoke = [replace(gain, profile="smoke") for gain in gains]
    write(tmp_path / "others" / "simulated" / "smoke" / "gan", *smoke)
    assert "data-holds" not in claims_page(tmp_path / "others", tmp_path / "none")
