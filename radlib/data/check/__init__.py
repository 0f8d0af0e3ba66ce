"""``radlib data check``: finds and names every problem of a data set on disk."""

from radlib.data.check.findings import KINDS, CheckReport, Finding
from radlib.data.check.run import check_dataset, check_datasets

__all__ = ["KINDS", "CheckReport", "Finding", "check_dataset", "check_datasets"]
