"""Every number that the five papers print, and what can be recomputed from them.

``published("ge2020.table3.run1.prop_a.accuracy")`` is one printed number with its spread, n, unit and place in the
paper; ``check(paper)`` recomputes every relation that the printed numbers must satisfy among themselves.
"""

from radlib.data.published.arithmetic import Check
from radlib.data.published.declared import Evidence, Measure
from radlib.data.published.manifest import evidence, load_all, load_paper, published, published_values
from radlib.data.published.relations import check, check_all
from radlib.data.published.schema import PAPERS, Likeness, Paper, PublishedValue

__all__ = [
    "PAPERS",
    "Check",
    "Evidence",
    "Likeness",
    "Measure",
    "Paper",
    "PublishedValue",
    "check",
    "check_all",
    "evidence",
    "load_all",
    "load_paper",
    "published",
    "published_values",
]
