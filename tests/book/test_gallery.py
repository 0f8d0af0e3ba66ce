"""The front page's pictures of the chapters."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

from radlib.book.gallery import SIZE, write_gallery
from radlib.core.paths import run_dir


def test_a_card_a_chapter_with_the_figure_that_is_there(project: Path) -> None:
    registry = project / "notebooks" / "chapters.yml"
    registry.write_text(registry.read_text().replace("{title: First}", "{title: First, picture: line}"))
    file = run_dir(cohort="simulated", profile="smoke", chapter="first") / "figures" / "line.png"
    file.parent.mkdir(parents=True)
    plt.plot([0, 1])
    plt.savefig(file, dpi=300)
    plt.close()
    text = write_gallery(project / "generated", cohort="simulated", profile="smoke").read_text()
    first, second = text.split(":::{grid-item-card}")[1:]
    assert ":link: chapters/first\n" in first
    assert ":img-top: generated/thumbs/first.png\n" in first
    assert "img-top" not in second
    assert "has not been run" in second
    assert "has not been run" not in first
    small = (project / "generated/thumbs/first.png").read_bytes()
    assert len(small) < 20_000
    with Image.open(io.BytesIO(small)) as opened:
        assert opened.size == SIZE
        assert opened.convert("RGB").getpixel((0, SIZE[1] // 2)) == (255, 255, 255)  # a 4:3 figure on a 16:10 card
