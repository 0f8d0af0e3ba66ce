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
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urldefrag

import yaml

from radlib.book.templates import environment, read_part
from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, write_text
from radlib.core.paths import project_root

if TYPE_CHECKING:
    from bs4 import Tag
    from playwright.sync_api import Browser, Playwright

#: Names under which Chromium is installed.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Pages for looking things up beside the code; on paper they would be longer than the book.
LEFT_OUT = "generated/api"
#: Width of an A4 page between its margins, in CSS pixels.
PRINT_WIDTH = 680

_FOOTER = (
    '<div style="width:100%;margin:0 15mm;font:8px sans-serif;color:#555;display:flex;justify-content:space-between">'
    '<span class="title"></span><span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>'
)


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
        page.evaluate(read_part("fit_tables.js"), PRINT_WIDTH)
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
    sections: dict[str, tuple[str, str]] = {}  # by page: heading and content
    for name in printed:
        article = _article(pages, name, printed, browser=browser, at=at)
        heading = article.h2.extract() if article.h2 else None
        sections[name] = (heading.get_text(" ", strip=True) if heading else name, article.decode_contents())
    return environment(anchor=_anchor).get_template("print.html.j2").render(
        title=first.h1.get_text().rstrip("#").strip() if first.h1 else "The book",
        styles=[_relative(pages / _plain(str(link["href"])), at) for link in first.find_all("link", rel="stylesheet")],
        mathjax=_relative(pages / "_static/mathjax/tex-chtml.js", at),
        css=read_part("print.css"), parts=contents, sections=sections,
    )  # fmt: skip


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
    view.emulate_media(media="print")
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
