"""Ids of subjects in a table and in the names of files: when two are one, and when they are almost."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from radlib.core.errors import RadlibError
from radlib.data.readers.description import Description


def numbers_alone(identity: str) -> str:
    """An id without the leading zeros of its numbers: ``p-004`` and ``p-0004`` are ``p-4``."""
    return re.sub(r"\d+", lambda match: match[0].lstrip("0") or "0", identity)


def compared(identity: object, description: Description) -> str:
    """An id as it is compared: file systems and tables write one letter with an accent in two ways."""
    text = unicodedata.normalize("NFC", str(identity))
    return numbers_alone(text) if description.id_match == "numbers" else text


def by_id(names: Iterable[object], description: Description, file: Path) -> dict[str, object]:
    """Ids by what is compared of them.

    Raises:
        RadlibError: if two of them are one.
    """
    found: dict[str, object] = {}
    for name in names:
        if (other := found.setdefault(compared(name, description), name)) != name:
            raise RadlibError(
                f"{other!r} and {name!r} are one id (id_match: {description.id_match})", file=file,
                remedy="rename one of them, or write `id_match: exact`",
            )  # fmt: skip
    return found


def refuse_alike(bare: Iterable[str], unlisted: Iterable[str], description: Description, path: Path) -> None:
    """Refuse an id of the table that meets no image, but one without a row but for zeros, capitals or spaces.

    Raises:
        RadlibError: naming such pairs, unless the description says that ids are compared exactly.
    """
    if "id_match" in description.model_fields_set and description.id_match == "exact":
        return
    images = {_alike(name): name for name in unlisted}
    if pairs := [f"{name!r} and {images[_alike(name)]!r}" for name in bare if _alike(name) in images]:
        raise RadlibError(
            f"{len(pairs)} id(s) of the table are almost those of images: {', '.join(pairs[:5])}"
            + " ..." * (len(pairs) > 5), file=path,
            remedy="write them in one way; where only zeros differ, `id_match: numbers` does; where they are other "
            "patients, `id_match: exact`",
        )  # fmt: skip


def _alike(identity: str) -> str:
    """An id without what is easily written in another way: leading zeros, capitals, spaces and strokes."""
    return re.sub(r"[\s_.-]+", "", numbers_alone(unicodedata.normalize("NFKC", identity))).casefold()


def first_ids(names: pd.Index) -> str:
    """The first three ids, for a message; ``none`` where there is none."""
    return ", ".join(map(repr, map(str, names[:3]))) + " ..." * (len(names) > 3) if len(names) else "none"
