"""``notebooks/chapters.yml``: which chapters there are and what each reads."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from radlib.core.errors import RadlibError
from radlib.core.models import Strict
from radlib.core.paths import project_root


class Chapter(Strict):
    """One chapter of the book.

    Attributes:
        title: as on its page.
        papers: keys of the papers it re-implements.
        cohorts: roles of the cohorts it opens (:func:`radlib.data.sources.open_cohort`).
        needs: chapters whose run directory it reads.
        picture: the figure that stands for it on the front page.
        gpu: whether its paper-size run wants a GPU.
    """

    name: str = ""
    title: str
    papers: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    picture: str = ""
    gpu: bool = False

    @property
    def source(self) -> Path:
        """The py:percent file."""
        return notebooks_dir() / f"{self.name}.py"


class _Chapters(Strict):
    chapters: dict[str, Chapter] = Field(min_length=1)


def notebooks_dir() -> Path:
    """``notebooks/`` of the checkout."""
    return project_root() / "notebooks"


def chapters() -> dict[str, Chapter]:
    """All chapters by name, in the order of the book.

    Raises:
        RadlibError: if the file is malformed, a source is missing, or ``needs`` names no chapter or makes a circle.
    """
    return dict(_load(notebooks_dir() / "chapters.yml"))


@cache
def _load(file: Path) -> dict[str, Chapter]:
    try:
        found = _Chapters.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))).chapters
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise RadlibError(f"the list of chapters cannot be read: {error}", file=file) from error
    named = {name: chapter.model_copy(update={"name": name}) for name, chapter in found.items()}
    before: set[str] = set()
    for name, chapter in named.items():
        if not chapter.source.is_file():
            raise RadlibError(f"chapter {name!r} has no source", file=chapter.source)
        for other in chapter.needs:
            if other not in before:
                raise RadlibError(
                    f"chapter {name!r} needs {other!r}, which does not come before it",
                    file=file,
                    remedy="list a chapter after those it needs",
                )
        before.add(name)
    return named


def chapter(name: str) -> Chapter:
    """The chapter of that name.

    Raises:
        RadlibError: if there is none; the message lists those there are.
    """
    known = chapters()
    if name not in known:
        raise RadlibError(f"there is no chapter {name!r}", remedy=f"choose one of {', '.join(known)}")
    return known[name]
