"""Progress that suits where it is seen: a bar on a terminal or in JupyterLab, sparse lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from radlib.core.settings import in_lab

T = TypeVar("T")


def track(
    items: Iterable[T], *, description: str, total: int | None = None, every_seconds: float = 30.0
) -> Iterator[T]:
    """Yield from ``items`` and show how far it is.

    Args:
        items: what to go through.
        description: what is being done, e.g. ``"subjects"``.
        total: the number of items; taken from ``len(items)`` where there is one.
        every_seconds: where there is no bar, the time between two lines on standard error.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if sys.stderr.isatty() or in_lab():
        from tqdm import tqdm

        # A cell in JupyterLab may train many networks: what is done leaves its place.
        yield from tqdm(items, desc=description, total=total, leave=not in_lab())
        return
    start = last = time.monotonic()
    for done, item in enumerate(items):
        yield item
        now = time.monotonic()
        if now - last >= every_seconds:
            last = now
            of = f"/{total}" if total else ""
            print(f"{description}: {done + 1}{of} in {now - start:.0f} s", file=sys.stderr, flush=True)
