"""The ledger: every published number beside what this book measured, and whether the two agree.

:func:`collect` joins what the manifests declare with the results of runs and the kept results, :func:`judge` applies
the rules of the verdict, :func:`ledger_frame` gives all of it as one table, :func:`pages` as pages of the book, with
the claims (:mod:`radlib.book.answer`).
"""

from radlib.book.ledger.collect import collect
from radlib.book.ledger.frame import ledger_frame
from radlib.book.ledger.page import pages
from radlib.book.ledger.verdict import VERDICTS, Entry, Finding, judge

__all__ = ["VERDICTS", "Entry", "Finding", "collect", "judge", "ledger_frame", "pages"]
