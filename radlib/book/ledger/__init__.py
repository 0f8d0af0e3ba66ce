"""The ledger: every published number beside what this book measured, and whether the two agree.

:func:`collect` joins what the manifests declare with the results of runs and the kept results, :func:`judge` applies
the rules of the verdict, :func:`ledger_frame` gives all of it as one table, :func:`ledger_page` and
:func:`claims_page` as pages of the book.
"""

from radlib.book.ledger.collect import collect
from radlib.book.ledger.frame import ledger_frame
from radlib.book.ledger.page import claims_page, ledger_page
from radlib.book.ledger.verdict import VERDICTS, Entry, Finding, judge

__all__ = ["VERDICTS", "Entry", "Finding", "claims_page", "collect", "judge", "ledger_frame", "ledger_page"]
