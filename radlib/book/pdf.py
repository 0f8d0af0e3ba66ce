"""The built book as one PDF.

The pages that Sphinx has made are put behind one another in the order of the table of contents and printed by Chromium:
what a reader of the PDF sees has been rendered once, with the numbers of the pages' own figures and tables. Links
between pages become links within the document; what only works in a browser becomes a still or is opened.
"""

from __future__ import annotations

import base64
import html
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urldefrag

import yaml

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, write_text
from radlib.core.paths import project_root

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag
    from playwright.sync_api import Browser, Playwright

#: Names under which Chromium is installed.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Pages for looking things up beside the code; on paper they would be longer than the book.
LEFT_OUT = "generated/api"
#: Width of an A4 page between its margins, in CSS pixels.
PRINT_WIDTH = 680

_STYLE = """
@page { size: A4; margin: 16mm 15mm 18mm; }
html { font-size: 13px; } body { margin: 0; padding: 0; background: #fff; }
.bd-article { padding: 0; max-width: none; overflow: visible; }
h1.part { break-before: page; margin: 0 0 1.5rem; font-size: 1.1rem; color: #555; border-bottom: 1px solid #ccc; }
/* Without room above it, the ink of a heading touches the page before, and the outline names it twice. */
.bd-article h2 { font-size: 1.8rem; margin-top: 0; padding-top: 1rem; break-before: page; }
.bd-article h1.part + h2 { break-before: avoid; }
h1, h2, h3, h4, h5, h6 { break-after: avoid; }
.bd-article h3 { font-size: 1.4rem; } .bd-article h4 { font-size: 1.15rem; }
.bd-article h5, .bd-article h6 { font-size: 1rem; }
.cover { padding-top: 20mm; text-align: center; } .cover .h1 { font-size: 2.4rem; font-weight: 700; }
.cover p, .listing-caption { color: #555; } .listing { margin: 12mm auto 0; columns: 2; column-gap: 12mm; }
.listing div { break-inside: avoid; margin-bottom: 1rem; } .listing ul { list-style: none; padding: 0; margin: 0; }
.listing-caption { font-weight: 600; margin: 0; }
figure, img, tr, pre, .highlight, .cell_input, .admonition, .math { break-inside: avoid; }
figure img { max-height: 225mm; width: auto !important; max-width: 100%; display: block; margin: auto; }
pre { white-space: pre-wrap !important; overflow-wrap: anywhere; font-size: 0.8rem; }
pre, .highlight { overflow: visible !important; }
thead { display: table-header-group; }
.bd-article table.table { display: table; overflow: visible; width: auto; }
.bd-article table.table > caption { position: static; max-width: none; break-after: avoid; }
table.result td, table.result th { padding: 0.15rem 0.4rem; }
table.wrapped td, table.wrapped th, table.squeezed td, table.squeezed th { white-space: normal !important; }
table.squeezed td, table.squeezed th { overflow-wrap: anywhere; }
.ledger-scroll { max-height: none; overflow: visible; border: 0; } .ledger-filter { display: none; }
.bd-article table.ledger { min-width: 0; font-size: 0.68rem; line-height: 1.25; }
table.ledger th, table.ledger td { padding: 0.15rem 0.3rem; }
table.ledger thead th { position: static; }
table.ledger thead th:nth-child(1) { width: 25%; } table.ledger thead th:nth-child(2) { width: 11%; }
table.ledger thead th:nth-child(3) { width: 24%; } table.ledger thead th:nth-child(5) { width: 7%; }
table.ledger thead th:nth-child(6) { width: 12%; }
table.ledger small, table.ledger code { display: inline; font-size: inherit; }
table.ledger small::before, table.ledger code::before { content: " "; }
table.ledger p, table.ledger .ledger-remark { margin: 0 0 0.1rem; font-size: inherit; line-height: inherit; }
.still img { border: 1px solid #ccc; }
details > summary { list-style: none; } details > summary svg { display: none; }
a { text-decoration: none; }
"""
_FOOTER = (
    '<div style="width:100%;margin:0 15mm;font:8px sans-serif;color:#555;display:flex;justify-content:space-between">'
    '<span class="title"></span><span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>'
)
# Tables that are wider than the page become smaller; much wider ones wrap first, and break words as the last resort.
_FIT_TABLES = """width => {
  for (const table of document.querySelectorAll('article table')) {
    const room = Math.min(table.parentElement.clientWidth || width, width);
    if (table.scrollWidth > room / 0.7) table.classList.add('wrapped');
    if (table.scrollWidth <= room + 1) continue;
    table.style.zoom = Math.max(0.98 * room / table.scrollWidth, 0.6);  // letters do not shrink quite evenly
    if (table.getBoundingClientRect().width > room + 1) { table.classList.add('squeezed'); table.style.width = '100%'; }
  }
}"""


