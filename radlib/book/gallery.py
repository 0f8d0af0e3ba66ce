"""The chapters as pictures, for the front page."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from radlib.book.registry import chapters
from radlib.core.files import atomic_path, write_text_if_changed
from radlib.core.paths import run_dir

SIZE = (360, 225)
"""Pixels of a thumbnail; a card is about half as wide."""


def write_gallery(folder: Path, *, cohort: str, profile: str) -> Path:
    """Write ``gallery.md``, to be included by the front page, and ``thumbs/`` beside it.

    A thumbnail is the figure that ``chapters.yml`` names, as the last run drew it; the card of a chapter that has not
    drawn it says so.
    """
    cards = []
    for name, chapter in chapters().items():
        figure = run_dir(cohort=cohort, profile=profile, chapter=name) / "figures" / f"{chapter.picture}.png"
        target = folder / "thumbs" / f"{name}.png"
        target.unlink(missing_ok=True)
        shown, said = "", "No picture: this chapter has not been run for this book yet.\n"
        if figure.is_file():
            with atomic_path(target) as temporary:
                temporary.write_bytes(thumbnail(figure))
            shown = f":img-top: generated/thumbs/{name}.png\n:img-alt: A figure of the chapter {chapter.title}.\n"
            said = ""
        cards.append(
            f":::{{grid-item-card}} {chapter.title}\n:link: chapters/{name}\n:link-type: doc\n"
            f":class-card: gallery\n{shown}{said}:::\n"
        )
    target = folder / "gallery.md"
    write_text_if_changed(target, f"::::{{grid}} 2 3 4 4\n:gutter: 2\n\n{''.join(cards)}::::\n")
    return target


def thumbnail(figure: Path) -> bytes:
    """A picture as a PNG of :data:`SIZE`, whole, on white, in 64 colours: twenty of them are loaded with a page."""
    with Image.open(figure) as opened:
        small = opened.convert("RGB")
    small.thumbnail(SIZE, Image.Resampling.LANCZOS)
    card = Image.new("RGB", SIZE, "white")
    card.paste(small, ((SIZE[0] - small.width) // 2, (SIZE[1] - small.height) // 2))
    stream = io.BytesIO()
    card.quantize(64).save(stream, format="png", optimize=True)
    return stream.getvalue()
