"""The answer: words agree on every page, and every number of a sentence is a result's."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from radlib.book import answer
from radlib.book.answer import KINDS, WORDS, Card, Lesson, cards, filled, interval_plot, sentence
from radlib.book.claims import Finding, claims
from radlib.book.ledger import collect, pages
from radlib.core.paths import manifests_dir, project_root
from radlib.data.published import PAPERS, published
from radlib.study.contrasts import Decision

COSTS = {paper: {"jobs": 2, "wanted": 3, "hours": 1.5, "longest": 9.0, "devices": "a CPU"} for paper in PAPERS}
KEY = "zhang2021.fusion"


def decided(word: str, value: float, half: float = 0.01, **more: Any) -> Decision:
    return Decision(0, word=word, value=value, low=value - half, high=value + half, n=12, runs=5, **more)  # type: ignore[arg-type]


def all_cards(**kinds: Decision) -> list[Card]:
    """The cards with these decisions on one claim, and none on the others."""
    return cards({
        key: {kind: [kinds[kind]] if key == KEY and kind in kinds else [] for kind in ("simulated", "real")}
        for key in claims()
    })  # fmt: skip


def made(**kinds: Decision) -> dict[str, str]:
    return pages(collect(project_root() / "none", project_root() / "none"), all_cards(**kinds), costs=COSTS)


def words(text: str, mark: str) -> list[str]:
    """The words of verdicts behind a mark in a page."""
    return re.findall(r'data-word="([^"]+)"', text[text.index(mark) :])


@pytest.mark.parametrize(
    ("decision", "word"),
    [
        (decided("as claimed", 0.05), "as claimed"),
        (decided("open", 0.005, failed=("interval",)), "open"),
        (decided("reversed", -0.05), "reversed"),
        (Decision(0, missing="3 jobs have not been computed"), "not computed yet"),
    ],
)
def test_the_word_is_the_same_everywhere(decision: Decision, word: str) -> None:
    found = made(simulated=decision)
    anchor = "claim-zhang2021-fusion"
    assert words(found["glance.md"], f'#{anchor}"')[1] == word  # in print, then simulated
    assert words(found["claims.md"], f"({anchor})=")[1] == word
    assert words(found["reports/zhang2021-results.md"], f"#{anchor}")[1] == word
    row = found["ledger.md"].partition('id="zhang2021.table4.s_a_s_b.dice.average"')[2].partition("</tr>")[0]
    assert f"simulated {WORDS[word][1]};" in row
    if word == "open":
        assert "the interval of the paired difference holds 0" in found["claims.md"]
        assert "the interval of the paired difference holds 0" in found["reports/zhang2021-results.md"]
        assert "<small>may be chance</small>" in found["glance.md"]


def test_real_evidence_says_how_like_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(real=decided("as claimed", 0.05))
    card = html.unescape(found["claims.md"].partition("(claim-zhang2021-fusion)=")[2].partition("settle")[0])
    assert "real, analogous" in card
    assert "Patients analogous" in card
    monkeypatch.setattr(answer, "kept_run", lambda *_: None)  # a declared finding would go first
    _, text, _ = sentence("zhang2021", all_cards(real=decided("as claimed", 0.05), simulated=decided("reversed", -0.1)))
    assert "real (analogous)" in text  # the stronger kind speaks
    assert "+0.050 (+0.040 to +0.060)" in text


def test_real_evidence_beside_a_claim_is_called_indirect(monkeypatch: pytest.MonkeyPatch) -> None:
    real = {card.key: card.marks[2] for card in all_cards()}
    deep, fusion = real["li2017.deep-features"], real["zhang2021.fusion"]
    assert (deep.word, deep.kind, deep.on) == ("indirect", "analogous", "109 TCGA low-grade gliomas")
    assert (fusion.word, fusion.on) == ("not run", "")
    assert not deep.computed
    page = made()["glance.md"]
    assert "analogous: 109 TCGA low-grade gliomas" in page
    (line,) = (text for text in page.splitlines() if "claim-zhang2021-fusion" in text)
    assert line.count("no real patients yet") == 1
    (decided_on,) = (card.marks[2] for card in all_cards(real=decided("open", 0.0)) if card.key == KEY)
    assert decided_on.on == "12 BraTS cases and TCGA low-grade gliomas"
    monkeypatch.setattr(answer, "kept_run", lambda *_: None)
    assert {card.marks[2].word for card in all_cards()} == {"not run"}


def test_kinds_are_in_rising_order_and_every_word_has_a_sign() -> None:
    assert list(KINDS) == ["print", "simulated", "analogous", "same"]
    for card in all_cards(simulated=decided("as claimed", 0.1), real=decided("reversed", -0.1)):
        for mark in card.marks:
            assert mark.word in WORDS
            assert mark.why


def test_a_plot_shows_the_claimed_direction_to_the_right() -> None:
    (card,) = (one for one in all_cards(simulated=decided("as claimed", 0.05)) if one.key == KEY)
    plot = interval_plot(card.marks[1], 0.1, width=100)
    assert 'cx="72.5"' in plot
    assert "+0.050 (+0.040 to +0.060)" in plot
    assert not interval_plot(card.marks[2], 0.1)


def declared_findings() -> list[Finding]:
    lessons = TypeAdapter(list[Lesson]).validate_python(
        yaml.safe_load((manifests_dir() / "lessons.yml").read_text(encoding="utf-8"))
    )
    return [
        *(finding for claim in claims().values() for finding in claim.findings),
        *(finding for lesson in lessons for finding in lesson.findings),
    ]


@pytest.mark.parametrize("finding", declared_findings(), ids=lambda one: one.text[:40])
def test_no_number_of_a_finding_is_typed(finding: Finding) -> None:
    bare = re.sub(r"\{\w+\}", "", finding.text)
    for known in ("2017", "2018", "IDH1", "T2", "T1ce", "T1c", "T1", "2D", "80 %", "Figure 1"):
        bare = bare.replace(known, "")
    assert not re.search(r"\d", bare), bare
    assert set(re.findall(r"\{(\w+)\}", finding.text)) == set(finding.numbers)


def test_every_number_of_the_front_page_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of the five sentences is printed in a paper, measured in a kept run, or of a decision."""
    found = all_cards(simulated=decided("as claimed", 0.05), real=decided("open", 0.01, failed=("trainings",)))
    for paper in PAPERS:
        _, text, card = sentence(paper, found)
        allowed: set[str] = set()
        for finding in card.claim.findings:
            if filled(finding, found) == text:
                numbers = [answer._number(number, found) or "" for number in finding.numbers.values()]
                allowed = {number.lstrip("−+") for number in numbers}
        if not allowed:
            numbers = [f"{x:.3f}" for d in found for line in d.best.lines for x in (line.value, line.low, line.high)]
            allowed = {*numbers, "12", "5"}
            text = text.replace(card.claim.says.rstrip("."), "")
            text = text.replace(card.marks[0].why, "")  # a remark on the print, recomputed by tests of the manifests
            for line in card.best.lines:
                text = text.replace(line.says, "")
        text = re.sub(r"IDH1?|T1ce|T1c|T1|T2|2D", "", text)
        assert set(re.findall(r"\d+(?:\.\d+)?", text)) <= allowed, text
    monkeypatch.setattr(answer, "kept_run", lambda *_: None)  # without the results there is no such sentence
    for paper in PAPERS:
        for card in (one for one in found if one.claim.paper == paper):
            assert all(filled(finding, found) is None for finding in card.claim.findings)


def test_print_is_held_against_itself() -> None:
    marks = {card.key: card.marks[0] for card in all_cards()}
    deep = marks["li2017.deep-features"]
    assert deep.word == "consistent in print"
    assert deep.lines[0].value == pytest.approx(
        published("li2017.table2.a.dlr.auc").value - published("li2017.table2.a.radiomics.auc").value
    )
    # Hanley and McNeil 1982 with 76 of 110: standard errors 0.026 and 0.035 by hand
    assert deep.lines[0].high - deep.lines[0].value == pytest.approx(1.96 * (0.0256**2 + 0.0347**2) ** 0.5, rel=0.03)
    assert "holds 0 in 1 of 1" in deep.why
    assert marks["mehra2022.cost"].word == "contradicts itself"
    assert marks["islam2020.generator"].word == "nothing to compare"


def test_what_is_declared_first_speaks_for_its_paper() -> None:
    found = all_cards()
    _, text, card = sentence("islam2020", found)
    assert card.key == "islam2020.survival"
    assert "survival times are shuffled" in text