class Part(NamedTuple):
    """A part of the table of contents: its caption and its pages, without ``.html``."""

    caption: str
    pages: list[str]


def html_dir() -> Path:
    """Where Jupyter Book leaves the pages."""
    return project_root() / "build" / "_build" / "html"


def pdf_file() -> Path:
    """Where the PDF goes."""
    return project_root() / "build" / "_build" / "pdf" / "book.pdf"


def parts(toc: Path) -> list[Part]:
    """The printed pages in the order of ``_toc.yml``; the first part holds the root and has no caption."""
    content = yaml.safe_load(toc.read_text(encoding="utf-8"))
    return [
        Part("", [content["root"]]),
        *(
            Part(part["caption"], [entry["file"] for entry in part["chapters"] if entry["file"] != LEFT_OUT])
            for part in content["parts"]
        ),
    ]


def print_book(*, pages: Path | None = None, target: Path | None = None) -> Path:
    """Print the built book.

    Args:
        pages: the folder of the built pages; default :func:`html_dir`.
        target: the PDF; default :func:`pdf_file`. The document that is printed is left beside it, as ``book.html``.

    Returns:
        The PDF, with page numbers, an outline and tags for assistive technology.

    Raises:
        RadlibError: if the book is not built, a page of it is missing, or there is no Chromium.
    """
    pages, target = pages or html_dir(), target or pdf_file()
    if not (pages / "index.html").is_file():
        raise RadlibError(
            "the book is not built", file=pages, remedy="run `make book` (or `make pdf`, which does both)"
        )
    if find_spec("playwright") is None:
        raise RadlibError("playwright, which drives the browser, is not installed", remedy="run `make install`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = _launch(playwright)
        document = target.with_name("book.html")
        write_text(document, assemble(pages, browser=browser, at=document.parent))
        # 0: no limit; a thousand formulas take their time on a slow machine.
        page = browser.new_page(viewport={"width": PRINT_WIDTH, "height": 1000}, color_scheme="light")
        page.set_default_timeout(0)
        page.emulate_media(media="print")
        page.goto(document.as_uri(), wait_until="load")
        page.evaluate("() => window.MathJax.startup.promise")
        page.evaluate("() => Promise.all([...document.images].map(image => image.decode().catch(() => null)))")
        page.evaluate(_FIT_TABLES, PRINT_WIDTH)
        with atomic_path(target) as temporary:
            page.pdf(
                path=temporary,
                outline=True,
                tagged=True,
                prefer_css_page_size=True,
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=_FOOTER,
            )
        browser.close()
    return target


def assemble(pages: Path, *, browser: Browser, at: Path) -> str:
    """All pages as one HTML document that will lie in the folder ``at``.

    Args:
        pages: the folder of the built pages.
        browser: takes the stills of interactive viewers.
        at: images and styles are addressed relative to this folder.
    """
    from bs4 import BeautifulSoup

    contents = parts(project_root() / "book" / "_toc.yml")
    printed = [name for part in contents for name in part.pages]
    first = BeautifulSoup((pages / "index.html").read_text(encoding="utf-8"), "html.parser")
    title = first.h1.get_text().rstrip("#").strip() if first.h1 else "The book"
    body, listing = [], []
    for part in contents:
        listing.append("<div>")
        if part.caption:
            body.append(f'<h1 class="part">{html.escape(part.caption)}</h1>')
            listing.append(f'<p class="listing-caption">{html.escape(part.caption)}</p>')
        listing.append("<ul>")
        for name in part.pages:
            article = _article(pages, name, printed, browser=browser, at=at)
            heading = article.h2.extract() if article.h2 else None
            text = html.escape(heading.get_text(" ", strip=True) if heading else name)
            listing.append(f'<li><a href="#{_anchor(name)}">{text}</a></li>')
            body.append(f'<h2 id="{_anchor(name)}">{text}</h2><section>{article.decode_contents()}</section>')
        listing.append("</ul></div>")
    return "\n".join([
        '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">',
        f"<title>{html.escape(title)}</title>",
        *_head(first, pages, at),
        f"<style>{_STYLE}</style></head><body><article class='bd-article bd-content'>",
        f'<div class="cover"><p class="h1">{html.escape(title)}</p><p>The book on paper. Interactive viewers are '
        "stills here, and folded code is left out; with the pages in the browser come every table as CSV, every "
        f'chapter as notebook and the API reference.</p></div><nav class="listing">{"".join(listing)}</nav>',
        *body,
        "</article></body></html>",
    ])  # fmt: skip


def _launch(playwright: Playwright) -> Browser:
    """Debian's Chromium or Chrome where there is one, else the browser that playwright itself has downloaded."""
    from playwright.sync_api import Error

    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    try:
        return playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
    except Error as error:
        raise RadlibError(
            f"there is no Chromium to print with ({str(error).splitlines()[0]})",
            remedy="install one, e.g. `apt install chromium`, or `playwright install chromium`",
        ) from error


def _head(first: BeautifulSoup, pages: Path, at: Path) -> Iterator[str]:
    """The style sheets of the pages, and MathJax."""
    for link in first.find_all("link", rel="stylesheet"):
        yield f'<link rel="stylesheet" href="{_relative(pages / _plain(str(link["href"])), at)}">'
    yield '<script>window.MathJax = {"options": {"processHtmlClass": "tex2jax_process|mathjax_process|math"}}</script>'
    yield f'<script src="{_relative(pages / "_static/mathjax/tex-chtml.js", at)}"></script>'


def _article(pages: Path, name: str, printed: list[str], *, browser: Browser, at: Path) -> Tag:
    """The content of a page, ready to stand among the others."""
    from bs4 import BeautifulSoup

    file = pages / f"{name}.html"
    if not file.is_file():
        raise RadlibError("a page of the book is not built", file=file, remedy="run `make book`")
    # Parsed without what surrounds the content: much of it, and as much again on every page.
    text = file.read_text(encoding="utf-8")
    soup = BeautifulSoup(text[text.index("<article") : text.rindex("</article>") + len("</article>")], "html.parser")
    article = soup.article
    assert article is not None
    for tag in article.select("script, .headerlink, .viewcode-link, .viewcode-back, .download, button"):
        tag.decompose()
    for folded in article.select("details.above-input"):
        cell = folded.parent
        if cell is not None and {"tag_parameters", "tag_injected-parameters"} & set(cell.get_attribute_list("class")):
            if folded.summary:
                folded.summary.decompose()
            folded.name = "div"
        else:
            folded.decompose()
    for details in article.find_all("details"):
        details["open"] = ""
    for frame in article.find_all("iframe"):
        still = BeautifulSoup(_still(file.parent / str(frame["src"]), frame, browser), "html.parser")
        frame.replace_with(still)
    for tag in article.find_all(id=True):
        tag["id"] = f"{_anchor(name)}--{tag['id']}"
    for image in article.find_all("img"):
        image.attrs.pop("loading", None)
        if not str(image["src"]).startswith(("data:", "http")):
            image["src"] = _relative(file.parent / _plain(str(image["src"])), at)
    for link in article.find_all("a", href=True):
        _relink(link, file, pages, printed)
    for level in range(5, 0, -1):
        for heading in article.find_all(f"h{level}"):
            heading.name = f"h{level + 1}"
    return article


def _relink(link: Tag, file: Path, pages: Path, printed: list[str]) -> None:
    """Lead a link to its place in the document; one that leads out of the printed pages becomes text."""
    address, fragment = urldefrag(str(link["href"]))
    if address.startswith(("http:", "https:", "mailto:")):
        return
    target = (file.parent / unquote(address)).resolve() if address else file.resolve()
    name = os.path.relpath(target, pages.resolve()).removesuffix(".html")
    if name in printed:
        link["href"] = f"#{_anchor(name)}--{fragment}" if fragment else f"#{_anchor(name)}"
    else:
        link.unwrap()


def _still(page: Path, frame: Tag, browser: Browser) -> str:
    """A picture of an interactive viewer as it opens."""
    view = browser.new_page(viewport={"width": PRINT_WIDTH, "height": 320}, device_scale_factor=2)
    view.goto(page.resolve().as_uri(), wait_until="load")
    view.wait_for_timeout(500)
    picture = base64.b64encode(view.screenshot()).decode()
    view.close()
    title = html.escape(str(frame.get("title", "Interactive viewer")))
    return (
        f'<figure class="still"><img alt="{title}" src="data:image/png;base64,{picture}">'
        f"<figcaption>{title}: a still; in the browser the sections follow the mouse.</figcaption></figure>"
    )


def _anchor(name: str) -> str:
    return name.replace("/", "-")


def _plain(address: str) -> str:
    return unquote(address.partition("?")[0].partition("#")[0])


def _relative(path: Path, at: Path) -> str:
    return os.path.relpath(path.resolve(), at.resolve())
