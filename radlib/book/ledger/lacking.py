"""``python -m radlib.book.ledger.lacking results.json``: what is declared of a chapter and not in its results."""

from __future__ import annotations

import sys
from pathlib import Path

from radlib.book.results import Results, read_results
from radlib.data.published import evidence


def lacking(results: Results) -> list[str]:
    """One line an entry and study (or figure) that is declared of the chapter and is not in its results.

    Figures are not asked of runs on real patients, of whom no picture is shown.
    """
    lines = []
    for key, said in evidence().items():
        lines += [
            f"{key}: {measure}"
            for measure in said.measured
            if measure.chapter == results.chapter and not any(measure.matches(row) for row in results.measured)
        ]
        lines += [
            f"{key}: no figure {name}"
            for drawing in said.drawn
            if drawing.chapter == results.chapter and results.source != "real"
            for name in drawing.figures
            if name not in results.figures
        ]
    return lines


if __name__ == "__main__":
    print("\n".join(lacking(read_results(Path(sys.argv[1])))))
