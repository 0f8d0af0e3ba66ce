"""The built book in a browser. Needs `make book` (any profile) and Chromium; skipped where one is missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml

from radlib.book.pdf import html_dir, parts, pdf_file, print_book
from radlib.core.errors import RadlibError
from radlib.core.paths import project_root

HTML = html_dir()

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (HTML / "index.html").is_file(), reason="needs a built book: make book PROFILE=smoke"),
]

#: Every page of the book but the search page and the index of symbols.
PAGES = sorted(
    str(path.relative_to(HTML))
    for path in HTML.rglob("*.html")
    if not {"_static", "_modules", "pages"} & set(path.relative_to(HTML).parts)
    and path.name not in ("genindex.html", "search.html", "py-modindex.html")
)


TOC = project_root() / "book" / "_toc.yml"
CHAPTERS = [name for name in PAGES if name.startswith("chapters/")]

#: Text whose contrast with the ground behind it is below WCAG AA. Code is left out: its colours are Pygments' own.
CONTRAST = """theme => {
  document.documentElement.dataset.theme = theme;
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const known = new Map();
  const rgba = text => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = colour => {
    const [r, g, b] = colour.map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3]) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), theme === 'dark' ? [0, 0, 0] : [255, 255, 255]);
  };
  const weak = new Set(), seen = new Set();
  const texts = document.querySelectorAll(
    'article :is(h1,h2,h3,p,li,td,th,dt,dd,a,code,small,span.caption-text,summary), .bd-sidebar-primary a');
  for (const e of [...texts].slice(0, 2500)) {
    if (e.closest('pre, mjx-container') || !e.innerText?.trim() || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), key = [e.tagName, e.className, style.color, e.parentElement.className].join();
    if (seen.has(key)) continue;
    seen.add(key);
    const below = ground(e), [a, b] = [light(over(rgba(style.color), below)), light(below)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5))
      weak.add(`${e.tagName}.${e.className} ${style.color} on ${below.map(Math.round)}: ${ratio.toFixed(2)}`);
  }
  return [...weak];
}"""
#: Captions that do not stand within the window, whatever the width of their table.
CAPTIONS = """[...document.querySelectorAll('article caption')]
  .filter(c => c.checkVisibility() && c.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(c => c.innerText)"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_nobody_and_fits(browser, name: str, width: int) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    failed: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"file://{HTML / name}", wait_until="load")
    page.wait_for_timeout(150)
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    broken = page.evaluate(
        "[...document.images].filter(i => i.loading != 'lazy' && i.complete && !i.naturalWidth).map(i => i.src)"
    )
    wordless = page.evaluate("[...document.querySelectorAll('main img')].filter(i => !i.alt).map(i => i.src)")
    cut = page.evaluate(CAPTIONS)
    weak = {theme: page.evaluate(CONTRAST, theme) for theme in ("light", "dark")} if width == 1280 else {}
    page.close()
    assert outside == []
    assert failed == []
    assert errors == []
    assert broken == []
    assert wordless == []
    assert cut == []
    assert not any(weak.values()), weak
    assert overflow <= 0, f"{name} is {overflow} px wider than a window of {width} px"


def test_the_theme_switch_has_three_states(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto(f"file://{HTML / 'chapters/cohorts.html'}")
    seen = {}
    for _ in range(3):
        mode = page.evaluate("document.documentElement.dataset.mode")
        seen[mode] = page.evaluate(
            "() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]"
        )
        pictures = page.evaluate(
            "[...document.querySelectorAll('article figure img')].map(i => getComputedStyle(i))"
            ".map(s => [s.backgroundColor, s.filter])"
        )
        if seen[mode][0] == "dark":  # figures are drawn on white and stand on white
            assert all(picture == ["rgb(255, 255, 255)", "none"] for picture in pictures)
        page.locator("button.theme-switch-button").first.click()
    page.close()
    assert set(seen) == {"auto", "light", "dark"}
    assert seen["auto"] == seen["light"]  # the system of this browser is light
    assert seen["light"][1] != seen["dark"][1]


def test_the_sidebar_and_the_neighbours_lead_through_the_book(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"file://{HTML / 'index.html'}")
    links = page.locator(".bd-sidebar-primary nav.bd-docs-nav a.internal")
    listed = [str(link.get_attribute("href")) for link in links.all()]
    captions = page.locator(".bd-sidebar-primary .caption-text").all_inner_texts()
    content = yaml.safe_load(TOC.read_text(encoding="utf-8"))
    assert captions == [part["caption"] for part in content["parts"]]
    wanted = [f"{entry['file']}.html" for part in content["parts"] for entry in part["chapters"]]
    assert [name for name in listed if name in wanted] == wanted

    page.locator(".bd-sidebar-primary a[href='chapters/cohorts.html']").click()
    page.wait_for_url("**/chapters/cohorts.html")
    assert page.locator("article h1").inner_text().startswith("Cohorts")
    assert page.locator(".bd-sidebar-primary a[aria-current=page], .bd-sidebar-primary li.current a").count()
    page.locator(".bd-sidebar-secondary a[href='#limits']").first.click()
    assert page.url.endswith("#limits")
    page.locator("a.right-next").click()
    page.wait_for_url("**/chapters/simulated_cohort.html")
    page.locator("a.left-prev").click()
    page.wait_for_url("**/chapters/cohorts.html")
    page.close()


def test_a_phone_opens_the_sidebar(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    page.goto(f"file://{HTML / 'index.html'}")
    entry = page.locator("a[href='chapters/survival_tcga.html']").locator("visible=true")
    inside = page.locator("#pst-primary-sidebar-modal a[href='chapters/survival_tcga.html']")
    assert entry.count() <= 1  # the one in the text; the sidebar is shut
    assert not inside.is_visible()
    page.locator("button.primary-toggle").click()
    inside.wait_for(state="visible")
    inside.click()
    page.wait_for_url("**/chapters/survival_tcga.html")
    page.close()


def test_the_search_dialog_leads_to_a_chapter(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"file://{HTML / 'index.html'}")
    page.locator("button.search-button__button").locator("visible=true").first.click()
    field = page.locator("#pst-search-dialog input[type=search]")
    field.wait_for(state="visible")
    field.fill("survival")
    field.press("Enter")
    page.wait_for_selector("#search-results li a", timeout=15_000)
    assert "search.html?q=survival" in page.url
    page.wait_for_function("document.querySelector('#search-results .search-summary')?.innerText.match(/\\d/)")
    objects = [
        "/api_" in link for link in page.locator("#search-results li > a").evaluate_all("them => them.map(a => a.href)")
    ]
    assert True in objects
    assert objects == sorted(objects)  # what a reader reads is first
    found = page.locator("#search-results li a", has_text="Radiogenomic survival on TCGA").first
    found.click()
    page.wait_for_url("**/chapters/survival_tcga.html*")
    assert "survival" in page.locator("article h1").inner_text().lower()
    page.close()


def test_the_keyboard_suffices(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"file://{HTML / 'chapters/cohorts.html'}")
    page.keyboard.press("Tab")
    first = page.evaluate("[document.activeElement.textContent, document.activeElement.hash]")
    assert first == ["Skip to main content", "#main-content"]
    # The link slides into view.
    page.wait_for_function("document.activeElement.getBoundingClientRect().bottom > 0", timeout=5_000)
    page.keyboard.press("Enter")
    assert page.url.endswith("#main-content")
    invisible = []
    for _ in range(12):
        page.keyboard.press("Tab")
        invisible += page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            const marked = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== 'none';
            return marked ? [] : [e.outerHTML.slice(0, 120)]; }"""
        )
    page.close()
    assert invisible == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["simulated_cohort", "octave_segmentation", "modality_synthesis"])
def test_a_viewer_fits_its_frame(browser, name: str, width: int) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"file://{HTML / 'chapters' / name}.html")
    frame = page.locator("article iframe")
    if not frame.count():  # real patients are never pictured
        pytest.skip("this book was not made on the simulated cohort")
    frame.scroll_into_view_if_needed()
    inside = page.frame_locator("article iframe").locator("canvas")
    inside.last.wait_for(state="visible")
    page.wait_for_timeout(300)
    outer, boxes = frame.bounding_box(), [one.bounding_box() for one in inside.all()]
    page.close()
    assert len(boxes) >= 4
    for box in boxes:
        assert box["width"] > 80
        assert box["x"] >= outer["x"]
        assert box["x"] + box["width"] <= outer["x"] + outer["width"]
        assert box["y"] + box["height"] <= outer["y"] + outer["height"]


def test_the_ledger_filters(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"file://{HTML / 'generated/ledger.html'}")
    rows = "document.querySelectorAll('tr[data-verdict]')"
    total = page.evaluate(f"[...{rows}].length")

    def shown() -> list[list[str]]:
        page.wait_for_timeout(200)
        return page.evaluate(
            f"[...{rows}].filter(r => r.checkVisibility())"
            ".map(r => [r.closest('table').dataset.paper, r.dataset.verdict, r.dataset.kind, r.dataset.contradiction])"
        )

    form = page.locator("form.ledger-filter")
    assert total > 1000
    assert not shown()  # tables are folded until a filter finds something in them, or a link leads there
    form.locator("[name=text]").fill("accuracy")
    assert 0 < len(shown()) < total
    form.locator("button[type=reset]").click()
    assert not shown()
    page.evaluate("window.location.hash = 'ge2020.table2.prop_a.accuracy'")
    assert {row[0] for row in shown()} == {"ge2020"}
    form.locator("[name=paper]").select_option("zhang2021")
    assert {row[0] for row in shown()} == {"zhang2021"}
    form.locator("[name=verdict]").select_option("setting")
    assert {(row[0], row[1]) for row in shown()} == {("zhang2021", "setting")}
    form.locator("button[type=reset]").click()
    form.locator("[name=kind]").select_option("figure")
    assert {row[2] for row in shown()} == {"figure"}
    form.locator("button[type=reset]").click()
    form.locator("[name=contradiction]").check()
    assert {row[3] for row in shown()} == {"1"}
    counted = form.locator("output").inner_text()
    assert counted == f"{len(shown())} of {total} entries"
    page.close()


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_chapter_shows_the_bare_value_of_an_expression(name: str) -> None:
    """What a cell ends with is shown unless it is kept: an address in memory, or a path of the machine."""
    bare = re.findall(r'class="output text_plain.*?<pre>(.*?)</pre>', (HTML / name).read_text("utf-8"), flags=re.DOTALL)
    assert not bare


@pytest.mark.parametrize("name", CHAPTERS)
def test_downloads_of_a_chapter_can_be_read(name: str) -> None:
    parser = _Links()
    parser.feed((HTML / name).read_text(encoding="utf-8"))
    files = {(HTML / name).parent / link for link in parser.links if link.endswith((".csv", ".ipynb"))}
    notebooks = [file for file in files if file.suffix == ".ipynb"]
    assert len(notebooks) == 1
    assert json.loads(notebooks[0].read_text(encoding="utf-8"))["cells"]
    for file in files - set(notebooks):
        assert pd.read_csv(file).shape[1] > 0


def test_the_pdf_holds_every_page() -> None:
    """Of a PDF that `make pdf` has left. Chromium writes the objects of an outline as plain text."""
    if not pdf_file().is_file() or pdf_file().stat().st_mtime < (HTML / "index.html").stat().st_mtime:
        pytest.skip("needs a PDF of this book: make pdf")
    content = pdf_file().read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert max(int(count) for count in re.findall(rb"/Count (\d+)", content)) > len(CHAPTERS)
    titles = {
        text.replace("\\(", "(").replace("\\)", ")")
        for text in re.findall(r"/Title \(((?:[^()\\]|\\.)*)\)", content.decode("latin-1"))
    }
    for part in parts(TOC):
        assert not part.caption or part.caption in titles
        for name in part.pages:
            article = (HTML / f"{name}.html").read_text(encoding="utf-8").partition("<article")[2]
            heading = re.search(r"<h1>(.*?)<a ", article, re.DOTALL)
            assert heading
            assert " ".join(re.sub(r"<[^>]+>", "", heading[1]).split()) in titles


def test_printing_needs_a_book_and_a_browser(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="the book is not built"):
        print_book(pages=tmp_path, target=tmp_path / "book.pdf")
    # In a process of its own: playwright starts once a process.
    script = (
        "import radlib.book.pdf as printed; from pathlib import Path; printed.BROWSERS = ();"
        f"printed.print_book(target=Path({str(tmp_path)!r}) / 'book.pdf')"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode != 0
    assert re.search("RadlibError: there is no Chromium to print with .* Remedy: install one", run.stderr), run.stderr
    assert not (tmp_path / "book.pdf").exists()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for key, value in attributes:
            if (tag, key) in (("a", "href"), ("img", "src"), ("iframe", "src"), ("script", "src"), ("link", "href")):
                self.links.append(value or "")


@pytest.mark.parametrize("name", PAGES)
def test_every_local_link_leads_somewhere(name: str) -> None:
    parser = _Links()
    parser.feed((HTML / name).read_text(encoding="utf-8"))
    for link in parser.links:
        target = link.partition("#")[0].partition("?")[0]
        if not target or target.startswith(("http:", "https:", "mailto:", "data:", "javascript:")):
            continue
        assert ((HTML / name).parent / Path(target)).exists(), f"{name} links to {link}"
