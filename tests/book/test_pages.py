"""The built book in a browser. Needs `make book` (any profile) and Chromium; skipped where one is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from radlib.core.paths import project_root

HTML = project_root() / "build" / "_build" / "html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

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


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield started
        started.close()


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
    page.goto(f"file://{HTML / name}", wait_until="load")
    page.wait_for_timeout(150)
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    broken = page.evaluate(
        "[...document.images].filter(i => i.loading != 'lazy' && i.complete && !i.naturalWidth).map(i => i.src)"
    )
    wordless = page.evaluate("[...document.querySelectorAll('main img')].filter(i => !i.alt).map(i => i.src)")
    page.close()
    assert outside == []
    assert failed == []
    assert errors == []
    assert broken == []
    assert wordless == []
    assert overflow <= 0, f"{name} is {overflow} px wider than a window of {width} px"


def test_the_theme_switch_works(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto(f"file://{HTML / 'index.html'}")
    seen = set()
    for _ in range(3):
        seen.add(page.evaluate("document.documentElement.dataset.theme"))
        page.locator("button.theme-switch-button").first.click()
    page.close()
    assert seen == {"light", "dark"}


def test_search_finds_a_chapter(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page()
    page.goto(f"file://{HTML / 'search.html'}?q=survival")
    page.wait_for_selector("#search-results li a", timeout=15_000)
    found = page.locator("#search-results li a").all_inner_texts()
    page.close()
    assert any("survival" in text.lower() for text in found)


def test_the_ledger_filters(browser) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"file://{HTML / 'generated/ledger.html'}")
    rows = "document.querySelectorAll('tr[data-verdict]')"
    total = page.evaluate(f"[...{rows}].length")
    visible = f"[...{rows}].filter(r => r.offsetParent !== null).length"
    before = page.evaluate(visible)
    page.locator("form.ledger-filter input[name=text]").fill("accuracy")
    page.wait_for_timeout(300)
    after = page.evaluate(visible)
    page.close()
    assert total > 300
    assert 0 < after < before <= total


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
